import {
  type Bytes,
  Length,
  Permission,
  TlvError,
  type TlvItem,
  type TlvMessage,
  TlvType,
  identityItems,
  labelNonce,
  sealedMessage,
  signedInfo,
} from '../../protocol/index.js';
import { deriveKey } from '../crypto.js';
import type { Device, DeviceDecisions } from '../device/device.js';
import { MAX_IDENTIFIER, type Progress } from '../facts.js';
import { type Reply, answer, failure, refusal } from '../messages/reply.js';
import { type RequestDecisions, single } from '../messages/request.js';
import { type SealedDecisions, prove, sealItems } from '../messages/sealed.js';
import type { ExchangeDecisions, Incoming } from './exchanges.js';
import { type M3Decisions, reservedEntry } from './m3.js';

/** Who a controller says it is in M5. */
export interface Introduction {
  readonly id: Bytes;
  readonly ltpk: Bytes;
  readonly signature: Bytes;
}

/** Answers M5 by M6: the controller is stored, and told who we are (seed 002 §2.7, §2.8). */
export function answerM5({
  device,
  exchanges,
  connection,
  context,
}: Incoming<
  M5Decisions &
    Pick<M3Decisions, 'reservesEntryAtM4'> &
    ExchangeDecisions &
    RequestDecisions &
    SealedDecisions &
    DeviceDecisions
>): Reply {
  const { behaviour } = device;
  const twin: M5Asides & Pick<M3Decisions, 'reservesEntryAtM4'> & ExchangeDecisions = behaviour;
  const step = 'setup-m5';
  const nonce = labelNonce('PS-Msg05');
  const sealed = single(context.request, TlvType.EncryptedData, 0, Infinity);
  const exchange = exchanges.take(
    'setup-m6',
    connection,
    (older) =>
      older.secret !== undefined &&
      sealed !== undefined &&
      behaviour.openSealed({
        step,
        key: deriveKey('Pair-Setup-Encrypt', older.secret),
        nonce,
        sealed,
        secret: older.secret,
      }) !== undefined,
  );
  const secret = behaviour.secretForM5({
    after: exchange?.after ?? context.after,
    secret: exchange?.secret,
    flags: exchange?.flags,
    method: exchange?.method,
    carried: device.carried.setupSecret,
  });
  if (secret === undefined || (sealed === undefined && twin.refusesMalformedM5)) return refusal(context);
  const key = deriveKey('Pair-Setup-Encrypt', secret);
  const m6 = (): Reply => answer(context, sealedM6(device, secret, key));
  if (sealed === undefined) return m6();

  const plain = behaviour.openSealed({ step, key, nonce, sealed, secret });
  if (plain === undefined) {
    if (exchange !== undefined && twin.keepsExchangeAfter('failed-m5')) exchanges.hold(connection, exchange);
    return twin.refusesUnopenedM5(context) ? failure(context, 6, TlvError.Authentication) : m6();
  }
  const controller = behaviour.controllerFrom(behaviour.decode(plain));
  if (controller === undefined) return twin.refusesMalformedM5 ? refusal(context) : m6();

  const { id, ltpk, signature } = controller;
  const info = signedInfo(deriveKey('Pair-Setup-Controller-Sign', secret), id, ltpk);
  const pairing = { id: behaviour.identifierAsStored(id), ltpk, permissions: behaviour.firstPermissions };
  if (exchange !== undefined && twin.reservesEntryAtM4(exchange.mode)) device.remove(reservedEntry.id);
  const { pairings } = device;
  const known = device.find(pairing.id) !== undefined;
  // Somebody else may have paired since M1.
  const late = pairings.length > 0 ? behaviour.refusesLateM5({ known }) : undefined;
  if (twin.storesBeforeCheck) device.put(pairing);
  if (behaviour.isWeakKey(ltpk)) return failure(context, 6, TlvError.Authentication);
  if (!behaviour.signatureHolds({ step, ltpk, info, signature, secret, pairings }))
    return failure(context, 6, TlvError.Authentication);
  const returns = device.wasRemoved(pairing.id);
  const error = late ?? twin.refusesController({ returning: returns });
  if (error !== undefined) return failure(context, 6, error);
  if (exchange !== undefined && !twin.endsSetupWithM6) exchanges.hold(connection, exchange);
  // Stored before M6 goes out: a controller that has M6 may verify at once, also after a power cut.
  if (twin.storesController({ known, returning: returns })) device.put(pairing);
  return m6();
}

function sealedM6(device: Device<SealedDecisions & DeviceDecisions>, secret: Bytes, key: Bytes): TlvItem[] {
  const { behaviour, identity } = device;
  const step = 'setup-m6';
  const first = deriveKey('Pair-Setup-Accessory-Sign', secret);
  const { id, signature } = prove(device, step, first, identity.ltpk);
  const items = identityItems(id, identity.ltpk, signature);
  return sealedMessage(6, sealItems(behaviour, step, key, items));
}

function introduction(sub: TlvMessage): Introduction | undefined {
  const id = single(sub, TlvType.Identifier, 1, MAX_IDENTIFIER);
  const ltpk = single(sub, TlvType.PublicKey, Length.ltpk);
  const signature = single(sub, TlvType.Signature, Length.signature);
  if (sub.defect !== undefined || id === undefined || ltpk === undefined || signature === undefined)
    return undefined;
  return { id, ltpk, signature };
}

export interface M5Decisions extends M5Asides {
  /**
   * K for an M5 and M6, or undefined when no right proof came before (seed 002 §2.7). `flags` is what the M1 of the
   * exchange held.
   */
  secretForM5(exchange: {
    after: Progress;
    secret: Bytes | undefined;
    flags: Bytes | undefined;
    /** Method of that M1. */
    method: number | undefined;
    /** K that was in the store at the start. */
    carried: Bytes | undefined;
  }): Bytes | undefined;
  /** Identifier (1 to 64 bytes), LTPK (32) and Signature (64) of an opened M5, or undefined when it is malformed. */
  controllerFrom(sub: TlvMessage): Introduction | undefined;
  /**
   * The TLV error an M5 is refused with when somebody else has paired since its M1, or undefined to store it too.
   * `known`: there is a pairing of its identifier.
   */
  refusesLateM5(late: { readonly known: boolean }): number | undefined;
  /** Permissions of the controller that ran Pair Setup (seed 002 §6.1). */
  readonly firstPermissions: number;
}

/** What only a faulty twin answers otherwise. */
export interface M5Asides {
  /** False to answer M6 to an M5 that lacks something or has it in the wrong size. */
  readonly refusesMalformedM5: boolean;
  /** False to answer M6 although M5 did not open. */
  refusesUnopenedM5(exchange: { after: Progress }): boolean;
  /** False to answer M6 and keep nothing. */
  storesController(introduced: { readonly known: boolean; readonly returning: boolean }): boolean;
  /** The TLV error a controller is refused with; `returning`: it was paired and removed since the start. */
  refusesController(introduced: { readonly returning: boolean }): number | undefined;
  /** True to store the controller of M5 before its signature is checked. */
  readonly storesBeforeCheck: boolean;
  /** False to go on holding Pair Setup behind M6. */
  readonly endsSetupWithM6: boolean;
}

export const healthyM5: M5Decisions = {
  secretForM5: ({ after, secret }) => (after === 'm4' ? secret : undefined),
  controllerFrom: introduction,
  refusesLateM5: () => TlvError.Unavailable,
  firstPermissions: Permission.Admin,

  refusesMalformedM5: true,
  refusesUnopenedM5: () => true,
  storesController: () => true,
  refusesController: () => undefined,
  storesBeforeCheck: false,
  endsSetupWithM6: true,
};
