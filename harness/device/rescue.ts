import { readPairings } from '../controller/index.js';
import {
  type Identity,
  Method,
  TlvError,
  TlvType,
  equal,
  fromHex,
  hex,
  listPairings,
  removePairing,
  text,
} from '../protocol/index.js';
import type { MakeController } from './controller.js';
import { StepFailed } from './errors.js';
import { ASK_AGAIN, type Fixture } from './fixture.js';
import { type Outcome, describeOutcome, success } from './outcome.js';
import type { Session } from './session.js';

/** What Pair Verify says of a key: it opens the accessory, an accessory that proves itself refuses it, or neither. */
export interface Standing {
  readonly is: 'in' | 'out' | 'doubtful';
  readonly why: string;
  /** Pair Verify was refused before it came to the key: it is open to nobody. */
  readonly shut?: boolean;
}

/** What came of taking a key out. */
export interface Departure extends Standing {
  /** It was in the accessory. */
  readonly wasIn: boolean;
  /** The accessory answered that it removed it. */
  readonly acknowledged: boolean;
}

/** How many keys are tried, and how long (ms) no further one is begun: those behind are kept. */
export interface Bounds {
  readonly most: number;
  readonly time: number;
}

/** Keys of earlier runs that are tried in one run. */
export const KEYS_LEFT: Bounds = { most: 48, time: 60_000 };
/** The same for keys of this run. */
export const KEYS_OWN: Bounds = { most: 512, time: 60_000 };

/** Bytes of an identifier as controllers have it. */
const UUID_LENGTH = 36;
/** Sessions opened at most to remove what failed checks left. */
const MOST_GUESTS = 48;
/** Pauses (ms) in which a removal that was answered, or whose answer was lost, may come into effect. */
const REMOVAL_EFFECT = [0, 250, 750, 1_500, 2_500];
/** How often the removal of one pairing is asked for. */
const REMOVALS = 2;
/** Keys said to be stored that are tried in an accessory that says it is free. */
const MOST_CONFIRMED = 8;

/** Takes keys of ours out of the accessory, and makes sure by Pair Verify what is in there. */
export class Rescue {
  /** A removal was met by silence: the next ones are not waited for as long, and Pair Verify tells what they came to. */
  private removalsSilent = false;

  constructor(
    private readonly bench: Fixture,
    private readonly controller: MakeController,
  ) {}

  private get removalWait(): number {
    const { answer, silence } = this.bench.options.patience;
    return this.removalsSilent ? silence : answer;
  }

  /**
   * Pair Verify has refused the controller of a Pair Setup that came to M6. A receiver that stores none may be there
   * to be used by transient sessions alone: what is said of sessions is then asked of those.
   */
  async learnKeeping(): Promise<void> {
    const { admin } = this.bench;
    if (!this.bench.profile.servesPaired || this.bench.state !== 'ours' || admin === undefined) return;
    const { is, why } = await this.standing(admin);
    if (is !== 'out') return;
    const found = await this.controller('transient instead').tryTransient();
    await this.bench.closeLinks();
    if (!('why' in found))
      this.bench.learned.keepsNobody = `the receiver keeps no controller: behind M6 ${why}`;
  }

  /**
   * Whether a key opens the accessory, by Pair Verify. Where no M6 has told its LTPK, it is known by the identifier it
   * had when it let a key of ours in: it had to know that key for it.
   */
  private async standing(identity: Identity): Promise<Standing> {
    const { heard } = this.bench.pairing;
    const peer = this.bench.keyring.peers.get(identity) ?? this.bench.accessory;
    const controller = this.controller(`is it in there ${text(identity.id)}`);
    for (let tries = 1; ; tries++) {
      await this.bench.closeLinks();
      const verify = await controller.verify({ as: identity, housekeeping: true, ...(peer && { peer }) });
      const m2 = await verify.sendM1(undefined, controller.stepWait);
      if (verify.m2?.items === undefined) {
        await this.bench.closeLinks();
        const why = `Pair Verify M1 was answered by ${describeOutcome(m2)}`;
        return { is: 'doubtful', why, shut: isDenial(m2) };
      }
      const { findings, items } = verify.m2;
      const own = items.get(TlvType.Identifier);
      const proven =
        peer !== undefined
          ? findings.length === 0
          : heard !== undefined && own !== undefined && equal(heard, own);
      const m4 = await verify.sendM3(undefined, undefined, controller.stepWait);
      await this.bench.closeLinks();
      if (success('verify-m4').resembles!(m4)) return { is: 'in', why: 'Pair Verify lets it in' };
      const ended = m4.kind === 'close' || m4.kind === 'reset';
      if (ended && tries === 1) continue;
      const why = `Pair Verify M3 was answered by ${describeOutcome(m4)}`;
      if (!ended && !isDenial(m4)) return { is: 'doubtful', why };
      if (proven) return { is: 'out', why };
      return { is: 'doubtful', why: `${why}, and the accessory did not prove who it is` };
    }
  }

  /**
   * Takes a key out, if it is in there, and makes sure by Pair Verify. `sure`: it is known to be in. `brief`: others of
   * the same kind could not be removed, so little time is spent on it.
   */
  async takeOut(identity: Identity, { sure = false, brief = false } = {}): Promise<Departure> {
    if (!sure) {
      const standing = await this.standing(identity);
      if (standing.is !== 'in') return { ...standing, wasIn: false, acknowledged: false };
    }
    if (this.bench.learned.keepsAll !== undefined)
      return { is: 'in', why: this.bench.learned.keepsAll, wasIn: true, acknowledged: false };
    const { anchor } = this.bench.household;
    const byAnother = anchor !== undefined && anchor !== identity;
    let [wasIn, acknowledged, said] = [!sure, false, ''];
    let last: Standing = { is: 'in', why: '' };
    for (let tries = 1; tries <= (brief ? 1 : REMOVALS); tries++) {
      let refused = false;
      try {
        const outcome = byAnother ? await this.removeBy(anchor, identity) : await this.removeSelf(identity);
        wasIn = true;
        const done = outcome.kind === 'reply' && outcome.tlv !== undefined && outcome.tlv.error === undefined;
        const clear = done && success('pairings-remove').resembles!(outcome);
        acknowledged ||= clear;
        refused = outcome.kind === 'reply' && !clear;
        said = `its removal was answered by ${describeOutcome(outcome)}`;
        // Neither by itself nor by another admin: then by nobody.
        if (byAnother && isRefused(outcome) && this.bench.profile.servesPaired)
          this.bench.learned.keepsAll ??= `no pairing can be removed: ${describeOutcome(outcome)}`;
      } catch (error) {
        if (!(error instanceof StepFailed)) throw error;
        said ||= `it cannot be removed (${error.message})`;
      }
      for (const pause of brief || refused ? [0] : REMOVAL_EFFECT) {
        if (pause > 0) await this.bench.clock.sleep(pause);
        last = await this.standing(identity);
        if (last.is !== 'in') break;
      }
      // The key was taken out in a session with this accessory, and it lets nobody verify now.
      if (acknowledged && last.shut === true) last = { is: 'out', why: last.why };
      if (last.is !== 'in') break;
    }
    const why = said === '' ? last.why : `${said}; ${last.why}`;
    return { is: last.is, why, wasIn, acknowledged };
  }

  /**
   * Takes out what opens the accessory of the identities that ever left, the admin of the run and the newest first;
   * those an accessory that proves itself refuses are forgotten, others are kept. True when one was in there and is not
   * any more: then M1 may say something else.
   */
  async recover({ most, time } = KEYS_OWN): Promise<boolean> {
    // The admin of the run before everybody it has let in: it can remove them all.
    const { admin } = this.bench;
    const others = [...this.bench.keyring.sentIdentities].reverse().filter((identity) => identity !== admin);
    const order =
      admin !== undefined && this.bench.keyring.sentIdentities.includes(admin) ? [admin, ...others] : others;
    const until = this.bench.clock.now() + time;
    let [tried, brief, went] = [0, false, false];
    const out: Identity[] = [];
    for (const identity of order) {
      if (tried++ >= most || this.bench.clock.now() > until) {
        this.bench.keyring.hold(identity, 'doubtful', 'there was no time to try it: the next run goes on');
        continue;
      }
      const { is, why, wasIn } = await this.takeOut(identity, { brief });
      if (is === 'out' && !wasIn) out.push(identity);
      else if (is === 'out') {
        this.bench.keyring.forget(identity);
        this.bench.keyring.recovered.push(identity);
        this.bench.pairing.decide(`the pairing of ${text(identity.id)} is removed: ${why}`);
        went = true;
        // Whoever is last takes all others along.
        if (!this.bench.profile.servesPaired) return true;
      } else if (is === 'in') {
        this.bench.household.keep(identity, `it opens the accessory: ${why}`);
        brief = true;
      } else if (wasIn && !this.bench.profile.servesPaired && (await this.isFreeByM1())) {
        this.bench.keyring.forget(identity);
        this.bench.keyring.recovered.push(identity);
        return true;
      } else this.bench.keyring.hold(identity, 'doubtful', why);
    }
    // An accessory that knows so many controllers may know one again when another has gone.
    if (!went) for (const identity of out) this.bench.keyring.forget(identity);
    return went;
  }

  /** Whether M1 says that no pairing is in the accessory, where it does say so: asked again while it does not. */
  async isFreeByM1(): Promise<boolean> {
    for (const pause of [0, ...ASK_AGAIN]) {
      if (pause > 0) await this.bench.clock.sleep(pause);
      const outcome = await this.bench.ask();
      if (outcome.kind === 'reply' && outcome.tlv?.has(TlvType.PublicKey))
        return !this.bench.profile.servesPaired;
      if (outcome.kind !== 'reply' || outcome.tlv?.error !== TlvError.Unavailable) return false;
    }
    return false;
  }

  /**
   * The accessory is free, by its own account. That is enough for the keys of a HAP accessory that has done nothing
   * forbidden, unless one it said it stored still opens it; otherwise each has to be refused by Pair Verify.
   */
  async dismiss({ most, time } = KEYS_OWN): Promise<void> {
    // A receiver is free by what its keys are worth, and has been asked.
    if (this.bench.profile.servesPaired) return;
    const trusted = !this.bench.learned.misbehaved;
    const opened = new Set(
      [...this.bench.keyring.held].flatMap(([identity, { is }]) => (is === 'in' ? [identity] : [])),
    );
    this.bench.keyring.tryAgain(() => true);
    const newest = this.bench.keyring.sentIdentities.toReversed();
    const confirmed = newest.filter(
      (identity) => opened.has(identity) || this.bench.keyring.confirmed.has(identity),
    );
    const until = this.bench.clock.now() + time;
    let [tried, everybody] = [0, undefined as boolean | undefined];
    for (const identity of trusted ? confirmed.slice(0, MOST_CONFIRMED) : newest) {
      if (tried++ >= most || this.bench.clock.now() > until) {
        if (!trusted)
          this.bench.keyring.hold(identity, 'doubtful', 'there was no time to try it: the next run goes on');
        continue;
      }
      let standing = await this.standing(identity);
      if (standing.is === 'in') {
        // Where a stranger is let in as well, Pair Verify says nothing about keys.
        everybody ??= (await this.standing(this.controller('stranger').newIdentity())).is === 'in';
        if (everybody) standing = { is: 'doubtful', why: 'Pair Verify lets in whoever nobody knows' };
        else {
          const departure = await this.takeOut(identity);
          if (departure.wasIn && departure.is === 'out') this.bench.keyring.recovered.push(identity);
          standing = departure;
        }
      }
      if (standing.is === 'out') this.bench.keyring.forget(identity);
      else if (standing.is === 'in')
        this.bench.household.keep(identity, `it opens the accessory: ${standing.why}`);
      else if (!trusted) this.bench.keyring.hold(identity, 'doubtful', standing.why);
    }
    if (trusted)
      for (const identity of [...this.bench.keyring.sentIdentities]) this.bench.keyring.forget(identity);
  }

  /**
   * Pair Verify as `identity` and Remove of its own pairing; housekeeping, so an unproven accessory is accepted.
   * @returns what came of it. @throws StepFailed when `identity` does not get in
   */
  private async removeSelf(identity: Identity): Promise<Outcome> {
    if (this.bench.household.guests.size > 0 || this.bench.state !== 'ours')
      await this.removeOthers(identity);
    this.bench.household.guests.clear();
    const controller = this.controller(`housekeeping ${text(identity.id)}`);
    const verify = await controller.pairVerify({ as: identity, housekeeping: true });
    const session = await verify.m3();
    this.bench.pairing.heard = verify.m2?.items?.get(TlvType.Identifier);
    return this.removeIn(session, identity);
  }

  /** Remove of a pairing in the session of another admin; what checks do behind it starts from that one again. */
  private async removeBy(admin: Identity, identity: Identity): Promise<Outcome> {
    const controller = this.controller(`housekeeping for ${text(identity.id)}`);
    const verify = await controller.pairVerify({ as: admin, housekeeping: true });
    return this.removeIn(await verify.m3(), identity);
  }

  /** Remove in a session, and what it says about removals. Who asked looks at what has come of it: the state stays. */
  private async removeIn(session: Session, identity: Identity): Promise<Outcome> {
    const { state } = this.bench;
    const outcome = await session.post(removePairing(identity.id), this.removalWait);
    if (outcome.kind === 'reply' && outcome.http.status >= 400) await session.lacks(Method.RemovePairing);
    this.removalsSilent ||= outcome.kind === 'silence';
    this.bench.state = state;
    await this.bench.closeLinks();
    return outcome;
  }

  /**
   * Removes the controllers `own` finds beside itself. It has to be done before `own` leaves: users without an admin,
   * and an admin whose key nobody holds, can be removed by nobody any more. A receiver pairs with several, and only
   * those of this harness go. @throws StepFailed when `own` does not get in
   */
  async removeOthers(own: Identity): Promise<void> {
    const { servesPaired } = this.bench.profile;
    // A list that cannot be read may be so because of somebody on it.
    let named = [...this.bench.household.guests].map(fromHex);
    // An accessory may end the session with each Remove.
    let before = Infinity;
    let idle = 0;
    for (let sessions = 0; sessions < MOST_GUESTS && idle < 2; sessions++) {
      const session = await this.controller('tidying up').session({ as: own, housekeeping: true });
      const list = await session.post(listPairings(), this.bench.options.patience.answer);
      const { entries } = readPairings(list.kind === 'reply' ? list.tlv : undefined);
      // By its key: an accessory may list an identifier otherwise than it came.
      const others = entries.flatMap(({ id, ltpk }) =>
        equal(ltpk, own.ltpk) || equal(id, own.id) || (servesPaired && !this.bench.household.isOurs(id, true))
          ? []
          : [id],
      );
      const leaving = entries.length > 0 ? others : named;
      if (entries.length === 0) named = [];
      idle = leaving.length < before ? 0 : idle + 1;
      before = leaving.length;
      if (idle === 2 && servesPaired)
        this.bench.learned.keepsAll ??=
          'no pairing can be removed: Remove is answered, and they are listed as before';
      for (const id of leaving) {
        if (!(await session.link.stillOpen(0))) break;
        const outcome = await session.post(removePairing(id), this.removalWait);
        if (isRefused(outcome) && (await session.lacks(Method.RemovePairing))) return this.keepGuests();
        if (servesPaired && id.length === UUID_LENGTH && isRefused(outcome))
          this.bench.learned.keepsAll ??= `no pairing can be removed: ${describeOutcome(outcome)}`;
        if (outcome.kind !== 'silence') continue;
        // The others would be met by it as well, each for the whole time.
        this.removalsSilent = true;
        await this.bench.closeLinks();
        return;
      }
      const whole = await session.link.stillOpen(0);
      await this.bench.closeLinks();
      if (this.bench.learned.keepsAll !== undefined) return this.keepGuests();
      if (leaving.length === 0 || (whole && entries.length > 0)) return;
    }
  }

  /** Whom nobody can remove stays. */
  keepGuests(): void {
    const guests = this.bench.keyring.sentIdentities.filter(({ id }) =>
      this.bench.household.guests.has(hex(id)),
    );
    for (const identity of guests)
      if (identity !== this.bench.admin)
        this.bench.household.keep(identity, `it was added, and ${this.bench.learned.keepsAll}`);
  }
}

/** A reply that says no, and is no odd way of saying yes. */
function isRefused(outcome: Outcome): boolean {
  return outcome.kind === 'reply' && (outcome.tlv?.error !== undefined || outcome.http.status >= 400);
}

/** A refusal of Pair Verify that says who is not known, and not that there is no time or no room. */
function isDenial(outcome: Outcome): boolean {
  if (outcome.kind !== 'reply') return false;
  const error = outcome.tlv?.error;
  if (error !== undefined) return error === TlvError.Authentication || error === TlvError.Unknown;
  const { status } = outcome.http;
  return status >= 400 && status < 500 && status !== 408 && status !== 429;
}
