import { InputError } from '../protocol/index.js';
import type { Case, CheckResult } from '../runner/index.js';
import { type Symptom, type Verdict, symptomOf } from './symptom.js';

/** Version of the file's shape. */
const SCHEMA = 1;

/** What a row needs of a fault; the accessory's own type has more. */
export interface Mistake {
  readonly name: string;
  readonly breaks: readonly string[];
  /** The mistake in one line. */
  readonly story: string;
  readonly fieldBug?: number;
  readonly clone?: 'import' | 'firmware';
  readonly dress?: { readonly kind: 'hap' | 'airplay'; readonly mfi?: unknown };
  readonly change: (...healthy: never[]) => unknown;
}

/** What the accessory has to be before a mistake can be one of it. */
export type Dress = 'airplay' | 'mfi' | 'clone';

/** What whole runs against one mistake came to: of the checks that were asked, those that did not pass each time. */
export interface Signature {
  readonly fault: string;
  /** Digest of the fault that it was made with. */
  readonly digest: string;
  readonly words: string;
  readonly dress: Dress | undefined;
  readonly fieldBug: boolean;
  /** Ids that were asked under at least one seed. */
  readonly asked: ReadonlySet<string>;
  /** What came of an id, each different outcome once; not in it: it passed each time. */
  readonly symptoms: ReadonlyMap<string, readonly Symptom[]>;
}

/** Signatures of all mistakes, with what they were made of. */
export interface Signatures {
  readonly seeds: readonly number[];
  /** Digest of each check, by id. */
  readonly checks: ReadonlyMap<string, string>;
  readonly rows: readonly Signature[];
}

/** 32 bits of a text in base 36: enough to see that something is not what it was. */
function digest(...parts: readonly string[]): string {
  let hash = 0x811c9dc5;
  for (const character of parts.join('\n')) {
    hash ^= character.codePointAt(0)!;
    hash = Math.imul(hash, 0x01000193) >>> 0;
  }
  return hash.toString(36);
}

/** A mistake as its row was made with: another story, another change of behaviour, and the row is another. */
export function faultDigest(mistake: Mistake): string {
  const { name, breaks, dress, clone, change } = mistake;
  return digest(name, breaks.join(), JSON.stringify(dress ?? ''), clone ?? '', change.toString());
}

/** What a check takes as right and as wrong: what rows say of it is of that. */
export function checkDigest(entry: Case): string {
  if (entry.kind === 'watch') return digest(entry.id, entry.requirement.level, entry.topic);
  const { allow = [], tolerate = [], forbid = [] } = entry.spec;
  const words = [allow, tolerate, forbid].map((list) => list.map((matcher) => matcher.words).join());
  return digest(entry.id, entry.requirement.level, ...words);
}

function dressOf({ dress, clone }: Mistake): Dress | undefined {
  if (clone !== undefined) return 'clone';
  if (dress?.kind === 'airplay') return 'airplay';
  return dress?.mfi === undefined ? undefined : 'mfi';
}

/** The row of a mistake from whole runs against it, a seed each. */
export function signatureOf(
  mistake: Mistake,
  runs: readonly (readonly Pick<CheckResult, 'id' | 'status' | 'reason' | 'message'>[])[],
): Signature {
  const seen = new Map<string, Symptom[]>();
  for (const result of runs.flat()) {
    const symptom = symptomOf(result);
    if (symptom === undefined) continue;
    const known = seen.get(result.id) ?? [];
    if (!known.some((other) => sameSymptom(other, symptom))) known.push(symptom);
    seen.set(result.id, known);
  }
  const differing = [...seen].filter(([, list]) => list.some(({ verdict }) => verdict !== 'passed'));
  return {
    fault: mistake.name,
    digest: faultDigest(mistake),
    words: mistake.story,
    dress: dressOf(mistake),
    fieldBug: mistake.fieldBug !== undefined,
    asked: new Set(seen.keys()),
    symptoms: new Map(differing),
  };
}

export function sameSymptom(a: Symptom, b: Symptom): boolean {
  return a.verdict === b.verdict && a.kind === b.kind;
}

/** Why signatures are not those of this suite; undefined where they are. Mistakes that have none yet are no reason. */
export function whyStale(
  { rows, checks }: Signatures,
  suite: readonly Case[],
  mistakes: readonly Mistake[],
): string | undefined {
  const now = new Map(mistakes.map((mistake) => [mistake.name, mistake]));
  const changed = rows.filter(({ fault, digest: old }) => {
    const mistake = now.get(fault);
    return mistake === undefined || faultDigest(mistake) !== old;
  });
  const cases = new Map(suite.map((entry) => [entry.id, entry]));
  const others = [...checks].filter(([id, old]) => {
    const entry = cases.get(id);
    return entry === undefined || checkDigest(entry) !== old;
  });
  if (changed.length + others.length === 0) return undefined;
  const names = [...changed.map(({ fault }) => fault), ...others.map(([id]) => id)];
  const few = names.slice(0, 3).join(', ') + (names.length > 3 ? ` and ${names.length - 3} more` : '');
  return `the signatures of mistakes are of another suite (${few}); "${RENEW}" makes them anew`;
}

/** Rows together, in the order of the mistakes, with the checks that any of them asked. */
export function signaturesOf(
  seeds: readonly number[],
  rows: readonly Signature[],
  suite: readonly Case[],
  mistakes: readonly Mistake[],
): Signatures {
  const byName = new Map(rows.map((row) => [row.fault, row]));
  const asked = new Set(rows.flatMap((row) => [...row.asked]));
  return {
    seeds,
    checks: new Map(suite.filter(({ id }) => asked.has(id)).map((entry) => [entry.id, checkDigest(entry)])),
    rows: mistakes.flatMap(({ name }) => byName.get(name) ?? []),
  };
}

/** Signatures without the rows that are of another suite: of a changed fault its own, of a changed check all. */
export function stillValid(
  signatures: Signatures,
  suite: readonly Case[],
  mistakes: readonly Mistake[],
): Signatures {
  const digests = new Map(mistakes.map((mistake) => [mistake.name, faultDigest(mistake)]));
  const checks = new Map(suite.map((entry) => [entry.id, checkDigest(entry)]));
  const changed = [...signatures.checks].some(([id, old]) => checks.has(id) && checks.get(id) !== old);
  if (changed) return { ...signatures, rows: [] };
  const gone = new Set([...signatures.checks.keys()].filter((id) => !checks.has(id)));
  const without = <T>(list: Iterable<T>, idOf: (one: T) => string): T[] =>
    [...list].filter((one) => !gone.has(idOf(one)));
  const rows = signatures.rows
    .filter(({ fault, digest: old }) => digests.get(fault) === old)
    .map((row) => ({
      ...row,
      asked: new Set(without(row.asked, (id) => id)),
      symptoms: new Map(without(row.symptoms, ([id]) => id)),
    }));
  return { ...signatures, rows };
}

/** The command that makes signatures anew. */
export const RENEW = 'hapspec selftest --signatures signatures/signatures.json';

const letters: Readonly<Record<Verdict, string>> = { red: 'r', warned: 'w', passed: 'p' };
const verdicts: Readonly<Record<string, Verdict>> = { r: 'red', w: 'warned', p: 'passed' };

/** A row in the file: which ids were asked, as bits in base 64; then index of an id and of its outcomes, by turns. */
type Row = readonly [
  fault: string,
  digest: string,
  dress: string,
  fieldBug: 0 | 1,
  words: string,
  asked: string,
  symptoms: string,
];

interface File {
  readonly schema: number;
  readonly about: string;
  readonly seeds: readonly number[];
  readonly checks: readonly (readonly [id: string, digest: string])[];
  readonly outcomes: readonly string[];
  readonly rows: readonly Row[];
}

/** The file: a line for each check, outcome and mistake, in a fixed order, so that two of them can be compared. */
export function writeSignatures({ seeds, checks, rows }: Signatures): string {
  const ids = [...checks.keys()];
  const indexOf = new Map(ids.map((id, i) => [id, i]));
  const counts = new Map<string, number>();
  const textOf = ({ verdict, kind }: Symptom): string => letters[verdict] + kind;
  for (const { symptoms } of rows)
    for (const symptom of [...symptoms.values()].flat())
      counts.set(textOf(symptom), (counts.get(textOf(symptom)) ?? 0) + 1);
  // What is met most has the shortest number.
  const outcomes = [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)).map(([text]) => text);
  const numberOf = new Map(outcomes.map((text, i) => [text, i.toString(36)]));
  const rowOf = (row: Signature): Row => {
    const bits = new Uint8Array(Math.ceil(ids.length / 8));
    for (const id of row.asked) {
      const i = indexOf.get(id);
      // Of what belongs to no check the file says nothing.
      if (i === undefined) continue;
      bits[i >> 3]! |= 1 << (i & 7);
    }
    const pairs = [...row.symptoms]
      .filter(([id]) => indexOf.has(id))
      .map(([id, list]) => [indexOf.get(id)!, list.map((one) => numberOf.get(textOf(one))!).sort()] as const)
      .sort(([a], [b]) => a - b);
    let last = 0;
    const symptoms = pairs.map(([i, list]) => {
      const step = (i - last).toString(36);
      last = i;
      return `${step}:${list.join('|')}`;
    });
    const { fault, digest: own, dress = '', fieldBug, words } = row;
    const asked = Buffer.from(bits).toString('base64');
    return [fault, own, dress, fieldBug ? 1 : 0, words, asked, symptoms.join(' ')];
  };
  const lines = (list: readonly unknown[]): string =>
    `[\n${list.map((one) => JSON.stringify(one)).join(',\n')}\n]`;
  return [
    `{"schema":${SCHEMA},"about":${JSON.stringify(`Written by \`${RENEW}\`: what each mistake of the reference accessory does to a whole run.`)},`,
    `"seeds":${JSON.stringify(seeds)},`,
    `"checks":${lines([...checks])},`,
    `"outcomes":${lines(outcomes)},`,
    `"rows":${lines(rows.map(rowOf))}}`,
    '',
  ].join('\n');
}

/** Reads what `writeSignatures` wrote. @throws InputError where it is something else */
export function readSignatures(text: string): Signatures {
  let file: File;
  try {
    file = JSON.parse(text) as File;
  } catch (error) {
    throw new InputError(`signatures: the file is no JSON; "${RENEW}" makes it anew`, { cause: error });
  }
  if (file.schema !== SCHEMA)
    throw new InputError(`signatures: the file is of another version; "${RENEW}" makes it anew`);
  const ids = file.checks.map(([id]) => id);
  const outcomes = file.outcomes.map((outcome): Symptom => ({
    verdict: verdicts[outcome[0]!]!,
    kind: outcome.slice(1),
  }));
  const rows = file.rows.map(([fault, own, dress, fieldBug, words, asked, symptoms]): Signature => {
    const bits = Buffer.from(asked, 'base64');
    let at = 0;
    const pairs = symptoms
      .split(' ')
      .filter((pair) => pair !== '')
      .map((pair): readonly [string, readonly Symptom[]] => {
        const [step = '', list = ''] = pair.split(':');
        at += parseInt(step, 36);
        return [ids[at]!, list.split('|').map((number) => outcomes[parseInt(number, 36)]!)];
      });
    return {
      fault,
      digest: own,
      words,
      dress: dress === '' ? undefined : (dress as Dress),
      fieldBug: fieldBug === 1,
      asked: new Set(ids.filter((_, i) => ((bits[i >> 3] ?? 0) >> (i & 7)) & 1)),
      symptoms: new Map(pairs),
    };
  });
  return { seeds: file.seeds, checks: new Map(file.checks), rows };
}
