import { Worker } from 'node:worker_threads';
import type { CheckResult, PartEnd, Performer } from './runner/index.js';
import type { ConformanceOptions } from './wanted.js';

/** What a thread is started with. */
export interface ThreadData {
  readonly target: string;
  readonly options: ConformanceOptions;
  /** Not 0 when the run is over: seen at once, also by a thread that computes. */
  readonly stop: Int32Array;
}

/** What a thread says: a result of the part it runs, or that the part is over. */
export type Said = { readonly result: CheckResult } | { readonly end: PartEnd };

const script = new URL('thread.js', import.meta.url);

/** Performs parts of a run on threads, each part on the first that is free. */
export function threads(lanes: number, work: Omit<ThreadData, 'stop'>): Performer {
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const idle: Worker[] = [];
  const all = new Set<Worker>();
  const start = (): Worker => {
    const worker = new Worker(script, { workerData: { ...work, stop } satisfies ThreadData });
    all.add(worker);
    return worker;
  };
  return {
    lanes,
    perform(part, hear) {
      const worker = idle.pop() ?? start();
      return new Promise((resolve, reject) => {
        const leave = (): void => {
          for (const event of ['message', 'error', 'exit']) worker.removeAllListeners(event);
        };
        worker.on('message', (said: Said) => {
          if ('result' in said) return hear(said.result);
          leave();
          idle.push(worker);
          resolve(said.end);
        });
        worker.on('error', (error) => {
          leave();
          all.delete(worker);
          reject(error instanceof Error ? error : new Error(String(error)));
        });
        worker.on('exit', (code) => {
          leave();
          all.delete(worker);
          reject(new Error(`its thread ended with exit code ${code}`));
        });
        worker.postMessage(part);
      });
    },
    interrupt: () => void Atomics.store(stop, 0, 1),
    async end() {
      await Promise.all([...all].map((worker) => worker.terminate()));
    },
  };
}
