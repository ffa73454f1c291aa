import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type VectorFile, cHeader, generatedKinds } from '../../harness/vectors/index.js';
import { root, vectors } from './folder.js';

const noCompiler = spawnSync('gcc', ['--version']).status !== 0;

describe('test vectors: the C header', function () {
  this.timeout(120_000);
  let folder: string;
  before(function () {
    if (noCompiler && process.env['CI'] === 'true')
      throw new Error('gcc is missing, and CI=true: install a C compiler');
    if (noCompiler) {
      console.log('      skipped: no gcc here to compile the exported header with');
      this.skip();
    }
    folder = mkdtempSync(join(tmpdir(), 'hapspec-c-'));
  });
  after(() => {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  function compileAndRun(files: readonly VectorFile[]): { code: number | null; out: string } {
    writeFileSync(join(folder, 'hapspec_vectors.h'), cHeader(files));
    const program = join(folder, 'check');
    const flags = ['-std=c99', '-pedantic', '-Wall', '-Wextra', '-Werror', '-O1', '-I', folder];
    const built = spawnSync('gcc', [...flags, '-o', program, `${root}test/vectors/check.c`], {
      encoding: 'utf8',
    });
    expect(built.stderr).to.equal('');
    expect(built.status).to.equal(0);
    const { status, stdout } = spawnSync(program, { encoding: 'utf8' });
    return { code: status, out: stdout };
  }

  it('compiles without a warning, and a program in C finds every key, item and size right', () => {
    const { code, out } = compileAndRun(generatedKinds.map(vectors));
    expect(out).to.match(/^\d+ cases, \d{4,} checks, 0 mistakes\n$/);
    expect(code).to.equal(0);
  });

  it('the program finds what is wrong in a header', () => {
    const file = vectors('hkdf');
    const [group, ...others] = file.testGroups;
    const [test, ...rest] = group!.tests;
    const wrong = { ...test!, key: 'ff'.repeat(32) };
    const { code, out } = compileAndRun([
      { ...file, testGroups: [{ ...group!, tests: [wrong, ...rest] }, ...others] },
    ]);
    expect(out).to.include('hkdf HkdfLabel 1: key');
    expect(code).to.equal(1);
  });
});
