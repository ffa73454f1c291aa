import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from '../suites/index.js';
import {
  AIRPLAY_CODE,
  InputError,
  type SetupCode,
  aint,
  airplayCode,
  memoiseArithmetic,
  memoising,
  parseSetupCode,
  readTrustAnchors,
  seededRandom,
} from './protocol/index.js';
import {
  codeForms,
  redactor,
  reportRedactor,
  whyUnreadable,
  writeEvidence,
  writeReplay,
} from './report/index.js';
import {
  type Case,
  type CheckResult,
  type Execution,
  type Level,
  type Part,
  type PartEnd,
  PartedRun,
  type Performer,
  type Replay,
  Run,
  type RunHead,
  type RunOptions,
  type RunReport,
  loadExpectations,
  partsOf,
  readReplay,
  quoted,
  select,
  shellWord,
  withRuns,
} from './runner/index.js';
import {
  type AccessoryState,
  type Address,
  type Bench,
  EMBEDDED_CODE,
  type Feature,
  isReceiver,
  Lifecycle,
  type Memory,
  addressKey,
  benchFor,
  openState,
  parseAddress,
} from './target/index.js';
import { threads } from './threads.js';
import { type Patience, type TraceEvent, Unreachable, defaultPatience } from './wire/index.js';
import { version } from './version.js';

/** What a run is about; the same for the command, for mocha and for programs. */
export interface ConformanceOptions {
  /** Setup code: `XXX-XX-XXX`, 8 digits or an `X-HM://` payload; PIN or password of an AirPlay receiver. */
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
  /** Folder of keys, ledger and lock, one set per accessory; `.hapspec` unless given. Not used for embedded targets. */
  readonly state?: string;
  /** Failed attempts the run may spend between resets; 30 unless given. */
  readonly attempts?: number;
  /** Allow checks that can lock the accessory; they need `reset` too. */
  readonly destructive?: boolean;
  /** Shell commands that start, factory-reset and power-cycle the accessory. */
  readonly launch?: string;
  readonly reset?: string;
  readonly restart?: string;
  /** Milliseconds an accessory that is being started may take until it answers, before first contact. */
  readonly wait?: number;
  /** File of known deviations. */
  readonly expectations?: string;
  /** Milliseconds between two connections. */
  readonly pace?: number;
  /** Start line of AirPlay requests; RTSP/1.0 unless given. */
  readonly startLine?: 'HTTP/1.1' | 'RTSP/1.0';
  /** What the accessory can do and does not announce. */
  readonly declares?: readonly Feature[];
  /** File of trust anchors for the certificate of an MFi accessory. */
  readonly mfiRoot?: string;
  /** Folder for the wire record of each check. */
  readonly evidence?: string;
  /** Runs of every property; as each says unless given. */
  readonly runs?: number;
  /** Milliseconds properties go on for, in rounds of their runs; they share it. */
  readonly time?: number;
  /** File of a counterexample: it alone is run. */
  readonly replay?: string;
  /** Threads a run against the embedded accessory is shared out to, at the most; 1 unless given. */
  readonly jobs?: number;
  /** Told what a replay does, line by line. */
  readonly say?: (line: string) => void;
  /** Told of violations that messages of the run show, as soon as one does. */
  readonly violated?: (result: CheckResult) => void;
  /** The command line for the report, without secrets. */
  readonly command?: string;
}

/** A run ready to start, and the redaction everything it says has to pass before anyone sees it. */
export interface Prepared {
  readonly run: Execution;
  /** The accessory, when the whole run is on one. */
  readonly bench?: Bench;
  /**
   * Takes the lock, launches the accessory, first contact.
   * @throws InputError when another run uses the accessory; HookFailed; Unreachable.
   */
  begin(): Promise<void>;
  /** Leaves the accessory as it was found and lets go of it. */
  end(): Promise<void>;
  /** The report without setup code and keys. */
  redacted<T extends RunReport | CheckResult>(report: T): T;
}

/** Where keys, ledgers and locks are kept unless told otherwise. */
export const DEFAULT_STATE = '.hapspec';

/** The state of an accessory, with the pairing of `hapspec pair` among the keys that may open it. */
export function withKept(state: AccessoryState, kept: AccessoryState | undefined): Memory {
  return {
    remember: (identity, how) => state.remember(identity, how),
    confirmed: (identity, accessory) => state.confirmed(identity, accessory),
    forget: (identity) => state.forget(identity),
    identities: () => [...state.identities(), ...(kept?.identities() ?? [])],
    get attempts() {
      return state.attempts;
    },
    spend: (count) => state.spend(count),
    wasReset: () => state.wasReset(),
  };
}

function patienceOf(timeout: number): Patience {
  const { silence, close } = defaultPatience;
  return { answer: timeout, silence: Math.min(silence, timeout), close: Math.min(close, timeout) };
}

function trustAnchors(path: string): ReturnType<typeof readTrustAnchors> {
  let content: Uint8Array;
  try {
    content = readFileSync(path);
  } catch (error) {
    throw new InputError(`--mfi-root: cannot read ${path}: ${whyUnreadable(error)}`, { cause: error });
  }
  return readTrustAnchors(content);
}

/** The suite with its properties run as often as the user wants. */
function propertiesAsAsked(
  cases: readonly Case[],
  address: Address,
  { runs, time }: ConformanceOptions,
): readonly Case[] {
  const embedded = address.kind === 'embedded';
  const asked = runs !== undefined || time !== undefined;
  if (!asked) return cases;
  const count = runs === undefined ? undefined : aint(runs, 'runs', 1, 1_000_000);
  return withRuns(cases, count, { asked, bounded: !embedded });
}

/** Reads a replay file. @throws InputError also for options that choose checks, and for a check that is no property. */
function replayOf(
  path: string,
  { only = [], skip = [], runs, time, seed, jobs }: ConformanceOptions,
): Replay {
  const other = { '--only': only.length > 0, '--skip': skip.length > 0 };
  const more = {
    '--runs': runs !== undefined,
    '--time': time !== undefined,
    '--seed': seed !== undefined,
    '--jobs': jobs !== undefined,
  };
  for (const [option, given] of Object.entries({ ...other, ...more }))
    if (given) throw new InputError(`--replay ${path}: the file says what is run: leave ${option} out`);
  let content: string;
  try {
    content = readFileSync(path, 'utf8');
  } catch (error) {
    throw new InputError(`--replay: cannot read ${path}: ${whyUnreadable(error)}`, { cause: error });
  }
  const replay = readReplay(content, path);
  const found = suite.find(({ id }) => id === replay.check);
  if (found?.kind !== 'check' || found.spec.property === undefined)
    throw new InputError(`--replay ${path}: ${replay.check} is no property of this suite`);
  return replay;
}

/** Pair Setup beyond M2 needs the code, and so does everything that starts paired. */
function needsCode(entry: Case): boolean {
  if (entry.requirement.needs.includes('setup-code')) return true;
  return entry.kind === 'check' && entry.spec.from === 'paired';
}

function codeOf(
  given: string | undefined,
  selected: readonly Case[],
  address: Address,
): SetupCode | undefined {
  const receiver = isReceiver(address);
  if (given !== undefined && given !== '') return receiver ? airplayCode(given) : parseSetupCode(given);
  if (receiver) return airplayCode(AIRPLAY_CODE);
  if (address.kind === 'embedded') return EMBEDDED_CODE;
  const needing = selected.filter(needsCode);
  if (needing.length === 0) return undefined;
  throw new InputError(
    `setup code: ${needing.length} of ${selected.length} selected checks need it (${needing[0]!.id}, …): give --code XXX-XX-XXX or set HAPSPEC_CODE, or narrow the selection with --only`,
  );
}

/** What is run, of what it needs, under which seed: the same for every part of a run. */
interface Wanted {
  readonly target: string;
  readonly options: ConformanceOptions;
  readonly address: Address;
  /** The suite with its properties as they are wanted. */
  readonly cases: readonly Case[];
  readonly selected: readonly Case[];
  readonly seed: string;
  readonly code: SetupCode | undefined;
  readonly replay: Replay | undefined;
}

/** Reads target and options. @throws InputError naming what is wrong with one of them. */
function wantedOf(target: string, options: ConformanceOptions): Wanted {
  const address = parseAddress(target);
  const { only = [], skip = [], levels = [] } = options;
  const replay = options.replay === undefined ? undefined : replayOf(options.replay, options);
  const cases = propertiesAsAsked(suite, address, options);
  const selected =
    replay === undefined
      ? select(cases, { only, skip, levels })
      : cases.filter((entry) => entry.id === replay.check);
  const given = replay === undefined ? options.seed : Number(replay.runSeed);
  const seed = String(aint(given ?? randomInt(1, 2 ** 32), 'seed', 0, Number.MAX_SAFE_INTEGER));
  return {
    target,
    options,
    address,
    cases,
    selected,
    seed,
    code: codeOf(options.code, selected, address),
    replay,
  };
}

/** The setup code as a shell has it, which says what to do where it does not. */
const CODE_IN_SHELL = '"${HAPSPEC_CODE:?first: export HAPSPEC_CODE=XXX-XX-XXX}"';

/** The options without which a check would be another one, or not run, as a shell takes them. */
function repeatOf({ options, address }: Wanted): readonly string[] {
  const words: string[] = [];
  if (options.code !== undefined && options.code !== '') words.push('--code', CODE_IN_SHELL);
  const values = {
    timeout: options.timeout,
    // Nothing is kept of an embedded accessory.
    state: address.kind === 'tcp' ? options.state : undefined,
    pace: options.pace,
    attempts: options.attempts,
    'start-line': options.startLine && (options.startLine === 'HTTP/1.1' ? 'http' : 'rtsp'),
    'mfi-root': options.mfiRoot,
    launch: options.launch,
    reset: options.reset,
    restart: options.restart,
  };
  for (const [option, value] of Object.entries(values))
    if (value !== undefined) words.push(`--${option}`, shellWord(String(value)));
  for (const feature of options.declares ?? []) words.push('--declares', feature);
  if (options.strict === true) words.push('--strict');
  if (options.destructive === true) words.push('--destructive');
  return words;
}

/** What a report says of the whole run. */
function headOf({ target, options, cases, seed }: Wanted): RunHead {
  return {
    target,
    seed,
    version,
    command: options.command ?? `hapspec run ${target} --seed ${seed}`,
    strict: options.strict ?? false,
    suite: cases,
    ...(options.expectations !== undefined && { expectations: loadExpectations(options.expectations) }),
  };
}

/** Texts that must not be in a report. */
function codesOf({ code, options }: Wanted): readonly string[] {
  return [
    // The default code of receivers is no secret, and its four digits stand in many a number.
    ...(code === undefined || code.dashed === AIRPLAY_CODE ? [] : codeForms(code.dashed)),
    ...(options.code === undefined ? [] : [options.code]),
  ];
}

/** A run on one accessory: the whole of it, or one part. */
interface One extends Prepared {
  readonly run: Run;
  readonly bench: Bench;
}

function prepareOne(
  wanted: Wanted,
  part: Pick<RunOptions, 'selected' | 'before' | 'stopped' | 'violated'>,
  share = 1,
): One {
  const { target, options, address, seed, code, replay } = wanted;
  const timeout = aint(options.timeout ?? defaultPatience.answer, 'timeout', 100, 600_000);
  const random = seededRandom(seed);
  const kept =
    address.kind === 'tcp'
      ? openState(options.state ?? DEFAULT_STATE, `${addressKey(address)} kept`)
      : undefined;
  const state =
    address.kind === 'tcp' ? openState(options.state ?? DEFAULT_STATE, addressKey(address)) : undefined;
  const wait = options.wait === undefined ? undefined : aint(options.wait, 'wait', 0, 24 * 3_600_000);
  const life = new Lifecycle({ ...options, ...(wait !== undefined && { wait }) }, target);
  const bench = benchFor(address, {
    code,
    random,
    patience: patienceOf(timeout),
    hooks: life.hooks,
    codeGiven: options.code !== undefined && options.code !== '',
    ...(options.declares && { declares: options.declares }),
    ...(options.mfiRoot !== undefined && { mfiRoots: trustAnchors(options.mfiRoot) }),
    ...(options.startLine && { startLine: options.startLine }),
    pace: aint(options.pace ?? 0, 'pace', 0, 60_000),
    ...(state && { memory: withKept(state, kept) }),
  });
  if (replay !== undefined && replay.profile !== bench.profile.name)
    throw new InputError(
      `--replay ${options.replay!}: it was found under the profile ${replay.profile}, and ${target} has ${bench.profile.name}`,
    );
  const redact = redactor(codesOf(wanted), bench.keys);
  const redacted = reportRedactor(redact);
  const { violated } = options;
  const run: Run = new Run({
    ...headOf(wanted),
    ...(violated && { violated: (result: CheckResult) => violated(redacted(run.excused(result))) }),
    ...part,
    repeat: repeatOf(wanted),
    random,
    bench,
    hunt: {
      strict: options.strict ?? false,
      ...(options.time !== undefined && { time: share * aint(options.time, 'time', 1, 7 * 24 * 3_600_000) }),
      ...(replay && { replay, again: `--replay ${quoted(options.replay!)}` }),
      ...(options.say && { say: options.say }),
      keep: (found) => {
        const folder = options.evidence ?? join(options.state ?? DEFAULT_STATE, 'replays');
        return `--replay ${quoted(writeReplay(folder, found, redact))}`;
      },
    },
    ...(options.attempts !== undefined && { attempts: aint(options.attempts, 'attempts', 0, 95) }),
    ...(options.destructive !== undefined && { destructive: options.destructive }),
    ...(kept && { kept: () => kept.identities().map(({ identity }) => identity) }),
    ...(options.evidence !== undefined && {
      evidence: (id: string, events: readonly TraceEvent[]) =>
        void writeEvidence(options.evidence!, { id, target, seed }, events, redact),
    }),
  });
  return {
    run,
    bench,
    begin: async () => {
      state?.lock();
      // Taking the lock also reads what "hapspec pair" has written since.
      kept?.lock();
      try {
        await life.start(bench, () => run.over);
        if (!run.over) await run.survey();
      } catch (error) {
        await life.stop();
        kept?.release();
        state?.release();
        throw error;
      }
    },
    end: async () => {
      try {
        await run.restore();
      } finally {
        await bench.options.announcements?.close();
        await life.stop();
        kept?.release();
        state?.release();
      }
    },
    redacted,
  };
}

function isProperty(entry: Case): boolean {
  return entry.kind === 'check' && entry.spec.property !== undefined;
}

/** One part of a run, ready to start. */
function preparePart(
  wanted: Wanted,
  { checks, before }: Part,
  more: Pick<RunOptions, 'stopped' | 'violated'> = {},
): One {
  const watches = wanted.selected.filter(({ kind }) => kind === 'watch');
  const all = wanted.selected.filter(isProperty).length;
  const own = checks.filter(isProperty).length;
  // The time for properties is shared by all of them.
  const share = all === 0 ? 1 : own / all;
  return prepareOne(wanted, { selected: [...checks, ...watches], before, ...more }, share);
}

/** Runs one part to its end: for this thread and for others. Everything it says is without secrets. */
async function performPart(
  wanted: Wanted,
  part: Part,
  hear: (result: CheckResult) => void,
  { started, stopped }: { started?: (run: Run) => void; stopped?: () => boolean } = {},
): Promise<PartEnd> {
  const one = preparePart(wanted, part, {
    ...(stopped && { stopped }),
    violated: (result) => hear(one.redacted(result)),
  });
  const { run, bench, begin, end, redacted } = one;
  started?.(run);
  // The plain flow, with the same draws, begins and ends every part.
  memoiseArithmetic(true);
  try {
    await begin();
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
    run.unreachable(error.message);
  }
  try {
    for (const planned of run.plan) {
      if (planned.entry.kind === 'watch') continue;
      await run.runEntry(planned);
      if (planned.reported) hear(redacted(run.resultOf(planned.entry)));
    }
  } finally {
    await end();
  }
  const watches = run.plan.filter(({ entry, reported }) => entry.kind === 'watch' && reported);
  for (const planned of watches) await run.runEntry(planned);
  await bench.closeLinks();
  return {
    facts: run.facts,
    watches: watches.map(({ entry }) => redacted(run.resultOf(entry))),
    extra: run.extra.map(redacted),
  };
}

/** Fewer checks than these are run sooner than another thread is started for them. */
const CHECKS_A_LANE = 40;

/**
 * A run against the embedded accessory in parts, each with an accessory of its own: the results are the same whether
 * they run one after the other or side by side.
 */
function prepareParts(wanted: Wanted, parts: readonly Part[]): Prepared {
  const { options, selected } = wanted;
  const lanes = Math.min(options.jobs ?? 1, parts.length, Math.ceil(selected.length / CHECKS_A_LANE));
  const plans = parts.map((part) => {
    const { run } = preparePart(wanted, part);
    return { entries: run.plan, estimate: run.estimate };
  });
  const memoised = memoising();
  let running: Run | undefined;
  const here: Performer = {
    lanes: 1,
    perform: (index, hear) => performPart(wanted, parts[index]!, hear, { started: (run) => (running = run) }),
    interrupt: () => running?.interrupt(),
    async end() {
      if (!memoised) memoiseArithmetic(false);
    },
  };
  // A function cannot be told to another thread, and only replays say anything.
  const plain = { ...options, say: undefined, violated: undefined, seed: Number(wanted.seed) };
  const performer = lanes < 2 ? here : threads(lanes, { target: wanted.target, options: plain });
  const run = new PartedRun(headOf(wanted), parts, plans, performer, options.violated);
  return {
    run,
    // Whether anybody answers at all, before the first check.
    begin: async () => {
      const first = prepareOne(wanted, { selected: [] });
      await first.begin();
      await first.end();
    },
    end: () => run.end(),
    redacted: reportRedactor(redactor(codesOf(wanted))),
  };
}

/** The parts of a run that a thread performs: the same as those of the thread that asks for them. */
export function partsFor(
  target: string,
  options: ConformanceOptions,
  stopped: () => boolean,
): (index: number, hear: (result: CheckResult) => void) => Promise<PartEnd> {
  const wanted = wantedOf(target, options);
  const parts = partsOf(wanted.selected);
  return (index, hear) => performPart(wanted, parts[index]!, hear, { stopped });
}

/**
 * Plans a run against a target: `HOST:PORT`, `[IPv6]:PORT`, `hap://HOST:PORT`, `airplay://HOST:PORT`, or `embedded[:FAULT]`.
 * @throws InputError naming what is wrong with the target or an option.
 */
export function prepareRun(target: string, options: ConformanceOptions = {}): Prepared {
  const wanted = wantedOf(target, options);
  const { address, selected, replay } = wanted;
  aint(options.jobs ?? 1, 'jobs', 1, 1024);
  if (address.kind === 'embedded' && replay === undefined) {
    const parts = partsOf(selected);
    if (parts.length > 1) return prepareParts(wanted, parts);
  } else if (options.jobs !== undefined)
    throw new InputError(
      'jobs: an accessory is asked one thing at a time: leave --jobs out, or run against the embedded accessory',
    );
  return prepareOne(wanted, { selected });
}

/**
 * Runs the suite against a target and returns the report: what `hapspec run` does, for programs.
 * @throws InputError for a wrong target or option; Unreachable when nothing answers.
 */
export async function conformance(target: string, options: ConformanceOptions = {}): Promise<RunReport> {
  const { run, begin, end, redacted } = prepareRun(target, options);
  await begin();
  try {
    for (const entry of run.plan) await run.runEntry(entry);
  } finally {
    await end();
  }
  return redacted(run.report());
}
