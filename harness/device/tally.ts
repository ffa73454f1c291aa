import { TlvType } from '../protocol/index.js';
import type { Memory } from './memory.js';
import type { Outcome } from './outcome.js';

/** Mutable counters of what the accessory was asked to do. */
export interface Spent {
  m2: number;
  m4: number;
  m6: number;
  verifies: number;
  attempts: number;
  resets: number;
  accessoryMs: number;
}

/** Answers of one kind: how many, the sum of their times and the longest, in ms. */
export interface Timed {
  count: number;
  totalMs: number;
  longestMs: number;
}

/** What the accessory was asked to do, and how fast it did the dear part of it. */
export class Tally {
  readonly spent: Spent = { m2: 0, m4: 0, m6: 0, verifies: 0, attempts: 0, resets: 0, accessoryMs: 0 };
  /** The shortest time (ms) in which the accessory came to an M2, and to an M4. */
  private readonly quickest = { m2: Infinity, m4: Infinity };
  /** Failed attempts since the last reset, of this run alone. */
  private own = 0;

  constructor(private readonly memory?: Pick<Memory, 'attempts' | 'spend' | 'wasReset'>) {}

  /** An M1 that is refused costs an accessory nothing: it computes B only for the others. */
  countM2(outcome: Outcome): void {
    const refused = outcome.kind === 'reply' && !(outcome.tlv?.has(TlvType.PublicKey) ?? false);
    if (refused) return;
    this.spent.m2++;
    if (outcome.kind === 'reply') this.quickest.m2 = Math.min(this.quickest.m2, outcome.elapsed);
  }

  /** An M3 went out; one that did not succeed may count as an attempt, whatever was wrong with it. */
  countM4(outcome: Outcome, succeeded: boolean): void {
    this.spent.m4++;
    if (succeeded) this.quickest.m4 = Math.min(this.quickest.m4, outcome.elapsed);
    else this.spendAttempt();
  }

  /** True when M2, and M4 where one was seen, took no longer than this (ms): false while no M2 has been seen. */
  isQuick(milliseconds: number): boolean {
    const { m2, m4 } = this.quickest;
    return m2 <= milliseconds && (m4 === Infinity || m4 <= milliseconds);
  }

  /** How long each kind of message that succeeded was waited for: `M2`, `M4`, `M6`, `Verify M2`, `Verify M4`. */
  readonly timed = new Map<string, Timed>();

  /** The accessory went on to this message after so many ms. */
  time(message: string, elapsed: number): void {
    const timed = this.timed.get(message) ?? { count: 0, totalMs: 0, longestMs: 0 };
    timed.count++;
    timed.totalMs += elapsed;
    timed.longestMs = Math.max(timed.longestMs, elapsed);
    this.timed.set(message, timed);
  }

  /** A wrong proof the accessory may count. */
  spendAttempt(): void {
    this.spent.attempts++;
    this.own++;
    this.memory?.spend(1);
  }

  /** Failed attempts since the last reset the harness knows of. */
  get attempts(): number {
    return this.memory?.attempts ?? this.own;
  }

  /** The accessory counts from zero again. */
  wasReset(): void {
    this.own = 0;
    this.memory?.wasReset();
  }
}
