import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { InputError } from '../../harness/protocol/index.js';
import { makeFolder, writeAtomically } from '../../harness/report/index.js';

describe('writing a file whole', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hapspec-report-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('makes parent folders and leaves nothing else behind', () => {
    const path = join(folder, 'a', 'b', 'junit.xml');
    writeAtomically(path, 'first ✓');
    writeAtomically(path, 'second ✓');
    expect(readFileSync(path, 'utf8')).to.equal('second ✓');
    expect(readdirSync(join(folder, 'a', 'b'))).to.deep.equal(['junit.xml']);
  });

  it('writes bytes as they are', () => {
    const path = join(folder, 'bytes');
    writeAtomically(path, Uint8Array.of(0, 255, 10));
    expect([...readFileSync(path)]).to.deep.equal([0, 255, 10]);
  });

  it('writes through a symbolic link instead of replacing it', () => {
    writeFileSync(join(folder, 'real'), 'old');
    symlinkSync('real', join(folder, 'link'));
    writeAtomically(join(folder, 'link'), 'new');
    expect(readFileSync(join(folder, 'real'), 'utf8')).to.equal('new');
  });

  it('never shows a half-written file to a reader that had it open', () => {
    const path = join(folder, 'report');
    writeAtomically(path, 'x'.repeat(1000));
    const before = readFileSync(path, 'utf8');
    writeAtomically(path, 'y');
    expect(before).to.have.length(1000);
    expect(readFileSync(path, 'utf8')).to.equal('y');
  });

  it('names path and fix when the path is a folder', () => {
    expect(() => writeAtomically(folder, 'x'))
      .to.throw(InputError, folder)
      .with.property('message')
      .that.contains('folder');
    expect(readdirSync(folder)).to.deep.equal([]);
  });

  it('names path and fix when a part of the path is a file', () => {
    writeFileSync(join(folder, 'file'), '');
    const path = join(folder, 'file', 'deeper', 'junit.xml');
    expect(() => writeAtomically(path, 'x')).to.throw(InputError, path);
  });

  it('names path and fix, and does not go round for ever, where no folder can be made', function () {
    if (process.platform !== 'linux') this.skip();
    const path = '/proc/hapspec/report.xml';
    expect(() => writeAtomically(path, 'x')).to.throw(
      InputError,
      `cannot write ${path}: no folder can be made`,
    );
    expect(() => makeFolder('/proc/hapspec')).to.throw(InputError, 'no folder can be made');
  });

  it('refuses what is no ordinary file', () => {
    expect(() => writeAtomically('/dev/null', 'x')).to.throw(InputError, '/dev/null');
  });

  it('names path and fix when it may not write', function () {
    // Root may write anywhere, so there is nothing to see.
    if (process.getuid?.() === 0) this.skip();
    const closed = join(folder, 'closed');
    mkdirSync(closed);
    chmodSync(closed, 0o500);
    const path = join(closed, 'junit.xml');
    expect(() => writeAtomically(path, 'x')).to.throw(InputError, path);
  });
});
