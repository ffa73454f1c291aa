import { expect } from 'chai';
import { drop, replace } from '../../harness/controller/index.js';
import { anyReply, closed, success, tlvError } from '../../harness/device/index.js';
import { InputError } from '../../harness/protocol/index.js';
import {
  type Case,
  type CheckContext,
  type CheckResult,
  type CheckSpec,
  type Level,
  type Run,
  executeUnderMocha,
  verifySuite,
} from '../../harness/runner/index.js';
import { quickArithmetic } from '../arithmetic.js';
import { casesOf, everyday, execute, fromSuite, newRun, runCases, sanity, word, wordsById } from './bench.js';

const any: CheckSpec = { from: 'any' };
const unpaired: CheckSpec = { from: 'unpaired', allow: [success('setup-m2')] };

/** The result of one hand-made check. */
async function resultOf(
  body: (context: CheckContext) => Promise<void>,
  spec: CheckSpec = any,
  level: Level = 'MUST',
  target = 'embedded',
): Promise<CheckResult & { readonly exit: number }> {
  const cases = casesOf(({ check }) => [check('X-01', spec, body)], { 'X-01': level });
  const { report, of } = await runCases(cases, { target });
  return { ...of('X-01'), exit: report.exit.code };
}

describe('runner: one check', () => {
  quickArithmetic();

  it('passes when what it asserts holds', async () => {
    const result = await resultOf(async ({ controller, expect }) => {
      expect(await (await controller.setup()).sendM1()).to.be.allowed();
    }, unpaired);
    expect(result).to.include({
      status: 'pass',
      reason: undefined,
      message: '',
      failure: undefined,
      exit: 0,
    });
  });

  it('that asserts nothing is an error of the harness', async () => {
    const result = await resultOf(async ({ controller }) => {
      await (await controller.setup()).sendM1();
    }, unpaired);
    expect(result).to.include({ status: 'error', reason: 'harness', exit: 4 });
    expect(result.message).to.include('without asserting');
  });

  it('whose edit has no effect is an error of the harness', async () => {
    for (const edit of [replace('State', 1), drop('Proof')]) {
      const result = await resultOf(async ({ controller, expect }) => {
        expect(await (await controller.setup()).sendM1(edit)).to.be.allowed();
      }, unpaired);
      expect(result).to.include({ status: 'error', reason: 'harness', exit: 4 });
      expect(result.message).to.match(/^EditWithoutEffect: /);
    }
  });

  it('that throws an error of its own is an error of the harness, at every level', async () => {
    for (const level of ['MUST', 'SHOULD', 'VARIES'] as const) {
      const result = await resultOf(
        async ({ expect }) => {
          expect(1).to.equal(1);
          await Promise.reject(new TypeError('x is not a function'));
        },
        any,
        level,
      );
      expect(result).to.include({ status: 'error', reason: 'harness', exit: 4 });
      expect(result.message).to.match(/^TypeError: x is not a function/);
    }
  });

  it('that throws something which is no Error is an error of the harness', async () => {
    const result = await resultOf(() => {
      // eslint-disable-next-line @typescript-eslint/only-throw-error -- what a careless body may do
      throw 'a string';
    });
    expect(result).to.include({ status: 'error', reason: 'harness', message: 'a string' });
  });

  it('is judged by its level when it sees none of its alternatives', async () => {
    const expected: Readonly<Record<Level, string>> = {
      MUST: 'fail must',
      SHOULD: 'warn should',
      VARIES: 'fail forbidden',
    };
    const exits: Readonly<Record<Level, number>> = { MUST: 1, SHOULD: 0, VARIES: 1 };
    for (const level of ['MUST', 'SHOULD', 'VARIES'] as const) {
      const result = await resultOf(
        async ({ controller, expect }) => {
          expect(await (await controller.setup()).sendM1()).to.be.allowed();
        },
        { from: 'unpaired', allow: [tlvError(2)] },
        level,
      );
      expect(word(result)).to.equal(expected[level]);
      expect(result.exit).to.equal(exits[level]);
      expect(result.message).to.match(/^HTTP 200: State=2 PublicKey\[384\]/);
    }
  });

  it('fails at any level for what it forbids', async () => {
    for (const level of ['MUST', 'SHOULD', 'VARIES'] as const) {
      const result = await resultOf(
        async ({ controller, expect }) => {
          expect(await (await controller.setup()).sendM1()).to.be.allowed();
        },
        { from: 'unpaired', tolerate: [anyReply()], forbid: [success('setup-m2')] },
        level,
      );
      expect(result).to.include({ status: 'fail', reason: 'forbidden', exit: 1 });
    }
    const violated = await resultOf(({ violate }) => violate('a violation'), any, 'VARIES');
    expect(violated).to.include({ status: 'fail', reason: 'forbidden', message: 'a violation' });
  });

  it('warns for what it tolerates, and for a remark of its own', async () => {
    const tolerated = await resultOf(
      async ({ controller, expect }) => {
        expect(await (await controller.setup()).sendM1()).to.be.allowed();
      },
      { from: 'unpaired', tolerate: [anyReply()] },
    );
    expect(tolerated).to.include({ status: 'warn', reason: 'tolerated', exit: 0 });
    const remark = await resultOf(async ({ expect, warn }) => {
      expect(1).to.equal(1);
      await Promise.resolve(warn('looks odd'));
    });
    expect(remark).to.include({ status: 'warn', reason: 'tolerated', message: 'looks odd' });
  });

  it('fails by an ordinary assertion, with its message', async () => {
    const result = await resultOf(async ({ expect }) => {
      await Promise.resolve();
      expect(1, 'one').to.equal(2);
    });
    expect(result).to.include({ status: 'fail', reason: 'must', message: 'one: 1, and should be 2' });
    expect(result.failure?.reproduce).to.equal("npx hapspec run embedded --only 'X-01' --seed 1");
  });

  it('is skipped when it does not apply, and then nothing was executed', async () => {
    const result = await resultOf(({ notApplicable }) => notApplicable('no such feature'));
    expect(result).to.include({
      status: 'skip',
      reason: 'not-applicable',
      message: 'no such feature',
      exit: 5,
    });
  });

  it('keeps what it observed', async () => {
    const result = await resultOf(async ({ expect, observe }) => {
      expect(1).to.equal(1);
      await Promise.resolve(observe('salt', 'fresh'));
    });
    expect(result.observations).to.deep.equal({ salt: 'fresh' });
  });

  it('that cannot get to its point is not a verdict on its requirement', async () => {
    const result = await resultOf(
      async ({ controller, expect }) => {
        const setup = await controller.pairSetup();
        expect(await setup.sendM3()).to.be.allowed();
      },
      unpaired,
      'MUST',
      'embedded:m2-http-500',
    );
    expect(result).to.include({ status: 'error', reason: 'setup', exit: 5 });
    expect(result.message).to.include('PS-M1-01');
  });

  it('waits no longer than its most patient outcome needs, on a virtual clock', async () => {
    const started = performance.now();
    const result = await resultOf(
      async ({ controller, expect }) => {
        const setup = await controller.setup();
        expect(await setup.sendM1()).to.be.allowed();
      },
      { from: 'any', allow: [closed()] },
      'MUST',
      'embedded:m1-unanswered',
    );
    expect(result).to.include({ status: 'fail', reason: 'must' });
    expect(result.message).to.equal('silence: no answer within 5000 ms, connection open');
    expect(result.durationMs).to.be.within(5_000, 6_000);
    expect(performance.now() - started, 'real milliseconds').to.be.below(result.durationMs);
  });
});

/** Hand-made checks behind the real sanity checks. */
function behindSanity(cases: readonly Case[]): readonly Case[] {
  return [...fromSuite(...sanity), ...cases];
}

describe('runner: dependencies', () => {
  quickArithmetic();

  const dependents = casesOf(({ check: write }) => [
    write('X-01', { from: 'paired' }, async ({ expect }) => {
      await Promise.resolve();
      expect(1).to.equal(1);
    }),
    write('X-02', { from: 'unpaired', needs: ['PS-M5-01'] }, async ({ expect }) => {
      await Promise.resolve();
      expect(1).to.equal(1);
    }),
    write('X-03', unpaired, async ({ controller, expect }) => {
      expect(await (await controller.setup()).sendM1()).to.be.allowed();
    }),
  ]);

  it('a violated sanity check is the one fail; what builds on it is skipped, the rest runs', async () => {
    const { report } = await runCases(behindSanity(dependents), { target: 'embedded:m5-unanswered' });
    expect(wordsById(report)).to.deep.equal({
      'PS-M1-01': 'pass',
      'PS-M3-01': 'pass',
      'PS-M5-01': 'fail must',
      'PV-M1-01': 'skip dependency',
      'PV-M3-01': 'skip dependency',
      'X-01': 'skip dependency',
      'X-02': 'skip dependency',
      'X-03': 'pass',
    });
    for (const id of ['PV-M1-01', 'PV-M3-01', 'X-01', 'X-02'])
      expect(report.results.find((result) => result.id === id)?.message, id).to.match(
        /^needs PS-M5-01: silence/,
      );
    expect(report.exit.code).to.equal(1);
  });

  it('the first step of the flow takes all others with it', async () => {
    const { report } = await runCases(behindSanity(dependents), { target: 'embedded:m2-http-500' });
    const words = wordsById(report);
    expect(words['PS-M1-01']).to.equal('fail must');
    for (const id of [...sanity.slice(1), 'X-01']) expect(words[id], id).to.equal('skip dependency');
    expect(report.exit.code).to.equal(1);
  });

  it('skipped for a defect that nothing is red for, it is an error: no run is green over what was met on the way', async () => {
    const met = casesOf(({ check: write }) => [
      write('X-01', { from: 'any' }, async ({ bench, expect }) => {
        bench.broken.set('X-02', 'seen in passing');
        await Promise.resolve();
        expect(1).to.equal(1);
      }),
      write('X-02', { from: 'any' }, async ({ expect }) => {
        await Promise.resolve();
        expect(1).to.equal(1);
      }),
      write('X-03', { from: 'any', needs: ['X-02'] }, async ({ expect }) => {
        await Promise.resolve();
        expect(1).to.equal(1);
      }),
    ]);
    const report = await execute(newRun({ suite: met, selected: met.filter(({ id }) => id !== 'X-02') }));
    expect(report.results.find(({ id }) => id === 'X-03')).to.include({
      status: 'error',
      reason: 'setup',
      message: 'needs X-02: seen in passing; met on the way, and no check of this run is red for it',
    });
    expect(report.exit.code).to.equal(5);
  });

  it('of a healthy accessory all run', async () => {
    const { report } = await runCases(behindSanity(dependents));
    expect(new Set(Object.values(wordsById(report)))).to.deep.equal(new Set(['pass']));
    expect(report.exit).to.deep.equal({ code: 0, meaning: 'every planned check passed' });
    expect(report.aftermath).to.deep.equal({
      clean: true,
      message: 'the accessory is unpaired, as it was found',
    });
  });
});

describe('runner: what others stand on', () => {
  quickArithmetic();

  const red = casesOf(({ check: write, watch }) => [
    write('X-02', { from: 'any', needs: ['X-01/second'] }, async ({ expect }) => {
      await Promise.resolve();
      expect(1).to.equal(2);
    }),
    write('X-01/first', { from: 'any' }, async ({ expect }) => {
      await Promise.resolve();
      expect(1).to.equal(1);
    }),
    write('X-01/second', { from: 'any' }, async ({ expect }) => {
      await Promise.resolve();
      expect(1).to.equal(3);
    }),
    write('X-03', { ...unpaired, needs: ['X-04'] }, async ({ controller, expect }) => {
      expect(await (await controller.setup()).sendM1()).to.be.allowed({ allow: [tlvError(2)] });
    }),
    watch('X-04', 'setup-m2', (_, { violate }) => violate('seen at all')),
  ]);

  it('runs first; what needs it is skipped where it is red, for a watch also by its own message', async () => {
    const run = newRun({ suite: red, selected: red });
    const report = await execute(run);
    expect(run.plan.map(({ entry }) => entry.id).slice(0, 3)).to.deep.equal([
      'X-01/second',
      'X-02',
      'X-01/first',
    ]);
    expect(wordsById(report)).to.deep.equal({
      'X-01/first': 'pass',
      'X-01/second': 'fail must',
      'X-02': 'skip dependency',
      'X-03': 'skip dependency',
      'X-04': 'fail forbidden',
    });
    expect(report.exit.code).to.equal(1);
  });

  it('hides nothing that stands on it where it is a known deviation', async () => {
    const entries = [{ id: 'X-01/second', status: 'fail' as const, reason: 'known to the maker' }];
    const some = red.filter(({ id }) => !['X-03', 'X-04'].includes(id));
    const { report } = await runCases(some, {
      expectations: { path: 'known.json', about: undefined, entries },
    });
    expect(wordsById(report)).to.include({ 'X-01/second': 'skip expected', 'X-02': 'fail must' });
    expect(report.exit.code).to.equal(1);
  });

  it('hides nothing either where it is a watch that is known to object', async () => {
    const entries = [{ id: 'X-04', status: 'fail' as const, reason: 'known to the maker' }];
    const some = red.filter(({ id }) => ['X-03', 'X-04'].includes(id));
    const { report } = await runCases(some, {
      expectations: { path: 'known.json', about: undefined, entries },
    });
    expect(wordsById(report)).to.deep.equal({ 'X-03': 'fail must', 'X-04': 'skip expected' });
  });

  it('leaves the run incomplete where it is a step of the plain flow, known or not', async () => {
    const entries = [{ id: 'PS-M5-01', status: 'fail' as const, reason: 'known to the maker' }];
    const { report } = await runCases(fromSuite(...sanity, 'PAIRINGS-01'), {
      target: 'embedded:m5-unanswered',
      expectations: { path: 'known.json', about: undefined, entries },
    });
    expect(wordsById(report)).to.include({ 'PS-M5-01': 'skip expected', 'PAIRINGS-01': 'skip dependency' });
    expect(report.exit.code).to.equal(5);
  });

  it('cannot be itself, over others', () => {
    const circle = casesOf(({ check: write }) =>
      ['X-01', 'X-02'].map((id, i) =>
        write(id, { from: 'any', needs: [`X-0${2 - i}`] }, () => Promise.resolve()),
      ),
    );
    expect(() => verifySuite(circle)).to.throw(InputError, 'neither can be first');
    expect(() => verifySuite(red.filter(({ id }) => id !== 'X-01/second'))).to.throw(
      InputError,
      'X-02 needs X-01/second, which is no check',
    );
  });

  it('is red under its own requirement, though it worked before, where it goes wrong on the way to a check', async () => {
    const later = casesOf(({ check: write }) => [
      write('X-01', unpaired, async ({ controller, expect }) => {
        for (let guess = 0; guess < 10; guess++) {
          const setup = await controller.pairSetup({ code: 'wrong' });
          expect(await setup.sendM3()).to.be.allowed({ allow: [tlvError(4)] });
          await setup.link.close();
        }
      }),
      write('X-02', unpaired, async ({ controller, expect }) => {
        const setup = await controller.pairSetup();
        expect(setup.m2?.salt).to.have.length(16);
      }),
    ]);
    const { report, of } = await runCases(behindSanity(later), {
      target: 'embedded:limit-of-ten',
    });
    expect(wordsById(report)).to.include({
      'PS-M1-01': 'fail must',
      'X-01': 'pass',
      'X-02': 'skip dependency',
    });
    expect(of('PS-M1-01').message).to.include('it worked before)');
  });

  it('says that the code was taken before a reset, where it is not taken behind it', async () => {
    const later = casesOf(({ check: write }) => [
      write('X-01', { ...unpaired, needsHook: 'reset' }, async ({ controller, bench }) => {
        await bench.factoryReset();
        await (await controller.pairSetup()).m3();
      }),
    ]);
    const { of } = await runCases(behindSanity(later), { target: 'embedded:code-made-anew-by-reset' });
    expect(of('PS-M3-01').message).to.match(
      /^wrong setup code, .* \(behind X-01; it worked before the factory reset\)$/,
    );
  });
});

describe('runner: watches', () => {
  quickArithmetic();

  it('bring the producer of their messages along, which is not reported', async () => {
    const [watch] = fromSuite('PS-M1-02');
    const run = newRun({ selected: [watch!] });
    expect(run.plan.map(({ entry, reported }) => [entry.id, reported])).to.deep.equal([
      ['PS-M1-01', false],
      ['PS-M1-02', true],
    ]);
    const report = await execute(run);
    expect(wordsById(report)).to.deep.equal({ 'PS-M1-02': 'pass' });
    expect(report.results[0]?.observations['seen']).to.equal('1');
    expect(report.exit.code).to.equal(0);
  });

  it('need no producer of their own beside a selected one', () => {
    const run = newRun({ selected: fromSuite('PS-M1-01', 'PS-M1-02') });
    expect(run.plan.map(({ reported }) => reported)).to.deep.equal([true, true]);
  });

  it('that saw nothing are not green', async () => {
    const cases = casesOf(({ check: write, watch }) => [
      write('X-01', unpaired, async ({ controller, expect }) => {
        expect(await (await controller.setup()).sendM1()).to.be.allowed();
      }),
      watch('X-02', 'setup-m6', (_, { expect }) => void expect(1).to.equal(1)),
      watch('X-03', 'setup-m2', () => undefined),
    ]);
    const { report, of } = await runCases(cases);
    expect(wordsById(report)).to.deep.equal({
      'X-01': 'pass',
      'X-02': 'skip dependency',
      'X-03': 'skip dependency',
    });
    expect(of('X-02').message).to.equal('needs PS-M5-01: no message of this kind was seen in the run');
    expect(report.exit.code).to.equal(5);
  });

  it('are judged by their level, and count what they saw', async () => {
    const levels: Readonly<Record<string, Level>> = { 'X-02': 'MUST', 'X-03': 'SHOULD', 'X-04': 'VARIES' };
    const cases = casesOf(
      ({ check: write, watch }) => [
        write('X-01', unpaired, async ({ controller, expect }) => {
          for (let i = 0; i < 2; i++) {
            const setup = await controller.setup();
            expect(await setup.sendM1()).to.be.allowed();
            await setup.link.close();
          }
        }),
        ...Object.keys(levels).map((id) =>
          watch(id, 'setup-m2', ({ m2: { salt } }, context) => {
            context.expect(salt?.length, 'bytes of Salt').to.equal(17);
          }),
        ),
        watch('X-05', 'setup-m2', (_, { violate }) => violate('seen at all')),
        watch('X-06', 'setup-m2', (_, { warn }) => warn('a remark')),
        watch('X-07', 'setup-m2', () => {
          throw new TypeError('a mistake in the watch');
        }),
      ],
      { ...levels, 'X-05': 'VARIES' },
    );
    const { report, of } = await runCases(cases);
    expect(wordsById(report)).to.deep.equal({
      'X-01': 'pass',
      'X-02': 'fail must',
      'X-03': 'warn should',
      'X-04': 'fail forbidden',
      'X-05': 'fail forbidden',
      'X-06': 'warn tolerated',
      'X-07': 'error harness',
    });
    expect(of('X-02').message).to.equal('bytes of Salt: 16, and should be 17 (2 of 2 messages)');
  });
});

/** Results of a plan run entry by entry, with something done in between. */
async function stepwise(run: Run, between: (done: number) => void): Promise<void> {
  await run.survey();
  let done = 0;
  for (const entry of run.plan) {
    await run.runEntry(entry);
    between(++done);
  }
  await run.restore();
}

describe('runner: a run', () => {
  quickArithmetic();

  it('reports every planned check as not run before it starts', () => {
    const report = newRun().report();
    expect(report.results.map(({ id }) => id)).to.deep.equal(everyday.map(({ id }) => id));
    for (const result of report.results) {
      expect(word(result), result.id).to.equal('error not-run');
      expect(result.message, result.id).to.equal('not run yet');
    }
    expect(report.exit.code).to.equal(5);
  });

  it('reports in the order of the suite, whatever the order of execution', async () => {
    const run = newRun({ selected: fromSuite('PV-M3-02', 'PS-M3-04', 'PS-M1-01', 'PS-M1-02') });
    expect(run.plan.map(({ entry }) => entry.id)).to.deep.equal([
      'PS-M1-01',
      'PV-M3-02',
      'PS-M3-04',
      'PS-M1-02',
    ]);
    const report = await execute(run);
    expect(report.results.map(({ id }) => id)).to.deep.equal([
      'PS-M1-01',
      'PS-M1-02',
      'PS-M3-04',
      'PV-M3-02',
    ]);
  });

  it('that is interrupted leaves the rest as not run and exits 5', async () => {
    const run = newRun({ selected: fromSuite(...sanity, 'PS-M1-02') });
    await stepwise(run, (done) => {
      if (done === 3) run.interrupt();
    });
    const report = run.report();
    expect(wordsById(report)).to.deep.equal({
      'PS-M1-01': 'pass',
      'PS-M3-01': 'pass',
      'PS-M5-01': 'pass',
      'PV-M1-01': 'error not-run',
      'PV-M3-01': 'error not-run',
      'PS-M1-02': 'error not-run',
    });
    expect(report.results.find(({ id }) => id === 'PV-M1-01')?.message).to.equal(
      'not run: the run was interrupted',
    );
    expect(report.exit).to.deep.equal({ code: 5, meaning: 'interrupted: what did not run is unknown' });
    expect(report.aftermath).to.deep.equal({
      clean: true,
      message: 'the accessory is unpaired, as it was found',
    });
  });

  it('that is interrupted behind a fail exits 1', async () => {
    const run = newRun({ target: 'embedded:m2-http-500', selected: fromSuite(...sanity) });
    await stepwise(run, () => run.interrupt());
    expect(run.report().exit.code).to.equal(1);
  });

  it('in which the harness fails stops there and exits 4', async () => {
    const run = newRun({ selected: fromSuite(...sanity) });
    await stepwise(run, (done) => {
      if (done === 2) run.harnessFailed(new RangeError('stray'));
    });
    const report = run.report();
    expect(Object.values(wordsById(report))).to.deep.equal([
      'pass',
      'pass',
      ...Array<string>(3).fill('error not-run'),
    ]);
    expect(report.results[2]?.message).to.include('RangeError: stray');
    expect(report.exit.code).to.equal(4);
  });

  it('under mocha says the same as one entry after the other, and tells its observers', async () => {
    const selected = fromSuite(...sanity, 'PS-M3-04', 'PS-M1-02');
    for (const target of ['embedded', 'embedded:accepts-any-proof', 'embedded:m5-unanswered']) {
      const mounted = newRun({ target, selected });
      const told: string[] = [];
      const started: string[] = [];
      await mounted.survey();
      await executeUnderMocha(mounted, [
        {
          checking: ({ id }) => started.push(id),
          checked: (result, soFar) => {
            told.push(`${result.id} ${word(result)}`);
            expect(soFar().results).to.have.length(selected.length);
          },
        },
      ]);
      await mounted.restore();
      const plain = await execute(newRun({ target, selected }));
      expect(wordsById(mounted.report()), target).to.deep.equal(wordsById(plain));
      expect(mounted.report().exit, target).to.deep.equal(plain.exit);
      expect(started, target).to.deep.equal(mounted.plan.map(({ entry }) => entry.id));
      expect([...told].sort(), target).to.deep.equal(
        plain.results.map((result) => `${result.id} ${word(result)}`).sort(),
      );
    }
  });
});
