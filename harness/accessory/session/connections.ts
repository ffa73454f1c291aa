import { type Bytes, type FrameDecoder, type SessionKeys, equal, hex } from '../../protocol/index.js';
import { HttpReader } from '../../wire/index.js';
import type { Subscriptions } from '../database.js';
import type { Device } from '../device/device.js';
import { Halt, type KnownSession, type Pairing, type Requester } from '../facts.js';
import type { PairSetup, SetupDecisions } from '../setup/setup.js';
import { PairVerify, type VerifyDecisions } from '../verify/verify.js';

/** What the accessory wants done on one of its connections, in the order given. */
export type Reaction = {
  readonly connection: number;
  /** Milliseconds to wait before doing it; later reactions on that connection wait too. */
  readonly delay?: number;
} & (
  { readonly kind: 'send'; readonly bytes: Bytes } | { readonly kind: 'close' } | { readonly kind: 'reset' }
);

/** The secured half of a connection's life. */
export interface Secured {
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

export interface Session {
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
  /** Nobody reads what comes over it any more. */
  mute: boolean;
  open: boolean;
}

/** A connection that a peer has opened. */
export interface Arrival {
  /** Connections since the accessory was started, this one included. */
  readonly opened: number;
  /** Pair Setups that came to M6 since the accessory was started. */
  readonly setupsDone: number;
  /** Connections open now, this one not included. */
  readonly open: number;
  /** Most connections that were ever open at once, this one not included. */
  readonly peak: number;
  /** It was started with pairings, and no controller has verified since. */
  readonly starting: boolean;
  /** Milliseconds since the first connection of this start. */
  readonly sinceFirst: number;
  /** Milliseconds since anybody said something, or came. */
  readonly quiet: number;
  /** Milliseconds the most silent of the open sessions has said nothing. */
  readonly longestSilence: number;
  /** Secured connections that have ended, by how they did. */
  readonly ended: {
    readonly fin: number;
    readonly reset: number;
    /** Those of both that ended with a frame half received. */
    readonly midFrame: number;
  };
}

/** An open session when the pairings have changed. */
export interface SessionFacts {
  readonly requester: Requester;
  /** As they are now. */
  readonly pairings: readonly Pairing[];
  /** There were more before. */
  readonly removal: boolean;
}

/** The connections that are open, and what is known of those that have ended. */
export class Connections {
  private readonly sessions = new Map<number, Session>();
  private last = 0;
  /** The controller whose Pair Verify was the last to succeed. */
  lastVerified: Requester | undefined;
  /** Stopped by a request it did not survive. */
  dead = false;

  // For faulty twins

  /** Pair Setups that came to M6. */
  setupsDone = 0;
  /** Most connections that were open at once. */
  private peak = 0;
  /** Time of the first connection. */
  private firstAt: number | undefined;
  /** When somebody came last, or said something. */
  active: number | undefined;
  private readonly ended = { fin: 0, reset: 0, midFrame: 0 };
  /** The session that ended last. */
  private lastEnded: Secured | undefined;
  /** Subscriptions of sessions that have ended, `controller iid`. */
  private readonly formerSubscriptions = new Set<string>();

  constructor(
    private readonly device: Device<ConnectionDecisions & VerifyDecisions & SetupDecisions>,
    private readonly setup: PairSetup,
  ) {}

  /** Nobody who was paired at the start has verified yet. */
  private get starting(): boolean {
    return this.device.startedPaired && this.lastVerified === undefined;
  }

  get all(): readonly Session[] {
    return [...this.sessions.values()];
  }

  get(number: number): Session | undefined {
    return this.sessions.get(number);
  }

  /** A new connection; its number is what everything later on it is told by. */
  open(now: number): number {
    const number = ++this.last;
    const verify = new PairVerify(this.device, (id) => this.ofController(id, number).length > 0);
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
        starting: this.starting,
        sinceFirst: now - (this.firstAt ??= now),
        ended: { ...this.ended },
        quiet: now - (this.active ?? now),
        longestSilence: Math.max(
          0,
          ...this.all.filter(({ secured }) => secured !== undefined).map(({ heard }) => now - heard),
        ),
      }),
      mute: false,
      open: true,
    });
    this.active = now;
    this.peak = Math.max(this.peak, this.sessions.size);
    return number;
  }

  /** The connection has ended, whoever ended it, by FIN or by RST. */
  closed(connection: number, how: 'close' | 'reset'): Reaction[] {
    const session = this.sessions.get(connection);
    if (session === undefined) return [];
    const { secured } = session;
    const twin: ConnectionAsides = this.device.behaviour;
    const partial = session.plain.pending.length > 0;
    this.end(session, how === 'reset');
    if (secured === undefined) {
      if (this.starting && twin.forgetsAtStart({ partial, reset: how === 'reset', peak: this.peak }))
        this.device.removeAll();
      return [];
    }
    if (how === 'reset' && !twin.survivesReset) {
      this.dead = true;
      return this.stop();
    }
    return twin.endsSiblings ? this.endSessionsOf(secured.requester) : [];
  }

  end(session: Session, reset = false): Reaction {
    if (session.open && session.secured !== undefined) this.remember(session.secured, reset);
    session.open = false;
    this.sessions.delete(session.number);
    this.setup.closed(session.number, { partial: session.plain.pending.length > 0, reset });
    return { connection: session.number, kind: 'close' };
  }

  endAll(): Reaction[] {
    return this.all.map((session) => this.end(session));
  }

  endSessionsOf({ id }: Requester): Reaction[] {
    return this.ofController(id).map((session) => this.end(session));
  }

  /** Ends the sessions that a change of the pairings ends. */
  endDeparted(before: readonly Pairing[], current: Session, out: Reaction[]): void {
    const { pairings, behaviour } = this.device;
    if (before === pairings) return;
    const removal = pairings.length < before.length;
    const ending = this.all.filter(
      ({ secured }) =>
        secured !== undefined && behaviour.endsSession({ requester: secured.requester, pairings, removal }),
    );
    // The one that asked comes last, so that all others are gone when its close is seen.
    for (const session of ending) if (session !== current) out.push(this.end(session));
    if (ending.includes(current)) out.push(this.end(current));
  }

  /** Sessions of this controller, those on connection `except` left out. */
  ofController(id: Bytes, except?: number): Session[] {
    return this.all.filter(
      ({ number, secured }) => number !== except && secured !== undefined && equal(secured.requester.id, id),
    );
  }

  /** The sessions of which this is true, as another connection might look at them. */
  known(which: (session: Session) => boolean = () => true): KnownSession[] {
    return this.all.flatMap((session) =>
      session.secured !== undefined && which(session) ? [knownSession(session.secured)] : [],
    );
  }

  // For faulty twins

  /** The session that ended last. */
  get knownLast(): KnownSession[] {
    return this.lastEnded === undefined ? [] : [knownSession(this.lastEnded)];
  }

  /** Whether the controller subscribed on a connection that has ended. */
  subscribedBefore(requester: Requester, iid: number): boolean {
    return this.formerSubscriptions.has(subscriptionOf(requester, iid));
  }

  private remember(secured: Secured, reset: boolean): void {
    this.ended[reset ? 'reset' : 'fin']++;
    if (secured.decoder.pending.length > 0) this.ended.midFrame++;
    this.lastEnded = secured;
    for (const [iid, on] of secured.subscriptions)
      if (on) this.formerSubscriptions.add(subscriptionOf(secured.requester, iid));
  }

  /** Silence from what stops the accessory. */
  attempt<T>(respond: () => T | undefined): T | undefined {
    try {
      return respond();
    } catch (error) {
      if (!(error instanceof Halt)) throw error;
      this.dead = true;
      return undefined;
    }
  }

  /** Resets everything that is open. */
  stop(): Reaction[] {
    const open = this.all;
    for (const session of open) this.end(session);
    return open.map(({ number }) => ({ connection: number, kind: 'reset' }));
  }
}

export function knownSession({ requester, keys, decoder }: Secured): KnownSession {
  return { requester, keys, counter: decoder.counter };
}

function subscriptionOf({ id }: Requester, iid: number): string {
  return `${hex(id)} ${iid}`;
}

/** Who is let in, and how a session ends. */
export interface ConnectionDecisions extends ConnectionAsides {
  /** True to end this session when the pairings have changed to these. */
  endsSession(session: SessionFacts): boolean;
}

/** What only a faulty twin answers otherwise. */
export interface ConnectionAsides {
  /** False to reset the connection at its first byte: there is nobody to serve it. */
  takesConnection(arrival: Arrival): boolean;
  /** What a connection is sent before it has asked for anything. */
  readonly greeting: Bytes | undefined;
  /** False when a secured connection that ends by RST stops the whole accessory. */
  readonly survivesReset: boolean;
  /** True to lose all pairings by the end of a plain connection, where nobody has verified since the start. */
  forgetsAtStart(end: { readonly partial: boolean; readonly reset: boolean; readonly peak: number }): boolean;
  /** True to end the other sessions of a controller with each that ends. */
  readonly endsSiblings: boolean;
}

export const healthyConnections: ConnectionDecisions = {
  endsSession: ({ requester, pairings }) =>
    requester.transient !== true && !pairings.some(({ id }) => equal(id, requester.id)),

  takesConnection: () => true,
  greeting: undefined,
  survivesReset: true,
  forgetsAtStart: () => false,
  endsSiblings: false,
};
