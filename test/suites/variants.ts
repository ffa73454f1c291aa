import { expect } from 'chai';
import { type Fault, randomLatency, variants } from '../../harness/accessory/index.js';
import { seededRandom } from '../../harness/protocol/index.js';
import { matrixRow, runTwin } from '../../harness/runner/index.js';
import { suite } from '../../suites/index.js';
import { SEED, everyday } from '../runner/bench.js';

const slow = process.env['HAPSPEC_SLOW'] === '1';
/** Milliseconds an answer takes at most: every step of a board, and then some. */
const SLOWEST = 3_000;
const seeds = slow ? Array.from({ length: 20 }, (_, i) => i + 1) : [SEED];
/** The others are in the self-test, with answers that take no time. */
const everydayVariants = ['setup-take-over', 'tlv-errors'];

// What locks the accessory is in the self-test: hundreds of guesses, and no time in them.
const healthyCases = everyday.filter((entry) => entry.kind === 'watch' || !entry.spec.destructive);

/** Its runs are those of the whole suite: see whole.test.ts. */
export function benignVariants(): void {
  describe(`suites: nothing fails on the healthy accessory and ${slow ? 'its' : 'two of its'} benign variants, however slow they answer (${slow ? seeds.length : `seed ${SEED}; HAPSPEC_SLOW=1 takes 20`})`, function () {
    this.timeout(900_000);
    const all: readonly (Fault | undefined)[] = [
      undefined,
      ...variants.filter(({ name }) => slow || everydayVariants.includes(name)),
    ];
    // A seed after the other: what is computed for it once is the same for all variants.
    for (const seed of seeds)
      for (const variant of all) {
        const name = variant === undefined ? 'the healthy accessory' : `${variant.name}: ${variant.story}`;
        it(slow ? `seed ${seed}: ${name}` : name, async () => {
          const latency = randomLatency(seededRandom(`latency ${seed}`), SLOWEST);
          const options = { seed, latency, full: false };
          const red: string[] = [];
          if (variant !== undefined) {
            const { failed, odd } = await matrixRow(suite, variant, options);
            red.push(...failed, ...odd);
          } else
            for (const { id, status, reason, message } of await runTwin(
              suite,
              healthyCases,
              undefined,
              options,
            ))
              if (status === 'fail' || status === 'error' || reason === 'dependency')
                red.push(`${id}: ${message}`);
          expect(red).to.deep.equal([]);
        });
      }
  });
}
