import { render } from 'preact-render-to-string';
import type { CheckResult, RunReport, Status } from '../../runner/result.js';
import { causeOfEach, causeTitle, causesOf } from '../causes.js';
import { counts, groupBy } from '../counts.js';
import { clip, oneLine } from '../text.js';
import { Case, signs, tone } from './case.js';
import { timeWords } from './diagram.js';
import { policyOf } from './policy.js';
import { script } from './script.js';
import { style } from './style.js';

/** A requirement of the catalogue, for the map: what of it was asked, and what not. */
export interface MapEntry {
  readonly id: string;
  readonly title: string;
  readonly area: string;
}

const statuses: readonly Status[] = ['fail', 'error', 'warn', 'pass', 'skip'];
const plural: Readonly<Record<Status, string>> = {
  pass: 'passed',
  warn: 'warnings',
  fail: 'failed',
  skip: 'skipped',
  error: 'errors',
};

/** An iPhone gives up on a step after that, in milliseconds. */
const PATIENCE = 10_000;
/** Exchanges that are drawn; of the others there is the list. A page of a thousand drawings opens slowly. */
const DRAWN = 150;

/** What is red first, in the order it was asked. */
function inOrder(results: readonly CheckResult[]): readonly CheckResult[] {
  const rank = ({ status, reason }: CheckResult): number =>
    reason === 'not-run' ? statuses.length : statuses.indexOf(status);
  return results
    .map((result, at) => ({ result, at }))
    .sort((a, b) => rank(a.result) - rank(b.result) || a.at - b.at)
    .map(({ result }) => result);
}

function Facts({ facts }: { facts: readonly (readonly [name: string, value: string])[] }) {
  return (
    <dl class="facts">
      {facts.map(([name, value]) => (
        <>
          <dt>{oneLine(name, 200)}</dt>
          <dd>{oneLine(value, 1000)}</dd>
        </>
      ))}
    </dl>
  );
}

function Timings({ timing }: { timing: RunReport['timing'] }) {
  // In memory no time goes by.
  const rows = Object.entries(timing).filter(([, { longestMs }]) => longestMs > 0);
  if (rows.length === 0) return null;
  return (
    <>
      <h2>Time</h2>
      <p class="quiet">
        How long the accessory took, beside the ten seconds that an iPhone waits for each answer.
      </p>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th scope="col">answer</th>
              <th scope="col" class="number">
                times
              </th>
              <th scope="col" class="number">
                mean
              </th>
              <th scope="col" class="number">
                longest
              </th>
              <th scope="col">of 10 s</th>
            </tr>
          </thead>
          <tbody>
            {rows.map(([message, { count, totalMs, longestMs }]) => (
              <tr key={message}>
                <th scope="row">{oneLine(message, 40)}</th>
                <td class="number">{count}</td>
                <td class="number">{timeWords(totalMs / count)}</td>
                <td class={longestMs >= PATIENCE ? 'number fail' : 'number'}>{timeWords(longestMs)}</td>
                <td>
                  <meter
                    min={0}
                    max={PATIENCE}
                    high={PATIENCE / 2}
                    value={Math.min(PATIENCE, longestMs)}
                    aria-label={`longest ${message}: ${timeWords(longestMs)} of 10 s`}
                  />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

function Chapters({ results }: { results: readonly CheckResult[] }) {
  const chapters = groupBy(results, ({ chapter }) => chapter);
  return (
    <>
      <h2>Chapters</h2>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th scope="col">chapter</th>
              {statuses.map((status) => (
                <th scope="col" class="number" key={status}>
                  {plural[status]}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {[...chapters].map(([chapter, of]) => {
              const count = counts(of);
              return (
                <tr key={chapter}>
                  <th scope="row">{oneLine(chapter, 100)}</th>
                  {statuses.map((status) => (
                    <td class={count[status] > 0 ? `number ${tone(status)}` : 'number quiet'} key={status}>
                      {count[status]}
                    </td>
                  ))}
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </>
  );
}

/** What became of a requirement: the worst of its checks; of those that did not run, why. */
function stateOf(results: readonly CheckResult[]): { status: Status | undefined; words: string } {
  const worst = statuses.find((status) => results.some((result) => result.status === status));
  if (worst === undefined) return { status: undefined, words: 'not asked' };
  if (worst !== 'skip' && worst !== 'error') return { status: worst, words: plural[worst] };
  const reasons = new Set(
    results.filter(({ status }) => status === worst).map(({ reason }) => (reason ?? worst).replace('-', ' ')),
  );
  return { status: worst, words: [...reasons].join(', ') };
}

function Requirements({
  entries,
  results,
}: {
  entries: readonly MapEntry[];
  results: readonly CheckResult[];
}) {
  const by = groupBy(results, ({ requirement }) => requirement);
  const areas = groupBy(entries, ({ area }) => area);
  return (
    <>
      <h2>Requirements</h2>
      <p class="quiet">
        Each requirement of the catalogue: ✓ tested, ! warned of, ✗ violated, ? inconclusive, – not asked of
        this accessory (not applicable, blocked or not bought), · not in this run.
      </p>
      {[...areas].map(([area, of]) => (
        <details key={area}>
          <summary>
            {area}: {of.filter(({ id }) => by.get(id)?.some(({ status }) => status !== 'skip')).length} of{' '}
            {of.length} asked
          </summary>
          <ul class="map">
            {of.map(({ id, title }) => {
              const { status, words } = stateOf(by.get(id) ?? []);
              return (
                <li class={status === undefined ? 'quiet' : tone(status)} key={id}>
                  <a href={`#requirement=${encodeURIComponent(id)}`} title={`${title}: ${words}`}>
                    {status === undefined ? '·' : signs[status]} {id}
                  </a>
                </li>
              );
            })}
          </ul>
        </details>
      ))}
    </>
  );
}

function Filter({ results }: { results: readonly CheckResult[] }) {
  const count = counts(results);
  const chapters = [...new Set(results.map(({ chapter }) => oneLine(chapter, 100)))];
  return (
    <form class="filter" aria-label="filter results">
      <fieldset>
        <legend>status</legend>
        {statuses.map((status) => (
          <label key={status}>
            <input type="checkbox" name="status" value={status} checked />
            <span class={tone(status)}>{` ${signs[status]} ${status} ${count[status]}`}</span>
          </label>
        ))}
      </fieldset>
      <label>
        chapter{' '}
        <select name="chapter">
          <option value="">all</option>
          {chapters.map((chapter) => (
            <option key={chapter}>{chapter}</option>
          ))}
        </select>
      </label>
      <label>
        text <input type="search" name="text" autocomplete="off" />
      </label>
      <button type="button" id="all">
        all
      </button>
      <span id="shown" class="quiet" role="status" />
    </form>
  );
}

/** Which mistakes explain what failed, each with the failure that tells most. */
function Causes({ report }: { report: RunReport }) {
  const view = causesOf(report);
  if (view === undefined) return null;
  return (
    <section aria-label="diagnosis">
      <h2>Diagnosis</h2>
      <p>{oneLine(view.summary)}</p>
      {view.note !== undefined && <p class="quiet">{oneLine(view.note)}</p>}
      <ol>
        {view.causes.map(({ cause, title, weight, shown, others, instead }) => (
          <li key={cause.fault}>
            <strong>{title}</strong>
            <br />
            {oneLine(weight)}
            {cause.class.length > 0 &&
              `; or the same to all that was asked: ${cause.class.map((name) => oneLine(name, 80)).join(', ')}`}
            {cause.against.length > 0 &&
              `; against it: ${cause.against
                .slice(0, 5)
                .map((id) => oneLine(id, 80))
                .join(
                  ', ',
                )}${cause.against.length > 5 ? `, and ${cause.against.length - 5} more` : ''} would be otherwise`}
            {instead.map((other) => (
              <p class="quiet" key={other.fault}>{`or: ${causeTitle(other)}`}</p>
            ))}
            <p>
              {[...(shown === undefined ? [] : [shown]), ...others].slice(0, 40).map(({ id }) => (
                <>
                  <a class="mono" href={`#${encodeURIComponent(oneLine(id, 300))}`}>
                    {oneLine(id, 200)}
                  </a>{' '}
                </>
              ))}
              {others.length > 39 && `and ${others.length - 39} more`}
            </p>
          </li>
        ))}
      </ol>
      {view.unexplained.length > 0 && (
        <p>
          {'No known mistake explains '}
          {view.unexplained.slice(0, 40).map(({ id }) => (
            <>
              <a class="mono" href={`#${encodeURIComponent(oneLine(id, 300))}`}>
                {oneLine(id, 200)}
              </a>{' '}
            </>
          ))}
        </p>
      )}
      {view.next !== undefined && <p>{`Next question: ${oneLine(view.next)}`}</p>}
    </section>
  );
}

function priceWords({ price }: RunReport): string {
  const { m2, m4, m6, verifies, attempts, resets, wallMs, accessoryMs } = price;
  return `${m2} M2, ${m4} M4, ${m6} M6, ${verifies} verifies, ${attempts} failed attempts, ${resets} resets; ${timeWords(wallMs)}, of it ${timeWords(accessoryMs)} waiting for the accessory`;
}

function Page({ report, entries }: { report: RunReport; entries: readonly MapEntry[] }) {
  const { results, exit, aftermath } = report;
  const count = counts(results);
  const ordered = inOrder(results);
  const good = exit.code === 0;
  const causes = causeOfEach(report);
  let drawn = 0;
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content={policyOf(style, script)} />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>{`${good ? '✓' : '✗'} ${clip(oneLine(report.target), 80)} · hapspec`}</title>
        <style dangerouslySetInnerHTML={{ __html: style }} />
      </head>
      <body>
        <a class="skip" href="#results">
          to the results
        </a>
        <header>
          <p class="quiet">{`hapspec ${oneLine(report.tool.version, 40)} · ${oneLine(report.startedAt, 40)}`}</p>
          <h1>
            <span class={good ? 'pass' : 'fail'}>{`${good ? '✓' : '✗'} exit ${exit.code}`}</span>
            {`: ${oneLine(exit.meaning)}`}
          </h1>
          {!aftermath.clean && <p class="notice">{`accessory: ${oneLine(aftermath.message)}`}</p>}
          <ul class="counts">
            {statuses.map((status) => (
              <li class={count[status] > 0 ? tone(status) : 'quiet'} key={status}>
                {`${signs[status]} ${count[status]} ${plural[status]}`}
              </li>
            ))}
          </ul>
        </header>
        <main>
          <Causes report={report} />
          <Facts
            facts={[
              ['target', report.target],
              ...Object.entries(report.accessory),
              ...(aftermath.clean && aftermath.message !== '' ? [['left', aftermath.message] as const] : []),
              ['price', priceWords(report)],
              ['seed', report.seed],
              ['command', report.command],
            ]}
          />
          <Timings timing={report.timing} />
          <Chapters results={results} />
          {entries.length > 0 && <Requirements entries={entries} results={results} />}
          <h2 id="results" tabIndex={-1}>
            Results
          </h2>
          <p class="quiet">
            <kbd>/</kbd> search, <kbd>j</kbd> and <kbd>k</kbd> next and previous failure, <kbd>Esc</kbd> all
            again.
          </p>
          <Filter results={results} />
          <ul class="cases">
            {ordered.map((result) => (
              <Case
                key={result.id}
                result={result}
                cause={causes.get(result.id)}
                drawn={result.failure?.steps !== undefined && drawn++ < DRAWN}
              />
            ))}
          </ul>
        </main>
        <script dangerouslySetInnerHTML={{ __html: script }} />
      </body>
    </html>
  );
}

/**
 * The report as one page that needs nothing else: no file, no network. What an accessory sent is text in it, whatever it looks
 * like, and its policy lets nothing run but the page's own script.
 * @param entries - requirements of the catalogue, for the map; without them there is none
 */
export function html(report: RunReport, entries: readonly MapEntry[] = []): string {
  return `<!doctype html>\n${render(<Page report={report} entries={entries} />)}\n`;
}
