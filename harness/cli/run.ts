import { randomInt } from 'node:crypto';
import { InputError, type SetupCode, aint, parseSetupCode, seededRandom } from '../protocol/index.js';
import { codeForms, consoleReporter, json, junit, redactReport, redactor, writeAtomically } from '../report/index.js';
import {
  type Case,
  type Level,
  Run,
  type RunObserver,
  type RunReport,
  executeUnderMocha,
  select,
} from '../runner/index.js';
import { EMBEDDED_CODE, benchFor, parseAddress } from '../target/index.js';
import { type Patience, Unreachable, defaultPatience } from '../wire/index.js';
import { suite } from '../../suites/index.js';
import { version } from './version.js';

/** Options of `hapspec run` as the command line gives them. */
export interface RunFlags {
  readonly code?: string;
  readonly junit?: string;
  readonly json?: string;
  readonly only: readonly string[];
  readonly skip: readonly string[];
  readonly level: readonly string[];
  readonly timeout?: string;
  readonly seed?: string;
  readonly strict?: boolean;
}

/** Reports are written at most this often while a run goes on (real milliseconds), and once at its end. */
const REPORT_INTERVAL = 250;

function number(text: string, option: string, min: number, max: number): number {
  if (!/^\d{1,15}$/.test(text)) throw new InputError(`${option}: expected a whole number from ${min} to ${max}, got "${text}"`);
  return aint(Number(text), option, min, max);
}

function levelsOf(words: readonly string[]): Level[] {
  return words.map((word) => {
    const level = word.toUpperCase();
    if (level === 'MUST' || level === 'SHOULD' || level === 'VARIES') return level;
    throw new InputError(`--level: expected must, should or varies, got "${word}"`);
  });
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

function codeOf(flags: RunFlags, selected: readonly Case[], embedded: boolean): SetupCode | undefined {
  const given = flags.code ?? process.env['HAPSPEC_CODE'];
  if (given !== undefined && given !== '') return parseSetupCode(given);
  if (embedded) return EMBEDDED_CODE;
  const needing = selected.filter(needsCode);
  if (needing.length === 0) return undefined;
  throw new InputError(
    `setup code: ${needing.length} of ${selected.length} selected checks need it (${needing[0]!.id}, …): give --code XXX-XX-XXX or set HAPSPEC_CODE, or narrow the selection with --only`,
  );
}

/** Runs the suite and returns the exit code. @throws InputError for the user's mistakes (exit 2). */
export async function runCommand(target: string, flags: RunFlags): Promise<number> {
  const address = parseAddress(target);
  const selected = select(suite, { only: flags.only, skip: flags.skip, levels: levelsOf(flags.level) });
  const seed = flags.seed ?? String(randomInt(1, 2 ** 32));
  number(seed, '--seed', 0, Number.MAX_SAFE_INTEGER);
  const timeout = number(flags.timeout ?? String(defaultPatience.answer), '--timeout', 100, 600_000);
  const code = codeOf(flags, selected, address.kind === 'embedded');
  const random = seededRandom(seed);
  const bench = benchFor(address, { code, random, patience: patienceOf(timeout) });
  const redact = redactor([
    ...(code === undefined ? [] : codeForms(code.dashed)),
    ...(flags.code === undefined ? [] : [flags.code]),
  ]);
  const run = new Run({
    target,
    seed,
    random,
    version,
    command: commandLine(target, flags, seed),
    strict: flags.strict ?? false,
    bench,
    suite,
    selected,
  });

  const files = reportFiles(flags, redact, () => bench.sentIdentities.map(({ ltsk }) => ltsk));
  // Before the first contact: a path that cannot be written must not cost the accessory a run.
  files.write(run.report());
  const screen = consoleReporter({
    stream: process.stdout,
    colours: process.stdout.isTTY === true && process.env['NO_COLOR'] === undefined,
  });
  screen.started?.(run.plan.filter(({ reported }) => reported).length, { target, seed, tool: { name: 'hapspec', version } });
  const observer: RunObserver = { checked: (_result, soFar) => files.writeSometimes(soFar) };

  const stop = guard(run);
  try {
    await run.survey();
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
    const meaning = `nothing answered at ${target}: ${error.message}`;
    console.error(`hapspec: ${meaning}`);
    const report = { ...run.report({ code: 3, meaning }), aftermath: { clean: true, message: 'the accessory was not touched' } };
    files.write(report);
    screen.ended?.(redactReport(report, redact));
    stop.release();
    return 3;
  }
  await Promise.race([executeUnderMocha(run, [redacting(screen, redact), observer]), stop.failed]);
  await Promise.race([run.restore(), bench.clock.sleep(2 * timeout)]);
  stop.release();
  const report = run.report();
  files.write(report);
  screen.ended?.(redactReport(report, redact));
  if (stop.error !== undefined) console.error(`hapspec: the harness failed: ${stop.error}`);
  return report.exit.code;
}

/** Everything the screen shows goes through the redaction first. */
function redacting(screen: RunObserver, redact: (text: string) => string): RunObserver {
  return {
    checking: (check, index) => screen.checking?.(check, index),
    checked: (result, soFar) => {
      const { results } = redactReport({ ...soFar(), results: [result] }, redact);
      screen.checked?.(results[0]!, soFar);
    },
  };
}

function reportFiles(
  flags: RunFlags,
  redact: (text: string) => string,
  secrets: () => readonly Uint8Array[],
): { write(report: RunReport): void; writeSometimes(report: () => RunReport): void } {
  let last = 0;
  const write = (report: RunReport): void => {
    if (flags.junit === undefined && flags.json === undefined) return;
    const clean = redactReport(redactReport(report, redact), redactor(secrets()));
    if (flags.junit !== undefined) writeAtomically(flags.junit, junit(clean));
    if (flags.json !== undefined) writeAtomically(flags.json, json(clean));
    last = performance.now();
  };
  return {
    write,
    writeSometimes: (report) => {
      if (performance.now() - last >= REPORT_INTERVAL) write(report());
    },
  };
}

/** Catches what must not end the process without a report: stray errors (exit 4) and signals (exit 5). */
function guard(run: Run): { failed: Promise<void>; readonly error: string | undefined; release(): void } {
  let error: string | undefined;
  let fail: () => void = () => undefined;
  const failed = new Promise<void>((resolve) => (fail = resolve));
  const onError = (thrown: unknown): void => {
    run.harnessFailed(thrown);
    error ??= thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
    fail();
  };
  const onSignal = (): void => run.interrupt();
  process.on('uncaughtException', onError);
  process.on('unhandledRejection', onError);
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return {
    failed,
    get error() {
      return error;
    },
    release: () => {
      process.removeListener('uncaughtException', onError);
      process.removeListener('unhandledRejection', onError);
      process.removeListener('SIGINT', onSignal);
      process.removeListener('SIGTERM', onSignal);
    },
  };
}

/** The command that was run, without its secrets. */
function commandLine(target: string, flags: RunFlags, seed: string): string {
  const words = ['hapspec', 'run', target];
  if (flags.code !== undefined) words.push('--code', '"$HAPSPEC_CODE"');
  for (const pattern of flags.only) words.push('--only', `'${pattern}'`);
  for (const pattern of flags.skip) words.push('--skip', `'${pattern}'`);
  for (const level of flags.level) words.push('--level', level);
  if (flags.timeout !== undefined) words.push('--timeout', flags.timeout);
  if (flags.strict) words.push('--strict');
  return [...words, '--seed', seed].join(' ');
}
