import {
  type Bytes,
  type CheckSpec,
  type Identity,
  answered,
  chapter,
  controllerIdentity,
  flip,
  misplacedError,
  otherError,
  sign,
  signedInfo,
  success,
  tlvError,
} from '../../harness/suite.js';

type Parts = {
  identity: Identity;
  own: Bytes;
  accessory: Bytes;
  accessorySignature: Bytes | undefined;
  other: Identity;
  oldKey: Bytes;
};

const wrongSignatures: Record<string, (parts: Parts) => Bytes> = {
  'by-another-key': ({ identity, own, accessory, other }) =>
    sign(other.ltsk, signedInfo(own, identity.id, accessory)),
  'accessory-first': ({ identity, own, accessory }) =>
    sign(identity.ltsk, signedInfo(accessory, identity.id, own)),
  'over-another-identifier': ({ identity, own, accessory, other }) =>
    sign(identity.ltsk, signedInfo(own, other.id, accessory)),
  'over-old-keys': ({ identity, own, oldKey }) => sign(identity.ltsk, signedInfo(own, identity.id, oldKey)),
  'zero-bytes': () => new Uint8Array(64),
  'replay-of-the-accessory': ({ accessorySignature }) => accessorySignature!,
};

/** A known controller that cannot prove it is the one. */
const wrongSignature: CheckSpec = {
  from: 'paired',
  needs: ['PV-M3-01'],
  costs: { verifies: 1 },
  allow: [tlvError(4, 'Authentication')],
  tolerate: [otherError(4)],
  forbid: [success('verify-m4')],
};

export default chapter('pair-verify.m3-m4', ({ check }) => [
  check(
    'PV-M3-01',
    { sanity: true, from: 'paired', costs: { verifies: 1 }, allow: [success('verify-m4')] },
    async ({ controller, expect }) => {
      const verify = await controller.pairVerify();
      const outcome = await verify.sendM3();
      expect(outcome).to.be.allowed();
      if (outcome.kind === 'reply') expect(outcome.tlv!.typeNames(), 'items of M4').to.deep.equal(['State']);
      const session = verify.secure();
      expect(await session.get('/accessories')).to.be.allowed({ allow: [answered(200)] });
    },
  ),

  check(
    'PV-M3-02',
    {
      from: 'paired',
      keyless: true,
      needs: ['PV-M3-01'],
      costs: { verifies: 1 },
      allow: [tlvError(4, 'Authentication')],
      tolerate: [misplacedError(4, 'Authentication')],
      forbid: [success('verify-m4')],
    },
    async ({ controller, expect }) => {
      const verify = await controller.pairVerify({ as: controller.newIdentity() });
      expect(await verify.sendM3()).to.be.allowed();
    },
  ),

  ...Object.entries(wrongSignatures).map(([name, signature]) =>
    check(`PV-M3-03/${name}`, wrongSignature, async ({ controller, expect, random }) => {
      const other = controllerIdentity(random);
      const oldKey = random.bytes(32);
      const verify = await controller.pairVerify();
      expect(
        await verify.sendM3({ signature: (parts) => signature({ ...parts, other, oldKey }) }),
      ).to.be.allowed();
    }),
  ),
  check('PV-M3-03/bit-flipped', wrongSignature, async ({ controller, expect, random }) => {
    const verify = await controller.pairVerify();
    expect(await verify.sendM3({ sub: flip('Signature', random.below(500)) })).to.be.allowed();
  }),
]);
