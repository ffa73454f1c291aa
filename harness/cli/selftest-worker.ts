import { parentPort, workerData } from 'node:worker_threads';
import { suite } from '../../suites/index.js';
import { findFault } from '../accessory/index.js';
import { cascadeRow, findFaultBy, matrixRow, withoutProxies } from '../runner/index.js';

/** What workers do: rows of the kill matrix, rows of the matrix of cascades, or hunts by properties. Which of them, they are told one by one. */
export interface Work {
  readonly seed: number;
  readonly full: boolean;
  readonly cascade?: boolean;
  /** Runs and seeds of a hunt. */
  readonly hunt?: { readonly most: number; readonly seeds: number };
}

/** The name of a fault, null for the healthy twin, undefined when there is nothing more to do. */
export type Task = string | null | undefined;

withoutProxies();
const { seed, full, cascade, hunt } = workerData as Work;
const port = parentPort!;

function work(name: string | null): Promise<unknown> {
  const fault = name === null ? undefined : findFault(name);
  if (cascade === true && fault !== undefined) return cascadeRow(suite, fault, { seed });
  if (hunt === undefined || fault === undefined) return matrixRow(suite, fault, { seed, full });
  const seeds = Array.from({ length: hunt.seeds }, (_, i) => seed + i);
  return findFaultBy(suite, fault, { seeds, most: hunt.most });
}

port.on('message', (name: Task) => {
  if (name === undefined) port.close();
  // A rejection is an error of the worker: the other side hears of it.
  else void work(name).then((made) => port.postMessage(made));
});
