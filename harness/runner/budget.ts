import { type Bench, type ClonedDevice, ownPairings } from '../device/index.js';
import type { Book } from './book.js';
import type { Case, Check } from './check.js';
import {
  type Asked,
  type Capabilities,
  type Estimate,
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

/** Failed attempts a run may spend between resets unless told otherwise; accessories lock after 100. */
export const DEFAULT_ATTEMPTS = 30;
/** The same where none are counted: as many as the suite makes. */
const UNCOUNTED_ATTEMPTS = 10_000;

export interface BudgetOptions {
  readonly bench: Bench;
  /** The whole suite: producers of messages for watches are taken from it when they are not selected. */
  readonly suite: readonly Case[];
  readonly selected: readonly Case[];
  /** Failed attempts the run may spend between resets (`--attempts`). */
  readonly attempts?: number;
  /** Checks that can lock the accessory are allowed (`--destructive`). */
  readonly destructive?: boolean;
  /** Checks that run first, unreported, for what they show to the selected ones: their own part of the run has them. */
  readonly before?: readonly Check[];
}

/** What can be asked of a clone, by what is known of the old device. */
function whatIsKnown(clone: ClonedDevice): NonNullable<Capabilities['clone']> {
  const can = (who: 'anybody' | 'admin' | 'user'): boolean => ownPairings(clone, who).length > 0;
  return {
    anybody: can('anybody'),
    admin: can('admin'),
    user: can('user'),
    old: clone.old !== undefined,
    users: clone.controllers.filter(({ admin }) => !admin).length,
  };
}

/** What a run may ask of the accessory: what it plans to, and what it can afford beyond that as it goes. */
export class Budget {
  readonly entries: readonly PlanEntry[];
  /** What the plan asks of a healthy accessory. */
  readonly estimate: Estimate;
  /** What is asked of one that turns out to be quick, in the same order. */
  readonly quickPlan: Plan;
  /** Failed attempts the run may spend between resets. */
  readonly limit: number;
  /** Which of the two plans it is; known when the plain flow has shown it, and not changed then. */
  private quick: boolean | undefined;
  /** The usual plan, and what is left of its budget. */
  private readonly usualPlan: Plan;
  /** What was taken of it by checks that got the failed attempts of others. */
  private readonly taken = { m2: 0, m4: 0, verifies: 0, seconds: 0 };
  private readonly bench: Bench;

  constructor(options: BudgetOptions) {
    const { selected, suite, bench } = options;
    const { hooks } = bench.options;
    this.bench = bench;
    const given = options.attempts ?? DEFAULT_ATTEMPTS;
    this.limit = bench.profile.countsAttempts ? given : (options.attempts ?? UNCOUNTED_ATTEMPTS);
    const can = {
      reset: hooks?.reset !== undefined,
      restart: hooks?.restart !== undefined,
      destructive: options.destructive ?? false,
      profile: bench.profile.name,
      ...(bench.options.declares && { declares: bench.options.declares }),
      ...(bench.options.clone && { clone: whatIsKnown(bench.options.clone) }),
      quick: bench.clock.virtual && !(options.destructive ?? false),
    };
    const budget = {
      attempts: this.limit - bench.tally.attempts,
      exchanges: exchangesFor(given),
      // In virtual time a minute of silence is over at once.
      seconds: bench.vigil.inFull ? Infinity : secondsFor(given),
    };
    this.usualPlan = makePlan(suite, selected, can, budget, options.before);
    this.entries = this.usualPlan.entries;
    this.estimate = this.usualPlan.estimate;
    this.quickPlan = makePlan(suite, selected, can, { ...budget, ...quickExchanges }, options.before);
  }

  /** The plan that is in force behind the plain flow. */
  get inForce(): readonly PlanEntry[] {
    this.quick ??= this.bench.tally.isQuick(QUICK);
    return this.quick ? this.quickPlan.entries : this.entries;
  }

  /** Whether so many failed attempts more can be spent before a reset. */
  affords(attempts: number): boolean {
    return this.bench.tally.attempts + attempts <= this.limit;
  }

  /** What the plan leaves this out for, as far as the accessory's pace is known. */
  leftOut({ entry, leftOut }: PlanEntry, book: Pick<Book, 'get'>): PlanEntry['leftOut'] {
    // The plain flow comes first in either, and shows how long an M2 and an M4 take.
    if (entry.kind === 'check' && entry.spec.sanity) return leftOut;
    this.quick ??= this.bench.tally.isQuick(QUICK);
    const plan = this.quick ? this.quickPlan : this.usualPlan;
    const out = this.quick ? plan.entries.find((other) => other.entry === entry)?.leftOut : leftOut;
    const offer = plan.short.find(({ check }) => check === entry);
    if (out === undefined || offer === undefined) return out;
    const message = this.lacking(offer, plan, book);
    return message === undefined ? undefined : { reason: 'not-bought', message };
  }

  /**
   * Takes for a check that was left out for want of failed attempts what others turned out not to spend: beside what is
   * still to come, and what is worth more.
   * @returns what there is too little of, when that does not do.
   */
  private lacking(
    { check, price }: Offer,
    { entries, short, left }: Plan,
    book: Pick<Book, 'get'>,
  ): string | undefined {
    const toCome = (entry: Case): boolean => book.get(entry.id) === undefined;
    const kinds = ['m2', 'm4', 'verifies', 'seconds'] as const;
    const dear = (asked: Asked): (typeof kinds)[number] | undefined =>
      kinds.find((kind) => asked[kind] > 0 && asked[kind] + this.taken[kind] > left[kind]);
    let attempts = this.limit - this.bench.tally.attempts;
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
}
