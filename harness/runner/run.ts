import { type Identity, equal } from '../protocol/index.js';
import { type Bench, Blocked, HookFailed, StepFailed, answered, describeOutcome } from '../target/index.js';
import { type TraceEvent, Unreachable } from '../wire/index.js';
import type { Case, Check, Watch } from './check.js';
import { Book, type RunFacts, type RunHead } from './book.js';
import { NO_LONGER, type RunEnvironment, failure, runCheck, signOfLife } from './execute.js';
import type { Execution } from './parts.js';
import {
  type Estimate,
  type Asked,
  type Offer,
  type Plan,
  type PlanEntry,
  QUICK,
  exchangesFor,
  makePlan,
  quickExchanges,
  secondsFor,
  tooDear,
} from './plan.js';
import type { CheckResult, Price, RunReport } from './result.js';
import { matchesPattern } from './selection.js';
import { WatchState } from './watching.js';

/** Failed attempts a run may spend between resets unless told otherwise; accessories lock after 100. */
export const DEFAULT_ATTEMPTS = 30;
/** The same where none are counted: as many as the suite makes. */
const UNCOUNTED_ATTEMPTS = 10_000;

export interface RunOptions extends RunEnvironment, RunHead {
  readonly bench: Bench;
  /** The whole suite: producers of messages for watches are taken from it when they are not selected. */
  readonly suite: readonly Case[];
  readonly selected: readonly Case[];
  /** Failed attempts the run may spend between resets (`--attempts`). */
  readonly attempts?: number;
  /** Checks that can lock the accessory are allowed (`--destructive`). */
  readonly destructive?: boolean;
  /** Identities `hapspec pair` put into the accessory to stay. */
  readonly kept?: () => readonly Identity[];
  /** Checks that run first, unreported, for what they show to the selected ones: their own part of the run has them. */
  readonly before?: readonly Check[];
  /** Asked whether somebody outside has ended the run. */
  readonly stopped?: () => boolean;
  /** Told of a watch when the first message comes that shows a violation, and of a step that stopped working. */
  readonly violated?: (result: CheckResult) => void;
  /** Gets the wire record of each check when it has run. */
  readonly evidence?: (id: string, events: readonly TraceEvent[]) => void;
}

/** How often one step is asked again by itself: where it always works, what goes wrong is no doing of its. */
const MOST_SUSPICIONS = 3;

/** Variants that differ in detail: `PS-ERR-04/pairings-state-3` belongs to `PS-ERR-04/pairings`. */
function familyOf(id: string): string {
  const [requirement = '', variant] = id.split('/');
  return variant === undefined ? requirement : `${requirement}/${variant.split('-')[0]}`;
}

function wasSilent({ status, message }: CheckResult): boolean {
  return status === 'fail' && message.includes('silence: no answer');
}

/** A run: plan, execution in order, report. */
export class Run implements Execution {
  readonly plan: readonly PlanEntry[];
  /** What the plan asks of a healthy accessory. */
  readonly estimate: Estimate;
  /** What is asked of one that turns out to be quick, in the same order. */
  readonly quickPlan: Plan;
  /** Which of the two it is; known when the plain flow has shown it, and not changed then. */
  private quick: boolean | undefined;
  private readonly limit: number;
  /** The usual plan, and what is left of its budget. */
  private readonly usualPlan: Plan;
  /** What was taken of it by checks that got the failed attempts of others. */
  private readonly taken = { m2: 0, m4: 0, verifies: 0, seconds: 0 };
  private readonly book: Book;
  private readonly environment: RunEnvironment;
  private readonly watches: readonly WatchState[];
  private readonly start: number;
  private mark = 0;
  /** Failures by silence, by family. */
  private readonly silences = new Map<string, readonly CheckResult[]>();
  /** How often a step was asked again by itself, because it went wrong on the way to a check. */
  private readonly suspicions = new Map<string, number>();
  private foundAs: Bench['state'] = 'unknown';
  /** The pairing `hapspec pair` made, to be made again at the end. */
  private keptIdentity: Identity | undefined;
  private aftermath = { clean: true, message: 'the accessory was not touched' };

  constructor(readonly options: RunOptions) {
    const { selected, suite, bench } = options;
    const { hooks } = bench.options;
    this.start = bench.clock.now();
    const given = options.attempts ?? DEFAULT_ATTEMPTS;
    this.limit = bench.profile.countsAttempts ? given : (options.attempts ?? UNCOUNTED_ATTEMPTS);
    const can = {
      reset: hooks?.reset !== undefined,
      restart: hooks?.restart !== undefined,
      destructive: options.destructive ?? false,
      profile: bench.profile.name,
      ...(bench.options.declares && { declares: bench.options.declares }),
      quick: bench.clock.virtual && !(options.destructive ?? false),
    };
    const budget = {
      attempts: this.limit - bench.tally.attempts,
      exchanges: exchangesFor(given),
      // In virtual time a minute of silence is over at once.
      seconds: bench.clock.virtual ? Infinity : secondsFor(given),
    };
    this.usualPlan = makePlan(suite, selected, can, budget, options.before);
    this.plan = this.usualPlan.entries;
    this.estimate = this.usualPlan.estimate;
    this.book = new Book(options, this.plan);
    this.environment = this.environmentOf(options);
    this.quickPlan = makePlan(suite, selected, can, { ...budget, ...quickExchanges }, options.before);
    this.watches = selected
      .filter((entry): entry is Watch => entry.kind === 'watch')
      .map((watch) => new WatchState(watch));
    bench.onHeard = (heard) => {
      for (const state of this.watches)
        if (state.watch.topic === heard.topic) {
          const before = state.first;
          state.look(heard, bench, this.mark);
          // Known from now on, whatever becomes of the run.
          if (state.first !== before) this.violated(state);
          // Like that of a check: what somebody has accepted hides nothing that stands on it.
          const known = this.book.get(state.watch.id);
          if (known?.status === 'fail' && this.excused(known).status !== 'fail')
            bench.learned.violated.delete(state.watch.id);
        }
    };
  }

  private violated(state: WatchState): void {
    const { bench, evidence } = this.options;
    evidence?.(state.watch.id, state.first?.events ?? []);
    this.tellEarly(state.result(bench, this.options, this.book.startedAt));
  }

  /** The result as the known deviations leave it. */
  excused(result: CheckResult): CheckResult {
    return this.book.excused(result);
  }

  private tellEarly(result: CheckResult): void {
    this.book.record(result);
    this.options.violated?.(result);
  }

  /** The options, with what ends a property early; the time for properties is shared among them. */
  private environmentOf({ hunt = {} }: RunOptions): RunEnvironment {
    const properties = this.plan.filter(
      ({ entry, leftOut }) =>
        entry.kind === 'check' && entry.spec.property !== undefined && leftOut === undefined,
    ).length;
    const time = hunt.time === undefined ? undefined : hunt.time / Math.max(1, properties);
    return {
      ...this.options,
      hunt: { ...hunt, stopped: () => this.over, ...(time !== undefined && { time }) },
    };
  }

  /** First contact; takes back what an earlier run left. @throws Unreachable */
  async survey(): Promise<void> {
    const { bench, kept = () => [] } = this.options;
    const mark = bench.trace.mark();
    await bench.survey();
    this.foundAs = bench.state;
    // No check shows how that was found out.
    if (bench.state === 'foreign' || bench.keyring.held.size > 0) this.tell('state-found', mark);
    this.keptIdentity = bench.keyring.recovered.find((identity) =>
      kept().some(({ id }) => equal(id, identity.id)),
    );
  }

  /** The wire record of what belongs to no check, where a decision about the state blocks checks or keeps keys. */
  private tell(id: string, mark: number): void {
    this.options.evidence?.(id, this.options.bench.trace.since(mark));
  }

  get seed(): string {
    return this.options.seed;
  }

  get strict(): boolean {
    return this.options.strict;
  }

  /** No further check starts; those left are reported as not run. */
  interrupt(): void {
    this.book.interrupted = true;
  }

  /** Records an error outside any check: the run ends, exit 4. */
  harnessFailed(error: unknown): void {
    this.book.harnessFailed(error);
  }

  /** Nothing answers: no check can run. */
  unreachable(why: string): void {
    this.book.down = why;
  }

  get over(): boolean {
    this.book.interrupted ||= this.options.stopped?.() === true;
    return this.book.over;
  }

  /** What the plan leaves this out for, as far as the accessory's pace is known. */
  private leftOut({ entry, leftOut }: PlanEntry): PlanEntry['leftOut'] {
    // The plain flow comes first in either, and shows how long an M2 and an M4 take.
    if (entry.kind === 'check' && entry.spec.sanity) return leftOut;
    this.quick ??= this.options.bench.tally.isQuick(QUICK);
    const plan = this.quick ? this.quickPlan : this.usualPlan;
    const out = this.quick ? plan.entries.find((other) => other.entry === entry)?.leftOut : leftOut;
    const offer = plan.short.find(({ check }) => check === entry);
    if (out === undefined || offer === undefined) return out;
    const message = this.lacking(offer, plan);
    return message === undefined ? undefined : { reason: 'not-bought', message };
  }

  /**
   * Takes for a check that was left out for want of failed attempts what others turned out not to spend: beside what is
   * still to come, and what is worth more.
   * @returns what there is too little of, when that does not do.
   */
  private lacking({ check, price }: Offer, { entries, short, left }: Plan): string | undefined {
    const toCome = (entry: Case): boolean => this.book.get(entry.id) === undefined;
    const kinds = ['m2', 'm4', 'verifies', 'seconds'] as const;
    const dear = (asked: Asked): (typeof kinds)[number] | undefined =>
      kinds.find((kind) => asked[kind] > 0 && asked[kind] + this.taken[kind] > left[kind]);
    let attempts = this.limit - this.options.bench.tally.attempts;
    for (const { entry, leftOut } of entries)
      if (entry.kind === 'check' && leftOut === undefined && toCome(entry))
        attempts -= entry.spec.costs?.attempts ?? 0;
    for (const other of short) {
      if (other.check === check) break;
      const { attempts: asked } = other.price;
      if (toCome(other.check) && asked <= attempts && dear(other.price) === undefined) attempts -= asked;
    }
    if (price.attempts > attempts) return tooDear(check, price.attempts, attempts, 'attempts');
    const kind = dear(price);
    if (kind !== undefined) return tooDear(check, price[kind], left[kind] - this.taken[kind], kind);
    for (const each of kinds) this.taken[each] += price[each];
    return undefined;
  }

  /** Runs one entry of the plan and returns its result. */
  async runEntry(planned: PlanEntry): Promise<CheckResult> {
    const { entry } = planned;
    const { bench, evidence, before = [] } = this.options;
    const leftOut = this.leftOut(planned);
    let result: CheckResult;
    if (leftOut !== undefined) result = this.skipped(entry, leftOut.reason, leftOut.message, true);
    else if (entry.kind === 'watch') {
      const state = this.watches.find(({ watch }) => watch === entry)!;
      // What was violated is so in a run that was cut short too; what was not may have been later.
      const cut = this.over || this.book.down !== undefined;
      result =
        cut && state.failed === 0
          ? this.book.notRun(entry)
          : state.result(bench, this.options, this.book.startedAt);
    } else if (this.over || this.book.down !== undefined) result = this.book.notRun(entry);
    else {
      this.mark = bench.trace.mark();
      result = await this.runPlanned(entry);
      // Another part of the run has that of what only goes before.
      if (!before.includes(entry)) evidence?.(entry.id, bench.trace.since(this.mark));
    }
    this.book.record(result);
    return this.book.excused(result);
  }

  /** One of the known deviations is about this check. */
  private isExpected(check: Check): boolean {
    return this.options.expectations?.entries.some(({ id }) => matchesPattern(id, check)) ?? false;
  }

  /** It is a known deviation that this check fails. */
  private isKnownToFail(check: Check): boolean {
    const { expectations } = this.options;
    return (
      expectations?.entries.some(({ id, status }) => status === 'fail' && matchesPattern(id, check)) ?? false
    );
  }

  private async runPlanned(check: Check): Promise<CheckResult> {
    const family = familyOf(check.id);
    const silent = this.silences.get(family) ?? [];
    // Each silence costs the whole window; two of a family show what the others would.
    const known = silent.every((result) => this.book.excused(result).reason === 'expected');
    // Where the silences are known, so are those that are met by none.
    if (silent.length >= 2 && (!known || this.isExpected(check))) {
      const message = `two of ${family} were met by silence already${known ? ', as expected' : ''}`;
      return this.skipped(check, known ? 'expected' : 'dependency', message, false);
    }
    const blocked = await this.afford(check);
    if (blocked !== undefined) return blocked;
    const broken = new Set(this.options.bench.broken.keys());
    let result = await this.suspect(check, await this.waitedOut(check));
    if (result.died) result = await this.afterDeath(check, result, broken);
    // What is known to fail is not worth another look.
    else if (this.book.excused(result).status === 'fail') result = await this.confirm(check, result);
    // A deviation somebody has accepted must not hide what else there is: what needs the check runs, and tells by itself.
    if (result.status === 'fail' && !check.spec.sanity && this.book.excused(result).status !== 'fail')
      this.options.bench.broken.delete(check.id);
    if (wasSilent(result)) {
      this.silences.set(family, [...silent, result]);
      // Confirmed, as a rule: answers are no longer given the whole time.
      this.options.bench.pace.impatient = true;
    }
    return result;
  }

  /**
   * One run of a check. What is known not to be answered is not waited for as long; and an answer that came when its
   * shorter time was over is waited for once more, with the time it takes.
   */
  private async waitedOut(check: Check): Promise<CheckResult> {
    const { bench } = this.options;
    const { pace } = bench;
    const { lateAnswers } = pace;
    pace.knownSilence = this.isKnownToFail(check);
    const first = await runCheck(check, bench, this.environment);
    pace.knownSilence = false;
    const { costs, once } = check.spec;
    if (pace.lateAnswers === lateAnswers || (once && (costs?.attempts ?? 0) > 0)) return first;
    if (bench.tally.attempts + (costs?.attempts ?? 0) > this.limit || this.over) return first;
    bench.broken.delete(check.id);
    return runCheck(check, bench, this.environment);
  }

  /**
   * A step of a flow went wrong on the way to a check. When it does so by itself, it is that step which is red, under
   * its own requirement, though it worked before; and what could not get to its point needs it.
   */
  private async suspect(check: Check, result: CheckResult): Promise<CheckResult> {
    const { failedStep } = result;
    if (failedStep === undefined || result.reason !== 'setup' || this.over) return result;
    const red = this.plan.find(
      ({ entry }) =>
        entry.requirement.id === failedStep && entry !== check && this.book.get(entry.id)?.status === 'fail',
    )?.entry;
    if (red !== undefined)
      return this.skipped(check, 'dependency', `needs ${red.id}: ${this.book.get(red.id)!.message}`, false);
    const step = this.plan.find(
      ({ entry, leftOut }) => entry.id === failedStep && entry.kind === 'check' && leftOut === undefined,
    )?.entry as Check | undefined;
    const known = step && this.book.get(step.id);
    const asked = this.suspicions.get(failedStep) ?? 0;
    if (known?.reason === 'dependency')
      return this.skipped(check, 'dependency', `needs ${known.id}, which ${known.message}`, false);
    // One that has not run yet will tell by itself.
    if (step === undefined || step === check || !known || asked >= MOST_SUSPICIONS) return result;
    if (known.status !== 'pass' && known.status !== 'warn') return result;
    this.suspicions.set(failedStep, asked + 1);
    let again = await this.waitedOut(step);
    if (again.status === 'fail') again = await this.confirm(step, again);
    if (again.status !== 'fail') return result;
    this.tellEarly({ ...again, message: `${again.message} (behind ${check.id}; it worked before)` });
    return this.skipped(check, 'dependency', `needs ${step.id}: ${again.message}`, false);
  }

  /** Makes room in the ledger by a reset when the check needs it; the plan has made sure there is a hook. */
  private async afford(check: Check): Promise<CheckResult | undefined> {
    const { bench } = this.options;
    const cost = check.spec.costs?.attempts ?? 0;
    // In memory a property puts the accessory back by itself, as often as it takes.
    if (check.spec.property?.asked === true && bench.clock.virtual) return undefined;
    if (cost === 0 || bench.tally.attempts + cost <= this.limit) return undefined;
    try {
      await bench.factoryReset();
      return undefined;
    } catch (error) {
      if (error instanceof Blocked)
        return this.skipped(
          check,
          'not-bought',
          `the run has spent its ${this.limit} failed attempts`,
          false,
        );
      if (error instanceof HookFailed || error instanceof Unreachable)
        return this.failed(check, 'setup', error.message);
      throw error;
    }
  }

  /**
   * Repeats a failure until two of three runs agree, as far as the ledger allows it. In virtual time nothing can
   * flake: the same seed gives the same bytes. A repeat that cannot get to its point, because of what the defect has
   * left behind, contradicts nothing; one that meets nobody does.
   */
  private async confirm(check: Check, first: CheckResult): Promise<CheckResult> {
    const { bench } = this.options;
    const { once, destructive, ifAccepted } = check.spec;
    if (bench.clock.virtual || once || destructive || ifAccepted !== undefined) return first;
    // An accessory that is known to leave requests unanswered has done it again.
    if (bench.pace.impatient && wasSilent(first)) return first;
    const cost = check.spec.costs?.attempts ?? 0;
    const runs = [first];
    const fails = (): number => runs.filter(({ status }) => status === 'fail').length;
    const undecided = ({ reason }: CheckResult): boolean =>
      reason === 'setup' || reason === 'dependency' || reason === 'blocked';
    const contradictions = (): number =>
      runs.filter((result) => result.status !== 'fail' && !undecided(result)).length;
    while (runs.length < 3 && fails() < 2 && contradictions() < 2 && !this.over) {
      if (cost > 0 && bench.tally.attempts + cost > this.limit) break;
      bench.broken.delete(check.id);
      // The whole time has gone by in silence once: whether it does again shows sooner.
      const { impatient } = bench.pace;
      bench.pace.impatient ||= wasSilent(first);
      bench.pace.confirming = true;
      const again = await runCheck(check, bench, this.environment);
      bench.pace.confirming = false;
      bench.pace.impatient = impatient;
      if (again.died) return this.afterDeath(check, first);
      runs.push(again);
    }
    if (fails() >= 2 || contradictions() === 0) return { ...first, attempts: runs.length };
    bench.broken.delete(check.id);
    const message = `failed ${fails()} of ${runs.length} times: ${first.message}`;
    return { ...first, status: 'error', reason: 'flaky', message, attempts: runs.length };
  }

  /** The accessory stopped answering. A death that repeats after the same stimulus is that check's fail. */
  private async afterDeath(
    check: Check,
    first: CheckResult,
    broken?: ReadonlySet<string>,
  ): Promise<CheckResult> {
    const { bench } = this.options;
    if (!(await this.revive())) {
      // Places that are lost one by one are gone at some check that has nothing to do with it.
      const count = `connection ${bench.links.opened} of the run`;
      this.book.down = `it stopped answering after ${check.id}, at ${count}`;
      const message = `the accessory stopped answering after this, at ${count}, and does not come back: --restart CMD would tell whether this stimulus does it, or the number of connections (${first.message})`;
      return { ...first, status: 'error', reason: 'unreachable', message };
    }
    // It had not come to its stimulus: what was below it is to blame.
    if (first.reason === 'dependency') return first;
    bench.broken.delete(check.id);
    // A step that met nobody is not broken by that; whether it dies of this is what the repeat tells.
    if (broken !== undefined)
      for (const id of [...bench.broken.keys()])
        if (!broken.has(id)) {
          bench.broken.delete(id);
          bench.learned.metOnTheWay.delete(id);
        }
    if (bench.learned.deadly === check.id) bench.learned.deadly = undefined;
    const again = await runCheck(check, bench, this.environment);
    if (again.died) {
      if (!(await this.revive())) this.book.down = `it stopped answering after ${check.id}`;
      const seen =
        first.message === NO_LONGER ? 'no sign of life' : first.message.replace(`; ${NO_LONGER}`, '');
      const message = `the accessory stops answering after this, each time: ${seen}`;
      return { ...again, status: 'fail', reason: 'forbidden', message, attempts: 2 };
    }
    // Restarted it had room for one more, or none of what led to the end: the check is red all the same.
    if (again.status === 'fail' || again.reason === 'should') return { ...again, attempts: 2 };
    const message = `the accessory stopped answering once, and not when this was repeated: ${first.message}`;
    return { ...again, status: 'error', reason: 'flaky', message, attempts: 2 };
  }

  /** Waits for the accessory to come back, after a restart when there is a hook for it. */
  private async revive(): Promise<boolean> {
    const { bench } = this.options;
    try {
      if (bench.options.hooks?.restart !== undefined) await bench.restart();
      const deadline = bench.clock.now() + bench.options.patience.answer;
      for (;;) {
        bench.learned.answeredAfresh = false;
        if (await signOfLife(bench)) break;
        if (bench.clock.now() >= deadline || this.over) return false;
        await bench.clock.sleep(500);
      }
    } catch (error) {
      if (error instanceof HookFailed) return false;
      throw error;
    }
    // What was under way is gone: who is paired has to be found out.
    if (bench.state !== 'foreign') bench.state = 'unknown';
    return true;
  }

  /**
   * What was skipped because something below it is broken, and nothing is red for that: a defect that only housekeeping
   * has met, and that its own check did not, or was not asked to, see. A run may not be green over it.
   */
  private orphans(): void {
    const isRed = (needed: string): boolean =>
      this.plan.some(({ entry }) => {
        if (entry.id !== needed && entry.requirement.id !== needed) return false;
        const result = this.book.get(entry.id);
        return result?.status === 'fail' || result?.status === 'error' || result?.reason === 'should';
      });
    for (const { entry } of this.plan) {
      const result = this.book.get(entry.id);
      const { failedStep } = result ?? {};
      if (result?.reason !== 'dependency' || failedStep === undefined || isRed(failedStep)) continue;
      const message = `${result.message}; met on the way, and no check of this run is red for it`;
      this.book.record({ ...result, status: 'error', reason: 'setup', message });
    }
  }

  private skipped(
    entry: Case,
    reason: 'blocked' | 'not-bought' | 'not-applicable' | 'dependency' | 'expected',
    message: string,
    leftOut: boolean,
  ): CheckResult {
    return { ...this.book.blank(entry), status: 'skip', reason, message, ...(leftOut && { leftOut }) };
  }

  private failed(entry: Case, reason: 'setup', message: string): CheckResult {
    return { ...this.book.blank(entry), status: 'error', reason, message };
  }

  /** Leaves the accessory as it was found. */
  async restore(): Promise<void> {
    await this.closingFlow();
    this.orphans();
    const { bench } = this.options;
    const mark = bench.trace.mark();
    // Whoever ends the process meanwhile must not be told that all is well.
    this.aftermath = {
      clean: false,
      message:
        'NOT AS FOUND, or not known to be: the run ended before the accessory was left as it was found. Its keys are kept: the next run or "hapspec unpair" goes on',
    };
    this.aftermath = await bench.restore(this.foundAs, this.keptIdentity);
    if (!this.aftermath.clean) this.tell('state-left', mark);
  }

  /**
   * The plain flow once more when it worked at the start: an accessory that some stimulus broke for good must not
   * leave the run green. A pairing that a check has just made counts as its first half.
   */
  private async closingFlow(): Promise<void> {
    const { bench } = this.options;
    const sanity = this.plan.filter(({ entry }) => entry.kind === 'check' && entry.spec.sanity);
    const worked = sanity.every(({ entry }) => this.book.get(entry.id)?.status === 'pass');
    const more = this.plan.some(({ entry }) => entry.kind === 'check' && !entry.spec.sanity);
    if (sanity.length < 5 || !worked || !more || this.over || this.book.down !== undefined) return;
    const last = sanity.at(-1)!.entry;
    const mark = bench.trace.mark();
    try {
      const controller = bench.controller('closing flow');
      if (bench.state !== 'ours') {
        await bench.ensure('unpaired');
        await controller.pair();
      }
      const session = await controller.session();
      const outcome = await session.get(bench.profile.resource);
      if (!answered(200).matches(outcome)) throw new StepFailed('PV-M3-01', describeOutcome(outcome));
    } catch (error) {
      const expected = error instanceof StepFailed || error instanceof Blocked || error instanceof HookFailed;
      if (!expected && !(error instanceof Unreachable)) throw error;
      const message = `the plain flow worked at the start and does not at the end: ${error.message}`;
      this.book.extra.push({
        ...this.book.blank(last),
        id: 'sanity/last',
        title: 'The plain flow works at the end as it did at the start',
        chapter: 'sanity.last',
        status: 'error',
        reason: 'setup',
        message,
        failure: failure(last, this.options, [], message, bench.trace.since(mark)),
      });
    }
    await bench.closeLinks();
  }

  price(): Price {
    const { bench } = this.options;
    return {
      ...bench.spent,
      accessoryMs: Math.round(bench.spent.accessoryMs),
      wallMs: Math.round(bench.clock.now() - this.start),
    };
  }

  /** The results as they were seen, before known deviations are taken into account. */
  get seen(): readonly CheckResult[] {
    return this.book.seen;
  }

  /** What was seen of an entry that has run, before known deviations are taken into account. */
  resultOf(entry: Case): CheckResult {
    return this.book.get(entry.id) ?? this.book.notRun(entry);
  }

  /** What was found beside the results. */
  get extra(): readonly CheckResult[] {
    return this.book.extra;
  }

  /** What is known of the accessory. */
  get facts(): RunFacts {
    const { bench } = this.options;
    const accessory: Record<string, string> = {
      profile: bench.profile.name,
      'found as': this.foundAs === 'ours' ? 'unpaired' : this.foundAs,
    };
    if (bench.accessory !== undefined) {
      accessory['id'] = Buffer.from(bench.accessory.id).toString('latin1');
      accessory['LTPK'] = Buffer.from(bench.accessory.ltpk).toString('hex');
    }
    return { accessory, price: this.price(), aftermath: this.aftermath };
  }

  /** The report as it stands; what has not run is in it as such. */
  report(exit?: RunReport['exit']): RunReport {
    return this.book.report(this.facts, exit);
  }
}
