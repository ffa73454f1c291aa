/** Results already computed, by the name of the operation and all its inputs; undefined while memoising is off. */
let results: Map<string, unknown> | undefined;

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
  if (!results.has(name)) results.set(name, compute());
  return results.get(name) as T;
}
