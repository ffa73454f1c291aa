import { type Properties, type Schema, integer, list, oneOf, record, text } from './schema.js';
import { groupShapes } from './shapes.js';

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
