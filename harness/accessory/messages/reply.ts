import {
  type Bytes,
  type Random,
  type TlvItem,
  type TlvMessage,
  TlvType,
  encodeTlv,
  errorReply,
} from '../../protocol/index.js';
import type { Endpoint, Progress, Step } from '../facts.js';

/** What a reply carries beside its items. */
export interface ReplyContext {
  readonly endpoint: Endpoint;
  readonly step: Step | undefined;
  readonly after: Progress;
  readonly request: TlvMessage;
  readonly random: Random;
}

/** A reply to a TLV8 request, as the accessory means it before its last decisions. */
export interface Reply {
  readonly endpoint: Endpoint;
  /** undefined when the request was no message of the protocol. */
  readonly step: Step | undefined;
  /** 200, or 400 with an empty body for what is malformed or out of sequence. */
  readonly status: number;
  readonly items: readonly TlvItem[];
  /** Where the exchange stood when the request came. */
  readonly after: Progress;
  /** Pair Setup M4: the proof that answers the one received. */
  readonly serverProof?: Bytes;
  /** Pair Setup M4: the proof received. */
  readonly controllerProof?: Bytes;
  /** Pair Setup M2: the SRP verifier v of this exchange. */
  readonly verifier?: bigint;
  /** Pair Setup M4 and Pair Verify M4: K, or the X25519 secret, of this exchange. */
  readonly secret?: Bytes;
  /** Pair Verify M4, Remove: whether the identifier belongs to a pairing. */
  readonly known?: boolean;
  /** Remove: a controller removes itself, and no admin is left then. */
  readonly self?: boolean;
  readonly lastAdmin?: boolean;
  /** What is answered. */
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

/** A reply as it goes out, or undefined for silence. */
export function written(
  behaviour: ReplyDecisions,
  reply: Reply,
):
  | {
      readonly status: number;
      readonly step: Step | undefined;
      readonly refused: boolean;
      readonly contentType?: string;
      readonly body?: Bytes;
    }
  | undefined {
  if (!behaviour.answers(reply)) return undefined;
  const { step } = reply;
  const status = behaviour.status(reply);
  const refused = status !== 200 || reply.items.some(({ type }) => type === TlvType.Error);
  if (!behaviour.sendsBody(reply, status)) return { status, step, refused };
  return {
    status,
    step,
    refused,
    contentType: behaviour.contentType(step),
    body: behaviour.encode(step, behaviour.beforeSending(reply)),
  };
}

/** How replies go out. */
export interface ReplyDecisions {
  /** Milliseconds the accessory works on a reply before it goes out. */
  takes(step: Step): number;
  /** False to stay silent. */
  answers(reply: Reply): boolean;
  /** The HTTP status. */
  status(reply: Reply): number;
  /** True to send the items with this status; otherwise the body stays empty. */
  sendsBody(reply: Reply, status: number): boolean;
  /** The items of a reply before they are encoded. */
  beforeSending(reply: Reply): readonly TlvItem[];
  encode(step: Step | undefined, items: readonly TlvItem[]): Bytes;
  /** Media type of a pairing reply. */
  contentType(step: Step | undefined): string;
}

export const healthyReplies: ReplyDecisions = {
  takes: () => 0,
  answers: () => true,
  status: (reply) => reply.status,
  sendsBody: (_reply, status) => status === 200,
  beforeSending: (reply) => reply.items,
  encode: (_step, items) => encodeTlv(items),
  contentType: () => 'application/pairing+tlv8',
};
