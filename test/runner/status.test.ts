import { expect } from 'chai';
import {
  type CheckResult,
  type ExitFacts,
  type Level,
  type Thrown,
  WRONG_CODE,
  exitOf,
  reasons,
  verdict,
} from '../../harness/runner/index.js';

/** A verdict in two words, as the tables below write it. */
function told(level: Level, thrown: Thrown, asserted: boolean, tolerated: boolean, alive?: boolean): string {
  const { status, reason } = verdict({ level, thrown, asserted, tolerated, alive });
  return reason === undefined ? status : `${status} ${reason}`;
}

type Row = readonly [must: string, should: string, varies: string];
const same = (word: string): Row => [word, word, word];
type Ending = Exclude<Thrown, undefined> | 'end';

/** How the body ended → what each level makes of it, while the accessory lives or nobody had to ask. */
const living: Readonly<Record<Exclude<Ending, 'end'>, Row>> = {
  // None of the alternatives: the level decides.
  assertion: ['fail must', 'warn should', 'fail forbidden'],
  unlisted: ['fail must', 'warn should', 'fail forbidden'],
  // `forbid` is a fail at any level.
  forbidden: same('fail forbidden'),
  'not-applicable': same('skip not-applicable'),
  blocked: same('skip blocked'),
  dependency: same('skip dependency'),
  setup: same('error setup'),
  unreachable: same('error unreachable'),
  harness: same('error harness'),
  flaky: same('error flaky'),
  'not-run': same('error not-run'),
};
/** A body that came to its end. */
const plain: Row = ['pass', 'pass', 'pass observed'];
const withTolerated = same('warn tolerated');
const withoutAssertion = same('error harness');

/** A death that follows one of our stimuli is that check's fail; a mistake of the harness or a skip stays what it is. */
const dead: Readonly<Record<Ending, string>> = {
  assertion: 'fail forbidden',
  unlisted: 'fail forbidden',
  forbidden: 'fail forbidden',
  'not-applicable': 'skip not-applicable',
  blocked: 'skip blocked',
  dependency: 'skip dependency',
  setup: 'fail forbidden',
  unreachable: 'fail forbidden',
  harness: 'error harness',
  flaky: 'error flaky',
  'not-run': 'error not-run',
  end: 'fail forbidden',
};

const levels: readonly Level[] = ['MUST', 'SHOULD', 'VARIES'];
const endings = Object.keys(dead) as Ending[];

function expected(
  level: Level,
  ending: Ending,
  asserted: boolean,
  tolerated: boolean,
  alive?: boolean,
): string {
  if (alive === false) return dead[ending];
  const column = levels.indexOf(level);
  if (ending !== 'end') return living[ending][column]!;
  return (tolerated ? withTolerated : asserted ? plain : withoutAssertion)[column]!;
}

describe('runner: verdict', () => {
  for (const ending of endings)
    it(`of a body that ends with ${ending}, at every level, asserted or not, tolerated or not, alive or not`, () => {
      let rows = 0;
      for (const level of levels)
        for (const asserted of [true, false])
          for (const tolerated of [true, false])
            for (const alive of [true, false, undefined]) {
              const seen = told(level, ending === 'end' ? undefined : ending, asserted, tolerated, alive);
              const row = `${level} asserted=${asserted} tolerated=${tolerated} alive=${alive}`;
              expect(seen, row).to.equal(expected(level, ending, asserted, tolerated, alive));
              rows++;
            }
      expect(rows).to.equal(36);
    });

  it('covers every way a body may end', () => {
    expect(endings).to.have.length(12);
  });

  it('uses no reason outside the closed list of its status', () => {
    for (const ending of endings)
      for (const level of levels)
        for (const asserted of [true, false])
          for (const alive of [true, false, undefined]) {
            const thrown = ending === 'end' ? undefined : ending;
            const { status, reason } = verdict({ level, thrown, asserted, tolerated: false, alive });
            if (reason === undefined) expect(status, `${ending} without a reason`).to.equal('pass');
            else expect(reasons[status], `${ending} ${level}`).to.include(reason);
          }
  });

  it('in the words of the design', () => {
    // allow → pass; tolerate → warn; forbid → fail at any level.
    expect(told('MUST', undefined, true, false)).to.equal('pass');
    expect(told('MUST', undefined, true, true)).to.equal('warn tolerated');
    expect(told('VARIES', 'forbidden', true, false)).to.equal('fail forbidden');
    // none of them → MUST fail, SHOULD warn; VARIES lists all it may be, so it fails too.
    expect(told('MUST', 'unlisted', true, false)).to.equal('fail must');
    expect(told('SHOULD', 'unlisted', true, false)).to.equal('warn should');
    expect(told('VARIES', 'unlisted', true, false)).to.equal('fail forbidden');
    // a check that ends in its warning has judged something.
    expect(told('MUST', undefined, false, true)).to.equal('warn tolerated');
    // a tolerated outcome does not excuse what comes behind it.
    expect(told('MUST', 'assertion', true, true)).to.equal('fail must');
    // asserted nothing is an error of the harness.
    expect(told('MUST', undefined, false, false)).to.equal('error harness');
    // could not get to the point: never a verdict on the requirement.
    expect(told('MUST', 'setup', false, false)).to.equal('error setup');
    expect(told('MUST', 'dependency', false, false)).to.equal('skip dependency');
    // a right answer, and then it is dead.
    expect(told('MUST', undefined, true, false, false)).to.equal('fail forbidden');
    expect(told('VARIES', undefined, true, false, false)).to.equal('fail forbidden');
  });
});

type Result = Pick<CheckResult, 'status' | 'reason' | 'leftOut'> & Partial<Pick<CheckResult, 'message'>>;

const pass: Result = { status: 'pass', reason: undefined };
const observed: Result = { status: 'pass', reason: 'observed' };
const warn: Result = { status: 'warn', reason: 'tolerated' };
const fail: Result = { status: 'fail', reason: 'must' };
const harness: Result = { status: 'error', reason: 'harness' };

/** Every result there can be. */
const everything: readonly Result[] = [
  pass,
  ...Object.entries(reasons).flatMap(([status, list]) =>
    list.map((reason) => ({ status, reason }) as Result),
  ),
];

function code(results: readonly Result[], facts: Partial<ExitFacts> = {}): number {
  return exitOf({ results, strict: false, interrupted: false, harnessError: false, clean: true, ...facts })
    .code;
}

describe('runner: exit code', () => {
  it('is 0 when all passed or only warned', () => {
    expect(code([pass])).to.equal(0);
    expect(code([observed])).to.equal(0);
    expect(code([pass, warn, { status: 'warn', reason: 'should' }])).to.equal(0);
    expect(code([warn])).to.equal(0);
  });

  it('is 1 for any confirmed fail, whatever else happened', () => {
    for (const reason of reasons.fail) expect(code([pass, { status: 'fail', reason }]), reason).to.equal(1);
    const others = everything.filter(({ status }) => status !== 'fail');
    expect(code([...others, fail])).to.equal(1);
    expect(code([fail], { interrupted: true, harnessError: true, clean: false })).to.equal(1);
    expect(code([fail, { status: 'error', reason: 'not-run' }])).to.equal(1);
  });

  it('is 1 for a warning only when strict', () => {
    for (const reason of reasons.warn) {
      expect(code([pass, { status: 'warn', reason }]), reason).to.equal(0);
      expect(code([pass, { status: 'warn', reason }], { strict: true }), reason).to.equal(1);
    }
    expect(code([pass, observed], { strict: true })).to.equal(0);
  });

  it('is 4 before 5 when the harness itself erred', () => {
    expect(code([pass, harness])).to.equal(4);
    expect(code([pass], { harnessError: true })).to.equal(4);
    expect(code([], { harnessError: true })).to.equal(4);
    expect(
      code([harness, { status: 'error', reason: 'not-run' }], { interrupted: true, clean: false }),
    ).to.equal(4);
  });

  it('is 5 when something planned did not run or stayed inconclusive', () => {
    for (const reason of reasons.error)
      if (reason !== 'harness') expect(code([pass, { status: 'error', reason }]), reason).to.equal(5);
    expect(code([pass, { status: 'skip', reason: 'dependency' }])).to.equal(5);
    expect(code([pass, { status: 'skip', reason: 'blocked' }])).to.equal(5);
    expect(code([pass, { status: 'skip', reason: 'blocked', leftOut: true }])).to.equal(0);
    expect(code([pass], { interrupted: true })).to.equal(5);
  });

  it('stays 0 for skips nobody has to act on, beside something that ran', () => {
    for (const reason of ['not-applicable', 'not-bought', 'expected'] as const) {
      expect(code([pass, { status: 'skip', reason }]), reason).to.equal(0);
      // What is known to deviate was executed to find that out; the others never ran.
      expect(code([{ status: 'skip', reason }]), `only ${reason}`).to.equal(reason === 'expected' ? 0 : 5);
    }
  });

  it('is never 0 when nothing was executed', () => {
    expect(code([])).to.equal(5);
    const unexecuted = everything.filter(
      ({ status, reason }) => (status === 'skip' && reason !== 'expected') || status === 'error',
    );
    for (const first of unexecuted)
      for (const second of unexecuted)
        for (const strict of [true, false])
          expect(code([first, second], { strict }), `${first.reason} and ${second.reason}`).to.be.oneOf([
            4, 5,
          ]);
  });

  it('is never 0 when the accessory was not left as it was found', () => {
    expect(code([pass], { clean: false })).to.equal(5);
    for (const one of everything)
      for (const other of everything) expect(code([one, other], { clean: false })).to.not.equal(0);
  });

  it('keeps the precedence 1, 4, 5, 0 for every pair of results', () => {
    // What one result alone asks for; the pair gets the first of 1, 4, 5, 0 that either asks for.
    const asks = ({ status, reason }: Result, strict: boolean): number => {
      if (status === 'fail') return 1;
      if (status === 'warn') return strict ? 1 : 0;
      if (status === 'error') return reason === 'harness' ? 4 : 5;
      return reason === 'dependency' || reason === 'blocked' ? 5 : 0;
    };
    for (const strict of [true, false])
      for (const one of everything)
        for (const other of everything) {
          const wanted = [asks(one, strict), asks(other, strict)];
          const ran = [one, other].some(
            ({ status, reason }) => reason === 'expected' || (status !== 'skip' && status !== 'error'),
          );
          const due = [1, 4, 5].find((candidate) => wanted.includes(candidate)) ?? (ran ? 0 : 5);
          const pair = `${one.status}/${one.reason} and ${other.status}/${other.reason}, strict=${strict}`;
          expect(code([one, other], { strict }), pair).to.equal(due);
        }
  });

  it('says what it means', () => {
    const meaning = (results: readonly Result[], facts: Partial<ExitFacts> = {}): string =>
      exitOf({ results, strict: false, interrupted: false, harnessError: false, clean: true, ...facts })
        .meaning;
    expect(meaning([fail])).to.match(/^1 check failed/);
    expect(meaning([fail, fail])).to.match(/^2 checks failed/);
    expect(meaning([pass, warn])).to.include('1 tolerated');
    expect(meaning([pass, { status: 'error', reason: 'setup' }])).to.match(/^1 planned check /);
    expect(meaning([])).to.equal('nothing was executed');
    expect(meaning([pass], { interrupted: true })).to.match(/^interrupted/);
    const stale: Result = { status: 'fail', reason: 'stale-expectation' };
    expect(meaning([pass, stale])).to.match(/^1 entry of the expectations is stale/);
    expect(meaning([fail, stale, stale])).to.match(/^1 check failed.*; 2 entries of the expectations are/);
    expect(meaning([warn, warn], { strict: true })).to.match(/^2 warnings, which --strict/);
    const excused: Result = { status: 'skip', reason: 'expected' };
    expect(meaning([pass, excused, excused])).to.equal('no check failed; 2 deviations as expected');
    expect(meaning([warn, excused])).to.equal(
      'no check failed; 1 tolerated with a warning, 1 deviation as expected',
    );
    const refused = { ...fail, message: `${WRONG_CODE}: the proof was refused` };
    expect(meaning([refused])).to.match(/^the setup code is wrong, or the accessory computes SRP otherwise/);
  });
});
