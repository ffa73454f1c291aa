/**
 * Finds circles of imports, those of types included: what is in one is read all together or not at all. Prints each and
 * exits 1 when there is one. Folders on the command line; `node .ci/circles.js harness suites` unless given.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

/** Circles that are known, by their first file; one that is gone is to be taken out. */
const known = new Set([]);

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
const folders = process.argv.length > 2 ? process.argv.slice(2) : ['harness', 'suites'];
const files = folders.flatMap((folder) =>
  readdirSync(folder, { recursive: true })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name)),
);

/** What a file imports or exports again from others of ours. */
function importsOf(file) {
  const { importedFiles } = ts.preProcessFile(readFileSync(file, 'utf8'), true, true);
  return importedFiles
    .filter(({ fileName }) => fileName.startsWith('.'))
    .map(({ fileName }) => normalize(join(file, '..', fileName)).replace(/\.js$/, '.ts'));
}

const imports = new Map(files.map((file) => [file, importsOf(file)]));
const done = new Set();
const circles = [];

/** Walks from one file; `path` is how it was come to. */
function walk(file, path) {
  const at = path.indexOf(file);
  if (at >= 0) return void circles.push([...path.slice(at), file]);
  if (done.has(file)) return;
  for (const next of imports.get(file) ?? []) walk(next, [...path, file]);
  done.add(file);
}

for (const file of files) walk(file, []);
const fresh = circles.filter(([first]) => !known.has(first));
const gone = [...known].filter((first) => !circles.some((circle) => circle[0] === first));
for (const circle of fresh) console.log(`circle of imports: ${circle.join(' > ')}`);
for (const first of gone) console.log(`no circle any more: ${first} is to be taken out of .ci/circles.js`);
console.log(`${files.length} files, ${circles.length} circles of imports, ${fresh.length} of them new`);
process.exitCode = fresh.length + gone.length === 0 ? 0 : 1;
