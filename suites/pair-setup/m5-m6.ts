/**
 * The exchange of identities: M5 brings identifier, LTPK and signature of the controller, encrypted under K.
 * Each check sends an M5 with one thing wrong: it has to be refused, and Pair Verify then shows that nothing was stored.
 * One that is stored all the same is a way in for whoever sent it.
 */
import { type Controller, chapter, edits, hap, outcomes } from '../../harness/suite.js';
import { refused } from './refused.js';

const wrongKeys = {
  'random-key': () => undefined,
  'key-from-s': (_K: hap.Bytes, S: hap.Bytes) => hap.deriveKey('Pair-Setup-Encrypt', S),
  'verify-labels': (K: hap.Bytes) => hap.deriveKey('Pair-Verify-Encrypt', K),
  'zero-key': () => new Uint8Array(32),
} satisfies Record<string, (K: hap.Bytes, S: hap.Bytes) => hap.Bytes | undefined>;

const damage = {
  'ciphertext-bit': edits.flip('EncryptedData', 100),
  'tag-bit': edits.flip('EncryptedData', -3),
  'last-byte-dropped': edits.replace('EncryptedData', (sealed) => sealed.subarray(0, -1)),
  'byte-appended': edits.replace('EncryptedData', (sealed) => hap.concat(sealed, Uint8Array.of(0))),
  'bytes-swapped': edits.replace('EncryptedData', (sealed) => {
    const out = sealed.slice();
    // Two neighbours that differ, or the swap would change nothing.
    const at = out.findIndex((byte, i) => byte !== out[i + 1]);
    [out[at], out[at + 1]] = [out[at + 1]!, out[at]!];
    return out;
  }),
};

const wrongNonces: Record<string, edits.M5Options> = {
  'ps-msg06': { label: 'PS-Msg06' },
  'ps-msg04': { label: 'PS-Msg04' },
  'pv-msg03': { label: 'PV-Msg03' },
  'label-first': { nonce: hap.concat(hap.utf8('PS-Msg05'), new Uint8Array(4)) },
};

const incomplete: Record<string, edits.M5Options> = {
  'without-identifier': { sub: edits.drop('Identifier') },
  'without-public-key': { sub: edits.drop('PublicKey') },
  'without-signature': { sub: edits.drop('Signature') },
  empty: { plaintext: new Uint8Array(0) },
  'not-tlv': { plaintext: hap.utf8('this is no TLV8 at all') },
};

type Parts = { x: hap.Bytes; K: hap.Bytes; identity: hap.Identity; other: hap.Identity };

const wrongSignatures: Record<string, (parts: Parts) => hap.Bytes> = {
  'by-another-key': ({ x, identity, other }) =>
    hap.sign(other.ltsk, hap.signedInfo(x, identity.id, identity.ltpk)),
  'without-x': ({ identity }) => hap.sign(identity.ltsk, hap.concat(identity.id, identity.ltpk)),
  'other-order': ({ x, identity }) => hap.sign(identity.ltsk, hap.signedInfo(identity.id, x, identity.ltpk)),
  'accessory-sign-labels': ({ K, identity }) =>
    hap.sign(
      identity.ltsk,
      hap.signedInfo(hap.deriveKey('Pair-Setup-Accessory-Sign', K), identity.id, identity.ltpk),
    ),
  'over-another-identifier': ({ x, identity, other }) =>
    hap.sign(identity.ltsk, hap.signedInfo(x, other.id, identity.ltpk)),
  'over-another-ltpk': ({ x, identity, other }) =>
    hap.sign(identity.ltsk, hap.signedInfo(x, identity.id, other.ltpk)),
  'last-bit-flipped': ({ x, identity }) => {
    const signature = hap.sign(identity.ltsk, hap.signedInfo(x, identity.id, identity.ltpk)).slice();
    signature[63]! ^= 0x01;
    return signature;
  },
};

const m5Refused = outcomes.tlvError(6, 'Authentication');

/** M5 as mistaken accessories expect it, one thing changed each, and how that reads behind "M5 is accepted". */
const probes: Record<string, (K: hap.Bytes) => edits.M5Options> = {
  'only when it is sealed with the nonce PS-Msg05 in front of its four zero bytes': () =>
    wrongNonces['label-first']!,
  'only when it is sealed with a key of the labels Pair-Verify-Encrypt': (K) => ({
    key: wrongKeys['verify-labels'](K),
  }),
  'only when its Signature holds over the X of the labels Pair-Setup-Accessory-Sign': () => ({
    signature: ({ K, identity }) =>
      hap.sign(
        identity.ltsk,
        hap.signedInfo(hap.deriveKey('Pair-Setup-Accessory-Sign', K), identity.id, identity.ltpk),
      ),
  }),
};

/**
 * Why a right M5 was refused with Error=2, of which a controller sees no more: a wrong nonce, key or signature are all the
 * same there. Three probes tell; undefined when none of them is accepted, or no further Pair Setup comes about.
 */
async function whyM5Refused(controller: Controller): Promise<string | undefined> {
  for (const [words, options] of Object.entries(probes)) {
    const { bench } = controller;
    await bench.closeLinks();
    const setup = await controller.setup();
    if (!outcomes.success('setup-m2').matches(await setup.sendM1())) return undefined;
    setup.answerM2();
    if (!outcomes.success('setup-m4').matches(await setup.sendM3())) return undefined;
    if (setup.accepted(await setup.sendM5(options(setup.machine.session.K)))) return words;
  }
  return undefined;
}

const spec = {
  from: 'unpaired',
  needs: ['PS-M5-01'],
  risky: true,
  costs: { m2: 1, m4: 1, m6: 1, verifies: 1 },
} as const;

export default chapter('pair-setup.m5-m6', ({ check }) => [
  check(
    'PS-M5-01',
    'Valid M5 gets a valid M6',
    {
      sanity: true,
      from: 'unpaired',
      leaves: 'paired',
      costs: { m2: 1, m4: 1, m6: 1 },
      allow: [outcomes.success('setup-m6')],
    },
    async ({ controller, expect, violate }) => {
      const setup = await controller.pairSetup();
      await setup.m3();
      const outcome = await setup.sendM5();
      const how = m5Refused.matches(outcome) ? await whyM5Refused(controller) : undefined;
      if (how !== undefined) violate(`M5 is refused with Error=2(Authentication), and accepted ${how}`);
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
    'After M6 the accessory is paired and the controller is admin',
    { from: 'paired', costs: { verifies: 1 }, allow: [outcomes.success('pairings-list')] },
    async ({ controller, bench, expect }) => {
      const identity = bench.admin!;
      const again = await controller.setup();
      expect(await again.sendM1(), 'M1 on a further connection').to.be.allowed({
        allow: [outcomes.tlvError(2, 'Unavailable')],
        // By which code is PS-M1-13's question.
        tolerate: [outcomes.anyRefusal()],
        forbid: [outcomes.success('setup-m2')],
      });
      const session = await controller.session();
      const list = await session.sendPairings(hap.listPairings());
      expect(list).to.be.allowed();
      const { entries } = session.pairingsIn(list);
      expect(entries.length, 'pairings after M6').to.equal(1);
      expect(hap.text(entries[0]!.id), 'Identifier in the list').to.equal(hap.text(identity.id));
      expect(hap.hex(entries[0]!.ltpk), 'LTPK in the list').to.equal(hap.hex(identity.ltpk));
      expect(entries[0]!.permissions & 1, 'admin bit').to.equal(hap.Permission.Admin);
    },
  ),
  ...Object.entries(wrongKeys).map(([name, key]) =>
    check(
      `PS-M5-05/${name}`,
      'M5 encrypted with a wrong key',
      { ...spec, ...refused },
      async ({ controller, expect, random }) => {
        const setup = await controller.pairSetup();
        await setup.m3();
        const { K, S } = setup.machine.session;
        const sBytes = Uint8Array.from(Buffer.from(S.toString(16).padStart(768, '0'), 'hex'));
        expect(await setup.sendM5({ key: key(K, sBytes) ?? random.bytes(32) })).to.be.allowed();
        expect(await controller.isStored(setup.identity), 'stored').to.equal(false);
      },
    ),
  ),
  ...Object.entries(damage).map(([name, edit]) =>
    check(
      `PS-M5-06/${name}`,
      'Any flipped bit in EncryptedData is detected',
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
    check(
      `PS-M5-13/${name}`,
      'Signature is verified',
      { ...spec, ...refused },
      async ({ controller, expect, random }) => {
        const other = hap.controllerIdentity(random);
        const setup = await controller.pairSetup();
        await setup.m3();
        expect(await setup.sendM5({ signature: (parts) => signature({ ...parts, other }) })).to.be.allowed();
        expect(await controller.isStored(setup.identity), 'stored').to.equal(false);
      },
    ),
  ),
  ...[undefined, 0, 1, 8, 15, 16].map((length) =>
    check(
      `PS-M5-04/${length === undefined ? 'missing' : `${length}-bytes`}`,
      'M5 without EncryptedData, or with fewer than 17 bytes',
      {
        ...spec,
        ...(length === undefined && { grid: ['setup-m5', 'item-missing'] as const }),
        ...outcomes.reject('setup-m6'),
      },
      async ({ controller, expect }) => {
        const setup = await controller.pairSetup();
        await setup.m3();
        const edit =
          length === undefined ? edits.drop('EncryptedData') : edits.resize('EncryptedData', length);
        expect(await setup.sendM5({}, edit)).to.be.allowed();
        expect(await controller.isStored(setup.identity), 'stored').to.equal(false);
      },
    ),
  ),
  ...Object.entries(wrongNonces).map(([name, options]) =>
    check(
      `PS-M5-07/${name}`,
      'Nonce label and layout are checked',
      { ...spec, grid: ['setup-m5', 'wrong-nonce'], ...refused },
      async ({ controller, expect }) => {
        const setup = await controller.pairSetup();
        await setup.m3();
        expect(await setup.sendM5(options)).to.be.allowed();
        expect(await controller.isStored(setup.identity), 'stored').to.equal(false);
      },
    ),
  ),
  check('PS-M5-08', 'AAD is empty', { ...spec, ...refused }, async ({ controller, expect }) => {
    const setup = await controller.pairSetup();
    await setup.m3();
    expect(await setup.sendM5({ aad: (plaintext) => hap.lengthBytes(plaintext.length) })).to.be.allowed();
    expect(await controller.isStored(setup.identity), 'stored').to.equal(false);
  }),
  ...Object.entries(incomplete).map(([name, options]) =>
    check(
      `PS-M5-09/${name}`,
      'Missing sub-TLV',
      { ...spec, ...outcomes.reject('setup-m6') },
      async ({ controller, expect }) => {
        const setup = await controller.pairSetup();
        await setup.m3();
        expect(await setup.sendM5(options)).to.be.allowed();
        expect(await controller.isStored(setup.identity), 'stored').to.equal(false);
      },
    ),
  ),
  // A key of another size may be stored and never verify: only a reset would free the accessory again.
  ...[0, 31, 33].map((length) =>
    check(
      `PS-M5-11/${length}-bytes`,
      'LTPK of wrong length',
      { ...spec, ...outcomes.reject('setup-m6'), costs: { m2: 2, m4: 1, m6: 1 }, ifAccepted: 'reset' },
      async ({ controller, expect }) => {
        const setup = await controller.pairSetup();
        await setup.m3();
        const { identity } = setup;
        const ltpk = hap.concat(identity.ltpk, Uint8Array.of(0)).subarray(0, length);
        const signature = ({ x }: { x: hap.Bytes }): hap.Bytes =>
          hap.sign(identity.ltsk, hap.signedInfo(x, identity.id, ltpk));
        expect(await setup.sendM5({ signature, sub: edits.replace('PublicKey', ltpk) })).to.be.allowed();
        expect(await controller.isUnpaired(), 'nothing was stored').to.equal(true);
      },
    ),
  ),
  ...[0, 63, 65].map((length) =>
    check(
      `PS-M5-12/${length}-bytes`,
      'Signature of wrong length',
      { ...spec, ...outcomes.reject('setup-m6') },
      async ({ controller, expect }) => {
        const setup = await controller.pairSetup();
        await setup.m3();
        expect(await setup.sendM5({ sub: edits.resize('Signature', length) })).to.be.allowed();
        expect(await controller.isStored(setup.identity), 'stored').to.equal(false);
      },
    ),
  ),
]);
