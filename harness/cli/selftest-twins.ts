import { type Fault, faults, findFault, variants } from '../accessory/index.js';
import { InputError } from '../protocol/index.js';
import { type Shard, glob, shownBy } from '../runner/index.js';

/** A twin of the reference accessory by the name of its fault or variant; null is the healthy one. */
export type TwinName = string | null;

/** Names that one of the globs fits. @throws InputError naming a glob that fits none */
export function namesOf(only: readonly string[], among: readonly Fault[]): readonly string[] {
  const names = among.map(({ name }) => name);
  for (const pattern of only)
    if (!names.some((name) => glob(pattern).test(name)))
      throw new InputError(
        `--only ${pattern}: no fault has such a name; "hapspec accessory --list-faults" lists them`,
      );
  return names.filter((name) => only.some((pattern) => glob(pattern).test(name)));
}

/** Tens of thousands of frames. */
const LONGEST = 'SESS-03';

/** How long a twin takes, roughly, where a fault that meets the checks of what it breaks takes 1. */
export function weightOf(name: TwinName, full: boolean): number {
  const twin = name === null ? undefined : findFault(name);
  if (twin === undefined) return 100;
  if (full) return 30;
  if (twin.breaks.includes(LONGEST)) return 60;
  return twin.breaks.length > 0 ? 1 : shownBy(twin) === undefined ? 20 : 5;
}

/** What the kill matrix has a row of. */
export interface Twins {
  /** In the order of the rows. */
  readonly names: readonly TwinName[];
  /** Of a variant that is only asked what it touches: the twin whose row shows that, which comes before it. */
  readonly shown: ReadonlyMap<TwinName, TwinName>;
}

/** All twins, or those that one of the globs fits. What variants touch is shown by the row of another one: they come last. */
export function twinsOf(full: boolean, only: readonly string[] | undefined): Twins {
  if (only !== undefined) return { names: namesOf(only, [...faults, ...variants]), shown: new Map() };
  const first = variants.filter((variant) => full || shownBy(variant) === undefined);
  const last = variants.filter((variant) => !first.includes(variant));
  return {
    names: [null, ...[...first, ...faults, ...last].map(({ name }) => name)],
    shown: new Map(last.map((variant) => [variant.name, shownBy(variant)!])),
  };
}

/**
 * The twins that one of several parts has rows of: each twin is in one part, and all parts take about as long. The
 * heavy ones go one by one to whoever has least, where a variant brings along the twin that shows what it touches; the
 * many light ones fill up what is left in stretches, since faults of one message meet the same checks.
 */
export function shareOf(
  { names, shown }: Twins,
  { index, count }: Shard,
  weigh: (name: TwinName) => number,
): readonly TwinName[] {
  if (count === 1) return names;
  const loads = Array.from({ length: count }, () => 0);
  const asked = loads.map(() => new Set<TwinName>());
  const share = new Map<TwinName, number>();
  const give = (name: TwinName, part: number, costs: number): void => {
    share.set(name, part);
    asked[part]!.add(name);
    loads[part]! += costs;
  };
  const heavy = names.filter((name) => weigh(name) > 1).sort((a, b) => weigh(b) - weigh(a));
  for (const name of heavy) {
    const by = shown.get(name);
    const costs = asked.map((has) => weigh(name) + (by === undefined || has.has(by) ? 0 : weigh(by)));
    const after = loads.map((load, part) => load + costs[part]!);
    const part = after.indexOf(Math.min(...after));
    give(name, part, costs[part]!);
    if (by !== undefined) asked[part]!.add(by);
  }
  const light = names.filter((name) => !share.has(name));
  const total = [...loads, ...light.map(weigh)].reduce((sum, load) => sum + load, 0);
  let part = 0;
  for (const name of light) {
    while (part < count - 1 && loads[part]! + weigh(name) / 2 > total / count) part++;
    give(name, part, weigh(name));
  }
  return names.filter((name) => share.get(name) === index - 1);
}
