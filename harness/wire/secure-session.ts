import {
  type Bytes,
  FrameDecoder,
  FrameEncoder,
  type ReceivedFrame,
  type SessionKeys,
  frameOpener,
  howFramed,
} from '../protocol/index.js';

/** The controller's half of a secured session: one key and one counter per direction (seed 001). */
export class SecureSession {
  readonly encoder: FrameEncoder;
  readonly decoder: FrameDecoder;
  /** Keys the accessory may go over to with any frame, its counter from 0 again; it is never asked to go back. */
  next: SessionKeys | undefined;
  /** It has gone over to them. */
  rekeyed = false;

  /** @param counter - that of the accessory's first frame; 0 unless it has sent some under these keys already */
  constructor(
    readonly keys: SessionKeys,
    counter = 0n,
  ) {
    this.encoder = new FrameEncoder(keys.toAccessory);
    let opens = frameOpener(keys.toController);
    this.decoder = new FrameDecoder((count, header, sealed) => {
      const plaintext = opens(count, header, sealed);
      if (plaintext !== undefined || this.next === undefined || this.rekeyed) return plaintext;
      const others = frameOpener(this.next.toController);
      const fresh = others(0n, header, sealed);
      if (fresh === undefined) return undefined;
      this.rekeyed = true;
      opens = others;
      // The decoder counts on behind this frame.
      this.decoder.counter = 0n;
      return fresh;
    }, counter);
  }

  /** The frames of a message, joined as one segment. */
  seal(message: Bytes): Bytes[] {
    return this.encoder.encode(message);
  }

  /** How a frame that does not open was sealed, in words that go on from what it does not open with; '' when nobody knows. */
  why({ wire, counter }: ReceivedFrame): string {
    const how = howFramed(wire, counter, this.keys);
    return how === undefined ? '' : `: it opens with ${how}`;
  }

  /** Frames completed by these bytes; one that does not open has no plaintext. */
  open(bytes: Bytes): ReceivedFrame[] {
    return this.decoder.feed(bytes);
  }
}
