import { TlvError } from '../protocol/index.js';
import { Unreachable } from '../wire/index.js';
import type { MakeController } from './controller.js';
import { Blocked, StepFailed } from './errors.js';
import { type Fixture, UNPAIRING } from './fixture.js';
import { HookFailed } from './hooks.js';
import { guess } from './lockout.js';
import { describeOutcome } from './outcome.js';
import type { KnownState } from './pairing.js';
import type { Settling } from './settling.js';

/** How long an accessory may take to boot, and to answer a first request (ms). */
const COME_BACK = 60_000;
const READY_ANSWER = 2_000;
const goneFor = `did not answer within ${COME_BACK / 1000} s`;
/** Guesses made to lock the accessory: it should after 100, and one that has not by now never will. */
const MOST_GUESSES = 130;
/** Guesses on one connection, so that a counter kept for each shows. */
const GUESSES_EACH = 10;

/** What is done to the accessory from outside: reset, restart; and the lock only a reset opens again. */
export class Factory {
  private resetFailed: HookFailed | undefined;

  constructor(
    private readonly bench: Fixture,
    private readonly controller: MakeController,
    private readonly settling: Pick<Settling, 'settle'>,
  ) {}

  /**
   * Puts the accessory into its factory state by the hook.
   * @throws Blocked without a hook; HookFailed when it does not work or the accessory comes back paired.
   */
  async factoryReset(): Promise<void> {
    const reset = this.bench.options.hooks?.reset;
    if (reset === undefined) throw new Blocked('a factory reset is needed: give --reset CMD');
    // A hook that failed once is not called for every check that would need it: each call may cost its deadline.
    if (this.resetFailed !== undefined) throw this.resetFailed;
    await this.bench.vigil.drop('the accessory was reset');
    await this.bench.closeLinks();
    try {
      await this.resetBy(reset);
    } catch (error) {
      if (error instanceof HookFailed) this.resetFailed = error;
      throw error;
    }
  }

  private async resetBy(reset: () => Promise<void>): Promise<void> {
    // The identity an embedded accessory draws now must not depend on the check that came before, nor come twice.
    this.bench.options.reseed?.(`factory reset ${this.bench.spent.resets + 1}`);
    await reset();
    if (!(await this.ready(COME_BACK)))
      throw new HookFailed('reset', `ended, and the accessory ${goneFor}`, '');
    this.bench.spent.resets++;
    this.bench.learned.sinceCode = 'factory reset';
    this.bench.learned.lockout = undefined;
    this.bench.learned.tainted = false;
    this.bench.tally.wasReset();
    this.bench.broken.delete(UNPAIRING);
    this.bench.state = 'unknown';
    this.bench.keyring.tryAgain(() => true);
    this.bench.household.wasReset();
    this.bench.gates.open();
    const outcome = await this.bench.ask();
    // Where M1 does not tell, our own keys do: none of them may open it now.
    if (this.bench.mayBePaired) await this.settling.settle();
    if (this.bench.keyring.holdsOneInside)
      throw new HookFailed('reset', 'ended, and a key of ours opens the accessory as before', '');
    if (outcome.kind === 'reply' && outcome.tlv?.error === TlvError.Unavailable)
      throw new HookFailed(
        'reset',
        'ended, and the accessory came back paired: that is no factory reset',
        '',
      );
    if ((this.bench.state as KnownState) !== 'unpaired')
      throw new HookFailed('reset', `ended, and M1 was then answered by ${describeOutcome(outcome)}`, '');
    // Not before it is seen to be free: a hook that resets nothing must not cost the keys.
    this.bench.keyring.forgetAll();
    this.bench.pairing.decide('the accessory was reset, and is free');
  }

  /**
   * Power-cycles the accessory by the hook. `early`: what is done while it may still be starting, before it is waited for.
   * @throws Blocked without a hook; HookFailed
   */
  async restart(early?: () => Promise<void>): Promise<void> {
    const restart = this.bench.options.hooks?.restart;
    if (restart === undefined) throw new Blocked('a restart is needed: give --restart CMD');
    await this.bench.vigil.drop('the accessory was restarted');
    await this.bench.closeLinks();
    await restart();
    this.bench.learned.sinceCode ??= 'restart';
    this.bench.gates.open();
    if (early !== undefined) {
      await early();
      await this.bench.closeLinks();
    }
    if (!(await this.ready(COME_BACK)))
      throw new HookFailed('restart', `ended, and the accessory ${goneFor}`, '');
  }

  /** Waits until the accessory answers a request on a fresh connection, `wait` ms at most. */
  async ready(wait: number): Promise<boolean> {
    const deadline = this.bench.clock.now() + wait;
    for (;;) {
      try {
        const link = await this.bench.open();
        const outcome = await link.request({ method: 'GET', path: '/accessories' }, READY_ANSWER);
        await this.bench.closeLinks();
        if (outcome.kind === 'reply') return true;
      } catch (error) {
        if (error instanceof StepFailed) return true;
        if (!(error instanceof Unreachable)) throw error;
      }
      if (this.bench.clock.now() >= deadline) return false;
      await this.bench.clock.sleep(250);
    }
  }

  /** Guesses from a clean counter until the accessory says MaxTries, or has had its chance. */
  async lock(): Promise<void> {
    if (this.bench.learned.lockout !== undefined) return;
    await this.factoryReset();
    this.bench.learned.tainted = true;
    this.bench.learned.lockout = await guess(this.controller('guessing'), {
      most: MOST_GUESSES,
      each: GUESSES_EACH,
      progress: (done) => this.bench.onProgress?.(done, MOST_GUESSES, 'guesses'),
    });
    await this.bench.closeLinks();
  }
}
