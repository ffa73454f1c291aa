import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import {
  type Fault,
  faults,
  findFault,
  hapDress,
  healthy,
  variants,
  withOnlookers,
} from '../../harness/accessory/index.js';
import { nextOf, stretches, summary } from '../../harness/cli/selftest.js';
import type { Outcome } from '../../harness/device/index.js';
import {
  FOREIGN,
  type Row,
  behaviourOf,
  grade,
  matrixRow,
  runTwin,
  shownBy,
} from '../../harness/runner/index.js';
import type { TraceEvent } from '../../harness/wire/index.js';
import { suite } from '../../suites/index.js';

const seed = 1;

/** The rows of a small matrix: the healthy twin and the faults given, against the cases given. */
async function rows(cases: typeof suite, twins: readonly Fault[]): Promise<Row[]> {
  const made: Row[] = [];
  for (const fault of [undefined, ...twins]) made.push(await matrixRow(cases, fault, { seed, full: false }));
  return made;
}

const small = suite.filter(({ requirement }) =>
  ['PS-M1-01', 'PS-M3-01', 'PS-M3-04'].includes(requirement.id),
);
const twins = ['m2-http-500', 'm3-unanswered', 'accepts-any-proof'].map(findFault);

describe('runner: selftest', () => {
  it('passes when every fault is caught, every check is killed and the healthy twin is green', async () => {
    const graded = grade(
      small,
      await rows(
        small,
        twins.map((fault) => ({ ...fault, breaks: fault.breaks.slice(0, 1) })),
      ),
    );
    expect(graded.survivors).to.deep.equal([]);
    expect(graded.unkilled).to.deep.equal([]);
    expect(graded.healthyReds).to.deep.equal([]);
    expect(graded.passed).to.equal(true);
    expect(graded.kills).to.be.at.least(3);
  });

  it('fails on a fault that nobody kills', async () => {
    const harmless: Fault = {
      name: 'harmless',
      breaks: ['PS-M3-04'],
      story: 'nothing is wrong',
      change: () => ({}),
    };
    const graded = grade(small, await rows(small, [...twins, harmless]));
    expect(graded.survivors).to.include('harmless: PS-M3-04');
    expect(graded.passed).to.equal(false);
  });

  it('fails on a check that nothing kills', async () => {
    const graded = grade(small, await rows(small, twins.slice(0, 2)));
    expect(graded.unkilled).to.deep.equal(['PS-M3-04']);
    expect(graded.passed).to.equal(false);
  });

  it('fails on a red healthy twin', async () => {
    const [row] = await rows(small, []);
    const sick = await matrixRow(small, { ...findFault('accepts-any-proof') }, { seed, full: true });
    const graded = grade(small, [{ ...row!, failed: sick.failed }, ...(await rows(small, twins)).slice(1)]);
    expect(graded.healthyReds).to.deep.equal(['PS-M3-04 fail']);
    expect(graded.passed).to.equal(false);
  });

  it('counts a warning of the healthy twin as a red too', () => {
    const row: Row = {
      fault: undefined,
      breaks: [],
      benign: false,
      failed: [],
      odd: ['PS-M3-04 warn: tolerated'],
      foreign: [],
      weighed: [],
    };
    expect(grade([], [row]).passed).to.equal(false);
  });

  it('fails on a message in words of the assertion library', async () => {
    const [healthyRow, ...others] = await rows(small, twins);
    const spoken = [
      'stored: expected true to equal false',
      "the identity in M6: expected 'no' to equal undefined",
      'keys: expected [] to deeply equal [ 1 ]',
      'a TypeError: x is undefined',
    ];
    for (const text of spoken) expect(FOREIGN.test(text), text).to.equal(true);
    for (const text of ['stored: yes, and should be no', 'HTTP 200: State=4 Error=2 as expected'])
      expect(FOREIGN.test(text), text).to.equal(false);
    const graded = grade(small, [{ ...healthyRow!, foreign: [spoken[0]!] }, ...others]);
    expect(graded.foreign).to.deep.equal([`healthy twin: ${spoken[0]}`]);
    expect(graded.passed).to.equal(false);
  });

  it('fails on one behaviour that two checks weigh differently', async () => {
    const [healthyRow, ...others] = await rows(small, twins);
    const [one] = healthyRow!.weighed;
    const uneven = { ...one!, judgement: 'tolerated', id: 'PS-M3-99' } as const;
    expect(grade(small, [healthyRow!, ...others]).uneven).to.deep.equal([]);
    const graded = grade(small, [{ ...healthyRow!, weighed: [one!, uneven] }, ...others]);
    expect(graded.uneven).to.deep.equal([`${one!.behaviour} (allowed by ${one!.id}, tolerated by PS-M3-99)`]);
    expect(graded.passed).to.equal(false);
  });

  it('tells behaviours apart by state, by the answer before and by outcome, and not by what was drawn', () => {
    const event = (kind: 'said' | 'heard', line: string, connection = 1, time = 0): TraceEvent => ({
      kind,
      line,
      connection,
      time,
      sealed: false,
    });
    const said = event('said', 'POST /pair-verify State=3 EncryptedData[120]=0a0b0c0d…0e0f');
    const close: Outcome = { kind: 'close', elapsed: 3 };
    const all = [
      behaviourOf('paired', [said], close),
      behaviourOf('unpaired', [said], close),
      behaviourOf('paired', [event('heard', '200 State=2'), said], close),
      behaviourOf('paired', [event('heard', '200 State=2'), event('said', 'Remove', 2), said], close),
      behaviourOf('paired', [event('said', 'M1'), event('heard', '200 State=2'), said], close),
      behaviourOf('paired', [event('heard', '200 State=2', 1, -60_000), said], close),
      behaviourOf('paired', [said], { kind: 'silence', elapsed: 3 }),
    ];
    expect(new Set(all).size).to.equal(all.length);
    const again = event('said', 'POST /pair-verify State=3 EncryptedData[120]=ffffffff…ffff');
    expect(behaviourOf('paired', [event('heard', '200', 2), again], { ...close, elapsed: 9 })).to.equal(
      all[0],
    );
  });

  it('asks a variant what it answers otherwise, and sees in that all that there is to see', async () => {
    const cases = suite.filter(({ chapter }) => chapter.startsWith('pairings.'));
    const others = [
      ...['pairings-open-to-all', 'users-may-list', 'table-of-eight', 'list-without-permissions'],
      ...['missing-permissions-are-admin', 'keys-compared-as-text', 'uuids-only'],
    ].map((name): Fault => ({ ...findFault(name), breaks: [] }));
    const { behaviour, differing } = withOnlookers(hapDress, others);
    const touched = new Map(others.map(({ name }): [string, string[]] => [name, []]));
    const ran = (id: string): void => {
      for (const name of differing) touched.get(name)!.push(id);
      differing.clear();
    };
    const shown = await runTwin(cases, cases, undefined, { seed, onlookers: { behaviour, differing, ran } });
    // Who looks on changes nothing.
    const states = ({ id, status, message, observations }: (typeof shown)[number]): unknown[] => [
      id,
      status,
      message,
      observations,
    ];
    expect(shown.map(states)).to.deep.equal((await runTwin(cases, cases, undefined, { seed })).map(states));
    let red = 0;
    for (const other of others) {
      const whole = await matrixRow(cases, other, { seed, full: false });
      const few = touched.get(other.name)!;
      const reduced = await matrixRow(cases, other, { seed, full: false, touched: few });
      expect(few.length, other.name).to.be.within(1, cases.length - 1);
      expect([reduced.failed, reduced.odd], other.name).to.deep.equal([whole.failed, whole.odd]);
      red += reduced.failed.length;
    }
    expect(red).to.be.at.least(others.length);
  });

  it('shows each variant of a common dress a run in that dress, and is red for one that answers nothing otherwise', async () => {
    for (const { name, dress } of variants.filter((variant) => shownBy(variant) !== undefined)) {
      const by = shownBy(findFault(name)) ?? undefined;
      expect(by === undefined ? undefined : findFault(by).dress, name).to.equal(dress);
    }
    expect(faults.map(shownBy).every((by) => by === undefined)).to.equal(true);
    const same = await matrixRow(small, variants[0], { seed, full: false, touched: [] });
    expect(same.odd).to.deep.equal(['it answers everything as the healthy accessory does']);
  });

  it('deals every twin once, neighbours to one worker, and the last of the longest to who has none', () => {
    const weights = [100, 10, 10, ...Array.from({ length: 120 }, () => 1)];
    for (const count of [1, 2, 3, 8]) {
      const parts = stretches(weights, count);
      expect(parts).to.have.length(count);
      expect(parts.flat(), `${count} workers`).to.deep.equal([...weights.keys()]);
      const dealt: number[] = [];
      // The first worker takes everything: its own in order, then from the ends of the others.
      for (let next = nextOf(parts, 0); next !== undefined; next = nextOf(parts, 0)) dealt.push(next);
      expect(
        dealt.toSorted((a, b) => a - b),
        `${count} workers`,
      ).to.deep.equal([...weights.keys()]);
    }
    expect(stretches(weights, 2)[0]).to.have.length(3);
    expect(nextOf([[], [1, 2], [3, 4, 5]], 0)).to.equal(5);
  });

  it('has a change in every fault that is one of the behaviour', () => {
    for (const fault of faults)
      for (const member of Object.keys(fault.change(healthy)))
        expect(healthy, fault.name).to.have.property(member);
  });

  it('is in the README with the numbers of today', () => {
    const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');
    const empty = { healthyReds: [], survivors: [], unkilled: [], foreign: [], uneven: [], passed: true };
    const today = summary({ checks: suite.length, faults: faults.length, kills: 0, ...empty });
    expect(readme, 'run: npx hapspec selftest --update README.md').to.include(today);
  });
});
