import type { Topic } from '../device/index.js';
import { InputError } from '../protocol/index.js';
import { placedBeside } from './beside.js';
import { type Case, type Check, type CheckSpec, type Watch, needsOf } from './check.js';

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
  /** The accessory is said to be a clone: whose secret keys are there, and whether the old device is up. */
  readonly clone?: {
    readonly anybody: boolean;
    readonly admin: boolean;
    readonly user: boolean;
    readonly old: boolean;
    /** Plain users in the snapshot, with a secret key or without. */
    readonly users: number;
  };
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
  return { m2: Math.ceil(3.06 * attempts), m4: Math.ceil(2.2 * attempts), verifies: 12 * attempts };
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

/** What a check would take of the budget. */
export type Asked = Readonly<Record<'attempts' | 'm2' | 'm4' | 'verifies' | 'seconds', number>>;

/** A check that was left out for want of failed attempts alone. */
export interface Offer {
  readonly check: Check;
  readonly price: Asked;
}

/** What is run, in order, and what it asks of a healthy accessory. */
export interface PlanHead {
  readonly entries: readonly PlanEntry[];
  readonly estimate: Estimate;
}

export interface Plan extends PlanHead {
  /** What may be had for attempts that others turn out not to spend, the most valuable first. */
  readonly short: readonly Offer[];
  /** What nobody has bought. */
  readonly left: Asked;
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
  announced: ['MDNS-01', 'MDNS-03/paired', 'MDNS-03/last-admin'],
  // The last one brings an error reply along.
  'pairing-reply': [...flow, 'PS-M1-13/plain'],
  'error-reply': [...flow, 'PS-M1-13/plain', 'PS-M3-04', 'PS-M5-06/tag-bit', 'PV-M3-02'],
};

/**
 * Sanity first; then all that shares the one pairing; then what needs none (what pairs again last); then what only a
 * reset could undo, and what is meant to lock the accessory.
 */
const phases = {
  sanity: 0,
  paired: 1,
  unpaired: 2,
  pairs: 3,
  pairedLate: 4,
  reset: 40,
  locked: 50,
  locks: 60,
};
/** From the phases of one tier to those of the next. */
const TIER = 10;

function phase({ spec }: Check): number {
  if (spec.sanity) return phases.sanity;
  if (spec.destructive) return spec.from === 'locked' ? phases.locked : phases.locks;
  // What comes back from a reset is another accessory: nothing that went before may depend on it.
  if (spec.ifAccepted === 'reset' || spec.needsHook === 'reset') return phases.reset;
  if (spec.from === 'paired') return phases.paired;
  return spec.leaves === 'paired' ? phases.pairs : phases.unpaired;
}

/**
 * What is lost least when the accessory dies of it, and nobody can start it again: 2. Before that what any controller
 * does: 1; and first of all what would be a hole that no controller notices: 0.
 */
function tierOf({ spec, requirement }: Check): number {
  if (spec.hazard !== undefined) return 2;
  if (spec.property !== undefined) return 1;
  return requirement.silent_security ? 0 : 1;
}

/** Of the checks of one tier those come last that differ most from what any controller sends. */
function oddity({ spec, requirement }: Check): number {
  if (spec.property !== undefined) return 3;
  if (requirement.silent_security) return 0;
  return spec.risky === true ? 2 : 1;
}

/**
 * In what order checks are bought: the steps everything stands on; then the first attack of each requirement whose
 * violation nobody would notice; then what honest controllers meet now and then; then the first of the others by level;
 * then what takes longest of them (`spare`); then further attacks; and variants only when each requirement has had its
 * first. `place` counts the variants before this one.
 */
function value({ spec, requirement }: Check, place: number): number {
  if (spec.sanity) return 0;
  const { level, silent_security } = requirement;
  const weight = ['MUST', 'SHOULD', 'VARIES'].indexOf(level);
  const rank = 1 + (silent_security ? 0 : spec.worth === 'everyday' ? 3 : 4) + weight;
  // Many runs of what single checks have looked at already: bought last.
  if (spec.property !== undefined) return 40 + rank;
  if (spec.worth === 'spare') return 8;
  if (place > 0 && spec.worth === 'attack') return spec.hazard === undefined ? 10 : rank;
  return 20 * Math.min(place, 1) + Math.min(place, 2) + rank;
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

/** Number by number; of two that begin alike the shorter is the smaller. */
function compare(a: readonly number[], b: readonly number[]): number {
  const i = a.findIndex((number, at) => number !== b[at]);
  if (i < 0) return a.length - b.length;
  return (a[i] ?? 0) - (b[i] ?? 0);
}

/**
 * When a check has its turn: in what state of the accessory, and, of one that cannot be started again, behind what would
 * be lost if it were to die of it. Nothing comes before what it needs: this is drawn forward with what needs it, but for
 * what accessories die of.
 */
function phasesOf(checks: readonly Check[], can: Capabilities): (check: Check) => number {
  const byId = new Map(checks.map((check) => [check.id, check]));
  const neededBy = (check: Check): readonly Check[] =>
    check.spec.sanity
      ? []
      : needsOf(check).flatMap((id) => {
          const needed = byId.get(id);
          return needed === undefined || needed.spec.sanity ? [] : [needed];
        });
  const tiers = new Map(checks.map((check) => [check, can.restart ? 0 : tierOf(check)]));
  const draw = (check: Check, tier: number): void => {
    if (tiers.get(check) === 2 || tiers.get(check)! < tier) return;
    tiers.set(check, tier);
    for (const needed of neededBy(check)) draw(needed, tier);
  };
  for (const check of checks) draw(check, tiers.get(check)!);
  const known = new Map<Check, number>();
  const phaseOf = (check: Check): number => {
    const own = phase(check);
    const tiered = own > phases.sanity && own < TIER;
    let turn = known.get(check) ?? own + (tiered ? TIER * tiers.get(check)! : 0);
    if (!known.has(check)) {
      for (const needed of neededBy(check)) turn = Math.max(turn, phaseOf(needed));
      // The pairing that was there is gone: it waits for the next.
      if (check.spec.from === 'paired' && tiered && turn % TIER !== own)
        turn += phases.pairedLate - (turn % TIER);
      known.set(check, turn);
    }
    return turn;
  };
  return phaseOf;
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
  const harm = spec.clone === undefined ? 'it can lock the accessory' : 'it ends the pairings of the clone';
  if (spec.destructive && !can.destructive) return `${harm}: --destructive and --reset CMD would enable it`;
  if (spec.destructive && !can.reset) return `${harm}: --reset CMD would enable it`;
  if (spec.ifAccepted === 'reset' && !can.reset)
    return 'only a factory reset could undo it if the accessory accepts it: --reset CMD would enable it';
  if (spec.needsHook === 'restart' && !can.restart) return '--restart CMD would enable it';
  if (spec.needsHook === 'reset' && !can.reset) return '--reset CMD would enable it';
  return undefined;
}

/** Why a check of clones cannot be asked, and what would enable it. */
function cloneLacks({ clone }: CheckSpec, can: Capabilities): PlanEntry['leftOut'] {
  if (clone === undefined) return undefined;
  if (can.clone === undefined)
    return { reason: 'not-applicable', message: 'it is about a clone: --clone-of SNAPSHOT asks it' };
  const { key, old = false } = clone;
  if (key === 'user' && can.clone.users === 0)
    return { reason: 'not-applicable', message: 'no controller of the snapshot is a plain user' };
  if (key !== undefined && !can.clone[key]) {
    const whose = { anybody: 'a controller', admin: 'an admin', user: 'a plain user' }[key];
    return {
      reason: 'blocked',
      message: `the snapshot has no secret key of ${whose}: "hapspec pair OLD" makes the harness an admin before the snapshot is taken, and "hapspec clone export --paired OLD" puts its key in`,
    };
  }
  if (old && !can.clone.old)
    return {
      reason: 'blocked',
      message: 'the old device has to be up as well: --old HOST:PORT would enable it',
    };
  return undefined;
}

const currencies: Readonly<Record<keyof Asked, string>> = {
  attempts: 'failed attempts',
  m2: 'M2s',
  m4: 'M4s',
  verifies: 'Pair Verifies',
  seconds: 'seconds of waiting',
};

/** Why a check is not bought, and what would buy it. */
export function tooDear({ spec }: Check, price: number, left: number, what: keyof Asked): string {
  const more = `${spec.property === undefined ? '' : '--runs N, '}a higher --attempts or --reset CMD would buy it`;
  return `it costs ${price} of ${Math.max(0, left)} ${currencies[what]} left: ${more}`;
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
  for (const { id, spec } of checks) {
    const lacking = cloneLacks(spec, can);
    if (lacking !== undefined && !leftOut.has(id)) leftOut.set(id, lacking);
    const blocked = blockedBy(spec, can);
    if (blocked !== undefined && !leftOut.has(id)) leftOut.set(id, { reason: 'blocked', message: blocked });
  }
  const places = new Map<string, number>();
  const offers = checks.map((check) => {
    const place = places.get(check.requirement.id) ?? 0;
    // What cannot run is not the first of its requirement.
    if (!leftOut.has(check.id)) places.set(check.requirement.id, place + 1);
    return { check, value: value(check, place) };
  });
  const short: Offer[] = [];
  for (const { check } of offers.sort((a, b) => a.value - b.value)) {
    if (leftOut.has(check.id)) continue;
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
    const lacking = check.spec.sanity
      ? undefined
      : (Object.keys(left) as (keyof typeof left)[]).find(
          (what) =>
            price[what] > left[what] &&
            price[what] > 0 &&
            // Whoever asks for so many runs knows what they take; an accessory that locks itself is another matter.
            !(property?.asked === true && what !== 'attempts'),
        );
    if (lacking !== undefined) {
      const message = tooDear(check, price[lacking], left[lacking], lacking);
      leftOut.set(check.id, { reason: 'not-bought', message });
      if (lacking === 'attempts') short.push({ check, price });
    } else
      for (const what of ['attempts', 'm2', 'm4', 'verifies', 'seconds'] as const) left[what] -= price[what];
  }
  const phaseOf = phasesOf(checks, can);
  const ranks = ranksOf(checks);
  const worth = new Map(offers.map((offer) => [offer.check, offer.value]));
  const key = (check: Check): readonly number[] => {
    // The plain flow has an order of its own.
    if (check.spec.sanity) return [phases.sanity];
    const { attempts = 0 } = check.spec.costs ?? {};
    return [
      phaseOf(check),
      // What had to wait for another state needs its own again: at the end, so that this is gone through once.
      Number(phaseOf(check) % TIER !== phase(check) % TIER),
      // In the order in which it is bought: what is not spent goes to the next.
      ...(attempts > 0 && !ranks.has(check.id) ? [Infinity, worth.get(check)!] : []),
      // What others stand on keeps the order of the protocol: flows go wrong where they do first.
      ...(ranks.has(check.id) ? [ranks.get(check.id)!] : [checks.length, oddity(check)]),
    ];
  };
  const keys = new Map(checks.map((check) => [check, key(check)]));
  const ordered: readonly Case[] = [
    ...placedBeside(
      checks.sort((a, b) => compare(keys.get(a)!, keys.get(b)!)),
      phaseOf,
    ),
    ...watches,
  ];
  const entries = ordered.map((entry): PlanEntry => {
    const out = leftOut.get(entry.id);
    return { entry, reported: selected.includes(entry), ...(out && { leftOut: out }) };
  });
  return { entries, estimate: estimate(entries, can), short, left };
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
