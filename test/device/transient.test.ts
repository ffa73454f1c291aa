import { expect } from 'chai';
import { type Dress, airplayDress, hapDress } from '../../harness/accessory/index.js';
import {
  type Bench,
  type Link,
  benchFor,
  embeddedBench,
  embeddedCode,
  success,
} from '../../harness/device/index.js';
import { seededRandom } from '../../harness/protocol/index.js';
import { defaultPatience } from '../../harness/wire/index.js';
import { quickArithmetic } from '../arithmetic.js';

const slow = process.env['HAPSPEC_SLOW'] === '1';
const IN_A_ROW = slow ? 200 : 40;
const AT_ONCE = 8;

function benchIn(dress: Dress): Bench {
  const random = seededRandom(`transient ${dress.kind}`);
  return embeddedBench({ code: embeddedCode({ dress }), random, patience: defaultPatience }, { dress });
}

/** M1 answered by M2, and Pair Verify that knows nobody. */
async function expectNothingLeft(bench: Bench): Promise<void> {
  const controller = bench.controller('afterwards');
  expect(await controller.isStored(controller.newIdentity())).to.equal(false);
  expect(success('setup-m2').matches(await bench.probe())).to.equal(true);
  expect(bench.keyring.sentIdentities).to.have.length(0);
}

describe('target: transient sessions', () => {
  quickArithmetic();

  for (const dress of [hapDress, airplayDress])
    it(`${IN_A_ROW} in a row with a ${dress.kind} accessory leave nothing behind${slow ? '' : ' (HAPSPEC_SLOW=1 takes 200)'}`, async () => {
      const bench = benchIn(dress);
      const salts = new Set<string>();
      for (let i = 0; i < IN_A_ROW; i++) {
        const found = await bench.controller('transient').tryTransient();
        if ('why' in found) throw new Error(found.why);
        salts.add(String(found.setup.m2!.B));
        await bench.closeLinks();
      }
      expect(salts.size, 'values of B').to.equal(IN_A_ROW);
      expect(bench.spent).to.include({ m2: IN_A_ROW, m4: IN_A_ROW, m6: 0, attempts: 0 });
      await expectNothingLeft(bench);
    }).timeout(600_000);

  it(`${AT_ONCE} at once with a receiver each have their own keys, and leave nothing behind`, async () => {
    const bench = benchIn(airplayDress);
    const controller = bench.controller('group');
    const setups = await Promise.all(Array.from({ length: AT_ONCE }, () => controller.transientM2()));
    await Promise.all(
      setups.map(async (setup) => expect(success('setup-m4').matches(await setup.sendM3())).to.equal(true)),
    );
    const [names] = bench.profile.transientKeys;
    const sessions = setups.map((setup) => setup.secureTransient(names!, true));
    for (let round = 0; round < 3; round++) {
      const answers = await Promise.all(sessions.map((session) => session.request(bench.profile.hello)));
      expect(answers.every((answer) => answer.kind === 'reply' && answer.sealed)).to.equal(true);
    }
    const key = ({ session }: Link): string => String(session.keys.toAccessory);
    expect(new Set(setups.map(({ link }) => key(link))).size).to.equal(AT_ONCE);
    await bench.closeLinks();
    await expectNothingLeft(bench);
  });

  it('finds the other names of the keys, and says so', async () => {
    for (const [target, name] of [
      ['transient-control-names', 'Control-Salt'],
      [undefined, 'SplitSetupSalt'],
    ] as const) {
      const bench = benchFor(
        { kind: 'embedded', fault: target },
        { code: undefined, random: seededRandom('names'), patience: defaultPatience },
      );
      const found = await bench.controller('names').tryTransient();
      expect('why' in found).to.equal(false);
      expect(bench.learned.transientNames?.name).to.equal(name);
    }
  });
});
