import {
  type Bytes,
  type Identity,
  Length,
  type Random,
  SrpServer,
  TlvError,
  type TlvItem,
  TlvType,
  accessoryIdentity,
  clientSession,
  concat,
  controllerIdentity,
  controllerProof,
  deriveKey,
  encodeTlv,
  errorReply,
  flipBit,
  groundExponent,
  identityItems,
  integerValue,
  labelNonce,
  makeVerifier,
  restoreIdentity,
  seal,
  sealedMessage,
  setupM1,
  setupM2,
  setupM3,
  setupM4,
  sign,
  signedInfo,
  srpConventions,
  tlv,
  toInteger,
  utf8,
} from '../../protocol/index.js';
import { CODE, draft } from '../cases.js';
import type { Edit } from '../format.js';
import type { Draft, Generator, Value } from '../make.js';
import type { FlagName } from '../notes.js';
import { type Secrets, exponents, plainSecrets, srpFields } from '../primitives/srp.js';
import { type Change, argument, opOf, person } from './shared.js';

export interface SetupInput {
  readonly secrets: Secrets;
  readonly code?: string;
  readonly method?: number;
  readonly pairingFlags?: number;
  readonly echoed?: number;
}

/** M1 to M4. */
export function setupStart(
  { secrets, code = CODE, method = 0, pairingFlags, echoed }: SetupInput,
  change: Change,
) {
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
export function sealedStep({ message, label, key, sub, info, signature }: Sealing, change: Change) {
  const op = opOf(change, message);
  const plain = encodeTlv(sub);
  const right = seal(key, labelNonce(op === 'label' ? change!.text! : label), plain);
  const sealed = op === 'flip' ? flipBit(right, change!.bit!) : right;
  return { fields: { info, signature, sub: plain, sealed } satisfies Value, sealed };
}

/** The message itself as it would have been, where one of its own is what was changed. */
export function rightOf(change: Change, message: string, make: () => Bytes): { readonly right?: Value } {
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

export function parties(random: Random, id?: string): SetupParties {
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
