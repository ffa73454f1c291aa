import {
  type Bytes,
  type IntegerForm,
  type Random,
  type SrpConvention,
  type TlvItem,
  N,
  SRP_USER,
  SrpServer,
  TlvType,
  accessoryProof,
  clientSession,
  concat,
  controllerProof,
  counterNonce,
  decodeTlv,
  deriveKey,
  encodeTlv,
  fixedBase,
  flipBit,
  formatSetupPayload,
  fromHex,
  fromInteger,
  g,
  hkdfSha512,
  isTrivialCode,
  keyLabels,
  labelNonce,
  lengthBytes,
  makeVerifier,
  multiplier,
  padLeft,
  parseSetupCode,
  pow,
  privateKey,
  scrambler,
  seal,
  sealFrame,
  sessionKey,
  sha512,
  srpConventions,
  stripLeadingZeros,
  tlv,
  toInteger,
  utf8,
} from '../protocol/index.js';
import { hkdf } from '@noble/hashes/hkdf.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256, sha512 as nobleSha512 } from '@noble/hashes/sha2.js';
import type { Edit, Result } from './format.js';
import { type Draft, type Generator, type GroupDraft, type Value, edit } from './make.js';
import type { FlagName } from './notes.js';

export const CODE = '031-45-154';

function draft(
  comment: string,
  flags: readonly FlagName[],
  result: Result,
  fields: Readonly<Record<string, Value>>,
): Draft {
  return { comment, flags, result, fields };
}

// ---- TLV8

const values = (items: readonly TlvItem[]): Value => items.map(({ type, value }) => ({ type, value }));

function codec(comment: string, flags: readonly FlagName[], encoded: Bytes): Draft {
  const { items, defect, fragments } = decodeTlv(encoded);
  const last = fragments.at(-1);
  const offset = last === undefined ? 0 : last.offset + 2 + last.value.length;
  const rest = encoded.subarray(offset);
  const canonical = Buffer.compare(encodeTlv(items), encoded) === 0;
  return draft(comment, flags, defect !== undefined ? 'invalid' : canonical ? 'valid' : 'acceptable', {
    encoded,
    items: values(items),
    defect:
      defect === undefined
        ? undefined
        : { kind: rest.length < 2 ? 'length-missing' : 'value-truncated', offset, rest },
  });
}

export const tlv8: Generator = (random) => {
  const state = tlv(TlvType.State, 1);
  const of = (size: number, type: number = TlvType.PublicKey): TlvItem => tlv(type, random.bytes(size));
  const sizes = [0, 1, 2, 127, 128, 254, 255, 256, 257, 384, 509, 510, 511, 765, 1024, 3000];
  const tests = [
    codec('no items', ['Boundary'], new Uint8Array(0)),
    ...sizes.map((size) =>
      codec(
        `one item of ${size} bytes behind a State`,
        size < 255 ? ['Boundary'] : ['Boundary', 'Fragmented'],
        encodeTlv([state, of(size)]),
      ),
    ),
    codec('a long item in front of a short one', ['Fragmented'], encodeTlv([of(300), state])),
    codec(
      'two long items of different types',
      ['Fragmented'],
      encodeTlv([of(384), of(300, TlvType.EncryptedData)]),
    ),
    codec('two items of one type, the first below 255 bytes', ['RepeatedItem'], encodeTlv([of(20), of(20)])),
    codec(
      'entries with separators',
      ['Separated'],
      encodeTlv([of(36, 1), tlv(0xff, ''), of(36, 1), tlv(0xff, ''), of(36, 1)]),
    ),
    codec(
      'an item of 255 bytes, a separator, the same type again',
      ['Separated', 'Fragmented'],
      encodeTlv([of(255, 1), tlv(0xff, ''), of(5, 1)]),
    ),
    codec(
      'types nobody has defined',
      ['UnknownType'],
      encodeTlv([of(3, 0x7f), state, of(0, 0x20), of(255, 0xfe), of(1, 0x80)]),
    ),
    codec(
      'every type from 0 to 0x13 once',
      ['Ordinary'],
      encodeTlv(Array.from({ length: 0x14 }, (_, type) => of(type % 5, type))),
    ),
    codec('M1 of Pair Setup', ['Ordinary'], encodeTlv([tlv(0, 0), state])),
    codec(
      'an item of 255 bytes continued by an empty fragment',
      ['UnusualFragments', 'Boundary'],
      concat(encodeTlv([of(255)]), Uint8Array.of(3, 0)),
    ),
    codec(
      '510 bytes continued by an empty fragment',
      ['UnusualFragments', 'Boundary'],
      concat(encodeTlv([of(510)]), Uint8Array.of(3, 0), encodeTlv([state])),
    ),
    codec(
      'an empty item, then the same type with 255 bytes, then 4 more',
      ['UnusualFragments'],
      concat(Uint8Array.of(5, 0), encodeTlv([of(259, 5)])),
    ),
    ...[
      ['one byte: a type without a length', fromHex('06')],
      ['a type without a length behind a good item', fromHex('06010103')],
      ['a length without a value', fromHex('0320')],
      ['a value that is one byte short', encodeTlv([state, of(32)]).slice(0, -1)],
      [
        'a second fragment that is missing all of its bytes',
        concat(encodeTlv([of(255)]), Uint8Array.of(3, 129)),
      ],
      ['a second fragment that is one byte short', encodeTlv([of(384)]).slice(0, -1)],
      ['a length of 255 with one byte behind it', fromHex('03ff01')],
      ['a separator that declares a byte too many', concat(encodeTlv([of(4, 1)]), Uint8Array.of(0xff, 1))],
    ].map(([comment, encoded]) => codec(comment as string, ['Truncated'], encoded as Bytes)),
  ];
  const integer = (value: bigint, width: number, order: 'little-endian' | 'big-endian'): Draft => {
    const big = fromInteger(value, width);
    const encoded = order === 'big-endian' ? big : big.slice().reverse();
    const least = [1, 2, 4, 8].find((size) => value < 1n << BigInt(8 * size))!;
    const result = order === 'big-endian' ? 'invalid' : width === least ? 'valid' : 'acceptable';
    return draft(
      `${value} in ${width} bytes, ${order}`,
      order === 'big-endian' ? ['ByteOrder'] : ['IntegerWidth'],
      result,
      { value: value.toString(), width, order, encoded },
    );
  };
  const plain = [
    0n,
    1n,
    16n,
    255n,
    256n,
    65535n,
    65536n,
    0x1000000n,
    0x1000010n,
    0xffffffffn,
    0x100000000n,
    2n ** 64n - 1n,
  ];
  return [
    { type: 'TlvCodec', tests },
    {
      type: 'TlvInteger',
      tests: [
        ...plain.map((value) =>
          integer(
            value,
            [1, 2, 4, 8].find((size) => value < 1n << BigInt(8 * size))!,
            'little-endian',
          ),
        ),
        integer(0n, 0, 'little-endian'),
        ...[2, 3, 4, 8].map((width) => integer(16n, width, 'little-endian')),
        integer(0x10000n, 3, 'little-endian'),
        ...[256n, 0x1000000n, 0x1000010n, 1024n].map((value) => integer(value, 4, 'big-endian')),
        integer(16n, 2, 'big-endian'),
      ],
    },
  ];
};

// ---- setup codes

function codeCase(input: string, flags: readonly FlagName[], comment: string): Draft {
  const digits = input.replace(/\D/g, '');
  const shape = input.replace(/\d/g, '0');
  const known = shape === '000-00-000' || shape === '00000000' ? parseSetupCode(input) : undefined;
  const refused = known === undefined || isTrivialCode(known);
  return draft(comment, flags, refused ? 'invalid' : shape.includes('-') ? 'valid' : 'acceptable', {
    input,
    digits,
    shape,
    dashed: known?.dashed,
  });
}

interface PayloadFields {
  readonly reserved?: number;
  readonly version?: number;
  readonly category?: number;
  readonly transport?: number;
  readonly code?: number;
  readonly setupId?: string;
}

function payloadCase(
  comment: string,
  flags: readonly FlagName[],
  given: PayloadFields,
  change?: Edit,
): Draft {
  const { reserved = 0, version = 0, category = 8, transport = 2, code = 84131633, setupId = '3QYT' } = given;
  const wrong = code > 99_999_999 || reserved !== 0;
  const bits =
    (BigInt(reserved) << 46n) |
    (BigInt(version) << 43n) |
    (BigInt(category) << 31n) |
    (BigInt(transport) << 27n) |
    BigInt(code);
  const whole = wrong
    ? 'X-HM://' + bits.toString(36).toUpperCase().padStart(9, '0') + setupId
    : formatSetupPayload({
        code: parseSetupCode(String(code).padStart(8, '0')),
        version,
        category,
        flags: transport,
        setupId,
      });
  let payload = whole;
  if (change?.op === 'lower-case') payload = whole.toLowerCase();
  if (change?.op === 'cut') payload = whole.slice(0, change.to);
  if (change?.op === 'add') payload = whole + change.text!;
  if (change?.op === 'prefix') payload = change.text! + whole.slice('X-HM://'.length);
  const result =
    wrong || (change !== undefined && change.op !== 'lower-case')
      ? 'invalid'
      : change
        ? 'acceptable'
        : 'valid';
  return draft(comment, flags, result, {
    payload,
    reserved,
    version,
    category,
    transport,
    code,
    setupId,
    right: change && whole,
    edit: change,
  });
}

export const setupCode: Generator = (random) => {
  const drawn = (): string => {
    for (;;) {
      const digits = String(random.below(100_000_000)).padStart(8, '0');
      if (!isTrivialCode(parseSetupCode(digits))) return digits;
    }
  };
  const dashes = (digits: string): string => `${digits.slice(0, 3)}-${digits.slice(3, 5)}-${digits.slice(5)}`;
  const trivial = [
    ...Array.from({ length: 10 }, (_, digit) => String(digit).repeat(8)),
    '12345678',
    '87654321',
  ];
  const malformed = [
    '',
    '031-45-15',
    '031-45-1544',
    '0314515',
    '031451544',
    '031-451-54',
    '03145-154',
    '031 45 154',
    '031-45-15A',
    '-031-45-154',
    '3939',
    '031.45.154',
  ];
  const payload = (): PayloadFields => ({
    category: random.below(36),
    transport: random.below(8),
    code: Number(drawn()),
    setupId: Array.from({ length: 4 }, () => '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ'[random.below(36)]!).join(
      '',
    ),
  });
  return [
    {
      type: 'SetupCode',
      tests: [
        codeCase(CODE, ['Ordinary'], 'with dashes: the form SRP uses'),
        codeCase('000-00-001', ['Boundary'], 'leading zeros are digits'),
        codeCase('999-99-998', ['Boundary'], 'beside a trivial one'),
        codeCase('123-45-679', ['Boundary'], 'beside a trivial one'),
        ...Array.from({ length: 6 }, () => codeCase(dashes(drawn()), ['Ordinary'], 'drawn')),
        ...Array.from({ length: 4 }, () =>
          codeCase(drawn(), ['WithoutDashes'], 'as on some labels; SRP takes the dashed form'),
        ),
        ...trivial.map((digits) =>
          codeCase(dashes(digits), ['TrivialCode'], 'must not be used by an accessory'),
        ),
        codeCase('12345678', ['TrivialCode', 'WithoutDashes'], 'trivial without its dashes too'),
        ...malformed.map((input) => codeCase(input, ['MalformedCode'], 'no code')),
      ],
    },
    {
      type: 'SetupPayload',
      tests: [
        payloadCase('the known answer: 841-31-633', ['KnownAnswer'], {}),
        ...Array.from({ length: 12 }, () => payloadCase('drawn', ['Ordinary'], payload())),
        payloadCase('all bits of the fields zero', ['Boundary'], {
          category: 0,
          transport: 0,
          code: 1,
          setupId: '0000',
        }),
        payloadCase('the greatest code', ['Boundary'], { code: 99_999_998 }),
        payloadCase('the greatest category and flags', ['Boundary'], {
          category: 255,
          transport: 15,
          version: 7,
        }),
        payloadCase('in lower case, as a scanner may return it', ['Ordinary'], {}, { op: 'lower-case' }),
        payloadCase('a code of nine digits', ['MalformedPayload'], { code: 100_000_000 }),
        payloadCase('the greatest 27-bit code', ['MalformedPayload'], { code: 0x7ffffff }),
        payloadCase('a bit above the version', ['MalformedPayload'], { reserved: 1 }),
        payloadCase('without the setup id', ['MalformedPayload', 'Truncated'], {}, { op: 'cut', to: 16 }),
        payloadCase('one character short', ['MalformedPayload', 'Truncated'], payload(), {
          op: 'cut',
          to: 19,
        }),
        payloadCase('one character too many', ['MalformedPayload'], payload(), { op: 'add', text: '0' }),
        payloadCase('another scheme', ['MalformedPayload'], payload(), { op: 'prefix', text: 'X-HN://' }),
        payloadCase('one slash', ['MalformedPayload'], payload(), { op: 'prefix', text: 'X-HM:/' }),
        payloadCase('no scheme', ['MalformedPayload'], payload(), { op: 'prefix', text: '' }),
      ],
    },
  ];
};

// ---- SRP

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

// ---- HKDF, AEAD, frames

const alice =
  '5cbc219db052138ee1148c71cd4498963d682549ce91ca24f098468f06015beb6af245c2093f98c3651bca83ab8cab2b580bbf02184fefdf26142f73df95ac50';

/** Every label, with those of AirPlay's data stream and of resuming. */
const allLabels: Readonly<
  Record<string, { readonly salt: string; readonly info: string; readonly size?: number }>
> = {
  ...keyLabels,
  'Pair-Verify-ResumeSessionID': {
    salt: 'Pair-Verify-ResumeSessionID-Salt',
    info: 'Pair-Verify-ResumeSessionID-Info',
    size: 8,
  },
  'DataStream-Output': {
    salt: 'DataStream-Salt15014746994705656022',
    info: 'DataStream-Output-Encryption-Key',
  },
  'DataStream-Input': {
    salt: 'DataStream-Salt15014746994705656022',
    info: 'DataStream-Input-Encryption-Key',
  },
};

export const hkdfKeys: Generator = (random) =>
  Object.entries(allLabels).map(([label, { salt, info, size = 32 }], index): GroupDraft => {
    const verify = /^(Pair-Verify|Control|Events)/.test(label);
    const ikm = random.bytes(verify ? 32 : 64);
    const zero = random.bytes(ikm.length);
    zero[0] = 0;
    const key = (input: Bytes): Bytes => hkdfSha512(input, salt, info, size);
    const right = (comment: string, flags: readonly FlagName[], input: Bytes): Draft =>
      draft(comment, flags, 'valid', { ikm: input, size, key: key(input) });
    const wrong = (comment: string, op: string, made: Bytes, input = ikm): Draft =>
      draft(
        comment,
        op === 'stripped-ikm' ? ['WrongDerivation', 'LeadingZeroK'] : ['WrongDerivation'],
        'invalid',
        {
          ikm: input,
          size,
          key: made,
          right: key(input),
          edit: edit(op),
        },
      );
    const [saltBytes, infoBytes] = [utf8(salt), utf8(info)];
    const negatives = [
      wrong('SHA-256 in the place of SHA-512', 'sha256', hkdf(sha256, ikm, saltBytes, infoBytes, size)),
      wrong('salt and info swapped', 'swapped', hkdfSha512(ikm, info, salt, size)),
      wrong('no salt', 'no-salt', hkdfSha512(ikm, '', info, size)),
      wrong('no info', 'no-info', hkdfSha512(ikm, salt, '', size)),
      wrong('leading zero byte of the input dropped', 'stripped-ikm', key(stripLeadingZeros(zero)), zero),
      wrong('only the first half of the input', 'half-ikm', key(ikm.subarray(0, ikm.length / 2))),
      wrong(
        'salt and info with the NUL that ends a C string',
        'nul-terminated',
        hkdfSha512(ikm, `${salt}\0`, `${info}\0`, size),
      ),
      wrong(
        'extracted and not expanded',
        'extract-only',
        hmac(nobleSha512, saltBytes, ikm).subarray(0, size),
      ),
    ];
    // All mistakes on the labels everybody needs, two on each of the others.
    const every = ['Pair-Setup-Encrypt', 'Pair-Verify-Encrypt', 'Control-Write', 'Split-Controller'].includes(
      label,
    );
    const some = every ? negatives : [negatives[index % 8]!, negatives[(index + 3) % 8]!];
    return {
      type: 'HkdfLabel',
      parameters: { label, salt, info },
      tests: [
        right('drawn', ['Ordinary'], ikm),
        right('starts with a zero byte', ['LeadingZeroK'], zero),
        right('K of the known SRP exchange', ['KnownAnswer'], fromHex(alice)),
        ...some,
      ],
    };
  });

export const aead: Generator = (random) =>
  (['PS-Msg04', 'PS-Msg05', 'PS-Msg06', 'PV-Msg02', 'PV-Msg03'] as const).map(
    (label, index, all): GroupDraft => {
      const nonce = labelNonce(label);
      const one = (
        comment: string,
        flags: readonly FlagName[],
        key: Bytes,
        plaintext: Bytes,
        change?: { op: string; argument?: Parameters<typeof edit>[1]; make: (right: Bytes) => Bytes },
      ): Draft => {
        const right = seal(key, nonce, plaintext);
        return draft(comment, flags, change === undefined ? 'valid' : 'invalid', {
          ...{ key, nonce, plaintext, aad: '' },
          sealed: change === undefined ? right : change.make(right),
          right: change && right,
          edit: change && edit(change.op, change.argument),
        });
      };
      const key = random.bytes(32);
      const sub = random.bytes(151);
      const other = all[(index + 1) % all.length]!;
      const flipped = (comment: string, bit: number, flag: FlagName): Draft =>
        one(comment, [flag], key, sub, {
          op: 'flip',
          argument: { bit },
          make: (right) => flipBit(right, bit),
        });
      const aad = utf8(label);
      return {
        type: 'AeadLabel',
        parameters: { label },
        tests: [
          one(
            'the known answer of K',
            ['KnownAnswer'],
            deriveKey('Pair-Setup-Encrypt', fromHex(alice)),
            fromHex('0a0100090100'),
          ),
          ...[0, 1, 63, 64, 65, 101, 120, 151, 600].map((size) =>
            one(
              `${size} bytes`,
              size === 0 ? ['Boundary'] : ['Ordinary'],
              random.bytes(32),
              random.bytes(size),
            ),
          ),
          flipped('first bit of the ciphertext', 0, 'ModifiedCiphertext'),
          flipped('last bit of the ciphertext', 151 * 8 - 1, 'ModifiedCiphertext'),
          flipped('first bit of the tag', 151 * 8, 'ModifiedTag'),
          flipped('last bit of the tag', 167 * 8 - 1, 'ModifiedTag'),
          one('the last byte of the tag missing', ['ModifiedTag', 'Truncated'], key, sub, {
            op: 'cut',
            argument: { to: 166 },
            make: (right) => right.subarray(0, 166),
          }),
          one('no tag', ['ModifiedTag', 'Truncated'], key, sub, {
            op: 'cut',
            argument: { to: 151 },
            make: (right) => right.subarray(0, 151),
          }),
          one('shorter than a tag', ['ModifiedTag', 'Truncated'], key, sub, {
            op: 'cut',
            argument: { to: 15 },
            make: (right) => right.subarray(0, 15),
          }),
          one('nothing', ['Truncated'], key, sub, {
            op: 'cut',
            argument: { to: 0 },
            make: () => new Uint8Array(0),
          }),
          one('a byte behind the tag', ['ModifiedTag'], key, sub, {
            op: 'append',
            argument: { value: Uint8Array.of(0) },
            make: (right) => concat(right, Uint8Array.of(0)),
          }),
          one('the label in front of the four zero bytes', ['WrongNonce'], key, sub, {
            op: 'label-first',
            make: () => seal(key, concat(utf8(label), new Uint8Array(4)), sub),
          }),
          one(`sealed as ${other}`, ['WrongNonce'], key, sub, {
            op: 'other-label',
            argument: { text: other },
            make: () => seal(key, labelNonce(other), sub),
          }),
          one('the label as additional data', ['WrongAad'], key, sub, {
            op: 'with-aad',
            argument: { value: aad },
            make: () => seal(key, nonce, sub, aad),
          }),
          one('the tag in front', ['ModifiedTag'], key, sub, {
            op: 'tag-first',
            make: (right) => concat(right.slice(-16), right.slice(0, -16)),
          }),
        ],
      };
    },
  );

interface StreamOptions {
  readonly counter?: bigint;
  readonly sizes?: readonly number[];
  readonly plaintext?: Bytes;
  readonly change?: {
    op: string;
    argument?: Parameters<typeof edit>[1];
    make: (right: Bytes[], key: Bytes, plaintext: Bytes, counter: bigint) => Bytes[];
  };
}

function stream(random: Random, comment: string, flags: readonly FlagName[], options: StreamOptions): Draft {
  const { counter = 0n, change } = options;
  const sizes = options.sizes ?? [options.plaintext?.length ?? 37];
  const key = random.bytes(32);
  const plaintext = options.plaintext ?? random.bytes(sizes.reduce((sum, size) => sum + size, 0));
  let at = 0;
  const right = sizes.map((size, index) =>
    sealFrame(key, counter + BigInt(index), plaintext.subarray(at, (at += size))),
  );
  const odd = sizes.some((size) => size === 0 || size > 1024);
  return draft(comment, flags, change !== undefined ? 'invalid' : odd ? 'acceptable' : 'valid', {
    key,
    counter: counter.toString(),
    sizes,
    plaintext,
    frames: change === undefined ? right : change.make(right, key, plaintext.subarray(0, sizes[0]), counter),
    right: change && right,
    edit: change && edit(change.op, change.argument),
  });
}

function full(length: number): number[] {
  return Array.from({ length: Math.ceil(length / 1024) }, (_, i) => Math.min(1024, length - 1024 * i));
}

export const frames: Generator = (random) => {
  const one = (comment: string, flags: readonly FlagName[], options: StreamOptions): Draft =>
    stream(random, comment, flags, options);
  const http = utf8('GET /accessories HTTP/1.1\r\nHost: accessory.local\r\n\r\n');
  const counters = [1n, 255n, 256n, 65_535n, 65_536n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 63n, 2n ** 64n - 1n];
  const last = (list: Bytes[], how: (frame: Bytes) => Bytes): Bytes[] => [
    ...list.slice(0, -1),
    how(list.at(-1)!),
  ];
  const first = (list: Bytes[], frame: Bytes): Bytes[] => [frame, ...list.slice(1)];
  const sizes = [40, 30];
  const bit = (at: number, flag: FlagName, comment: string): Draft =>
    one(comment, [flag], {
      sizes,
      change: { op: 'flip', argument: { bit: at }, make: (list) => first(list, flipBit(list[0]!, at)) },
    });
  const other = random.bytes(32);
  return [
    {
      type: 'FrameStream',
      tests: [
        one('a request', ['Ordinary'], { plaintext: http }),
        ...[1, 2, 1023, 1024, 1025, 2047, 2048, 2049, 4096].map((length) =>
          one(`a message of ${length} bytes`, ['Boundary'], { sizes: full(length) }),
        ),
        one('a message in frames of odd sizes', ['Ordinary'], { sizes: [1, 100, 1024, 3, 512] }),
        one('forty small frames', ['Counter'], { sizes: Array.from({ length: 40 }, (_, i) => 1 + (i % 3)) }),
        ...counters.map((counter) => one(`counter ${counter}`, ['Counter', 'Boundary'], { counter })),
        one('over the edge of 16 bits', ['Counter', 'Boundary'], { counter: 65_535n, sizes: [5, 5] }),
        one('over the edge of 32 bits', ['Counter', 'Boundary'], { counter: 2n ** 32n - 1n, sizes: [5, 5] }),
        one('an empty frame', ['FrameSize'], { sizes: [0] }),
        one('an empty frame between two others', ['FrameSize'], { sizes: [10, 0, 10] }),
        one('a frame of 1025 bytes', ['FrameSize', 'Boundary'], { sizes: [1025] }),
        one('a frame of 4096 bytes', ['FrameSize'], { sizes: [4096] }),
        bit(0, 'FrameHeader', 'first bit of the length'),
        bit(10, 'FrameHeader', 'length 1024 more'),
        bit(16, 'ModifiedCiphertext', 'first bit of the ciphertext'),
        bit(8 * 41 + 7, 'ModifiedCiphertext', 'last bit of the ciphertext'),
        bit(8 * 42, 'ModifiedTag', 'first bit of the tag'),
        bit(8 * 58 - 1, 'ModifiedTag', 'last bit of the tag'),
        one('a tag changed in the second frame', ['ModifiedTag'], {
          sizes,
          change: {
            op: 'flip-last',
            argument: { bit: 8 * 47 },
            make: (list) => last(list, (frame) => flipBit(frame, 8 * 47)),
          },
        }),
        one('ends inside the tag', ['Truncated'], {
          sizes,
          change: {
            op: 'cut',
            argument: { to: 40 },
            make: (list) => last(list, (frame) => frame.subarray(0, 40)),
          },
        }),
        one('ends behind the length', ['Truncated'], {
          sizes,
          change: {
            op: 'cut',
            argument: { to: 2 },
            make: (list) => last(list, (frame) => frame.subarray(0, 2)),
          },
        }),
        one('ends behind the first length byte', ['Truncated'], {
          sizes,
          change: {
            op: 'cut',
            argument: { to: 1 },
            make: (list) => last(list, (frame) => frame.subarray(0, 1)),
          },
        }),
        one('a counter too far', ['Counter', 'WrongNonce'], {
          change: {
            op: 'counter',
            argument: { to: 1 },
            make: (_, key, plain) => [sealFrame(key, 1n, plain)],
          },
        }),
        one('counter 0 again', ['Counter', 'WrongNonce'], {
          counter: 7n,
          change: {
            op: 'counter',
            argument: { to: 0 },
            make: (_, key, plain) => [sealFrame(key, 0n, plain)],
          },
        }),
        one('a counter of 16 bits runs over', ['Counter', 'WrongNonce'], {
          counter: 65_536n,
          change: {
            op: 'counter',
            argument: { to: 0 },
            make: (_, key, plain) => [sealFrame(key, 0n, plain)],
          },
        }),
        one('without additional data', ['WrongAad'], {
          sizes,
          change: {
            op: 'no-aad',
            make: (list, key, plain, counter) =>
              first(list, sealFrame(key, counter, plain, { aad: new Uint8Array(0) })),
          },
        }),
        one('additional data in the other byte order', ['WrongAad', 'ByteOrder'], {
          sizes,
          change: {
            op: 'aad-big-endian',
            make: (list, key, plain, counter) =>
              first(list, sealFrame(key, counter, plain, { aad: lengthBytes(plain.length).reverse() })),
          },
        }),
        one('length in the other byte order', ['FrameHeader', 'ByteOrder'], {
          sizes,
          change: {
            op: 'header-big-endian',
            make: (list, key, plain, counter) => {
              const header = lengthBytes(plain.length).reverse();
              return first(list, concat(header, seal(key, counterNonce(counter), plain, header)));
            },
          },
        }),
        one('declares one byte less', ['FrameHeader'], {
          sizes,
          change: {
            op: 'declared',
            argument: { to: 39 },
            make: (list, key, plain, counter) =>
              first(list, sealFrame(key, counter, plain, { declaredLength: 39 })),
          },
        }),
        one('declares 65535 bytes', ['FrameHeader', 'Boundary'], {
          sizes,
          change: {
            op: 'declared',
            argument: { to: 65_535 },
            make: (list, key, plain, counter) =>
              first(list, sealFrame(key, counter, plain, { declaredLength: 65_535 })),
          },
        }),
        one('the first frame again', ['Replayed'], {
          sizes,
          change: { op: 'replay', make: (list) => [...list, list[0]!] },
        }),
        one('two frames in the wrong order', ['Replayed'], {
          sizes,
          change: { op: 'swapped', make: (list) => [...list].reverse() },
        }),
        one('the key of the other direction', ['WrongKey'], {
          sizes,
          change: {
            op: 'other-key',
            argument: { value: other },
            make: (list, _, plain, counter) => first(list, sealFrame(other, counter, plain)),
          },
        }),
        one('the counter in front of the four zero bytes', ['WrongNonce'], {
          counter: 3n,
          sizes,
          change: {
            op: 'nonce-left',
            make: (list, key, plain, counter) => {
              const nonce = counterNonce(counter);
              const moved = concat(nonce.subarray(4), nonce.subarray(0, 4));
              return first(
                list,
                concat(lengthBytes(plain.length), seal(key, moved, plain, lengthBytes(plain.length))),
              );
            },
          },
        }),
      ],
    },
  ];
};

export { draft };
