import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { HookFailed, launchHook, runHook, waitUntil } from '../../harness/device/hooks.js';

/** True while the process exists and has not ended: one that nobody fetched yet counts as ended. */
function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return true;
  }
}

const gone = (pid: number): Promise<boolean> => waitUntil(() => Promise.resolve(!lives(pid)), 5_000, 10);

/** The failure of a hook. */
async function failure(promise: Promise<unknown>): Promise<HookFailed> {
  try {
    await promise;
  } catch (error) {
    expect(error).to.be.instanceOf(HookFailed);
    return error as HookFailed;
  }
  throw new Error('expected the hook to fail');
}

describe('target: hooks', () => {
  let dir: string;
  const strays: (number | undefined)[] = [];
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'hapspec-hooks-'));
  });
  afterEach(() => {
    for (const pid of strays.splice(0)) if (pid !== undefined && lives(pid)) process.kill(pid, 'SIGKILL');
    rmSync(dir, { recursive: true, force: true });
  });

  /** The process id a command wrote into a file of the test's folder. */
  async function pidIn(name: string): Promise<number> {
    let pid = Number.NaN;
    const read = async (): Promise<boolean> => {
      try {
        pid = Number.parseInt(readFileSync(join(dir, name), 'utf8'), 10);
      } catch {
        // Not written yet.
      }
      return Number.isInteger(pid);
    };
    expect(await waitUntil(read, 5_000, 10), `${name} written`).to.be.true;
    strays.push(pid);
    return pid;
  }

  describe('reset and restart', () => {
    it('run through the shell to their end, output interleaved, variables given', async () => {
      const result = await runHook(
        'reset',
        'echo one; echo two >&2; sleep 0.05; echo "$HAPSPEC_TARGET $HOME" | cat',
        {
          deadline: 10_000,
          env: { HAPSPEC_TARGET: '[::1]:80' },
        },
      );
      expect(result.ok).to.be.true;
      expect(result.output).to.match(/^(one\ntwo|two\none)\n\[::1\]:80 /);
      expect(result.output).to.contain(process.env['HOME'] ?? '');
      expect(result.ms).to.be.within(40, 5_000);
    });

    it('get no input to wait for', async () => {
      expect((await runHook('reset', 'cat', { deadline: 10_000 })).output).to.equal('');
    });

    it('fail with exit code, time and last output', async () => {
      const failed = await failure(
        runHook('reset', 'echo fine; printf "\\033[31mno such\\tplug\\033[0m\\n" >&2; exit 3', {
          deadline: 10_000,
        }),
      );
      expect(failed.message).to.match(
        /^--reset failed: exit code 3 after \d+(\.\d)? s; its last output: (fine no such plug|no such plug fine)$/,
      );
      expect(failed.hook).to.equal('reset');
      expect(failed.output).to.contain('fine\n');
      expect((await failure(runHook('restart', 'exit 1', { deadline: 10_000 }))).message).to.match(
        /^--restart failed: exit code 1 after .* s; it wrote nothing$/,
      );
    });

    it('fail with a signal, an unknown command, one that cannot be executed, no shell', async () => {
      const of = async (command: string, env = {}): Promise<string> =>
        (await failure(runHook('reset', command, { deadline: 10_000, env }))).message;
      expect(await of('kill -SEGV $$')).to.contain('--reset failed: ended by SIGSEGV after');
      expect(await of('hapspec-no-such-command')).to.contain('exit code 127 (command not found)');
      writeFileSync(join(dir, 'plain'), '', { mode: 0o644 });
      expect(await of(join(dir, 'plain'))).to.contain('exit code 126 (not executable)');
      expect(await of('exit 0', { PATH: dir })).to.contain('it cannot be started (spawn sh ENOENT)');
    });

    it('keep the last 16 KiB of a flood, whole characters, in bounded memory', async () => {
      const flood = `"${process.execPath}" -e "process.stdout.write('é'.repeat(600000) + 'end')"`;
      const { output } = await runHook('restart', flood, { deadline: 20_000 });
      expect(Buffer.byteLength(output)).to.be.within(16 * 1024 - 3, 16 * 1024);
      expect(output).to.match(/^é+end$/);
      const failed = await failure(runHook('restart', `${flood}; exit 1`, { deadline: 20_000 }));
      expect(failed.message)
        .to.have.length.below(400)
        .and.match(/… é+end$/);
      const drops = `"${process.execPath}" -e "for (let i = 0; i < 40000; i++) console.log('line ' + i)"`;
      expect((await runHook('restart', drops, { deadline: 20_000 })).output).to.match(
        /line 39998\nline 39999\n$/,
      );
    });

    it('end at the deadline with all they started', async () => {
      const start = performance.now();
      const failed = await failure(
        runHook('reset', `echo waiting; sleep 60 & echo $! > ${dir}/grandchild; wait`, { deadline: 300 }),
      );
      expect(failed.message).to.equal('--reset did not end within 0.3 s; its last output: waiting');
      // Half of what it would last without a deadline.
      expect(performance.now() - start).to.be.within(290, 30_000);
      expect(lives(await pidIn('grandchild'))).to.be.false;
    });

    it('end at the deadline though they ignore SIGTERM, grandchildren too', async () => {
      const start = performance.now();
      const stubborn = `trap '' TERM; (trap '' TERM; echo deep; while :; do sleep 0.05; done) & echo $! > ${dir}/deep; while :; do sleep 0.05; done`;
      const failed = await failure(runHook('restart', stubborn, { deadline: 200 }));
      expect(failed.message).to.equal('--restart did not end within 0.2 s; its last output: deep');
      // They would never end; before that they get three seconds to end in their own way.
      expect(performance.now() - start).to.be.at.least(3_000);
      expect(await gone(await pidIn('deep'))).to.be.true;
    });

    it('do not wait for what they leave in the background, nor end it, nor break its output', async () => {
      const start = performance.now();
      const { output } = await runHook(
        'restart',
        `(while :; do echo alive; sleep 0.02; done) & echo $! > ${dir}/left; echo started`,
        { deadline: 60_000 },
      );
      expect(output).to.contain('started');
      expect(performance.now() - start).to.be.below(30_000);
      const pid = await pidIn('left');
      await sleep(200);
      expect(lives(pid)).to.be.true;
    });

    it('keep no handler', async () => {
      const before = process.listenerCount('exit');
      await runHook('reset', 'true', { deadline: 10_000 });
      await failure(runHook('reset', 'false', { deadline: 10_000 }));
      await failure(runHook('reset', 'sleep 10', { deadline: 50 }));
      await failure(runHook('reset', 'true', { deadline: 10_000, env: { PATH: dir } }));
      expect(process.listenerCount('exit')).to.equal(before);
    });
  });

  describe('launch', () => {
    it('runs until it is stopped', async () => {
      const launched = launchHook(`echo "on $HAPSPEC_TARGET"; echo $$ > ${dir}/shell; sleep 60`, {
        env: { HAPSPEC_TARGET: 'here' },
      });
      const pid = await pidIn('shell');
      expect(await waitUntil(async () => launched.output() === 'on here\n', 5_000, 10)).to.be.true;
      expect(launched.running).to.be.true;
      const start = performance.now();
      await Promise.all([launched.stop(), launched.stop()]);
      expect(performance.now() - start).to.be.below(30_000);
      expect(launched.running).to.be.false;
      expect(await launched.exited).to.deep.equal({ code: null, signal: 'SIGTERM' });
      expect(lives(pid)).to.be.false;
      await launched.stop();
    });

    it('lets it end in its own way', async () => {
      const launched = launchHook(
        `trap 'echo bye; exit 5' TERM; echo $$ > ${dir}/shell; while :; do sleep 0.02; done`,
      );
      await pidIn('shell');
      await launched.stop();
      expect(await launched.exited).to.deep.equal({ code: 5, signal: null });
      // The shell may tell of the sleep that was ended with it, before or after.
      expect(launched.output()).to.match(/^bye$/m);
    });

    it('is forced when it ignores SIGTERM, grandchildren too, also when the shell has ended', async () => {
      const one = launchHook(`trap '' TERM; echo $$ > ${dir}/shell; while :; do sleep 0.05; done`);
      const other = launchHook(
        `(trap '' TERM; while :; do sleep 0.05; done) & echo $! > ${dir}/deep; exit 0`,
      );
      const [shell, deep] = [await pidIn('shell'), await pidIn('deep')];
      expect(await other.exited).to.deep.equal({ code: 0, signal: null });
      expect(lives(deep)).to.be.true;
      const start = performance.now();
      await Promise.all([one.stop(), other.stop()]);
      expect(performance.now() - start).to.be.at.least(2_900);
      expect(await one.exited).to.deep.equal({ code: null, signal: 'SIGKILL' });
      expect(await gone(shell)).to.be.true;
      expect(await gone(deep)).to.be.true;
    });

    it('tells when it ends by itself, and when it never started', async () => {
      const before = process.listenerCount('exit');
      const launched = launchHook('echo no port >&2; exit 9');
      expect(await launched.exited).to.deep.equal({ code: 9, signal: null });
      expect(launched.running).to.be.false;
      await launched.stop();
      expect(launched.output()).to.equal('no port\n');
      const never = launchHook('true', { env: { PATH: dir } });
      expect(await never.exited).to.deep.equal({ code: null, signal: null });
      await never.stop();
      expect(process.listenerCount('exit')).to.equal(before);
    });

    it('keeps the end of a flood', async () => {
      const launched = launchHook(
        `"${process.execPath}" -e "process.stdout.write('x'.repeat(1 << 20) + 'end')"`,
      );
      await launched.exited;
      await launched.stop();
      expect(launched.output())
        .to.have.length(16 * 1024)
        .and.match(/xend$/);
    });

    for (const [how, code] of [
      ['ends', 'process.exit(0)'],
      ['fails', 'throw new Error("as planned")'],
    ] as const)
      it(`ends with the process that launched it, when that ${how}`, async () => {
        const hooks = new URL('../../harness/device/hooks.js', import.meta.url).href;
        const command = `trap '' TERM; echo $$ > ${dir}/shell; while :; do sleep 0.05; done`;
        const script = `
          import { existsSync } from 'node:fs';
          import { launchHook, waitUntil } from ${JSON.stringify(hooks)};
          launchHook(${JSON.stringify(command)});
          await waitUntil(async () => existsSync(${JSON.stringify(join(dir, 'shell'))}), 5000, 10);
          ${code}`;
        const parent: ChildProcess = spawn(process.execPath, ['--input-type=module', '-e', script], {
          stdio: 'ignore',
        });
        strays.push(parent.pid);
        await once(parent, 'exit');
        expect(await gone(await pidIn('shell'))).to.be.true;
      });
  });

  describe('waiting', () => {
    it('asks until the answer is yes', async () => {
      let asked = 0;
      expect(await waitUntil(async () => ++asked === 3, 5_000, 5)).to.be.true;
      expect(asked).to.equal(3);
    });

    it('asks at least once, and gives up at the deadline', async () => {
      let asked = 0;
      expect(await waitUntil(async () => ++asked > 0, 0, 5)).to.be.true;
      const start = performance.now();
      expect(await waitUntil(async () => ++asked < 0, 100, 10)).to.be.false;
      expect(performance.now() - start).to.be.at.least(95);
      expect(asked).to.be.within(2, 30);
      expect(await waitUntil(async () => false, 50, 60_000)).to.be.false;
    });

    it('does not wait for a question without an answer', async () => {
      expect(await waitUntil(() => new Promise(() => undefined), 50, 5)).to.be.false;
    });

    it('passes on what a question throws, unless nobody waits for it any more', async () => {
      const stray: unknown[] = [];
      const onStray = (error: unknown): unknown => stray.push(error);
      process.on('unhandledRejection', onStray);
      try {
        const late = sleep(60).then(() => Promise.reject(new Error('late')));
        expect(await waitUntil(() => late, 20, 5)).to.be.false;
        await sleep(80);
        expect(stray).to.be.empty;
      } finally {
        process.removeListener('unhandledRejection', onStray);
      }
      let caught: unknown;
      await waitUntil(() => Promise.reject(new Error('broken')), 1_000, 5).catch((error: unknown) => {
        caught = error;
      });
      expect(caught).to.have.property('message', 'broken');
    });
  });
});
