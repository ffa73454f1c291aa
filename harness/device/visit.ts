import { type Identity, TlvError } from '../protocol/index.js';
import { Unreachable } from '../wire/index.js';
import type { MakeController } from './controller.js';
import { Blocked, StepFailed } from './errors.js';
import type { Factory } from './factory.js';
import type { Fixture } from './fixture.js';
import { HookFailed } from './hooks.js';
import type { Memory } from './memory.js';
import { describeOutcome } from './outcome.js';
import type { KnownState } from './pairing.js';
import { KEYS_LEFT, type Rescue } from './rescue.js';
import type { Settling } from './settling.js';
import type { States } from './states.js';

/** How long (ms) a first connection is listened to before anything is asked. */
const GREETING = 250;
/** How long another controller may hold Pair Setup before the run begins (ms). */
const SOMEBODY_ELSE = 45_000;

/** The beginning and the end of a run: how the accessory is found, and that it is left so. */
export class Visit {
  constructor(
    private readonly bench: Fixture,
    private readonly controller: MakeController,
    private readonly rescue: Rescue,
    private readonly settling: Settling,
    private readonly factory: Factory,
    private readonly states: States,
  ) {}

  /**
   * First look: is anyone there, paired or not? What an earlier run left behind is taken back. An accessory that
   * answers nothing at all is Unreachable; one that answers something else but not M1 is for the checks to judge.
   * Of keys left by earlier runs a bounded number is tried, the newest first.
   * @returns true when a pairing of an earlier run was found and removed.
   * @throws Unreachable
   */
  async survey(): Promise<boolean> {
    if (await this.greets()) return false;
    let m1 = await this.bench.probe();
    // A phone may be in the middle of pairing it: that ends, or the accessory ends it.
    const patience = this.bench.clock.now() + SOMEBODY_ELSE;
    while (m1.kind === 'reply' && m1.tlv?.error === TlvError.Busy && this.bench.clock.now() < patience) {
      await this.bench.clock.sleep(2_000);
      m1 = await this.bench.probe();
    }
    if (m1.kind === 'close' || m1.kind === 'reset' || m1.kind === 'silence') {
      const link = await this.bench.open();
      const other = await link.request(
        { method: 'GET', path: this.bench.profile.resource },
        this.bench.options.patience.answer,
      );
      await this.bench.closeLinks();
      if (other.kind !== 'reply')
        throw new Unreachable(
          'failed',
          `it accepts connections and answers nothing (Pair Setup M1: ${describeOutcome(m1)}; GET ${this.bench.profile.resource}: ${describeOutcome(other)}). Is this the accessory's HAP port?`,
        );
    }
    await this.findResource();
    this.bench.keyring.tryAgain(() => true);
    const left = this.bench.options.memory?.identities() ?? [];
    for (const earlier of left.toReversed()) this.bench.keyring.inherit(earlier);
    const before = this.bench.keyring.recovered.length;
    if (this.bench.keyring.sentIdentities.length > 0) {
      if (this.bench.state !== 'unpaired' || this.bench.profile.servesPaired) {
        this.bench.state = 'unknown';
        await this.settling.settle(KEYS_LEFT);
      }
      // Nothing of them got in, or somebody has reset the accessory since, or they are out by now.
      if ((this.bench.state as KnownState) === 'unpaired') await this.rescue.dismiss(KEYS_LEFT);
    }
    this.bench.pairing.foundForeign = this.bench.state === 'foreign';
    return this.bench.keyring.recovered.length > before;
  }

  /**
   * Whether it speaks before it is asked. Then no answer can be told from what comes anyway, and nothing else is asked.
   */
  private async greets(): Promise<boolean> {
    const link = await this.bench.open();
    await link.lookForUnasked(GREETING);
    this.bench.learned.useless = this.bench.broken.get('HTTP-01');
    await this.bench.closeLinks();
    return this.bench.learned.useless !== undefined;
  }

  /** A receiver need not serve what others tell of themselves: any answer in a frame proves a session then. */
  private async findResource(): Promise<void> {
    const { otherwise, resource } = this.bench.profile;
    if (otherwise === undefined || this.bench.profile.lacksResource !== undefined) return;
    const link = await this.bench.open();
    const outcome = await link.request({ method: 'GET', path: resource }, this.bench.options.patience.answer);
    await this.bench.closeLinks();
    const lacksResource = outcome.kind !== 'reply' || outcome.http.status >= 400;
    this.bench.learned.profile = { ...this.bench.profile, lacksResource };
    if (lacksResource)
      this.bench.pairing.decide(
        `GET ${resource} is answered by ${describeOutcome(outcome)}: ${otherwise.method} is asked instead`,
      );
  }

  /** The end of a run: every key it holds is looked at for the last time, and what is left is known to be needed. */
  private async lastLook(): Promise<void> {
    // By now the accessory may have told who it is.
    this.bench.keyring.tryAgain(
      (identity, { is }) =>
        is === 'doubtful' && !this.bench.keyring.peers.has(identity) && this.bench.accessory !== undefined,
    );
    if (this.bench.state === 'foreign') {
      if (this.bench.learned.misbehaved) while (await this.rescue.recover());
      return;
    }
    if (this.bench.keyring.sentIdentities.length === 0 && this.bench.keyring.held.size === 0) return;
    if (!this.bench.pairing.seenFree) {
      this.bench.state = 'unknown';
      await this.settling.settle();
    }
    if ((this.bench.state as KnownState) === 'unpaired') await this.rescue.dismiss();
  }

  /**
   * Leaves the accessory as it was found. Never throws: the answer goes into the report's first line.
   */
  async restore(foundAs: KnownState, kept?: Identity): Promise<{ clean: boolean; message: string }> {
    try {
      await this.bench.closeLinks();
      if (this.bench.learned.tainted) await this.factory.factoryReset();
      if (this.bench.household.guests.size > 0 && this.bench.state === 'ours') await this.states.tidy();
      if (this.bench.state === 'ours') await this.states.unpair();
      else if (this.bench.state === 'unknown') await this.settling.settle();
      await this.lastLook();
      const stays = this.bench.keyring.holdsOneInside;
      if (stays && this.bench.profile.servesPaired && this.bench.options.hooks?.reset !== undefined)
        await this.factory.factoryReset();
      if (this.bench.state === 'unpaired' && kept !== undefined) {
        const setup = await this.controller('pairing as found').pairSetup({ identity: kept });
        await setup.m3();
        await setup.m5();
        await this.bench.closeLinks();
        return { clean: true, message: 'the accessory is paired by "hapspec pair" again, as it was found' };
      }
      if (this.bench.keyring.held.size > 0)
        return {
          clean: false,
          message: `NOT AS FOUND, or not known to be: the accessory may hold pairings made by hapspec: ${this.bench.keyring.keptKeys()}. ${recovery(this.bench.options.memory)}`,
        };
      if (this.bench.options.clone !== undefined && this.bench.state === 'unpaired' && foundAs === 'foreign')
        return {
          clean: true,
          message: 'the clone is unpaired now: a check that ends its pairings was asked for',
        };
      if (this.bench.state === 'unpaired' || this.bench.state === foundAs)
        return {
          clean: true,
          message:
            this.bench.state === 'foreign'
              ? 'the accessory is paired, as it was found'
              : 'the accessory is unpaired, as it was found',
        };
    } catch (error) {
      const expected = [StepFailed, Unreachable, HookFailed, Blocked].some((kind) => error instanceof kind);
      if (!expected) throw error;
      const why = (error as Error).message;
      if (
        this.bench.keyring.held.size === 0 &&
        (this.bench.keyring.sentIdentities.length === 0 || this.bench.state === 'unpaired')
      )
        return { clean: true, message: 'nothing was stored in the accessory by this run' };
      return {
        clean: false,
        message: `NOT AS FOUND: the accessory may hold a pairing of this run, and it could not be removed (${why}). ${recovery(this.bench.options.memory)}`,
      };
    }
    return {
      clean: false,
      message: `NOT AS FOUND: the accessory answers Unavailable and no key of this run opens it. ${recovery(this.bench.options.memory)}`,
    };
  }
}

function recovery(memory: Memory | undefined): string {
  return memory === undefined
    ? 'A factory reset of the accessory clears it.'
    : 'Its keys are kept: the next run or "hapspec unpair" tries again; a factory reset of the accessory clears it too.';
}
