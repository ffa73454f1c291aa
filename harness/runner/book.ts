import type { Case } from './check.js';
import { header, messageOf } from './execute.js';
import { type Expectations, applyExpectations } from './expectations.js';
import type { PlanEntry } from './plan.js';
import type { CheckResult, RunReport } from './result.js';
import { exitOf } from './status.js';
import { traitsOf } from './traits.js';

/** What a report says of the run as a whole, as it was wanted. */
export interface RunHead {
  /** The target as the user wrote it. */
  readonly target: string;
  readonly seed: string;
  readonly strict: boolean;
  readonly version: string;
  readonly command: string;
  readonly shard?: string;
  readonly suite: readonly Case[];
  /** Known deviations of this accessory. */
  readonly expectations?: Expectations;
}

/** What a report says of the accessory, as far as it is known. */
export type RunFacts = Pick<RunReport, 'accessory' | 'price' | 'timing' | 'aftermath'>;

/** What a run has seen so far, why it ends where it does, and the report made of that at any moment. */
export class Book {
  readonly startedAt = new Date().toISOString();
  /** No further check starts; those left are reported as not run. */
  interrupted = false;
  /** Nothing answers any more, and why. */
  down: string | undefined;
  /** Results that belong to no entry of the plan: the plain flow at the end, when it did not work. */
  readonly extra: CheckResult[] = [];
  private harnessError: string | undefined;
  private readonly results = new Map<string, CheckResult>();
  private readonly absent = new Map<string, CheckResult>();
  private readonly reported: readonly Case[];

  constructor(
    private readonly head: RunHead,
    plan: readonly PlanEntry[],
  ) {
    const wanted = new Set(plan.flatMap(({ entry, reported }) => (reported ? [entry] : [])));
    this.reported = head.suite.filter((entry) => wanted.has(entry));
  }

  /** Records an error outside any check: the run ends, exit 4. */
  harnessFailed(error: unknown): void {
    this.harnessError ??= messageOf(error);
  }

  get over(): boolean {
    return this.interrupted || this.harnessError !== undefined;
  }

  record(result: CheckResult): void {
    this.results.set(result.id, result);
  }

  get(id: string): CheckResult | undefined {
    return this.results.get(id);
  }

  /** The result as the known deviations leave it. */
  excused(result: CheckResult): CheckResult {
    const { expectations, suite } = this.head;
    if (expectations === undefined) return result;
    return (
      applyExpectations(expectations, [result], suite, new Date()).find(({ id }) => id === result.id) ??
      result
    );
  }

  blank(entry: Case): Omit<CheckResult, 'status' | 'reason' | 'message'> {
    return {
      ...header(entry),
      failure: undefined,
      observations: {},
      startedAt: this.startedAt,
      durationMs: 0,
    };
  }

  /** It does not run, for that reason; `leftOut` by the plan already. */
  skipped(
    entry: Case,
    reason: 'blocked' | 'not-bought' | 'not-applicable' | 'dependency' | 'expected',
    message: string,
    leftOut: boolean,
  ): CheckResult {
    return { ...this.blank(entry), status: 'skip', reason, message, ...(leftOut && { leftOut }) };
  }

  /** It could not be brought to its point. */
  failed(entry: Case, reason: 'setup', message: string): CheckResult {
    return { ...this.blank(entry), status: 'error', reason, message };
  }

  notRun(entry: Case): CheckResult {
    const message =
      this.harnessError !== undefined
        ? `not run: the harness failed (${this.harnessError})`
        : this.interrupted
          ? 'not run: the run was interrupted'
          : this.down !== undefined
            ? `not run: the accessory cannot be reached (${this.down})`
            : 'not run yet';
    // The same object in each report of a run that goes on: what is written of it is kept by it.
    const known = this.absent.get(entry.id);
    if (known?.message === message) return known;
    const result: CheckResult = { ...this.blank(entry), status: 'error', reason: 'not-run', message };
    this.absent.set(entry.id, result);
    return result;
  }

  /** The results as they were seen, before known deviations are taken into account, in the order of the suite. */
  get seen(): readonly CheckResult[] {
    return this.reported.map((entry) => this.results.get(entry.id) ?? this.notRun(entry));
  }

  /** The report as it stands; what has not run is in it as such. */
  report(facts: RunFacts, exit?: RunReport['exit']): RunReport {
    const { target, seed, strict, command, version, expectations, suite, shard } = this.head;
    const seen = [...this.seen, ...this.extra];
    const results =
      expectations === undefined ? seen : applyExpectations(expectations, seen, suite, new Date());
    return {
      tool: { name: 'hapspec', version },
      target,
      accessory: { ...facts.accessory, ...traitsOf(seen) },
      seed,
      strict,
      command,
      ...(shard !== undefined && { shard }),
      startedAt: this.startedAt,
      results,
      price: facts.price,
      timing: facts.timing,
      aftermath: facts.aftermath,
      exit:
        exit ??
        exitOf({
          results,
          strict,
          interrupted: this.interrupted,
          harnessError: this.harnessError !== undefined,
          clean: facts.aftermath.clean,
        }),
    };
  }
}
