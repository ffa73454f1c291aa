import type { Bench } from '../device/index.js';
import { type Identity, equal } from '../protocol/index.js';
import type { TraceEvent } from '../wire/index.js';
import { firstBeside } from './beside.js';
import { Book, type RunFacts, type RunHead } from './book.js';
import { Budget, type BudgetOptions } from './budget.js';
import type { Case, Watch } from './check.js';
import { closingFlow, orphans } from './closing.js';
import type { RunEnvironment } from './execute.js';
import type { Execution } from './parts.js';
import type { Estimate, Plan, PlanEntry } from './plan.js';
import { Repeats } from './repeats.js';
import type { CheckResult, Price, RunReport } from './result.js';
import { WatchState } from './watching.js';

export interface RunOptions extends RunEnvironment, RunHead, BudgetOptions {
  /** Identities `hapspec pair` put into the accessory to stay. */
  readonly kept?: () => readonly Identity[];
  /** Asked whether somebody outside has ended the run. */
  readonly stopped?: () => boolean;
  /** Told of a watch when the first message comes that shows a violation, and of a step that stopped working. */
  readonly violated?: (result: CheckResult) => void;
  /** Gets the wire record of each check when it has run. */
  readonly evidence?: (id: string, events: readonly TraceEvent[]) => void;
}

/** How long (ms) a second device may take to answer the same question. */
const TWINS = 500;

/** A run: its plan, the execution in order, the report. */
export class Run implements Execution {
  private readonly budget: Budget;
  private readonly book: Book;
  private readonly repeats: Repeats;
  private readonly watches: readonly WatchState[];
  private readonly start: number;
  private mark = 0;
  /** Where in the plan waiting beside it begins. */
  private besideOf: { readonly first: Case | undefined } | undefined;
  private foundAs: Bench['state'] = 'unknown';
  /** The pairing `hapspec pair` made, to be made again at the end. */
  private keptIdentity: Identity | undefined;
  private aftermath = { clean: true, message: 'the accessory was not touched' };

  constructor(readonly options: RunOptions) {
    const { selected, bench, expectations } = options;
    this.start = bench.clock.now();
    this.budget = new Budget(options);
    this.book = new Book(options, this.plan);
    this.repeats = new Repeats({
      bench,
      book: this.book,
      budget: this.budget,
      environment: this.environmentOf(options),
      expectations,
      over: () => this.over,
      found: (result) => this.tellEarly(result),
    });
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

  get plan(): readonly PlanEntry[] {
    return this.budget.entries;
  }

  /** What the plan asks of a healthy accessory. */
  get estimate(): Estimate {
    return this.budget.estimate;
  }

  /** What is asked of one that turns out to be quick, in the same order. */
  get quickPlan(): Plan {
    return this.budget.quickPlan;
  }

  /** First contact; takes back what an earlier run left. @throws Unreachable */
  async survey(): Promise<void> {
    const { bench, kept = () => [] } = this.options;
    const mark = bench.trace.mark();
    await bench.survey();
    if (this.watches.some(({ watch }) => watch.topic === 'announced')) {
      await bench.options.announcements?.listen((announced) => bench.emit('announced', announced));
      await this.lookForTwins();
    }
    this.foundAs = bench.state;
    // No check shows how that was found out.
    if (bench.state === 'foreign' || bench.keyring.held.size > 0) this.tell('state-found', mark);
    this.keptIdentity = bench.keyring.recovered.find((identity) =>
      kept().some(({ id }) => equal(id, identity.id)),
    );
  }

  /** Whether another device has the name or the id of this one: what it announces comes a moment behind the answer. */
  private async lookForTwins(): Promise<void> {
    const { bench } = this.options;
    const source = bench.options.announcements;
    if (bench.clock.virtual || (await source?.current()) === undefined) return;
    await bench.clock.sleep(TWINS);
    bench.learned.conflict = (await source?.current())?.conflict;
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

  /** Runs one entry of the plan and returns its result. */
  async runEntry(planned: PlanEntry): Promise<CheckResult> {
    const { entry } = planned;
    const { bench, evidence, before = [] } = this.options;
    const leftOut = this.budget.leftOut(planned, this.book);
    let result: CheckResult;
    if (leftOut !== undefined) result = this.book.skipped(entry, leftOut.reason, leftOut.message, true);
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
      await this.beginVigil(planned);
      this.mark = bench.trace.mark();
      result = await this.repeats.run(entry);
      // Another part of the run has that of what only goes before.
      if (!before.includes(entry)) evidence?.(entry.id, bench.trace.since(this.mark));
    }
    this.book.record(result);
    return this.book.excused(result);
  }

  /** Opens what waits beside the checks from this one on. In virtual time nothing has to. */
  private async beginVigil(planned: PlanEntry): Promise<void> {
    const { bench } = this.options;
    if (bench.vigil.inFull || bench.vigil.begun) return;
    // Which plan it is, is known behind the plain flow.
    if (planned.entry.kind !== 'check' || planned.entry.spec.sanity || this.firstBeside() !== planned.entry)
      return;
    const waiting = this.budget.inForce.flatMap(({ entry, leftOut }) => {
      const open = entry.kind === 'check' && leftOut === undefined ? entry.spec.beside : undefined;
      return open === undefined ? [] : [[entry.id, open] as const];
    });
    const mark = bench.trace.mark();
    const controller = bench.controller('waiting beside the run');
    const opening = waiting.map(
      ([id, open]) =>
        [
          id,
          async () => {
            await bench.ensure('paired');
            return open(controller);
          },
        ] as const,
    );
    await bench.vigil.begin(new Map(opening));
    this.tell('silence-begun', mark);
  }

  private firstBeside(): Case | undefined {
    this.besideOf ??= { first: firstBeside(this.budget.inForce)?.entry };
    return this.besideOf.first;
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

  /** Leaves the accessory as it was found. */
  async restore(): Promise<void> {
    const { bench } = this.options;
    const closing = { ...this.options, book: this.book, entries: this.plan, over: () => this.over };
    await bench.vigil.drop('the run came to its end');
    await closingFlow(closing);
    orphans(closing);
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
    if (bench.learned.conflict !== undefined) accessory['conflict'] = bench.learned.conflict;
    if (bench.accessory !== undefined) {
      accessory['id'] = Buffer.from(bench.accessory.id).toString('latin1');
      accessory['LTPK'] = Buffer.from(bench.accessory.ltpk).toString('hex');
    }
    const timing = Object.fromEntries(bench.tally.timed);
    return { accessory, price: this.price(), timing, aftermath: this.aftermath };
  }

  /** The report as it stands; what has not run is in it as such. */
  report(exit?: RunReport['exit']): RunReport {
    return this.book.report(this.facts, exit);
  }
}
