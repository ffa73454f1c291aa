import { p256 } from '@noble/curves/nist.js';
import { sha1 } from '@noble/hashes/legacy.js';
import { sha256 } from '@noble/hashes/sha2.js';
import {
  AIRPLAY_CODE,
  type Bytes,
  type Identity,
  Length,
  PairingFlag,
  type Random,
  TlvError,
  type TlvItem,
  TlvType,
  accessoryIdentity,
  addPairing,
  clientSession,
  concat,
  controllerIdentity,
  controllerProof,
  curvePublicKey,
  decodeTlv,
  deriveKey,
  encodeTlv,
  ephemeralKeys,
  errorReply,
  flipBit,
  fromHex,
  fromInteger,
  groundExponent,
  hkdfSha512,
  identityItems,
  integerValue,
  keyLabels,
  labelNonce,
  listPairings,
  lowOrderCurveKeys,
  pairingEntry,
  proofItems,
  removePairing,
  restoreIdentity,
  seal,
  sealFrame,
  sealedMessage,
  separator,
  setupM1,
  setupM2,
  setupM3,
  setupM4,
  sharedSecret,
  sign,
  signedInfo,
  srpConventions,
  stateOnly,
  tlv,
  tlvErrorName,
  toInteger,
  utf8,
  verifyM1,
  verifyM2,
  SrpServer,
  makeVerifier,
} from '../protocol/index.js';
import type { Edit } from './format.js';
import { type Draft, type Generator, type GroupDraft, type Value } from './make.js';
import type { FlagName } from './notes.js';
import { CODE, type Secrets, draft, exponents, plainSecrets, srpFields } from './primitives.js';

/** What is wrong with a transcript, from a list that the schema knows. */
type Change = Edit | undefined;

function argument(change: Edit): Bytes {
  return fromHex(change.value!);
}
/** The op of an edit that belongs to one message (`m5-flip` → `flip`), or undefined. */
function opOf(change: Change, message: string): string | undefined {
  return change?.op.startsWith(`${message}-`) ? change.op.slice(message.length + 1) : undefined;
}
const person = ({ id, ltsk, ltpk }: Identity): Value => ({ id, ltsk, ltpk });

// ---- Pair Setup

interface SetupInput {
  readonly secrets: Secrets;
  readonly code?: string;
  readonly method?: number;
  readonly pairingFlags?: number;
  readonly echoed?: number;
}

/** M1 to M4. */
function setupStart({ secrets, code = CODE, method = 0, pairingFlags, echoed }: SetupInput, change: Change) {
  const { A, B, K, S, M1, M2, fields } = srpFields(secrets, code);
  const { salt, a } = secrets;
  const otherProof = (password: string): Bytes => {
    const { K: guessed } = clientSession({ password, salt, B, a });
    return controllerProof(salt, A, B, guessed, srpConventions.neutral);
  };
  let proof = M1;
  if (change?.op === 'm3-proof-flip') proof = flipBit(M1, change.bit!);
  if (change?.op === 'm3-proof-cut') proof = M1.subarray(0, change.to);
  if (change?.op === 'm3-code') proof = otherProof(change.text!);
  const failed = proof !== M1;
  const answer = change?.op === 'm4-proof-flip' ? flipBit(M2, change.bit!) : M2;
  const m2 = setupM2(B, salt);
  if (echoed !== undefined) m2.push(tlv(TlvType.Flags, integerValue(echoed)));
  return {
    ...{ K, S, M2, failed },
    /** M3 and M4 of who knows the code. */
    right: { M3: encodeTlv(setupM3(A, M1)), M4: encodeTlv(setupM4(M2)) },
    fields: {
      code,
      method,
      pairingFlags,
      ...exponents(secrets),
      ...fields,
      ...(failed && { M2: undefined }),
    },
    srp: fields,
    messages: {
      M1: encodeTlv(setupM1(method, pairingFlags)),
      M2: encodeTlv(m2),
      M3: encodeTlv(setupM3(A, proof)),
      M4: encodeTlv(failed ? errorReply(4, TlvError.Authentication) : setupM4(answer)),
    },
  };
}

interface Sealing {
  readonly message: string;
  readonly label: string;
  readonly key: Bytes;
  readonly sub: readonly TlvItem[];
  readonly info: Bytes;
  readonly signature: Bytes;
}

/** A signed sub-TLV before and after it is sealed, and the message around it. */
function sealedStep({ message, label, key, sub, info, signature }: Sealing, change: Change) {
  const op = opOf(change, message);
  const plain = encodeTlv(sub);
  const right = seal(key, labelNonce(op === 'label' ? change!.text! : label), plain);
  const sealed = op === 'flip' ? flipBit(right, change!.bit!) : right;
  return { fields: { info, signature, sub: plain, sealed } satisfies Value, sealed };
}

/** The message itself as it would have been, where one of its own is what was changed. */
function rightOf(change: Change, message: string, make: () => Bytes): { readonly right?: Value } {
  if (opOf(change, message) === undefined) return {};
  return { right: { [message.toUpperCase()]: make() } };
}

export interface SetupParties {
  readonly controller: Identity;
  readonly accessory: Identity;
}

/** The whole of Pair Setup, with one thing wrong or none. */
function setupTranscript(
  input: SetupInput,
  { controller, accessory }: SetupParties,
  change: Change,
): Readonly<Record<string, Value>> {
  const start = setupStart(input, change);
  const base = { ...start.fields, edit: change as Value };
  if (start.failed) return { ...base, messages: start.messages, right: start.right };
  if (opOf(change, 'm4') !== undefined)
    return { ...base, messages: start.messages, right: { M4: start.right.M4 } };
  const { K } = start;
  const keys = {
    encrypt: deriveKey('Pair-Setup-Encrypt', K),
    controllerX: deriveKey('Pair-Setup-Controller-Sign', K),
    accessoryX: deriveKey('Pair-Setup-Accessory-Sign', K),
  };
  const step = (message: 'm5' | 'm6', own: Identity, label: string, change: Change) => {
    const op = opOf(change, message);
    const swapped = op === 'x-of-accessory' || op === 'x-of-controller';
    const x = (message === 'm5') === swapped ? keys.accessoryX : keys.controllerX;
    const ltpk = op === 'other-ltpk' ? restoreIdentity(own.id, argument(change!)).ltpk : own.ltpk;
    const info =
      op === 'info-order'
        ? signedInfo(ltpk, own.id, x)
        : op === 'info-without-x'
          ? concat(own.id, ltpk)
          : signedInfo(x, own.id, ltpk);
    const held = sign(own.ltsk, info);
    const signature = op === 'signature-flip' ? flipBit(held, change!.bit!) : held;
    const id = op === 'other-id' ? argument(change!) : own.id;
    const sub = identityItems(id, ltpk, signature);
    return sealedStep({ message, label, key: keys.encrypt, sub, info, signature }, change);
  };
  const m5 = step('m5', controller, 'PS-Msg05', change);
  const M5 = encodeTlv(sealedMessage(5, m5.sealed));
  const rightM5 = (): Bytes =>
    encodeTlv(sealedMessage(5, step('m5', controller, 'PS-Msg05', undefined).sealed));
  const known = { ...base, keys, controller: person(controller), m5: m5.fields };
  if (opOf(change, 'm5') !== undefined) {
    const M6 = encodeTlv(errorReply(6, TlvError.Authentication));
    return { ...known, messages: { ...start.messages, M5, M6 }, ...rightOf(change, 'm5', rightM5) };
  }
  const m6 = step('m6', accessory, 'PS-Msg06', change);
  const M6 = encodeTlv(sealedMessage(6, m6.sealed));
  const right = rightOf(change, 'm6', () =>
    encodeTlv(sealedMessage(6, step('m6', accessory, 'PS-Msg06', undefined).sealed)),
  );
  const messages = { ...start.messages, M5, M6 };
  return { ...known, accessory: person(accessory), m6: m6.fields, messages, ...right };
}

function parties(random: Random, id?: string): SetupParties {
  const controller = controllerIdentity(random);
  return {
    controller: id === undefined ? controller : restoreIdentity(utf8(id), controller.ltsk),
    accessory: accessoryIdentity(random),
  };
}

/** Secrets for which exactly S or K starts with a zero byte. */
function zeroSecrets(random: Random, which: 'S' | 'K'): Secrets {
  for (;;) {
    const { salt, b } = plainSecrets(random, CODE);
    const { B } = new SrpServer(makeVerifier(CODE, salt), b, srpConventions.neutral);
    const a = groundExponent({ password: CODE, salt, B, a: toInteger(random.bytes(32)) }, which);
    if (B.length === Length.srpPublicKey && a >> 256n === 0n) return { salt, a, b };
  }
}

export const pairSetup: Generator = (random) => {
  const whole = (comment: string, flags: readonly FlagName[], input: SetupInput, who: SetupParties): Draft =>
    draft(comment, flags, 'valid', setupTranscript(input, who, undefined));
  const fresh = (name: string, code = CODE): SetupInput => ({
    secrets: plainSecrets(random.fork(name), code),
    code,
  });
  const ids = [
    'A',
    'controller',
    '00000000-0000-0000-0000-000000000000',
    '6d9f2a1c-0b6e-4c55-9d0a-5be3f3c0aa01',
    'x'.repeat(64),
  ];
  const shared = fresh('negatives');
  const who = parties(random.fork('negatives'));
  const wrong = (comment: string, flag: FlagName, change: Edit): Draft =>
    draft(comment, [flag], 'invalid', setupTranscript(shared, who, change));
  const sealedBits = Number(151 * 8);
  return [
    {
      type: 'PairSetup',
      tests: [
        ...[CODE, CODE, '000-00-001', '841-31-633'].map((code, index) =>
          whole(
            `code ${code}`,
            ['Ordinary'],
            fresh(`plain ${index}`, code),
            parties(random.fork(`plain ${index}`)),
          ),
        ),
        whole(
          'four digits, as AirPlay asks for on a screen',
          ['Ordinary', 'DressAirPlay'],
          fresh('airplay', '3939'),
          parties(random.fork('airplay')),
        ),
        ...(['S', 'K'] as const).map((which) =>
          whole(
            `${which}[0] = 0`,
            [which === 'S' ? 'LeadingZeroS' : 'LeadingZeroK'],
            { secrets: zeroSecrets(random.fork(`zero ${which}`), which) },
            parties(random.fork(`zero ${which}`)),
          ),
        ),
        ...ids.map((id) =>
          whole(
            `a controller id of ${id.length} characters`,
            ['IdentifierSize'],
            fresh('ids'),
            parties(random.fork(id), id),
          ),
        ),
        wrong('another code', 'WrongCode', { op: 'm3-code', text: '031-45-155' }),
        wrong('the code without its dashes', 'WithoutDashes', { op: 'm3-code', text: '03145154' }),
        wrong('first bit of the proof inverted', 'WrongProof', { op: 'm3-proof-flip', bit: 0 }),
        wrong('last bit of the proof inverted', 'WrongProof', { op: 'm3-proof-flip', bit: 511 }),
        wrong('an empty proof', 'ProofLength', { op: 'm3-proof-cut', to: 0 }),
        wrong('63 bytes of the proof', 'ProofLength', { op: 'm3-proof-cut', to: 63 }),
        wrong('the proof of M4 is wrong: the controller stops', 'WrongProof', {
          op: 'm4-proof-flip',
          bit: 300,
        }),
        wrong('the tag of M5 changed', 'ModifiedTag', { op: 'm5-flip', bit: sealedBits }),
        wrong('the ciphertext of M5 changed', 'ModifiedCiphertext', { op: 'm5-flip', bit: 0 }),
        wrong('M5 sealed as PS-Msg06', 'WrongNonce', { op: 'm5-label', text: 'PS-Msg06' }),
        wrong('the signature of M5 changed, sealed well', 'WrongSignature', {
          op: 'm5-signature-flip',
          bit: 5,
        }),
        wrong('signed in the order LTPK, Identifier, ControllerX', 'SignedInfo', { op: 'm5-info-order' }),
        wrong('signed without ControllerX: good for every exchange', 'SignedInfo', {
          op: 'm5-info-without-x',
        }),
        wrong('signed with AccessoryX', 'SignedInfo', { op: 'm5-x-of-accessory' }),
        wrong('an LTPK whose LTSK has not signed', 'WrongSignature', {
          op: 'm5-other-ltpk',
          value: Buffer.from(random.fork('other').bytes(32)).toString('hex'),
        }),
        wrong('the tag of M6 changed: the controller stops', 'ModifiedTag', { op: 'm6-flip', bit: 132 * 8 }),
        wrong('M6 sealed as PS-Msg05', 'WrongNonce', { op: 'm6-label', text: 'PS-Msg05' }),
        wrong('the signature of M6 changed, sealed well', 'WrongSignature', {
          op: 'm6-signature-flip',
          bit: 500,
        }),
        wrong('M6 signed with ControllerX', 'SignedInfo', { op: 'm6-x-of-controller' }),
        wrong('M6 names another accessory than the one that signed', 'ForeignIdentity', {
          op: 'm6-other-id',
          value: Buffer.from('11:22:33:44:55:66').toString('hex'),
        }),
      ],
    },
  ];
};

// ---- Pair Verify

interface VerifyInput extends SetupParties {
  readonly controllerSecret: Bytes;
  readonly accessorySecret: Bytes;
}

function verifyTranscript(
  { controller, accessory, controllerSecret, accessorySecret }: VerifyInput,
  change: Change,
): Readonly<Record<string, Value>> {
  const controllerPublic = curvePublicKey(controllerSecret);
  const accessoryPublic = curvePublicKey(accessorySecret);
  const sent = change?.op === 'm1-low-order' ? argument(change) : controllerPublic;
  const M1 = encodeTlv(verifyM1(sent));
  const base = {
    controllerSecret,
    controllerPublic,
    accessorySecret,
    accessoryPublic,
    edit: change as Value,
  };
  const shared = sharedSecret(accessorySecret, sent);
  if (shared === undefined)
    return {
      ...base,
      messages: { M1, M2: encodeTlv(errorReply(2, TlvError.Authentication)) },
      right: { M1: encodeTlv(verifyM1(controllerPublic)) },
    };
  const encryptKey = deriveKey('Pair-Verify-Encrypt', shared);
  const made = (
    message: 'm2' | 'm3',
    own: Identity,
    mine: Bytes,
    peer: Bytes,
    label: string,
    change: Change,
  ) => {
    const op = opOf(change, message);
    const id = op === 'id-flip' ? flipBit(own.id, change!.bit!) : own.id;
    const info = op === 'info-order' ? signedInfo(peer, id, mine) : signedInfo(mine, id, peer);
    const held = sign(own.ltsk, info);
    const signature = op === 'signature-flip' ? flipBit(held, change!.bit!) : held;
    return sealedStep(
      { message, label, key: encryptKey, sub: proofItems(id, signature), info, signature },
      change,
    );
  };
  const m2Of = (change: Change) =>
    made('m2', accessory, accessoryPublic, controllerPublic, 'PV-Msg02', change);
  const m3Of = (change: Change) =>
    made('m3', controller, controllerPublic, accessoryPublic, 'PV-Msg03', change);
  const m2 = m2Of(change);
  const M2 = encodeTlv(verifyM2(accessoryPublic, m2.sealed));
  const known = { ...base, shared, encryptKey, accessory: person(accessory), m2: m2.fields };
  if (opOf(change, 'm2') !== undefined)
    return {
      ...known,
      messages: { M1, M2 },
      ...rightOf(change, 'm2', () => encodeTlv(verifyM2(accessoryPublic, m2Of(undefined).sealed))),
    };
  const m3 = m3Of(change);
  const M3 = encodeTlv(sealedMessage(3, m3.sealed));
  const all = { ...known, controller: person(controller), m3: m3.fields };
  if (opOf(change, 'm3') !== undefined)
    return {
      ...all,
      messages: { M1, M2, M3, M4: encodeTlv(errorReply(4, TlvError.Authentication)) },
      right: {
        M3: encodeTlv(sealedMessage(3, m3Of(undefined).sealed)),
        M4: encodeTlv(stateOnly(4)),
      },
    };
  return {
    ...all,
    messages: { M1, M2, M3, M4: encodeTlv(stateOnly(4)) },
    toAccessory: deriveKey('Control-Write', shared),
    toController: deriveKey('Control-Read', shared),
  };
}

export const pairVerify: Generator = (random) => {
  const drawn = (name: string, id?: string): VerifyInput => {
    const own = random.fork(name);
    return {
      ...parties(own, id),
      controllerSecret: ephemeralKeys(own).secret,
      accessorySecret: ephemeralKeys(own).secret,
    };
  };
  const fixed: VerifyInput = {
    accessory: restoreIdentity(
      utf8('AA:BB:CC:DD:EE:FF'),
      Uint8Array.from({ length: 32 }, (_, i) => i),
    ),
    controller: restoreIdentity(
      utf8('00000000-0000-4000-8000-000000000001'),
      Uint8Array.from({ length: 32 }, (_, i) => 0x20 + i),
    ),
    accessorySecret: Uint8Array.from({ length: 32 }, (_, i) => 0x40 + i),
    controllerSecret: Uint8Array.from({ length: 32 }, (_, i) => 0x60 + i),
  };
  const whole = (comment: string, flags: readonly FlagName[], input: VerifyInput): Draft =>
    draft(comment, flags, 'valid', verifyTranscript(input, undefined));
  const shared = drawn('negatives');
  const wrong = (comment: string, flag: FlagName, change: Edit): Draft =>
    draft(comment, [flag], 'invalid', verifyTranscript(shared, change));
  const ids = ['A', 'controller', '6d9f2a1c-0b6e-4c55-9d0a-5be3f3c0aa01', 'x'.repeat(64)];
  return [
    {
      type: 'PairVerify',
      tests: [
        whole('keys that count up', ['KnownAnswer'], fixed),
        ...Array.from({ length: 10 }, (_, index) => whole('drawn', ['Ordinary'], drawn(`plain ${index}`))),
        ...ids.map((id) =>
          whole(`a controller id of ${id.length} characters`, ['IdentifierSize'], drawn(id, id)),
        ),
        ...lowOrderCurveKeys.map((point, index) =>
          wrong(`M1 with a point of low order, encoding ${index + 1}`, 'LowOrder', {
            op: 'm1-low-order',
            value: Buffer.from(point).toString('hex'),
          }),
        ),
        wrong('the tag of M2 changed: the controller stops', 'ModifiedTag', { op: 'm2-flip', bit: 100 * 8 }),
        wrong('M2 sealed as PV-Msg03', 'WrongNonce', { op: 'm2-label', text: 'PV-Msg03' }),
        wrong('the signature of M2 changed, sealed well', 'WrongSignature', {
          op: 'm2-signature-flip',
          bit: 1,
        }),
        wrong('M2 signed over the keys in the other order', 'SignedInfo', { op: 'm2-info-order' }),
        wrong('M2 from another accessory', 'ForeignIdentity', { op: 'm2-id-flip', bit: 0 }),
        wrong('the tag of M3 changed', 'ModifiedTag', { op: 'm3-flip', bit: 119 * 8 }),
        wrong('the ciphertext of M3 changed', 'ModifiedCiphertext', { op: 'm3-flip', bit: 3 }),
        wrong('M3 sealed as PV-Msg02', 'WrongNonce', { op: 'm3-label', text: 'PV-Msg02' }),
        wrong('the signature of M3 changed, sealed well', 'WrongSignature', {
          op: 'm3-signature-flip',
          bit: 511,
        }),
        wrong('M3 signed over the keys in the other order', 'SignedInfo', { op: 'm3-info-order' }),
        wrong('M3 of a controller nobody has paired with', 'ForeignIdentity', { op: 'm3-id-flip', bit: 8 }),
      ],
    },
  ];
};

// ---- pairings and errors

interface RequestInput {
  readonly method: 'add' | 'remove' | 'list';
  readonly id?: Bytes;
  readonly ltpk?: Bytes;
  readonly permissions?: number;
}

function pairingsRequest(
  comment: string,
  flags: readonly FlagName[],
  input: RequestInput,
  change?: Edit,
): Draft {
  const { method, id = new Uint8Array(0), ltpk = new Uint8Array(0), permissions = 0 } = input;
  const items =
    method === 'add'
      ? addPairing(id, ltpk, permissions)
      : method === 'remove'
        ? removePairing(id)
        : listPairings();
  const without = (type: number): TlvItem[] => items.filter((item) => item.type !== type);
  const replaced = (type: number, value: number): TlvItem[] =>
    items.map((item) => (item.type === type ? tlv(type, value) : item));
  const edits: Readonly<Record<string, () => TlvItem[]>> = {
    state: () => replaced(TlvType.State, change!.to!),
    'no-state': () => without(TlvType.State),
    method: () => replaced(TlvType.Method, change!.to!),
    'no-method': () => without(TlvType.Method),
    'no-id': () => without(TlvType.Identifier),
    'no-ltpk': () => without(TlvType.PublicKey),
    'no-permissions': () => without(TlvType.Permissions),
    'twice-id': () => [...items, tlv(TlvType.Identifier, argument(change!))],
  };
  const whole = encodeTlv(items);
  const made = change === undefined ? undefined : edits[change.op]?.();
  const body = change?.op === 'cut' ? whole.subarray(0, change.to) : encodeTlv(made ?? items);
  const malformed =
    change !== undefined || id.length > 64 || (method === 'add' && ltpk.length !== Length.ltpk);
  return draft(comment, flags, malformed ? 'invalid' : permissions > 1 ? 'acceptable' : 'valid', {
    method,
    id: input.id,
    ltpk: input.ltpk,
    permissions: input.permissions,
    body,
    right: change && whole,
    edit: change,
  });
}

interface Entry {
  readonly id: Bytes;
  readonly ltpk: Bytes;
  readonly permissions: number;
}

function pairingsList(
  comment: string,
  flags: readonly FlagName[],
  entries: readonly Entry[],
  change?: Edit,
): Draft {
  const op = change?.op;
  const made = (how: string | undefined): Bytes =>
    encodeTlv([
      ...(how === 'no-state' || how === 'state-each' ? [] : stateOnly(2)),
      ...(how === 'error' ? [tlv(TlvType.Error, change!.to!)] : []),
      ...entries.flatMap(({ id, ltpk, permissions }, index) => [
        ...(index === 0 || how === 'no-separators'
          ? []
          : how === 'separator-length'
            ? [tlv(TlvType.Separator, 0)]
            : [separator()]),
        ...(how === 'state-each' ? stateOnly(2) : []),
        ...pairingEntry(id, ltpk, permissions),
      ]),
    ]);
  const whole = made(undefined);
  const tolerated = op === 'state-each' || op === 'separator-length';
  return draft(comment, flags, op === undefined ? 'valid' : tolerated ? 'acceptable' : 'invalid', {
    entries: entries.map(({ id, ltpk, permissions }) => ({ id, ltpk, permissions })),
    body: op === 'cut' ? whole.subarray(0, change!.to) : made(op),
    right: change && whole,
    edit: change,
  });
}

export const pairings: Generator = (random) => {
  const entry = (permissions: number, id?: string): Entry => {
    const { id: drawn, ltpk } = controllerIdentity(random);
    return { id: id === undefined ? drawn : utf8(id), ltpk, permissions };
  };
  const add = (permissions: number, id?: string): RequestInput => ({
    method: 'add',
    ...entry(permissions, id),
  });
  const remove = (id?: string): RequestInput => ({ method: 'remove', id: entry(0, id).id });
  const some = [entry(1), entry(0), entry(1)];
  const ids = ['A', 'controller', '6d9f2a1c-0b6e-4c55-9d0a-5be3f3c0aa01', 'x'.repeat(64)];
  const other = Buffer.from(entry(0).id).toString('hex');
  const situations = [
    ['by-non-admin', 'add', 2],
    ['by-non-admin', 'remove', 2],
    ['by-non-admin', 'list', 2],
    ['other-key-for-known-id', 'add', 1],
    ['all-places-taken', 'add', 4],
    ['unknown-id', 'remove', 0],
  ] as const;
  return [
    {
      type: 'PairingsRequest',
      tests: [
        pairingsRequest('an admin', ['Ordinary'], add(1)),
        pairingsRequest('a user', ['Ordinary'], add(0)),
        pairingsRequest('remove', ['Ordinary'], remove()),
        pairingsRequest('list', ['Ordinary'], { method: 'list' }),
        ...ids.map((id) =>
          pairingsRequest(`an id of ${id.length} characters`, ['IdentifierSize'], add(1, id)),
        ),
        ...ids.map((id) =>
          pairingsRequest(`remove an id of ${id.length} characters`, ['IdentifierSize'], remove(id)),
        ),
        pairingsRequest('permissions 2: not an admin', ['Permissions'], add(2)),
        pairingsRequest('permissions 255', ['Permissions'], add(255)),
        pairingsRequest('an LTPK of 31 bytes', ['MissingItem', 'Boundary'], {
          ...add(1),
          ltpk: entry(1).ltpk.subarray(1),
        }),
        pairingsRequest('an empty LTPK', ['MissingItem'], { ...add(1), ltpk: new Uint8Array(0) }),
        pairingsRequest('an LTPK of 64 bytes', ['Boundary'], { ...add(1), ltpk: random.bytes(64) }),
        pairingsRequest('an id of 65 characters', ['IdentifierSize', 'Boundary'], add(1, 'x'.repeat(65))),
        pairingsRequest('State 2', ['WrongState'], add(1), { op: 'state', to: 2 }),
        pairingsRequest('State 3 in a list', ['WrongState'], { method: 'list' }, { op: 'state', to: 3 }),
        pairingsRequest('no State', ['MissingItem'], add(1), { op: 'no-state' }),
        pairingsRequest('no Method', ['MissingItem'], add(1), { op: 'no-method' }),
        pairingsRequest('Method 9', ['WrongState'], { method: 'list' }, { op: 'method', to: 9 }),
        pairingsRequest('no Identifier', ['MissingItem'], add(1), { op: 'no-id' }),
        pairingsRequest('remove without Identifier', ['MissingItem'], remove(), { op: 'no-id' }),
        pairingsRequest('no LTPK', ['MissingItem'], add(1), { op: 'no-ltpk' }),
        pairingsRequest('no Permissions', ['MissingItem'], add(1), { op: 'no-permissions' }),
        pairingsRequest('two Identifiers', ['RepeatedItem'], remove(), { op: 'twice-id', value: other }),
        pairingsRequest('ends inside the LTPK', ['Truncated'], add(1), { op: 'cut', to: 60 }),
      ],
    },
    {
      type: 'PairingsList',
      tests: [
        ...[1, 2, 3, 16].map((count) =>
          pairingsList(
            `${count} pairings`,
            count === 1 ? ['Ordinary'] : ['Ordinary', 'Separated'],
            Array.from({ length: count }, (_, i) => entry(i === 0 ? 1 : i % 2)),
          ),
        ),
        pairingsList(
          'ids of other sizes',
          ['IdentifierSize', 'Separated'],
          ids.map((id) => entry(1, id)),
        ),
        pairingsList('State in front of each entry', ['ListForm'], some, { op: 'state-each' }),
        pairingsList('a separator with a byte', ['ListForm', 'Separated'], some, { op: 'separator-length' }),
        pairingsList('no separators', ['ListForm'], some, { op: 'no-separators' }),
        pairingsList('no State', ['MissingItem'], some, { op: 'no-state' }),
        pairingsList('an Error beside the list', ['ListForm'], some, { op: 'error', to: 2 }),
        pairingsList('ends inside the last entry', ['Truncated'], some, { op: 'cut', to: 200 }),
        pairingsList('ends inside an Identifier', ['Truncated'], some, { op: 'cut', to: 20 }),
      ],
    },
    {
      type: 'PairingsReply',
      tests: situations.map(([situation, method, error]) =>
        draft(
          `${method}: ${situation.replaceAll('-', ' ')}`,
          ['Refused'],
          error === 0 ? 'valid' : 'invalid',
          {
            method,
            methodNumber: { add: 3, remove: 4, list: 5 }[method],
            situation,
            error,
            body: encodeTlv(error === 0 ? stateOnly(2) : errorReply(2, error)),
          },
        ),
      ),
    },
  ];
};

function errorCase(
  comment: string,
  flags: readonly FlagName[],
  input: { requestState: number; error: number; retryDelay?: number },
  change?: Edit,
): Draft {
  const { requestState, error, retryDelay } = input;
  const rightItems = [
    ...errorReply(requestState + 1, error),
    ...(retryDelay === undefined ? [] : [tlv(TlvType.RetryDelay, integerValue(retryDelay))]),
  ];
  const [state, code, ...rest] = rightItems as [TlvItem, TlvItem, ...TlvItem[]];
  const edits: Readonly<Record<string, () => TlvItem[]>> = {
    'error-first': () => [code, state, ...rest],
    'no-state': () => [code, ...rest],
    state: () => [tlv(TlvType.State, change!.to!), code, ...rest],
    'error-bytes': () => [state, tlv(TlvType.Error, argument(change!)), ...rest],
    'with-proof': () => [state, code, ...rest, tlv(TlvType.Proof, argument(change!))],
  };
  const right = encodeTlv(rightItems);
  const made = encodeTlv((change && edits[change.op]?.()) ?? rightItems);
  const body = change?.op === 'cut' ? made.subarray(0, change.to) : made;
  const undefinedCode = error < 1 || error > 7;
  const wrong =
    undefinedCode ||
    (change !== undefined && change.op !== 'error-first') ||
    (retryDelay !== undefined && error !== 3);
  const name = error === 0 ? 'none' : undefinedCode ? 'undefined' : tlvErrorName(error);
  return draft(comment, flags, wrong ? 'invalid' : error === 3 ? 'acceptable' : 'valid', {
    requestState,
    error,
    name,
    retryDelay,
    items: decodeTlv(body).items.map(({ type, value }) => ({ type, value })),
    body,
    right: change && right,
    edit: change,
  });
}

export const errors: Generator = (random) => {
  const endpoints = [
    ['/pair-setup', [1, 3, 5]],
    ['/pair-verify', [1, 3]],
    ['/pairings', [1]],
  ] as const;
  const proof = Buffer.from(random.bytes(64)).toString('hex');
  return endpoints.map(([endpoint, states]): GroupDraft => {
    const [first] = states;
    const last = states.at(-1)!;
    const codes =
      endpoint === '/pair-setup' ? [1, 2, 4, 5, 6, 7] : endpoint === '/pairings' ? [1, 2, 4] : [1, 2];
    const one = { requestState: last, error: TlvError.Authentication };
    return {
      type: 'ErrorReply',
      parameters: { endpoint, requestStates: states },
      tests: [
        ...states.flatMap((requestState) =>
          codes.map((error) =>
            errorCase(`${tlvErrorName(error)} to State ${requestState}`, ['ErrorCode'], {
              requestState,
              error,
            }),
          ),
        ),
        errorCase('Backoff', ['Backoff'], { requestState: first, error: 3 }),
        errorCase('Backoff with a RetryDelay', ['Backoff'], {
          requestState: first,
          error: 3,
          retryDelay: 30,
        }),
        errorCase('Error in front of State', ['ErrorCode'], one, { op: 'error-first' }),
        errorCase('Error 0', ['UndefinedError'], { requestState: first, error: 0 }),
        errorCase('Error 8', ['UndefinedError'], { requestState: first, error: 8 }),
        errorCase('Error 255', ['UndefinedError'], { requestState: first, error: 255 }),
        errorCase('no State', ['ErrorForm', 'MissingItem'], one, { op: 'no-state' }),
        errorCase('State of the request', ['WrongState'], one, { op: 'state', to: last }),
        errorCase('State 0', ['WrongState'], one, { op: 'state', to: 0 }),
        errorCase('Error of two bytes', ['ErrorForm'], one, { op: 'error-bytes', value: '0200' }),
        errorCase('an empty Error', ['ErrorForm'], one, { op: 'error-bytes', value: '' }),
        errorCase('a Proof beside the Error', ['ErrorForm'], one, { op: 'with-proof', value: proof }),
        errorCase('RetryDelay without Backoff', ['ErrorForm'], { ...one, retryDelay: 5 }),
        errorCase('ends inside the Error', ['Truncated'], one, { op: 'cut', to: 5 }),
      ],
    };
  });
};

// ---- transient, split, MFi

const dresses = {
  hap: { toAccessory: keyLabels['Split-Controller'], toController: keyLabels['Split-Accessory'] },
  airplay: { toAccessory: keyLabels['Control-Write'], toController: keyLabels['Control-Read'] },
} as const;
type Dress = keyof typeof dresses;

function transientCase(
  comment: string,
  flags: readonly FlagName[],
  dress: Dress,
  input: SetupInput,
  change?: Edit,
): Draft {
  const start = setupStart({ pairingFlags: PairingFlag.Transient, ...input }, change);
  const base = { ...start.fields, messages: start.messages, edit: change as Value };
  const result = change === undefined ? 'valid' : 'invalid';
  if (start.failed) return draft(comment, flags, result, { ...base, right: start.right });
  const { K, S } = start;
  const names = dresses[change?.op === 'other-dress' ? (dress === 'hap' ? 'airplay' : 'hap') : dress];
  const ikm = change?.op === 'half-ikm' ? K.subarray(0, 32) : change?.op === 'ikm-S' ? fromInteger(S) : K;
  const key = ({ salt, info }: { salt: string; info: string }): Bytes => hkdfSha512(ikm, salt, info);
  let keys = { toAccessory: key(names.toAccessory), toController: key(names.toController) };
  if (change?.op === 'directions-swapped')
    keys = { toAccessory: keys.toController, toController: keys.toAccessory };
  if (change?.op === 'wrong-label') {
    const both = deriveKey('Pair-Setup-Encrypt', K);
    keys = { toAccessory: both, toController: both };
  }
  const counter = change?.op === 'counter' ? BigInt(change.to!) : 0n;
  const due = {
    toAccessory: hkdfSha512(K, dresses[dress].toAccessory.salt, dresses[dress].toAccessory.info),
    toController: hkdfSha512(K, dresses[dress].toController.salt, dresses[dress].toController.info),
  };
  const request = utf8(
    dress === 'hap'
      ? 'GET /accessories HTTP/1.1\r\nHost: accessory.local\r\n\r\n'
      : 'OPTIONS * RTSP/1.0\r\nCSeq: 4\r\n\r\n',
  );
  const response = utf8(
    dress === 'hap'
      ? 'HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n'
      : 'RTSP/1.0 200 OK\r\nCSeq: 4\r\n\r\n',
  );
  return draft(comment, flags, result, {
    ...base,
    keys,
    request,
    requestFrame: sealFrame(keys.toAccessory, counter, request),
    response,
    responseFrame: sealFrame(keys.toController, counter, response),
    right: change && {
      keys: due,
      requestFrame: sealFrame(due.toAccessory, 0n, request),
      responseFrame: sealFrame(due.toController, 0n, response),
    },
  });
}

export const transient: Generator = (random) =>
  (['hap', 'airplay'] as const).map((dress): GroupDraft => {
    const own = random.fork(dress);
    const code = dress === 'hap' ? CODE : AIRPLAY_CODE;
    const flag: FlagName = dress === 'hap' ? 'DressHap' : 'DressAirPlay';
    const fresh = (name: string): SetupInput => ({ code, secrets: plainSecrets(own.fork(name), code) });
    const { salt, info: toAccessoryInfo } = dresses[dress].toAccessory;
    const shared = fresh('negatives');
    const wrong = (comment: string, why: FlagName, change: Edit): Draft =>
      transientCase(comment, [flag, why], dress, shared, change);
    return {
      type: 'Transient',
      parameters: {
        dress,
        hkdfSalt: salt,
        toAccessoryInfo,
        toControllerInfo: dresses[dress].toController.info,
      },
      tests: [
        ...[0, 1, 2].map((index) =>
          transientCase('drawn', [flag, 'Ordinary'], dress, fresh(`plain ${index}`)),
        ),
        wrong('another code', 'WrongCode', { op: 'm3-code', text: dress === 'hap' ? '031-45-155' : '3938' }),
        wrong('the proof changed', 'WrongProof', { op: 'm3-proof-flip', bit: 100 }),
        wrong('the keys of the two directions swapped', 'WrongKey', { op: 'directions-swapped' }),
        wrong('the key names of the other dress', 'WrongKey', { op: 'other-dress' }),
        wrong('the first half of K', 'WrongDerivation', { op: 'half-ikm' }),
        wrong('S in the place of K', 'WrongDerivation', { op: 'ikm-S' }),
        wrong('the key of M5', 'WrongKey', { op: 'wrong-label' }),
        wrong('counters that start at 1', 'Counter', { op: 'counter', to: 1 }),
      ],
    };
  });

const BOTH = PairingFlag.Transient | PairingFlag.Split;

function splitCase(
  comment: string,
  flags: readonly FlagName[],
  secrets: { first: Secrets; second: Secrets },
  change?: Edit,
): Draft {
  const op = change?.op;
  const { salt } = secrets.first;
  const first = setupStart({ secrets: secrets.first, pairingFlags: BOTH, echoed: BOTH }, undefined);
  const echoed =
    op === 'flags-not-echoed' ? {} : { echoed: op === 'flags-of-first' ? BOTH : PairingFlag.Split };
  const again = { ...secrets.second, salt: op === 'salt-changed' ? argument(change!) : salt };
  const second = setupStart({ secrets: again, pairingFlags: PairingFlag.Split, ...echoed }, undefined);
  const due = setupStart(
    { secrets: { ...secrets.second, salt }, pairingFlags: PairingFlag.Split, echoed: PairingFlag.Split },
    undefined,
  );
  const oddM1 = (value: Bytes): Bytes => encodeTlv([...setupM1(0), tlv(TlvType.Flags, value)]);
  const M1 =
    op === 'flags-one-byte'
      ? oddM1(Uint8Array.of(0))
      : op === 'flags-big-endian'
        ? oddM1(integerValue(PairingFlag.Split).reverse())
        : second.messages.M1;
  const keyed = op === 'keys-of-second' ? second.K : first.K;
  const half = (half_: typeof first, own: Secrets, messages: Value): Value => ({
    a: fromInteger(own.a, 32),
    b: fromInteger(own.b, 32),
    ...half_.srp,
    messages,
  });
  return draft(
    comment,
    flags,
    op === undefined ? 'valid' : op === 'flags-not-echoed' ? 'acceptable' : 'invalid',
    {
      code: CODE,
      salt,
      first: half(first, secrets.first, first.messages),
      keys: {
        toAccessory: deriveKey('Split-Controller', keyed),
        toController: deriveKey('Split-Accessory', keyed),
      },
      second: half(second, again, { ...second.messages, M1 }),
      encryptKey: deriveKey('Pair-Setup-Encrypt', op === 'encrypt-key-of-first' ? first.K : second.K),
      edit: change,
      right: change && {
        messages: due.messages,
        keys: {
          toAccessory: deriveKey('Split-Controller', first.K),
          toController: deriveKey('Split-Accessory', first.K),
        },
        encryptKey: deriveKey('Pair-Setup-Encrypt', due.K),
      },
    },
  );
}

export const split: Generator = (random) => {
  /** Two exchanges with one salt, neither with a leading zero byte. */
  const pair = (name: string): { first: Secrets; second: Secrets } => {
    const own = random.fork(name);
    const first = plainSecrets(own, CODE);
    for (;;) {
      const second = { salt: first.salt, a: toInteger(own.bytes(32)), b: toInteger(own.bytes(32)) };
      const { B, A, S, K } = srpFields(second, CODE);
      if (B.length === 384 && A[0] !== 0 && K[0] !== 0 && fromInteger(S).length === 384)
        return { first, second };
    }
  };
  const shared = pair('negatives');
  const wrong = (comment: string, flag: FlagName, change: Edit): Draft =>
    splitCase(comment, [flag], shared, change);
  const otherSalt = Buffer.from(plainSecrets(random.fork('salt'), CODE).salt).toString('hex');
  return [
    {
      type: 'Split',
      tests: [
        ...Array.from({ length: 5 }, (_, index) =>
          splitCase(
            'Transient and Split, then Split with the same salt',
            ['Ordinary', 'Echo'],
            pair(`plain ${index}`),
          ),
        ),
        wrong('an accessory without Split', 'Echo', { op: 'flags-not-echoed' }),
        wrong('the second M2 echoes the flags of the first M1', 'Echo', { op: 'flags-of-first' }),
        wrong('Flags of the second M1 cut to one byte', 'FlagsWidth', { op: 'flags-one-byte' }),
        wrong('Flags of the second M1 in the other byte order', 'ByteOrder', { op: 'flags-big-endian' }),
        wrong('keys of the session from the second K', 'WrongKey', { op: 'keys-of-second' }),
        wrong('M5 sealed with the first K: there is no resumption', 'WrongKey', {
          op: 'encrypt-key-of-first',
        }),
        wrong('another salt in the second M2', 'Echo', { op: 'salt-changed', value: otherSalt }),
      ],
    },
  ];
};

/** Keys made for these files; they sign nothing else. */
const testKeys = {
  rsa: {
    n: BigInt(
      '0xc9e495e85d8b87897d6f1d28d50bb3b2ca8370c85006dc773446a80f95d13e7ac2a2c5541800b14df525aee093acb365c88ce94a58cfd7cc573cfd833fb5c70cdc7811ee5746d914bffa4947d4e48b20a1004039991743dbc249f402e39e5226b132de6736a27bf1de62f9e5b2ca5a2611d28a52e2c037a5988490ca16ca1d7b',
    ),
    d: BigInt(
      '0x43d8d5a7e907e2dc8992b5b1eb26ab95020979f5572f77177831e6789658632ece09f556755a863b348f1d5dcb42d666f626a49f9f88f9746a3cccd536abd7e019a816627d7b9832d42aad7411f1d5c2768d52de437d3a0f9c7702a20ec51930d45869644cf0a36703f1c091a11b9b5860653b492ddd833e1026a63c8be99481',
    ),
  },
  p256: fromHex('519b423d715f8b581f4fa8ee59f4771a5b44c8130b4e3eacca54a56dda72b464'),
};

function der(tag: number, ...parts: readonly Bytes[]): Bytes {
  const content = concat(...parts);
  const size = content.length;
  const length = size < 128 ? [size] : size < 256 ? [0x81, size] : [0x82, size >> 8, size & 0xff];
  return concat(Uint8Array.of(tag, ...length), content);
}
const sequence = (...parts: readonly Bytes[]): Bytes => der(0x30, ...parts);
const oid = (digits: string): Bytes => der(0x06, fromHex(digits));
const unsigned = (value: bigint): Bytes => {
  const bytes = fromInteger(value);
  return der(0x02, bytes.length === 0 || bytes[0]! > 127 ? concat(Uint8Array.of(0), bytes) : bytes);
};
const NULL = Uint8Array.of(5, 0);
const commonName = (name: string): Bytes =>
  sequence(der(0x31, sequence(oid('550403'), der(0x0c, utf8(name)))));

/** RSASSA-PKCS1-v1_5 with SHA-1 (RFC 8017 §8.2). */
function rsaSign(message: Bytes): Bytes {
  const { n, d } = testKeys.rsa;
  const info = concat(fromHex('3021300906052b0e03021a05000414'), sha1(message));
  const padded = concat(
    Uint8Array.of(0, 1),
    new Uint8Array(128 - 3 - info.length).fill(0xff),
    Uint8Array.of(0),
    info,
  );
  let result = 1n;
  let square = toInteger(padded);
  for (let rest = d; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % n;
    square = (square * square) % n;
  }
  return fromInteger(result, 128);
}

interface Chip {
  readonly chip: '2.0C' | '3.0';
  readonly publicKey: Bytes;
  readonly algorithm: Bytes;
  /** The signature as the chip gives it. */
  readonly sign: (message: Bytes) => Bytes;
  /** The same, as a certificate holds it. */
  readonly seal: (message: Bytes) => Bytes;
}

function chips(): Chip[] {
  const { n } = testKeys.rsa;
  const rsa = sequence(
    sequence(oid('2a864886f70d010101'), NULL),
    der(0x03, Uint8Array.of(0), sequence(unsigned(n), unsigned(65537n))),
  );
  const point = p256.getPublicKey(testKeys.p256, false);
  const ec = sequence(
    sequence(oid('2a8648ce3d0201'), oid('2a8648ce3d030107')),
    der(0x03, Uint8Array.of(0), point),
  );
  const ecdsa = (message: Bytes): Bytes =>
    p256.sign(sha256(message), testKeys.p256, { prehash: false, lowS: false });
  return [
    {
      chip: '2.0C',
      publicKey: rsa,
      algorithm: sequence(oid('2a864886f70d010105'), NULL),
      sign: rsaSign,
      seal: rsaSign,
    },
    {
      chip: '3.0',
      publicKey: ec,
      algorithm: sequence(oid('2a8648ce3d040302')),
      sign: ecdsa,
      seal(message) {
        const both = ecdsa(message);
        return sequence(unsigned(toInteger(both.subarray(0, 32))), unsigned(toInteger(both.subarray(32))));
      },
    },
  ];
}

/** A certificate that its own key has signed, valid for ten years of the past: dates are not what is looked at. */
function certificate({ publicKey, algorithm, seal: sealed, chip }: Chip): Bytes {
  const name = commonName(`hapspec test ${chip}`);
  const dates = sequence(der(0x17, utf8('150101000000Z')), der(0x17, utf8('250101000000Z')));
  const body = sequence(
    der(0xa0, unsigned(2n)),
    unsigned(BigInt(chip === '3.0' ? 30 : 20)),
    algorithm,
    name,
    dates,
    name,
    publicKey,
  );
  return sequence(body, algorithm, der(0x03, Uint8Array.of(0), sealed(body)));
}

/** PKCS #7 SignedData without a signer, the form in which the older chip hands its certificate out. */
function pkcs7(inside: Bytes): Bytes {
  const empty = der(0x31);
  const data = sequence(unsigned(1n), empty, sequence(oid('2a864886f70d010701')), der(0xa0, inside), empty);
  return sequence(oid('2a864886f70d010702'), der(0xa0, data));
}

export const mfiM4: Generator = (random) =>
  chips().map((chip): GroupDraft => {
    const own = random.fork(chip.chip);
    const bare = certificate(chip);
    const held = chip.chip === '2.0C' ? pkcs7(bare) : bare;
    const hash = chip.chip === '2.0C' ? sha1 : sha256;
    const kind: FlagName = chip.chip === '2.0C' ? 'RsaSignature' : 'EcdsaSignature';
    const one = (
      comment: string,
      flags: readonly FlagName[],
      given: Secrets | SetupInput,
      change?: Edit,
    ): Draft => {
      const input = 'secrets' in given ? given : { secrets: given };
      const start = setupStart({ ...input, method: 1 }, undefined);
      const challenge = deriveKey('MFi-Pair-Setup', start.K);
      const encryptKey = deriveKey('Pair-Setup-Encrypt', start.K);
      const op = change?.op;
      const right = chip.sign(
        op === 'signed-K' ? start.K : op === 'hashed-twice' ? hash(challenge) : challenge,
      );
      const signature = op === 'signature-flip' ? flipBit(right, change!.bit!) : right;
      const sub = encodeTlv([
        ...(op === 'no-signature' ? [] : [tlv(TlvType.Signature, signature)]),
        ...(op === 'no-certificate' ? [] : [tlv(TlvType.Certificate, held)]),
      ]);
      const whole = seal(encryptKey, labelNonce(op === 'label' ? change!.text! : 'PS-Msg04'), sub);
      const sealed = op === 'flip' ? flipBit(whole, change!.bit!) : whole;
      const M4 = setupM4(start.M2);
      if (op !== 'no-encrypted-data') M4.push(tlv(TlvType.EncryptedData, sealed));
      return draft(comment, [kind, ...flags], change === undefined ? 'valid' : 'invalid', {
        ...start.fields,
        ...{ challenge, signature, sub, encryptKey, sealed },
        messages: { ...start.messages, M4: encodeTlv(M4) },
        ...(input.pairingFlags !== undefined && {
          keys: {
            toAccessory: deriveKey('Control-Write', start.K),
            toController: deriveKey('Control-Read', start.K),
          },
        }),
        edit: change,
        right: change && rightM4(start, encryptKey, challenge),
      });
    };
    /** M4 as the chip and Pair Setup make it together. */
    const rightM4 = (start: ReturnType<typeof setupStart>, encryptKey: Bytes, challenge: Bytes): Value => {
      const signature = chip.sign(challenge);
      const sub = encodeTlv([tlv(TlvType.Signature, signature), tlv(TlvType.Certificate, held)]);
      const sealed = seal(encryptKey, labelNonce('PS-Msg04'), sub);
      const M4 = encodeTlv([...setupM4(start.M2), tlv(TlvType.EncryptedData, sealed)]);
      return { signature, sub, sealed, M4 };
    };
    const shared = plainSecrets(own.fork('negatives'), CODE);
    // A receiver asked for both at once (seed 001): the code is the default one, and frames begin behind M4.
    const receiver: SetupInput = {
      code: AIRPLAY_CODE,
      secrets: plainSecrets(own.fork('transient'), AIRPLAY_CODE),
      pairingFlags: PairingFlag.Transient,
    };
    return {
      type: 'MfiM4',
      parameters: { chip: chip.chip, certificate: held, publicKey: chip.publicKey },
      tests: [
        ...[0, 1, 2].map((index) =>
          one('drawn', ['Ordinary', 'Fragmented'], plainSecrets(own.fork(`plain ${index}`), CODE)),
        ),
        one('transient, with the default code of AirPlay', ['DressAirPlay', 'Fragmented'], receiver),
        one('the ciphertext changed', ['ModifiedCiphertext'], shared, { op: 'flip', bit: 40 }),
        one('sealed as PS-Msg05', ['WrongNonce'], shared, { op: 'label', text: 'PS-Msg05' }),
        one('the challenge hashed before it was signed', ['SignedInfo'], shared, { op: 'hashed-twice' }),
        one('K signed in the place of the challenge', ['SignedInfo'], shared, { op: 'signed-K' }),
        one('the signature changed', ['WrongSignature'], shared, { op: 'signature-flip', bit: 77 }),
        one('no Signature', ['MissingItem'], shared, { op: 'no-signature' }),
        one('no Certificate', ['MissingItem'], shared, { op: 'no-certificate' }),
        one('no EncryptedData: silently without authentication', ['MissingItem'], shared, {
          op: 'no-encrypted-data',
        }),
        one('no EncryptedData behind a transient M1', ['DressAirPlay', 'MissingItem'], receiver, {
          op: 'no-encrypted-data',
        }),
      ],
    };
  });
