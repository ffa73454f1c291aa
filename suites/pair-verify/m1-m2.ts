import { Length, TlvType, chapter, success } from '../../harness/suite.js';

export default chapter('pair-verify.m1-m2', ({ check, watch }) => [
  check(
    'PV-M1-01',
    { sanity: true, keyless: true, from: 'paired', costs: { verifies: 1 }, allow: [success('verify-m2')] },
    async ({ controller, expect }) => {
      const verify = await controller.verify();
      const outcome = await verify.sendM1();
      expect(outcome).to.be.allowed();
      if (outcome.kind === 'reply')
        expect(outcome.tlv!.get(TlvType.PublicKey)!.length, 'bytes of PublicKey').to.equal(Length.curveKey);
    },
  ),

  watch('PV-M2-01', 'verify-m2', ({ m2: { publicKey, findings } }, { expect }) => {
    if (publicKey?.length !== Length.curveKey) return;
    const defect = findings.find(({ requirement }) => requirement === 'PV-M2-01');
    expect(defect?.what, 'the identity in M2').to.equal(undefined);
  }),
]);
