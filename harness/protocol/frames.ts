import { counterNonce, open, seal } from './aead.js';
import { type Bytes, Gathered, concat } from './bytes.js';
import { Length } from './constants.js';
import type { Primitives } from './primitives.js';

/**
 * Frames of a secured session: 2-byte little-endian length N, N bytes sealed, 16-byte tag; the length bytes are
 * the AAD, at most 1024 plaintext bytes a frame (seed 001, erratum E10).
 */

/** How one frame may depart from the rule; everything left out is as the protocol says. */
export interface FrameOptions {
  readonly aad?: Bytes;
  /** What the two length bytes say when it is not the true length; the AAD follows the true length unless given. */
  readonly declaredLength?: number;
  /** What seals it, when it is not the controller. */
  readonly by?: Primitives;
}

export function lengthBytes(length: number): Bytes {
  return Uint8Array.of(length & 0xff, length >> 8);
}

/** One frame on the wire: 2 + plaintext + 16 bytes. */
export function sealFrame(key: Bytes, counter: bigint, plaintext: Bytes, options: FrameOptions = {}): Bytes {
  const header = lengthBytes(plaintext.length);
  const body = seal(key, counterNonce(counter), plaintext, options.aad ?? header, options.by);
  return concat(options.declaredLength === undefined ? header : lengthBytes(options.declaredLength), body);
}

/** Seals one direction: counts from 0, one per frame. */
export class FrameEncoder {
  constructor(
    private readonly key: Bytes,
    public counter = 0n,
    private readonly maximum: number = Length.frame,
  ) {}

  /** All frames for a message, in order; a message of no bytes is no frames. */
  encode(message: Bytes): Bytes[] {
    const frames: Bytes[] = [];
    for (let at = 0; at < message.length; at += this.maximum)
      frames.push(sealFrame(this.key, this.counter++, message.subarray(at, at + this.maximum)));
    return frames;
  }
}

/** One complete frame as it came, with what it opened to. */
export interface ReceivedFrame {
  /** Length as declared by the header. */
  readonly length: number;
  /** The counter the frame was expected to carry. */
  readonly counter: bigint;
  /** undefined when the tag does not match. */
  readonly plaintext: Bytes | undefined;
  /** The whole frame, header and tag included. */
  readonly wire: Bytes;
}

/** Opens one frame: plaintext, or undefined when it must be refused. */
export type FrameOpener = (counter: bigint, header: Bytes, sealed: Bytes) => Bytes | undefined;

/** The rule: this key, this counter, the two length bytes as AAD. */
export function frameOpener(key: Bytes): FrameOpener {
  return (counter, header, sealed) => open(key, counterNonce(counter), sealed, header);
}

/** Incremental decoder of one direction: feed what arrives, take the complete frames. Never throws. */
export class FrameDecoder {
  /** A peer may send byte by byte. */
  private readonly buffer = new Gathered();

  constructor(
    private readonly open: FrameOpener,
    public counter = 0n,
  ) {}

  /** Bytes of a frame that is not complete yet. */
  get pending(): Bytes {
    return this.buffer.bytes;
  }

  /** The length the frame in progress declares, or undefined before both length bytes are there. */
  get declared(): number | undefined {
    if (this.buffer.length < 2) return undefined;
    const { bytes } = this.buffer;
    return bytes[0]! | (bytes[1]! << 8);
  }

  /** Forgets the frame in progress; the next byte begins another one. */
  forget(): void {
    this.buffer.clear();
  }

  feed(data: Bytes): ReceivedFrame[] {
    this.buffer.append(data);
    const frames: ReceivedFrame[] = [];
    for (let length = this.declared; length !== undefined; length = this.declared) {
      const size = 2 + length + Length.tag;
      if (this.buffer.length < size) break;
      const wire = this.pending.subarray(0, size);
      this.buffer.drop(size);
      frames.push({
        length,
        counter: this.counter,
        plaintext: this.open(this.counter, wire.subarray(0, 2), wire.subarray(2)),
        wire,
      });
      this.counter++;
    }
    return frames;
  }
}
