import {
  type Bytes,
  Length,
  MAX_PAIRINGS,
  Method,
  Permission,
  TlvError,
  type TlvItem,
  type TlvMessage,
  TlvType,
  equal,
  pairingEntry,
  separator,
  stateOnly,
} from '../../protocol/index.js';
import type { Device, DeviceDecisions } from '../device/device.js';
import { MAX_IDENTIFIER, type Pairing, type Requester, type Step } from '../facts.js';
import { type Reply, type ReplyContext, answer, failure, refusal } from '../messages/reply.js';
import { type RequestDecisions, single, stateOf } from '../messages/request.js';
import type { SealedDecisions } from '../messages/sealed.js';

/** An Add request that passed its syntax. */
export interface AddRequest {
  readonly pairings: readonly Pairing[];
  /** The pairing of that identifier, when there is one. */
  readonly existing: Pairing | undefined;
  readonly wanted: Pairing;
  readonly requester: Requester;
}

export interface RemoveRequest {
  readonly id: Bytes;
  readonly requester: Requester;
}

type Asked = PairingsDecisions & RequestDecisions & Pick<SealedDecisions, 'isWeakKey'> & DeviceDecisions;

const steps: Readonly<Record<number, Step>> = {
  [Method.AddPairing]: 'pairings-add',
  [Method.RemovePairing]: 'pairings-remove',
  [Method.ListPairings]: 'pairings-list',
};

/** One request to `/pairings` (seed 002 §7), served for `requester`. */
export function handlePairings(device: Device<Asked>, message: TlvMessage, requester: Requester): Reply {
  const { behaviour, random } = device;
  const method = single(message, TlvType.Method, 1)?.[0];
  const step = method === undefined ? undefined : steps[method];
  const context: ReplyContext = { endpoint: 'pairings', step, after: 'nothing', request: message, random };
  if (stateOf(behaviour, { endpoint: 'pairings', message, requester }) !== 1 || step === undefined)
    return refusal(context);
  // Looked up now and not when the session began: a demoted admin loses his rights in open sessions too.
  if (!behaviour.isAdmin(device.find(requester.id), requester, step))
    return failure(context, 2, TlvError.Authentication);
  if (step === 'pairings-add') return add(device, context, message, requester);
  if (step === 'pairings-remove') return remove(device, context, message, requester);
  return answer(context, list(behaviour.listed(device.pairings, requester)));
}

function add(device: Device<Asked>, context: ReplyContext, message: TlvMessage, requester: Requester): Reply {
  const { behaviour } = device;
  const given = behaviour.additionFrom(message);
  if (given === undefined) return refusal(context);
  if (behaviour.isWeakKey(given.ltpk)) return failure(context, 2, TlvError.Unknown);
  const wanted: Pairing = { ...given, id: behaviour.identifierAsStored(given.id) };
  const existing = device.find(wanted.id);
  const error = behaviour.refusesAdd({ pairings: device.pairings, existing, wanted, requester });
  if (error !== undefined) return failure(context, 2, error);
  device.put(existing === undefined ? wanted : behaviour.updated(existing, wanted));
  // An update can demote the last admin, and an accessory nobody can manage is lost until its next reset.
  if (existing !== undefined && behaviour.dropsEverything(device.pairings)) device.removeAll();
  return answer(context, stateOnly(2));
}

function remove(
  device: Device<Asked>,
  context: ReplyContext,
  message: TlvMessage,
  requester: Requester,
): Reply {
  const { behaviour } = device;
  const given = behaviour.removalFrom(message, device.pairings);
  if (given === undefined) return refusal(context);
  const id = behaviour.identifierAsStored(given);
  const pairing = device.find(id);
  const facts = { known: pairing !== undefined, self: equal(id, requester.id) };
  // Success for an unknown id: the controller wants it gone, and it is.
  if (pairing !== undefined && behaviour.removes({ id, requester })) {
    device.remove(id);
    if (behaviour.dropsEverything(device.pairings, pairing)) device.removeAll();
  }
  const lastAdmin = device.pairings.length === 0;
  return { ...answer(context, stateOnly(2)), ...facts, lastAdmin };
}

function list(pairings: readonly Pairing[]): TlvItem[] {
  const entries = pairings.flatMap(({ id, ltpk, permissions }, index) => [
    ...(index === 0 ? [] : [separator()]),
    ...pairingEntry(id, ltpk, permissions),
  ]);
  return [...stateOnly(2), ...entries];
}

function isAdmin(pairing: Pairing): boolean {
  return (pairing.permissions & Permission.Admin) !== 0;
}

export interface PairingsDecisions {
  /** Bit 0 of the stored permissions, looked up at the time of the request. */
  isAdmin(pairing: Pairing | undefined, requester: Requester, step?: Step): boolean;
  /** Identifier (1 to 64 bytes), LTPK (32) and Permissions (0 or 1) of an Add, or undefined when it is malformed. */
  additionFrom(message: TlvMessage): Pairing | undefined;
  /** Identifier of a Remove, or undefined when it is malformed. */
  removalFrom(message: TlvMessage, pairings: readonly Pairing[]): Bytes | undefined;
  /** The TLV error an Add is refused with, or undefined to go on. */
  refusesAdd(request: AddRequest): number | undefined;
  /** What an Add for a known identifier and LTPK leaves in the list. */
  updated(existing: Pairing, wanted: Pairing): Pairing;
  /** False to report success and keep the pairing. */
  removes(request: RemoveRequest): boolean;
  /** The pairings a List shows to whoever asks for it. */
  listed(pairings: readonly Pairing[], requester: Requester): readonly Pairing[];
  /** True when no pairing may stay because no admin is left (seed 002 §7.2). */
  dropsEverything(pairings: readonly Pairing[], departed?: Pairing): boolean;
}

export const healthyPairings: PairingsDecisions = {
  isAdmin: (pairing) => pairing !== undefined && isAdmin(pairing),
  additionFrom(message) {
    const id = single(message, TlvType.Identifier, 1, MAX_IDENTIFIER);
    const ltpk = single(message, TlvType.PublicKey, Length.ltpk);
    const permissions = single(message, TlvType.Permissions, 1)?.[0];
    if (id === undefined || ltpk === undefined || permissions === undefined || permissions > 1)
      return undefined;
    return { id, ltpk, permissions };
  },
  removalFrom: (message) => single(message, TlvType.Identifier, 1, MAX_IDENTIFIER),
  refusesAdd({ pairings, existing, wanted }) {
    // Another key under a known name would hand one controller's rights to a second one.
    if (existing !== undefined) return equal(existing.ltpk, wanted.ltpk) ? undefined : TlvError.Unknown;
    return pairings.length >= MAX_PAIRINGS ? TlvError.MaxPeers : undefined;
  },
  updated: (_existing, wanted) => wanted,
  removes: () => true,
  listed: (pairings) => pairings,
  dropsEverything: (pairings) => !pairings.some(isAdmin),
};
