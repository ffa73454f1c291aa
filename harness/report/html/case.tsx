import type { Cause, CheckResult, ExchangeStep } from '../../runner/result.js';
import { causeTitle } from '../causes.js';
import { clip, oneLine, printable } from '../text.js';
import { Diagram, timeWords } from './diagram.js';
import { type Marks, marksOf } from './marks.js';

/** Signs beside words: nobody has to tell colours apart. */
export const signs = { pass: '✓', warn: '!', fail: '✗', skip: '–', error: '?' } as const;

/** The class of a status; `skip` is the link to the content. */
export function tone(status: CheckResult['status']): string {
  return status === 'skip' ? 'skipped' : status;
}

/** Bytes of a value that stand in the line; the rest is a click away. */
const PREVIEW = 16;

function Value({ value, length }: { value: string; length: number }) {
  const bytes = value.match(/.{1,2}/g) ?? [];
  const cut =
    length > bytes.length ? ` … ${length - bytes.length} bytes more: --evidence DIR keeps them` : '';
  if (bytes.length <= PREVIEW) return <code>{bytes.join(' ') + cut || '(no bytes)'}</code>;
  return (
    <details>
      <summary>
        <code>{`${bytes.slice(0, PREVIEW).join(' ')} …`}</code>
      </summary>
      <pre>{bytes.join(' ') + cut}</pre>
    </details>
  );
}

const arrows = { sent: '→', received: '←', closed: '×', reset: '×', silence: '…', note: '·' } as const;

function Step({ step, marks }: { step: ExchangeStep; marks: Marks }) {
  const head = `#${step.connection} ${arrows[step.kind]} ${step.sealed === true ? '[sealed] ' : ''}${oneLine(step.line)}`;
  const missing = step === marks.step ? marks.missing : [];
  return (
    <li>
      <span class="mono">
        <span class="quiet">{`+${timeWords(step.at)} `}</span>
        {head}
      </span>
      {((step.items?.length ?? 0) > 0 || missing.length > 0) && (
        <div class="scroll">
          <table>
            <tbody>
              {step.items?.map((item, i) => {
                const why = marks.items.get(item);
                const name = `${oneLine(item.name, 60)}[${item.length}]`;
                return (
                  <tr key={i}>
                    <td class="mono">{why === undefined ? name : <mark>{name}</mark>}</td>
                    <td class={why === undefined ? undefined : 'marked'}>
                      <Value value={oneLine(item.value, 2100)} length={item.length} />
                    </td>
                    <td class="fail">{why}</td>
                  </tr>
                );
              })}
              {missing.map((name) => (
                <tr key={name}>
                  <td class="mono">
                    <mark>{name}</mark>
                  </td>
                  <td />
                  <td class="fail">is missing: each allowed outcome has it</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </li>
  );
}

interface About {
  readonly result: CheckResult;
  /** The mistake that explains it. */
  readonly cause: Cause | undefined;
  /** Its exchange is drawn too. */
  readonly drawn: boolean;
}

function Details({ result, cause, drawn }: About) {
  const { failure, observations } = result;
  const marks = marksOf(result);
  const observed = Object.entries(observations);
  return (
    <div class="body">
      {cause !== undefined && <p>{`Of this cause: ${causeTitle(cause)}`}</p>}
      {failure !== undefined && (
        <>
          <p>{printable(clip(failure.requirement, 4000))}</p>
          <div class="beside">
            <div>
              <h3>Allowed</h3>
              <ul>
                {failure.allowed.slice(0, 40).map((line, i) => (
                  <li key={i}>{oneLine(line)}</li>
                ))}
              </ul>
            </div>
            <div>
              <h3>Seen</h3>
              <p>
                <mark>{oneLine(failure.seen, 4000)}</mark>
              </p>
            </div>
          </div>
          {(failure.steps?.length ?? 0) > 0 && (
            <>
              <h3>Exchange</h3>
              {drawn && (
                <div class="scroll" tabIndex={0} role="group" aria-label="the exchange, drawn">
                  <Diagram steps={failure.steps!} marks={marks} />
                </div>
              )}
              <ol class="steps">
                {failure.steps!.map((step, i) => (
                  <Step key={i} step={step} marks={marks} />
                ))}
              </ol>
            </>
          )}
          {failure.steps === undefined && failure.exchange.length > 0 && (
            <>
              <h3>Exchange</h3>
              <pre>{failure.exchange.slice(0, 120).map((line) => `${oneLine(line)}\n`)}</pre>
            </>
          )}
          <h3>Repeat it</h3>
          <div class="command">
            <pre>{oneLine(failure.reproduce, 4000)}</pre>
            <button type="button" data-copy>
              copy
            </button>
          </div>
        </>
      )}
      {observed.length > 0 && (
        <dl class="facts">
          {observed.slice(0, 60).map(([name, value]) => (
            <>
              <dt>{oneLine(name, 200)}</dt>
              <dd>{oneLine(value, 1000)}</dd>
            </>
          ))}
        </dl>
      )}
      <p class="quiet">
        {`${result.level}${result.security === true ? ', security' : ''} · ${oneLine(result.source)} · ${oneLine(result.file)} · ${timeWords(result.durationMs)}`}
        {result.reason === undefined ? '' : ` · ${result.reason}`}
        {result.attempts === undefined ? '' : ` · run ${result.attempts} times`}
      </p>
    </div>
  );
}

function Head({ result }: { result: CheckResult }) {
  return (
    <>
      <span class={`status ${tone(result.status)}`}>{`${signs[result.status]} ${result.status}`}</span>{' '}
      <strong class="mono">{oneLine(result.id, 200)}</strong> {oneLine(result.title, 300)}
      {result.message !== '' && <span class="quiet">{` — ${oneLine(result.message, 500)}`}</span>}
    </>
  );
}

/** One result: a line, and behind it what a failure is about. */
export function Case({ result, cause, drawn }: About) {
  const more = result.failure !== undefined || Object.keys(result.observations).length > 0;
  return (
    <li
      class="case"
      id={oneLine(result.id, 300)}
      data-status={result.status}
      data-chapter={oneLine(result.chapter, 100)}
    >
      {more ? (
        <details>
          <summary>
            <Head result={result} />
          </summary>
          <Details result={result} cause={cause} drawn={drawn} />
        </details>
      ) : (
        <p tabIndex={-1}>
          <Head result={result} />
        </p>
      )}
    </li>
  );
}
