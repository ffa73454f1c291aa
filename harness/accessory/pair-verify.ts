import {
  type Bytes,
  Length,
  type SessionKeys,
  TlvError,
  type TlvMessage,
  TlvType,
  deriveKey,
  encodeTlv,
  ephemeralKeys,
  labelNonce,
  proofItems,
  seal,
  sign,
  signedInfo,
  stateOnly,
  verifyM2,
} from '../protocol/index.js';
import type { PairingRequest, Reply, Requester } from './behaviour.js';
import type { Device } from './device.js';
import { MAX_IDENTIFIER } from './behaviour.js';
import { type ReplyContext, answer, failure, refusal, single } from './reply.js';

/** A Pair Verify that succeeded: the session begins behind its M4. */
export interface Verified {
  readonly requester: Requester;
  readonly keys: SessionKeys;
}

interface Exchange {
  /** 32 bytes each. */
  readonly own: Bytes;
  readonly controller: Bytes;
  readonly shared: Bytes;
}

/** Pair Verify (seed 002 §3) on one connection. */
export class PairVerify {
  private exchange: Exchange | undefined;
  /** An M1 was answered on this connection. */
  sawM1 = false;

  constructor(private readonly device: Device) {}

  handle(message: TlvMessage): { reply: Reply; verified?: Verified } {
    const { behaviour, random } = this.device;
    const request: PairingRequest = { endpoint: 'pair-verify', message };
    const { exchange } = this;
    // Every message ends the exchange as it stood: M1 starts a new one, M3 is its last.
    this.exchange = undefined;
    const after = exchange === undefined ? 'nothing' : 'm2';
    const context = { endpoint: 'pair-verify', after, request: message, random } as const;
    const state = behaviour.isMalformed(request) ? undefined : behaviour.stateOf(request);
    if (state === 1) return { reply: this.m2({ step: 'verify-m2', ...context }, message) };
    if (state === 3) return this.m4({ step: 'verify-m4', ...context }, message, exchange);
    return { reply: refusal({ step: undefined, ...context }) };
  }

  private m2(context: ReplyContext, message: TlvMessage): Reply {
    const { behaviour, identity, random } = this.device;
    const controller = single(message, TlvType.PublicKey, Length.curveKey);
    if (controller === undefined) return refusal(context);
    const { secret, publicKey: own } = ephemeralKeys(random);
    const shared = behaviour.sharedSecret(secret, controller);
    // A key of low order makes the secret known to everybody who looks on.
    if (shared === undefined) return failure(context, 2, TlvError.Authentication);
    const step = 'verify-m2';
    const id = behaviour.ownIdentifier(step, identity.id);
    const info = behaviour.signedInfo({ step, first: own, id, last: controller });
    const signature = sign(behaviour.signingKey(step, identity.ltsk, random), info);
    const sub = encodeTlv(behaviour.beforeSealing(step, proofItems(id, signature)));
    const key = deriveKey('Pair-Verify-Encrypt', shared);
    this.exchange = { own, controller, shared };
    this.sawM1 = true;
    return answer(context, verifyM2(own, seal(key, labelNonce(behaviour.nonceLabel(step)), sub)));
  }

  private m4(
    context: ReplyContext,
    message: TlvMessage,
    exchange: Exchange | undefined,
  ): { reply: Reply; verified?: Verified } {
    const { behaviour } = this.device;
    const step = 'verify-m3';
    const sealed = single(message, TlvType.EncryptedData, 0, Infinity);
    if (exchange === undefined || sealed === undefined) return { reply: refusal(context) };
    const { own, controller, shared } = exchange;
    const key = deriveKey('Pair-Verify-Encrypt', shared);
    const plain = behaviour.openSealed({ step, key, nonce: labelNonce('PV-Msg03'), sealed });
    const sub = plain && behaviour.decode(plain);
    const id = sub && single(sub, TlvType.Identifier, 1, MAX_IDENTIFIER);
    const signature = sub && single(sub, TlvType.Signature, Length.signature);
    if (sub?.defect !== undefined || id === undefined || signature === undefined)
      return { reply: failure(context, 4, TlvError.Authentication) };
    const stored = behaviour.identifierAsStored(id);
    const pairing = this.device.find(stored);
    const facts: ReplyContext & Pick<Reply, 'known' | 'secret'> = {
      ...context,
      known: pairing !== undefined,
      secret: shared,
    };
    const info = signedInfo(controller, id, own);
    if (!behaviour.signatureHolds({ step, ltpk: pairing?.ltpk, info, signature }))
      return { reply: failure(facts, 4, TlvError.Authentication) };
    return {
      reply: answer(facts, stateOnly(4)),
      verified: {
        requester: { id: stored, permissions: pairing?.permissions ?? 0 },
        keys: behaviour.sessionKeys(shared),
      },
    };
  }
}
