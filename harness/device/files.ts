import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type Bytes, InputError, abytes, fromHex, utf8 } from '../protocol/index.js';

/** Makes the folder, for its owner only. */
export function makeFolder(dir: string): void {
  try {
    const first = mkdirSync(dir, { recursive: true, mode: 0o700 });
    // A crash may have come before the file below; a folder with other things in it is none of ours to hide from git.
    const others = readdirSync(dir).filter((name) => !/^\.gitignore\.\d+\.tmp$/.test(name));
    if (others.length === 0) replaceFile(join(dir, '.gitignore'), '*\n', 0o600);
    if (first === undefined) return;
    for (let made = dir; made.length >= first.length; made = dirname(made)) syncFolder(dirname(made));
  } catch (error) {
    throw cannotWrite(dir, error);
  }
}

/**
 * Replaces a file at once and for good: readers, also after a power cut, find the old content or the new.
 * @throws InputError naming the path when it cannot be written.
 */
export function replaceFile(path: string, content: string, mode = 0o666): void {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    const file = openSync(temporary, 'w', mode);
    try {
      writeAll(file, content);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
    syncFolder(dirname(path));
  } catch (error) {
    rmSync(temporary, { force: true });
    throw cannotWrite(path, error);
  }
}

/** Removes what a kill left beside a file: temporary ones, named after it. */
export function sweep(path: string): void {
  try {
    for (const name of readdirSync(dirname(path)))
      if (name.startsWith(`${basename(path)}.`)) rmSync(join(dirname(path), name), { force: true });
  } catch (error) {
    throw cannotWrite(path, error);
  }
}

export function removeFile(path: string): void {
  try {
    rmSync(path, { force: true });
    syncFolder(dirname(path));
  } catch (error) {
    throw cannotWrite(path, error);
  }
}

export function writeAll(file: number, content: string): void {
  const bytes = utf8(content);
  // A full disk takes a part and says so only to the next write.
  for (let written = 0; written < bytes.length;) written += writeSync(file, bytes, written);
}

/** A new name in a folder is on the disk only when the folder is. */
export function syncFolder(path: string): void {
  // Windows opens no folders, and writes names at once.
  if (process.platform === 'win32') return;
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

export function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw unusable(file, (error as Error).message, 'make it readable, or choose another folder with --state');
  }
}

export function unusable(file: string, why: string, fix: string): InputError {
  return new InputError(`accessory state: ${file} cannot be used (${why}): ${fix}`);
}

export function cannotWrite(path: string, error: unknown): InputError {
  if (error instanceof InputError) return error;
  return new InputError(`cannot write ${path}: ${(error as Error).message}`, {
    cause: error,
  });
}

export function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The parser's own message quotes the text, and the text may be a key. */
export function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    throw new Error('no JSON');
  }
}

export function record(value: unknown, title: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`${title} is no object`);
  return value as Record<string, unknown>;
}

/** A stimulus may send an empty id, so no bytes are bytes. */
export function bytes(value: unknown, title: string, length?: number): Bytes {
  if (typeof value !== 'string' || !/^([0-9a-fA-F]{2})*$/.test(value))
    throw new Error(`${title} is no hexadecimal text`);
  return abytes(fromHex(value), title, length);
}

export function line(record: unknown): string {
  return `${JSON.stringify(record)}\n`;
}
