import { type Bytes, type ReceivedFrame, type TlvItem, join, text } from '../protocol/index.js';
import { type Connection, type SecureSession, type Trace, limits } from '../wire/index.js';
import type { LinkObserver, Wait } from './observer.js';

/** The bytes of one connection: recorded, told to the observer, and opened where they are frames. */
export class Line {
  protected secure: SecureSession | undefined;
  protected over = false;
  /** The accessory has agreed to frames: what it sends in the clear from here on is wrong. */
  protected granted = false;
  /** What was sent last was met by silence: when it was sent, and how long was waited. */
  protected silence: { readonly since: number; readonly waited: number } | undefined;
  /** Frames that came since the last request, as they came. */
  lastFrames: ReceivedFrame[] = [];

  constructor(
    /** Number in the trace. */
    readonly number: number,
    readonly connection: Connection,
    readonly trace: Trace,
    protected readonly observer: LinkObserver,
  ) {
    trace.record(number, { kind: 'open' });
  }

  get secured(): boolean {
    return this.secure !== undefined;
  }

  /** The secured session; @throws when the connection is still plain (a mistake of the harness). */
  get session(): SecureSession {
    if (this.secure === undefined) throw new Error(`connection #${this.number} is not secured`);
    return this.secure;
  }

  /** The accessory has answered in a frame: from here on nothing but frames is right. */
  grant(): void {
    this.granted = true;
  }

  note(line: string): void {
    this.trace.record(this.number, { kind: 'note', line });
  }

  protected put(bytes: Bytes): void {
    this.trace.record(this.number, { kind: 'sent', bytes });
    this.silence = undefined;
    this.observer.said?.();
    this.connection.write(bytes);
  }

  protected waited(what: Wait['what'], start: number, ended: Wait['ended']): void {
    this.observer.waited?.({ what, milliseconds: this.connection.clock.now() - start, ended });
  }

  /** Bytes came: behind a silence they tell that it was not waited long enough. */
  protected came(): void {
    if (this.silence === undefined) return;
    this.observer.late?.(this.connection.clock.now() - this.silence.since, this.silence.waited);
    this.silence = undefined;
  }

  /** Plaintext of the frames completed by these bytes, or what is wrong with them. */
  protected unseal(bytes: Bytes): Bytes | string {
    if (this.secure === undefined) {
      this.observer.readable?.(bytes);
      return bytes;
    }
    const plain = this.openFrames(this.secure, bytes);
    if (this.granted) this.observer.secured?.(bytes, typeof plain === 'string' ? plain : undefined);
    return plain;
  }

  private openFrames(secure: SecureSession, bytes: Bytes): Bytes | string {
    const { decoder } = secure;
    // A length field of "HT" or "EV" is far above 1024: the accessory fell back to plaintext.
    if (decoder.pending.length === 0 && /^(HTTP\/1|EVENT\/|RTSP\/1)/.test(text(bytes.subarray(0, 6)))) {
      this.observer.readable?.(bytes);
      return 'plaintext';
    }
    const parts: Bytes[] = [];
    for (const frame of secure.open(bytes)) {
      this.observer.frame?.(frame);
      if (this.lastFrames.length < limits.frames) this.lastFrames.push(frame);
      if (frame.plaintext === undefined)
        return `a frame of ${frame.length} bytes that does not open with counter ${frame.counter}${secure.why(frame)}`;
      this.observer.readable?.(frame.plaintext);
      parts.push(frame.plaintext);
      this.trace.record(this.number, {
        kind: 'opened',
        bytes: frame.plaintext,
        line: `frame ${frame.counter} received, ${frame.length} bytes`,
      });
    }
    return join(parts);
  }

  protected heard(line: string, sealed: boolean, elapsed?: number, items?: readonly TlvItem[]): void {
    const time = elapsed === undefined ? '' : `  (${Math.round(elapsed)} ms)`;
    this.trace.record(this.number, { kind: 'heard', line: line + time, sealed, ...(items && { items }) });
  }

  protected ended(kind: 'close' | 'reset'): void {
    if (!this.over) this.trace.record(this.number, { kind });
    this.over = true;
  }

  /** Waits up to `wait` ms for the accessory to end the connection, dropping what it still sends. True when it did. */
  async closes(wait: number): Promise<boolean> {
    const start = this.connection.clock.now();
    for (;;) {
      const event = await this.connection.next(start + wait);
      if (event.kind !== 'data') this.waited('end', start, event.kind);
      if (event.kind === 'silence') return false;
      if (event.kind === 'data') {
        this.trace.record(this.number, { kind: 'received', bytes: event.bytes });
        this.unseal(event.bytes);
        continue;
      }
      this.ended(event.kind);
      return true;
    }
  }

  /**
   * True while the accessory has not ended the connection. What it sends meanwhile stays unread.
   * A FIN travels behind the last answer, so it may take the `wait` to show.
   */
  async stillOpen(wait: number): Promise<boolean> {
    const start = this.connection.clock.now();
    const event = await this.connection.next(start + wait);
    this.waited('end', start, event.kind === 'silence' ? 'over' : event.kind);
    if (event.kind === 'data') {
      this.came();
      this.connection.unread(event.bytes);
    } else if (event.kind !== 'silence') this.ended(event.kind);
    return event.kind === 'data' || event.kind === 'silence';
  }

  /** Sends FIN; the accessory may still answer. */
  finish(): void {
    this.trace.record(this.number, { kind: 'we-finish' });
    this.connection.finish();
  }

  /** Ends the connection with RST. */
  reset(): void {
    this.trace.record(this.number, { kind: 'we-reset' });
    this.over = true;
    this.connection.reset();
  }
}
