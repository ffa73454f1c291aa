import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { InputError } from '../protocol/index.js';

const fixes: Readonly<Record<string, string>> = {
  EACCES: 'you may not write there; choose another path or change its permissions',
  EPERM: 'you may not write there; choose another path or change its permissions',
  EROFS: 'that file system is read-only; choose another path',
  ENOTDIR: 'a part of that path is a file, not a folder; choose another path',
  EEXIST: 'a part of that path is a file, not a folder; choose another path',
  EISDIR: 'that is a folder; name a file inside it',
  ENOENT: 'no folder can be made there; choose another path',
  ENOSPC: 'the disk is full; make room or choose another path',
  ENAMETOOLONG: 'that name is too long; choose a shorter one',
};

/** Why a file could not be read, in words. */
export function whyUnreadable(error: unknown): string {
  const words: Readonly<Record<string, string>> = {
    ENOENT: 'there is no such file',
    EACCES: 'you may not read it',
    EPERM: 'you may not read it',
    EISDIR: 'that is a folder; name a file inside it',
    ENOTDIR: 'a part of that path is a file, not a folder',
  };
  return words[systemCode(error)] ?? (error instanceof Error ? error.message : String(error));
}

function systemCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

function cannotWrite(path: string, error: unknown): InputError {
  const fix = fixes[systemCode(error)] ?? (error instanceof Error ? error.message : String(error));
  return new InputError(`cannot write ${path}: ${fix}`, { cause: error });
}

/** Where the content goes: the file itself, or what a symbolic link points at. */
function destination(path: string): string {
  let target = resolve(path);
  try {
    target = realpathSync(target);
    const found = statSync(target);
    if (found.isDirectory()) throw new InputError(`cannot write ${path}: ${fixes['EISDIR']}`);
    // Renaming onto a device or a pipe would replace it.
    if (!found.isFile()) throw new InputError(`cannot write ${path}: that is no ordinary file; name one`);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  }
  return target;
}

/**
 * Makes a folder and those above it, one by one: all at once Node goes round for ever where a file system has no place
 * for folders (/proc).
 */
function makePath(path: string): void {
  const missing: string[] = [];
  for (let at = resolve(path); !existsSync(at); at = dirname(at)) missing.unshift(at);
  // What is there may be a file: then this says so.
  if (missing.length === 0) mkdirSync(path, { recursive: true });
  for (const folder of missing)
    try {
      mkdirSync(folder);
    } catch (error) {
      // Somebody else was first.
      if (systemCode(error) !== 'EEXIST') throw error;
    }
}

/** Makes a folder that files are going to be written into. @throws InputError when it cannot be, or they could not */
export function makeFolder(path: string): void {
  try {
    makePath(path);
    accessSync(path, constants.W_OK);
  } catch (error) {
    throw cannotWrite(path, error);
  }
}

let serial = 0;

/**
 * Writes a file so that readers, also after a crash in the middle, find the old content or the new and never half:
 * a temporary file in the same folder, fsync, rename. Parent folders are made. Synchronous, because reports are kept
 * current while the process may end at any time.
 * @param durable - false where the file is soon written again: what a killed process wrote is there all the same, only
 *   a machine that loses its power needs the fsync
 * @param mode - who may read it, before the umask
 * @throws InputError naming the path and what to do when it is a folder or cannot be written.
 */
export function writeAtomically(
  path: string,
  content: string | Uint8Array,
  durable = true,
  mode = 0o666,
): void {
  let temporary: string | undefined;
  try {
    const target = destination(path);
    makePath(dirname(target));
    const name = join(dirname(target), `.${basename(target).slice(0, 100)}.${process.pid}-${serial++}.tmp`);
    const file = openSync(name, 'wx', mode);
    temporary = name;
    try {
      writeFileSync(file, content);
      if (durable) fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(name, target);
  } catch (error) {
    if (temporary !== undefined) rmSync(temporary, { force: true });
    throw error instanceof InputError ? error : cannotWrite(path, error);
  }
}
