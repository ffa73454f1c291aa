import { type Bytes, Length, type ReceivedFrame, counterNonce } from '../../protocol/index.js';
import { HttpReader } from '../../wire/index.js';
import { openIgnoringTag } from '../crypto.js';
import type { Device, DeviceDecisions } from '../device/device.js';
import type { KnownSession } from '../facts.js';
import { type Response, type ResponseDecisions, encodeResponse } from '../messages/response.js';
import type { Connections, Reaction, Secured, Session } from './connections.js';
import type { Frames } from './frames.js';

/** Bytes of one TCP segment on a secured connection. */
export interface Segment {
  /** The frame in progress as far as it has come. */
  readonly pending: Bytes;
  readonly bytes: Bytes;
  /** Milliseconds since the segment before. */
  readonly idle: number;
}

/** The plaintext of one frame that opened. */
export interface FramePlaintext {
  /** The request in progress as far as it has come. */
  readonly pending: Bytes;
  /** Its headers are there, its body is not. */
  readonly inBody: boolean;
  readonly plaintext: Bytes;
}

/** Bytes of one TCP segment on a plain connection. */
export interface PlainSegment {
  /** The headers or the body in progress as far as they have come. */
  readonly pending: Bytes;
  /** The headers are there, the body is not. */
  readonly inBody: boolean;
  readonly bytes: Bytes;
}

/** What becomes of a connection that sent a frame that does not open. */
export type BadFrameAction =
  | 'close'
  | 'ignore'
  | 'answer-in-plaintext'
  | 'close-every-session'
  | 'close-sessions-of-the-controller'
  /** What the bare cipher makes of it is carried out before the tag is looked at. */
  | 'serve-and-close';

/** What answers the requests that come out of a connection's bytes. */
interface Serves {
  /** Every complete request in `reader`; the answers are `sealed`, or plain. */
  serveAll(session: Session, reader: HttpReader, sealed: boolean, now: number, out: Reaction[]): void;
  send(session: Session, response: Response, sealed: boolean, out: Reaction[]): void;
}

/** Takes the bytes of connections, in plaintext at first and in frames behind M4, and hands on the requests in them. */
export class Reception {
  constructor(
    private readonly device: Device<ReceptionDecisions & ResponseDecisions & DeviceDecisions>,
    private readonly connections: Connections,
    private readonly frames: Frames,
    private readonly serves: Serves,
  ) {}

  receive(session: Session, bytes: Bytes, now: number, out: Reaction[]): void {
    const twin: ReceptionAsides = this.device.behaviour;
    if (twin.waitsForFrames(this.unfinishedBeside(session))) return;
    if (session.secured !== undefined) this.wake(session, now - session.heard, out);
    else this.adopt(session, bytes);
    if (!session.open || session.mute) return;
    const { secured } = session;
    if (!twin.survivesSegment({ bytes, secured: secured !== undefined })) this.connections.dead = true;
    else if (secured === undefined) this.receivePlain(session, bytes, now, out);
    else if (twin.takesAsPlaintext(bytes)) this.receiveInjected(session, bytes, now, out);
    else this.connections.attempt(() => this.receiveSegment(session, secured, bytes, now, out));
    session.heard = now;
    this.connections.active = now;
  }

  private receivePlain(session: Session, bytes: Bytes, now: number, out: Reaction[]): void {
    const { pending, inBody } = session.plain;
    const { behaviour } = this.device;
    const read = this.connections.attempt(() => behaviour.readPlain({ pending, inBody, bytes }));
    if (read === undefined) return void out.push(this.connections.end(session));
    session.plain.feed(read);
    this.serves.serveAll(session, session.plain, false, now, out);
    // What came in one segment behind the M3 that secured the connection is already sealed.
    if (session.secured === undefined || !session.open) return;
    const rest = session.plain.pending;
    session.plain = new HttpReader('request');
    const { behindM3 } = behaviour;
    if (rest.length === 0 || behindM3 === 'dropped') return;
    if (behindM3 === 'answered-in-plaintext') this.serves.send(session, { status: 400 }, false, out);
    else this.receiveFrames(session, session.secured, rest, now, out);
  }

  private receiveSegment(
    session: Session,
    secured: Secured,
    bytes: Bytes,
    now: number,
    out: Reaction[],
  ): void {
    const { pending } = secured.decoder;
    const read = this.device.behaviour.readSegment({ pending, bytes, idle: now - session.heard });
    if (read === undefined) return void out.push(this.connections.end(session));
    if (read.forget) secured.decoder.forget();
    this.receiveFrames(session, secured, read.bytes, now, out);
  }

  private receiveFrames(
    session: Session,
    secured: Secured,
    bytes: Bytes,
    now: number,
    out: Reaction[],
  ): void {
    const { behaviour } = this.device;
    for (const frame of secured.decoder.feed(bytes)) {
      if (!behaviour.takesFrame(frame.length)) return void out.push(this.connections.end(session));
      if (frame.plaintext === undefined) {
        this.badFrame(session, secured, frame, now, out);
        if (!session.open) return;
        continue;
      }
      const { pending, inBody } = secured.reader;
      const read = behaviour.readPlaintext({ pending, inBody, plaintext: frame.plaintext });
      if (read.forget) secured.reader = new HttpReader('request');
      secured.reader.feed(read.bytes);
      if (!read.wait) this.serves.serveAll(session, secured.reader, true, now, out);
      if (!session.open) return;
    }
    // Closed at the length bytes: nothing that could come behind them would be accepted.
    const { declared } = secured.decoder;
    if (declared !== undefined && !behaviour.takesFrame(declared)) out.push(this.connections.end(session));
  }

  /** A frame that does not open ends the connection. */
  private badFrame(
    session: Session,
    secured: Secured,
    frame: ReceivedFrame,
    now: number,
    out: Reaction[],
  ): void {
    const { connections } = this;
    switch (this.device.behaviour.onBadFrame()) {
      case 'close':
        out.push(connections.end(session));
        return;
      case 'ignore':
        return;
      case 'answer-in-plaintext':
        out.push(this.inPlaintext(session, 400));
        return;
      case 'close-every-session':
        for (const other of connections.all)
          if (other.secured !== undefined) out.push(connections.end(other));
        return;
      case 'close-sessions-of-the-controller':
        out.push(...connections.endSessionsOf(secured.requester));
        return;
      case 'serve-and-close': {
        const sealed = frame.wire.subarray(2);
        const nonce = counterNonce(frame.counter);
        const plaintext = openIgnoringTag(secured.keys.toAccessory, nonce, sealed);
        secured.reader.feed(plaintext ?? new Uint8Array(0));
        this.serves.serveAll(session, secured.reader, true, now, []);
        if (session.open) out.push(connections.end(session));
      }
    }
  }

  // Asides: what only faulty twins do

  /** A secured connection that was silent for a while speaks again. */
  private wake(session: Session, idle: number, out: Reaction[]): void {
    switch (this.device.behaviour.afterIdle(idle)) {
      case 'serve':
        return;
      case 'forget-keys':
        session.secured = undefined;
        return;
      case 'counters-anew':
        if (session.secured !== undefined) session.secured.sent = 0n;
        return;
      case 'silence':
        session.mute = true;
        return;
      case 'timeout-in-plaintext':
        out.push(this.inPlaintext(session, 408), this.connections.end(session));
        return;
      case 'close':
        out.push(this.connections.end(session));
    }
  }

  /** Bytes on a plain connection that some session is known for. */
  private adopt(session: Session, bytes: Bytes): void {
    if (session.plain.pending.length > 0) return;
    const { carried } = this.device;
    const known = [
      ...this.connections.known(),
      ...this.connections.knownLast,
      ...(carried.session ? [carried.session] : []),
    ];
    const found = this.device.behaviour.adopts(bytes, known);
    if (found !== undefined) this.frames.secure(session, found).decoder.counter = found.counter;
  }

  /** Bytes on a secured connection that are read as a plaintext request. */
  private receiveInjected(session: Session, bytes: Bytes, now: number, out: Reaction[]): void {
    const reader = new HttpReader('request');
    reader.feed(bytes);
    this.serves.serveAll(session, reader, false, now, out);
  }

  /** Other connections that are in the middle of a frame. */
  private unfinishedBeside(session: Session): number {
    return this.connections.all.filter(
      (other) => other !== session && (other.secured?.decoder.pending.length ?? 0) > 0,
    ).length;
  }

  private inPlaintext({ number }: Session, status: number): Reaction {
    return { connection: number, kind: 'send', bytes: encodeResponse(this.device.behaviour, { status }) };
  }
}

/** How bytes are read. */
export interface ReceptionDecisions extends ReceptionAsides {
  /** False to end the connection at a frame whose length bytes say so. */
  takesFrame(length: number): boolean;
  onBadFrame(): BadFrameAction;
  /** What a segment of a plain connection is read as; undefined ends the connection. */
  readPlain(segment: PlainSegment): Bytes | undefined;
  /** What a segment is read as, and whether the frame in progress is forgotten; undefined ends the connection. */
  readSegment(segment: Segment): { readonly bytes: Bytes; readonly forget?: boolean } | undefined;
  /**
   * What is read behind the request in progress, whether that is forgotten, and whether the request must wait for the
   * next frame even if it is complete.
   */
  readPlaintext(frame: FramePlaintext): {
    readonly bytes: Bytes;
    readonly forget?: boolean;
    readonly wait?: boolean;
  };
  /** What becomes of bytes that came in one segment behind M3. */
  readonly behindM3: 'frames' | 'dropped' | 'answered-in-plaintext';
}

/** What only a faulty twin answers otherwise. */
export interface ReceptionAsides {
  /** False when these bytes, as they come in one segment, stop the whole accessory. */
  survivesSegment(segment: { bytes: Bytes; secured: boolean }): boolean;
  /** True to leave a connection unread: so many others are in the middle of a frame. */
  waitsForFrames(unfinished: number): boolean;
  /** The session among those known (the last of them may have ended) that bytes on a plain connection belong to. */
  adopts(bytes: Bytes, known: readonly KnownSession[]): KnownSession | undefined;
  /** True to read these bytes on a secured connection as a plaintext request. */
  takesAsPlaintext(bytes: Bytes): boolean;
  /** What becomes of a secured connection that speaks again after so many milliseconds. */
  afterIdle(
    milliseconds: number,
  ): 'serve' | 'close' | 'timeout-in-plaintext' | 'forget-keys' | 'counters-anew' | 'silence';
}

export const healthyReception: ReceptionDecisions = {
  takesFrame: (length) => length <= Length.frame,
  onBadFrame: () => 'close',
  readPlain: ({ bytes }) => bytes,
  readSegment: ({ bytes }) => ({ bytes }),
  readPlaintext: ({ plaintext }) => ({ bytes: plaintext }),
  behindM3: 'frames',

  survivesSegment: () => true,
  waitsForFrames: () => false,
  adopts: () => undefined,
  takesAsPlaintext: () => false,
  afterIdle: () => 'serve',
};
