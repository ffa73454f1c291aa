import { appendFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { suite } from '../../suites/index.js';
import { faults } from '../accessory/index.js';
import { prepareRun } from '../conformance.js';
import { type Bench, type Declarable, HookFailed, declarable, parseAddress } from '../device/index.js';
import { diagnosed } from '../diagnosed.js';
import type { Prepared } from '../prepared.js';
import { InputError } from '../protocol/index.js';
import {
  annotations,
  beginCapture,
  consoleReporter,
  endCapture,
  json,
  junit,
  makeFolder,
  oneLine,
  summaryMarkdown,
  whyUnreadable,
  writeAtomically,
} from '../report/index.js';
import {
  type Duration,
  type Estimate,
  type Execution,
  type Level,
  QUICK,
  type RunObserver,
  type RunReport,
  durationsOf,
  executeUnderMocha,
  withoutProxies,
  writeExpectations,
} from '../runner/index.js';
import { version } from '../version.js';
import { type Clock, Unreachable, defaultPatience, realClock } from '../wire/index.js';
import { resolveTarget } from './discover.js';
import { guard } from './guard.js';
import { pageMaker, sarifText, warnWithoutAnchor } from './reports.js';

/** Options of `hapspec run` as the command line gives them. */
export interface RunFlags {
  readonly code?: string;
  readonly codeCommand?: string;
  readonly junit?: string;
  readonly json?: string;
  readonly html?: string;
  readonly summary?: string;
  readonly sarif?: string;
  readonly only?: readonly string[];
  readonly skip?: readonly string[];
  readonly level?: readonly string[];
  readonly timeout?: string | number;
  readonly seed?: string | number;
  readonly strict?: boolean;
  readonly verbose?: boolean;
  readonly state?: string;
  readonly launch?: string;
  readonly reset?: string;
  readonly restart?: string;
  readonly attempts?: string | number;
  readonly pace?: string | number;
  readonly expectations?: string;
  readonly writeExpectations?: boolean;
  readonly destructive?: boolean;
  readonly dryRun?: boolean;
  readonly watch?: boolean;
  readonly watchPath?: readonly string[];
  readonly evidence?: string;
  readonly evidenceKeys?: boolean;
  readonly pcapng?: string;
  readonly startLine?: string;
  readonly declares?: readonly string[];
  readonly mfiRoot?: string;
  readonly cloneOf?: string;
  readonly old?: string;
  readonly runs?: string | number;
  readonly time?: string | number;
  readonly replay?: string;
  readonly jobs?: string | number;
  readonly shard?: string;
  readonly wait?: string | number;
  readonly idle?: string | number;
  /** The file these are from, beside the command line. */
  readonly config?: string;
}

/** At the most (real milliseconds) for leaving the accessory as it was found. */
const CLEANING_UP = 300_000;
/** Reports are written this often while a run goes on (real milliseconds), so that a kill loses a second at the most. */
const REPORT_INTERVAL = 750;

export function number(text: string | number | undefined, option: string): number | undefined {
  if (text === undefined || typeof text === 'number') return text;
  if (!/^\d{1,15}$/.test(text)) throw new InputError(`${option}: expected a whole number, got "${text}"`);
  return Number(text);
}

const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;

const DURATION = /^(\d{1,9})(ms|s|m|h)$/;

/** Milliseconds of `90s`, `10m`, `2h`. */
function duration(words: string | number | undefined, option: string): number | undefined {
  if (words === undefined) return undefined;
  const parts = DURATION.exec(String(words));
  if (parts === null)
    throw new InputError(`${option}: expected a duration such as 90s, 10m or 2h, got "${words}"`);
  return Number(parts[1]) * units[parts[2] as keyof typeof units];
}

/** Milliseconds as a plain number, or as a duration with its unit. */
export function milliseconds(words: string | number | undefined, option: string): number | undefined {
  if (words === undefined || typeof words === 'number' || /^\d{1,15}$/.test(words))
    return number(words, option);
  const parts = DURATION.exec(words);
  if (parts === null)
    throw new InputError(`${option}: expected milliseconds, or a duration such as 5s, got "${words}"`);
  return Number(parts[1]) * units[parts[2] as keyof typeof units];
}

function levelsOf(words: readonly string[]): Level[] {
  return words.map((word) => {
    const level = word.toUpperCase();
    if (level === 'MUST' || level === 'SHOULD' || level === 'VARIES') return level;
    throw new InputError(`--level: expected must, should or varies, got "${word}"`);
  });
}

function startLineOf(word: string | undefined): 'HTTP/1.1' | 'RTSP/1.0' | undefined {
  if (word === undefined) return undefined;
  if (word === 'http') return 'HTTP/1.1';
  if (word === 'rtsp') return 'RTSP/1.0';
  throw new InputError(`--start-line: expected rtsp or http, got "${word}"`);
}

function declaredIn(words: readonly string[]): Declarable[] {
  return words.map((word) => {
    const known = declarable.find((one) => one === word);
    if (known === undefined)
      throw new InputError(`--declares: expected transient, mfi or router, got "${word}"`);
    return known;
  });
}

/** Says every ten seconds how far a check has come that takes minutes, and what is left of it. */
function progressLine(): NonNullable<Bench['onProgress']> {
  let [start, last] = [0, 0];
  return (done, most, what) => {
    const now = Date.now();
    if (done <= 1) start = last = now;
    if (now - last < 10_000) return;
    last = now;
    const minutes = (((now - start) / done) * (most - done)) / 60_000;
    console.error(
      `  ... ${done} of at most ${most} ${what}, ${minutes.toFixed(1)} minutes left at this pace`,
    );
  };
}

/** Runs the suite and returns the exit code. @throws InputError for the user's mistakes (exit 2). */
export async function runCommand(wanted: string, flags: RunFlags): Promise<number> {
  withoutProxies();
  const code = flags.code ?? (flags.codeCommand === undefined ? process.env['HAPSPEC_CODE'] : undefined);
  const timeout = milliseconds(flags.timeout, '--timeout');
  const seed = number(flags.seed, '--seed');
  const attempts = number(flags.attempts, '--attempts');
  const pace = milliseconds(flags.pace, '--pace');
  const runs = number(flags.runs, '--runs');
  const jobs = number(flags.jobs, '--jobs');
  const time = duration(flags.time, '--time');
  const wait = duration(flags.wait, '--wait');
  const idle = duration(flags.idle, '--idle');
  if (flags.writeExpectations && flags.expectations === undefined)
    throw new InputError('--write-expectations: say where: --expectations FILE');
  // A file that is to be written from this run may not be there yet, or not be complete.
  const expectations = flags.writeExpectations ? undefined : flags.expectations;
  const state = flags.state ?? process.env['HAPSPEC_STATE'];
  if (flags.destructive && flags.reset === undefined && !wanted.startsWith('embedded'))
    throw new InputError('--destructive: these checks lock the accessory, so they need --reset CMD too');
  const startLine = startLineOf(flags.startLine);
  const target = await resolveTarget(wanted);
  const colours = process.stdout.isTTY === true && process.env['NO_COLOR'] === undefined;
  const screen = consoleReporter({
    stream: process.stdout,
    colours,
    verbose: flags.verbose ?? false,
  });
  const prepared = prepareRun(target, {
    ...(code !== undefined && { code }),
    ...(flags.codeCommand !== undefined && { codeCommand: flags.codeCommand }),
    prompt: process.stdin.isTTY === true && process.stderr.isTTY === true && !flags.dryRun,
    ...(startLine !== undefined && { startLine }),
    declares: declaredIn(flags.declares ?? []),
    ...(flags.mfiRoot !== undefined && { mfiRoot: flags.mfiRoot }),
    ...(flags.cloneOf !== undefined && { cloneOf: flags.cloneOf }),
    ...(flags.old !== undefined && { old: flags.old }),
    ...(timeout !== undefined && { timeout }),
    ...(seed !== undefined && { seed }),
    ...(attempts !== undefined && { attempts }),
    ...(state !== undefined && { state }),
    ...(pace !== undefined && { pace }),
    ...(idle !== undefined && { idle }),
    ...(expectations !== undefined && { expectations }),
    ...(flags.launch !== undefined && { launch: flags.launch }),
    ...(flags.reset !== undefined && { reset: flags.reset }),
    ...(flags.restart !== undefined && { restart: flags.restart }),
    ...(flags.destructive !== undefined && { destructive: flags.destructive }),
    ...(flags.evidence !== undefined && { evidence: flags.evidence }),
    ...(flags.evidenceKeys !== undefined && { evidenceKeys: flags.evidenceKeys }),
    ...(flags.pcapng !== undefined && { pcapng: flags.pcapng }),
    ...(flags.shard !== undefined && { shard: flags.shard }),
    ...(runs !== undefined && { runs }),
    ...jobsOf(jobs, target, flags),
    ...(time !== undefined && { time }),
    ...(wait !== undefined && { wait }),
    ...(flags.replay !== undefined && { replay: flags.replay, say: (line) => console.log(line) }),
    ...(flags.only !== undefined && { only: flags.only }),
    ...(flags.skip !== undefined && { skip: flags.skip }),
    levels: levelsOf(flags.level ?? []),
    strict: flags.strict ?? false,
    violated: (result) => screen.violated?.(result),
    command: commandLine(target, flags),
  });
  const { run, bench, redacted } = prepared;
  if (bench !== undefined) bench.onProgress = progressLine();
  if (flags.dryRun) {
    console.log(planText(run));
    return 0;
  }
  const reports = reportWriter(flags, prepared, flags.html === undefined ? undefined : await pageMaker());
  const withKeys =
    flags.evidenceKeys === true ? [flags.evidence, flags.pcapng].filter((path) => path !== undefined) : [];
  if (flags.evidenceKeys === true) {
    if (withKeys.length === 0)
      throw new InputError(
        '--evidence-keys: there is nothing to write keys to: give --evidence DIR or --pcapng FILE too',
      );
    console.error(
      `hapspec: ${withKeys.join(' and ')} will hold the session keys of this run: whoever has them can read and forge these sessions. Do not publish them.`,
    );
  }
  // Before the first contact: a path that cannot be written must not cost the accessory a run.
  if (flags.evidence !== undefined) makeFolder(flags.evidence);
  if (flags.pcapng !== undefined) beginCapture(flags.pcapng, `hapspec ${version}`);
  reports.write(run.report());
  const planned = run.plan.filter(({ reported }) => reported).length;
  const virtual = parseAddress(target).kind === 'embedded';
  const durations = (): ReadonlyMap<string, Duration> => durationsOf(run.plan, { virtual });
  if (flags.sarif !== undefined) warnWithoutAnchor(flags.sarif, flags);
  screen.started?.(planned, { target, seed: run.seed, tool: { name: 'hapspec', version }, durations });
  const observer: RunObserver = {
    checking: (check, index) => screen.checking?.(check, index),
    checked: (result, soFar) => screen.checked?.(redacted(result), soFar),
  };
  const finish = (report: RunReport): number => {
    const explained = diagnosed(report, suite, faults);
    reports.end(explained);
    if (flags.pcapng !== undefined)
      endCapture(flags.pcapng, `hapspec ${version}`, [
        'state-found',
        'silence-begun',
        ...run.plan.map(({ entry }) => entry.id),
        'state-left',
      ]);
    screen.ended?.(redacted(explained));
    tellGitHub(redacted(explained));
    return report.exit.code;
  };

  reports.begin();
  const guarded = guard(run, () => reports.end(run.report()));
  try {
    await prepared.begin();
  } catch (error) {
    guarded.release();
    if (!(error instanceof Unreachable || error instanceof HookFailed)) {
      if (flags.pcapng !== undefined) endCapture(flags.pcapng, `hapspec ${version}`, []);
      throw error;
    }
    const meaning =
      error instanceof HookFailed ? error.message : `nothing answered at ${target}: ${error.message}`;
    console.error(`hapspec: ${meaning}`);
    run.unreachable(error.message);
    return finish(run.report({ code: 3, meaning }));
  }
  // Which of the two the phones of the house talk to is chance: nothing that is announced is judged, and it is said why.
  const conflict = bench?.learned.conflict;
  if (conflict !== undefined) console.error(`hapspec: ${oneLine(conflict, 300)}`);
  await Promise.race([executeUnderMocha(run, [observer]), guarded.failed]);
  // A harness that has failed may hang; the accessory is still owed an attempt to leave it as it was found. Otherwise what
  // is done to it is bounded by itself, and takes its time where keys are doubtful.
  const patience = 3 * (timeout ?? defaultPatience.answer);
  await within(
    prepared.end(),
    bench?.clock ?? realClock,
    guarded.error === undefined ? Math.max(patience, CLEANING_UP) : patience,
  );
  guarded.release();
  if (guarded.error !== undefined) console.error(`hapspec: the harness failed: ${guarded.error}`);
  if (flags.writeExpectations) {
    writeExpectations(flags.expectations!, redacted({ ...run.report(), results: run.seen }).results, suite);
    console.log(`known deviations written to ${flags.expectations}: give each its reason`);
  }
  return finish(run.report());
}

/** Waits for work, `milliseconds` at most; the timer does not outlive it, or it would keep the process alive. */
async function within(work: Promise<void>, clock: Clock, milliseconds: number): Promise<void> {
  let cancel: () => void = () => undefined;
  const late = new Promise<void>((resolve) => (cancel = clock.at(clock.now() + milliseconds, resolve)));
  await Promise.race([work, late]);
  cancel();
}

/** The plan in order with what each check costs, what is left out, and the price. */
function planText(run: Execution): string {
  const lines: string[] = [];
  for (const { entry, reported, leftOut } of run.plan) {
    if (leftOut !== undefined || entry.kind === 'watch') continue;
    const { from, costs = {} } = entry.spec;
    const price = Object.entries(costs).map(([name, count]) => `${count} ${name}`);
    lines.push(
      `${entry.id.padEnd(44)} ${from.padEnd(9)} ${price.join(', ')}${reported ? '' : '  (for the watches)'}`,
    );
  }
  const watches = run.plan.filter(({ entry }) => entry.kind === 'watch').map(({ entry }) => entry.id);
  if (watches.length > 0) lines.push('', `watching: ${watches.join(', ')}`);
  const out = run.plan.filter(({ leftOut }) => leftOut !== undefined);
  if (out.length > 0)
    lines.push(
      '',
      'left out:',
      ...out.map(({ entry, leftOut }) => `  ${entry.id}: ${leftOut!.reason}: ${leftOut!.message}`),
    );
  lines.push('', `price: ${priceText(run.estimate)}, on an accessory that conforms`);
  const more = run.quickPlan.entries.filter(
    ({ leftOut }, i) => leftOut === undefined && run.plan[i]!.leftOut !== undefined,
  );
  if (more.length > 0)
    lines.push(
      `of one that needs no more than ${QUICK} ms for M2 and for M4 ${more.length} checks more are asked: ${priceText(run.quickPlan.estimate)}`,
    );
  return lines.join('\n');
}

function priceText({ m2, m4, m6, verifies, attempts, seconds }: Estimate): string {
  const waiting = seconds > 0 ? `, ${seconds} s of waiting` : '';
  return `${m2} M2, ${m4} M4, ${m6} M6, ${verifies} verifies, ${attempts} failed attempts${waiting}`;
}

/** Threads for a run against the embedded accessory, all cores unless the user says how many. */
function jobsOf(jobs: number | undefined, target: string, { replay }: RunFlags): { jobs?: number } {
  if (jobs !== undefined) return { jobs };
  const shared = parseAddress(target).kind === 'embedded' && replay === undefined;
  return shared ? { jobs: availableParallelism() } : {};
}

interface ReportWriter {
  /** Writes the reports asked for. @throws InputError when one cannot be written */
  write(report: RunReport): void;
  /** Keeps them current from now on, whatever a check takes. */
  begin(): void;
  /** Writes them for the last time, so that they are there after a power cut too. */
  end(report: RunReport): void;
}

/** @param page - makes a page of a report, where one was asked for */
function reportWriter(
  flags: RunFlags,
  { run, redacted }: Prepared,
  page: ((report: RunReport) => string) | undefined,
): ReportWriter {
  const { junit: junitFile, json: jsonFile, html: htmlFile, summary: summaryFile, sarif: sarifFile } = flags;
  let timer: NodeJS.Timeout | undefined;
  const write = (report: RunReport, durable = false): void => {
    if (junitFile === undefined && jsonFile === undefined) return;
    const clean = redacted(report);
    if (junitFile !== undefined) writeAtomically(junitFile, junit(clean), durable);
    if (jsonFile !== undefined) writeAtomically(jsonFile, json(clean), durable);
  };
  /** Those that are for people, and take their time: not kept current. */
  const writePages = (report: RunReport): void => {
    if (htmlFile !== undefined && page !== undefined) writeAtomically(htmlFile, page(redacted(report)));
    if (summaryFile !== undefined) writeAtomically(summaryFile, summaryMarkdown(redacted(report)));
    if (sarifFile !== undefined) writeAtomically(sarifFile, sarifText(redacted(report), flags));
  };
  return {
    write(report) {
      write(report);
      writePages(report);
    },
    begin() {
      timer = setInterval(() => write(run.report()), REPORT_INTERVAL);
      timer.unref();
    },
    end(report) {
      clearInterval(timer);
      write(report, true);
      writePages(report);
    },
  };
}

/** On a GitHub runner: findings on the page of the job, and the summary under it. */
function tellGitHub(report: RunReport): void {
  if (process.env['GITHUB_ACTIONS'] !== 'true') return;
  for (const line of annotations(report)) console.log(line);
  const path = process.env['GITHUB_STEP_SUMMARY'];
  if (path === undefined || path === '') return;
  try {
    appendFileSync(path, summaryMarkdown(report));
  } catch (error) {
    console.error(`hapspec: the summary of the step could not be written: ${whyUnreadable(error)}`);
  }
}

/** The command that was run, without its secrets. */
function commandLine(target: string, flags: RunFlags): string {
  const words = ['hapspec', 'run', target];
  if (flags.code !== undefined) words.push('--code', '"$HAPSPEC_CODE"');
  for (const pattern of flags.only ?? []) words.push('--only', `'${pattern}'`);
  for (const pattern of flags.skip ?? []) words.push('--skip', `'${pattern}'`);
  for (const level of flags.level ?? []) words.push('--level', level);
  if (flags.timeout !== undefined) words.push('--timeout', String(flags.timeout));
  if (flags.startLine !== undefined) words.push('--start-line', flags.startLine);
  for (const feature of flags.declares ?? []) words.push('--declares', feature);
  if (flags.mfiRoot !== undefined) words.push('--mfi-root', `'${flags.mfiRoot}'`);
  if (flags.cloneOf !== undefined) words.push('--clone-of', `'${flags.cloneOf}'`);
  if (flags.old !== undefined) words.push('--old', flags.old);
  if (flags.strict) words.push('--strict');
  if (flags.attempts !== undefined) words.push('--attempts', String(flags.attempts));
  if (flags.codeCommand !== undefined) words.push('--code-command', `'${flags.codeCommand}'`);
  for (const hook of ['launch', 'reset', 'restart'] as const)
    if (flags[hook] !== undefined) words.push(`--${hook}`, `'${flags[hook]}'`);
  if (flags.destructive) words.push('--destructive');
  if (flags.runs !== undefined) words.push('--runs', String(flags.runs));
  if (flags.shard !== undefined) words.push('--shard', flags.shard);
  if (flags.jobs !== undefined) words.push('--jobs', String(flags.jobs));
  if (flags.time !== undefined) words.push('--time', String(flags.time));
  if (flags.idle !== undefined) words.push('--idle', String(flags.idle));
  if (flags.wait !== undefined) words.push('--wait', String(flags.wait));
  if (flags.replay !== undefined) words.push('--replay', `'${flags.replay}'`);
  if (flags.seed !== undefined) words.push('--seed', String(flags.seed));
  return words.join(' ');
}
