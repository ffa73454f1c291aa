import { type Bytes, join } from '../protocol/index.js';
import type { Clock } from './clock.js';
import { limits } from './limits.js';

/** What happened on a connection. Close, reset and silence are different events: a verdict may depend on which it was. */
export type WireEvent =
  | { readonly kind: 'data'; readonly bytes: Bytes }
  /** The peer sent FIN. */
  | { readonly kind: 'close' }
  /** The peer sent RST, or the connection broke. */
  | { readonly kind: 'reset' }
  /** Nothing until the deadline; the connection is still open. */
  | { readonly kind: 'silence' };

/** One end of a byte stream, over TCP or in memory. */
export interface Connection {
  readonly clock: Clock;
  /** Sends bytes as one segment, as far as the transport can promise that. Ignored after the connection has ended. */
  write(bytes: Bytes): void;
  /** The next event, waiting until `deadline` at most (clock time). After an end it reports that end again. */
  next(deadline: number): Promise<WireEvent>;
  /** Puts bytes back in front of those not read yet. */
  unread(bytes: Bytes): void;
  /** Sends FIN; the other direction stays open. */
  finish(): void;
  /** Ends both directions in good order. */
  close(): void;
  /** Ends both directions with RST. */
  reset(): void;
}

/** Makes connections to one accessory. */
export interface Dialer {
  readonly clock: Clock;
  /** @throws Unreachable when no connection comes about before the deadline. */
  connect(deadline: number): Promise<Connection>;
}

/** No connection came about. `code` tells why, `message` says it in words. */
export class Unreachable extends Error {
  override name = 'Unreachable';
  constructor(
    readonly code: 'refused' | 'timeout' | 'unknown-host' | 'no-route' | 'failed',
    message: string,
  ) {
    super(message);
  }
}

/** The reading half shared by every transport: a bounded queue and one reader. */
export abstract class BufferedConnection implements Connection {
  private chunks: Bytes[] = [];
  private size = 0;
  private ended: 'close' | 'reset' | undefined;
  private wake: (() => void) | undefined;

  constructor(readonly clock: Clock) {}

  abstract write(bytes: Bytes): void;
  abstract finish(): void;
  abstract close(): void;
  abstract reset(): void;
  /** Called when the reader has fallen behind (true) and when it has caught up (false). */
  protected abstract throttle(on: boolean): void;

  protected received(bytes: Bytes): void {
    if (bytes.length === 0) return;
    this.chunks.push(bytes);
    this.size += bytes.length;
    if (this.size > limits.unread || this.chunks.length > limits.pieces) this.throttle(true);
    this.wake?.();
  }

  protected end(how: 'close' | 'reset'): void {
    // A reset after a close says more (the peer dropped what we sent later); a close after a reset says nothing.
    if (this.ended !== 'reset') this.ended = how;
    this.wake?.();
  }

  unread(bytes: Bytes): void {
    if (bytes.length === 0) return;
    this.chunks.unshift(bytes);
    this.size += bytes.length;
  }

  async next(deadline: number): Promise<WireEvent> {
    if (this.wake !== undefined) throw new Error('connection: a second reader while one waits');
    if (this.chunks.length === 0 && this.ended === undefined && this.clock.now() < deadline)
      await new Promise<void>((resolve) => {
        const cancel = deadline === Infinity ? undefined : this.clock.at(deadline, resolve);
        this.wake = () => {
          cancel?.();
          resolve();
        };
      });
    this.wake = undefined;
    if (this.chunks.length > 0) {
      const bytes = this.chunks.length === 1 ? this.chunks[0]! : join(this.chunks);
      this.chunks = [];
      this.size = 0;
      this.throttle(false);
      return { kind: 'data', bytes };
    }
    return { kind: this.ended ?? 'silence' };
  }
}
