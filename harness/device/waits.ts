import type { Clock, Patience } from '../wire/index.js';

/** How long is waited (ms) for what a check judges. */
export interface Waits {
  /** For an outcome the check sorts into right and wrong. */
  readonly judged: number;
  /** For something that need not come, and is as good when it does not. What must come is never given less by it. */
  readonly quiet: number;
}

/** Waits outside any check. */
export function fixedWaits({ answer, silence }: Patience): Waits {
  return { judged: answer, quiet: silence };
}

/** A time that follows from what the run has measured is so many times what the slowest took. */
const TIMES_THE_SLOWEST = 2;
/** At the least, for an answer where the whole time has gone by in silence already: the next one is not news. */
const ANSWER_AGAIN = 500;
/** At the least, where nothing has to come, once nothing has for the whole time. */
const QUIET_AGAIN = 400;
/** At the least, for an event that must not come, once it is known how long those take that must. */
const EVENT = 500;
/** What an answer gets that is known not to come, in times of what silence takes: late ones still show. */
const KNOWN = 3;

/**
 * How fast this accessory is, by what it has answered in this run, and what it has left unanswered. A wait is made
 * shorter only by that: never for an accessory of which nothing is known, and not at all for one that is slow.
 */
export class Pace {
  /** An answer that was due did not come, twice: the whole time is not spent on each that follows. */
  impatient = false;
  /** It is a known deviation that the check fails that runs now. */
  knownSilence = false;
  /** A check is repeated to see whether it fails again: it gets the time it would if nothing of it were known. */
  confirming = false;
  /** Answers that came when their time was over, where it was less than what is usual. */
  lateAnswers = 0;
  /** Silences that lasted the whole time: of an answer that was due, and where there need not be one. */
  readonly whole = { answer: 0, quiet: 0 };
  /** Requirements and areas of them that have met such a silence. */
  readonly silentIn = new Set<string>();
  /** The longest time any answer took, and any that is not of Pair Setup, which computes for seconds. */
  private readonly slowest = { any: 0, light: 0 };
  private slowestEvent: number | undefined;
  private askedAt = 0;

  constructor(
    readonly patience: Patience,
    private readonly clock: Clock,
  ) {}

  asked(): void {
    this.askedAt = this.clock.now();
  }

  /** `light`: nothing of Pair Setup. */
  answered(milliseconds: number, light: boolean): void {
    this.slowest.any = Math.max(this.slowest.any, milliseconds);
    if (light) this.slowest.light = Math.max(this.slowest.light, milliseconds);
  }

  /** An event came; the request before it is what has changed something, or came after that. */
  told(): void {
    this.slowestEvent = Math.max(this.slowestEvent ?? 0, this.clock.now() - this.askedAt);
  }

  silent(milliseconds: number): void {
    if (milliseconds >= this.answerWait) this.whole.answer++;
    if (milliseconds >= this.patience.silence) this.whole.quiet++;
  }

  late(milliseconds: number, given: number): void {
    // Nothing shorter follows from what was measured: that was a look, not a wait.
    if (given < QUIET_AGAIN || given >= this.patience.silence) return;
    this.lateAnswers++;
    this.answered(milliseconds, true);
  }

  /** How long an answer that is judged may take. */
  get answerWait(): number {
    const { answer, silence } = this.patience;
    if (this.clock.virtual || !(this.impatient || this.knownSilence)) return answer;
    const least = this.impatient ? silence : KNOWN * silence;
    return Math.min(answer, Math.max(least, TIMES_THE_SLOWEST * this.slowest.any));
  }

  get answerAgain(): number {
    return Math.min(this.answerWait, Math.max(ANSWER_AGAIN, TIMES_THE_SLOWEST * this.slowest.any));
  }

  quietAgain(light: boolean): number {
    const slowest = light ? this.slowest.light : this.slowest.any;
    return Math.min(this.patience.silence, Math.max(QUIET_AGAIN, TIMES_THE_SLOWEST * slowest));
  }

  get eventWait(): number {
    const { silence } = this.patience;
    if (this.slowestEvent === undefined) return silence;
    return Math.min(silence, Math.max(EVENT, TIMES_THE_SLOWEST * this.slowestEvent));
  }
}

/** What a check is about, as far as waiting goes. */
export interface Waiting {
  /** The most patient outcome that is accepted. */
  readonly judged: 'answer' | 'close' | 'silence';
  readonly requirement: string;
  /** It asks for nothing of Pair Setup that takes long. */
  readonly light: boolean;
}

/**
 * The waits of one check. Where the whole time has gone by in silence it is not spent again: on an answer that is due
 * in the same requirement, and where nothing has to come in the same area (`SESS`, `HTTP`, …).
 */
export class CheckWaits implements Waits {
  private before: Pace['whole'];
  /** What was asked for last, so that a silence since is one of those. */
  private last: 'answer' | 'quiet' | undefined;

  constructor(
    private readonly pace: Pace,
    private readonly about: Waiting,
  ) {
    this.before = { ...pace.whole };
  }

  get judged(): number {
    const { silence, close } = this.pace.patience;
    switch (this.about.judged) {
      case 'answer':
        this.settle();
        this.last = 'answer';
        return this.pace.silentIn.has(this.about.requirement) && !this.pace.confirming
          ? this.pace.answerAgain
          : this.pace.answerWait;
      case 'close':
        return close;
      case 'silence':
        return silence;
    }
  }

  get quiet(): number {
    this.settle();
    this.last = 'quiet';
    const { pace, about } = this;
    return pace.silentIn.has(this.area) ? pace.quietAgain(about.light) : pace.patience.silence;
  }

  private get area(): string {
    return `${this.about.requirement.split('-')[0]!}-*`;
  }

  /** Takes note of the silences met since. */
  settle(): void {
    const { whole, silentIn } = this.pace;
    if (whole.answer > this.before.answer && this.last === 'answer') silentIn.add(this.about.requirement);
    if (whole.quiet > this.before.quiet) silentIn.add(this.area);
    this.before = { ...whole };
  }
}
