import { expect } from 'chai';
import { type Behaviour, findFault, healthy, twin } from '../../harness/accessory/index.js';
import { embeddedBench } from '../../harness/device/index.js';
import {
  type SrpConvention,
  type SrpConventionName,
  otherCode,
  seededRandom,
  srpConventions,
} from '../../harness/protocol/index.js';
import type { CheckResult } from '../../harness/runner/index.js';
import { defaultPatience } from '../../harness/wire/index.js';
import { suite } from '../../suites/index.js';
import { quickArithmetic } from '../arithmetic.js';
import { code, execute, fromSuite, newRun, word } from '../runner/bench.js';

const forms = ['PS-M3-12', 'PS-M3-13', 'PS-M3-14', 'PS-M3-15', 'PS-M3-16'] as const;

/** The results of some checks against a twin, by id. */
async function results(
  behaviour: Partial<Behaviour>,
  ids: readonly string[],
  seed = '1',
): Promise<ReadonlyMap<string, CheckResult>> {
  const bench = embeddedBench(
    { code, random: seededRandom(seed), patience: defaultPatience },
    { behaviour: { ...healthy, ...behaviour } },
  );
  const report = await execute(
    newRun({ bench, seed, selected: fromSuite(...ids), attempts: 95, destructive: true }),
  );
  expect(report.aftermath.clean).to.equal(true);
  return new Map(report.results.map((result) => [result.id, result]));
}

async function words(
  behaviour: Partial<Behaviour>,
  ids: readonly string[],
  seed = '1',
): Promise<Readonly<Record<string, string>>> {
  return Object.fromEntries([...(await results(behaviour, ids, seed))].map(([id, seen]) => [id, word(seen)]));
}

describe('suites: SRP', function () {
  quickArithmetic();

  const pass = Object.fromEntries(forms.map((id) => [id, 'pass']));
  const camps: readonly (readonly [SrpConventionName, Readonly<Record<string, string>>])[] = [
    ['adk', {}],
    ['all-stripped', {}],
    ['neutral', { 'PS-M3-12': 'warn' }],
    ['padded-session', { 'PS-M3-12': 'warn', 'PS-M3-14': 'warn', 'PS-M3-15': 'warn' }],
    // It hashes a short A padded, which no controller that sends a short A does.
    ['padded-proofs', { 'PS-M3-12': 'warn', 'PS-M3-13': 'warn', 'PS-M3-14': 'warn' }],
    ['integer-key', { 'PS-M3-12': 'warn', 'PS-M3-16': 'fail' }],
  ];
  for (const [name, departures] of camps)
    it(`leading zero bytes in the convention ${name}: ${Object.keys(departures).join(', ') || 'all pass'}`, async () => {
      const convention: SrpConvention = srpConventions[name];
      for (const seed of ['1', '2']) {
        const seen = await words({ convention }, forms, seed);
        const kinds = Object.fromEntries(Object.entries(seen).map(([id, text]) => [id, text.split(' ')[0]]));
        expect(kinds, `seed ${seed}`).to.deep.equal({ ...pass, ...departures });
      }
    });

  it('says which form was accepted', async () => {
    const seen = await results({ convention: srpConventions['padded-session'] }, ['PS-M3-15']);
    expect(seen.get('PS-M3-15')?.message).to.equal('the proof is accepted only with S padded to 384 bytes');
  });

  it('an accessory made from the unpadded formulas is told from one with another code', async () => {
    const ids = ['PS-M3-01', 'PS-M3-02', 'PS-M3-05'];
    const literal = twin(findFault('literal-k-and-u'));
    expect((await results(literal, ['PS-M3-02'])).get('PS-M3-02')).to.include({
      status: 'fail',
      message: 'the proof is accepted only with k and u over unpadded values',
    });
    expect(await words(literal, ids)).to.include({
      'PS-M3-01': 'fail forbidden',
      'PS-M3-02': 'fail forbidden',
    });
    expect(await words(twin(findFault('code-without-dashes')), ids)).to.deep.equal({
      'PS-M3-01': 'fail forbidden',
      'PS-M3-02': 'skip dependency',
      'PS-M3-05': 'fail forbidden',
    });
    const wrong = await words({ password: (right) => otherCode(right).dashed }, ids);
    expect(wrong).to.deep.equal({
      'PS-M3-01': 'fail forbidden',
      'PS-M3-02': 'skip dependency',
      'PS-M3-05': 'skip not-applicable',
    });
  });

  it('no more attempts follow a code known to be wrong', async () => {
    const bench = embeddedBench(
      { code, random: seededRandom('1'), patience: defaultPatience },
      { behaviour: { ...healthy, password: (right) => otherCode(right).dashed } },
    );
    const chapters = ['pair-setup.m3-m4', 'security.srp'];
    const selected = suite.filter(({ chapter }) => chapters.includes(chapter));
    const report = await execute(newRun({ bench, selected, attempts: 95 }));
    expect(report.results.filter(({ status }) => status === 'fail').map(({ id }) => id)).to.deep.equal([
      'PS-M3-01',
    ]);
    expect(report.price.attempts).to.equal(5);
  });

  it('SEC-01 costs 24 failed attempts at most, and goes all the way when it gets in', async () => {
    const guesses = suite.filter(({ requirement }) => requirement.id === 'SEC-01');
    const attempts = guesses.map((entry) => (entry.kind === 'check' ? (entry.spec.costs?.attempts ?? 0) : 0));
    expect(attempts.reduce((sum, n) => sum + n)).to.be.within(20, 24);
    const ids = guesses.map(({ id }) => id);
    const seen = await results(twin(findFault('illegal-key-unchecked')), ids);
    const open = [...seen.values()].filter(({ status }) => status === 'fail');
    expect(open.map(({ id }) => id)).to.deep.equal(['SEC-01/likeliest', 'SEC-01/zero-one-byte']);
    for (const { message } of open)
      expect(message).to.include('paired a controller that does not know the code');
  });

  it('SEC-01 finds each K an accessory may arrive at', async () => {
    const conventions = [srpConventions.adk, srpConventions.neutral, srpConventions['padded-session']];
    for (const convention of conventions)
      expect(await words({ convention, refusesPublicKey: () => false }, ['SEC-01/likeliest'])).to.deep.equal({
        'SEC-01/likeliest': 'fail forbidden',
      });
  });
});
