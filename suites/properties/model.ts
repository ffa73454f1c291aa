import {
  type Bytes,
  type Controller,
  type Identity,
  type Link,
  type M5Options,
  type Matcher,
  type Outcome,
  type PairSetup,
  type PairVerify,
  type Session,
  type TlvItem,
  type Trial,
  Permission,
  TlvType,
  answered,
  deriveKey,
  labelNonce,
  seal,
  tlv,
  anyRefusal,
  anyReply,
  closed,
  describeOutcome,
  encodeTlv,
  fc,
  flip,
  flipBit,
  concat,
  hex,
  listPairings,
  sealFrame,
  sign,
  signedInfo,
  verifyM1,
  otherError,
  plaintextReply,
  sealedMessage,
  served,
  setupM3,
  success,
  text,
} from '../../harness/suite.js';

/** What the model knows of a step's success before it is sent: it must not come, it may, it must. */
type Sure = 'no' | 'maybe' | 'yes';

/** Connections and controllers of a flow. */
export const SLOTS = 4;
export const CONTROLLERS = 3;

/** Milliseconds after which a connection that was not used may have been given up by the accessory. */
const PATIENT = 20_000;
/** Milliseconds between the halves of a frame. */
const PAUSE = 1_200;
/** Long enough for a FIN behind a refusal. */
const FIN_WAIT = 20;

/** What the model holds about one connection. */
interface Slot {
  open: boolean;
  /** Nothing but right messages of one procedure went over it. */
  clean: boolean;
  /** What is to be expected of a right M3, and of a right M5. */
  m3: Sure;
  m5: Sure;
  /** A Pair Setup is under way on it as far as the accessory is concerned. */
  holds: Sure;
  /** A right Pair Verify M3 of `verifier`, if that is a member. */
  v3: Sure;
  verifier: number;
  /** Controller of the session, and whether it is served. */
  session: { readonly who: number; sure: Sure } | undefined;
  /** A message was refused that Pair Verify need not get over; a refused M1 and a request are none of these. */
  rude: boolean;
  /** M5 is due on it, also when it has to be refused by now. */
  ripe: boolean;
  /** A message of its Pair Setup was refused: only M1 leads on. */
  stuck: boolean;
  /** Clock time of the last message. */
  at: number;
}

function closedSlot(): Slot {
  return {
    open: false,
    clean: true,
    m3: 'no',
    m5: 'no',
    holds: 'no',
    v3: 'no',
    verifier: 0,
    session: undefined,
    rude: false,
    ripe: false,
    stuck: false,
    at: 0,
  };
}

/** The pairing state machine as a controller may rely on it. */
export interface Model {
  readonly slots: Slot[];
  /** Controllers that are paired, with their permissions. */
  readonly members: Map<number, number>;
  /** What may still be asked of the accessory. */
  readonly left: { m2: number; m4: number; m6: number; verifies: number; guesses: number; restarts: number };
  /** The last admin may be removed. */
  readonly mayUnpair: boolean;
}

export function newModel(
  start: Pick<Model, 'left' | 'mayUnpair'> & { readonly members?: readonly (readonly [number, number])[] },
): Model {
  return { ...start, slots: Array.from({ length: SLOTS }, closedSlot), members: new Map(start.members) };
}

/** A message that was sent, for sending it again. */
interface Recorded {
  readonly exchange: number;
  readonly who: number;
  readonly bytes: Bytes;
}

/** The true side of a connection. */
interface Wire {
  link?: Link;
  setup?: PairSetup;
  who: number;
  /** Number of the Pair Setup or Pair Verify on it. */
  exchange: number;
  verify?: PairVerify;
  session?: Session;
}

const weaker = (sure: Sure): Sure => (sure === 'no' ? 'no' : 'maybe');

const m2 = success('setup-m2');
const m4 = success('setup-m4');
const m6 = success('setup-m6');
const v2 = success('verify-m2');
const v4 = success('verify-m4');
const added = success('pairings-add');
const removed = success('pairings-remove');
const listed = success('pairings-list');

/** An accessory and the connections of one flow to it. */
export class Flow {
  readonly wires: Wire[] = Array.from({ length: SLOTS }, () => ({ who: 0, exchange: 0 }));
  private exchanges = 0;
  private steps = 0;
  /** A Pair Setup has begun. */
  private begun = false;
  private recorded: { m3?: Recorded; m5?: Recorded; v3?: Recorded } = {};
  /** Ephemeral keys of Pair Verify M2 seen in this flow (hex). */
  private readonly ephemerals = new Set<string>();
  /** Controllers whose M5 or Add was refused: none of them may be stored. */
  private readonly refused = new Set<number>();

  constructor(
    readonly trial: Trial,
    readonly identities: readonly Identity[],
  ) {}

  private get now(): number {
    return this.trial.bench.clock.now();
  }

  private fresh(): Controller {
    return this.trial.fresh(`exchange ${++this.exchanges}`);
  }

  private violate(requirement: string, what: string): never {
    return this.trial.violate(`${requirement}: ${what}`);
  }

  /** Begins a step on a connection, which is opened when it is not. */
  async begin(model: Model, at: number, words: string): Promise<Link> {
    const slot = model.slots[at]!;
    const wire = this.wires[at]!;
    if (!slot.open || wire.link === undefined) {
      Object.assign(slot, { ...closedSlot(), open: true });
      wire.link = await this.trial.controller.open();
      delete wire.setup;
      delete wire.verify;
      delete wire.session;
    } else if (this.now - slot.at > PATIENT) this.doubt(slot, true);
    slot.at = this.now;
    this.steps++;
    this.trial.step(wire.link.number, `step ${this.steps}: ${words}`);
    return wire.link;
  }

  /** Pair Setup is closed to everybody else: the accessory is paired, and this dress knows no taking over. */
  private closedTo(model: Model): boolean {
    return model.members.size > 0 && !this.trial.bench.profile.servesPaired;
  }

  /** What was sure is so no more. */
  private doubt(slot: Slot, rude = false): void {
    slot.rude ||= rude;
    for (const key of ['m3', 'm5', 'holds', 'v3'] as const) slot[key] = weaker(slot[key]);
    if (slot.session !== undefined) slot.session.sure = weaker(slot.session.sure);
  }

  /** Takes note of an end of the connection that came with an answer. */
  private async settle(model: Model, at: number, outcome: Outcome): Promise<void> {
    const slot = model.slots[at]!;
    slot.at = this.now;
    const link = this.wires[at]!.link!;
    const over =
      outcome.kind === 'close' ||
      outcome.kind === 'reset' ||
      outcome.kind === 'garbage' ||
      // A link that is secured is asked when it is used: events may be under way.
      (anyRefusal().matches(outcome) && !link.secured && !(await link.stillOpen(FIN_WAIT)));
    if (over) Object.assign(slot, closedSlot());
  }

  /** Compares an outcome with what the model says of its success. @returns whether it was one. */
  private judge(outcome: Outcome, step: Matcher, sure: Sure, requirement: string, what: string): boolean {
    const { expect } = this.trial;
    this.wellFormed(outcome, what);
    const came = step.matches(outcome);
    if (sure === 'no' && (step.resembles ?? step.matches).call(step, outcome))
      this.violate(requirement, `${what} was answered by success: ${describeOutcome(outcome)}`);
    if (sure === 'yes' && !came)
      this.violate(requirement, `${what} was due to succeed, seen: ${describeOutcome(outcome)}`);
    expect(
      came || anyRefusal().matches(outcome),
      `${requirement}: ${what} is answered by success or refused, seen: ${describeOutcome(outcome)}`,
    ).to.equal(true);
    return came;
  }

  /** What every reply with TLV8 in it keeps to, whatever it says (TLV-05, TLV-06, PS-ERR-01, PS-ERR-05). */
  private wellFormed(outcome: Outcome, what: string): void {
    if (outcome.kind !== 'reply' || outcome.tlv === undefined) return;
    const { tlv } = outcome;
    const wrong = (requirement: string, why: string): never =>
      this.violate(requirement, `the reply to ${what}: ${why}: ${describeOutcome(outcome)}`);
    if (tlv.defect !== undefined) wrong('TLV-05', tlv.defect);
    for (const [i, { type, value }] of tlv.fragments.entries())
      if (tlv.fragments[i + 1]?.type === type && value.length < 255)
        wrong('TLV-05', 'a short fragment before the last');
    for (const type of [TlvType.State, TlvType.Error]) {
      const values = tlv.all(type);
      if (values.length > 1 || values.some(({ length }) => length !== 1))
        wrong('TLV-06', 'State or Error is not one item of one byte');
    }
    if (!tlv.has(TlvType.State)) wrong('TLV-06', 'no State');
    if (tlv.error !== undefined && (tlv.error < 1 || tlv.error > 7))
      wrong('PS-ERR-05', 'an Error that is not defined');
    const more = tlv.items.some(
      ({ type }) => type !== TlvType.State && type !== TlvType.Error && type !== 0x08,
    );
    if (tlv.error !== undefined && more) wrong('PS-ERR-01', 'an error with other items beside it');
  }

  async open(model: Model, at: number): Promise<void> {
    await this.begin(model, at, 'open');
  }

  /** Ends a connection from our side. */
  async leave(model: Model, at: number, how: 'close' | 'reset' | 'half'): Promise<void> {
    const link = await this.begin(model, at, how === 'half' ? 'half a request, then close' : how);
    if (how === 'reset') link.reset();
    if (how === 'half') {
      link.send(link.encode({ method: 'POST', path: this.trial.bench.profile.paths.setup }).subarray(0, 20));
      link.finish();
    }
    await link.close();
    Object.assign(model.slots[at]!, closedSlot());
  }

  async m1(model: Model, at: number, who: number): Promise<void> {
    const slot = model.slots[at]!;
    const link = await this.begin(model, at, `Pair Setup M1 of controller ${who}`);
    const others = model.slots.filter((other) => other !== slot && other.open && other.holds !== 'no');
    const alone = others.length === 0;
    const setup = await this.fresh().setup({ link, identity: this.identities[who]! });
    const paired = this.closedTo(model);
    const sure = paired ? 'no' : alone && slot.clean ? 'yes' : 'maybe';
    model.left.m2--;
    const outcome = await setup.sendM1(undefined, setup.controller.stepWait, alone && !paired);
    const came = this.judge(outcome, m2, sure, paired ? 'PS-M1-13' : 'PS-M1-01', 'Pair Setup M1');
    slot.clean = false;
    slot.rude ||= !paired;
    slot.v3 = weaker(slot.v3);
    this.begun ||= came;
    if (came) {
      const { salt, B, findings } = setup.m2!;
      const fatal = findings.find((finding) => finding.fatal);
      if (fatal !== undefined) this.violate(fatal.requirement, fatal.what);
      setup.machine.answer(salt!, B!);
      const wire = this.wires[at]!;
      Object.assign(wire, { setup, who, exchange: this.exchanges });
      for (const other of others) this.doubtSetup(other);
      Object.assign(slot, { m3: 'yes', m5: 'no', holds: 'yes', stuck: false, ripe: false });
    } else this.doubtSetup(slot);
    await this.settle(model, at, outcome);
  }

  private doubtSetup(slot: Slot): void {
    for (const key of ['m3', 'm5', 'holds'] as const) slot[key] = weaker(slot[key]);
  }

  /** What a message to Pair Setup that is no part of the exchange may have done to it. */
  private spoil(slot: Slot): void {
    this.doubtSetup(slot);
    slot.clean = false;
    slot.rude = true;
    slot.stuck = true;
  }

  /** What the model expects of an M3. */
  sureOfM3(model: Model, at: number, how: M3): Sure {
    return how === 'right' ? model.slots[at]!.m3 : 'no';
  }

  async m3(model: Model, at: number, how: M3, from: number): Promise<void> {
    const slot = model.slots[at]!;
    const wire = this.wires[at]!;
    const link = await this.begin(model, at, `M3 ${m3Words(how, from)}`);
    const own = slot.m3 === 'no' && slot.holds === 'no' ? undefined : wire.setup;
    const { random } = this.trial;
    let body: Bytes;
    let sure = this.sureOfM3(model, at, how);
    let tolerated = false;
    let exchange = wire.exchange;
    const source = this.wires[from]!.setup;
    if (how === 'replayed' && this.recorded.m3 !== undefined) {
      const { m3: old } = this.recorded;
      body = old.bytes;
      exchange = old.exchange;
      // The same proof on the exchange it was made for is the right one.
      if (exchange === wire.exchange && own !== undefined) sure = weaker(slot.m3);
      tolerated = model.slots.some(
        (other, i) => other.holds !== 'no' && this.wires[i]!.exchange === exchange,
      );
    } else if (how === 'of another connection' && source !== undefined && from !== at) {
      body = encodeTlv(source.machine.m3());
      tolerated = model.slots[from]!.holds !== 'no';
      this.doubtSetup(model.slots[from]!);
    } else if (own === undefined) {
      const A = random.bytes(384);
      A[0]! &= 0x7f;
      body = encodeTlv(setupM3(A, random.bytes(64)));
      sure = 'no';
    } else if (how === 'of the wrong code') {
      const wrong = await this.trial.fresh(`wrong ${this.exchanges}`).setup({ link, code: 'wrong' });
      wrong.machine.answer(own.m2!.salt!, own.m2!.B!);
      body = encodeTlv(wrong.machine.m3());
    } else if (how === 'right') body = encodeTlv(own.machine.m3());
    else body = encodeTlv(flip('Proof', 7)(own.machine.m3()));
    const setup = own ?? (await this.trial.fresh(`made up ${this.exchanges}`).setup({ link }));
    model.left.m4--;
    if (sure !== 'yes') model.left.guesses--;
    const outcome = await setup.sendM3Bytes(body, setup.controller.stepWait);
    const what = `M3 ${m3Words(how, from)}`;
    if (sure === 'no' && tolerated && m4.matches(outcome)) {
      // One verifier for all connections: tolerated as long as K is asked for in M5 (PS-STATE-12).
      this.trial.lesser(`PS-STATE-12: ${what} was accepted on another connection`);
      Object.assign(slot, { m3: 'maybe', m5: 'maybe', holds: 'maybe', clean: false });
      return this.settle(model, at, outcome);
    }
    const requirement = sure === 'yes' ? 'PS-M3-01' : 'PS-STATE-15';
    const came = this.judge(outcome, m4, sure, requirement, what);
    if (came && outcome.kind === 'reply') {
      const { findings } = setup.readM4(outcome);
      const fatal = findings.find((finding) => finding.fatal);
      if (fatal !== undefined && how === 'right') this.violate(fatal.requirement, fatal.what);
      slot.m5 = this.closedTo(model) ? 'no' : slot.m5 === 'no' ? 'yes' : 'maybe';
      Object.assign(slot, { m3: 'maybe', holds: 'yes', ripe: true, stuck: false });
    } else this.spoil(slot);
    if (how === 'right' && own !== undefined) this.recorded.m3 = { exchange, who: wire.who, bytes: body };
    await this.settle(model, at, outcome);
  }

  async m5(model: Model, at: number, how: M5): Promise<void> {
    const slot = model.slots[at]!;
    const wire = this.wires[at]!;
    const link = await this.begin(model, at, `M5 ${how}`);
    const own = slot.m3 === 'no' && slot.m5 === 'no' && slot.holds === 'no' ? undefined : wire.setup;
    const identity = this.identities[wire.who]!;
    const setup = own ?? (await this.trial.fresh(`made up ${this.exchanges}`).setup({ link, identity }));
    const paired = this.closedTo(model);
    let sure: Sure = how === 'right' && own !== undefined && !paired ? slot.m5 : 'no';
    let who = wire.who;
    let body: Bytes | undefined;
    if (how === 'replayed' && this.recorded.m5 !== undefined) {
      body = this.recorded.m5.bytes;
      who = this.recorded.m5.who;
      if (this.recorded.m5.exchange === wire.exchange && !paired) sure = weaker(slot.m5);
    }
    // Before M4 there is no K: what an accessory may hold in its place is tried.
    const guess = own === undefined || (slot.m5 === 'no' && how === 'with a wrong signature');
    const secret = guess ? this.guessedSecret() : {};
    if (body === undefined) {
      const signature = how === 'with a wrong signature' && !guess && { sub: flip('Signature', 3) };
      const items = setup.machine.m5({ ...secret, ...signature });
      const broken = (how === 'with a bit flipped' || how === 'replayed') && !guess;
      body = encodeTlv(broken ? flip('EncryptedData', 40)(items) : items);
    }
    model.left.m6--;
    const outcome = await setup.sendM5Bytes(body, setup.controller.stepWait);
    const requirement = sure === 'yes' ? 'PS-M5-01' : 'PS-STATE-15';
    if (this.judge(outcome, m6, sure, requirement, `M5 ${how}`) && outcome.kind === 'reply') {
      setup.readM6(outcome);
      model.members.set(who, Permission.Admin);
      this.refused.delete(who);
      for (const other of model.slots) {
        this.doubtSetup(other);
        if (this.closedTo(model)) other.m5 = 'no';
      }
      Object.assign(slot, { holds: 'no', ripe: false, stuck: true });
    } else {
      this.refused.add(who);
      this.spoil(slot);
      // Nothing was stored: what the bench takes for possible is looked at when the flow ends.
      this.trial.bench.state = model.members.size > 0 ? 'ours' : 'unpaired';
    }
    if (how === 'right' && own !== undefined)
      this.recorded.m5 = { exchange: wire.exchange, who: wire.who, bytes: body };
    await this.settle(model, at, outcome);
  }

  async v1(model: Model, at: number, who: number): Promise<void> {
    const slot = model.slots[at]!;
    const link = await this.begin(model, at, `Pair Verify M1 of controller ${who}`);
    const paired = model.members.size > 0;
    const verify = await this.fresh().verify({ link, as: this.identities[who]!, housekeeping: !paired });
    model.left.verifies--;
    const outcome = await verify.sendM1(undefined, verify.controller.stepWait);
    const sure = paired && slot.clean && slot.v3 === 'no' ? 'yes' : 'maybe';
    const came = this.judge(outcome, v2, sure, 'PV-M1-01', 'Pair Verify M1');
    if (!came && paired && !slot.rude && slot.v3 === 'no')
      this.trial.lesser(`PV-STATE-07: Pair Verify M1 behind what was refused: ${describeOutcome(outcome)}`);
    slot.rude ||= !came;
    this.doubtSetup(slot);
    if (came) {
      this.readV2(verify);
      // That a second M1 takes the place of the first is no more than a SHOULD (PV-STATE-03).
      Object.assign(slot, { v3: slot.v3 === 'no' ? 'yes' : 'maybe', verifier: who });
      Object.assign(this.wires[at]!, { verify, exchange: this.exchanges });
    } else slot.v3 = weaker(slot.v3);
    await this.settle(model, at, outcome);
  }

  /** What M2 of a Pair Verify has to be. */
  private readV2({ m2 }: PairVerify): void {
    const fatal = m2?.findings.find((finding) => finding.fatal);
    if (fatal !== undefined) this.violate(fatal.requirement, fatal.what);
    if (m2?.publicKey === undefined) return;
    const key = hex(m2.publicKey);
    if (this.ephemerals.has(key)) this.violate('PV-M2-02', `the key of M2 (${key}) was sent before`);
    this.ephemerals.add(key);
  }

  async v3(model: Model, at: number, how: V3): Promise<void> {
    const slot = model.slots[at]!;
    const wire = this.wires[at]!;
    await this.begin(model, at, `Pair Verify M3 ${how}`);
    const own = slot.v3 === 'no' ? undefined : wire.verify;
    const who = slot.verifier;
    let sure: Sure = how === 'right' && own !== undefined && model.members.has(who) ? slot.v3 : 'no';
    let body: Bytes;
    if (how === 'replayed' && this.recorded.v3 !== undefined) {
      body = this.recorded.v3.bytes;
      if (this.recorded.v3.exchange === wire.exchange && model.members.has(who)) sure = weaker(slot.v3);
    } else if (own === undefined) body = encodeTlv(this.guessedM3(who));
    else {
      const signature = how === 'with a wrong signature' && { sub: flip('Signature', 3) };
      const items = own.machine.m3({ ...signature });
      const broken = how === 'with a bit flipped' || how === 'replayed';
      body = encodeTlv(broken ? flip('EncryptedData', 40)(items) : items);
    }
    const { bench, controller } = this.trial;
    const outcome =
      own === undefined
        ? await wire.link!.postBytes(bench.profile.paths.verify, body, controller.stepWait)
        : await own.sendM3Bytes(body, controller.stepWait);
    const requirement = sure === 'yes' ? 'PV-M3-01' : 'PV-M3-03';
    const came = this.judge(outcome, v4, sure, requirement, `Pair Verify M3 ${how} of controller ${who}`);
    if (how === 'right' && own !== undefined)
      this.recorded.v3 = { exchange: wire.exchange, who, bytes: body };
    if (!came) {
      if (sure === 'maybe' && how === 'right' && !slot.rude)
        this.trial.lesser(
          `PV-STATE-03, PV-STATE-07: Pair Verify M3 behind a second M1 or a request: ${describeOutcome(outcome)}`,
        );
      slot.v3 = weaker(slot.v3);
      slot.rude = true;
      slot.clean = false;
      this.doubtSetup(slot);
      return this.settle(model, at, outcome);
    }
    // An accessory may keep one session of a controller, the newest (PV-STATE-05).
    for (const other of model.slots)
      if (other.session?.who === who) other.session.sure = weaker(other.session.sure);
    wire.session = own!.secure();
    Object.assign(slot, { m3: 'no', m5: 'no', holds: 'no', v3: 'no', session: { who, sure: 'yes' } });
    slot.at = this.now;
  }

  /** What may stand for K, and for the key derived from it, where nothing was agreed on. */
  private guessedSecret(): M5Options {
    const { random } = this.trial;
    const key = new Uint8Array(32);
    const secret = [new Uint8Array(0), new Uint8Array(64), random.bytes(64)][random.below(3)]!;
    return random.below(2) === 0 ? { secret } : { secret, key };
  }

  /** A Pair Verify M3 under a key that nobody agreed on. */
  private guessedM3(who: number): TlvItem[] {
    const { random } = this.trial;
    const zero = new Uint8Array(32);
    const keys = [
      zero,
      ...[zero, new Uint8Array(0), random.bytes(32)].map((s) => deriveKey('Pair-Verify-Encrypt', s)),
    ];
    const { id, ltsk } = this.identities[who]!;
    // Signed as it would have to be if nothing but zero bytes had been exchanged: a key alone opens nothing else.
    const signature = random.below(3) === 0 ? random.bytes(64) : sign(ltsk, signedInfo(zero, id, zero));
    const sub = [tlv(TlvType.Identifier, id), tlv(TlvType.Signature, signature)];
    return sealedMessage(3, seal(keys[random.below(4)]!, labelNonce('PV-Msg03'), encodeTlv(sub)));
  }

  /** A sealed request whose frame comes in two halves, more than a second apart. */
  async slowRequest(model: Model, at: number): Promise<void> {
    const { bench, controller } = this.trial;
    const { session } = await this.inside(model, at, 'GET in a frame of two halves');
    const frame = concat(...session.seal({ method: 'GET', path: bench.profile.resource }));
    session.link.send(frame.subarray(0, frame.length >> 1));
    await bench.clock.sleep(PAUSE);
    session.link.send(frame.subarray(frame.length >> 1));
    const outcome = await session.link.outcome(controller.stepWait);
    // To end a connection that is so slow is a lesser mistake (SESS-14).
    if (outcome.kind !== 'close' && outcome.kind !== 'reset')
      this.served(outcome, model.slots[at]!.session!.sure, 'GET in two halves');
    await this.settle(model, at, outcome);
  }

  /** A request that only a session may make. */
  async request(model: Model, at: number): Promise<void> {
    const slot = model.slots[at]!;
    const { bench, controller } = this.trial;
    const path = bench.profile.resource;
    const link = await this.begin(
      model,
      at,
      slot.session === undefined ? `GET ${path}` : `GET ${path} sealed`,
    );
    const outcome = await link.request({ method: 'GET', path }, controller.stepWait);
    // What a receiver tells of itself is for everybody.
    const sure = slot.session?.sure ?? (bench.profile.servesPaired ? 'maybe' : 'no');
    this.served(outcome, sure, `GET ${path}`);
    if (slot.session === undefined) {
      this.doubt(slot);
      slot.clean = false;
    }
    await this.settle(model, at, outcome);
  }

  /** Judges the answer to a request in a session, or outside of one. */
  private served(outcome: Outcome, sure: Sure, what: string): void {
    if (plaintextReply().matches(outcome)) this.violate('SESS-20', `${what}: ${describeOutcome(outcome)}`);
    this.trial
      .expect(
        sure !== 'yes' || answered(200).matches(outcome),
        `PV-M3-01: ${what} is due to be served, seen: ${describeOutcome(outcome)}`,
      )
      .to.equal(true);
    if (sure === 'no' && served().matches(outcome))
      this.violate('PAIRINGS-19', `${what} was served: ${describeOutcome(outcome)}`);
  }

  /** Bytes in a session that must not be answered; the connection is given up behind them. */
  private async unanswered(
    model: Model,
    at: number,
    what: string,
    requirement: string,
    bytes: (session: Session) => Bytes,
  ): Promise<void> {
    const { bench, controller } = this.trial;
    const link = await this.begin(model, at, what);
    link.send(bytes(this.wires[at]!.session!));
    // What looks like the length of a long frame may be waited for.
    const wait = requirement === 'SESS-18' ? controller.quietWait : bench.options.patience.close;
    const outcome = await link.outcome(wait);
    if (anyReply().matches(outcome))
      this.violate(requirement, `${what} was answered: ${describeOutcome(outcome)}`);
    await link.close();
    Object.assign(model.slots[at]!, closedSlot());
  }

  /** A request as it is sealed in a session, without taking a counter of it. */
  private frameOf({ link }: Session): Bytes {
    const { keys, encoder } = link.session;
    const plain = link.encode({ method: 'GET', path: this.trial.bench.profile.resource });
    return sealFrame(keys.toAccessory, encoder.counter, plain);
  }

  /** A frame with one bit flipped. */
  async badFrame(model: Model, at: number): Promise<void> {
    await this.unanswered(model, at, 'a frame with a bit flipped', 'SESS-11', (session) => {
      const frame = this.frameOf(session);
      return flipBit(frame, 8 * frame.length - 1);
    });
  }

  /** A frame that is right in another session, which goes on. */
  async foreignFrame(model: Model, at: number, from: number): Promise<void> {
    const frame = this.frameOf(this.wires[from]!.session!);
    await this.unanswered(model, at, `a frame of the session on connection ${from}`, 'SESS-22', () => frame);
  }

  /** Plaintext in a session: a request, or a message of Pair Verify. */
  async bare(
    model: Model,
    at: number,
    what: 'a request' | 'Pair Verify M1' | 'Pair Verify M3',
  ): Promise<void> {
    const { bench, random } = this.trial;
    const { paths, mediaType, resource } = bench.profile;
    const m1 = encodeTlv(verifyM1(random.bytes(32)));
    const body = what === 'Pair Verify M3' ? (this.recorded.v3?.bytes ?? m1) : m1;
    await this.unanswered(model, at, `${what} in plaintext`, 'SESS-18', ({ link }) =>
      what === 'a request'
        ? link.encode({ method: 'GET', path: resource })
        : link.encode({ method: 'POST', path: paths.verify, headers: [['Content-Type', mediaType]], body }),
    );
  }

  /** A frame without a byte, counted or not; whether the accessory gets over it shows later. */
  async emptyFrame(model: Model, at: number): Promise<void> {
    const link = await this.begin(model, at, 'a frame without a byte');
    const { keys, encoder } = link.session;
    link.send(sealFrame(keys.toAccessory, encoder.counter++, new Uint8Array(0)));
    const outcome = await link.outcome(FIN_WAIT);
    if (plaintextReply().matches(outcome))
      this.violate('SESS-20', `an empty frame: ${describeOutcome(outcome)}`);
    await link.close();
    Object.assign(model.slots[at]!, closedSlot());
  }

  /** Pair Verify inside a session: refused, or the keys change, or the connection ends; and all of it sealed. */
  async verifyInside(model: Model, at: number, then: 'new keys' | 'old keys' | 'plaintext'): Promise<void> {
    const slot = model.slots[at]!;
    const { session: old, who } = await this.inside(model, at, `Pair Verify in the session, then ${then}`);
    const { link } = old;
    model.left.verifies--;
    const verify = await this.fresh().verify({ link, as: this.identities[who]! });
    const wait = verify.controller.stepWait;
    const sealed = (outcome: Outcome, what: string): void => {
      if (plaintextReply().matches(outcome))
        this.violate('PV-STATE-06', `${what} inside a session: ${describeOutcome(outcome)}`);
    };
    const asked = await verify.sendM1(undefined, wait);
    sealed(asked, 'M1');
    let inside: Session | undefined;
    if (v2.matches(asked)) {
      this.readV2(verify);
      const answer = await verify.sendM3({}, undefined, wait);
      sealed(answer, 'M3');
      const former = this.frameOf(old);
      if (v4.matches(answer)) inside = verify.secure();
      else slot.session!.sure = weaker(slot.session!.sure);
      if (inside !== undefined && then === 'old keys')
        return this.unanswered(model, at, 'a frame under the keys before', 'PV-STATE-06', () => former);
      if (answer.kind !== 'reply') return this.settle(model, at, answer);
    } else if (asked.kind !== 'reply') return this.settle(model, at, asked);
    if (inside !== undefined) this.wires[at]!.session = inside;
    if (then === 'plaintext') await this.bare(model, at, 'a request');
    else await this.request(model, at);
  }

  /** A message that is none, on a plain connection. */
  async garbage(model: Model, at: number): Promise<void> {
    const { bench, controller, random } = this.trial;
    const slot = model.slots[at]!;
    const link = await this.begin(model, at, 'garbage to Pair Setup');
    const outcome = await link.postBytes(bench.profile.paths.setup, random.bytes(9), controller.stepWait);
    this.judge(outcome, m2, 'no', 'TLV-14', 'garbage');
    this.spoil(slot);
    await this.settle(model, at, outcome);
  }

  async list(model: Model, at: number): Promise<void> {
    const { session, who } = await this.inside(model, at, 'List');
    const outcome = await session.sendPairings(listPairings(), session.controller.stepWait);
    if (this.administered(model, at, outcome, listed, who, 'List')) this.compare(model, session, outcome);
    await this.settle(model, at, outcome);
  }

  async add(model: Model, at: number, target: number, permissions: number): Promise<void> {
    const role = permissions === Permission.Admin ? 'admin' : 'user';
    const words = `Add of controller ${target} as ${role}`;
    const { session, who } = await this.inside(model, at, words);
    const identity = this.identities[target]!;
    const outcome = await session.sendAdd(identity, permissions, identity.ltpk, session.controller.stepWait);
    if (this.administered(model, at, outcome, added, who, words)) {
      const demoted = model.members.get(target) === Permission.Admin && permissions !== Permission.Admin;
      model.members.set(target, permissions);
      this.refused.delete(target);
      // Its open sessions have the rights of a user, or end.
      for (const { session: other } of model.slots)
        if (demoted && other?.who === target) other.sure = weaker(other.sure);
    } else if (!model.members.has(target)) this.refused.add(target);
    await this.settle(model, at, outcome);
  }

  async remove(model: Model, at: number, target: number): Promise<void> {
    const words = `Remove of controller ${target}`;
    const { session, who } = await this.inside(model, at, words);
    const slot = model.slots[at]!;
    const outcome = await session.sendRemove(this.identities[target]!.id);
    const known = model.members.has(target);
    const admin = model.members.get(who) === Permission.Admin && slot.session?.sure === 'yes';
    // Whoever removes itself may meet the end of the session before the answer; nobody to remove may be an error.
    const lenient =
      admin && ((target === who && closed().matches(outcome)) || (!known && otherError(2).matches(outcome)));
    const done = lenient || this.administered(model, at, outcome, removed, who, words);
    if (done && known) this.forget(model, target);
    await this.settle(model, at, outcome);
  }

  /** A controller is out, and everybody when no admin is left (PAIRINGS-19). */
  private forget(model: Model, target: number): void {
    const { bench } = this.trial;
    model.members.delete(target);
    const admins = [...model.members.values()].filter((permissions) => permissions === Permission.Admin);
    if (admins.length === 0) model.members.clear();
    for (const { session } of model.slots)
      if (session !== undefined && !model.members.has(session.who)) session.sure = 'no';
    if (model.members.size > 0) return;
    bench.unpaired();
    for (const slot of model.slots) slot.v3 = weaker(slot.v3);
  }

  private async inside(model: Model, at: number, words: string): Promise<{ session: Session; who: number }> {
    await this.begin(model, at, words);
    return { session: this.wires[at]!.session!, who: model.slots[at]!.session!.who };
  }

  /** Judges the answer of /pairings. @returns whether it was carried out. */
  private administered(
    model: Model,
    at: number,
    outcome: Outcome,
    step: Matcher,
    who: number,
    what: string,
  ): boolean {
    const { session } = model.slots[at]!;
    const admin = model.members.get(who) === Permission.Admin;
    const sure: Sure = !admin ? 'no' : session!.sure;
    const requirement = admin ? 'PAIRINGS-01' : 'PAIRINGS-15';
    const whose = `${what} by controller ${who}, ${admin ? 'an admin' : model.members.has(who) ? 'a user' : 'removed'},`;
    if (plaintextReply().matches(outcome)) this.violate('SESS-20', `${what}: ${describeOutcome(outcome)}`);
    // A session that is over need not answer.
    if (session!.sure !== 'yes' && !step.matches(outcome)) return false;
    return this.judge(outcome, step, sure, requirement, whose);
  }

  /** The list has to be the members, as a set. */
  private compare(model: Model, session: Session, outcome: Outcome): void {
    const { entries } = session.pairingsIn(outcome);
    const line = (id: Bytes, ltpk: Bytes, permissions: number): string =>
      `${text(id)} ${hex(ltpk).slice(0, 8)} ${permissions}`;
    const told = entries.map(({ id, ltpk, permissions }) => line(id, ltpk, permissions)).sort();
    const known = [...model.members].map(([who, permissions]) => {
      const { id, ltpk } = this.identities[who]!;
      return line(id, ltpk, permissions);
    });
    this.trial.expect(told, 'PAIRINGS-24: the list').to.deep.equal(known.sort());
  }

  async restart(model: Model): Promise<void> {
    model.left.restarts--;
    this.trial.step(0, `step ${++this.steps}: restart`);
    await this.trial.bench.restart();
    for (const slot of model.slots) Object.assign(slot, closedSlot());
  }

  /** The accessory is as the model says, and is made what it was: unpaired, or paired with the first controller alone. */
  async end(model: Model, leaves: 'unpaired' | 'paired'): Promise<void> {
    const { bench, controller, violate } = this.trial;
    await bench.closeLinks();
    this.trial.step(0, 'the end of the flow');
    for (const who of this.refused)
      if (!model.members.has(who) && (await controller.isStored(this.identities[who]!)))
        violate(`PS-STATE-15: controller ${who} was refused, and is stored`);
    const admin = [...model.members].find(([, permissions]) => permissions === Permission.Admin)?.[0];
    if (admin !== undefined) {
      // A new Pair Verify of an admin, a list that is the model, and everybody but that one is removed.
      const verify = await this.fresh().verify({ as: this.identities[admin]! });
      this.judge(await verify.sendM1(), v2, 'yes', 'PV-M1-01', 'Pair Verify M1 at the end');
      this.judge(await verify.sendM3(), v4, 'yes', 'PV-M3-01', 'Pair Verify M3 at the end');
      const session = verify.secure();
      const list = await session.sendPairings(listPairings());
      this.judge(list, listed, 'yes', 'PAIRINGS-01', 'List at the end');
      this.compare(model, session, list);
      const others = [...model.members.keys()].filter((who) => who !== admin);
      const out = leaves === 'paired' ? others : [...others, admin];
      for (const who of out) {
        const outcome = await session.sendRemove(this.identities[who]!.id);
        if (who !== admin || !closed().matches(outcome))
          this.judge(outcome, removed, 'yes', 'PAIRINGS-11', `Remove of controller ${who} at the end`);
      }
      await bench.closeLinks();
    }
    if (leaves === 'paired') return;
    bench.unpaired();
    // Whatever was broken off: Pair Setup is served again.
    if (model.left.m2 > 0 && this.begun) {
      const setup = await this.fresh().setup();
      this.judge(await setup.sendM1(), m2, 'yes', 'PS-STATE-14', 'Pair Setup M1 at the end');
      await bench.closeLinks();
    }
    for (const identity of this.identities) bench.forget(identity);
  }
}

/** Kinds of M3, M5 and Pair Verify M3. */
export type M3 = 'right' | 'of the wrong code' | 'with a bit flipped' | 'replayed' | 'of another connection';
export type M5 = 'right' | 'with a bit flipped' | 'with a wrong signature' | 'replayed';
export type V3 = M5;

function m3Words(how: M3, from: number): string {
  return how === 'of another connection' ? `of connection ${from}` : how;
}

/** A step of a flow: when it can be made, and what it does. */
export class Step implements fc.AsyncCommand<Model, Flow> {
  constructor(
    private readonly words: string,
    private readonly can: (model: Readonly<Model>) => boolean,
    private readonly act: (flow: Flow, model: Model) => Promise<void>,
  ) {}

  check(model: Readonly<Model>): boolean {
    return this.can(model);
  }

  async run(model: Model, flow: Flow): Promise<void> {
    await this.act(flow, model);
  }

  toString(): string {
    return this.words;
  }
}

const nobody: Slot = closedSlot();

function slotOf(model: Readonly<Model>, at: number): Slot {
  return model.slots[at] ?? nobody;
}

const plain = (model: Readonly<Model>, at: number): boolean => slotOf(model, at).session === undefined;

/** An M3 that may fail costs an attempt. */
function canM3(model: Readonly<Model>, at: number, how: M3): boolean {
  const sure = how === 'right' ? slotOf(model, at).m3 : 'no';
  return plain(model, at) && model.left.m4 > 0 && (sure === 'yes' || model.left.guesses > 0);
}

function canM1(model: Readonly<Model>, at: number): boolean {
  return plain(model, at) && model.left.m2 > 0;
}

function canM5(model: Readonly<Model>, at: number): boolean {
  return plain(model, at) && model.left.m6 > 0;
}

function canV1(model: Readonly<Model>, at: number): boolean {
  return plain(model, at) && model.left.verifies > 0;
}

/** A request that changes something is made where its effect is known. */
function inSession(model: Readonly<Model>, at: number): boolean {
  const { open, session } = slotOf(model, at);
  return open && session?.sure === 'yes';
}

function keepsAnAdmin(model: Readonly<Model>, target: number): boolean {
  const admins = [...model.members].filter(([, permissions]) => permissions === Permission.Admin);
  return admins.some(([who]) => who !== target);
}

/** A controller that is paired: that one, if it is. */
function memberOr(model: Readonly<Model>, who: number): number {
  return model.members.has(who) ? who : ([...model.members.keys()][0] ?? who);
}

/** What a controller would do next on a connection. */
function next(model: Readonly<Model>, at: number): 'm1' | 'm3' | 'm5' | 'v1' | 'v3' | 'request' {
  const { session, m3, ripe, v3, stuck, rude } = slotOf(model, at);
  if (session !== undefined) return 'request';
  if (ripe && !stuck) return 'm5';
  if (m3 !== 'no' && !stuck) return 'm3';
  if (v3 === 'yes' || (v3 === 'maybe' && !rude)) return 'v3';
  return model.members.size > 0 ? 'v1' : 'm1';
}

/** Most flows are about one or two connections. */
const slot = fc.oneof(
  { weight: 4, arbitrary: fc.constant(0) },
  { weight: 3, arbitrary: fc.constant(1) },
  { weight: 2, arbitrary: fc.nat(SLOTS - 1) },
);
const controller = fc.nat(CONTROLLERS - 1);

/** The next right step on a connection. */
const advance = fc.tuple(slot, controller).map(
  ([at, who]) =>
    new Step(
      `#${at} goes on (controller ${who})`,
      (model) => {
        const step = next(model, at);
        if (step === 'm1') return canM1(model, at);
        if (step === 'm3') return canM3(model, at, 'right');
        if (step === 'm5') return canM5(model, at);
        return step !== 'v1' || canV1(model, at);
      },
      async (flow, model) => {
        const step = next(model, at);
        if (step === 'm1') await flow.m1(model, at, who);
        else if (step === 'm3') await flow.m3(model, at, 'right', at);
        else if (step === 'm5') await flow.m5(model, at, 'right');
        else if (step === 'v1') await flow.v1(model, at, memberOr(model, who));
        else if (step === 'v3') await flow.v3(model, at, 'right');
        else await flow.request(model, at);
      },
    ),
);

const leave = fc.tuple(slot, fc.constantFrom('close', 'reset', 'half')).map(
  ([at, how]) =>
    new Step(
      `#${at} ${how === 'half' ? 'half a request, then close' : how}`,
      (model) => slotOf(model, at).open,
      (flow, model) => flow.leave(model, at, how),
    ),
);

const setupM1 = fc.tuple(slot, controller).map(
  ([at, who]) =>
    new Step(
      `#${at} M1 (controller ${who})`,
      (model) => canM1(model, at),
      (flow, model) => flow.m1(model, at, who),
    ),
);

const setupM3s = fc
  .tuple(
    slot,
    fc.constantFrom<M3>(
      'right',
      'of the wrong code',
      'with a bit flipped',
      'replayed',
      'of another connection',
    ),
    slot,
  )
  .map(
    ([at, how, from]) =>
      new Step(
        `#${at} M3 ${m3Words(how, from)}`,
        (model) => canM3(model, at, how),
        (flow, model) => flow.m3(model, at, how, from),
      ),
  );

const kinds = fc.constantFrom<M5>('right', 'with a bit flipped', 'with a wrong signature', 'replayed');

const setupM5s = fc.tuple(slot, kinds).map(
  ([at, how]) =>
    new Step(
      `#${at} M5 ${how}`,
      (model) => canM5(model, at),
      (flow, model) => flow.m5(model, at, how),
    ),
);

const verifyM1s = fc.tuple(slot, controller).map(
  ([at, who]) =>
    new Step(
      `#${at} Pair Verify M1 (controller ${who})`,
      (model) => canV1(model, at),
      (flow, model) => flow.v1(model, at, who),
    ),
);

const verifyM3s = fc.tuple(slot, kinds).map(
  ([at, how]) =>
    new Step(
      `#${at} Pair Verify M3 ${how}`,
      (model) => plain(model, at),
      (flow, model) => flow.v3(model, at, how),
    ),
);

const requests = slot.map(
  (at) =>
    new Step(
      `#${at} request`,
      () => true,
      (flow, model) => flow.request(model, at),
    ),
);

const secured = (model: Readonly<Model>, at: number): boolean =>
  slotOf(model, at).open && slotOf(model, at).session !== undefined;

const badFrames = slot.map(
  (at) =>
    new Step(
      `#${at} bad frame`,
      (model) => secured(model, at),
      (flow, model) => flow.badFrame(model, at),
    ),
);

const foreignFrames = fc.tuple(slot, slot).map(
  ([at, from]) =>
    new Step(
      `#${at} frame of #${from}`,
      (model) => at !== from && secured(model, at) && secured(model, from),
      (flow, model) => flow.foreignFrame(model, at, from),
    ),
);

const bareMessages = fc.tuple(slot, fc.constantFrom('a request', 'Pair Verify M1', 'Pair Verify M3')).map(
  ([at, what]) =>
    new Step(
      `#${at} ${what} in plaintext`,
      (model) => secured(model, at),
      (flow, model) => flow.bare(model, at, what),
    ),
);

const emptyFrames = slot.map(
  (at) =>
    new Step(
      `#${at} empty frame`,
      (model) => secured(model, at),
      (flow, model) => flow.emptyFrame(model, at),
    ),
);

const slowRequests = slot.map(
  (at) =>
    new Step(
      `#${at} request in two halves`,
      (model) => inSession(model, at),
      (flow, model) => flow.slowRequest(model, at),
    ),
);

const verifiesInside = fc.tuple(slot, fc.constantFrom('new keys', 'old keys', 'plaintext')).map(
  ([at, then]) =>
    new Step(
      `#${at} Pair Verify in the session, then ${then}`,
      (model) => inSession(model, at) && model.left.verifies > 0,
      (flow, model) => flow.verifyInside(model, at, then),
    ),
);

const garbage = slot.map(
  (at) =>
    new Step(
      `#${at} garbage`,
      (model) => plain(model, at),
      (flow, model) => flow.garbage(model, at),
    ),
);

const lists = slot.map(
  (at) =>
    new Step(
      `#${at} List`,
      (model) => secured(model, at),
      (flow, model) => flow.list(model, at),
    ),
);

const adds = fc.tuple(slot, controller, fc.constantFrom(Permission.User, Permission.Admin)).map(
  ([at, target, permissions]) =>
    new Step(
      `#${at} Add controller ${target} as ${permissions === Permission.Admin ? 'admin' : 'user'}`,
      (model) => inSession(model, at) && (permissions === Permission.Admin || keepsAnAdmin(model, target)),
      (flow, model) => flow.add(model, at, target, permissions),
    ),
);

const removes = fc.tuple(slot, controller).map(
  ([at, target]) =>
    new Step(
      `#${at} Remove controller ${target}`,
      (model) => inSession(model, at) && (model.mayUnpair || keepsAnAdmin(model, target)),
      (flow, model) => flow.remove(model, at, target),
    ),
);

const restarts = fc.constant(
  new Step(
    'restart',
    (model) => model.left.restarts > 0,
    (flow, model) => flow.restart(model),
  ),
);

/** Commands, as often as their weight says. */
function weighted(...commands: readonly (readonly [number, fc.Arbitrary<Step>])[]): fc.Arbitrary<Step>[] {
  return commands.flatMap(([weight, command]) => Array.from({ length: weight }, () => command));
}

/** Flows through Pair Setup and what it leads to. */
export const setupSteps = weighted(
  [9, advance],
  [2, leave],
  [2, setupM1],
  [3, setupM3s],
  [3, setupM5s],
  [1, verifyM1s],
  [2, verifyM3s],
  [1, requests],
  [1, badFrames],
  [1, garbage],
  [1, lists],
  [1, adds],
  [1, removes],
  [1, restarts],
);

/** Flows through Pair Verify and frames, on an accessory that is paired. */
export const sessionSteps = weighted(
  [8, advance],
  [2, leave],
  [4, verifyM1s],
  [4, verifyM3s],
  [2, requests],
  [1, slowRequests],
  [1, badFrames],
  [2, foreignFrames],
  [1, bareMessages],
  [1, emptyFrames],
  [1, restarts],
);

/** The same, with Pair Verify inside sessions. */
export const insideSteps = [...sessionSteps, ...weighted([8, verifiesInside], [4, advance])];

/** Flows of administration, on an accessory that is paired. */
export const administrationSteps = weighted(
  [6, advance],
  [1, leave],
  [1, setupM1],
  [2, verifyM1s],
  [3, verifyM3s],
  [1, requests],
  [1, badFrames],
  [2, lists],
  [5, adds],
  [4, removes],
  [1, restarts],
);
