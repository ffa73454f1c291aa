/**
 * The proof of the controller in Pair Verify: M3 is signed with an LTSK the accessory has the LTPK of.
 * Each check sends an M3 that is wrong in one thing: unknown, removed, signed otherwise, under another key.
 * None of them may open a session, and none may cost the right controller its own.
 */
import { type CheckSpec, chapter, edits, hap, outcomes } from '../../harness/suite.js';

type Parts = {
  identity: hap.Identity;
  own: hap.Bytes;
  accessory: hap.Bytes;
  accessorySignature: hap.Bytes | undefined;
  other: hap.Identity;
  oldKey: hap.Bytes;
};

const wrongSignatures: Record<string, (parts: Parts) => hap.Bytes> = {
  'by-another-key': ({ identity, own, accessory, other }) =>
    hap.sign(other.ltsk, hap.signedInfo(own, identity.id, accessory)),
  'accessory-first': ({ identity, own, accessory }) =>
    hap.sign(identity.ltsk, hap.signedInfo(accessory, identity.id, own)),
  'over-another-identifier': ({ identity, own, accessory, other }) =>
    hap.sign(identity.ltsk, hap.signedInfo(own, other.id, accessory)),
  'over-old-keys': ({ identity, own, oldKey }) =>
    hap.sign(identity.ltsk, hap.signedInfo(own, identity.id, oldKey)),
  'zero-bytes': () => new Uint8Array(64),
  'replay-of-the-accessory': ({ accessorySignature }) => accessorySignature!,
};

/** A known controller that cannot prove it is the one. */
const wrongSignature: CheckSpec = {
  from: 'paired',
  needs: ['PV-M3-01'],
  costs: { verifies: 1 },
  allow: [outcomes.tlvError(4, 'Authentication')],
  // brutella/hap answers Error=4 here: nobody is let in, and controllers give up by any Error behind State=4.
  tolerate: [outcomes.otherError(4)],
  forbid: [outcomes.success('verify-m4')],
};

const request = { method: 'GET', path: '/accessories' };
const ok = { allow: [outcomes.answered(200)] };
const granted = { allow: [outcomes.success('verify-m4')] };
const authentication = outcomes.tlvError(4, 'Authentication');

/** A message that must be refused, and must not harm anybody. */
const refused: CheckSpec = {
  from: 'paired',
  needs: ['PV-M3-01'],
  risky: true,
  costs: { verifies: 1 },
  ...outcomes.reject('verify-m4'),
};

/** Other nonces than PV-Msg03 behind four zero bytes, 12 bytes each. */
const wrongNonces: Record<string, hap.Bytes> = {
  'nonce-of-m2': hap.labelNonce('PV-Msg02'),
  'nonce-of-pair-setup': hap.labelNonce('PS-Msg05'),
  'nonce-label-first': hap.concat(hap.utf8('PV-Msg03'), new Uint8Array(4)),
};

/** Signed as it should be, and not all of it there, or not in its size. */
const incomplete: Record<string, edits.VerifyM3Options> = {
  'without-signature': { sub: edits.drop('Signature') },
  'without-identifier': { sub: edits.drop('Identifier') },
  empty: { sub: () => [] },
  ...Object.fromEntries(
    [0, 63, 65].map((length) => [`signature-of-${length}-bytes`, { sub: edits.resize('Signature', length) }]),
  ),
};

/** Identifiers that a lookup takes for ours when it folds case, stops at NUL, trims, or compares beginnings. */
const likeOurs: Record<string, (id: hap.Bytes) => hap.Bytes> = {
  'case-changed': (id) => hap.utf8(hap.text(id).toLowerCase()),
  'trailing-nul': (id) => hap.concat(id, Uint8Array.of(0)),
  'byte-dropped': (id) => id.subarray(0, id.length - 1),
  'trailing-space': (id) => hap.concat(id, hap.utf8(' ')),
};

/** How often the first request of a session is sent in the moment M4 comes. */
const TIMES = 30;
/** Pairings an accessory must be able to hold (seed 000). */
const FULL_HOUSE = 16;
/** Controllers that may stay in a receiver that takes out nobody. */
const FEW = 3;
/** Connections it must be able to serve at the same time. */
const AT_ONCE = 8;

export default chapter('pair-verify.m3-m4', ({ check, watch }) => [
  check(
    'PV-M3-01',
    'Valid M3 gets M4 and a secured session',
    { sanity: true, from: 'paired', costs: { verifies: 1 }, allow: [outcomes.success('verify-m4')] },
    async ({ controller, expect }) => {
      const verify = await controller.pairVerify();
      const outcome = await verify.sendM3();
      expect(outcome).to.be.allowed();
      if (outcome.kind === 'reply') expect(outcome.tlv!.typeNames(), 'items of M4').to.deep.equal(['State']);
      const session = verify.secure();
      expect(await session.get('/accessories')).to.be.allowed({ allow: [outcomes.answered(200)] });
    },
  ),

  // Where two tasks write, one switches to frames before or behind the other: that shows once in many times.
  check(
    'PV-M3-01/thirty-times',
    'Valid M3 gets M4 and a secured session',
    {
      from: 'paired',
      needs: ['PV-M3-01'],
      costs: { verifies: TIMES },
      allow: [outcomes.answered(200)],
      forbid: [outcomes.plaintextReply(), outcomes.closed(), outcomes.silence()],
    },
    async ({ controller, expect }) => {
      for (let time = 1; time <= TIMES; time++) {
        const verify = await controller.pairVerify();
        expect(await verify.sendM3(), `M3, time ${time}`).to.be.allowed({
          ...granted,
          forbid: [outcomes.closed(), outcomes.silence()],
        });
        const outcome = await verify.secure().get('/accessories');
        expect(outcome, `a request in the moment M4 comes, time ${time}`).to.be.allowed();
        await verify.link.close();
      }
    },
  ),

  check(
    'PV-M3-02',
    'Unknown controller identifier',
    {
      from: 'paired',
      keyless: true,
      needs: ['PV-M3-01'],
      costs: { verifies: 1 },
      allow: [outcomes.tlvError(4, 'Authentication')],
      tolerate: [outcomes.misplacedError(4, 'Authentication')],
      forbid: [outcomes.success('verify-m4')],
    },
    async ({ controller, expect }) => {
      const verify = await controller.pairVerify({ as: controller.newIdentity() });
      expect(await verify.sendM3()).to.be.allowed();
    },
  ),

  check(
    'PV-M3-02/signed-by-a-paired-key',
    'Unknown controller identifier',
    {
      from: 'paired',
      needs: ['PV-M3-01'],
      costs: { verifies: 1 },
      allow: [outcomes.tlvError(4, 'Authentication')],
      tolerate: [outcomes.misplacedError(4, 'Authentication')],
      forbid: [outcomes.success('verify-m4')],
    },
    async ({ controller, bench, expect, random }) => {
      const { id } = hap.controllerIdentity(random);
      const verify = await controller.pairVerify({ as: { ...bench.admin!, id } });
      expect(await verify.sendM3()).to.be.allowed();
    },
  ),

  // Everybody who is paired could act as everybody else.
  ...(['user-in-the-name-of-the-admin', 'admin-in-the-name-of-a-user'] as const).map((name) =>
    check(
      `PV-M3-03/${name}`,
      'Wrong signature for a known identifier',
      { ...wrongSignature, needs: ['PAIRINGS-01', 'PV-M3-01'], costs: { verifies: 2 } },
      async ({ controller, bench, expect }) => {
        const session = await controller.session();
        const user = await controller.letIn(session);
        try {
          const [as, signer] =
            name === 'admin-in-the-name-of-a-user' ? [user, bench.admin!] : [bench.admin!, user];
          const verify = await controller.pairVerify({ as });
          const outcome = await verify.sendM3({
            signature: ({ own, accessory }) => hap.sign(signer.ltsk, hap.signedInfo(own, as.id, accessory)),
          });
          expect(outcome).to.be.allowed();
        } finally {
          if (bench.learned.keepsAll === undefined && (await session.link.stillOpen(0)))
            await session.sendRemove(user.id);
        }
      },
    ),
  ),

  ...Object.entries(wrongSignatures).map(([name, signature]) =>
    check(
      `PV-M3-03/${name}`,
      'Wrong signature for a known identifier',
      wrongSignature,
      async ({ controller, expect, random }) => {
        const other = hap.controllerIdentity(random);
        const oldKey = random.bytes(32);
        const verify = await controller.pairVerify();
        expect(
          await verify.sendM3({ signature: (parts) => signature({ ...parts, other, oldKey }) }),
        ).to.be.allowed();
      },
    ),
  ),
  check(
    'PV-M3-03/bit-flipped',
    'Wrong signature for a known identifier',
    wrongSignature,
    async ({ controller, expect, random }) => {
      const verify = await controller.pairVerify();
      expect(await verify.sendM3({ sub: edits.flip('Signature', random.below(500)) })).to.be.allowed();
    },
  ),

  check(
    'PV-M3-04/bit-flipped',
    'EncryptedData that does not open',
    { ...refused, grid: ['verify-m3', 'bad-tag'] },
    async ({ controller, expect, random }) => {
      const verify = await controller.pairVerify();
      // In the tag: what is sealed stays as it is, for whoever does not look at the tag.
      const bit = -1 - random.below(8 * hap.Length.tag);
      expect(await verify.sendM3({}, edits.flip('EncryptedData', bit))).to.be.allowed();
    },
  ),
  check(
    'PV-M3-04/wrong-key',
    'EncryptedData that does not open',
    refused,
    async ({ controller, expect, random }) => {
      const verify = await controller.pairVerify();
      expect(await verify.sendM3({ key: random.bytes(32) })).to.be.allowed();
    },
  ),
  ...Object.entries(wrongNonces).map(([name, nonce]) =>
    check(
      `PV-M3-04/${name}`,
      'EncryptedData that does not open',
      { ...refused, ...(name === 'nonce-of-m2' && { grid: ['verify-m3', 'wrong-nonce'] as const }) },
      async ({ controller, expect }) => {
        const verify = await controller.pairVerify();
        expect(await verify.sendM3({ nonce })).to.be.allowed();
      },
    ),
  ),
  ...[-1, 1].map((by) =>
    check(
      `PV-M3-04/${by < 0 ? 'truncated' : 'extended'}`,
      'EncryptedData that does not open',
      refused,
      async ({ controller, expect }) => {
        const verify = await controller.pairVerify();
        const length = verify.machine.m3().find(({ type }) => type === hap.TlvType.EncryptedData)!.value
          .length;
        expect(await verify.sendM3({}, edits.resize('EncryptedData', length + by))).to.be.allowed();
      },
    ),
  ),
  check(
    'PV-M3-04/missing',
    'EncryptedData that does not open',
    { ...refused, grid: ['verify-m3', 'item-missing'] },
    async ({ controller, expect }) => {
      const verify = await controller.pairVerify();
      expect(await verify.sendM3({}, edits.drop('EncryptedData'))).to.be.allowed();
    },
  ),
  // Whatever is shorter than a tag makes a length below zero for whoever only subtracts.
  ...[0, 1, 15, 16].map((length) =>
    check(
      `PV-M3-04/${length}-bytes`,
      'EncryptedData that does not open',
      refused,
      async ({ controller, expect }) => {
        const verify = await controller.pairVerify();
        expect(await verify.sendM3({}, edits.resize('EncryptedData', length))).to.be.allowed();
      },
    ),
  ),

  ...Object.entries(incomplete).map(([name, options]) =>
    check(`PV-M3-05/${name}`, 'Missing sub-TLVs', refused, async ({ controller, expect }) => {
      const verify = await controller.pairVerify();
      expect(await verify.sendM3(options)).to.be.allowed();
    }),
  ),
  ...[0, 37, 64, 255].map((length) =>
    check(
      `PV-M3-05/identifier-of-${length}-bytes`,
      'Missing sub-TLVs',
      refused,
      async ({ controller, expect, random }) => {
        const verify = await controller.pairVerify();
        const id = hap.concat(verify.identity.id, random.bytes(219)).subarray(0, length);
        expect(await verify.sendM3({ id })).to.be.allowed();
      },
    ),
  ),

  ...Object.entries(likeOurs).map(([name, change]) =>
    check(
      `PV-M3-06/${name}`,
      'Identifier compare is exact',
      {
        from: 'paired',
        needs: ['PV-M3-01'],
        costs: { verifies: 1 },
        // One of another length is malformed, and may be told so (PV-M3-05).
        allow: name === 'case-changed' ? [authentication] : [authentication, outcomes.badRequest()],
        tolerate:
          name === 'case-changed'
            ? [outcomes.anyRefusal(), outcomes.success('verify-m4')]
            : [outcomes.anyRefusal()],
        forbid:
          name === 'case-changed'
            ? [outcomes.silence()]
            : [outcomes.silence(), outcomes.success('verify-m4')],
      },
      async ({ controller, expect }) => {
        const verify = await controller.pairVerify();
        expect(await verify.sendM3({ id: change(verify.identity.id) })).to.be.allowed();
      },
    ),
  ),

  check(
    'PV-M3-07/plaintext',
    'After a failed M4 nothing is encrypted or authorised',
    {
      from: 'paired',
      needs: ['PV-M3-01'],
      costs: { verifies: 1 },
      allow: [outcomes.unauthorised()],
      tolerate: [outcomes.serverError(), outcomes.closed()],
      forbid: [outcomes.served()],
    },
    async ({ controller, expect, random }) => {
      const verify = await controller.pairVerify();
      const m4 = await verify.sendM3({ sub: edits.flip('Signature', random.below(500)) });
      expect(m4, 'M3 with a wrong signature').to.be.allowed(outcomes.reject('verify-m4'));
      expect(await controller.request(verify.link, request), 'GET /accessories').to.be.allowed();
    },
  ),
  check(
    'PV-M3-07/frame',
    'After a failed M4 nothing is encrypted or authorised',
    {
      from: 'paired',
      needs: ['PV-M3-01'],
      risky: true,
      costs: { verifies: 1 },
      allow: [outcomes.closed(), outcomes.silence(), outcomes.plaintextReply()],
      forbid: [outcomes.served()],
    },
    async ({ controller, expect, random }) => {
      const verify = await controller.pairVerify();
      const m4 = await verify.sendM3(
        { sub: edits.flip('Signature', random.below(500)) },
        undefined,
        controller.stepWait,
      );
      expect(m4, 'M3 with a wrong signature').to.be.allowed(outcomes.reject('verify-m4'));
      const session = verify.secure(false);
      const frame = hap.concat(...session.seal(request));
      expect(
        await session.sendRaw(frame, 'GET /accessories under the keys M4 did not grant'),
      ).to.be.allowed();
    },
  ),

  check(
    'PV-M3-08',
    'Extra sub-TLVs and order',
    { from: 'paired', needs: ['PV-M3-01'], costs: { verifies: 1 }, ...granted },
    async ({ controller, expect }) => {
      const verify = await controller.pairVerify();
      const sub = edits.all(
        edits.reorder('Signature', 'Identifier'),
        edits.insert(hap.tlv(0x7f, Uint8Array.of(1, 2, 3)), 1),
      );
      expect(await verify.sendM3({ sub })).to.be.allowed();
    },
  ),

  watch('PV-M4-01', 'M4 is minimal and plaintext', 'verify-m4', ({ reply: { http } }, { expect }) => {
    expect(hap.hex(http.body), 'the body of M4').to.equal('060104');
    expect(http.framing, 'how M4 tells its end').to.be.oneOf(['content-length', 'chunked']);
  }),

  // A controller on a fast network asks for the first thing before M4 has come to it.
  check(
    'PV-M4-01/one-segment',
    'M4 is minimal and plaintext',
    {
      from: 'paired',
      needs: ['PV-M3-01'],
      risky: true,
      costs: { verifies: 1 },
      allow: [outcomes.answered(200), outcomes.closed()],
      forbid: [outcomes.plaintextReply()],
    },
    async ({ controller, expect }) => {
      const verify = await controller.pairVerify();
      const [m4, answer] = await verify.sendM3With(request);
      expect(m4, 'M4').to.be.allowed({ allow: [...granted.allow, outcomes.closed()] });
      expect(answer, 'the frame in the segment of M3').to.be.allowed();
    },
  ),

  check(
    'PV-M4-02',
    'All stored controllers can verify',
    {
      from: 'paired',
      needs: ['PAIRINGS-01', 'PV-M3-01'],
      alone: true,
      costs: { verifies: FULL_HOUSE + AT_ONCE - 1 },
      ...granted,
    },
    async ({ controller, bench, expect, observe }) => {
      let session = await controller.session();
      const plain = await controller.admitsPlain();
      const adds = !(await session.lacks(hap.Method.AddPairing));
      const lists = !(await session.lacks(hap.Method.ListPairings));
      // All this takes a board half a minute, and some accessories close a session that was silent for so long.
      const listed = async (): Promise<outcomes.Outcome> => {
        const outcome = await session.sendPairings(hap.listPairings());
        if (!outcomes.closed().matches(outcome)) return outcome;
        session = await controller.session();
        return session.sendPairings(hap.listPairings());
      };
      const users: hap.Identity[] = [];
      try {
        // Where nobody is taken out again, a few have to do.
        const most = adds && bench.learned.keepsAll === undefined ? FULL_HOUSE - 1 : FEW;
        while (!adds && users.length < most) users.push(await controller.letIn(session));
        while (users.length < most) {
          const user = controller.newGuest();
          // Every other one: an accessory that forgets its first controller must leave somebody who can clear the table.
          const permissions = users.length % 2 === 0 || !plain ? hap.Permission.Admin : hap.Permission.User;
          if (!outcomes.success('pairings-add').matches(await session.sendAdd(user, permissions))) break;
          users.push(user);
        }
        observe('pairings', String(users.length + 1));
        for (const [i, as] of users.entries()) {
          const verify = await controller.pairVerify({ as });
          expect(await verify.sendM3(), `Pair Verify of controller ${i + 2}`).to.be.allowed();
          await verify.link.close();
        }
        const exchanges = await Promise.all(
          users.slice(1 - AT_ONCE).map((as) => controller.pairVerify({ as })),
        );
        for (const verify of exchanges.toReversed())
          expect(await verify.sendM3(), 'Pair Verify, several at once').to.be.allowed();
        for (const verify of exchanges) {
          const own = verify.secure();
          expect(await own.get('/accessories'), 'the session of a user').to.be.allowed(ok);
          if (!adds || !lists) continue;
          const isAdmin = users.indexOf(verify.identity) % 2 === 0 || !plain;
          const whose = isAdmin ? 'List of an admin' : 'List of a user';
          expect(await own.sendPairings(hap.listPairings()), whose).to.be.allowed(
            isAdmin
              ? { allow: [outcomes.success('pairings-list')] }
              : {
                  allow: [outcomes.tlvError(2, 'Authentication'), outcomes.unauthorised()],
                  tolerate: [outcomes.anyRefusal()],
                  forbid: [outcomes.success('pairings-list')],
                },
          );
        }
        if (lists)
          expect(await listed(), 'List of the admin').to.be.allowed({
            allow: [outcomes.success('pairings-list')],
          });
      } finally {
        for (const { id } of bench.learned.keepsAll === undefined ? users : []) {
          if (!outcomes.closed().matches(await session.sendRemove(id))) continue;
          session = await controller.session();
          await session.sendRemove(id);
        }
      }
    },
  ),
]);
