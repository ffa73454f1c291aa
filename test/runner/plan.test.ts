import { expect } from 'chai';
import { Halt, healthy } from '../../harness/accessory/index.js';
import { Bench, embeddedBench } from '../../harness/device/index.js';
import { type TlvMessage, seededRandom } from '../../harness/protocol/index.js';
import {
  type Capabilities,
  type Check,
  type CheckResult,
  DEFAULT_ATTEMPTS,
  type Plan,
  exchangesFor,
  makePlan,
  needsOf,
  quickExchanges,
} from '../../harness/runner/index.js';
import { defaultPatience } from '../../harness/wire/index.js';
import { suite } from '../../suites/index.js';
import { quickArithmetic } from '../arithmetic.js';
import { SEED, casesOf, code, everyday, newRun } from './bench.js';

const budget = { attempts: DEFAULT_ATTEMPTS, exchanges: exchangesFor(DEFAULT_ATTEMPTS), seconds: 30 };
const hookless: Capabilities = { reset: false, restart: false, destructive: false, profile: 'hap' };

function planOf(can: Partial<Capabilities> = {}, more: Partial<typeof budget> = {}): Plan {
  return makePlan(suite, suite, { ...hookless, ...can }, { ...budget, ...quickExchanges, ...more });
}

/** What is asked, in order. */
function asked({ entries }: Plan): readonly Check[] {
  return entries.flatMap(({ entry, leftOut }) =>
    entry.kind === 'check' && leftOut === undefined ? [entry] : [],
  );
}

/** An item of no bytes, or one that is cut: what simple parsers die of. */
function isLethal(message: TlvMessage): boolean {
  return message.defect !== undefined || message.items.some(({ value }) => value.length === 0);
}

const single = everyday.filter((entry) => entry.kind === 'watch' || entry.spec.property === undefined);
const judged = (results: readonly CheckResult[]): number =>
  results.filter(({ status }) => status === 'pass' || status === 'warn' || status === 'fail').length;

/** A run without hooks, in memory; told what each check sends. */
async function runWithout(
  tell: (id: string, message: TlvMessage) => void,
): Promise<{ readonly results: readonly CheckResult[]; readonly spent: number }> {
  let current = '';
  const behaviour = {
    ...healthy,
    decode: (body: Uint8Array): TlvMessage => {
      const message = healthy.decode(body);
      tell(current, message);
      return message;
    },
  };
  const random = seededRandom(String(SEED));
  const { hooks, ...options } = embeddedBench(
    { code, random, patience: defaultPatience },
    { behaviour },
  ).options;
  expect(hooks, 'hooks left out').to.have.property('restart');
  const run = newRun({ seed: String(SEED), bench: new Bench(options), selected: single });
  await run.survey();
  for (const planned of run.plan) {
    current = planned.entry.id;
    await run.runEntry(planned);
  }
  const { results, price } = run.report();
  return { results, spent: price.attempts };
}

describe('runner: in what order', function () {
  this.timeout(120_000);
  quickArithmetic();

  it('without a way to start it again: what nobody would notice first, what accessories die of last', () => {
    const checks = asked(planOf());
    const ids = checks.map(({ id }) => id);
    expect(ids.slice(0, 5)).to.deep.equal(['PS-M1-01', 'PS-M3-01', 'PS-M5-01', 'PV-M1-01', 'PV-M3-01']);
    const first = checks.findIndex(({ spec }) => spec.hazard !== undefined);
    // What needs such a check cannot come before it.
    const late = checks.slice(first).filter(({ spec }) => spec.hazard === undefined);
    for (const check of late) expect(needsBehind(check, ids, first), check.id).to.not.deep.equal([]);
    const safe = checks.slice(0, first).filter(({ spec }) => !spec.sanity && spec.property === undefined);
    const last = safe.findLastIndex(({ requirement }) => requirement.silent_security);
    const others = safe.slice(0, last).filter(({ requirement }) => !requirement.silent_security);
    const secure = suite.filter((e): e is Check => e.kind === 'check' && e.requirement.silent_security);
    const needed = new Set([...secure, ...safe.slice(0, last)].flatMap(needsOf));
    expect(
      others.filter(({ id }) => !needed.has(id)).map(({ id }) => id),
      'before security, and needed by none of it',
    ).to.deep.equal([]);
  });

  /** Needs of a check that stand at or behind a place. */
  function needsBehind(check: Check, ids: readonly string[], place: number): readonly string[] {
    return needsOf(check).filter((id) => ids.indexOf(id) >= place);
  }

  it('nothing comes before what it needs, with or without', () => {
    for (const restart of [false, true]) {
      const checks = asked(planOf({ restart }));
      const place = new Map(checks.map(({ id }, i) => [id, i]));
      for (const check of checks)
        if (!check.spec.sanity)
          for (const id of needsOf(check))
            expect(place.get(id) ?? -1, `${id}, needed by ${check.id}`).to.be.lessThan(place.get(check.id)!);
    }
  });

  it('that costs hardly more than going through each state once', () => {
    for (const more of [{}, { exchanges: budget.exchanges }]) {
      const [dear, cheap] = [planOf({}, more).estimate, planOf({ restart: true }, more).estimate];
      for (const what of ['m2', 'm4'] as const) expect(dear[what] / cheap[what], what).to.be.at.most(1.1);
    }
  });

  it('one that dies for good of the first item that is cut, or has no bytes, is judged on four fifths', async () => {
    const sent = new Map<string, TlvMessage>();
    const whole = await runWithout((id, message) => isLethal(message) && sent.set(id, message));
    const hazards = new Set(suite.filter((e) => e.kind === 'check' && e.spec.hazard).map(({ id }) => id));
    expect(
      [...sent.keys()].filter((id) => !hazards.has(id)),
      'sent by checks that hazards.json does not know',
    ).to.deep.equal([]);
    const { results } = await runWithout((_, message) => {
      if (isLethal(message)) throw new Halt();
    });
    const [much, all] = [judged(results), judged(whole.results)];
    console.log(`a mortal accessory is judged on ${much} of ${all}`);
    expect(much / all).to.be.at.least(0.8);
    expect(results.filter(({ status }) => status === 'fail')).to.deep.equal([]);
    expect(results.filter(({ reason }) => reason === 'unreachable')).to.have.length(1);
    // Whatever the plan did not foresee: what was left at the end would not do for anything that was left out.
    expect(whole.spent).to.equal(DEFAULT_ATTEMPTS);
  });
});

describe('runner: what failed attempts are spent on', () => {
  it('the attacks of each requirement first, every form of an A of zero among them; then leading zeros', () => {
    const security = new Set(
      planOf({}, { attempts: 1000 })
        .entries.filter(({ leftOut }) => leftOut === undefined)
        .flatMap(({ entry }) =>
          entry.kind === 'check' &&
          entry.requirement.silent_security &&
          (entry.spec.costs?.attempts ?? 0) > 0 &&
          entry.spec.property === undefined
            ? [entry.requirement.id]
            : [],
        ),
    );
    expect(security.size).to.be.greaterThan(9);
    const boughtBy = (attempts: number): readonly Check[] => asked(planOf({}, { attempts }));
    const usual = boughtBy(DEFAULT_ATTEMPTS);
    const requirements = new Set(usual.map(({ requirement }) => requirement.id));
    expect([...security].filter((id) => !requirements.has(id))).to.deep.equal([]);
    const ids = usual.map(({ id }) => id);
    expect(ids).to.include.members(['SEC-01/likeliest', 'SEC-01/empty', 'PS-M3-12', 'PS-M3-15']);
    // With less, variants are what is given up first, and leading zeros before attacks.
    const less = boughtBy(19).map(({ id }) => id);
    expect(less).to.include.members(['SEC-01/likeliest', 'SEC-01/empty', 'PS-M3-04', 'PS-STATE-13']);
    for (const ids of [boughtBy(17), boughtBy(19), boughtBy(22)].map((few) => few.map(({ id }) => id)))
      expect(ids).to.not.include.members(['PS-M3-07/16-bytes']);
  });

  it('what checks turn out not to spend goes to the next', async () => {
    const spends = (attempts: number) => ({ from: 'unpaired', costs: { attempts } }) as const;
    const ran: string[] = [];
    const cases = casesOf(({ check }) => [
      ...['X-01', 'X-02', 'X-03', 'X-04'].map((id) =>
        check(id, spends(10), ({ expect }) => {
          ran.push(id);
          expect(1).to.equal(1);
          return Promise.resolve();
        }),
      ),
      check('X-05', spends(31), () => Promise.resolve()),
    ]);
    const { hooks, ...options } = newRun().options.bench.options;
    expect(hooks).to.have.property('reset');
    const run = newRun({ suite: cases, selected: cases, bench: new Bench(options) });
    expect(asked({ ...planOf(), entries: run.plan }).map(({ id }) => id)).to.deep.equal([
      'X-01',
      'X-02',
      'X-03',
    ]);
    await run.survey();
    for (const planned of run.plan) await run.runEntry(planned);
    expect(ran).to.deep.equal(['X-01', 'X-02', 'X-03', 'X-04']);
    const last = run.report().results.at(-1)!;
    expect(last.message).to.match(/^it costs 31 of 30 failed attempts left: /);
  });
});
