import type { PlanEntry } from './plan.js';
import type { Duration } from './result.js';

/** Seconds that boards with a slow processor compute for each of what a check asks for, and for anything at all. */
const WORK = { m2: 1.5, m4: 2, verifies: 0.4, check: 0.1 };

/**
 * How long each check of a plan takes, by id, as far as its price tells: a guess to begin with, which the pace of the run corrects.
 * @param options.virtual - time is virtual, and nobody waits for anything
 */
export function durationsOf(
  plan: readonly PlanEntry[],
  { virtual }: { readonly virtual: boolean },
): ReadonlyMap<string, Duration> {
  const durations = new Map<string, Duration>();
  for (const { entry, reported, leftOut } of plan) {
    if (!reported || leftOut !== undefined || entry.kind === 'watch') continue;
    const { m2 = 0, m4 = 0, verifies = 0, seconds = 0 } = entry.spec.costs ?? {};
    const work = WORK.check + WORK.m2 * m2 + WORK.m4 * m4 + WORK.verifies * verifies;
    durations.set(entry.id, { work, waits: virtual ? 0 : seconds });
  }
  return durations;
}
