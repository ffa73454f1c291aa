import fc from 'fast-check';
import { Controller } from '../device/index.js';
import { memoiseArithmetic, memoising } from '../protocol/index.js';
import type { TraceEvent } from '../wire/index.js';
import type { Case, CheckContext, CheckSpec, Draft } from './check.js';
import { exchangeLines } from './exchange.js';
import { Violation } from './execute.js';
import { Falsified, type Hunt, Inconclusive, REPLAY_VERSION, type Replay, exchangesOf } from './hunt.js';
import { NotAllowed } from './judge.js';

/** How often a property runs unless it says otherwise or is asked to. */
const RUNS = 10;
/** In memory the randomness of trials comes round again, so that their exponentiations are remembered. */
const POOL = 8;
/** Executions spent at most on making a counterexample smaller: in memory, and on a device that pairs in seconds. */
const SHRINKING = { virtual: 200, real: 20 };
/** Time that shrinking may take on a device beyond the execution under way (ms): what is met by silence takes long. */
const SHRINKING_TIME = 10_000;
/** The same where the counterexample is a silence: a smaller one is met by the same, and each costs its time. */
const SHRINKING_SILENCE = 1_000;
/** A counterexample that fails twice in three is one. */
const CONFIRMATIONS = 3;
/** Failed attempts of one trial: a guess, and what comes of it. */
const MOST_GUESSES = 2;
/** In memory the accessory is put back before it counts to its limit. */
const GUESSES_IN_MEMORY = 80;

type Costs = NonNullable<CheckSpec['costs']>;

/** What a property needs and accepts: a check's, and the price of one run in the place of the whole. */
export interface PropertySpec extends Omit<CheckSpec, 'costs' | 'once' | 'property'> {
  /** What one run asks of the accessory at most; `attempts` is an average over the runs. */
  readonly each?: Costs;
  /** Runs, 10 unless given. */
  readonly runs?: number;
}

/** What one run of a property works with. */
export interface Trial extends CheckContext {
  /** False while a counterexample is confirmed, made smaller or replayed. */
  readonly searching: boolean;
  /** Failed attempts this run may cause. */
  readonly guesses: number;
  /** A controller with randomness of that name; in memory the accessory draws accordingly. */
  fresh(name: string): Controller;
  /** Notes a step in the record. */
  step(connection: number, words: string): void;
  /** Something a SHOULD forbids: a warning, a violation under `--strict`. */
  lesser(what: string): void;
}

/** The generator of a property; commands need the path of a replay. */
export type Generator<T> = (replayPath?: string) => fc.Arbitrary<T>;

/**
 * A check that holds for every generated value. It is found with the first failing value, confirmed, made smaller and
 * kept for a replay.
 */
export function property<T>(
  id: string,
  /** That of the requirement. */
  title: string,
  spec: PropertySpec,
  generator: Generator<T>,
  predicate: (trial: Trial, value: T) => Promise<void>,
  /** The value as a reader of the report needs it; as it prints itself when left out. */
  words?: (value: T) => string,
): Draft {
  const { each = {}, runs = RUNS, ...rest } = spec;
  return {
    kind: 'check',
    id,
    title,
    spec: { ...rest, once: true, costs: times(each, runs), property: { runs, each } },
    body: (context) => new Hunter(context, id, generator, predicate, words).hunt(),
  };
}

function times(each: Costs, runs: number): Costs {
  return Object.fromEntries(Object.entries(each).map(([what, count]) => [what, Math.ceil(count * runs)]));
}

/**
 * The cases with every property run so often, or as often as it says itself, and priced accordingly.
 * @param how.asked - the user wants it whatever it costs
 * @param how.part - `I/N` of a hunt that is shared out
 * @param how.bounded - the accessory counts failed attempts: a property causes no more of them than it always does
 */
export function withRuns(
  cases: readonly Case[],
  runs: number | undefined,
  how: { readonly asked?: boolean; readonly bounded?: boolean; readonly part?: string } = {},
): readonly Case[] {
  return cases.map((entry) => {
    if (entry.kind === 'watch' || entry.spec.property === undefined) return entry;
    const { each } = entry.spec.property;
    const count = runs ?? entry.spec.property.runs;
    const costs = times(each, count);
    const usual = entry.spec.costs?.attempts ?? 0;
    const attempts = how.bounded === true ? Math.min(costs.attempts ?? 0, usual) : (costs.attempts ?? 0);
    const { asked = false, part } = how;
    const property = { runs: count, each, asked, ...(part !== undefined && { part }) };
    return { ...entry, spec: { ...entry.spec, costs: { ...costs, attempts }, property } };
  });
}

/** How one run ended. */
type Ending =
  | { readonly kind: 'held' }
  /** The property does not hold. */
  | { readonly kind: 'failed'; readonly error: Error; readonly events: readonly TraceEvent[] }
  /** Something that says nothing about the property: a step on the way, the transport, the harness. */
  | { readonly kind: 'apart'; readonly error: unknown }
  | { readonly kind: 'stopped' };

/** A failing value as it was when it failed. */
interface Find {
  readonly path: string;
  readonly replayPath: string | undefined;
  readonly stimulus: readonly string[];
  readonly error: Error;
  readonly events: readonly TraceEvent[];
}

/** How a run ended, and what it ran. */
type Replayed = Ending & Pick<Find, 'stimulus' | 'replayPath'>;

/** Where in a generator's output a value is. */
interface Place {
  readonly seed: number;
  readonly path: string;
  readonly replayPath: string | undefined;
}

/** Names of the randomness and the allowance of one trial. */
interface Setting {
  readonly trial: string;
  readonly guesses: number;
  /** The watches have not seen its messages yet. */
  readonly heard: boolean;
  readonly searching: boolean;
}

class Hunter<T> {
  private readonly hunted: Hunt;
  private readonly virtual: boolean;
  private readonly budget: number;
  private done = 0;
  private guessed = 0;

  constructor(
    private readonly context: CheckContext,
    private readonly id: string,
    private readonly generator: Generator<T>,
    private readonly predicate: (trial: Trial, value: T) => Promise<void>,
    private readonly words?: (value: T) => string,
  ) {
    this.hunted = context.hunt;
    this.virtual = context.bench.clock.virtual;
    this.budget = context.spec.costs?.attempts ?? 0;
  }

  async hunt(): Promise<void> {
    const memoised = memoising();
    if (this.virtual) memoiseArithmetic(true);
    try {
      const { replay } = this.hunted;
      await (replay === undefined ? this.search() : this.replay(replay));
    } finally {
      await this.context.bench.closeLinks();
      if (!memoised) memoiseArithmetic(false);
    }
  }

  private async search(): Promise<void> {
    const { spec, random, observe } = this.context;
    const { time, ran } = this.hunted;
    const { runs, part } = spec.property!;
    const draw = random.fork(part === undefined ? 'property' : `property, part ${part}`);
    const end = Date.now() + (time ?? 0);
    do {
      const seed = draw.below(0x7fff_ffff);
      const found = await this.round(seed, runs, time === undefined ? Infinity : end);
      if (found === undefined) continue;
      ran?.(this.id, this.done, true, found.find.stimulus);
      throw await this.falsified(seed, found.find, found.setting);
    } while (time !== undefined && Date.now() < end && !this.stopped);
    if (this.stopped) throw new Inconclusive('not-run', `interrupted after ${this.done} of ${runs} runs`);
    if (this.done === 0) throw new Error(`${this.id}: the generator gave nothing to run`);
    observe('runs', String(this.done));
    ran?.(this.id, this.done, false, []);
  }

  private get stopped(): boolean {
    return this.hunted.stopped?.() ?? false;
  }

  /** One round of runs, up to the first that fails. @throws what stands apart from the property. */
  private async round(
    seed: number,
    runs: number,
    end: number,
  ): Promise<{ find: Find; setting: Setting } | undefined> {
    const last: { setting?: Setting; ending?: Ending; seen?: Omit<Find, 'path'> } = {};
    const details = await this.check({ seed }, runs, async (value) => {
      if (this.stopped || (Date.now() >= end && this.done > 0)) {
        last.ending = { kind: 'stopped' };
        return false;
      }
      const setting = this.nextSetting();
      const { attempts } = this.context.bench.spent;
      const ending = await this.trial(value, setting);
      Object.assign(last, { setting, ending });
      this.done++;
      this.guessed += this.context.bench.spent.attempts - attempts;
      if (ending.kind === 'failed')
        last.seen = { ...this.wordsOf(value), error: ending.error, events: ending.events };
      return ending.kind === 'held';
    });
    const { setting, ending, seen } = last;
    if (ending?.kind === 'apart') throw ending.error;
    if (seen === undefined || setting === undefined) return undefined;
    return { find: { ...seen, path: details.counterexamplePath ?? '0' }, setting };
  }

  private nextSetting(): Setting {
    const { bench } = this.context;
    const left = Math.max(0, this.budget - this.guessed);
    const place = this.virtual ? this.done % POOL : this.done;
    return {
      trial: `trial ${place}`,
      guesses: Math.min(MOST_GUESSES, left),
      heard: !this.virtual || (this.done < POOL && bench.onHeard !== undefined),
      searching: true,
    };
  }

  /** The same trial again: in memory its messages are the same, and nothing to those who look for repetitions. */
  private repeated(setting: Setting): Setting {
    return { ...setting, heard: setting.heard && !this.virtual, searching: false };
  }

  /** `fc.check` that stops at the first value `holds` says no to; errors of the generator come out as they are. */
  private async check(
    place: { readonly seed: number; readonly path?: string; readonly replayPath?: string | undefined },
    runs: number,
    holds: (value: T) => Promise<boolean>,
    endOnFailure = true,
  ): Promise<fc.RunDetails<[T]>> {
    const { seed, path, replayPath } = place;
    return fc.check(
      fc.asyncProperty(this.generator(replayPath), async (value) => {
        if (!(await holds(value))) throw new Error('it does not hold');
      }),
      { seed, numRuns: runs, endOnFailure, ...(path !== undefined && { path }) },
    );
  }

  /** One run, from the state the property starts in; watches see it when its messages are new. */
  private async trial(value: T, setting: Setting): Promise<Ending> {
    const { bench, spec } = this.context;
    const { onHeard } = bench;
    const mark = bench.trace.mark();
    if (!setting.heard) bench.onHeard = undefined;
    const name = `${this.id} ${setting.trial}`;
    const fresh = (part: string): Controller => {
      bench.options.reseed?.(`${name} ${part}`);
      const random = bench.options.random.fork(`${name} ${part}`);
      return new Controller(bench, random, this.context.controller.waits);
    };
    let start = mark;
    try {
      if (this.restorable && bench.tally.attempts >= GUESSES_IN_MEMORY) await this.anew();
      if (this.virtual && spec.from === 'paired' && bench.state === 'unpaired') await fresh('pairing').pair();
      else await bench.ensure(spec.from, spec.keyless);
      await bench.closeLinks();
      start = bench.trace.mark();
      bench.learned.answeredAfresh = false;
      const { hunted, context } = this;
      await this.predicate(
        {
          ...context,
          controller: fresh('controller'),
          random: bench.options.random.fork(`${name} body`),
          guesses: setting.guesses,
          searching: setting.searching,
          fresh,
          step: (connection, line) => bench.trace.record(connection, { kind: 'note', line }),
          lesser: (what) => {
            if (hunted.strict) throw new Violation(what);
            context.warn(what);
          },
        },
        value,
      );
      await bench.closeLinks();
      if (!setting.heard) bench.trace.rewind(mark);
      return { kind: 'held' };
    } catch (error) {
      await bench.closeLinks();
      if (fc.PreconditionFailure.isFailure(error)) throw error;
      if (!isVerdict(error)) return { kind: 'apart', error };
      const events = bench.trace.since(start);
      await this.recover();
      return { kind: 'failed', error, events };
    } finally {
      bench.onHeard = onHeard;
    }
  }

  /** A counterexample may have left anything behind. */
  private async recover(): Promise<void> {
    const { bench } = this.context;
    bench.learned.misbehaved = true;
    if (bench.state !== 'foreign') bench.state = 'unknown';
    if (this.restorable) await this.anew();
  }

  /** In memory, and with a hook that does it. */
  private get restorable(): boolean {
    return this.virtual && this.context.bench.options.hooks?.reset !== undefined;
  }

  /** In memory: the factory state, at no cost. */
  private async anew(): Promise<void> {
    const { bench } = this.context;
    await bench.closeLinks();
    bench.options.reseed?.(`${this.id} reset`);
    await bench.options.hooks?.reset?.();
    await bench.options.hooks?.restart?.();
    bench.forgotten();
  }

  /** A value by its place in the generator's output, once more. @throws when there is no such value. */
  private async once({ seed, path, replayPath }: Place, setting: Setting): Promise<Replayed> {
    let ending: Replayed | undefined;
    await this.check({ seed, path, replayPath }, 1, async (value) => {
      if (ending !== undefined) return false;
      const own = await this.trial(value, this.repeated(setting));
      ending = { ...own, ...this.wordsOf(value) };
      return own.kind === 'held';
    });
    // A path that leads nowhere runs nothing and reports no failure.
    if (ending === undefined) throw new Error(`${this.id}: nothing at path ${path} of seed ${seed}`);
    return ending;
  }

  /** Confirms, makes smaller, keeps. @returns what to throw: the counterexample, or that it came once and not again. */
  private async falsified(seed: number, first: Find, setting: Setting): Promise<Error> {
    const most = this.hunted.shrinking ?? this.affordable();
    if (most === 0) return this.kept(seed, first, first, setting);
    let [failed, held] = [1, 0];
    // In virtual time nothing flakes: once more tells whether it depended on what went before.
    const enough = this.virtual ? 1 : 2;
    while (failed + held < CONFIRMATIONS && failed < 2 && held < enough) {
      const again = await this.once({ seed, ...first }, setting);
      if (again.kind === 'failed') failed++;
      else if (again.kind === 'held') held++;
      else break;
    }
    if (failed < 2 && held > 0) {
      const message = `failed ${failed} of ${failed + held} times: ${first.error.message}`;
      return new Inconclusive('flaky', message);
    }
    const small = await this.shrunk(seed, first, setting, most);
    return this.kept(seed, first, small, setting);
  }

  /** Executions the ledger leaves for shrinking. */
  private affordable(): number {
    if (this.virtual) return SHRINKING.virtual;
    const perRun = this.context.spec.property!.each.attempts ?? 0;
    if (perRun === 0) return SHRINKING.real;
    return Math.max(1, Math.min(SHRINKING.real, Math.floor((this.budget - this.guessed) / MOST_GUESSES)));
  }

  /** The smallest failing value that `most` executions lead to. */
  private async shrunk(seed: number, first: Find, setting: Setting, most: number): Promise<Find> {
    const { clock } = this.context.bench;
    const silent = first.events.some(({ kind }) => kind === 'silence');
    const end = this.virtual ? Infinity : clock.now() + (silent ? SHRINKING_SILENCE : SHRINKING_TIME);
    let left = most;
    let smallest: Omit<Find, 'path'> | undefined;
    const details = await this.check(
      { seed, path: first.path, replayPath: first.replayPath },
      1,
      async (value) => {
        // Counted out, or stopped: what is left is taken as good, and the search ends with what it has.
        if (left <= 0 || this.stopped || clock.now() >= end) return true;
        left--;
        const ending = await this.trial(value, this.repeated(setting));
        // A transport that breaks says nothing about this value, and would lead to nonsense that is small.
        if (ending.kind === 'apart') left = 0;
        if (ending.kind !== 'failed') return true;
        smallest = { ...this.wordsOf(value), error: ending.error, events: ending.events };
        return false;
      },
      false,
    );
    const path = details.counterexamplePath;
    if (smallest === undefined || path === null) return first;
    const find: Find = { ...smallest, path };
    const again = await this.once({ seed, ...find }, setting);
    return again.kind === 'failed' ? { ...find, error: again.error, events: again.events } : first;
  }

  private kept(seed: number, first: Find, find: Find, { trial, guesses }: Setting): Falsified {
    const { bench } = this.context;
    const again = this.hunted.keep?.({
      version: REPLAY_VERSION,
      profile: bench.profile.name,
      check: this.id,
      runSeed: this.context.seed,
      seed,
      path: find.path,
      ...(find.replayPath !== undefined && { replayPath: find.replayPath }),
      trial,
      guesses,
      stimulus: find.stimulus,
      message: messageOf(find.error),
      exchanges: exchangesOf(find.events),
    });
    const steps = (count: number): string => `${count} ${count === 1 ? 'step' : 'steps'}`;
    const size =
      find.stimulus.length < first.stimulus.length
        ? `, ${steps(find.stimulus.length)} of ${first.stimulus.length}`
        : '';
    const about = `run ${this.done}${size}: ${find.stimulus.join('; ')}`;
    return new Falsified(find.error, about, find.events, again);
  }

  private wordsOf(value: T): Pick<Find, 'stimulus' | 'replayPath'> {
    const said = wordsOf(value);
    return this.words === undefined ? said : { ...said, stimulus: [this.words(value)] };
  }

  private async replay(file: Replay): Promise<void> {
    const { say = () => undefined } = this.hunted;
    const { bench, observe, expect } = this.context;
    const setting: Setting = { trial: file.trial, guesses: file.guesses, heard: true, searching: false };
    const mark = bench.trace.mark();
    const ending = await this.once(
      { seed: file.seed, path: file.path, replayPath: file.replayPath },
      setting,
    );
    const { stimulus } = ending;
    for (const [i, line] of stimulus.entries()) say(`${i + 1}. ${line}`);
    const events = ending.kind === 'failed' ? ending.events : bench.trace.since(mark);
    for (const line of exchangeLines(events, Infinity)) say(`   ${line}`);
    if (ending.kind === 'apart') throw ending.error;
    // A generator that has changed since leads somewhere else: to hold there says nothing.
    if (stimulus.join('\n') !== file.stimulus.join('\n') && ending.kind === 'held')
      throw new Error(
        `the replay file was made by another version of ${this.id}: it now stands for ${stimulus.join('; ')}`,
      );
    this.done = 1;
    if (ending.kind === 'failed') {
      say(`it still fails: ${messageOf(ending.error)}`);
      throw new Falsified(ending.error, `replay: ${stimulus.join('; ')}`, events, this.hunted.again);
    }
    say('it holds now');
    observe('runs', '1');
    expect(true).to.equal(true);
  }
}

function isVerdict(error: unknown): error is Error {
  return (
    error instanceof NotAllowed ||
    error instanceof Violation ||
    (error instanceof Error && error.name === 'AssertionError')
  );
}

function messageOf(error: Error): string {
  return error instanceof NotAllowed ? error.seen : error.message;
}

/** A value in words, and what fast-check needs to come by it again: at once, since its log goes on. */
function wordsOf(value: unknown): Pick<Find, 'stimulus' | 'replayPath'> {
  const text = fc.stringify(value);
  const replayPath = /replayPath="([^"]*)"/.exec(text)?.[1];
  if (replayPath === undefined || !isIterable(value)) return { stimulus: [text], replayPath };
  const ran = [...value].filter((command) => (command as { hasRan?: boolean }).hasRan);
  return { stimulus: ran.map(String), replayPath };
}

function isIterable(value: unknown): value is Iterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.iterator in value;
}
