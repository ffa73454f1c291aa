import {
  type Bytes,
  type CheckSpec,
  type Identity,
  Length,
  Method,
  type Outcome,
  Permission,
  TlvType,
  type VerifyM3Options,
  all,
  answered,
  anyRefusal,
  badRequest,
  chapter,
  closed,
  concat,
  controllerIdentity,
  drop,
  flip,
  hex,
  insert,
  labelNonce,
  listPairings,
  misplacedError,
  otherError,
  plaintextReply,
  reject,
  reorder,
  resize,
  served,
  serverError,
  sign,
  signedInfo,
  silence,
  success,
  text,
  tlv,
  tlvError,
  unauthorised,
  utf8,
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
  // brutella/hap answers Error=4 here: nobody is let in, and controllers give up by any Error behind State=4.
  tolerate: [otherError(4)],
  forbid: [success('verify-m4')],
};

const request = { method: 'GET', path: '/accessories' };
const ok = { allow: [answered(200)] };
const granted = { allow: [success('verify-m4')] };
const authentication = tlvError(4, 'Authentication');

/** A message that must be refused, and must not harm anybody. */
const refused: CheckSpec = {
  from: 'paired',
  needs: ['PV-M3-01'],
  risky: true,
  costs: { verifies: 1 },
  ...reject('verify-m4'),
};

/** Other nonces than PV-Msg03 behind four zero bytes, 12 bytes each. */
const wrongNonces: Record<string, Bytes> = {
  'nonce-of-m2': labelNonce('PV-Msg02'),
  'nonce-of-pair-setup': labelNonce('PS-Msg05'),
  'nonce-label-first': concat(utf8('PV-Msg03'), new Uint8Array(4)),
};

/** Signed as it should be, and not all of it there, or not in its size. */
const incomplete: Record<string, VerifyM3Options> = {
  'without-signature': { sub: drop('Signature') },
  'without-identifier': { sub: drop('Identifier') },
  empty: { sub: () => [] },
  ...Object.fromEntries(
    [0, 63, 65].map((length) => [`signature-of-${length}-bytes`, { sub: resize('Signature', length) }]),
  ),
};

/** Identifiers that a lookup takes for ours when it folds case, stops at NUL, trims, or compares beginnings. */
const likeOurs: Record<string, (id: Bytes) => Bytes> = {
  'case-changed': (id) => utf8(text(id).toLowerCase()),
  'trailing-nul': (id) => concat(id, Uint8Array.of(0)),
  'byte-dropped': (id) => id.subarray(0, id.length - 1),
  'trailing-space': (id) => concat(id, utf8(' ')),
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

  // Where two tasks write, one switches to frames before or behind the other: that shows once in many times.
  check(
    'PV-M3-01/thirty-times',
    {
      from: 'paired',
      needs: ['PV-M3-01'],
      costs: { verifies: TIMES },
      allow: [answered(200)],
      forbid: [plaintextReply(), closed(), silence()],
    },
    async ({ controller, expect }) => {
      for (let time = 1; time <= TIMES; time++) {
        const verify = await controller.pairVerify();
        expect(await verify.sendM3(), `M3, time ${time}`).to.be.allowed({
          ...granted,
          forbid: [closed(), silence()],
        });
        const outcome = await verify.secure().get('/accessories');
        expect(outcome, `a request in the moment M4 comes, time ${time}`).to.be.allowed();
        await verify.link.close();
      }
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

  check(
    'PV-M3-02/signed-by-a-paired-key',
    {
      from: 'paired',
      needs: ['PV-M3-01'],
      costs: { verifies: 1 },
      allow: [tlvError(4, 'Authentication')],
      tolerate: [misplacedError(4, 'Authentication')],
      forbid: [success('verify-m4')],
    },
    async ({ controller, bench, expect, random }) => {
      const { id } = controllerIdentity(random);
      const verify = await controller.pairVerify({ as: { ...bench.admin!, id } });
      expect(await verify.sendM3()).to.be.allowed();
    },
  ),

  // Everybody who is paired could act as everybody else.
  ...(['user-in-the-name-of-the-admin', 'admin-in-the-name-of-a-user'] as const).map((name) =>
    check(
      `PV-M3-03/${name}`,
      { ...wrongSignature, needs: ['PAIRINGS-01', 'PV-M3-01'], costs: { verifies: 2 } },
      async ({ controller, bench, expect }) => {
        const session = await controller.session();
        const user = await controller.letIn(session);
        try {
          const [as, signer] =
            name === 'admin-in-the-name-of-a-user' ? [user, bench.admin!] : [bench.admin!, user];
          const verify = await controller.pairVerify({ as });
          const outcome = await verify.sendM3({
            signature: ({ own, accessory }) => sign(signer.ltsk, signedInfo(own, as.id, accessory)),
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

  check(
    'PV-M3-04/bit-flipped',
    { ...refused, grid: ['verify-m3', 'bad-tag'] },
    async ({ controller, expect, random }) => {
      const verify = await controller.pairVerify();
      // In the tag: what is sealed stays as it is, for whoever does not look at the tag.
      const bit = -1 - random.below(8 * Length.tag);
      expect(await verify.sendM3({}, flip('EncryptedData', bit))).to.be.allowed();
    },
  ),
  check('PV-M3-04/wrong-key', refused, async ({ controller, expect, random }) => {
    const verify = await controller.pairVerify();
    expect(await verify.sendM3({ key: random.bytes(32) })).to.be.allowed();
  }),
  ...Object.entries(wrongNonces).map(([name, nonce]) =>
    check(
      `PV-M3-04/${name}`,
      { ...refused, ...(name === 'nonce-of-m2' && { grid: ['verify-m3', 'wrong-nonce'] as const }) },
      async ({ controller, expect }) => {
        const verify = await controller.pairVerify();
        expect(await verify.sendM3({ nonce })).to.be.allowed();
      },
    ),
  ),
  ...[-1, 1].map((by) =>
    check(`PV-M3-04/${by < 0 ? 'truncated' : 'extended'}`, refused, async ({ controller, expect }) => {
      const verify = await controller.pairVerify();
      const length = verify.machine.m3().find(({ type }) => type === TlvType.EncryptedData)!.value.length;
      expect(await verify.sendM3({}, resize('EncryptedData', length + by))).to.be.allowed();
    }),
  ),
  check(
    'PV-M3-04/missing',
    { ...refused, grid: ['verify-m3', 'item-missing'] },
    async ({ controller, expect }) => {
      const verify = await controller.pairVerify();
      expect(await verify.sendM3({}, drop('EncryptedData'))).to.be.allowed();
    },
  ),
  // Whatever is shorter than a tag makes a length below zero for whoever only subtracts.
  ...[0, 1, 15, 16].map((length) =>
    check(`PV-M3-04/${length}-bytes`, refused, async ({ controller, expect }) => {
      const verify = await controller.pairVerify();
      expect(await verify.sendM3({}, resize('EncryptedData', length))).to.be.allowed();
    }),
  ),

  ...Object.entries(incomplete).map(([name, options]) =>
    check(`PV-M3-05/${name}`, refused, async ({ controller, expect }) => {
      const verify = await controller.pairVerify();
      expect(await verify.sendM3(options)).to.be.allowed();
    }),
  ),
  ...[0, 37, 64, 255].map((length) =>
    check(`PV-M3-05/identifier-of-${length}-bytes`, refused, async ({ controller, expect, random }) => {
      const verify = await controller.pairVerify();
      const id = concat(verify.identity.id, random.bytes(219)).subarray(0, length);
      expect(await verify.sendM3({ id })).to.be.allowed();
    }),
  ),

  ...Object.entries(likeOurs).map(([name, change]) =>
    check(
      `PV-M3-06/${name}`,
      {
        from: 'paired',
        needs: ['PV-M3-01'],
        costs: { verifies: 1 },
        // One of another length is malformed, and may be told so (PV-M3-05).
        allow: name === 'case-changed' ? [authentication] : [authentication, badRequest()],
        tolerate: name === 'case-changed' ? [anyRefusal(), success('verify-m4')] : [anyRefusal()],
        forbid: name === 'case-changed' ? [silence()] : [silence(), success('verify-m4')],
      },
      async ({ controller, expect }) => {
        const verify = await controller.pairVerify();
        expect(await verify.sendM3({ id: change(verify.identity.id) })).to.be.allowed();
      },
    ),
  ),

  check(
    'PV-M3-07/plaintext',
    {
      from: 'paired',
      needs: ['PV-M3-01'],
      costs: { verifies: 1 },
      allow: [unauthorised()],
      tolerate: [serverError(), closed()],
      forbid: [served()],
    },
    async ({ controller, expect, random }) => {
      const verify = await controller.pairVerify();
      const m4 = await verify.sendM3({ sub: flip('Signature', random.below(500)) });
      expect(m4, 'M3 with a wrong signature').to.be.allowed(reject('verify-m4'));
      expect(await controller.request(verify.link, request), 'GET /accessories').to.be.allowed();
    },
  ),
  check(
    'PV-M3-07/frame',
    {
      from: 'paired',
      needs: ['PV-M3-01'],
      risky: true,
      costs: { verifies: 1 },
      allow: [closed(), silence(), plaintextReply()],
      forbid: [served()],
    },
    async ({ controller, expect, random }) => {
      const verify = await controller.pairVerify();
      const m4 = await verify.sendM3(
        { sub: flip('Signature', random.below(500)) },
        undefined,
        controller.stepWait,
      );
      expect(m4, 'M3 with a wrong signature').to.be.allowed(reject('verify-m4'));
      const session = verify.secure(false);
      const frame = concat(...session.seal(request));
      expect(
        await session.sendRaw(frame, 'GET /accessories under the keys M4 did not grant'),
      ).to.be.allowed();
    },
  ),

  check(
    'PV-M3-08',
    { from: 'paired', needs: ['PV-M3-01'], costs: { verifies: 1 }, ...granted },
    async ({ controller, expect }) => {
      const verify = await controller.pairVerify();
      const sub = all(reorder('Signature', 'Identifier'), insert(tlv(0x7f, Uint8Array.of(1, 2, 3)), 1));
      expect(await verify.sendM3({ sub })).to.be.allowed();
    },
  ),

  watch('PV-M4-01', 'verify-m4', ({ reply: { http } }, { expect }) => {
    expect(hex(http.body), 'the body of M4').to.equal('060104');
    expect(http.framing, 'how M4 tells its end').to.be.oneOf(['content-length', 'chunked']);
  }),

  // A controller on a fast network asks for the first thing before M4 has come to it.
  check(
    'PV-M4-01/one-segment',
    {
      from: 'paired',
      needs: ['PV-M3-01'],
      risky: true,
      costs: { verifies: 1 },
      allow: [answered(200), closed()],
      forbid: [plaintextReply()],
    },
    async ({ controller, expect }) => {
      const verify = await controller.pairVerify();
      const [m4, answer] = await verify.sendM3With(request);
      expect(m4, 'M4').to.be.allowed({ allow: [...granted.allow, closed()] });
      expect(answer, 'the frame in the segment of M3').to.be.allowed();
    },
  ),

  check(
    'PV-M4-02',
    {
      from: 'paired',
      needs: ['PAIRINGS-01', 'PV-M3-01'],
      costs: { verifies: FULL_HOUSE + AT_ONCE - 1 },
      ...granted,
    },
    async ({ controller, bench, expect, observe }) => {
      let session = await controller.session();
      const plain = await controller.admitsPlain();
      const adds = !(await session.lacks(Method.AddPairing));
      const lists = !(await session.lacks(Method.ListPairings));
      // All this takes a board half a minute, and some accessories close a session that was silent for so long.
      const listed = async (): Promise<Outcome> => {
        const outcome = await session.sendPairings(listPairings());
        if (!closed().matches(outcome)) return outcome;
        session = await controller.session();
        return session.sendPairings(listPairings());
      };
      const users: Identity[] = [];
      try {
        // Where nobody is taken out again, a few have to do.
        const most = adds && bench.learned.keepsAll === undefined ? FULL_HOUSE - 1 : FEW;
        while (!adds && users.length < most) users.push(await controller.letIn(session));
        while (users.length < most) {
          const user = controller.newGuest();
          // Every other one: an accessory that forgets its first controller must leave somebody who can clear the table.
          const permissions = users.length % 2 === 0 || !plain ? Permission.Admin : Permission.User;
          if (!success('pairings-add').matches(await session.sendAdd(user, permissions))) break;
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
          expect(await own.sendPairings(listPairings()), whose).to.be.allowed(
            isAdmin
              ? { allow: [success('pairings-list')] }
              : {
                  allow: [tlvError(2, 'Authentication'), unauthorised()],
                  tolerate: [anyRefusal()],
                  forbid: [success('pairings-list')],
                },
          );
        }
        if (lists)
          expect(await listed(), 'List of the admin').to.be.allowed({ allow: [success('pairings-list')] });
      } finally {
        for (const { id } of bench.learned.keepsAll === undefined ? users : []) {
          if (!closed().matches(await session.sendRemove(id))) continue;
          session = await controller.session();
          await session.sendRemove(id);
        }
      }
    },
  ),
]);
