import { createHash } from 'node:crypto';
import { fieldBugs, suite } from '../../suites/index.js';
import { type Fault, faults, findFault, variants } from '../accessory/index.js';
import { checkDigest, faultDigest } from '../diagnosis/index.js';
import { InputError } from '../protocol/index.js';
import { oneLine, writeAtomically } from '../report/index.js';
import { type Grade, type Row, type Weighed, grade, missingShards, parseShard } from '../runner/index.js';
import { version } from '../version.js';
import { type TwinName, twinsOf } from './selftest-twins.js';

/** Version of the file's shape; raised when a field changes its meaning or goes. */
export const SELFTEST_SCHEMA = 1;
export const judgements = ['allowed', 'tolerated', 'forbidden', 'unlisted'] as const;

/** What `hapspec selftest` found: rows of the kill matrix, and what they are rows of. */
export interface SelftestReport {
  /** Digest of the checks, faults and variants that were there. */
  readonly suite: string;
  readonly seed: string;
  /** Every check was asked, and not only those of what a fault breaks. */
  readonly full: boolean;
  /** Globs of faults; all when left out. */
  readonly only?: readonly string[];
  /** `I/N`: the rows are the I-th of N parts. */
  readonly shard?: string;
  /** How long it took; of several parts what they took together. */
  readonly seconds: number;
  readonly rows: readonly Row[];
}

let digest: string | undefined;

/** Rows of one suite say nothing of another: 64 bits of everything that makes them, in hexadecimal. */
export function suiteDigest(): string {
  if (digest !== undefined) return digest;
  const hash = createHash('sha256');
  for (const entry of suite) hash.update(`${checkDigest(entry)} ${entry.body.toString()}\n`);
  for (const twin of [...faults, ...variants]) hash.update(`${faultDigest(twin)}\n`);
  return (digest = hash.digest('hex').slice(0, 16));
}

/** What stands on the console, and the exit code. */
export interface SelftestVerdict {
  readonly lines: readonly string[];
  readonly code: 0 | 1 | 5;
  readonly meaning: string;
  readonly graded: Grade;
}

/**
 * Adds the rows up. Of a part, and of a few faults, nobody expects that they kill each check.
 * @param missing - what of the whole there is nothing of, in words
 */
export function selftestVerdict(
  { rows, full, only, seed, shard, seconds }: SelftestReport,
  missing: readonly string[] = [],
): SelftestVerdict {
  const whole = grade(suite, rows);
  const part = shard !== undefined && parseShard(shard).count > 1;
  const complete = only === undefined && !part && missing.length === 0;
  const unkilled = complete ? whole.unkilled : [];
  const { healthyReds, survivors, foreign, uneven } = whole;
  const passed = [healthyReds, survivors, unkilled, foreign, uneven].every((list) => list.length === 0);
  const graded: Grade = { ...whole, unkilled, passed };
  const caught = (name: string): boolean => !survivors.some((line) => line.startsWith(`${name}: `));
  const shown = fieldBugs.filter((row) => row.faults !== undefined);
  const lines = [
    ...(only === undefined
      ? []
      : rows.map(({ fault, failed }) => `${fault!}: ${failed.join(' ') || 'nothing is red'}`)),
    ...healthyReds.map((red) => `healthy twin: ${red}`),
    ...survivors.map((survivor) => `nobody catches ${survivor}`),
    ...unkilled.map((id) => `no fault fails ${id}`),
    ...foreign.map((text) => `not in words of the protocol: ${text}`),
    ...uneven.map((text) => `one behaviour, two weights: ${text}`),
    `${whole.checks} checks, ${whole.faults} faults, ${whole.kills} kills${full ? ' in the whole matrix' : ''}; ${seconds.toFixed(1)} s, seed ${seed}`,
    ...(complete
      ? [
          `bugs of the field: ${shown.filter((row) => row.faults!.every(caught)).length} of ${shown.length} that an accessory shows on the wire are caught; ${fieldBugs.length - shown.length} others have a reason`,
        ]
      : []),
  ];
  const end = (code: SelftestVerdict['code'], meaning: string): SelftestVerdict => ({
    lines: [...lines, `selftest ${meaning}`],
    code,
    meaning,
    graded,
  });
  const lost = missing.join('; ');
  if (!passed)
    return end(
      1,
      `failed: ${healthyReds.length} reds of the healthy twin, ${survivors.length} surviving faults, ${unkilled.length} unkilled checks, ${foreign.length} messages in words of the assertion library, ${uneven.length} behaviours of two weights${lost === '' ? '' : `; and not all was asked: ${lost}`}`,
    );
  if (lost !== '') return end(5, `incomplete: ${lost}`);
  if (!part) return end(0, 'passed');
  const so = rows.length > 0 ? 'passed, as far as' : 'has no twin left for';
  return end(0, `${so} shard ${shard}${rows.length > 0 ? ' goes' : ''}: "hapspec merge" judges the whole`);
}

/** A behaviour says nothing more the second time, and there are thousands. */
function withoutRepeats(rows: readonly Row[]): readonly (readonly Weighed[])[] {
  const seen = new Set<string>();
  return rows.map(({ weighed }) =>
    weighed.filter(({ behaviour, judgement }) => {
      const key = `${judgement} ${behaviour}`;
      return !seen.has(key) && seen.add(key);
    }),
  );
}

/** The report as JSON (`schema: 1`, `kind: 'selftest'`): keys always in the same order, a newline at the end. */
export function selftestJson(report: SelftestReport, { code, meaning, graded }: SelftestVerdict): string {
  const { suite: of, seed, full, only, shard, seconds, rows } = report;
  const weighed = withoutRepeats(rows);
  return `${JSON.stringify(
    {
      schema: SELFTEST_SCHEMA,
      kind: 'selftest',
      tool: { name: 'hapspec', version },
      suite: of,
      seed,
      full,
      ...(only !== undefined && { only }),
      ...(shard !== undefined && { shard }),
      seconds: Number(seconds.toFixed(1)),
      exit: { code, meaning },
      counts: { checks: graded.checks, faults: graded.faults, kills: graded.kills },
      rows: rows.map(({ fault = null, failed, odd, foreign }, i) => ({
        twin: fault,
        failed,
        odd,
        foreign,
        weighed: weighed[i],
      })),
    },
    undefined,
    1,
  )}\n`;
}

type Fields = Readonly<Record<string, unknown>>;

/** The content of a file of `hapspec selftest --json`; undefined when it is something else. */
export function asSelftest(content: string): Fields | undefined {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch {
    return undefined;
  }
  const is = typeof value === 'object' && value !== null && (value as Fields)['kind'] === 'selftest';
  return is ? (value as Fields) : undefined;
}

/**
 * Reads what `asSelftest` gave.
 * @throws InputError naming the file, and what in it is wrong, or of another suite than that of this hapspec: rows are graded by it
 */
export function readSelftest(file: Fields, path: string): SelftestReport {
  const wrong = (what: string): never => {
    throw new InputError(`${path}: ${what}`);
  };
  if (file['schema'] !== SELFTEST_SCHEMA)
    wrong(`schema ${JSON.stringify(file['schema'])} of "hapspec selftest"; ${SELFTEST_SCHEMA} is read here`);
  const made = (file['tool'] as Fields | undefined)?.['version'];
  if (made !== version)
    wrong(`it is of hapspec ${oneLine(String(made), 40)}, and this is ${version}: merge with that one`);
  if (file['suite'] !== suiteDigest())
    wrong('it is of another suite than that of this hapspec: run all parts, and merge, with the same');
  const { seed, full, shard, seconds, rows } = file;
  if (typeof seed !== 'string' || !/^\d{1,15}$/.test(seed)) wrong('"seed": expected the digits of a seed');
  if (shard !== undefined && typeof shard !== 'string') wrong('"shard": expected I/N');
  if (typeof seconds !== 'number' || !(seconds >= 0)) wrong('"seconds": expected a number');
  if (!Array.isArray(rows)) wrong('"rows": expected a list');
  const only = file['only'] === undefined ? undefined : textsOf(file['only']);
  if (file['only'] !== undefined && only === undefined) wrong('"only": expected a list of texts');
  return {
    suite: suiteDigest(),
    seed: seed as string,
    full: full === true,
    ...(only !== undefined && { only }),
    ...(shard !== undefined && { shard: shard as string }),
    seconds: seconds as number,
    rows: (rows as readonly unknown[]).map(
      (row, i) => rowOf(row) ?? wrong(`rows[${i}]: expected what "hapspec selftest --json FILE" writes`),
    ),
  };
}

function textsOf(value: unknown): readonly string[] | undefined {
  if (!Array.isArray(value) || value.some((one) => typeof one !== 'string')) return undefined;
  return value as readonly string[];
}

function rowOf(value: unknown): Row | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const row = value as Fields;
  const twin = row['twin'] === null ? undefined : known(row['twin']);
  const [failed, odd, foreign] = ['failed', 'odd', 'foreign'].map((key) => textsOf(row[key]));
  const weighed = Array.isArray(row['weighed']) ? row['weighed'].map(weighedOf) : undefined;
  if (twin === undefined && row['twin'] !== null) return undefined;
  if (failed === undefined || odd === undefined || foreign === undefined) return undefined;
  if (weighed === undefined || !weighed.every((one) => one !== undefined)) return undefined;
  const breaks = twin?.breaks ?? [];
  const benign = twin !== undefined && breaks.length === 0;
  return { fault: twin?.name, breaks, benign, failed, odd, foreign, weighed };
}

function known(name: unknown): Fault | undefined {
  return [...faults, ...variants].some((twin) => twin.name === name) ? findFault(name as string) : undefined;
}

function weighedOf(value: unknown): Weighed | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { behaviour, judgement: word, id } = value as Fields;
  const judgement = judgements.find((one) => one === word);
  if (typeof behaviour !== 'string' || typeof id !== 'string' || judgement === undefined) return undefined;
  return { behaviour, judgement, id };
}

/**
 * The parts of one self-test as one, and what of it is missing.
 * @throws InputError when they are of different self-tests, or a twin stands in two of them
 */
export function mergeSelftests(parts: readonly SelftestReport[]): {
  readonly report: SelftestReport;
  readonly missing: readonly string[];
} {
  const first = parts[0]!;
  const about = ({ seed, full, only }: SelftestReport): string =>
    [`--seed ${seed}`, ...(full ? ['--full'] : []), ...(only ?? []).map((one) => `--only '${one}'`)].join(
      ' ',
    );
  const other = parts.find((part) => about(part) !== about(first));
  if (other !== undefined)
    throw new InputError(
      `merge: ${about(first)} and ${about(other)} are not the shards of one self-test: give all of them the same options`,
    );
  const missing = missingShards(parts.map(({ shard }) => shard)).map(
    (shard) => `shard ${shard}: there is no file of it`,
  );
  const rows = new Map<TwinName, Row>();
  for (const row of parts.flatMap((part) => part.rows)) {
    const twin = row.fault ?? null;
    if (rows.has(twin)) throw new InputError(`merge: ${twin ?? 'the healthy twin'} is in two of the files`);
    rows.set(twin, row);
  }
  const { names } = twinsOf(first.full, first.only);
  const gone = names.filter((name) => !rows.has(name));
  if (missing.length === 0 && gone.length > 0)
    missing.push(`${gone.length} twins: no file has a row of them, such as ${gone[0] ?? 'the healthy one'}`);
  const report = {
    suite: first.suite,
    seed: first.seed,
    full: first.full,
    ...(first.only !== undefined && { only: first.only }),
    seconds: parts.reduce((sum, { seconds }) => sum + seconds, 0),
    rows: names.flatMap((name) => rows.get(name) ?? []),
  };
  return { report, missing };
}

/** `hapspec merge` of self-tests: what one of them all would have said, and its exit code. @throws InputError as `mergeSelftests` */
export function mergeSelftestsCommand(
  files: readonly { readonly path: string; readonly value: Fields }[],
  { json, ...others }: { readonly json?: string },
): number {
  const [form] = Object.keys(others);
  if (form !== undefined)
    throw new InputError(`merge: --${form}: a self-test is on the console, and with --json FILE in a file`);
  const { report, missing } = mergeSelftests(files.map(({ path, value }) => readSelftest(value, path)));
  const verdict = selftestVerdict(report, missing);
  if (json !== undefined) writeAtomically(json, selftestJson(report, verdict));
  for (const line of verdict.lines) console.log(line);
  return verdict.code;
}
