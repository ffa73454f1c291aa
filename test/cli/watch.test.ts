import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { filesOf } from '../../harness/cli/watch.js';
import { bin, deadPort, endChildren, hapspecLine, start } from './process.js';

describe('hapspec run --watch', function () {
  this.timeout(120_000);
  let folder: string;
  const at = (name: string): string => join(folder, name);
  before(() => (folder = mkdtempSync(join(tmpdir(), 'hapspec-watching-'))));
  after(() => {
    endChildren();
    rmSync(folder, { recursive: true, force: true });
  });

  /** A build of the accessory: a script that serves it, with a mistake or none. */
  function build(port: number, ...options: readonly string[]): void {
    const args = JSON.stringify([bin, 'accessory', '--port', String(port), '--seed', '1', ...options]);
    writeFileSync(
      at('lamp.cjs'),
      `require('node:child_process').spawn(process.execPath, ${args}, { stdio: 'inherit' });`,
    );
  }

  it('runs what was red again when the build changes, then everything, until it is told to end', async () => {
    const port = Number(await deadPort());
    build(port, '--fault', 'accepts-any-proof');
    const options = ['--code', '031-45-154', '--seed', '1', '--only', 'PS-M3-04', '--only', 'PS-M1-01'];
    const child = start(
      bin,
      [
        'run',
        `127.0.0.1:${port}`,
        ...options,
        '--watch',
        '--launch',
        `'${process.execPath}' '${at('lamp.cjs')}'`,
      ],
      { HAPSPEC_STATE: at('state') },
    );
    await child.said('PS-M3-04 runs again when it changes');
    const [first] = child.output().split('\nwatching ');
    expect(first)
      .to.match(/✗ FAIL +PS-M3-04/)
      .and.include('the accessory is unpaired, as it was found');
    const from = child.output().length;
    build(port);
    await child.said('everything runs again when it changes', from);
    const second = child.output().slice(from);
    expect(second)
      .to.match(/✓ pass +PS-M3-04/)
      .and.include('1 planned')
      .and.not.include('PS-M1-01');
    const then = child.output().length;
    build(port, '--seed', '2');
    await child.said('everything runs again when it changes', then);
    expect(child.output().slice(then))
      .to.include('2 planned')
      .and.match(/✓ pass +PS-M1-01/);
    child.process.kill('SIGINT');
    expect((await child.ended).code).to.equal(0);
  });

  it('ends a run that goes on when it is told to end, and leaves the accessory as it was found', async () => {
    const port = Number(await deadPort());
    build(port);
    const child = start(
      bin,
      [
        'run',
        `127.0.0.1:${port}`,
        '--code',
        '031-45-154',
        '--watch',
        '--launch',
        `'${process.execPath}' '${at('lamp.cjs')}'`,
      ],
      { HAPSPEC_STATE: at('state') },
    );
    await child.said('✓ pass');
    child.process.kill('SIGTERM');
    const { code, stdout } = await child.ended;
    expect(code).to.equal(5);
    expect(stdout).to.include('as it was found').and.not.include('runs again');
  });

  it('watches the files that the command names, and says when there are none', async () => {
    build(1);
    writeFileSync(at('image.bin'), '');
    expect(
      filesOf(`env A=1 node "${at('lamp.cjs')}" --image=${at('image.bin')} ${at('image.bin')} ./none`),
    ).to.deep.equal([at('lamp.cjs'), at('image.bin')]);
    const none = await hapspecLine(['run', '127.0.0.1:1', '--watch', '--launch', 'lamp --port 1']);
    expect(none.code).to.equal(2);
    expect(none.stderr).to.include('--watch: which file?').and.include('--watch-path FILE');
    const missing = await hapspecLine(['run', '127.0.0.1:1', '--watch', '--watch-path', at('nothing')]);
    expect(missing.stderr).to.include('there is no such file');
    const once = await hapspecLine(['run', 'embedded', '--watch', '--dry-run']);
    expect(once.stderr).to.include('--dry-run: that is done once: leave --watch out');
  });
});
