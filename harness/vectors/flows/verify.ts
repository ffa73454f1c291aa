import {
  type Bytes,
  type Identity,
  TlvError,
  curvePublicKey,
  deriveKey,
  encodeTlv,
  ephemeralKeys,
  errorReply,
  flipBit,
  lowOrderCurveKeys,
  proofItems,
  restoreIdentity,
  sealedMessage,
  sharedSecret,
  sign,
  signedInfo,
  stateOnly,
  utf8,
  verifyM1,
  verifyM2,
} from '../../protocol/index.js';
import { draft } from '../cases.js';
import type { Edit } from '../format.js';
import type { Draft, Generator, Value } from '../make.js';
import type { FlagName } from '../notes.js';
import { type SetupParties, parties, rightOf, sealedStep } from './setup.js';
import { type Change, argument, opOf, person } from './shared.js';

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
