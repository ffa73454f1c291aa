import type { Edit, Fields } from '../format.js';
import { edSign, exchange, flip, join, keyFor, publicKey, writeTlv } from '../second.js';
import { sealedStep } from './setup.js';
import {
  type Claims,
  type Person,
  T,
  argument,
  editOf,
  hex,
  opOf,
  person,
  refused,
  state,
  verdict,
} from './shared.js';

export function pairVerify(test: Fields): Claims {
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
