import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { type Accessory, deliver } from '../../harness/accessory/index.js';
import { benchFor, parseAddress } from '../../harness/device/index.js';
import { parseSetupCode, seededRandom } from '../../harness/protocol/index.js';
import type { CheckResult, RunReport } from '../../harness/runner/index.js';
import { TcpDialer, defaultPatience } from '../../harness/wire/index.js';
import { suite } from '../../suites/index.js';
import { deadPort, endChildren, hapspec, hapspecLine, listen, startHapspec } from '../cli/process.js';
import { isUndeclared, word } from '../runner/bench.js';
import { CODE, Folder, pairable, readReports, reference, slow } from './tools.js';

const bin = fileURLToPath(new URL('../../../bin/hapspec.js', import.meta.url));
const folder = new Folder();

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly report: RunReport;
  readonly words: readonly string[];
}

/** A run of the command with both reports, in a state of its own unless `more` names one. */
async function run(
  target: string,
  more: readonly string[] = [],
  command: typeof hapspec = hapspecLine,
): Promise<Outcome> {
  const state = folder.fresh();
  const [junit, json] = [`${state}.xml`, `${state}.json`];
  const { code, stdout, stderr } = await command([
    ...['run', target, '--seed', '3', '--timeout', '3000', '--junit', junit, '--json', json],
    ...(more.includes('--state') ? [] : ['--state', state]),
    ...(more.includes('--code') ? [] : ['--code', CODE]),
    ...more,
  ]);
  const { report, testcases } = readReports(junit, json);
  expect(testcases).to.deep.equal(report.results.map(({ id }) => id).sort());
  expect(report.exit.code).to.equal(code);
  return { code, stdout, stderr, report, words: report.results.map(word) };
}

/** Results in those words; `pass` is any pass. */
const of = ({ words }: Outcome, what: string): number =>
  words.filter((seen) => seen === what || (what === 'pass' && seen.startsWith('pass'))).length;

const result = ({ report }: Outcome, id: string): CheckResult => report.results.find((r) => r.id === id)!;

/** A `--reset` that asks this test to reset the accessory and waits until it has. */
function resettable(accessory: Accessory): { option: readonly string[]; stop: () => number } {
  const file = `${folder.fresh()}.reset`;
  let asked = 0;
  const timer = setInterval(() => {
    if (!existsSync(file)) return;
    asked++;
    deliver(accessory, accessory.factoryReset());
    rmSync(file);
  }, 20);
  return {
    option: ['--reset', `touch '${file}'; while [ -e '${file}' ]; do sleep 0.05; done`],
    stop: () => {
      clearInterval(timer);
      return asked;
    },
  };
}

/** Pairs as somebody else would: past the state folder, with a key the harness never sees. */
async function pairElsewhere(target: string): Promise<void> {
  const bench = benchFor(parseAddress(target), {
    code: parseSetupCode(CODE),
    random: seededRandom('a phone'),
    patience: defaultPatience,
  });
  await bench.controller('phone').pair();
  await bench.closeLinks();
}

/** The failed attempts a state folder has on record. */
function ledger(state: string): number {
  const file = readdirSync(state).find((name) => name.endsWith('.ledger.json'))!;
  return (JSON.parse(readFileSync(join(state, file), 'utf8')) as { attempts: number }).attempts;
}

async function nobodyListens(port: number): Promise<boolean> {
  const dialer = new TcpDialer('127.0.0.1', port);
  try {
    (await dialer.connect(dialer.clock.now() + 1_000)).close();
    return false;
  } catch {
    return true;
  }
}

describe('care: hooks, budget and owners', () => {
  after(() => {
    endChildren();
    folder.remove();
  });

  it('--launch starts the accessory, and nothing of it is left afterwards', async () => {
    const port = await deadPort();
    const launch = `node '${bin}' accessory --port ${port}`;
    const more = ['--launch', launch, '--only', 'PS-M5-01'];
    // A process of its own: its end is part of what is asked.
    const ended = await run(`127.0.0.1:${port}`, more, hapspec);
    expect([ended.code, ended.stderr], ended.stdout).to.deep.equal([0, '']);
    expect(ended.words).to.deep.equal(['pass']);
    expect(await nobodyListens(port)).to.equal(true);
  });

  it('--launch is ended when the run is interrupted, too', async () => {
    const port = await deadPort();
    const launch = `node '${bin}' accessory --port ${port}`;
    const child = startHapspec([
      ...['run', `127.0.0.1:${port}`, '--code', CODE, '--state', folder.fresh(), '--launch', launch],
    ]);
    await child.said(' PS-M5-01 ');
    child.process.kill('SIGTERM');
    expect((await child.ended).code).to.equal(5);
    expect(await nobodyListens(port)).to.equal(true);
  });

  it('--launch serves as --restart: an accessory that was killed is started again', async () => {
    const port = await deadPort();
    const [pid, json] = [`${folder.fresh()}.pid`, `${folder.fresh()}.json`];
    // Its own state folder is its flash: what comes back is the same accessory.
    const accessory = `node '${bin}' accessory --port ${port} --state '${folder.fresh()}'`;
    const child = startHapspec([
      ...['run', `127.0.0.1:${port}`, '--code', CODE, '--state', folder.fresh(), '--json', json],
      ...['--attempts', '95', '--only', 'PS-M1-*', '--only', 'PS-M5-0*', '--only', 'PV-M3-0*'],
      ...['--launch', `echo $$ > '${pid}'; exec ${accessory}`],
    ]);
    await child.said(' PS-M5-01 ');
    process.kill(Number(readFileSync(pid, 'utf8')), 'SIGKILL');
    const { code, stdout } = await child.ended;
    expect(code, stdout).to.equal(5);
    const { results, aftermath } = JSON.parse(readFileSync(json, 'utf8')) as RunReport;
    const words = results.map(word);
    expect(words.filter((seen) => seen === 'error flaky')).to.have.length(1);
    const planned = results.filter((result) => result.leftOut !== true && !isUndeclared(result));
    expect(words.filter((seen) => seen.startsWith('pass'))).to.have.length(planned.length - 1);
    expect(aftermath.clean).to.equal(true);
    expect(await nobodyListens(port)).to.equal(true);
  });

  it('--launch that fails → 3 with its own words', async () => {
    const target = `127.0.0.1:${await deadPort()}`;
    const silent = await run(target, ['--launch', 'false']);
    expect(silent.code).to.equal(3);
    expect(silent.stderr).to.match(/^hapspec: --launch ended with code 1 before the accessory answered; /);
    expect(silent.stderr).to.include('it wrote nothing');
    expect(of(silent, 'error not-run')).to.equal(suite.length);
    const talking = await run(target, ['--launch', 'echo no such board >&2; exit 9']);
    expect([talking.code, talking.stderr]).to.deep.equal([
      3,
      'hapspec: --launch ended with code 9 before the accessory answered; its last output: no such board\n',
    ]);
  });

  it('--reset that fails is named with how it ended and what it said', async () => {
    const { accessory, target, close } = await reference('reset fails');
    const calls = `${folder.fresh()}.calls`;
    try {
      await pairElsewhere(target);
      const reset = `echo >> '${calls}'; echo the relay is stuck; exit 3`;
      const ended = await run(target, ['--reset', reset, '--only', 'PS-M1-*', '--only', 'PS-M3-*']);
      const { message } = result(ended, 'PS-M3-01');
      expect(message).to.match(
        /^--reset failed: exit code 3 after [\d.]+ s; its last output: the relay is stuck$/,
      );
      expect(ended.code).to.equal(5);
      expect(of(ended, 'fail must') + of(ended, 'fail forbidden')).to.equal(0);
      expect(accessory.pairings, 'the pairing of the other').to.have.length(1);
      console.log(
        `a --reset that fails was called ${readFileSync(calls, 'utf8').length} times for ${ended.words.length} checks`,
      );
    } finally {
      await close();
    }
  });

  it('--reset that leaves it paired is no reset, and is told so', async () => {
    const { accessory, target, close } = await reference('reset does nothing');
    try {
      await pairElsewhere(target);
      const ended = await run(target, ['--reset', 'true', '--only', 'PS-M3-0*']);
      expect(result(ended, 'PS-M3-01').message).to.match(
        /^--reset ended, and the accessory came back paired: that is no factory reset/,
      );
      expect(ended.code).to.equal(5);
      expect(accessory.pairings, 'the pairing of the other').to.have.length(1);
    } finally {
      await close();
    }
  });

  it(`--attempts 5 buys what it can and names the rest, 0; with --reset everything is bought${slow ? '' : ' (of half of two chapters; HAPSPEC_SLOW=1: all)'}`, async () => {
    const { accessory, target, close } = await reference('attempts');
    try {
      const chapters = slow
        ? ['--only', 'PS-M1-*', '--only', 'PS-M3-*', '--skip', 'PS-M3-14']
        : ['--only', 'PS-M1-0*', '--only', 'PS-M3-0*'];
      const poor = await run(target, ['--attempts', '5', ...chapters]);
      expect(poor.code, poor.stdout).to.equal(0);
      const left = poor.report.results.filter(({ reason }) => reason === 'not-bought');
      expect(left.length, 'not bought').to.be.greaterThan(0);
      for (const { status, message } of left) {
        expect(status).to.equal('skip');
        expect(message).to.match(
          /^it costs \d+ of \d+ (?:failed attempts|M2s|M4s|Pair Verifies|seconds of waiting) left: (?:--runs N, )?a higher --attempts or --reset CMD/,
        );
      }
      expect(poor.report.price.attempts).to.be.at.most(5);
      const passed = of(poor, 'pass');
      expect(passed, 'passed').to.be.greaterThan(10);
      expect(of(poor, 'fail must') + of(poor, 'fail forbidden'), 'failed').to.equal(0);
      expect(poor.stdout).to.include(`${passed} passed`);
      for (const { id } of left) expect(poor.stdout, 'named').to.include(id);

      const { option, stop } = resettable(accessory);
      const rich = await run(target, ['--attempts', '5', ...chapters, ...option]).finally(stop);
      expect(rich.code, rich.stdout).to.equal(0);
      expect(of(rich, 'skip not-bought'), 'not bought with --reset').to.equal(0);
      expect(stop(), 'resets asked for').to.be.greaterThan(0);
      expect(rich.report.price.resets).to.equal(stop());
      expect(accessory.pairings).to.deep.equal([]);
    } finally {
      await close();
    }
  });

  it('the ledger adds up over runs, and a reset empties it', async () => {
    const { accessory, target, close } = await reference('ledger');
    const state = folder.fresh();
    const again = (...more: readonly string[]): Promise<Outcome> =>
      run(target, ['--state', state, '--only', 'PS-M3-06/*', ...more]);
    try {
      const first = await again();
      expect([first.code, ledger(state)], first.stdout).to.deep.equal([0, first.report.price.attempts]);
      const each = first.report.price.attempts;
      expect(each).to.equal(first.words.length);
      await again();
      expect(ledger(state)).to.equal(2 * each);
      const third = await again('--attempts', String(2 * each + 2));
      expect([of(third, 'pass'), of(third, 'skip not-bought')]).to.deep.equal([2, each - 2]);
      expect(ledger(state)).to.equal(2 * each + 2);
      // Nothing was executed: that is never a success.
      const fourth = await again('--attempts', String(2 * each + 2));
      expect([fourth.code, of(fourth, 'skip not-bought')]).to.deep.equal([5, each]);

      const { option, stop } = resettable(accessory);
      const fifth = await again('--attempts', String(2 * each + 2), ...option).finally(stop);
      expect([fifth.code, of(fifth, 'pass'), stop()], fifth.stdout).to.deep.equal([0, each, 1]);
      expect(ledger(state)).to.equal(each);
    } finally {
      await close();
    }
  });

  it('--dry-run sends nothing, and shows the plan, its price and what is left out', async () => {
    let connections = 0;
    const peer = await listen(() => connections++);
    try {
      const state = folder.fresh();
      const { code, stdout, stderr } = await hapspecLine([
        ...['run', `127.0.0.1:${peer.port}`, '--code', CODE, '--dry-run', '--attempts', '2'],
        ...['--state', state, '--launch', 'exit 9'],
      ]);
      expect([code, stderr]).to.deep.equal([0, '']);
      expect(connections, 'connections').to.equal(0);
      expect(stdout).to.match(/^PS-M1-01 +unpaired +1 m2$/m);
      expect(stdout).to.match(/^left out:$/m);
      expect(stdout).to.match(
        /^ {2}PS-M3-06\/\S+: not-bought: it costs 1 of \d (?:failed attempts|M2s|M4s|Pair Verifies|seconds of waiting) left/m,
      );
      expect(stdout).to.match(
        /^price: \d+ M2, \d+ M4, \d+ M6, \d+ verifies, \d+ failed attempts, on an accessory that conforms$/m,
      );
      expect(existsSync(state), 'a state folder').to.equal(false);
    } finally {
      await peer.close();
    }
  });

  it('an accessory of somebody else: told so, what needs no key runs, the pairing stays, 5', async () => {
    const { accessory, port, target, close } = await reference('foreign');
    try {
      await pairElsewhere(target);
      const [owner] = accessory.pairings;
      const ended = await run(target);
      expect(ended.code, ended.stdout).to.equal(5);
      expect(ended.stdout).to.include('the accessory is paired with another controller');
      expect(ended.stdout).to.include('give --reset CMD');
      expect(of(ended, 'pass'), 'passed without a key').to.be.greaterThan(3);
      expect(of(ended, 'skip blocked'), 'blocked').to.be.greaterThan(40);
      for (const { id, status, message } of ended.report.results)
        expect(status, `${id}: ${message}`).to.not.be.oneOf(['fail', 'error']);
      expect(ended.report.aftermath).to.deep.equal({
        clean: true,
        message: 'the accessory is paired, as it was found',
      });
      expect(accessory.pairings).to.deep.equal([owner]);
      expect(accessory.failedAttempts, 'failed attempts').to.equal(0);
      expect(await pairable(port)).to.equal(false);
      console.log(`paired elsewhere: ${of(ended, 'pass')} passed, ${of(ended, 'skip blocked')} blocked`);
    } finally {
      await close();
    }
  });

  it('a wrong code: one fail, two probes at most, one message, 1', async () => {
    const { accessory, port, target, close } = await reference('wrong code');
    try {
      const ended = await run(target, ['--code', '987-65-432']);
      expect(ended.code, ended.stdout).to.equal(1);
      const failed = ended.report.results.filter(({ status }) => status === 'fail');
      expect(failed.map(({ id }) => id)).to.deep.equal(['PS-M3-01']);
      expect(failed[0]!.message).to.match(/wrong setup code, or SRP differs/i);
      const told = ended.report.results.filter(
        ({ status, message }) => status !== 'skip' && /wrong setup code/i.test(message),
      );
      expect(told, 'messages').to.have.length(1);
      expect(accessory.failedAttempts, 'failed attempts').to.be.within(1, 3);
      expect(ended.report.price.attempts).to.equal(accessory.failedAttempts);
      expect(of(ended, 'skip dependency'), 'what builds on it').to.be.greaterThan(40);
      expect(await pairable(port)).to.equal(true);
    } finally {
      await close();
    }
  });
});
