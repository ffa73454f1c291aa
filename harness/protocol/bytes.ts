/** Byte helpers and the one set of guards used by every module of the protocol layer. */

export type Bytes = Uint8Array;

// Not fatal: what an accessory sends is shown, never trusted, so bad UTF-8 becomes U+FFFD.
const decoder = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });

/** An input the caller (not the accessory) got wrong. The message names the value and the fix. */
export class InputError extends Error {
  override name = 'InputError';
}

/**
 * Checks that `value` is a byte array, of `length` bytes when given, and returns it.
 * @throws InputError naming `title`, the size wanted and the size found.
 */
export function abytes(value: Bytes, title: string, length?: number): Bytes {
  if (!(value instanceof Uint8Array)) throw new InputError(`${title}: expected bytes, got ${typeof value}`);
  if (length !== undefined && value.length !== length)
    throw new InputError(`${title}: expected ${length} bytes, got ${value.length}`);
  return value;
}

/**
 * Checks that `value` is an integer in [min, max] and returns it.
 * @throws InputError naming `title`, the range and the value.
 */
export function aint(value: number, title: string, min: number, max: number): number {
  if (!Number.isInteger(value) || value < min || value > max)
    throw new InputError(`${title}: expected an integer from ${min} to ${max}, got ${value}`);
  return value;
}

export function utf8(text: string): Bytes {
  // Buffer has a store for small texts, which takes a quarter of the time a buffer of their own does.
  const { buffer, byteOffset, length } = Buffer.from(text, 'utf8');
  return new Uint8Array(buffer, byteOffset, length);
}

/** Bytes as text; malformed UTF-8 becomes U+FFFD. For display, never for comparison. */
export function text(bytes: Bytes): string {
  return decoder.decode(bytes);
}

export function hex(bytes: Bytes): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

/** @throws InputError when `digits` is not an even number of hexadecimal digits. */
export function fromHex(digits: string): Bytes {
  if (digits.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(digits))
    throw new InputError(`hex: expected an even number of hexadecimal digits, got "${digits.slice(0, 40)}"`);
  return new Uint8Array(Buffer.from(digits, 'hex'));
}

export function concat(...parts: readonly Bytes[]): Bytes {
  return join(parts);
}

/** From these sizes on, and up to these, a place in a common buffer is had four times as fast as a buffer of its own. */
const SMALL = { from: 65, to: 1024 };
let store = new Uint8Array(0);
let used = 0;

/** Room for so many bytes, all of which the caller writes. */
function room(size: number): Bytes {
  if (size < SMALL.from || size > SMALL.to) return new Uint8Array(size);
  if (used + size > store.length) {
    store = new Uint8Array(16 * SMALL.to);
    used = 0;
  }
  used += size;
  return store.subarray(used - size, used);
}

/** The same for as many parts as somebody else likes: a call with a hundred thousand arguments overflows the stack. */
export function join(parts: readonly Bytes[]): Bytes {
  let size = 0;
  for (const part of parts) size += part.length;
  const out = room(size);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/**
 * Bytes that come in as many pieces as a peer likes, joined as they come in a buffer that doubles: a million pieces of one
 * byte take a few megabytes, and each byte is copied twice at the most. What was handed out stays as it was.
 */
export class Gathered {
  private buffer: Bytes = new Uint8Array(0);
  private start = 0;
  private end = 0;
  /** The buffer is ours to write on; the first piece is taken as it is. */
  private own = false;

  get length(): number {
    return this.end - this.start;
  }

  /** All of it: a view. */
  get bytes(): Bytes {
    return this.buffer.subarray(this.start, this.end);
  }

  append(piece: Bytes): void {
    if (this.length === 0) {
      this.buffer = piece;
      this.start = 0;
      this.end = piece.length;
      this.own = false;
      return;
    }
    const size = this.length + piece.length;
    if (!this.own || this.end + piece.length > this.buffer.length) {
      const larger = new Uint8Array(2 * size);
      larger.set(this.bytes);
      this.end = this.length;
      this.start = 0;
      this.buffer = larger;
      this.own = true;
    }
    this.buffer.set(piece, this.end);
    this.end += piece.length;
  }

  /** Takes `count` bytes away at the front. */
  drop(count: number): void {
    this.start = Math.min(this.start + count, this.end);
    if (this.length === 0) this.clear();
  }

  clear(): void {
    this.buffer = new Uint8Array(0);
    this.start = this.end = 0;
  }
}

export function equal(a: Bytes, b: Bytes): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

export function isZero(bytes: Bytes): boolean {
  return bytes.every((byte) => byte === 0);
}

/** A copy with bit `bit` (0 = least significant bit of byte 0) inverted. */
export function flipBit(bytes: Bytes, bit: number): Bytes {
  const index = bit >> 3;
  if (index >= bytes.length || bit < 0)
    throw new InputError(`flip: bit ${bit} is outside ${bytes.length} bytes`);
  const out = bytes.slice();
  out[index] = out[index]! ^ (1 << (bit & 7));
  return out;
}

/** Removes leading zero bytes (a zero value becomes no bytes at all). */
export function stripLeadingZeros(bytes: Bytes): Bytes {
  let start = 0;
  while (start < bytes.length && bytes[start] === 0) start++;
  return bytes.subarray(start);
}

/** Pads on the left with zero bytes to `length`; longer values are returned as they are. */
export function padLeft(bytes: Bytes, length: number): Bytes {
  if (bytes.length >= length) return bytes;
  const out = new Uint8Array(length);
  out.set(bytes, length - bytes.length);
  return out;
}

/** Big-endian bytes as an unsigned integer; no bytes are 0. */
export function toInteger(bytes: Bytes): bigint {
  return bytes.length === 0 ? 0n : BigInt('0x' + hex(bytes));
}

/** An unsigned integer as big-endian bytes without leading zeros, or padded to `length`. */
export function fromInteger(value: bigint, length?: number): Bytes {
  let digits = value.toString(16);
  if (digits.length % 2 === 1) digits = '0' + digits;
  const bytes = value === 0n ? new Uint8Array(0) : fromHex(digits);
  return length === undefined ? bytes : padLeft(bytes, length);
}
