import { expect } from 'chai';
import { InputError } from '../../harness/protocol/index.js';
import { type Case, type Level, matchesPattern, select } from '../../harness/runner/index.js';
import { suite } from '../../suites/index.js';

/** As much of a case as selection reads. */
function entry(id: string, level: Level = 'MUST'): Case {
  return { id, requirement: { id: id.split('/')[0], level } } as unknown as Case;
}

const cases = [
  entry('PS-M1-01'),
  entry('PS-M3-04'),
  entry('PS-M3-06/0-bytes'),
  entry('PS-M3-06/65-bytes'),
  entry('PV-M3-01', 'SHOULD'),
  entry('SESS-02', 'VARIES'),
];

const chosen = (...only: string[]): string[] => select(cases, { only }).map(({ id }) => id);

describe('runner: selection', () => {
  it('takes everything, in order, when nothing is said', () => {
    expect(select(cases, {})).to.deep.equal(cases);
    expect(select(suite, {})).to.deep.equal(suite);
  });

  it('takes ids, globs, requirements and variants', () => {
    expect(chosen('PS-M3-04')).to.deep.equal(['PS-M3-04']);
    expect(chosen('PS-*')).to.deep.equal(['PS-M1-01', 'PS-M3-04', 'PS-M3-06/0-bytes', 'PS-M3-06/65-bytes']);
    expect(chosen('PS-M3-06')).to.deep.equal(['PS-M3-06/0-bytes', 'PS-M3-06/65-bytes']);
    expect(chosen('PS-M3-06/*')).to.deep.equal(['PS-M3-06/0-bytes', 'PS-M3-06/65-bytes']);
    expect(chosen('PS-M3-06/65-bytes')).to.deep.equal(['PS-M3-06/65-bytes']);
    expect(chosen('*-01')).to.deep.equal(['PS-M1-01', 'PV-M3-01']);
    expect(chosen('*/0-*')).to.deep.equal(['PS-M3-06/0-bytes']);
    expect(chosen('*')).to.have.length(cases.length);
  });

  it('takes the union of several, each case once, in the order of the suite', () => {
    expect(chosen('SESS-02', 'PS-M3-*', 'PS-M3-04')).to.deep.equal([
      'PS-M3-04',
      'PS-M3-06/0-bytes',
      'PS-M3-06/65-bytes',
      'SESS-02',
    ]);
  });

  it('does not mind the case', () => {
    expect(chosen('ps-m3-04')).to.deep.equal(['PS-M3-04']);
    expect(chosen('sess-*')).to.deep.equal(['SESS-02']);
  });

  it('matches whole ids only, and takes all else literally', () => {
    const one = cases[0]!;
    for (const pattern of [
      'PS-M1-0',
      'S-M1-01',
      'PS.M1.01',
      'PS-M1-0.',
      'PS-M1-0?',
      '(PS-M1-01)',
      'PS-M1-01|x',
      '^PS-M1-01$',
      '',
    ])
      expect(matchesPattern(pattern, one), pattern).to.equal(false);
    expect(matchesPattern('PS-M1-01', one)).to.equal(true);
    expect(matchesPattern('PS-M3-06/0', cases[2]!)).to.equal(false);
  });

  it('leaves out what is skipped, also against --only', () => {
    expect(select(cases, { skip: ['PS-*'] }).map(({ id }) => id)).to.deep.equal(['PV-M3-01', 'SESS-02']);
    expect(
      select(cases, { only: ['PS-M3-*'], skip: ['PS-M3-06/0-bytes'] }).map(({ id }) => id),
    ).to.deep.equal(['PS-M3-04', 'PS-M3-06/65-bytes']);
  });

  it('narrows to levels', () => {
    expect(select(cases, { levels: ['SHOULD'] }).map(({ id }) => id)).to.deep.equal(['PV-M3-01']);
    expect(select(cases, { levels: ['SHOULD', 'VARIES'] }).map(({ id }) => id)).to.deep.equal([
      'PV-M3-01',
      'SESS-02',
    ]);
    expect(select(cases, { only: ['*-01'], levels: ['MUST'] }).map(({ id }) => id)).to.deep.equal([
      'PS-M1-01',
    ]);
  });

  it('names a pattern that selects nothing, whatever else is selected', () => {
    expect(() => select(cases, { only: ['PS-M1-01', 'PS-M9-*'] })).to.throw(InputError, /^--only PS-M9-\*: /);
    expect(() => select(cases, { skip: ['NOPE'] })).to.throw(InputError, /^--skip NOPE: /);
    expect(() => select(cases, { only: [''] })).to.throw(InputError, /^--only : /);
  });

  it('refuses options that leave nothing together', () => {
    for (const selection of [
      { only: ['PS-M1-01'], skip: ['PS-M1-01'] },
      { skip: ['*'] },
      { only: ['PS-*'], levels: ['VARIES'] as const },
    ])
      expect(() => select(cases, selection)).to.throw(InputError, 'nothing is selected');
  });
});
