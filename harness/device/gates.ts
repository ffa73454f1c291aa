import { TlvError, TlvType } from '../protocol/index.js';
import type { Clock } from '../wire/index.js';
import { type Admission, Gate } from './gate.js';
import type { Link } from './link.js';
import type { Links } from './links.js';
import type { Outcome } from './outcome.js';

/** How Pair Setup and Pair Verify are begun, over the run. */
export class Gates {
  readonly setup: Gate;
  readonly verify: Gate;
  /** The last Busy that was waited out: since when it was (ms), and for how long. */
  private lastBusy = { since: -1, for: 0 };

  constructor(
    private readonly clock: Clock,
    private readonly links: Pick<Links, 'isAlone'>,
    tell: (admission: Admission) => void,
  ) {
    this.setup = new Gate('Pair Setup', tell);
    this.verify = new Gate('Pair Verify', tell);
  }

  /** A reset, or a start anew, may have given back what was lost. */
  open(): void {
    this.setup.open();
    this.verify.open();
  }

  /** One of them is not asked for any more, by this requirement. */
  areShutBy(requirement: string): boolean {
    return [this.setup, this.verify].some(({ shut }) => shut?.requirement === requirement);
  }

  /**
   * Whether M1 is worth sending again: it was Busy, and that has not lasted too long since a time (ms); then a pause is
   * made. `own` is the connection it went over.
   */
  async busy(outcome: Outcome, since: number, own?: Link): Promise<boolean> {
    const { setup } = this;
    const waited = this.clock.now() - since;
    // What a connection has begun itself may be in its own way.
    const alone = own?.begun !== true && this.links.isAlone(own);
    const error = outcome.kind === 'reply' ? outcome.tlv?.error : undefined;
    if (error !== TlvError.Busy) {
      const served = outcome.kind === 'reply' && outcome.tlv?.has(TlvType.PublicKey) === true;
      // The time it took to answer is none in which it was Busy.
      const busy = alone && this.lastBusy.since === since ? this.lastBusy.for : 0;
      if (served) setup.serves(busy);
      return false;
    }
    this.lastBusy = { since, for: waited };
    const pause = setup.pause(waited, alone);
    if (pause === undefined) setup.staysBusy(waited, alone);
    else await this.clock.sleep(pause);
    return pause !== undefined;
  }
}
