import { counterNonce, open, seal } from './aead.js';
import { type Bytes, concat, join } from './bytes.js';
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
  private buffer: Bytes = new Uint8Array(0);
  /** What came behind `buffer`, not joined to it before a frame can be complete: a peer may send byte by byte. */
  private more: Bytes[] = [];
  private size = 0;

  constructor(
    private readonly open: FrameOpener,
    public counter = 0n,
  ) {}

  /** Bytes of a frame that is not complete yet. */
  get pending(): Bytes {
    if (this.more.length > 0) this.buffer = join([this.buffer].concat(this.more.splice(0)));
    return this.buffer;
  }

  /** The length the frame in progress declares, or undefined before both length bytes are there. */
  get declared(): number | undefined {
    if (this.size < 2) return undefined;
    const start = this.buffer.length < 2 ? this.pending : this.buffer;
    return start[0]! | (start[1]! << 8);
  }

  /** Forgets the frame in progress; the next byte begins another one. */
  forget(): void {
    this.buffer = new Uint8Array(0);
    this.more = [];
    this.size = 0;
  }

  feed(data: Bytes): ReceivedFrame[] {
    this.more.push(data);
    this.size += data.length;
    const frames: ReceivedFrame[] = [];
    for (let length = this.declared; length !== undefined; length = this.declared) {
      const size = 2 + length + Length.tag;
      if (this.size < size) break;
      const wire = this.pending.subarray(0, size);
      this.buffer = this.buffer.subarray(size);
      this.size -= size;
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
