import { type Case, type Check, type CheckSpec, type Watch, needsOf } from './check.js';
import { InputError } from '../protocol/index.js';
import type { Topic } from '../target/index.js';

/** What the run may do to the accessory beyond talking to it. */
export interface Capabilities {
  readonly reset: boolean;
  readonly restart: boolean;
  /** The user allows checks that can lock the accessory or change its identity. */
  readonly destructive: boolean;
  /** What the user says the accessory can do. What it announces is not known yet, and its price comes on top. */
  readonly declares?: readonly string[];
  /** Name of the profile; what makes no sense under it is left out. */
  readonly profile?: string;
  /** In memory, where only arithmetic takes time: what takes seconds of it is left out. */
  readonly quick?: boolean;
}

/** What the run may ask of the accessory before it has to be reset. */
export interface Budget {
  /** What is left of `--attempts` after what the ledger holds. */
  readonly attempts: number;
  /** Exchanges: M2s, M4s and Pair Verifies. A microcontroller needs seconds for the first two, and some count every M3. */
  readonly exchanges: { readonly m2: number; readonly m4: number; readonly verifies: number };
  /** M2s that one check may take; what is rare comes once in 256 of them. */
  readonly m2OfOne?: number;
  /** Seconds that may go by in waiting; they cost nothing in virtual time. */
  readonly seconds: number;
}

/** The exchanges that go with a number of failed attempts: with the usual 30, some ten minutes of a slow device. */
export function exchangesFor(attempts: number): Budget['exchanges'] {
  return { m2: 3 * attempts, m4: 2 * attempts, verifies: 12 * attempts };
}

/** An accessory that comes to M2 and to M4 within so many milliseconds is asked whatever its attempts allow. */
export const QUICK = 500;

/** What an accessory that is quick is asked: the whole suite is over in minutes, but for the check that takes 256 M2s. */
export const quickExchanges: Pick<Budget, 'exchanges' | 'm2OfOne'> = {
  exchanges: { m2: Infinity, m4: Infinity, verifies: Infinity },
  m2OfOne: 100,
};

/** The waiting that goes with a number of failed attempts: with the usual 30, half a minute. */
export function secondsFor(attempts: number): number {
  return attempts;
}

/** One entry of the plan, in the order of execution. */
export interface PlanEntry {
  readonly entry: Case;
  /** False for a stimulus that runs only because a selected watch needs its messages. */
  readonly reported: boolean;
  /** Why the plan leaves it out, with what would enable it. */
  readonly leftOut?: {
    readonly reason: 'blocked' | 'not-bought' | 'not-applicable';
    readonly message: string;
  };
}

/** What the plan asks of a healthy accessory. */
export interface Estimate {
  readonly m2: number;
  readonly m4: number;
  readonly m6: number;
  readonly verifies: number;
  readonly attempts: number;
  /** Waiting that is part of stimuli, in seconds. */
  readonly seconds: number;
}

export interface Plan {
  readonly entries: readonly PlanEntry[];
  readonly estimate: Estimate;
}

/** The steps of the plain flow. */
const flow = ['PS-M1-01', 'PS-M3-01', 'PS-M5-01', 'PV-M1-01', 'PV-M3-01'] as const;

/** The checks that bring a topic about when no selected check does, the one that matters most first. */
export const producers: Readonly<Record<Topic, readonly string[]>> = {
  'setup-m2': ['PS-M1-01'],
  'setup-m4': ['PS-M3-01'],
  'setup-m6': ['PS-M5-01'],
  authentication: ['PS-M1-11'],
  'verify-m2': ['PV-M1-01'],
  'verify-m4': ['PV-M3-01'],
  frame: ['PV-M3-01'],
  secured: ['PV-M3-01'],
  pairings: ['PAIRINGS-01'],
  readable: flow,
  message: flow,
  admission: ['PS-M1-01', 'PV-M1-01'],
  // The last one brings an error reply along.
  'pairing-reply': [...flow, 'PS-M1-13/plain'],
  'error-reply': [...flow, 'PS-M1-13/plain', 'PS-M3-04', 'PS-M5-06/tag-bit', 'PV-M3-02'],
};

/**
 * Sanity first; then all that shares the one pairing; then what needs none (what pairs again last); then what only a
 * reset could undo, and what is meant to lock the accessory.
 */
function phase({ spec }: Check): number {
  if (spec.sanity) return 0;
  if (spec.destructive) return spec.from === 'locked' ? 5 : 6;
  // What comes back from a reset is another accessory: nothing that went before may depend on it.
  if (spec.ifAccepted === 'reset' || spec.needsHook === 'reset') return 4;
  if (spec.from === 'paired') return 1;
  return spec.leaves === 'paired' ? 3 : 2;
}

/**
 * In what order checks are bought: the steps everything stands on, then silent security holes, then by level; and a
 * second variant of a requirement only when each has had its first. `place` counts the variants before this one.
 */
function value(check: Check, place: number): number {
  if (check.spec.sanity) return 0;
  const { level, silent_security } = check.requirement;
  const rank = (level === 'MUST' ? 2 : level === 'SHOULD' ? 4 : 6) - (silent_security ? 1 : 0);
  // Many runs of what single checks have looked at already: bought last.
  if (check.spec.property !== undefined) return 30 + rank;
  return 10 * Math.min(place, 2) + rank;
}

/**
 * How far the checks that others need stand from those that need nothing, by id: the lower, the earlier one runs. Those
 * that nobody needs have none.
 * @throws InputError when two need each other.
 */
export function ranksOf(checks: readonly Check[]): ReadonlyMap<string, number> {
  const known = new Map(checks.map((check) => [check.id, check]));
  const ranks = new Map<string, number>();
  const rankOf = (id: string, way: readonly string[]): number => {
    if (way.includes(id))
      throw new InputError(`suite: ${[...way, id].join(' needs ')}: neither can be first`);
    const check = known.get(id);
    const needs = (check === undefined ? [] : needsOf(check)).filter((need) => known.has(need));
    const rank = ranks.get(id) ?? 1 + Math.max(-1, ...needs.map((need) => rankOf(need, [...way, id])));
    ranks.set(id, rank);
    return rank;
  };
  for (const check of checks)
    for (const need of needsOf(check)) if (known.has(need)) rankOf(need, [check.id]);
  return ranks;
}

/**
 * What a suite has to be beside what each of its chapters is: each check that is needed is there, and can come before
 * those that need it; where accessories may differ each check lists what they may do.
 * @throws InputError naming the first that is not so.
 */
export function verifySuite(suite: readonly Case[]): void {
  const checks = suite.filter((entry): entry is Check => entry.kind === 'check');
  const ids = new Set(suite.map(({ id }) => id));
  // Steps of flows and watches know requirements as broken that have no check of that very id.
  const requirements = new Set(suite.map(({ requirement }) => requirement.id));
  ranksOf(checks);
  for (const check of checks) {
    const { id, spec, requirement } = check;
    // Nothing follows from the level there: an outcome that is not listed is a violation.
    if (requirement.level === 'VARIES' && (spec.allow ?? []).length === 0)
      throw new InputError(`suite: ${id} is at VARIES and lists nothing an accessory may do`);
    for (const need of needsOf(check))
      if (!ids.has(need) && !requirements.has(need))
        throw new InputError(`suite: ${id} needs ${need}, which is no check`);
  }
}

/** What a check asks of the accessory: nothing when it is about something the user has not named. */
function costsOf({ about, costs = {} }: CheckSpec, can: Capabilities): NonNullable<CheckSpec['costs']> {
  return about === undefined || can.declares?.includes(about) === true ? costs : {};
}

/** Pair Verifies that a check costs beside its own: one M1 asks whether a risky stimulus did harm. */
function signsOfLife({ risky, costs }: CheckSpec): number {
  return risky && (costs?.m2 ?? 0) < 2 ? 1 : 0;
}

function blockedBy(spec: CheckSpec, can: Capabilities): string | undefined {
  if (spec.destructive && !can.destructive)
    return 'it can lock the accessory: --destructive and --reset CMD would enable it';
  if (spec.destructive && !can.reset) return 'it can lock the accessory: --reset CMD would enable it';
  if (spec.ifAccepted === 'reset' && !can.reset)
    return 'only a factory reset could undo it if the accessory accepts it: --reset CMD would enable it';
  if (spec.needsHook === 'restart' && !can.restart) return '--restart CMD would enable it';
  if (spec.needsHook === 'reset' && !can.reset) return '--reset CMD would enable it';
  return undefined;
}

/** Orders the selected cases, leaves out what the budget or the capabilities do not allow, and adds up the price. */
export function makePlan(
  suite: readonly Case[],
  selected: readonly Case[],
  can: Capabilities,
  budget: Budget,
  /** Checks that go first among those of their phase, whether or not they are selected: others stand on them. */
  before: readonly Check[] = [],
): Plan {
  const watches = selected.filter((entry): entry is Watch => entry.kind === 'watch');
  const wanted = new Set(watches.flatMap((watch) => producers[watch.topic]));
  const checks = suite.filter(
    (entry): entry is Check =>
      entry.kind === 'check' && (selected.includes(entry) || wanted.has(entry.id) || before.includes(entry)),
  );
  const leftOut = new Map<string, NonNullable<PlanEntry['leftOut']>>();
  for (const { id, notFor } of [...checks, ...watches]) {
    const message = can.profile === undefined ? undefined : notFor[can.profile];
    if (message !== undefined) leftOut.set(id, { reason: 'not-applicable', message });
  }
  const left = { attempts: budget.attempts, ...budget.exchanges, seconds: budget.seconds };
  const places = new Map<string, number>();
  const offers = checks.map((check) => {
    const place = places.get(check.requirement.id) ?? 0;
    places.set(check.requirement.id, place + 1);
    return { check, value: value(check, place) };
  });
  for (const { check } of offers.sort((a, b) => a.value - b.value)) {
    if (leftOut.has(check.id)) continue;
    const blocked = blockedBy(check.spec, can);
    if (blocked !== undefined) {
      leftOut.set(check.id, { reason: 'blocked', message: blocked });
      continue;
    }
    const { m2 = 0, seconds = 0 } = check.spec.costs ?? {};
    const { property } = check.spec;
    if (can.quick && property === undefined && (m2 >= 100 || seconds >= 300)) {
      leftOut.set(check.id, {
        reason: 'not-bought',
        message: 'it takes seconds of arithmetic in memory: --destructive would buy it',
      });
      continue;
    }
    // With a reset hook a full ledger is emptied on the way, and the whole suite is wanted.
    if (can.reset) continue;
    if (m2 > (budget.m2OfOne ?? Infinity) && property === undefined) {
      leftOut.set(check.id, {
        reason: 'not-bought',
        message: `it takes ${m2} M2s: --reset CMD would buy it`,
      });
      continue;
    }
    const price = { attempts: 0, m2: 0, m4: 0, verifies: 0, seconds: 0, ...costsOf(check.spec, can) };
    price.verifies += signsOfLife(check.spec);
    // The plain flow is bought whatever it leaves.
    const short = check.spec.sanity
      ? undefined
      : (Object.keys(left) as (keyof typeof left)[]).find(
          (what) =>
            price[what] > left[what] &&
            price[what] > 0 &&
            // Whoever asks for so many runs knows what they take; an accessory that locks itself is another matter.
            !(property?.asked === true && what !== 'attempts'),
        );
    if (short !== undefined) {
      const words = {
        attempts: 'failed attempts',
        m2: 'M2s',
        m4: 'M4s',
        verifies: 'Pair Verifies',
        seconds: 'seconds of waiting',
      }[short];
      const message = `it costs ${price[short]} of ${Math.max(0, left[short])} ${words} left: ${property === undefined ? '' : '--runs N, '}a higher --attempts or --reset CMD would buy it`;
      leftOut.set(check.id, { reason: 'not-bought', message });
    } else
      for (const what of ['attempts', 'm2', 'm4', 'verifies', 'seconds'] as const) left[what] -= price[what];
  }
  const ranks = ranksOf(checks);
  const byId = new Map(checks.map((check) => [check.id, check]));
  // Nothing comes before what it needs, also where that is asked in another state.
  const phaseOf = (check: Check): number =>
    Math.max(
      phase(check),
      ...(check.spec.sanity ? [] : needsOf(check)).map((id) => {
        const needed = byId.get(id);
        return needed === undefined ? 0 : phaseOf(needed);
      }),
    );
  // The plain flow has an order of its own.
  const rank = (check: Check): number =>
    // What had to wait for another state needs its own again: at the end, so that this is gone through once.
    check.spec.sanity ? 0 : (ranks.get(check.id) ?? checks.length + Number(phaseOf(check) > phase(check)));
  const ordered: readonly Case[] = [
    ...checks.sort((a, b) => phaseOf(a) - phaseOf(b) || rank(a) - rank(b)),
    ...watches,
  ];
  const entries = ordered.map((entry): PlanEntry => {
    const out = leftOut.get(entry.id);
    return { entry, reported: selected.includes(entry), ...(out && { leftOut: out }) };
  });
  return { entries, estimate: estimate(entries, can) };
}

function estimate(entries: readonly PlanEntry[], can: Capabilities): Estimate {
  const total = { m2: 1, m4: 0, m6: 0, verifies: 0, attempts: 0, seconds: 0 };
  let paired = false;
  let locked = false;
  for (const { entry, leftOut } of entries) {
    if (entry.kind === 'watch' || leftOut !== undefined) continue;
    const { from, leaves } = entry.spec;
    const costs = costsOf(entry.spec, can);
    total.verifies += signsOfLife(entry.spec);
    // The way from one state to the other: a whole Pair Setup, or a session that removes its own pairing, and the Pair
    // Verify that makes sure of it.
    if (from === 'paired' && !paired) for (const key of ['m2', 'm4', 'm6'] as const) total[key]++;
    if (from === 'unpaired' && paired) total.verifies += 2;
    if (from === 'locked' && !locked) {
      // A hundred guesses, and the M1 that is told so.
      for (const key of ['m2', 'm4', 'attempts'] as const) total[key] += 100;
      total.m2++;
      locked = true;
    }
    paired =
      leaves === 'paired' || (from === 'paired' && leaves !== 'unpaired') || (from === 'any' && paired);
    for (const key of ['m2', 'm4', 'm6', 'verifies', 'attempts', 'seconds'] as const)
      total[key] += costs[key] ?? 0;
  }
  // The plain flow at the end, and the way out.
  const sanity = entries.filter(({ entry }) => entry.kind === 'check' && entry.spec.sanity).length;
  if (sanity === 5) {
    if (!paired) for (const key of ['m2', 'm4', 'm6'] as const) total[key]++;
    total.verifies++;
    paired = true;
  }
  if (paired) total.verifies += 2;
  // What had to be refused is known to be in nowhere when M1 is served.
  if (total.m6 > 0) total.m2++;
  return total;
}
