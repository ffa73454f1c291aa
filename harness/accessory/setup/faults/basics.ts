import {
  type Bytes,
  Length,
  N,
  Permission,
  TlvError,
  TlvType,
  concat,
  equal,
  fromInteger,
  hex,
  proofEquals,
  setupM4,
  srpConventions,
  text,
  tlv,
  utf8,
} from '../../../protocol/index.js';
import type { Behaviour } from '../../behaviour.js';
import { openIgnoringTag } from '../../crypto.js';
import type { Step } from '../../facts.js';
import { type Fault, fault } from '../../faults/fault.js';
import { fails, succeeds, withItem, withoutItem } from '../../faults/items.js';
import type { Reply } from '../../messages/reply.js';
import type { SetupRequest } from '../m1.js';

function silentAt(step: Step): (ok: Behaviour) => Partial<Behaviour> {
  return (ok) => ({ answers: (reply) => reply.step !== step && ok.answers(reply) });
}

function lower(id: Bytes): Bytes {
  return utf8(text(id).toLowerCase());
}

const m1: readonly Fault[] = [
  fault(
    'm1-unanswered',
    { breaks: ['PS-M1-01'], story: 'the task that serves Pair Setup died before its first answer' },
    silentAt('setup-m2'),
  ),
  fault(
    'm2-http-500',
    { breaks: ['PS-M1-01'], story: 'an exception in the M1 handler becomes HTTP 500' },
    (ok) => ({
      status: (reply) => (reply.step === 'setup-m2' ? 500 : ok.status(reply)),
    }),
  ),
  fault(
    'missing-state-stops-it',
    { breaks: ['PS-M1-06'], fieldBug: 26, story: 'an exception about the missing State ends the process' },
    (ok) => ({
      survives: (request) =>
        ok.survives(request) && !(request.endpoint === 'pair-setup' && !request.message.has(TlvType.State)),
    }),
  ),
  fault(
    'public-key-from-hex-text',
    { breaks: ['PS-M3-01'], fieldBug: 7, story: 'B is sent as the hex text of the number, 0x included' },
    (ok) => ({
      beforeSending: (reply) => {
        const items = ok.beforeSending(reply);
        const B = items.find(({ type }) => type === TlvType.PublicKey)?.value;
        return reply.step !== 'setup-m2' || B === undefined
          ? items
          : withItem(items, tlv(TlvType.PublicKey, utf8(`0x${hex(B)}`).subarray(0, Length.srpPublicKey)));
      },
    }),
  ),
  fault('salt-15-bytes', { breaks: ['PS-M1-02'], story: 'the salt is drawn one byte short' }, () => ({
    drawSalt: (random) => random.bytes(Length.salt - 1),
  })),
  fault(
    'public-key-zero',
    { breaks: ['PS-M1-03'], story: 'M2 is sent before B is computed: 384 zero bytes' },
    (ok) => ({
      beforeSending: (reply) =>
        reply.step === 'setup-m2'
          ? withItem(ok.beforeSending(reply), tlv(TlvType.PublicKey, new Uint8Array(Length.srpPublicKey)))
          : ok.beforeSending(reply),
    }),
  ),
  fault(
    'public-key-above-n',
    { breaks: ['PS-M1-03'], story: 'the last reduction mod N is missing: B is N + 1' },
    (ok) => ({
      beforeSending: (reply) =>
        reply.step === 'setup-m2'
          ? withItem(
              ok.beforeSending(reply),
              tlv(TlvType.PublicKey, fromInteger(N + 1n, Length.srpPublicKey)),
            )
          : ok.beforeSending(reply),
    }),
  ),
  fault(
    'm2-names-the-accessory',
    { breaks: ['PS-M1-05'], story: 'M2 comes from a helper that adds the Identifier to every message' },
    (ok) => ({
      beforeSending: (reply) =>
        reply.step === 'setup-m2' && succeeds(reply)
          ? [...ok.beforeSending(reply), tlv(TlvType.Identifier, 'AA:BB:CC:DD:EE:FF')]
          : ok.beforeSending(reply),
    }),
  ),
  fault(
    'm2-carries-error',
    {
      breaks: ['PS-M1-05'],
      story: 'the error of the exchange before is left in the reply beside Salt and PublicKey',
    },
    (ok) => ({
      beforeSending: (reply) =>
        reply.step === 'setup-m2' && succeeds(reply)
          ? [...ok.beforeSending(reply), tlv(TlvType.Error, TlvError.Unknown)]
          : ok.beforeSending(reply),
    }),
  ),
  fault(
    'missing-state-is-m1',
    { breaks: ['PS-M1-06', 'TLV-14'], story: 'State defaults to 1 when it is not there' },
    (ok) => ({
      stateOf: (request) =>
        request.endpoint === 'pair-setup' && !request.message.has(TlvType.State) ? 1 : ok.stateOf(request),
    }),
  ),
  fault(
    'any-state-is-m1',
    {
      breaks: ['PS-M1-12', 'TLV-14'],
      story: 'the switch over State takes its default branch for M1',
    },
    (ok) => ({
      stateOf(request) {
        const state = ok.stateOf(request);
        if (request.endpoint !== 'pair-setup' || state === undefined) return state;
        return state === 3 || state === 5 ? state : 1;
      },
    }),
  ),
  fault(
    'paired-accepts-setup',
    {
      breaks: ['PS-M1-13'],
      fieldBug: 38,
      story: 'whether the accessory is paired is never asked in Pair Setup',
    },
    (ok) => ({ refusesSetup: (request) => ok.refusesSetup({ ...request, paired: false }) }),
  ),
  fault(
    'paired-accepts-flagged-setup',
    {
      breaks: ['PS-M1-13'],
      story: 'the branch for M1 with Flags forgets to ask whether the accessory is paired',
    },
    (ok) => ({
      refusesSetup: (request: SetupRequest) =>
        ok.refusesSetup({ ...request, paired: request.paired && !request.message.has(TlvType.Flags) }),
    }),
  ),
];

/** A wrong proof of the right length: what a wrong setup code leads to. */
function wrongCode(reply: Reply): boolean {
  return reply.step === 'setup-m4' && fails(reply);
}

const m3: readonly Fault[] = [
  fault(
    'code-without-dashes',
    { breaks: ['PS-M3-01', 'PS-M3-05'], story: 'SRP is fed the 8 digits without their dashes' },
    () => ({ password: (code) => code.digits }),
  ),
  fault(
    'srp-user-in-lower-case',
    { breaks: ['PS-M3-01'], story: 'the user name of SRP is pair-setup, as in the path' },
    () => ({ srpUser: 'pair-setup' }),
  ),
  fault(
    'public-key-little-endian',
    { breaks: ['PS-M3-01'], story: 'B is written as the library of big numbers holds it, least byte first' },
    (ok) => ({
      beforeSending: (reply) => {
        const items = ok.beforeSending(reply);
        const B = items.find(({ type }) => type === TlvType.PublicKey)?.value;
        return reply.step !== 'setup-m2' || B === undefined
          ? items
          : withItem(items, tlv(TlvType.PublicKey, B.slice().reverse()));
      },
    }),
  ),
  fault(
    'literal-k-and-u',
    {
      breaks: ['PS-M3-01', 'PS-M3-02'],
      fieldBug: 6,
      story: 'k and u hash g, A and B without padding them to the length of N',
    },
    () => ({ convention: srpConventions.literal }),
  ),
  fault(
    'm3-unanswered',
    { breaks: ['PS-M3-01'], story: 'the SRP computation never comes back' },
    silentAt('setup-m4'),
  ),
  fault(
    'echoes-controller-proof',
    { breaks: ['PS-M3-03'], story: 'M4 sends back the buffer that holds the proof of M3' },
    (ok) => ({
      beforeSending: (reply) =>
        reply.step === 'setup-m4' && succeeds(reply) && reply.controllerProof !== undefined
          ? withItem(ok.beforeSending(reply), tlv(TlvType.Proof, reply.controllerProof))
          : ok.beforeSending(reply),
    }),
  ),
  fault(
    'random-server-proof',
    { breaks: ['PS-M3-03'], story: 'the proof of M4 is read from memory never written' },
    (ok) => ({
      beforeSending: (reply) =>
        reply.step === 'setup-m4' && succeeds(reply)
          ? withItem(ok.beforeSending(reply), tlv(TlvType.Proof, reply.random.bytes(Length.proof)))
          : ok.beforeSending(reply),
    }),
  ),
  fault(
    'accepts-any-proof',
    { breaks: ['PS-M3-04', 'PS-M3-06'], story: 'the proof is received and never compared' },
    () => ({
      proofMatches: () => true,
    }),
  ),
  fault(
    'wrong-code-unanswered',
    { breaks: ['PS-M3-04'], story: 'a wrong proof ends the handler without an answer' },
    (ok) => ({ answers: (reply) => !wrongCode(reply) && ok.answers(reply) }),
  ),
  fault(
    'success-before-check',
    { breaks: ['PS-M3-04'], story: 'M4 is filled with the proof before the check and sent either way' },
    (ok) => ({
      beforeSending: (reply) =>
        wrongCode(reply) && reply.serverProof !== undefined
          ? setupM4(reply.serverProof)
          : ok.beforeSending(reply),
    }),
  ),
  fault(
    'wrong-length-proof-passes',
    { breaks: ['PS-M3-06'], fieldBug: 19, story: 'the proof is compared only when it has 64 bytes' },
    () => ({
      proofMatches: ({ expected, received }) =>
        received.length !== Length.proof || proofEquals(expected, received),
    }),
  ),
  fault(
    'compares-received-length',
    { breaks: ['PS-M3-06', 'PS-M3-07'], story: 'memcmp over as many bytes as the proof received has' },
    () => ({
      proofMatches({ expected, received }) {
        const length = Math.min(expected.length, received.length);
        return equal(expected.subarray(0, length), received.subarray(0, length));
      },
    }),
  ),
];

const m5: readonly Fault[] = [
  fault(
    'm6-is-http-201',
    { breaks: ['PS-M5-01'], story: 'M6 is answered as something that was created: HTTP 201' },
    (ok) => ({
      status: (reply) => (reply.step === 'setup-m6' && succeeds(reply) ? 201 : ok.status(reply)),
      sendsBody: (reply, status) => status === 201 || ok.sendsBody(reply, status),
    }),
  ),
  fault('m6-sealed-as-m5', { breaks: ['PS-M5-01'], story: 'M6 reuses the nonce of M5' }, (ok) => ({
    nonceLabel: (step) => (step === 'setup-m6' ? 'PS-Msg05' : ok.nonceLabel(step)),
  })),
  fault(
    'm5-unanswered',
    { breaks: ['PS-M5-01'], story: 'the handler of M5 never returns' },
    silentAt('setup-m6'),
  ),
  fault(
    'first-controller-is-user',
    { breaks: ['PS-M5-02'], story: 'the first pairing is stored without the admin bit' },
    () => ({ firstPermissions: Permission.User }),
  ),
  fault(
    'lowercases-identifiers',
    {
      breaks: ['PS-M5-02', 'PS-M5-10'],
      fieldBug: 108,
      story: 'identifiers are parsed as UUIDs and come out in lower case',
    },
    (ok) => ({ identifierAsStored: (id) => lower(ok.identifierAsStored(id)) }),
  ),
  fault(
    'm6-without-storing',
    { breaks: ['PS-M5-02'], story: 'M6 goes out, the pairing is never stored' },
    () => ({
      storesController: () => false,
    }),
  ),
  fault(
    'm5-open-failure-ignored',
    { breaks: ['PS-M5-05', 'PS-M5-06'], fieldBug: 78, story: 'the result of opening M5 is not looked at' },
    () => ({ refusesUnopenedM5: () => false }),
  ),
  fault(
    'm5-tag-unchecked',
    { breaks: ['PS-M5-06'], story: 'M5 is decrypted with the bare cipher, the tag is cut off' },
    (ok) => ({
      openSealed: (data) =>
        data.step === 'setup-m5' ? openIgnoringTag(data.key, data.nonce, data.sealed) : ok.openSealed(data),
    }),
  ),
  fault(
    'm5-signature-unchecked',
    { breaks: ['PS-M5-13'], fieldBug: 105, story: 'the signature in M5 is parsed and never verified' },
    (ok) => ({ signatureHolds: (claim) => claim.step === 'setup-m5' || ok.signatureHolds(claim) }),
  ),
  fault(
    'm6-signature-other-order',
    { breaks: ['PS-M6-01'], story: 'AccessoryX is appended where it has to come first' },
    (ok) => ({
      signedInfo: (parts) =>
        parts.step === 'setup-m6' ? concat(parts.id, parts.last, parts.first) : ok.signedInfo(parts),
    }),
  ),
  fault(
    'm6-zero-ltpk',
    { breaks: ['PS-M6-01'], fieldBug: 104, story: 'the LTPK is sent before it is loaded' },
    (ok) => ({
      beforeSealing: (step, items) =>
        step === 'setup-m6'
          ? withItem(ok.beforeSealing(step, items), tlv(TlvType.PublicKey, new Uint8Array(Length.ltpk)))
          : ok.beforeSealing(step, items),
    }),
  ),
  fault(
    'm6-without-signature',
    { breaks: ['PS-M6-01'], story: 'M6 names the accessory and proves nothing' },
    (ok) => ({
      beforeSealing: (step, items) =>
        step === 'setup-m6'
          ? withoutItem(ok.beforeSealing(step, items), TlvType.Signature)
          : ok.beforeSealing(step, items),
    }),
  ),
];

/** M3 on a connection that has had no M1. */
function isFirstM3(reply: Reply): boolean {
  return reply.step === 'setup-m4' && reply.after === 'nothing';
}

const sequence: readonly Fault[] = [
  fault(
    'm3-first-unanswered',
    {
      breaks: ['PS-STATE-01'],
      fieldBug: 45,
      story: 'M3 without M1 reads an SRP state that is not there, and the task dies',
    },
    (ok) => ({ answers: (reply) => !isFirstM3(reply) && ok.answers(reply) }),
  ),
  fault(
    'm3-first-accepted',
    { breaks: ['PS-STATE-01'], story: 'M4 is built without asking whether there was an M1' },
    (ok) => ({
      status: (reply) => (isFirstM3(reply) ? 200 : ok.status(reply)),
      beforeSending: (reply) =>
        isFirstM3(reply) ? setupM4(reply.random.bytes(Length.proof)) : ok.beforeSending(reply),
    }),
  ),
  fault(
    'm5-after-m1-under-zero-key',
    { breaks: ['PS-STATE-03'], story: 'M5 is taken behind M1, when K is still 64 zero bytes' },
    (ok) => ({
      secretForM5: (exchange) =>
        ok.secretForM5(exchange) ?? (exchange.after === 'm2' ? new Uint8Array(64) : undefined),
    }),
  ),
  fault(
    'm5-after-m1-always-answered',
    {
      breaks: ['PS-STATE-03'],
      story: 'M5 is taken behind M1 with whatever K holds, and its tag is not looked at',
    },
    (ok) => ({
      // Neither zero nor known to anybody outside: nothing opens under it, so nothing is stored.
      secretForM5: (exchange) =>
        ok.secretForM5(exchange) ?? (exchange.after === 'm2' ? new Uint8Array(64).fill(0xa5) : undefined),
      refusesUnopenedM5: (exchange) => exchange.after !== 'm2' && ok.refusesUnopenedM5(exchange),
    }),
  ),
];

const fieldBugs: readonly Fault[] = [
  fault(
    'm4-without-state',
    { breaks: ['TLV-06', 'PS-M3-01'], fieldBug: 32, story: 'M4 is written without its State' },
    (ok) => ({
      beforeSending: (reply) =>
        reply.step === 'setup-m4' && succeeds(reply)
          ? withoutItem(ok.beforeSending(reply), TlvType.State)
          : ok.beforeSending(reply),
    }),
  ),
  fault(
    'm4-empty',
    {
      breaks: ['PS-M3-01'],
      fieldBug: 34,
      story: 'M3 is answered before there is anything to answer: an empty body',
    },
    (ok) => ({
      beforeSending: (reply) => (reply.step === 'setup-m4' && succeeds(reply) ? [] : ok.beforeSending(reply)),
    }),
  ),
  fault(
    'short-proof-stops-it',
    {
      breaks: ['PS-M3-06'],
      fieldBug: 19,
      story: 'a short Proof is copied 64 bytes long, past the end of the request',
    },
    (ok) => ({
      survives: (request) => {
        const proof = request.endpoint === 'pair-setup' ? request.message.get(TlvType.Proof) : undefined;
        return ok.survives(request) && (proof === undefined || proof.length >= Length.proof);
      },
    }),
  ),
  fault(
    'm5-always-refused',
    {
      breaks: ['PS-M5-01'],
      fieldBug: 76,
      story: 'the cipher refuses the length of the nonce, so nothing ever opens',
    },
    (ok) => ({ openSealed: (data) => (data.step === 'setup-m5' ? undefined : ok.openSealed(data)) }),
  ),
];

export const pairSetupFaults: readonly Fault[] = [...m1, ...m3, ...m5, ...sequence, ...fieldBugs];
