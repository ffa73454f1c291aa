import { expect } from 'chai';
import { faults, findFault, healthy, twin } from '../../harness/accessory/index.js';
import { seededRandom } from '../../harness/protocol/index.js';
import type { Case, RunReport } from '../../harness/runner/index.js';
import type { Patience } from '../../harness/wire/index.js';
import { suite } from '../../suites/index.js';
import { SEED, execute, isUndeclared, newRun, tcpBench, wordsById } from '../runner/bench.js';

/** Short enough for a test on loopback; the same in memory, where waiting costs nothing. */
const patience: Patience = { answer: 1_500, silence: 250, close: 600 };
/** Name of the healthy accessory among the faults. */
const HEALTHY = 'healthy';

/** All faults over TCP take minutes; a dozen, one for each kind of symptom, is the everyday measure. */
const slow = process.env['HAPSPEC_SLOW'] === '1';
const representatives = [
  'accepts-any-proof',
  'closes-after-each-response',
  'unverified-get-served',
  'm3-unanswered',
  'public-key-above-n',
  'wrong-code-unanswered',
  'm5-unanswered',
  'first-controller-is-user',
  'm6-zero-ltpk',
  'verify-m4-sealed',
  'unknown-controller-accepted',
  'list-without-permissions',
  'pairing-reserved-at-m4',
];
/** With HAPSPEC_SLOW=1 goes through the whole suite as the healthy accessory does; others meet the checks of what they break. */
const WHOLE = slow ? 'accepts-any-proof' : undefined;

/** Minutes of waiting are free in memory alone; the self-test proves these checks. */
const cases = suite.filter(
  (entry) =>
    entry.id !== 'PS-M3-14' &&
    // What is announced on a network is seen in a namespace alone.
    !/^MDNS|announced/.test(entry.id) &&
    entry.notFor['hap'] === undefined &&
    // A property runs less often where time is real.
    (entry.kind === 'watch' ||
      (entry.spec.property === undefined &&
        !entry.spec.destructive &&
        (entry.spec.costs?.seconds ?? 0) < 20)),
);

/** No check of the requirement is left out, so that a fault that breaks it has to show. */
function isWhole(requirement: string): boolean {
  return suite.every((entry) => entry.requirement.id !== requirement || cases.includes(entry));
}

function casesFor(fault: string): readonly Case[] {
  if (fault === HEALTHY || fault === WHOLE) return cases;
  const { breaks } = findFault(fault);
  return cases.filter(({ requirement }) => breaks.includes(requirement.id));
}

/** In memory. That every fault is caught by what it breaks is `hapspec selftest`, part of CI. */
function embedded(fault: string): Promise<RunReport> {
  return execute(
    newRun({
      ...(fault !== HEALTHY && { target: `embedded:${fault}` }),
      seed: String(SEED),
      patience,
      selected: casesFor(fault),
    }),
  );
}

/** The same accessory behind a socket. */
async function overTcp(fault: string): Promise<RunReport> {
  const random = seededRandom(SEED);
  const behaviour = fault === HEALTHY ? healthy : twin(findFault(fault));
  const { bench, close } = await tcpBench(behaviour, random, patience);
  try {
    return await execute(
      newRun({ target: fault, seed: String(SEED), patience, bench, selected: casesFor(fault) }),
    );
  } finally {
    await close();
  }
}

/** Runs at most `limit` jobs at a time; each job's promise is there from the beginning. */
function pooled<T>(
  names: readonly string[],
  limit: number,
  job: (name: string) => Promise<T>,
): Map<string, Promise<T>> {
  const waiting: (() => void)[] = [];
  let running = 0;
  const next = (): void => {
    while (running < limit && waiting.length > 0) {
      running++;
      waiting.shift()!();
    }
  };
  const all = new Map<string, Promise<T>>();
  for (const name of names) {
    const turn = new Promise<void>((resolve) => waiting.push(resolve));
    const done = turn
      .then(() => job(name))
      .finally(() => {
        running--;
        next();
      });
    // Whoever awaits it sees the error; nobody else has to.
    done.catch(() => undefined);
    all.set(name, done);
  }
  next();
  return all;
}

/** Requirements with a result that is red, or would be under `--strict`. */
function failed(report: RunReport): Set<string> {
  return new Set(
    report.results.flatMap(({ status, reason, requirement }) =>
      status === 'fail' || reason === 'should' ? [requirement] : [],
    ),
  );
}

/** In twins.test.ts. */
export function faultsAreFound(): void {
  describe('suites: a fault is found', () => {
    const named = faults.filter(
      ({ name }) => (slow || representatives.includes(name)) && casesFor(name).length > 0,
    );
    const reports = new Map<string, Promise<RunReport>>();
    const inMemory = (fault: string): Promise<RunReport> => {
      const known = reports.get(fault) ?? embedded(fault);
      reports.set(fault, known);
      return known;
    };

    it('the healthy accessory passes every check', async () => {
      const report = await inMemory(HEALTHY);
      const undeclared = new Set(report.results.filter(isUndeclared).map(({ id }) => id));
      const others = Object.entries(wordsById(report)).filter(
        ([id, word]) => !/^pass( observed)?$/.test(word) && !undeclared.has(id),
      );
      expect(others).to.deep.equal([]);
      expect(report.results).to.have.length(cases.length);
      expect(report.exit.code).to.equal(0);
      expect(report.aftermath.clean).to.equal(true);
    });

    for (const { name, breaks, story } of named)
      it(`${name} (${story}) fails ${breaks.join(' and ')}`, async () => {
        const report = await inMemory(name);
        const found = failed(report);
        // What stands on another of them that is red was skipped for that, and says so.
        const skipped = new Set(
          report.results.flatMap(({ reason, requirement, message }) =>
            reason === 'dependency' && found.has(/^needs ([A-Z0-9-]+)/.exec(message)?.[1] ?? '')
              ? [requirement]
              : [],
          ),
        );
        expect(found.size, 'requirements that are red').to.be.at.least(1);
        expect(
          breaks.filter((id) => isWhole(id) && !found.has(id) && !skipped.has(id)),
          `broken and not failed; failed: ${[...found].join(', ') || 'nothing'}`,
        ).to.deep.equal([]);
        expect(report.exit.code).to.equal(report.results.some(({ status }) => status === 'fail') ? 1 : 0);
        expect(
          report.results
            .filter(({ reason }) => reason === 'harness')
            .map(({ id, message }) => `${id}: ${message}`),
          'errors of the harness',
        ).to.deep.equal([]);
        for (const { id, status, failure } of report.results)
          if (status === 'fail') {
            expect(failure?.seen, `${id}: what was seen`).to.match(/\S/);
            expect(failure?.exchange, `${id}: the exchange`).to.not.have.length(0);
          }
      });

    describe(`over TCP, id by id${slow ? '' : ` (${named.length} faults; HAPSPEC_SLOW=1 takes all ${faults.length})`}`, () => {
      const names = [HEALTHY, ...named.map(({ name }) => name)];
      let overSockets = new Map<string, Promise<RunReport>>();
      before(async function () {
        this.timeout(600_000);
        // First, so that every exponentiation is remembered and no run over TCP waits for another's arithmetic.
        for (const name of names) await inMemory(name);
        overSockets = pooled(names, 4, overTcp);
      });
      after(() => Promise.allSettled(overSockets.values()));

      for (const name of names)
        it(`${name} is judged as in memory`, async () => {
          const [memory, sockets] = [await inMemory(name), await overSockets.get(name)!];
          expect(wordsById(sockets)).to.deep.equal(wordsById(memory));
          expect(sockets.exit.code).to.equal(memory.exit.code);
          expect(sockets.aftermath.clean).to.equal(memory.aftermath.clean);
        }).timeout(600_000);
    });
  });
}
