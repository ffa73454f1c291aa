import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import fc from 'fast-check';
import { type Fault, faults, findFault } from '../../harness/accessory/index.js';
import { SIGNATURES, diagnosed, signaturesFor } from '../../harness/diagnosed.js';
import {
  type Signature,
  coarse,
  diagnose,
  faultDigest,
  kindOf,
  readSignatures,
  signatureOf,
  signaturesOf,
  stillValid,
  symptomOf,
  whyStale,
  writeSignatures,
} from '../../harness/diagnosis/index.js';
import { InputError } from '../../harness/protocol/index.js';
import { readReport } from '../../harness/report/index.js';
import { isShort, runTwin } from '../../harness/runner/index.js';
import type { CheckResult } from '../../harness/runner/result.js';
import { suite } from '../../suites/index.js';
import { report, result } from '../report/sample.js';

type Outcomes = Readonly<Record<string, string>>;

/** Results by id: `fail: message`, `warn: message`, `pass`, `skip`. */
function results(outcomes: Outcomes): CheckResult[] {
  return Object.entries(outcomes).map(([id, outcome]) => {
    const [status = '', ...message] = outcome.split(': ');
    return result({
      id,
      requirement: id.split('/')[0]!,
      status: status as CheckResult['status'],
      reason: status === 'fail' ? 'must' : status === 'skip' ? 'dependency' : undefined,
      message: message.join(': '),
    });
  });
}

const mistake = (name: string, more: Partial<Fault> = {}): Fault => ({
  name,
  breaks: [],
  story: `the mistake ${name}`,
  change: () => ({}),
  ...more,
});

/** Signatures of mistakes that are red as told, and pass everything else of `passes`. */
function signaturesWith(rows: Readonly<Record<string, Outcomes>>, passes: readonly string[] = []) {
  const healthy = Object.fromEntries(passes.map((id) => [id, 'pass']));
  return {
    seeds: [1],
    checks: new Map<string, string>(),
    rows: Object.entries(rows).map(([name, outcomes]): Signature =>
      signatureOf(mistake(name), [results({ ...healthy, ...outcomes })]),
    ),
  };
}

const ask = (signatures: ReturnType<typeof signaturesWith>, outcomes: Outcomes) =>
  diagnose({ results: results(outcomes), accessory: {} }, signatures, suite);

describe('diagnosis', () => {
  describe('kinds of outcome', () => {
    it('are the same in every run, whatever bytes, times and counts there are', () => {
      expect(kindOf('HTTP 200: State=4 Proof[64]=d4f38b12…2c42')).to.equal('HTTP 200: State=4 Proof[64]=#');
      expect(kindOf('silence: no answer within 500 ms, connection open')).to.equal(
        kindOf('silence: no answer within 10000 ms, connection open'),
      );
      expect(kindOf('bytes of State: 2, and should be 1 (353 of 2953 messages)')).to.equal(
        'bytes of State: 2, and should be 1',
      );
      expect(kindOf('HTTP 200: State[2]=0200 Error=6(Unavailable)  [06 02 02 00 07 01 06]')).to.equal(
        'HTTP 200: State[2]=# Error=6(Unavailable)',
      );
      expect(kindOf('HTTP 400: empty body (run 3: State=1 Method=0(PairSetup) [060101000100])')).to.equal(
        'HTTP 400: empty body',
      );
      expect(kindOf('x'.repeat(5_000_000)).length).to.be.lessThan(200);
    });

    it('are alike where two stacks say the same otherwise', () => {
      expect(coarse('A padded: HTTP 200: State=4 Error=2(Authentication)')).to.equal(
        coarse('HTTP 200: State=4 Error=2(Authentication) with more'),
      );
      expect(coarse('HTTP 400: empty body')).to.not.equal(coarse('HTTP 500: empty body'));
    });

    it('say nothing where nothing was asked, or something else has to work first', () => {
      const of = (status: CheckResult['status'], reason: CheckResult['reason'], message = '') =>
        symptomOf({ status, reason, message })?.verdict;
      expect(of('pass', undefined)).to.equal('passed');
      expect(of('warn', 'tolerated')).to.equal('warned');
      expect(of('warn', 'should')).to.equal('red');
      expect(of('fail', 'must')).to.equal('red');
      for (const silent of [
        of('fail', 'stale-expectation'),
        of('skip', 'dependency'),
        of('error', 'not-run'),
        of('error', 'setup', 'needs PS-M1-01: M2 was due'),
      ])
        expect(silent).to.equal(undefined);
    });
  });

  describe('explaining', () => {
    const passes = ['A-01', 'A-02', 'B-01', 'B-02', 'C-01'];
    const signatures = signaturesWith(
      {
        one: { 'A-01': 'fail: HTTP 400: empty body', 'A-02': 'fail: silence: no answer within 500 ms' },
        half: { 'A-01': 'fail: HTTP 400: empty body' },
        other: { 'A-01': 'fail: HTTP 500: empty body' },
        two: { 'B-01': 'fail: HTTP 200: State=4', 'B-02': 'warn: HTTP 200: State=6' },
        same: { 'B-01': 'fail: HTTP 200: State=4', 'B-02': 'warn: HTTP 200: State=6' },
      },
      passes,
    );
    const healthy = Object.fromEntries(passes.map((id) => [id, 'pass']));

    it('names none where nothing failed, whatever was warned of', () => {
      expect(ask(signatures, { ...healthy, 'A-01': 'warn: HTTP 400: empty body' })).to.equal(undefined);
    });

    it('names the mistake whose failures these are, and not the one that has fewer or others', () => {
      const both = ask(signatures, {
        ...healthy,
        'A-01': 'fail: HTTP 400: empty body',
        'A-02': 'fail: silence: no answer within 10000 ms',
      })!;
      expect(both.causes[0]).to.deep.include({
        fault: 'one',
        class: [],
        explains: ['A-01', 'A-02'],
        against: [],
      });
      expect(both.unexplained).to.deep.equal([]);
      const first = ask(signatures, { ...healthy, 'A-01': 'fail: HTTP 400: empty body' })!;
      expect(first.causes[0]).to.deep.include({ fault: 'half', explains: ['A-01'] });
      const another = ask(signatures, { ...healthy, 'A-01': 'fail: HTTP 500: empty body' })!;
      expect(another.causes[0]!.fault).to.equal('other');
    });

    it('shows mistakes that nothing asked tells apart as one class', () => {
      const [cause] = ask(signatures, {
        ...healthy,
        'B-01': 'fail: HTTP 200: State=4',
        'B-02': 'warn: HTTP 200: State=6',
      })!.causes;
      expect(cause).to.deep.include({ fault: 'two', class: ['same'] });
    });

    it('says what was not asked for nor against a mistake, and what speaks against it', () => {
      const [cause, rival] = ask(signatures, {
        'A-01': 'fail: HTTP 400: empty body',
        'A-02': 'skip',
      })!.causes;
      expect([cause?.fault, ...(cause?.class ?? []), rival?.fault]).to.include.members(['half', 'one']);
      const doubtful = ask(signatures, { ...healthy, 'A-02': 'fail: silence: no answer within 500 ms' })!;
      expect(doubtful.causes[0]).to.deep.include({ fault: 'one', against: ['A-01'] });
    });

    it('separates several mistakes, each with what it explains', () => {
      const found = ask(signatures, {
        ...healthy,
        'A-01': 'fail: HTTP 400: empty body',
        'A-02': 'fail: silence: no answer within 500 ms',
        'B-01': 'fail: HTTP 200: State=4',
        'B-02': 'warn: HTTP 200: State=6',
      })!;
      const main = found.causes.filter(({ insteadOf }) => insteadOf === undefined);
      expect(main.map(({ fault, explains }) => [fault, explains])).to.deep.equal([
        ['one', ['A-01', 'A-02']],
        ['two', ['B-01']],
      ]);
    });

    it('says of what nothing explains that it is unexplained', () => {
      const found = ask(signatures, { ...healthy, 'C-01': 'fail: HTTP 404: empty body' })!;
      expect(found).to.deep.include({ causes: [], unexplained: ['C-01'], failures: 1 });
    });

    it('is as sure of a cause when much else is red that nothing explains', () => {
      const seen = { ...healthy, 'A-01': 'fail: HTTP 400: empty body', 'A-02': 'fail: HTTP 400: empty body' };
      const alone = ask(signatures, seen)!;
      const others = Object.fromEntries(
        Array.from({ length: 9 }, (_, i) => [`E-0${i + 1}`, 'fail: HTTP 404']),
      );
      const among = ask(signatures, { ...seen, ...others })!;
      expect(among.unexplained).to.have.length(9);
      expect(among.causes[0]).to.deep.include({ fault: 'one', explains: ['A-01', 'A-02'] });
      expect(among.causes[0]!.confidence).to.be.closeTo(alone.causes[0]!.confidence, 0.15);
    });

    it('takes a failure no signature knows for one of the cause whose requirement it names', () => {
      const found = ask(signatures, {
        ...healthy,
        'A-01': 'fail: HTTP 400: empty body',
        'D-01/flows': 'fail: A-01: the reply to M1: HTTP 400',
        'D-02/flows': 'fail: C-01: the reply to M1: HTTP 400',
      })!;
      expect(found.causes[0]!.explains).to.deep.equal(['A-01', 'D-01/flows']);
      expect(found.unexplained).to.deep.equal(['D-02/flows']);
    });

    it('lets only such mistakes compete as the accessory can have', () => {
      const dressed = {
        ...signatures,
        rows: [
          signatureOf(mistake('receiver', { dress: { kind: 'airplay' } }), [results({ 'A-01': 'fail: x' })]),
        ],
      };
      const failed = results({ 'A-01': 'fail: x' });
      expect(diagnose({ results: failed, accessory: { profile: 'hap' } }, dressed)?.causes).to.deep.equal([]);
      expect(
        diagnose({ results: failed, accessory: { profile: 'airplay' } }, dressed)?.causes[0]?.fault,
      ).to.equal('receiver');
    });

    it('names the check that tells apart what is tied, with its price and the command', () => {
      const tied = signaturesWith(
        {
          one: { 'PS-M3-04': 'fail: x', 'PS-M1-01': 'pass', 'PS-M3-05': 'fail: y' },
          two: { 'PS-M3-04': 'fail: x', 'PS-M1-01': 'pass', 'PS-M3-05': 'pass' },
        },
        ['PS-M1-01'],
      );
      const [failed] = results({ 'PS-M3-04': 'fail: x' });
      const shown = {
        ...failed!,
        failure: {
          requirement: '',
          allowed: [],
          seen: '',
          exchange: [],
          reproduce: "npx hapspec run lamp --code X --only 'PS-M3-04' --seed 7",
        },
      };
      const ids = suite.filter(({ requirement }) => requirement.id === 'PS-M3-05').map(({ id }) => id);
      const next = diagnose({ results: [shown], accessory: {} }, tied, suite)?.next;
      expect(next).to.deep.include({ between: ['one', 'two'] });
      expect(ids).to.include(next!.id);
      expect(next!.command).to.equal(`npx hapspec run lamp --code X --only '${next!.id}' --seed 7`);
    });
  });

  describe('signatures', () => {
    const kept = readSignatures(readFileSync(SIGNATURES, 'utf8'));

    it('are written as they are read', () => {
      expect(writeSignatures(kept)).to.equal(readFileSync(SIGNATURES, 'utf8'));
      for (const { fault, symptoms } of kept.rows)
        for (const id of symptoms.keys()) expect(kept.checks.has(id), `${fault}: ${id}`).to.equal(true);
      const rows = signaturesOf([1], kept.rows, suite, faults).rows;
      expect(rows).to.deep.equal(kept.rows);
    });

    it('are those of this suite, of every fault (npx hapspec selftest --signatures signatures/signatures.json)', () => {
      expect(whyStale(kept, suite, faults)).to.equal(undefined);
      expect(kept.rows.map(({ fault }) => fault)).to.have.members(faults.map(({ name }) => name));
      for (const { fault, symptoms } of kept.rows)
        expect(
          [...symptoms.values()].flat().some(({ verdict }) => verdict === 'red'),
          fault,
        ).to.equal(true);
    });

    it('are refused where a fault or a check is another one, with the command that makes them anew', () => {
      const [first, ...others] = faults;
      const changed = [{ ...first!, change: () => ({ closesAfter: () => true }) }, ...others];
      expect(whyStale(kept, suite, changed)).to.match(
        new RegExp(`^the signatures .*\\(${first!.name}\\); "hapspec selftest --signatures`),
      );
      expect(whyStale(kept, suite, others)).to.contain(first!.name);
      const asked = suite.find(({ id }) => kept.checks.has(id))!;
      const without = suite.filter((entry) => entry !== asked);
      expect(whyStale(kept, without, faults)).to.contain(asked.id);
      expect(() => signaturesFor(suite, changed)).to.throw(InputError, 'are of another suite');
      const told = diagnosed(report(), suite, changed);
      expect(told.diagnosis?.note).to.match(/^none: the signatures/);
      expect(told.exit).to.deep.equal(report().exit);
      // What is renewed: the row of the fault alone, all rows where a check takes something else as right.
      expect(stillValid(kept, suite, changed).rows).to.have.length(kept.rows.length - 1);
      expect(stillValid(kept, without, faults).rows).to.have.length(kept.rows.length);
      const another = suite.map((entry) =>
        entry === asked
          ? { ...entry, requirement: { ...entry.requirement, level: 'VARIES' as const } }
          : entry,
      );
      expect(stillValid(kept, another, faults).rows).to.deep.equal([]);
      expect(faultDigest(first!)).to.not.equal(faultDigest(changed[0]!));
    });

    it('stay good when checks and faults are added', () => {
      const added = { ...suite[0]!, id: 'PS-M1-01/added' };
      expect(whyStale(kept, [...suite, added], [...faults, mistake('added')])).to.equal(undefined);
    });

    it('explain whatever a run comes to: each failure is explained or not, each cause has a share of certainty', function () {
      this.timeout(120_000);
      fc.assert(
        fc.property(
          fc.uniqueArray(fc.nat(kept.rows.length - 1), { minLength: 1, maxLength: 4 }),
          fc.array(fc.nat(9), { minLength: 20, maxLength: 20 }),
          (mistakes, dice) => {
            // Parts of what several mistakes show, some of it otherwise than they do.
            const seen: Record<string, string> = {};
            let i = 0;
            for (const at of mistakes)
              for (const [id, [first]] of kept.rows[at]!.symptoms) {
                const die = dice[i++ % dice.length]!;
                if (die > 6 || first === undefined) continue;
                seen[id] =
                  die === 6
                    ? 'fail: of no known kind'
                    : `${first.verdict === 'red' ? 'fail' : 'warn'}: ${first.kind}`;
              }
            for (const [j, id] of [...kept.checks.keys()].entries()) if (j % 7 === 0) seen[id] ??= 'pass';
            const all = results(seen);
            const red = all.filter(({ status }) => status === 'fail').map(({ id }) => id);
            const found = diagnose({ results: all, accessory: {} }, kept, suite);
            if (red.length === 0) {
              expect(found).to.equal(undefined);
              return;
            }
            const first = found!.causes.filter(({ insteadOf }) => insteadOf === undefined);
            expect(
              new Set([...first.flatMap(({ explains }) => explains), ...found!.unexplained]),
            ).to.deep.equal(new Set(red));
            for (const { confidence } of found!.causes) expect(confidence).to.be.within(0, 1);
          },
        ),
        { seed: 2, numRuns: 150 },
      );
    });

    it('say what is wrong with a file that is none', () => {
      expect(() => readSignatures('{')).to.throw(InputError, 'no JSON');
      expect(() => readSignatures('{"schema":0}')).to.throw(InputError, 'another version');
    });
  });

  describe('of the reference accessory', () => {
    const signatures = signaturesFor(suite, faults);
    /** A run of what the faults break, and of a part of the rest. */
    const run = async (fault: Fault, seed = 11) => {
      const selected = suite.filter(
        (entry, i) =>
          entry.kind === 'watch' ||
          fault.breaks.includes(entry.requirement.id) ||
          (entry.spec.sanity ?? (i % 10 === 0 && isShort(entry) && entry.spec.property === undefined)),
      );
      return { results: await runTwin(suite, selected, fault, { seed }), accessory: { profile: 'hap' } };
    };
    /** One accessory with both mistakes. */
    const both = (a: Fault, b: Fault): Fault =>
      mistake(`${a.name} and ${b.name}`, {
        breaks: [...a.breaks, ...b.breaks],
        change: (ok) => {
          const first = a.change(ok);
          return { ...first, ...b.change({ ...ok, ...first }) };
        },
      });

    it('under another seed is named, with the exchange that shows it', async () => {
      const found = diagnose(await run(findFault('truncated-tlv-unanswered')), signatures, suite)!;
      expect(found.causes[0]!.fault).to.equal('truncated-tlv-unanswered');
      expect(found.causes[0]!.confidence).to.be.greaterThan(0.5);
      expect(found.causes[0]!.explains).to.include(found.causes[0]!.decisive);
    }).timeout(120_000);

    it('with two mistakes has two causes', async () => {
      const pair = both(findFault('truncated-tlv-unanswered'), findFault('non-admin-is-http-470'));
      const found = diagnose(await run(pair), signatures, suite)!;
      const named = found.causes.slice(0, 4).flatMap(({ fault, class: others }) => [fault, ...others]);
      expect(named).to.include.members(['truncated-tlv-unanswered', 'non-admin-is-http-470']);
    }).timeout(120_000);
  });

  describe('of published versions of HAP-NodeJS (npm run bench census)', () => {
    for (const version of ['1.1.0', '2.0.2'])
      it(`names in ${version} what its source bears out, and nothing else`, () => {
        const path = fileURLToPath(
          new URL(`../../../reports/example/hap-nodejs-${version}.json`, import.meta.url),
        );
        const stored = readReport(readFileSync(path, 'utf8'), path);
        const found = diagnose(stored, signaturesFor(suite, faults), suite)!;
        const causes = found.causes.filter(({ insteadOf }) => insteadOf === undefined);
        expect(causes.map(({ fault }) => fault)).to.have.members([
          // The switches over State and Method have no default branch: nothing is answered.
          'odd-pairings-requests-unanswered',
          // An M5 that does not open is answered under State=4.
          'm5-errors-say-state-4',
          // Identifiers are strings: what is no UTF-8 is replaced.
          'identifiers-are-text',
        ]);
        for (const { confidence, fault } of causes) expect(confidence, fault).to.be.above(0.5);
        expect(found.unexplained.length).to.be.at.most(3);
      });
  });
});
