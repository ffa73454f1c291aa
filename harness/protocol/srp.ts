import {
  type Bytes,
  abytes,
  concat,
  equal,
  fromInteger,
  padLeft,
  stripLeadingZeros,
  toInteger,
  utf8,
} from './bytes.js';
import { Length, SRP_USER } from './constants.js';
import { remembered } from './memo.js';
import { N, fixedBase, g } from './modpow.js';
import { ours } from './ours.js';
import type { Primitives } from './primitives.js';

/**
 * How an integer enters a hash: as it came over the wire, without leading zero bytes, or padded to 384. `left-aligned` is
 * a mistake: written to the front of a buffer of 384 bytes, so that the zero byte ends up behind.
 */
export type IntegerForm = 'as-sent' | 'stripped' | 'padded' | 'left-aligned';

/**
 * Where implementations of SRP-6a disagree: only in integers with leading zero bytes, so a mistake shows once in
 * 256 runs (errata E02–E05). One table, named after the camps; the default is the one every known stack accepts.
 */
export interface SrpConvention {
  /** g inside k. `literal` is the seed's text read word by word: one byte; nothing real pairs with it (E03). */
  readonly k: 'padded' | 'literal';
  /** A and B inside u; without padding it is the same mistake, and shows only with a leading zero byte. */
  readonly u: 'padded' | 'stripped';
  /** A and B inside the controller's proof M1. */
  readonly proofA: IntegerForm;
  readonly proofB: IntegerForm;
  /** S inside K = H(S). */
  readonly session: Exclude<IntegerForm, 'as-sent'>;
  /** K inside the proofs and HKDF: 64 bytes, or passed through an integer that drops a leading zero byte. */
  readonly sessionKey: 'fixed' | 'stripped';
  /** A inside the accessory's proof M2. */
  readonly serverProofA: IntegerForm;
  /** How the controller sends A. */
  readonly wireA: 'stripped' | 'padded';
  /** How the accessory sends B. */
  readonly wireB: 'stripped' | 'padded';
}

const adk: SrpConvention = {
  k: 'padded',
  u: 'padded',
  proofA: 'stripped',
  proofB: 'stripped',
  session: 'stripped',
  sessionKey: 'fixed',
  serverProofA: 'padded',
  wireA: 'padded',
  wireB: 'stripped',
};

export const srpConventions = {
  /** What an ordinary flow of this harness uses: with A[0] ≠ 0 and S[0] ≠ 0 all camps agree on it. */
  neutral: { ...adk, proofA: 'as-sent', proofB: 'as-sent', serverProofA: 'as-sent' },
  /** Apple's reference implementation. */
  adk,
  /** S padded to 384 bytes before hashing; A as received. */
  'padded-session': {
    ...adk,
    proofA: 'as-sent',
    proofB: 'padded',
    session: 'padded',
    serverProofA: 'as-sent',
    wireB: 'padded',
  },
  /** Everything padded except S. */
  'padded-proofs': { ...adk, proofA: 'padded', proofB: 'padded', wireB: 'padded' },
  /** Everything without leading zeros. */
  'all-stripped': { ...adk, serverProofA: 'stripped' },
  /** K goes through an integer (a field bug: fails one time in 256). */
  'integer-key': { ...adk, proofA: 'as-sent', sessionKey: 'stripped', serverProofA: 'as-sent' },
  /** k = H(N | g) and u = H(A | B) without padding, as seed 002 §2.4 reads literally. */
  literal: { ...adk, k: 'literal', u: 'stripped' },
} as const satisfies Record<string, SrpConvention>;
export type SrpConventionName = keyof typeof srpConventions;

function hash(by: Primitives, ...parts: readonly Bytes[]): Bytes {
  return by.sha512(concat(...parts));
}

/** base^exponent mod N for a non-negative exponent; remembered while memoising is on. */
export function pow(base: bigint, exponent: bigint, by: Primitives = ours()): bigint {
  return remembered(
    () => `${by.name} pow ${base.toString(32)} ${exponent.toString(32)}`,
    () => by.power(base, exponent),
  );
}

function form(value: Bytes, how: IntegerForm): Bytes {
  if (how === 'as-sent') return value;
  const stripped = stripLeadingZeros(value);
  if (how === 'padded') return padLeft(stripped, Length.srpPublicKey);
  if (how === 'stripped') return stripped;
  return concat(stripped, new Uint8Array(Math.max(0, Length.srpPublicKey - stripped.length)));
}

const nBytes = fromInteger(N);
const gBytes = Uint8Array.of(Number(g));

/** H(N) xor H(g), with g as one byte. */
function groupHash(by: Primitives): Bytes {
  const ofG = hash(by, gBytes);
  return hash(by, nBytes).map((byte, i) => byte ^ ofG[i]!);
}

/** k, as the convention computes it. */
export function multiplier(convention: SrpConvention, by: Primitives = ours()): bigint {
  const generator = convention.k === 'padded' ? padLeft(gBytes, Length.srpPublicKey) : gBytes;
  return toInteger(hash(by, nBytes, generator));
}

/** u = H(A | B), both padded to 384 bytes unless the convention strips them. */
export function scrambler(A: Bytes, B: Bytes, convention: SrpConvention, by: Primitives = ours()): bigint {
  return toInteger(hash(by, form(A, convention.u), form(B, convention.u)));
}

/** x = H(salt | H(user ":" password)); the salt enters exactly as sent. */
export function privateKey(salt: Bytes, password: string, user = SRP_USER, by: Primitives = ours()): bigint {
  return toInteger(hash(by, salt, hash(by, utf8(`${user}:${password}`))));
}

/** K = H(S). 64 bytes, or 63 and fewer in the field-bug convention when K starts with zero. */
export function sessionKey(S: bigint, convention: SrpConvention, by: Primitives = ours()): Bytes {
  const K = hash(by, form(fromInteger(S), convention.session));
  return convention.sessionKey === 'stripped' ? stripLeadingZeros(K) : K;
}

/** M1 = H(H(N) xor H(g) | H(user) | salt | A | B | K), 64 bytes (seed 002 §2.5). */
export function controllerProof(
  salt: Bytes,
  A: Bytes,
  B: Bytes,
  K: Bytes,
  convention: SrpConvention,
  user = SRP_USER,
  by: Primitives = ours(),
): Bytes {
  const [sentA, sentB] = [form(A, convention.proofA), form(B, convention.proofB)];
  return hash(by, groupHash(by), hash(by, utf8(user)), salt, sentA, sentB, K);
}

/** M2 = H(A | M1 | K), 64 bytes (seed 002 §2.6). */
export function accessoryProof(
  A: Bytes,
  M1: Bytes,
  K: Bytes,
  convention: SrpConvention,
  by: Primitives = ours(),
): Bytes {
  return hash(by, form(A, convention.serverProofA), M1, K);
}

/** The proof of M4 over A as sent, padded or without leading zero bytes: real accessories use all three (erratum E04). */
export function isAccessoryProof(proof: Bytes, { A, M1, K }: Pick<ClientSession, 'A' | 'M1' | 'K'>): boolean {
  const forms = ['as-sent', 'padded', 'stripped'] as const;
  return forms.some((how) => equal(proof, hash(ours(), form(A, how), M1, K)));
}

/** Every value the controller computes from one M2; kept whole, because reports and vectors show intermediates. */
export interface ClientSession {
  /** A as sent in M3. */
  readonly A: Bytes;
  readonly u: bigint;
  readonly x: bigint;
  /** What the accessory stores in the place of the code, when the code is the right one. */
  readonly v: bigint;
  readonly S: bigint;
  /** 64 bytes. */
  readonly K: Bytes;
  /** The proof for M3, 64 bytes. */
  readonly M1: Bytes;
  /** The proof to expect in M4, 64 bytes. */
  readonly M2: Bytes;
}

export interface ClientInput {
  /** Setup code with its dashes (erratum E22). */
  readonly password: string;
  readonly salt: Bytes;
  /** B exactly as received. */
  readonly B: Bytes;
  /** Private exponent. */
  readonly a: bigint;
  readonly convention?: SrpConvention;
  readonly user?: string;
  /** A as sent when it differs from the convention's encoding of g^a (another encoding of the same number). */
  readonly A?: Bytes;
}

/** B - k v, what the controller raises to a + u x. */
function clientBase(B: Bytes, v: bigint, convention: SrpConvention): bigint {
  return (((toInteger(B) - multiplier(convention) * v) % N) + N) % N;
}

/** The controller's side of SRP-6a (seed 002 §2.5). */
export function clientSession(input: ClientInput): ClientSession {
  const { password, salt, B, a, user = SRP_USER } = input;
  const convention = input.convention ?? srpConventions.neutral;
  const A =
    input.A ?? fromInteger(pow(g, a), convention.wireA === 'padded' ? Length.srpPublicKey : undefined);
  const u = scrambler(A, B, convention);
  const x = privateKey(salt, password, user);
  const v = pow(g, x);
  const S = pow(clientBase(B, v, convention), a + u * x);
  const K = sessionKey(S, convention);
  const M1 = controllerProof(salt, A, B, K, convention, user);
  return { A, u, x, v, S, K, M1, M2: accessoryProof(A, M1, K, convention) };
}

/** True when the session has a leading zero byte in A, S or K, where conventions disagree, or in its proof. */
export function hasLeadingZero({ A, S, K, M1 }: ClientSession): boolean {
  return A[0] === 0 || fromInteger(S).length < Length.srpPublicKey || K[0] === 0 || M1[0] === 0;
}

/** A value of the controller's session that it can bring a leading zero byte about in; `M1` is the proof of M3. */
export type GroundValue = 'A' | 'S' | 'K' | 'M1';

/** Below this an integer leaves the first of its 384 bytes zero. */
const SHORT = 1n << BigInt(8 * (Length.srpPublicKey - 1));

/**
 * The first private exponent from `input.a` on for which `which`, and no other of A, S, K and M1, starts with a zero byte:
 * about one in 256. A step from a to a + 1 multiplies A by g and base^a by the base, so that only (base^x)^u is an
 * exponentiation, of a fixed base.
 */
export function groundExponent(input: ClientInput, which: GroundValue): bigint {
  const { password, salt, B, a: first, user = SRP_USER } = input;
  const convention = input.convention ?? srpConventions.neutral;
  const x = privateKey(salt, password, user);
  const base = clientBase(B, pow(g, x), convention);
  const key = (): string =>
    ['exponent', which, first, x, toInteger(B), convention.u, convention.session].join();
  return remembered(key, () => {
    // Where A is looked for, S is computed once: a table would cost more than it saves.
    const basePower = pow(base, x);
    const verifierPart = which === 'A' ? (u: bigint) => pow(basePower, u) : fixedBase(basePower);
    let [A, byA] = [pow(g, first), pow(base, first)];
    for (let a = first; ; a++, A = (A * g) % N, byA = (byA * base) % N) {
      if (A < SHORT !== (which === 'A')) continue;
      const S = (byA * verifierPart(scrambler(fromInteger(A), B, convention))) % N;
      if (S < SHORT !== (which === 'S')) continue;
      const K = sessionKey(S, { ...convention, sessionKey: 'fixed' });
      if ((K[0] === 0) !== (which === 'K')) continue;
      const M1 = controllerProof(salt, fromInteger(A, Length.srpPublicKey), B, K, convention, user);
      if ((M1[0] === 0) === (which === 'M1')) return a;
    }
  });
}

/** What somebody puts in the place of A, and what he guesses K to be. */
export interface Forgery {
  /** A as sent: 0 mod N in some encoding. */
  readonly A: Bytes;
  readonly K: Bytes;
  /** A as it is hashed into the proof; as sent unless given. */
  readonly hashed?: Bytes;
}

/**
 * The session of somebody who does not know the code: with A = 0 mod N the accessory arrives at S = 0 whatever the code
 * is, and K can be guessed (RFC 5054 §2.5.4). x and v are not known, and u does not matter.
 */
export function forgedSession(salt: Bytes, B: Bytes, { A, K, hashed = A }: Forgery): ClientSession {
  const M1 = controllerProof(salt, hashed, B, K, srpConventions.neutral);
  return { A, u: 0n, x: 0n, v: 0n, S: 0n, K, M1, M2: accessoryProof(hashed, M1, K, srpConventions.neutral) };
}

/** What is wrong with B as an SRP public value, or undefined (RFC 5054 §2.5.3). */
export function publicKeyDefect(B: Bytes): string | undefined {
  if (B.length === 0 || B.length > Length.srpPublicKey)
    return `PublicKey is ${B.length} bytes, 1 to 384 are allowed`;
  const value = toInteger(B);
  if (value % N === 0n) return 'PublicKey is 0 mod N';
  if (value >= N) return 'PublicKey is not below N';
  if (value === 1n) return 'PublicKey is 1';
  return undefined;
}

/** What the accessory stores instead of the setup code. */
export interface Verifier {
  /** 16 bytes. */
  readonly salt: Bytes;
  readonly v: bigint;
}

export function makeVerifier(password: string, salt: Bytes, user = SRP_USER, by?: Primitives): Verifier {
  return { salt, v: pow(g, privateKey(salt, password, user, by), by) };
}

/** The accessory's answer to an A; the proofs are for the caller to compare. */
export interface ServerSession {
  readonly S: bigint;
  readonly K: Bytes;
  /** The proof to expect in M3. */
  readonly M1: Bytes;
  /** The proof for M4, made from the proof received. */
  proveWith(received: Bytes): Bytes;
}

/** The accessory's side of SRP-6a (seed 002 §2.4, §2.6). */
export class SrpServer {
  /** B as sent in M2. */
  readonly B: Bytes;

  constructor(
    readonly verifier: Verifier,
    private readonly b: bigint,
    readonly convention: SrpConvention = srpConventions.adk,
    private readonly user = SRP_USER,
    private readonly by?: Primitives,
  ) {
    const B = (multiplier(convention, by) * verifier.v + pow(g, b, by)) % N;
    this.B = fromInteger(B, convention.wireB === 'padded' ? Length.srpPublicKey : undefined);
  }

  /** S, K and proofs for an A as received. A ≡ 0 mod N is the caller's to refuse first: see `isIllegalA`. */
  session(A: Bytes): ServerSession {
    const { verifier, convention, by } = this;
    const u = scrambler(A, this.B, convention, by);
    const S = pow((toInteger(A) * pow(verifier.v, u, by)) % N, this.b, by);
    const K = sessionKey(S, convention, by);
    const M1 = controllerProof(verifier.salt, A, this.B, K, convention, this.user, by);
    return { S, K, M1, proveWith: (received) => accessoryProof(A, received, K, convention, by) };
  }
}

/** A mod N = 0: S would be 0 whatever the code is (seed 002 §2.6 step 1). */
export function isIllegalA(A: Bytes): boolean {
  return toInteger(A) % N === 0n;
}

/** Constant content comparison of a proof; the length counts. */
export function proofEquals(expected: Bytes, received: Bytes): boolean {
  return equal(abytes(expected, 'proof'), received);
}
