/**
 * Pair Setup with an authentication coprocessor: M4 carries a certificate and a signature over a challenge from K.
 * The watches open what is in it and judge form, chain and signature one by one.
 * Without such a coprocessor the method is refused, and nothing else is asked.
 */
import { type CheckContext, type PairSetup, chapter, hap, outcomes } from '../../harness/suite.js';

const method = hap.Method.PairSetupWithAuth;

/** Goes on only with an accessory that says it has a coprocessor. */
async function declared({ bench, notApplicable }: CheckContext): Promise<void> {
  if (await bench.learned.declares('mfi')) return;
  const why = 'no authentication coprocessor was declared';
  bench.learned.absent.set('authentication', why);
  notApplicable(why);
}

/** A PairSetupWithAuth brought to M4, which carries EncryptedData. */
async function authenticated(context: CheckContext): Promise<PairSetup> {
  await declared(context);
  const setup = await context.controller.pairSetup({ method });
  await setup.m3();
  return setup;
}

export default chapter('mfi.authentication', ({ check, watch }) => [
  check(
    'PS-M1-11',
    'PairSetupWithAuth on an accessory with MFi hardware',
    {
      from: 'unpaired',
      about: 'mfi',
      needs: ['PS-M3-01'],
      costs: { m2: 1, m4: 1 },
      allow: [outcomes.success('setup-m2'), outcomes.success('setup-m4')],
    },
    async (context) => {
      const { controller, expect } = context;
      await declared(context);
      const setup = await controller.setup({ method });
      expect(await setup.sendM1(), 'M1 of PairSetupWithAuth').to.be.allowed();
      setup.answerM2();
      const outcome = await setup.sendM3();
      expect(outcome, 'M3').to.be.allowed();
      if (outcome.kind !== 'reply') return;
      const { authentication } = setup.readM4(outcome);
      expect(authentication !== undefined, 'M4 carries EncryptedData').to.equal(true);
      // What is in it is judged one by one, below.
    },
  ),

  ...Object.entries({
    'MFI-01': 'EncryptedData of M4 opens with PS-Msg04',
    'MFI-02': 'M4 holds one signature and one certificate',
    'MFI-03': 'Form of certificate and signature',
    'MFI-04': 'The signature holds',
  }).map(([id, title]) =>
    watch(id, title, 'authentication', ({ authentication }, { expect, observe }) => {
      const { findings, items, certificate } = authentication;
      const earlier = findings.some(({ requirement }) => requirement < id);
      // What does not open cannot be read, and what cannot be read cannot be verified.
      if (earlier || (id !== 'MFI-01' && items === undefined)) return;
      if (id === 'MFI-03' && certificate !== undefined)
        observe('coprocessor', hap.chipKindOf(certificate.publicKey) === 'rsa' ? 'RSA-1024' : 'P-256');
      const finding = findings.find(({ requirement }) => requirement === id);
      expect(finding?.what, 'what is wrong with M4').to.equal(undefined);
    }),
  ),

  check(
    'MFI-05',
    'The signature is bound to its session',
    { from: 'unpaired', about: 'mfi', needs: ['PS-M3-01'], costs: { m2: 2, m4: 2 } },
    async (context) => {
      const { expect, notApplicable } = context;
      const first = (await authenticated(context)).m4?.authentication;
      await context.bench.closeLinks();
      const second = (await authenticated(context)).m4?.authentication;
      const { signature, certificate } = second ?? notApplicable('M4 carries no EncryptedData');
      if (first?.signature === undefined || signature === undefined || certificate === undefined)
        return notApplicable('there are no two signatures to compare');
      expect(hap.hex(signature), 'the Signature of a second session').to.not.equal(hap.hex(first.signature));
      const replayed = hap.mfiSignatureHolds(certificate.publicKey, first.challenge, signature);
      expect(replayed, 'the Signature of a second session holds over the challenge of the first').to.equal(
        false,
      );
    },
  ),

  watch(
    'MFI-07',
    'The certificate chains to the trust anchors',
    'authentication',
    ({ authentication }, { expect, observe, bench }) => {
      const { certificate } = authentication;
      const { mfiRoots } = bench.options;
      if (certificate === undefined) return;
      if (new Date(certificate.validTo) < new Date()) observe('validity', 'over, as is usual');
      if (mfiRoots === undefined) {
        observe('chain', 'not evaluated: --mfi-root FILE gives the trust anchors');
        expect(certificate.subject, 'subject').to.be.a('string');
        return;
      }
      expect(hap.isIssuedBy(certificate, mfiRoots), 'the certificate is issued by a trust anchor').to.equal(
        true,
      );
    },
  ),

  check(
    'MFI-06',
    'Without PairSetupWithAuth no EncryptedData in M4',
    {
      from: 'unpaired',
      about: 'mfi',
      needs: ['PS-M3-01'],
      costs: { m2: 1, m4: 1 },
    },
    async (context) => {
      await declared(context);
      const setup = await context.controller.pairSetup();
      const { authentication } = await setup.m3();
      context.expect(authentication === undefined, 'M4 of Method 0 has no EncryptedData').to.equal(true);
    },
  ),

  check(
    'MFI-08',
    'Pair Setup goes on behind an authenticated M4',
    {
      from: 'unpaired',
      about: 'mfi',
      leaves: 'paired',
      needs: ['PS-M5-01', 'PV-M3-01'],
      costs: { m2: 1, m4: 1, m6: 1, verifies: 1 },
      allow: [outcomes.success('setup-m6')],
    },
    async (context) => {
      const { controller, expect } = context;
      const setup = await authenticated(context);
      const outcome = await setup.sendM5();
      expect(outcome, 'M5').to.be.allowed();
      expect(setup.accepted(outcome), 'M6').to.equal(true);
      await controller.session();
    },
  ),

  check(
    'MFI-09',
    'PairSetupWithAuth together with Transient',
    {
      from: 'unpaired',
      about: 'mfi',
      needs: ['PS-M3-01'],
      costs: { m2: 1, m4: 1 },
      allow: [outcomes.anyReply()],
      forbid: [outcomes.plaintextReply(), outcomes.silence()],
    },
    async (context) => {
      const { controller, expect, violate } = context;
      await declared(context);
      const found = await controller.tryTransient({ method, flags: hap.PairingFlag.Transient });
      if ('why' in found) return violate(`PairSetupWithAuth with the flag Transient: ${found.why}`);
      expect(found.hello, 'a request in a frame').to.be.allowed();
      expect(found.setup.m4?.authentication !== undefined, 'M4 carries EncryptedData').to.equal(true);
    },
  ),
]);
