import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type { Latency } from '../../harness/accessory/index.js';
import { openState } from '../../harness/device/index.js';
import { seededRandom } from '../../harness/protocol/index.js';
import type { RunReport } from '../../harness/runner/index.js';
import { suite } from '../../suites/index.js';
import { bin, endChildren, hapspec, startHapspec } from '../cli/process.js';
import { slowness } from '../pace.js';
import { CODE, Folder, inParallel, kept, pairable, readReports, reference, slow } from './tools.js';

const MOMENTS = slow ? 25 : 2;
/** So that no run is over before its signal comes. */
const unhurried: Latency = Object.fromEntries(
  (['setup-m2', 'setup-m4', 'setup-m6', 'verify-m2', 'verify-m4'] as const).map((step) => [step, 40]),
);

const folder = new Folder();
const ids = suite.map(({ id }) => id).sort();

describe('care: signals and locks', function () {
  this.timeout(600_000);
  after(() => {
    endChildren();
    folder.remove();
  });

  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    it(`${signal} at ${MOMENTS} random moments of a run${slow ? '' : ' (HAPSPEC_SLOW=1: 25)'} → 5, reports complete, the accessory as it was`, async () => {
      const random = seededRandom(`moments of ${signal}`);
      // One in each part of three seconds.
      const part = Math.floor(3_000 / MOMENTS);
      const moments = Array.from({ length: MOMENTS }, (_, i) => 20 + i * part + random.below(part));
      const passed: number[] = [];
      await inParallel(2, moments, async (delay) => {
        const at = `${signal} after ${delay} ms`;
        const { accessory, port, target, close } = await reference(at, { latency: unhurried });
        const state = folder.fresh();
        const [junit, json] = [`${state}.xml`, `${state}.json`];
        try {
          const child = startHapspec([
            ...['run', target, '--code', CODE, '--state', state, '--timeout', '3000'],
            ...['--junit', junit, '--json', json],
          ]);
          await child.said(target);
          await sleep(delay);
          const start = performance.now();
          child.process.kill(signal);
          const { code, stdout, stderr } = await child.ended;
          expect(code, `${at}\n${stdout}${stderr}`).to.equal(5);
          expect(performance.now() - start, `${at}: ms to the end`).to.be.lessThan(10_000 * slowness());
          expect(stderr, at).to.match(/^hapspec: interrupted: .*\n$/);
          expect(accessory.pairings, `pairings after ${at}`).to.deep.equal([]);
          expect(await pairable(port), `pairable after ${at}`).to.equal(true);
          expect(openState(state, target).identities(), `keys after ${at}`).to.deep.equal([]);
          expect(
            kept(state).filter((name) => !name.endsWith('.ledger.json')),
            `files after ${at}`,
          ).to.deep.equal([]);
          const { report, testcases } = readReports(junit, json);
          expect(testcases, `JUnit after ${at}`).to.deep.equal(ids);
          expect(report.results.map(({ id }) => id).sort(), `JSON after ${at}`).to.deep.equal(ids);
          expect(report.exit.code, at).to.equal(5);
          expect(report.aftermath.clean, at).to.equal(true);
          for (const { id, status, reason, message, leftOut } of report.results) {
            // What is not announced on loopback has nothing to be judged by.
            if (leftOut || (reason === 'not-applicable' && id.startsWith('MDNS-'))) continue;
            const verdict = `${id} after ${at}: ${message}`;
            if (status !== 'pass') expect([status, reason], verdict).to.deep.equal(['error', 'not-run']);
          }
          passed.push(report.results.filter(({ status }) => status === 'pass').length);
        } finally {
          await close();
        }
      });
      console.log(`${signal}: ${passed.toSorted((a, b) => a - b).join(', ')} of ${ids.length} had passed`);
      expect(new Set(passed).size, 'different moments').to.be.greaterThan(1);
    });

  for (const options of [[], ['--watch', '--watch-path', bin]])
    it(`a terminal that is closed ends ${['run', ...options.slice(0, 1)].join(' ')} as a signal does: the accessory is as it was`, async () => {
      const { accessory, target, close } = await reference('hang-up', { latency: unhurried });
      const state = folder.fresh();
      const json = `${state}.json`;
      const words = ['run', target, '--code', CODE, '--state', state, '--json', json, ...options];
      const line = [process.execPath, bin, ...words].map((word) => `'${word}'`).join(' ');
      const terminal = spawn('script', ['-qec', line, '/dev/null'], {
        stdio: ['ignore', 'pipe', 'inherit'],
        env: { ...process.env, TERM: 'dumb' },
      });
      let said = '';
      try {
        await new Promise<void>((resolve, reject) => {
          terminal.once('error', reject).once('close', () => reject(new Error(`it ended: ${said}`)));
          terminal.stdout.setEncoding('utf8').on('data', (text: string) => {
            said += text;
            // Who stands at the tenth check has paired.
            if (/\[10\/\d+\] [A-Z]\S+/.test(said)) resolve();
          });
        });
        terminal.kill('SIGKILL');
        const locked = (): boolean => kept(state).some((name) => name.endsWith('.lock'));
        // A process that is dead unlocks nothing.
        for (let looks = 0; locked() && looks < 400; looks++) await sleep(50);
        expect(locked(), 'locked').to.equal(false);
        expect(accessory.pairings).to.deep.equal([]);
        expect(openState(state, target).identities()).to.deep.equal([]);
        const read = (): RunReport => JSON.parse(readFileSync(json, 'utf8')) as RunReport;
        // The lock goes with the accessory, and the last report is written behind it.
        for (let looks = 0; !read().aftermath.clean && looks < 400; looks++) await sleep(50);
        const report = read();
        expect(report.exit.code).to.equal(5);
        expect(report.aftermath.clean, report.aftermath.message).to.equal(true);
      } finally {
        terminal.kill('SIGKILL');
        await close();
      }
    });

  it('a second SIGINT ends the run at once, and the next run cleans up', async () => {
    // What the run waits for when it is told to end at once.
    const latency = { 'verify-m2': 9_000 };
    const { accessory, port, target, close } = await reference('twice', { latency });
    const state = folder.fresh();
    const [junit, json] = [`${state}.xml`, `${state}.json`];
    try {
      const child = startHapspec([
        ...['run', target, '--code', CODE, '--state', state, '--junit', junit, '--json', json],
      ]);
      await child.said(' PS-M5-01 ');
      await sleep(300);
      child.process.kill('SIGINT');
      await sleep(200);
      expect(child.process.exitCode, 'after the first').to.equal(null);
      const start = performance.now();
      child.process.kill('SIGINT');
      const { code } = await child.ended;
      expect(performance.now() - start, 'ms to the end').to.be.lessThan(latency['verify-m2'] - 1_000);
      latency['verify-m2'] = 0;
      expect(code).to.equal(5);
      expect(accessory.pairings, 'pairings left').to.have.length(1);
      expect(openState(state, target).identities(), 'keys kept').to.have.length(1);
      expect(kept(state).filter((name) => name.endsWith('.lock'))).to.deep.equal([]);
      const { report, testcases } = readReports(junit, json);
      expect(testcases).to.deep.equal(ids);
      expect(report.results).to.have.length(ids.length);

      const next = await hapspec(['run', target, '--state', state, '--only', 'PS-M1-01']);
      expect(next.code, next.stdout + next.stderr).to.equal(0);
      expect(accessory.pairings).to.deep.equal([]);
      expect(await pairable(port)).to.equal(true);
      expect(openState(state, target).identities()).to.deep.equal([]);
    } finally {
      await close();
    }
  });

  it('two runs on one accessory: the second is refused with the pid of the first, which goes on', async () => {
    const { accessory, port, target, close } = await reference('two runs');
    // One is told by the environment, the others by the option: it is the same folder.
    const state = folder.fresh();
    const first = startHapspec(
      [
        ...['run', target, '--code', CODE, '--timeout', '60000'],
        ...['--only', 'PS-M1-01', '--only', 'PAIRINGS-12'],
      ],
      { HAPSPEC_STATE: state },
    );
    try {
      await first.said(' PS-M1-01 ');
      // Held where it is until the others have had their answer.
      first.process.kill('SIGSTOP');
      const lock = kept(state).find((name) => name.endsWith('.lock') && !name.includes('kept'));
      expect(lock, 'the folder of HAPSPEC_STATE').to.not.equal(undefined);
      const commands = [
        ['run', target, '--only', 'PS-M1-01'],
        ['run', `hap://localhost:${port}`, '--only', 'PS-M1-01'],
        ['pair', target, '--code', CODE],
        ['unpair', target],
        ['pairings', target],
      ];
      const seconds = await Promise.all(commands.map((words) => hapspec([...words, '--state', state])));
      first.process.kill('SIGCONT');
      for (const [i, { code, stderr, stdout }] of seconds.entries()) {
        const command = commands[i]!.join(' ');
        expect(code, `${command}\n${stdout}`).to.equal(2);
        expect(stderr, command).to.match(
          /^hapspec: another run \(pid \d+, since \S+\) is using this accessory: wait for it, or delete \S+ if it is not running\n$/,
        );
        expect(stderr, command).to.include(`(pid ${first.process.pid},`);
        expect(stderr, command).to.include(join(state, lock!));
      }
      const ended = await first.ended;
      expect(ended.code, ended.stdout + ended.stderr).to.equal(0);
      expect(accessory.pairings).to.deep.equal([]);
      const later = await hapspec(['run', target, '--only', 'PS-M1-01'], { HAPSPEC_STATE: state });
      expect(later.code, later.stderr).to.equal(0);
    } finally {
      await close();
    }
  });

  it('the lock of a killed run is no hindrance, and names nobody', async () => {
    const { target, close } = await reference('killed lock', { latency: unhurried });
    const state = folder.fresh();
    try {
      const child = startHapspec(['run', target, '--code', CODE, '--state', state]);
      await child.said(' PS-M1-01 ');
      child.process.kill('SIGKILL');
      await child.ended;
      const lock = kept(state).find((name) => name.endsWith('.lock'))!;
      expect(readFileSync(join(state, lock), 'utf8')).to.include(`"pid":${child.process.pid}`);
      const next = await hapspec(['run', target, '--state', state, '--only', 'PS-M1-01']);
      expect([next.code, next.stderr], next.stdout).to.deep.equal([0, '']);
      expect(kept(state).filter((name) => name.endsWith('.lock'))).to.deep.equal([]);
    } finally {
      await close();
    }
  });
});
