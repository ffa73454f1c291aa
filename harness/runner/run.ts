import { EditWithoutEffect } from '../controller/index.js';
import type { Random } from '../protocol/index.js';
import { type Bench, Blocked, type Heard, type Matcher, StepFailed, type Topic } from '../target/index.js';
import { type TraceEvent, Unreachable } from '../wire/index.js';
import type { Case, Check, CheckContext, Watch } from './check.js';
import { Judge, NotAllowed, wordsOf } from './judge.js';
import type { CheckResult, Failure, Price, RunReport } from './result.js';
import { type Thrown, exitOf, verdict } from './status.js';

class NotApplicable extends Error {}
class Violation extends Error {}

/** What surrounds a check in its result. */
export interface RunEnvironment {
  /** The target as the user wrote it. */
  readonly target: string;
  readonly seed: string;
  readonly random: Random;
}

/** How long a judged outcome may take: as long as the most patient outcome the check accepts needs. */
export function judgedWait(check: Pick<Check, 'spec'>, bench: Bench): number {
  const { patience } = bench.options;
  const accepted: readonly Matcher[] = [...(check.spec.allow ?? []), ...(check.spec.tolerate ?? [])];
  if (accepted.some(({ event }) => event === 'silence')) return patience.silence;
  if (accepted.length > 0 && accepted.every(({ event }) => event === 'close')) return patience.close;
  return patience.answer;
}

/** The flow steps a pairing state stands on. */
const foundations: Readonly<Record<Check['spec']['from'], readonly string[]>> = {
  any: [],
  unpaired: [],
  paired: ['PS-M1-01', 'PS-M3-01', 'PS-M5-01'],
};

/** Runs one check against a bench and judges it: the one function behind the command, mocha and the self-test. */
export async function runCheck(
  check: Check,
  bench: Bench,
  environment: RunEnvironment,
): Promise<CheckResult> {
  const startedAt = new Date().toISOString();
  const start = bench.clock.now();
  let mark = bench.trace.mark();
  const keeper = new Judge(check.spec);
  const observations: Record<string, string> = {};
  let thrown: Thrown;
  let seen = '';
  let allowed: readonly string[] = wordsOf(check.spec);
  try {
    for (const requirement of [...foundations[check.spec.from], ...(check.spec.needs ?? [])]) {
      const broken = bench.broken.get(requirement);
      if (broken !== undefined && !check.spec.sanity) throw new StepFailed(requirement, broken);
    }
    await bench.ensure(check.spec.from);
    bench.answeredAfresh = false;
    // The way to the starting state is not part of what the check did.
    mark = bench.trace.mark();
    const context: CheckContext = {
      controller: bench.controller(check.id, judgedWait(check, bench)),
      expect: keeper.expect,
      // Not the controller's stream: a check's own draws must differ from the identity it sends.
      random: environment.random.fork(`${check.id} body`),
      bench,
      observe: (name, value) => (observations[name] = value),
      warn: (what) => keeper.tolerated.push(what),
      violate: (what) => {
        throw new Violation(what);
      },
      notApplicable: (why) => {
        throw new NotApplicable(why);
      },
    };
    await check.body(context);
  } catch (error) {
    thrown = kindOf(error, bench, check);
    seen = error instanceof NotAllowed ? error.seen : messageOf(error);
    if (error instanceof NotAllowed) allowed = error.allowed;
    // What a plain assertion wants stands in the requirement, not among the outcomes.
    else if (thrown === 'assertion') allowed = [];
    if (error instanceof StepFailed && thrown !== 'setup') seen = `needs ${error.requirement}: ${error.what}`;
  }
  const bodyEvents = bench.trace.since(mark);
  await bench.closeLinks();
  const alive = (check.spec.risky ?? false) || thrown === 'unreachable' ? await signOfLife(bench) : undefined;
  const facts = {
    level: check.requirement.level,
    thrown,
    asserted: keeper.asserted > 0,
    tolerated: keeper.tolerated.length > 0,
    alive: check.spec.risky ? alive : undefined,
  };
  const { status, reason } = verdict(facts);
  if (facts.alive === false)
    seen = [seen, 'the accessory no longer answers after this'].filter(Boolean).join('; ');
  if (status === 'error' && reason === 'harness' && thrown === undefined)
    seen = 'the check came to its end without asserting anything';
  if (status === 'warn' && thrown === undefined) seen = keeper.tolerated.join('; ');
  // What a forbidden stimulus left behind has to be found out before the next check relies on a state.
  if (reason === 'forbidden') {
    bench.misbehaved = true;
    if (bench.state !== 'foreign') bench.state = 'unknown';
  }
  // What flows build on is known to be broken from here; a variant says nothing about the plain step.
  if (status === 'fail' && check.id === check.requirement.id) bench.broken.set(check.id, seen);
  return {
    ...header(check),
    status,
    reason,
    message: seen,
    failure:
      status === 'pass' || status === 'skip'
        ? undefined
        : // A sign of life that was asked for and did not come belongs to the story.
          failure(
            check,
            environment,
            allowed,
            seen,
            facts.alive === false ? bench.trace.since(mark) : bodyEvents,
          ),
    observations,
    startedAt,
    durationMs: bench.clock.now() - start,
  };
}

function kindOf(error: unknown, bench: Bench, check: Check): Thrown {
  if (error instanceof NotAllowed) return error.judgement;
  if (error instanceof Violation) return 'forbidden';
  if (error instanceof NotApplicable) return 'not-applicable';
  if (error instanceof Blocked) return 'blocked';
  if (error instanceof StepFailed) {
    // A sanity check that cannot get to its point has found the accessory's fault, unless an earlier one has already.
    if (bench.broken.has(error.requirement)) return 'dependency';
    return check.spec.sanity ? 'assertion' : 'setup';
  }
  if (error instanceof Unreachable) return 'unreachable';
  if (error instanceof EditWithoutEffect) return 'harness';
  if (error instanceof Error && error.name === 'AssertionError') return 'assertion';
  return 'harness';
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // An unexpected error is a fault of the harness: whoever reports it needs to say where.
  const known = error instanceof StepFailed || error instanceof Blocked || error instanceof Unreachable;
  if (
    known ||
    error instanceof Violation ||
    error instanceof NotApplicable ||
    error.name === 'AssertionError'
  )
    return error.message;
  const where = error.stack
    ?.split('\n')
    .find((line) => line.includes('/dist/'))
    ?.trim()
    .replace(/\(?(?:file:\/\/)?\/.*\/dist\//, '(');
  return `${error.name}: ${error.message}${where === undefined ? '' : ` ${where}`}`;
}

/** A valid answer on a new connection: Pair Verify M1 when paired (cheap), Pair Setup M1 otherwise. */
async function signOfLife(bench: Bench): Promise<boolean> {
  if (bench.answeredAfresh) return true;
  try {
    if (bench.state === 'ours' && bench.admin !== undefined) {
      const verify = await bench.controller('sign of life').verify({ housekeeping: true });
      const outcome = await verify.sendM1();
      await bench.closeLinks();
      return outcome.kind === 'reply';
    }
    return (await bench.probe()).kind === 'reply';
  } catch (error) {
    if (error instanceof Unreachable) return false;
    throw error;
  }
}

type Head = Pick<
  CheckResult,
  'id' | 'requirement' | 'title' | 'level' | 'chapter' | 'file' | 'source' | 'kind'
>;

function header(entry: Case): Head {
  const { id, requirement, chapter, file, title, kind } = entry;
  return {
    id,
    requirement: requirement.id,
    title,
    level: requirement.level,
    chapter,
    file,
    source: requirement.source,
    kind,
  };
}

/** The decoded exchange, one event a line; the last ones when there are many. */
export function exchangeLines(events: readonly TraceEvent[], maximum = 24): string[] {
  const lines: string[] = [];
  const ended = new Set<number>();
  for (const event of events) {
    const who = `#${event.connection}`;
    switch (event.kind) {
      case 'we-close':
      case 'we-reset':
        // What the accessory does behind our own end says nothing.
        ended.add(event.connection);
        break;
      case 'said':
      case 'heard':
        lines.push(
          `${who} ${event.kind === 'said' ? '→' : '←'} ${event.sealed ? '[sealed] ' : ''}${event.line}`,
        );
        break;
      case 'close':
      case 'reset':
        if (ended.has(event.connection)) break;
        lines.push(`${who} × the accessory ${event.kind === 'close' ? 'closed' : 'reset'} the connection`);
        break;
      case 'silence':
        lines.push(`${who} … silence for ${Math.round(event.waited)} ms, connection open`);
        break;
      case 'note':
        lines.push(`${who} · ${event.line}`);
        break;
      default:
        break;
    }
  }
  return lines.length > maximum
    ? [`… ${lines.length - maximum} earlier lines`, ...lines.slice(-maximum)]
    : lines;
}

function failure(
  entry: Case,
  environment: RunEnvironment,
  allowed: readonly string[],
  seen: string,
  events: readonly TraceEvent[],
): Failure {
  const { requirement } = entry;
  const code = environment.target.startsWith('embedded') ? '' : ' --code "$HAPSPEC_CODE"';
  return {
    requirement: `${requirement.expected} Why: ${requirement.rationale} (${requirement.source})`,
    allowed: allowed.length > 0 ? allowed : [requirement.expected],
    seen,
    exchange: exchangeLines(events),
    reproduce: `npx hapspec run ${environment.target}${code} --only '${entry.id}' --seed ${environment.seed}`,
  };
}

/** The check that brings a topic about when no selected check does. */
const producers: Readonly<Record<Topic, string>> = {
  'setup-m2': 'PS-M1-01',
  'setup-m4': 'PS-M3-01',
  'setup-m6': 'PS-M5-01',
  'verify-m2': 'PV-M1-01',
  'verify-m4': 'PV-M3-01',
  frame: 'PV-M3-01',
  pairings: 'PAIRINGS-01',
  'pairing-reply': 'PS-M1-01',
};

/** Sanity first, then what needs a pairing, then what needs none (those that pair again last), then the watches. */
function order(check: Check): number {
  if (check.spec.sanity) return 0;
  if (check.spec.from === 'paired') return 1;
  return check.spec.leaves === 'paired' ? 3 : 2;
}

/** What one watch has seen so far. */
class WatchState {
  seen = 0;
  failed = 0;
  first: { result: ReturnType<typeof verdict>; message: string; events: readonly TraceEvent[] } | undefined;
  readonly observations: Record<string, string> = {};
  private readonly memory = new Map<string, string>();

  constructor(readonly watch: Watch) {}

  look(heard: Heard, bench: Bench, mark: number): void {
    this.seen++;
    const keeper = new Judge({});
    let thrown: Thrown;
    let message = '';
    try {
      this.watch.body(heard.payload as never, {
        expect: keeper.expect,
        observe: (name, value) => (this.observations[name] = value),
        warn: (what) => keeper.tolerated.push(what),
        violate: (what) => {
          throw new Violation(what);
        },
        bench,
        memory: this.memory,
      });
    } catch (error) {
      thrown =
        error instanceof Violation
          ? 'forbidden'
          : error instanceof Error && error.name === 'AssertionError'
            ? 'assertion'
            : 'harness';
      message = messageOf(error);
    }
    if (thrown === undefined && keeper.asserted === 0 && keeper.tolerated.length === 0) {
      // The message was not one this watch is about (an error reply, say).
      this.seen--;
      return;
    }
    const result = verdict({
      level: this.watch.requirement.level,
      thrown,
      asserted: true,
      tolerated: keeper.tolerated.length > 0,
      alive: undefined,
    });
    if (result.status === 'pass') return;
    this.failed++;
    const rank = ['pass', 'skip', 'warn', 'error', 'fail'];
    if (this.first === undefined || rank.indexOf(result.status) > rank.indexOf(this.first.result.status))
      this.first = {
        result,
        message: message || keeper.tolerated.join('; '),
        events: bench.trace.since(mark),
      };
  }

  result(bench: Bench, environment: RunEnvironment, startedAt: string): CheckResult {
    const base = {
      ...header(this.watch),
      observations: { ...this.observations, seen: String(this.seen) },
      startedAt,
      durationMs: 0,
    };
    if (this.first === undefined && this.seen > 0)
      return {
        ...base,
        ...verdict({
          level: this.watch.requirement.level,
          thrown: undefined,
          asserted: true,
          tolerated: false,
          alive: undefined,
        }),
        message: '',
        failure: undefined,
      };
    if (this.first === undefined) {
      const producer = producers[this.watch.topic];
      const broken = bench.broken.get(producer);
      return {
        ...base,
        status: 'skip',
        reason: 'dependency',
        message: `needs ${producer}: ${broken ?? 'no message of this kind was seen in the run'}`,
        failure: undefined,
      };
    }
    const { result, message, events } = this.first;
    const seen = this.seen > 1 ? `${message} (${this.failed} of ${this.seen} messages)` : message;
    return { ...base, ...result, message: seen, failure: failure(this.watch, environment, [], seen, events) };
  }
}

export interface RunOptions extends RunEnvironment {
  readonly version: string;
  readonly command: string;
  readonly strict: boolean;
  readonly bench: Bench;
  /** The whole suite: producers of messages for watches are taken from it when they are not selected. */
  readonly suite: readonly Case[];
  readonly selected: readonly Case[];
}

/** One entry of the plan. A stimulus runs only because a selected watch needs its messages; it is not reported. */
export interface PlanEntry {
  readonly entry: Case;
  readonly reported: boolean;
}

/** A run: plan, execution in order, report. */
export class Run {
  readonly plan: readonly PlanEntry[];
  private readonly results = new Map<string, CheckResult>();
  private readonly watches: readonly WatchState[];
  private readonly startedAt = new Date().toISOString();
  private readonly start: number;
  private mark = 0;
  private interrupted = false;
  private harnessError: string | undefined;
  private down: string | undefined;
  private foundAs: Bench['state'] = 'unknown';
  private aftermath = { clean: true, message: 'the accessory was not touched' };

  constructor(readonly options: RunOptions) {
    const { selected, suite, bench } = options;
    this.start = bench.clock.now();
    const watches = selected.filter((entry): entry is Watch => entry.kind === 'watch');
    const wanted = new Set(watches.map((watch) => producers[watch.topic]));
    // PV-M3-01 cannot run before PS-M5-01 has paired; a watch's producer brings the sanity steps before it along.
    const checks = suite.filter(
      (entry): entry is Check => entry.kind === 'check' && (selected.includes(entry) || wanted.has(entry.id)),
    );
    checks.sort((a, b) => order(a) - order(b));
    this.plan = [...checks, ...watches].map((entry) => ({ entry, reported: selected.includes(entry) }));
    this.watches = watches.map((watch) => new WatchState(watch));
    bench.onHeard = (heard) => {
      for (const state of this.watches)
        if (state.watch.topic === heard.topic) state.look(heard, bench, this.mark);
    };
  }

  /** First contact. @throws Unreachable */
  async survey(): Promise<void> {
    await this.options.bench.survey();
    this.foundAs = this.options.bench.state;
  }

  /** No further check starts; those left are reported as not run. */
  interrupt(): void {
    this.interrupted = true;
  }

  /** Records an error outside any check: the run ends, exit 4. */
  harnessFailed(error: unknown): void {
    this.harnessError ??= messageOf(error);
  }

  /** Nothing answers: no check can run. */
  unreachable(why: string): void {
    this.down = why;
  }

  get over(): boolean {
    return this.interrupted || this.harnessError !== undefined;
  }

  /** Runs one entry of the plan and returns its result. */
  async runEntry({ entry, reported }: PlanEntry): Promise<CheckResult> {
    const { bench } = this.options;
    let result: CheckResult;
    if (this.over || this.down !== undefined) result = this.notRun(entry);
    else if (entry.kind === 'watch') {
      const state = this.watches.find(({ watch }) => watch === entry)!;
      result = state.result(bench, this.options, this.startedAt);
    } else {
      this.mark = bench.trace.mark();
      result = await runCheck(entry, bench, this.options);
      if (result.reason === 'unreachable') this.down = result.message;
    }
    if (reported) this.results.set(entry.id, result);
    return result;
  }

  private notRun(entry: Case): CheckResult {
    const message =
      this.harnessError !== undefined
        ? `not run: the harness failed (${this.harnessError})`
        : this.interrupted
          ? 'not run: the run was interrupted'
          : this.down !== undefined
            ? `not run: the accessory cannot be reached (${this.down})`
            : 'not run yet';
    return {
      ...header(entry),
      status: 'error',
      reason: 'not-run',
      message,
      failure: undefined,
      observations: {},
      startedAt: this.startedAt,
      durationMs: 0,
    };
  }

  /** Leaves the accessory as it was found. */
  async restore(): Promise<void> {
    this.aftermath = await this.options.bench.restore(this.foundAs);
  }

  price(): Price {
    const { bench } = this.options;
    return {
      ...bench.spent,
      accessoryMs: Math.round(bench.spent.accessoryMs),
      resets: 0,
      wallMs: Math.round(bench.clock.now() - this.start),
    };
  }

  /** The report as it stands; what has not run is in it as such. */
  report(exit?: RunReport['exit']): RunReport {
    const { bench, target, seed, strict, command, version } = this.options;
    const results = this.plan
      .filter(({ reported }) => reported)
      .sort((a, b) => this.options.suite.indexOf(a.entry) - this.options.suite.indexOf(b.entry))
      .map(({ entry }) => this.results.get(entry.id) ?? this.notRun(entry));
    const accessory: Record<string, string> = {
      profile: bench.profile.name,
      'found as': this.foundAs === 'ours' ? 'unpaired' : this.foundAs,
    };
    if (bench.accessory !== undefined) {
      accessory['id'] = Buffer.from(bench.accessory.id).toString('latin1');
      accessory['LTPK'] = Buffer.from(bench.accessory.ltpk).toString('hex');
    }
    return {
      tool: { name: 'hapspec', version },
      target,
      accessory,
      seed,
      strict,
      command,
      startedAt: this.startedAt,
      results,
      price: this.price(),
      aftermath: this.aftermath,
      exit:
        exit ??
        exitOf({
          results,
          strict,
          interrupted: this.interrupted,
          harnessError: this.harnessError !== undefined,
          clean: this.aftermath.clean,
        }),
    };
  }
}
