import type { Bytes, ReceivedFrame } from '../protocol/index.js';
import type { HttpMessage } from '../wire/index.js';
import type { Outcome } from './outcome.js';

/** One wait for the accessory: what for, how long, and what ended it (`over` when its time was up, as it should be). */
export interface Wait {
  readonly what: 'answer' | 'event' | 'end' | 'more' | 'pause';
  /** Milliseconds that went by. */
  readonly milliseconds: number;
  readonly ended: Outcome['kind'] | 'data' | 'event' | 'over';
}

/** Called for what the accessory sends, so that watches see every message of the run. */
export interface LinkObserver {
  /**
   * `asked` is the State of the request, when it was one of 1, 3, 5 in a message that can be read; `path` where it
   * went, undefined for raw bytes.
   */
  reply?(reply: Outcome & { kind: 'reply' }, asked: number | undefined, path: string | undefined): void;
  frame?(frame: ReceivedFrame): void;
  /** A response or an event, whole. */
  message?(message: HttpMessage): void;
  /** A response has begun before there was a request it could answer. */
  unasked?(what: string): void;
  /** Bytes on a secured connection, and what is wrong with them when they are no frames that open. */
  secured?(bytes: Bytes, wrong: string | undefined): void;
  /** Readable bytes in the order they came: plaintext, opened frames, opened sub-TLVs. */
  readable?(bytes: Bytes): void;
  /** The accessory was waited for. */
  waited?(wait: Wait): void;
  /** A request went out. */
  said?(): void;
  /** An event came. */
  event?(): void;
  /** Nothing came of what was sent for so many milliseconds, the time it was given. */
  silent?(milliseconds: number): void;
  /** Something came so long after what was sent, and it had been given less. */
  late?(milliseconds: number, given: number): void;
}

/** An event, and whether it came in frames that opened. */
export interface ReceivedEvent {
  readonly message: HttpMessage;
  readonly sealed: boolean;
}
