import { parentPort, workerData } from 'node:worker_threads';
import { suite } from '../../suites/index.js';
import { findFault } from '../accessory/index.js';
import { findFaultBy, matrixRow } from '../runner/index.js';

/** What a worker does: rows of the kill matrix, null standing for the healthy twin, or hunts by properties. */
export interface Work {
  readonly names: readonly (string | null)[];
  readonly seed: number;
  readonly full: boolean;
  /** Runs and seeds of a hunt. */
  readonly hunt?: { readonly most: number; readonly seeds: number };
}

const { names, seed, full, hunt } = workerData as Work;
for (const name of names) {
  const fault = name === null ? undefined : findFault(name);
  if (hunt === undefined || fault === undefined)
    parentPort!.postMessage(await matrixRow(suite, fault, { seed, full }));
  else {
    const seeds = Array.from({ length: hunt.seeds }, (_, i) => seed + i);
    parentPort!.postMessage(await findFaultBy(suite, fault, { seeds, most: hunt.most }));
  }
}
