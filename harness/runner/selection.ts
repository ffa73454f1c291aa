import { InputError } from '../protocol/index.js';
import { type Case, type Check, needsOf } from './check.js';
import { glob } from './glob.js';
import type { Level } from './result.js';

/** Which cases of the suite a run takes. */
export interface Selection {
  /** Id globs; none means all. */
  readonly only?: readonly string[];
  readonly skip?: readonly string[];
  readonly levels?: readonly Level[];
}

/** True when the pattern selects the case by its id or by its requirement's id. */
export function matchesPattern(pattern: string, entry: Pick<Case, 'id' | 'requirement'>): boolean {
  const test = glob(pattern);
  return test.test(entry.id) || test.test(entry.requirement.id);
}

/** @throws InputError naming a pattern that selects nothing: a misspelt id must not read as a green run. */
export function select(
  cases: readonly Case[],
  { only = [], skip = [], levels = [] }: Selection,
): readonly Case[] {
  for (const [option, patterns] of [
    ['--only', only],
    ['--skip', skip],
  ] as const)
    for (const pattern of patterns)
      if (!cases.some((entry) => matchesPattern(pattern, entry)))
        throw new InputError(`${option} ${pattern}: no check has such an id; "hapspec list" shows them`);
  const chosen = cases.filter(
    (entry) =>
      (only.length === 0 || only.some((pattern) => matchesPattern(pattern, entry))) &&
      !skip.some((pattern) => matchesPattern(pattern, entry)) &&
      (levels.length === 0 || levels.includes(entry.requirement.level)),
  );
  if (chosen.length === 0)
    throw new InputError('nothing is selected: --only, --skip and --level together leave no check');
  return chosen;
}

/** One of several runs that share a selection: `1` to `count`. */
export interface Shard {
  readonly index: number;
  readonly count: number;
}

/** Reads `I/N`. @throws InputError naming what is wrong with it */
export function parseShard(text: string): Shard {
  const [, index, count] = /^(\d{1,4})\/(\d{1,4})$/.exec(text) ?? [];
  const shard = { index: Number(index), count: Number(count) };
  if (!(shard.index >= 1 && shard.index <= shard.count))
    throw new InputError(`--shard ${text}: expected I/N with I from 1 to N, such as 2/4`);
  return shard;
}

/** How many of so many runs a part takes: the first ones one more where they cannot be shared out evenly. */
export function runsOf(runs: number, { index, count }: Shard): number {
  return Math.floor(runs / count) + (index <= runs % count ? 1 : 0);
}

/** About how long a check takes, in Pair Setups: which are what an accessory computes longest for. */
function priceOf({ spec: { costs = {} } }: Check): number {
  const { m2 = 0, m4 = 0, verifies = 0, seconds = 0 } = costs;
  return 0.1 + m2 + m4 + verifies / 4 + seconds / 2;
}

/**
 * The part of a selection that one of several runs takes: the dearest first, each to whoever has least, so that the same
 * suite is always shared out alike. What others stand on is in every part that needs it, and so are watches. Properties
 * that are hunted with (`--runs`, `--time`) are in all of them: they are shared out by their runs.
 */
export function shardOf(selected: readonly Case[], { index, count }: Shard): readonly Case[] {
  if (count === 1) return selected;
  const checks = selected.filter((entry): entry is Check => entry.kind === 'check');
  const byId = new Map(checks.map((check) => [check.id, check]));
  const loads = Array.from({ length: count }, () => 0);
  const own = new Set<Case>();
  const hunts = checks.filter(({ spec }) => spec.property?.asked === true);
  for (const check of hunts) own.add(check);
  const order = checks
    .filter((check) => !own.has(check))
    .map((check) => ({ check, price: priceOf(check) }))
    .sort((a, b) => b.price - a.price || (a.check.id < b.check.id ? -1 : 1));
  for (const { check, price } of order) {
    const lightest = loads.indexOf(Math.min(...loads));
    loads[lightest]! += price;
    if (lightest === index - 1) own.add(check);
  }
  const add = (check: Check): void => {
    for (const id of needsOf(check)) {
      const base = byId.get(id);
      if (base === undefined || own.has(base)) continue;
      own.add(base);
      add(base);
    }
  };
  for (const check of checks) if (own.has(check) || check.spec.sanity === true) add(check);
  for (const check of checks) if (check.spec.sanity === true) own.add(check);
  return selected.filter((entry) => entry.kind === 'watch' || own.has(entry));
}
