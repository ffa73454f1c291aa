import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { memoiseArithmetic, seededRandom } from '../../harness/protocol/index.js';
import { endChildren, start } from '../cli/process.js';
import { type Moment, type Rescue, expectRescued, flow, folder, killAt, list, measure } from './killing.js';
import { inParallel, reference, slow } from './tools.js';

const WIDTH = 2;
const RANDOM_KILLS = slow ? 200 : 4;
/** Who cleans up, in turn: the commands cost a process each. */
const rescues: readonly Rescue[] = ['here', 'unpair', 'here', 'run'];

describe('care: SIGKILL of the harness', function () {
  this.timeout(600_000);
  before(() => memoiseArithmetic(true));
  after(() => {
    memoiseArithmetic(false);
    endChildren();
    folder.remove();
  });

  it(`${slow ? 'before and after every write' : 'before or after every other write (HAPSPEC_SLOW=1: before and after every one)'} of a plain flow: the next run finds and removes what was left`, async () => {
    const undisturbed = await reference('killed');
    const { moments } = await measure(undisturbed.target);
    await undisturbed.close();
    expect(moments.length, 'moments').to.be.greaterThan(30);
    const seen: (Moment & { left: string })[] = [];
    let left = 0;
    const sample = slow
      ? moments
      : moments.filter(({ write, when }) => write % 2 === 0 && (write % 4 === 0) === (when === 'after'));
    await inParallel(WIDTH, sample, async (moment) => {
      const at = `${moment.when} write ${moment.write} (${moment.line})`;
      const { accessory, port, target, close } = await reference('killed');
      const state = folder.fresh();
      try {
        await killAt(target, state, moment);
        // What the accessory got before the end is still on its way through this very process.
        await sleep(20);
        const count = accessory.pairings.length;
        if (count > 0) left++;
        seen.push({ ...moment, left: `${count} ${count === 1 ? 'pairing' : 'pairings'} left` });
        await expectRescued(port, state, rescues[seen.length % rescues.length]!, at);
        expect(accessory.pairings, `pairings after ${at}`).to.deep.equal([]);
      } finally {
        await close();
      }
    });
    list('reference accessory', seen);
    // Else this would show nothing.
    expect(left, 'moments that leave a pairing behind').to.be.greaterThan(sample.length / 3);
  });

  it(`${RANDOM_KILLS} times at a random millisecond${slow ? '' : ' (HAPSPEC_SLOW=1: 200)'}, every other time the rescue as well: none is lost`, async () => {
    const undisturbed = await reference('killed');
    const { ms } = await measure(undisturbed.target);
    await undisturbed.close();
    const random = seededRandom('random kills');
    const moment = (): number => random.below(Math.ceil(ms));
    const kills = Array.from({ length: RANDOM_KILLS }, (_, i) => ({
      delay: moment(),
      rescueDelay: i % 2 === 0 ? undefined : 250 + moment(),
    }));
    let [left, rescuesKilled] = [0, 0];
    await inParallel(WIDTH, kills, async ({ delay, rescueDelay }) => {
      const at = `a kill ${Math.round(delay)} ms into the run`;
      const { accessory, port, target, close } = await reference('killed');
      const state = folder.fresh();
      try {
        const child = start(flow, [target, state]);
        await child.said('begins');
        await sleep(delay);
        child.process.kill('SIGKILL');
        await child.ended;
        await sleep(20);
        if (accessory.pairings.length > 0) left++;
        if (rescueDelay !== undefined) {
          const rescue = start(flow, [target, state]);
          await sleep(rescueDelay);
          if (rescue.process.kill('SIGKILL')) rescuesKilled++;
          await rescue.ended;
          await sleep(20);
        }
        await expectRescued(port, state, 'unpair', at);
        expect(accessory.pairings, `pairings after ${at}`).to.deep.equal([]);
      } finally {
        await close();
      }
    });
    console.log(
      `random moments: ${RANDOM_KILLS} kills, ${left} with a pairing left, ${rescuesKilled} rescues killed; none lost`,
    );
    // A few moments on a busy machine may all fall beside the pairing; two hundred do not.
    if (RANDOM_KILLS >= 100) expect(left, 'kills that left a pairing').to.be.greaterThan(0);
  });
});
