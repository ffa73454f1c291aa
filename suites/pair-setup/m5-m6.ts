import {
  type Bytes,
  type Identity,
  type M5Options,
  Permission,
  anyRefusal,
  chapter,
  concat,
  controllerIdentity,
  deriveKey,
  drop,
  flip,
  hex,
  lengthBytes,
  listPairings,
  reject,
  replace,
  resize,
  sign,
  signedInfo,
  success,
  text,
  tlvError,
  utf8,
} from '../../harness/suite.js';
import { refused } from './refused.js';

const wrongKeys = {
  'random-key': () => undefined,
  'key-from-s': (_K: Bytes, S: Bytes) => deriveKey('Pair-Setup-Encrypt', S),
  'verify-labels': (K: Bytes) => deriveKey('Pair-Verify-Encrypt', K),
  'zero-key': () => new Uint8Array(32),
} satisfies Record<string, (K: Bytes, S: Bytes) => Bytes | undefined>;

const damage = {
  'ciphertext-bit': flip('EncryptedData', 100),
  'tag-bit': flip('EncryptedData', -3),
  'last-byte-dropped': replace('EncryptedData', (sealed) => sealed.subarray(0, -1)),
  'byte-appended': replace('EncryptedData', (sealed) => concat(sealed, Uint8Array.of(0))),
  'bytes-swapped': replace('EncryptedData', (sealed) => {
    const out = sealed.slice();
    // Two neighbours that differ, or the swap would change nothing.
    const at = out.findIndex((byte, i) => byte !== out[i + 1]);
    [out[at], out[at + 1]] = [out[at + 1]!, out[at]!];
    return out;
  }),
};

const wrongNonces: Record<string, M5Options> = {
  'ps-msg06': { label: 'PS-Msg06' },
  'ps-msg04': { label: 'PS-Msg04' },
  'pv-msg03': { label: 'PV-Msg03' },
  'label-first': { nonce: concat(utf8('PS-Msg05'), new Uint8Array(4)) },
};

const incomplete: Record<string, M5Options> = {
  'without-identifier': { sub: drop('Identifier') },
  'without-public-key': { sub: drop('PublicKey') },
  'without-signature': { sub: drop('Signature') },
  empty: { plaintext: new Uint8Array(0) },
  'not-tlv': { plaintext: utf8('this is no TLV8 at all') },
};

type Parts = { x: Bytes; K: Bytes; identity: Identity; other: Identity };

const wrongSignatures: Record<string, (parts: Parts) => Bytes> = {
  'by-another-key': ({ x, identity, other }) => sign(other.ltsk, signedInfo(x, identity.id, identity.ltpk)),
  'without-x': ({ identity }) => sign(identity.ltsk, concat(identity.id, identity.ltpk)),
  'other-order': ({ x, identity }) => sign(identity.ltsk, signedInfo(identity.id, x, identity.ltpk)),
  'accessory-sign-labels': ({ K, identity }) =>
    sign(identity.ltsk, signedInfo(deriveKey('Pair-Setup-Accessory-Sign', K), identity.id, identity.ltpk)),
  'over-another-identifier': ({ x, identity, other }) =>
    sign(identity.ltsk, signedInfo(x, other.id, identity.ltpk)),
  'over-another-ltpk': ({ x, identity, other }) =>
    sign(identity.ltsk, signedInfo(x, identity.id, other.ltpk)),
  'last-bit-flipped': ({ x, identity }) => {
    const signature = sign(identity.ltsk, signedInfo(x, identity.id, identity.ltpk)).slice();
    signature[63]! ^= 0x01;
    return signature;
  },
};

const spec = {
  from: 'unpaired',
  needs: ['PS-M5-01'],
  risky: true,
  costs: { m2: 1, m4: 1, m6: 1, verifies: 1 },
} as const;

export default chapter('pair-setup.m5-m6', ({ check }) => [
  check(
    'PS-M5-01',
    {
      sanity: true,
      from: 'unpaired',
      leaves: 'paired',
      costs: { m2: 1, m4: 1, m6: 1 },
      allow: [success('setup-m6')],
    },
    async ({ controller, expect }) => {
      const setup = await controller.pairSetup();
      await setup.m3();
      const outcome = await setup.sendM5();
      expect(outcome).to.be.allowed();
      if (outcome.kind !== 'reply') return;
      const defect = setup
        .readM6(outcome, true)
        .findings.find(({ requirement }) => requirement === 'PS-M5-01');
      expect(defect?.what, 'M6').to.equal(undefined);
    },
  ),
  check(
    'PS-M5-02',
    { from: 'paired', costs: { verifies: 1 }, allow: [success('pairings-list')] },
    async ({ controller, bench, expect }) => {
      const identity = bench.admin!;
      const again = await controller.setup();
      expect(await again.sendM1(), 'M1 on a further connection').to.be.allowed({
        allow: [tlvError(2, 'Unavailable')],
        // By which code is PS-M1-13's question.
        tolerate: [anyRefusal()],
        forbid: [success('setup-m2')],
      });
      const session = await controller.session();
      const list = await session.sendPairings(listPairings());
      expect(list).to.be.allowed();
      const { entries } = session.pairingsIn(list);
      expect(entries.length, 'pairings after M6').to.equal(1);
      expect(text(entries[0]!.id), 'Identifier in the list').to.equal(text(identity.id));
      expect(hex(entries[0]!.ltpk), 'LTPK in the list').to.equal(hex(identity.ltpk));
      expect(entries[0]!.permissions & 1, 'admin bit').to.equal(Permission.Admin);
    },
  ),
  ...Object.entries(wrongKeys).map(([name, key]) =>
    check(`PS-M5-05/${name}`, { ...spec, ...refused }, async ({ controller, expect, random }) => {
      const setup = await controller.pairSetup();
      await setup.m3();
      const { K, S } = setup.machine.session;
      const sBytes = Uint8Array.from(Buffer.from(S.toString(16).padStart(768, '0'), 'hex'));
      expect(await setup.sendM5({ key: key(K, sBytes) ?? random.bytes(32) })).to.be.allowed();
      expect(await controller.isStored(setup.identity), 'stored').to.equal(false);
    }),
  ),
  ...Object.entries(damage).map(([name, edit]) =>
    check(
      `PS-M5-06/${name}`,
      { ...spec, grid: ['setup-m5', 'bad-tag'], ...refused },
      async ({ controller, expect }) => {
        const setup = await controller.pairSetup();
        await setup.m3();
        expect(await setup.sendM5({}, edit)).to.be.allowed();
        expect(await controller.isStored(setup.identity), 'stored').to.equal(false);
      },
    ),
  ),
  ...Object.entries(wrongSignatures).map(([name, signature]) =>
    check(`PS-M5-13/${name}`, { ...spec, ...refused }, async ({ controller, expect, random }) => {
      const other = controllerIdentity(random);
      const setup = await controller.pairSetup();
      await setup.m3();
      expect(await setup.sendM5({ signature: (parts) => signature({ ...parts, other }) })).to.be.allowed();
      expect(await controller.isStored(setup.identity), 'stored').to.equal(false);
    }),
  ),
  ...[undefined, 0, 1, 8, 15, 16].map((length) =>
    check(
      `PS-M5-04/${length === undefined ? 'missing' : `${length}-bytes`}`,
      {
        ...spec,
        ...(length === undefined && { grid: ['setup-m5', 'item-missing'] as const }),
        ...reject('setup-m6'),
      },
      async ({ controller, expect }) => {
        const setup = await controller.pairSetup();
        await setup.m3();
        const edit = length === undefined ? drop('EncryptedData') : resize('EncryptedData', length);
        expect(await setup.sendM5({}, edit)).to.be.allowed();
        expect(await controller.isStored(setup.identity), 'stored').to.equal(false);
      },
    ),
  ),
  ...Object.entries(wrongNonces).map(([name, options]) =>
    check(
      `PS-M5-07/${name}`,
      { ...spec, grid: ['setup-m5', 'wrong-nonce'], ...refused },
      async ({ controller, expect }) => {
        const setup = await controller.pairSetup();
        await setup.m3();
        expect(await setup.sendM5(options)).to.be.allowed();
        expect(await controller.isStored(setup.identity), 'stored').to.equal(false);
      },
    ),
  ),
  check('PS-M5-08', { ...spec, ...refused }, async ({ controller, expect }) => {
    const setup = await controller.pairSetup();
    await setup.m3();
    expect(await setup.sendM5({ aad: (plaintext) => lengthBytes(plaintext.length) })).to.be.allowed();
    expect(await controller.isStored(setup.identity), 'stored').to.equal(false);
  }),
  ...Object.entries(incomplete).map(([name, options]) =>
    check(`PS-M5-09/${name}`, { ...spec, ...reject('setup-m6') }, async ({ controller, expect }) => {
      const setup = await controller.pairSetup();
      await setup.m3();
      expect(await setup.sendM5(options)).to.be.allowed();
      expect(await controller.isStored(setup.identity), 'stored').to.equal(false);
    }),
  ),
  // A key of another size may be stored and never verify: only a reset would free the accessory again.
  ...[0, 31, 33].map((length) =>
    check(
      `PS-M5-11/${length}-bytes`,
      { ...spec, ...reject('setup-m6'), costs: { m2: 2, m4: 1, m6: 1 }, ifAccepted: 'reset' },
      async ({ controller, expect }) => {
        const setup = await controller.pairSetup();
        await setup.m3();
        const { identity } = setup;
        const ltpk = concat(identity.ltpk, Uint8Array.of(0)).subarray(0, length);
        const signature = ({ x }: { x: Bytes }): Bytes =>
          sign(identity.ltsk, signedInfo(x, identity.id, ltpk));
        expect(await setup.sendM5({ signature, sub: replace('PublicKey', ltpk) })).to.be.allowed();
        expect(await controller.isUnpaired(), 'nothing was stored').to.equal(true);
      },
    ),
  ),
  ...[0, 63, 65].map((length) =>
    check(`PS-M5-12/${length}-bytes`, { ...spec, ...reject('setup-m6') }, async ({ controller, expect }) => {
      const setup = await controller.pairSetup();
      await setup.m3();
      expect(await setup.sendM5({ sub: resize('Signature', length) })).to.be.allowed();
      expect(await controller.isStored(setup.identity), 'stored').to.equal(false);
    }),
  ),
]);
