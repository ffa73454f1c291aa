import {
  type Bytes,
  type SessionKeys,
  type TlvItem,
  TlvType,
  decodeTlv,
  encodeTlv,
  isEarlyFrame,
  join,
  text,
} from '../protocol/index.js';
import {
  type Connection,
  type HttpMessage,
  HttpReader,
  type HttpRequest,
  SecureSession,
  type Trace,
  limits,
} from '../wire/index.js';
import {
  type Dressing,
  type Handwriting,
  describeBody,
  dressed,
  encodeIn,
  placed,
  requestItems,
} from './dressing.js';
import { StepFailed } from './errors.js';
import { Line } from './line.js';
import type { LinkObserver, ReceivedEvent, Wait } from './observer.js';
import { type Outcome, describeResponse, hexDump, isPairingBody } from './outcome.js';
import type { Profile, SetupKind } from './profile.js';

export type { LinkObserver, ReceivedEvent, Wait };

/** The requirement that a response follows its request. */
const UNASKED = 'HTTP-01';
const REQUEST_TIMEOUT = 408;
/** A response without length or chunks ends with the connection; some devices never close it, so quiet ends it too. */
const QUIET = 300;
/** How long the accessory may take to close behind our FIN before we drop the connection. */
const LINGER = 300;

/** HTTP on one connection to the accessory, plain or secured. */
export class Link extends Line {
  private reader = new HttpReader('response');
  /** What the reader holds came in plaintext behind the switch to frames, also when it is read by a later call. */
  private readingPlain = false;
  /** Start line of requests; that of the profile unless set. */
  startLine: Profile['startLine'];
  /** What the Pair Setup on this connection is headed for; some receivers go by a header that says so. */
  kind: SetupKind = 'regular';
  /** Who the next requests are written like; like this harness unless set. */
  handwriting: Handwriting | undefined;
  /** Keys that the answer to come grants: bytes that are no HTTP may be sealed under them too early. */
  foreseen: readonly SessionKeys[] = [];
  /** A Pair Setup was begun on it. */
  begun = false;
  /** CSeq of the last request, where requests are numbered. */
  sequence = 0;
  /** State of the last request. */
  private asked: number | undefined;
  /** Where what was asked last went to; undefined for raw bytes. */
  private path: string | undefined;
  /** Events (`EVENT/1.0`) received so far and not taken by `event` yet. */
  readonly events: ReceivedEvent[] = [];
  /** Bytes of their bodies. */
  private eventBytes = 0;
  /** Raw bytes went out: how many requests they were to the accessory, nobody can tell. */
  private loose = false;
  /** A response came that nothing had asked for: from there on none can be told from the answer to another request. */
  private unasked: string | undefined;
  /** What came before the request it is read for: a response, and what is wrong with bytes. */
  private early: HttpMessage | undefined;
  private spoiled: string | undefined;

  constructor(
    number: number,
    connection: Connection,
    readonly profile: Profile,
    trace: Trace,
    observer: LinkObserver,
    /** The Host of requests: where the accessory is asked, with its port. */
    readonly host: string,
  ) {
    super(number, connection, trace, observer);
    this.startLine = profile.startLine;
  }

  /** Switches both directions to frames; the next byte each way is one. */
  secureWith(keys: SessionKeys, granted = true): void {
    this.foreseen = [];
    this.granted = granted;
    // An accessory that has gone over to these keys ahead of us counts on.
    const counter = this.secure?.rekeyed === true ? this.secure.decoder.counter : 0n;
    this.secure = new SecureSession(keys, counter);
    // What came in one segment behind M4 is a frame already.
    const early = this.reader.pending;
    if (early.length > 0) {
      this.reader = new HttpReader('response');
      this.connection.unread(early);
    }
    this.trace.record(this.number, { kind: 'note', line: 'secured', keys });
  }

  /** A pairing request: TLV in, outcome out. */
  post(path: string, items: readonly TlvItem[], wait: number): Promise<Outcome> {
    return this.postBytes(path, encodeTlv(items), wait);
  }

  postBytes(path: string, body: Bytes, wait: number): Promise<Outcome> {
    return this.request(
      { method: 'POST', path, headers: [['Content-Type', this.profile.mediaType]], body },
      wait,
    );
  }

  /** A request as bytes, where this dress has it and with the headers every controller sends. */
  encode(request: HttpRequest): Bytes {
    return encodeIn(this.dressing(), request);
  }

  /**
   * Raw bytes of a request in plain HTTP/1.1, with what a sender of this profile puts into each: its start line, media
   * type and headers, spelled as Host is. Whatever else is odd about them stays.
   */
  dress(bytes: Bytes): Bytes {
    return dressed(this.dressing(), bytes);
  }

  /** What the next request is dressed in. */
  private dressing(): Dressing {
    const { profile, startLine, kind, host, handwriting } = this;
    const next = (): number => ++this.sequence;
    return { profile, startLine, kind, host, next, ...(handwriting && { handwriting }) };
  }

  /**
   * Sends a request, in frames when secured, and waits for what comes of it. @throws StepFailed when a response has come
   * already: it is the answer to nothing, and the next one would be taken for the answer to this.
   */
  async request(request: HttpRequest, wait: number): Promise<Outcome> {
    await this.refuseUnasked();
    const message = requestItems(request);
    const items = message?.items;
    const legible = message?.defect === undefined && message?.all(TlvType.State).length === 1;
    this.asked = legible && [1, 3, 5].includes(message.state ?? 0) ? message.state : undefined;
    const { method, path } = placed(this.profile, request);
    this.path = path;
    const line = `${method} ${path}  ${describeBody(request)}`;
    this.trace.record(this.number, { kind: 'said', line, sealed: this.secured, ...(items && { items }) });
    const bytes = this.encode(request);
    this.reader.bodiless = request.method === 'HEAD';
    if (this.secure !== undefined)
      this.trace.record(this.number, {
        kind: 'opened',
        ours: true,
        bytes,
        line: 'plaintext of the frames sent',
      });
    this.put(this.secure === undefined ? bytes : join(this.secure.seal(bytes)));
    return this.outcome(wait);
  }

  /** @throws StepFailed when the connection has brought a response that nothing asked for. */
  private async refuseUnasked(): Promise<void> {
    await this.lookForUnasked(0);
    if (this.unasked !== undefined) throw new StepFailed(UNASKED, this.unasked);
  }

  /**
   * Reads what has come, or comes within `wait` ms, though nothing was asked for: events are kept, a response is told
   * to the watches. Where an answer is late, or raw bytes have gone out, it may be that.
   */
  async lookForUnasked(wait: number): Promise<void> {
    if (this.unasked !== undefined || this.loose || this.silence !== undefined || this.over) return;
    const { clock } = this.connection;
    const until = clock.now() + wait;
    for (let looks = 0; looks < limits.events; looks++) {
      // What falls back to plaintext is for whoever asks next.
      if (this.readingPlain) return;
      let progress = this.reader.next();
      for (; progress.kind === 'message'; progress = this.reader.next()) {
        const { message } = progress;
        if (message.version.startsWith('EVENT')) this.keepEvent(message, this.secured);
        // A server may give a connection up that was idle for long (RFC 9110 §15.5.9).
        else if (message.status === REQUEST_TIMEOUT) this.early = message;
        else return this.wasUnasked(message);
      }
      if (progress.kind === 'invalid') return;
      const event = await this.connection.next(until);
      if (event.kind !== 'data') break;
      this.spoiled = this.take(event.bytes);
      if (this.spoiled !== undefined) return;
    }
    if (this.reader.inResponse) this.wasUnasked(undefined);
  }

  private wasUnasked(message: HttpMessage | undefined): void {
    const line = message?.startLine ?? `${text(this.reader.pending.subarray(0, 40)).split(/\r?\n/)[0]}…`;
    this.unasked = `a response came before there was a request it could answer: ${line}`;
    this.note(this.unasked);
    this.observer.unasked?.(this.unasked);
  }

  private keepEvent(message: HttpMessage, sealed: boolean): void {
    this.events.push({ message, sealed });
    this.observer.message?.(message);
    this.observer.event?.();
    this.eventBytes += message.body.length;
    this.heard(`${message.startLine}  ${message.body.length} bytes`, sealed);
  }

  /** Raw bytes as they are, in one segment. */
  send(bytes: Bytes): void {
    this.loose = true;
    this.put(bytes);
  }

  /** A line of the decoded exchange for what raw sends do. */
  said(line: string): void {
    this.asked = undefined;
    this.path = undefined;
    this.trace.record(this.number, { kind: 'said', line, sealed: this.secured });
  }

  /** A sub-TLV, as it was before sealing or after opening. */
  inside(line: string, items: readonly TlvItem[]): void {
    this.trace.record(this.number, { kind: 'inside', bytes: encodeTlv(items), line, items });
  }

  /** The sub-TLV of a message received, as it opened. */
  opened(line: string, items: readonly TlvItem[]): void {
    this.inside(line, items);
    this.observer.readable?.(encodeTlv(items));
  }

  /** What the accessory does next, waiting `wait` ms at most. */
  async outcome(wait: number): Promise<Outcome> {
    const start = this.connection.clock.now();
    this.lastFrames = [];
    const outcome = await this.read(start, start + wait);
    if (outcome.kind === 'silence') {
      this.silence = { since: start, waited: wait };
      this.observer.silent?.(wait);
    }
    this.waited('answer', start, outcome.kind);
    return outcome;
  }

  /** The next event, waiting `wait` ms at most; undefined when none came, or something else did. */
  async event(wait: number): Promise<ReceivedEvent | undefined> {
    const start = this.connection.clock.now();
    if (this.events.length === 0) {
      const { kind } = await this.read(start, start + wait, true);
      this.waited('event', start, this.events.length > 0 ? 'event' : kind);
    }
    const event = this.events.shift();
    this.eventBytes -= event?.message.body.length ?? 0;
    return event;
  }

  /**
   * The same request `times` times, one frame each, in one segment, and all that comes of it: the last reply, or the
   * first outcome that is none. For traffic by the thousand: the frames are not recorded one by one.
   */
  async pipeline(request: Bytes, times: number, wait: number): Promise<Outcome> {
    const { clock } = this.connection;
    const { session } = this;
    const start = clock.now();
    this.connection.write(join(Array.from({ length: times }, () => session.seal(request)).flat()));
    let last: Outcome | undefined;
    for (let replies = 0; replies < times || last === undefined;) {
      const event = await this.connection.next(start + wait);
      const elapsed = clock.now() - start;
      if (event.kind !== 'data') return { kind: event.kind, elapsed };
      const frames = session.open(event.bytes);
      const bad = frames.find(({ plaintext }) => plaintext === undefined);
      const what = bad && `a frame that does not open with counter ${bad.counter}${session.why(bad)}`;
      if (this.granted) this.observer.secured?.(event.bytes, what);
      if (what !== undefined) return { kind: 'garbage', what, elapsed };
      this.reader.feed(join(frames.map(({ plaintext }) => plaintext!)));
      let progress = this.reader.next();
      for (; progress.kind === 'message'; progress = this.reader.next()) {
        const { message } = progress;
        // Of thousands that are alike the first one, and those that are wrong.
        if (replies === 0 || (message.irregular?.length ?? 0) > 0) this.observer.message?.(message);
        if (message.version.startsWith('EVENT')) continue;
        replies++;
        const { profile } = this;
        last = {
          kind: 'reply',
          http: message,
          tlv: undefined,
          sealed: true,
          secured: true,
          profile,
          elapsed,
        };
      }
      if (progress.kind === 'invalid') return { kind: 'garbage', what: progress.what, elapsed };
    }
    this.waited('answer', start, 'reply');
    return last;
  }

  private async read(start: number, deadline: number, untilEvent = false): Promise<Outcome> {
    const { clock } = this.connection;
    let interim = 0;
    let quiet = Infinity;
    const { early, spoiled } = this;
    this.early = this.spoiled = undefined;
    if (spoiled !== undefined) return { kind: 'garbage', what: spoiled, elapsed: 0 };
    if (early !== undefined) return this.reply(early, this.secured, 0);
    for (;;) {
      const elapsed = clock.now() - start;
      const sealed = this.secured && !this.readingPlain;
      const progress = this.reader.next();
      if (progress.kind === 'invalid') {
        this.heard(`not understood: ${progress.what}: ${hexDump(this.reader.pending, 32)}`, sealed);
        const early = !sealed && isEarlyFrame(this.reader.pending, this.foreseen);
        const why = early ? ': they open as the first frame of the session that they were to grant' : '';
        return { kind: 'garbage', what: `${progress.what}${why}`, elapsed };
      }
      if (progress.kind === 'message') {
        const { message } = progress;
        if (message.version.startsWith('EVENT')) {
          this.keepEvent(message, sealed);
          if (this.events.length > limits.events)
            return { kind: 'garbage', what: `more than ${limits.events} events in a row`, elapsed };
          if (this.eventBytes > limits.eventBytes)
            return {
              kind: 'garbage',
              what: `events of more than ${limits.eventBytes} bytes in a row`,
              elapsed,
            };
          if (untilEvent) return { kind: 'silence', elapsed };
          continue;
        }
        if (message.status < 200) {
          this.observer.message?.(message);
          this.heard(message.startLine, sealed);
          if (++interim > limits.interim)
            return { kind: 'garbage', what: `more than ${limits.interim} interim responses`, elapsed };
          continue;
        }
        return this.reply(message, sealed, elapsed);
      }
      const untilClose = progress.untilClose;
      if (untilClose !== undefined) quiet = clock.now() + QUIET;
      const event = await this.connection.next(Math.min(deadline, quiet));
      const now = clock.now() - start;
      if (event.kind === 'data') {
        this.came();
        const what = this.take(event.bytes);
        if (what !== undefined) return { kind: 'garbage', what, elapsed: now };
        continue;
      }
      if (untilClose !== undefined && untilClose.framing === 'until-close') {
        // On a busy machine the time may be over before what has long come is read: one more look.
        if (event.kind === 'silence' && !clock.virtual) {
          const late = await this.connection.next(clock.now() + 50);
          if (late.kind === 'data') {
            this.connection.unread(late.bytes);
            continue;
          }
        }
        if (event.kind !== 'silence') this.ended(event.kind);
        this.reader = new HttpReader('response');
        return this.reply(untilClose, sealed, now);
      }
      if (event.kind === 'silence') {
        this.trace.record(this.number, { kind: 'silence', waited: now });
        return { kind: 'silence', elapsed: now };
      }
      this.ended(event.kind);
      return { kind: event.kind, elapsed: now };
    }
  }

  /** Gives the reader what came. @returns what is wrong with it, when it is nothing that can be read */
  private take(bytes: Bytes): string | undefined {
    this.trace.record(this.number, { kind: 'received', bytes });
    const plain = this.unseal(bytes);
    if (this.reader.idle) this.readingPlain = false;
    if (plain === 'plaintext') {
      this.readingPlain = true;
      this.reader.feed(bytes);
    } else if (typeof plain === 'string') {
      this.heard(plain, false);
      return plain;
    } else if (plain.length > 0) this.reader.feed(plain);
    return undefined;
  }

  private reply(http: HttpMessage, sealed: boolean, elapsed: number): Outcome {
    const pairing = this.path?.startsWith('/pair');
    const tlv = isPairingBody(http, this.profile, pairing) ? decodeTlv(http.body) : undefined;
    this.heard(`${http.status}  ${describeResponse(http, tlv)}`, sealed, elapsed, tlv?.items);
    const outcome = {
      ...(this.path === undefined && { raw: true }),
      kind: 'reply',
      http,
      tlv,
      sealed,
      secured: this.secured,
      profile: this.profile,
      elapsed,
    } as const;
    this.observer.message?.(http);
    this.observer.reply?.(outcome, this.asked, this.path);
    return outcome;
  }

  /** Bytes behind the last answer, waiting `wait` ms for them: nothing was asked that they could answer. */
  async excess(wait: number): Promise<Bytes> {
    const { pending } = this.reader;
    if (pending.length > 0) return pending;
    const start = this.connection.clock.now();
    const event = await this.connection.next(start + wait);
    this.waited('more', start, event.kind === 'silence' ? 'over' : event.kind);
    if (event.kind !== 'data') {
      if (event.kind !== 'silence') this.ended(event.kind);
      return pending;
    }
    this.trace.record(this.number, { kind: 'received', bytes: event.bytes });
    return event.bytes;
  }

  /** Ends the connection in good order and gives the accessory time to notice: some stay Busy until they do. */
  async close(): Promise<void> {
    if (!this.over) {
      // What has come meanwhile came late; what comes behind our FIN may be an answer to that.
      if (this.silence !== undefined) await this.stillOpen(0);
      else await this.lookForUnasked(0);
      this.trace.record(this.number, { kind: 'we-close' });
      this.connection.finish();
      await this.closes(LINGER);
      this.over = true;
    }
    this.connection.close();
  }
}
