import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { bin, endChildren, hapspecLine, hapspecLines, start } from './process.js';

describe('hapspec: receivers of AirPlay', function () {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'hapspec-airplay-'))));
  afterEach(() => {
    endChildren();
    rmSync(folder, { recursive: true });
  });

  /** A receiver of another process. @returns its TARGET. */
  async function receiver(...options: readonly string[]): Promise<string> {
    const child = start(bin, ['accessory', '--airplay', '--port', '0', '--seed', '1', ...options]);
    await child.said('receiver ');
    return `airplay://127.0.0.1:${/listening on 127\.0\.0\.1:(\d+)/.exec(child.output())![1]!}`;
  }
  const only = (...patterns: readonly string[]): string[] =>
    patterns.flatMap((pattern) => ['--only', pattern]);

  for (const line of ['rtsp', 'http'])
    it(`are tested over ${line}, with the default code`, async () => {
      const target = await receiver();
      const ran = await hapspecLine([
        'run',
        target,
        '--start-line',
        line,
        ...only('TRANSIENT-0*', 'AIRPLAY-0*'),
      ]);
      expect(ran.code, ran.stdout + ran.stderr).to.equal(0);
      expect(ran.stdout).to.include('✓ pass  TRANSIENT-02').and.to.include('✓ pass  AIRPLAY-05');
    });

  it('with a PIN are paired by it, and owe no transient setup', async () => {
    const target = await receiver('--pin', '1357');
    const flow = only('PS-M*-01', 'PV-M*-01', 'TRANSIENT-02');
    const ran = await hapspecLine(['run', target, '--code', '1357', ...flow]);
    expect(ran.code, ran.stdout + ran.stderr).to.equal(0);
    expect(ran.stdout)
      .to.include('✓ pass  PS-M5-01')
      .and.to.match(/skip {2}TRANSIENT-02 .*never declared/);
    const wrong = await hapspecLine(['run', target, '--code', '2468', ...flow]);
    expect(wrong.code).to.equal(1);
  });

  it('with a coprocessor show a certificate that chains to the anchor given, and to no other', async () => {
    const anchor = join(folder, 'root.pem');
    const target = await receiver('--mfi', '--mfi-root', anchor);
    expect(readFileSync(anchor, 'utf8')).to.include('BEGIN CERTIFICATE');
    const wanted = ['--declares', 'mfi', '--declares', 'transient', ...only('MFI-*', 'PS-M1-11')];
    const ran = await hapspecLine(['run', target, '--mfi-root', anchor, ...wanted]);
    expect(ran.code, ran.stdout + ran.stderr).to.equal(0);
    expect(ran.stdout).to.include('✓ pass  MFI-07').and.to.include('✓ pass  MFI-09');
    const other = join(folder, 'other.pem');
    await receiver('--mfi', '--mfi-root', other);
    const foreign = await hapspecLine(['run', target, '--mfi-root', other, ...wanted]);
    expect(foreign.code).to.equal(1);
    expect(foreign.stdout).to.match(/FAIL.*MFI-07/i);
  });

  it('are paired, listed and unpaired', async () => {
    const target = await receiver();
    const state = ['--state', join(folder, 'state')];
    const paired = await hapspecLine(['pair', target, ...state]);
    expect(paired.code, paired.stderr).to.equal(0);
    const listed = await hapspecLine(['pairings', target, '--json', ...state]);
    expect(listed.code, listed.stderr).to.equal(0);
    const list = JSON.parse(listed.stdout) as { id: string; permissions: number }[];
    expect(list.map(({ permissions }) => permissions)).to.deep.equal([1]);
    expect(paired.stdout).to.include(` as ${list[0]!.id};`);
    const lines = await hapspecLine(['pairings', target, ...state]);
    expect(lines.stdout).to.match(/^[0-9A-F-]{36} +admin [0-9a-f]{64}\n$/);
    const removed = await hapspecLine(['unpair', target, ...state]);
    expect([removed.code, removed.stdout.trim()]).to.deep.equal([
      0,
      'removed 1 pairing: the accessory is unpaired',
    ]);
  });

  it('that refuse to remove a pairing: its key is kept, and that is said', async () => {
    const target = await receiver('--fault', 'receiver-self-removal-refused');
    const state = ['--state', join(folder, 'state')];
    expect((await hapspecLine(['pair', target, ...state])).code).to.equal(0);
    for (const time of ['first', 'second']) {
      const refused = await hapspecLine(['unpair', target, ...state]);
      expect(refused.code, time).to.equal(1);
      expect(refused.stderr, time)
        .to.include('nothing removed: the accessory may still hold pairings of hapspec: 1 key is kept')
        .and.to.include('Error=2');
      expect((await hapspecLine(['pairings', target, ...state])).stdout, time).to.include(' admin ');
    }
  });

  it('say what is wrong with the options', async () => {
    const rows = [
      [['accessory', '--pin', '1234'], '--pin: only a receiver has one: give --airplay too'],
      [['accessory', '--airplay', '--pin', '12'], '--pin: expected 4 digits'],
      [['accessory', '--airplay', '--code', '031-45-154'], '--code: a receiver has a PIN or a password'],
      [['accessory', '--fault', 'receiver-drops-cseq'], 'give --airplay too'],
      [['accessory', '--fault', 'mfi-signs-k'], 'give --mfi too'],
      [
        ['run', 'airplay://127.0.0.1:1', '--start-line', 'ftp'],
        '--start-line: expected rtsp or http, got "ftp"',
      ],
      [['run', '--declares', 'magic'], '--declares: expected transient, mfi or router, got "magic"'],
      [['run', '--mfi-root', join(folder, 'none.pem')], '--mfi-root: cannot read'],
    ] as const;
    const all = await hapspecLines(rows.map(([args]) => args));
    for (const [i, [args, message]] of rows.entries()) {
      const ended = all[i]!;
      expect(ended.code, args.join(' ')).to.equal(2);
      expect(ended.stderr).to.include(message);
    }
  });
});
