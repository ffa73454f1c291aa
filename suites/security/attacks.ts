import {
  type Bytes,
  type CheckSpec,
  type Controller,
  ED25519_ORDER,
  type Identity,
  type Outcome,
  type Random,
  type Session,
  type VerifyM3Options,
  Permission,
  TlvType,
  answered,
  anyRefusal,
  badRequest,
  chapter,
  closed,
  concat,
  controllerIdentity,
  deriveKey,
  describeOutcome,
  disallowedCodes,
  encodeTlv,
  equal,
  flip,
  hex,
  isTrivialCode,
  lowOrderCurveKeys,
  malleated,
  reject,
  replace,
  resize,
  sealedMessage,
  setupM3,
  sha512,
  sign,
  signedInfo,
  silence,
  smallOrderPoints,
  success,
  text,
  tlv,
  tlvError,
  toInteger,
  utf8,
  verifyM1,
} from '../../harness/suite.js';

const request = { method: 'GET', path: '/accessories' };
const ok = { allow: [answered(200)] };

/** Replies of each kind that are compared. */
const SAMPLES = 3;
/** Longest stretch of a secret that is looked for: 16 bytes do not occur by chance. */
const STRETCH = 16;
/** What is kept of a connection to be looked at again: a secret may be cut in two by a segment, and v is known behind M2 only. */
const TAIL = 2048;
/** Bodies longer than this are looked at as far as this. */
const MAX_SCAN = 65_536;

/** (R, S) = (identity, 0): under a key of small order it holds for every message whose hash is a multiple of 8. */
const weakSignature = concat(Uint8Array.of(1), new Uint8Array(63));

/** Whether a verifier without cofactor, too, lets the weak signature pass for this message. */
function holdsWithoutCofactor(ltpk: Bytes, message: Bytes): boolean {
  const hash = sha512(concat(weakSignature.subarray(0, 32), ltpk, message)).reverse();
  return (toInteger(hash) % ED25519_ORDER) % 8n === 0n;
}

const weakKeys: Record<string, Bytes> = {
  'identity-point': smallOrderPoints[2]!,
  'order-8': smallOrderPoints[4]!,
};

/** A refusal of Add, or of what comes with it. */
const refusedAdd = { allow: [tlvError(2), badRequest()], tolerate: [anyRefusal()] };

/** Identifiers that a lookup by strcmp, a file of lines, a path or a quoted text takes for something else. */
const oddIdentifiers: Record<string, (user: Bytes, random: Random) => Bytes> = {
  nul: (user, random) => concat(user, Uint8Array.of(0), random.bytes(8)),
  newline: (user, random) => concat(utf8('line\n'), user.subarray(0, 8), utf8(hex(random.bytes(4)))),
  colon: (_user, random) => utf8(`a:${hex(random.bytes(12))}:1`),
  quote: (_user, random) => utf8(`"},{"id":"${hex(random.bytes(8))}`),
  path: (_user, random) => utf8(`../../${hex(random.bytes(8))}/key`),
};

/** What a session lists, as comparable text in a fixed order. */
async function listed(session: Session): Promise<string[]> {
  const { entries } = await session.list();
  return entries.map(({ id, ltpk, permissions }) => line({ id, ltpk }, permissions)).sort();
}

function line({ id, ltpk }: Pick<Identity, 'id' | 'ltpk'>, permissions: number): string {
  return `${hex(id)} ${hex(ltpk)} ${permissions}`;
}

/** Identifiers and keys of the list, whatever it says of permissions. */
async function names(session: Session): Promise<string[]> {
  return (await session.list()).entries.map(nameOf).sort();
}

function nameOf({ id, ltpk }: Pick<Identity, 'id' | 'ltpk'>): string {
  return `${hex(id)} ${hex(ltpk)}`;
}

/** What comes without credentials may be turned down in any way. */
const turnedDown = {
  allow: [tlvError(6), tlvError(4), tlvError(2), badRequest(), closed()],
  tolerate: [anyRefusal()],
};

/** Inputs that need no credentials; another session stays up, and the accessory answers afterwards. */
const uninvited: CheckSpec = { from: 'paired', needs: ['PV-M3-01'], risky: true, ...turnedDown };

/** True when Add took the identity, else how it was refused. */
async function takes(session: Session, identity: Identity): Promise<true | Outcome> {
  const outcome = await session.sendAdd(identity, Permission.User);
  return success('pairings-add').matches(outcome) ? true : outcome;
}

/** A user whose identifier is short enough to be the beginning of another of 36 bytes, where such a one is taken. */
async function addUser(session: Session): Promise<Identity> {
  const { controller } = session;
  const short = controller.newIdentity(controller.newIdentity().id.subarray(0, 27));
  if ((await takes(session, short)) === true) return short;
  const user = controller.newIdentity();
  await session.add(user, Permission.User);
  return user;
}

async function verifies(controller: Controller, as: Identity): Promise<boolean> {
  const verify = await controller.pairVerify({ as });
  return success('verify-m4').matches(await verify.sendM3());
}

export default chapter('security.attacks', ({ check, watch }) => [
  watch('SEC-03', 'readable', ({ connection, bytes }, { expect, bench, memory }) => {
    const key = `#${connection}`;
    const content = (memory.get(key) ?? '') + latin1(bytes.subarray(0, MAX_SCAN));
    memory.set(key, content.slice(-TAIL));
    const { code } = bench.options;
    // The four digits of a PIN turn up by chance in whatever is long enough.
    const telling = code !== undefined && code.digits.length > 5;
    const found =
      telling && (content.includes(code.dashed) || standsAlone(code.digits, content))
        ? 'the setup code'
        : secretIn(content, bench.secrets)?.what;
    // In words only: the report must not be the next place it leaks to.
    expect(found, 'a secret in what the accessory sent').to.equal(undefined);
  }),

  // The code the user gave tells without a guess; whether it is the right one, the plain flow has found out.
  check(
    'SEC-04/listed',
    { from: 'any', needs: ['PS-M3-01'], warnsOnly: true },
    async ({ bench, expect, warn, notApplicable }) => {
      const { code } = bench.options;
      if (code === undefined) return notApplicable('no setup code is given');
      expect(code.digits, 'the setup code').to.have.length(8);
      if (isTrivialCode(code)) warn('the setup code is one of those the protocol forbids as too easy');
    },
  ),

  check(
    'SEC-04/guessing',
    {
      from: 'unpaired',
      needs: ['PS-M3-01'],
      destructive: true,
      once: true,
      costs: { m2: 12, m4: 12, attempts: 12 },
      allow: [tlvError(4, 'Authentication')],
      // By which code is PS-M3-04's question.
      tolerate: [anyRefusal()],
    },
    async ({ controller, bench, expect, warn, violate }) => {
      for (const digits of disallowedCodes) {
        const password = `${digits.slice(0, 3)}-${digits.slice(3, 5)}-${digits.slice(5)}`;
        const setup = await controller.pairSetup({ password });
        const outcome = await setup.sendM3();
        if (!success('setup-m4').matches(outcome)) expect(outcome, password).to.be.allowed();
        else if (digits === bench.options.code?.digits)
          warn('the setup code is the first thing to be guessed');
        else violate(`${password} opens the accessory, beside the code given`);
        await setup.link.close();
      }
    },
  ),

  check(
    'SEC-02',
    {
      from: 'paired',
      needs: ['PV-M3-01'],
      risky: true,
      costs: { verifies: lowOrderCurveKeys.length },
      ...reject('verify-m2'),
    },
    async ({ controller, expect, warn }) => {
      const { allow, tolerate } = reject('verify-m2');
      let sessions = 0;
      for (const lowOrder of lowOrderCurveKeys) {
        const verify = await controller.verify({ lowOrder });
        const m2 = await verify.sendM1();
        expect(m2, hex(lowOrder)).to.be.allowed({ allow: [...allow, success('verify-m2')], tolerate });
        if (verify.m2?.items !== undefined) {
          const m4 = await verify.sendM3();
          const m3 = reject('verify-m4');
          expect(m4, hex(lowOrder)).to.be.allowed({
            ...m3,
            allow: [...m3.allow, success('verify-m4')],
            forbid: [],
          });
          // The signature still proves the controller, and everybody who looks on can read the session.
          if (success('verify-m4').matches(m4)) sessions++;
        }
        await verify.link.close();
      }
      if (sessions > 0)
        warn(
          `a session under a shared secret of zero bytes, ${sessions} of ${lowOrderCurveKeys.length} encodings`,
        );
    },
  ),

  check(
    'SEC-05',
    {
      from: 'paired',
      needs: ['PV-M3-01'],
      costs: { verifies: 3 * SAMPLES },
      allow: [tlvError(4, 'Authentication')],
      // By which code is the question of PV-M3-02 and PV-M3-03; this one is about time.
      tolerate: [anyRefusal()],
      forbid: [success('verify-m4')],
    },
    async ({ controller, expect, random, observe }) => {
      const failures: Record<string, { as?: Identity; options?: VerifyM3Options }> = {
        'unknown identifier': { as: controller.newIdentity() },
        'wrong signature': { options: { sub: flip('Signature', random.below(500)) } },
        'undecryptable M3': { options: { key: random.bytes(32) } },
      };
      const replies = new Map<string, string>();
      const times: Record<string, number[]> = {};
      for (let i = 0; i < SAMPLES; i++)
        for (const [name, { as, options }] of Object.entries(failures)) {
          const verify = await controller.pairVerify(as && { as });
          const outcome = await verify.sendM3(options);
          expect(outcome, name).to.be.allowed();
          replies.set(withoutDate(outcome), name);
          (times[name] ??= []).push(outcome.elapsed);
          await verify.link.close();
        }
      const [known = 0, unknown = 0] = ['wrong signature', 'unknown identifier'].map((name) =>
        median(times[name]!),
      );
      observe(
        'a wrong signature takes longer than an unknown identifier',
        `${Math.round(known - unknown)} ms`,
      );
      expect([...replies.keys()].join(' / '), 'the replies to what fails').to.equal([...replies.keys()][0]);
    },
  ),

  check(
    'SEC-06/resealed',
    { from: 'paired', needs: ['PV-M3-01'], costs: { verifies: 1 }, ...reject('verify-m4') },
    async ({ controller, bench, expect }) => {
      const verify = await controller.pairVerify();
      const outcome = await verify.sendM3({
        sub: replace('Identifier', bench.accessory!.id),
        signature: ({ accessorySignature }) => accessorySignature!,
      });
      expect(outcome).to.be.allowed();
    },
  ),

  check(
    'SEC-06/key-and-data',
    { from: 'paired', needs: ['PV-M3-01'], costs: { verifies: 2 }, ...reject('verify-m4') },
    async ({ controller, expect }) => {
      const { m2: other } = await controller.pairVerify();
      const link = await controller.open();
      const m2 = await controller.postToVerify(link, encodeTlv(verifyM1(other!.publicKey!)));
      const data = m2.kind === 'reply' ? m2.tlv?.joined(TlvType.EncryptedData) : undefined;
      // An accessory may well know its own keys.
      if (data === undefined) expect(m2).to.be.allowed(reject('verify-m2'));
      else
        expect(
          await controller.post(link, controller.profile.paths.verify, sealedMessage(3, data)),
        ).to.be.allowed();
    },
  ),

  check(
    'SEC-06/frames',
    { from: 'paired', needs: ['PV-M3-01'], risky: true, costs: { verifies: 1 }, allow: [closed()] },
    async ({ controller, expect }) => {
      const session = await controller.session();
      const { link } = session;
      expect(await session.get('/accessories')).to.be.allowed(ok);
      // Best the frame whose counter is the next one due from us: with one key for both directions it opens.
      const due = link.session.encoder.counter;
      const frame = link.lastFrames.find(({ counter }) => counter === due) ?? link.lastFrames[0]!;
      const said = `frame ${frame.counter} of the accessory sent back, where ours with counter ${due} is due`;
      expect(await session.sendRaw(frame.wire, said)).to.be.allowed();
    },
  ),

  // Nobody holds the key of such a controller, and everybody does: stored, only a reset is sure to get rid of it.
  ...Object.entries(weakKeys).map(([name, ltpk]) =>
    check(
      `SEC-07/m5-${name}`,
      {
        from: 'unpaired',
        needs: ['PS-M5-01'],
        risky: true,
        ifAccepted: 'reset',
        costs: { m2: 2, m4: 1, m6: 1 },
        allow: [tlvError(6), badRequest()],
        tolerate: [anyRefusal(), success('setup-m6')],
      },
      async ({ controller, expect, random }) => {
        const setup = await controller.pairSetup();
        await setup.m3();
        const x = deriveKey('Pair-Setup-Controller-Sign', setup.machine.session.K);
        let { id } = setup.identity;
        while (!holdsWithoutCofactor(ltpk, signedInfo(x, id, ltpk))) id = controllerIdentity(random).id;
        const own = setup.identity.id;
        const sub = (items: Parameters<typeof encodeTlv>[0]): typeof items =>
          items.map(({ type, value }) =>
            tlv(type, type === TlvType.PublicKey ? ltpk : equal(value, own) ? id : value),
          );
        const outcome = await setup.sendM5({ signature: () => weakSignature, sub });
        expect(outcome).to.be.allowed();
        const stored = success('setup-m6').matches(outcome);
        expect(await controller.isUnpaired(), 'unpaired afterwards').to.equal(!stored);
      },
    ),
  ),

  check(
    'SEC-07/add',
    {
      from: 'paired',
      needs: ['PAIRINGS-01'],
      risky: true,
      costs: { verifies: 1 },
      ...refusedAdd,
    },
    async ({ controller, expect, warn }) => {
      const session = await controller.session();
      const accepted: string[] = [];
      for (const ltpk of smallOrderPoints) {
        const identity = controller.newIdentity();
        const outcome = await session.sendAdd(identity, Permission.User, ltpk);
        const taken = success('pairings-add').matches(outcome);
        expect(outcome, hex(ltpk)).to.be.allowed(taken ? { allow: [success('pairings-add')] } : refusedAdd);
        if (!taken) continue;
        accepted.push(hex(ltpk));
        await session.sendRemove(identity.id);
      }
      if (accepted.length > 0)
        warn(`Add took an LTPK of small order, ${accepted.length} of ${smallOrderPoints.length} encodings`);
    },
  ),

  check(
    'SEC-07/malleated-signature',
    {
      from: 'paired',
      needs: ['PV-M3-01'],
      risky: true,
      costs: { verifies: 1 },
      allow: [tlvError(4)],
      tolerate: [anyRefusal(), success('verify-m4')],
    },
    async ({ controller, expect }) => {
      const verify = await controller.pairVerify();
      const outcome = await verify.sendM3({
        signature: ({ identity, own, accessory }) =>
          malleated(sign(identity.ltsk, signedInfo(own, identity.id, accessory))),
      });
      expect(outcome).to.be.allowed();
    },
  ),

  ...Object.entries(oddIdentifiers).map(([name, identifier]) =>
    check(
      `SEC-08/${name}`,
      {
        from: 'paired',
        needs: ['PAIRINGS-01', 'PV-M3-01'],
        costs: { verifies: 3 },
        ...refusedAdd,
      },
      async ({ controller, bench, expect, random, observe }) => {
        const session = await controller.session();
        controller.needsRemoval();
        const user = await addUser(session);
        const odd = controller.newIdentity(identifier(user.id, random));
        try {
          const taken = await takes(session, odd);
          if (taken !== true) expect(taken).to.be.allowed();
          observe('such an identifier', taken === true ? 'is accepted' : 'is refused');
          const users = taken === true ? [user, odd] : [user];
          const due = [bench.admin!, ...users].map(nameOf).sort();
          expect(await names(session), 'the pairings after the Add').to.deep.equal(due);
          for (const as of users)
            expect(await verifies(controller, as), `Pair Verify of ${text(as.id)}`).to.equal(true);
        } finally {
          for (const { id } of [odd, user]) await session.sendRemove(id);
        }
        expect(await names(session), 'the pairings at the end').to.deep.equal([nameOf(bench.admin!)]);
      },
    ),
  ),

  check(
    'SEC-08/restart',
    {
      from: 'paired',
      needs: ['PAIRINGS-01', 'PV-M3-01'],
      needsHook: 'restart',
      costs: { verifies: 3 },
      ...refusedAdd,
    },
    async ({ controller, bench, expect, random }) => {
      const session = await controller.session();
      const user = await addUser(session);
      const added = [user];
      for (const identifier of Object.values(oddIdentifiers)) {
        const odd = controller.newIdentity(identifier(user.id, random));
        if ((await takes(session, odd)) === true) added.push(odd);
      }
      const before = await listed(session);
      await bench.restart();
      const again = await controller.session();
      try {
        expect(await listed(again), 'the pairings after the restart').to.deep.equal(before);
        expect(await verifies(controller, user), `Pair Verify of ${text(user.id)}`).to.equal(true);
      } finally {
        for (const { id } of added) await again.sendRemove(id);
      }
    },
  ),

  check(
    'SEC-09/setup-encrypted-data',
    {
      from: 'unpaired',
      needs: ['PS-M1-01'],
      risky: true,
      // The last one is the sign of life.
      costs: { m2: 2, verifies: 1 },
      ...turnedDown,
      forbid: [success('setup-m6')],
    },
    async ({ controller, expect, random }) => {
      // What is short by a whole tag and what by one byte come behind an M1 each, the others out of sequence.
      for (const lengths of [[0, ...range(1, 14), 16], [15]]) {
        const setup = await controller.setup();
        expect(await setup.sendM1(), 'M1').to.be.allowed({ allow: [success('setup-m2')] });
        for (const length of lengths) {
          if (!(await setup.link.stillOpen(50))) break;
          const items = sealedMessage(5, random.bytes(length));
          const outcome = await controller.post(setup.link, controller.profile.paths.setup, items);
          expect(outcome, `M5 with ${length} bytes of EncryptedData`).to.be.allowed();
        }
        await setup.link.close();
      }
    },
  ),

  check(
    'SEC-09/srp-public-key',
    {
      from: 'unpaired',
      needs: ['PS-M1-01'],
      risky: true,
      costs: { m2: 2, m4: 2, verifies: 1, attempts: 2 },
      ...turnedDown,
      forbid: [success('setup-m4')],
    },
    async ({ controller, expect, random }) => {
      for (const length of [385, 2000]) {
        const setup = await controller.setup();
        expect(await setup.sendM1(), 'M1').to.be.allowed({ allow: [success('setup-m2')] });
        const items = setupM3(random.bytes(length), random.bytes(64));
        expect(await setup.sendItems(items), `M3 with ${length} bytes of PublicKey`).to.be.allowed();
        await setup.link.close();
      }
    },
  ),

  check(
    'SEC-09/verify-encrypted-data',
    { ...uninvited, costs: { verifies: 6 }, forbid: [success('verify-m4')] },
    async ({ controller, expect }) => {
      const bystander = await controller.session();
      for (const length of [0, 1, 8, 15, 16]) {
        const verify = await controller.pairVerify({ as: controller.newIdentity() });
        const outcome = await verify.sendM3({}, resize('EncryptedData', length));
        expect(outcome, `M3 with ${length} bytes of EncryptedData`).to.be.allowed();
      }
      expect(await bystander.get('/accessories'), 'another session').to.be.allowed(ok);
    },
  ),

  check(
    'SEC-09/messages-without-m1',
    { ...uninvited, costs: { m4: 1, attempts: 1, verifies: 1 } },
    async ({ controller, expect, random }) => {
      const bystander = await controller.session();
      const { setup, verify } = controller.profile.paths;
      const m3 = await (await controller.setup()).sendItems(setupM3(random.bytes(384), random.bytes(64)));
      expect(m3, 'Pair Setup M3').to.be.allowed({ ...turnedDown, forbid: [success('setup-m4')] });
      const m5 = await controller.post(await controller.open(), setup, sealedMessage(5, random.bytes(154)));
      expect(m5, 'Pair Setup M5').to.be.allowed({ ...turnedDown, forbid: [success('setup-m6')] });
      const m3OfVerify = await controller.post(
        await controller.open(),
        verify,
        sealedMessage(3, random.bytes(120)),
      );
      expect(m3OfVerify, 'Pair Verify M3').to.be.allowed({ ...turnedDown, forbid: [success('verify-m4')] });
      expect(await bystander.get('/accessories'), 'another session').to.be.allowed(ok);
    },
  ),

  check(
    'SEC-09/verify-public-key',
    { ...uninvited, costs: { verifies: 9 }, forbid: [success('verify-m2')] },
    async ({ controller, expect, random }) => {
      const bystander = await controller.session();
      for (const length of [0, 1, 16, 31, 33, 48, 63, 64]) {
        const body = encodeTlv(verifyM1(random.bytes(length)));
        const outcome = await controller.postToVerify(await controller.open(), body);
        expect(outcome, `M1 with ${length} bytes of PublicKey`).to.be.allowed();
      }
      expect(await bystander.get('/accessories'), 'another session').to.be.allowed(ok);
    },
  ),

  check(
    'SEC-09/frame-header',
    { ...uninvited, costs: { verifies: 1 }, allow: [badRequest(), closed(), silence()] },
    async ({ controller, expect, random }) => {
      const bystander = await controller.session();
      const link = await controller.open();
      link.said('FF FF and 64 bytes, on a connection without a session');
      link.send(concat(Uint8Array.of(0xff, 0xff), random.bytes(64)));
      expect(await link.outcome(controller.judgedWait)).to.be.allowed();
      expect(await bystander.get('/accessories'), 'another session').to.be.allowed(ok);
    },
  ),

  check(
    'SEC-09/long-method',
    { ...uninvited, costs: { verifies: 1 }, allow: [badRequest(), closed(), silence()] },
    async ({ controller, expect }) => {
      const bystander = await controller.session();
      const outcome = await controller.request(await controller.open(), {
        ...request,
        method: 'A'.repeat(4096),
      });
      expect(outcome).to.be.allowed();
      expect(await bystander.get('/accessories'), 'another session').to.be.allowed(ok);
    },
  ),

  check(
    'SEC-09/connection-cycles',
    { ...uninvited, costs: { verifies: 1 } },
    async ({ controller, bench, expect, observe }) => {
      const bystander = await controller.session();
      // A device gets what fits into some seconds; in memory they cost nothing.
      const cycles = bench.clock.virtual ? 1000 : 200;
      for (let i = 0; i < cycles; i++) await (await controller.open()).close();
      observe('connections opened and closed', String(cycles));
      expect(await bystander.get('/accessories'), 'another session').to.be.allowed(ok);
    },
  ),
]);

/** All of a reply but the time it was written. */
function withoutDate(outcome: Outcome): string {
  if (outcome.kind !== 'reply') return describeOutcome(outcome);
  const { status, headers, body } = outcome.http;
  const lines = headers.flatMap(([name, value]) =>
    name.toLowerCase() === 'date' ? [] : [`${name}: ${value}`],
  );
  return [`HTTP ${status}`, ...lines, hex(body)].join(', ');
}

function median(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[times.length >> 1]!;
}

function latin1(bytes: Bytes): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

/** The digits by themselves: inside a longer number they are a coincidence. */
function standsAlone(digits: string, content: string): boolean {
  return content.includes(digits) && new RegExp(`(?<!\\d)${digits}(?!\\d)`).test(content);
}

/** What is looked for of a secret: its bytes and its digits. Kept, for they are looked for in all that comes. */
const formsOf = new WeakMap<Bytes, { readonly raw: string; readonly digits: string }>();

/** The first secret in a text, as it is or in hexadecimal digits of either case. */
function secretIn<T extends { readonly bytes: Bytes }>(
  content: string,
  secrets: readonly T[],
): T | undefined {
  const folded = content.toLowerCase();
  return secrets.find(({ bytes }) => {
    let forms = formsOf.get(bytes);
    if (forms === undefined) {
      const stretch = bytes.subarray(0, STRETCH);
      formsOf.set(bytes, (forms = { raw: latin1(stretch), digits: hex(stretch) }));
    }
    return content.includes(forms.raw) || folded.includes(forms.digits);
  });
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}
