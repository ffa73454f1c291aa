import type { Edit, Fields } from '../format.js';
import {
  type SrpValues,
  clientS,
  edSign,
  flagBytes,
  flip,
  join,
  keyFor,
  neutral,
  nonceOf,
  proofM1,
  publicKey,
  seal,
  sha,
  srp,
  toBytes,
  writeTlv,
} from '../second.js';
import {
  type Claims,
  type Person,
  T,
  argument,
  editOf,
  number,
  opOf,
  person,
  refused,
  state,
  text,
  verdict,
} from './shared.js';
import { srpClaims, srpInput } from './srp.js';

interface SetupStart {
  readonly values: SrpValues;
  readonly claims: Claims;
  readonly messages: { M1: Buffer; M2: Buffer; M3: Buffer; M4: Buffer };
  /** M3 and M4 of who knows the code. */
  readonly right: { M3: Buffer; M4: Buffer };
  readonly failed: boolean;
}

/** M1 to M4 with a code, a method and flags. */
export function setupStart(test: Fields, code: string, edit: Edit | undefined, echoed?: number): SetupStart {
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

export function sealedStep(
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

export function pairSetup(test: Fields): Claims {
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
