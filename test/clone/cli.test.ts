import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { hex } from '../../harness/protocol/index.js';
import { bin, hapspec, hapspecLine, start } from '../cli/process.js';
import { fixture, log, strings } from './fixture.js';

describe('hapspec clone', () => {
  let folder: string;
  let serial: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hapspec-clone-'));
    serial = join(folder, 'serial.log');
    writeFileSync(serial, log);
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('convert writes a folder, says what comes next and what is lost, and no secret', async () => {
    const out = join(folder, 'persist');
    const line = ['clone', 'convert', '--from', 'homespan', '--to', 'hap-nodejs', serial, '--out', out];
    const ended = await hapspecLine(line);
    expect(ended.code, ended.stderr).to.equal(0);
    expect(readdirSync(out)).to.deep.equal(['AccessoryInfo.AABBCCDDEEFF.json']);
    expect(ended.stdout).to.contain('with 1 controller as hap-nodejs').and.contain('the folder persist');
    expect(ended.stderr).to.contain('automations may point elsewhere');
    const said = ended.stdout + ended.stderr;
    expect(said).to.not.contain(hex(fixture.ltsk!)).and.not.contain(strings.accessory.slice(20, 60));
  });

  it('export, import and show go by way of the snapshot; - is standard input', async () => {
    const snapshot = join(folder, 'snapshot.json');
    const exported = await start(
      bin,
      ['clone', 'export', '--from', 'homespan', '-', '--out', snapshot],
      {},
      log,
    ).ended;
    expect(exported.code, exported.stderr).to.equal(0);
    const shown = await hapspecLine(['clone', 'show', snapshot]);
    expect(shown.stdout)
      .to.contain('device id   AA:BB:CC:DD:EE:FF')
      .and.contain(hex(fixture.ltpk))
      .and.contain('in it, and never shown')
      .and.not.contain(hex(fixture.ltsk!));
    const back = join(folder, 'back.txt');
    const imported = await hapspecLine(['clone', 'import', '--to', 'homespan', snapshot, '--out', back]);
    expect(imported.code, imported.stderr).to.equal(0);
    expect(readFileSync(back, 'utf8')).to.equal(log);
  });

  it('a format nobody knows lists those that are known', async () => {
    const ended = await hapspecLine(['clone', 'show', '--from', 'homespam', serial]);
    expect(ended.code).to.equal(2);
    expect(ended.stderr).to.match(/^hapspec: --from homespam: there is no such format/);
    expect(ended.stderr).to.contain('  homespan ').and.contain('  hap-nodejs ');
  });

  it('bad input: exit 2, the first line names what is wrong and where, and nothing is written or changed', async () => {
    const bad = join(folder, 'bad.log');
    writeFileSync(bad, log.replace(strings.accessory, strings.controller));
    const there = join(folder, 'there.txt');
    writeFileSync(there, 'as it was');
    const outs = ['new-folder', 'new.json'].map((name) => join(folder, name));
    const lines = [
      ['convert', '--from', 'homespan', '--to', 'hap-nodejs', bad, '--out', outs[0]!],
      ['export', '--from', 'homespan', bad, '--out', outs[1]!],
      ['convert', '--from', 'homespan', '--to', 'homespan', bad, '--out', there, '--replace'],
    ];
    for (const line of lines) {
      const ended = await hapspecLine(['clone', ...line]);
      expect(ended.code, line.join(' ')).to.equal(2);
      expect(ended.stderr.split('\n')[0]).to.equal(
        `hapspec: ${bad}: homespan: line 3: the record of a controller stands where that of the accessory is due`,
      );
    }
    expect(readdirSync(folder).sort()).to.deep.equal(['bad.log', 'serial.log', 'there.txt']);
    expect(readFileSync(there, 'utf8')).to.equal('as it was');
  });

  it('says what is missing: the output, the input, the device id, the right kind of place', async () => {
    mkdirSync(join(folder, 'full'));
    writeFileSync(join(folder, 'full', 'file'), '');
    const convert = ['clone', 'convert', '--from', 'homespan'];
    const cases: readonly (readonly [readonly string[], RegExp])[] = [
      [[...convert, '--to', 'hap-python', serial], /--out: a secret key is never shown/],
      [
        [...convert, '--to', 'hap-python', serial, '--out', serial],
        /keys in it would be lost: give --replace/,
      ],
      [[...convert, '--to', 'brutella', serial, '--out', join(folder, 'full')], /there are files in it/],
      [[...convert, '--to', 'brutella', serial], /--out: brutella is a folder/],
      [
        [...convert, '--to', 'homespan', join(folder, 'none'), '--out', join(folder, 'x')],
        /there is no such file/,
      ],
      [[...convert, serial, '--out', join(folder, 'x')], /--to: name the format/],
      [['clone', 'show', '--from', 'openhap', folder], /give it with --device-id/],
      [['clone', 'show', '--from', 'homespan', '--device-id', 'AA:BB:CC:DD:EE:FF', serial], /leave it out/],
    ];
    for (const [line, words] of cases) {
      const ended = await hapspecLine(line);
      expect(ended.code, line.join(' ')).to.equal(2);
      expect(ended.stderr, line.join(' ')).to.match(words);
    }
    expect((await hapspec(['clone', '--help'])).stdout).to.contain('convert');
  });
});
