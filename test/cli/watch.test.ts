import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { filesOf, redOf } from '../../harness/cli/watch.js';
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
    const options = ['--code', '031-45-154', '--only', 'PS-M3-04', '--only', 'PS-M1-01'];
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
    const seedOf = (output: string): string | undefined => /, seed (\d+), /.exec(output)?.[1];
    // What does not start is no answer.
    const broken = child.output().length;
    writeFileSync(at('lamp.cjs'), 'no build');
    await child.said('PS-M3-04 runs again when it changes', broken);
    expect(child.output().slice(broken)).to.include('--launch ended with code 1');
    const from = child.output().length;
    build(port);
    await child.said('everything runs again when it changes', from);
    const second = child.output().slice(from);
    expect(second)
      .to.match(/✓ pass +PS-M3-04/)
      .and.include('1 planned')
      .and.not.include('PS-M1-01');
    expect(seedOf(second)).to.equal(seedOf(first!));
    const then = child.output().length;
    build(port, '--seed', '2');
    await child.said('everything runs again when it changes', then);
    const third = child.output().slice(then);
    expect(seedOf(third)).to.be.a('string').and.not.equal(seedOf(second));
    expect(third)
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

  it('does not watch what the accessory writes itself, and ends when nobody reads on', async () => {
    const port = Number(await deadPort());
    writeFileSync(at('flash.img'), '');
    build(port, '--fault', 'accepts-any-proof');
    const script = readFileSync(at('lamp.cjs'), 'utf8');
    writeFileSync(
      at('lamp.cjs'),
      `require('node:fs').appendFileSync(process.argv[2], String(Date.now()));${script}`,
    );
    const child = start(
      bin,
      [
        ...['run', `127.0.0.1:${port}`, '--code', '031-45-154', '--only', 'PS-M3-04', '--watch', '--launch'],
        `'${process.execPath}' '${at('lamp.cjs')}' '${at('flash.img')}'`,
      ],
      { HAPSPEC_STATE: at('keys') },
    );
    await child.said('runs again when it changes');
    expect(child.output())
      .to.include("flash.img' does it all the same")
      .and.include(`\nwatching ${process.execPath}, ${at('lamp.cjs')}: `);
    child.process.stdout!.destroy();
    build(port);
    // Its first line has no reader: it leaves the accessory as it was found, and ends.
    expect((await child.ended).code).to.equal(5);
  });

  it('runs warnings again that --strict makes red, and the red of a shard though it was shared out', async () => {
    writeFileSync(at('image.bin'), '1');
    const child = start(bin, [
      ...[
        'run',
        'embedded:strict-400',
        '--seed',
        '1',
        '--strict',
        '--only',
        'PS-M3-04',
        '--only',
        'PS-M3-05',
      ],
      ...['--shard', '1/2', '--watch', '--watch-path', at('image.bin')],
    ]);
    await child.said('again when it changes');
    const [, id] = /: (PS-M3-0[45]) runs again/.exec(child.output()) ?? [];
    expect(id, child.output()).to.be.a('string');
    const from = child.output().length;
    writeFileSync(at('image.bin'), '22');
    await child.said(`: ${id} runs again`, from);
    expect(child.output().slice(from)).to.include('1 planned');
    child.process.kill('SIGINT');
    expect((await child.ended).code).to.equal(1);
  });

  it('runs everything again where what was red is no check that could be asked for alone', () => {
    const results = [
      { id: 'sanity/last', status: 'error' },
      { id: 'PS-M3-04', status: 'warn' },
    ];
    writeFileSync(at('report.json'), JSON.stringify({ results }));
    expect(redOf(at('report.json'))).to.deep.equal([]);
    writeFileSync(at('report.json'), JSON.stringify({ strict: true, results }));
    expect(redOf(at('report.json'))).to.deep.equal(['PS-M3-04']);
    expect(redOf(at('none.json'))).to.deep.equal([]);
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
