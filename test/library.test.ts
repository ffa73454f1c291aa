import { expect } from 'chai';
import { describeFor } from '../harness/describe.js';
import { type ProgressEvent, conformance } from '../harness/index.js';

const FEW = { only: ['PS-M3-0*'], seed: 1, jobs: 1 };

describe('conformance(), for programs', () => {
  it('tells what goes on: what is planned, each check when it begins and with its result, in order', async () => {
    const events: ProgressEvent[] = [];
    const report = await conformance('embedded', FEW, { progress: (event) => events.push(event) });
    expect(events[0]).to.deep.equal({ kind: 'planned', planned: report.results.length, seed: '1' });
    const ids = events.flatMap((event) => (event.kind === 'checking' ? [event.id] : []));
    const checked = events.flatMap((event) => (event.kind === 'checked' ? [event] : []));
    expect(checked.map(({ result }) => result.id)).to.deep.equal(ids);
    expect(ids).to.have.members(report.results.map(({ id }) => id));
    expect(checked.map(({ done }) => done)).to.deep.equal(ids.map((_, i) => i + 1));
  });

  it('tells of a violated watch when it is seen, beside whoever else is told', async () => {
    const [seen, also]: [string[], string[]] = [[], []];
    await conformance(
      'embedded:m5-errors-say-state-4',
      { only: ['PS-ERR-02', 'PS-M5-1*'], seed: 1, jobs: 1, violated: ({ id }) => also.push(id) },
      { progress: (event) => event.kind === 'violated' && seen.push(event.result.id) },
    );
    expect(seen).to.deep.equal(['PS-ERR-02']);
    expect(also).to.deep.equal(seen);
  });

  it('ends when it is aborted: nothing more is asked, the accessory is as it was, and the report says so', async () => {
    for (const jobs of [1, 2]) {
      const abort = new AbortController();
      const report = await conformance(
        'embedded',
        { ...FEW, only: ['PS-*'], jobs },
        { signal: abort.signal, progress: (event) => event.kind === 'checked' && abort.abort() },
      );
      expect(report.exit.code).to.equal(5);
      expect(report.exit.meaning).to.match(/interrupted/);
      expect(report.aftermath.clean).to.equal(true);
      expect(report.results.filter(({ status }) => status === 'pass')).to.have.length.above(0);
      expect(report.results.some(({ message }) => message === 'not run: the run was interrupted')).to.equal(
        true,
      );
    }
  });

  it('asks nobody when it was aborted before', async () => {
    const why = new Error('the build was cancelled');
    const thrown = await conformance('127.0.0.1:1', FEW, { signal: AbortSignal.abort(why) }).catch(
      (error: unknown) => error,
    );
    expect(thrown).to.equal(why);
  });

  it('leaves the accessory as it was found when whoever looks on throws', async () => {
    const thrown = await conformance('embedded', FEW, {
      progress: ({ kind }) => {
        if (kind === 'checked') throw new Error('a full disk');
      },
    }).catch((error: unknown) => error);
    expect(thrown).to.be.an('error').with.property('message', 'a full disk');
  });
});

describe('the suite in a test runner', () => {
  it('brings about what a test looks at, also where the tests before it are left out', async () => {
    const { begin, tests, end } = describeFor('embedded', {
      only: ['PS-M3-03', 'PS-M3-04'],
      seed: 1,
      jobs: 1,
    });
    expect(tests.map(({ name }) => name.slice(0, 8))).to.deep.equal(['PS-M3-04', 'PS-M3-03']);
    await begin();
    const skipped: string[] = [];
    await tests.at(-1)!.run((why) => skipped.push(why));
    expect(skipped).to.deep.equal([]);
    await end();
  });

  it('throws what is red in full, and skips with the reason', async () => {
    const { begin, tests, end } = describeFor('embedded:accepts-any-proof', {
      only: ['PS-M3-04', 'PS-M3-05'],
      seed: 1,
      jobs: 1,
    });
    await begin();
    const skipped: string[] = [];
    const thrown: string[] = [];
    for (const { run } of tests)
      await run((why) => skipped.push(why)).catch((error: unknown) => thrown.push(String(error)));
    expect(thrown.join()).to.match(/PS-M3-04 .*HTTP 200[^]*reproduce: npx hapspec run/);
    expect(skipped.join()).to.match(/^needs PS-M3-04/);
    await end();
  });
});
