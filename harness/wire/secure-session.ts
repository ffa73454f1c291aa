import {
  type Bytes,
  FrameDecoder,
  FrameEncoder,
  type ReceivedFrame,
  type SessionKeys,
  frameOpener,
} from '../protocol/index.js';

/** The controller's half of a secured session: one key and one counter per direction (seed 001). */
export class SecureSession {
  readonly encoder: FrameEncoder;
  readonly decoder: FrameDecoder;

  constructor(readonly keys: SessionKeys) {
    this.encoder = new FrameEncoder(keys.toAccessory);
    this.decoder = new FrameDecoder(frameOpener(keys.toController));
  }

  /** The frames of a message, joined as one segment. */
  seal(message: Bytes): Bytes[] {
    return this.encoder.encode(message);
  }

  /** Frames completed by these bytes; one that does not open has no plaintext. */
  open(bytes: Bytes): ReceivedFrame[] {
    return this.decoder.feed(bytes);
  }
}
