import type { Fields, Json } from '../format.js';
import { flagBytes, hkdf, keyFor, toBytes, writeTlv } from '../second.js';
import { oneFrame } from './keys.js';
import { setupStart } from './setup.js';
import { type Claims, T, editOf, fields, hex, state, text, verdict } from './shared.js';

const dresses = {
  hap: ['SplitSetupSalt', 'ControllerEncrypt-Control', 'AccessoryEncrypt-Control'],
  airplay: ['Control-Salt', 'Control-Write-Encryption-Key', 'Control-Read-Encryption-Key'],
} as const;
type Dress = keyof typeof dresses;

export function transientGroup(group: Fields): Claims {
  const [salt, toAccessoryInfo, toControllerInfo] = dresses[text(group['dress']) as Dress];
  return { hkdfSalt: salt, toAccessoryInfo, toControllerInfo };
}

export function transient(test: Fields, group: Fields): Claims {
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

export function split(test: Fields): Claims {
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
