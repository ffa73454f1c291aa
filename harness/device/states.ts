import { readPairings } from '../controller/index.js';
import { Method, equal, hex, listPairings } from '../protocol/index.js';
import type { MakeController } from './controller.js';
import { Blocked, StepFailed } from './errors.js';
import type { Factory } from './factory.js';
import { type Fixture, UNPAIRING } from './fixture.js';
import type { PairingState } from './pairing.js';
import type { Rescue } from './rescue.js';
import type { Settling } from './settling.js';

/** How often a run that found the accessory free doubts that somebody else has paired it since. */
const MOST_DOUBTS = 3;

/** Brings the accessory into the state a check starts from. */
export class States {
  private doubts = 0;

  constructor(
    private readonly bench: Fixture,
    private readonly controller: MakeController,
    private readonly rescue: Rescue,
    private readonly settling: Settling,
    private readonly factory: Factory,
  ) {}

  /**
   * Brings the accessory into a state. `keyless`: the check can do with an accessory somebody else has paired.
   * @throws Blocked when it is paired by someone else or no code is known; StepFailed when a step does not work.
   */
  async ensure(state: PairingState, keyless = false): Promise<void> {
    this.bench.household.begin();
    if (state === 'locked') return this.factory.lock();
    if (this.bench.learned.tainted) await this.factory.factoryReset();
    if (state === 'any') return;
    if (this.bench.state === 'unknown') await this.settling.settle();
    if (this.bench.learned.listDoubtful && this.bench.state === 'ours') {
      this.bench.learned.listDoubtful = false;
      await this.unpair();
    } else if (this.bench.household.guests.size > 0 && this.bench.state === 'ours') await this.tidy();
    if (state === 'unpaired' && this.bench.state === 'ours') await this.unpair();
    // The harness itself may have been too early: nobody else was there when the run began.
    if (this.bench.state === 'foreign' && !this.bench.pairing.foundForeign && this.doubts < MOST_DOUBTS) {
      this.doubts++;
      this.bench.state = 'unknown';
      await this.settling.settle();
    }
    if (this.bench.state === 'foreign' && state === 'paired' && keyless) return;
    if (this.bench.state === 'foreign' && this.bench.options.hooks?.reset !== undefined)
      await this.factory.factoryReset();
    if (this.bench.state === 'foreign')
      throw new Blocked(
        this.bench.keyring.held.size > 0
          ? `factory-reset the accessory, or give --reset CMD: ${this.bench.pairing.decision}`
          : `the accessory is paired with another controller: remove it there, factory-reset the accessory, or give --reset CMD (${this.bench.pairing.decision})`,
      );
    if (state === 'paired' && this.bench.state === 'unpaired' && !this.adopt()) {
      const controller = this.controller('ensure paired');
      const setup = await controller.pairSetup();
      await setup.m3();
      await setup.m5();
      await this.bench.closeLinks();
    }
    await this.readResidents();
  }

  /**
   * Takes the run's pairing back. Some accessories close before the reply is out, and some never stored what they
   * confirmed: then Pair Verify decides, or M1 where that does not tell.
   * @throws StepFailed when the accessory stays paired.
   */
  async unpair(): Promise<void> {
    const { admin } = this.bench;
    if (this.bench.state !== 'ours' || admin === undefined) return;
    const known = this.bench.broken.get(UNPAIRING);
    if (known !== undefined) throw new StepFailed(UNPAIRING, known);
    const { is, why, wasIn, acknowledged } = await this.rescue.takeOut(admin, { sure: true });
    await this.bench.closeLinks();
    if (is === 'out' && !wasIn) {
      this.bench.state = 'unknown';
      this.bench.pairing.decide(`the key of this run does not open the accessory: ${why}`);
      await this.settling.settle();
      // Settled on by now, and somebody else's at the worst.
      return;
    }
    if (is === 'out') {
      this.bench.keyring.forget(admin);
      this.bench.unpaired();
      this.bench.pairing.decide(`the pairing of this run is removed: ${why}`);
      if (acknowledged || this.bench.profile.servesPaired) return;
      // Something went wrong on the way: what the accessory is now is read behind it.
      this.bench.state = 'unknown';
      return this.settling.settle();
    }
    if (is === 'doubtful') {
      if (await this.rescue.isFreeByM1()) return;
    }
    if (this.bench.profile.servesPaired) {
      // A receiver serves Pair Setup all the same: what it keeps is said at the end, and by the checks of removal.
      if (is === 'in') this.bench.household.keep(admin, why);
      else this.bench.keyring.hold(admin, 'doubtful', why);
      return this.bench.unpaired();
    }
    if (this.bench.options.hooks?.reset !== undefined) return this.factory.factoryReset();
    const what = `the pairing of this run stays in the accessory: ${why}`;
    this.bench.pairing.decide(what);
    this.bench.broken.set(UNPAIRING, this.bench.pairing.decision);
    throw new StepFailed(UNPAIRING, this.bench.pairing.decision);
  }

  /** Removes whom checks have added and left: they would make the next ones fail. */
  async tidy(): Promise<void> {
    try {
      if (this.bench.learned.keepsAll !== undefined) this.rescue.keepGuests();
      else if (this.bench.admin !== undefined) await this.rescue.removeOthers(this.bench.admin);
    } catch (error) {
      if (!(error instanceof StepFailed)) throw error;
      this.bench.state = 'unknown';
    }
    this.bench.household.guests.clear();
    await this.bench.closeLinks();
    if (this.bench.state === 'unknown') await this.settling.settle();
  }

  /** The pairing a receiver keeps anyway is the one of this run again: another one would stay as well. */
  private adopt(): boolean {
    const { anchor } = this.bench.household;
    if (anchor === undefined || this.bench.keyring.held.get(anchor)?.is !== 'in') return false;
    this.bench.paired(anchor, this.bench.keyring.peers.get(anchor) ?? this.bench.accessory);
    return true;
  }

  /** Where nobody can be taken out, whoever is in there when a check begins is none of its business. */
  private async readResidents(): Promise<void> {
    const as = this.bench.state === 'ours' ? this.bench.admin : this.bench.household.anchor;
    if (
      this.bench.learned.keepsAll === undefined ||
      as === undefined ||
      this.bench.learned.unserved.has(Method.ListPairings)
    )
      return;
    try {
      const session = await this.controller('who is in there').session({ as, housekeeping: true });
      const list = await session.post(listPairings(), this.bench.options.patience.answer);
      const { entries } = readPairings(list.kind === 'reply' ? list.tlv : undefined);
      const others = entries.filter(({ id }) => this.bench.state !== 'ours' || !equal(id, as.id));
      if (entries.length > 0) this.bench.household.residents = new Set(others.map(({ id }) => hex(id)));
    } catch (error) {
      // The check will say what is wrong with it.
      if (!(error instanceof StepFailed)) throw error;
    }
    await this.bench.closeLinks();
  }
}
