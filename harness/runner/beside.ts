import { type Case, type Check, needsOf } from './check.js';

/** A session that is open all through it, and silent, has to stay what it is, and takes nothing from it. */
function goesOnBeside({ spec }: Check): boolean {
  const { from, leaves, costs, needsHook, alone, destructive, ifAccepted, sanity } = spec;
  if (from !== 'paired' || leaves === 'unpaired' || (costs?.m6 ?? 0) > 0) return false;
  return (
    needsHook === undefined && ifAccepted === undefined && ![alone, destructive, sanity].some((flag) => flag)
  );
}

/**
 * Puts the checks that judge what has waited beside others behind the longest stretch of those, and behind what they
 * need. `phaseOf`: what must not come before what else.
 */
export function placedBeside(checks: readonly Check[], phaseOf: (check: Check) => number): readonly Check[] {
  const waiting = checks.filter(({ spec }) => spec.beside !== undefined);
  if (waiting.length === 0) return checks;
  const others = checks.filter((check) => !waiting.includes(check));
  const needed = new Set(waiting.flatMap((check) => needsOf(check)));
  const phase = Math.max(...waiting.map(phaseOf));
  const behind = Math.max(
    others.findLastIndex(({ id }) => needed.has(id)) + 1,
    others.findIndex((check) => phaseOf(check) >= phase),
  );
  let best = { end: behind, length: 0 };
  let length = 0;
  for (const [at, check] of others.entries()) {
    length = goesOnBeside(check) ? length + 1 : 0;
    if (at >= behind && length > best.length) best = { end: at + 1, length };
  }
  return [...others.slice(0, best.end), ...waiting, ...others.slice(best.end)];
}

/** What a plan has, as far as it matters here. */
interface Planned {
  readonly entry: Case;
  readonly leftOut?: unknown;
}

/** The first of the checks that others wait beside; the one that waits where there are none. */
export function firstBeside<P extends Planned>(plan: readonly P[]): P | undefined {
  const run = plan.filter(({ leftOut }) => leftOut === undefined);
  const isBeside = ({ entry }: Planned): boolean => entry.kind === 'check' && entry.spec.beside !== undefined;
  let first = run.findIndex(isBeside);
  if (first < 0) return undefined;
  for (let before = run[first - 1]; before?.entry.kind === 'check'; before = run[first - 1]) {
    if (!goesOnBeside(before.entry)) break;
    first--;
  }
  return run[first];
}
