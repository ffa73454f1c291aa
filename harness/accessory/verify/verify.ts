import {
  type Bytes,
  type SessionKeys,
  TlvError,
  type TlvMessage,
  TlvType,
  encodeTlv,
  labelNonce,
  proofItems,
  signedInfo,
  stateOnly,
  verifyM2,
} from '../../protocol/index.js';
import { curvePublicKey, deriveKey, seal, sign } from '../crypto.js';
import type { PairingRequest, Reply, Requester, VerifyExchange } from '../behaviour.js';
import type { Device } from '../device/device.js';
import { type ReplyContext, answer, failure, refusal, single } from '../messages/reply.js';

/** A Pair Verify that succeeded: the session begins behind its M4. */
export interface Verified {
  readonly requester: Requester;
  readonly keys: SessionKeys;
}

/** M1s behind one another whose exchanges are remembered. */
const MAX_HELD = 4;

interface Answer {
  readonly reply: Reply;
  readonly verified?: Verified;
}

/** Pair Verify (seed 002 §3) on one connection. */
export class PairVerify {
  /** Exchanges without an M3 yet, the newest first. */
  private held: readonly VerifyExchange[] = [];
  private secret: Bytes | undefined;
  private answered = 0;
  private failed = false;
  /** A message of Pair Setup on this connection was refused. */
  setupRefused = false;
  /** Who an M3 on this connection said it was. */
  claimed: Requester | undefined;

  constructor(
    private readonly device: Device,
    /** Whether another connection is a session of this controller. */
    private readonly hasSession: (id: Bytes) => boolean,
  ) {}

  /** An M1 was answered on this connection. */
  get sawM1(): boolean {
    return this.answered > 0;
  }

  /** Ends the exchange. */
  forget(): void {
    this.held = [];
  }

  handle(message: TlvMessage): Answer {
    const { behaviour, random } = this.device;
    const request: PairingRequest = { endpoint: 'pair-verify', message };
    const { held } = this;
    // Every message ends the exchange as it stood: M1 starts a new one, M3 is its last.
    this.held = [];
    const after = held.length === 0 ? 'nothing' : 'm2';
    const context = { endpoint: 'pair-verify', after, request: message, random } as const;
    const state = behaviour.isMalformed(request) ? undefined : behaviour.stateOf(request);
    if (state === 1) return { reply: this.m2({ step: 'verify-m2', ...context }, message, held) };
    if (state === 3) return this.m4({ step: 'verify-m4', ...context }, message, held);
    return { reply: refusal({ step: undefined, ...context }) };
  }

  private m2(context: ReplyContext, message: TlvMessage, held: readonly VerifyExchange[]): Reply {
    const { behaviour, identity, random, pairings } = this.device;
    const error = behaviour.refusesVerify({
      paired: pairings.length > 0,
      message,
      answeredHere: this.answered,
      begun: this.device.ephemeralsDrawn,
      failedHere: this.failed,
      setupRefusedHere: this.setupRefused,
    });
    if (error !== undefined) return failure(context, 2, error);
    const controller = behaviour.curveKeyFrom(message);
    if (controller === undefined) return refusal(context);
    const drawn = this.device.ephemeralsDrawn++;
    const secret = behaviour.drawEphemeral({ random, previous: this.secret, drawn });
    this.secret = secret;
    const own = curvePublicKey(secret);
    const shared = behaviour.sharedSecret(secret, controller);
    // A key of low order makes the secret known to everybody who looks on.
    if (shared === undefined) return failure(context, 2, TlvError.Authentication);
    const step = 'verify-m2';
    const id = behaviour.ownIdentifier(step, identity.id);
    const info = behaviour.signedInfo({ step, first: own, id, last: controller });
    const signature = sign(behaviour.signingKey(step, identity.ltsk, random), info);
    const sub = encodeTlv(behaviour.beforeSealing(step, proofItems(id, signature)));
    const key = deriveKey('Pair-Verify-Encrypt', shared);
    const exchange = { own, controller, shared, key };
    this.held = [exchange, ...held].slice(0, MAX_HELD);
    this.device.exchanges = [exchange, ...this.device.exchanges].slice(0, behaviour.exchangesShared);
    this.answered++;
    return answer(context, verifyM2(own, seal(key, labelNonce(behaviour.nonceLabel(step)), sub)));
  }

  private m4(context: ReplyContext, message: TlvMessage, here: readonly VerifyExchange[]): Answer {
    const { behaviour } = this.device;
    const step = 'verify-m3';
    const anywhere = this.device.exchanges;
    const exchanges = behaviour.exchangesForM3({ here, anywhere });
    const first = exchanges[0];
    if (first === undefined) return { reply: refusal(context) };
    const sealed = single(message, TlvType.EncryptedData, 0, Infinity);
    if (sealed === undefined) return this.malformed(refusal(context), first, here);
    const nonce = labelNonce('PV-Msg03');
    let exchange = first;
    let plain: Bytes | undefined;
    for (const tried of exchanges) {
      plain = behaviour.openSealed({ step, key: tried.key, nonce, sealed });
      if (plain === undefined) continue;
      exchange = tried;
      break;
    }
    const claim = plain && behaviour.claimFrom(behaviour.decode(plain));
    if (claim === undefined)
      return this.malformed(failure(context, 4, TlvError.Authentication), exchange, here);
    const { own, controller, shared } = exchange;
    const { id, signature } = claim;
    const stored = behaviour.identifierAsStored(id);
    const pairing = this.device.find(stored);
    this.claimed = { id: stored };
    const facts: ReplyContext & Pick<Reply, 'known' | 'secret'> = {
      ...context,
      known: pairing !== undefined,
      secret: shared,
    };
    const info = signedInfo(controller, id, own);
    const second = behaviour.secondSession === 'refused' && this.hasSession(stored);
    const shut = pairing !== undefined && !behaviour.admitsController(pairing);
    const { pairings } = this.device;
    const ltpk = pairing?.ltpk;
    if (second || shut || !behaviour.signatureHolds({ step, ltpk, info, signature, pairings }))
      return this.refused(failure(facts, 4, TlvError.Authentication), exchange, here);
    return {
      reply: answer(facts, stateOnly(4)),
      verified: {
        requester: { id: stored, permissions: pairing?.permissions ?? 0 },
        keys: behaviour.sessionKeys(shared),
      },
    };
  }

  private malformed(reply: Reply, exchange: VerifyExchange, here: readonly VerifyExchange[]): Answer {
    const { behaviour } = this.device;
    if (behaviour.refusesMalformedVerifyM3) return this.refused(reply, exchange, here);
    const requester = { id: new Uint8Array(0) };
    return {
      reply: answer(reply, stateOnly(4)),
      verified: { requester, keys: behaviour.sessionKeys(exchange.shared) },
    };
  }

  private refused(reply: Reply, { shared }: VerifyExchange, here: readonly VerifyExchange[]): Answer {
    const { behaviour } = this.device;
    this.failed = true;
    if (behaviour.keepsVerifyAfterFailure) this.held = here;
    if (!behaviour.securesFailedVerify) return { reply };
    const requester = this.claimed ?? { id: new Uint8Array(0) };
    return { reply, verified: { requester, keys: behaviour.sessionKeys(shared) } };
  }
}
