import {
  type Bytes,
  FrameDecoder,
  Length,
  type SessionKeys,
  counterNonce,
  equal,
  join,
} from '../../protocol/index.js';
import { HttpReader } from '../../wire/index.js';
import { open, sealFrame } from '../crypto.js';
import type { Device, DeviceDecisions } from '../device/device.js';
import type { KnownSession, Verified } from '../facts.js';
import { type Connections, type Secured, type Session, knownSession } from './connections.js';

/** One frame of a secured session as it came. */
export interface SealedFrame {
  readonly keys: SessionKeys;
  readonly counter: bigint;
  /** The two length bytes. */
  readonly header: Bytes;
  /** Ciphertext and tag. */
  readonly sealed: Bytes;
  /** Keys and next counter of the session before Pair Verify was run inside it. */
  readonly former?: { readonly keys: SessionKeys; readonly counter: bigint } | undefined;
  /** The other sessions that are open. */
  readonly others: readonly KnownSession[];
  /** Those of them that the same controller began later. */
  readonly successors: readonly KnownSession[];
}

/** The place of one frame, by which its counter is told. */
export interface FramePlace {
  readonly direction: 'in' | 'out';
  /** Frames before it in this direction. */
  readonly count: bigint;
  /** Frames so far in the other direction. */
  readonly other: bigint;
  /** Outwards: frames before it in the same message. */
  readonly inMessage: number;
  /** Outwards: it belongs to an event, and how many frames of `count` did. */
  readonly event: boolean;
  readonly eventCount: bigint;
  /** Outwards: frames sent in all sessions. */
  readonly everywhere: bigint;
}

export interface OpenedFrame {
  readonly plaintext: Bytes;
  /** The counter the frame after this one must carry. */
  readonly next: bigint;
}

/** A message about to leave on a secured connection. */
export interface Leaving {
  readonly kind: 'response' | 'event';
  /** HTTP status; 200 for an event. */
  readonly status: number;
  /** The request was no HTTP. */
  readonly unreadable: boolean;
}

/** The frames of the sessions (seed 002 §4): one message is cut, sealed and sent, one frame opened at a time. */
export class Frames {
  /** Frames sent in all sessions. */
  private sentEverywhere = 0n;

  constructor(
    private readonly device: Device<FrameDecisions & DeviceDecisions>,
    private readonly connections: Connections,
  ) {}

  /** The connection speaks in frames from now on. */
  secure(session: Session, { requester, keys: fresh }: Verified): Secured {
    const { behaviour } = this.device;
    const { secured: old } = session;
    const keys = old === undefined ? fresh : behaviour.rekeyed({ former: old.keys, fresh });
    const former = old && { keys: old.keys, counter: old.decoder.counter };
    if (requester.transient !== true) this.connections.lastVerified = requester;
    const decoder: FrameDecoder = new FrameDecoder((count, header, sealed) => {
      const outwards = { inMessage: 0, event: false, eventCount: 0n, everywhere: 0n };
      const counter = behaviour.frameCounter({ direction: 'in', count, other: secured.sent, ...outwards });
      const opened = behaviour.openFrame({
        keys,
        counter,
        header,
        sealed,
        former,
        get others() {
          return others(() => true);
        },
        get successors() {
          return others(
            (other) => other.number > session.number && equal(other.secured!.requester.id, requester.id),
          );
        },
      });
      // The decoder itself adds 1 behind every frame.
      if (opened !== undefined) decoder.counter += opened.next - counter - 1n;
      return opened?.plaintext;
    });
    const others = (which: (other: Session) => boolean): KnownSession[] =>
      this.connections.known((other) => other !== session && which(other));
    const secured: Secured = {
      requester,
      keys,
      decoder,
      reader: new HttpReader('request'),
      sent: 0n,
      sentInEvents: 0n,
      subscriptions: new Map(),
      held: [],
    };
    session.secured = secured;
    this.device.carry({ session: knownSession(secured) });
    return secured;
  }

  /** The frames of a message. */
  seal(secured: Secured, message: Bytes, event = false): Bytes {
    const { behaviour } = this.device;
    const { keys } = secured;
    const frames = behaviour.cutFrames(message).map((plaintext, inMessage) => {
      const counter = behaviour.frameCounter({
        direction: 'out',
        count: secured.sent,
        other: secured.decoder.counter,
        inMessage,
        event,
        eventCount: secured.sentInEvents,
        everywhere: this.sentEverywhere,
      });
      secured.sent++;
      if (event) secured.sentInEvents++;
      this.sentEverywhere++;
      return behaviour.sealFrame({ keys, counter, plaintext });
    });
    return frames.length === 1 ? frames[0]! : join(frames);
  }
}

/** Bytes in pieces of `size`, the last one shorter. */
export function pieces(bytes: Bytes, size: number): readonly Bytes[] {
  const out: Bytes[] = [];
  for (let at = 0; at < bytes.length; at += size) out.push(bytes.subarray(at, at + size));
  return out;
}

export interface FrameDecisions {
  /** The counter that goes into the nonce of a frame. */
  frameCounter(place: FramePlace): bigint;
  /** The pieces of a message that become one frame each. */
  cutFrames(message: Bytes): readonly Bytes[];
  /** One frame as it goes out: 2 length bytes, ciphertext, 16-byte tag. */
  sealFrame(frame: { keys: SessionKeys; counter: bigint; plaintext: Bytes }): Bytes;
  openFrame(frame: SealedFrame): OpenedFrame | undefined;
  /** The keys of a session behind a Pair Verify that was run inside it. */
  rekeyed(keys: { former: SessionKeys; fresh: SessionKeys }): SessionKeys;
  /** False to send a message as plaintext on a secured connection. */
  sealsMessage(message: Leaving): boolean;
}

export const healthyFrames: FrameDecisions = {
  frameCounter: ({ count }) => count,
  cutFrames: (message) => pieces(message, Length.frame),
  sealFrame: ({ keys, counter, plaintext }) => sealFrame(keys.toController, counter, plaintext),
  openFrame({ keys, counter, header, sealed }) {
    const plaintext = open(keys.toAccessory, counterNonce(counter), sealed, header);
    return plaintext && { plaintext, next: counter + 1n };
  },
  rekeyed: ({ fresh }) => fresh,
  sealsMessage: () => true,
};
