import {
  type Bytes,
  type Identity,
  Method,
  type Peer,
  Permission,
  type Random,
  type ReceivedFrame,
  type SetupCode,
  TlvError,
  type TlvItem,
  TlvType,
  equal,
  fromHex,
  hex,
  listPairings,
  removePairing,
  setupM1,
  text,
} from '../protocol/index.js';
import type { X509Certificate } from 'node:crypto';
import { type PairingsList, readPairings } from '../controller/index.js';
import { type Clock, type Dialer, type Patience, Trace, Unreachable } from '../wire/index.js';
import { Controller, type Session } from './controller.js';
import type { Announcements } from './discovery.js';
import { Blocked, StepFailed } from './errors.js';
import { Gate } from './gate.js';
import { HookFailed } from './hooks.js';
import { Link, type Wait } from './link.js';
import { type Lockout, guess } from './lockout.js';
import { type Outcome, describeOutcome, success } from './outcome.js';
import { type Feature, type KeyNames, type Profile, hapProfile } from './profile.js';
import { Pace, type Waits, fixedWaits } from './waits.js';

/** What a check needs the accessory to be when it starts; `locked` has refused a hundred guesses and says MaxTries. */
export type PairingState = 'any' | 'unpaired' | 'paired' | 'locked';

/** What the harness knows: unpaired, paired by this run, paired by someone else, or to be found out. */
export type KnownState = 'unpaired' | 'ours' | 'foreign' | 'unknown';

export interface BenchOptions {
  readonly dialer: Dialer;
  readonly code: SetupCode | undefined;
  /** The user gave it: it is no default. */
  readonly codeGiven?: boolean;
  readonly random: Random;
  readonly patience: Patience;
  readonly profile?: Profile;
  /** Who may have issued the certificate of an authentication coprocessor; not judged when left out. */
  readonly mfiRoots?: readonly X509Certificate[];
  /** What the user says the accessory can do, beyond what it announces. */
  readonly declares?: readonly Feature[];
  /** Text of the Host header. */
  readonly host?: string;
  /** Gives an embedded accessory the randomness of one check, so that no check depends on its neighbours. */
  readonly reseed?: (label: string) => void;
  readonly hooks?: Hooks;
  /** Milliseconds between two connections, for accessories that need time to breathe. */
  readonly pace?: number;
  /** What the accessory announces on the network; nothing is listened to when left out. */
  readonly announcements?: Announcements;
  /** Survives the process: keys that may be in the accessory, attempts spent. */
  readonly memory?: Memory;
}

/** What may be done to the accessory from outside. Each resolves when the accessory answers again. */
export interface Hooks {
  /** Restores the unpaired factory state. @throws HookFailed */
  readonly reset?: () => Promise<void>;
  /** Power-cycles, keeping state. @throws HookFailed */
  readonly restart?: () => Promise<void>;
}

/** An identity of an earlier run. */
export interface RememberedIdentity {
  readonly identity: Identity;
  /** The accessory said that it stored it. */
  readonly confirmed?: boolean;
  /** The accessory as it named itself then. */
  readonly accessory?: Peer | undefined;
}

/** Why a key is kept that nothing more is done with: it opens the accessory, or that cannot be told. */
export interface Held {
  readonly is: 'in' | 'doubtful';
  readonly why: string;
}

/** What Pair Verify says of a key: it opens the accessory, an accessory that proves itself refuses it, or neither. */
interface Standing {
  readonly is: 'in' | 'out' | 'doubtful';
  readonly why: string;
  /** Pair Verify was refused before it came to the key: it is open to nobody. */
  readonly shut?: boolean;
}

/** What came of taking a key out. */
interface Departure extends Standing {
  /** It was in the accessory. */
  readonly wasIn: boolean;
  /** The accessory answered that it removed it. */
  readonly acknowledged: boolean;
}

/** What must be on disk before it is in the accessory. */
export interface Memory {
  /** Returns when the identity is safe: only then may it be sent. */
  remember(identity: Identity, how: 'pair-setup' | 'add-pairing'): void;
  /** M6 (or a reply to Add) says it is in the accessory. */
  confirmed(identity: Identity, accessory: Peer | undefined): void;
  forget(identity: Identity): void;
  /** Identities of earlier runs that may still be in the accessory, the most promising first. */
  identities(): readonly RememberedIdentity[];
  /** Failed attempts since the last reset, over runs. */
  readonly attempts: number;
  spend(attempts: number): void;
  wasReset(): void;
}

/** A message of the run as watches see it. */
export interface Heard {
  readonly topic: Topic;
  readonly payload: unknown;
}
export type Topic =
  | 'setup-m2'
  | 'setup-m4'
  | 'setup-m6'
  | 'authentication'
  | 'verify-m2'
  | 'verify-m4'
  | 'pairings'
  | 'pairing-reply'
  | 'error-reply'
  | 'frame'
  | 'secured'
  | 'message'
  | 'admission'
  | 'readable';

/** Something only the two ends of an exchange may know. */
export interface Secret {
  readonly what: string;
  readonly bytes: Bytes;
}

/** Mutable counters of what the accessory was asked to do. */
export interface Spent {
  m2: number;
  m4: number;
  m6: number;
  verifies: number;
  attempts: number;
  resets: number;
  accessoryMs: number;
}

/** Bytes of an identifier as controllers have it. */
const UUID_LENGTH = 36;
/** The requirement behind every return to the unpaired state. */
const UNPAIRING = 'PAIRINGS-19';
/** How long an accessory may take to boot, and to answer a first request (ms). */
const COME_BACK = 60_000;
const READY_ANSWER = 2_000;
const goneFor = `did not answer within ${COME_BACK / 1000} s`;
/** Guesses made to lock the accessory: it should after 100, and one that has not by now never will. */
const MOST_GUESSES = 130;
/** Guesses on one connection, so that a counter kept for each shows. */
const GUESSES_EACH = 10;
/** Sessions opened at most to remove what failed checks left. */
const MOST_GUESTS = 48;
/** How long (ms) a first connection is listened to before anything is asked. */
const GREETING = 250;
/** How long another controller may hold Pair Setup before the run begins (ms). */
const SOMEBODY_ELSE = 45_000;

/** Pauses (ms) before an answer is asked for again that an accessory may have given too early. */
const ASK_AGAIN = [500, 1_500, 3_000];
/** Pauses (ms) in which a removal that was answered, or whose answer was lost, may come into effect. */
const REMOVAL_EFFECT = [0, 250, 750, 1_500, 2_500];
/** How often the removal of one pairing is asked for. */
const REMOVALS = 2;
/** Keys of earlier runs that are tried in one run, and how long (ms) no further one is begun: those behind are kept. */
const KEYS_LEFT = { most: 48, time: 60_000 };
/** The same for keys of this run. */
const KEYS_OWN = { most: 512, time: 60_000 };
/** Keys said to be stored that are tried in an accessory that says it is free. */
const MOST_CONFIRMED = 8;
/** Looks at most until the state is told. */
const MOST_LOOKS = 64;
/** How often a run that found the accessory free doubts that somebody else has paired it since. */
const MOST_DOUBTS = 3;

/** Secrets kept in mind: some exchanges back, so that looking for all of them in every byte stays cheap. */
const SECRETS = 24;

/** The accessory under test and all the harness knows of it: states, identities, price, trace. */
export class Bench {
  readonly clock: Clock;
  readonly trace: Trace;
  /** Narrowed by what the accessory is found to serve. */
  profile: Profile;
  readonly spent: Spent = { m2: 0, m4: 0, m6: 0, verifies: 0, attempts: 0, resets: 0, accessoryMs: 0 };
  state: KnownState = 'unknown';
  /** The controller that paired, while the accessory is ours. */
  admin: Identity | undefined;
  /** The accessory's identity as M6 claimed it. */
  accessory: Peer | undefined;
  /** Requirements found violated in a way that makes flows over them useless, with what was seen. */
  readonly broken = new Map<string, string>();
  /** The check of the plain flow that showed that a paired accessory answers nothing any more. */
  deadly: string | undefined;
  /** What watches have objected to, by their id. */
  readonly violated = new Map<string, string>();
  /** Requirements in `broken` that a step of the plain flow showed, and none of their own checks yet. */
  readonly metOnTheWay = new Set<string>();
  /** Every identity that left in an M5 or Add, also in one that had to be refused: it may be in the accessory. */
  readonly sentIdentities: Identity[] = [];
  /** Keys that are kept, and that nothing more is done with for now. */
  readonly held = new Map<Identity, Held>();
  /** The last decision about the state: what, from which exchange, when. */
  decision = '';
  /** Identities found in the accessory and removed, of this run or an earlier one. */
  readonly recovered: Identity[] = [];
  /** Secret keys made in this run, for redaction. */
  readonly keys: Uint8Array[] = [];
  /** Secrets of the latest exchanges, for the watch over leaks. */
  readonly secrets: Secret[] = [];
  /** The accessory did something forbidden in this run: what M1 says about its pairings is not trusted alone. */
  misbehaved = false;
  /** The accessory answered on a fresh connection since the runner last set this to false. */
  answeredAfresh = false;
  /** Identifiers (hex) of the controllers added and not removed again. */
  readonly guests = new Set<string>();
  /** Identifiers (hex) of every Add of the check that runs: one that fails may have left them, whatever was answered. */
  readonly offered = new Set<string>();
  /** Whom a receiver was paired with when its list was read first, by identifier (hex). */
  residents: Set<string> | undefined;
  /** What a receiver does not serve of administration, by Method, and how that was answered. */
  readonly unserved = new Map<number, string>();
  /** What of it has been answered. */
  readonly served = new Set<number>();
  /** An Add or an M5 was answered by MaxPeers in the check that runs. */
  metMaxPeers = false;
  /** A receiver that answers M6 and knows nobody in Pair Verify: why, once it has a transient session to offer. */
  keepsNobody: string | undefined;
  /** The check that runs is about sessions, and a transient one has to do. */
  insteadOfVerified = false;
  /** A receiver admits admins alone: its plain users cannot verify; undefined until one has tried. */
  adminsOnly: boolean | undefined;
  /** The one pairing of this run that a receiver keeps and may keep: who checks start from is this one from then on. */
  private anchor: Identity | undefined;
  /** Why nobody can be taken out of a receiver again, once that is known. */
  private keepsAll: string | undefined;
  /** Controllers a receiver keeps, in the order in which a check that needs another one takes them. */
  private readonly kept: Identity[] = [];
  /** Identifiers (hex) of plain users. */
  private readonly plain = new Set<string>();
  /** How many of them the check that runs has taken. */
  private taken = 0;
  /** The list of pairings could not be read where it could before: only pairing anew makes sure of it. */
  listDoubtful = false;
  /** The names by which the keys of a transient Pair Setup go here, once one has come about. */
  transientNames: KeyNames | undefined;
  /** Why there is no transient Pair Setup, once that is known. */
  noTransient: string | undefined;
  /** Topics no message will come of, and why. */
  readonly absent = new Map<Topic, string>();
  /** What the guesses came to, while the accessory is locked by them. */
  lockout: Lockout | undefined;
  /** A check has run that may leave the accessory locked: only a factory reset makes it what it was. */
  tainted = false;
  /** Why no answer of this accessory tells anything: it speaks before it is asked. */
  useless: string | undefined;
  /** Told how far a check that takes minutes has come. */
  onProgress: ((done: number, most: number, what: string) => void) | undefined;
  /** How Pair Setup and Pair Verify are begun, over the run. */
  readonly gates = {
    setup: new Gate('Pair Setup', (admission) => this.emit('admission', admission)),
    verify: new Gate('Pair Verify', (admission) => this.emit('admission', admission)),
  };
  /** How fast the accessory is, and how long it is waited for accordingly. */
  readonly pace: Pace;
  /** Told of every wait for the accessory, and of every pause. */
  onWait: ((wait: Wait) => void) | undefined;
  /** The shortest time (ms) in which the accessory came to an M2, and to an M4. */
  private readonly quickest = { m2: Infinity, m4: Infinity };
  /** Set by the runner: gets every message for the watches. */
  onHeard: ((heard: Heard) => void) | undefined;

  private links: Link[] = [];
  private connections = 0;
  private lastOpened = -Infinity;
  private localAttempts = 0;
  private resetFailed: HookFailed | undefined;
  /** Who the accessory was when it took an identity. */
  private readonly peers = new Map<Identity, Peer>();
  /** Identities the accessory said it stored. */
  private readonly confirmed = new Set<Identity>();
  /** M1 was answered by M2 since anything of ours left: nothing of it is in an accessory that tells. */
  private seenFree = false;
  /** It was paired by somebody else when it was looked at first. */
  private foundForeign = false;
  /** How the accessory named itself when it last let a key of ours in. */
  private heard: Bytes | undefined;
  /** A removal was met by silence: the next ones are not waited for as long, and Pair Verify tells what they came to. */
  private removalsSilent = false;
  private doubts = 0;
  /** The last Busy that was waited out: since when it was (ms), and for how long. */
  private lastBusy = { since: -1, for: 0 };
  private showsNoCode = false;

  constructor(readonly options: BenchOptions) {
    this.clock = pausesTold(options.dialer.clock, (wait) => this.onWait?.(wait));
    this.pace = new Pace(options.patience, this.clock);
    this.trace = new Trace(() => this.clock.now());
    this.profile = options.profile ?? hapProfile;
  }

  private readonly declared = new Map<Feature, boolean>();

  /** Whether the accessory can do this by its own account, or by the user's. */
  async declares(feature: Feature): Promise<boolean> {
    let known = this.declared.get(feature) ?? this.options.declares?.includes(feature);
    if (known !== true) {
      const announced = await this.options.announcements?.current();
      known = announced !== undefined && this.profile.declares[feature](announced.txt);
    }
    this.declared.set(feature, known);
    return known;
  }

  emit(topic: Topic, payload: unknown): void {
    this.onHeard?.({ topic, payload });
  }

  /** Keeps a secret of this run in mind; the oldest of many are forgotten. */
  keepSecret(what: string, bytes: Bytes): void {
    this.secrets.push({ what, bytes });
    if (this.secrets.length > SECRETS) this.secrets.shift();
  }

  /** How often a controller was made under each label. */
  private readonly labels = new Map<string, number>();

  /** The reference controller for one check, with the randomness of its id. */
  controller(label: string, waits: Waits = fixedWaits(this.options.patience)): Controller {
    const times = (this.labels.get(label) ?? 0) + 1;
    this.labels.set(label, times);
    // An embedded accessory that went on from the same seed would send the same B a second time.
    this.options.reseed?.(times === 1 ? label : `${label}, time ${times}`);
    return new Controller(this, this.options.random.fork(label), waits);
  }

  /** @throws Unreachable when no connection comes about within the time for an answer. */
  async open(dialer = this.options.dialer): Promise<Link> {
    const { patience, host = 'accessory.local', pace = 0 } = this.options;
    const due = this.lastOpened + pace;
    if (this.clock.now() < due) await this.clock.sleep(due - this.clock.now());
    this.lastOpened = this.clock.now();
    const connection = await dialer.connect(this.clock.now() + patience.answer);
    const link: Link = new Link(
      ++this.connections,
      connection,
      this.profile,
      this.trace,
      {
        reply: (reply, asked, path) => {
          this.pace.answered(reply.elapsed, path !== undefined && path !== this.profile.paths.setup);
          if (reply.tlv !== undefined) this.emit('pairing-reply', reply);
          if (reply.tlv?.error !== undefined && asked !== undefined)
            this.emit('error-reply', { reply, asked });
          this.metMaxPeers ||= reply.tlv?.error === TlvError.MaxPeers;
        },
        frame: (frame: ReceivedFrame) => this.emit('frame', frame),
        secured: (bytes, wrong) => this.emit('secured', { bytes, wrong }),
        message: (message) => this.emit('message', { message }),
        unasked: (unasked) => {
          this.broken.set('HTTP-01', unasked);
          this.emit('message', { unasked });
        },
        readable: (bytes) => this.emit('readable', { connection: link.number, bytes }),
        waited: (wait) => {
          if (wait.what === 'answer' || wait.what === 'event') this.spent.accessoryMs += wait.milliseconds;
          this.onWait?.(wait);
        },
        said: () => this.pace.asked(),
        event: () => this.pace.told(),
        silent: (milliseconds) => this.pace.silent(milliseconds),
        late: (milliseconds, given) => this.pace.late(milliseconds, given),
      },
      host,
    );
    this.links.push(link);
    return link;
  }

  /** Connections opened in this run. */
  get opened(): number {
    return this.connections;
  }

  /** Another connection of this check has begun a Pair Setup, and may be what keeps a further one out. */
  hasBegunBeside(own: Link): boolean {
    return this.links.some((link) => link !== own && link.begun);
  }

  /** Ends every connection of the check that just ran. */
  async closeLinks(): Promise<void> {
    const links = this.links;
    this.links = [];
    for (const link of links) await link.close();
  }

  /**
   * First look: is anyone there, paired or not? What an earlier run left behind is taken back. An accessory that
   * answers nothing at all is Unreachable; one that answers something else but not M1 is for the checks to judge.
   * Of keys left by earlier runs a bounded number is tried, the newest first.
   * @returns true when a pairing of an earlier run was found and removed.
   * @throws Unreachable
   */
  async survey(): Promise<boolean> {
    if (await this.greets()) return false;
    let m1 = await this.probe();
    // A phone may be in the middle of pairing it: that ends, or the accessory ends it.
    const patience = this.clock.now() + SOMEBODY_ELSE;
    while (m1.kind === 'reply' && m1.tlv?.error === TlvError.Busy && this.clock.now() < patience) {
      await this.clock.sleep(2_000);
      m1 = await this.probe();
    }
    if (m1.kind === 'close' || m1.kind === 'reset' || m1.kind === 'silence') {
      const link = await this.open();
      const other = await link.request(
        { method: 'GET', path: this.profile.resource },
        this.options.patience.answer,
      );
      await this.closeLinks();
      if (other.kind !== 'reply')
        throw new Unreachable(
          'failed',
          `it accepts connections and answers nothing (Pair Setup M1: ${describeOutcome(m1)}; GET ${this.profile.resource}: ${describeOutcome(other)}). Is this the accessory's HAP port?`,
        );
    }
    await this.findResource();
    this.tryAgain(() => true);
    const left = this.options.memory?.identities() ?? [];
    for (const { identity, confirmed = false, accessory } of left.toReversed()) {
      const same = this.sentIdentities.find(({ ltsk }) => equal(ltsk, identity.ltsk));
      const known = same ?? identity;
      if (same === undefined) this.sentIdentities.push(identity);
      if (confirmed) this.confirmed.add(known);
      if (accessory !== undefined) this.peers.set(known, accessory);
      this.keys.push(identity.ltsk);
    }
    const before = this.recovered.length;
    if (this.sentIdentities.length > 0) {
      if (this.state !== 'unpaired' || this.profile.servesPaired) {
        this.state = 'unknown';
        await this.settle(KEYS_LEFT);
      }
      // Nothing of them got in, or somebody has reset the accessory since, or they are out by now.
      if ((this.state as KnownState) === 'unpaired') await this.dismiss(KEYS_LEFT);
    }
    this.foundForeign = this.state === 'foreign';
    return this.recovered.length > before;
  }

  /**
   * Whether it speaks before it is asked. Then no answer can be told from what comes anyway, and nothing else is asked.
   */
  private async greets(): Promise<boolean> {
    const link = await this.open();
    await link.lookForUnasked(GREETING);
    this.useless = this.broken.get('HTTP-01');
    await this.closeLinks();
    return this.useless !== undefined;
  }

  /** A receiver need not serve what others tell of themselves: any answer in a frame proves a session then. */
  private async findResource(): Promise<void> {
    const { otherwise, resource } = this.profile;
    if (otherwise === undefined || this.profile.lacksResource !== undefined) return;
    const link = await this.open();
    const outcome = await link.request({ method: 'GET', path: resource }, this.options.patience.answer);
    await this.closeLinks();
    const lacksResource = outcome.kind !== 'reply' || outcome.http.status >= 400;
    this.profile = { ...this.profile, lacksResource };
    if (lacksResource)
      this.decide(
        `GET ${resource} is answered by ${describeOutcome(outcome)}: ${otherwise.method} is asked instead`,
      );
  }

  /** Pair Setup M1 on a fresh connection, closed again; tells the pairing state when the answer does. */
  async probe(): Promise<Outcome> {
    const link = await this.open();
    const outcome = await this.sendM1(link, setupM1(Method.PairSetup));
    await this.closeLinks();
    if (outcome.kind === 'reply') this.answeredAfresh = true;
    if (outcome.kind !== 'reply' || outcome.tlv === undefined) return outcome;
    if (outcome.tlv.error === TlvError.Unavailable) {
      // With an identity of ours abroad it may be that one which got in: `settle` finds out.
      this.seenFree = false;
      const state = this.sentIdentities.length === 0 ? 'foreign' : 'unknown';
      if (this.state !== 'ours' && this.state !== state) {
        this.state = state;
        this.decide('Pair Setup M1 was answered by Unavailable');
      }
    } else if (outcome.tlv.has(TlvType.PublicKey)) {
      this.gates.setup.seen();
      this.seenFree = !this.profile.servesPaired;
      if (!this.mayBePaired) {
        const news = this.state !== 'unpaired';
        this.unpaired();
        if (news) this.decide('Pair Setup M1 was answered by M2');
      }
    }
    return outcome;
  }

  /** The answer to M1 once it is not Busy any more, for as long as that may last behind a connection that ended. */
  private async ask(): Promise<Outcome> {
    const since = this.clock.now();
    for (;;) {
      const outcome = await this.probe();
      if (!(await this.busy(outcome, since))) return outcome;
    }
  }

  /**
   * Whether M1 is worth sending again: it was Busy, and that has not lasted too long since a time (ms); then a pause is
   * made. `own` is the connection it went over.
   */
  async busy(outcome: Outcome, since: number, own?: Link): Promise<boolean> {
    const { setup } = this.gates;
    const waited = this.clock.now() - since;
    // What a connection has begun itself may be in its own way.
    const alone = own?.begun !== true && this.links.every((link) => link === own);
    const error = outcome.kind === 'reply' ? outcome.tlv?.error : undefined;
    if (error !== TlvError.Busy) {
      const served = outcome.kind === 'reply' && outcome.tlv?.has(TlvType.PublicKey) === true;
      // The time it took to answer is none in which it was Busy.
      const busy = alone && this.lastBusy.since === since ? this.lastBusy.for : 0;
      if (served) setup.serves(busy);
      return false;
    }
    this.lastBusy = { since, for: waited };
    const pause = setup.pause(waited, alone);
    if (pause === undefined) setup.staysBusy(waited, alone);
    else await this.clock.sleep(pause);
    return pause !== undefined;
  }

  /** Writes down why the state is taken to be what it is, or why a key is kept. */
  private decide(why: string): void {
    const line = `state ${this.state}: ${why}`;
    this.trace.record(this.connections, { kind: 'note', line });
    this.decision = `${line} (connection #${this.connections}, at ${(this.clock.now() / 1000).toFixed(1)} s)`;
  }

  /** The removal of the run's own pairing was asked for and not refused: what that came to has to be found out. */
  adminMayBeGone(): void {
    if (this.state !== 'ours') return;
    this.state = 'unknown';
    this.decide('a check asked to remove the pairing of this run, or to demote it');
  }

  /** M2 says nothing about pairings here, and there may be some of ours. */
  private get mayBePaired(): boolean {
    return this.profile.servesPaired && (this.state === 'ours' || this.sentIdentities.length > 0);
  }

  async sendM1(link: Link, items: readonly TlvItem[]): Promise<Outcome> {
    const outcome = await link.post(this.profile.paths.setup, items, this.options.patience.answer);
    this.countM2(outcome);
    return outcome;
  }

  /** An M1 that is refused costs an accessory nothing: it computes B only for the others. */
  countM2(outcome: Outcome): void {
    const refused = outcome.kind === 'reply' && !(outcome.tlv?.has(TlvType.PublicKey) ?? false);
    if (refused) return;
    this.spent.m2++;
    if (outcome.kind === 'reply') this.quickest.m2 = Math.min(this.quickest.m2, outcome.elapsed);
  }

  /** An M3 went out; one that did not succeed may count as an attempt, whatever was wrong with it. */
  countM4(outcome: Outcome, succeeded: boolean): void {
    this.spent.m4++;
    if (succeeded) this.quickest.m4 = Math.min(this.quickest.m4, outcome.elapsed);
    else this.spendAttempt();
  }

  /** True when M2, and M4 where one was seen, took no longer than this (ms): false while no M2 has been seen. */
  isQuick(milliseconds: number): boolean {
    const { m2, m4 } = this.quickest;
    return m2 <= milliseconds && (m4 === Infinity || m4 <= milliseconds);
  }

  /**
   * Keeps an identity before it leaves in an M5 or Add, also in a stimulus that must be refused: an accessory that
   * takes it anyway could otherwise never be freed without a factory reset.
   */
  remember(identity: Identity, how: 'pair-setup' | 'add-pairing'): void {
    this.seenFree = false;
    if (this.sentIdentities.includes(identity)) return;
    this.options.memory?.remember(identity, how);
    this.sentIdentities.push(identity);
  }

  /** M6 told us: paired, by us. */
  paired(admin: Identity, accessory: Peer | undefined): void {
    this.takenUp(admin);
    this.residents?.delete(hex(admin.id));
    this.state = 'ours';
    this.admin = admin;
    if (accessory !== undefined) this.accessory = accessory;
    this.confirmed.add(admin);
    if (accessory !== undefined) this.peers.set(admin, accessory);
    this.options.memory?.confirmed(admin, accessory);
  }

  /** Has the accessory show its code, where the user gave one; who does not answer to that is not asked again. */
  async showCode(link: Link, path: string): Promise<void> {
    if (this.options.codeGiven !== true || this.showsNoCode) return;
    const outcome = await link.request(
      { method: 'POST', path, body: new Uint8Array(0) },
      this.options.patience.answer,
    );
    this.showsNoCode = outcome.kind !== 'reply';
  }

  /** A wrong proof the accessory may count. */
  spendAttempt(): void {
    this.spent.attempts++;
    this.localAttempts++;
    this.options.memory?.spend(1);
  }

  /** Failed attempts since the last reset the harness knows of. */
  get attemptsSpent(): number {
    return this.options.memory?.attempts ?? this.localAttempts;
  }

  /**
   * Puts the accessory into its factory state by the hook.
   * @throws Blocked without a hook; HookFailed when it does not work or the accessory comes back paired.
   */
  async factoryReset(): Promise<void> {
    const reset = this.options.hooks?.reset;
    if (reset === undefined) throw new Blocked('a factory reset is needed: give --reset CMD');
    // A hook that failed once is not called for every check that would need it: each call may cost its deadline.
    if (this.resetFailed !== undefined) throw this.resetFailed;
    await this.closeLinks();
    try {
      await this.resetBy(reset);
    } catch (error) {
      if (error instanceof HookFailed) this.resetFailed = error;
      throw error;
    }
  }

  private async resetBy(reset: () => Promise<void>): Promise<void> {
    // The identity an embedded accessory draws now must not depend on the check that came before, nor come twice.
    this.options.reseed?.(`factory reset ${this.spent.resets + 1}`);
    await reset();
    if (!(await this.ready(COME_BACK)))
      throw new HookFailed('reset', `ended, and the accessory ${goneFor}`, '');
    this.spent.resets++;
    this.localAttempts = 0;
    this.lockout = undefined;
    this.tainted = false;
    this.options.memory?.wasReset();
    this.broken.delete(UNPAIRING);
    this.state = 'unknown';
    this.tryAgain(() => true);
    this.anchor = undefined;
    this.kept.length = 0;
    this.openGates();
    const outcome = await this.ask();
    // Where M1 does not tell, our own keys do: none of them may open it now.
    if (this.mayBePaired) await this.settle();
    if ([...this.held.values()].some(({ is }) => is === 'in'))
      throw new HookFailed('reset', 'ended, and a key of ours opens the accessory as before', '');
    if (outcome.kind === 'reply' && outcome.tlv?.error === TlvError.Unavailable)
      throw new HookFailed(
        'reset',
        'ended, and the accessory came back paired: that is no factory reset',
        '',
      );
    if ((this.state as KnownState) !== 'unpaired')
      throw new HookFailed('reset', `ended, and M1 was then answered by ${describeOutcome(outcome)}`, '');
    // Not before it is seen to be free: a hook that resets nothing must not cost the keys.
    this.forgetAll();
    this.decide('the accessory was reset, and is free');
  }

  /** Power-cycles the accessory by the hook. @throws Blocked without one; HookFailed */
  async restart(): Promise<void> {
    const restart = this.options.hooks?.restart;
    if (restart === undefined) throw new Blocked('a restart is needed: give --restart CMD');
    await this.closeLinks();
    await restart();
    this.openGates();
    if (!(await this.ready(COME_BACK)))
      throw new HookFailed('restart', `ended, and the accessory ${goneFor}`, '');
  }

  /** A reset, or a start anew, may have given back what was lost. */
  private openGates(): void {
    for (const gate of Object.values(this.gates)) gate.open();
  }

  /** Waits until the accessory answers a request on a fresh connection, `wait` ms at most. */
  async ready(wait: number): Promise<boolean> {
    const deadline = this.clock.now() + wait;
    for (;;) {
      try {
        const link = await this.open();
        const outcome = await link.request({ method: 'GET', path: '/accessories' }, READY_ANSWER);
        await this.closeLinks();
        if (outcome.kind === 'reply') return true;
      } catch (error) {
        if (error instanceof StepFailed) return true;
        if (!(error instanceof Unreachable)) throw error;
      }
      if (this.clock.now() >= deadline) return false;
      await this.clock.sleep(250);
    }
  }

  unpaired(): void {
    this.guests.clear();
    this.state = 'unpaired';
    this.admin = undefined;
  }

  /** The accessory was put into its factory state from outside: nothing of ours is in it. */
  forgotten(): void {
    this.forgetAll();
    this.localAttempts = 0;
    this.options.memory?.wasReset();
    this.broken.delete(UNPAIRING);
    this.unpaired();
  }

  /**
   * Brings the accessory into a state. `keyless`: the check can do with an accessory somebody else has paired.
   * @throws Blocked when it is paired by someone else or no code is known; StepFailed when a step does not work.
   */
  async ensure(state: PairingState, keyless = false): Promise<void> {
    this.taken = 0;
    if (state === 'locked') return this.lock();
    if (this.tainted) await this.factoryReset();
    if (state === 'any') return;
    if (this.state === 'unknown') await this.settle();
    if (this.listDoubtful && this.state === 'ours') {
      this.listDoubtful = false;
      await this.unpair();
    } else if (this.guests.size > 0 && this.state === 'ours') await this.tidy();
    if (state === 'unpaired' && this.state === 'ours') await this.unpair();
    // The harness itself may have been too early: nobody else was there when the run began.
    if (this.state === 'foreign' && !this.foundForeign && this.doubts < MOST_DOUBTS) {
      this.doubts++;
      this.state = 'unknown';
      await this.settle();
    }
    if (this.state === 'foreign' && state === 'paired' && keyless) return;
    if (this.state === 'foreign' && this.options.hooks?.reset !== undefined) await this.factoryReset();
    if (this.state === 'foreign')
      throw new Blocked(
        this.held.size > 0
          ? `factory-reset the accessory, or give --reset CMD: ${this.decision}`
          : `the accessory is paired with another controller: remove it there, factory-reset the accessory, or give --reset CMD (${this.decision})`,
      );
    if (state === 'paired' && this.state === 'unpaired' && !this.adopt()) {
      const controller = this.controller('ensure paired');
      const setup = await controller.pairSetup();
      await setup.m3();
      await setup.m5();
      await this.closeLinks();
    }
    await this.readResidents();
  }

  /** Where nobody can be taken out, whoever is in there when a check begins is none of its business. */
  private async readResidents(): Promise<void> {
    const as = this.state === 'ours' ? this.admin : this.anchor;
    if (this.keepsAll === undefined || as === undefined || this.unserved.has(Method.ListPairings)) return;
    try {
      const session = await this.controller('who is in there').session({ as, housekeeping: true });
      const list = await session.post(listPairings(), this.options.patience.answer);
      const { entries } = readPairings(list.kind === 'reply' ? list.tlv : undefined);
      const others = entries.filter(({ id }) => this.state !== 'ours' || !equal(id, as.id));
      if (entries.length > 0) this.residents = new Set(others.map(({ id }) => hex(id)));
    } catch (error) {
      // The check will say what is wrong with it.
      if (!(error instanceof StepFailed)) throw error;
    }
    await this.closeLinks();
  }

  /** The pairing a receiver keeps anyway is the one of this run again: another one would stay as well. */
  private adopt(): boolean {
    const { anchor } = this;
    if (anchor === undefined || this.held.get(anchor)?.is !== 'in') return false;
    this.held.delete(anchor);
    this.sentIdentities.push(anchor);
    this.paired(anchor, this.peers.get(anchor) ?? this.accessory);
    return true;
  }

  /**
   * Whom a check may have let in that asks for another controller: where nobody can be taken out again, somebody who
   * is in already, so that a run leaves a few pairings and not hundreds. Undefined where a new one does no harm.
   */
  lodger(): Identity | undefined {
    if (this.keepsAll === undefined) return undefined;
    const kept = this.anchor === undefined ? this.kept : [this.anchor, ...this.kept];
    while (this.taken < kept.length) {
      const next = kept[this.taken++]!;
      if (next !== this.admin && this.held.get(next)?.is === 'in') return next;
    }
    return undefined;
  }

  /** Why this one is in the accessory still although the run has asked for its removal, if it is. */
  stays(identity: Identity): string | undefined {
    return this.held.get(identity)?.why;
  }

  /** Why whoever is let in stays for good, if that is so. */
  get full(): string | undefined {
    return this.keepsAll;
  }

  /** A controller that is held is in use again: the accessory has just said that it let it in. */
  private takenUp(identity: Identity): void {
    if (!this.held.delete(identity)) return;
    this.sentIdentities.push(identity);
  }

  /** An Add was answered by success: what it said is so. */
  added(id: Bytes, permissions: number | undefined): void {
    this.residents?.delete(hex(id));
    if (permissions === Permission.User) this.plain.add(hex(id));
    else this.plain.delete(hex(id));
    const known = [...this.held.keys()].find((identity) => equal(identity.id, id));
    if (known !== undefined) this.takenUp(known);
    // Who is no admin any more is of no use as one.
    if (this.anchor !== undefined && equal(this.anchor.id, id) && permissions === Permission.User)
      this.anchor = undefined;
  }

  /** It was added as a plain user. */
  isPlain({ id }: Identity): boolean {
    return this.plain.has(hex(id));
  }

  /** A receiver does not serve this at all. */
  lacks(method: number, why: string): void {
    if (method === Method.ListPairings) this.absent.set('pairings', `no administration here: ${why}`);
    this.unserved.set(method, why);
    if (method === Method.RemovePairing) this.keepsAll ??= `no pairing can be removed: ${why}`;
  }

  /** A receiver keeps this one: it stays on the disk, and in use. */
  private keep(identity: Identity, why: string): void {
    this.hold(identity, 'in', why);
    if (!this.profile.servesPaired) return;
    this.anchor ??= identity;
    if (identity !== this.anchor && !this.kept.includes(identity)) this.kept.push(identity);
  }

  /** Guesses from a clean counter until the accessory says MaxTries, or has had its chance. */
  private async lock(): Promise<void> {
    if (this.lockout !== undefined) return;
    await this.factoryReset();
    this.tainted = true;
    this.lockout = await guess(this.controller('guessing'), {
      most: MOST_GUESSES,
      each: GUESSES_EACH,
      progress: (done) => this.onProgress?.(done, MOST_GUESSES, 'guesses'),
    });
    await this.closeLinks();
  }

  /**
   * Finds out the pairing state by M1, asked after whatever was done last, and takes back what a stimulus of ours left
   * behind.
   */
  private async settle(bounds = KEYS_OWN): Promise<void> {
    // An M1 that is not answered costs the whole patience, each time.
    const dead = this.broken.get('PS-M1-01');
    if (dead !== undefined) throw new StepFailed('PS-M1-01', dead);
    if (this.gates.setup.shut !== undefined) throw this.gates.setup.shut;
    // Only what was ours a moment ago may be so by a hair: somebody else's stays so.
    let again = this.sentIdentities.length > 0 || this.spent.m6 > 0 ? 0 : ASK_AGAIN.length;
    let went = false;
    for (let looks = 0; looks < MOST_LOOKS; looks++) {
      const outcome = await this.ask();
      const error = outcome.kind === 'reply' ? outcome.tlv?.error : undefined;
      const served = outcome.kind === 'reply' && outcome.tlv?.has(TlvType.PublicKey) === true;
      // Several stimuli may each have left a pairing: look again until the accessory is free or no key opens it.
      // One that refuses M1 in words of its own may be paired as well, and then a key of ours opens it.
      const refused =
        error === TlvError.Unavailable || (outcome.kind === 'reply' && this.state === 'unknown');
      if (refused && (await this.recover(bounds))) {
        went = true;
        continue;
      }
      // With an admin that went may have gone who could not remove itself.
      if (went && [...this.held.values()].some(({ is }) => is === 'in')) {
        went = false;
        this.tryAgain((_identity, { is }) => is === 'in');
        this.state = 'unknown';
        continue;
      }
      if (this.profile.servesPaired && served && this.state !== 'unpaired') {
        this.unpaired();
        this.decide(
          this.held.size > 0 ? `what can be removed is; ${this.keptKeys()}` : 'no key of ours opens it',
        );
      }
      if (error === TlvError.Unavailable) {
        const pause = ASK_AGAIN[again++];
        if (pause !== undefined) {
          await this.clock.sleep(pause);
          continue;
        }
        this.state = 'foreign';
        this.decide(
          this.held.size > 0
            ? `M1 is answered by Unavailable; ${this.keptKeys()}`
            : 'M1 is answered by Unavailable, and no key of ours opens it',
        );
      }
      if (this.state === 'unknown')
        throw new StepFailed(
          'PS-M1-01',
          `the pairing state cannot be told: M1 was answered by ${describeOutcome(outcome)}`,
        );
      return;
    }
    throw new StepFailed('PS-M1-01', `the pairing state cannot be told: looked at ${MOST_LOOKS} times`);
  }

  /**
   * Pair Verify has refused the controller of a Pair Setup that came to M6. A receiver that stores none may be there
   * to be used by transient sessions alone: what is said of sessions is then asked of those.
   */
  async learnKeeping(): Promise<void> {
    const { admin } = this;
    if (!this.profile.servesPaired || this.state !== 'ours' || admin === undefined) return;
    const { is, why } = await this.standing(admin);
    if (is !== 'out') return;
    const found = await this.controller('transient instead').tryTransient();
    await this.closeLinks();
    if (!('why' in found)) this.keepsNobody = `the receiver keeps no controller: behind M6 ${why}`;
  }

  /** How many keys are kept, and why, in words. */
  keptKeys(): string {
    const { size } = this.held;
    const words = [...this.held.values()].toSorted((a, b) => Number(b.is === 'in') - Number(a.is === 'in'));
    const keys = size === 1 ? '1 key is kept' : `${size} keys are kept`;
    return `${keys} (${[...new Set(words.map(({ why }) => why))].slice(0, 3).join('; ')})`;
  }

  /** The key stays on the disk, and is left alone for now. */
  private hold(identity: Identity, is: Held['is'], why: string): void {
    const at = this.sentIdentities.indexOf(identity);
    if (at >= 0) this.sentIdentities.splice(at, 1);
    this.held.set(identity, { is, why });
    this.decide(`the key of ${text(identity.id)} is kept: ${why}`);
  }

  /** Keys that were set aside are tried again. */
  private tryAgain(which: (identity: Identity, held: Held) => boolean): void {
    for (const [identity, held] of [...this.held])
      if (which(identity, held)) {
        this.held.delete(identity);
        this.sentIdentities.push(identity);
      }
  }

  private isOurs(id: Bytes, held = false): boolean {
    const identities = held ? [...this.sentIdentities, ...this.held.keys()] : this.sentIdentities;
    return this.guests.has(hex(id)) || identities.some((identity) => equal(identity.id, id));
  }

  private get removalWait(): number {
    const { answer, silence } = this.options.patience;
    return this.removalsSilent ? silence : answer;
  }

  /** A list without the controllers that were there before the run: a receiver pairs with several. */
  withoutResidents(list: PairingsList): PairingsList {
    if (!this.profile.servesPaired) return list;
    this.residents ??= new Set(list.entries.filter(({ id }) => !this.isOurs(id)).map(({ id }) => hex(id)));
    const { residents } = this;
    const stay = new Set([...this.held.keys()].map(({ id }) => hex(id)));
    return {
      ...list,
      entries: list.entries.filter(({ id }) => !residents.has(hex(id)) && !stay.has(hex(id))),
    };
  }

  /** Removes whom checks have added and left: they would make the next ones fail. */
  private async tidy(): Promise<void> {
    try {
      if (this.keepsAll !== undefined) this.keepGuests();
      else if (this.admin !== undefined) await this.removeOthers(this.admin);
    } catch (error) {
      if (!(error instanceof StepFailed)) throw error;
      this.state = 'unknown';
    }
    this.guests.clear();
    await this.closeLinks();
    if (this.state === 'unknown') await this.settle();
  }

  /** Whom nobody can remove stays. */
  private keepGuests(): void {
    const guests = this.sentIdentities.filter(({ id }) => this.guests.has(hex(id)));
    for (const identity of guests)
      if (identity !== this.admin) this.keep(identity, `it was added, and ${this.keepsAll}`);
  }

  /**
   * Removes the controllers `own` finds beside itself. It has to be done before `own` leaves: users without an admin,
   * and an admin whose key nobody holds, can be removed by nobody any more. A receiver pairs with several, and only
   * those of this harness go. @throws StepFailed when `own` does not get in
   */
  private async removeOthers(own: Identity): Promise<void> {
    const { servesPaired } = this.profile;
    // A list that cannot be read may be so because of somebody on it.
    let named = [...this.guests].map(fromHex);
    // An accessory may end the session with each Remove.
    let before = Infinity;
    let idle = 0;
    for (let sessions = 0; sessions < MOST_GUESTS && idle < 2; sessions++) {
      const session = await this.controller('tidying up').session({ as: own, housekeeping: true });
      const list = await session.post(listPairings(), this.options.patience.answer);
      const { entries } = readPairings(list.kind === 'reply' ? list.tlv : undefined);
      // By its key: an accessory may list an identifier otherwise than it came.
      const others = entries.flatMap(({ id, ltpk }) =>
        equal(ltpk, own.ltpk) || equal(id, own.id) || (servesPaired && !this.isOurs(id, true)) ? [] : [id],
      );
      const leaving = entries.length > 0 ? others : named;
      if (entries.length === 0) named = [];
      idle = leaving.length < before ? 0 : idle + 1;
      before = leaving.length;
      if (idle === 2 && servesPaired)
        this.keepsAll ??= 'no pairing can be removed: Remove is answered, and they are listed as before';
      for (const id of leaving) {
        if (!(await session.link.stillOpen(0))) break;
        const outcome = await session.post(removePairing(id), this.removalWait);
        if (isRefused(outcome) && (await session.lacks(Method.RemovePairing))) return this.keepGuests();
        if (servesPaired && id.length === UUID_LENGTH && isRefused(outcome))
          this.keepsAll ??= `no pairing can be removed: ${describeOutcome(outcome)}`;
        if (outcome.kind !== 'silence') continue;
        // The others would be met by it as well, each for the whole time.
        this.removalsSilent = true;
        await this.closeLinks();
        return;
      }
      const whole = await session.link.stillOpen(0);
      await this.closeLinks();
      if (this.keepsAll !== undefined) return this.keepGuests();
      if (leaving.length === 0 || (whole && entries.length > 0)) return;
    }
  }

  /** The identity is known to be in the accessory no more, or never to have been. */
  forget(identity: Identity): void {
    const at = this.sentIdentities.indexOf(identity);
    if (at >= 0) this.sentIdentities.splice(at, 1);
    this.held.delete(identity);
    this.options.memory?.forget(identity);
  }

  private forgetAll(): void {
    for (const identity of [...this.held.keys(), ...this.sentIdentities]) this.forget(identity);
  }

  /**
   * Whether a key opens the accessory, by Pair Verify. Where no M6 has told its LTPK, it is known by the identifier it
   * had when it let a key of ours in: it had to know that key for it.
   */
  private async standing(identity: Identity): Promise<Standing> {
    const { heard } = this;
    const peer = this.peers.get(identity) ?? this.accessory;
    const controller = this.controller(`is it in there ${text(identity.id)}`);
    for (let tries = 1; ; tries++) {
      await this.closeLinks();
      const verify = await controller.verify({ as: identity, housekeeping: true, ...(peer && { peer }) });
      const m2 = await verify.sendM1(undefined, controller.stepWait);
      if (verify.m2?.items === undefined) {
        await this.closeLinks();
        const why = `Pair Verify M1 was answered by ${describeOutcome(m2)}`;
        return { is: 'doubtful', why, shut: isDenial(m2) };
      }
      const { findings, items } = verify.m2;
      const own = items.get(TlvType.Identifier);
      const proven =
        peer !== undefined
          ? findings.length === 0
          : heard !== undefined && own !== undefined && equal(heard, own);
      const m4 = await verify.sendM3(undefined, undefined, controller.stepWait);
      await this.closeLinks();
      if (success('verify-m4').resembles!(m4)) return { is: 'in', why: 'Pair Verify lets it in' };
      const ended = m4.kind === 'close' || m4.kind === 'reset';
      if (ended && tries === 1) continue;
      const why = `Pair Verify M3 was answered by ${describeOutcome(m4)}`;
      if (!ended && !isDenial(m4)) return { is: 'doubtful', why };
      if (proven) return { is: 'out', why };
      return { is: 'doubtful', why: `${why}, and the accessory did not prove who it is` };
    }
  }

  /**
   * Takes a key out, if it is in there, and makes sure by Pair Verify. `sure`: it is known to be in. `brief`: others of
   * the same kind could not be removed, so little time is spent on it.
   */
  private async takeOut(identity: Identity, { sure = false, brief = false } = {}): Promise<Departure> {
    if (!sure) {
      const standing = await this.standing(identity);
      if (standing.is !== 'in') return { ...standing, wasIn: false, acknowledged: false };
    }
    if (this.keepsAll !== undefined)
      return { is: 'in', why: this.keepsAll, wasIn: true, acknowledged: false };
    const { anchor } = this;
    const byAnother = anchor !== undefined && anchor !== identity;
    let [wasIn, acknowledged, said] = [!sure, false, ''];
    let last: Standing = { is: 'in', why: '' };
    for (let tries = 1; tries <= (brief ? 1 : REMOVALS); tries++) {
      let refused = false;
      try {
        const outcome = byAnother ? await this.removeBy(anchor, identity) : await this.removeSelf(identity);
        wasIn = true;
        const done = outcome.kind === 'reply' && outcome.tlv !== undefined && outcome.tlv.error === undefined;
        const clear = done && success('pairings-remove').resembles!(outcome);
        acknowledged ||= clear;
        refused = outcome.kind === 'reply' && !clear;
        said = `its removal was answered by ${describeOutcome(outcome)}`;
        // Neither by itself nor by another admin: then by nobody.
        if (byAnother && isRefused(outcome) && this.profile.servesPaired)
          this.keepsAll ??= `no pairing can be removed: ${describeOutcome(outcome)}`;
      } catch (error) {
        if (!(error instanceof StepFailed)) throw error;
        said ||= `it cannot be removed (${error.message})`;
      }
      for (const pause of brief || refused ? [0] : REMOVAL_EFFECT) {
        if (pause > 0) await this.clock.sleep(pause);
        last = await this.standing(identity);
        if (last.is !== 'in') break;
      }
      // The key was taken out in a session with this accessory, and it lets nobody verify now.
      if (acknowledged && last.shut === true) last = { is: 'out', why: last.why };
      if (last.is !== 'in') break;
    }
    const why = said === '' ? last.why : `${said}; ${last.why}`;
    return { is: last.is, why, wasIn, acknowledged };
  }

  /**
   * Takes out what opens the accessory of the identities that ever left, the admin of the run and the newest first;
   * those an accessory that proves itself refuses are forgotten, others are kept. True when one was in there and is not
   * any more: then M1 may say something else.
   */
  private async recover({ most, time } = KEYS_OWN): Promise<boolean> {
    // The admin of the run before everybody it has let in: it can remove them all.
    const { admin } = this;
    const others = [...this.sentIdentities].reverse().filter((identity) => identity !== admin);
    const order = admin !== undefined && this.sentIdentities.includes(admin) ? [admin, ...others] : others;
    const until = this.clock.now() + time;
    let [tried, brief, went] = [0, false, false];
    const out: Identity[] = [];
    for (const identity of order) {
      if (tried++ >= most || this.clock.now() > until) {
        this.hold(identity, 'doubtful', 'there was no time to try it: the next run goes on');
        continue;
      }
      const { is, why, wasIn } = await this.takeOut(identity, { brief });
      if (is === 'out' && !wasIn) out.push(identity);
      else if (is === 'out') {
        this.forget(identity);
        this.recovered.push(identity);
        this.decide(`the pairing of ${text(identity.id)} is removed: ${why}`);
        went = true;
        // Whoever is last takes all others along.
        if (!this.profile.servesPaired) return true;
      } else if (is === 'in') {
        this.keep(identity, `it opens the accessory: ${why}`);
        brief = true;
      } else if (wasIn && !this.profile.servesPaired && (await this.isFreeByM1())) {
        this.forget(identity);
        this.recovered.push(identity);
        return true;
      } else this.hold(identity, 'doubtful', why);
    }
    // An accessory that knows so many controllers may know one again when another has gone.
    if (!went) for (const identity of out) this.forget(identity);
    return went;
  }

  /** Whether M1 says that no pairing is in the accessory, where it does say so: asked again while it does not. */
  private async isFreeByM1(): Promise<boolean> {
    for (const pause of [0, ...ASK_AGAIN]) {
      if (pause > 0) await this.clock.sleep(pause);
      const outcome = await this.ask();
      if (outcome.kind === 'reply' && outcome.tlv?.has(TlvType.PublicKey)) return !this.profile.servesPaired;
      if (outcome.kind !== 'reply' || outcome.tlv?.error !== TlvError.Unavailable) return false;
    }
    return false;
  }

  /**
   * The accessory is free, by its own account. That is enough for the keys of a HAP accessory that has done nothing
   * forbidden, unless one it said it stored still opens it; otherwise each has to be refused by Pair Verify.
   */
  private async dismiss({ most, time } = KEYS_OWN): Promise<void> {
    // A receiver is free by what its keys are worth, and has been asked.
    if (this.profile.servesPaired) return;
    const trusted = !this.misbehaved;
    const opened = new Set([...this.held].flatMap(([identity, { is }]) => (is === 'in' ? [identity] : [])));
    this.tryAgain(() => true);
    const newest = this.sentIdentities.toReversed();
    const confirmed = newest.filter((identity) => opened.has(identity) || this.confirmed.has(identity));
    const until = this.clock.now() + time;
    let [tried, everybody] = [0, undefined as boolean | undefined];
    for (const identity of trusted ? confirmed.slice(0, MOST_CONFIRMED) : newest) {
      if (tried++ >= most || this.clock.now() > until) {
        if (!trusted) this.hold(identity, 'doubtful', 'there was no time to try it: the next run goes on');
        continue;
      }
      let standing = await this.standing(identity);
      if (standing.is === 'in') {
        // Where a stranger is let in as well, Pair Verify says nothing about keys.
        everybody ??= (await this.standing(this.controller('stranger').newIdentity())).is === 'in';
        if (everybody) standing = { is: 'doubtful', why: 'Pair Verify lets in whoever nobody knows' };
        else {
          const departure = await this.takeOut(identity);
          if (departure.wasIn && departure.is === 'out') this.recovered.push(identity);
          standing = departure;
        }
      }
      if (standing.is === 'out') this.forget(identity);
      else if (standing.is === 'in') this.keep(identity, `it opens the accessory: ${standing.why}`);
      else if (!trusted) this.hold(identity, 'doubtful', standing.why);
    }
    if (trusted) for (const identity of [...this.sentIdentities]) this.forget(identity);
  }

  /**
   * Pair Verify as `identity` and Remove of its own pairing; housekeeping, so an unproven accessory is accepted.
   * @returns what came of it. @throws StepFailed when `identity` does not get in
   */
  private async removeSelf(identity: Identity): Promise<Outcome> {
    if (this.guests.size > 0 || this.state !== 'ours') await this.removeOthers(identity);
    this.guests.clear();
    const controller = this.controller(`housekeeping ${text(identity.id)}`);
    const verify = await controller.pairVerify({ as: identity, housekeeping: true });
    const session = await verify.m3();
    this.heard = verify.m2?.items?.get(TlvType.Identifier);
    return this.removeIn(session, identity);
  }

  /** Remove of a pairing in the session of another admin; what checks do behind it starts from that one again. */
  private async removeBy(admin: Identity, identity: Identity): Promise<Outcome> {
    const controller = this.controller(`housekeeping for ${text(identity.id)}`);
    const verify = await controller.pairVerify({ as: admin, housekeeping: true });
    return this.removeIn(await verify.m3(), identity);
  }

  /** Remove in a session, and what it says about removals. Who asked looks at what has come of it: the state stays. */
  private async removeIn(session: Session, identity: Identity): Promise<Outcome> {
    const { state } = this;
    const outcome = await session.post(removePairing(identity.id), this.removalWait);
    if (outcome.kind === 'reply' && outcome.http.status >= 400) await session.lacks(Method.RemovePairing);
    this.removalsSilent ||= outcome.kind === 'silence';
    this.state = state;
    await this.closeLinks();
    return outcome;
  }

  /**
   * Takes the run's pairing back. Some accessories close before the reply is out, and some never stored what they
   * confirmed: then Pair Verify decides, or M1 where that does not tell.
   * @throws StepFailed when the accessory stays paired.
   */
  async unpair(): Promise<void> {
    const { admin } = this;
    if (this.state !== 'ours' || admin === undefined) return;
    const known = this.broken.get(UNPAIRING);
    if (known !== undefined) throw new StepFailed(UNPAIRING, known);
    const { is, why, wasIn, acknowledged } = await this.takeOut(admin, { sure: true });
    await this.closeLinks();
    if (is === 'out' && !wasIn) {
      this.state = 'unknown';
      this.decide(`the key of this run does not open the accessory: ${why}`);
      await this.settle();
      // Settled on by now, and somebody else's at the worst.
      return;
    }
    if (is === 'out') {
      this.forget(admin);
      this.unpaired();
      this.decide(`the pairing of this run is removed: ${why}`);
      if (acknowledged || this.profile.servesPaired) return;
      // Something went wrong on the way: what the accessory is now is read behind it.
      this.state = 'unknown';
      return this.settle();
    }
    if (is === 'doubtful') {
      if (await this.isFreeByM1()) return;
    }
    if (this.profile.servesPaired) {
      // A receiver serves Pair Setup all the same: what it keeps is said at the end, and by the checks of removal.
      if (is === 'in') this.keep(admin, why);
      else this.hold(admin, 'doubtful', why);
      return this.unpaired();
    }
    if (this.options.hooks?.reset !== undefined) return this.factoryReset();
    const what = `the pairing of this run stays in the accessory: ${why}`;
    this.decide(what);
    this.broken.set(UNPAIRING, this.decision);
    throw new StepFailed(UNPAIRING, this.decision);
  }

  /** The end of a run: every key it holds is looked at for the last time, and what is left is known to be needed. */
  private async lastLook(): Promise<void> {
    // By now the accessory may have told who it is.
    this.tryAgain(
      (identity, { is }) => is === 'doubtful' && !this.peers.has(identity) && this.accessory !== undefined,
    );
    if (this.state === 'foreign') {
      if (this.misbehaved) while (await this.recover());
      return;
    }
    if (this.sentIdentities.length === 0 && this.held.size === 0) return;
    if (!this.seenFree) {
      this.state = 'unknown';
      await this.settle();
    }
    if ((this.state as KnownState) === 'unpaired') await this.dismiss();
  }

  /**
   * Leaves the accessory as it was found. Never throws: the answer goes into the report's first line.
   */
  async restore(foundAs: KnownState, kept?: Identity): Promise<{ clean: boolean; message: string }> {
    try {
      await this.closeLinks();
      if (this.tainted) await this.factoryReset();
      if (this.guests.size > 0 && this.state === 'ours') await this.tidy();
      if (this.state === 'ours') await this.unpair();
      else if (this.state === 'unknown') await this.settle();
      await this.lastLook();
      const stays = [...this.held.values()].some(({ is }) => is === 'in');
      if (stays && this.profile.servesPaired && this.options.hooks?.reset !== undefined)
        await this.factoryReset();
      if (this.state === 'unpaired' && kept !== undefined) {
        const setup = await this.controller('pairing as found').pairSetup({ identity: kept });
        await setup.m3();
        await setup.m5();
        await this.closeLinks();
        return { clean: true, message: 'the accessory is paired by "hapspec pair" again, as it was found' };
      }
      if (this.held.size > 0)
        return {
          clean: false,
          message: `NOT AS FOUND, or not known to be: the accessory may hold pairings made by hapspec: ${this.keptKeys()}. ${recovery(this.options.memory)}`,
        };
      if (this.state === 'unpaired' || this.state === foundAs)
        return {
          clean: true,
          message:
            this.state === 'foreign'
              ? 'the accessory is paired, as it was found'
              : 'the accessory is unpaired, as it was found',
        };
    } catch (error) {
      const expected = [StepFailed, Unreachable, HookFailed, Blocked].some((kind) => error instanceof kind);
      if (!expected) throw error;
      const why = (error as Error).message;
      if (this.held.size === 0 && (this.sentIdentities.length === 0 || this.state === 'unpaired'))
        return { clean: true, message: 'nothing was stored in the accessory by this run' };
      return {
        clean: false,
        message: `NOT AS FOUND: the accessory may hold a pairing of this run, and it could not be removed (${why}). ${recovery(this.options.memory)}`,
      };
    }
    return {
      clean: false,
      message: `NOT AS FOUND: the accessory answers Unavailable and no key of this run opens it. ${recovery(this.options.memory)}`,
    };
  }
}

/** A reply that says no, and is no odd way of saying yes. */
function isRefused(outcome: Outcome): boolean {
  return outcome.kind === 'reply' && (outcome.tlv?.error !== undefined || outcome.http.status >= 400);
}

/** A refusal of Pair Verify that says who is not known, and not that there is no time or no room. */
function isDenial(outcome: Outcome): boolean {
  if (outcome.kind !== 'reply') return false;
  const error = outcome.tlv?.error;
  if (error !== undefined) return error === TlvError.Authentication || error === TlvError.Unknown;
  const { status } = outcome.http;
  return status >= 400 && status < 500 && status !== 408 && status !== 429;
}

/** The same clock; every sleep on it is told. */
function pausesTold(clock: Clock, tell: (wait: Wait) => void): Clock {
  return {
    virtual: clock.virtual,
    now: () => clock.now(),
    at: (time, action) => clock.at(time, action),
    async sleep(milliseconds) {
      const start = clock.now();
      await clock.sleep(milliseconds);
      tell({ what: 'pause', milliseconds: clock.now() - start, ended: 'over' });
    },
  };
}

function recovery(memory: Memory | undefined): string {
  return memory === undefined
    ? 'A factory reset of the accessory clears it.'
    : 'Its keys are kept: the next run or "hapspec unpair" tries again; a factory reset of the accessory clears it too.';
}
