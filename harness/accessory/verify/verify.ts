import {
  type Bytes,
  Length,
  type Random,
  type SessionKeys,
  TlvError,
  type TlvMessage,
  TlvType,
  labelNonce,
  proofItems,
  signedInfo,
  stateOnly,
  verifyM2,
} from '../../protocol/index.js';
import { controlKeys, curvePublicKey, deriveKey, sharedSecret } from '../crypto.js';
import type { Device, DeviceDecisions } from '../device/device.js';
import {
  MAX_IDENTIFIER,
  type Pairing,
  type Requester,
  type Verified,
  type VerifyExchange,
} from '../facts.js';
import { type Reply, type ReplyContext, answer, failure, refusal } from '../messages/reply.js';
import { type RequestDecisions, single, stateOf } from '../messages/request.js';
import { type SealedDecisions, prove, sealItems } from '../messages/sealed.js';

/** M1s behind one another whose exchanges are remembered. */
const MAX_HELD = 4;

/** What is known on a connection when a Pair Verify M1 comes. */
export interface VerifyRequest {
  readonly paired: boolean;
  readonly message: TlvMessage;
  /** M1s this connection had answered by M2. */
  readonly answeredHere: number;
  /** M1s answered by M2 since the start. */
  readonly begun: number;
  /** An M3 on this connection was refused. */
  readonly failedHere: boolean;
  /** An M3 on this connection named a controller nobody knows. */
  readonly strangerHere: boolean;
  /** M3s refused in a row, on whatever connection, since an M3 was granted or an M1 refused. */
  readonly refusedInARow: number;
  /** A message of Pair Setup on this connection was refused. */
  readonly setupRefusedHere: boolean;
}

/** What a Pair Verify M3 says when it is opened. */
export interface VerifyClaim {
  readonly id: Bytes;
  readonly signature: Bytes;
}

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
  /** An M3 on this connection was refused. */
  failed = false;
  /** An M3 on it named a controller nobody knows. */
  private metStranger = false;
  /** A message of Pair Setup on this connection was refused. */
  setupRefused = false;
  /** Who an M3 on this connection said it was. */
  claimed: Requester | undefined;

  constructor(
    private readonly device: Device<VerifyDecisions & RequestDecisions & SealedDecisions & DeviceDecisions>,
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
    const { held } = this;
    // Every message ends the exchange as it stood: M1 starts a new one, M3 is its last.
    this.held = [];
    const after = held.length === 0 ? 'nothing' : 'm2';
    const context = { endpoint: 'pair-verify', after, request: message, random } as const;
    switch (stateOf(behaviour, { endpoint: 'pair-verify', message })) {
      case 1:
        return { reply: this.m2({ step: 'verify-m2', ...context }, message, held) };
      case 3:
        return this.m4({ step: 'verify-m4', ...context }, message, held);
      default:
        return { reply: refusal({ step: undefined, ...context }) };
    }
  }

  /** Answers M1 by M2: our ephemeral key, and sealed who we are (seed 002 §3.3). */
  private m2(context: ReplyContext, message: TlvMessage, held: readonly VerifyExchange[]): Reply {
    const { device } = this;
    const { behaviour, random } = device;
    const error = behaviour.refusesVerify({
      paired: device.pairings.length > 0,
      message,
      answeredHere: this.answered,
      begun: device.ephemeralsDrawn,
      failedHere: this.failed,
      strangerHere: this.metStranger,
      refusedInARow: device.verifiesRefused,
      setupRefusedHere: this.setupRefused,
    });
    if (error !== undefined) {
      device.verifiesRefused = 0;
      return failure(context, 2, error);
    }
    const controller = behaviour.curveKeyFrom(message);
    if (controller === undefined) return refusal(context);
    const drawn = device.ephemeralsDrawn++;
    const secret = behaviour.drawEphemeral({ random, previous: this.secret, drawn });
    this.secret = secret;
    const own = curvePublicKey(secret);
    const shared = behaviour.sharedSecret(secret, controller);
    // A key of low order makes the secret known to everybody who looks on.
    if (shared === undefined) return failure(context, 2, TlvError.Authentication);
    const step = 'verify-m2';
    const { id, signature } = prove(device, step, own, controller);
    const key = deriveKey('Pair-Verify-Encrypt', shared);
    const sealed = sealItems(behaviour, step, key, proofItems(id, signature));
    this.hold({ own, controller, shared, key }, held);
    this.answered++;
    return answer(context, verifyM2(own, sealed));
  }

  private hold(exchange: VerifyExchange, held: readonly VerifyExchange[]): void {
    const { device } = this;
    this.held = [exchange, ...held].slice(0, MAX_HELD);
    device.exchanges = [exchange, ...device.exchanges].slice(0, device.behaviour.exchangesShared);
  }

  /** Answers M3 by M4: the controller is known, and has signed this exchange. */
  private m4(context: ReplyContext, message: TlvMessage, here: readonly VerifyExchange[]): Answer {
    const { device } = this;
    const { behaviour, pairings } = device;
    const step = 'verify-m3';
    const exchanges = behaviour.exchangesForM3({ here, anywhere: device.exchanges });
    const first = exchanges[0];
    if (first === undefined) return { reply: refusal(context) };
    const sealed = single(message, TlvType.EncryptedData, 0, Infinity);
    if (sealed === undefined) return this.malformed(refusal(context), first, here);
    const { exchange, plain } = this.opened(exchanges, first, sealed);
    const claim = plain && behaviour.claimFrom(behaviour.decode(plain));
    if (claim === undefined)
      return this.malformed(failure(context, 4, TlvError.Authentication), exchange, here);

    const { own, controller, shared } = exchange;
    const { id, signature } = claim;
    const stored = behaviour.identifierAsStored(id);
    const pairing = device.find(stored);
    this.claimed = { id: stored };
    this.metStranger ||= pairing === undefined;
    const facts: ReplyContext & Pick<Reply, 'known' | 'secret'> = {
      ...context,
      known: pairing !== undefined,
      secret: shared,
    };
    const info = signedInfo(controller, id, own);
    const second = behaviour.secondSession === 'refused' && this.hasSession(stored);
    const shut = pairing !== undefined && !behaviour.admitsController(pairing);
    const ltpk = pairing?.ltpk;
    if (
      second ||
      shut ||
      !behaviour.signatureHolds({ step, ltpk, info, signature, secret: shared, pairings })
    )
      return this.refused(failure(facts, 4, TlvError.Authentication), exchange, here);
    const requester = { id: stored, permissions: pairing?.permissions ?? 0 };
    device.verifiesRefused = 0;
    return {
      reply: answer(facts, stateOnly(4)),
      verified: { requester, keys: behaviour.sessionKeys(shared) },
    };
  }

  /** M3 under the first exchange it opens under; `first` when it does not open. There is one, but for a faulty twin. */
  private opened(
    exchanges: readonly VerifyExchange[],
    first: VerifyExchange,
    sealed: Bytes,
  ): { readonly exchange: VerifyExchange; readonly plain: Bytes | undefined } {
    const nonce = labelNonce('PV-Msg03');
    for (const exchange of exchanges) {
      const { key, shared: secret } = exchange;
      const plain = this.device.behaviour.openSealed({ step: 'verify-m3', key, nonce, sealed, secret });
      if (plain !== undefined) return { exchange, plain };
    }
    return { exchange: first, plain: undefined };
  }

  /** An M3 that does not open, or lacks something. */
  private malformed(reply: Reply, exchange: VerifyExchange, here: readonly VerifyExchange[]): Answer {
    const { behaviour } = this.device;
    const twin: VerifyAsides = behaviour;
    if (twin.refusesMalformedVerifyM3) return this.refused(reply, exchange, here);
    const requester = { id: new Uint8Array(0) };
    return {
      reply: answer(reply, stateOnly(4)),
      verified: { requester, keys: behaviour.sessionKeys(exchange.shared) },
    };
  }

  private refused(reply: Reply, { shared }: VerifyExchange, here: readonly VerifyExchange[]): Answer {
    const { behaviour } = this.device;
    const twin: VerifyAsides = behaviour;
    this.failed = true;
    this.device.verifiesRefused++;
    if (twin.keepsVerifyAfterFailure) this.held = here;
    if (!twin.securesFailedVerify) return { reply };
    const requester = this.claimed ?? { id: new Uint8Array(0) };
    return { reply, verified: { requester, keys: behaviour.sessionKeys(shared) } };
  }
}

function claimFrom(sub: TlvMessage): VerifyClaim | undefined {
  const id = single(sub, TlvType.Identifier, 1, MAX_IDENTIFIER);
  const signature = single(sub, TlvType.Signature, Length.signature);
  return sub.defect !== undefined || id === undefined || signature === undefined
    ? undefined
    : { id, signature };
}

export interface VerifyDecisions extends VerifyAsides {
  /** The TLV error an M1 is refused with, or undefined to go on. */
  refusesVerify(request: VerifyRequest): number | undefined;
  /** The controller's ephemeral key in M1, 32 bytes, or undefined when it is missing or of another length. */
  curveKeyFrom(m1: TlvMessage): Bytes | undefined;
  /**
   * The X25519 secret of one exchange, 32 bytes (seed 002 §3.3 step 1). `previous` is the one drawn before on this
   * connection, `drawn` how many were drawn since the accessory was started.
   */
  drawEphemeral(draw: { random: Random; previous: Bytes | undefined; drawn: number }): Bytes;
  /** X25519; undefined for a key of low order. */
  sharedSecret(secret: Bytes, publicKey: Bytes): Bytes | undefined;
  /**
   * The exchanges an M3 may belong to, in the order they are tried: of those that began on its connection, and of the
   * shared ones. Both lists begin with the newest. None: M3 is out of sequence.
   */
  exchangesForM3(held: {
    here: readonly VerifyExchange[];
    anywhere: readonly VerifyExchange[];
  }): readonly VerifyExchange[];
  /** Identifier (1 to 64 bytes) and Signature (64) of an opened M3, or undefined when it is malformed. */
  claimFrom(sub: TlvMessage): VerifyClaim | undefined;
  /** False to refuse Pair Verify to a controller that is known and has signed rightly. */
  admitsController(pairing: Pairing): boolean;
  /**
   * What a second session of one controller means: both are served, the older one ends, or the new one is refused. The
   * sources leave the first two open.
   */
  readonly secondSession: 'both' | 'ends-older' | 'refused';
  /** Keys of the session that begins behind M4 (seed 002 §4). */
  sessionKeys(shared: Bytes): SessionKeys;
}

/** What only a faulty twin answers otherwise. */
export interface VerifyAsides {
  /** How many exchanges are remembered beyond the connection they began on. */
  readonly exchangesShared: number;
  /** True to leave the exchange as it stood behind a refused M3, so that the controller may try again. */
  readonly keepsVerifyAfterFailure: boolean;
  /** True to end the exchange when another request comes between M2 and M3. */
  readonly endsVerifyOnOtherRequest: boolean;
  /** False to answer M4 to an M3 that does not open, or lacks something, or has it in the wrong size. */
  readonly refusesMalformedVerifyM3: boolean;
  /** True to switch to frames behind an M4 that refuses. */
  readonly securesFailedVerify: boolean;
}

export const healthyVerify: VerifyDecisions = {
  refusesVerify: () => undefined,
  curveKeyFrom: (m1) => single(m1, TlvType.PublicKey, Length.curveKey),
  drawEphemeral: ({ random }) => random.bytes(Length.curveKey),
  sharedSecret,
  exchangesForM3: ({ here }) => here.slice(0, 1),
  claimFrom,
  admitsController: () => true,
  secondSession: 'both',
  sessionKeys: controlKeys,

  exchangesShared: 0,
  keepsVerifyAfterFailure: false,
  endsVerifyOnOtherRequest: false,
  refusesMalformedVerifyM3: true,
  securesFailedVerify: false,
};
