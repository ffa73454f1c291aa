import { type Bytes, type Random, type TlvItem, type TlvMessage, errorReply } from '../../protocol/index.js';
import type { Endpoint, Progress, Reply, Step } from '../behaviour.js';

/** What a reply carries beside its items. */
export interface ReplyContext {
  readonly endpoint: Endpoint;
  readonly step: Step | undefined;
  readonly after: Progress;
  readonly request: TlvMessage;
  readonly random: Random;
}

/** 400 with an empty body: malformed, incomplete or out of sequence. */
export function refusal(context: ReplyContext): Reply {
  return { ...context, status: 400, items: [] };
}

export function answer(context: ReplyContext, items: readonly TlvItem[]): Reply {
  return { ...context, status: 200, items };
}

/** HTTP 200 with State and Error: iOS 16 gives up on an accessory that says it with another status. */
export function failure(context: ReplyContext, state: number, error: number): Reply {
  return answer(context, errorReply(state, error));
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
