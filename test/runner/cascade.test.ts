import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { faults, findFault } from '../../harness/accessory/index.js';
import {
  type CascadeRow,
  cascadeLines,
  cascadeRow,
  cascadeTable,
  glob,
  gradeCascades,
  matrixRow,
} from '../../harness/runner/index.js';
import { suite } from '../../suites/index.js';

const row = (fault: string, more: Partial<CascadeRow> = {}): CascadeRow => ({
  fault,
  breaks: ['PS-M3-04'],
  own: ['PS-M3-04'],
  also: [],
  undeclared: [],
  stale: [],
  skipped: 0,
  errors: [],
  ...more,
});

/** The matrix as it was made last, a line for each fault. */
const kept = cascadeLines(readFileSync(new URL('../../../reports/cascade.md', import.meta.url), 'utf8'));

describe('runner: one cause, one red', () => {
  it('passes where each fault is red under what it breaks, or says who else sees it', () => {
    expect(
      gradeCascades([row('a'), row('b', { own: [], also: ['PV-M3-01'] }), row('c'), row('d')]).passed,
    ).to.equal(true);
  });

  it('fails on a red that nobody has declared, a declaration that nothing fits, and a fault that nothing shows', () => {
    const red = gradeCascades([row('a', { undeclared: ['PV-M3-01 silence'] })]);
    expect(red.undeclared).to.deep.equal(['a: PV-M3-01 silence']);
    const stale = gradeCascades([row('a', { stale: ['SESS-*'] })]);
    expect(stale.stale).to.deep.equal(['a: SESS-*']);
    const unseen = gradeCascades([row('a', { own: [] })]);
    expect(unseen.unseen).to.deep.equal(['a']);
    for (const { passed } of [red, stale, unseen]) expect(passed).to.equal(false);
  });

  it('fails on a check that more than a quarter of the faults declare', () => {
    const rows = ['a', 'b', 'c', 'd'].map((name) => row(name));
    expect(gradeCascades([row('e', { also: ['SESS-02'] }), ...rows]).crowded).to.deep.equal([]);
    expect(
      gradeCascades([row('e', { also: ['SESS-02'] }), row('f', { also: ['SESS-02'] }), ...rows]).crowded,
    ).to.deep.equal(['SESS-02']);
  });

  it('keeps the rows of others where only some are made anew, in the order of the faults', () => {
    const earlier = cascadeLines(cascadeTable([row('a', { also: ['PV-M3-01'] }), row('b'), row('gone')]));
    const table = cascadeTable([row('b', { skipped: 7 }), row('new')], earlier, ['new', 'a', 'b']);
    expect([...cascadeLines(table).keys()]).to.deep.equal(['new', 'a', 'b']);
    expect(table).to.include('2 of 3 faults').and.include('| b | PS-M3-04 | PS-M3-04 |  | 7 | 0 |');
    expect(cascadeLines(table).get('a')).to.equal(earlier.get('a'));
  });

  it('declares checks that there are, with a reason in words', () => {
    for (const { name, alsoSeenBy = {} } of faults)
      for (const [pattern, reason] of Object.entries(alsoSeenBy)) {
        expect(
          suite.some(({ id }) => glob(pattern).test(id)),
          `${name}: ${pattern}`,
        ).to.equal(true);
        expect(reason.split(' ').length, `${name}: ${pattern}: ${reason}`).to.be.at.least(5);
      }
  });

  for (const [name, own] of Object.entries({
    'm5-always-refused': ['PS-M5-01'],
    // Housekeeping meets it before the check that is about it.
    'nobody-is-everybody': ['PV-M1-04'],
    'request-must-fit-one-frame': ['SESS-06/1024-and-537', 'SESS-16/three-frames-in-one-segment'],
  }))
    it(`is so in a whole run against ${name}`, async () => {
      const now = await cascadeRow(suite, findFault(name), { seed: 1 });
      expect(now.undeclared).to.deep.equal([]);
      expect(now.stale).to.deep.equal([]);
      expect(now.errors).to.deep.equal([]);
      expect(now.own).to.include.members(own);
      // How much is skipped grows with the suite.
      const [, fault, breaks, red, also] = kept.get(name)!.split(/ ?\| /);
      expect(cascadeTable([now]), 'npx hapspec selftest --cascade --update reports/cascade.md').to.include(
        `| ${fault} | ${breaks} | ${red} | ${also} | `,
      );
    });

  it('ends also where the factory reset that guesses need comes back to an accessory that speaks first', async () => {
    const { failed, odd } = await matrixRow(suite, findFault('greets'), { seed: 1, full: true });
    expect(failed).to.deep.equal(['HTTP-01/every-message']);
    expect(odd.join('\n')).to.match(/^PS-ERR-07 error: HTTP-01: a response came before/m);
  });

  it('is kept for each fault there is, without a red that nobody has declared', () => {
    expect([...kept.keys()]).to.have.members(faults.map(({ name }) => name));
    for (const { name, breaks } of faults) {
      expect(kept.get(name)).to.include(`| ${name} | ${breaks.join(', ')} |`);
      expect(kept.get(name), name).to.not.include('**');
    }
  });
});
