import { X509Certificate, createPublicKey, verify } from 'node:crypto';
import type { Edit, Fields, Json, Result } from './format.js';
import {
  type Forms,
  type Item,
  type SrpInput,
  type SrpValues,
  N,
  clientS,
  edSign,
  exchange,
  flagBytes,
  flip,
  hkdf,
  join,
  keyFor,
  labels,
  multiplier,
  neutral,
  nonceOf,
  open,
  power,
  proofM1,
  proofM2,
  publicKey,
  readTlv,
  reference,
  seal,
  sha,
  srp,
  stripped,
  toBytes,
  toNumber,
  writeTlv,
} from './second.js';

/**
 * What every field of a case has to be, computed from its inputs by the second implementation. An input is whatever no
 * other field decides (secrets, keys, plaintexts): to change one changes what is computed from it.
 */

type Claims = Readonly<Record<string, unknown>>;
type Recompute = (test: Fields, group: Fields) => Claims;

const text = (value: Json | undefined): string => value as string;
const hex = (value: Json | undefined): Buffer => Buffer.from(value as string, 'hex');
const number = (value: Json | undefined): number => value as number;
const fields = (value: Json | undefined): Fields => value as Fields;
const editOf = (test: Fields): Edit | undefined => test['edit'] as Edit | undefined;
const argument = (edit: Edit): Buffer => Buffer.from(edit.value!, 'hex');

/** TLV types. */
const T = {
  Method: 0,
  Identifier: 1,
  Salt: 2,
  PublicKey: 3,
  Proof: 4,
  EncryptedData: 5,
  State: 6,
  Error: 7,
  RetryDelay: 8,
  Certificate: 9,
  Signature: 10,
  Permissions: 11,
  Flags: 0x13,
  Separator: 0xff,
} as const;

const itemsOf = (items: readonly Item[]): Claims[] => items.map(({ type, value }) => ({ type, value }));
const verdict = (wrong: boolean): Result => (wrong ? 'invalid' : 'valid');

function tlvCodec(test: Fields): Claims {
  const encoded = hex(test['encoded']);
  const { items, defect } = readTlv(encoded);
  const canonical = writeTlv(items.map(({ type, value }) => [type, value]));
  const result = defect !== undefined ? 'invalid' : canonical.equals(encoded) ? 'valid' : 'acceptable';
  return { items: itemsOf(items), defect, result };
}

function tlvInteger(test: Fields): Claims {
  const [value, width] = [BigInt(text(test['value'])), number(test['width'])];
  if (value >> BigInt(8 * width) !== 0n) throw new Error(`${value} does not fit ${width} bytes`);
  const big = toBytes(value, width);
  const little = Buffer.from(big).reverse();
  const least = [1, 2, 4, 8].find((size) => value >> BigInt(8 * size) === 0n);
  const bigEndian = test['order'] === 'big-endian';
  const result = bigEndian && !big.equals(little) ? 'invalid' : width === least ? 'valid' : 'acceptable';
  // Where both orders are the same bytes, the right one is named.
  const order = big.equals(little) ? { order: 'little-endian' } : {};
  return { ...order, encoded: bigEndian ? big : little, result };
}

const TRIVIAL = /^(\d)\1{7}$|^12345678$|^87654321$/;

function setupCode(test: Fields): Claims {
  const input = text(test['input']);
  const digits = input.replace(/\D/g, '');
  const shape = input.replace(/\d/g, '0');
  const readable = ['000-00-000', '00000000'].includes(shape);
  const dashed = readable ? digits.replace(/^(...)(..)(...)$/, '$1-$2-$3') : undefined;
  const result = !readable || TRIVIAL.test(digits) ? 'invalid' : shape.length === 8 ? 'acceptable' : 'valid';
  return { digits, shape, dashed, result };
}

function setupPayload(test: Fields): Claims {
  const bits =
    (BigInt(number(test['reserved'])) << 46n) |
    (BigInt(number(test['version'])) << 43n) |
    (BigInt(number(test['category'])) << 31n) |
    (BigInt(number(test['transport'])) << 27n) |
    BigInt(number(test['code']));
  let payload = 'X-HM://' + bits.toString(36).toUpperCase().padStart(9, '0') + text(test['setupId']);
  const edit = editOf(test);
  const right = edit && payload;
  let result: Result = verdict(number(test['code']) > 99_999_999 || test['reserved'] !== 0);
  switch (edit?.op) {
    case undefined:
      break;
    case 'lower-case':
      payload = payload.toLowerCase();
      if (result === 'valid') result = 'acceptable';
      break;
    case 'cut':
      payload = payload.slice(0, edit.to);
      result = 'invalid';
      break;
    case 'add':
      payload += edit.text!;
      result = 'invalid';
      break;
    case 'prefix':
      payload = payload.replace('X-HM://', edit.text!);
      result = 'invalid';
  }
  return { payload, right, result };
}

// ---- SRP

/** Who writes integers how; the names are of camps, not of products. */
const conventions: Readonly<Record<string, Forms>> = {
  reference,
  neutral,
  'padded-session': {
    ...neutral,
    proofB: 'padded',
    session: 'padded',
    wireB: 'padded',
  },
  'stripped-proofs-padded-session': { ...reference, session: 'padded' },
  'padded-proofs': { ...reference, proofA: 'padded', proofB: 'padded', wireB: 'padded' },
  'all-stripped': { ...reference, serverProofA: 'stripped', wireA: 'stripped' },
  'all-stripped-and-salt': { ...reference, serverProofA: 'stripped', wireA: 'stripped', salt: 'stripped' },
  'integer-key': { ...neutral, proofB: 'stripped', sessionKey: 'stripped' },
  literal: { ...reference, k: 'literal', u: 'stripped' },
  'left-aligned': {
    ...reference,
    proofA: 'left-aligned',
    proofB: 'left-aligned',
    session: 'left-aligned',
    serverProofA: 'left-aligned',
  },
};
/** Conventions that are mistakes wherever they show. */
const mistaken = ['integer-key', 'literal', 'left-aligned'];

function srpClaims({ x, v, k, u, A, B, S, K, M1, M2 }: SrpValues): Claims {
  return {
    x: toBytes(x, 64),
    v: toBytes(v, 384),
    k: toBytes(k, 64),
    u: toBytes(u, 64),
    A,
    B,
    S: toBytes(S, 384),
    K,
    M1,
    M2,
  };
}

function srpInput(test: Fields, user: string, password: string, forms: Forms): SrpInput {
  return { user, password, salt: hex(test['salt']), a: hex(test['a']), b: hex(test['b']), forms };
}

function srpSession(test: Fields, group: Fields): Claims {
  const name = text(group['convention']);
  const forms = group['forms'] as unknown as Forms;
  const [user, password] = [text(group['user']), text(group['password'])];
  const values = srp(srpInput(test, user, password, forms));
  const right = srp(srpInput(test, user, password, reference));
  const agrees = values.M1.equals(right.M1) && values.M2.equals(right.M2);
  const result = agrees ? 'valid' : mistaken.includes(name) ? 'invalid' : 'acceptable';
  return { ...srpClaims(values), result };
}

function srpGroup(group: Fields): Claims {
  const forms = conventions[text(group['convention'])];
  return forms === undefined ? { convention: Object.keys(conventions).join(' or ') } : { forms };
}

function srpIllegalA(test: Fields, group: Fields): Claims {
  const [user, salt] = [text(group['user']), hex(test['salt'])];
  const length = number(test['length']);
  const value = BigInt(number(test['multiple'])) * N;
  const x = toNumber(sha('sha512', salt, sha('sha512', `${user}:${text(group['password'])}`)));
  const v = power(5n, x);
  const B = toBytes((multiplier('padded') * v + power(5n, toNumber(hex(test['b'])))) % N);
  const A = toBytes(value, length);
  if (A.length !== length) throw new Error(`${length} bytes do not hold A`);
  const zero = { empty: 0, 'zero-byte': 1, padded: 384 }[text(test['guess'])]!;
  const K = sha('sha512', Buffer.alloc(zero));
  return {
    v: toBytes(v, 384),
    B,
    A,
    K,
    M1: proofM1({ user, salt, A, B, K, forms: neutral }),
    result: 'invalid',
  };
}

function srpIllegalB(test: Fields): Claims {
  const name = text(test['number']);
  const value = { '0': 0n, '1': 1n, 'N-1': N - 1n, N, 'N+1': N + 1n }[name]!;
  const length = number(test['length']);
  const B = toBytes(value, length);
  if (B.length !== length) throw new Error(`${length} bytes do not hold B`);
  const fits = length >= 1 && length <= 384;
  const result = value % N === 0n || !fits ? 'invalid' : value > 1n && value < N ? 'valid' : 'acceptable';
  return { B, result };
}

function srpProof(test: Fields, group: Fields): Claims {
  const [user, password] = [text(group['user']), text(group['password'])];
  const salt = hex(test['salt']);
  const right = srp(srpInput(test, user, password, neutral));
  const edit = editOf(test)!;
  const { A, B, K, M1, M2, S, u, k } = right;
  const hashed = (more: object): Buffer => proofM1({ user, salt, A, B, K, forms: neutral, ...more });
  const made = (): Buffer => {
    switch (edit.op) {
      case 'M1-flip':
        return flip(M1, edit.bit!);
      case 'M1-cut':
        return M1.subarray(0, edit.to);
      case 'M1-append':
        return join(M1, argument(edit));
      case 'M1-zero':
        return Buffer.alloc(64);
      case 'M1-of-password': {
        const other = clientS({ user, salt, a: hex(test['a']), B, u, k, password: edit.text! });
        return hashed({ K: sha('sha512', toBytes(other)) });
      }
      case 'M1-of-user': {
        const other = clientS({ user: edit.text!, salt, a: hex(test['a']), B, u, k, password });
        return hashed({ user: edit.text!, K: sha('sha512', toBytes(other)) });
      }
      case 'M1-without-salt':
        return hashed({ salt: Buffer.alloc(0) });
      case 'M1-padded-g':
        return proofM1({ user, salt, A, B, K, forms: neutral }, false);
      case 'M1-is-M2':
        return M2;
      case 'M1-S-in-place-of-K':
        return hashed({ K: toBytes(S) });
      case 'M2-flip':
        return flip(M2, edit.bit!);
      case 'M2-cut':
        return M2.subarray(0, edit.to);
      case 'M2-append':
        return join(M2, argument(edit));
      case 'M2-is-M1':
        return M1;
      default:
        return proofM2(B, M1, K, neutral);
    }
  };
  const proof = made();
  const wanted = edit.op.startsWith('M1') ? M1 : M2;
  return { ...srpClaims(right), right: wanted, proof, result: verdict(!proof.equals(wanted)) };
}

// ---- labels

function hkdfGroup(group: Fields): Claims {
  const known = labels[text(group['label'])];
  return known === undefined
    ? { label: Object.keys(labels).join(' or ') }
    : { salt: known[0], info: known[1] };
}

function hkdfLabel(test: Fields, group: Fields): Claims {
  const ikm = hex(test['ikm']);
  const [salt, info, size] = [text(group['salt']), text(group['info']), number(test['size'])];
  const right = hkdf(ikm, salt, info, size);
  const made = (): Buffer => {
    switch (editOf(test)?.op) {
      case 'sha256':
        return hkdf(ikm, salt, info, size, 'sha256');
      case 'swapped':
        return hkdf(ikm, info, salt, size);
      case 'no-salt':
        return hkdf(ikm, '', info, size);
      case 'no-info':
        return hkdf(ikm, salt, '', size);
      case 'stripped-ikm':
        return hkdf(stripped(ikm), salt, info, size);
      case 'half-ikm':
        return hkdf(ikm.subarray(0, ikm.length >> 1), salt, info, size);
      case 'nul-terminated':
        return hkdf(ikm, `${salt}\0`, `${info}\0`, size);
      case 'extract-only':
        return extracted(ikm, salt).subarray(0, size);
      default:
        return right;
    }
  };
  const key = made();
  return { key, right: editOf(test) && right, result: verdict(!key.equals(right)) };
}

/** HMAC(salt, ikm) from its definition: the first half of HKDF. */
function extracted(ikm: Buffer, salt: string): Buffer {
  const block = (byte: number): Buffer => {
    const padded = Buffer.alloc(128, byte);
    Buffer.from(salt).forEach((value, i) => (padded[i]! ^= value));
    return padded;
  };
  return sha('sha512', block(0x5c), sha('sha512', block(0x36), ikm));
}

const nonceLabels = ['PS-Msg04', 'PS-Msg05', 'PS-Msg06', 'PV-Msg02', 'PV-Msg03'];

function aeadGroup(group: Fields): Claims {
  return nonceLabels.includes(text(group['label'])) ? {} : { label: nonceLabels.join(' or ') };
}

function aeadLabel(test: Fields, group: Fields): Claims {
  const [key, plaintext, label] = [hex(test['key']), hex(test['plaintext']), text(group['label'])];
  const nonce = nonceOf(label);
  const right = seal(key, nonce, plaintext);
  const edit = editOf(test);
  const made = (): Buffer => {
    switch (edit?.op) {
      case 'flip':
        return flip(right, edit.bit!);
      case 'cut':
        return right.subarray(0, edit.to);
      case 'append':
        return join(right, argument(edit));
      case 'label-first':
        return seal(key, join(label, Buffer.alloc(4)), plaintext);
      case 'other-label':
        return seal(key, nonceOf(edit.text!), plaintext);
      case 'with-aad':
        return seal(key, nonce, plaintext, argument(edit));
      case 'tag-first':
        return join(right.subarray(-16), right.subarray(0, -16));
      default:
        return right;
    }
  };
  const sealed = made();
  const opens = open(key, nonce, sealed)?.equals(plaintext) ?? false;
  return { nonce, aad: '', sealed, right: edit && right, result: verdict(!opens) };
}

// ---- transcripts

const state = (value: number): readonly [number, number] => [T.State, value];
const refused = (replyState: number): Buffer => writeTlv([state(replyState), [T.Error, 2]]);

interface Person {
  readonly id: Buffer;
  readonly ltsk: Buffer;
  readonly ltpk: Buffer;
}
function person(value: Json | undefined): Person {
  const { id, ltsk } = fields(value);
  return { id: hex(id), ltsk: hex(ltsk), ltpk: publicKey('ed25519', hex(ltsk)) };
}

interface SetupStart {
  readonly values: SrpValues;
  readonly claims: Claims;
  readonly messages: { M1: Buffer; M2: Buffer; M3: Buffer; M4: Buffer };
  /** M3 and M4 of who knows the code. */
  readonly right: { M3: Buffer; M4: Buffer };
  readonly failed: boolean;
}

/** M1 to M4 with a code, a method and flags. */
function setupStart(test: Fields, code: string, edit: Edit | undefined, echoed?: number): SetupStart {
  const input = srpInput(test, 'Pair-Setup', code, neutral);
  const values = srp(input);
  const { A, B, M1, M2, u, k } = values;
  const flags = test['pairingFlags'] as number | undefined;
  let proof = M1;
  if (edit?.op === 'm3-proof-flip') proof = flip(M1, edit.bit!);
  else if (edit?.op === 'm3-proof-cut') proof = M1.subarray(0, edit.to);
  else if (edit?.op === 'm3-code') {
    const S = clientS({ user: input.user, password: edit.text!, salt: input.salt, a: input.a, B, u, k });
    proof = proofM1({
      user: input.user,
      salt: input.salt,
      A,
      B,
      K: sha('sha512', toBytes(S)),
      forms: neutral,
    });
  }
  const failed = !proof.equals(M1);
  const answer = edit?.op === 'm4-proof-flip' ? flip(M2, edit.bit!) : M2;
  const claims = { ...srpClaims(values), ...(failed && { M2: undefined }) };
  return {
    values,
    claims,
    failed,
    right: {
      M3: writeTlv([state(3), [T.PublicKey, A], [T.Proof, M1]]),
      M4: writeTlv([state(4), [T.Proof, M2]]),
    },
    messages: {
      M1: writeTlv([
        [T.Method, number(test['method'] ?? 0)],
        state(1),
        ...(flags === undefined ? [] : ([[T.Flags, flagBytes(flags)]] as const)),
      ]),
      M2: writeTlv([
        state(2),
        [T.PublicKey, B],
        [T.Salt, input.salt],
        ...(echoed === undefined ? [] : ([[T.Flags, flagBytes(echoed)]] as const)),
      ]),
      M3: writeTlv([state(3), [T.PublicKey, A], [T.Proof, proof]]),
      M4: failed ? refused(4) : writeTlv([state(4), [T.Proof, answer]]),
    },
  };
}

/** The op of an edit that belongs to one message (`m5-flip` → `flip`), or undefined. */
function opOf(edit: Edit | undefined, message: string): string | undefined {
  return edit?.op.startsWith(`${message}-`) ? edit.op.slice(message.length + 1) : undefined;
}

function sealedStep(
  message: string,
  edit: Edit | undefined,
  label: string,
  key: Buffer,
  sub: Buffer,
): Buffer {
  const op = opOf(edit, message);
  const sealed = seal(key, nonceOf(op === 'label' ? edit!.text! : label), sub);
  return op === 'flip' ? flip(sealed, edit!.bit!) : sealed;
}

function pairSetup(test: Fields): Claims {
  const edit = editOf(test);
  const { values, claims, messages, failed, right } = setupStart(test, text(test['code']), edit);
  const all: Record<string, unknown> = { ...claims, messages: { ...messages }, right: undefined };
  all['result'] = verdict(edit !== undefined);
  const { K } = values;
  const later = ['controller', 'accessory', 'keys', 'm5', 'm6'];
  const absent = Object.fromEntries(later.map((name) => [name, undefined]));
  const done = (more: object = {}): Claims => ({ ...absent, ...all, ...more });
  const only = (names: Readonly<Record<string, Buffer>>): Claims => ({
    right: { M3: undefined, M4: undefined, M5: undefined, M6: undefined, ...names },
  });
  if (failed) return done(only(right));
  if (opOf(edit, 'm4') !== undefined) return done(only({ M4: right.M4 }));

  const encrypt = keyFor('Pair-Setup-Encrypt', K);
  const controllerX = keyFor('Pair-Setup-Controller-Sign', K);
  const accessoryX = keyFor('Pair-Setup-Accessory-Sign', K);
  all['keys'] = { encrypt, controllerX, accessoryX };
  const step = (
    message: 'm5' | 'm6',
    own: Person,
    x: Buffer,
    otherX: Buffer,
    label: string,
    edit: Edit | undefined,
  ): Claims => {
    const op = opOf(edit, message);
    const id = op === 'other-id' ? argument(edit!) : own.id;
    const ltpk = op === 'other-ltpk' ? publicKey('ed25519', argument(edit!)) : own.ltpk;
    const first = op === 'x-of-accessory' || op === 'x-of-controller' ? otherX : x;
    const info =
      op === 'info-order'
        ? join(ltpk, own.id, first)
        : op === 'info-without-x'
          ? join(own.id, ltpk)
          : join(first, own.id, ltpk);
    let signature = edSign(own.ltsk, info);
    if (op === 'signature-flip') signature = flip(signature, edit!.bit!);
    const sub = writeTlv([
      [T.Identifier, id],
      [T.PublicKey, ltpk],
      [T.Signature, signature],
    ]);
    return { info, signature, sub, sealed: sealedStep(message, edit, label, encrypt, sub) };
  };
  const controller = person(test['controller']);
  all['controller'] = controller;
  const m5Of = (edit: Edit | undefined): Claims =>
    step('m5', controller, controllerX, accessoryX, 'PS-Msg05', edit);
  const sealedIn = (number: number, { sealed }: Claims): Buffer =>
    writeTlv([state(number), [T.EncryptedData, sealed as Buffer]]);
  const m5 = m5Of(edit);
  const M5 = sealedIn(5, m5);
  if (opOf(edit, 'm5') !== undefined)
    return done({
      m5,
      messages: { ...messages, M5, M6: refused(6) },
      ...only({ M5: sealedIn(5, m5Of(undefined)) }),
    });
  const accessory = person(test['accessory']);
  all['accessory'] = accessory;
  const m6Of = (edit: Edit | undefined): Claims =>
    step('m6', accessory, accessoryX, controllerX, 'PS-Msg06', edit);
  const m6 = m6Of(edit);
  const M6 = sealedIn(6, m6);
  const own = edit === undefined ? {} : only({ M6: sealedIn(6, m6Of(undefined)) });
  return done({ m5, m6, messages: { ...messages, M5, M6 }, ...own });
}

function pairVerify(test: Fields): Claims {
  const edit = editOf(test);
  const [ours, theirs] = [hex(test['controllerSecret']), hex(test['accessorySecret'])];
  const controllerPublic = publicKey('x25519', ours);
  const accessoryPublic = publicKey('x25519', theirs);
  const sent = edit?.op === 'm1-low-order' ? argument(edit) : controllerPublic;
  const M1 = writeTlv([state(1), [T.PublicKey, sent]]);
  const result = verdict(edit !== undefined);
  const base = { controllerPublic, accessoryPublic, result, right: undefined };
  const only = (names: Readonly<Record<string, Buffer>>): Claims => ({
    right: { M1: undefined, M2: undefined, M3: undefined, M4: undefined, ...names },
  });
  const none = {
    controller: undefined,
    accessory: undefined,
    shared: undefined,
    encryptKey: undefined,
    m2: undefined,
    m3: undefined,
  };
  const keyless = { toAccessory: undefined, toController: undefined };
  const shared = exchange(theirs, sent);
  if (edit?.op === 'm1-low-order') {
    if (shared !== undefined && shared.some((byte) => byte !== 0))
      throw new Error('the key of "m1-low-order" has no low order');
    return {
      ...base,
      ...none,
      ...keyless,
      messages: { M1, M2: refused(2), M3: undefined, M4: undefined },
      ...only({ M1: writeTlv([state(1), [T.PublicKey, controllerPublic]]) }),
    };
  }
  if (shared === undefined || !shared.equals(exchange(ours, accessoryPublic)!))
    throw new Error('the two sides of X25519 disagree');
  const encryptKey = keyFor('Pair-Verify-Encrypt', shared);
  const step = (
    message: 'm2' | 'm3',
    own: Person,
    mine: Buffer,
    peer: Buffer,
    label: string,
    edit: Edit | undefined,
  ): Claims => {
    const op = opOf(edit, message);
    const id = op === 'id-flip' ? flip(own.id, edit!.bit!) : own.id;
    const info = op === 'info-order' ? join(peer, id, mine) : join(mine, id, peer);
    let signature = edSign(own.ltsk, info);
    if (op === 'signature-flip') signature = flip(signature, edit!.bit!);
    const sub = writeTlv([
      [T.Identifier, id],
      [T.Signature, signature],
    ]);
    return { info, signature, sub, sealed: sealedStep(message, edit, label, encryptKey, sub) };
  };
  const accessory = person(test['accessory']);
  const m2Of = (edit: Edit | undefined): Claims =>
    step('m2', accessory, accessoryPublic, controllerPublic, 'PV-Msg02', edit);
  const inM2 = ({ sealed }: Claims): Buffer =>
    writeTlv([state(2), [T.PublicKey, accessoryPublic], [T.EncryptedData, sealed as Buffer]]);
  const m2 = m2Of(edit);
  const M2 = inM2(m2);
  const known = { ...base, accessory, shared, encryptKey, m2 };
  if (opOf(edit, 'm2') !== undefined)
    return {
      ...known,
      controller: undefined,
      m3: undefined,
      ...keyless,
      messages: { M1, M2, M3: undefined, M4: undefined },
      ...only({ M2: inM2(m2Of(undefined)) }),
    };
  const controller = person(test['controller']);
  const m3Of = (edit: Edit | undefined): Claims =>
    step('m3', controller, controllerPublic, accessoryPublic, 'PV-Msg03', edit);
  const inM3 = ({ sealed }: Claims): Buffer => writeTlv([state(3), [T.EncryptedData, sealed as Buffer]]);
  const m3 = m3Of(edit);
  const M3 = inM3(m3);
  if (opOf(edit, 'm3') !== undefined)
    return {
      ...known,
      controller,
      m3,
      ...keyless,
      messages: { M1, M2, M3, M4: refused(4) },
      ...only({ M3: inM3(m3Of(undefined)), M4: writeTlv([state(4)]) }),
    };
  return {
    ...known,
    controller,
    m3,
    toAccessory: keyFor('Control-Write', shared),
    toController: keyFor('Control-Read', shared),
    messages: { M1, M2, M3, M4: writeTlv([state(4)]) },
  };
}

// ---- pairings and errors

type Pairs = (readonly [number, Uint8Array | number])[];

function pairingsRequest(test: Fields): Claims {
  const edit = editOf(test);
  const method = text(test['method']);
  const [id, ltpk] = [hex(test['id'] ?? ''), hex(test['ltpk'] ?? '')];
  let list: Pairs = [state(1), [T.Method, { add: 3, remove: 4, list: 5 }[method]!]];
  if (method !== 'list') list.push([T.Identifier, id]);
  if (method === 'add') list.push([T.PublicKey, ltpk], [T.Permissions, number(test['permissions'] ?? 0)]);
  const right = edit && writeTlv(list);
  const without = (type: number): Pairs => list.filter((entry) => entry[0] !== type);
  const replaced = (type: number, value: Uint8Array | number): Pairs =>
    list.map((entry) => (entry[0] === type ? [type, value] : entry));
  switch (edit?.op) {
    case undefined:
      break;
    case 'state':
      list = replaced(T.State, edit.to!);
      break;
    case 'no-state':
      list = without(T.State);
      break;
    case 'method':
      list = replaced(T.Method, edit.to!);
      break;
    case 'no-method':
      list = without(T.Method);
      break;
    case 'no-id':
      list = without(T.Identifier);
      break;
    case 'no-ltpk':
      list = without(T.PublicKey);
      break;
    case 'no-permissions':
      list = without(T.Permissions);
      break;
    case 'twice-id':
      list = [...list, [T.Identifier, argument(edit)]];
  }
  let body = writeTlv(list);
  if (edit?.op === 'cut') body = body.subarray(0, edit.to);
  const absent = (name: string, when: boolean): Claims => (when ? { [name]: undefined } : {});
  const odd = method === 'add' && number(test['permissions'] ?? 0) > 1;
  return {
    ...absent('id', method === 'list'),
    ...absent('ltpk', method !== 'add'),
    ...absent('permissions', method !== 'add'),
    body,
    right,
    result:
      edit !== undefined || id.length > 64 || (method === 'add' && ltpk.length !== 32)
        ? 'invalid'
        : odd
          ? 'acceptable'
          : 'valid',
  };
}

function pairingsList(test: Fields): Claims {
  const edit = editOf(test);
  const entries = (test['entries'] as readonly Fields[]).map(({ id, ltpk, permissions }): Pairs => [
    [T.Identifier, hex(id)],
    [T.PublicKey, hex(ltpk)],
    [T.Permissions, number(permissions)],
  ]);
  const written = (op: string | undefined): Buffer => {
    const list: Pairs = op === 'no-state' || op === 'state-each' ? [] : [state(2)];
    if (op === 'error') list.push([T.Error, edit!.to!]);
    entries.forEach((entry, index) => {
      const separator = Buffer.alloc(op === 'separator-length' ? 1 : 0);
      if (index > 0 && op !== 'no-separators') list.push([T.Separator, separator]);
      if (op === 'state-each') list.push(state(2));
      list.push(...entry);
    });
    return writeTlv(list);
  };
  let body = written(edit?.op);
  if (edit?.op === 'cut') body = body.subarray(0, edit.to);
  const tolerated = ['state-each', 'separator-length'].includes(edit?.op ?? '');
  const right = edit && written(undefined);
  return { body, right, result: edit === undefined ? 'valid' : tolerated ? 'acceptable' : 'invalid' };
}

function pairingsReply(test: Fields): Claims {
  const refusals: Readonly<Record<string, readonly [error: number, methods: readonly string[]]>> = {
    'by-non-admin': [2, ['add', 'remove', 'list']],
    'other-key-for-known-id': [1, ['add']],
    'all-places-taken': [4, ['add']],
    'unknown-id': [0, ['remove']],
  };
  const [error, methods] = refusals[text(test['situation'])]!;
  return {
    ...(!methods.includes(text(test['method'])) && { method: methods.join(' or ') }),
    methodNumber: { add: 3, remove: 4, list: 5 }[text(test['method'])],
    error,
    body: error === 0 ? writeTlv([state(2)]) : writeTlv([state(2), [T.Error, error]]),
    result: error === 0 ? 'valid' : 'invalid',
  };
}

const errorNames = [
  'none',
  'Unknown',
  'Authentication',
  'Backoff',
  'MaxPeers',
  'MaxTries',
  'Unavailable',
  'Busy',
];

/** The States a request to an endpoint has. */
const statesOf: Readonly<Record<string, readonly number[]>> = {
  '/pair-setup': [1, 3, 5],
  '/pair-verify': [1, 3],
  '/pairings': [1],
};

function errorReply(test: Fields, group: Fields): Claims {
  const edit = editOf(test);
  const [error, requestState] = [number(test['error']), number(test['requestState'])];
  const states = statesOf[text(group['endpoint'])]!;
  const delay = test['retryDelay'] as number | undefined;
  let list: Pairs = [state(requestState + 1), [T.Error, error]];
  if (delay !== undefined) list.push([T.RetryDelay, flagBytes(delay)]);
  const right = edit && writeTlv(list);
  switch (edit?.op) {
    case undefined:
      break;
    case 'error-first':
      list = [list[1]!, list[0]!, ...list.slice(2)];
      break;
    case 'no-state':
      list = list.slice(1);
      break;
    case 'state':
      list = [state(edit.to!), ...list.slice(1)];
      break;
    case 'error-bytes':
      list = [list[0]!, [T.Error, argument(edit)], ...list.slice(2)];
      break;
    case 'with-proof':
      list = [...list, [T.Proof, argument(edit)]];
  }
  let body = writeTlv(list);
  if (edit?.op === 'cut') body = body.subarray(0, edit.to);
  const wrong =
    error < 1 ||
    error > 7 ||
    (edit !== undefined && edit.op !== 'error-first') ||
    (delay !== undefined && error !== 3);
  return {
    ...(!states.includes(requestState) && { requestState: states.join(' or ') }),
    name: errorNames[error] ?? 'undefined',
    items: itemsOf(readTlv(body).items),
    body,
    right,
    // Backoff is of older documents: nothing sends it on purpose any more.
    result: wrong ? 'invalid' : error === 3 ? 'acceptable' : 'valid',
  };
}

// ---- frames

function oneFrame(key: Buffer, counter: bigint, plaintext: Buffer, edit?: Edit): Buffer {
  const size = Buffer.of(plaintext.length & 0xff, plaintext.length >> 8);
  const reversed = Buffer.from(size).reverse();
  let header = size;
  let aad = size;
  let nonce = nonceOf(counter);
  switch (edit?.op) {
    case undefined:
      break;
    case 'no-aad':
      aad = Buffer.alloc(0);
      break;
    case 'aad-big-endian':
      aad = reversed;
      break;
    case 'header-big-endian':
      header = aad = reversed;
      break;
    case 'declared':
      header = Buffer.of(edit.to! & 0xff, (edit.to! >> 8) & 0xff);
      break;
    case 'counter':
      nonce = nonceOf(BigInt(edit.to!));
      break;
    case 'nonce-left':
      nonce = join(nonce.subarray(4), nonce.subarray(0, 4));
      break;
    case 'other-key':
      key = argument(edit);
  }
  return join(header, seal(key, nonce, plaintext, aad));
}

function frameStream(test: Fields): Claims {
  const [key, plaintext] = [hex(test['key']), hex(test['plaintext'])];
  const sizes = test['sizes'] as readonly number[];
  const edit = editOf(test);
  const start = BigInt(text(test['counter']));
  if (sizes.reduce((sum, size) => sum + size, 0) !== plaintext.length)
    return { sizes: `together ${plaintext.length}` };
  // What is wrong is wrong in the first frame; the others are as they should be.
  const sealed = (change: Edit | undefined): Buffer[] => {
    let [counter, at] = [start, 0];
    return sizes.map((size, index) =>
      oneFrame(key, counter++, plaintext.subarray(at, (at += size)), index === 0 ? change : undefined),
    );
  };
  let frames = sealed(edit);
  const [first] = frames;
  if (edit?.op === 'flip') frames = [flip(first!, edit.bit!), ...frames.slice(1)];
  if (edit?.op === 'flip-last') frames = [...frames.slice(0, -1), flip(frames.at(-1)!, edit.bit!)];
  if (edit?.op === 'cut') frames = [...frames.slice(0, -1), frames.at(-1)!.subarray(0, edit.to)];
  if (edit?.op === 'replay') frames = [...frames, first!];
  if (edit?.op === 'swapped') frames = [...frames].reverse();
  const odd = sizes.some((size) => size === 0 || size > 1024);
  return {
    frames,
    right: edit && sealed(undefined),
    result: edit !== undefined ? 'invalid' : odd ? 'acceptable' : 'valid',
  };
}

// ---- transient, split, MFi

const dresses = {
  hap: ['SplitSetupSalt', 'ControllerEncrypt-Control', 'AccessoryEncrypt-Control'],
  airplay: ['Control-Salt', 'Control-Write-Encryption-Key', 'Control-Read-Encryption-Key'],
} as const;
type Dress = keyof typeof dresses;

function transientGroup(group: Fields): Claims {
  const [salt, toAccessoryInfo, toControllerInfo] = dresses[text(group['dress']) as Dress];
  return { hkdfSalt: salt, toAccessoryInfo, toControllerInfo };
}

function transient(test: Fields, group: Fields): Claims {
  const edit = editOf(test);
  const start = setupStart(test, text(test['code']), edit);
  // Who asks for authentication and is not given EncryptedData goes no further, here as in `mfi-m4`.
  const wrong = edit !== undefined || test['method'] === 1;
  const base = { ...start.claims, messages: start.messages, result: verdict(wrong), right: undefined };
  const later = { keys: undefined, requestFrame: undefined, responseFrame: undefined };
  const names = ['request', 'requestFrame', 'response', 'responseFrame', 'keys'];
  if (start.failed)
    return {
      ...base,
      ...Object.fromEntries(names.map((name) => [name, undefined])),
      right: { ...start.right, ...later },
    };
  const dress = text(group['dress']) as Dress;
  const [salt, toAccessory, toController] =
    dresses[edit?.op === 'other-dress' ? (dress === 'hap' ? 'airplay' : 'hap') : dress];
  const { K, S } = start.values;
  const ikm = edit?.op === 'half-ikm' ? K.subarray(0, 32) : edit?.op === 'ikm-S' ? toBytes(S) : K;
  const keys = { toAccessory: hkdf(ikm, salt, toAccessory), toController: hkdf(ikm, salt, toController) };
  if (edit?.op === 'directions-swapped')
    [keys.toAccessory, keys.toController] = [keys.toController, keys.toAccessory];
  if (edit?.op === 'wrong-label') keys.toAccessory = keys.toController = keyFor('Pair-Setup-Encrypt', K);
  const counter = edit?.op === 'counter' ? BigInt(edit.to!) : 0n;
  const frames = (own: typeof keys, from: bigint): Claims => ({
    keys: own,
    requestFrame: oneFrame(own.toAccessory, from, hex(test['request'])),
    responseFrame: oneFrame(own.toController, from, hex(test['response'])),
  });
  const [dueSalt, dueToAccessory, dueToController] = dresses[dress];
  const due = {
    toAccessory: hkdf(K, dueSalt, dueToAccessory),
    toController: hkdf(K, dueSalt, dueToController),
  };
  return {
    ...base,
    ...frames(keys, counter),
    right: edit && { M3: undefined, M4: undefined, ...frames(due, 0n) },
  };
}

const TRANSIENT = 0x10;
const SPLIT = 0x01000000;

function split(test: Fields): Claims {
  const edit = editOf(test);
  const code = text(test['code']);
  const exchangeOf = (name: 'first' | 'second', salt: Json, flags: number, echoed: number | undefined) => {
    const { a, b } = fields(test[name]);
    return setupStart({ salt, a: a!, b: b!, method: 0, pairingFlags: flags }, code, undefined, echoed);
  };
  const first = exchangeOf('first', test['salt']!, TRANSIENT | SPLIT, TRANSIENT | SPLIT);
  const echo = { 'flags-not-echoed': undefined, 'flags-of-first': TRANSIENT | SPLIT }[edit?.op ?? ''];
  const echoes = edit?.op === 'flags-not-echoed' || edit?.op === 'flags-of-first';
  const second = exchangeOf(
    'second',
    edit?.op === 'salt-changed' ? edit.value! : test['salt']!,
    SPLIT,
    echoes ? echo : SPLIT,
  );
  if (edit?.op === 'flags-one-byte')
    second.messages.M1 = writeTlv([[T.Method, 0], state(1), [T.Flags, SPLIT & 0xff]]);
  if (edit?.op === 'flags-big-endian')
    second.messages.M1 = writeTlv([[T.Method, 0], state(1), [T.Flags, flagBytes(SPLIT).reverse()]]);
  const due = exchangeOf('second', test['salt']!, SPLIT, SPLIT);
  const K = edit?.op === 'keys-of-second' ? second.values.K : first.values.K;
  const sealing = edit?.op === 'encrypt-key-of-first' ? first.values.K : second.values.K;
  return {
    first: { ...first.claims, messages: first.messages },
    keys: { toAccessory: keyFor('Split-Controller', K), toController: keyFor('Split-Accessory', K) },
    second: { ...second.claims, messages: second.messages },
    encryptKey: keyFor('Pair-Setup-Encrypt', sealing),
    right: edit && {
      messages: due.messages,
      keys: {
        toAccessory: keyFor('Split-Controller', first.values.K),
        toController: keyFor('Split-Accessory', first.values.K),
      },
      encryptKey: keyFor('Pair-Setup-Encrypt', due.values.K),
    },
    // An accessory without Split answers as if there were no flags.
    result: edit === undefined ? 'valid' : edit.op === 'flags-not-echoed' ? 'acceptable' : 'invalid',
  };
}

/** The certificate by itself, or the one in a PKCS#7 envelope without a signer: the first element that is one. */
function certificateIn(der: Buffer): X509Certificate {
  const candidates = [0];
  for (let at = 0; at < Math.min(der.length, 100); at++) if (der[at] === 0xa0) candidates.push(at);
  for (const at of candidates)
    for (const skip of at === 0 ? [0] : [2, 3, 4])
      try {
        return new X509Certificate(der.subarray(at + skip));
      } catch {
        // Not here.
      }
  throw new Error('the certificate cannot be read');
}

function mfiGroup(group: Fields): Claims {
  const der = hex(group['certificate']);
  const certificate = certificateIn(der);
  const key = certificate.publicKey;
  const wanted = key.asymmetricKeyType === 'rsa' ? '2.0C' : '3.0';
  const raw = certificate.raw;
  const [outer] = [der.length === raw.length ? raw : envelope(raw)];
  return {
    chip: wanted,
    certificate: certificate.verify(key) ? outer : 'a certificate that its own key has signed',
    publicKey: key.export({ format: 'der', type: 'spki' }),
  };
}

/** PKCS#7 SignedData that holds one certificate and no signature. */
function envelope(certificate: Buffer): Buffer {
  const der = (tag: number, ...parts: readonly Buffer[]): Buffer => {
    const content = Buffer.concat(parts);
    const size = content.length;
    const length = size < 128 ? [size] : size < 256 ? [0x81, size] : [0x82, size >> 8, size & 0xff];
    return join(Buffer.of(tag, ...length), content);
  };
  const oid = (last: number): Buffer =>
    der(6, Buffer.from(`2a864886f70d0107${last.toString(16).padStart(2, '0')}`, 'hex'));
  const empty = der(0x31);
  const signedData = der(0x30, der(2, Buffer.of(1)), empty, der(0x30, oid(1)), der(0xa0, certificate), empty);
  return der(0x30, oid(2), der(0xa0, signedData));
}

function mfiM4(test: Fields, group: Fields): Claims {
  const edit = editOf(test);
  const start = setupStart(test, text(test['code']), undefined);
  const { K } = start.values;
  const challenge = keyFor('MFi-Pair-Setup', K);
  const encryptKey = keyFor('Pair-Setup-Encrypt', K);
  const certificate = hex(group['certificate']);
  const key = createPublicKey({ key: hex(group['publicKey']), format: 'der', type: 'spki' });
  const hash = group['chip'] === '2.0C' ? 'sha1' : 'sha256';
  const given = hex(test['signature']);
  const message =
    edit?.op === 'signed-K' ? K : edit?.op === 'hashed-twice' ? sha(hash, challenge) : challenge;
  const signature = edit?.op === 'signature-flip' ? flip(given, edit.bit!) : given;
  const holds = verify(hash, message, { key, dsaEncoding: 'ieee-p1363' }, signature);
  const sub = writeTlv([
    ...(edit?.op === 'no-signature' ? [] : ([[T.Signature, given]] as const)),
    ...(edit?.op === 'no-certificate' ? [] : ([[T.Certificate, certificate]] as const)),
  ]);
  let sealed = seal(encryptKey, nonceOf(edit?.op === 'label' ? edit.text! : 'PS-Msg04'), sub);
  if (edit?.op === 'flip') sealed = flip(sealed, edit.bit!);
  const right = edit && fields(test['right'] ?? {});
  const due = hex(right?.['signature'] ?? '');
  const dueSub = writeTlv([
    [T.Signature, due],
    [T.Certificate, certificate],
  ]);
  const dueSealed = seal(encryptKey, nonceOf('PS-Msg04'), dueSub);
  const dueHolds = verify(hash, challenge, { key, dsaEncoding: 'ieee-p1363' }, due);
  const M4: Pairs = [state(4), [T.Proof, start.values.M2]];
  if (edit?.op !== 'no-encrypted-data') M4.push([T.EncryptedData, sealed]);
  return {
    ...start.claims,
    challenge,
    encryptKey,
    ...(!holds && { signature: 'one that holds over the challenge' }),
    sub,
    sealed,
    messages: { ...start.messages, M4: writeTlv(M4) },
    keys:
      test['pairingFlags'] === undefined
        ? undefined
        : { toAccessory: keyFor('Control-Write', K), toController: keyFor('Control-Read', K) },
    right: edit && {
      ...(!dueHolds && { signature: 'one that holds over the challenge' }),
      sub: dueSub,
      sealed: dueSealed,
      M4: writeTlv([state(4), [T.Proof, start.values.M2], [T.EncryptedData, dueSealed]]),
    },
    result: verdict(edit !== undefined),
  };
}

// ---- recorded

function recorded(test: Fields): Claims {
  const { items, defect } = readTlv(hex(test['body']));
  const sub = test['sub'] === undefined ? undefined : readTlv(hex(test['sub']));
  const sealed = items.find(({ type }) => type === T.EncryptedData)?.value;
  const { key, label } = test;
  const opened =
    key === undefined || label === undefined || sealed === undefined
      ? undefined
      : open(hex(key), nonceOf(text(label)), sealed);
  return {
    items: itemsOf(items),
    defect,
    sealed: sub === undefined ? undefined : sealed,
    ...(key !== undefined && { sub: opened ?? 'what the key and the label open' }),
    ...(key === undefined && { label: undefined }),
    ...(key !== undefined && label === undefined && { label: 'there, beside a key' }),
    subItems: sub && itemsOf(sub.items),
    subDefect: sub?.defect,
    result: verdict(defect !== undefined || sub?.defect !== undefined),
  };
}

/** What a group's own fields have to be. */
export const recomputeGroup: Readonly<Record<string, (group: Fields) => Claims>> = {
  SrpSession: srpGroup,
  HkdfLabel: hkdfGroup,
  AeadLabel: aeadGroup,
  Transient: transientGroup,
  MfiM4: mfiGroup,
  ErrorReply: ({ endpoint }) => ({ requestStates: statesOf[text(endpoint)] }),
};

/** What a case's fields have to be, by the type of its group. */
export const recompute: Readonly<Record<string, Recompute>> = {
  TlvCodec: tlvCodec,
  TlvInteger: tlvInteger,
  SetupCode: setupCode,
  SetupPayload: setupPayload,
  SrpSession: srpSession,
  SrpIllegalA: srpIllegalA,
  SrpIllegalB: srpIllegalB,
  SrpProof: srpProof,
  HkdfLabel: hkdfLabel,
  AeadLabel: aeadLabel,
  PairSetup: pairSetup,
  PairVerify: pairVerify,
  PairingsRequest: pairingsRequest,
  PairingsList: pairingsList,
  PairingsReply: pairingsReply,
  FrameStream: frameStream,
  Transient: transient,
  Split: split,
  MfiM4: mfiM4,
  ErrorReply: errorReply,
  Recorded: recorded,
};
