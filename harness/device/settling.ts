import { TlvError, TlvType } from '../protocol/index.js';
import { StepFailed } from './errors.js';
import { ASK_AGAIN, type Fixture } from './fixture.js';
import { describeOutcome } from './outcome.js';
import { type Bounds, KEYS_OWN, type Rescue } from './rescue.js';

/** Looks at most until the state is told. */
const MOST_LOOKS = 64;

/** Finds out whether the accessory is paired, and by whom. */
export class Settling {
  constructor(
    private readonly bench: Fixture,
    private readonly rescue: Pick<Rescue, 'recover'>,
  ) {}

  /**
   * Finds out the pairing state by M1, asked after whatever was done last, and takes back what a stimulus of ours left
   * behind.
   */
  async settle(bounds: Bounds = KEYS_OWN): Promise<void> {
    // An M1 that is not answered costs the whole patience, each time.
    const dead = this.bench.broken.get('PS-M1-01');
    if (dead !== undefined) throw new StepFailed('PS-M1-01', dead);
    if (this.bench.gates.setup.shut !== undefined) throw this.bench.gates.setup.shut;
    // Only what was ours a moment ago may be so by a hair: somebody else's stays so.
    let again =
      this.bench.keyring.sentIdentities.length > 0 || this.bench.spent.m6 > 0 ? 0 : ASK_AGAIN.length;
    let went = false;
    for (let looks = 0; looks < MOST_LOOKS; looks++) {
      const outcome = await this.bench.ask();
      const error = outcome.kind === 'reply' ? outcome.tlv?.error : undefined;
      const served = outcome.kind === 'reply' && outcome.tlv?.has(TlvType.PublicKey) === true;
      // Several stimuli may each have left a pairing: look again until the accessory is free or no key opens it.
      // One that refuses M1 in words of its own may be paired as well, and then a key of ours opens it.
      const refused =
        error === TlvError.Unavailable || (outcome.kind === 'reply' && this.bench.state === 'unknown');
      if (refused && (await this.rescue.recover(bounds))) {
        went = true;
        continue;
      }
      // With an admin that went may have gone who could not remove itself.
      if (went && this.bench.keyring.holdsOneInside) {
        went = false;
        this.bench.keyring.tryAgain((_identity, { is }) => is === 'in');
        this.bench.state = 'unknown';
        continue;
      }
      if (this.bench.profile.servesPaired && served && this.bench.state !== 'unpaired') {
        this.bench.unpaired();
        this.bench.pairing.decide(
          this.bench.keyring.held.size > 0
            ? `what can be removed is; ${this.bench.keyring.keptKeys()}`
            : 'no key of ours opens it',
        );
      }
      if (error === TlvError.Unavailable) {
        const pause = ASK_AGAIN[again++];
        if (pause !== undefined) {
          await this.bench.clock.sleep(pause);
          continue;
        }
        this.bench.state = 'foreign';
        this.bench.pairing.decide(
          this.bench.keyring.held.size > 0
            ? `M1 is answered by Unavailable; ${this.bench.keyring.keptKeys()}`
            : 'M1 is answered by Unavailable, and no key of ours opens it',
        );
      }
      if (this.bench.state === 'unknown')
        throw new StepFailed(
          'PS-M1-01',
          `the pairing state cannot be told: M1 was answered by ${describeOutcome(outcome)}`,
        );
      return;
    }
    throw new StepFailed('PS-M1-01', `the pairing state cannot be told: looked at ${MOST_LOOKS} times`);
  }
}
