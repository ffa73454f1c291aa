import { type Schema, bytes, integer, list, oneOf, record, text } from './schema.js';

/** First field of every snapshot of pairing data, and the version written here. */
export const SNAPSHOT = { format: 'hapspec-pairing-snapshot', version: 1 } as const;

/** Most controllers an accessory keeps (seed 000). */
export const MOST_CONTROLLERS = 16;

/** A snapshot of pairing data as it stands in its file. */
export const snapshotSchema: Schema = record({
  format: oneOf(SNAPSHOT.format),
  version: integer(SNAPSHOT.version, SNAPSHOT.version),
  source: text('^[\\x20-\\x7e]*$'),
  deviceId: text('^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$', 17),
  'ltsk?': bytes(32),
  ltpk: bytes(32),
  controllers: list(
    record({ id: bytes(1, 64), ltpk: bytes(32), permissions: integer(0, 1), 'ltsk?': bytes(32) }),
    MOST_CONTROLLERS,
    1,
  ),
  'configNumber?': integer(1, 0xffff_ffff),
  'setup?': record({
    'code?': text('^\\d{3}-\\d{2}-\\d{3}$', 10),
    'id?': text('^[0-9A-Z]{4}$', 4),
    'salt?': bytes(16),
    'verifier?': bytes(384),
  }),
  'identifierCache?': { type: 'object', additionalProperties: integer(0, Number.MAX_SAFE_INTEGER) },
});

/** The same as a JSON Schema, for other readers. */
export function snapshotJsonSchema(): object {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'hapspec snapshot of pairing data',
    ...snapshotSchema,
  };
}
