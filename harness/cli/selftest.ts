import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { suite } from '../../suites/index.js';
import { faults, variants } from '../accessory/index.js';
import {
  type Signature,
  type Signatures,
  readSignatures,
  signaturesOf,
  stillValid,
  writeSignatures,
} from '../diagnosis/index.js';
import { InputError } from '../protocol/index.js';
import { writeAtomically } from '../report/index.js';
import {
  type CascadeRow,
  type Find,
  type Grade,
  type Row,
  type Shard,
  cascadeLines,
  cascadeTable,
  gradeCascades,
  isHunted,
  medianOf,
  parseShard,
} from '../runner/index.js';
import { type SelftestReport, selftestJson, selftestVerdict, suiteDigest } from './selftest-report.js';
import { type TwinName, namesOf, shareOf, twinsOf, weightOf } from './selftest-twins.js';
import type { Task, Work } from './selftest-worker.js';

export interface SelftestFlags {
  readonly full?: boolean;
  readonly seed?: string;
  readonly update?: string;
  readonly properties?: boolean;
  readonly cascade?: boolean;
  readonly signatures?: string;
  /** `I/N`: the I-th of N parts that share the twins. */
  readonly shard?: string;
  readonly json?: string;
  /** Globs of names of faults. */
  readonly only?: readonly string[];
}

/** Rows of the matrix, of one part of the twins or of all. */
async function rowsOf(
  seed: number,
  full: boolean,
  only: readonly string[] | undefined,
  shard: Shard,
): Promise<readonly Row[]> {
  const twins = twinsOf(full, only);
  const weigh = (name: TwinName): number => weightOf(name, full);
  const own = new Set(shareOf(twins, shard, weigh));
  // What shows what a variant of this part touches runs here too, whosever row it is.
  const asked = new Set(own);
  for (const name of own) if (twins.shown.has(name)) asked.add(twins.shown.get(name)!);
  const names = twins.names.filter((name) => asked.has(name));
  const rows = await byWorkers<Row>(names, names.map(weigh), { seed, full }, async (name, rowOf) => {
    const by = twins.shown.get(name);
    const touched = by === undefined ? undefined : (await rowOf(by)).touched?.get(name!);
    return { name, ...(touched && { touched }) };
  });
  return rows.filter((_, i) => own.has(names[i]!));
}

/**
 * Cuts a list into so many stretches of about the same weight. Neighbours stay together: faults of one message meet the
 * same checks, whose arithmetic a worker remembers.
 */
export function stretches(weights: readonly number[], count: number): number[][] {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const parts = Array.from({ length: count }, (): number[] => []);
  let before = 0;
  for (const [i, weight] of weights.entries()) {
    parts[Math.min(count - 1, Math.floor((count * before) / total))]!.push(i);
    before += weight;
  }
  return parts;
}

/** What is next in a stretch; when nothing is left in it, the last of the longest. */
export function nextOf(parts: readonly number[][], own: number): number | undefined {
  const next = parts[own]!.shift();
  if (next !== undefined) return next;
  return parts.reduce((longest, part) => (part.length > longest.length ? part : longest)).pop();
}

/** A task, made when its turn has come; it may wait for what is made of a name before it. */
type TaskOf<T> = (
  name: string | null,
  resultOf: (name: string | null) => Promise<T>,
) => Promise<NonNullable<Task>>;

/** What workers make of each name, in the order of the names; as many workers as there are cores. */
async function byWorkers<T>(
  names: readonly (string | null)[],
  weights: readonly number[],
  work: Work,
  taskOf: TaskOf<T> = (name) => Promise.resolve({ name }),
): Promise<readonly T[]> {
  const count = Math.max(1, Math.min(availableParallelism(), 8));
  const parts = stretches(weights, count);
  const tell: ((result: T) => void)[] = [];
  const made = names.map((_, i) => new Promise<T>((resolve) => (tell[i] = resolve)));
  const resultOf = (name: string | null): Promise<T> => made[names.indexOf(name)]!;
  await Promise.all(
    parts.map(
      (_, own) =>
        new Promise<void>((resolve, reject) => {
          const worker = new Worker(new URL('./selftest-worker.js', import.meta.url), { workerData: work });
          let current: number | undefined;
          const next = (): void => {
            current = nextOf(parts, own);
            if (current === undefined) return worker.postMessage(undefined satisfies Task);
            taskOf(names[current]!, resultOf).then((task) => worker.postMessage(task), reject);
          };
          worker.on('message', (result: T) => {
            tell[current!]!(result);
            next();
          });
          worker.once('error', reject);
          worker.once('exit', (code) =>
            code === 0 && current === undefined
              ? resolve()
              : reject(
                  new Error(`a worker ended with code ${code} within ${names[current!] ?? 'its twins'}`),
                ),
          );
          next();
        }),
    ),
  );
  return Promise.all(made);
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

/** Runs within which a property has to find a fault, seeds that the median is of, and the share that has to be found. */
const MOST = 500;
const SEEDS = 10;
const SHARE = 0.8;

/** Which property finds each fault, as it is kept in a file. */
export function huntTable(finds: readonly Find[]): string {
  const found = finds.filter(({ runs }) => medianOf(runs) <= MOST);
  const rows = [...finds]
    .sort((a, b) => medianOf(a.runs) - medianOf(b.runs) || a.fault.localeCompare(b.fault))
    .map(({ fault, breaks, property, runs }) => {
      const median = medianOf(runs);
      const count = Number.isFinite(median) ? String(median) : 'not found';
      return `| ${fault} | ${breaks.join(', ')} | ${property ?? ''} | ${count} |`;
    });
  return [
    '# Faults found by properties',
    '',
    `Written by \`hapspec selftest --properties --update FILE\`. Of ${finds.length} faults of the state machines, of TLV8 and of frames, properties find ${found.length} (${Math.round((100 * found.length) / finds.length)} %) within ${MOST} runs: the property that does it first, and after how many runs, median of ${SEEDS} seeds.`,
    '',
    '| fault | breaks | property | runs |',
    '| --- | --- | --- | --- |',
    ...rows,
    '',
  ].join('\n');
}

async function propertiesCommand(seed: number, path: string | undefined): Promise<number> {
  const start = performance.now();
  const names = faults.filter(isHunted).map(({ name }) => name);
  const hunt = { most: MOST, seeds: SEEDS };
  const finds = await byWorkers<Find>(
    names,
    names.map(() => 1),
    { seed, full: false, hunt },
  );
  const found = finds.filter(({ runs }) => medianOf(runs) <= MOST);
  if (path === undefined) console.log(huntTable(finds));
  else writeAtomically(path, huntTable(finds));
  const share = found.length / finds.length;
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(
    `properties find ${found.length} of ${finds.length} faults within ${MOST} runs; ${seconds} s, seed ${seed}`,
  );
  if (share >= SHARE) return 0;
  console.log(`selftest failed: less than ${100 * SHARE} %`);
  return 1;
}

/** Rows of a table that is there, those of other faults: they stay. */
function keptRows(path: string): ReadonlyMap<string, string> {
  try {
    return cascadeLines(readFileSync(path, 'utf8'));
  } catch {
    throw new InputError(
      `--update ${path}: with --only the other rows of the file stay, and it cannot be read`,
    );
  }
}

/** `hapspec selftest --cascade`: what is red in a whole run against each fault, beside what it breaks. */
async function cascadeCommand(
  seed: number,
  path: string | undefined,
  only: readonly string[] | undefined,
): Promise<number> {
  const start = performance.now();
  const names = only === undefined ? faults.map(({ name }) => name) : namesOf(only, faults);
  const kept = only === undefined || path === undefined ? undefined : keptRows(path);
  const rows = await byWorkers<CascadeRow>(
    names,
    names.map(() => 1),
    { seed, full: false, cascade: true },
  );
  const table = cascadeTable(
    rows,
    kept,
    faults.map(({ name }) => name),
  );
  if (path === undefined) console.log(table);
  else writeAtomically(path, table);
  const graded = gradeCascades(rows);
  // A share of all faults is none of a few.
  const crowded = only === undefined ? graded.crowded : [];
  const { undeclared, stale, unseen } = graded;
  for (const red of undeclared) console.log(`red beside what it breaks: ${red}`);
  for (const pattern of stale) console.log(`declared and not seen: ${pattern}`);
  for (const fault of unseen) console.log(`red nowhere: ${fault}`);
  for (const id of crowded) console.log(`declared by more than a quarter of the faults: ${id}`);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`${rows.length} faults, each in a whole run; ${seconds} s, seed ${seed}`);
  if ([undeclared, stale, unseen, crowded].every((list) => list.length === 0)) return 0;
  console.log(
    `selftest failed: ${undeclared.length} undeclared reds, ${stale.length} declarations that are not needed, ${unseen.length} faults that are red nowhere, ${crowded.length} checks declared too often`,
  );
  return 1;
}

/** Seeds of the runs that signatures are made of. */
const SIGNATURE_SEEDS = [1];
/** Signatures are written so often (rows), so that a run that is cut short goes on where it was. */
const ROWS_A_TIME = 40;

/** The signatures of a file that are still those of this suite; none where there is no such file. */
function keptSignatures(path: string): Signatures {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return { seeds: SIGNATURE_SEEDS, checks: new Map(), rows: [] };
  }
  return stillValid(readSignatures(text), suite, faults);
}

/**
 * `hapspec selftest --signatures FILE`: makes the signatures that are missing in FILE, or are of another suite. A row
 * stays good when checks are added: it says nothing of them. Where a check has changed what it takes as right, every row
 * is made anew.
 */
async function signaturesCommand(path: string, anew: boolean): Promise<number> {
  const start = performance.now();
  const none: Signatures = { seeds: SIGNATURE_SEEDS, checks: new Map(), rows: [] };
  const kept = new Map((anew ? none : keptSignatures(path)).rows.map((row) => [row.fault, row]));
  const missing = faults.filter(({ name }) => !kept.has(name)).map(({ name }) => name);
  const before = kept.size;
  for (let at = 0; at < missing.length; at += ROWS_A_TIME) {
    const names = missing.slice(at, at + ROWS_A_TIME);
    const work = { seed: 1, full: false, seeds: SIGNATURE_SEEDS };
    const weights = names.map(() => 1);
    for (const row of await byWorkers<Signature>(names, weights, work)) kept.set(row.fault, row);
    writeAtomically(path, writeSignatures(signaturesOf(SIGNATURE_SEEDS, [...kept.values()], suite, faults)));
    console.log(`  ${kept.size} of ${faults.length} signatures`);
  }
  if (missing.length === 0)
    writeAtomically(path, writeSignatures(signaturesOf(SIGNATURE_SEEDS, [...kept.values()], suite, faults)));
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`${missing.length} signatures made, ${before} were as they should be; ${seconds} s`);
  return 0;
}

/** @throws InputError for options of the kill matrix beside those of something else, and for what a part cannot say */
function refuseParts({ shard, json, properties, cascade, signatures, update: file }: SelftestFlags): void {
  const own = { '--shard': shard, '--json': json };
  const other = {
    '--properties': properties === true,
    '--cascade': cascade === true,
    '--signatures': signatures !== undefined,
  };
  for (const [option, value] of Object.entries(own))
    for (const [beside, given] of Object.entries(other))
      if (value !== undefined && given)
        throw new InputError(
          `${option} is of the kill matrix, and ${beside} is about something else: leave one out`,
        );
  if (shard !== undefined && file !== undefined)
    throw new InputError('--update: the summary is of the whole, and --shard makes a part: leave one out');
}

const WHOLE: Shard = { index: 1, count: 1 };

/** `hapspec selftest`: the kill matrix; exit 1 when a fault survives, a check is never killed, or the healthy twin is red. */
export async function selftestCommand(flags: SelftestFlags): Promise<number> {
  const seed = flags.seed ?? '1';
  if (!/^\d{1,15}$/.test(seed)) throw new InputError(`--seed: expected a whole number, got "${seed}"`);
  const start = performance.now();
  refuseParts(flags);
  if (flags.signatures !== undefined) return signaturesCommand(flags.signatures, flags.full ?? false);
  if (flags.cascade === true) return cascadeCommand(Number(seed), flags.update, flags.only);
  if (flags.only !== undefined && (flags.properties === true || flags.update !== undefined))
    throw new InputError(
      `--only is for single faults: ${flags.properties === true ? '--properties' : '--update without --cascade'} is about all of them`,
    );
  if (flags.properties === true) return propertiesCommand(Number(seed), flags.update);
  const full = flags.full ?? false;
  const shard = flags.shard === undefined ? WHOLE : parseShard(flags.shard);
  const rows = await rowsOf(Number(seed), full, flags.only, shard);
  const report: SelftestReport = {
    suite: suiteDigest(),
    seed,
    full,
    ...(flags.only !== undefined && { only: flags.only }),
    ...(flags.shard !== undefined && { shard: flags.shard }),
    seconds: (performance.now() - start) / 1000,
    rows,
  };
  const verdict = selftestVerdict(report);
  if (flags.json !== undefined) writeAtomically(flags.json, selftestJson(report, verdict));
  for (const line of verdict.lines) console.log(line);
  if (verdict.code === 0 && flags.update !== undefined) update(flags.update, summary(verdict.graded));
  return verdict.code;
}
