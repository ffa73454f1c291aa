import {
  type Bytes,
  FrameDecoder,
  type Identity,
  type Random,
  type ReceivedFrame,
  type SessionKeys,
  type SetupCode,
  TlvType,
  concat,
  join,
  counterNonce,
  equal,
  hex,
  text,
  utf8,
} from '../protocol/index.js';
import { openIgnoringTag } from './crypto.js';
import { type HttpMessage, HttpReader, header } from '../wire/index.js';
import {
  type Announcement,
  type Behaviour,
  type Endpoint,
  Halt,
  type KnownSession,
  type Pairing,
  type Reply,
  type Requester,
  type Step,
  healthy,
} from './behaviour.js';
import { type Change, Database, HapStatus, type Subscriptions, json } from './database.js';
import { Device } from './device/device.js';
import { PairSetup } from './setup/setup.js';
import { PairVerify, type Verified } from './verify/verify.js';
import { handlePairings } from './pairings/pairings.js';
import { type Store, memoryStore } from './device/store.js';

/** What the accessory wants done on one of its connections, in the order given. */
export type Reaction = {
  readonly connection: number;
  /** Milliseconds to wait before doing it; later reactions on that connection wait too. */
  readonly delay?: number;
} & (
  { readonly kind: 'send'; readonly bytes: Bytes } | { readonly kind: 'close' } | { readonly kind: 'reset' }
);

/** Milliseconds a step takes before its answer goes out; steps left out take no time. */
export type Latency = Partial<Readonly<Record<Step, number>>> | ((step: Step) => number);

/** Up to `maximum` milliseconds, another time for each answer. */
export function randomLatency(random: Random, maximum: number): Latency {
  return () => random.below(maximum + 1);
}

/** Latencies measured on real hardware, by name. */
export const latencies: Readonly<Record<string, Latency>> = {
  /** A microcontroller computing SRP without acceleration. */
  esp32: { 'setup-m2': 1500, 'setup-m4': 2000, 'setup-m6': 700, 'verify-m2': 300, 'verify-m4': 100 },
};

export interface AccessoryOptions {
  readonly code: SetupCode;
  /** Everything the accessory draws comes from here. */
  readonly random: Random;
  /** `healthy` when left out. */
  readonly behaviour?: Behaviour;
  /** In memory when left out. */
  readonly store?: Store;
  /** How long its steps take; at once when left out. */
  readonly latency?: Latency;
  /** Called when pairings or identity have changed, for whoever advertises the accessory. */
  readonly onChange?: () => void;
}

/** One response before it is framed. */
interface Response {
  readonly status: number;
  readonly body?: Bytes;
  readonly contentType?: string;
  readonly step?: Step | undefined;
  /** A pairing request was refused. */
  readonly refused?: boolean;
  /** The session to begin behind this response. */
  readonly verified?: Verified;
  /** Characteristics the request has changed. */
  readonly changes?: readonly Change[];
  /** Characteristics the request subscribed to. */
  readonly subscribed?: readonly Change[];
  /** The request was no HTTP. */
  readonly unreadable?: boolean;
  /** Headers beyond those every response has. */
  readonly headers?: readonly (readonly [string, string])[];
}

/** The secured half of a connection's life. */
interface Secured {
  readonly requester: Requester;
  readonly keys: SessionKeys;
  readonly decoder: FrameDecoder;
  reader: HttpReader;
  /** Frames sent, and those of them that were events. */
  sent: bigint;
  sentInEvents: bigint;
  readonly subscriptions: Subscriptions;
  /** Events that wait, as frames where they were sealed at once, as messages otherwise. */
  held: Bytes[];
}

interface Session {
  readonly number: number;
  readonly verify: PairVerify;
  plain: HttpReader;
  secured: Secured | undefined;
  /** The controller whose session lost its encryption. */
  unsealed: Requester | undefined;
  /** Time of the last byte received. */
  heard: number;
  /** False when nobody is there to serve it. */
  readonly taken: boolean;
  open: boolean;
}

/** What an AirPlay receiver says it understands. */
const PUBLIC =
  'ANNOUNCE, SETUP, RECORD, PAUSE, FLUSH, TEARDOWN, OPTIONS, GET_PARAMETER, SET_PARAMETER, POST, GET';

const JSON_TYPE = 'application/hap+json';

const reasons: Readonly<Record<number, string>> = {
  200: 'OK',
  204: 'No Content',
  207: 'Multi-Status',
  400: 'Bad Request',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  470: 'Connection Authorization Required',
  500: 'Internal Server Error',
};

/** Start and end marker of a JPEG with nothing between: the reference accessory has no camera, only the path. */
const EMPTY_IMAGE = Uint8Array.of(0xff, 0xd8, 0xff, 0xd9);

/** A Map, because a peer names the path: `constructor` would be found in an object. */
const protectedPaths: ReadonlyMap<string, readonly string[]> = new Map([
  ['/accessories', ['GET']],
  ['/characteristics', ['GET', 'PUT']],
  ['/prepare', ['PUT']],
  ['/resource', ['POST']],
]);

/**
 * The reference accessory, sans-I/O: bytes and the time go in, reactions come out. It has no socket and no timer;
 * `now` is milliseconds of any clock that does not run backwards. Never throws on a peer's bytes.
 */
export class Accessory {
  private readonly device: Device;
  private readonly setup: PairSetup;
  private readonly database: Database;
  private readonly latency: Latency;
  private readonly sessions = new Map<number, Session>();
  private last = 0;
  /** The controller whose Pair Verify was the last to succeed. */
  private lastVerified: Requester | undefined;
  /** Pair Setups that came to M6. */
  private setupsDone = 0;
  /** Frames sent in all sessions. */
  private framesSent = 0n;
  /** Most connections that were open at once. */
  private peak = 0;
  private readonly ended = { fin: 0, reset: 0, midFrame: 0 };
  /** The session that ended last. */
  private lastEnded: Secured | undefined;
  /** Subscriptions of sessions that have ended, `controller iid`. */
  private readonly formerSubscriptions = new Set<string>();
  /** Stopped by a request it did not survive. */
  private dead = false;
  /** Since the start: changes of the pairings, and whether there was one at any time. */
  private changes = 0;
  private everPaired: boolean;
  /** Drawn at the start. */
  private readonly boot: Bytes;

  /** @throws InputError when the store holds something unreadable. */
  constructor(options: AccessoryOptions) {
    const { code, random, behaviour = healthy, store = memoryStore(), onChange = () => undefined } = options;
    this.latency = options.latency ?? {};
    const changed = (): void => {
      this.changes++;
      this.everPaired ||= this.pairings.length > 0;
      onChange();
    };
    this.boot = random.fork('start').bytes(6);
    this.device = new Device({ code, random, behaviour, store, onChange: changed });
    this.everPaired = this.pairings.length > 0;
    this.setup = new PairSetup(this.device);
    this.database = new Database(behaviour.serialNumber(code));
  }

  /** Id and key pair; another object after `factoryReset`. */
  get identity(): Identity {
    return this.device.identity;
  }

  get pairings(): readonly Pairing[] {
    return this.device.pairings;
  }

  get failedAttempts(): number {
    return this.device.failedAttempts;
  }

  /**
   * What it says about itself on the network, as of now; addresses and port are where it is served. Undefined when it says
   * nothing.
   */
  announcement(place: {
    readonly addresses: readonly string[];
    readonly port: number;
  }): Announcement | undefined {
    const { changes, everPaired, boot, pairings, failedAttempts } = this;
    const id = text(this.identity.id);
    const { behaviour } = this.device;
    const facts = {
      ...place,
      id,
      ltpk: this.identity.ltpk,
      pairings,
      failedAttempts,
      changes,
      everPaired,
      boot,
    };
    return behaviour.isAnnounced(facts) ? behaviour.announces(facts) : undefined;
  }

  /** What a connection is sent when it comes. */
  get greeting(): Bytes | undefined {
    return this.device.behaviour.greeting;
  }

  /** Milliseconds from a change to its announcement. */
  get announceDelay(): number {
    return this.device.behaviour.announceDelay;
  }

  /** Everything from now on is drawn from `random`. */
  reseed(random: Random): void {
    this.device.random = random;
  }

  /** Drops pairings and failed attempts, takes a new identity, and ends every connection as a reboot does. */
  factoryReset(): Reaction[] {
    this.device.factoryReset();
    return [...this.sessions.values()].map((session) => this.end(session));
  }

  /** A new connection; its number is what `receive` and `closed` are called with. */
  open(now: number): number {
    const number = ++this.last;
    const verify = new PairVerify(this.device, (id) => this.sessionsOf(id, number).length > 0);
    this.sessions.set(number, {
      number,
      verify,
      plain: new HttpReader('request'),
      secured: undefined,
      unsealed: undefined,
      heard: now,
      taken: this.device.behaviour.takesConnection({
        opened: number,
        setupsDone: this.setupsDone,
        open: this.sessions.size,
        peak: this.peak,
        ended: { ...this.ended },
      }),
      open: true,
    });
    this.peak = Math.max(this.peak, this.sessions.size);
    return number;
  }

  /** The connection has ended, whoever ended it, by FIN or by RST. */
  closed(connection: number, _now: number, how: 'close' | 'reset' = 'close'): Reaction[] {
    const session = this.sessions.get(connection);
    if (session === undefined) return [];
    const { secured } = session;
    this.end(session, how === 'reset');
    if (secured === undefined) return [];
    if (how === 'reset' && !this.device.behaviour.survivesReset) {
      this.dead = true;
      return this.stop();
    }
    return this.device.behaviour.endsSiblings ? this.endSessionsOf(secured.requester) : [];
  }

  private endSessionsOf({ id }: Requester): Reaction[] {
    return [...this.sessions.values()]
      .filter(({ secured }) => secured !== undefined && equal(secured.requester.id, id))
      .map((session) => this.end(session));
  }

  /** Bytes that came over `connection`; a connection that has ended takes none. */
  receive(connection: number, bytes: Bytes, now: number): Reaction[] {
    const session = this.sessions.get(connection);
    if (session === undefined) return [];
    if (this.dead) return this.stop();
    if (!session.taken) {
      this.end(session);
      return [{ connection, kind: 'reset' }];
    }
    const out: Reaction[] = [];
    const { behaviour } = this.device;
    const unfinished = [...this.sessions.values()].filter(
      (other) => other !== session && (other.secured?.decoder.pending.length ?? 0) > 0,
    );
    if (behaviour.waitsForFrames(unfinished.length)) return [];
    if (session.secured !== undefined) this.wake(session, now - session.heard, out);
    else this.adopt(session, bytes);
    if (!session.open) return out;
    if (!behaviour.survivesSegment({ bytes, secured: session.secured !== undefined })) this.dead = true;
    else if (session.secured === undefined) this.receivePlain(session, bytes, now, out);
    else if (behaviour.takesAsPlaintext(bytes)) this.receiveInjected(session, bytes, now, out);
    else {
      const { secured } = session;
      this.attempt(() => this.receiveSegment(session, secured, bytes, now, out));
    }
    session.heard = now;
    // Whatever it still wanted to say dies with it.
    return this.dead ? this.stop() : out;
  }

  /** A secured connection that was silent for a while speaks again. */
  private wake(session: Session, idle: number, out: Reaction[]): void {
    switch (this.device.behaviour.afterIdle(idle)) {
      case 'serve':
        return;
      case 'forget-keys':
        session.secured = undefined;
        return;
      case 'timeout-in-plaintext':
        out.push({
          connection: session.number,
          kind: 'send',
          bytes: encodeResponse(this.device.behaviour, { status: 408 }),
        });
        out.push(this.end(session));
        return;
      case 'close':
        out.push(this.end(session));
    }
  }

  /** Bytes on a plain connection that some session is known for. */
  private adopt(session: Session, bytes: Bytes): void {
    if (session.plain.pending.length > 0) return;
    const { carried } = this.device;
    const known = [
      ...this.knownSessions(),
      ...(this.lastEnded ? [knownSession(this.lastEnded)] : []),
      ...(carried.session ? [carried.session] : []),
    ];
    const found = this.device.behaviour.adopts(bytes, known);
    if (found === undefined) return;
    this.secure(session, { requester: found.requester, keys: found.keys });
    session.secured!.decoder.counter = found.counter;
  }

  private knownSessions(except?: Session): KnownSession[] {
    return [...this.sessions.values()].flatMap((other) =>
      other.secured === undefined || other === except ? [] : [knownSession(other.secured)],
    );
  }

  private stop(): Reaction[] {
    const open = [...this.sessions.values()];
    for (const session of open) this.end(session);
    return open.map(({ number }) => ({ connection: number, kind: 'reset' }));
  }

  private receivePlain(session: Session, bytes: Bytes, now: number, out: Reaction[]): void {
    const { pending, inBody } = session.plain;
    const read = this.attempt(() => this.device.behaviour.readPlain({ pending, inBody, bytes }));
    if (read === undefined) return void out.push(this.end(session));
    session.plain.feed(read);
    this.serveAll(session, session.plain, false, now, out);
    // What came in one segment behind the M3 that secured the connection is already sealed.
    if (session.secured === undefined || !session.open) return;
    const rest = session.plain.pending;
    session.plain = new HttpReader('request');
    const { behindM3 } = this.device.behaviour;
    if (rest.length === 0 || behindM3 === 'dropped') return;
    if (behindM3 === 'answered-in-plaintext') this.send(session, { status: 400 }, false, out);
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
    if (read === undefined) return void out.push(this.end(session));
    if (read.forget) secured.decoder.forget();
    this.receiveFrames(session, secured, read.bytes, now, out);
  }

  private receiveInjected(session: Session, bytes: Bytes, now: number, out: Reaction[]): void {
    const reader = new HttpReader('request');
    reader.feed(bytes);
    this.serveAll(session, reader, false, now, out);
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
      if (!behaviour.takesFrame(frame.length)) return void out.push(this.end(session));
      if (frame.plaintext === undefined) {
        this.badFrame(session, secured, frame, now, out);
        if (!session.open) return;
        continue;
      }
      const { pending, inBody } = secured.reader;
      const read = behaviour.readPlaintext({ pending, inBody, plaintext: frame.plaintext });
      if (read.forget) secured.reader = new HttpReader('request');
      secured.reader.feed(read.bytes);
      if (!read.wait) this.serveAll(session, secured.reader, true, now, out);
      if (!session.open) return;
    }
    // Closed at the length bytes: nothing that could come behind them would be accepted.
    const { declared } = secured.decoder;
    if (declared !== undefined && !behaviour.takesFrame(declared)) out.push(this.end(session));
  }

  private badFrame(
    session: Session,
    secured: Secured,
    frame: ReceivedFrame,
    now: number,
    out: Reaction[],
  ): void {
    switch (this.device.behaviour.onBadFrame()) {
      case 'ignore':
        return;
      case 'answer-in-plaintext':
        out.push({
          connection: session.number,
          kind: 'send',
          bytes: encodeResponse(this.device.behaviour, { status: 400 }),
        });
        return;
      case 'close-every-session':
        for (const other of this.sessions.values())
          if (other.secured !== undefined) out.push(this.end(other));
        return;
      case 'close-sessions-of-the-controller':
        out.push(...this.endSessionsOf(secured.requester));
        return;
      case 'serve-and-close': {
        const { keys } = secured;
        const plaintext = openIgnoringTag(
          keys.toAccessory,
          counterNonce(frame.counter),
          frame.wire.subarray(2),
        );
        secured.reader.feed(plaintext ?? new Uint8Array(0));
        this.serveAll(session, secured.reader, true, now, []);
        if (session.open) out.push(this.end(session));
        return;
      }
      case 'close':
        out.push(this.end(session));
    }
  }

  /** Every complete request in `reader`, one after the other, until the connection changes or ends. */
  private serveAll(
    session: Session,
    reader: HttpReader,
    sealed: boolean,
    now: number,
    out: Reaction[],
  ): void {
    const { pipelined } = this.device.behaviour;
    const securedBefore = session.secured;
    for (let served = 0; session.open && session.secured === securedBefore; served++) {
      if (served > 0 && sealed && pipelined !== 'served' && reader.pending.length > 0) {
        if (pipelined === 'stops-it') this.dead = true;
        if (session.secured !== undefined) session.secured.reader = new HttpReader('request');
        return;
      }
      const progress = reader.next();
      if (progress.kind === 'partial') return;
      if (progress.kind === 'invalid') {
        this.send(session, { status: 400, unreadable: true }, sealed, out);
        out.push(this.end(session));
        return;
      }
      this.serve(session, progress.message, sealed, now, out);
    }
  }

  private serve(session: Session, request: HttpMessage, framed: boolean, now: number, out: Reaction[]): void {
    const { behaviour } = this.device;
    const before = this.device.pairings;
    const unseals = framed && request.path === '/pair-verify' && behaviour.verifyInSession === 'in-plaintext';
    if (unseals) {
      session.unsealed = session.secured?.requester;
      session.secured = undefined;
    }
    const sealed = framed && !unseals;
    const admitted = this.attempt(() => this.admit(session, request));
    if (admitted === 'close') return void out.push(this.end(session));
    const response =
      admitted === 'serve'
        ? this.attempt(() => this.respond(session, request, now))
        : typeof admitted === 'number'
          ? { status: admitted }
          : undefined;
    if (response !== undefined) {
      const { verified } = response;
      const early =
        verified !== undefined &&
        (response.step === 'setup-m4'
          ? behaviour.sealsTransientM4
          : behaviour.sealsVerifyM4({ inSession: framed }));
      if (early) this.secure(session, verified);
      this.send(session, response, sealed || early, out, request);
      if (verified !== undefined && !early) this.secure(session, verified);
      const older = verified === undefined ? [] : this.sessionsOf(verified.requester.id, session.number);
      if (older.length > 0 && behaviour.secondSession === 'ends-older')
        for (const one of older) out.push(this.end(one));
      this.notify(session, response, out);
      if (response.step === 'setup-m6' && this.device.pairings.length > 0) this.setupsDone++;
    }
    this.endDeparted(before, session, out);
    const closeRequested = (header(request, 'Connection') ?? '').toLowerCase().includes('close');
    const secured = session.secured !== undefined;
    if (
      session.open &&
      response !== undefined &&
      behaviour.closesAfter({
        step: response.step,
        secured,
        closeRequested,
        refused: response.refused ?? response.status >= 400,
      })
    )
      out.push(this.end(session));
  }

  private admit(session: Session, message: HttpMessage): 'serve' | 'silence' | 'close' | number {
    const others = [...this.sessions.values()].filter((other) => other !== session);
    const halfOpen = others.filter(({ plain }) => plain.inBody || plain.pending.length > 0);
    const { secured } = session;
    const departed =
      secured !== undefined &&
      secured.requester.transient !== true &&
      this.device.find(secured.requester.id) === undefined;
    return this.device.behaviour.admits({
      message,
      secured: secured !== undefined,
      departed,
      others: others.length,
      halfOpen: halfOpen.length,
    });
  }

  /** Silence from what stops the accessory. */
  private attempt<T>(respond: () => T | undefined): T | undefined {
    try {
      return respond();
    } catch (error) {
      if (!(error instanceof Halt)) throw error;
      this.dead = true;
      return undefined;
    }
  }

  /** The response, or undefined for silence. */
  private respond(session: Session, request: HttpMessage, now: number): Response | undefined {
    const { method } = request;
    const [asked = '', query = ''] = request.path.split('?', 2);
    const path = this.device.behaviour.route(asked);
    if (path !== '/pair-verify' && this.device.behaviour.endsVerifyOnOtherRequest) session.verify.forget();
    const barred =
      session.secured?.requester.transient === true
        ? this.device.behaviour.transientStatus({ method, path })
        : undefined;
    if (barred !== undefined) return { status: barred };
    if (path === '*' && method === 'OPTIONS') return { status: 200, headers: [['Public', PUBLIC]] };
    if (path === '/pair-pin-start') return { status: method === 'POST' ? 200 : 405 };
    if (path === '/info') return this.information(method);
    if (path === '/identify') return this.identify(method);
    if (path === '/pair-setup' || path === '/pair-verify' || path === '/pairings')
      return this.respondPairing(session, path, request, now, this.device.behaviour.pairingsMethod(asked));
    const methods = protectedPaths.get(path);
    if (methods === undefined) return { status: 404 };
    if (this.requester(session, method, path) === undefined)
      return {
        ...json(this.device.behaviour.unauthorisedStatus, { status: HapStatus.InsufficientAuthorization }),
        contentType: JSON_TYPE,
      };
    if (!methods.includes(method)) return { status: 405 };
    const subscriptions = session.secured?.subscriptions ?? new Map<number, boolean>();
    if (path === '/accessories') return { ...this.database.accessories(), contentType: JSON_TYPE };
    if (path === '/prepare') return { ...json(200, { status: HapStatus.Success }), contentType: JSON_TYPE };
    if (path === '/resource') return { status: 200, body: EMPTY_IMAGE, contentType: 'image/jpeg' };
    return {
      ...(method === 'GET'
        ? this.database.read(query, subscriptions)
        : this.database.write(request.body, subscriptions)),
      contentType: JSON_TYPE,
    };
  }

  private respondPairing(
    session: Session,
    path: '/pair-setup' | '/pair-verify' | '/pairings',
    request: HttpMessage,
    now: number,
    only: number | undefined,
  ): Response | undefined {
    if (request.method !== 'POST') return { status: 405 };
    const message = this.device.behaviour.decode(request.body);
    const setup = this.setup.progress(session.number);
    if (!this.device.behaviour.survives({ endpoint: path.slice(1) as Endpoint, message, setup })) {
      this.dead = true;
      return undefined;
    }
    if (path === '/pair-setup') {
      const situation = { ...this.setupElsewhere(session, now), secured: session.secured !== undefined };
      const { reply, verified } = this.setup.handle(session.number, message, situation);
      const response = this.finish(reply);
      if (response?.refused === true) session.verify.setupRefused = true;
      return response && verified ? { ...response, verified } : response;
    }
    if (path === '/pair-verify') {
      // A second Pair Verify inside a session would have to switch keys in the middle of it.
      if (session.secured !== undefined && this.device.behaviour.verifyInSession === 'refused')
        return { status: 400 };
      const { reply, verified } = session.verify.handle(message);
      const response = this.finish(reply);
      return response && verified ? { ...response, verified } : response;
    }
    const requester = this.requester(session, request.method, path);
    if (requester === undefined) return { status: this.device.behaviour.unauthorisedStatus };
    if (only !== undefined && message.get(TlvType.Method)?.[0] !== only) return { status: 400 };
    return this.finish(handlePairings(this.device, message, requester));
  }

  private information(method: string): Response {
    if (method !== 'GET') return { status: 405 };
    const { id, ltpk } = this.identity;
    const body = utf8(this.device.behaviour.information({ id: text(id), ltpk }));
    return { status: 200, body, contentType: 'text/x-apple-plist+xml' };
  }

  private identify(method: string): Response {
    if (method !== 'POST') return { status: 405 };
    if (this.device.pairings.length === 0) return { status: 204 };
    return { ...json(400, { status: HapStatus.InsufficientPrivileges }), contentType: JSON_TYPE };
  }

  private requester(session: Session, method: string, path: string): Requester | undefined {
    const { behaviour, pairings } = this.device;
    const owner = session.secured?.requester ?? session.unsealed;
    const transient = owner?.transient === true;
    const verified = transient ? undefined : owner;
    const { sawM1, claimed } = session.verify;
    const { lastVerified } = this;
    return behaviour.servesAs({
      method,
      path,
      verified,
      transient,
      sawVerifyM1: sawM1,
      claimed,
      lastVerified,
      pairings,
    });
  }

  /** Other connections on which this controller has a session. */
  private sessionsOf(id: Bytes, except: number): Session[] {
    return [...this.sessions.values()].filter(
      ({ number, secured }) => number !== except && secured !== undefined && equal(secured.requester.id, id),
    );
  }

  /** What another connection that holds Pair Setup means for an M1 on this one. */
  private setupElsewhere(session: Session, now: number): { busy: boolean; abandoned: boolean } {
    const others = this.setup.holders.filter((number) => number !== session.number);
    if (others.length === 0) return { busy: false, abandoned: false };
    const { setupContention, setupPatience } = this.device.behaviour;
    if (setupContention !== 'busy') return { busy: false, abandoned: false };
    const busy = others.some((number) => {
      const holder = this.sessions.get(number);
      return holder === undefined || now - holder.heard < setupPatience;
    });
    return { busy, abandoned: !busy };
  }

  private finish(reply: Reply): Response | undefined {
    const { behaviour } = this.device;
    if (!behaviour.answers(reply)) return undefined;
    const { step } = reply;
    const status = behaviour.status(reply);
    const refused = status !== 200 || reply.items.some(({ type }) => type === TlvType.Error);
    if (!behaviour.sendsBody(reply, status)) return { status, step, refused };
    return {
      status,
      step,
      refused,
      contentType: behaviour.contentType(step),
      body: behaviour.encode(step, behaviour.beforeSending(reply)),
    };
  }

  private secure(session: Session, { requester, keys: fresh }: Verified): void {
    const { behaviour } = this.device;
    const { secured: old } = session;
    const keys = old === undefined ? fresh : behaviour.rekeyed({ former: old.keys, fresh });
    const former = old && { keys: old.keys, counter: old.decoder.counter };
    if (requester.transient !== true) this.lastVerified = requester;
    const decoder: FrameDecoder = new FrameDecoder((count, length, sealed) => {
      const outwards = { inMessage: 0, event: false, eventCount: 0n, everywhere: 0n };
      const counter = behaviour.frameCounter({ direction: 'in', count, other: secured.sent, ...outwards });
      const opened = behaviour.openFrame({
        keys,
        counter,
        header: length,
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
      [...this.sessions.values()].flatMap((other) =>
        other !== session && other.secured !== undefined && which(other) ? [knownSession(other.secured)] : [],
      );
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
  }

  private send(
    session: Session,
    response: Response,
    sealed: boolean,
    out: Reaction[],
    request?: HttpMessage,
  ): void {
    const { behaviour } = this.device;
    const { step, status, unreadable = false } = response;
    const extra = [
      ...(request === undefined ? [] : behaviour.answeringHeaders(request)),
      ...(response.headers ?? []),
      ...behaviour.extraHeaders(this.device.code),
    ];
    const message = encodeResponse(behaviour, response, extra, request?.version);
    const secured =
      sealed && behaviour.sealsMessage({ kind: 'response', status, unreadable })
        ? session.secured
        : undefined;
    const { latency } = this;
    const given = step === undefined ? 0 : typeof latency === 'function' ? latency(step) : latency[step];
    const delay = step === undefined ? 0 : (given ?? behaviour.takes(step));
    const bytes = secured ? this.sealWithHeld(secured, message) : message;
    out.push({ connection: session.number, kind: 'send', bytes, ...(delay > 0 && { delay }) });
  }

  /** The frames of a response, and of the events that had to wait for it. */
  private sealWithHeld(secured: Secured, message: Bytes): Bytes {
    const { eventPlacement } = this.device.behaviour;
    if (eventPlacement !== 'sealed-when-queued' && eventPlacement !== 'inside-response')
      return this.seal(secured, message);
    const waiting = secured.held;
    const [first, ...rest] = this.device.behaviour.cutFrames(message);
    if (eventPlacement === 'inside-response') {
      if (rest.length === 0 || waiting.length === 0) return this.seal(secured, message);
      secured.held = [];
      return concat(
        this.seal(secured, first!),
        ...waiting.map((event) => this.seal(secured, event, true)),
        this.seal(secured, join(rest)),
      );
    }
    secured.held = [];
    return concat(this.seal(secured, message), ...waiting);
  }

  private seal(secured: Secured, message: Bytes, event = false): Bytes {
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
        everywhere: this.framesSent,
      });
      secured.sent++;
      if (event) secured.sentInEvents++;
      this.framesSent++;
      return behaviour.sealFrame({ keys, counter, plaintext });
    });
    return frames.length === 1 ? frames[0]! : join(frames);
  }

  /** Tells the connections that are to hear of it what a request has changed. */
  private notify(writer: Session, response: Response, out: Reaction[]): void {
    const { changes = [], subscribed = [] } = response;
    const causes = [
      ...changes.map((change) => ({ change, cause: 'write' as const })),
      ...subscribed.map((change) => ({ change, cause: 'subscription' as const })),
    ];
    if (causes.length === 0) return;
    const { behaviour } = this.device;
    for (const listener of this.sessions.values()) {
      const { secured } = listener;
      const heard = causes.filter(({ change: { iid }, cause }) =>
        behaviour.notifies({
          cause,
          secured: secured !== undefined,
          subscribed: secured?.subscriptions.get(iid) === true,
          unsubscribed: secured?.subscriptions.get(iid) === false,
          subscribedBefore:
            secured !== undefined && this.formerSubscriptions.has(subscriptionOf(secured.requester, iid)),
          isWriter: listener === writer,
        }),
      );
      if (heard.length > 0)
        this.sendEvent(
          listener,
          heard.map(({ change }) => change),
          out,
        );
    }
  }

  private sendEvent(listener: Session, changes: readonly Change[], out: Reaction[]): void {
    const { behaviour } = this.device;
    const { body } = json(200, { characteristics: changes });
    const headers = [['Content-Type', JSON_TYPE] as const];
    const message = behaviour.write({ startLine: behaviour.eventStartLine, headers, body });
    const { secured } = listener;
    const push = (bytes: Bytes): void => void out.push({ connection: listener.number, kind: 'send', bytes });
    if (secured === undefined || !behaviour.sealsMessage({ kind: 'event', status: 200, unreadable: false }))
      return push(message);
    switch (behaviour.eventPlacement) {
      case 'at-once':
        return push(this.seal(secured, message, true));
      case 'sealed-when-queued':
        secured.held.push(this.seal(secured, message, true));
        return;
      case 'inside-response':
        secured.held.push(message);
        return;
      case 'behind-the-next': {
        const [older] = secured.held;
        secured.held = older === undefined ? [message] : [];
        if (older === undefined) return;
        push(this.seal(secured, message, true));
        push(this.seal(secured, older, true));
      }
    }
  }

  /** Ends the sessions that a change of the pairings ends. */
  private endDeparted(before: readonly Pairing[], current: Session, out: Reaction[]): void {
    const { pairings, behaviour } = this.device;
    if (before === pairings) return;
    const removal = pairings.length < before.length;
    const ending = [...this.sessions.values()].filter(
      ({ secured }) =>
        secured !== undefined && behaviour.endsSession({ requester: secured.requester, pairings, removal }),
    );
    // The one that asked comes last, so that all others are gone when its close is seen.
    for (const session of ending) if (session !== current) out.push(this.end(session));
    if (ending.includes(current)) out.push(this.end(current));
  }

  private end(session: Session, reset = false): Reaction {
    const { secured } = session;
    if (session.open && secured !== undefined) {
      this.ended[reset ? 'reset' : 'fin']++;
      if (secured.decoder.pending.length > 0) this.ended.midFrame++;
      this.lastEnded = secured;
      for (const [iid, on] of secured.subscriptions)
        if (on) this.formerSubscriptions.add(subscriptionOf(secured.requester, iid));
    }
    session.open = false;
    this.sessions.delete(session.number);
    this.setup.closed(session.number, { partial: session.plain.pending.length > 0, reset });
    return { connection: session.number, kind: 'close' };
  }
}

function knownSession({ requester, keys, decoder }: Secured): KnownSession {
  return { requester, keys, counter: decoder.counter };
}

function subscriptionOf({ id }: Requester, iid: number): string {
  return `${hex(id)} ${iid}`;
}

function encodeResponse(
  behaviour: Behaviour,
  { status, body, contentType }: Response,
  extra: readonly (readonly [string, string])[] = [],
  version = 'HTTP/1.1',
): Bytes {
  const startLine = `${behaviour.responseVersion(version)} ${status} ${reasons[status] ?? 'Unknown'}`;
  // A 204 has no Content-Length (RFC 9110 §8.6); with one, controllers have waited for a body.
  if (status === 204) return behaviour.write({ startLine, headers: extra, body: undefined });
  if (body === undefined) return behaviour.write({ startLine, headers: extra, body: new Uint8Array(0) });
  const type = contentType === undefined ? [] : [['Content-Type', contentType] as const];
  return behaviour.write({ startLine, headers: [...type, ...extra], body });
}
