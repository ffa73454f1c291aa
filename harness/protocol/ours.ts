import { noble } from './noble.js';
import type { Primitives } from './primitives.js';

/** Of who runs at the moment, the latest last. */
const wanted: Primitives[] = [];

/** What the reference controller computes with: noble, unless somebody wants to be sooner done with the same results. */
export function ours(): Primitives {
  return wanted.at(-1) ?? noble;
}

/**
 * Runs `work` with a controller that computes with `by`. For runs that ask what a suite says about hundreds of twins, and
 * not whether a twin computes rightly: with OpenSSL a controller is ten times as fast, and both ends have one implementation.
 */
export async function computingWith<T>(by: Primitives, work: () => Promise<T>): Promise<T> {
  wanted.push(by);
  try {
    return await work();
  } finally {
    wanted.splice(wanted.lastIndexOf(by), 1);
  }
}
