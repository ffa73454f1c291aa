import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { endChildren, hapspec, startHapspec } from '../cli/process.js';

const CODE = '031-45-154';

describe('diagnosis: of a device', () => {
  let folder: string;
  before(() => (folder = mkdtempSync(join(tmpdir(), 'hapspec-diagnose-'))));
  after(() => {
    endChildren();
    rmSync(folder, { recursive: true, force: true });
  });

  it('tries what a run does not spend failed attempts on', async () => {
    const served = startHapspec([
      'accessory',
      '--port',
      '0',
      '--seed',
      '1',
      '--fault',
      'srp-user-in-lower-case',
    ]);
    await served.said('\n');
    const target = `127.0.0.1:${/:(\d+)/.exec(served.output())![1]!}`;
    const told = ['--code', CODE, '--seed', '1', '--state', join(folder, 'state')];
    const run = await hapspec(['run', target, ...told, '--only', 'PS-M3-01']);
    expect(run.code).to.equal(1);
    expect(run.stdout).to.include('wrong setup code, or SRP differs').and.include('; 3 attempts');
    const search = await hapspec(['diagnose', target, ...told, '--checks', '4']);
    expect(search.code, search.stderr).to.equal(1);
    expect(search.stdout)
      .to.include('only for the SRP user name pair-setup')
      .and.include('(srp-user-in-lower-case)');
  });
});
