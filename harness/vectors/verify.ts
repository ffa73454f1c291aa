import { type Fields, GENERATOR_VERSION, type Group, type Vector, type VectorFile } from './format.js';
import { recompute, recomputeGroup } from './recompute/index.js';
import { schemaDefect } from './schema.js';
import { envelope, groupSchema, kinds, testSchema } from './schemas.js';
import { editDefect } from './shapes.js';

/** One thing a file claims that does not hold. */
export interface Mismatch {
  /** The case, or undefined where a group or the file is meant. */
  readonly tcId: number | undefined;
  /** Path of the field, `messages.M3`. */
  readonly field: string;
  readonly what: string;
}

/** A text that is no file of vectors at all. */
export class NoVectors extends Error {
  override name = 'NoVectors';
}

/** Longest file taken: ours are all below a quarter of it. */
export const MAX_FILE = 16 * 1024 * 1024;
/** Mismatches after which a file is given up. */
const MOST = 100;

/** @throws NoVectors that says why the text is none; a file that is one and wrong in a field is for `verifyFile`. */
export function parseVectors(text: string): VectorFile {
  if (text.length > MAX_FILE) throw new NoVectors(`it is longer than ${MAX_FILE} characters`);
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    throw new NoVectors(`it is no JSON: ${(error as Error).message}`);
  }
  if (typeof content !== 'object' || content === null || !Array.isArray((content as Fields)['testGroups']))
    throw new NoVectors('it is no file of test vectors: it has no list "testGroups"');
  return content as unknown as VectorFile;
}

function shown(value: unknown): string {
  const text = value === undefined ? 'nothing' : (JSON.stringify(value) ?? 'nothing');
  return text.length <= 60 ? text : `${text.slice(0, 40)}…${text.slice(-12)} (${text.length} characters)`;
}

/** Bytes as they stand in a file. */
function plain(claim: unknown): unknown {
  return claim instanceof Uint8Array ? Buffer.from(claim).toString('hex') : claim;
}

/** Compares what a field is with what it has to be, member by member; the first difference. */
function difference(
  given: unknown,
  claim: unknown,
  path: string,
): { field: string; what: string } | undefined {
  const wanted = plain(claim);
  if (Array.isArray(wanted) && Array.isArray(given)) {
    if (wanted.length !== given.length)
      return { field: path, what: `has ${given.length} entries, ${wanted.length} are right` };
    for (const [index, entry] of wanted.entries()) {
      const found = difference(given[index], entry, `${path}[${index}]`);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if (typeof wanted === 'object' && wanted !== null && typeof given === 'object' && given !== null) {
    for (const [name, member] of Object.entries(wanted)) {
      const found = difference(
        (given as Record<string, unknown>)[name],
        member,
        path === '' ? name : `${path}.${name}`,
      );
      if (found !== undefined) return found;
    }
    return undefined;
  }
  return wanted === given
    ? undefined
    : { field: path, what: `is ${shown(given)}, computed is ${shown(wanted)}` };
}

/** Looks at one field after the other, so that every one that is wrong is named. */
function differences(
  given: Fields,
  claims: Readonly<Record<string, unknown>>,
): { field: string; what: string }[] {
  return Object.entries(claims).flatMap(([name, claim]) => difference(given[name], claim, name) ?? []);
}

function computed<T>(compute: () => T): T | { readonly failure: string } {
  try {
    return compute();
  } catch (error) {
    return { failure: `cannot be recomputed: ${error instanceof Error ? error.message : String(error)}` };
  }
}

function verifyGroup(group: Group): Mismatch[] {
  const claims = recomputeGroup[group.type];
  if (claims === undefined) return [];
  const result = computed(() => differences(group, claims(group)));
  const { type } = group;
  if ('failure' in result) return [{ tcId: undefined, field: type, what: result.failure }];
  return result.map(({ field, what }) => ({ tcId: undefined, field: `${type}.${field}`, what }));
}

/** The claims of one case that do not hold; none when all do. */
export function verifyCase(vector: Vector, group: Group): Mismatch[] {
  const tcId = Number.isSafeInteger(vector.tcId) ? vector.tcId : undefined;
  const shape = schemaDefect(vector, testSchema(group.type));
  if (shape !== undefined) return [{ tcId, field: shape.path, what: shape.what }];
  const edit = vector['edit'] === undefined ? undefined : editDefect(vector['edit'] as Fields);
  if (edit !== undefined) return [{ tcId, field: 'edit', what: edit }];
  const result = computed(() => differences(vector, recompute[group.type]!(vector, group)));
  if ('failure' in result) return [{ tcId, field: 'result', what: result.failure }];
  return result.map((found) => ({ tcId, ...found }));
}

/** What is wrong with a file as a file: its head, ids, counts, order, flags. */
export function lintFile(file: VectorFile): Mismatch[] {
  const found: Mismatch[] = [];
  const wrong = (field: string, what: string, tcId?: number): void => void found.push({ tcId, field, what });
  const head = schemaDefect(file, envelope);
  if (head !== undefined) {
    wrong(head.path, head.what);
    return found;
  }
  const kind = Object.entries(kinds).find(([, { algorithm }]) => algorithm === file.algorithm);
  if (kind === undefined) {
    wrong(
      'algorithm',
      `is none of ${Object.values(kinds)
        .map(({ algorithm }) => algorithm)
        .join(', ')}`,
    );
    return found;
  }
  const [name, { types }] = kind;
  if (file.schema !== `${name}.schema.json`) wrong('schema', `is not "${name}.schema.json"`);
  if (Number(file.generatorVersion) > Number(GENERATOR_VERSION))
    wrong('generatorVersion', `is newer than ${GENERATOR_VERSION}, the newest known here`);
  const used = new Set<string>();
  let next = 1;
  for (const group of file.testGroups) {
    if (!types.includes(group.type)) {
      wrong('testGroups', `a group of type ${shown(group.type)} does not belong into ${file.algorithm}`);
      continue;
    }
    const shape = schemaDefect(group, groupSchema(group.type));
    if (shape !== undefined) {
      wrong(`${group.type}.${shape.path}`, shape.what);
      continue;
    }
    for (const vector of group.tests) {
      if (vector.tcId !== next) wrong('tcId', `is ${shown(vector.tcId)}, ${next} is next`, vector.tcId);
      next++;
      for (const flag of Array.isArray(vector.flags) ? (vector.flags as string[]) : []) {
        used.add(flag);
        if (!Object.hasOwn(file.notes, flag)) wrong('flags', `"${flag}" is not among the notes`, vector.tcId);
      }
    }
  }
  if (found.length === 0 && file.numberOfTests !== next - 1)
    wrong('numberOfTests', `is ${file.numberOfTests}, there are ${next - 1}`);
  for (const flag of Object.keys(file.notes))
    if (!used.has(flag)) wrong('notes', `no case has the flag "${flag}"`);
  return found;
}

/**
 * Everything the file claims that does not hold, at most a hundred of it. Covered are all fields but those for people:
 * comments, the texts of the notes, and the seed, which only generating again can confirm.
 */
export function verifyFile(file: VectorFile): Mismatch[] {
  const found = lintFile(file);
  if (found.length > 0) return found.slice(0, MOST);
  for (const group of file.testGroups) {
    found.push(...verifyGroup(group));
    for (const vector of group.tests) {
      if (found.length >= MOST) return found.slice(0, MOST);
      found.push(...verifyCase(vector, group));
    }
  }
  return found;
}
