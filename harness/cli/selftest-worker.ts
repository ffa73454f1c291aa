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

/** One twin; undefined when there is nothing more to do. */
export type Task =
  | {
      /** Of a fault or variant; null for the healthy twin. */
      readonly name: string | null;
      /** What a benign variant touches, where that is known. */
      readonly touched?: readonly string[];
    }
  | undefined;

withoutProxies();
const { seed, full, cascade, hunt } = workerData as Work;
const port = parentPort!;

function work({ name, touched }: NonNullable<Task>): Promise<unknown> {
  const fault = name === null ? undefined : findFault(name);
  if (cascade === true && fault !== undefined) return cascadeRow(suite, fault, { seed });
  if (hunt === undefined || fault === undefined)
    return matrixRow(suite, fault, { seed, full, ...(touched && { touched }) });
  const seeds = Array.from({ length: hunt.seeds }, (_, i) => seed + i);
  return findFaultBy(suite, fault, { seeds, most: hunt.most });
}

port.on('message', (task: Task) => {
  if (task === undefined) port.close();
  // A rejection is an error of the worker: the other side hears of it.
  else void work(task).then((made) => port.postMessage(made));
});
