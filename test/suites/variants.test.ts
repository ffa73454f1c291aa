import { expect } from 'chai';
import { type Fault, randomLatency, twin, variants } from '../../harness/accessory/index.js';
import { memoiseArithmetic, parseSetupCode, seededRandom } from '../../harness/protocol/index.js';
import { embeddedBench } from '../../harness/target/index.js';
import { defaultPatience } from '../../harness/wire/index.js';
import { everyday, execute, newRun } from '../runner/bench.js';

const slow = process.env['HAPSPEC_SLOW'] === '1';
/** Milliseconds an answer takes at most: every step of a board, and then some. */
const SLOWEST = 3_000;
const SEEDS = slow ? 20 : 1;
/** The others are in the self-test, with answers that take no time. */
const everydayVariants = ['setup-take-over', 'tlv-errors', 'one-session-per-controller'];

describe(`suites: nothing fails on the healthy accessory and its benign variants, however slow they answer (${SEEDS} of 20 seeds)`, function () {
  this.timeout(slow ? 900_000 : 60_000);
  before(() => memoiseArithmetic(true));
  after(() => memoiseArithmetic(false));

  const all: readonly (Fault | undefined)[] = [
    undefined,
    ...variants.filter(({ name }) => slow || everydayVariants.includes(name)),
  ];
  for (const variant of all)
    it(variant === undefined ? 'the healthy accessory' : `${variant.name}: ${variant.story}`, async () => {
      for (let seed = 1; seed <= SEEDS; seed++) {
        const random = seededRandom(`variants ${seed}`);
        const bench = embeddedBench(
          { code: parseSetupCode('031-45-154'), random, patience: defaultPatience },
          {
            latency: randomLatency(random.fork('latency'), SLOWEST),
            ...(variant && { behaviour: twin(variant) }),
          },
        );
        // What locks the accessory is in the self-test: hundreds of guesses, and no time in them.
        const { results, aftermath } = await execute(
          newRun({ bench, seed: `variants ${seed}`, selected: everyday }),
        );
        const red = results
          .filter(({ status, reason }) => status === 'fail' || status === 'error' || reason === 'dependency')
          .map(({ id, message }) => `${id}: ${message}`);
        expect(red, `seed ${seed}`).to.deep.equal([]);
        expect(aftermath.clean, `seed ${seed}`).to.equal(true);
      }
    });
});
