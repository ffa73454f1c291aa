import {
  type Bytes,
  type IntegerForm,
  N,
  type Random,
  SRP_USER,
  type SrpConvention,
  SrpServer,
  accessoryProof,
  clientSession,
  concat,
  controllerProof,
  fixedBase,
  flipBit,
  fromInteger,
  g,
  makeVerifier,
  multiplier,
  padLeft,
  pow,
  privateKey,
  scrambler,
  sessionKey,
  sha512,
  srpConventions,
  stripLeadingZeros,
  toInteger,
  utf8,
} from '../../protocol/index.js';
import { CODE, draft } from '../cases.js';
import { type Draft, type Generator, type GroupDraft, type Value, edit } from '../make.js';
import type { FlagName } from '../notes.js';

interface Convention extends SrpConvention {
  readonly salt: 'as-sent' | 'stripped';
}

const { neutral, adk } = srpConventions;
const stripping = { ...srpConventions['all-stripped'], wireA: 'stripped' } as const;
const left = 'left-aligned' satisfies IntegerForm;
/** Who writes integers how, under names of their own. */
const conventions: Readonly<Record<string, Convention>> = {
  reference: { ...adk, salt: 'as-sent' },
  neutral: { ...neutral, salt: 'as-sent' },
  'padded-session': { ...srpConventions['padded-session'], salt: 'as-sent' },
  'stripped-proofs-padded-session': { ...adk, session: 'padded', salt: 'as-sent' },
  'padded-proofs': { ...srpConventions['padded-proofs'], salt: 'as-sent' },
  'all-stripped': { ...stripping, salt: 'as-sent' },
  'all-stripped-and-salt': { ...stripping, salt: 'stripped' },
  'integer-key': { ...neutral, proofB: 'stripped', sessionKey: 'stripped', salt: 'as-sent' },
  literal: { ...srpConventions.literal, salt: 'as-sent' },
  'left-aligned': { ...adk, proofA: left, proofB: left, session: left, serverProofA: left, salt: 'as-sent' },
};
const mistakes = ['integer-key', 'literal', 'left-aligned'];

/** What an exchange is made from. */
export interface Secrets {
  readonly salt: Bytes;
  readonly a: bigint;
  readonly b: bigint;
}

/** Every value of an exchange, each in its full size. */
export function srpFields(
  { salt, a, b }: Secrets,
  password: string,
  { salt: saltForm, ...convention }: Convention = { ...neutral, salt: 'as-sent' },
): {
  A: Bytes;
  B: Bytes;
  K: Bytes;
  M1: Bytes;
  M2: Bytes;
  S: bigint;
  fields: Readonly<Record<string, Value>>;
} {
  const used = saltForm === 'stripped' ? stripLeadingZeros(salt) : salt;
  const { B } = new SrpServer(makeVerifier(password, used), b, convention);
  const { A, u, x, v, S, K, M1, M2 } = clientSession({ password, salt: used, B, a, convention });
  return {
    ...{ A, B, K, M1, M2, S },
    fields: {
      x: fromInteger(x, 64),
      v: fromInteger(v, 384),
      k: fromInteger(multiplier(convention), 64),
      u: fromInteger(u, 64),
      A,
      B,
      S: fromInteger(S, 384),
      K,
      M1,
      M2,
    },
  };
}

const SHORT = 1n << 3064n;
const short = (value: bigint): boolean => value < SHORT;

type Family = 'S' | 'K' | 'M1' | 'M2';

/** Exponents for which exactly the value named starts with a zero byte. */
interface Ground {
  readonly none: bigint;
  readonly A: bigint;
  readonly found: Readonly<Record<Family, bigint>>;
}

/**
 * Walks from `first` on, a step at a time: A times g, and the base of S times itself, so that a step costs one
 * exponentiation of a fixed base (about 256 steps a value).
 */
function grind(salt: Bytes, b: bigint, first: bigint, convention: SrpConvention): Ground {
  const { B } = new SrpServer(makeVerifier(CODE, salt), b, convention);
  const x = privateKey(salt, CODE);
  const base = (((toInteger(B) - multiplier(convention) * pow(g, x)) % N) + N) % N;
  const verifierPart = fixedBase(pow(base, x));
  const found: Partial<Record<Family, bigint>> = {};
  let none: bigint | undefined;
  let shortA: bigint | undefined;
  let [A, byA] = [pow(g, first), pow(base, first)];
  for (let a = first; ; a++, A = (A * g) % N, byA = (byA * base) % N) {
    if (short(A)) {
      shortA ??= a;
      continue;
    }
    const { S: s, K: k, M1: m1, M2: m2 } = found;
    const missing = s === undefined || k === undefined || m1 === undefined || m2 === undefined;
    if (!missing && none !== undefined && shortA !== undefined)
      return { none, A: shortA, found: { S: s, K: k, M1: m1, M2: m2 } };
    if (!missing && none !== undefined) continue;
    const sent = fromInteger(A);
    const S = (byA * verifierPart(scrambler(sent, B, convention))) % N;
    const K = sessionKey(S, { ...convention, sessionKey: 'fixed' });
    const M1 = controllerProof(salt, sent, B, K, convention);
    const M2 = accessoryProof(sent, M1, K, convention);
    const zeros = { S: short(S), K: K[0] === 0, M1: M1[0] === 0, M2: M2[0] === 0 };
    const which = (Object.keys(zeros) as Family[]).filter((name) => zeros[name]);
    if (which.length === 0) none ??= a;
    if (which.length === 1) found[which[0]!] ??= a;
  }
}

/** The first b from `first` on for which B starts with a zero byte, or for which it does not. */
function groundB(salt: Bytes, first: bigint, convention: SrpConvention, zero: boolean): bigint {
  const kv = multiplier(convention) * makeVerifier(CODE, salt).v;
  let gb = pow(g, first);
  for (let b = first; ; b++, gb = (gb * g) % N) if (short((kv + gb) % N) === zero) return b;
}

/** Secrets whose exchange has no leading zero byte anywhere: every convention computes the same. */
export function plainSecrets(random: Random, password: string): Secrets {
  for (;;) {
    const secrets = {
      salt: random.bytes(16),
      a: toInteger(random.bytes(32)),
      b: toInteger(random.bytes(32)),
    };
    const { A, B, S, K, M1, M2 } = srpFields(secrets, password);
    const zero = B.length < 384 || short(S) || [A, K, M1, M2, secrets.salt].some((bytes) => bytes[0] === 0);
    if (!zero && secrets.a >> 248n !== 0n && secrets.b >> 248n !== 0n) return secrets;
  }
}

export const exponents = ({ salt, a, b }: Secrets): Readonly<Record<string, Value>> => ({
  salt,
  a: fromInteger(a, 32),
  b: fromInteger(b, 32),
});

interface FamilyCase {
  readonly name: string;
  readonly flags: readonly FlagName[];
  readonly secrets: Secrets;
}

/** One exchange of every family, as the given convention computes k and u. */
function families(
  random: Random,
  convention: SrpConvention,
  saltForm: Convention['salt'] = 'as-sent',
): FamilyCase[] {
  const salt = random.bytes(16);
  salt[0] = salt[0]! | 1;
  const draw = (): bigint => toInteger(random.bytes(32)) | (1n << 255n);
  const b = groundB(salt, draw(), convention, false);
  const ground = grind(salt, b, draw(), convention);
  const zeroSalt = salt.slice();
  zeroSalt[0] = 0;
  const zeroSalts = zeroSalt.slice();
  zeroSalts.fill(0, 0, 3);
  const hashed = (value: Bytes): Bytes => (saltForm === 'stripped' ? stripLeadingZeros(value) : value);
  // Salt and B enter S, so these have to look for an exchange of their own in which nothing else is short.
  const plainA = (used: Bytes, withB: bigint): bigint => {
    for (let a = draw(); ; a++) {
      const { B } = new SrpServer(makeVerifier(CODE, used), withB, convention);
      const { A, S, K } = clientSession({ password: CODE, salt: used, B, a, convention });
      if (!short(toInteger(A)) && !short(S) && K[0] !== 0) return a;
    }
  };
  const ofSalt = (value: Bytes): Secrets => {
    const withB = groundB(hashed(value), draw(), convention, false);
    return { salt: value, a: plainA(hashed(value), withB), b: withB };
  };
  const zeroB = groundB(salt, draw(), convention, true);
  return [
    { name: 'no leading zero byte', flags: ['Ordinary'], secrets: { salt, a: ground.none, b } },
    { name: 'salt[0] = 0', flags: ['LeadingZeroSalt'], secrets: ofSalt(zeroSalt) },
    { name: 'three zero bytes in front of the salt', flags: ['LeadingZeroSalt'], secrets: ofSalt(zeroSalts) },
    { name: 'A[0] = 0', flags: ['LeadingZeroA'], secrets: { salt, a: ground.A, b } },
    { name: 'A = g^82, 24 bytes', flags: ['LeadingZeroA', 'ShortA'], secrets: { salt, a: 82n, b } },
    { name: 'B[0] = 0', flags: ['LeadingZeroB'], secrets: { salt, a: plainA(salt, zeroB), b: zeroB } },
    {
      name: 'A[0] = 0 and B[0] = 0',
      flags: ['LeadingZeroA', 'LeadingZeroB'],
      secrets: { salt, a: ground.A, b: zeroB },
    },
    { name: 'S[0] = 0', flags: ['LeadingZeroS'], secrets: { salt, a: ground.found.S, b } },
    { name: 'K[0] = 0', flags: ['LeadingZeroK'], secrets: { salt, a: ground.found.K, b } },
    { name: 'M1[0] = 0', flags: ['LeadingZeroM1'], secrets: { salt, a: ground.found.M1, b } },
    { name: 'M2[0] = 0', flags: ['LeadingZeroM2'], secrets: { salt, a: ground.found.M2, b } },
  ];
}

function sessionGroup(name: string, cases: readonly FamilyCase[]): GroupDraft {
  const convention = conventions[name]!;
  return {
    type: 'SrpSession',
    parameters: { user: SRP_USER, password: CODE, convention: name, forms: { ...convention } },
    tests: cases.map(({ name: family, flags, secrets }) => {
      const mine = srpFields(secrets, CODE, convention);
      const right = srpFields(secrets, CODE, conventions['reference']);
      const agrees = Buffer.compare(mine.M1, right.M1) === 0 && Buffer.compare(mine.M2, right.M2) === 0;
      const mistaken = mistakes.includes(name);
      const why: FlagName[] = agrees ? [] : [mistaken ? 'ConventionMistaken' : 'ConventionDiffers'];
      return draft(
        `${name}: ${family}`,
        [...flags, ...why],
        agrees ? 'valid' : mistaken ? 'invalid' : 'acceptable',
        { ...exponents(secrets), ...mine.fields },
      );
    }),
  };
}

function illegalA(random: Random): GroupDraft {
  const guesses = { empty: 0, 'zero-byte': 1, padded: 384 } as const;
  const shapes = [
    [0, 0, 'no bytes'],
    [0, 1, 'one zero byte'],
    [0, 383, '383 zero bytes'],
    [0, 384, '384 zero bytes'],
    [1, 384, 'N'],
    [0, 385, '385 zero bytes'],
    [1, 385, 'N with a zero byte in front'],
  ] as const;
  const password = CODE;
  const tests = shapes.flatMap(([multiple, length, name], index) =>
    (Object.keys(guesses) as (keyof typeof guesses)[])
      .slice(0, index === 3 || index === 4 ? 3 : 1)
      .map((guess) => {
        const salt = random.bytes(16);
        const b = random.bytes(32);
        const verifier = makeVerifier(password, salt);
        const { B } = new SrpServer(verifier, toInteger(b));
        const A = fromInteger(multiple === 1 ? N : 0n, length);
        const K = sha512(new Uint8Array(guesses[guess]));
        const M1 = controllerProof(salt, A, B, K, neutral);
        return draft(`A is ${name}; K is guessed as H(${guess})`, ['IllegalA'], 'invalid', {
          ...{ salt, b, v: fromInteger(verifier.v, 384), B, multiple, length, A, guess, K, M1 },
        });
      }),
  );
  return { type: 'SrpIllegalA', parameters: { user: SRP_USER, password }, tests };
}

function illegalB(): GroupDraft {
  const numbers = { '0': 0n, '1': 1n, 'N-1': N - 1n, N, 'N+1': N + 1n };
  const shapes = [
    ['0', 0],
    ['0', 1],
    ['0', 32],
    ['0', 383],
    ['0', 384],
    ['0', 385],
    ['N', 384],
    ['N', 385],
    ['1', 1],
    ['1', 384],
    ['N-1', 384],
    ['N+1', 384],
    ['1', 385],
    ['N-1', 385],
  ] as const;
  return {
    type: 'SrpIllegalB',
    tests: shapes.map(([number, length]) => {
      const illegal = number === '0' || number === 'N' || length > 384;
      return draft(
        `B = ${number} in ${length} bytes`,
        [illegal ? 'IllegalB' : 'OddB'],
        illegal ? 'invalid' : number === 'N-1' ? 'valid' : 'acceptable',
        { number, length, B: padLeft(fromInteger(numbers[number]), length) },
      );
    }),
  };
}

function proofs(random: Random): GroupDraft {
  const secrets = plainSecrets(random, CODE);
  const { A, B, K, M1, M2, S, fields } = srpFields(secrets, CODE);
  const { salt, a } = secrets;
  const proof = (key: Bytes, user = SRP_USER): Bytes => controllerProof(salt, A, B, key, neutral, user);
  const ofCode = (password: string): Bytes => clientSession({ password, salt, B, a }).M1;
  const groupHash = (wide: boolean): Bytes => {
    const hashed = sha512(padLeft(fromInteger(g), wide ? 384 : 1));
    return sha512(fromInteger(N)).map((byte, i) => byte ^ hashed[i]!);
  };
  const one = (
    comment: string,
    flags: readonly FlagName[],
    bytes: Bytes,
    op: string,
    argument: Parameters<typeof edit>[1] = {},
  ): Draft =>
    draft(comment, flags, 'invalid', {
      ...exponents(secrets),
      ...fields,
      right: op.startsWith('M1') ? M1 : M2,
      proof: bytes,
      edit: edit(op, argument),
    });
  const flipped = (which: 'M1' | 'M2', bit: number): Draft =>
    one(
      `${which}, bit ${bit} inverted`,
      ['WrongProof'],
      flipBit(which === 'M1' ? M1 : M2, bit),
      `${which}-flip`,
      { bit },
    );
  return {
    type: 'SrpProof',
    parameters: { user: SRP_USER, password: CODE },
    tests: [
      ...[0, 7, 255, 511].map((bit) => flipped('M1', bit)),
      ...[0, 1, 32, 63].map((to) =>
        one(`${to} bytes of M1`, ['WrongProof', 'ProofLength'], M1.subarray(0, to), 'M1-cut', { to }),
      ),
      one(
        'M1 with a zero byte behind it',
        ['WrongProof', 'ProofLength'],
        concat(M1, Uint8Array.of(0)),
        'M1-append',
        { value: Uint8Array.of(0) },
      ),
      one('M1 twice', ['WrongProof', 'ProofLength'], concat(M1, M1), 'M1-append', { value: M1 }),
      one('64 zero bytes', ['WrongProof'], new Uint8Array(64), 'M1-zero'),
      one('another code', ['WrongProof', 'WrongCode'], ofCode('031-45-155'), 'M1-of-password', {
        text: '031-45-155',
      }),
      one(
        'the right code without its dashes',
        ['WrongProof', 'WithoutDashes'],
        ofCode('03145154'),
        'M1-of-password',
        { text: '03145154' },
      ),
      one('no code', ['WrongProof', 'WrongCode'], ofCode(''), 'M1-of-password', { text: '' }),
      one(
        'another user name',
        ['WrongProof'],
        clientSession({ password: CODE, salt, B, a, user: 'pair-setup' }).M1,
        'M1-of-user',
        { text: 'pair-setup' },
      ),
      one(
        'M1 without the salt',
        ['WrongProof'],
        controllerProof(new Uint8Array(0), A, B, K, neutral),
        'M1-without-salt',
      ),
      one(
        'g padded to 384 bytes in H(N) xor H(g)',
        ['WrongProof'],
        sha512(concat(groupHash(true), sha512(utf8(SRP_USER)), salt, A, B, K)),
        'M1-padded-g',
      ),
      one('M2 in the place of M1', ['WrongProof'], M2, 'M1-is-M2'),
      one('S in the place of K', ['WrongProof'], proof(fromInteger(S)), 'M1-S-in-place-of-K'),
      ...[0, 256, 511].map((bit) => flipped('M2', bit)),
      ...[0, 63].map((to) =>
        one(`${to} bytes of M2`, ['WrongProof', 'ProofLength'], M2.subarray(0, to), 'M2-cut', { to }),
      ),
      one(
        'M2 with a byte behind it',
        ['WrongProof', 'ProofLength'],
        concat(M2, Uint8Array.of(1)),
        'M2-append',
        { value: Uint8Array.of(1) },
      ),
      one('M1 sent back as M2', ['WrongProof'], M1, 'M2-is-M1'),
      one('M2 over B in the place of A', ['WrongProof'], accessoryProof(B, M1, K, neutral), 'M2-of-B'),
    ],
  };
}

export const srp: Generator = (random) => {
  const common = families(random.fork('families'), adk);
  const literal = families(random.fork('literal'), srpConventions.literal);
  // A salt without its zero bytes is another salt, with exchanges of its own.
  const saltless = families(random.fork('salt'), adk, 'stripped').filter(({ flags }) =>
    flags.includes('LeadingZeroSalt'),
  );
  const groups = Object.keys(conventions).map((name) => {
    if (name === 'literal') return sessionGroup(name, literal);
    const rest = common.filter(({ flags }) => !flags.includes('LeadingZeroSalt'));
    return sessionGroup(name, name === 'all-stripped-and-salt' ? [...rest, ...saltless] : common);
  });
  return [...groups, illegalA(random.fork('A')), illegalB(), proofs(random.fork('proofs'))];
};

/** `count` sessions of SRP without leading zeros, for measurements. */
export function plainSessions(random: Random, count: number): GroupDraft[] {
  const cases = Array.from({ length: count }, (): FamilyCase => ({
    name: 'no leading zero byte',
    flags: ['Ordinary'],
    secrets: plainSecrets(random, CODE),
  }));
  return [sessionGroup('reference', cases)];
}
