import {
  AIRPLAY_CODE,
  type Bytes,
  PairingFlag,
  TlvType,
  deriveKey,
  encodeTlv,
  fromInteger,
  hkdfSha512,
  integerValue,
  sealFrame,
  setupM1,
  tlv,
  toInteger,
  utf8,
} from '../../protocol/index.js';
import { CODE, draft } from '../cases.js';
import type { Edit } from '../format.js';
import type { Draft, Generator, GroupDraft, Value } from '../make.js';
import type { FlagName } from '../notes.js';
import { type Secrets, plainSecrets, srpFields } from '../primitives/srp.js';
import { type SetupInput, setupStart } from './setup.js';
import { type Dress, argument, dresses } from './shared.js';

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
