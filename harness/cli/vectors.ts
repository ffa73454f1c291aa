import { closeSync, fstatSync, openSync, readSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InputError } from '../protocol/index.js';
import { oneLine, whyUnreadable, writeAtomically } from '../report/index.js';
import {
  MAX_FILE,
  MAX_RECORDING,
  NoVectors,
  type VectorFile,
  cHeader,
  fromRecording,
  generateAll,
  lintFile,
  parseVectors,
  serialise,
  verifyFile,
} from '../vectors/index.js';

/** The vectors that came with this package. */
const shipped = fileURLToPath(new URL('../../../vectors/', import.meta.url));

function shippedFiles(): string[] {
  const names = readdirSync(shipped).filter((name) => name.endsWith('.json'));
  return names.sort().map((name) => join(shipped, name));
}

/** @throws InputError naming the file and why it cannot be read; a file that never ends is cut off, not waited for. */
function readBounded(path: string, most: number): string {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, 'r');
    if (fstatSync(descriptor).isDirectory())
      throw new InputError(`${path} is a folder; name the files in it`);
    const parts: Buffer[] = [];
    let size = 0;
    for (;;) {
      const part = Buffer.alloc(64 * 1024);
      const count = readSync(descriptor, part);
      if (count === 0) return Buffer.concat(parts).toString('utf8');
      size += count;
      if (size > most) throw new InputError(`${path} is longer than ${most / 1024 / 1024} MiB`);
      parts.push(part.subarray(0, count));
    }
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(`cannot read ${path}: ${whyUnreadable(error)}`);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** @throws InputError naming the file when it is none of vectors. */
function load(path: string): VectorFile {
  try {
    return parseVectors(readBounded(path, MAX_FILE));
  } catch (error) {
    if (error instanceof NoVectors) throw new InputError(`${path}: ${oneLine(error.message, 200)}`);
    throw error;
  }
}

const nameOf = (path: string): string => (path.startsWith(shipped) ? relative(shipped, path) : path);

function show(
  path: string,
  { tcId, field, what }: { tcId: number | undefined; field: string; what: string },
): void {
  const where = tcId === undefined ? '' : ` tcId ${tcId}`;
  console.log(oneLine(`${nameOf(path)}${where} ${field}: ${what}`, 300));
}

/** Looks at each file; 1 when something does not hold, 0 otherwise. */
function examine(
  paths: readonly string[],
  look: (file: VectorFile) => ReturnType<typeof lintFile>,
  done: string,
): number {
  const chosen = paths.length > 0 ? paths : shippedFiles();
  // All files are read before the first is judged: a mistyped name is a usage error, whatever the others hold.
  const files = chosen.map((path) => ({ path, file: load(path) }));
  let wrong = 0;
  let cases = 0;
  for (const { path, file } of files) {
    const found = look(file);
    for (const mismatch of found) show(path, mismatch);
    wrong += found.length;
    cases += Number(file.numberOfTests) || 0;
  }
  if (wrong === 0)
    console.log(`${cases} cases in ${files.length} ${files.length === 1 ? 'file' : 'files'}: ${done}`);
  else console.log(`${wrong} ${wrong === 1 ? 'claim does' : 'claims do'} not hold`);
  return wrong === 0 ? 0 : 1;
}

/** `hapspec vectors verify`: 0 when every claim holds, 1 when one does not. */
export function vectorsVerifyCommand(paths: readonly string[]): number {
  return examine(paths, verifyFile, 'every claim holds');
}

/** `hapspec vectors lint`: heads, ids, counts, order, flags. */
export function vectorsLintCommand(paths: readonly string[]): number {
  return examine(paths, lintFile, 'well-formed');
}

export interface GenerateFlags {
  readonly seed: string;
  readonly out: string;
}

/** `hapspec vectors generate`: writes every file and its schema. */
export function vectorsGenerateCommand({ seed, out }: GenerateFlags): number {
  if (!/^[\x21-\x7e]{1,64}$/.test(seed))
    throw new InputError('--seed: expected 1 to 64 printable characters');
  const files = generateAll(seed);
  for (const [name, content] of files) writeAtomically(join(out, name), content);
  console.log(`wrote ${files.size} files to ${out}`);
  return 0;
}

export interface ExportFlags {
  readonly format: string;
  readonly out?: string;
}

function deliver(content: string, out: string | undefined): number {
  if (out === undefined) process.stdout.write(content);
  else writeAtomically(out, content);
  return 0;
}

/** `hapspec vectors export`: a header for firmware. Files that do not hold are not exported. */
export function vectorsExportCommand(paths: readonly string[], { format, out }: ExportFlags): number {
  if (format !== 'c') throw new InputError(`--format ${format}: only c is known`);
  const chosen = paths.length > 0 ? paths : shippedFiles();
  const files = chosen.map((path) => {
    const file = load(path);
    const [first] = verifyFile(file);
    if (first === undefined) return file;
    show(path, first);
    throw new InputError(`${path} does not hold, see "hapspec vectors verify"; nothing was exported`);
  });
  return deliver(cHeader(files), out);
}

/** `hapspec vectors from-evidence`: a recorded exchange as vectors. */
export function vectorsFromEvidenceCommand(path: string, { out }: { readonly out?: string }): number {
  try {
    return deliver(serialise(fromRecording(readBounded(path, MAX_RECORDING))), out);
  } catch (error) {
    if (error instanceof InputError && !error.message.includes(path))
      throw new InputError(`${path}: ${error.message}`);
    throw error;
  }
}
