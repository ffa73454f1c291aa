import { expect } from 'chai';
import { type Latency, healthy } from '../../harness/accessory/index.js';
import { Bench, benchFor, embeddedBench, parseAddress } from '../../harness/device/index.js';
import { parseSetupCode, seededRandom } from '../../harness/protocol/index.js';
import { QUICK, exchangesFor, makePlan, quickExchanges } from '../../harness/runner/index.js';
import { defaultPatience } from '../../harness/wire/index.js';
import { suite } from '../../suites/index.js';
import { quickArithmetic } from '../arithmetic.js';
import { casesOf, execute, newRun, runCases } from '../runner/bench.js';
import { CODE, reference } from './tools.js';

const code = parseSetupCode(CODE);

/** The healthy twin in virtual time, without a hook. */
function without(latency?: Latency): Bench {
  const made = embeddedBench(
    { code, random: seededRandom('quick'), patience: defaultPatience },
    latency === undefined ? {} : { latency },
  );
  const { hooks, ...options } = made.options;
  expect(hooks, 'hooks left out').to.have.property('reset');
  return new Bench(options);
}

/** Every M2 and M4 takes so many milliseconds. */
function taking(milliseconds: number): Latency {
  return (step) => (step === 'setup-m2' || step === 'setup-m4' ? milliseconds : 0);
}

describe('care: a quick accessory is asked more', function () {
  this.timeout(60_000);
  quickArithmetic();

  for (const [about, milliseconds, rationed] of [
    ['that takes as long as it may', QUICK, false],
    ['that takes longer', QUICK + 1, true],
  ] as const)
    it(`and one ${about} for M2 and M4 is ${rationed ? '' : 'not '}rationed by exchanges`, async () => {
      const selected = suite.filter(({ id }) => /^(PS-M1|TLV-0)/.test(id));
      const run = newRun({ bench: without(taking(milliseconds)), selected, attempts: 5 });
      const { results } = await execute(run);
      const short = results.filter(({ message }) => /M2s left|Pair Verifies left/.test(message));
      expect(short.length > 0).to.equal(rationed);
    });

  it('in the order of the same plan', () => {
    const can = { reset: false, restart: false, destructive: false };
    const budget = { attempts: 30, exchanges: exchangesFor(30), seconds: 30 };
    const usual = makePlan(suite, suite, can, budget);
    const more = makePlan(suite, suite, can, { ...budget, ...quickExchanges });
    const ids = ({ entries }: typeof usual): string[] => entries.map(({ entry }) => entry.id);
    expect(ids(more)).to.deep.equal(ids(usual));
    const bought = ({ entries }: typeof usual): number =>
      entries.filter(({ leftOut }) => leftOut === undefined).length;
    expect(bought(more)).to.be.greaterThan(2 * bought(usual));
  });
});

describe('care: answers that do not come', function () {
  this.timeout(60_000);

  it('are waited for in vain once and asked for again, and then not as long, nor again', async () => {
    const behaviour = { ...healthy, answers: () => false };
    const { target, close } = await reference('silent', { behaviour });
    const ids = ['A-01', 'B-01', 'C-01', 'D-01'];
    const cases = casesOf(({ check }) =>
      ids.map((id) =>
        check(id, { from: 'any' }, async ({ controller, expect: judge }) => {
          const setup = await controller.setup();
          judge(await setup.sendM1()).to.be.allowed({ allow: [] });
        }),
      ),
    );
    try {
      const patience = { answer: 800, silence: 200, close: 300 };
      const bench = benchFor(parseAddress(target), { code, random: seededRandom('silent'), patience });
      const start = Date.now();
      const { of } = await runCases(cases, { bench, target });
      const waited = ids.map((id) => Number(/no answer within (\d+) ms/.exec(of(id).message)![1]));
      expect(ids.map((id) => of(id).status)).to.deep.equal(ids.map(() => 'fail'));
      expect(ids.map((id) => of(id).attempts)).to.deep.equal([2, undefined, undefined, undefined]);
      expect(waited[0], 'the first').to.be.at.least(790);
      for (const later of waited.slice(1)) expect(later, 'a later one').to.be.within(190, 700);
      expect(Date.now() - start, 'ms in all').to.be.at.least(800 + 4 * 200);
    } finally {
      await close();
    }
  });
});
