import {
  equal,
  Method,
  TlvError,
  type TlvItem,
  type TlvMessage,
  TlvType,
  pairingEntry,
  separator,
  stateOnly,
} from '../../protocol/index.js';
import type { Pairing, PairingRequest, Reply, Requester, Step } from '../behaviour.js';
import type { Device } from '../device/device.js';
import { type ReplyContext, answer, failure, refusal, single } from '../messages/reply.js';

const steps: Readonly<Record<number, Step>> = {
  [Method.AddPairing]: 'pairings-add',
  [Method.RemovePairing]: 'pairings-remove',
  [Method.ListPairings]: 'pairings-list',
};

/** One request to `/pairings` (seed 002 §7), served for `requester`. */
export function handlePairings(device: Device, message: TlvMessage, requester: Requester): Reply {
  const { behaviour, random } = device;
  const request: PairingRequest = { endpoint: 'pairings', message, requester };
  const method = single(message, TlvType.Method, 1)?.[0];
  const step = method === undefined ? undefined : steps[method];
  const context: ReplyContext = { endpoint: 'pairings', step, after: 'nothing', request: message, random };
  if (behaviour.isMalformed(request) || behaviour.stateOf(request) !== 1 || step === undefined)
    return refusal(context);
  // Looked up now and not when the session began: a demoted admin loses his rights in open sessions too.
  if (!behaviour.isAdmin(device.find(requester.id), requester, step))
    return failure(context, 2, TlvError.Authentication);
  if (step === 'pairings-add') return add(device, context, message, requester);
  if (step === 'pairings-remove') return remove(device, context, message, requester);
  return answer(context, list(device.pairings));
}

function add(device: Device, context: ReplyContext, message: TlvMessage, requester: Requester): Reply {
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

function remove(device: Device, context: ReplyContext, message: TlvMessage, requester: Requester): Reply {
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
