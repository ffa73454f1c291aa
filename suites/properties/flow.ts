import { type Session, hap, outcomes } from '../../harness/suite.js';
import { FIN_WAIT } from './ground.js';
import { type Model, type Sure, closedSlot, weaker } from './model.js';
import { Pairing, m2, v2, v4 } from './pairing.js';

/** Milliseconds between the halves of a frame. */
const PAUSE = 1_200;

const added = outcomes.success('pairings-add');
const removed = outcomes.success('pairings-remove');
const listed = outcomes.success('pairings-list');

/** An accessory and the connections of one flow to it: sessions, administration and the end, beside what leads there. */
export class Flow extends Pairing {
  /** A sealed request whose frame comes in two halves, more than a second apart. */
  async slowRequest(model: Model, at: number): Promise<void> {
    const { bench, controller } = this.trial;
    const { session } = await this.inside(model, at, 'GET in a frame of two halves');
    const frame = hap.concat(...session.seal({ method: 'GET', path: bench.profile.resource }));
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
  private served(outcome: outcomes.Outcome, sure: Sure, what: string): void {
    if (outcomes.plaintextReply().matches(outcome))
      this.violate('SESS-20', `${what}: ${outcomes.describeOutcome(outcome)}`);
    this.trial
      .expect(
        sure !== 'yes' || outcomes.answered(200).matches(outcome),
        `PV-M3-01: ${what} is due to be served, seen: ${outcomes.describeOutcome(outcome)}`,
      )
      .to.equal(true);
    if (sure === 'no' && outcomes.served().matches(outcome))
      this.violate('PAIRINGS-19', `${what} was served: ${outcomes.describeOutcome(outcome)}`);
  }

  /** Bytes in a session that must not be answered; the connection is given up behind them. */
  private async unanswered(
    model: Model,
    at: number,
    what: string,
    requirement: string,
    bytes: (session: Session) => hap.Bytes,
  ): Promise<void> {
    const { bench, controller } = this.trial;
    const link = await this.begin(model, at, what);
    link.send(bytes(this.wires[at]!.session!));
    // What looks like the length of a long frame may be waited for.
    const wait = requirement === 'SESS-18' ? controller.quietWait : bench.options.patience.close;
    const outcome = await link.outcome(wait);
    if (outcomes.anyReply().matches(outcome))
      this.violate(requirement, `${what} was answered: ${outcomes.describeOutcome(outcome)}`);
    await link.close();
    Object.assign(model.slots[at]!, closedSlot());
  }

  /** A request as it is sealed in a session, without taking a counter of it. */
  private frameOf({ link }: Session): hap.Bytes {
    const { keys, encoder } = link.session;
    const plain = link.encode({ method: 'GET', path: this.trial.bench.profile.resource });
    return hap.sealFrame(keys.toAccessory, encoder.counter, plain);
  }

  /** A frame with one bit flipped. */
  async badFrame(model: Model, at: number): Promise<void> {
    await this.unanswered(model, at, 'a frame with a bit flipped', 'SESS-11', (session) => {
      const frame = this.frameOf(session);
      return hap.flipBit(frame, 8 * frame.length - 1);
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
    const m1 = hap.encodeTlv(hap.verifyM1(random.bytes(32)));
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
    link.send(hap.sealFrame(keys.toAccessory, encoder.counter++, new Uint8Array(0)));
    const outcome = await link.outcome(FIN_WAIT);
    if (outcomes.plaintextReply().matches(outcome))
      this.violate('SESS-20', `an empty frame: ${outcomes.describeOutcome(outcome)}`);
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
    const sealed = (outcome: outcomes.Outcome, what: string): void => {
      if (outcomes.plaintextReply().matches(outcome))
        this.violate('PV-STATE-06', `${what} inside a session: ${outcomes.describeOutcome(outcome)}`);
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
    const outcome = await session.sendPairings(hap.listPairings(), session.controller.stepWait);
    if (this.administered(model, at, outcome, listed, who, 'List')) this.compare(model, session, outcome);
    await this.settle(model, at, outcome);
  }

  async add(model: Model, at: number, target: number, permissions: number): Promise<void> {
    const role = permissions === hap.Permission.Admin ? 'admin' : 'user';
    const words = `Add of controller ${target} as ${role}`;
    const { session, who } = await this.inside(model, at, words);
    const identity = this.identities[target]!;
    const outcome = await session.sendAdd(identity, permissions, identity.ltpk, session.controller.stepWait);
    if (this.administered(model, at, outcome, added, who, words)) {
      const demoted =
        model.members.get(target) === hap.Permission.Admin && permissions !== hap.Permission.Admin;
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
    const admin = model.members.get(who) === hap.Permission.Admin && slot.session?.sure === 'yes';
    // Whoever removes itself may meet the end of the session before the answer; nobody to remove may be an error.
    const lenient =
      admin &&
      ((target === who && outcomes.closed().matches(outcome)) ||
        (!known && outcomes.otherError(2).matches(outcome)));
    const done = lenient || this.administered(model, at, outcome, removed, who, words);
    if (done && known) this.forget(model, target);
    await this.settle(model, at, outcome);
  }

  /** A controller is out, and everybody when no admin is left (PAIRINGS-19). */
  private forget(model: Model, target: number): void {
    const { bench } = this.trial;
    model.members.delete(target);
    const admins = [...model.members.values()].filter((permissions) => permissions === hap.Permission.Admin);
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
    outcome: outcomes.Outcome,
    step: outcomes.Matcher,
    who: number,
    what: string,
  ): boolean {
    const { session } = model.slots[at]!;
    const admin = model.members.get(who) === hap.Permission.Admin;
    const sure: Sure = !admin ? 'no' : session!.sure;
    const requirement = admin ? 'PAIRINGS-01' : 'PAIRINGS-15';
    const whose = `${what} by controller ${who}, ${admin ? 'an admin' : model.members.has(who) ? 'a user' : 'removed'},`;
    if (outcomes.plaintextReply().matches(outcome))
      this.violate('SESS-20', `${what}: ${outcomes.describeOutcome(outcome)}`);
    // A session that is over need not answer.
    if (session!.sure !== 'yes' && !step.matches(outcome)) return false;
    return this.judge(outcome, step, sure, requirement, whose);
  }

  /** The list has to be the members, as a set. */
  private compare(model: Model, session: Session, outcome: outcomes.Outcome): void {
    const { entries } = session.pairingsIn(outcome);
    const line = (id: hap.Bytes, ltpk: hap.Bytes, permissions: number): string =>
      `${hap.text(id)} ${hap.hex(ltpk).slice(0, 8)} ${permissions}`;
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
    const admin = [...model.members].find(([, permissions]) => permissions === hap.Permission.Admin)?.[0];
    if (admin !== undefined) {
      // A new Pair Verify of an admin, a list that is the model, and everybody but that one is removed.
      const verify = await this.fresh().verify({ as: this.identities[admin]! });
      this.judge(await verify.sendM1(), v2, 'yes', 'PV-M1-01', 'Pair Verify M1 at the end');
      this.judge(await verify.sendM3(), v4, 'yes', 'PV-M3-01', 'Pair Verify M3 at the end');
      const session = verify.secure();
      const list = await session.sendPairings(hap.listPairings());
      this.judge(list, listed, 'yes', 'PAIRINGS-01', 'List at the end');
      this.compare(model, session, list);
      const others = [...model.members.keys()].filter((who) => who !== admin);
      const out = leaves === 'paired' ? others : [...others, admin];
      for (const who of out) {
        const outcome = await session.sendRemove(this.identities[who]!.id);
        if (who !== admin || !outcomes.closed().matches(outcome))
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
    for (const identity of this.identities) bench.keyring.forget(identity);
  }
}
