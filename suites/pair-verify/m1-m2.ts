/**
 * The first step of Pair Verify: two fresh X25519 keys, and the accessory proves itself in M2 (seed 002 §3).
 * The watches judge every M2 of the run: keys that come back, sub-TLVs, the signature.
 * The checks send an M1 that is broken in one place.
 */
import { chapter, edits, hap, outcomes } from '../../harness/suite.js';

const m2 = outcomes.success('verify-m2');
const served = { allow: [m2] };
/** Nothing in it asks for anything but what is always done. */
const eitherWay = {
  allow: [m2, outcomes.tlvError(2), outcomes.badRequest()],
  tolerate: [outcomes.anyRefusal()],
  forbid: [outcomes.silence()],
};

/** Values of Method some controllers write into M1, and one of two bytes. */
const methods: Record<string, Uint8Array> = {
  'pair-verify': Uint8Array.of(hap.Method.PairVerify),
  'pair-setup': Uint8Array.of(hap.Method.PairSetup),
  'list-pairings': Uint8Array.of(hap.Method.ListPairings),
  'two-bytes': Uint8Array.of(hap.Method.PairVerify, 0),
};

/** Items a newer controller might add to M1. */
const extras = {
  'unknown-item': hap.tlv(0x7f, Uint8Array.of(0)),
  identifier: hap.tlv(hap.TlvType.Identifier, new Uint8Array(36).fill(0x41)),
  flags: hap.tlv(hap.TlvType.Flags, new Uint8Array(4)),
  'empty-item': hap.tlv(0x7f, new Uint8Array(0)),
};

/** States that begin nothing in Pair Verify. */
const wrongStates = [0, 2, 4, 5, 7, 0xff];

/** M2 as Pair Resume has it, with a new session and without keys. */
const resumed: outcomes.Matcher = {
  words: 'a resumed session: State=2 with SessionID and without PublicKey, no Error',
  event: 'reply',
  matches: (outcome) =>
    outcome.kind === 'reply' &&
    outcome.tlv?.state === 2 &&
    !outcome.tlv.has(hap.TlvType.Error) &&
    outcome.tlv.has(hap.TlvType.SessionID) &&
    !outcome.tlv.has(hap.TlvType.PublicKey),
};

export default chapter('pair-verify.m1-m2', ({ check, watch }) => [
  check(
    'PV-M1-01',
    'Valid M1 gets a valid M2',
    { sanity: true, keyless: true, from: 'paired', costs: { verifies: 1 }, ...served },
    async ({ controller, expect }) => {
      const verify = await controller.verify();
      const outcome = await verify.sendM1();
      expect(outcome).to.be.allowed();
      if (outcome.kind === 'reply')
        expect(outcome.tlv!.get(hap.TlvType.PublicKey)!.length, 'bytes of PublicKey').to.equal(
          hap.Length.curveKey,
        );
    },
  ),

  watch(
    'PV-M2-01',
    'M2 proves the long-term identity',
    'verify-m2',
    ({ m2: { publicKey, findings } }, { expect }) => {
      if (publicKey?.length !== hap.Length.curveKey) return;
      const defect = findings.find(({ requirement }) => requirement === 'PV-M2-01');
      expect(defect?.what, 'the identity in M2').to.equal(undefined);
    },
  ),

  // A key that comes again makes M3 replayable, and an old recording readable to whoever gets hold of its secret.
  watch(
    'PV-M2-02',
    'Fresh ephemeral key per M1',
    'verify-m2',
    ({ m2: { publicKey } }, { expect, memory }) => {
      if (publicKey?.length !== hap.Length.curveKey) return;
      const key = hap.hex(publicKey);
      expect(
        hap.lowOrderCurveKeys.some((point) => hap.equal(point, publicKey)),
        `the key of M2 (${key}) is of low order`,
      ).to.equal(false);
      expect(memory.has(key), `the key of M2 (${key}) was sent before`).to.equal(false);
      memory.set(key, 'seen');
    },
  ),

  check(
    'PV-M2-02/one-connection',
    'Fresh ephemeral key per M1',
    { from: 'paired', keyless: true, costs: { verifies: 2 }, tolerate: [outcomes.anyRefusal()], ...served },
    async ({ controller, expect }) => {
      const first = await controller.pairVerify();
      const second = await controller.verify({ link: first.link });
      const outcome = await second.sendM1();
      expect(outcome, 'the second M1').to.be.allowed();
      const key = second.m2?.publicKey;
      if (key !== undefined)
        expect(hap.hex(key), 'the second key').to.not.equal(hap.hex(first.m2!.publicKey!));
    },
  ),

  // A generator that is seeded by the start begins the same row of keys again: only the firsts of two starts tell.
  check(
    'PV-M2-02/restart',
    'Fresh ephemeral key per M1',
    { from: 'paired', keyless: true, needsHook: 'restart', costs: { verifies: 4 }, ...served },
    async ({ controller, bench, expect }) => {
      const keys: string[] = [];
      for (let start = 0; start < 2; start++) {
        await bench.restart();
        for (let i = 0; i < 2; i++) keys.push(hap.hex((await controller.pairVerify()).m2!.publicKey!));
      }
      expect(new Set(keys).size, `different keys among ${keys.join(', ')}`).to.equal(keys.length);
    },
  ),

  ...[0, 1, 31, 33, 64, 384].map((length) =>
    check(
      `PV-M1-02/${length}-bytes`,
      'PublicKey of wrong length or missing',
      { from: 'paired', keyless: true, risky: true, costs: { verifies: 1 }, ...outcomes.reject('verify-m2') },
      async ({ controller, expect, random }) => {
        const body = hap.encodeTlv(hap.verifyM1(random.bytes(length)));
        expect(await controller.postToVerify(await controller.open(), body)).to.be.allowed();
      },
    ),
  ),
  check(
    'PV-M1-02/missing',
    'PublicKey of wrong length or missing',
    {
      from: 'paired',
      keyless: true,
      risky: true,
      grid: ['verify-m1', 'item-missing'],
      costs: { verifies: 1 },
      ...outcomes.reject('verify-m2'),
    },
    async ({ controller, expect }) => {
      const body = hap.encodeTlv([hap.tlv(hap.TlvType.State, 1)]);
      expect(await controller.postToVerify(await controller.open(), body)).to.be.allowed();
    },
  ),

  ...Object.entries(methods).map(([name, method]) =>
    check(
      `PV-M1-03/${name}`,
      'Method item in Pair Verify M1',
      { from: 'paired', keyless: true, costs: { verifies: 1 }, ...eitherWay },
      async ({ controller, expect, observe, violate }) => {
        const verify = await controller.verify();
        const outcome = await verify.sendM1(edits.insert(hap.tlv(hap.TlvType.Method, method), 0));
        expect(outcome).to.be.allowed();
        observe('an M1 with Method', m2.matches(outcome) ? 'is served' : 'is refused');
        if (m2.matches(outcome)) return;
        const plain = await (await controller.verify()).sendM1();
        if (!m2.matches(plain))
          violate(`an M1 without Method is not served afterwards: ${outcomes.describeOutcome(plain)}`);
      },
    ),
  ),

  check(
    'PV-M1-04',
    'Pair Verify on an unpaired accessory',
    {
      from: 'unpaired',
      costs: { verifies: 1 },
      ...eitherWay,
      forbid: [outcomes.silence(), outcomes.success('verify-m4')],
    },
    async ({ controller, expect, observe }) => {
      const as = controller.newIdentity();
      const verify = await controller.verify({ as, housekeeping: true });
      const outcome = await verify.sendM1();
      expect(outcome).to.be.allowed();
      observe('M1 of an unpaired accessory', m2.matches(outcome) ? 'is served' : 'is refused');
      if (verify.m2?.items === undefined) return;
      expect(await verify.sendM3(), 'M3 of a controller nobody knows').to.be.allowed(
        outcomes.reject('verify-m4'),
      );
    },
  ),

  ...(['wrong', 'missing'] as const).map((what) =>
    check(
      `PV-M1-05/${what}`,
      'State values other than 1 and 3',
      {
        from: 'paired',
        keyless: true,
        risky: true,
        grid: ['verify-m1', what === 'wrong' ? 'state-wrong' : 'state-missing'],
        costs: { verifies: what === 'wrong' ? 1 + wrongStates.length : 2 },
        allow: [
          outcomes.tlvError(1),
          outcomes.tlvError(2),
          outcomes.tlvError(3),
          outcomes.tlvError(5),
          outcomes.tlvError(6),
          outcomes.tlvError(8),
          outcomes.badRequest(),
        ],
        tolerate: [outcomes.anyRefusal()],
        forbid: [m2, outcomes.success('verify-m4'), outcomes.silence()],
      },
      async ({ controller, expect, random }) => {
        const bodies =
          what === 'missing'
            ? [[hap.tlv(hap.TlvType.PublicKey, random.bytes(32))]]
            : wrongStates.map((state) => edits.replace('State', state)(hap.verifyM1(random.bytes(32))));
        let link = await controller.open();
        for (const items of bodies) {
          const outcome = await controller.postToVerify(link, hap.encodeTlv(items));
          expect(outcome, what === 'wrong' ? `State=${items[0]!.value[0]}` : what).to.be.allowed();
          if (outcome.kind !== 'reply' || !(await link.stillOpen(50))) link = await controller.open();
        }
        const verify = await controller.verify({ link });
        expect(await verify.sendM1(), 'M1 afterwards').to.be.allowed(served);
      },
    ),
  ),

  ...Object.entries(extras).map(([name, item]) =>
    check(
      `PV-M1-06/${name}`,
      'Extra and unknown items in M1 are ignored',
      {
        from: 'paired',
        keyless: true,
        costs: { verifies: 1 },
        ...served,
        ...(name === 'unknown-item' && { grid: ['verify-m1', 'unknown'] as const }),
      },
      async ({ controller, expect }) => {
        const verify = await controller.verify();
        expect(await verify.sendM1(edits.insert(item, 1))).to.be.allowed();
      },
    ),
  ),

  ...(['unknown-session', 'wrong-tag'] as const).map((what) =>
    check(
      `RESUME-01/${what}`,
      'Pair Resume over IP is not available',
      {
        from: 'paired',
        keyless: what === 'unknown-session',
        ...(what === 'wrong-tag' && { needs: ['PV-M3-01'] }),
        costs: { verifies: what === 'wrong-tag' ? 2 : 1 },
        allow: [m2, outcomes.tlvError(2), outcomes.badRequest()],
        tolerate: [outcomes.anyRefusal()],
        forbid: [resumed, outcomes.silence()],
      },
      async ({ controller, expect, random, observe }) => {
        let id = random.bytes(8);
        if (what === 'wrong-tag') {
          const before = await controller.pairVerify();
          await before.m3();
          id = before.machine.resumeSessionId();
          await before.link.close();
        }
        const body = hap.encodeTlv([
          hap.tlv(hap.TlvType.Method, hap.Method.PairResume),
          ...hap.verifyM1(random.bytes(32)),
          hap.tlv(hap.TlvType.SessionID, id),
          hap.tlv(hap.TlvType.EncryptedData, random.bytes(hap.Length.tag)),
        ]);
        const outcome = await controller.postToVerify(await controller.open(), body);
        expect(outcome).to.be.allowed();
        observe('Pair Resume over IP', m2.matches(outcome) ? 'is ignored: a full M2' : 'is refused');
      },
    ),
  ),
]);
