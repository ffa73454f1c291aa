import { expect } from 'chai';
import { embeddedBench } from '../../harness/device/index.js';
import { parseSetupCode, seededRandom } from '../../harness/protocol/index.js';
import { Run, chapter, loadCases } from '../../harness/runner/index.js';
import { type MemoryNetworkHost, defaultPatience } from '../../harness/wire/index.js';
import { catalogue, suite } from '../../suites/index.js';

const sanity = suite.filter((entry) => entry.kind === 'check' && entry.spec.sanity);

/** A run of the plain flow and one check by hand. */
async function reportOf(body: (host: MemoryNetworkHost) => void): Promise<ReturnType<Run['report']>> {
  const random = seededRandom(1);
  const code = parseSetupCode('031-45-154');
  const bench = embeddedBench({ code, random, patience: defaultPatience });
  const [late] = loadCases(
    [
      chapter('hand.made', ({ check }) => [
        check('PS-M1-20', 'M2 arrives in time', { from: 'any' }, async ({ expect: expected }) => {
          body(bench.options.dialer as MemoryNetworkHost);
          expected(true).to.equal(true);
        }),
      ]),
    ],
    catalogue,
  );
  const cases = [...sanity, late!];
  const run = new Run({
    target: 'embedded',
    seed: '1',
    random,
    version: '',
    command: '',
    strict: false,
    bench,
    suite: cases,
    selected: cases,
  });
  await run.survey();
  for (const entry of run.plan) await run.runEntry(entry);
  await run.restore();
  return run.report();
}

describe('runner: the plain flow at the end', () => {
  it('adds nothing when it works', async () => {
    const { results, exit } = await reportOf(() => undefined);
    expect(results.map(({ status }) => status)).to.deep.equal([
      'pass',
      'pass',
      'pass',
      'pass',
      'pass',
      'pass',
    ]);
    expect(exit.code).to.equal(0);
  });

  it('leaves no green run behind an accessory that a check has broken unnoticed', async () => {
    const { results, exit } = await reportOf((host) => {
      host.accept = () => undefined;
    });
    const last = results.find(({ id }) => id === 'sanity/last');
    expect(last).to.include({ status: 'error', reason: 'setup' });
    expect(last!.message).to.include('the plain flow worked at the start and does not at the end');
    expect(exit.code).to.equal(5);
  });
});
