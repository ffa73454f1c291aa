/** Results already computed, by the name of the operation and all its inputs; undefined while memoising is off. */
let results: Map<string, unknown> | undefined;

/** Results that are remembered at the most, some 100 MB: a hunt may go on for hours. */
const MOST = 50_000;

/**
 * Remembers the results of expensive arithmetic (or stops doing so and forgets them). Runs that repeat the same seeded
 * flows against many twins of one accessory then pay for each operation once; group and curves stay the true ones.
 */
export function memoiseArithmetic(on: boolean): void {
  results = on ? (results ?? new Map()) : undefined;
}

/** True while results are remembered. */
export function memoising(): boolean {
  return results !== undefined;
}

/** The result of `compute`, remembered under `key` while memoising is on. `key` names everything the result depends on. */
export function remembered<T>(key: () => string, compute: () => T): T {
  if (results === undefined) return compute();
  const name = key();
  const known = results.has(name);
  const result = known ? (results.get(name) as T) : compute();
  // Behind all others: the first is the one that was not asked for the longest.
  if (known) results.delete(name);
  results.set(name, result);
  if (results.size > MOST) results.delete(results.keys().next().value!);
  return result;
}
