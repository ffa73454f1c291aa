import {
  type Edit,
  type M5Options,
  PairSetupController,
  type SetupM2,
  type SetupM4,
  type SetupM6,
  applyEdit,
  readSetupM2,
} from '../controller/index.js';
import {
  type Bytes,
  type Forgery,
  type GroundValue,
  type Identity,
  Method,
  PairingFlag,
  type SrpConvention,
  type SrpConventionName,
  TlvError,
  type TlvItem,
  TlvType,
  decodeTlv,
  encodeTlv,
  fromInteger,
  srpConventions,
  toInteger,
} from '../protocol/index.js';
import type { Conduct } from './conduct.js';
import { Blocked } from './errors.js';
import type { Link } from './link.js';
import { type Outcome, type Reply, describeOutcome, success } from './outcome.js';
import type { KeyNames } from './profile.js';
import { Session } from './session.js';

export interface SetupOptions {
  /** The setup code of the accessory, its digits alone, or a code of the same form that is certainly wrong. */
  readonly code?: 'right' | 'undashed' | 'wrong';
  /** Any text in the place of the setup code. */
  readonly password?: string;
  /** How SRP integers are encoded, by name or by what departs from `neutral`, which holds unless given. */
  readonly convention?: SrpConventionName | Partial<SrpConvention>;
  /** The user name of SRP; `Pair-Setup` unless given. */
  readonly user?: string;
  /** B is taken to have come least significant byte first. */
  readonly backwards?: boolean;
  /** Which of the controller's values starts with a zero byte, and no other does. */
  readonly leadingZero?: GroundValue;
  readonly link?: Link;
  readonly identity?: Identity;
  /** Method of M1; PairSetup unless given. */
  readonly method?: number;
  /** Flags of M1; left out unless given. */
  readonly flags?: number | Bytes;
}

/** Flags of M1 that ask for a transient Pair Setup. */
export function asksTransient(flags: number | Bytes = 0): boolean {
  const value = typeof flags === 'number' ? BigInt(flags) : toInteger(flags.toReversed());
  return (value & BigInt(PairingFlag.Transient)) !== 0n;
}

/** What a Pair Setup remembers of its options; `asks`: the form of the setup code, where another is not asked for. */
type Asked = Omit<SetupOptions, 'code' | 'password' | 'link'> & { readonly asks?: 'dashed' | 'digits' };

/** One Pair Setup exchange on one connection. */
export class PairSetup {
  readonly machine: PairSetupController;
  m2: SetupM2 | undefined;
  m4: SetupM4 | undefined;
  /** M2 came with Flags. */
  grantsSplit = false;
  private lastM5: Bytes = new Uint8Array(0);
  private readonly asked: Asked;

  constructor(
    readonly controller: Conduct,
    readonly link: Link,
    private code: string | undefined,
    identity: Identity,
    options: Asked = {},
    machine?: PairSetupController,
  ) {
    const { convention, leadingZero } = options;
    this.asked = options;
    const { random } = controller;
    const chosen =
      typeof convention === 'string'
        ? srpConventions[convention]
        : convention && { ...srpConventions.neutral, ...convention };
    const { user } = options;
    this.machine =
      machine ??
      new PairSetupController(code ?? '', identity, random, {
        ...(chosen && { convention: chosen }),
        ...(leadingZero !== undefined && { leadingZero }),
        ...(user !== undefined && { user }),
      });
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
        this.grantsSplit = this.controller.flagsOf(outcome) !== undefined;
        const asked = decodeTlv(body);
        bench.emit('setup-m2', { reply: outcome, m2: this.m2, asked });
        await this.askForCode();
      }
      return outcome;
    }
  }

  /** What an accessory shows is on its display when M2 has come, and may be another code each time. */
  private async askForCode(): Promise<void> {
    const { asks } = this.asked;
    const { bench } = this.controller;
    if (asks === undefined || bench.options.codeSource === undefined) return;
    this.code = (await bench.codeNow())?.[asks];
    this.machine.code = this.code ?? '';
  }

  private needCode(): void {
    const willAsk = this.asked.asks !== undefined && this.controller.bench.hasCode;
    if (this.code === undefined && !willAsk)
      throw new Blocked('no setup code: give --code XXX-XX-XXX or --code-command CMD, or set HAPSPEC_CODE');
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
    const { salt, B } = this.m2!;
    const { v, S, K } = this.machine.answer(salt!, this.asked.backwards === true ? B!.slice().reverse() : B!);
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
    // A transient M4 switches to frames behind itself.
    if (asksTransient(this.asked.flags) && this.machine.answered)
      this.link.foreseen = this.controller.profile.transientKeys.map(({ keys }) =>
        keys(this.machine.session.K),
      );
    const outcome = await this.exchange(body, wait);
    this.link.foreseen = [];
    this.controller.bench.tally.countM4(outcome, success('setup-m4').matches(outcome));
    return outcome;
  }

  /** Reads M4 of a right M3 and tells the watches. */
  readM4(outcome: Outcome & Reply): SetupM4 {
    const m4 = this.machine.readM4(outcome.tlv!);
    this.m4 = m4;
    this.controller.bench.learned.sinceCode = undefined;
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
