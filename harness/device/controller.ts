import {
  type Bytes,
  type Identity,
  Length,
  Method,
  PairingFlag,
  Permission,
  TlvError,
  type TlvItem,
  encodeTlv,
  hex,
  otherCode,
  parseSetupCode,
} from '../protocol/index.js';
import { type Dialer, type HttpRequest, Unreachable } from '../wire/index.js';
import { Conduct } from './conduct.js';
import { Blocked, NotApplicable, StepFailed } from './errors.js';
import type { Link } from './link.js';
import { type Outcome, describeOutcome, success } from './outcome.js';
import { PairSetup, type SetupOptions, asksTransient } from './pair-setup.js';
import { PairVerify, type VerifyOptions } from './pair-verify.js';
import type { Session } from './session.js';

/** A transient Pair Setup up to the first answer in a frame. */
export interface TransientSetup {
  readonly setup: PairSetup;
  readonly session: Session;
  /** What came of the first request inside. */
  readonly hello: Outcome;
}

/**
 * The vocabulary of checks. `send…` returns the outcome to be judged; the plain verb (`m1`, `m3`, `m5`) is a step on
 * the way.
 */
export class Controller extends Conduct {
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

  /** A connection to another place the accessory names, or undefined when nobody takes it there. */
  async openAt(dialer: Dialer): Promise<Link | undefined> {
    try {
      return await this.bench.open(dialer);
    } catch (error) {
      if (error instanceof Unreachable) return undefined;
      throw error;
    }
  }

  /** A Pair Setup on a connection of its own, nothing sent yet. */
  async setup(options: SetupOptions = {}): Promise<PairSetup> {
    const { code } = this.bench;
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
    // Nobody has to be asked for a code that is fixed, or that is to be wrong.
    const { code: which = 'right' } = options;
    const form = ({ right: 'dashed', undashed: 'digits', wrong: undefined } as const)[which];
    const asks = (options.password ?? fixed) === undefined ? form : undefined;
    return new PairSetup(this, link, password, identity, { ...options, ...(asks && { asks }) });
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
}

/** Makes the controller of a label: the same label, the same randomness. */
export type MakeController = (label: string) => Controller;

/** The encoded bytes of items, for raw sends. */
export function encoded(items: readonly TlvItem[]): Bytes {
  return encodeTlv(items);
}
