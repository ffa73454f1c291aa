import { Assertion, AssertionError, config, expect as chaiExpect, use, util } from 'chai';
import { type Matcher, type Outcome, describeOutcome } from '../device/index.js';

/** Outcomes a check sorts into right, tolerated and forbidden; everything else is judged by the level. */
export interface Alternatives {
  readonly allow?: readonly Matcher[];
  readonly tolerate?: readonly Matcher[];
  readonly forbid?: readonly Matcher[];
}

declare global {
  // eslint-disable-next-line @typescript-eslint/no-namespace -- chai's types are extended this way
  namespace Chai {
    interface Assertion {
      /** The outcome is one the check allows or tolerates; other lists may be given for a second outcome. */
      allowed(alternatives?: Alternatives): Assertion;
    }
  }
}

// A list of pairings that is cut to "[ …(3) ]" tells nobody what is wrong with it.
config.truncateThreshold = 400;
/**
 * Assertions without the proxies that tell of properties that do not exist, which here the compiler does: a twentieth of
 * a run's time. For processes and threads of our own alone: chai's settings are those of the whole process, tests of the user included.
 */
export function withoutProxies(): void {
  config.useProxy = false;
}

/** How one outcome stands to the alternatives of its check. */
export type Judgement = 'allowed' | 'tolerated' | 'forbidden' | 'unlisted';

/** `forbid` is read first, in its wider sense: a violation is not excused by looking like something tolerated. */
export function judge(outcome: Outcome, { allow = [], tolerate = [], forbid = [] }: Alternatives): Judgement {
  const hit = (matchers: readonly Matcher[]): boolean => matchers.some((matcher) => matcher.matches(outcome));
  if (forbid.some((matcher) => (matcher.resembles ?? matcher.matches).call(matcher, outcome)))
    return 'forbidden';
  if (hit(allow)) return 'allowed';
  if (hit(tolerate)) return 'tolerated';
  return 'unlisted';
}

/** The check takes whatever comes here, or whatever refuses: the form of it is the business of others. */
function isIndifferent(outcome: Outcome, { allow = [] }: Alternatives): boolean {
  return allow.some((matcher) => matcher.wide === true && matcher.matches(outcome));
}

/** An outcome that is not one of the alternatives. */
export class NotAllowed extends Error {
  override name = 'NotAllowed';
  constructor(
    readonly judgement: 'forbidden' | 'unlisted',
    readonly seen: string,
    readonly allowed: readonly string[],
  ) {
    super(`seen: ${seen}; allowed: ${allowed.join(' · ')}`);
  }
}

/** Collects what one check asserted. */
export class Judge {
  asserted = 0;
  /** Tolerated outcomes and warnings, in words. */
  readonly tolerated: string[] = [];

  constructor(
    private readonly alternatives: Alternatives,
    /** Told of each outcome whose form was judged, for the self-test. */
    private readonly weigh?: (outcome: Outcome, judgement: Judgement) => void,
  ) {}

  readonly expect = ((value: unknown, message?: string) => {
    this.asserted++;
    const assertion = chaiExpect(value, message);
    util.flag(assertion, 'judge', this);
    return assertion;
  }) as Expect;

  decide(outcome: Outcome, alternatives: Alternatives = this.alternatives, about?: string): void {
    const judgement = judge(outcome, alternatives);
    if (!isIndifferent(outcome, alternatives)) this.weigh?.(outcome, judgement);
    const seen = (about === undefined ? '' : `${about}: `) + describeOutcome(outcome);
    if (judgement === 'tolerated') this.tolerated.push(seen);
    if (judgement === 'forbidden' || judgement === 'unlisted')
      throw new NotAllowed(judgement, seen, wordsOf(alternatives));
  }
}

export type Expect = (value: unknown, message?: string) => Chai.Assertion;

/** The acceptable outcomes in words, the tolerated ones marked. */
export function wordsOf({ allow = [], tolerate = [] }: Alternatives): string[] {
  return [
    ...allow.map((matcher) => matcher.words),
    ...tolerate.map((matcher) => `tolerated: ${matcher.words}`),
  ];
}

/** A value as a reader of a report would say it. */
function said(value: unknown): string {
  if (value === undefined || value === null) return 'none';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (typeof value === 'string') return value === '' ? 'an empty text' : value;
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.map(said).join(', ');
  return util.inspect(value);
}

/** True for an expectation that nothing is there: what is seen says all, as a rule what is wrong with it. */
function isNothing(value: unknown): boolean {
  return value === undefined || (Array.isArray(value) && value.length === 0);
}

/**
 * An assertion that did not hold, in words of whoever reads the report: what it is about, what was seen, and what should
 * have been.
 * @param template - the library's own words: `expected #{this} to be at most #{exp}`
 */
export function inWords(
  template: string,
  { about, seen, expected }: { readonly about?: string; readonly seen: unknown; readonly expected: unknown },
): string {
  const start = about === undefined ? '' : `${about.replace(/,$/, '')}: `;
  const demand = template
    .replace(/^expected #\{this\} (to )?/, '')
    .replace(/ but got #\{act\}$/, '')
    .replace(/^not (deeply )?equal/, 'not be')
    .replace(/^(deeply )?equal/, 'be')
    .replaceAll('#{exp}', () => said(expected));
  if (isNothing(expected) && /^expected #\{this\} to (not )?(deeply )?equal /.test(template))
    return start + said(seen);
  return `${start}${said(seen)}, and should ${demand}`;
}

/** What the library's assertions are made of: whether it holds, its words either way, and the values. */
type Assert = (
  this: Chai.AssertionStatic,
  holds: unknown,
  words: string | (() => string),
  negated?: string | (() => string),
  expected?: unknown,
  actual?: unknown,
  showDiff?: boolean,
) => void;

/** Replaces the library's words by ours, for the expect of checks alone. */
function speakPlainly(): void {
  const prototype = Assertion.prototype as unknown as { assert: Assert };
  const { assert } = prototype;
  prototype.assert = function (holds, words, negated, expected, ...more) {
    if (util.flag(this, 'judge') === undefined)
      return assert.call(this, holds, words, negated, expected, ...more);
    try {
      assert.call(this, holds, words, negated, expected, ...more);
    } catch (error) {
      if (!(error instanceof AssertionError)) throw error;
      const template = util.flag(this, 'negate') === true ? (negated ?? words) : words;
      const about = util.flag(this, 'message') as string | undefined;
      error.message = inWords(typeof template === 'function' ? template() : template, {
        ...(about !== undefined && { about }),
        seen: more[0] ?? (util.flag(this, 'object') as unknown),
        expected,
      });
      throw error;
    }
  };
}

speakPlainly();
use((chai) => {
  chai.Assertion.addMethod('allowed', function (this: Chai.AssertionStatic, alternatives?: Alternatives) {
    const keeper = util.flag(this, 'judge') as Judge | undefined;
    if (keeper === undefined) throw new Error('allowed() needs the expect of a check');
    keeper.decide(
      util.flag(this, 'object') as Outcome,
      alternatives,
      util.flag(this, 'message') as string | undefined,
    );
  });
});
