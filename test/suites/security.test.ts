import { expect } from 'chai';
import { healthy, pieces } from '../../harness/accessory/index.js';
import { embeddedBench } from '../../harness/device/index.js';
import { isSmallOrder, parseSetupCode, seededRandom } from '../../harness/protocol/index.js';
import { defaultPatience } from '../../harness/wire/index.js';
import { quickArithmetic } from '../arithmetic.js';
import { execute, fromSuite, newRun, word, wordsById } from '../runner/bench.js';

/** The words of some checks of the suite on an accessory of one code and behaviour. */
async function words(
  ids: readonly string[],
  { code = '031-45-154', behaviour = healthy } = {},
): Promise<Record<string, string>> {
  const random = seededRandom('security');
  const bench = embeddedBench(
    { code: parseSetupCode(code), random, patience: defaultPatience },
    { behaviour },
  );
  return wordsById(await execute(newRun({ bench, destructive: true, selected: fromSuite(...ids) })));
}

describe('suites: security warnings no fault can show', () => {
  quickArithmetic();

  it('a trivial setup code is told by the code given, and by guessing it', async () => {
    expect(await words(['SEC-04/listed', 'SEC-04/guessing'], { code: '123-45-678' })).to.deep.equal({
      'SEC-04/listed': 'warn tolerated',
      'SEC-04/guessing': 'warn tolerated',
    });
  });

  it('an accessory that takes keys of small order is warned about, in M5 and in Add', async () => {
    const behaviour = {
      ...healthy,
      isWeakKey: () => false,
      signatureHolds: (claim: Parameters<typeof healthy.signatureHolds>[0]) =>
        (claim.ltpk !== undefined && isSmallOrder(claim.ltpk)) || healthy.signatureHolds(claim),
    };
    expect(
      await words(['SEC-07/add', 'SEC-07/m5-identity-point', 'SEC-07/m5-order-8'], { behaviour }),
    ).to.deep.equal({
      'SEC-07/add': 'warn tolerated',
      'SEC-07/m5-identity-point': 'warn tolerated',
      'SEC-07/m5-order-8': 'warn tolerated',
    });
  });

  it('an accessory that opens a session for keys of low order is warned about', async () => {
    const behaviour = {
      ...healthy,
      sharedSecret: (...keys: Parameters<typeof healthy.sharedSecret>) =>
        healthy.sharedSecret(...keys) ?? new Uint8Array(32),
    };
    expect(await words(['SEC-02'], { behaviour })).to.deep.equal({ 'SEC-02': 'warn tolerated' });
  });

  it('a setup code that comes in two segments is found', async () => {
    const behaviour = { ...healthy, serialNumber: () => `${'x'.repeat(290)}031-45-154${'x'.repeat(900)}` };
    const report = await execute(
      newRun({
        bench: embeddedBench(
          { code: parseSetupCode('031-45-154'), random: seededRandom('cut'), patience: defaultPatience },
          { behaviour: { ...behaviour, cutFrames: (message) => pieces(message, 100) } },
        ),
        selected: fromSuite('SEC-03'),
      }),
    );
    const result = report.results.find(({ id }) => id === 'SEC-03')!;
    expect(word(result)).to.equal('fail must');
    expect(result.message).to.include('the setup code').and.not.include('031-45-154');
  });
});
