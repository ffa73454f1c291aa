import { createHash } from 'node:crypto';

/** Milliseconds of the work below on an idle machine of some years ago. */
const NOMINAL = 60;

/**
 * How many times slower than an idle machine this one is at the moment, at least 1: a fixed piece of work, by the wall
 * clock. Bounds of what has to end are multiples of it, because a machine that does six things at once is no defect.
 */
export function slowness(): number {
  const block = new Uint8Array(1024 * 1024);
  const start = performance.now();
  for (let i = 0; i < 40; i++) createHash('sha512').update(block).digest();
  return Math.max(1, (performance.now() - start) / NOMINAL);
}
