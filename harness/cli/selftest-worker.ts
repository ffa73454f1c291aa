import { parentPort, workerData } from 'node:worker_threads';
import { suite } from '../../suites/index.js';
import { findFault } from '../accessory/index.js';
import { matrixRow } from '../runner/index.js';

/** Makes rows of the kill matrix for the faults it is given; null stands for the healthy twin. */
const { names, seed, full } = workerData as { names: (string | null)[]; seed: number; full: boolean };
for (const name of names)
  parentPort!.postMessage(
    await matrixRow(suite, name === null ? undefined : findFault(name), { seed, full }),
  );
