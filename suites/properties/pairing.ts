import { type PairVerify, edits, hap, outcomes } from '../../harness/suite.js';
import { Ground } from './ground.js';
import { type M3, type M5, type Model, type Slot, type Sure, type V3, weaker } from './model.js';

export const m2 = outcomes.success('setup-m2');
const m4 = outcomes.success('setup-m4');
const m6 = outcomes.success('setup-m6');
export const v2 = outcomes.success('verify-m2');
export const v4 = outcomes.success('verify-m4');

/** A kind of M3 in the words of a step; `from` is the connection it was made for. */
export function m3Words(how: M3, from: number): string {
  return how === 'of another connection' ? `of connection ${from}` : how;
}

/** Pair Setup and Pair Verify, right and wrong, as steps of a flow. */
export class Pairing extends Ground {
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

  protected doubtSetup(slot: Slot): void {
    for (const key of ['m3', 'm5', 'holds'] as const) slot[key] = weaker(slot[key]);
  }

  /** What a message to Pair Setup that is no part of the exchange may have done to it. */
  protected spoil(slot: Slot): void {
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
    let body: hap.Bytes;
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
      body = hap.encodeTlv(source.machine.m3());
      tolerated = model.slots[from]!.holds !== 'no';
      this.doubtSetup(model.slots[from]!);
    } else if (own === undefined) {
      const A = random.bytes(384);
      A[0]! &= 0x7f;
      body = hap.encodeTlv(hap.setupM3(A, random.bytes(64)));
      sure = 'no';
    } else if (how === 'of the wrong code') {
      const wrong = await this.trial.fresh(`wrong ${this.exchanges}`).setup({ link, code: 'wrong' });
      wrong.machine.answer(own.m2!.salt!, own.m2!.B!);
      body = hap.encodeTlv(wrong.machine.m3());
    } else if (how === 'right') body = hap.encodeTlv(own.machine.m3());
    else body = hap.encodeTlv(edits.flip('Proof', 7)(own.machine.m3()));
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
    let body: hap.Bytes | undefined;
    if (how === 'replayed' && this.recorded.m5 !== undefined) {
      body = this.recorded.m5.bytes;
      who = this.recorded.m5.who;
      if (this.recorded.m5.exchange === wire.exchange && !paired) sure = weaker(slot.m5);
    }
    // Before M4 there is no K: what an accessory may hold in its place is tried.
    const guess = own === undefined || (slot.m5 === 'no' && how === 'with a wrong signature');
    const secret = guess ? this.guessedSecret() : {};
    if (body === undefined) {
      const signature = how === 'with a wrong signature' && !guess && { sub: edits.flip('Signature', 3) };
      const items = setup.machine.m5({ ...secret, ...signature });
      const broken = (how === 'with a bit flipped' || how === 'replayed') && !guess;
      body = hap.encodeTlv(broken ? edits.flip('EncryptedData', 40)(items) : items);
    }
    model.left.m6--;
    const outcome = await setup.sendM5Bytes(body, setup.controller.stepWait);
    const requirement = sure === 'yes' ? 'PS-M5-01' : 'PS-STATE-15';
    if (this.judge(outcome, m6, sure, requirement, `M5 ${how}`) && outcome.kind === 'reply') {
      setup.readM6(outcome);
      model.members.set(who, hap.Permission.Admin);
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
      this.trial.lesser(
        `PV-STATE-07: Pair Verify M1 behind what was refused: ${outcomes.describeOutcome(outcome)}`,
      );
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
  protected readV2({ m2 }: PairVerify): void {
    const fatal = m2?.findings.find((finding) => finding.fatal);
    if (fatal !== undefined) this.violate(fatal.requirement, fatal.what);
    if (m2?.publicKey === undefined) return;
    const key = hap.hex(m2.publicKey);
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
    let body: hap.Bytes;
    if (how === 'replayed' && this.recorded.v3 !== undefined) {
      body = this.recorded.v3.bytes;
      if (this.recorded.v3.exchange === wire.exchange && model.members.has(who)) sure = weaker(slot.v3);
    } else if (own === undefined) body = hap.encodeTlv(this.guessedM3(who));
    else {
      const signature = how === 'with a wrong signature' && { sub: edits.flip('Signature', 3) };
      const items = own.machine.m3({ ...signature });
      const broken = how === 'with a bit flipped' || how === 'replayed';
      body = hap.encodeTlv(broken ? edits.flip('EncryptedData', 40)(items) : items);
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
          `PV-STATE-03, PV-STATE-07: Pair Verify M3 behind a second M1 or a request: ${outcomes.describeOutcome(outcome)}`,
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
  protected guessedSecret(): edits.M5Options {
    const { random } = this.trial;
    const key = new Uint8Array(32);
    const secret = [new Uint8Array(0), new Uint8Array(64), random.bytes(64)][random.below(3)]!;
    return random.below(2) === 0 ? { secret } : { secret, key };
  }

  /** A Pair Verify M3 under a key that nobody agreed on. */
  protected guessedM3(who: number): hap.TlvItem[] {
    const { random } = this.trial;
    const zero = new Uint8Array(32);
    const keys = [
      zero,
      ...[zero, new Uint8Array(0), random.bytes(32)].map((s) => hap.deriveKey('Pair-Verify-Encrypt', s)),
    ];
    const { id, ltsk } = this.identities[who]!;
    // Signed as it would have to be if nothing but zero bytes had been exchanged: a key alone opens nothing else.
    const signature =
      random.below(3) === 0 ? random.bytes(64) : hap.sign(ltsk, hap.signedInfo(zero, id, zero));
    const sub = [hap.tlv(hap.TlvType.Identifier, id), hap.tlv(hap.TlvType.Signature, signature)];
    return hap.sealedMessage(
      3,
      hap.seal(keys[random.below(4)]!, hap.labelNonce('PV-Msg03'), hap.encodeTlv(sub)),
    );
  }
}
