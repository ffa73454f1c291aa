import { TlvError } from '../protocol/index.js';
import { StepFailed } from './errors.js';
import { type Outcome, describeOutcome } from './outcome.js';

/** How long (ms) Pair Setup may stay Busy when the connection that held it has ended (PS-STATE-10). */
export const FREE_AGAIN = 5_000;
/** How long (ms) it is waited for beyond that, once in a run: accessories give it up by time after 30 to 40 s. */
const BY_TIME = 45_000;
/** How long (ms) a run waits in vain altogether. */
const IN_VAIN = 60_000;
/** Between two M1s (ms) while it is Busy, and beyond the time in which it should be free. */
const OFTEN = 250;
const SELDOM = 1_000;
/** So many first messages in a row that were not served are the last that is waited for. */
const IN_A_ROW = 3;

/** What came of asking for Pair Setup or Pair Verify where nothing of ours was in the way. */
export interface Admission {
  readonly what: 'Pair Setup' | 'Pair Verify';
  /** It was served in the end. */
  readonly served: boolean;
  /** Milliseconds it was Busy. */
  readonly busy: number;
  /** Why it is not going to be asked for again. */
  readonly shut: StepFailed | undefined;
}

/** Refusals that say for how long, or that somebody else is paired: no place has been lost by them. */
const orderly: ReadonlySet<number> = new Set([
  TlvError.Unavailable,
  TlvError.MaxTries,
  TlvError.Backoff,
  TlvError.MaxPeers,
]);
const orderlyStatus: ReadonlySet<number> = new Set([408, 429, 503]);

/**
 * Keeps account of how Pair Setup, or Pair Verify, is begun over a whole run. An accessory may lose the place of every
 * exchange it begins, or the lock of one: then no later one is served, and whoever waits for it waits again and again.
 */
export class Gate {
  /** First messages answered as they should be. */
  private admitted = 0;
  private refused = 0;
  private waitedLong = false;
  private inVain = 0;
  private closed: StepFailed | undefined;

  constructor(
    private readonly what: Admission['what'],
    private readonly tell: (admission: Admission) => void,
  ) {}

  /** Why it is not asked for any more; undefined while it is. */
  get shut(): StepFailed | undefined {
    return this.closed;
  }

  /**
   * Milliseconds to pause before another M1, where one was Busy that has been sent again for `waited` ms; undefined
   * where it is not worth it. `alone`: no other connection of ours is open.
   */
  pause(waited: number, alone: boolean): number | undefined {
    if (this.closed !== undefined || this.inVain >= IN_VAIN) return undefined;
    if (waited < FREE_AGAIN) return OFTEN;
    // Who has never been let in may be kept out by somebody else.
    if (!alone || this.admitted === 0 || (this.waitedLong && waited < FREE_AGAIN + SELDOM)) return undefined;
    this.waitedLong = true;
    return waited < BY_TIME ? SELDOM : undefined;
  }

  /** What was lost may be there again. */
  open(): void {
    this.closed = undefined;
    this.refused = 0;
    this.inVain = 0;
  }

  /** M1 was served where it was only asked what the state is. */
  seen(): void {
    this.admitted++;
  }

  /** It was begun, having been Busy for so many ms. */
  serves(busy = 0): void {
    this.admitted++;
    this.refused = 0;
    this.closed = undefined;
    this.tell({ what: this.what, served: true, busy, shut: undefined });
  }

  /** It was Busy to the end of a wait of so many ms; `alone` as above. */
  staysBusy(busy: number, alone: boolean): void {
    if (!alone || this.admitted === 0) return;
    this.inVain += busy;
    if (busy < BY_TIME && this.inVain < IN_VAIN) return;
    const seconds = Math.round(Math.max(busy, this.inVain) / 1000);
    this.close(
      'PS-STATE-10',
      `M1 was Busy for ${seconds} s, though every connection that began a Pair Setup has ended (${this.before})`,
      busy,
    );
  }

  /** It was due and not begun, and not for being Busy. */
  refuses(outcome: Outcome): void {
    if (outcome.kind === 'reply') {
      const error = outcome.tlv?.error;
      if (error === TlvError.Busy || orderly.has(error ?? 0) || orderlyStatus.has(outcome.http.status))
        return;
    }
    if (this.admitted < IN_A_ROW || ++this.refused < IN_A_ROW) return;
    this.close(
      'SESS-26',
      `${this.what} M1 is not served any more: the last ${IN_A_ROW}, on connections of their own, got ${describeOutcome(outcome)} (${this.before})`,
      0,
    );
  }

  private get before(): string {
    return `${this.admitted} before ${this.admitted === 1 ? 'was' : 'were'} served`;
  }

  private close(requirement: string, why: string, busy: number): void {
    this.closed = new StepFailed(requirement, why);
    this.tell({ what: this.what, served: false, busy, shut: this.closed });
  }
}
