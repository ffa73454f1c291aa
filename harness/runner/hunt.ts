import { InputError } from '../protocol/index.js';
import type { TraceEvent } from '../wire/index.js';

/** Version of a replay file. */
export const REPLAY_VERSION = 1;

/** What was sent on one connection up to an answer, and the answer, as they went over the wire. */
export interface ReplayExchange {
  readonly connection: number;
  /** Hex; empty when the accessory spoke first. */
  readonly request: string;
  /** Hex; empty when nothing came back. */
  readonly response: string;
}

/** A counterexample of a property as a file keeps it: enough to run it again alone, and its bytes for everybody else. */
export interface Replay {
  readonly version: typeof REPLAY_VERSION;
  /** Name of the profile it was found under. */
  readonly profile: string;
  /** Id of the property. */
  readonly check: string;
  /** Seed of the run, from which the controller's randomness derives. */
  readonly runSeed: string;
  /** Seed of the generator, the place of the counterexample in what it generates, and which commands ran. */
  readonly seed: number;
  readonly path: string;
  readonly replayPath?: string;
  /** Name of the randomness of this trial. */
  readonly trial: string;
  /** Failed attempts it may cause. */
  readonly guesses: number;
  /** The stimulus in words, a step a line. */
  readonly stimulus: readonly string[];
  /** What was seen. */
  readonly message: string;
  readonly exchanges: readonly ReplayExchange[];
}

/** How properties are run; everything left out is as each property says. */
export interface Hunt {
  /** Milliseconds of real time each property goes on for, in rounds of its runs; one round unless given. */
  readonly time?: number;
  /** Executions that may be spent on making a counterexample smaller; 0 leaves it as it was found. */
  readonly shrinking?: number;
  /** SHOULD violations count as counterexamples. */
  readonly strict?: boolean;
  /** Runs this counterexample and nothing else. */
  readonly replay?: Replay;
  /** Options of the command that replays it. */
  readonly again?: string;
  /** Keeps a counterexample, and says with which options it is run again. */
  readonly keep?: (found: Replay) => string;
  /** Told what a replay does, line by line. */
  readonly say?: (line: string) => void;
  /** True when no further run may start. */
  readonly stopped?: () => boolean;
  /** Told how many runs a property took until it failed or ended. */
  readonly ran?: (id: string, runs: number, failed: boolean, stimulus: readonly string[]) => void;
}

/** A property does not hold: the error of its smallest counterexample, with what led there. */
export class Falsified extends Error {
  override name = 'Falsified';
  constructor(
    /** What a check would have thrown. */
    readonly verdict: Error,
    /** Which run it was, and how small it has become. */
    readonly about: string,
    readonly events: readonly TraceEvent[],
    /** Options of the command that runs it again. */
    readonly again: string | undefined,
  ) {
    super(verdict.message);
  }
}

/** A property that came to no result. */
export class Inconclusive extends Error {
  override name = 'Inconclusive';
  constructor(
    readonly reason: 'flaky' | 'not-run',
    message: string,
  ) {
    super(message);
  }
}

/** The bytes of a trial as exchanges, by connection in the order the requests went out. */
export function exchangesOf(events: readonly TraceEvent[]): ReplayExchange[] {
  const exchanges: { connection: number; request: string; response: string }[] = [];
  const latest = new Map<number, (typeof exchanges)[number]>();
  for (const event of events) {
    if (event.kind !== 'sent' && event.kind !== 'received') continue;
    const { connection } = event;
    const digits = Buffer.from(event.bytes).toString('hex');
    let now = latest.get(connection);
    if (now === undefined || (event.kind === 'sent' && now.response !== '')) {
      now = { connection, request: '', response: '' };
      latest.set(connection, now);
      exchanges.push(now);
    }
    if (event.kind === 'sent') now.request += digits;
    else now.response += digits;
  }
  return exchanges;
}

/** Reads a replay file. @throws InputError that says what is wrong with it. */
export function readReplay(content: string, path: string): Replay {
  const wrong = (what: string): never => {
    throw new InputError(`--replay ${path}: ${what}`);
  };
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch (error) {
    return wrong(`no JSON (${(error as Error).message})`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return wrong('expected a JSON object');
  const file = value as Record<string, unknown>;
  if (file['version'] !== REPLAY_VERSION)
    wrong(`version ${JSON.stringify(file['version'])}; ${REPLAY_VERSION} is read here`);
  const text = (key: string): string => {
    const found = file[key];
    return typeof found === 'string' && found !== '' ? found : wrong(`"${key}": expected a text`);
  };
  const count = (key: string): number => {
    const found = file[key];
    return Number.isSafeInteger(found) ? (found as number) : wrong(`"${key}": expected a whole number`);
  };
  const list = (key: string): readonly unknown[] => {
    const found = file[key];
    return Array.isArray(found) ? found : wrong(`"${key}": expected a list`);
  };
  const replayPath = file['replayPath'];
  const runSeed = text('runSeed');
  if (!/^\d{1,15}$/.test(runSeed)) wrong('"runSeed": expected the digits of a seed');
  if (!/^\d{1,9}(:\d{1,9})*$/.test(text('path'))) wrong('"path": expected numbers between colons');
  if (replayPath !== undefined && typeof replayPath !== 'string') wrong('"replayPath": expected a text');
  const stimulus = list('stimulus');
  if (stimulus.some((line) => typeof line !== 'string')) wrong('"stimulus": expected a list of texts');
  return {
    version: REPLAY_VERSION,
    profile: text('profile'),
    check: text('check'),
    runSeed,
    seed: count('seed'),
    path: text('path'),
    ...(typeof replayPath === 'string' && { replayPath }),
    trial: text('trial'),
    guesses: count('guesses'),
    stimulus: stimulus as readonly string[],
    message: text('message'),
    exchanges: list('exchanges') as readonly ReplayExchange[],
  };
}
