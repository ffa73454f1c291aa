import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { suite } from '../suites/index.js';
import { type Snapshot, readSnapshot } from './clone/index.js';
import {
  type Address,
  type CodeSource,
  type Declarable,
  codeByCommand,
  codeByPrompt,
  codeOfEmbedded,
  isReceiver,
  parseAddress,
} from './device/index.js';
import {
  AIRPLAY_CODE,
  InputError,
  type SetupCode,
  aint,
  airplayCode,
  parseSetupCode,
} from './protocol/index.js';
import { codeForms, whyUnreadable } from './report/index.js';
import {
  type Case,
  type CheckResult,
  type Level,
  type Replay,
  type RunHead,
  type Shard,
  isAboutClones,
  loadExpectations,
  parseShard,
  readReplay,
  runsOf,
  select,
  shardOf,
  shellWord,
  withRuns,
} from './runner/index.js';
import { version } from './version.js';

/** Every check and watch, whatever a run wants of them. */
export const wholeSuite: readonly Case[] = suite;

/** What a run is about; the same for the command, for mocha and for programs. */
export interface ConformanceOptions {
  /** Setup code: `XXX-XX-XXX`, 8 digits or an `X-HM://` payload; PIN or password of an AirPlay receiver. */
  readonly code?: string;
  /** Shell command that writes the setup code to stdout, run behind each M2 that needs it: for displays. */
  readonly codeCommand?: string;
  /** Somebody looks for what is wrong: a refused right code may cost four failed attempts more, and not two. */
  readonly searching?: boolean;
  /** Ask on the terminal for a code that is not given. */
  readonly prompt?: boolean;
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
  /** Milliseconds connections beside the run are silent at the least, 1 s to 24 h; as long as the run takes when left out. */
  readonly idle?: number;
  /** File of known deviations. */
  readonly expectations?: string;
  /** Milliseconds between two connections. */
  readonly pace?: number;
  /** Start line of AirPlay requests; RTSP/1.0 unless given. */
  readonly startLine?: 'HTTP/1.1' | 'RTSP/1.0';
  /** What the accessory can do and does not announce. */
  readonly declares?: readonly Declarable[];
  /** File of trust anchors for the certificate of an MFi accessory. */
  readonly mfiRoot?: string;
  /** Folder for the wire record of each check. */
  readonly evidence?: string;
  /** Session keys stand in the wire record and in the packets. */
  readonly evidenceKeys?: boolean;
  /** File for the packets of the run; `beginCapture` has made room beside it. */
  readonly pcapng?: string;
  /** `I/N`: the I-th of N runs that share the selection. */
  readonly shard?: string;
  /** Runs of every property; as each says unless given. */
  readonly runs?: number;
  /** Milliseconds properties go on for, in rounds of their runs; they share it. */
  readonly time?: number;
  /** File of a counterexample: it alone is run. */
  readonly replay?: string;
  /** Snapshot of the device the accessory is a clone of: the chapter of clones alone is asked. */
  readonly cloneOf?: string;
  /** HOST:PORT of that device, where it is up beside its clone. */
  readonly old?: string;
  /** Threads a run against the embedded accessory is shared out to, at the most; 1 unless given. */
  readonly jobs?: number;
  /** Told what a replay does, line by line. */
  readonly say?: (line: string) => void;
  /** Told of violations that messages of the run show, as soon as one does. */
  readonly violated?: (result: CheckResult) => void;
  /** The command line for the report, without secrets. */
  readonly command?: string;
}

/** What is run, of what it needs, under which seed: the same for every part of a run. */
export interface Wanted {
  readonly target: string;
  readonly options: ConformanceOptions;
  readonly address: Address;
  /** The suite with its properties as they are wanted. */
  readonly cases: readonly Case[];
  readonly selected: readonly Case[];
  readonly seed: string;
  readonly code: SetupCode | undefined;
  /** Where the code comes from when M2 has come, where it is not known before. */
  readonly codeSource: CodeSource | undefined;
  readonly replay: Replay | undefined;
  /** What the accessory is a clone of, and where that is. */
  readonly clone: { readonly device: Snapshot; readonly old: Address | undefined } | undefined;
}

/** Reads target and options. @throws InputError naming what is wrong with one of them. */
export function wantedOf(target: string, options: ConformanceOptions): Wanted {
  const address = parseAddress(target);
  const { only = [], skip = [], levels = [] } = options;
  const replay = options.replay === undefined ? undefined : replayOf(options.replay, options);
  const clone = cloneOf(address, options);
  // Anything else would begin with a factory reset, or could do nothing with an accessory that is paired.
  const whole = clone === undefined ? suite : suite.filter(isAboutClones);
  const shard = options.shard === undefined ? undefined : parseShard(options.shard);
  const cases = propertiesAsAsked(whole, address, options, shard);
  const chosen =
    replay === undefined
      ? select(cases, { only, skip, levels })
      : cases.filter((entry) => entry.id === replay.check);
  const selected = shard === undefined ? chosen : shardOf(chosen, shard);
  const given = replay === undefined ? options.seed : Number(replay.runSeed);
  const seed = String(aint(given ?? randomInt(1, 2 ** 32), 'seed', 0, Number.MAX_SAFE_INTEGER));
  return {
    target,
    options,
    address,
    cases,
    selected,
    seed,
    code: codeOf(options, selected, address),
    codeSource: codeSourceOf(options, target, address, selected.some(needsCode)),
    replay,
    clone,
  };
}

/** @throws InputError for a snapshot that cannot be used, and for options that mean nothing beside one */
function cloneOf(address: Address, { cloneOf: path, old, replay }: ConformanceOptions): Wanted['clone'] {
  if (path === undefined) {
    if (old !== undefined) throw new InputError('--old: it is the device of --clone-of: give that too');
    return undefined;
  }
  if (replay !== undefined)
    throw new InputError('--clone-of: a replay is of no clone: leave one of them out');
  const device = readSnapshot(path);
  if (old === undefined) return { device, old };
  if (address.kind === 'embedded')
    throw new InputError('--old: an embedded clone has its old device beside it: leave --old out');
  const where = parseAddress(old);
  if (where.kind !== 'tcp') throw new InputError(`--old ${old}: expected HOST:PORT`);
  return { device, old: where };
}

/**
 * The suite with its properties run as often as the user wants. Of a run that is shared out each part takes its share of
 * the runs; where it goes on for a time, all of them do.
 */
function propertiesAsAsked(
  cases: readonly Case[],
  address: Address,
  { runs, time }: ConformanceOptions,
  shard: Shard | undefined,
): readonly Case[] {
  const embedded = address.kind === 'embedded';
  const asked = runs !== undefined || time !== undefined;
  if (!asked) return cases;
  const all = runs === undefined ? undefined : aint(runs, 'runs', 1, 1_000_000);
  if (shard === undefined || shard.count === 1) return withRuns(cases, all, { asked, bounded: !embedded });
  const part = `${shard.index}/${shard.count}`;
  const divided = all !== undefined && time === undefined;
  if (divided && all < shard.count)
    throw new InputError(
      `--shard ${part}: ${all} runs cannot be shared out to ${shard.count}: give --runs ${shard.count} or more`,
    );
  const own = divided ? runsOf(all, shard) : all;
  return withRuns(cases, own, { asked, bounded: !embedded, part });
}

/** Reads a replay file. @throws InputError also for options that choose checks, and for a check that is no property. */
function replayOf(
  path: string,
  { only = [], skip = [], runs, time, seed, jobs, shard }: ConformanceOptions,
): Replay {
  const other = { '--only': only.length > 0, '--skip': skip.length > 0, '--shard': shard !== undefined };
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

/**
 * Where the code comes from that is not given: a command, or the user at the terminal; neither where nothing selected
 * needs it.
 * @throws InputError for a command that is empty, or beside a code that is given
 */
export function codeSourceOf(
  { code = '', codeCommand, prompt = false }: Pick<ConformanceOptions, 'code' | 'codeCommand' | 'prompt'>,
  target: string,
  address: Address,
  needed = true,
): CodeSource | undefined {
  const receiver = isReceiver(address);
  const parse = receiver ? airplayCode : parseSetupCode;
  if (codeCommand === undefined)
    return needed && prompt && code === '' && address.kind === 'tcp' && !receiver
      ? codeByPrompt(parse)
      : undefined;
  if (codeCommand.trim() === '')
    throw new InputError(
      '--code-command: expected a shell command that writes the setup code, got an empty text',
    );
  if (code !== '')
    throw new InputError(
      '--code and --code-command: the code is known or has to be read: leave one of them out',
    );
  if (address.kind === 'embedded')
    throw new InputError(
      '--code-command: an embedded accessory shows no code: give --code, or leave both out',
    );
  return needed ? codeByCommand(codeCommand, target, parse) : undefined;
}

function codeOf(
  { code: given, codeCommand, prompt }: ConformanceOptions,
  selected: readonly Case[],
  address: Address,
): SetupCode | undefined {
  const receiver = isReceiver(address);
  if (codeCommand !== undefined) return undefined;
  if (given !== undefined && given !== '') return receiver ? airplayCode(given) : parseSetupCode(given);
  if (receiver) return airplayCode(AIRPLAY_CODE);
  if (address.kind === 'embedded') return codeOfEmbedded(address.fault);
  const needing = selected.filter(needsCode);
  if (needing.length === 0 || prompt === true) return undefined;
  throw new InputError(
    `setup code: ${needing.length} of ${selected.length} selected checks need it (${needing[0]!.id}, …): give --code XXX-XX-XXX or set HAPSPEC_CODE, give --code-command CMD for one on a display, or narrow the selection with --only`,
  );
}

/** The setup code as a shell has it, which says what to do where it does not. */
const CODE_IN_SHELL = '"${HAPSPEC_CODE:?first: export HAPSPEC_CODE=XXX-XX-XXX}"';

/** The options without which a check would be another one, or not run, as a shell takes them. */
export function repeatOf({ options, address }: Wanted): readonly string[] {
  const words: string[] = [];
  if (options.code !== undefined && options.code !== '') words.push('--code', CODE_IN_SHELL);
  const values = {
    timeout: options.timeout,
    // Nothing is kept of an embedded accessory.
    state: address.kind === 'tcp' ? options.state : undefined,
    pace: options.pace,
    idle: options.idle && `${options.idle / 1000}s`,
    attempts: options.attempts,
    'start-line': options.startLine && (options.startLine === 'HTTP/1.1' ? 'http' : 'rtsp'),
    'mfi-root': options.mfiRoot,
    launch: options.launch,
    reset: options.reset,
    restart: options.restart,
    'code-command': options.codeCommand,
    'clone-of': options.cloneOf,
    old: options.old,
  };
  for (const [option, value] of Object.entries(values))
    if (value !== undefined) words.push(`--${option}`, shellWord(String(value)));
  for (const feature of options.declares ?? []) words.push('--declares', feature);
  if (options.strict === true) words.push('--strict');
  if (options.destructive === true) words.push('--destructive');
  return words;
}

/** What a report says of the whole run. */
export function headOf({ target, options, cases, seed }: Wanted): RunHead {
  return {
    target,
    seed,
    version,
    command: options.command ?? `hapspec run ${target} --seed ${seed}`,
    strict: options.strict ?? false,
    ...(options.shard !== undefined && { shard: options.shard }),
    suite: cases,
    ...(options.expectations !== undefined && { expectations: loadExpectations(options.expectations) }),
  };
}

/** Texts that must not be in a report. */
export function codesOf({ code, options }: Wanted): readonly string[] {
  return [
    // The default code of receivers is no secret, and its four digits stand in many a number.
    ...(code === undefined || code.dashed === AIRPLAY_CODE ? [] : codeForms(code.dashed)),
    ...(options.code === undefined ? [] : [options.code]),
  ];
}
