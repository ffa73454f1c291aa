import type { X509Certificate } from 'node:crypto';
import {
  type Identity,
  Method,
  type Peer,
  type Random,
  type ReceivedFrame,
  type SetupCode,
  TlvError,
  type TlvItem,
  TlvType,
  hex,
  setupM1,
} from '../protocol/index.js';
import { type Clock, type Dialer, type Patience, Trace } from '../wire/index.js';
import type { ClonedDevice } from './clone.js';
import type { CodeSource } from './code.js';
import type { Announcements } from './discovery.js';
import { Gates } from './gates.js';
import type { Heard, Topic } from './heard.js';
import { Household } from './household.js';
import { Keyring } from './keyring.js';
import { Learned } from './learned.js';
import type { Link } from './link.js';
import { Links } from './links.js';
import type { Memory } from './memory.js';
import type { LinkObserver, Wait } from './observer.js';
import type { Outcome } from './outcome.js';
import { type KnownState, Pairing } from './pairing.js';
import { type Declarable, type Profile, hapProfile } from './profile.js';
import { type Spent, Tally } from './tally.js';
import { Vigil } from './vigil.js';
import { Pace } from './waits.js';

export interface BenchOptions {
  readonly dialer: Dialer;
  readonly code: SetupCode | undefined;
  /** Asked for the code behind each M2, where it is not known before. */
  readonly codeSource?: CodeSource;
  /** The user gave it: it is no default. */
  readonly codeGiven?: boolean;
  /** Somebody looks for what is wrong: a refused right code may cost four failed attempts more, and not two. */
  readonly searching?: boolean;
  readonly random: Random;
  readonly patience: Patience;
  readonly profile?: Profile;
  /** Who may have issued the certificate of an authentication coprocessor; not judged when left out. */
  readonly mfiRoots?: readonly X509Certificate[];
  /** What the user says the accessory can do, beyond what it announces. */
  readonly declares?: readonly Declarable[];
  /** Text of the Host header. */
  readonly host?: string;
  /** Gives an embedded accessory the randomness of one check, so that no check depends on its neighbours. */
  readonly reseed?: (label: string) => void;
  readonly hooks?: Hooks;
  /** Milliseconds between two connections, for accessories that need time to breathe. */
  readonly pace?: number;
  /** Milliseconds connections that wait beside a run are silent at the least; as long as the run takes when left out. */
  readonly idle?: number;
  /** In virtual time too they wait beside the run, as on a device, and not each by itself. */
  readonly besideRun?: boolean;
  /** What the accessory announces on the network; nothing is listened to when left out. */
  readonly announcements?: Announcements;
  /** Survives the process: keys that may be in the accessory, attempts spent. */
  readonly memory?: Memory;
  /** The device the accessory is a clone of, by its own account. */
  readonly clone?: ClonedDevice;
}

/** What may be done to the accessory from outside. Each resolves when the accessory answers again. */
export interface Hooks {
  /** Restores the unpaired factory state. @throws HookFailed */
  readonly reset?: () => Promise<void>;
  /** Power-cycles, keeping state. @throws HookFailed */
  readonly restart?: () => Promise<void>;
}

/** The requirement behind every return to the unpaired state. */
export const UNPAIRING = 'PAIRINGS-19';
/** Pauses (ms) before an answer is asked for again that an accessory may have given too early. */
export const ASK_AGAIN = [500, 1_500, 3_000];

/**
 * The accessory under test, and around it what the harness holds it by: connections, keys, price, and what is known of
 * it. It asks M1 and nothing else; whoever drives the flows stands on it.
 */
export class Fixture {
  readonly clock: Clock;
  readonly trace: Trace;
  /** How fast the accessory is, and how long it is waited for accordingly. */
  readonly pace: Pace;
  readonly tally: Tally;
  readonly pairing: Pairing;
  readonly keyring: Keyring;
  readonly learned: Learned;
  readonly household: Household;
  readonly links: Links;
  readonly gates: Gates;
  /** What is silent while the run goes on. */
  readonly vigil: Vigil;
  /** Told how far a check that takes minutes has come. */
  onProgress: ((done: number, most: number, what: string) => void) | undefined;
  /** Told of every wait for the accessory, and of every pause. */
  onWait: ((wait: Wait) => void) | undefined;
  /** Set by the runner: gets every message for the watches. */
  onHeard: ((heard: Heard) => void) | undefined;

  private asked: SetupCode | undefined;

  constructor(readonly options: BenchOptions) {
    const { dialer, patience, memory, profile = hapProfile, declares, announcements } = options;
    this.clock = pausesTold(dialer.clock, (wait) => this.onWait?.(wait));
    this.pace = new Pace(patience, this.clock);
    this.trace = new Trace(() => this.clock.now());
    this.tally = new Tally(memory);
    this.pairing = new Pairing((line) => this.note(line));
    this.keyring = new Keyring(memory, (why) => this.pairing.decide(why));
    this.learned = new Learned(profile, declares, announcements);
    this.household = new Household(this.keyring, this.learned, this.pairing);
    this.links = new Links(options, this.clock, this.trace, (number) => this.observer(number));
    this.vigil = new Vigil(this, options.idle, options.besideRun);
    const { clone } = options;
    if (clone !== undefined) this.pairing.accessory = { id: clone.deviceId, ltpk: clone.ltpk };
    this.gates = new Gates(this.clock, this.links, (admission) => this.emit('admission', admission));
  }

  /** The setup code, or the last one that was asked for. */
  get code(): SetupCode | undefined {
    return this.asked ?? this.options.code;
  }

  /** The setup code is known, or will be when M2 has come. */
  get hasCode(): boolean {
    return this.code !== undefined || this.options.codeSource !== undefined;
  }

  /** The setup code of the Pair Setup whose M2 has come. @throws HookFailed when it cannot be had */
  async codeNow(): Promise<SetupCode | undefined> {
    const { codeSource, code } = this.options;
    if (codeSource === undefined) return code;
    this.asked = await codeSource();
    this.keyring.keepCode(this.asked.dashed);
    return this.asked;
  }

  get state(): KnownState {
    return this.pairing.state;
  }

  set state(state: KnownState) {
    this.pairing.state = state;
  }

  /** The controller that paired, while the accessory is ours. */
  get admin(): Identity | undefined {
    return this.pairing.admin;
  }

  /** The accessory's identity as M6 claimed it. */
  get accessory(): Peer | undefined {
    return this.pairing.accessory;
  }

  /** What kind of accessory it is, narrowed by what it is found to serve. */
  get profile(): Profile {
    return this.learned.profile;
  }

  /** What it was asked to do so far. */
  get spent(): Spent {
    return this.tally.spent;
  }

  /** Requirements found violated in a way that makes flows over them useless, with what was seen. */
  get broken(): Map<string, string> {
    return this.learned.broken;
  }

  /** A line of the trace; said again with where and when it was. */
  private note(line: string): string {
    const { opened } = this.links;
    this.trace.record(opened, { kind: 'note', line });
    return `${line} (connection #${opened}, at ${(this.clock.now() / 1000).toFixed(1)} s)`;
  }

  emit(topic: Topic, payload: unknown): void {
    this.onHeard?.({ topic, payload });
  }

  private observer(number: number): LinkObserver {
    const { learned, pace, tally } = this;
    return {
      reply: (reply, asked, path) => {
        pace.answered(reply.elapsed, path !== undefined && path !== this.profile.paths.setup);
        if (reply.tlv !== undefined) this.emit('pairing-reply', reply);
        if (reply.tlv?.error !== undefined && asked !== undefined) this.emit('error-reply', { reply, asked });
        const { setup, verify } = this.profile.paths;
        if (asked !== undefined && reply.tlv?.state === asked + 1 && reply.tlv.error === undefined) {
          if (path === setup) tally.time(`M${asked + 1}`, reply.elapsed);
          else if (path === verify) tally.time(`Verify M${asked + 1}`, reply.elapsed);
        }
        learned.metMaxPeers ||= reply.tlv?.error === TlvError.MaxPeers;
      },
      frame: (frame: ReceivedFrame) => this.emit('frame', frame),
      secured: (bytes, wrong) => this.emit('secured', { bytes, wrong }),
      message: (message) => this.emit('message', { message }),
      unasked: (unasked) => {
        learned.broken.set('HTTP-01', unasked);
        this.emit('message', { unasked });
      },
      readable: (bytes) => this.emit('readable', { connection: number, bytes }),
      waited: (wait) => {
        if (wait.what === 'answer' || wait.what === 'event') tally.spent.accessoryMs += wait.milliseconds;
        this.onWait?.(wait);
      },
      said: () => pace.asked(),
      event: () => pace.told(),
      silent: (milliseconds) => pace.silent(milliseconds),
      late: (milliseconds, given) => pace.late(milliseconds, given),
    };
  }

  /** @throws Unreachable when no connection comes about within the time for an answer. */
  open(dialer?: Dialer): Promise<Link> {
    return this.links.open(this.profile, dialer);
  }

  /** Ends every connection of the check that just ran. */
  closeLinks(): Promise<void> {
    return this.links.close();
  }

  /** Pair Setup M1 on a fresh connection, closed again; tells the pairing state when the answer does. */
  async probe(): Promise<Outcome> {
    const { pairing } = this;
    const link = await this.open();
    const outcome = await this.sendM1(link, setupM1(Method.PairSetup));
    await this.closeLinks();
    if (outcome.kind === 'reply') this.learned.answeredAfresh = true;
    if (outcome.kind !== 'reply' || outcome.tlv === undefined) return outcome;
    if (outcome.tlv.error === TlvError.Unavailable) {
      // With an identity of ours abroad it may be that one which got in: that is found out by its key.
      pairing.seenFree = false;
      const state = this.keyring.sentIdentities.length === 0 ? 'foreign' : 'unknown';
      if (pairing.state !== 'ours' && pairing.state !== state) {
        pairing.state = state;
        pairing.decide('Pair Setup M1 was answered by Unavailable');
      }
    } else if (outcome.tlv.has(TlvType.PublicKey)) {
      this.gates.setup.seen();
      pairing.seenFree = !this.profile.servesPaired;
      if (!this.mayBePaired) {
        const news = pairing.state !== 'unpaired';
        this.unpaired();
        if (news) pairing.decide('Pair Setup M1 was answered by M2');
      }
    }
    return outcome;
  }

  /** The answer to M1 once it is not Busy any more, for as long as that may last behind a connection that ended. */
  async ask(): Promise<Outcome> {
    const since = this.clock.now();
    for (;;) {
      const outcome = await this.probe();
      if (!(await this.gates.busy(outcome, since))) return outcome;
    }
  }

  /** M2 says nothing about pairings here, and there may be some of ours. */
  get mayBePaired(): boolean {
    return this.profile.servesPaired && (this.state === 'ours' || this.keyring.sentIdentities.length > 0);
  }

  async sendM1(link: Link, items: readonly TlvItem[]): Promise<Outcome> {
    const outcome = await link.post(this.profile.paths.setup, items, this.options.patience.answer);
    this.tally.countM2(outcome);
    return outcome;
  }

  /** Has the accessory show its code, where the user gave one; who does not answer to that is not asked again. */
  async showCode(link: Link, path: string): Promise<void> {
    if (this.options.codeGiven !== true || this.learned.showsNoCode) return;
    const outcome = await link.request(
      { method: 'POST', path, body: new Uint8Array(0) },
      this.options.patience.answer,
    );
    this.learned.showsNoCode = outcome.kind !== 'reply';
  }

  /**
   * Keeps an identity before it leaves in an M5 or Add, also in a stimulus that must be refused: an accessory that
   * takes it anyway could otherwise never be freed without a factory reset.
   */
  remember(identity: Identity, how: 'pair-setup' | 'add-pairing'): void {
    this.pairing.seenFree = false;
    this.keyring.remember(identity, how);
  }

  /** M6 told us: paired, by us. */
  paired(admin: Identity, accessory: Peer | undefined): void {
    this.keyring.takenUp(admin);
    this.household.residents?.delete(hex(admin.id));
    this.pairing.paired(admin, accessory);
    this.keyring.confirm(admin, accessory);
  }

  unpaired(): void {
    this.household.guests.clear();
    this.pairing.unpaired();
  }

  /** The accessory was put into its factory state from outside: nothing of ours is in it. */
  forgotten(): void {
    this.keyring.forgetAll();
    this.tally.wasReset();
    this.broken.delete(UNPAIRING);
    this.unpaired();
  }
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
