import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  type Format,
  formatOf,
  formats,
  readFiles,
  writeFiles,
  writeStore,
} from '../../harness/clone/index.js';
import { InputError, hex, memoiseArithmetic } from '../../harness/protocol/index.js';
import { fixture } from './fixture.js';

/** Calls that change the disk. */
const WRITES = [
  'mkdirSync',
  'mkdtempSync',
  'openSync',
  'writeFileSync',
  'writeSync',
  'fsyncSync',
  'renameSync',
  'rmdirSync',
  'rmSync',
] as const;

class Killed extends Error {}

/**
 * The disk as a kill leaves it: call `at` that changes it is not made, or only half of what it writes is, and neither is
 * any behind it. @returns how many there were, when all were made
 */
function killedAt(at: number, half: boolean, run: () => void): number {
  const patched = fs as unknown as Record<string, (...args: unknown[]) => unknown>;
  const real = WRITES.map((name) => [name, patched[name]!] as const);
  let calls = 0;
  for (const [name, call] of real)
    patched[name] = (...args: unknown[]) => {
      if (calls++ < at) return call(...args);
      const content = args[1];
      if (half && calls === at + 1 && name === 'writeFileSync' && content instanceof Uint8Array)
        call(args[0], content.subarray(0, content.length >> 1), ...args.slice(2));
      throw new Killed();
    };
  syncBuiltinESMExports();
  try {
    run();
  } finally {
    for (const [name, call] of real) patched[name] = call;
    syncBuiltinESMExports();
  }
  return calls;
}

describe('clone: what is written', () => {
  let folder: string;
  before(() => memoiseArithmetic(true));
  after(() => memoiseArithmetic(false));
  beforeEach(() => (folder = fs.mkdtempSync(join(tmpdir(), 'hapspec-clone-'))));
  afterEach(() => fs.rmSync(folder, { recursive: true }));

  const contentOf = (path: string): unknown =>
    fs.existsSync(path)
      ? [...readFiles(path)].map(([name, content]) => `${name} ${hex(content)}`).sort()
      : 'nothing';
  const modeOf = (path: string): number => fs.statSync(path).mode & 0o777;

  it('is for its owner alone', () => {
    for (const format of formats) {
      const out = join(folder, format.name);
      writeFiles(format, writeStore(format, fixture), out);
      const all = fs.statSync(out).isDirectory()
        ? fs.readdirSync(out, { recursive: true }).map((name) => join(out, String(name)))
        : [];
      for (const path of [out, ...all])
        expect(modeOf(path), path).to.equal(fs.statSync(path).isDirectory() ? 0o700 : 0o600);
    }
  });

  for (const [name, replace] of [
    ['homespan', true],
    ['hap-python', false],
    ['homekit-adk', false],
    ['hap-rs', false],
  ] as const)
    it(`${name}: killed at each write, there is the old state or the new, and the next attempt succeeds`, () => {
      const format: Format = formatOf(name, '--to');
      const files = writeStore(format, fixture);
      const made = join(folder, 'made');
      writeFiles(format, files, made);
      // The name of a single file is the user's.
      const whole = JSON.stringify(contentOf(made)).replace('"made ', '"out ');
      const out = join(folder, 'out');
      const old = replace ? 'what was there' : undefined;
      let kills = 0;
      for (let at = 0; ; at++) {
        let finished = false;
        for (const half of [false, true]) {
          fs.rmSync(out, { recursive: true, force: true });
          if (old !== undefined) fs.writeFileSync(out, old);
          const before = JSON.stringify(contentOf(out));
          try {
            killedAt(at, half, () => writeFiles(format, files, out, replace));
            finished = true;
          } catch (error) {
            expect(error instanceof Killed || error instanceof InputError).to.equal(true);
            kills++;
          }
          const after = JSON.stringify(contentOf(out));
          // Behind the last rename all that is left to do is to make it last.
          const empty = after === '[]' && old === undefined;
          expect([before, whole].includes(after) || empty, `kill at ${at}: ${after}`).to.equal(true);
          if (after !== whole) writeFiles(format, files, out, replace);
          expect(JSON.stringify(contentOf(out)), `after the kill at ${at}`).to.equal(whole);
          expect(fs.readdirSync(folder).sort(), 'what is left beside it').to.deep.equal(['made', 'out']);
        }
        if (finished) break;
      }
      expect(kills).to.be.greaterThan(5);
    });

  it('overwrites nothing that was there', () => {
    for (const name of ['homespan', 'hap-nodejs']) {
      const format = formatOf(name, '--to');
      const files = writeStore(format, fixture);
      const out = join(folder, name);
      writeFiles(format, files, out);
      const before = contentOf(out);
      expect(() => writeFiles(format, files, out)).to.throw(InputError, /there (is a file|are files)/);
      expect(contentOf(out)).to.deep.equal(before);
    }
  });

  it('a folder that is there and empty is filled', () => {
    const format = formatOf('brutella', '--to');
    const out = join(folder, 'empty');
    fs.mkdirSync(out);
    writeFiles(format, writeStore(format, fixture), out);
    expect(contentOf(out)).to.have.length(4);
  });
});
