import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { fieldBugs, suite } from '../../suites/index.js';
import { faults, variants } from '../accessory/index.js';
import { InputError } from '../protocol/index.js';
import { writeAtomically } from '../report/index.js';
import { type Grade, type Row, grade } from '../runner/index.js';

export interface SelftestFlags {
  readonly full?: boolean;
  readonly seed?: string;
  readonly update?: string;
}

/** Rows of the matrix from workers, as many as there are cores. */
async function rowsOf(seed: number, full: boolean): Promise<readonly Row[]> {
  const names: (string | null)[] = [null, ...[...variants, ...faults].map(({ name }) => name)];
  const count = Math.max(1, Math.min(availableParallelism(), 8));
  // Dealt like cards, so that slow neighbours in the list do not meet in one worker.
  const hands = Array.from({ length: count }, (_, hand) => names.filter((_name, i) => i % count === hand));
  const rows = await Promise.all(
    hands.map(
      (hand) =>
        new Promise<Row[]>((resolve, reject) => {
          const made: Row[] = [];
          const worker = new Worker(new URL('./selftest-worker.js', import.meta.url), {
            workerData: { names: hand, seed, full },
          });
          worker.on('message', (row: Row) => made.push(row));
          worker.once('error', reject);
          worker.once('exit', (code) =>
            code === 0 && made.length === hand.length
              ? resolve(made)
              : reject(
                  new Error(`a worker ended with code ${code} after ${made.length} of ${hand.length} twins`),
                ),
          );
        }),
    ),
  );
  return rows.flat();
}

const START = '<!-- selftest: written by "hapspec selftest --update README.md" -->';
const END = '<!-- /selftest -->';

/** The summary as it stands in the README. */
export function summary({ checks, faults: count }: Grade): string {
  return `${checks} checks against ${count} faults of the reference accessory: every check is failed by at least one fault, every fault is failed by every requirement it names, and the healthy accessory is all green; nothing fails on ${variants.length} benign variants of it.`;
}

function update(path: string, text: string): void {
  let file: string;
  try {
    file = readFileSync(path, 'utf8');
  } catch {
    throw new InputError(`--update ${path}: the file cannot be read`);
  }
  const start = file.indexOf(START);
  const end = file.indexOf(END);
  if (start < 0 || end < start) throw new InputError(`--update ${path}: it has no lines ${START} and ${END}`);
  writeAtomically(path, `${file.slice(0, start)}${START}\n${text}\n${file.slice(end)}`);
}

/** `hapspec selftest`: the kill matrix; exit 1 when a fault survives, a check is never killed, or the healthy twin is red. */
export async function selftestCommand(flags: SelftestFlags): Promise<number> {
  const seed = flags.seed ?? '1';
  if (!/^\d{1,15}$/.test(seed)) throw new InputError(`--seed: expected a whole number, got "${seed}"`);
  const start = performance.now();
  const graded = grade(suite, await rowsOf(Number(seed), flags.full ?? false));
  for (const red of graded.healthyReds) console.log(`healthy twin: ${red}`);
  for (const survivor of graded.survivors) console.log(`nobody catches ${survivor}`);
  for (const id of graded.unkilled) console.log(`no fault fails ${id}`);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(
    `${graded.checks} checks, ${graded.faults} faults, ${graded.kills} kills${flags.full ? ' in the whole matrix' : ''}; ${seconds} s, seed ${seed}`,
  );
  const caught = (name: string): boolean => !graded.survivors.some((line) => line.startsWith(`${name}: `));
  const shown = fieldBugs.filter((row) => row.faults !== undefined);
  console.log(
    `bugs of the field: ${shown.filter((row) => row.faults!.every(caught)).length} of ${shown.length} that an accessory shows on the wire are caught; ${fieldBugs.length - shown.length} others have a reason`,
  );
  if (!graded.passed) {
    const { healthyReds, survivors, unkilled } = graded;
    console.log(
      `selftest failed: ${healthyReds.length} reds of the healthy twin, ${survivors.length} surviving faults, ${unkilled.length} unkilled checks`,
    );
    return 1;
  }
  if (flags.update !== undefined) update(flags.update, summary(graded));
  console.log('selftest passed');
  return 0;
}
