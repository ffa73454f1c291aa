/** What a run says, as data: the only thing report writers read. */

export type Level = 'MUST' | 'SHOULD' | 'VARIES';

export type Status = 'pass' | 'warn' | 'fail' | 'skip' | 'error';

/** Why a status is what it is; a closed list per status. A plain pass has none. */
export const reasons = {
  pass: ['observed'],
  warn: ['tolerated', 'should'],
  fail: ['must', 'forbidden', 'stale-expectation'],
  skip: ['not-applicable', 'blocked', 'not-bought', 'dependency', 'expected'],
  error: ['setup', 'flaky', 'unreachable', 'not-run', 'harness'],
} as const satisfies Record<Status, readonly string[]>;
export type Reason = (typeof reasons)[Status][number];

/** One thing that happened on the wire, as reports draw it. */
export interface ExchangeStep {
  /** Milliseconds since the first step of the exchange. */
  readonly at: number;
  readonly connection: number;
  readonly kind: 'sent' | 'received' | 'closed' | 'reset' | 'silence' | 'note';
  readonly line: string;
  readonly sealed?: boolean;
  /** The items of a pairing message; values as hex, cut after a kilobyte. */
  readonly items?: readonly ExchangeItem[];
}

export interface ExchangeItem {
  readonly name: string;
  /** Bytes on the wire, also of what is cut off. */
  readonly length: number;
  readonly value: string;
}

/** The five parts every failure shows. Lines may hold text of the accessory: writers escape, none interprets. */
export interface Failure {
  /** The requirement in words: what must happen and why it matters. */
  readonly requirement: string;
  /** Outcomes that would have been right, in words. */
  readonly allowed: readonly string[];
  /** What was seen, in words. */
  readonly seen: string;
  /** The exchange that led there, decoded, one message a line. */
  readonly exchange: readonly string[];
  /** The same as data, for whoever draws it; absent where there is none, as in reports of earlier versions. */
  readonly steps?: readonly ExchangeStep[];
  /** The command that repeats it. */
  readonly reproduce: string;
}

/** The result of one check or watch. */
export interface CheckResult {
  /** Requirement id, with `/variant` where one requirement has several checks. Unique in a run. */
  readonly id: string;
  readonly requirement: string;
  readonly title: string;
  readonly level: Level;
  /** `pair-setup.m3-m4`. */
  readonly chapter: string;
  /** Source file of the check, from the project's root. */
  readonly file: string;
  /** Section of the sources. */
  readonly source: string;
  readonly kind: 'check' | 'watch';
  /** A controller would notice nothing of a violation. */
  readonly security?: boolean;
  readonly status: Status;
  readonly reason: Reason | undefined;
  /** One line; empty for a plain pass. */
  readonly message: string;
  /** Present for fail and warn, and for errors that have an exchange to show. */
  readonly failure: Failure | undefined;
  /** What the accessory was seen to do where real ones differ, by name. */
  readonly observations: Readonly<Record<string, string>>;
  /** The plan left it out: it was never going to run, so it does not make the run incomplete. */
  readonly leftOut?: boolean;
  /** The accessory stopped answering under it. */
  readonly died?: boolean;
  /** The requirement of the step of a flow that went wrong on the way to its point. */
  readonly failedStep?: string;
  /** How often it ran, when more than once. */
  readonly attempts?: number;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  /** Milliseconds of the run's clock (virtual for an embedded accessory). */
  readonly durationMs: number;
}

/** What the run cost the accessory. */
export interface Price {
  readonly m2: number;
  readonly m4: number;
  readonly m6: number;
  readonly verifies: number;
  /** Failed attempts spent, those the accessory counts towards MaxTries. */
  readonly attempts: number;
  readonly resets: number;
  /** Time from first to last event of the run's clock, ms. */
  readonly wallMs: number;
  /** Of that, time spent waiting for the accessory, ms. */
  readonly accessoryMs: number;
}

/** How long the accessory took for one kind of message, where it succeeded: ms of the run's clock. */
export interface Timing {
  readonly count: number;
  readonly totalMs: number;
  readonly longestMs: number;
}

/** A mistake that explains failures of a run, as a class of those that nothing asked tells apart. */
export interface Cause {
  /** Name of the fault of the reference accessory that makes the same mistake. */
  readonly fault: string;
  /** The faults that cannot be told apart from it by what was asked. */
  readonly class: readonly string[];
  /** The mistake as a programmer made it, in one line. */
  readonly words: string;
  /** Ids of the failures it explains. */
  readonly explains: readonly string[];
  /** Ids of what did not come of it and should have: what speaks against it. */
  readonly against: readonly string[];
  /** How sure, 0 to 1: of causes said with 0.8 and more at least eight of ten are right in our own measurements. */
  readonly confidence: number;
  /** Id of the failure that tells most. */
  readonly decisive?: string;
  /** It is no further cause: it may be in the place of that one. */
  readonly insteadOf?: string;
}

/** What failures of a run come to; verdicts and exit codes never depend on it. */
export interface Diagnosis {
  /** How many failures there are to explain. */
  readonly failures: number;
  /** How many warnings of a SHOULD beside them. */
  readonly warnings: number;
  /** Best first: the causes, then the mistakes that may be in the place of one of them. */
  readonly causes: readonly Cause[];
  /** Ids of the failures that nothing known explains. */
  readonly unexplained: readonly string[];
  /** Which check would tell apart what is tied, and how to ask it. */
  readonly next?: NextQuestion;
  /** Why there is none, where there should be one. */
  readonly note?: string;
}

/** The check that tells mistakes apart which explain a run equally well. */
export interface NextQuestion {
  readonly id: string;
  /** The two mistakes it is about. */
  readonly between: readonly [string, string];
  /** What it asks of the accessory, in words. */
  readonly price: string;
  readonly command: string;
}

export interface RunReport {
  readonly tool: { readonly name: 'hapspec'; readonly version: string };
  /** The target as the user wrote it. */
  readonly target: string;
  /** Facts about the accessory learnt in the run: id, LTPK, profile. */
  readonly accessory: Readonly<Record<string, string>>;
  readonly seed: string;
  readonly strict: boolean;
  /** The command line, without secrets. */
  readonly command: string;
  /** `I/N`: it is the I-th of N that belong together. */
  readonly shard?: string;
  readonly startedAt: string;
  readonly results: readonly CheckResult[];
  readonly price: Price;
  /** By message: `M2`, `M4`, `M6`, `Verify M2`, `Verify M4`; those that were seen. */
  readonly timing: Readonly<Record<string, Timing>>;
  /** How the accessory was left, or how to recover it: the report's first line when it is not as found. */
  readonly aftermath: { readonly clean: boolean; readonly message: string };
  readonly exit: { readonly code: number; readonly meaning: string };
  /** The mistakes that explain the failures best; there is none where nothing failed. */
  readonly diagnosis?: Diagnosis;
}

/** How long a check takes: its work, in about seconds of a slow accessory, and seconds that are waited whatever it is. */
export interface Duration {
  readonly work: number;
  readonly waits: number;
}

/** What a run tells while it goes on. */
export interface RunObserver {
  /** `durations`: of each check that is to run and has a price, by id, as the plan stands when they are asked for. */
  started?(
    planned: number,
    about: Pick<RunReport, 'target' | 'seed' | 'tool'> & {
      readonly durations?: () => ReadonlyMap<string, Duration>;
    },
  ): void;
  /** A check is about to run. */
  checking?(check: Pick<CheckResult, 'id' | 'title' | 'chapter'>, index: number): void;
  /** After each check, with the report as it stands: checks that have not run yet are `error: not-run` in it. */
  checked?(result: CheckResult, soFar: () => RunReport): void;
  /** A message of the run shows a violation, of whatever check it was: the result as it stands. */
  violated?(result: CheckResult): void;
  ended?(report: RunReport): void;
}

export type Counts = Readonly<Record<Status, number>>;

export function countStatuses(results: readonly CheckResult[]): Counts {
  const counts: Record<Status, number> = { pass: 0, warn: 0, fail: 0, skip: 0, error: 0 };
  for (const { status } of results) counts[status]++;
  return counts;
}
