import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type VectorFile, parseVectors } from '../../harness/vectors/index.js';

/** Root of the checkout, seen from the build. */
export const root = fileURLToPath(new URL('../../../', import.meta.url));

/** A committed file of vectors, as text. */
export function committed(name: string): string {
  return readFileSync(`${root}vectors/${name}`, 'utf8');
}

/** A committed kind of vectors. */
export function vectors(kind: string): VectorFile {
  return parseVectors(committed(`${kind}.json`));
}

/** Data of the tests themselves. */
export function data<T>(name: string): T {
  return JSON.parse(readFileSync(`${root}test/vectors/data/${name}.json`, 'utf8')) as T;
}
