import {
  type Bytes,
  ED25519_ORDER,
  Length,
  TlvType,
  concat,
  equal,
  fromInteger,
  isSmallOrder,
  labelNonce,
  scalarOf,
  text,
  tlv,
  utf8,
} from '../../protocol/index.js';
import type { Behaviour } from '../behaviour.js';
import { open } from '../crypto.js';
import { Halt, type Pairing } from '../facts.js';
import type { Reply } from '../messages/reply.js';
import { type Fault, fault } from './fault.js';
import { succeeds } from './items.js';

/** The reply with one more item behind its own. */
function adds(step: Reply['step'], item: (reply: Reply) => Bytes | undefined) {
  return (ok: Behaviour): Partial<Behaviour> => ({
    beforeSending(reply) {
      const value = reply.step === step && succeeds(reply) ? item(reply) : undefined;
      return value === undefined ? ok.beforeSending(reply) : [...ok.beforeSending(reply), tlv(0x7f, value)];
    },
  });
}

const leaks: readonly Fault[] = [
  fault(
    'setup-code-in-a-header',
    { breaks: ['SEC-03'], story: 'a header meant for the developers shows the setup code in every response' },
    () => ({ extraHeaders: (code) => [['X-Device', `code=${code.digits}`]] }),
  ),
  fault(
    'setup-code-is-the-serial-number',
    { breaks: ['SEC-03'], story: 'the serial number is made of the setup code' },
    () => ({ serialNumber: (code) => `SN-${code.dashed}` }),
  ),
  fault(
    'm2-carries-the-verifier',
    { breaks: ['SEC-03'], story: 'M2 is filled from the whole stored record, the verifier beside the salt' },
    adds('setup-m2', ({ verifier }) => (verifier === undefined ? undefined : fromInteger(verifier))),
  ),
  fault(
    'm4-carries-k',
    { breaks: ['SEC-03'], story: 'K is left in M4, where it helped to debug the proofs' },
    adds('setup-m4', ({ secret }) => secret),
  ),
  fault(
    'trace-in-a-text-item',
    { breaks: ['SEC-03'], story: 'the log line of Pair Setup goes out with M4, K in hexadecimal digits' },
    adds('setup-m4', ({ secret }) => secret && utf8(`K=${Buffer.from(secret).toString('hex')}`)),
  ),
];

const codes: readonly Fault[] = [
  fault(
    'factory-code-for-the-second-try',
    {
      breaks: ['SEC-04'],
      story: 'after a failed attempt the next one runs with the code of the factory test',
    },
    (ok) => ({
      password: (code, failedAttempts, mode) =>
        failedAttempts % 2 === 1 ? '111-11-111' : ok.password(code, failedAttempts, mode),
    }),
  ),
];

/** Pair Verify signs three parts of which the outer two are 32 bytes; the other side signs them the other way round. */
function otherOrder(info: Bytes): Bytes {
  return concat(info.subarray(-32), info.subarray(32, -32), info.subarray(0, 32));
}

const reflection: readonly Fault[] = [
  fault(
    'own-identity-verifies',
    {
      breaks: ['SEC-06'],
      story: 'the accessory stands in its own list of peers, and parts are taken in either order',
    },
    (ok) => ({
      lookUp: (id, known) =>
        ok.lookUp(id, known) ?? (equal(id, known.own.id) ? { ...known.own, permissions: 0 } : undefined),
      signatureHolds: (claim) =>
        ok.signatureHolds(claim) ||
        (claim.step === 'verify-m3' && ok.signatureHolds({ ...claim, info: otherOrder(claim.info) })),
    }),
  ),
  fault(
    'verify-is-symmetric',
    {
      breaks: ['SEC-06'],
      story: 'one Pair Verify serves both roles: either nonce, either identity, either order of the parts',
    },
    (ok) => ({
      openSealed: (data) =>
        ok.openSealed(data) ??
        (data.step === 'verify-m3' ? open(data.key, labelNonce('PV-Msg02'), data.sealed) : undefined),
      lookUp: (id, known) =>
        ok.lookUp(id, known) ?? (equal(id, known.own.id) ? { ...known.own, permissions: 0 } : undefined),
      signatureHolds: (claim) =>
        ok.signatureHolds(claim) ||
        (claim.step === 'verify-m3' && ok.signatureHolds({ ...claim, info: otherOrder(claim.info) })),
    }),
  ),
];

const weakInputs: readonly Fault[] = [
  fault(
    'weak-ltpk-stops-it',
    { breaks: ['SEC-07'], story: 'the library asserts that a public key is no point of small order' },
    () => ({
      isWeakKey(ltpk) {
        if (isSmallOrder(ltpk)) throw new Halt('assertion on a public key');
        return false;
      },
    }),
  ),
  fault(
    'large-signature-scalar-stops-it',
    { breaks: ['SEC-07'], story: 'the library asserts that S is below the order of the group' },
    (ok) => ({
      signatureHolds(claim) {
        if (scalarOf(claim.signature) >= ED25519_ORDER) throw new Halt('assertion on S');
        return ok.signatureHolds(claim);
      },
    }),
  ),
];

/** What strcmp sees of an identifier. */
function untilNul(id: Bytes): Bytes {
  const end = id.indexOf(0);
  return end < 0 ? id : id.subarray(0, end);
}

/** The list as a file of `id:key:permissions` lines gives it back. */
function throughLines(pairings: readonly Pairing[]): Pairing[] {
  const lines = pairings.map(
    ({ id, ltpk, permissions }) =>
      `${Buffer.from(id).toString('latin1')}:${Buffer.from(ltpk).toString('hex')}:${permissions}`,
  );
  return lines
    .join('\n')
    .split('\n')
    .map((line) => line.split(':'))
    .flatMap(([id = '', key = '', permissions = '']) =>
      /^[0-9a-f]{64}$/.test(key) && id !== ''
        ? [
            {
              id: Uint8Array.from(Buffer.from(id, 'latin1')),
              ltpk: Uint8Array.from(Buffer.from(key, 'hex')),
              permissions: Number(permissions),
            },
          ]
        : [],
    );
}

const identifiers: readonly Fault[] = [
  fault(
    'identifiers-compared-with-strcmp',
    {
      breaks: ['SEC-08'],
      story: 'identifiers are compared as C strings, and an Add replaces the entry it finds',
    },
    () => ({
      lookUp: (id, { pairings }) => pairings.find((pairing) => equal(untilNul(pairing.id), untilNul(id))),
      refusesAdd: () => undefined,
    }),
  ),
  fault(
    'identifiers-sanitised',
    { breaks: ['SEC-08'], story: 'what no file name may hold is replaced in identifiers by an underscore' },
    (ok) => ({
      identifierAsStored: (id) => utf8(text(ok.identifierAsStored(id)).replace(/[^0-9A-Za-z-]/g, '_')),
    }),
  ),
  fault(
    'pairings-in-a-file-of-lines',
    { breaks: ['SEC-08'], story: 'pairings are stored as id:key:permissions, one a line, nothing escaped' },
    (ok) => ({ restored: (pairings) => throughLines(ok.restored(pairings)) }),
  ),
];

function longerThan(limit: number, value: Bytes | undefined): boolean {
  return value !== undefined && value.length > limit;
}

const stops: readonly Fault[] = [
  fault(
    'short-sealed-data-stops-it',
    {
      breaks: ['SEC-09', 'PS-M5-04'],
      fieldBug: 137,
      story: 'the length of the tag is subtracted from a shorter EncryptedData',
    },
    (ok) => ({
      openSealed(data) {
        if (data.sealed.length < Length.tag) throw new Halt('a length below zero');
        return ok.openSealed(data);
      },
    }),
  ),
  fault(
    'message-without-m1-stops-it',
    { breaks: ['SEC-09'], fieldBug: 45, story: 'the state of the exchange is read before it was made' },
    (ok) => ({
      answers(reply) {
        if (reply.after === 'nothing' && ['setup-m4', 'setup-m6', 'verify-m4'].includes(reply.step ?? ''))
          throw new Halt('no exchange');
        return ok.answers(reply);
      },
    }),
  ),
  fault(
    'verify-key-length-stops-it',
    { breaks: ['SEC-09'], story: 'the key of Pair Verify M1 is handed to X25519 in whatever length it came' },
    (ok) => ({
      survives(request) {
        const key = request.endpoint === 'pair-verify' ? request.message.get(TlvType.PublicKey) : undefined;
        return ok.survives(request) && (key === undefined || key.length === Length.curveKey);
      },
    }),
  ),
  fault(
    'long-srp-key-stops-it',
    { breaks: ['SEC-09'], story: 'A is copied into a buffer of 384 bytes in whatever length it came' },
    (ok) => ({
      survives: (request) =>
        ok.survives(request) &&
        !(
          request.endpoint === 'pair-setup' &&
          longerThan(Length.srpPublicKey, request.message.get(TlvType.PublicKey))
        ),
    }),
  ),
  fault(
    'frame-header-before-verify-stops-it',
    { breaks: ['SEC-09'], story: 'bytes that are no HTTP go to the decryption, which has no key yet' },
    (ok) => ({
      survivesSegment: (segment) =>
        ok.survivesSegment(segment) && (segment.secured || segment.bytes[0] !== 0xff),
    }),
  ),
  fault(
    'long-method-stops-it',
    {
      breaks: ['SEC-09'],
      fieldBug: 125,
      story: 'the first word of a request is copied into the log buffer with sprintf',
    },
    (ok) => ({
      survivesSegment: (segment) => {
        const space = segment.bytes.indexOf(0x20);
        return ok.survivesSegment(segment) && (segment.secured || space < 0 || space <= 256);
      },
    }),
  ),
  fault(
    'connection-slot-leaks',
    {
      breaks: ['SEC-09'],
      fieldBug: 130,
      story: 'the slot of a connection is not given back when it ends without a request',
    },
    (ok) => ({ takesConnection: (arrival) => ok.takesConnection(arrival) && arrival.opened <= 100 }),
  ),
];

export const securityFaults: readonly Fault[] = [
  ...leaks,
  ...codes,
  ...reflection,
  ...weakInputs,
  ...identifiers,
  ...stops,
];
