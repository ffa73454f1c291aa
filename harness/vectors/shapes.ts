import type { Json } from './format.js';
import { type Properties, type Schema, bytes, integer, list, oneOf, record, text } from './schema.js';

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
