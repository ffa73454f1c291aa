import { randomInt } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { findFault, healthy, twin, variants } from '../../harness/accessory/index.js';
import { conformance, prepareRun } from '../../harness/conformance.js';
import { type Bench, embeddedBench } from '../../harness/device/index.js';
import { parseSetupCode, seededRandom } from '../../harness/protocol/index.js';
import {
  type Case,
  type CheckResult,
  type Hunt,
  type Replay,
  Run,
  exchangesOf,
  property,
  readReplay,
  withRuns,
} from '../../harness/runner/index.js';
import { Unreachable, defaultPatience } from '../../harness/wire/index.js';
import { suite } from '../../suites/index.js';
import { casesOf } from '../runner/bench.js';

const slow = process.env['HAPSPEC_SLOW'] === '1';
const PINNED = 8;

function benchOf(fault?: string): Bench {
  const variant = variants.find(({ name }) => name === fault);
  const behaviour = fault === undefined ? healthy : twin(variant ?? findFault(fault));
  const dress = variant?.dress;
  return embeddedBench(
    { code: parseSetupCode('031-45-154'), random: seededRandom(1), patience: defaultPatience },
    { behaviour, ...(dress && { dress }) },
  );
}

interface Setting {
  readonly hunt?: Hunt;
  readonly seed?: number;
  readonly bench?: Bench;
}

/** Runs cases as a run does, one after the other. */
async function hunted(cases: readonly Case[], setting: Setting = {}): Promise<readonly CheckResult[]> {
  const { hunt = {}, seed = 1, bench = benchOf() } = setting;
  const run = new Run({
    target: 'embedded',
    seed: String(seed),
    random: seededRandom(seed),
    version: '0',
    command: 'test',
    strict: false,
    bench,
    suite: cases,
    selected: cases,
    hunt,
  });
  await run.survey();
  for (const entry of run.plan) await run.runEntry(entry);
  await run.restore();
  return run.report().results;
}

/** A property over numbers, which asks the accessory nothing. */
function numbers(holds: (n: number) => unknown, spec: { readonly runs?: number } = {}): readonly Case[] {
  return casesOf(() => [
    property(
      'X-01',
      'X-01',
      { from: 'any', ...spec },
      () => fc.nat(1000),
      async ({ expect }, n) => {
        expect(n).to.be.at.least(0);
        await holds(n);
      },
    ),
  ]);
}

const only = (id: string, runs = 10): readonly Case[] =>
  withRuns(suite, runs, { asked: true }).filter((entry) => entry.id === id);

async function caught(work: () => unknown): Promise<Error> {
  try {
    await work();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
}

describe('properties: how they are hunted', () => {
  it('a property that holds passes, and says how often it ran', async () => {
    const [result] = await hunted(numbers(() => undefined, { runs: 7 }));
    expect([result!.status, result!.observations['runs']]).to.deep.equal(['pass', '7']);
  });

  it('a counterexample is made smaller, and the file says how to come by it again', async () => {
    const kept: Replay[] = [];
    const keep = (found: Replay): string => `--replay '${kept.push(found)}'`;
    const fails = numbers((n) => expect(n, 'the number').to.be.below(37), { runs: 100 });
    const [result] = await hunted(fails, { hunt: { keep } });
    expect([result!.status, result!.reason]).to.deep.equal(['fail', 'must']);
    expect(result!.message).to.match(/run \d+: 37\)$/);
    expect(result!.failure!.reproduce).to.match(/ --replay '1'$/);
    const [file] = kept;
    expect(file!.stimulus).to.deep.equal(['37']);
    const said: string[] = [];
    const replayed = await hunted(fails, { hunt: { replay: file!, say: (line) => said.push(line) } });
    expect(replayed[0]!.status).to.equal('fail');
    expect(said[0]).to.equal('1. 37');
    const mended = await hunted(
      numbers(() => undefined),
      { hunt: { replay: file! } },
    );
    expect(mended[0]!.status).to.equal('pass');
  });

  it('the same seed gives the same stimuli, another seed or another part others', async () => {
    const draw = async (seed: number, part?: string): Promise<number[]> => {
      const seen: number[] = [];
      const cases = numbers((n) => void seen.push(n));
      await hunted(part === undefined ? cases : withRuns(cases, undefined, { part }), { seed });
      return seen;
    };
    expect(await draw(5)).to.deep.equal(await draw(5));
    expect(await draw(5)).not.to.deep.equal(await draw(6));
    expect(await draw(5, '1/2')).to.deep.equal(await draw(5, '1/2'));
    expect(await draw(5, '1/2')).not.to.deep.equal(await draw(5, '2/2'));
  });

  it('a replay that leads nowhere, or somewhere else, is an error and no pass', async () => {
    const kept: Replay[] = [];
    const keep = (found: Replay): string => String(kept.push(found));
    await hunted(
      numbers((n) => expect(n).to.be.below(37), { runs: 100 }),
      { hunt: { keep } },
    );
    const holds = numbers(() => undefined);
    const nowhere = await hunted(holds, { hunt: { replay: { ...kept[0]!, path: '1:9999:9999' } } });
    expect([nowhere[0]!.status, nowhere[0]!.reason]).to.deep.equal(['error', 'harness']);
    const elsewhere = await hunted(holds, { hunt: { replay: { ...kept[0]!, seed: kept[0]!.seed + 1 } } });
    expect([elsewhere[0]!.status, elsewhere[0]!.reason]).to.deep.equal(['error', 'harness']);
  });

  it('what fails once and not again is inconclusive', async () => {
    let times = 0;
    const [result] = await hunted(numbers(() => expect(++times).not.to.equal(3)));
    expect([result!.status, result!.reason]).to.deep.equal(['error', 'flaky']);
  });

  it('an interruption is an error, and nothing runs after it', async () => {
    let times = 0;
    const cases = numbers(() => void times++);
    const [result] = await hunted(cases, { hunt: {} });
    expect(result!.status).to.equal('pass');
    times = 0;
    const bench = benchOf();
    const run = new Run({
      target: 'embedded',
      seed: '1',
      random: seededRandom(1),
      version: '0',
      command: 'test',
      strict: false,
      bench,
      suite: cases,
      selected: cases,
    });
    const stopping = numbers(() => {
      times++;
      run.interrupt();
    });
    const check = stopping[0]!;
    const outcome = await run.runEntry({ entry: check, reported: true });
    expect([outcome.status, outcome.reason, times]).to.deep.equal(['error', 'not-run', 1]);
  });

  it('a transport that breaks is no counterexample, and nothing is made smaller by it', async () => {
    let times = 0;
    const broken = numbers(() => {
      times++;
      throw new Unreachable('refused', 'nobody is there');
    });
    const [result] = await hunted(broken);
    expect([result!.status, result!.reason, times]).to.deep.equal(['error', 'unreachable', 1]);
  });

  it('--time goes on for rounds until it is over', async () => {
    let times = 0;
    const start = Date.now();
    const [result] = await hunted(
      numbers(() => void times++, { runs: 5 }),
      { hunt: { time: 60 } },
    );
    expect(result!.status).to.equal('pass');
    expect(times, 'runs').to.be.greaterThan(5);
    // That it ends at all is for the limit of the test to say.
    expect(Date.now() - start, 'ms').to.be.at.least(59);
  });

  it('exchanges are by connection, a request and what came of it', () => {
    const event = (connection: number, kind: 'sent' | 'received', byte: number) =>
      ({ time: 0, connection, kind, bytes: Uint8Array.of(byte) }) as const;
    const events = [event(1, 'sent', 1), event(2, 'sent', 2), event(1, 'sent', 3), event(1, 'received', 4)];
    expect(exchangesOf([...events, event(1, 'sent', 5), event(2, 'received', 6)])).to.deep.equal([
      { connection: 1, request: '0103', response: '04' },
      { connection: 2, request: '02', response: '06' },
      { connection: 1, request: '05', response: '' },
    ]);
  });
});

describe('properties: what they find', function () {
  it('a fault that takes three steps on two connections shrinks to its script', async () => {
    const kept: Replay[] = [];
    const hunt = { keep: (found: Replay) => String(kept.push(found)) };
    for (const seed of slow ? [1, 2, 3, 4, 5] : [1, 2]) {
      const bench = benchOf('second-m1-spoils-both');
      const [result] = await hunted(only('PS-STATE-15/flows', 100), { seed, hunt, bench });
      expect(result!.status, `seed ${seed}`).to.equal('fail');
      const { stimulus, exchanges } = kept.at(-1)!;
      // M1 here, M1 there, M3 here: what is refused with Busy has spoiled what was under way.
      expect(stimulus.length, stimulus.join('; ')).to.equal(3);
      const [first, second, third] = stimulus.map((line) => line.slice(0, 2));
      expect(first).to.equal(third).and.not.equal(second);
      expect(exchanges.length).to.equal(3);
    }
  });

  it(`nothing on the healthy accessory, with a pinned seed and a fresh one`, async () => {
    const fresh = randomInt(1, 2 ** 31);
    console.log(`      seeds: ${PINNED} (pinned), ${fresh} (fresh)`);
    for (const seed of [PINNED, fresh]) {
      const cases = withRuns(suite, slow ? 300 : 6, { asked: true });
      const results = await hunted(
        cases.filter((entry) => entry.kind === 'check' && entry.spec.property !== undefined),
        { seed },
      );
      const red = results
        .filter(({ status }) => status !== 'pass')
        .map(({ id, message }) => `${id}: ${message}`);
      expect(red, `seed ${seed}`).to.deep.equal([]);
    }
  });

  it('2,000 flows a minute on one core, of at least four commands, a quarter with a real M3', async () => {
    const cases = only('PS-STATE-15/flows', slow ? 1_000 : 150);
    const flows: { m3: boolean; steps: number }[] = [];
    const bench = benchOf();
    const { record } = bench.trace;
    // The trace is where every step of every flow passes.
    bench.trace.record = (connection, event) => {
      const line = event.kind === 'note' ? event.line : '';
      if (line.startsWith('step 1:')) flows.push({ m3: false, steps: 0 });
      const flow = flows.at(-1);
      if (flow !== undefined && line.startsWith('step ')) flow.steps++;
      if (flow !== undefined && event.kind === 'heard' && /State=4 Proof\[64\]/.test(event.line))
        flow.m3 = true;
      record.call(bench.trace, connection, event);
    };
    const start = process.cpuUsage();
    await hunted(cases, { bench });
    const { user, system } = process.cpuUsage(start);
    const minutes = (user + system) / 60e6;
    const share = flows.filter(({ m3 }) => m3).length / flows.length;
    const steps = flows.reduce((sum, flow) => sum + flow.steps, 0) / flows.length;
    console.log(
      `      ${Math.round(flows.length / minutes)} flows a minute of CPU, ${Math.round(100 * share)} % with M4, ${steps.toFixed(1)} steps each`,
    );
    expect(flows.length / minutes).to.be.greaterThan(2_000);
    expect(share).to.be.greaterThan(0.25);
    expect(steps).to.be.greaterThan(4);
  });
});

describe('properties: replay files', function () {
  let folder = '';
  before(() => (folder = mkdtempSync(join(tmpdir(), 'hapspec-replay-'))));
  after(() => rmSync(folder, { recursive: true }));

  it('are written for every counterexample, hold no secret, and fail again or hold', async () => {
    const report = await conformance('embedded:second-m1-spoils-both', {
      only: ['PS-STATE-15/*'],
      seed: 1,
      evidence: folder,
    });
    expect(report.exit.code).to.equal(1);
    const [name] = readdirSync(folder).filter((file) => file.endsWith('.replay.json'));
    const path = join(folder, name!);
    expect(report.results[0]!.failure!.reproduce).to.include(`--replay '${path}'`);
    const content = readFileSync(path, 'utf8');
    expect(content).not.to.match(/031-45-154|03145154/);
    const { exchanges } = readReplay(content, path);
    expect(exchanges.every(({ request }) => /^([0-9a-f]{2})*$/.test(request))).to.equal(true);
    const again = await conformance('embedded:second-m1-spoils-both', { replay: path });
    expect([again.exit.code, again.results.length, again.seed]).to.deep.equal([1, 1, '1']);
    const mended = await conformance('embedded', { replay: path });
    expect(mended.exit.code).to.equal(0);
  });

  it('a bad one is the mistake of the user, and says what is wrong', async () => {
    const path = join(folder, 'bad.json');
    const good = {
      version: 1,
      profile: 'hap',
      check: 'PS-STATE-15/flows',
      runSeed: '1',
      seed: 1,
      path: '0',
      trial: 'trial 0',
      guesses: 1,
      stimulus: [],
      message: 'x',
      exchanges: [],
    };
    const rows: readonly (readonly [content: string, words: RegExp])[] = [
      ['{', /no JSON/],
      ['[]', /expected a JSON object/],
      [JSON.stringify({ ...good, version: 2 }), /version 2; 1 is read here/],
      [JSON.stringify({ ...good, path: 'x' }), /"path"/],
      [JSON.stringify({ ...good, runSeed: '../1' }), /"runSeed"/],
      [JSON.stringify({ ...good, exchanges: undefined }), /"exchanges": expected a list/],
      [JSON.stringify({ ...good, check: 'TLV-01' }), /TLV-01 is no property/],
      [JSON.stringify({ ...good, profile: 'airplay' }), /found under the profile airplay/],
    ];
    for (const [content, words] of rows) {
      writeFileSync(path, content);
      const error = await caught(() => prepareRun('embedded', { replay: path }));
      expect([error.name, error.message], content).to.satisfy(([, message]: string[]) =>
        words.test(message!),
      );
      expect(error.constructor.name).to.equal('InputError');
    }
    const error = await caught(() => prepareRun('embedded', { replay: path, only: ['TLV-*'] }));
    expect(error.message).to.match(/leave --only out/);
  });
});
