import { type Bytes, type Random, hex } from '../protocol/index.js';
import type { Edit, Fields, Group, Json, Note, Result, Vector, VectorFile } from './format.js';
import { GENERATOR_VERSION } from './format.js';
import { type FlagName, notes } from './notes.js';
import { kinds } from './schemas.js';

/** A field before it is written: bytes become hexadecimal, an undefined field is left out. */
export type Value = Json | Bytes | bigint | undefined | readonly Value[] | { readonly [name: string]: Value };

function written(value: Value): Json {
  if (value instanceof Uint8Array) return hex(value);
  if (typeof value === 'bigint') return value.toString();
  if (Array.isArray(value)) return value.map(written);
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(
      Object.entries(value as Readonly<Record<string, Value>>).flatMap(([name, member]) =>
        member === undefined ? [] : [[name, written(member)]],
      ),
    );
  return value as Json;
}

/** A case before it has its number. */
export interface Draft {
  readonly comment: string;
  readonly flags: readonly FlagName[];
  readonly result: Result;
  readonly fields: Readonly<Record<string, Value>>;
}

/** Drafts of one type. */
export interface GroupDraft {
  readonly type: string;
  readonly parameters?: Readonly<Record<string, Value>>;
  readonly tests: readonly Draft[];
}

/** Numbers the cases and gathers the notes of their flags. */
export function fileOf(kind: string, seed: string, drafts: readonly GroupDraft[]): VectorFile {
  let tcId = 0;
  const used = new Set<FlagName>();
  const testGroups = drafts.map(({ type, parameters = {}, tests }): Group => {
    const vectors = tests.map(({ comment, flags, result, fields }): Vector => {
      for (const flag of flags) used.add(flag);
      return { tcId: ++tcId, comment, flags, ...(written(fields) as Fields), result };
    });
    return { type, ...(written(parameters) as Fields), tests: vectors };
  });
  const explained: Record<string, Note> = {};
  for (const flag of [...used].sort()) explained[flag] = notes[flag];
  return {
    algorithm: kinds[kind]!.algorithm,
    schema: `${kind}.schema.json`,
    generatorVersion: GENERATOR_VERSION,
    seed,
    numberOfTests: tcId,
    notes: explained,
    testGroups,
  };
}

/** How a kind is made: everything it draws comes from `random`. */
export type Generator = (random: Random) => readonly GroupDraft[];

/** An edit with its argument. */
export function edit(op: string, argument: Omit<Edit, 'op' | 'value'> & { value?: Bytes } = {}): Value {
  return { op, ...argument };
}
