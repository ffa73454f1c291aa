import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { faults, findFault } from '../../harness/accessory/index.js';
import {
  type CascadeRow,
  cascadeRow,
  cascadeTable,
  glob,
  gradeCascades,
} from '../../harness/runner/index.js';
import { suite } from '../../suites/index.js';

const committed = readFileSync(new URL('../../../test/runner/cascade.md', import.meta.url), 'utf8');
const lines = committed
  .split('\n')
  .filter((line) => /^\| [a-z0-9-]+ \|/.test(line) && !line.startsWith('| fault '));

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

  it('is committed for the faults of today, without a red that nobody has declared', () => {
    const again = 'run: npx hapspec selftest --cascade --update test/runner/cascade.md';
    expect(
      lines.map((line) => line.split(' | ')[0]!.slice(2)),
      again,
    ).to.deep.equal(faults.map(({ name }) => name));
    expect(committed, again).to.not.include('**');
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

  for (const name of ['m5-always-refused', 'request-must-fit-one-frame'])
    it(`is what a whole run against ${name} shows`, async () => {
      const now = await cascadeRow(suite, findFault(name), { seed: 1 });
      expect(committed.split('\n')).to.include(
        cascadeTable([now])
          .split('\n')
          .find((line) => line.startsWith(`| ${name} |`)),
      );
    });
});
