import {
  type Controller,
  type Link,
  type PairSetup,
  type PairVerify,
  type Session,
  type Trial,
  hap,
  outcomes,
} from '../../harness/suite.js';
import * as models from './model.js';

/** Milliseconds after which a connection that was not used may have been given up by the accessory. */
const PATIENT = 20_000;

/** Long enough for a FIN behind a refusal. */
export const FIN_WAIT = 20;

/** A message that was sent, for sending it again. */
interface Recorded {
  readonly exchange: number;
  readonly who: number;
  readonly bytes: hap.Bytes;
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

/** What every step of a flow does: it has a connection, is judged by the model, and what it leaves is noted. */
export class Ground {
  readonly wires: Wire[] = Array.from({ length: models.SLOTS }, () => ({ who: 0, exchange: 0 }));
  protected exchanges = 0;
  protected steps = 0;
  /** A Pair Setup has begun. */
  protected begun = false;
  protected recorded: { m3?: Recorded; m5?: Recorded; v3?: Recorded } = {};
  /** Ephemeral keys of Pair Verify M2 seen in this flow (hex). */
  protected readonly ephemerals = new Set<string>();
  /** Controllers whose M5 or Add was refused: none of them may be stored. */
  protected readonly refused = new Set<number>();

  constructor(
    readonly trial: Trial,
    readonly identities: readonly hap.Identity[],
  ) {}

  protected get now(): number {
    return this.trial.bench.clock.now();
  }

  protected fresh(): Controller {
    return this.trial.fresh(`exchange ${++this.exchanges}`);
  }

  protected violate(requirement: string, what: string): never {
    return this.trial.violate(`${requirement}: ${what}`);
  }

  /** Begins a step on a connection, which is opened when it is not. */
  async begin(model: models.Model, at: number, words: string): Promise<Link> {
    const slot = model.slots[at]!;
    const wire = this.wires[at]!;
    if (!slot.open || wire.link === undefined) {
      Object.assign(slot, { ...models.closedSlot(), open: true });
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
  protected closedTo(model: models.Model): boolean {
    return model.members.size > 0 && !this.trial.bench.profile.servesPaired;
  }

  /** What was sure is so no more. */
  protected doubt(slot: models.Slot, rude = false): void {
    slot.rude ||= rude;
    for (const key of ['m3', 'm5', 'holds', 'v3'] as const) slot[key] = models.weaker(slot[key]);
    if (slot.session !== undefined) slot.session.sure = models.weaker(slot.session.sure);
  }

  /** Takes note of an end of the connection that came with an answer. */
  protected async settle(model: models.Model, at: number, outcome: outcomes.Outcome): Promise<void> {
    const slot = model.slots[at]!;
    slot.at = this.now;
    const link = this.wires[at]!.link!;
    const over =
      outcome.kind === 'close' ||
      outcome.kind === 'reset' ||
      outcome.kind === 'garbage' ||
      // A link that is secured is asked when it is used: events may be under way.
      (outcomes.anyRefusal().matches(outcome) && !link.secured && !(await link.stillOpen(FIN_WAIT)));
    if (over) Object.assign(slot, models.closedSlot());
  }

  /** Compares an outcome with what the model says of its success. @returns whether it was one. */
  protected judge(
    outcome: outcomes.Outcome,
    step: outcomes.Matcher,
    sure: models.Sure,
    requirement: string,
    what: string,
  ): boolean {
    const { expect } = this.trial;
    this.wellFormed(outcome, what);
    const came = step.matches(outcome);
    if (sure === 'no' && (step.resembles ?? step.matches).call(step, outcome))
      this.violate(requirement, `${what} was answered by success: ${outcomes.describeOutcome(outcome)}`);
    if (sure === 'yes' && !came)
      this.violate(requirement, `${what} was due to succeed, seen: ${outcomes.describeOutcome(outcome)}`);
    expect(
      came || outcomes.anyRefusal().matches(outcome),
      `${requirement}: ${what} is answered by success or refused, seen: ${outcomes.describeOutcome(outcome)}`,
    ).to.equal(true);
    return came;
  }

  /** What every reply with TLV8 in it keeps to, whatever it says (TLV-05, TLV-06, PS-ERR-01, PS-ERR-05). */
  protected wellFormed(outcome: outcomes.Outcome, what: string): void {
    if (outcome.kind !== 'reply' || outcome.tlv === undefined) return;
    const { tlv } = outcome;
    const wrong = (requirement: string, why: string): never =>
      this.violate(requirement, `the reply to ${what}: ${why}: ${outcomes.describeOutcome(outcome)}`);
    if (tlv.defect !== undefined) wrong('TLV-05', tlv.defect);
    for (const [i, { type, value }] of tlv.fragments.entries())
      if (tlv.fragments[i + 1]?.type === type && value.length < 255)
        wrong('TLV-05', 'a short fragment before the last');
    for (const type of [hap.TlvType.State, hap.TlvType.Error]) {
      const values = tlv.all(type);
      if (values.length > 1 || values.some(({ length }) => length !== 1))
        wrong('TLV-06', 'State or Error is not one item of one byte');
    }
    if (!tlv.has(hap.TlvType.State)) wrong('TLV-06', 'no State');
    if (tlv.error !== undefined && (tlv.error < 1 || tlv.error > 7))
      wrong('PS-ERR-05', 'an Error that is not defined');
    const more = tlv.items.some(
      ({ type }) => type !== hap.TlvType.State && type !== hap.TlvType.Error && type !== 0x08,
    );
    if (tlv.error !== undefined && more) wrong('PS-ERR-01', 'an error with other items beside it');
  }

  async open(model: models.Model, at: number): Promise<void> {
    await this.begin(model, at, 'open');
  }

  /** Ends a connection from our side. */
  async leave(model: models.Model, at: number, how: 'close' | 'reset' | 'half'): Promise<void> {
    const link = await this.begin(model, at, how === 'half' ? 'half a request, then close' : how);
    if (how === 'reset') link.reset();
    if (how === 'half') {
      link.send(link.encode({ method: 'POST', path: this.trial.bench.profile.paths.setup }).subarray(0, 20));
      link.finish();
    }
    await link.close();
    Object.assign(model.slots[at]!, models.closedSlot());
  }
}
