import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { expect } from 'chai';
import type { FlowRange, FlowsDone } from './flows.js';

const slow = process.env['HAPSPEC_SLOW'] === '1';
/** Each flow draws five SRP values; 2,000 take two minutes of a core, so 120 are the everyday measure. */
const FLOWS = slow ? 2_000 : 120;

function worker(range: FlowRange): Promise<FlowsDone> {
  return new Promise((resolve, reject) => {
    const thread = new Worker(new URL('./flows.js', import.meta.url), { workerData: range });
    thread.once('message', resolve);
    thread.once('error', reject);
    thread.once('exit', (code) => reject(new Error(`the worker ended with ${code} and without a message`)));
  });
}

describe('suites: no failure by chance', () => {
  it(`${FLOWS} whole flows with seeds 1 to ${FLOWS} succeed, none with a finding${slow ? '' : ' (HAPSPEC_SLOW=1 takes 2,000)'}`, async () => {
    const threads = Math.max(1, Math.min(4, availableParallelism()));
    const share = Math.ceil(FLOWS / threads);
    const ranges = Array.from({ length: threads }, (_, i) => ({
      from: i * share + 1,
      to: Math.min(FLOWS, (i + 1) * share),
    }));
    const done = await Promise.all(ranges.map(worker));
    expect(done.flatMap(({ failures }) => failures)).to.deep.equal([]);
    expect(done.reduce((sum, { flows }) => sum + flows, 0)).to.equal(FLOWS);
  }).timeout(600_000);
});
