import type { Json, VectorFile } from './format.js';
import type { Schema } from './schema.js';
import { kinds } from './schemas.js';
import { groupShapes } from './shapes.js';

/** A field of a case by its path (`messages.M3`, `items[0].value`). */
interface Leaf {
  readonly name: string;
  readonly value: string | number;
  readonly bytes: boolean;
}

/** The leaves of a value in the order of the file; its schema says which texts are bytes. */
function leaves(value: Json, schema: Schema | undefined, name: string): Leaf[] {
  if (Array.isArray(value))
    return (value as readonly Json[]).flatMap((entry, index) =>
      leaves(entry, schema?.items, `${name}[${index}]`),
    );
  if (typeof value === 'object' && value !== null)
    return Object.entries(value).flatMap(([member, inner]) =>
      leaves(inner, schema?.properties?.[member], `${name}.${member}`),
    );
  if (typeof value !== 'string' && typeof value !== 'number') return [];
  return [{ name, value, bytes: schema?.format === 'HexBytes' }];
}

/** A C string literal; a question mark is escaped because two of them may begin a trigraph. */
function literal(text: string): string {
  const escaped = [...text].map((character) => {
    if (/["\\?]/.test(character)) return `\\${character}`;
    return /[\x20-\x7e]/.test(character) ? character : '\\?';
  });
  return `"${escaped.join('')}"`;
}

/** Guarded by `guard`; the types are guarded by themselves, for headers of several kinds in one program. */
const head = (guard: string): string => `/*
 * Test vectors of HomeKit (HAP) pairing, written by "hapspec vectors export --format c": do not edit.
 * What a kind of case means and how to use it is in vectors/README.md.
 */
#ifndef ${guard}
#define ${guard}

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef HAPSPEC_VECTOR_TYPES
#define HAPSPEC_VECTOR_TYPES

typedef enum { HAPSPEC_VALID, HAPSPEC_INVALID, HAPSPEC_ACCEPTABLE } hapspec_verdictt;
typedef enum { HAPSPEC_BYTES, HAPSPEC_TEXT, HAPSPEC_NUMBER } hapspec_field_kind_t;

typedef struct {
    const char *name;
    hapspec_field_kind_t kind;
    const uint8_t *bytes; /* of HAPSPEC_BYTES, never NULL there */
    size_t size;
    const char *text; /* of HAPSPEC_TEXT */
    uint32_t number;  /* of HAPSPEC_NUMBER */
} hapspec_field_t;

typedef struct {
    const char *kind; /* the file, "srp" */
    const char *type; /* the type of the group, "SrpSession" */
    unsigned int id;  /* tcId in that file */
    hapspec_verdictt result;
    const char *comment;
    const char *flags; /* separated by blanks */
    const hapspec_field_t *fields; /* those of the group first */
    size_t field_count;
} hapspec_case_t;

/* The field of a case by its name ("messages.M3"), or NULL. */
static inline const hapspec_field_t *hapspec_field(const hapspec_case_t *vector, const char *name)
{
    for (size_t i = 0; i < vector->field_count; i++)
        if (strcmp(vector->fields[i].name, name) == 0)
            return &vector->fields[i];
    return NULL;
}
#endif /* HAPSPEC_VECTOR_TYPES */
`;

/** Bytes in lines of at most 20; C has no empty array, so no bytes are one byte of size 0. */
function array(hexadecimal: string): string {
  const bytes = (hexadecimal.match(/../g) ?? ['00']).map((pair) => `0x${pair}`);
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += 20) lines.push('    ' + bytes.slice(at, at + 20).join(','));
  return `{\n${lines.join(',\n')}\n}`;
}

const kindOf = ({ algorithm }: VectorFile): string =>
  Object.entries(kinds).find(([, kind]) => kind.algorithm === algorithm)![0];

/** The first name that stands twice: `hapspec_field` would never find the second. */
function twice(fields: readonly Leaf[]): string | undefined {
  const names = fields.map(({ name }) => name);
  return names.find((name, index) => names.indexOf(name) !== index);
}

/**
 * A C99 header with the cases of the files: an array for every value of bytes (equal ones share theirs), a table of
 * fields for every case, and the table of all. It needs no other file. Of all kinds that is `hapspec_cases`; of some,
 * their names stand in those of the header (`hapspec_hkdf_cases`), so that several headers fit into one program.
 */
export function cHeader(files: readonly VectorFile[]): string {
  const chosen = [...new Set(files.map(kindOf))];
  const all = Object.keys(kinds).filter((kind) => kind !== 'recorded');
  const whole = all.every((kind) => chosen.includes(kind));
  const prefix = ['hapspec', ...(whole ? [] : chosen)].join('_').replaceAll('-', '_');
  const guard = `HAPSPEC_VECTORS${prefix.slice('hapspec'.length).toUpperCase()}_H`;
  const names = new Map<string, string>();
  const arrays: string[] = [];
  const nameOf = (hexadecimal: string): string => {
    let name = names.get(hexadecimal);
    if (name === undefined) {
      name = `${prefix}_bytes_${names.size + 1}`;
      names.set(hexadecimal, name);
      arrays.push(
        `static const uint8_t ${name}[${Math.max(1, hexadecimal.length / 2)}] = ${array(hexadecimal)};`,
      );
    }
    return name;
  };
  const fieldOf = ({ name, value, bytes }: Leaf): string => {
    if (typeof value === 'number') return `{ ${literal(name)}, HAPSPEC_NUMBER, NULL, 0, NULL, ${value}u }`;
    if (!bytes) return `{ ${literal(name)}, HAPSPEC_TEXT, NULL, 0, ${literal(value)}, 0 }`;
    return `{ ${literal(name)}, HAPSPEC_BYTES, ${nameOf(value)}, ${value.length / 2}, NULL, 0 }`;
  };
  const tables: string[] = [];
  const cases: string[] = [];
  for (const file of files) {
    const kind = kindOf(file);
    for (const { type, tests, ...parameters } of file.testGroups) {
      const shape = groupShapes[type]!;
      const shared = Object.entries(parameters as Record<string, Json>).flatMap(([name, value]) =>
        leaves(value, shape.group[name], name),
      );
      for (const { tcId, comment, flags, result, ...own } of tests) {
        const fields = Object.entries(own as Record<string, Json>).flatMap(([name, value]) =>
          leaves(value, shape.test[name] ?? shape.test[`${name}?`], name),
        );
        const both = [...shared, ...fields];
        const double = twice(both);
        if (double !== undefined) throw new Error(`${kind} ${tcId}: two fields have the name ${double}`);
        const all = both.map(fieldOf);
        const table = `${prefix}_${kind.replaceAll('-', '_')}_${tcId}`;
        tables.push(
          `static const hapspec_field_t ${table}[${all.length}] = {\n    ${all.join(',\n    ')}\n};`,
        );
        const verdict = `HAPSPEC_${result.toUpperCase()}`;
        cases.push(
          `    { "${kind}", "${type}", ${tcId}, ${verdict}, ${literal(comment)}, "${flags.join(' ')}", ${table}, ${all.length} }`,
        );
      }
    }
  }
  return [
    head(guard),
    ...arrays,
    '',
    ...tables,
    '',
    `enum { ${prefix.toUpperCase()}_CASE_COUNT = ${cases.length} };`,
    `static const hapspec_case_t ${prefix}_cases[${cases.length}] = {`,
    cases.join(',\n'),
    '};',
    '',
    `#endif /* ${guard} */`,
    '',
  ].join('\n');
}
