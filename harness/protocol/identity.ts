import { type Bytes, abytes, concat, equal, fromHex, fromInteger, hex, toInteger, utf8 } from './bytes.js';
import { Length } from './constants.js';
import { remembered } from './memo.js';
import { ours } from './ours.js';
import type { Primitives } from './primitives.js';
import type { Random } from './random.js';

/** Who somebody is in the protocol: a pairing id and an Ed25519 key pair. */
export interface Identity {
  /** Pairing id as bytes; compared byte for byte, never as text (since iOS 16 controllers do the same). */
  readonly id: Bytes;
  /** LTSK, 32-byte seed form (erratum E12). */
  readonly ltsk: Bytes;
  /** LTPK, 32 bytes. */
  readonly ltpk: Bytes;
}

/** The public half of an identity. */
export type Peer = Pick<Identity, 'id' | 'ltpk'>;

/** `operation` on copies of its inputs; remembered while memoising is on, and the result is the caller's own. */
function computed(name: string, operation: (...inputs: Bytes[]) => Bytes, ...inputs: Bytes[]): Bytes {
  return remembered(
    () => [name, ...inputs.map(hex)].join(' '),
    () => operation(...inputs),
  ).slice();
}

function identity(id: Bytes, ltsk: Bytes, by: Primitives = ours()): Identity {
  abytes(ltsk, 'LTSK', Length.ltsk);
  let ltpk: Bytes | undefined;
  return {
    id,
    ltsk,
    // Computed when it is first asked for: many a controller is made to be refused before anybody sees its key.
    get ltpk() {
      ltpk ??= computed(`${by.name} Ed25519 public key`, (seed) => by.ed25519PublicKey(seed), ltsk);
      return ltpk;
    },
  };
}

/** A controller: a 36-character upper-case UUID (version 4) and a fresh key pair. */
export function controllerIdentity(random: Random, by?: Primitives): Identity {
  const uuid = random.bytes(16);
  uuid[6] = (uuid[6]! & 0x0f) | 0x40;
  uuid[8] = (uuid[8]! & 0x3f) | 0x80;
  const digits = hex(uuid).toUpperCase();
  const id = [
    digits.slice(0, 8),
    digits.slice(8, 12),
    digits.slice(12, 16),
    digits.slice(16, 20),
    digits.slice(20),
  ];
  return identity(utf8(id.join('-')), random.bytes(Length.ltsk), by);
}

/** Where a value has its zero byte: one byte of it is zero at most, so that a parser that stops there is told from others. */
export type ZeroByte = 'nowhere' | 'first' | 'inside' | 'last';

/** Whether a value of 2 bytes or more has a zero byte there, and none elsewhere. */
export function hasZeroByte(value: Bytes, where: ZeroByte): boolean {
  const at = value.indexOf(0);
  if (at < 0 || value.indexOf(0, at + 1) >= 0) return at < 0 && where === 'nowhere';
  const found = at === 0 ? 'first' : at === value.length - 1 ? 'last' : 'inside';
  return found === where;
}

/** Draws until a value fits. Of 32 bytes seven values in eight have no zero byte, and one in 290 begins with the only one. */
export function searched<T>(draw: () => T, fits: (value: T) => boolean): T {
  for (;;) {
    const value = draw();
    if (fits(value)) return value;
  }
}

/**
 * The same controller with a key pair that fits. A key that does not is drawn anew from a source of its own: what others
 * draw behind it stays as it is.
 */
export function withKeyThat(
  fits: (identity: Identity) => boolean,
  given: Identity,
  random: Random,
  by?: Primitives,
): Identity {
  if (fits(given)) return given;
  // By the key as well: another key of the same identifier stays another one.
  const source = random.fork(`key of ${hex(given.id)} ${hex(given.ltpk)}`);
  return searched(() => identity(given.id, source.bytes(Length.ltsk), by), fits);
}

/** An accessory: a 17-character id `XX:XX:XX:XX:XX:XX` and a fresh key pair. */
export function accessoryIdentity(random: Random, by?: Primitives): Identity {
  const id = [...random.bytes(6)].map((byte) => byte.toString(16).padStart(2, '0').toUpperCase()).join(':');
  return identity(utf8(id), random.bytes(Length.ltsk), by);
}

/** An identity from its stored form. @throws InputError when the LTSK is not 32 bytes. */
export function restoreIdentity(id: Bytes, ltsk: Bytes, by?: Primitives): Identity {
  return identity(id, ltsk, by);
}

/** Ed25519 signature, 64 bytes. */
export function sign(ltsk: Bytes, message: Bytes, by: Primitives = ours()): Bytes {
  abytes(ltsk, 'LTSK', Length.ltsk);
  return computed(`${by.name} Ed25519 signature`, (text, seed) => by.ed25519Sign(seed, text), message, ltsk);
}

/**
 * False for any signature that does not hold, whatever the sizes (libraries throw on odd ones; an accessory may
 * send any), for keys of small order, and for S not below the group order (RFC 8032 §5.1.7).
 */
export function verifySignature(
  ltpk: Bytes,
  message: Bytes,
  signature: Bytes,
  by: Primitives = ours(),
): boolean {
  if (ltpk.length !== Length.ltpk || signature.length !== Length.signature) return false;
  return remembered(
    () => [by.name, 'Ed25519 verify', ...[ltpk, message, signature].map(hex)].join(' '),
    () => by.ed25519Verify(ltpk, message, signature),
  );
}

/**
 * The 14 encodings of the eight Ed25519 points of small order, 32 bytes each, non-canonical ones included. As an LTPK
 * such a point makes (R, S) = (identity, 0) a signature of anything, so everybody is that controller.
 */
export const smallOrderPoints: readonly Bytes[] = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
].flatMap((digits) => {
  const negative = fromHex(digits);
  negative[31]! |= 0x80;
  return [fromHex(digits), negative];
});

/** True for the encoding of an Ed25519 point of small order. */
export function isSmallOrder(ltpk: Bytes): boolean {
  return smallOrderPoints.some((point) => equal(point, ltpk));
}

/** Order of the Ed25519 base point (RFC 8032 §5.1). */
export const ED25519_ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;

/** S of an Ed25519 signature of 64 bytes. */
export function scalarOf(signature: Bytes): bigint {
  return toInteger(signature.slice(32).reverse());
}

/** The signature with S + L in the place of S: the same equation holds, and RFC 8032 §5.1.7 wants it refused. */
export function malleated(signature: Bytes): Bytes {
  const s = fromInteger(scalarOf(signature) + ED25519_ORDER, 32).reverse();
  return concat(signature.subarray(0, 32), s);
}

/** X25519 key pair; both halves 32 bytes. */
export interface EphemeralKeys {
  readonly secret: Bytes;
  readonly publicKey: Bytes;
}

/** A fresh key pair; `where` its public key has a zero byte, if that matters. */
export function ephemeralKeys(random: Random, by?: Primitives, where?: ZeroByte): EphemeralKeys {
  const pair = (secret: Bytes): EphemeralKeys => ({ secret, publicKey: curvePublicKey(secret, by) });
  const first = pair(random.bytes(Length.curveKey));
  if (where === undefined || hasZeroByte(first.publicKey, where)) return first;
  const source = random.fork(`instead of ${hex(first.publicKey)}`);
  return searched(
    () => pair(source.bytes(Length.curveKey)),
    ({ publicKey }) => hasZeroByte(publicKey, where),
  );
}

/** The X25519 public key of a secret; both 32 bytes. */
export function curvePublicKey(secret: Bytes, by: Primitives = ours()): Bytes {
  abytes(secret, 'X25519 secret', Length.curveKey);
  return computed(`${by.name} X25519 public key`, (scalar) => by.x25519PublicKey(scalar), secret);
}

/**
 * The 14 encodings of the X25519 points of low order (RFC 7748 §6.1): 0, 1, two of order 8, p-1, p, p+1, each also with
 * bit 255 set, which every implementation ignores. With such a key the shared secret is 32 zero bytes.
 */
export const lowOrderCurveKeys: readonly Bytes[] = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
].flatMap((digits) => {
  const marked = fromHex(digits);
  marked[31]! |= 0x80;
  return [fromHex(digits), marked];
});

/** The 32-byte X25519 secret, or undefined when the peer's key has the wrong size or low order. */
export function sharedSecret(secret: Bytes, publicKey: Bytes, by: Primitives = ours()): Bytes | undefined {
  if (publicKey.length !== Length.curveKey) return undefined;
  return remembered(
    () => [by.name, 'X25519', hex(secret), hex(publicKey)].join(' '),
    () => by.x25519(secret, publicKey),
  )?.slice();
}

/** What is signed everywhere in the protocol: three parts, one after the other. */
export function signedInfo(first: Bytes, id: Bytes, last: Bytes): Bytes {
  return concat(first, id, last);
}
