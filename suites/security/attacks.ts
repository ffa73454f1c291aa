/**
 * Attacks with a name: keys of low order, reflection, weak Ed25519 keys and signatures, failures that tell too much,
 * a setup code anybody would guess.
 * The watch looks for secrets of the run in all that the accessory sends.
 */
import { chapter, edits, hap, outcomes } from '../../harness/suite.js';
import { ok, refusedAdd } from './shared.js';

/** Replies of each kind that are compared. */
const SAMPLES = 3;
/** Longest stretch of a secret that is looked for: 16 bytes do not occur by chance. */
const STRETCH = 16;
/** What is kept of a connection to be looked at again: a secret may be cut in two by a segment, and v is known behind M2 only. */
const TAIL = 2048;
/** Bodies longer than this are looked at as far as this. */
const MAX_SCAN = 65_536;

/** (R, S) = (identity, 0): under a key of small order it holds for every message whose hash is a multiple of 8. */
const weakSignature = hap.concat(Uint8Array.of(1), new Uint8Array(63));

/** Whether a verifier without cofactor, too, lets the weak signature pass for this message. */
function holdsWithoutCofactor(ltpk: hap.Bytes, message: hap.Bytes): boolean {
  const hash = hap.sha512(hap.concat(weakSignature.subarray(0, 32), ltpk, message)).reverse();
  return (hap.toInteger(hash) % hap.ED25519_ORDER) % 8n === 0n;
}

const weakKeys: Record<string, hap.Bytes> = {
  'identity-point': hap.smallOrderPoints[2]!,
  'order-8': hap.smallOrderPoints[4]!,
};

export default chapter('security.attacks', ({ check, watch }) => [
  watch(
    'SEC-03',
    'Setup code and secrets do not leak over the network',
    'readable',
    ({ connection, bytes }, { expect, bench, memory }) => {
      const key = `#${connection}`;
      const content = (memory.get(key) ?? '') + latin1(bytes.subarray(0, MAX_SCAN));
      memory.set(key, content.slice(-TAIL));
      const { code } = bench.options;
      // The four digits of a PIN turn up by chance in whatever is long enough.
      const telling = code !== undefined && code.digits.length > 5;
      const found =
        telling && (content.includes(code.dashed) || standsAlone(code.digits, content))
          ? 'the setup code'
          : secretIn(content, bench.keyring.secrets)?.what;
      // In words only: the report must not be the next place it leaks to.
      expect(found, 'a secret in what the accessory sent').to.equal(undefined);
    },
  ),
  // The code the user gave tells without a guess; whether it is the right one, the plain flow has found out.
  check(
    'SEC-04/listed',
    'Trivial setup codes are not in use',
    { from: 'any', needs: ['PS-M3-01'], warnsOnly: true },
    async ({ bench, expect, warn, notApplicable }) => {
      const { code } = bench.options;
      if (code === undefined) return notApplicable('no setup code is given');
      expect(code.digits, 'the setup code').to.have.length(8);
      if (hap.isTrivialCode(code)) warn('the setup code is one of those the protocol forbids as too easy');
    },
  ),
  check(
    'SEC-04/guessing',
    'Trivial setup codes are not in use',
    {
      from: 'unpaired',
      needs: ['PS-M3-01'],
      destructive: true,
      once: true,
      costs: { m2: 12, m4: 12, attempts: 12 },
      allow: [outcomes.tlvError(4, 'Authentication')],
      // By which code is PS-M3-04's question.
      tolerate: [outcomes.anyRefusal()],
    },
    async ({ controller, bench, expect, warn, violate }) => {
      for (const digits of hap.disallowedCodes) {
        const password = `${digits.slice(0, 3)}-${digits.slice(3, 5)}-${digits.slice(5)}`;
        const setup = await controller.pairSetup({ password });
        const outcome = await setup.sendM3();
        if (!outcomes.success('setup-m4').matches(outcome)) expect(outcome, password).to.be.allowed();
        else if (digits === bench.code?.digits) warn('the setup code is the first thing to be guessed');
        else violate(`${password} opens the accessory, beside the code given`);
        await setup.link.close();
      }
    },
  ),
  check(
    'SEC-02',
    'Low-order X25519 keys give no session',
    {
      from: 'paired',
      needs: ['PV-M3-01'],
      risky: true,
      costs: { verifies: hap.lowOrderCurveKeys.length },
      ...outcomes.reject('verify-m2'),
    },
    async ({ controller, expect, warn }) => {
      const { allow, tolerate } = outcomes.reject('verify-m2');
      let sessions = 0;
      for (const lowOrder of hap.lowOrderCurveKeys) {
        const verify = await controller.verify({ lowOrder });
        const m2 = await verify.sendM1();
        expect(m2, hap.hex(lowOrder)).to.be.allowed({
          allow: [...allow, outcomes.success('verify-m2')],
          tolerate,
        });
        if (verify.m2?.items !== undefined) {
          const m4 = await verify.sendM3();
          const m3 = outcomes.reject('verify-m4');
          expect(m4, hap.hex(lowOrder)).to.be.allowed({
            ...m3,
            allow: [...m3.allow, outcomes.success('verify-m4')],
            forbid: [],
          });
          // The signature still proves the controller, and everybody who looks on can read the session.
          if (outcomes.success('verify-m4').matches(m4)) sessions++;
        }
        await verify.link.close();
      }
      if (sessions > 0)
        warn(
          `a session under a shared secret of zero bytes, ${sessions} of ${hap.lowOrderCurveKeys.length} encodings`,
        );
    },
  ),
  check(
    'SEC-05',
    'Pair Verify failures look alike',
    {
      from: 'paired',
      needs: ['PV-M3-01'],
      costs: { verifies: 3 * SAMPLES },
      allow: [outcomes.tlvError(4, 'Authentication')],
      // By which code is the question of PV-M3-02 and PV-M3-03; this one is about time.
      tolerate: [outcomes.anyRefusal()],
      forbid: [outcomes.success('verify-m4')],
    },
    async ({ controller, expect, random, observe }) => {
      const failures: Record<string, { as?: hap.Identity; options?: edits.VerifyM3Options }> = {
        'unknown identifier': { as: controller.newIdentity() },
        'wrong signature': { options: { sub: edits.flip('Signature', random.below(500)) } },
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
    'Reflection of accessory data',
    { from: 'paired', needs: ['PV-M3-01'], costs: { verifies: 1 }, ...outcomes.reject('verify-m4') },
    async ({ controller, bench, expect }) => {
      const verify = await controller.pairVerify();
      const outcome = await verify.sendM3({
        sub: edits.replace('Identifier', bench.accessory!.id),
        signature: ({ accessorySignature }) => accessorySignature!,
      });
      expect(outcome).to.be.allowed();
    },
  ),
  check(
    'SEC-06/key-and-data',
    'Reflection of accessory data',
    { from: 'paired', needs: ['PV-M3-01'], costs: { verifies: 2 }, ...outcomes.reject('verify-m4') },
    async ({ controller, expect }) => {
      const { m2: other } = await controller.pairVerify();
      const link = await controller.open();
      const m2 = await controller.postToVerify(link, hap.encodeTlv(hap.verifyM1(other!.publicKey!)));
      const data = m2.kind === 'reply' ? m2.tlv?.joined(hap.TlvType.EncryptedData) : undefined;
      // An accessory may well know its own keys.
      if (data === undefined) expect(m2).to.be.allowed(outcomes.reject('verify-m2'));
      else
        expect(
          await controller.post(link, controller.profile.paths.verify, hap.sealedMessage(3, data)),
        ).to.be.allowed();
    },
  ),
  check(
    'SEC-06/frames',
    'Reflection of accessory data',
    { from: 'paired', needs: ['PV-M3-01'], risky: true, costs: { verifies: 1 }, allow: [outcomes.closed()] },
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
      'Weak Ed25519 inputs',
      {
        from: 'unpaired',
        needs: ['PS-M5-01'],
        risky: true,
        ifAccepted: 'reset',
        costs: { m2: 2, m4: 1, m6: 1 },
        allow: [outcomes.tlvError(6), outcomes.badRequest()],
        tolerate: [outcomes.anyRefusal(), outcomes.success('setup-m6')],
      },
      async ({ controller, expect, random }) => {
        const setup = await controller.pairSetup();
        await setup.m3();
        const x = hap.deriveKey('Pair-Setup-Controller-Sign', setup.machine.session.K);
        let { id } = setup.identity;
        while (!holdsWithoutCofactor(ltpk, hap.signedInfo(x, id, ltpk)))
          id = hap.controllerIdentity(random).id;
        const own = setup.identity.id;
        const sub = (items: Parameters<typeof hap.encodeTlv>[0]): typeof items =>
          items.map(({ type, value }) =>
            hap.tlv(type, type === hap.TlvType.PublicKey ? ltpk : hap.equal(value, own) ? id : value),
          );
        const outcome = await setup.sendM5({ signature: () => weakSignature, sub });
        expect(outcome).to.be.allowed();
        const stored = outcomes.success('setup-m6').matches(outcome);
        expect(await controller.isUnpaired(), 'unpaired afterwards').to.equal(!stored);
      },
    ),
  ),
  check(
    'SEC-07/add',
    'Weak Ed25519 inputs',
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
      for (const ltpk of hap.smallOrderPoints) {
        const identity = controller.newIdentity();
        const outcome = await session.sendAdd(identity, hap.Permission.User, ltpk);
        const taken = outcomes.success('pairings-add').matches(outcome);
        expect(outcome, hap.hex(ltpk)).to.be.allowed(
          taken ? { allow: [outcomes.success('pairings-add')] } : refusedAdd,
        );
        if (!taken) continue;
        accepted.push(hap.hex(ltpk));
        await session.sendRemove(identity.id);
      }
      if (accepted.length > 0)
        warn(
          `Add took an LTPK of small order, ${accepted.length} of ${hap.smallOrderPoints.length} encodings`,
        );
    },
  ),
  check(
    'SEC-07/malleated-signature',
    'Weak Ed25519 inputs',
    {
      from: 'paired',
      needs: ['PV-M3-01'],
      risky: true,
      costs: { verifies: 1 },
      allow: [outcomes.tlvError(4)],
      tolerate: [outcomes.anyRefusal(), outcomes.success('verify-m4')],
    },
    async ({ controller, expect }) => {
      const verify = await controller.pairVerify();
      const outcome = await verify.sendM3({
        signature: ({ identity, own, accessory }) =>
          hap.malleated(hap.sign(identity.ltsk, hap.signedInfo(own, identity.id, accessory))),
      });
      expect(outcome).to.be.allowed();
    },
  ),
]);

/** All of a reply but the time it was written. */
function withoutDate(outcome: outcomes.Outcome): string {
  if (outcome.kind !== 'reply') return outcomes.describeOutcome(outcome);
  const { status, headers, body } = outcome.http;
  const lines = headers.flatMap(([name, value]) =>
    name.toLowerCase() === 'date' ? [] : [`${name}: ${value}`],
  );
  return [`HTTP ${status}`, ...lines, hap.hex(body)].join(', ');
}

function median(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[times.length >> 1]!;
}

function latin1(bytes: hap.Bytes): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

/** The digits by themselves: inside a longer number they are a coincidence. */
function standsAlone(digits: string, content: string): boolean {
  return content.includes(digits) && new RegExp(`(?<!\\d)${digits}(?!\\d)`).test(content);
}

/** What is looked for of a secret: its bytes and its digits. Kept, for they are looked for in all that comes. */
const formsOf = new WeakMap<hap.Bytes, { readonly raw: string; readonly digits: string }>();

/** The first secret in a text, as it is or in hexadecimal digits of either case. */
function secretIn<T extends { readonly bytes: hap.Bytes }>(
  content: string,
  secrets: readonly T[],
): T | undefined {
  const folded = content.toLowerCase();
  return secrets.find(({ bytes }) => {
    let forms = formsOf.get(bytes);
    if (forms === undefined) {
      const stretch = bytes.subarray(0, STRETCH);
      formsOf.set(bytes, (forms = { raw: latin1(stretch), digits: hap.hex(stretch) }));
    }
    return content.includes(forms.raw) || folded.includes(forms.digits);
  });
}
