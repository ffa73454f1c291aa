import { parentPort, workerData } from 'node:worker_threads';
import { suite } from '../../suites/index.js';
import { type Fault, findFault } from '../accessory/index.js';
import { type Signature, signatureOf } from '../diagnosis/index.js';
import {
  type CheckResult,
  cascadeRow,
  findFaultBy,
  matrixRow,
  wholeRun,
  withoutProxies,
} from '../runner/index.js';

/** What workers do: rows of the kill matrix or of the matrix of cascades, signatures, or hunts by properties. Which of them, they are told one by one. */
export interface Work {
  readonly seed: number;
  readonly full: boolean;
  readonly cascade?: boolean;
  /** Seeds of signatures. */
  readonly seeds?: readonly number[];
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
const { seed, full, cascade, seeds: several, hunt } = workerData as Work;
const port = parentPort!;

const ids = new Set(suite.map(({ id }) => id));

async function signed(fault: Fault, seeds: readonly number[]): Promise<Signature> {
  const runs: (readonly CheckResult[])[] = [];
  // What the run itself says at its end is no check: a row has no place for it.
  for (const one of seeds)
    runs.push((await wholeRun(suite, fault, { seed: one })).filter(({ id }) => ids.has(id)));
  return signatureOf(fault, runs);
}

function work({ name, touched }: NonNullable<Task>): Promise<unknown> {
  const fault = name === null ? undefined : findFault(name);
  if (several !== undefined && fault !== undefined) return signed(fault, several);
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
