import type { Json } from './format.js';

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
type Properties = Readonly<Record<string, Schema>>;

function record(properties: Properties): Schema {
  const names = Object.keys(properties);
  return {
    type: 'object',
    properties: Object.fromEntries(names.map((name) => [name.replace('?', ''), properties[name]!])),
    required: names.filter((name) => !name.endsWith('?')),
    additionalProperties: false,
  };
}

/** Bytes as hexadecimal; sizes are of the bytes. */
function bytes(least: number, most = least): Schema {
  const format = 'HexBytes';
  return { type: 'string', format, pattern: '^([0-9a-f]{2})*$', minLength: 2 * least, maxLength: 2 * most };
}
function integer(minimum: number, maximum: number): Schema {
  return { type: 'integer', minimum, maximum };
}
function text(pattern: string, maxLength = 200): Schema {
  return { type: 'string', pattern, maxLength };
}
function oneOf(...names: readonly string[]): Schema {
  return { type: 'string', enum: names };
}
function list(items: Schema, maxItems: number, minItems = 0): Schema {
  return { type: 'array', items, minItems, maxItems };
}

const decimal = text('^(0|[1-9][0-9]*)$', 20);
const byte = integer(0, 255);
/** No message of the protocol comes near. */
const body = bytes(0, 70_000);
const item = record({ type: byte, value: body });
const items = list(item, 1000);
/** Where the bytes stop being TLV8, and what is left there. */
const defect = record({
  kind: oneOf('length-missing', 'value-truncated'),
  offset: integer(0, 70_000),
  rest: body,
});
const pairingId = bytes(0, 300);
const key = bytes(32);
const digest = bytes(64);
const publicKey = bytes(0, 400);
const password = text('^[\\x20-\\x7e]*$', 64);

const parameters = {
  bit: integer(0, 100_000),
  to: integer(0, 100_000),
  value: body,
  text: text('^[\\x20-\\x7e]*$'),
};
type Parameter = keyof typeof parameters;
/** What each `op` of an edit needs beside its name. */
const needs = new Map<string, readonly Parameter[]>();

/** Edits of one type: the names, each with its arguments (`flip:bit`, `cut:to`, `other:value`, `label:text`). */
function edits(...ops: readonly string[]): Schema {
  const names = ops.map((op) => op.split(':')[0]!);
  const given = [...new Set(ops.flatMap((op) => op.split(':').slice(1)))] as Parameter[];
  for (const op of ops) needs.set(op.split(':')[0]!, op.split(':').slice(1) as Parameter[]);
  return record({
    op: oneOf(...names),
    ...Object.fromEntries(given.map((name) => [`${name}?`, parameters[name]])),
  });
}

/** How one edit differs from what its `op` needs, or undefined. */
export function editDefect(edit: Readonly<Record<string, Json>>): string | undefined {
  const op = edit['op'] as string;
  const wanted = needs.get(op) ?? [];
  const given = Object.keys(edit).filter((name) => name !== 'op');
  const missing = wanted.find((name) => !given.includes(name));
  if (missing !== undefined) return `"${op}" needs "${missing}"`;
  const odd = given.find((name) => !(wanted as readonly string[]).includes(name));
  return odd === undefined ? undefined : `"${op}" takes no "${odd}"`;
}

const identity = record({ id: pairingId, ltsk: key, ltpk: key });
const signed = record({
  info: bytes(0, 700),
  signature: bytes(64),
  sub: bytes(0, 2000),
  sealed: bytes(0, 2000),
});
const srp = {
  x: digest,
  v: bytes(384),
  k: digest,
  u: digest,
  A: bytes(0, 384),
  B: bytes(1, 384),
  S: bytes(384),
  K: bytes(0, 64),
  M1: digest,
  M2: digest,
};
const { M2, ...srpToM1 } = srp;
const exponents = { salt: bytes(16), a: bytes(1, 32), b: bytes(1, 32) };
const setup = {
  code: text('^[0-9-]{4,10}$'),
  method: integer(0, 1),
  'pairingFlags?': integer(0, 0xffffffff),
  ...exponents,
  ...srpToM1,
  'M2?': M2,
};
const messages = (...names: readonly string[]): Schema =>
  record(Object.fromEntries(names.map((name) => [name, body])));
const frame = bytes(0, 70_000);
const situation = oneOf('by-non-admin', 'other-key-for-known-id', 'all-places-taken', 'unknown-id');

/** One type of group: what its cases have in common, and what each of them has. */
export interface GroupShape {
  readonly group: Properties;
  readonly test: Properties;
}

/** Every type of group. */
export const groupShapes: Readonly<Record<string, GroupShape>> = {
  TlvCodec: {
    group: {},
    test: {
      encoded: body,
      items,
      'defect?': defect,
    },
  },
  TlvInteger: {
    group: {},
    test: {
      value: decimal,
      width: integer(0, 8),
      order: oneOf('little-endian', 'big-endian'),
      encoded: bytes(0, 8),
    },
  },
  SetupCode: {
    group: {},
    test: {
      input: text('^[\\x20-\\x7e]*$', 40),
      digits: text('^[0-9]*$', 40),
      shape: text('^[\\x20-\\x7e]*$', 40),
      'dashed?': text('^[0-9]{3}-[0-9]{2}-[0-9]{3}$'),
    },
  },
  SetupPayload: {
    group: {},
    test: {
      payload: text('^[\\x20-\\x7e]*$', 60),
      reserved: integer(0, 1),
      version: integer(0, 7),
      category: byte,
      transport: integer(0, 15),
      code: integer(0, 0x7ffffff),
      setupId: text('^[0-9A-Z]{4}$'),
      'right?': text('^[\\x20-\\x7e]*$', 60),
      'edit?': edits('lower-case', 'cut:to', 'add:text', 'prefix:text'),
    },
  },
  SrpSession: {
    group: {
      user: password,
      password,
      convention: text('^[a-z-]+$'),
      forms: record({
        salt: oneOf('as-sent', 'stripped'),
        k: oneOf('padded', 'literal'),
        u: oneOf('padded', 'stripped'),
        proofA: oneOf('as-sent', 'stripped', 'padded', 'left-aligned'),
        proofB: oneOf('as-sent', 'stripped', 'padded', 'left-aligned'),
        session: oneOf('stripped', 'padded', 'left-aligned'),
        sessionKey: oneOf('fixed', 'stripped'),
        serverProofA: oneOf('as-sent', 'stripped', 'padded', 'left-aligned'),
        wireA: oneOf('stripped', 'padded'),
        wireB: oneOf('stripped', 'padded'),
      }),
    },
    test: { ...exponents, ...srp },
  },
  SrpIllegalA: {
    group: { user: password, password },
    test: {
      salt: bytes(16),
      b: bytes(32),
      v: bytes(384),
      B: bytes(1, 384),
      multiple: integer(0, 1),
      length: integer(0, 1000),
      A: publicKey,
      guess: oneOf('empty', 'zero-byte', 'padded'),
      K: digest,
      M1: digest,
    },
  },
  SrpIllegalB: {
    group: {},
    test: {
      number: oneOf('0', '1', 'N-1', 'N', 'N+1'),
      length: integer(0, 400),
      B: publicKey,
    },
  },
  SrpProof: {
    group: { user: password, password },
    test: {
      ...exponents,
      ...srp,
      right: digest,
      proof: bytes(0, 200),
      edit: edits(
        'M1-flip:bit',
        'M1-cut:to',
        'M1-append:value',
        'M1-zero',
        'M1-of-password:text',
        'M1-of-user:text',
        'M1-without-salt',
        'M1-padded-g',
        'M1-is-M2',
        'M1-S-in-place-of-K',
        'M2-flip:bit',
        'M2-cut:to',
        'M2-append:value',
        'M2-is-M1',
        'M2-of-B',
      ),
    },
  },
  HkdfLabel: {
    group: { label: text('^[A-Za-z-]+$'), salt: password, info: password },
    test: {
      ikm: bytes(1, 400),
      size: integer(1, 64),
      key: bytes(1, 64),
      'right?': bytes(1, 64),
      'edit?': edits(
        'sha256',
        'swapped',
        'no-salt',
        'no-info',
        'stripped-ikm',
        'half-ikm',
        'nul-terminated',
        'extract-only',
      ),
    },
  },
  AeadLabel: {
    group: { label: text('^[A-Za-z0-9-]{8}$') },
    test: {
      key,
      nonce: bytes(12),
      plaintext: bytes(0, 2000),
      aad: bytes(0, 100),
      sealed: bytes(0, 2100),
      'right?': bytes(0, 2100),
      'edit?': edits(
        'flip:bit',
        'cut:to',
        'append:value',
        'label-first',
        'other-label:text',
        'with-aad:value',
        'tag-first',
      ),
    },
  },
  PairSetup: {
    group: {},
    test: {
      ...setup,
      'controller?': identity,
      'accessory?': identity,
      'keys?': record({ encrypt: key, controllerX: key, accessoryX: key }),
      'm5?': signed,
      'm6?': signed,
      messages: record({ M1: body, M2: body, M3: body, M4: body, 'M5?': body, 'M6?': body }),
      'edit?': edits(
        'm3-code:text',
        'm3-proof-flip:bit',
        'm3-proof-cut:to',
        'm4-proof-flip:bit',
        'm5-flip:bit',
        'm5-label:text',
        'm5-signature-flip:bit',
        'm5-info-order',
        'm5-info-without-x',
        'm5-x-of-accessory',
        'm5-other-ltpk:value',
        'm6-flip:bit',
        'm6-label:text',
        'm6-signature-flip:bit',
        'm6-x-of-controller',
        'm6-other-id:value',
      ),
      'right?': record({ 'M3?': body, 'M4?': body, 'M5?': body, 'M6?': body }),
    },
  },
  PairVerify: {
    group: {},
    test: {
      'controller?': identity,
      'accessory?': identity,
      controllerSecret: key,
      controllerPublic: key,
      accessorySecret: key,
      accessoryPublic: key,
      'shared?': key,
      'encryptKey?': key,
      'm2?': signed,
      'm3?': signed,
      messages: record({ M1: body, M2: body, 'M3?': body, 'M4?': body }),
      'toAccessory?': key,
      'toController?': key,
      'edit?': edits(
        'm1-low-order:value',
        'm2-flip:bit',
        'm2-label:text',
        'm2-signature-flip:bit',
        'm2-info-order',
        'm2-id-flip:bit',
        'm3-flip:bit',
        'm3-label:text',
        'm3-signature-flip:bit',
        'm3-info-order',
        'm3-id-flip:bit',
      ),
      'right?': record({ 'M1?': body, 'M2?': body, 'M3?': body, 'M4?': body }),
    },
  },
  PairingsRequest: {
    group: {},
    test: {
      method: oneOf('add', 'remove', 'list'),
      'id?': pairingId,
      'ltpk?': bytes(0, 64),
      'permissions?': byte,
      body,
      'right?': body,
      'edit?': edits(
        'state:to',
        'no-state',
        'method:to',
        'no-method',
        'no-id',
        'no-ltpk',
        'no-permissions',
        'cut:to',
        'twice-id:value',
      ),
    },
  },
  PairingsList: {
    group: {},
    test: {
      entries: list(record({ id: pairingId, ltpk: bytes(0, 64), permissions: byte }), 64),
      body,
      'right?': body,
      'edit?': edits('state-each', 'no-separators', 'no-state', 'cut:to', 'separator-length', 'error:to'),
    },
  },
  PairingsReply: {
    group: {},
    test: { method: oneOf('add', 'remove', 'list'), methodNumber: byte, situation, error: byte, body },
  },
  FrameStream: {
    group: {},
    test: {
      key,
      counter: decimal,
      sizes: list(integer(0, 65_535), 100),
      plaintext: bytes(0, 70_000),
      frames: list(frame, 100),
      'right?': list(frame, 100),
      'edit?': edits(
        'flip:bit',
        'flip-last:bit',
        'cut:to',
        'counter:to',
        'no-aad',
        'aad-big-endian',
        'header-big-endian',
        'declared:to',
        'replay',
        'swapped',
        'other-key:value',
        'nonce-left',
      ),
    },
  },
  Transient: {
    group: {
      dress: oneOf('hap', 'airplay'),
      hkdfSalt: password,
      toAccessoryInfo: password,
      toControllerInfo: password,
    },
    test: {
      ...setup,
      'keys?': record({ toAccessory: key, toController: key }),
      messages: messages('M1', 'M2', 'M3', 'M4'),
      'request?': bytes(0, 2000),
      'requestFrame?': frame,
      'response?': bytes(0, 2000),
      'responseFrame?': frame,
      'edit?': edits(
        'm3-code:text',
        'm3-proof-flip:bit',
        'directions-swapped',
        'other-dress',
        'half-ikm',
        'ikm-S',
        'counter:to',
        'wrong-label',
      ),
      'right?': record({
        'M3?': body,
        'M4?': body,
        'keys?': record({ toAccessory: key, toController: key }),
        'requestFrame?': frame,
        'responseFrame?': frame,
      }),
    },
  },
  Split: {
    group: {},
    test: {
      code: text('^[0-9-]{4,10}$'),
      salt: bytes(16),
      first: record({ a: bytes(1, 32), b: bytes(1, 32), ...srp, messages: messages('M1', 'M2', 'M3', 'M4') }),
      keys: record({ toAccessory: key, toController: key }),
      second: record({
        a: bytes(1, 32),
        b: bytes(1, 32),
        ...srp,
        messages: messages('M1', 'M2', 'M3', 'M4'),
      }),
      encryptKey: key,
      'edit?': edits(
        'flags-one-byte',
        'flags-big-endian',
        'flags-not-echoed',
        'flags-of-first',
        'keys-of-second',
        'encrypt-key-of-first',
        'salt-changed:value',
      ),
      'right?': record({
        messages: messages('M1', 'M2', 'M3', 'M4'),
        keys: record({ toAccessory: key, toController: key }),
        encryptKey: key,
      }),
    },
  },
  MfiM4: {
    group: {
      chip: oneOf('2.0C', '3.0'),
      certificate: bytes(0, 2000),
      publicKey: bytes(0, 1000),
    },
    test: {
      ...setup,
      challenge: key,
      signature: bytes(0, 256),
      sub: bytes(0, 2500),
      encryptKey: key,
      sealed: bytes(0, 2600),
      messages: messages('M1', 'M2', 'M3', 'M4'),
      'keys?': record({ toAccessory: key, toController: key }),
      'right?': record({
        signature: bytes(0, 256),
        sub: bytes(0, 2500),
        sealed: bytes(0, 2600),
        M4: body,
      }),
      'edit?': edits(
        'flip:bit',
        'label:text',
        'hashed-twice',
        'signed-K',
        'signature-flip:bit',
        'no-certificate',
        'no-encrypted-data',
        'no-signature',
      ),
    },
  },
  ErrorReply: {
    group: {
      endpoint: oneOf('/pair-setup', '/pair-verify', '/pairings'),
      requestStates: list(integer(1, 5), 3, 1),
    },
    test: {
      requestState: integer(1, 5),
      error: byte,
      name: text('^[A-Za-z ]+$'),
      'retryDelay?': integer(0, 65_535),
      items,
      body,
      'right?': body,
      'edit?': edits(
        'error-first',
        'no-state',
        'state:to',
        'error-bytes:value',
        'with-proof:value',
        'cut:to',
      ),
    },
  },
  Recorded: {
    group: {},
    test: {
      body,
      items,
      'defect?': defect,
      'key?': key,
      'label?': text('^[\\x20-\\x7e]{8}$'),
      'sealed?': body,
      'sub?': body,
      'subItems?': items,
      'subDefect?': defect,
    },
  },
};

/** A file of vectors: its name, what it is about, and the types of group it may hold. */
export const kinds: Readonly<
  Record<string, { readonly algorithm: string; readonly types: readonly string[] }>
> = {
  tlv8: { algorithm: 'TLV8', types: ['TlvCodec', 'TlvInteger'] },
  'setup-code': { algorithm: 'SETUP-CODE', types: ['SetupCode', 'SetupPayload'] },
  srp: { algorithm: 'SRP-6A-3072-SHA512', types: ['SrpSession', 'SrpIllegalA', 'SrpIllegalB', 'SrpProof'] },
  hkdf: { algorithm: 'HKDF-SHA512', types: ['HkdfLabel'] },
  aead: { algorithm: 'CHACHA20-POLY1305', types: ['AeadLabel'] },
  'pair-setup': { algorithm: 'PAIR-SETUP', types: ['PairSetup'] },
  'pair-verify': { algorithm: 'PAIR-VERIFY', types: ['PairVerify'] },
  pairings: { algorithm: 'PAIRINGS', types: ['PairingsRequest', 'PairingsList', 'PairingsReply'] },
  frames: { algorithm: 'FRAMES', types: ['FrameStream'] },
  transient: { algorithm: 'TRANSIENT', types: ['Transient'] },
  split: { algorithm: 'SPLIT', types: ['Split'] },
  'mfi-m4': { algorithm: 'MFI-M4', types: ['MfiM4'] },
  errors: { algorithm: 'ERROR-REPLIES', types: ['ErrorReply'] },
  recorded: { algorithm: 'RECORDED', types: ['Recorded'] },
};

const common: Properties = {
  tcId: integer(1, 1_000_000),
  comment: { type: 'string', minLength: 1, maxLength: 500 },
  flags: list(text('^[A-Za-z0-9]+$', 60), 20, 1),
  result: oneOf('valid', 'invalid', 'acceptable'),
};

/** What every file has around its groups. */
export const envelope = record({
  algorithm: text('^[A-Z0-9-]+$'),
  schema: text('^[a-z0-9-]+\\.schema\\.json$'),
  generatorVersion: text('^[0-9]+$'),
  seed: text('^[\\x20-\\x7e]+$'),
  numberOfTests: integer(0, 1_000_000),
  notes: {
    type: 'object',
    additionalProperties: record({
      description: { type: 'string', minLength: 1, maxLength: 500 },
      'bugType?': { type: 'string', minLength: 1, maxLength: 60 },
    }),
  },
  testGroups: { type: 'array', items: { type: 'object' }, maxItems: 10_000 },
});

/** What one case of a type looks like. */
export function testSchema(type: string): Schema {
  return record({ ...common, ...groupShapes[type]!.test });
}

/** What a group of a type looks like; its cases are looked at one by one. */
export function groupSchema(type: string): Schema {
  return record({
    type: oneOf(type),
    ...groupShapes[type]!.group,
    tests: { type: 'array', items: { type: 'object' }, minItems: 1, maxItems: 1_000_000 },
  });
}

/** The JSON Schema of one kind of file, for other readers. */
export function jsonSchema(kind: string): object {
  const { algorithm, types } = kinds[kind]!;
  const groups = types.map((type) => {
    const schema = groupSchema(type);
    const tests = { ...schema.properties!['tests']!, items: testSchema(type) };
    return { ...schema, properties: { ...schema.properties, tests } };
  });
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: `hapspec test vectors: ${kind}`,
    ...envelope,
    properties: {
      ...envelope.properties,
      algorithm: { const: algorithm },
      schema: { const: `${kind}.schema.json` },
      testGroups: {
        ...envelope.properties!['testGroups']!,
        items: groups.length === 1 ? groups[0] : { oneOf: groups },
      },
    },
  };
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
