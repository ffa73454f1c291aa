import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { type Moment, expectRescued, folder, killAt, list, measure } from '../care/killing.js';
import { CODE, pairable, slow } from '../care/tools.js';
import { type Child, endChildren, start } from '../cli/process.js';

const launcher = fileURLToPath(new URL('hap-nodejs.js', import.meta.url));

describe('peers: SIGKILL of the harness', function () {
  this.timeout(slow ? 600_000 : 120_000);
  after(() => {
    endChildren();
    folder.remove();
  });

  it(`${slow ? 'before and after every write' : 'at every fourth moment'} against hap-nodejs`, async () => {
    const peer: Child = start(launcher, ['0', CODE, folder.fresh()]);
    await peer.said('\n');
    const port = Number(/listening (\d+)/.exec(peer.output())?.[1]);
    const target = `127.0.0.1:${port}`;
    const { moments } = await measure(target);
    // Both halves of the pairs, and behind M5, the write that matters most.
    const sample = slow ? moments : moments.filter((_, i) => i % 8 === 0 || i % 8 === 7);
    const seen: (Moment & { left: string })[] = [];
    for (const moment of sample) {
      const at = `${moment.when} write ${moment.write} (${moment.line})`;
      const state = folder.fresh();
      await killAt(target, state, moment);
      const free = await pairable(port);
      seen.push({ ...moment, left: free ? 'unpaired' : 'left paired' });
      await expectRescued(port, state, seen.length % 2 === 0 ? 'run' : 'unpair', at);
    }
    list('hap-nodejs', seen);
    expect(
      seen.filter((moment) => moment.left === 'left paired').length,
      'moments that leave it paired',
    ).to.be.greaterThan(3);
    peer.process.kill('SIGKILL');
    await peer.ended;
  });
});
