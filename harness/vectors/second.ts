import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  getDiffieHellman,
  hkdfSync,
  sign,
} from 'node:crypto';

/**
 * The second implementation: OpenSSL through node:crypto for the primitives, plain BigInt for SRP, a TLV reader of its
 * own. It imports nothing of the protocol layer, so that a mistake there cannot agree with itself.
 */

/** Concatenates; texts as UTF-8. */
export function join(...parts: readonly (Uint8Array | string)[]): Buffer {
  return Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
}

export function sha(name: 'sha1' | 'sha256' | 'sha512', ...parts: readonly (Uint8Array | string)[]): Buffer {
  return createHash(name)
    .update(join(...parts))
    .digest();
}
const H = (...parts: readonly (Uint8Array | string)[]): Buffer => sha('sha512', ...parts);

export function hkdf(ikm: Uint8Array, salt: string, info: string, size = 32, hash = 'sha512'): Buffer {
  return Buffer.from(hkdfSync(hash, ikm, salt, info, size));
}

/** The label pairs, written down a second time. */
export const labels: Readonly<Record<string, readonly [salt: string, info: string]>> = {
  'Pair-Setup-Encrypt': ['Pair-Setup-Encrypt-Salt', 'Pair-Setup-Encrypt-Info'],
  'Pair-Setup-Controller-Sign': ['Pair-Setup-Controller-Sign-Salt', 'Pair-Setup-Controller-Sign-Info'],
  'Pair-Setup-Accessory-Sign': ['Pair-Setup-Accessory-Sign-Salt', 'Pair-Setup-Accessory-Sign-Info'],
  'MFi-Pair-Setup': ['MFi-Pair-Setup-Salt', 'MFi-Pair-Setup-Info'],
  'Pair-Verify-Encrypt': ['Pair-Verify-Encrypt-Salt', 'Pair-Verify-Encrypt-Info'],
  'Pair-Verify-ResumeSessionID': ['Pair-Verify-ResumeSessionID-Salt', 'Pair-Verify-ResumeSessionID-Info'],
  'Control-Write': ['Control-Salt', 'Control-Write-Encryption-Key'],
  'Control-Read': ['Control-Salt', 'Control-Read-Encryption-Key'],
  'Split-Accessory': ['SplitSetupSalt', 'AccessoryEncrypt-Control'],
  'Split-Controller': ['SplitSetupSalt', 'ControllerEncrypt-Control'],
  'Events-Write': ['Events-Salt', 'Events-Write-Encryption-Key'],
  'Events-Read': ['Events-Salt', 'Events-Read-Encryption-Key'],
  'DataStream-Output': ['DataStream-Salt15014746994705656022', 'DataStream-Output-Encryption-Key'],
  'DataStream-Input': ['DataStream-Salt15014746994705656022', 'DataStream-Input-Encryption-Key'],
};
export function keyFor(label: string, ikm: Uint8Array): Buffer {
  const [salt, info] = labels[label]!;
  return hkdf(ikm, salt, info);
}

const ALGORITHM = 'chacha20-poly1305';

/** Four zero bytes, then eight: a label or a counter, little-endian. */
export function nonceOf(tail: string | bigint): Buffer {
  const nonce = Buffer.alloc(12);
  if (typeof tail === 'string' && tail.length !== 8) throw new Error(`"${tail}" has not 8 characters`);
  if (typeof tail === 'string') nonce.write(tail, 4, 'latin1');
  else nonce.writeBigUInt64LE(tail, 4);
  return nonce;
}

export function seal(
  key: Uint8Array,
  nonce: Uint8Array,
  plaintext: Uint8Array,
  aad: Uint8Array = Buffer.alloc(0),
): Buffer {
  const cipher = createCipheriv(ALGORITHM, key, nonce, { authTagLength: 16 });
  cipher.setAAD(aad, { plaintextLength: plaintext.length });
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

/** The plaintext, or undefined when the tag does not fit. */
export function open(
  key: Uint8Array,
  nonce: Uint8Array,
  sealed: Uint8Array,
  aad: Uint8Array = Buffer.alloc(0),
): Buffer | undefined {
  if (sealed.length < 16) return undefined;
  const decipher = createDecipheriv(ALGORITHM, key, nonce, { authTagLength: 16 });
  decipher.setAAD(aad, { plaintextLength: sealed.length - 16 });
  decipher.setAuthTag(sealed.subarray(-16));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()]);
  } catch {
    return undefined;
  }
}

// RFC 8410: everything in front of the 32 bytes of a key, as DER.
const PRIVATE = { ed25519: '302e020100300506032b657004220420', x25519: '302e020100300506032b656e04220420' };
const PUBLIC = { ed25519: '302a300506032b6570032100', x25519: '302a300506032b656e032100' };
type Curve = keyof typeof PRIVATE;

/** OpenSSL reads what it needs and lets the rest go, so sizes are looked at here. */
function sized(key: Uint8Array): Uint8Array {
  if (key.length !== 32) throw new Error(`a key has 32 bytes, not ${key.length}`);
  return key;
}
const privateOf = (curve: Curve, secret: Uint8Array) =>
  createPrivateKey({
    key: join(Buffer.from(PRIVATE[curve], 'hex'), sized(secret)),
    format: 'der',
    type: 'pkcs8',
  });
const publicOf = (curve: Curve, key: Uint8Array) =>
  createPublicKey({ key: join(Buffer.from(PUBLIC[curve], 'hex'), sized(key)), format: 'der', type: 'spki' });

/**
 * Results that cases of a file share, and that a test asks for again when it changes one field at a time. Bounded: a
 * user's file may be long.
 */
class Memo<T> {
  private readonly known = new Map<string, T>();
  get(name: string, compute: () => T): T {
    const before = this.known.get(name);
    if (before !== undefined) return before;
    const result = compute();
    if (this.known.size >= 2000) this.known.clear();
    this.known.set(name, result);
    return result;
  }
}
const keys = new Memo<Buffer>();
const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

export function publicKey(curve: Curve, secret: Uint8Array): Buffer {
  return keys.get(`${curve} ${hexOf(secret)}`, () =>
    createPublicKey(privateOf(curve, secret)).export({ format: 'der', type: 'spki' }).subarray(-32),
  );
}
export function edSign(secret: Uint8Array, message: Uint8Array): Buffer {
  return keys.get(`${hexOf(secret)} signs ${hexOf(message)}`, () =>
    sign(null, message, privateOf('ed25519', secret)),
  );
}
/** The shared secret, or undefined for a point of low order. */
export function exchange(secret: Uint8Array, key: Uint8Array): Buffer | undefined {
  try {
    return keys.get(`${hexOf(secret)} meets ${hexOf(key)}`, () =>
      diffieHellman({ privateKey: privateOf('x25519', secret), publicKey: publicOf('x25519', key) }),
    );
  } catch {
    return undefined;
  }
}

// ---- SRP-6a in the 3072-bit group, from its formulas

/** Group 15 of RFC 3526, as OpenSSL knows it: the same prime as the 3072-bit group of RFC 5054. */
export const N = BigInt('0x' + getDiffieHellman('modp15').getPrime('hex'));
const G = 5n;
const SIZE = 384;

export function toNumber(bytes: Uint8Array): bigint {
  return bytes.length === 0 ? 0n : BigInt('0x' + Buffer.from(bytes).toString('hex'));
}
export function toBytes(value: bigint, size?: number): Buffer {
  let digits = value === 0n ? '' : value.toString(16);
  if (digits.length % 2 === 1) digits = '0' + digits;
  const bytes = Buffer.from(digits, 'hex');
  return size === undefined || bytes.length >= size ? bytes : join(Buffer.alloc(size - bytes.length), bytes);
}
export function stripped(bytes: Uint8Array): Buffer {
  let start = 0;
  while (start < bytes.length && bytes[start] === 0) start++;
  return Buffer.from(bytes.subarray(start));
}

const powers = new Memo<bigint>();

/** base^exponent mod N, four bits at a time. */
export function power(base: bigint, exponent: bigint): bigint {
  return powers.get(`${base.toString(16)}^${exponent.toString(16)}`, () => computePower(base, exponent));
}

function computePower(base: bigint, exponent: bigint): bigint {
  const row = [1n];
  for (let digit = 1; digit < 16; digit++) row.push((row[digit - 1]! * base) % N);
  let result = 1n;
  for (const digit of exponent.toString(16)) {
    for (let square = 0; square < 4; square++) result = (result * result) % N;
    result = (result * row[parseInt(digit, 16)]!) % N;
  }
  return result;
}

export interface Forms {
  readonly salt: string;
  readonly k: string;
  readonly u: string;
  readonly proofA: string;
  readonly proofB: string;
  readonly session: string;
  readonly sessionKey: string;
  readonly serverProofA: string;
  readonly wireA: string;
  readonly wireB: string;
}

/** How Apple's reference implementation writes its integers. */
export const reference: Forms = {
  salt: 'as-sent',
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
/** What ordinary exchanges use: numbers in proofs as they were sent. */
export const neutral: Forms = { ...reference, proofA: 'as-sent', proofB: 'as-sent', serverProofA: 'as-sent' };

function written(value: Uint8Array, how: string): Buffer {
  if (how === 'as-sent') return Buffer.from(value);
  const short = stripped(value);
  if (how === 'stripped') return short;
  const zeros = Buffer.alloc(Math.max(0, SIZE - short.length));
  return how === 'padded' ? join(zeros, short) : join(short, zeros);
}

const groupHash = (oneByteG = true): Buffer => {
  const hashed = H(oneByteG ? toBytes(G) : toBytes(G, SIZE));
  return H(toBytes(N)).map((byte, i) => byte ^ hashed[i]!) as Buffer;
};

export interface SrpInput {
  readonly user: string;
  readonly password: string;
  readonly salt: Uint8Array;
  readonly a: Uint8Array;
  readonly b: Uint8Array;
  readonly forms: Forms;
}

/** Every value of an exchange, as the two sides arrive at it. */
export interface SrpValues {
  readonly x: bigint;
  readonly v: bigint;
  readonly k: bigint;
  readonly u: bigint;
  readonly A: Buffer;
  readonly B: Buffer;
  readonly S: bigint;
  readonly K: Buffer;
  readonly M1: Buffer;
  readonly M2: Buffer;
}

export interface ProofInput {
  readonly user: string;
  readonly salt: Uint8Array;
  readonly A: Uint8Array;
  readonly B: Uint8Array;
  readonly K: Uint8Array;
  readonly forms: Forms;
}
export function proofM1({ user, salt, A, B, K, forms }: ProofInput, oneByteG = true): Buffer {
  return H(groupHash(oneByteG), H(user), salt, written(A, forms.proofA), written(B, forms.proofB), K);
}
export function proofM2(A: Uint8Array, M1: Uint8Array, K: Uint8Array, forms: Forms): Buffer {
  return H(written(A, forms.serverProofA), M1, K);
}

export function secretOf(user: string, password: string, salt: Uint8Array): bigint {
  return toNumber(H(salt, H(`${user}:${password}`)));
}
export function multiplier(form: string): bigint {
  return toNumber(H(toBytes(N), form === 'padded' ? toBytes(G, SIZE) : toBytes(G)));
}

/** @throws when the two sides do not arrive at the same S: that would be our own mistake. */
export function srp({ user, password, salt: sent, a, b, forms }: SrpInput): SrpValues {
  const salt = forms.salt === 'stripped' ? stripped(sent) : sent;
  const x = secretOf(user, password, salt);
  const v = power(G, x);
  const k = multiplier(forms.k);
  const A = toBytes(power(G, toNumber(a)), forms.wireA === 'padded' ? SIZE : undefined);
  const B = toBytes((k * v + power(G, toNumber(b))) % N, forms.wireB === 'padded' ? SIZE : undefined);
  const u = toNumber(H(written(A, forms.u), written(B, forms.u)));
  const S = clientS({ password, user, salt, a, B, u, k });
  const other = power((toNumber(A) * power(v, u)) % N, toNumber(b));
  if (S !== other) throw new Error('the two sides of SRP disagree on S');
  const hashed = H(written(toBytes(S), forms.session));
  const K = forms.sessionKey === 'stripped' ? stripped(hashed) : hashed;
  const M1 = proofM1({ user, salt, A, B, K, forms });
  return { x, v, k, u, A, B, S, K, M1, M2: proofM2(A, M1, K, forms) };
}

interface ClientInput {
  readonly password: string;
  readonly user: string;
  readonly salt: Uint8Array;
  readonly a: Uint8Array;
  readonly B: Uint8Array;
  readonly u: bigint;
  readonly k: bigint;
}

/** (B - k g^x)^(a + u x), the controller's S. */
export function clientS({ password, user, salt, a, B, u, k }: ClientInput): bigint {
  const x = secretOf(user, password, salt);
  const base = (((toNumber(B) - k * power(G, x)) % N) + N) % N;
  return power(base, toNumber(a) + u * x);
}

// ---- TLV8

export interface Item {
  readonly type: number;
  readonly value: Buffer;
}
export interface Reading {
  readonly items: readonly Item[];
  readonly defect: { readonly kind: string; readonly offset: number; readonly rest: Buffer } | undefined;
}

/** Reads as far as it goes. A value of 255 bytes is continued by a fragment of the same type right behind it. */
export function readTlv(body: Uint8Array): Reading {
  const items: { type: number; pieces: Buffer[] }[] = [];
  let continues = false;
  let offset = 0;
  let defect: Reading['defect'];
  while (offset < body.length) {
    const rest = Buffer.from(body.subarray(offset));
    if (rest.length < 2) {
      defect = { kind: 'length-missing', offset, rest };
      break;
    }
    const [type, size] = [rest[0]!, rest[1]!];
    if (rest.length < 2 + size) {
      defect = { kind: 'value-truncated', offset, rest };
      break;
    }
    const piece = rest.subarray(2, 2 + size);
    const last = items.at(-1);
    if (continues && last?.type === type) last.pieces.push(piece);
    else items.push({ type, pieces: [piece] });
    continues = size === 255;
    offset += 2 + size;
  }
  return { items: items.map(({ type, pieces }) => ({ type, value: join(...pieces) })), defect };
}

/** The one encoding with fragments of 255 bytes and no empty one at the end. */
export function writeTlv(items: readonly (readonly [type: number, value: Uint8Array | number])[]): Buffer {
  const out: Buffer[] = [];
  for (const [type, given] of items) {
    const value = typeof given === 'number' ? Buffer.of(given) : given;
    if (value.length === 0) out.push(Buffer.of(type, 0));
    for (let at = 0; at < value.length; at += 255) {
      const piece = value.subarray(at, at + 255);
      out.push(join(Buffer.of(type, piece.length), piece));
    }
  }
  return Buffer.concat(out);
}

/** Minimal little-endian bytes of 1, 2 or 4. */
export function flagBytes(value: number): Buffer {
  const width = value < 0x100 ? 1 : value < 0x10000 ? 2 : 4;
  const out = Buffer.alloc(width);
  out.writeUIntLE(value, 0, width);
  return out;
}

export function flip(bytes: Uint8Array, bit: number): Buffer {
  const out = Buffer.from(bytes);
  if (bit >> 3 >= out.length) throw new Error(`bit ${bit} is outside ${out.length} bytes`);
  out[bit >> 3]! ^= 1 << (bit & 7);
  return out;
}
