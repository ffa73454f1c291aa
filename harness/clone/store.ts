import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  rmdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { type Bytes, InputError } from '../protocol/index.js';
import { whyUnreadable, writeAtomically } from '../report/index.js';
import { readStore } from './convert.js';
import type { Files, Format } from './formats/format.js';
import { formatOf } from './formats/index.js';
import type { Snapshot } from './snapshot.js';

/** Larger files, and folders of more, are no pairing data. */
const MOST = { bytes: 8 * 1024 * 1024, files: 500, depth: 2 };

function contentOf(path: string | number, shown: string): Bytes {
  const content = readFileSync(path);
  if (content.length > MOST.bytes)
    throw new InputError(`${shown} is longer than ${MOST.bytes / 1024 / 1024} MiB: it is no pairing data`);
  return new Uint8Array(content);
}

/**
 * The files at a path: one, those of a folder, or standard input (`-`).
 * @throws InputError naming the path when it cannot be read, or holds too much
 */
export function readFiles(path: string): Files {
  try {
    if (path === '-') return new Map([['-', contentOf(0, 'standard input')]]);
    const about = statSync(path);
    if (!about.isDirectory()) {
      if (!about.isFile()) throw new InputError(`${path} is no ordinary file`);
      if (about.size > MOST.bytes)
        throw new InputError(`${path} is longer than ${MOST.bytes / 1024 / 1024} MiB`);
      return new Map([[basename(path), contentOf(path, path)]]);
    }
    const files = new Map<string, Bytes>();
    const enter = (folder: string, prefix: string, depth: number): void => {
      for (const entry of readdirSync(folder, { withFileTypes: true })) {
        const inside = join(folder, entry.name);
        if (entry.isDirectory() && depth < MOST.depth) enter(inside, `${prefix}${entry.name}/`, depth + 1);
        if (!entry.isFile()) continue;
        if (files.size >= MOST.files)
          throw new InputError(
            `${path} holds more than ${MOST.files} files: it is no folder of pairing data`,
          );
        files.set(`${prefix}${entry.name}`, contentOf(inside, inside));
      }
    };
    enter(path, '', 1);
    return files;
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(`cannot read ${path}: ${whyUnreadable(error)}`, { cause: error });
  }
}

/** The path itself, or where a symbolic link leads. */
function real(path: string): string {
  return existsSync(path) ? realpathSync(path) : resolve(path);
}

/** Removes what a kill left beside a file or folder: it holds keys. */
function sweep(target: string): void {
  const folder = dirname(target);
  if (!existsSync(folder)) return;
  const left = new RegExp(`^\\.${basename(target).replaceAll(/[^\w]/g, '\\$&')}\\.[\\w-]+\\.tmp$`);
  for (const name of readdirSync(folder))
    if (left.test(name)) rmSync(join(folder, name), { recursive: true, force: true });
}

function sync(path: string): void {
  // Windows opens no folders.
  if (process.platform === 'win32') return;
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Where what is written goes, looked at before anything is. @throws InputError when something is there */
export function mayWrite(format: Format, out: string, replace: boolean): void {
  if (!existsSync(out)) return;
  const isFolder = statSync(out).isDirectory();
  if (format.output === 'folder') {
    if (!isFolder) throw new InputError(`--out ${out}: that is a file, and ${format.name} is a folder`);
    if (readdirSync(out).length > 0)
      throw new InputError(
        `--out ${out}: there are files in it, and a mixture of two devices is none: name a new folder, or move these away`,
      );
    return;
  }
  if (isFolder)
    throw new InputError(`--out ${out}: that is a folder, and ${format.name} is a file: name one`);
  if (!replace)
    throw new InputError(
      `--out ${out}: there is a file already, and keys in it would be lost: give --replace`,
    );
}

/**
 * Writes a store, readable by its owner alone, so that whoever looks, also after a crash in the middle, finds what was
 * there before or all that is new: a file is renamed into its place, and so is a folder, as a whole.
 * @throws InputError when something is there already, or it cannot be written
 */
export function writeFiles(format: Format, files: Files, out: string, replace = false): void {
  mayWrite(format, out, replace);
  const target = real(out);
  let temporary: string | undefined;
  try {
    sweep(target);
    if (format.output === 'file') {
      const [content] = files.values();
      return writeAtomically(out, content!, true, 0o600);
    }
    mkdirSync(dirname(target), { recursive: true });
    const made = join(dirname(target), `.${basename(target)}.${process.pid}.tmp`);
    mkdirSync(made, { mode: 0o700 });
    temporary = made;
    const folders = new Set([made]);
    for (const [name, content] of files) {
      const path = join(made, name);
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      folders.add(dirname(path));
      const descriptor = openSync(path, 'wx', 0o600);
      try {
        writeFileSync(descriptor, content);
        fsyncSync(descriptor);
      } finally {
        closeSync(descriptor);
      }
    }
    for (const folder of folders) sync(folder);
    if (existsSync(target)) rmdirSync(target);
    renameSync(made, target);
    temporary = undefined;
    sync(dirname(target));
  } catch (error) {
    if (temporary !== undefined) rmSync(temporary, { recursive: true, force: true });
    if (error instanceof InputError) throw error;
    throw new InputError(`cannot write ${out}: ${(error as Error).message}`, { cause: error });
  }
}

/** A snapshot from its file. @throws InputError naming the file, and what is wrong with it */
export function readSnapshot(path: string): Snapshot {
  const files = readFiles(path);
  try {
    return readStore(formatOf('snapshot', '--clone-of'), files);
  } catch (error) {
    if (error instanceof InputError) throw new InputError(`${path}: ${error.message}`);
    throw error;
  }
}
