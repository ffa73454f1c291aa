import {
  type Edit,
  type M5Options,
  PairSetupController,
  PairVerifyController,
  type PairingsList,
  type SetupM2,
  type SetupM4,
  type SetupM6,
  type VerifyM2,
  type VerifyM3Options,
  applyEdit,
  readPairings,
  readSetupM2,
} from '../controller/index.js';
import {
  type Bytes,
  type Forgery,
  type GroundValue,
  type Identity,
  type Peer,
  FrameEncoder,
  Length,
  Permission,
  type Random,
  type SrpConvention,
  type SrpConventionName,
  TlvError,
  type TlvItem,
  type TlvMessage,
  PairingFlag,
  TlvType,
  addPairing,
  decodeTlv,
  concat,
  controllerIdentity,
  encodeTlv,
  fromInteger,
  listPairings,
  otherCode,
  parseSetupCode,
  removePairing,
  srpConventions,
  toInteger,
  Method,
  equal,
  hex,
  text,
  utf8,
} from '../protocol/index.js';
import { type Dialer, type HttpRequest, Unreachable } from '../wire/index.js';
import { Blocked, NotApplicable, StepFailed } from './errors.js';
import type { Fixture } from './fixture.js';
import type { Link } from './link.js';
import { type Outcome, type Reply, describeOutcome, success } from './outcome.js';
import type { KeyNames, Step } from './profile.js';
import type { Waits } from './waits.js';

export interface SetupOptions {
  /** The setup code of the accessory, its digits alone, or a code of the same form that is certainly wrong. */
  readonly code?: 'right' | 'undashed' | 'wrong';
  /** Any text in the place of the setup code. */
  readonly password?: string;
  /** How SRP integers are encoded, by name or by what departs from `neutral`, which holds unless given. */
  readonly convention?: SrpConventionName | Partial<SrpConvention>;
  /** Which of the controller's values starts with a zero byte, and no other does. */
  readonly leadingZero?: GroundValue;
  readonly link?: Link;
  readonly identity?: Identity;
  /** Method of M1; PairSetup unless given. */
  readonly method?: number;
  /** Flags of M1; left out unless given. */
  readonly flags?: number | Bytes;
}

/** A transient Pair Setup up to the first answer in a frame. */
export interface TransientSetup {
  readonly setup: PairSetup;
  readonly session: Session;
  /** What came of the first request inside. */
  readonly hello: Outcome;
}

export interface VerifyOptions {
  /** Who verifies; the run's own controller unless given. */
  readonly as?: Identity;
  readonly link?: Link;
  /** Goes on with an accessory whose identity Pair Setup did not prove: only to undo what the harness did. */
  readonly housekeeping?: boolean;
  /** Who the accessory should prove to be; the one of this run's M6 unless given, and anybody while housekeeping. */
  readonly peer?: Peer;
  /** A point of low order in the place of the ephemeral key. */
  readonly lowOrder?: Bytes;
}

function asksTransient(flags: number | Bytes = 0): boolean {
  const value = typeof flags === 'number' ? BigInt(flags) : toInteger(flags.toReversed());
  return (value & BigInt(PairingFlag.Transient)) !== 0n;
}

/**
 * The vocabulary of checks. `send…` returns the outcome to be judged; the plain verb (`m1`, `m3`, `m5`) is a step on
 * the way and throws StepFailed when it does not succeed, so "could not get there" never reads as a violation.
 */
export class Controller {
  constructor(
    readonly bench: Fixture,
    readonly random: Random,
    /** How long is waited for what is judged; follows from what the check allows. */
    readonly waits: Waits,
  ) {}

  /** Milliseconds a judged outcome may take. */
  get judgedWait(): number {
    return this.waits.judged;
  }

  /** Milliseconds of silence where nothing has to come. */
  get quietWait(): number {
    return this.waits.quiet;
  }

  /** Milliseconds in which an event that must not come would have. */
  get eventWait(): number {
    return this.bench.pace.eventWait;
  }

  get profile(): Fixture['profile'] {
    return this.bench.profile;
  }

  /** A fresh controller identity, of the given identifier when there is one; remembered when it is sent. */
  newIdentity(id?: Bytes): Identity {
    const fresh = controllerIdentity(this.random);
    const identity = id === undefined ? fresh : { ...fresh, id };
    this.bench.keyring.keys.push(identity.ltsk);
    return identity;
  }

  /**
   * A controller that is going to be let in: a new one, or, where a receiver takes nobody out again, one that is in
   * already and that nothing is known of in this check.
   */
  newGuest(): Identity {
    return this.bench.household.lodger() ?? this.newIdentity();
  }

  /** PairSetupWithAuth was met by silence, where nobody would have asked for it. */
  async passesOverAuth(outcome: Outcome): Promise<boolean> {
    const { bench, profile } = this;
    if (outcome.kind !== 'silence' || profile.authUnannounced !== 'any') return false;
    return !(await bench.learned.declares('mfi'));
  }

  /** What a check stores has to go again. @throws Blocked where it would not; NotApplicable without administration */
  needsRemoval(): void {
    const { keepsAll: full, unserved } = this.bench.learned;
    const none = unserved.get(Method.RemovePairing);
    if (none !== undefined) throw new NotApplicable(`no administration here: ${none}`);
    if (full !== undefined) throw new Blocked(`what it stores would stay for good: ${full}`);
  }

  open(): Promise<Link> {
    return this.bench.open();
  }

  /** A connection to another place the accessory names, or undefined when nobody takes it there. */
  async openAt(dialer: Dialer): Promise<Link | undefined> {
    try {
      return await this.bench.open(dialer);
    } catch (error) {
      if (error instanceof Unreachable) return undefined;
      throw error;
    }
  }

  /** Milliseconds a flow step may take. */
  get stepWait(): number {
    return this.bench.options.patience.answer;
  }

  /** A Pair Setup on a connection of its own, nothing sent yet. */
  async setup(options: SetupOptions = {}): Promise<PairSetup> {
    const { code } = this.bench.options;
    const texts = {
      right: code?.dashed,
      undashed: code?.digits,
      // Without a code to differ from, any code is a wrong one.
      wrong: otherCode(code ?? parseSetupCode('13579246')).dashed,
    };
    const identity = options.identity ?? this.newIdentity();
    const link = options.link ?? (await this.open());
    const kind = asksTransient(options.flags) ? 'transient' : 'regular';
    link.kind = kind;
    const { transientCode, pinStart } = this.profile;
    const fixed = kind === 'transient' && options.code !== 'wrong' ? transientCode : undefined;
    const password = options.password ?? fixed ?? texts[options.code ?? 'right'];
    if (kind === 'regular' && pinStart !== undefined) await this.bench.showCode(link, pinStart);
    return new PairSetup(this, link, password, identity, options);
  }

  /** A Pair Setup brought to M2. */
  async pairSetup(options: SetupOptions = {}): Promise<PairSetup> {
    const setup = await this.setup(options);
    await setup.m1();
    return setup;
  }

  /**
   * A Pair Setup brought to an M2 whose B has a leading zero byte: one M2 in 256, and only the accessory can bring it
   * about. Every M1 comes on a connection of its own. @returns undefined when `limit` of them did not do it.
   */
  async pairSetupWithShortB(limit: number, options: SetupOptions = {}): Promise<PairSetup | undefined> {
    const identity = options.identity ?? this.newIdentity();
    for (let tries = 0; tries < limit; tries++) {
      await this.bench.closeLinks();
      const setup = await this.setup({ ...options, identity });
      const { salt, B } = await setup.toM2();
      if (B!.length === Length.srpPublicKey && B![0] !== 0) continue;
      setup.machine.answer(salt!, B!);
      return setup;
    }
    return undefined;
  }

  /** Pair Setup M1 to M6. @returns the identity that is admin now. */
  async pair(options: SetupOptions = {}): Promise<PairSetup> {
    const setup = await this.pairSetup({ identity: this.newGuest(), ...options });
    await setup.m3();
    await setup.m5();
    return setup;
  }

  /**
   * Pair Setup that ends with M4, and a first request in frames: under the names of this dress, then under the other
   * ones, until an answer comes in a frame that opens. @returns why there is no such session otherwise.
   */
  async tryTransient(options: SetupOptions = {}): Promise<TransientSetup | { readonly why: string }> {
    const { bench, profile } = this;
    if (bench.learned.noTransient !== undefined) return { why: bench.learned.noTransient };
    const known = bench.learned.transientNames;
    let why = '';
    for (const names of known === undefined ? profile.transientKeys : [known]) {
      await bench.closeLinks();
      const setup = await this.setup({ flags: PairingFlag.Transient, ...options });
      const refusal = await setup.sendToM4();
      if (refusal !== undefined) {
        why ||= refusal;
        break;
      }
      const session = setup.secureTransient(names, known !== undefined);
      const hello = await session.request(profile.hello, this.stepWait);
      if (hello.kind === 'reply' && hello.sealed) {
        bench.learned.transientNames = names;
        setup.link.grant();
        return { setup, session, hello };
      }
      why ||= `a request in a frame under the keys named ${names.name} behind M4: ${describeOutcome(hello)}`;
    }
    // One that went wrong after others have worked says something about its options, not about the accessory.
    if (known === undefined && options.flags === undefined) bench.learned.noTransient = why;
    return { why };
  }

  /** A transient Pair Setup brought to M2. @throws NotApplicable where M1 is refused, and none was declared. */
  async transientM2(options: SetupOptions = {}): Promise<PairSetup> {
    const setup = await this.setup({ flags: PairingFlag.Transient, ...options });
    const outcome = await setup.sendM1(undefined, this.stepWait);
    if (success('setup-m2').matches(outcome)) {
      setup.answerM2();
      return setup;
    }
    const why = `M1 with the flag Transient was answered by ${describeOutcome(outcome)}`;
    if (await this.bench.learned.declares('transient')) throw new StepFailed('TRANSIENT-02', why);
    throw new NotApplicable(`transient Pair Setup was never declared: ${why}`);
  }

  /** A session behind a transient M4. @throws NotApplicable where none was declared and none comes about. */
  async transient(options: SetupOptions = {}): Promise<TransientSetup> {
    const found = await this.tryTransient(options);
    if (!('why' in found)) return found;
    if (this.bench.learned.noTransient === undefined || (await this.bench.learned.declares('transient')))
      throw new StepFailed('TRANSIENT-02', found.why);
    throw new NotApplicable(`transient Pair Setup was never declared, and does not come about: ${found.why}`);
  }

  private async transientSession(): Promise<Session> {
    this.bench.learned.insteadOfVerified = true;
    const setup = await this.transientM2();
    this.must('setup-m4', 'TRANSIENT-02', await setup.sendM3(undefined, this.stepWait));
    return setup.secureTransient(this.bench.learned.transientNames ?? this.profile.transientKeys[0]!, true);
  }

  /** A Pair Verify on a connection of its own, nothing sent yet. */
  async verify(options: VerifyOptions = {}): Promise<PairVerify> {
    this.needsVerified(options);
    // With an accessory somebody else has paired, a stranger is all the harness can be.
    const stranger = this.bench.state === 'foreign' ? this.newIdentity() : undefined;
    const identity = options.as ?? this.bench.admin ?? stranger;
    if (identity === undefined) throw new StepFailed('PS-M5-01', 'there is no pairing to verify with');
    const link = options.link ?? (await this.open());
    return new PairVerify(this, link, identity, options);
  }

  /** A Pair Verify brought to M2. */
  async pairVerify(options: VerifyOptions = {}): Promise<PairVerify> {
    const { as } = options;
    if (as !== undefined && this.bench.household.isPlain(as) && !(await this.admitsPlain()))
      throw new NotApplicable('the receiver admits admins alone');
    const verify = await this.verify(options);
    await verify.m1();
    return verify;
  }

  /** What is asked of a verified controller is asked of nobody where none is kept. @throws NotApplicable */
  private needsVerified({ housekeeping = false }: VerifyOptions): void {
    const { insteadOfVerified, keepsNobody } = this.bench.learned;
    if (insteadOfVerified && !housekeeping) throw new NotApplicable(keepsNobody);
  }

  /** A verified, secured session; a transient one of a receiver that keeps no controller. */
  async session(options: VerifyOptions = {}): Promise<Session> {
    if (this.bench.learned.keepsNobody !== undefined && options.housekeeping !== true)
      return this.transientSession();
    const verify = await this.pairVerify(options);
    return verify.m3();
  }

  /**
   * Whether plain users may verify. The owner of a receiver may have it admit admins alone; elsewhere it is a matter of
   * course. Found out once, by a user that is let in and made an admin when it is not admitted.
   */
  async admitsPlain(): Promise<boolean> {
    const { bench, profile } = this;
    if (!profile.optionalAdministration || bench.learned.insteadOfVerified) return true;
    if (bench.learned.adminsOnly === undefined) {
      const verify = await this.pairVerify();
      const host = await verify.m3();
      const guest = await this.letIn(host, Permission.User);
      if (bench.learned.keepsAll === undefined) await host.sendRemove(guest.id);
      await host.link.close();
    }
    return bench.learned.adminsOnly !== true;
  }

  /**
   * A session where one may be refused for want of room: undefined when it did not come about.
   * @throws StepFailed for what is known to be broken without any such want.
   */
  async trySession(options: VerifyOptions = {}): Promise<Session | undefined> {
    try {
      return await this.session(options);
    } catch (error) {
      if (error instanceof Unreachable) return undefined;
      if (error instanceof StepFailed && !this.bench.broken.has(error.requirement)) return undefined;
      throw error;
    }
  }

  /**
   * A session of another controller, added through `host`: an accessory may keep only the newest session of each.
   * What a check does not remove again is tidied up behind it.
   */
  async guestSession(host: Session, permissions: number = Permission.User): Promise<Session> {
    if (this.bench.learned.insteadOfVerified) return this.transientSession();
    return this.session({ as: await this.letIn(host, permissions) });
  }

  /**
   * Another controller that is let in: added through `host`, or paired beside it where a receiver adds nobody. Where the
   * owner of a receiver has it admit admins alone, it is one.
   */
  async letIn(host: Session, permissions: number = Permission.User): Promise<Identity> {
    const guest = this.newGuest();
    const { bench, profile } = this;
    if (!profile.optionalAdministration) {
      await host.add(guest, permissions);
      return guest;
    }
    // A receiver lets in whoever knows the code, and as many as come.
    if (await host.lacks(Method.AddPairing)) {
      await host.lacks(Method.RemovePairing);
      await this.besides(guest);
    } else await host.add(guest, bench.learned.adminsOnly === true ? Permission.Admin : permissions);
    if (permissions === Permission.Admin || bench.learned.adminsOnly !== undefined) return guest;
    bench.learned.adminsOnly = false;
    if (bench.learned.unserved.has(Method.AddPairing) || (await this.admits(guest))) return guest;
    await host.add(guest, Permission.Admin);
    bench.learned.adminsOnly = await this.admits(guest);
    return guest;
  }

  /** Whether Pair Verify lets it in, on a connection of its own. */
  private async admits(identity: Identity): Promise<boolean> {
    const verify = await this.verify({ as: identity });
    const known = success('verify-m2').matches(await verify.sendM1(undefined, this.stepWait));
    const letIn = known && success('verify-m4').matches(await verify.sendM3({}, undefined, this.stepWait));
    await verify.link.close();
    return letIn;
  }

  /** Pair Setup of another controller beside the admin of the run, who stays that. */
  private async besides(guest: Identity): Promise<void> {
    const { bench } = this;
    const { admin } = bench;
    const setup = await this.pairSetup({ identity: guest });
    await setup.m3();
    await setup.m5();
    await setup.link.close();
    bench.household.guests.add(hex(guest.id));
    if (admin !== undefined) bench.paired(admin, bench.accessory);
  }

  /** Any request on a connection, judged. */
  request(link: Link, request: HttpRequest): Promise<Outcome> {
    return link.request(request, this.judgedWait);
  }

  /** Pairing items to a path, judged. */
  post(link: Link, path: string, items: readonly TlvItem[]): Promise<Outcome> {
    return link.post(path, items, this.judgedWait);
  }

  /** Any bytes in the place of Pair Verify M1, judged. */
  postToVerify(link: Link, body: Bytes): Promise<Outcome> {
    this.bench.spent.verifies++;
    return link.postBytes(this.profile.paths.verify, body, this.judgedWait);
  }

  /** M1 on a fresh connection: true when it is answered by M2, false when by Unavailable. @throws StepFailed otherwise. */
  async isUnpaired(): Promise<boolean> {
    await this.bench.closeLinks();
    const since = this.bench.clock.now();
    for (;;) {
      const outcome = await this.bench.probe();
      if (outcome.kind === 'reply' && outcome.tlv?.error === TlvError.Unavailable) {
        return false;
      }
      if (success('setup-m2').matches(outcome)) return true;
      if (!(await this.bench.gates.busy(outcome, since)))
        throw new StepFailed('PS-M1-01', `M1 was answered by ${describeOutcome(outcome)}`);
    }
  }

  /**
   * True when Pair Verify lets this identity in: an M5 that had to be refused was stored. A Pair Verify costs a
   * device a fifth of an M1. What the accessory answers otherwise, before or after M3, is some way of not knowing it.
   */
  async isStored(identity: Identity): Promise<boolean> {
    await this.bench.closeLinks();
    const verify = await this.verify({ as: identity, housekeeping: true });
    const m2 = await verify.sendM1(undefined, this.stepWait);
    this.bench.learned.answeredAfresh = m2.kind === 'reply';
    const m4 =
      success('verify-m2').matches(m2) && verify.m2?.items !== undefined ? await verify.sendM3() : undefined;
    await this.bench.closeLinks();
    if (m4 !== undefined && success('verify-m4').matches(m4)) {
      // Where everybody is let in, it says nothing.
      const stranger = await this.verify({ as: this.newIdentity(), housekeeping: true });
      const known = success('verify-m2').matches(await stranger.sendM1(undefined, this.stepWait));
      const letIn = known && success('verify-m4').matches(await stranger.sendM3());
      await this.bench.closeLinks();
      const what = 'Pair Verify lets in whoever nobody knows';
      if (!letIn) return true;
      // Who is nobody's yet has to refuse everybody; that this one is not, its own check must still be able to say.
      const requirement = this.bench.state === 'ours' ? 'PV-M3-02' : 'PV-M1-04';
      if (!this.bench.broken.has(requirement)) this.bench.learned.metOnTheWay.add(requirement);
      this.bench.broken.set(requirement, what);
      // A receiver that lets in everybody keeps nobody, as far as can be seen from outside.
      if (this.profile.servesPaired) return false;
      throw new StepFailed(requirement, what);
    }
    if (this.bench.state === 'unknown') this.bench.unpaired();
    return false;
  }

  /** Refuses to build on a requirement already found broken. */
  relyOn(...requirements: readonly string[]): void {
    for (const requirement of requirements) {
      const seen = this.bench.broken.get(requirement);
      if (seen !== undefined) throw new StepFailed(requirement, seen);
    }
  }

  /** The reply of a step that must succeed. */
  must(step: Step, requirement: string, outcome: Outcome): Outcome & Reply & { tlv: TlvMessage } {
    const { gates } = this.bench;
    if (success(step).matches(outcome)) {
      if (step === 'verify-m2') gates.verify.serves();
      return outcome as Outcome & Reply & { tlv: TlvMessage };
    }
    if (step === 'verify-m2') gates.verify.refuses(outcome);
    const shut =
      step === 'setup-m2' ? gates.setup.shut : step === 'verify-m2' ? gates.verify.shut : undefined;
    if (shut !== undefined) throw shut;
    // Nothing of ours is under way where a flow begins, and connections that ended get their five seconds.
    if (step === 'setup-m2' && outcome.kind === 'reply' && outcome.tlv?.error === TlvError.Busy)
      throw new StepFailed(
        'PS-STATE-10',
        'M1 was answered by Busy, and every connection that began a Pair Setup has ended',
      );
    throw new StepFailed(requirement, `${stepWords(step)} was due, seen: ${describeOutcome(outcome)}`);
  }

  /** Throws for findings that make it impossible (or wrong) for a controller to go on. */
  accept(read: {
    readonly findings: readonly { requirement: string; what: string; fatal: boolean }[];
  }): void {
    const fatal = read.findings.find((finding) => finding.fatal);
    if (fatal === undefined) return;
    this.bench.broken.set(fatal.requirement, fatal.what);
    throw new StepFailed(fatal.requirement, fatal.what);
  }
}

/** Makes the controller of a label: the same label, the same randomness. */
export type MakeController = (label: string) => Controller;

/** One Pair Setup exchange on one connection. */
export class PairSetup {
  readonly machine: PairSetupController;
  m2: SetupM2 | undefined;
  m4: SetupM4 | undefined;
  /** M2 came with Flags. */
  grantsSplit = false;
  private lastM5: Bytes = new Uint8Array(0);
  private readonly asked: Pick<SetupOptions, 'method' | 'flags' | 'identity'>;

  constructor(
    readonly controller: Controller,
    readonly link: Link,
    private readonly code: string | undefined,
    identity: Identity,
    options: Pick<SetupOptions, 'convention' | 'leadingZero' | 'method' | 'flags' | 'identity'> = {},
    machine?: PairSetupController,
  ) {
    const { convention, leadingZero } = options;
    this.asked = options;
    const { random } = controller;
    const chosen =
      typeof convention === 'string'
        ? srpConventions[convention]
        : convention && { ...srpConventions.neutral, ...convention };
    this.machine = machine ?? new PairSetupController(code ?? '', identity, random, chosen, leadingZero);
  }

  /** Who pairs. */
  get identity(): Identity {
    return this.machine.identity;
  }

  /** Whoever M5 introduces is going to be let in (see `newGuest`), unless it was said who that is. */
  asGuest(): this {
    if (this.asked.identity === undefined)
      this.machine.identity = this.controller.bench.household.lodger() ?? this.identity;
    return this;
  }

  /** The same exchange, carried on over another connection. */
  on(link: Link): PairSetup {
    return new PairSetup(this.controller, link, this.code, this.identity, this.asked, this.machine);
  }

  private exchange(body: Bytes, wait: number): Promise<Outcome> {
    return this.link.postBytes(this.controller.profile.paths.setup, body, wait);
  }

  /**
   * M1, edited when asked, judged. A Busy left by a connection of ours the accessory has not let go of yet is waited
   * out, unless the check is about Busy.
   */
  async sendM1(edit?: Edit, wait = this.controller.judgedWait, waitOutBusy = true): Promise<Outcome> {
    const { method, flags } = this.asked;
    const { bench } = this.controller;
    const { state, gates } = bench;
    // What is as it should be, on a connection of its own, where nobody is paired and nothing is in progress.
    const asUsual = edit === undefined && method === undefined && flags === undefined;
    const due = asUsual && !this.link.begun && !bench.links.hasBegunBeside(this.link);
    const free = state === 'unpaired' || state === 'unknown';
    const body = encodeTlv(applyEdit(this.machine.m1(method, flags), edit));
    const outcome = await this.sendM1Bytes(body, wait, waitOutBusy);
    if (due && free && !success('setup-m2').matches(outcome)) gates.setup.refuses(outcome);
    return outcome;
  }

  /** Any bytes in the place of M1, judged. */
  async sendM1Bytes(body: Bytes, wait = this.controller.judgedWait, waitOutBusy = true): Promise<Outcome> {
    const { bench } = this.controller;
    const since = bench.clock.now();
    for (;;) {
      const outcome = await this.link.postBytes(this.controller.profile.paths.setup, body, wait);
      bench.tally.countM2(outcome);
      const tlv = outcome.kind === 'reply' ? outcome.tlv : undefined;
      if (waitOutBusy && (await bench.gates.busy(outcome, since, this.link))) continue;
      const { shut } = bench.gates.setup;
      if (waitOutBusy && tlv?.error === TlvError.Busy && shut !== undefined) throw shut;
      if (outcome.kind === 'reply' && tlv?.has(TlvType.PublicKey)) {
        this.m2 = readSetupM2(tlv);
        this.link.begun = true;
        this.grantsSplit = tlv.has(TlvType.Flags);
        bench.emit('setup-m2', { reply: outcome, m2: this.m2 });
      }
      return outcome;
    }
  }

  private needCode(): void {
    if (this.code === undefined)
      throw new Blocked('no setup code: give --code XXX-XX-XXX or set HAPSPEC_CODE');
  }

  /** M1 to M2, and nothing computed from it yet. @throws Blocked without a setup code. */
  async toM2(): Promise<SetupM2> {
    this.controller.relyOn('PS-M1-01', 'PS-M1-03');
    this.needCode();
    this.controller.must('setup-m2', 'PS-M1-01', await this.sendM1(undefined, this.controller.stepWait));
    this.controller.accept(this.m2!);
    return this.m2!;
  }

  /** M1 to M2 as a step. @throws Blocked without a setup code. */
  async m1(): Promise<SetupM2> {
    const m2 = await this.toM2();
    this.answer();
    return m2;
  }

  /** M1 to M2 as a step of somebody who guesses what the code would tell him. */
  async m1Forged(forgery: Forgery): Promise<SetupM2> {
    const m2 = await this.toM2();
    this.machine.forge(m2.salt!, m2.B!, forgery);
    return m2;
  }

  /** Computes the session for the M2 that came. @throws StepFailed when no controller may go on from it. */
  answerM2(): void {
    this.controller.accept(this.m2!);
    this.answer();
  }

  private answer(): void {
    const { bench } = this.controller;
    const { v, S, K } = this.machine.answer(this.m2!.salt!, this.m2!.B!);
    bench.keyring.keepSecret('the SRP verifier', fromInteger(v));
    bench.keyring.keepSecret('the SRP secret S', fromInteger(S));
    bench.keyring.keepSecret('the key K of Pair Setup', K);
  }

  /** M1 to M4 with the flags asked for. @returns what refused it, in words, or undefined. @throws Blocked */
  async sendToM4(): Promise<string | undefined> {
    const { controller } = this;
    this.needCode();
    const m2 = await this.sendM1(undefined, controller.stepWait);
    if (!success('setup-m2').matches(m2)) return `M1 with Flags was answered by ${describeOutcome(m2)}`;
    controller.accept(this.m2!);
    this.answer();
    const m4 = await this.sendM3(undefined, controller.stepWait);
    if (m4.kind !== 'reply' || !success('setup-m4').matches(m4))
      return `M3 behind an M1 with Flags was answered by ${describeOutcome(m4)}`;
    controller.accept(this.readM4(m4));
    return undefined;
  }

  /** The switch to frames behind a transient M4; `granted` when the accessory is known to do it. */
  secureTransient({ keys }: KeyNames, granted: boolean): Session {
    const own = keys(this.machine.session.K);
    for (const key of [own.toAccessory, own.toController])
      this.controller.bench.keyring.keepSecret('a key of the transient session', key);
    this.link.secureWith(own, granted);
    return new Session(this.controller, this.link, this.identity);
  }

  /** The whole of Pair Setup, judged: the first answer that is no success, or M6. */
  async sendAll(): Promise<Outcome> {
    const m2 = await this.sendM1();
    if (!success('setup-m2').matches(m2)) return m2;
    this.controller.accept(this.m2!);
    this.answer();
    const m4 = await this.sendM3();
    if (m4.kind !== 'reply' || !success('setup-m4').matches(m4)) return m4;
    this.controller.accept(this.readM4(m4));
    const m6 = await this.sendM5();
    this.accepted(m6);
    return m6;
  }

  /** M3, edited when asked, judged. */
  async sendM3(edit?: Edit, wait = this.controller.judgedWait): Promise<Outcome> {
    return this.sendItems(applyEdit(this.machine.m3(), edit), wait);
  }

  /** Any items in the place of M3. */
  sendItems(items: readonly TlvItem[], wait = this.controller.judgedWait): Promise<Outcome> {
    return this.sendM3Bytes(encodeTlv(items), wait);
  }

  /** Any bytes in the place of M3, judged. */
  async sendM3Bytes(body: Bytes, wait = this.controller.judgedWait): Promise<Outcome> {
    const outcome = await this.exchange(body, wait);
    this.controller.bench.tally.countM4(outcome, success('setup-m4').matches(outcome));
    return outcome;
  }

  /** Reads M4 of a right M3 and tells the watches. */
  readM4(outcome: Outcome & Reply): SetupM4 {
    const m4 = this.machine.readM4(outcome.tlv!);
    this.m4 = m4;
    this.controller.bench.emit('setup-m4', { reply: outcome, m4 });
    const { authentication } = m4;
    if (authentication !== undefined && this.asked.method === Method.PairSetupWithAuth) {
      if (authentication.items !== undefined) this.link.opened('sub-TLV of M4', authentication.items.items);
      this.controller.bench.emit('authentication', { reply: outcome, authentication });
    }
    return m4;
  }

  /** M3 to M4 as a step. */
  async m3(): Promise<SetupM4> {
    this.controller.relyOn('PS-M3-01', 'PS-M3-03');
    const outcome = await this.sendM3(undefined, this.controller.stepWait);
    const m4 = this.readM4(this.controller.must('setup-m4', 'PS-M3-01', outcome));
    this.controller.accept(m4);
    return m4;
  }

  /** M5, by the rule or with departures, judged. The identity is remembered before it leaves. */
  async sendM5(options: M5Options = {}, edit?: Edit, wait = this.controller.judgedWait): Promise<Outcome> {
    return this.sendM5Bytes(encodeTlv(applyEdit(this.machine.m5(options), edit)), wait);
  }

  /** Any bytes in the place of M5, judged. The identity is remembered before they leave. */
  sendM5Bytes(body: Bytes, wait = this.controller.judgedWait): Promise<Outcome> {
    const { bench } = this.controller;
    this.lastM5 = body;
    this.link.inside('sub-TLV of M5', this.machine.lastSub);
    bench.remember(this.identity, 'pair-setup');
    bench.spent.m6++;
    // Until M6 is read the accessory may or may not hold this pairing.
    bench.state = 'unknown';
    return this.exchange(body, wait);
  }

  /** The bytes of the last M5 once more, on this connection or another one, judged. */
  repeatM5(link = this.link): Promise<Outcome> {
    this.controller.bench.spent.m6++;
    return link.postBytes(this.controller.profile.paths.setup, this.lastM5, this.controller.judgedWait);
  }

  /** True when M5 was answered by M6, which is read then. */
  accepted(outcome: Outcome): boolean {
    const success6 = outcome.kind === 'reply' && success('setup-m6').matches(outcome);
    if (success6) this.readM6(outcome);
    return success6;
  }

  /**
   * Reads M6 of a right M5, tells the watches, and notes that the accessory is paired. `plain`: it belongs to a Pair Setup
   * as every controller does it; what is wrong with another one says nothing about that.
   */
  readM6(outcome: Outcome & Reply, plain = false): SetupM6 {
    const { bench } = this.controller;
    const m6 = this.machine.readM6(outcome.tlv!);
    if (m6.items !== undefined) this.link.opened('sub-TLV of M6', m6.items.items);
    if (plain)
      for (const { requirement, what, fatal } of m6.findings) if (fatal) bench.broken.set(requirement, what);
    bench.paired(this.identity, m6.accessory);
    bench.emit('setup-m6', { reply: outcome, m6 });
    return m6;
  }

  /** M5 to M6 as a step. Whether M6 proves the accessory is judged by PS-M6-01, and matters first in Pair Verify. */
  async m5(): Promise<SetupM6> {
    this.controller.relyOn('PS-M5-01');
    this.asGuest();
    const outcome = await this.sendM5({}, undefined, this.controller.stepWait);
    return this.readM6(this.controller.must('setup-m6', 'PS-M5-01', outcome), true);
  }
}

/** One Pair Verify exchange on one connection. */
export class PairVerify {
  readonly machine: PairVerifyController;
  m2: VerifyM2 | undefined;
  /** The bytes of the last M3 sent. */
  lastM3: Bytes = new Uint8Array(0);
  private readonly housekeeping: boolean;
  private readonly lowOrder: Bytes | undefined;

  constructor(
    readonly controller: Controller,
    readonly link: Link,
    readonly identity: Identity,
    { housekeeping = false, lowOrder, peer }: Pick<VerifyOptions, 'housekeeping' | 'lowOrder' | 'peer'>,
  ) {
    const { bench, random } = controller;
    this.housekeeping = housekeeping;
    this.lowOrder = lowOrder;
    const accessory = peer ?? (housekeeping ? undefined : bench.accessory);
    this.machine = new PairVerifyController(identity, accessory, random, lowOrder);
  }

  private exchange(body: Bytes, wait: number): Promise<Outcome> {
    return this.link.postBytes(this.controller.profile.paths.verify, body, wait);
  }

  /** M1, edited when asked, judged. */
  sendM1(edit?: Edit, wait = this.controller.judgedWait): Promise<Outcome> {
    return this.sendM1Bytes(encodeTlv(applyEdit(this.machine.m1(), edit)), wait);
  }

  /** Any bytes in the place of M1 that say the same key, judged. */
  async sendM1Bytes(body: Bytes, wait = this.controller.judgedWait): Promise<Outcome> {
    this.controller.bench.spent.verifies++;
    const outcome = await this.exchange(body, wait);
    if (outcome.kind === 'reply' && outcome.tlv?.state === 2 && outcome.tlv.error === undefined) {
      this.m2 = this.machine.readM2(outcome.tlv);
      if (this.m2.items !== undefined) this.link.opened('sub-TLV of Pair Verify M2', this.m2.items.items);
      // What M2 says to a key of low order, or before a pairing, proves nothing to anybody.
      if (!this.housekeeping && this.lowOrder === undefined)
        this.controller.bench.emit('verify-m2', { reply: outcome, m2: this.m2 });
    }
    return outcome;
  }

  /** M1 to M2 as a step. */
  async m1(): Promise<VerifyM2> {
    if (!this.housekeeping) this.controller.relyOn('PS-M6-01', 'PV-M1-01', 'PV-M2-01');
    const outcome = await this.sendM1(undefined, this.controller.stepWait);
    this.controller.must('verify-m2', 'PV-M1-01', outcome);
    this.controller.accept(this.m2!);
    return this.m2!;
  }

  /** M3, by the rule or with departures, judged. */
  sendM3(options: VerifyM3Options = {}, edit?: Edit, wait = this.controller.judgedWait): Promise<Outcome> {
    return this.sendM3Bytes(encodeTlv(applyEdit(this.machine.m3(options), edit)), wait);
  }

  /** Any bytes in the place of M3, over this connection or another one, judged. */
  async sendM3Bytes(body: Bytes, wait = this.controller.judgedWait, link = this.link): Promise<Outcome> {
    this.lastM3 = body;
    link.inside('sub-TLV of Pair Verify M3', this.machine.lastSub);
    // Inside a session M4 may come under the keys it grants already.
    if (link.secured && this.m2?.items !== undefined) link.session.next = this.machine.sessionKeys();
    const outcome = await link.postBytes(this.controller.profile.paths.verify, body, wait);
    this.tell(outcome);
    return outcome;
  }

  /** Tells the watches about an M4 that grants the session. */
  private tell(outcome: Outcome): void {
    if (outcome.kind === 'reply' && success('verify-m4').matches(outcome))
      this.controller.bench.emit('verify-m4', { reply: outcome });
  }

  /** M3 and the first sealed request behind it in one segment: M4, and what becomes of the request. */
  async sendM3With(request: HttpRequest): Promise<readonly [m4: Outcome, answer: Outcome]> {
    const { link, controller } = this;
    const body = encodeTlv(this.machine.m3());
    const { verify } = controller.profile.paths;
    const headers = [['Content-Type', controller.profile.mediaType]] as const;
    const frames = new FrameEncoder(this.machine.sessionKeys().toAccessory).encode(link.encode(request));
    link.said(`M3, and behind it in one segment ${request.method} ${request.path} sealed`);
    link.send(concat(link.encode({ method: 'POST', path: verify, headers, body }), ...frames));
    const m4 = await link.outcome(controller.stepWait);
    this.tell(m4);
    if (!success('verify-m4').matches(m4)) return [m4, m4];
    this.secure();
    return [m4, await link.outcome(controller.judgedWait)];
  }

  /** M3 to M4 as a step, and the switch to frames. */
  async m3(): Promise<Session> {
    if (!this.housekeeping) this.controller.relyOn('PV-M3-01');
    const outcome = await this.sendM3({}, undefined, this.controller.stepWait);
    this.controller.must('verify-m4', 'PV-M3-01', outcome);
    return this.secure();
  }

  /** The session M4 opened; not `granted` when M4 refused it, and the keys are tried all the same. */
  secure(granted = true): Session {
    const keys = this.machine.sessionKeys();
    for (const key of [keys.toAccessory, keys.toController])
      this.controller.bench.keyring.keepSecret('a key of the session', key);
    this.link.secureWith(keys, granted);
    return new Session(this.controller, this.link, this.identity);
  }
}

/** A verified session: requests travel in frames. */
export class Session {
  constructor(
    readonly controller: Controller,
    readonly link: Link,
    readonly identity: Identity,
  ) {}

  /** A request, judged. */
  request(request: HttpRequest, wait = this.controller.judgedWait): Promise<Outcome> {
    return this.link.request(request, wait);
  }

  get(path: string): Promise<Outcome> {
    return this.request({ method: 'GET', path });
  }

  /** A request to /pairings, judged. */
  sendPairings(items: readonly TlvItem[], wait = this.controller.judgedWait): Promise<Outcome> {
    return this.sendPairingsBytes(encodeTlv(items), wait);
  }

  /**
   * Any bytes in the place of a request to /pairings, judged. @throws NotApplicable where a receiver has no
   * administration of this kind.
   */
  async sendPairingsBytes(body: Bytes, wait = this.controller.judgedWait): Promise<Outcome> {
    const { bench, profile } = this.controller;
    if (bench.learned.insteadOfVerified) throw new NotApplicable(bench.learned.keepsNobody);
    if (!profile.optionalAdministration) return this.postBytes(body, wait);
    const asked = decodeTlv(body).get(TlvType.Method)?.[0] ?? Method.ListPairings;
    const none = (): NotApplicable =>
      new NotApplicable(`no administration here: ${bench.learned.unserved.get(asked)}`);
    if (bench.learned.unserved.has(asked)) throw none();
    const outcome = await this.postBytes(body, wait);
    if (isMissing(outcome) && (await this.lacks(asked))) throw none();
    return outcome;
  }

  /** @throws NotApplicable where a receiver has no administration of one of these kinds. */
  async demands(...kinds: readonly (keyof typeof kindsOfAdministration)[]): Promise<void> {
    for (const kind of kinds) {
      const method = kindsOfAdministration[kind];
      if (!(await this.lacks(method))) continue;
      throw new NotApplicable(
        `no administration here: ${this.controller.bench.learned.unserved.get(method)}`,
      );
    }
  }

  /**
   * Whether a receiver does not serve this kind of administration at all: the plainest request of it, one that changes
   * nothing, is answered as a path that does not exist.
   */
  async lacks(method: number): Promise<boolean> {
    const { bench, profile, stepWait, random } = this.controller;
    if (bench.learned.insteadOfVerified) throw new NotApplicable(bench.learned.keepsNobody);
    if (!profile.optionalAdministration || bench.learned.served.has(method)) return false;
    if (bench.learned.unserved.has(method)) return true;
    const { admin } = bench;
    const own = admin !== undefined && equal(admin.id, this.identity.id) ? admin : undefined;
    const plain: Readonly<Record<number, readonly TlvItem[] | undefined>> = {
      [Method.ListPairings]: listPairings(),
      [Method.RemovePairing]: removePairing(controllerIdentity(random).id),
      [Method.AddPairing]: own && addPairing(own.id, own.ltpk, Permission.Admin),
    };
    const items = plain[method];
    if (items === undefined || !(await this.link.stillOpen(0))) return false;
    const outcome = await this.link.post(profile.paths.pairings, items, stepWait);
    if (isMissing(outcome))
      bench.learned.lacks(method, `${methodNames[method]} is answered by ${describeOutcome(outcome)}`);
    else if (outcome.kind === 'reply' && outcome.tlv !== undefined) bench.learned.served.add(method);
    return bench.learned.unserved.has(method);
  }

  /** A request to /pairings whose answer is for the caller alone. */
  post(items: readonly TlvItem[], wait: number): Promise<Outcome> {
    return this.postBytes(encodeTlv(items), wait);
  }

  private async postBytes(body: Bytes, wait: number): Promise<Outcome> {
    const outcome = await this.link.postBytes(this.controller.profile.paths.pairings, body, wait);
    if (outcome.kind === 'reply' && outcome.tlv !== undefined)
      this.controller.bench.emit('pairings', { reply: outcome });
    this.countGuests(decodeTlv(body).items, outcome);
    return outcome;
  }

  /** Notes who has been added and removed, so that what a check leaves behind is taken away before the next. */
  private countGuests(items: readonly TlvItem[], outcome: Outcome): void {
    const { admin, household } = this.controller.bench;
    const { guests, offered } = household;
    const value = (type: number): Bytes | undefined => items.find((item) => item.type === type)?.value;
    const method = value(TlvType.Method)?.[0];
    const id = value(TlvType.Identifier);
    if (method === Method.AddPairing) offered.add(hex(id ?? new Uint8Array(0)));
    if (id === undefined) return;
    if (admin !== undefined && equal(id, admin.id)) {
      // Also where no answer came: the accessory may have done it all the same.
      // So is the last admin that makes itself a plain user, where that takes everybody along.
      const leaves =
        method === Method.RemovePairing ||
        (method === Method.AddPairing && value(TlvType.Permissions)?.[0] === Permission.User);
      if (leaves && !refuses(outcome)) this.controller.bench.pairing.adminMayBeGone();
      if (leaves && method === Method.AddPairing) this.controller.bench.household.added(id, Permission.User);
      return;
    }
    if (method === Method.AddPairing && success('pairings-add').matches(outcome)) {
      guests.add(hex(id));
      this.controller.bench.household.added(id, value(TlvType.Permissions)?.[0]);
    }
    if (method === Method.RemovePairing && success('pairings-remove').matches(outcome))
      guests.delete(hex(id));
  }

  /** List Pairings as a step. */
  async list(): Promise<PairingsList> {
    this.controller.relyOn('PAIRINGS-01');
    const outcome = await this.sendPairings(listPairings(), this.controller.stepWait);
    return this.pairingsIn(this.controller.must('pairings-list', 'PAIRINGS-01', outcome));
  }

  /** The list in an answer, without whom a receiver was paired with before; empty when there is none in it. */
  pairingsIn(outcome: Outcome): PairingsList {
    const list = readPairings(outcome.kind === 'reply' ? outcome.tlv : undefined);
    return this.controller.bench.household.withoutResidents(list);
  }

  /** Adds a controller, with another LTPK than its own when asked, judged; remembered before it leaves. */
  sendAdd(
    identity: Identity,
    permissions: number,
    ltpk = identity.ltpk,
    wait = this.controller.judgedWait,
  ): Promise<Outcome> {
    this.controller.bench.remember(identity, 'add-pairing');
    return this.sendPairings(addPairing(identity.id, ltpk, permissions), wait);
  }

  /** Adds a controller as a step. */
  async add(identity: Identity, permissions: number): Promise<void> {
    const outcome = await this.sendAdd(identity, permissions, identity.ltpk, this.controller.stepWait);
    // Where not even the List is answered there is no administration, and PAIRINGS-04 never gets to say so.
    if (!success('pairings-add').matches(outcome)) this.controller.relyOn('PAIRINGS-01');
    this.controller.must('pairings-add', 'PAIRINGS-04', outcome);
  }

  sendRemove(id: Bytes): Promise<Outcome> {
    return this.sendPairings(removePairing(id));
  }

  /** GET /accessories of exactly `size` bytes: short header lines fill it up. At least 20 bytes more than a plain one. */
  padded(size: number): Bytes {
    const path = '/accessories';
    const filler: [string, string][] = [];
    let missing = size - this.link.encode({ method: 'GET', path }).length;
    // A line is its name, a colon and a space, the text, and the line end.
    for (const overhead = 'X-Fill: \r\n'.length; missing > 0;) {
      const line = missing < 200 ? missing : 100;
      filler.push(['X-Fill', 'f'.repeat(line - overhead)]);
      missing -= line;
    }
    return this.link.encode({ method: 'GET', path, headers: filler });
  }

  /** Parts of a message, each sealed as one frame with the session's next counter, not sent. */
  sealParts(parts: readonly Bytes[]): Bytes[] {
    const { encoder } = this.link.session;
    return parts.flatMap((part) => encoder.encode(part));
  }

  /** Raw bytes in segments of their own, `gap` ms apart, then the outcome, judged. */
  async sendSegments(segments: readonly Bytes[], gap: number, line: string): Promise<Outcome> {
    this.link.said(line);
    for (const [index, segment] of segments.entries()) {
      if (index > 0) await this.controller.bench.clock.sleep(gap);
      this.link.send(segment);
    }
    return this.link.outcome(this.controller.judgedWait);
  }

  /** The characteristics GET /accessories tells of. @throws StepFailed when it tells nothing that can be read. */
  async characteristics(): Promise<readonly Characteristic[]> {
    const outcome = await this.request({ method: 'GET', path: '/accessories' }, this.controller.stepWait);
    const found = outcome.kind === 'reply' && outcome.sealed ? readAccessories(outcome.http.body) : undefined;
    if (found === undefined)
      throw new StepFailed('PV-M3-01', `GET /accessories was answered by ${describeOutcome(outcome)}`);
    return found;
  }

  /** PUT /characteristics for one of them, judged. */
  put({ aid, iid }: Characteristic, wish: { value?: unknown; ev?: boolean }): Promise<Outcome> {
    return this.request({
      method: 'PUT',
      path: '/characteristics',
      headers: [['Content-Type', 'application/hap+json']],
      body: utf8(JSON.stringify({ characteristics: [{ aid, iid, ...wish }] })),
    });
  }

  /** The frames of a request, sealed with the session's next counters, not sent. */
  seal(request: HttpRequest): Bytes[] {
    return this.link.session.seal(this.link.encode(request));
  }

  /** Raw bytes in one segment, then the outcome, judged. `line` says in words what they are. */
  sendRaw(bytes: Bytes, line: string, wait = this.controller.judgedWait): Promise<Outcome> {
    this.link.said(line);
    this.link.send(bytes);
    return this.link.outcome(wait);
  }
}

/** A step as people name it: `verify-m2` is M2 of Pair Verify. */
function stepWords(step: Step): string {
  const [, what = '', message = ''] = /^(setup|verify)-m(\d)$/.exec(step) ?? [];
  if (what !== '') return `M${message} of Pair ${what === 'setup' ? 'Setup' : 'Verify'}`;
  return `the answer to ${{ add: 'Add', remove: 'Remove', list: 'List' }[step.slice('pairings-'.length)] ?? step}`;
}

/** A reply that says no: by a TLV error or by its HTTP status. */
function refuses(outcome: Outcome): boolean {
  return outcome.kind === 'reply' && (outcome.tlv?.error !== undefined || outcome.http.status >= 400);
}

/** A reply that says there is no such resource, or no such method. */
function isMissing(outcome: Outcome): boolean {
  return outcome.kind === 'reply' && [404, 405, 501].includes(outcome.http.status);
}

const kindsOfAdministration = {
  add: Method.AddPairing,
  remove: Method.RemovePairing,
  list: Method.ListPairings,
} as const;

const methodNames: Readonly<Record<number, string>> = {
  [Method.AddPairing]: 'Add',
  [Method.RemovePairing]: 'Remove',
  [Method.ListPairings]: 'List',
};

/** One characteristic of the attribute database. */
export interface Characteristic {
  readonly aid: number;
  readonly iid: number;
  readonly perms: readonly string[];
  readonly format: string;
  readonly value: unknown;
}

/** The characteristics in the body of GET /accessories, or undefined when it is not what it should be. */
export function readAccessories(body: Bytes): readonly Characteristic[] | undefined {
  interface Listed {
    readonly aid?: unknown;
    readonly services?: { readonly characteristics?: Partial<Characteristic>[] }[];
  }
  try {
    const { accessories } = JSON.parse(text(body)) as { accessories: Listed[] };
    return accessories.flatMap(({ aid, services = [] }) =>
      services
        .flatMap(({ characteristics = [] }) => characteristics)
        .map(({ iid, perms = [], format = '', value }) => ({
          aid: Number(aid),
          iid: Number(iid),
          perms,
          format,
          value,
        })),
    );
  } catch {
    return undefined;
  }
}

/** The encoded bytes of items, for raw sends. */
export function encoded(items: readonly TlvItem[]): Bytes {
  return encodeTlv(items);
}
