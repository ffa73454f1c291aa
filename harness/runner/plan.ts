import type { Case, Check, CheckSpec, Watch } from './check.js';
import type { Topic } from '../target/index.js';

/** What the run may do to the accessory beyond talking to it. */
export interface Capabilities {
  readonly reset: boolean;
  readonly restart: boolean;
  /** The user allows checks that can lock the accessory or change its identity. */
  readonly destructive: boolean;
}

/** Failed attempts the run may spend before the accessory has to be reset. */
export interface Budget {
  /** What is left of `--attempts` after what the ledger holds. */
  readonly attempts: number;
}

/** One entry of the plan, in the order of execution. */
export interface PlanEntry {
  readonly entry: Case;
  /** False for a stimulus that runs only because a selected watch needs its messages. */
  readonly reported: boolean;
  /** Why the plan leaves it out, with what would enable it. */
  readonly leftOut?: { readonly reason: 'blocked' | 'not-bought'; readonly message: string };
}

/** What the plan asks of a healthy accessory. */
export interface Estimate {
  readonly m2: number;
  readonly m4: number;
  readonly m6: number;
  readonly verifies: number;
  readonly attempts: number;
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
  'verify-m2': ['PV-M1-01'],
  'verify-m4': ['PV-M3-01'],
  frame: ['PV-M3-01'],
  pairings: ['PAIRINGS-01'],
  // The last one brings an error reply along.
  'pairing-reply': [...flow, 'PS-M1-13/plain'],
};

/**
 * Sanity first; then all that shares the one pairing; then what needs none (what pairs again last); then what only a
 * reset could undo, and what is meant to lock the accessory.
 */
function phase({ spec }: Check): number {
  if (spec.sanity) return 0;
  if (spec.destructive) return 5;
  if (spec.ifAccepted === 'reset') return 4;
  if (spec.from === 'paired') return 1;
  return spec.leaves === 'paired' ? 3 : 2;
}

/** What a failed attempt buys: the steps everything stands on, then silent security holes, then by level. */
function value(check: Check): number {
  if (check.spec.sanity) return 0;
  const { level, silent_security } = check.requirement;
  return (level === 'MUST' ? 2 : level === 'SHOULD' ? 4 : 6) - (silent_security ? 1 : 0);
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
): Plan {
  const watches = selected.filter((entry): entry is Watch => entry.kind === 'watch');
  const wanted = new Set(watches.flatMap((watch) => producers[watch.topic]));
  const checks = suite.filter(
    (entry): entry is Check => entry.kind === 'check' && (selected.includes(entry) || wanted.has(entry.id)),
  );
  const leftOut = new Map<string, NonNullable<PlanEntry['leftOut']>>();
  let attempts = budget.attempts;
  for (const check of [...checks].sort((a, b) => value(a) - value(b))) {
    const blocked = blockedBy(check.spec, can);
    if (blocked !== undefined) {
      leftOut.set(check.id, { reason: 'blocked', message: blocked });
      continue;
    }
    const cost = check.spec.costs?.attempts ?? 0;
    if (cost === 0) continue;
    // With a reset hook a full ledger is emptied on the way.
    if (!can.reset && cost > attempts) {
      const message = `it costs ${cost} of ${Math.max(0, attempts)} failed attempts left: a higher --attempts or --reset CMD would buy it`;
      leftOut.set(check.id, { reason: 'not-bought', message });
    } else attempts -= cost;
  }
  const ordered: readonly Case[] = [...checks.sort((a, b) => phase(a) - phase(b)), ...watches];
  const entries = ordered.map((entry): PlanEntry => {
    const out = leftOut.get(entry.id);
    return { entry, reported: selected.includes(entry), ...(out && { leftOut: out }) };
  });
  return { entries, estimate: estimate(entries) };
}

function estimate(entries: readonly PlanEntry[]): Estimate {
  const total = { m2: 1, m4: 0, m6: 0, verifies: 0, attempts: 0 };
  let paired = false;
  for (const { entry, leftOut } of entries) {
    if (entry.kind === 'watch' || leftOut !== undefined) continue;
    const { costs = {}, from, leaves, risky } = entry.spec;
    // The sign of life asked for afterwards.
    if (risky && (costs.m2 ?? 0) < 2) total.verifies++;
    // The way from one state to the other: a whole Pair Setup, or a session that removes its own pairing.
    if (from === 'paired' && !paired) for (const key of ['m2', 'm4', 'm6'] as const) total[key]++;
    if (from === 'unpaired' && paired) total.verifies++;
    paired =
      leaves === 'paired' || (from === 'paired' && leaves !== 'unpaired') || (from === 'any' && paired);
    for (const key of ['m2', 'm4', 'm6', 'verifies', 'attempts'] as const) total[key] += costs[key] ?? 0;
  }
  // The plain flow at the end, and the way out.
  const sanity = entries.filter(({ entry }) => entry.kind === 'check' && entry.spec.sanity).length;
  if (sanity === 5) {
    if (!paired) for (const key of ['m2', 'm4', 'm6'] as const) total[key]++;
    total.verifies++;
    paired = true;
  }
  if (paired) total.verifies++;
  return total;
}
