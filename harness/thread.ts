import { parentPort, workerData } from 'node:worker_threads';
import { partsFor } from './conformance.js';
import { withoutProxies } from './runner/index.js';
import type { Said, ThreadData } from './threads.js';

withoutProxies();
const { target, options, stop } = workerData as ThreadData;
const perform = partsFor(target, options, () => Atomics.load(stop, 0) !== 0);
const say = (said: Said): void => parentPort!.postMessage(said);

/** Runs the parts it is told to, one at a time. What it does not catch ends the thread, and is told as its death. */
parentPort!.on('message', (part: number) => {
  void perform(part, (result) => say({ result })).then((end) => say({ end }));
});
