/** The part of JSON Schema (draft 2020-12) used here; `HexBytes` marks bytes. */
export interface Schema {
  readonly type: 'string' | 'integer' | 'array' | 'object';
  readonly format?: 'HexBytes';
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly enum?: readonly (string | number)[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: false | Schema;
}

/** Names ending in `?` may be missing. */
export type Properties = Readonly<Record<string, Schema>>;

export function record(properties: Properties): Schema {
  const names = Object.keys(properties);
  return {
    type: 'object',
    properties: Object.fromEntries(names.map((name) => [name.replace('?', ''), properties[name]!])),
    required: names.filter((name) => !name.endsWith('?')),
    additionalProperties: false,
  };
}

/** Bytes as hexadecimal; sizes are of the bytes. */
export function bytes(least: number, most = least): Schema {
  const format = 'HexBytes';
  return { type: 'string', format, pattern: '^([0-9a-f]{2})*$', minLength: 2 * least, maxLength: 2 * most };
}
export function integer(minimum: number, maximum: number): Schema {
  return { type: 'integer', minimum, maximum };
}
export function text(pattern: string, maxLength = 200): Schema {
  return { type: 'string', pattern, maxLength };
}
export function oneOf(...names: readonly string[]): Schema {
  return { type: 'string', enum: names };
}
export function list(items: Schema, maxItems: number, minItems = 0): Schema {
  return { type: 'array', items, minItems, maxItems };
}

const patterns = new Map<string, RegExp>();
function matches(pattern: string, value: string): boolean {
  let compiled = patterns.get(pattern);
  if (compiled === undefined) patterns.set(pattern, (compiled = new RegExp(pattern)));
  return compiled.test(value);
}

/** The first thing about `value` that the schema forbids: the field's path and what is wrong; undefined when nothing is. */
export function schemaDefect(
  value: unknown,
  schema: Schema,
  path = '',
): { readonly path: string; readonly what: string } | undefined {
  const wrong = (what: string) => ({ path, what });
  switch (schema.type) {
    case 'integer':
      if (typeof value !== 'number' || !Number.isSafeInteger(value)) return wrong('is not an integer');
      return value < schema.minimum! || value > schema.maximum!
        ? wrong(`is not from ${schema.minimum} to ${schema.maximum}`)
        : undefined;
    case 'string': {
      if (typeof value !== 'string') return wrong('is not a text');
      if (schema.enum !== undefined && !schema.enum.includes(value))
        return wrong(`is none of ${schema.enum.join(', ')}`);
      const unit = schema.format === 'HexBytes' ? 'hexadecimal digits' : 'characters';
      const [least, most] = [schema.minLength ?? 0, schema.maxLength ?? Infinity];
      if (value.length < least || value.length > most)
        return wrong(`has ${value.length} ${unit}, not ${least === most ? least : `${least} to ${most}`}`);
      if (schema.pattern !== undefined && !matches(schema.pattern, value))
        return wrong(
          schema.format === 'HexBytes' ? 'is not lower-case hexadecimal' : `does not match ${schema.pattern}`,
        );
      return undefined;
    }
    case 'array': {
      if (!Array.isArray(value)) return wrong('is not a list');
      if (value.length < (schema.minItems ?? 0)) return wrong('is empty');
      if (value.length > (schema.maxItems ?? Infinity))
        return wrong(`has more than ${schema.maxItems} entries`);
      for (const [index, entry] of value.entries()) {
        const defect = schemaDefect(entry, schema.items!, `${path}[${index}]`);
        if (defect !== undefined) return defect;
      }
      return undefined;
    }
    case 'object': {
      if (typeof value !== 'object' || value === null || Array.isArray(value))
        return wrong('is not an object');
      const at = (name: string): string => (path === '' ? name : `${path}.${name}`);
      const given = value as Readonly<Record<string, unknown>>;
      for (const name of schema.required ?? [])
        if (!Object.hasOwn(given, name)) return { path: at(name), what: 'is missing' };
      for (const [name, member] of Object.entries(given)) {
        const known =
          schema.properties !== undefined && Object.hasOwn(schema.properties, name)
            ? schema.properties[name]
            : undefined;
        const allowed = known ?? schema.additionalProperties;
        if (allowed === false) return { path: at(name), what: 'is no field of this type' };
        if (allowed === undefined) continue;
        const defect = schemaDefect(member, allowed, at(name));
        if (defect !== undefined) return defect;
      }
      return undefined;
    }
  }
}
