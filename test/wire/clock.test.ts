import { expect } from 'chai';
import fc from 'fast-check';
import { VirtualClock, realClock } from '../../harness/wire/index.js';

describe('virtual clock', () => {
  it('jumps to the next deadline when everyone waits', async () => {
    const clock = new VirtualClock();
    const started = performance.now();
    await Promise.all([clock.sleep(10_000), clock.sleep(30_000), clock.sleep(20_000)]);
    expect(clock.now()).to.equal(30_000);
    // A clock that really waited would take as long; a busy machine does not take half a minute.
    expect(performance.now() - started, 'real milliseconds').to.be.below(clock.now());
  });

  it('does not move while someone still works', async () => {
    const clock = new VirtualClock();
    let fired = false;
    clock.at(5, () => (fired = true));
    for (let i = 0; i < 1000; i++) await Promise.resolve();
    expect([fired, clock.now()]).to.deep.equal([false, 0]);
    await clock.sleep(10);
    expect([fired, clock.now()]).to.deep.equal([true, 10]);
  });

  it('lets what a deadline starts finish before the next deadline comes', async () => {
    const clock = new VirtualClock();
    const seen: string[] = [];
    clock.at(1, () => {
      void (async () => {
        for (let i = 0; i < 50; i++) await Promise.resolve();
        seen.push(`worked until ${clock.now()}`);
      })();
    });
    clock.at(2, () => seen.push('second'));
    await clock.sleep(3);
    expect(seen).to.deep.equal(['worked until 1', 'second']);
  });

  it('keeps the order of equal times, and of times in the past', async () => {
    const clock = new VirtualClock();
    const seen: string[] = [];
    await clock.sleep(5);
    for (const [name, time] of [
      ['a', 7],
      ['b', 5],
      ['c', 7],
      ['d', 0],
      ['e', 5],
    ] as const)
      clock.at(time, () => seen.push(`${name}@${clock.now()}`));
    await clock.sleep(10);
    expect(seen).to.deep.equal(['b@5', 'd@5', 'e@5', 'a@7', 'c@7']);
  });

  it('forgets what is cancelled, also from inside another deadline', async () => {
    const clock = new VirtualClock();
    const seen: string[] = [];
    const cancelFirst = clock.at(1, () => seen.push('first'));
    cancelFirst();
    cancelFirst();
    const cancelLate = clock.at(3, () => seen.push('late'));
    clock.at(2, () => {
      seen.push('second');
      cancelLate();
    });
    await clock.sleep(4);
    expect(seen).to.deep.equal(['second']);
    expect(clock.now()).to.equal(4);
  });

  it('does not move to a cancelled deadline', async () => {
    const clock = new VirtualClock();
    clock.at(1_000, () => undefined)();
    await new Promise((resolve) => setImmediate(resolve));
    expect(clock.now()).to.equal(0);
  });

  it('fires in order of time for any times and cancellations', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat(20), fc.boolean()), { maxLength: 15 }), async (plan) => {
        const clock = new VirtualClock();
        const seen: [number, number][] = [];
        const cancels = plan.map(([time], index) => clock.at(time, () => seen.push([time, index])));
        plan.forEach(([, cancelled], index) => cancelled && cancels[index]!());
        await clock.sleep(21);
        const expected = plan
          .map(([time, cancelled], index) => ({ time, cancelled, index }))
          .filter(({ cancelled }) => !cancelled)
          .sort((a, b) => a.time - b.time || a.index - b.index);
        expect(seen).to.deep.equal(expected.map(({ time, index }) => [time, index]));
      }),
      { numRuns: 50 },
    );
  });
});

describe('real clock', () => {
  it('waits, and can be cancelled', async () => {
    const seen: string[] = [];
    const started = realClock.now();
    realClock.at(started + 5, () => seen.push('cancelled'))();
    realClock.at(started + 5, () => seen.push('fired'));
    realClock.at(started - 100, () => seen.push('past'));
    await realClock.sleep(30);
    expect(seen).to.deep.equal(['past', 'fired']);
    expect(realClock.now() - started).to.be.at.least(25);
  });

  it('does not fire far deadlines at once', async () => {
    let fired = false;
    const cancel = realClock.at(realClock.now() + 2 ** 40, () => (fired = true));
    await realClock.sleep(10);
    cancel();
    expect(fired).to.equal(false);
  });
});
