import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Case, CheckResult, RunReport } from '../../harness/runner/index.js';
import { needsOf, parseShard, runsOf, shardOf, withRuns } from '../../harness/runner/index.js';
import { suite } from '../../suites/index.js';
import { deadPort, endChildren, hapspec, hapspecLine, startHapspec } from './process.js';

const CODE = '031-45-154';
const COUNT = 3;

describe('shards', () => {
  it('share the suite out: all of it, each check once but for what others stand on', () => {
    for (const count of [1, 2, 5, 8]) {
      const parts = Array.from({ length: count }, (_, i) => shardOf(suite, { index: i + 1, count }));
      expect([...new Set(parts.flat().map(({ id }) => id))]).to.have.members(suite.map(({ id }) => id));
      const bases = new Set(suite.flatMap((entry) => (entry.kind === 'check' ? needsOf(entry) : [])));
      for (const entry of suite)
        if (entry.kind === 'check' && !bases.has(entry.id) && entry.spec.sanity !== true)
          expect(
            parts.filter((part) => part.includes(entry)),
            entry.id,
          ).to.have.length(1);
      for (const part of parts) {
        const ids = new Set(part.map(({ id }) => id));
        for (const entry of part)
          if (entry.kind === 'check')
            for (const id of needsOf(entry))
              if (suite.some((one) => one.id === id))
                expect(ids.has(id), `${entry.id} needs ${id}`).to.equal(true);
      }
      const again = shardOf([...suite], { index: count, count });
      expect(again.map(({ id }) => id)).to.deep.equal(parts.at(-1)!.map(({ id }) => id));
    }
  });

  it('take their share of the runs of each property that is hunted with', () => {
    for (const [runs, count] of [
      [40, 3],
      [8, 8],
      [2000, 7],
    ] as const) {
      const shares = Array.from({ length: count }, (_, i) => runsOf(runs, { index: i + 1, count }));
      expect(shares.reduce((sum, share) => sum + share, 0)).to.equal(runs);
      expect(Math.max(...shares) - Math.min(...shares)).to.be.at.most(1);
    }
    const hunts = withRuns(suite, 10, { asked: true });
    const isHunt = (entry: Case): boolean =>
      entry.kind === 'check' && entry.spec.property !== undefined && entry.spec.sanity !== true;
    for (const index of [1, 2, 3, 4])
      expect(
        shardOf(hunts, { index, count: 4 })
          .filter(isHunt)
          .map(({ id }) => id),
      ).to.deep.equal(hunts.filter(isHunt).map(({ id }) => id));
  });

  it('of a hunt are merged: runs are added up, and every counterexample is kept', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'hapspec-hunt-'));
    const hunt = async (target: string, ...more: readonly string[]): Promise<CheckResult> => {
      const files = [1, 2].map((part) => join(folder, `${part}.json`));
      for (const [i, file] of files.entries()) {
        const line = ['run', target, '--only', 'PS-STATE-15/flows', '--seed', '1', '--shard', `${i + 1}/2`];
        await hapspecLine([
          ...line,
          '--evidence',
          join(folder, `evidence-${i + 1}`),
          '--json',
          file,
          ...more,
        ]);
      }
      const merged = join(folder, 'merged.json');
      await hapspecLine(['merge', ...files, '--json', merged]);
      const { results } = JSON.parse(readFileSync(merged, 'utf8')) as RunReport;
      return results.find(({ id }) => id === 'PS-STATE-15/flows')!;
    };
    try {
      const healthy = await hunt('embedded', '--runs', '5');
      expect([healthy.status, healthy.observations['runs']]).to.deep.equal(['pass', '5']);
      const red = await hunt('embedded:second-m1-spoils-both', '--runs', '60');
      expect(red.status).to.equal('fail');
      const other = red.observations['counterexample of shard 2/2'];
      expect(red.failure!.reproduce).to.include('evidence-1');
      expect(other).to.include('evidence-2');
      const file = /--replay '([^']+)'/.exec(other!)![1]!;
      const again = await hapspecLine(['run', 'embedded:second-m1-spoils-both', '--replay', file]);
      expect(again.code, again.stderr).to.equal(1);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    const few = await hapspecLine(['run', 'embedded', '--only', '*/flows', '--runs', '2', '--shard', '1/3']);
    expect(few.stderr).to.include('2 runs cannot be shared out to 3: give --runs 3 or more');
    expect(few.code).to.equal(2);
  });

  it('are named I/N', () => {
    expect(parseShard('2/4')).to.deep.equal({ index: 2, count: 4 });
    for (const text of ['0/4', '5/4', '1', '1/0', 'a/b', '1/4/2'])
      expect(() => parseShard(text), text).to.throw(`--shard ${text}: expected I/N`);
  });

  describe('on accessories of their own', () => {
    let folder: string;
    before(() => (folder = mkdtempSync(join(tmpdir(), 'hapspec-shards-'))));
    after(() => {
      endChildren();
      rmSync(folder, { recursive: true, force: true });
    });
    const run = async (
      port: number | string,
      name: string,
      ...more: readonly string[]
    ): Promise<number | null> => {
      const options = ['--code', CODE, '--seed', '1', '--only', 'PS-M3-0*', '--timeout', '3000'];
      const json = join(folder, `${name}.json`);
      const state = { HAPSPEC_STATE: join(folder, name) };
      return (await hapspec(['run', `127.0.0.1:${port}`, ...options, '--json', json, ...more], state)).code;
    };
    const accessory = async (): Promise<string> => {
      const served = startHapspec([
        'accessory',
        '--port',
        '0',
        '--seed',
        '1',
        '--fault',
        'accepts-any-proof',
      ]);
      await served.said('\n');
      return /:(\d+)/.exec(served.output())![1]!;
    };
    const report = (name: string): RunReport =>
      JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8')) as RunReport;
    const verdicts = ({ results }: RunReport): readonly string[] =>
      results.map(({ id, status }) => `${id} ${status}`).sort();

    it('come to what one run on one accessory comes to; one that is lost is named', async () => {
      const names = Array.from({ length: COUNT }, (_, i) => `shard-${i + 1}`);
      const codes = await Promise.all(
        names.map(async (name, i) => run(await accessory(), name, '--shard', `${i + 1}/${COUNT}`)),
      );
      expect(codes.some((code) => code === 1)).to.equal(true);
      expect(await run(await accessory(), 'whole')).to.equal(1);
      const files = names.map((name) => join(folder, `${name}.json`));
      const merged = await hapspec(['merge', ...files, '--json', join(folder, 'merged.json')]);
      expect(merged.code).to.equal(1);
      expect(verdicts(report('merged'))).to.deep.equal(verdicts(report('whole')));

      // A device of the rack is dead: the run is incomplete, and says which part of it.
      expect(await run(await deadPort(), 'shard-2', '--shard', `2/${COUNT}`)).to.equal(3);
      const cut = await hapspec(['merge', ...files]);
      expect(cut.stdout).to.include(`shard 2/${COUNT}: nothing answered`);
      const without = await hapspec(['merge', ...files.filter((_, i) => i !== 2)]);
      expect(without.stdout).to.include(`shard 3/${COUNT}: there is no report of it`);
      const twice = await hapspec(['merge', files[0]!, files[0]!]);
      expect(twice.code).to.equal(2);
      expect(twice.stderr).to.include('is there twice');
    });
  });
});
