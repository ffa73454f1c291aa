import { type PairingsList, readPairings } from '../controller/index.js';
import {
  type Bytes,
  type Identity,
  Method,
  Permission,
  type TlvItem,
  TlvType,
  addPairing,
  controllerIdentity,
  decodeTlv,
  encodeTlv,
  equal,
  hex,
  listPairings,
  removePairing,
} from '../protocol/index.js';
import type { Conduct } from './conduct.js';
import { NotApplicable } from './errors.js';
import type { Link } from './link.js';
import { type Outcome, describeOutcome, success } from './outcome.js';

/** Add, Remove and List over one connection, and who they let in and out. */
export class Administration {
  constructor(
    readonly controller: Conduct,
    readonly link: Link,
    readonly identity: Identity,
  ) {}

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
