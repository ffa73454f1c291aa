import {
  type Bytes,
  type Identity,
  Method,
  type Peer,
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
import { Controller } from './controller.js';
import type { Announcements } from './discovery.js';
import { Blocked, StepFailed } from './errors.js';
import { HookFailed } from './hooks.js';
import { Link, type Wait } from './link.js';
import { type Lockout, guess } from './lockout.js';
import { type Outcome, describeOutcome } from './outcome.js';
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

/** What must be on disk before it is in the accessory. */
export interface Memory {
  /** Returns when the identity is safe: only then may it be sent. */
  remember(identity: Identity, how: 'pair-setup' | 'add-pairing'): void;
  /** M6 (or a reply to Add) says it is in the accessory. */
  confirmed(identity: Identity, accessory: Peer | undefined): void;
  forget(identity: Identity): void;
  /** Identities of earlier runs that may still be in the accessory, the most promising first. */
  identities(): readonly { readonly identity: Identity }[];
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
/** How long another controller may hold Pair Setup before the run begins (ms). */
const SOMEBODY_ELSE = 45_000;
/** How long to try for a free Pair Setup: some accessories notice a closed connection late. */
const BUSY_PATIENCE = 5_000;

/** Secrets kept in mind: some exchanges back, so that looking for all of them in every byte stays cheap. */
const SECRETS = 24;

/** The accessory under test and all the harness knows of it: states, identities, price, trace. */
export class Bench {
  readonly clock: Clock;
  readonly trace: Trace;
  readonly profile: Profile;
  readonly spent: Spent = { m2: 0, m4: 0, m6: 0, verifies: 0, attempts: 0, resets: 0, accessoryMs: 0 };
  state: KnownState = 'unknown';
  /** The controller that paired, while the accessory is ours. */
  admin: Identity | undefined;
  /** The accessory's identity as M6 claimed it. */
  accessory: Peer | undefined;
  /** Requirements found violated in a way that makes flows over them useless, with what was seen. */
  readonly broken = new Map<string, string>();
  /** Every identity that left in an M5 or Add, also in one that had to be refused: it may be in the accessory. */
  readonly sentIdentities: Identity[] = [];
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
  residents: ReadonlySet<string> | undefined;
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
  /** Told how far a check that takes minutes has come. */
  onProgress: ((done: number, most: number, what: string) => void) | undefined;
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
        },
        frame: (frame: ReceivedFrame) => this.emit('frame', frame),
        secured: (bytes, wrong) => this.emit('secured', { bytes, wrong }),
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

  /** Ends every connection of the check that just ran. */
  async closeLinks(): Promise<void> {
    const links = this.links;
    this.links = [];
    for (const link of links) await link.close();
  }

  /**
   * First look: is anyone there, paired or not? What an earlier run left behind is taken back. An accessory that
   * answers nothing at all is Unreachable; one that answers something else but not M1 is for the checks to judge.
   * @returns true when a pairing of an earlier run was found and removed.
   * @throws Unreachable
   */
  async survey(): Promise<boolean> {
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
    const { memory } = this.options;
    const left = memory?.identities() ?? [];
    if (left.length === 0) return false;
    if (this.state === 'unpaired' && !this.profile.servesPaired) {
      // Nothing of them got in, or somebody has reset the accessory since.
      for (const { identity } of left) memory?.forget(identity);
      return false;
    }
    this.sentIdentities.push(...left.map(({ identity }) => identity).reverse());
    this.keys.push(...left.map(({ identity }) => identity.ltsk));
    if (this.state === 'foreign' || this.profile.servesPaired) this.state = 'unknown';
    await this.settle();
    if ((this.state as KnownState) !== 'unpaired') return false;
    // It is free: what was not needed to open it opens nothing any more.
    for (const identity of [...this.sentIdentities]) this.forget(identity);
    return true;
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
      if (this.state !== 'ours') this.state = this.sentIdentities.length === 0 ? 'foreign' : 'unknown';
    } else if (outcome.tlv.has(TlvType.PublicKey) && !this.mayBePaired) this.unpaired();
    return outcome;
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
    if (this.sentIdentities.includes(identity)) return;
    this.options.memory?.remember(identity, how);
    this.sentIdentities.push(identity);
  }

  /** M6 told us: paired, by us. */
  paired(admin: Identity, accessory: Peer | undefined): void {
    this.state = 'ours';
    this.admin = admin;
    if (accessory !== undefined) this.accessory = accessory;
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
    const outcome = await this.probe();
    // Where M1 does not tell, our own keys do: none of them may open it now.
    if (this.mayBePaired) await this.settle();
    if (outcome.kind === 'reply' && outcome.tlv?.error === TlvError.Unavailable)
      throw new HookFailed(
        'reset',
        'ended, and the accessory came back paired: that is no factory reset',
        '',
      );
    if ((this.state as KnownState) !== 'unpaired')
      throw new HookFailed('reset', `ended, and M1 was then answered by ${describeOutcome(outcome)}`, '');
    // Not before it is seen to be free: a hook that resets nothing must not cost the keys.
    for (const identity of [...this.sentIdentities]) this.forget(identity);
  }

  /** Power-cycles the accessory by the hook. @throws Blocked without one; HookFailed */
  async restart(): Promise<void> {
    const restart = this.options.hooks?.restart;
    if (restart === undefined) throw new Blocked('a restart is needed: give --restart CMD');
    await this.closeLinks();
    await restart();
    if (!(await this.ready(COME_BACK)))
      throw new HookFailed('restart', `ended, and the accessory ${goneFor}`, '');
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
    for (const identity of [...this.sentIdentities]) this.forget(identity);
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
    if (state === 'locked') return this.lock();
    if (this.tainted) await this.factoryReset();
    if (state === 'any') return;
    if (this.state === 'unknown') await this.settle();
    if (this.listDoubtful && this.state === 'ours') {
      this.listDoubtful = false;
      await this.unpair();
    } else if (this.guests.size > 0 && this.state === 'ours') await this.tidy();
    if (this.state === 'foreign' && state === 'paired' && keyless) return;
    if (this.state === 'foreign' && this.options.hooks?.reset !== undefined) await this.factoryReset();
    if (this.state === 'foreign')
      throw new Blocked(
        'the accessory is paired with another controller: remove it there, factory-reset the accessory, or give --reset CMD',
      );
    if (state === 'unpaired' && this.state === 'ours') await this.unpair();
    else if (state === 'paired' && this.state === 'unpaired') {
      const controller = this.controller('ensure paired');
      const setup = await controller.pairSetup();
      await setup.m3();
      await setup.m5();
      await this.closeLinks();
    }
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

  /** Finds out the pairing state by M1, and takes back what a stimulus of ours left behind. */
  private async settle(): Promise<void> {
    // An M1 that is not answered costs the whole patience, each time.
    const dead = this.broken.get('PS-M1-01');
    if (dead !== undefined) throw new StepFailed('PS-M1-01', dead);
    const deadline = this.clock.now() + BUSY_PATIENCE;
    for (;;) {
      const outcome = await this.probe();
      const error = outcome.kind === 'reply' ? outcome.tlv?.error : undefined;
      if (error === TlvError.Busy && this.clock.now() < deadline) {
        await this.clock.sleep(250);
        continue;
      }
      // Several stimuli may each have left a pairing: look again until the accessory is free or no key opens it.
      // One that refuses M1 in words of its own may be paired as well, and then a key of ours opens it.
      const refused =
        error === TlvError.Unavailable || (outcome.kind === 'reply' && this.state === 'unknown');
      if (refused && (await this.recover())) continue;
      if (error === TlvError.Unavailable) this.state = 'foreign';
      // No key of ours opens it: none of them is in it.
      if (this.mayBePaired && outcome.kind === 'reply' && outcome.tlv?.has(TlvType.PublicKey) === true) {
        for (const identity of [...this.sentIdentities]) this.forget(identity);
        this.unpaired();
      }
      if (this.state === 'unknown')
        throw new StepFailed(
          'PS-M1-01',
          `the pairing state cannot be told: M1 was answered by ${describeOutcome(outcome)}`,
        );
      return;
    }
  }

  private isOurs(id: Bytes): boolean {
    return this.guests.has(hex(id)) || this.sentIdentities.some((identity) => equal(identity.id, id));
  }

  /** A list without the controllers that were there before the run: a receiver pairs with several. */
  withoutResidents(list: PairingsList): PairingsList {
    if (!this.profile.servesPaired) return list;
    this.residents ??= new Set(list.entries.filter(({ id }) => !this.isOurs(id)).map(({ id }) => hex(id)));
    const { residents } = this;
    return { ...list, entries: list.entries.filter(({ id }) => !residents.has(hex(id))) };
  }

  /** Removes whom checks have added and left: they would make the next ones fail. */
  private async tidy(): Promise<void> {
    try {
      if (this.admin !== undefined) await this.removeOthers(this.admin);
    } catch (error) {
      if (!(error instanceof StepFailed)) throw error;
      this.state = 'unknown';
    }
    this.guests.clear();
    await this.closeLinks();
    if (this.state === 'unknown') await this.settle();
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
    for (let sessions = 0; sessions < MOST_GUESTS; sessions++) {
      const session = await this.controller('tidying up').session({ as: own, housekeeping: true });
      const list = await session.sendPairings(listPairings());
      const { entries } = readPairings(list.kind === 'reply' ? list.tlv : undefined);
      // By its key: an accessory may list an identifier otherwise than it came.
      const others = entries.flatMap(({ id, ltpk }) =>
        equal(ltpk, own.ltpk) || equal(id, own.id) || (servesPaired && !this.isOurs(id)) ? [] : [id],
      );
      const leaving = entries.length > 0 ? others : named;
      if (entries.length === 0) named = [];
      for (const id of leaving) if (await session.link.stillOpen(0)) await session.sendRemove(id);
      const whole = await session.link.stillOpen(0);
      await this.closeLinks();
      if (leaving.length === 0 || (whole && entries.length > 0)) return;
    }
  }

  /** The identity is known to be in the accessory no more, or never to have been. */
  forget(identity: Identity): void {
    const at = this.sentIdentities.indexOf(identity);
    if (at >= 0) this.sentIdentities.splice(at, 1);
    this.options.memory?.forget(identity);
  }

  /** Tries every identity that ever left in this run; true when one of them got in and removed itself. */
  private async recover(): Promise<boolean> {
    // The admin of the run before everybody it has let in: it can remove them all.
    const { admin } = this;
    const others = [...this.sentIdentities].reverse().filter((identity) => identity !== admin);
    for (const identity of admin !== undefined && this.sentIdentities.includes(admin)
      ? [admin, ...others]
      : others) {
      try {
        let removed = await this.removeSelf(identity);
        if (removed === undefined) {
          // It closed instead of answering: only a free accessory proves that this key is of no use any more.
          await this.closeLinks();
          await this.probe();
          removed = this.state === 'unpaired';
        }
        if (removed) {
          this.forget(identity);
          this.recovered.push(identity);
          return true;
        }
      } catch (error) {
        if (!(error instanceof StepFailed)) throw error;
      } finally {
        await this.closeLinks();
      }
    }
    return false;
  }

  /**
   * Pair Verify as `identity` and Remove of its own pairing; housekeeping, so an unproven accessory is accepted.
   * @returns whether the accessory said so; undefined when it ended the connection instead of answering.
   */
  private async removeSelf(identity: Identity): Promise<boolean | undefined> {
    if (this.guests.size > 0 || this.state !== 'ours') await this.removeOthers(identity);
    this.guests.clear();
    const controller = this.controller(`housekeeping ${text(identity.id)}`);
    const session = await controller.session({ as: identity, housekeeping: true });
    const outcome = await session.sendPairings(removePairing(identity.id));
    if (outcome.kind === 'close' || outcome.kind === 'reset') return undefined;
    return outcome.kind === 'reply' && outcome.tlv !== undefined && outcome.tlv.error === undefined;
  }

  /**
   * Takes the run's pairing back. Some accessories close before the reply is out, and some never stored what they
   * confirmed: then M1 decides.
   * @throws StepFailed when the accessory stays paired.
   */
  async unpair(): Promise<void> {
    if (this.state !== 'ours' || this.admin === undefined) return;
    const known = this.broken.get(UNPAIRING);
    if (known !== undefined) throw new StepFailed(UNPAIRING, known);
    let why = 'the accessory refused to remove the pairing of this run';
    try {
      if ((await this.removeSelf(this.admin)) === true) {
        this.forget(this.admin);
        await this.closeLinks();
        return this.unpaired();
      }
    } catch (error) {
      if (!(error instanceof StepFailed)) throw error;
      why = `the pairing of this run cannot be removed (${error.message})`;
    }
    await this.closeLinks();
    await this.probe();
    if (this.state !== 'ours') return;
    if (this.options.hooks?.reset !== undefined) return this.factoryReset();
    this.broken.set(UNPAIRING, why);
    throw new StepFailed(UNPAIRING, why);
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
      if (this.misbehaved) while (await this.recover());
      if (this.state === 'unpaired') for (const identity of [...this.sentIdentities]) this.forget(identity);
      if (this.state === 'unpaired' && kept !== undefined) {
        const setup = await this.controller('pairing as found').pairSetup({ identity: kept });
        await setup.m3();
        await setup.m5();
        await this.closeLinks();
        return { clean: true, message: 'the accessory is paired by "hapspec pair" again, as it was found' };
      }
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
      if (this.sentIdentities.length === 0 || this.state === 'unpaired')
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
