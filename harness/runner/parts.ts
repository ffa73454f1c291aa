import { Book, type RunFacts, type RunHead } from './book.js';
import { type Case, type Check, needsOf } from './check.js';
import { addedPrices, addedTimings, ranks, worstOf } from './merge.js';
import type { Estimate, PlanEntry, PlanHead } from './plan.js';
import type { CheckResult, RunReport } from './result.js';

/**
 * A part of a run against an embedded accessory: what is selected of some chapters. Each part has an accessory of its own,
 * so its results depend on no other part, and parts may run in any order and at the same time.
 */
export interface Part {
  /** The checks it reports. */
  readonly checks: readonly Check[];
  /** What these stand on and other parts report: run first here as well, so that a broken step is known as such. */
  readonly before: readonly Check[];
}

/**
 * Checks a part has at the least: each pays for the plain flow at its start and its end, and for what its checks stand on,
 * a third of a second and more.
 */
const CHECKS_A_PART = 150;

/**
 * The chapters of a selection, in its order; neighbours share a part until it is worth one. Properties, many runs each,
 * have one of their own; where more runs or time are asked for, one for each of their chapters.
 */
export function partsOf(selected: readonly Case[]): readonly Part[] {
  const checks = selected.filter((entry): entry is Check => entry.kind === 'check');
  const byId = new Map(checks.map((check) => [check.id, check]));
  const sanity = checks.filter(({ spec }) => spec.sanity);
  const chapters = new Map<string, Check[]>();
  for (const check of checks) chapters.set(check.chapter, [...(chapters.get(check.chapter) ?? []), check]);
  const groups: Check[][] = [];
  let open: Check[] | undefined;
  let properties: Check[] | undefined;
  for (const chapter of chapters.values()) {
    const property = chapter.find(({ spec }) => spec.property !== undefined)?.spec.property;
    if (property?.asked === true) groups.push(chapter);
    else if (property !== undefined) {
      if (properties === undefined) groups.push((properties = []));
      properties.push(...chapter);
    } else {
      if (open === undefined) groups.push((open = []));
      open.push(...chapter);
      if (open.length >= CHECKS_A_PART) open = undefined;
    }
  }
  return groups.map((own) => {
    const before = new Set(sanity);
    const add = (own: Check): void => {
      for (const check of needsOf(own).map((id) => byId.get(id)))
        if (check !== undefined && !before.has(check)) {
          before.add(check);
          add(check);
        }
    };
    own.forEach(add);
    return { checks: own, before: [...before].filter((check) => !own.includes(check)) };
  });
}

/** What a part has to say when it is over, beside the results of its checks. */
export interface PartEnd {
  readonly facts: RunFacts;
  /** What each selected watch saw in this part. */
  readonly watches: readonly CheckResult[];
  readonly extra: readonly CheckResult[];
}

/** Who runs parts: this thread, or others. */
export interface Performer {
  /** How many parts run at the same time. */
  readonly lanes: number;
  /**
   * Runs one part; `hear` gets each result when it is there, and watches as soon as they are violated, without secrets.
   * @throws Error when whoever runs it dies.
   */
  perform(part: number, hear: (result: CheckResult) => void): Promise<PartEnd>;
  /** No further check starts. */
  interrupt(): void;
  end(): Promise<void>;
}

/** The worst first: what one part saw, the run has seen. */
/** Estimates of several plans, each of an accessory of its own. */
function addedEstimates(plans: readonly PlanHead[]): Estimate {
  const sum = (of: keyof Estimate): number => plans.reduce((total, { estimate }) => total + estimate[of], 0);
  return {
    m2: sum('m2'),
    m4: sum('m4'),
    m6: sum('m6'),
    verifies: sum('verifies'),
    attempts: sum('attempts'),
    seconds: sum('seconds'),
  };
}

/** What executes and reports a run, whether on one accessory or in parts. */
export interface Execution {
  /** What is run, in order. */
  readonly plan: readonly PlanEntry[];
  /** What the plan asks of a healthy accessory. */
  readonly estimate: Estimate;
  /** What is asked of one that turns out to be quick, in the same order. */
  readonly quickPlan: PlanHead;
  readonly seed: string;
  readonly strict: boolean;
  /** No further check starts. */
  readonly over: boolean;
  /** The results as they were seen, before known deviations are taken into account. */
  readonly seen: readonly CheckResult[];
  /** Runs one entry of the plan and returns its result. */
  runEntry(planned: PlanEntry): Promise<CheckResult>;
  /** No further check starts; those left are reported as not run. */
  interrupt(): void;
  /** Records an error outside any check: the run ends, exit 4. */
  harnessFailed(error: unknown): void;
  /** Nothing answers: no check can run. */
  unreachable(why: string): void;
  /** The report as it stands; what has not run is in it as such. */
  report(exit?: RunReport['exit']): RunReport;
}

/** A run in parts: the same as one run to whoever executes and reports it. */
export class PartedRun implements Execution {
  readonly plan: readonly PlanEntry[];
  readonly estimate: Estimate;
  /** An embedded accessory is asked everything anyway. */
  readonly quickPlan: PlanHead;
  private readonly book: Book;
  private readonly awaited = new Map<string, (result: CheckResult) => void>();
  private readonly arriving = new Map<string, Promise<CheckResult>>();
  private readonly ends: (PartEnd | undefined)[];
  private work: Promise<void> | undefined;

  constructor(
    private readonly head: RunHead,
    private readonly parts: readonly Part[],
    /** The plan of each part. */
    private readonly plans: readonly PlanHead[],
    private readonly performer: Performer,
    /** Told of a watch when a part first sees it violated. */
    private readonly violated?: (result: CheckResult) => void,
  ) {
    const entries = plans.map((plan) => plan.entries.filter(({ reported }) => reported));
    const checks = entries.flatMap((part) => part.filter(({ entry }) => entry.kind === 'check'));
    const watches = (entries[0] ?? []).filter(({ entry }) => entry.kind === 'watch');
    this.plan = [...checks, ...watches];
    this.estimate = addedEstimates(plans);
    this.quickPlan = { entries: this.plan, estimate: this.estimate };
    this.book = new Book(head, this.plan);
    this.ends = parts.map(() => undefined);
    for (const { entry } of this.plan)
      this.arriving.set(entry.id, new Promise((resolve) => this.awaited.set(entry.id, resolve)));
  }

  get seed(): string {
    return this.head.seed;
  }

  get strict(): boolean {
    return this.head.strict;
  }

  get over(): boolean {
    return this.book.over;
  }

  interrupt(): void {
    this.book.interrupted = true;
    this.performer.interrupt();
  }

  harnessFailed(error: unknown): void {
    this.book.harnessFailed(error);
    this.performer.interrupt();
  }

  unreachable(why: string): void {
    this.book.down = why;
  }

  /** The result of one entry of the plan; the first that is asked for starts the work on all. */
  async runEntry({ entry }: PlanEntry): Promise<CheckResult> {
    this.work ??= this.start();
    return this.book.excused(await this.arriving.get(entry.id)!);
  }

  private hear(result: CheckResult): void {
    this.book.record(result);
    this.awaited.get(result.id)?.(result);
  }

  /**
   * What is violated in one part is so in the run, whatever the others see: it is in every report from now on. Watches
   * see all parts, and a step that went wrong in one may have been fine in that which reports it.
   */
  private hearEarly(result: CheckResult): void {
    const known = this.book.get(result.id);
    if (known === undefined || ranks.indexOf(result.status) < ranks.indexOf(known.status)) {
      this.book.record(result);
      if (result.kind === 'watch') this.violated?.(this.book.excused(result));
    }
    if (result.kind === 'check') this.awaited.get(result.id)?.(this.book.get(result.id)!);
  }

  private async start(): Promise<void> {
    const waiting = this.parts.map((_, index) => index);
    // Side by side the longest go first, so that no core is left with one of them at the end.
    if (this.performer.lanes > 1) waiting.sort((a, b) => this.weight(b) - this.weight(a));
    const lane = async (): Promise<void> => {
      for (let index = waiting.shift(); index !== undefined; index = waiting.shift())
        if (!this.over) await this.performPart(index);
    };
    await Promise.all(Array.from({ length: this.performer.lanes }, lane));
    for (const { entry } of this.plan) {
      if (entry.kind !== 'watch') continue;
      const seen = this.ends.flatMap((end) => end?.watches.filter(({ id }) => id === entry.id) ?? []);
      if (seen.length > 0) this.hear(worstOf(seen));
    }
    // One line says that the plain flow no longer works; the first chapter behind which it did not is named in it.
    this.book.extra.push(...this.ends.flatMap((end) => end?.extra ?? []).slice(0, 1));
    for (const { entry } of this.plan)
      this.awaited.get(entry.id)!(this.book.get(entry.id) ?? this.book.notRun(entry));
  }

  /** What a part takes, roughly: an M4 as long as six Pair Verifies. */
  private weight(index: number): number {
    const { m2, m4, verifies } = this.plans[index]!.estimate;
    return m2 + 6 * m4 + verifies + this.parts[index]!.checks.length;
  }

  private async performPart(index: number): Promise<void> {
    try {
      this.ends[index] = await this.performer.perform(index, (result) => this.hearEarly(result));
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      for (const check of this.parts[index]!.checks)
        if (this.book.get(check.id) === undefined)
          this.hear({
            ...this.book.blank(check),
            status: 'error',
            reason: 'harness',
            message: `not run: the thread that had ${check.chapter} has died (${why})`,
          });
    }
  }

  /** Waits for what is under way; each part leaves its accessory as it was found. */
  async end(): Promise<void> {
    await this.work;
    await this.performer.end();
  }

  get seen(): readonly CheckResult[] {
    return this.book.seen;
  }

  private get facts(): RunFacts {
    const ended = this.ends.flatMap((end) => (end === undefined ? [] : [end.facts]));
    const left = ended.find(({ aftermath }) => !aftermath.clean) ?? ended[0];
    return {
      accessory: ended[0]?.accessory ?? {},
      price: addedPrices(ended.map(({ price }) => price)),
      timing: addedTimings(ended.map(({ timing }) => timing)),
      aftermath: left?.aftermath ?? { clean: true, message: 'the accessory was not touched' },
    };
  }

  report(exit?: RunReport['exit']): RunReport {
    return this.book.report(this.facts, exit);
  }
}
