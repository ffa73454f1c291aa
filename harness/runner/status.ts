import type { CheckResult, Level, Reason, Status } from './result.js';

/** How a body ended: undefined when it came to its end. */
export type Thrown =
  | 'assertion'
  | 'unlisted'
  | 'forbidden'
  | 'not-applicable'
  | 'blocked'
  | 'dependency'
  | 'setup'
  | 'unreachable'
  | 'harness'
  /** A property that failed and did not again, or did not come to its end. */
  | 'flaky'
  | 'not-run'
  | undefined;

/** All a verdict depends on. */
export interface Facts {
  readonly level: Level;
  readonly thrown: Thrown;
  /** Anything was asserted. */
  readonly asserted: boolean;
  /** A tolerated outcome or a warning was recorded. */
  readonly tolerated: boolean;
  /** Sign of life after a risky stimulus; undefined when none was asked for. */
  readonly alive: boolean | undefined;
}

export interface Verdict {
  readonly status: Status;
  readonly reason: Reason | undefined;
}

/** The verdict: a pure function of the facts, tested as a truth table. */
export function verdict(facts: Facts): Verdict {
  const { level, thrown, asserted, tolerated, alive } = facts;
  switch (thrown) {
    case 'harness':
    case 'setup':
    case 'unreachable':
      // A stimulus that stopped the accessory is its fault, whatever step noticed it first.
      return alive === false && thrown !== 'harness'
        ? { status: 'fail', reason: 'forbidden' }
        : { status: 'error', reason: thrown };
    case 'flaky':
    case 'not-run':
      return { status: 'error', reason: thrown };
    case 'not-applicable':
    case 'blocked':
    case 'dependency':
      return { status: 'skip', reason: thrown };
    case 'forbidden':
      return { status: 'fail', reason: 'forbidden' };
    case 'assertion':
    case 'unlisted':
    case undefined:
      break;
  }
  if (alive === false) return { status: 'fail', reason: 'forbidden' };
  if (thrown !== undefined) {
    if (level === 'MUST') return { status: 'fail', reason: 'must' };
    // Where accessories may differ a check lists all they may do: what is none of it is no way of theirs.
    return level === 'SHOULD'
      ? { status: 'warn', reason: 'should' }
      : { status: 'fail', reason: 'forbidden' };
  }
  // A warning is a finding: a body that came to one has judged something.
  if (tolerated) return { status: 'warn', reason: 'tolerated' };
  if (!asserted) return { status: 'error', reason: 'harness' };
  return { status: 'pass', reason: level === 'VARIES' ? 'observed' : undefined };
}

export interface Exit {
  readonly code: 0 | 1 | 2 | 3 | 4 | 5;
  readonly meaning: string;
}

type Judged = Pick<CheckResult, 'status' | 'reason' | 'leftOut'> & Partial<Pick<CheckResult, 'message'>>;

/** How the message of PS-M3-01 begins when the right code was refused, and so were its known misreadings. */
export const WRONG_CODE = 'wrong setup code, or SRP differs';

export interface ExitFacts {
  readonly results: readonly Judged[];
  readonly strict: boolean;
  readonly interrupted: boolean;
  /** An error outside any check. */
  readonly harnessError: boolean;
  readonly clean: boolean;
}

/** The exit code of a run that got as far as its first check. A confirmed fail beats everything; nothing executed is never 0. */
export function exitOf({ results, strict, interrupted, harnessError, clean }: ExitFacts): Exit {
  const some = (test: (result: Judged) => boolean): boolean => results.some(test);
  const count = (test: (result: Judged) => boolean): number => results.filter(test).length;
  const failed = count(({ status, reason }) => status === 'fail' && reason !== 'stale-expectation');
  const stale = count(({ reason }) => reason === 'stale-expectation');
  const warned = count(({ status }) => status === 'warn');
  if (failed + stale > 0 || (strict && warned > 0)) {
    const wrongCode = some(
      ({ status, message }) => status === 'fail' && message?.startsWith(WRONG_CODE) === true,
    );
    const what = [
      failed > 0 &&
        (wrongCode
          ? `the setup code is wrong, or the accessory computes SRP otherwise: ${failed === 1 ? '' : `${number(failed, 'check')} failed, and `}what needs the code was not asked`
          : `${number(failed, 'check')} failed: the accessory does not conform`),
      strict && warned > 0 && `${number(warned, 'warning')}, which --strict counts as failures`,
      stale > 0 &&
        `${stale === 1 ? '1 entry of the expectations is' : `${stale} entries of the expectations are`} stale, expired or unknown: the accessory no longer does what they say, or nothing fits them`,
    ];
    return { code: 1, meaning: what.filter(Boolean).join('; ') };
  }
  if (harnessError || some(({ reason }) => reason === 'harness'))
    return { code: 4, meaning: 'the harness itself failed: this says nothing about the accessory' };
  if (interrupted) return { code: 5, meaning: 'interrupted: what did not run is unknown' };
  // What the plan left out was never going to run; what it held and could not run is missing.
  const missing = ['dependency', 'blocked'];
  const open = count(
    ({ status, reason, leftOut }) =>
      status === 'error' || (leftOut !== true && missing.includes(reason ?? '')),
  );
  if (open > 0)
    return {
      code: 5,
      meaning: `${open} planned ${open === 1 ? 'check' : 'checks'} did not run or stayed inconclusive`,
    };
  if (!some(({ status, reason }) => status === 'pass' || status === 'warn' || reason === 'expected'))
    return { code: 5, meaning: 'nothing was executed' };
  if (!clean)
    return { code: 5, meaning: 'every check passed, but the accessory was not left as it was found' };
  const expected = count(({ reason }) => reason === 'expected');
  const noted = [
    warned > 0 && `${warned} tolerated with a warning`,
    expected > 0 && `${number(expected, 'deviation')} as expected`,
  ].filter(Boolean);
  return {
    code: 0,
    meaning: noted.length === 0 ? 'every planned check passed' : `no check failed; ${noted.join(', ')}`,
  };
}

/** `1 check`, `2 checks`. */
function number(count: number, of: string): string {
  return `${count} ${of}${count === 1 ? '' : 's'}`;
}
