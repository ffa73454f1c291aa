import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { deadPort, endChildren, hapspec, hapspecLine, startHapspec } from './process.js';

const folder = mkdtempSync(join(tmpdir(), 'hapspec-hour-'));
const CODE = '031-45-154';

describe('cli: the first hour', () => {
  after(() => {
    endChildren();
    rmSync(folder, { recursive: true, force: true });
  });

  describe('times', () => {
    it('are milliseconds, or say their unit', async () => {
      for (const timeout of ['5000', '5s', '500ms'])
        expect((await hapspecLine(['run', '--only', 'PS-M1-01', '--timeout', timeout])).code).to.equal(0);
    });

    it('that are neither are named, with the fix', async () => {
      for (const [option, value] of [
        ['--timeout', '5 s'],
        ['--pace', 'fast'],
        ['--wait', '30'],
      ] as const) {
        const { code, stderr } = await hapspecLine(['run', '--only', 'PS-M1-01', option, value]);
        expect(code).to.equal(2);
        expect(stderr).to.match(new RegExp(`^hapspec: ${option}: expected .*such as .*"${value}"\\n$`));
      }
    });
  });

  describe('files that cannot be', () => {
    const file = join(folder, 'a-file');
    before(() => writeFileSync(file, ''));

    it('a folder for evidence inside a file → 2, and no accessory is asked', async () => {
      const args = [
        'run',
        `127.0.0.1:${await deadPort()}`,
        '--code',
        CODE,
        '--evidence',
        join(file, 'evidence'),
      ];
      const { code, stderr } = await hapspecLine(args);
      expect(code).to.equal(2);
      expect(stderr).to.include('a part of that path is a file, not a folder');
    });

    it('are named in words', async () => {
      const nowhere = join(folder, 'nowhere.json');
      for (const args of [
        ['run', '--replay', nowhere],
        ['run', '--mfi-root', nowhere],
        ['vectors', 'verify', nowhere],
      ]) {
        const { code, stderr } = await hapspecLine(args);
        expect(code, args.join(' ')).to.equal(2);
        expect(stderr).to.include('there is no such file').and.to.not.include('ENOENT');
      }
    });
  });

  it('a reader that has seen enough ends the run, which is no failure of the harness', async () => {
    const junit = join(folder, 'head.xml');
    const child = startHapspec(['run', '--seed', '1', '--only', 'P*', '--jobs', '1', '--junit', junit]);
    await child.said('pair-setup');
    child.process.stdout!.destroy();
    const { code, stderr } = await child.ended;
    expect(stderr).to.not.include('harness failed');
    expect(code).to.equal(5);
    const xml = readFileSync(junit, 'utf8');
    expect(xml).to.include('run/complete').and.to.include('the run was interrupted');
  });

  it('a list that is read in part is no failure', async () => {
    const child = startHapspec(['list']);
    child.process.stdout!.destroy();
    const { code, stderr } = await child.ended;
    expect([code, stderr]).to.deep.equal([0, '']);
  });

  describe('--wait', () => {
    it('waits for an accessory that is being started', async () => {
      const port = await deadPort();
      const args = ['run', `127.0.0.1:${port}`, '--code', CODE, '--only', 'PS-M1-01', '--wait', '1m'];
      const run = startHapspec(args);
      await run.said('1 planned');
      const accessory = startHapspec(['accessory', '--port', String(port), '--code', CODE]);
      const { code, stderr } = await run.ended;
      accessory.process.kill('SIGTERM');
      expect(stderr).to.equal('');
      expect(code).to.equal(0);
    });

    it('ends with 3 when nothing answers in time', async () => {
      const args = ['run', `127.0.0.1:${await deadPort()}`, '--code', CODE, '--only', 'PS-M1-01'];
      const { code, stderr } = await hapspecLine([...args, '--wait', '300ms']);
      expect(code).to.equal(3);
      expect(stderr).to.include('nothing answered within the 0.3 s of --wait');
    });
  });

  it('the reference accessory can be any benign variant it lists', async () => {
    const child = startHapspec(['accessory', '--port', '0', '--fault', 'without-transient']);
    await child.said('127.0.0.1:');
    const port = /127\.0\.0\.1:(\d+)/.exec(child.output())![1]!;
    const { code } = await hapspec(['run', `127.0.0.1:${port}`, '--code', CODE, '--only', 'PS-M1-01']);
    child.process.kill('SIGTERM');
    expect(code).to.equal(0);
    const unknown = await hapspecLine(['accessory', '--fault', 'without-transiens']);
    expect(unknown.stderr).to.include('without-transient');
  });
});
