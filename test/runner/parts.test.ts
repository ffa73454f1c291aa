import { expect } from 'chai';
import { conformance, prepareRun } from '../../harness/conformance.js';
import { junit } from '../../harness/report/index.js';
import { PartedRun, type Performer, type RunReport, partsOf } from '../../harness/runner/index.js';
import { threads } from '../../harness/threads.js';
import type { ConformanceOptions } from '../../harness/wanted.js';
import { suite } from '../../suites/index.js';
import { quickArithmetic } from '../arithmetic.js';

/** The error that `action` ends with. */
async function caught(action: () => unknown): Promise<Error> {
  try {
    await action();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
}

/** JUnit without what a clock says. */
function timeless(report: RunReport): string {
  return junit(report).replace(/ (time|timestamp)="[^"]*"/g, '');
}

/** Two parts, and three where that is what a run on three threads is about. */
const selection = { seed: 3, only: ['PS-M1-*', 'PS-M6-*', 'PV-M1-*', 'PV-M3-*'] };
const more = { seed: 3, only: [...selection.only, 'PV-M2-*', 'PV-STATE-0*', 'PAIRINGS-0*'] };

describe('runs in parts', () => {
  quickArithmetic();

  it('each check is in one part, and what it needs goes before it', () => {
    const parts = partsOf(suite);
    const reported = parts.flatMap(({ checks }) => checks);
    expect(reported).to.have.members(suite.filter(({ kind }) => kind === 'check'));
    expect(new Set(reported).size).to.equal(reported.length);
    for (const { checks, before } of parts) {
      expect(before.filter((check) => checks.includes(check))).to.deep.equal([]);
      const there = new Set([...checks, ...before].map(({ id }) => id));
      const missing = [...checks, ...before]
        .flatMap(({ spec }) => spec.needs ?? [])
        .filter((id) => suite.some((entry) => entry.id === id && entry.kind === 'check') && !there.has(id));
      expect(missing).to.deep.equal([]);
      expect(there).to.include.keys('PS-M1-01', 'PS-M3-01', 'PS-M5-01', 'PV-M1-01', 'PV-M3-01');
    }
  });

  it('a chapter stays whole, and what is selected alone is not followed by what is not', () => {
    const homes = new Map<string, number>();
    partsOf(suite).forEach(({ checks }, part) => {
      for (const { chapter } of checks) {
        expect(homes.get(chapter) ?? part).to.equal(part);
        homes.set(chapter, part);
      }
    });
    const few = suite.filter(({ id }) => id.startsWith('PS-M3-') && id !== 'PS-M3-01');
    expect(partsOf(few).flatMap(({ before }) => before.map(({ id }) => id))).to.not.include('PS-M3-01');
  });

  const cases = [
    { target: 'embedded', several: process.env['HAPSPEC_SLOW'] === '1' ? [2, 3, 5] : [3], wanted: more },
    { target: 'embedded:m6-signature-other-order', several: [2], wanted: selection },
    { target: 'embedded:airplay-receiver', several: [2], wanted: selection },
  ];
  for (const { target, several, wanted } of cases)
    it(`says the same of ${target} on one thread and on ${several.join(' and ')}`, async () => {
      const run = (jobs: number): Promise<RunReport> => conformance(target, { ...wanted, jobs });
      const lanes = several.map((jobs) => {
        const { run: prepared } = prepareRun(target, { ...wanted, jobs });
        return (prepared as unknown as { performer: Performer }).performer.lanes;
      });
      // Otherwise one thread would be compared with itself.
      expect(Math.min(...lanes), 'threads it is shared out to').to.be.greaterThan(1);
      const one = await run(1);
      for (const jobs of several) {
        const other = await run(jobs);
        expect(timeless(other)).to.equal(timeless(one));
        expect(other.exit).to.deep.equal(one.exit);
      }
      expect(one.results.length).to.be.greaterThan(several[0]! * 40 - 40);
      expect(one.exit.code).to.equal(target.endsWith('order') ? 1 : 0);
    });

  it('a watch is red when one part shows the violation, and counts the messages of all', async () => {
    const report = await conformance('embedded:m6-signature-other-order', { ...selection, jobs: 1 });
    const watch = report.results.find(({ id }) => id === 'PS-M6-01');
    expect(watch?.status).to.equal('fail');
    const healthy = await conformance('embedded', { ...selection, jobs: 1 });
    expect(
      Number(healthy.results.find(({ id }) => id === 'PS-M6-01')?.observations['seen']),
    ).to.be.greaterThan(partsOf(suite.filter(({ id }) => /^(PS-M[16]-|PV-M[13]-)/.test(id))).length);
  });
});

/** A run in parts whose parts are performed by `performer`. */
function partedBy(performer: Performer, options: ConformanceOptions = selection): PartedRun {
  const { run } = prepareRun('embedded', options);
  expect(run).to.be.instanceOf(PartedRun);
  // The same run, performed by somebody else.
  return Object.assign(run as PartedRun, { performer });
}

describe('runs in parts: who performs them dies', () => {
  const dying = (which: number): Performer => ({
    lanes: 2,
    perform: async (part, _hear) => {
      if (part === which) throw new Error('out of memory');
      return {
        facts: {
          accessory: {},
          timing: {},
          price: {
            ...{ m2: 0, m4: 0, m6: 0, verifies: 0, attempts: 0, resets: 0 },
            ...{ wallMs: 0, accessoryMs: 0 },
          },
          aftermath: { clean: true, message: '' },
        },
        watches: [],
        extra: [],
      };
    },
    interrupt: () => undefined,
    end: async () => undefined,
  });

  it('its checks are named, and the exit code is 4', async () => {
    const run = partedBy(dying(1));
    for (const entry of run.plan) await run.runEntry(entry);
    await run.end();
    const report = run.report();
    expect(report.exit.code).to.equal(4);
    const named = report.results.filter(({ message }) => message.includes('has died (out of memory)'));
    const part = partsOf(suite.filter(({ id }) => report.results.some((result) => result.id === id)))[1]!;
    expect(named.map(({ id }) => id)).to.have.members(part.checks.map(({ id }) => id));
    expect(named.every(({ status, reason }) => status === 'error' && reason === 'harness')).to.equal(true);
  });

  it('a thread that ends, or cannot start, is a death and no silence', async () => {
    const broken = threads(1, { target: 'embedded:no-such-fault', options: { seed: 1 } });
    const error = await caught(() => broken.perform(0, () => undefined));
    expect(error.message).to.include('no-such-fault');
    await broken.end();
  });

  it('interrupted, what did not run is not run, and the exit code is 5', async () => {
    const { run, end } = prepareRun('embedded', { ...selection, jobs: 2 });
    run.interrupt();
    for (const entry of run.plan) await run.runEntry(entry);
    await end();
    const report = run.report();
    expect(report.exit.code).to.equal(5);
    expect(report.results.every(({ reason }) => reason === 'not-run')).to.equal(true);
  });

  it('a watch that was violated is red in a run that was cut short, on one thread and on two', async () => {
    for (const jobs of [1, 2]) {
      const { run, end } = prepareRun('embedded:m6-signature-other-order', { ...selection, jobs });
      await run.runEntry(run.plan[0]!);
      while (run.report().results.every(({ status }) => status !== 'fail'))
        await new Promise((resolve) => setTimeout(resolve, 5));
      run.interrupt();
      for (const entry of run.plan) await run.runEntry(entry);
      await end();
      const report = run.report();
      expect(report.results.find(({ id }) => id === 'PS-M6-01')?.status).to.equal('fail');
      expect(report.exit.code).to.equal(1);
    }
  });

  it('threads that compute hear of an interruption, and say what they have', async () => {
    const { run, end } = prepareRun('embedded', { ...selection, jobs: 2 });
    const first = await run.runEntry(run.plan[0]!);
    run.interrupt();
    for (const entry of run.plan) await run.runEntry(entry);
    await end();
    const report = run.report();
    expect(first.status).to.equal('pass');
    expect(report.exit.code).to.equal(5);
    expect(report.results.filter(({ reason }) => reason === 'not-run')).to.not.be.empty;
    expect(report.aftermath.clean).to.equal(true);
  });

  it('more threads than one are for embedded accessories', async () => {
    const error = await caught(() => prepareRun('127.0.0.1:1', { code: '031-45-154', jobs: 2 }));
    expect(error.message).to.include('leave --jobs out');
    const none = await caught(() => prepareRun('embedded', { only: ['PS-M1-01'], jobs: 0 }));
    expect(none.message).to.include('jobs: expected an integer from 1');
  });
});
