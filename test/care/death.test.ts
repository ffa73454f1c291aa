import { existsSync, rmSync } from 'node:fs';
import { expect } from 'chai';
import { openState } from '../../harness/device/index.js';
import { TlvType, decodeTlv, memoiseArithmetic, text } from '../../harness/protocol/index.js';
import type { CheckResult, RunReport } from '../../harness/runner/index.js';
import type { ConformanceOptions } from '../../harness/wanted.js';
import { endChildren, hapspec } from '../cli/process.js';
import { slowness } from '../pace.js';
import { isUndeclared, word } from '../runner/bench.js';
import { Mortal } from './mortal.js';
import { CODE, Folder, type Reports, inParallel, pairable, readReports, runHere, slow } from './tools.js';

const folder = new Folder();
/** Long enough for a busy machine, far below a hang. */
const BOUND = 60_000;
const sample = slow ? '' : ' (a few; HAPSPEC_SLOW=1 takes dozens)';
/** These runs wait more than they compute. */
const WIDTH = 3;
/** An answer of an accessory that lives in this process, beside other runs, on a busy machine; a dead one has none. */
const TIMEOUT = 3_000;

/** What the runs that go on behind a death are made of. */
const onward = {
  only: ['PS-M1-*', 'PS-M3-0*', 'PAIRINGS-12', 'PAIRINGS-16', 'PV-M1-01', 'PV-M3-0*'],
  // A property takes as long as ten of the others.
  skip: slow ? [] : ['*/any-*'],
};

interface Outcome {
  readonly code: number | null;
  readonly stderr: string;
  readonly report: RunReport;
  readonly state: string;
  /** Everything that is neither passed nor skipped nor not run. */
  readonly notable: readonly CheckResult[];
}

/** Options of a run beside those all have. */
type Options = Pick<ConformanceOptions, 'only' | 'skip' | 'restart'>;

/** The command as a process of its own. */
async function command(
  { target }: Mortal,
  state: string,
  { only = [], skip = [], restart }: Options,
): Promise<Reports & { readonly code: number | null; readonly stderr: string }> {
  const [junit, json] = [`${state}.xml`, `${state}.json`];
  const { code, stdout, stderr } = await hapspec([
    ...['run', target, '--code', CODE, '--state', state, '--seed', '3', '--timeout', String(TIMEOUT)],
    ...['--junit', junit, '--json', json],
    ...only.flatMap((pattern) => ['--only', pattern]),
    ...skip.flatMap((pattern) => ['--skip', pattern]),
    ...(restart === undefined ? [] : ['--restart', restart]),
  ]);
  const reports = readReports(junit, json);
  expect(reports.report.exit.code, stdout + stderr).to.equal(code);
  return { ...reports, code, stderr };
}

/**
 * A run with both reports, in bounded time; the reports are complete whatever happened. Of each kind one is the command
 * itself, the others run in this process.
 */
async function run(mortal: Mortal, how: 'command' | 'here', options: Options = {}): Promise<Outcome> {
  const state = folder.fresh();
  const start = performance.now();
  const { report, testcases, code, stderr } =
    how === 'command'
      ? await command(mortal, state, options)
      : await runHere(mortal.target, { state, seed: 3, timeout: TIMEOUT, ...options }).then((reports) => ({
          ...reports,
          code: reports.report.exit.code,
          stderr: '',
        }));
  expect(performance.now() - start, 'ms for the whole run').to.be.lessThan(BOUND * slowness());
  expect(testcases, 'JUnit').to.deep.equal(report.results.map(({ id }) => id).sort());
  const notable = report.results.filter(
    ({ status, reason }) => status !== 'pass' && status !== 'skip' && reason !== 'not-run',
  );
  return { code, stderr, report, state, notable };
}

const count = ({ results }: RunReport, what: string): number =>
  results.filter((result) => word(result) === what || (what === 'pass' && result.status === 'pass')).length;

/** How many results are about this accessory at all. */
const applicable = ({ results }: RunReport): number =>
  results.filter((result) => !isUndeclared(result)).length;

/** True for a Pair Setup M3 with a proof of one byte. */
function shortProof(message: Uint8Array): boolean {
  const request = text(message);
  const body = message.subarray(request.indexOf('\r\n\r\n') + 4);
  return request.startsWith('POST /pair-setup') && decodeTlv(body).get(TlvType.Proof)?.length === 1;
}

/**
 * A `--restart` that asks this test to power-cycle the accessory and waits until it has.
 * @returns the command, and what ends the watch.
 */
function restartable(mortal: Mortal): { readonly restart: string; readonly stop: () => number } {
  const file = `${folder.fresh()}.restart`;
  let asked = 0;
  const timer = setInterval(() => {
    if (!existsSync(file)) return;
    asked++;
    rmSync(file);
    void mortal.boot();
  }, 20);
  return {
    restart: `touch '${file}'; while [ -e '${file}' ]; do sleep 0.05; done`,
    stop: () => {
      clearInterval(timer);
      return asked;
    },
  };
}

/** The first is the command: no run of this process may keep the accessory from answering it. */
async function firstAlone(messages: readonly number[], task: (n: number) => Promise<void>): Promise<void> {
  await task(messages[0]!);
  await inParallel(WIDTH, messages.slice(1), task);
}

/** The same accessory for each, so that its arithmetic is remembered. */
async function withMortal(task: (mortal: Mortal) => Promise<void>): Promise<void> {
  const mortal = await Mortal.start('mortal');
  try {
    await task(mortal);
  } finally {
    await mortal.close();
  }
}

describe('care: an accessory that dies', function () {
  this.timeout(600_000);
  before(() => memoiseArithmetic(true));
  after(() => {
    memoiseArithmetic(false);
    endChildren();
    folder.remove();
  });

  it('at the very first message → 3', () =>
    withMortal(async (mortal) => {
      mortal.fatal = () => true;
      const { code, stderr, report } = await run(mortal, 'command');
      expect(code).to.equal(3);
      expect(stderr).to.match(/^hapspec: nothing answered at /);
      expect(count(report, 'error not-run')).to.equal(report.results.length);
    }));

  it(`at some message${sample}, for good: one check is inconclusive, the rest did not run, 5`, async () => {
    const last = slow ? Array.from({ length: 60 }, (_, i) => 2 + 5 * i) : [2, 3, 4, 5, 8, 20, 60, 200];
    const blamed: string[] = [];
    await firstAlone(last, (n) =>
      withMortal(async (mortal) => {
        mortal.fatal = (_, heard) => heard === n;
        const { code, report, notable, state } = await run(mortal, n === last[0] ? 'command' : 'here');
        expect(mortal.deaths, `${n}: deaths`).to.equal(1);
        expect(
          notable.map((result) => `${result.id} ${word(result)}`),
          `message ${n}: ${notable.map(({ id, message }) => `${id} ${message}`).join('; ')}`,
        ).to.have.length(1);
        expect(word(notable[0]!), `message ${n}`).to.equal('error unreachable');
        expect(notable[0]!.message, `message ${n}`).to.match(
          /^the accessory stopped answering after this, at connection \d+ of the run, and does not come back: --restart CMD would tell/,
        );
        expect(code, `message ${n}`).to.equal(5);
        blamed.push(`${n} ${notable[0]!.id}`);
        // What may be in there is said, and its key is kept.
        if (mortal.accessory.pairings.length === 0) return;
        expect(report.aftermath, `message ${n}`).to.include({ clean: false });
        expect(report.aftermath.message, `message ${n}`).to.include('hapspec unpair');
        await mortal.boot();
        const { code: unpaired } = await hapspec(['unpair', mortal.target, '--state', state]);
        expect(unpaired, `unpair after message ${n}`).to.equal(0);
        expect(mortal.accessory.pairings, `pairings after message ${n}`).to.deep.equal([]);
      }),
    );
    console.log(`the accessory died for good at message: ${blamed.join(', ')}`);
  });

  it(`that hangs at some message${sample} and answers nothing more: inconclusive as well, and soon`, async () => {
    const last = slow ? Array.from({ length: 30 }, (_, i) => 2 + 6 * i) : [3, 4, 20, 60];
    await firstAlone(last, (n) =>
      withMortal(async (mortal) => {
        mortal.manner = 'hang';
        mortal.fatal = (_, heard) => heard === n;
        const { code, notable } = await run(mortal, n === last[0] ? 'command' : 'here');
        expect(
          notable.map((result) => `${result.id} ${word(result)}`),
          `message ${n}`,
        ).to.have.length(1);
        expect(word(notable[0]!), `message ${n}`).to.equal('error unreachable');
        expect(code, `message ${n}`).to.equal(5);
      }),
    );
  });

  it(`at some message${sample}, with --restart: that check is flaky, the run goes on, 5`, async () => {
    const last = slow ? Array.from({ length: 40 }, (_, i) => 2 + 3 * i) : [3, 8, 30];
    await firstAlone(last, (n) =>
      withMortal(async (mortal) => {
        mortal.fatal = (_, heard) => heard === n;
        const { restart, stop } = restartable(mortal);
        const { code, report, notable, state } = await run(mortal, n === last[0] ? 'command' : 'here', {
          ...onward,
          restart,
        }).finally(stop);
        expect(stop(), `message ${n}: restarts`).to.equal(1);
        expect(
          notable.map((result) => `${result.id} ${word(result)}`),
          `message ${n}`,
        ).to.have.length(1);
        expect(word(notable[0]!), `message ${n}`).to.equal('error flaky');
        expect(notable[0]!.message).to.match(/^the accessory stopped answering once, and not when/);
        expect(count(report, 'pass'), `message ${n}`).to.equal(applicable(report) - 1);
        expect([code, report.aftermath.clean], `message ${n}`).to.deep.equal([5, true]);
        expect(mortal.accessory.pairings, `message ${n}`).to.deep.equal([]);
        expect(openState(state, mortal.target).identities(), `message ${n}`).to.deep.equal([]);
      }),
    );
  });

  it(`at some message${sample}, and comes back by itself in time: flaky as well, 5`, async () => {
    const last = slow ? [4, 9, 31] : [4, 31];
    await firstAlone(last, (n) =>
      withMortal(async (mortal) => {
        mortal.fatal = (_, heard) => heard === n;
        mortal.revivesAfter = 700;
        const { code, report, notable } = await run(mortal, n === last[0] ? 'command' : 'here', onward);
        expect(notable.map(word), `message ${n}: ${notable[0]?.id}`).to.deep.equal(['error flaky']);
        expect(count(report, 'pass'), `message ${n}`).to.equal(applicable(report) - 1);
        expect([code, report.aftermath.clean], `message ${n}`).to.deep.equal([5, true]);
        expect(mortal.accessory.pairings, `message ${n}`).to.deep.equal([]);
      }),
    );
  });

  it('of one stimulus, each time, with --restart: that check fails, the run goes on, 1', () =>
    withMortal(async (mortal) => {
      mortal.fatal = shortProof;
      const { restart, stop } = restartable(mortal);
      const { code, report, notable } = await run(mortal, 'command', {
        only: ['PS-M3-0*'],
        skip: ['PS-M3-07'],
        restart,
      }).finally(stop);
      expect(notable.map((result) => `${result.id} ${word(result)}`)).to.deep.equal([
        'PS-M3-06/1-bytes fail forbidden',
      ]);
      expect(notable[0]!.message).to.match(/^the accessory stops answering after this, each time: /);
      expect(count(report, 'pass')).to.equal(applicable(report) - 1);
      expect([mortal.deaths, stop()], 'deaths and restarts').to.deep.equal([2, 2]);
      expect([code, report.aftermath.clean]).to.deep.equal([1, true]);
      expect(await pairable(mortal.port)).to.equal(true);
    }));

  it('of Pair Verify while nobody is paired: that check fails, and no other one', () =>
    withMortal(async (mortal) => {
      // One of the field: there is no first entry in the list of pairings, and it is read.
      mortal.fatal = (message) =>
        text(message).startsWith('POST /pair-verify') && mortal.accessory.pairings.length === 0;
      const { restart, stop } = restartable(mortal);
      const { code, report, notable } = await run(mortal, 'here', {
        only: ['PV-M1-04', 'PS-M3-06/*', 'PS-M1-17/*-zero'],
        restart,
      }).finally(stop);
      expect(notable.map((result) => `${result.id} ${word(result)}`)).to.deep.equal([
        'PV-M1-04 fail forbidden',
      ]);
      expect(notable[0]!.message).to.match(/^the accessory stops answering after this, each time: /);
      expect([mortal.deaths, stop()], 'deaths and restarts').to.deep.equal([2, 2]);
      expect([code, report.aftermath.clean]).to.deep.equal([1, true]);
    }));

  it('of one stimulus, without --restart: that check is inconclusive, the rest did not run, 5', () =>
    withMortal(async (mortal) => {
      mortal.fatal = shortProof;
      const { code, report, notable } = await run(mortal, 'here', {
        only: ['PS-M3-0*', 'HTTP-05'],
        skip: ['PS-M3-07'],
      });
      expect(notable.map((result) => `${result.id} ${word(result)}`)).to.deep.equal([
        'PS-M3-06/1-bytes error unreachable',
      ]);
      expect(mortal.deaths).to.equal(1);
      expect(count(report, 'error not-run'), 'not run').to.be.greaterThan(4);
      for (const { reason, message } of report.results)
        if (reason === 'not-run') expect(message).to.include('it stopped answering after PS-M3-06/1-bytes');
      expect(code).to.equal(5);
    }));
});
