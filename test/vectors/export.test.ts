import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type VectorFile, cHeader, generatedKinds, groupShapes } from '../../harness/vectors/index.js';
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

  const strict = ['-std=c99', '-pedantic', '-Wall', '-Wextra', '-Werror'];

  /** `check.c` run over the header of these files, of which the tables have this name. */
  function compileAndRun(
    files: readonly VectorFile[],
    name = 'hapspec',
  ): { code: number | null; out: string } {
    writeFileSync(join(folder, 'hapspec_vectors.h'), cHeader(files));
    const program = join(folder, 'check');
    const own =
      name === 'hapspec'
        ? []
        : [`-Dhapspec_cases=${name}_cases`, `-DHAPSPEC_CASE_COUNT=${name.toUpperCase()}_CASE_COUNT`];
    const flags = [...strict, ...own, '-O1', '-I', folder];
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
    const { code, out } = compileAndRun(
      [{ ...file, testGroups: [{ ...group!, tests: [wrong, ...rest] }, ...others] }],
      'hapspec_hkdf',
    );
    expect(out).to.include('hkdf HkdfLabel 1: key');
    expect(code).to.equal(1);
  });

  it('headers of some kinds and of all fit into one program, and one may be included twice', () => {
    const headers = {
      'hkdf.h': [vectors('hkdf')],
      'mfi.h': [vectors('mfi-m4'), vectors('transient')],
      'all.h': generatedKinds.map(vectors),
    };
    for (const [name, files] of Object.entries(headers)) writeFileSync(join(folder, name), cHeader(files));
    const includes = [...Object.keys(headers), ...Object.keys(headers)].map((name) => `#include "${name}"`);
    const main = `int main(void) { return HAPSPEC_HKDF_CASE_COUNT + HAPSPEC_MFI_M4_TRANSIENT_CASE_COUNT < HAPSPEC_CASE_COUNT
      && hapspec_field(&hapspec_hkdf_cases[0], "key") && hapspec_field(&hapspec_mfi_m4_transient_cases[0], "M1")
      && hapspec_field(&hapspec_cases[0], "encoded") ? 0 : 1; }`;
    writeFileSync(join(folder, 'several.c'), [...includes, main, ''].join('\n'));
    const program = join(folder, 'several');
    const built = spawnSync('gcc', [...strict, '-o', program, join(folder, 'several.c')], {
      encoding: 'utf8',
    });
    expect(built.stderr).to.equal('');
    expect(spawnSync(program).status).to.equal(0);
  });

  it('no case has two fields of one name', () => {
    for (const [type, { group, test }] of Object.entries(groupShapes)) {
      const names = [...Object.keys(group), ...Object.keys(test)].map((name) => name.replace('?', ''));
      expect(names, type).to.deep.equal([...new Set(names)]);
    }
    // Nor would one be written: the second would never be found.
    const file = vectors('transient');
    const [group, ...others] = file.testGroups;
    const same = { ...file, testGroups: [{ ...group!, salt: 'Control-Salt' }, ...others] };
    expect(() => cHeader([same])).to.throw('two fields have the name salt');
  });
});
