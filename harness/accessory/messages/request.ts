import { type Bytes, type TlvMessage, TlvType, decodeTlv } from '../../protocol/index.js';
import type { Endpoint, Progress, Requester } from '../facts.js';

/** A TLV8 request as the decisions about it see it. */
export interface PairingRequest {
  readonly endpoint: Endpoint;
  readonly message: TlvMessage;
  /** Where Pair Setup stands on this connection. */
  readonly setup?: Progress;
  /** The controller of the session, on `/pairings`. */
  readonly requester?: Requester;
}

/** The State of a request that may be served, or undefined when it is refused before anything else in it counts. */
export function stateOf(behaviour: RequestDecisions, request: PairingRequest): number | undefined {
  return behaviour.isMalformed(request) ? undefined : behaviour.stateOf(request);
}

/**
 * The value of `type` when the message holds it exactly once, within [min, max] bytes.
 * Of two values a later reader might take the other one, so a repeated item counts as none.
 */
export function single(message: TlvMessage, type: number, min: number, max = min): Bytes | undefined {
  const values = message.all(type);
  const value = values.length === 1 ? values[0] : undefined;
  return value !== undefined && value.length >= min && value.length <= max ? value : undefined;
}

/** How requests are read. */
export interface RequestDecisions {
  /** The body of a pairing request, or of a sub-TLV that opened, as items. */
  decode(body: Bytes): TlvMessage;
  /** True when the body must be refused with 400 before anything in it counts. */
  isMalformed(request: PairingRequest): boolean;
  /** The State of a request, or undefined when it is to be refused: exactly one item of one byte. */
  stateOf(request: PairingRequest): number | undefined;
  /** False when this request stops the whole accessory: no answer to anyone until it is restarted. */
  survives(request: PairingRequest): boolean;
}

export const healthyRequests: RequestDecisions = {
  decode: decodeTlv,
  isMalformed: ({ message }) => message.defect !== undefined,
  stateOf: ({ message }) => (message.all(TlvType.State).length === 1 ? message.state : undefined),
  survives: () => true,
};
