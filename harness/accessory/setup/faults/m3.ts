import {
  type Bytes,
  Length,
  N,
  type SrpConvention,
  type TlvMessage,
  TlvType,
  equal,
  proofEquals,
  srpConventions,
  stripLeadingZeros,
  tlv,
  toInteger,
} from '../../../protocol/index.js';
import type { Behaviour } from '../../behaviour.js';
import { controllerProof, sha512 } from '../../crypto.js';
import { type Fault, fault } from '../../faults/fault.js';
import { succeeds } from '../../faults/items.js';
import type { Reply } from '../../messages/reply.js';

/** Departures from the reference's SRP integers. */
function srp(departure: Partial<SrpConvention>): () => Partial<Behaviour> {
  return () => ({ convention: { ...srpConventions.adk, ...departure } });
}

/** The accessory does not survive an M3 with such an A. */
function stopsOn(test: (A: Bytes) => boolean): (ok: Behaviour) => Partial<Behaviour> {
  return (ok) => ({
    survives(request) {
      const { endpoint, message } = request;
      const A =
        endpoint === 'pair-setup' && message.state === 3 ? message.joined(TlvType.PublicKey) : undefined;
      return ok.survives(request) && (A === undefined || !test(A));
    },
  });
}

/** The handler of an M3 like this never returns. */
function hangsOn(test: (message: TlvMessage) => boolean): (ok: Behaviour) => Partial<Behaviour> {
  return (ok) => ({
    answers: (reply) => !(reply.step === 'setup-m4' && test(reply.request)) && ok.answers(reply),
  });
}

function isIllegal(A: Bytes): boolean {
  return toInteger(A) % N === 0n;
}

function beginsAlike(a: Bytes, b: Bytes, length: number): boolean {
  return equal(a.subarray(0, length), b.subarray(0, length));
}

function method(reply: Reply): number | undefined {
  return reply.step === 'setup-m4' && succeeds(reply) ? reply.request.get(TlvType.Method)?.[0] : undefined;
}

const integers: readonly Fault[] = [
  fault(
    'unpadded-u',
    { breaks: ['PS-M3-12'], fieldBug: 5, story: 'u hashes A and B without padding them to the length of N' },
    srp({ u: 'stripped' }),
  ),
  fault(
    'a-left-aligned',
    {
      breaks: ['PS-M3-12'],
      story: 'A is written to the front of 384 bytes before the proof is made over it',
    },
    srp({ proofA: 'left-aligned' }),
  ),
  fault(
    'server-proof-left-aligned',
    { breaks: ['PS-M3-12'], story: 'the proof of M4 is made over an A written to the front of 384 bytes' },
    srp({ serverProofA: 'left-aligned' }),
  ),
  fault(
    'b-left-aligned',
    { breaks: ['PS-M3-14'], story: 'the proof is made over a buffer of 384 bytes that B does not fill' },
    srp({ proofB: 'left-aligned' }),
  ),
  fault(
    's-left-aligned',
    { breaks: ['PS-M3-15'], story: 'K is made of a buffer of 384 bytes that S does not fill' },
    srp({ session: 'left-aligned' }),
  ),
  fault(
    'integer-key',
    {
      breaks: ['PS-M3-16'],
      fieldBug: 11,
      story: 'K passes through an integer, which has no leading zero byte',
    },
    srp({ sessionKey: 'stripped' }),
  ),
  fault(
    'integer-key-in-hkdf',
    { breaks: ['PS-M3-16'], story: 'the proofs are right; to the key derivation K goes as an integer' },
    (ok) => ({
      secretForM5(exchange) {
        const K = ok.secretForM5(exchange);
        return K && stripLeadingZeros(K);
      },
    }),
  ),
];

const comparisons: readonly Fault[] = [
  fault(
    'compares-half-the-proof',
    { breaks: ['PS-M3-07'], story: 'the proof is compared as if it were a SHA-256: 32 bytes' },
    () => ({
      proofMatches: ({ expected, received }) => received.length >= 32 && beginsAlike(expected, received, 32),
    }),
  ),
  fault(
    'compares-all-but-the-last-byte',
    { breaks: ['PS-M3-07'], story: 'the loop over the proof ends one byte early' },
    () => ({
      proofMatches: ({ expected, received }) =>
        received.length === Length.proof && beginsAlike(expected, received, Length.proof - 1),
    }),
  ),
  fault(
    'longer-proof-passes',
    { breaks: ['PS-M3-07'], story: 'memcmp over 64 bytes, whatever comes behind them' },
    () => ({
      proofMatches: ({ expected, received }) => beginsAlike(expected, received, Length.proof),
    }),
  ),
  fault(
    'proof-bits-masked',
    { breaks: ['PS-M3-07'], story: 'the constant-time comparison has an AND NOT where it needs an XOR' },
    () => ({
      proofMatches: ({ expected, received }) =>
        received.length === Length.proof && received.every((byte, i) => (byte & ~expected[i]!) === 0),
    }),
  ),
];

const sizes: readonly Fault[] = [
  fault(
    'long-key-overflows',
    { breaks: ['PS-M3-10'], fieldBug: 19, story: 'A is copied into 384 bytes, whatever its length' },
    stopsOn((A) => A.length > Length.srpPublicKey),
  ),
  fault(
    'long-key-unanswered',
    { breaks: ['PS-M3-10'], story: 'an A that does not fit leaves the handler before it has answered' },
    hangsOn((message) => (message.joined(TlvType.PublicKey)?.length ?? 0) > Length.srpPublicKey),
  ),
  fault(
    'short-key-overread',
    { breaks: ['PS-M3-13'], story: 'A is read 384 bytes long, past the end of a request that holds fewer' },
    stopsOn((A) => A.length > 0 && A.length < Length.srpPublicKey),
  ),
  fault(
    'short-key-waits-for-more',
    { breaks: ['PS-M3-13'], story: 'an A of fewer than 384 bytes is taken for a first fragment' },
    hangsOn((message) => (message.joined(TlvType.PublicKey)?.length ?? 384) < Length.srpPublicKey),
  ),
  fault(
    'one-word-key-stops-it',
    { breaks: ['PS-M3-11'], story: 'the Montgomery code asserts that A has more than one machine word' },
    stopsOn((A) => stripLeadingZeros(A).length <= 4),
  ),
  fault(
    'order-of-key-asserted',
    { breaks: ['PS-M3-11'], story: 'that A generates a large group is an assertion, not a refusal' },
    stopsOn((A) => (toInteger(A) * toInteger(A)) % N === 1n),
  ),
];

const illegalKeys: readonly Fault[] = [
  fault(
    'illegal-key-unchecked',
    { breaks: ['SEC-01'], fieldBug: 14, story: 'nobody asks whether A is 0 mod N' },
    () => ({ refusesPublicKey: () => false }),
  ),
  fault(
    'illegal-key-range-never-fires',
    {
      breaks: ['SEC-01'],
      fieldBug: 15,
      story: 'A is refused when it is below 1 and above N - 1; A is hashed as it came',
    },
    (ok) => ({
      convention: { ...ok.convention, proofA: 'as-sent', serverProofA: 'as-sent' },
      refusesPublicKey: (A) => toInteger(A) < 1n && toInteger(A) > N - 1n,
    }),
  ),
  fault(
    'only-zero-is-illegal',
    { breaks: ['SEC-01'], story: 'A is compared with 0 before it is reduced mod N; S is padded' },
    () => ({
      convention: srpConventions['padded-session'],
      refusesPublicKey: (A) => toInteger(A) === 0n,
    }),
  ),
  fault(
    'zero-key-in-range',
    { breaks: ['SEC-01'], story: 'A has to be below N, and nobody asks whether it is above 0; S is padded' },
    () => ({
      convention: srpConventions['padded-session'],
      refusesPublicKey: (A) => toInteger(A) >= N,
    }),
  ),
  fault(
    'reduced-key-unchecked',
    { breaks: ['SEC-01'], story: 'A is reduced mod N where it comes in, which leaves nothing of N to hash' },
    (ok) => ({
      refusesPublicKey: () => false,
      proofMatches(claim) {
        const { A, B, salt, received } = claim;
        if (!isIllegal(A)) return ok.proofMatches(claim);
        const nothing = new Uint8Array(0);
        return proofEquals(controllerProof(salt, nothing, B, sha512(nothing), ok.convention), received);
      },
    }),
  ),
  fault(
    'multiples-of-n-pass',
    { breaks: ['SEC-01'], story: 'A is compared with 0 and N, and may be longer than N' },
    () => ({
      publicKeyLengths: [1, 512],
      refusesPublicKey: (A) => toInteger(A) === 0n || toInteger(A) === N,
    }),
  ),
  fault(
    'short-illegal-key-passes',
    { breaks: ['SEC-01'], story: 'whether A is 0 mod N is asked only of an A of 384 bytes' },
    (ok) => ({
      publicKeyLengths: [0, Length.srpPublicKey],
      refusesPublicKey: (A) => A.length === Length.srpPublicKey && ok.refusesPublicKey(A),
    }),
  ),
  fault(
    'illegal-key-leaves-with-success',
    { breaks: ['SEC-01'], story: 'an illegal A jumps to the end, where the result is still 0: success' },
    (ok) => ({
      refusesPublicKey: () => false,
      proofMatches: (claim) => isIllegal(claim.A) || ok.proofMatches(claim),
    }),
  ),
  fault(
    'illegal-key-is-hashed-as-nothing',
    {
      breaks: ['SEC-01'],
      story: 'an illegal A ends the computation, and the proof is compared with what is there',
    },
    (ok) => ({
      refusesPublicKey: () => false,
      proofMatches(claim) {
        const { A, B, salt, received } = claim;
        if (!isIllegal(A)) return ok.proofMatches(claim);
        const empty = new Uint8Array(0);
        return proofEquals(controllerProof(salt, empty, B, empty, ok.convention), received);
      },
    }),
  ),
  fault(
    'illegal-key-stops-it',
    { breaks: ['SEC-01'], fieldBug: 16, story: 'an illegal A throws where nobody catches: the process ends' },
    stopsOn(isIllegal),
  ),
];

const methods: readonly Fault[] = [
  fault(
    'method-in-m3-unanswered',
    {
      breaks: ['PS-M3-17'],
      story: 'a message with a Method begins a procedure, and waits for the rest of it',
    },
    hangsOn((message) => message.has(TlvType.Method)),
  ),
  fault(
    'method-in-m3-adds-certificate',
    {
      breaks: ['PS-M3-17'],
      story: 'M4 asks the Method of M3, not that of M1, whether to authenticate itself',
    },
    (ok) => ({
      beforeSending: (reply) =>
        method(reply) === 1
          ? [...ok.beforeSending(reply), tlv(TlvType.EncryptedData, reply.random.bytes(80))]
          : ok.beforeSending(reply),
    }),
  ),
  fault(
    'method-in-m3-dispatches',
    { breaks: ['PS-M3-17'], story: 'Method decides before State: 5 in M3 is answered by an empty list' },
    (ok) => ({
      beforeSending: (reply) => (method(reply) === 5 ? [tlv(TlvType.State, 2)] : ok.beforeSending(reply)),
    }),
  ),
];

/** Mistakes in SRP that a pairing with the right code shows seldom or never. */
export const setupM3Faults: readonly Fault[] = [
  ...integers,
  ...comparisons,
  ...sizes,
  ...illegalKeys,
  ...methods,
];
