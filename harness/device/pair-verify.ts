import {
  type Edit,
  PairVerifyController,
  type VerifyM2,
  type VerifyM3Options,
  applyEdit,
} from '../controller/index.js';
import {
  type Bytes,
  FrameEncoder,
  type Identity,
  type Peer,
  type ZeroByte,
  concat,
  encodeTlv,
} from '../protocol/index.js';
import type { HttpRequest } from '../wire/index.js';
import type { Conduct } from './conduct.js';
import type { Link } from './link.js';
import { type Outcome, success } from './outcome.js';
import { Session } from './session.js';

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
  /** Where the ephemeral key has a zero byte; nowhere unless given. */
  readonly zeroByte?: ZeroByte;
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
    readonly controller: Conduct,
    readonly link: Link,
    readonly identity: Identity,
    {
      housekeeping = false,
      lowOrder,
      peer,
      zeroByte = 'nowhere',
    }: Pick<VerifyOptions, 'housekeeping' | 'lowOrder' | 'peer' | 'zeroByte'>,
  ) {
    const { bench, random } = controller;
    this.housekeeping = housekeeping;
    this.lowOrder = lowOrder;
    const accessory = peer ?? (housekeeping ? undefined : bench.accessory);
    this.machine = new PairVerifyController(identity, accessory, random, lowOrder, zeroByte);
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
    const { bench } = this.controller;
    bench.spent.verifies++;
    const outcome = await this.exchange(body, wait);
    if (outcome.kind === 'reply' && bench.state === 'unpaired') bench.learned.verifiesUnpaired = true;
    if (outcome.kind === 'reply' && outcome.tlv?.state === 2 && outcome.tlv.error === undefined) {
      this.m2 = this.machine.readM2(outcome.tlv);
      if (this.m2.items !== undefined) this.link.opened('sub-TLV of Pair Verify M2', this.m2.items.items);
      // What M2 says to a key of low order, or before a pairing, proves nothing to anybody.
      if (!this.housekeeping && this.lowOrder === undefined)
        bench.emit('verify-m2', { reply: outcome, m2: this.m2 });
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
    if (!link.secured && this.m2?.items !== undefined) link.foreseen = [this.machine.sessionKeys()];
    const outcome = await link.postBytes(this.controller.profile.paths.verify, body, wait);
    link.foreseen = [];
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
