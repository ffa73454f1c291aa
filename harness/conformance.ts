import { randomInt } from 'node:crypto';
import { suite } from '../suites/index.js';
import { InputError, type SetupCode, aint, parseSetupCode, seededRandom } from './protocol/index.js';
import { codeForms, redactReport, redactor } from './report/index.js';
import { type Case, type Level, Run, type RunReport, select } from './runner/index.js';
import { type Bench, EMBEDDED_CODE, benchFor, parseAddress } from './target/index.js';
import { type Patience, defaultPatience } from './wire/index.js';
import { version } from './version.js';

/** What a run is about; the same for the command, for mocha and for programs. */
export interface ConformanceOptions {
  /** Setup code: `XXX-XX-XXX`, 8 digits or an `X-HM://` payload. */
  readonly code?: string;
  /** Id globs; none means all. */
  readonly only?: readonly string[];
  readonly skip?: readonly string[];
  readonly levels?: readonly Level[];
  /** Milliseconds a required answer may take, 100 to 600,000; 10,000 unless given. */
  readonly timeout?: number;
  /** What everything random derives from; drawn when not given. */
  readonly seed?: number;
  /** Warnings are red. */
  readonly strict?: boolean;
  /** The command line for the report, without secrets. */
  readonly command?: string;
}

/** A run ready to start, and the redaction everything it says has to pass before anyone sees it. */
export interface Prepared {
  readonly run: Run;
  readonly bench: Bench;
  /** The report without setup code and keys. */
  redacted(report: RunReport): RunReport;
}

function patienceOf(timeout: number): Patience {
  const { silence, close } = defaultPatience;
  return { answer: timeout, silence: Math.min(silence, timeout), close: Math.min(close, timeout) };
}

/** Pair Setup beyond M2 needs the code, and so does everything that starts paired. */
function needsCode(entry: Case): boolean {
  if (entry.requirement.needs.includes('setup-code')) return true;
  return entry.kind === 'check' && entry.spec.from === 'paired';
}

function codeOf(
  given: string | undefined,
  selected: readonly Case[],
  embedded: boolean,
): SetupCode | undefined {
  if (given !== undefined && given !== '') return parseSetupCode(given);
  if (embedded) return EMBEDDED_CODE;
  const needing = selected.filter(needsCode);
  if (needing.length === 0) return undefined;
  throw new InputError(
    `setup code: ${needing.length} of ${selected.length} selected checks need it (${needing[0]!.id}, …): give --code XXX-XX-XXX or set HAPSPEC_CODE, or narrow the selection with --only`,
  );
}

/**
 * Plans a run against a target: `HOST:PORT`, `[IPv6]:PORT`, `hap://HOST:PORT`, or `embedded[:FAULT]`.
 * @throws InputError naming what is wrong with the target or an option.
 */
export function prepareRun(target: string, options: ConformanceOptions = {}): Prepared {
  const address = parseAddress(target);
  const { only = [], skip = [], levels = [], strict = false } = options;
  const selected = select(suite, { only, skip, levels });
  const seed = String(aint(options.seed ?? randomInt(1, 2 ** 32), 'seed', 0, Number.MAX_SAFE_INTEGER));
  const timeout = aint(options.timeout ?? defaultPatience.answer, 'timeout', 100, 600_000);
  const code = codeOf(options.code, selected, address.kind === 'embedded');
  const random = seededRandom(seed);
  const bench = benchFor(address, { code, random, patience: patienceOf(timeout) });
  const run = new Run({
    target,
    seed,
    random,
    version,
    command: options.command ?? `hapspec run ${target} --seed ${seed}`,
    strict,
    bench,
    suite,
    selected,
  });
  const codes = [
    ...(code === undefined ? [] : codeForms(code.dashed)),
    ...(options.code === undefined ? [] : [options.code]),
  ];
  return {
    run,
    bench,
    // Keys are made while the run goes on, so the redaction is made anew for each report.
    redacted: (report) => redactReport(report, redactor([...codes, ...bench.keys])),
  };
}

/**
 * Runs the suite against a target and returns the report: what `hapspec run` does, for programs.
 * @throws InputError for a wrong target or option; Unreachable when nothing answers.
 */
export async function conformance(target: string, options: ConformanceOptions = {}): Promise<RunReport> {
  const { run, redacted } = prepareRun(target, options);
  await run.survey();
  for (const entry of run.plan) await run.runEntry(entry);
  await run.restore();
  return redacted(run.report());
}
