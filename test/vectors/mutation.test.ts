import { expect } from 'chai';
import type { Fields, Group, Json, Vector } from '../../harness/vectors/format.js';
import {
  type VectorFile,
  fromRecording,
  generatedKinds,
  lintFile,
  verifyCase,
  verifyFile,
} from '../../harness/vectors/index.js';
import type { Schema } from '../../harness/vectors/schema.js';
import { groupSchema, testSchema } from '../../harness/vectors/schemas.js';
import { vectors } from './folder.js';

/** Fields for people; what generating again confirms is in files.test.ts. */
const forPeople = ['comment', 'flags', 'tcId'];

/**
 * Inputs: nothing else decides them, so a change of one shows in what is computed from it. Everything else has to be
 * named itself when it is changed.
 */
const inputs: Readonly<Record<string, readonly string[]>> = {
  TlvCodec: ['encoded'],
  TlvInteger: ['value', 'width', 'order'],
  SetupCode: ['input'],
  SetupPayload: ['reserved', 'version', 'category', 'transport', 'code', 'setupId', 'edit'],
  SrpSession: ['salt', 'a', 'b', 'user', 'password', 'convention'],
  SrpIllegalA: ['salt', 'b', 'multiple', 'length', 'guess', 'user', 'password'],
  SrpIllegalB: ['number', 'length'],
  SrpProof: ['salt', 'a', 'b', 'edit', 'user', 'password'],
  HkdfLabel: ['ikm', 'size', 'edit', 'label'],
  AeadLabel: ['key', 'plaintext', 'edit', 'label'],
  PairSetup: ['code', 'method', 'pairingFlags', 'salt', 'a', 'b', 'controller', 'accessory', 'edit'],
  PairVerify: ['controller', 'accessory', 'controllerSecret', 'accessorySecret', 'edit'],
  PairingsRequest: ['method', 'id', 'ltpk', 'permissions', 'edit'],
  PairingsList: ['entries', 'edit'],
  PairingsReply: ['method', 'situation'],
  FrameStream: ['key', 'counter', 'plaintext', 'sizes', 'edit'],
  Transient: ['code', 'method', 'pairingFlags', 'salt', 'a', 'b', 'request', 'response', 'edit', 'dress'],
  Split: ['code', 'salt', 'first', 'second', 'edit'],
  MfiM4: ['code', 'method', 'pairingFlags', 'salt', 'a', 'b', 'signature', 'edit', 'certificate'],
  ErrorReply: ['requestState', 'error', 'retryDelay', 'edit', 'endpoint'],
  Recorded: ['body', 'key', 'label', 'sub'],
};
/** Inputs that make SRP compute everything anew: some 60 ms a change. */
const slow = ['salt', 'a', 'b', 'code', 'password', 'user', 'first.a', 'first.b', 'second.a', 'second.b'];
const everything = process.env['HAPSPEC_SLOW'] === '1';

/** Other values for one leaf: near ones, because a far one is easily caught. */
function others(value: Json, schema: Schema | undefined): Json[] {
  if (typeof value === 'number') return [value + 1, value - 1];
  if (typeof value !== 'string') return [];
  if (schema?.enum !== undefined) return schema.enum.filter((other) => other !== value);
  const swap = (at: number): string => {
    const old = value[at]!;
    const next = schema?.format === 'HexBytes' ? (old === '0' ? '1' : '0') : old === '1' ? '2' : '1';
    return value.slice(0, at) + next + value.slice(at + 1);
  };
  const longer = schema?.format === 'HexBytes' ? `${value}00` : `${value}1`;
  if (value === '') return [longer];
  const places = [0, value.length >> 1, value.length - 1];
  return [...new Set(places)]
    .map(swap)
    .concat(longer, value.slice(0, schema?.format === 'HexBytes' ? -2 : -1));
}

/** The object without one member. */
function without<T>(object: Readonly<Record<string, T>>, name: string): Record<string, T> {
  return Object.fromEntries(Object.entries(object).filter(([other]) => other !== name));
}

interface Mutation {
  readonly path: string;
  readonly mutated: Fields;
}

/** Every change of one field of `value`, each a whole copy with only that changed. */
function mutations(value: Fields, schema: Schema): Mutation[] {
  const found: Mutation[] = [];
  const visit = (
    part: Json,
    shape: Schema | undefined,
    path: string,
    put: (other: Json | undefined) => Fields,
  ): void => {
    const add = (other: Json | undefined): void => void found.push({ path, mutated: put(other) });
    if (Array.isArray(part)) {
      const list = part as readonly Json[];
      list.forEach((entry, index) =>
        visit(entry, shape?.items, `${path}[${index}]`, (other) =>
          put(other === undefined ? list.filter((_, i) => i !== index) : list.with(index, other)),
        ),
      );
      if (list.length > 0) add([...list, list[0]!]);
    } else if (typeof part === 'object' && part !== null) {
      for (const [name, member] of Object.entries(part as Fields))
        visit(member, shape?.properties?.[name], path === '' ? name : `${path}.${name}`, (other) => {
          const rest = without(part as Fields, name);
          return put(other === undefined ? rest : { ...part, [name]: other });
        });
      add({ ...part, unheard: 1 });
      if (path !== '') add(undefined);
    } else {
      for (const other of others(part, shape)) add(other);
      add(undefined);
    }
  };
  visit(value, schema, '', (other) => other as Fields);
  return found.filter(({ path }) => !forPeople.some((name) => path === name || path.startsWith(`${name}[`)));
}

/** One case of every edit and result a type has: they differ in which fields decide what. */
function representatives(group: Group): Vector[] {
  const chosen = new Map<string, Vector>();
  for (const vector of group.tests) {
    const op = (vector['edit'] as Fields | undefined)?.['op'] as string | undefined;
    const optional = Object.keys(vector).sort().join();
    const kind = `${op} ${vector.result} ${optional}`;
    if (!chosen.has(kind)) chosen.set(kind, vector);
  }
  return [...chosen.values()];
}

/** Changes every field of the group's representatives; how many changes that were. */
function checkGroup(group: Group, seen: Set<string>): number {
  const { type } = group;
  let count = 0;
  for (const vector of representatives(group)) {
    for (const { path, mutated } of mutations(vector, testSchema(type))) {
      const once = `${type} ${path}`;
      if (slow.includes(path) && !everything && seen.has(once)) continue;
      seen.add(once);
      const found = verifyCase(mutated as Vector, group);
      const shown = `${type} tcId ${vector.tcId} ${path}`;
      expect(found.length, shown).to.be.above(0);
      expect(found[0]!.tcId, shown).to.equal(vector.tcId);
      const isInput = inputs[type]!.some((name) => new RegExp(`^${name}($|[.[])`).test(path));
      const named = found.some(({ field }) => path.startsWith(field) || field.startsWith(path));
      expect(isInput || named, `${shown}, named is ${found.map(({ field }) => field).join()}`).to.equal(true);
      count++;
    }
  }
  return count;
}

/** Changes the group's own fields. */
function checkParameters(file: VectorFile, group: Group): number {
  const { tests, ...parameters } = group;
  let count = 0;
  const one = [{ ...tests[0]!, tcId: 1 }];
  const { properties, ...rest } = groupSchema(group.type);
  const own = without(properties!, 'tests');
  for (const { path, mutated } of mutations(parameters, { ...rest, properties: own })) {
    const testGroups = [{ ...mutated, tests: one } as unknown as Group];
    const notes = Object.fromEntries(one[0]!.flags.map((flag) => [flag, file.notes[flag]!]));
    const found = verifyFile({ ...file, notes, testGroups, numberOfTests: 1 });
    expect(found.length, `${group.type} ${path}`).to.be.above(0);
    count++;
  }
  return count;
}

describe('test vectors: every change of a field is caught', function () {
  this.timeout(everything ? 600_000 : 60_000);
  for (const kind of [...generatedKinds, 'recorded'])
    it(kind, () => {
      const file = kind === 'recorded' ? recorded() : vectors(kind);
      const seen = new Set<string>();
      const types = new Set<string>();
      let count = 0;
      for (const group of file.testGroups) {
        // Groups of these types differ only in their parameters, and there are many.
        const again = types.has(group.type) && ['SrpSession', 'HkdfLabel'].includes(group.type);
        types.add(group.type);
        if (!again || everything) count += checkGroup(group, seen);
        count += checkParameters(file, group);
      }
      expect(count).to.be.above(20);
    });

  it('the head of a file', () => {
    const file = vectors('frames');
    for (const field of [
      'algorithm',
      'schema',
      'generatorVersion',
      'numberOfTests',
      'notes',
      'testGroups',
    ] as const) {
      const rest = without(file, field);
      expect(lintFile(rest as unknown as VectorFile), field).to.have.length.at.least(1);
    }
    expect(lintFile({ ...file, generatorVersion: '9' })).to.have.length(1);
    expect(lintFile({ ...file, numberOfTests: file.numberOfTests + 1 })).to.have.length(1);
    for (const flag of Object.keys(file.notes)) {
      const notes = without(file.notes, flag);
      expect(lintFile({ ...file, notes }), flag).to.have.length.at.least(1);
    }
  });
});

/** A recorded Pair Verify with the key of its M2, and a body that ends too early. */
function recorded(): VectorFile {
  const [vector] = vectors('pair-verify').testGroups[0]!.tests;
  const { M1, M2, M3, M4 } = vector!['messages'] as Readonly<Record<string, string>>;
  const key = vector!['encryptKey'] as string;
  const exchanges = [
    { request: M1, response: M2 },
    { request: M3, response: M4 },
    { request: '0601050520aa' },
  ];
  return fromRecording(JSON.stringify({ exchanges, keys: { 'PV-Msg02': key, 'PV-Msg03': key } }));
}
