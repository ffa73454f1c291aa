import {
  type Bytes,
  Length,
  type SessionKeys,
  TlvError,
  type TlvItem,
  TlvType,
  equal,
  isIllegalA,
  proofEquals,
  setupM4,
  utf8,
} from '../../protocol/index.js';
import { deriveKey, splitKeys } from '../crypto.js';
import type { Device, DeviceDecisions } from '../device/device.js';
import type { Pairing, Progress, Verified } from '../facts.js';
import { type Reply, type ReplyContext, answer, failure, refusal } from '../messages/reply.js';
import { single } from '../messages/request.js';
import { type SealedDecisions, sealItems } from '../messages/sealed.js';
import type { ExchangeDecisions, Incoming, SetupMode } from './exchanges.js';

/** A proof of Pair Setup M3, what it is compared with, and what else went into it. */
export interface ProofClaim {
  /** As it came. */
  readonly A: Bytes;
  /** As it was sent. */
  readonly B: Bytes;
  /** 16 bytes. */
  readonly salt: Bytes;
  /** 64 bytes, computed by us. */
  readonly expected: Bytes;
  /** As it came, of any length. */
  readonly received: Bytes;
  readonly failedAttempts: number;
  readonly mode: SetupMode;
}

/** An entry of the pairings nobody is in yet. */
export const reservedEntry: Pairing = {
  id: Uint8Array.of(0),
  ltpk: new Uint8Array(Length.ltpk),
  permissions: 0,
};

/** Answers M3 by M4: the controller's proof is compared, and ours answers it (seed 002 §2.6). */
export function answerM3(
  incoming: Incoming<M3Decisions & ExchangeDecisions & SealedDecisions & DeviceDecisions>,
): { readonly reply: Reply; readonly verified?: Verified } {
  const { device, exchanges, connection, context } = incoming;
  const { behaviour } = device;
  const twin: M3Asides = behaviour;
  const A = single(context.request, TlvType.PublicKey, ...behaviour.publicKeyLengths);
  const received = single(context.request, TlvType.Proof, 0, Infinity);
  const exchange = exchanges.take(
    'setup-m4',
    connection,
    ({ after, srp }) =>
      after === 'm2' && A !== undefined && received !== undefined && equal(srp.session(A).M1, received),
  );
  if (exchange === undefined || !behaviour.takesM3After(exchange.after)) return { reply: refusal(context) };
  if (A === undefined || received === undefined) return { reply: malformed(device, context) };

  const { mode, method } = exchange;
  const { B, verifier } = exchange.srp;
  const { failedAttempts } = device;
  const session = exchange.srp.session(A);
  const { K } = session;
  const serverProof = session.proveWith(received);
  const facts: ReplyContext & Pick<Reply, 'serverProof' | 'controllerProof' | 'secret'> = {
    ...context,
    secret: K,
    serverProof,
    controllerProof: received,
  };
  const claim = { A, B, salt: verifier.salt, expected: session.M1, received, failedAttempts, mode };
  if (behaviour.refusesPublicKey(A) || !behaviour.proofMatches(claim)) {
    exchanges.refused(connection, exchange, K);
    return { reply: wrongProof({ ...incoming, context: facts }, received) };
  }

  count(device, 0);
  if (behaviour.keepsVerifier(mode)) exchanges.kept = verifier;
  const secures = behaviour.securesBehindM4(mode);
  if (!secures || twin.keepsTransientExchange)
    exchanges.hold(connection, { ...exchange, after: 'm4', secret: K });
  device.carry({ setupSecret: K });
  if (twin.reservesEntryAtM4(mode)) device.put(reservedEntry);
  const proofs = behaviour.authentication({ method, K, former: exchanges.formerSecret });
  exchanges.formerSecret = K;
  const sealed = proofs && sealItems(behaviour, 'setup-m4', behaviour.authenticationKey(K), proofs);
  const reply = answer(facts, setupM4(serverProof, sealed));
  if (!secures) return { reply };
  const requester = { id: utf8(`transient ${connection}`), transient: true };
  return { reply, verified: { requester, keys: behaviour.transientKeys(K) } };
}

/** Only a proof of the right size is a guess: it counts, and its answer is a TLV error. */
function wrongProof(
  { device, exchanges, connection, context }: Incoming<M3Decisions & ExchangeDecisions & DeviceDecisions>,
  received: Bytes,
): Reply {
  const { behaviour } = device;
  if (received.length !== Length.proof) {
    count(device, behaviour.afterMalformedM3(device.failedAttempts));
    return refusal(context);
  }
  exchanges.failures.set(connection, (exchanges.failures.get(connection) ?? 0) + 1);
  count(device, behaviour.countsFailure(device.failedAttempts));
  return failure(context, 4, behaviour.wrongProofError(device.failedAttempts));
}

function malformed(device: Device<M3Decisions & DeviceDecisions>, context: ReplyContext): Reply {
  const { behaviour, random } = device;
  const twin: M3Asides = behaviour;
  count(device, behaviour.afterMalformedM3(device.failedAttempts));
  return twin.refusesMalformedM3 ? refusal(context) : answer(context, setupM4(random.bytes(Length.proof)));
}

/** Every change of the counter is stored. */
function count(device: Device<DeviceDecisions>, failedAttempts: number): void {
  if (device.failedAttempts !== failedAttempts) device.failedAttempts = failedAttempts;
}

export interface M3Decisions extends M3Asides {
  /** False where M3 is out of sequence. */
  takesM3After(progress: Progress): boolean;
  /** Fewest and most bytes an A may have; another one is malformed. */
  readonly publicKeyLengths: readonly [least: number, most: number];
  /** True for an A that makes S independent of the code (seed 002 §2.6 step 1). */
  refusesPublicKey(A: Bytes): boolean;
  /** The whole check of the controller's proof, its length of 64 bytes included. */
  proofMatches(claim: ProofClaim): boolean;
  /** Failed attempts after one more. */
  countsFailure(failedAttempts: number): number;
  /** Failed attempts after an M3 that was refused before its proof was looked at. */
  afterMalformedM3(failedAttempts: number): number;
  /** The TLV error of an M3 with a wrong proof, the failed attempts with it counted. */
  wrongProofError(failedAttempts: number): number;

  // Transient and split Pair Setup (seed 001; seed 002 §2.3), and MFi

  /** True to keep the verifier of this Pair Setup in memory for a split one. */
  keepsVerifier(mode: SetupMode): boolean;
  /** True to switch the connection to frames behind M4. */
  securesBehindM4(mode: SetupMode): boolean;
  /** What the coprocessor says in M4, sealed there; undefined where there is none, or it was not asked for. */
  authentication(exchange: {
    method: number;
    /** 64 bytes. */
    K: Bytes;
    /** K of the Pair Setup that came to M4 before this one. */
    former: Bytes | undefined;
  }): readonly TlvItem[] | undefined;
  /** The key M4 is sealed with, 32 bytes. */
  authenticationKey(K: Bytes): Bytes;
  /** Keys of a session that a transient M4 begins; K is 64 bytes (erratum E08). */
  transientKeys(K: Bytes): SessionKeys;
}

/** What only a faulty twin answers otherwise. */
export interface M3Asides {
  /** False to answer M4 to an M3 that lacks something or has it in the wrong size. */
  readonly refusesMalformedM3: boolean;
  /** True to make the entry of the first controller when its M4 goes out, to be filled at M5. */
  reservesEntryAtM4(mode: SetupMode): boolean;
  /** True to go on waiting for M5 behind an M4 that secured the connection. */
  readonly keepsTransientExchange: boolean;
}

export const healthyM3: M3Decisions = {
  takesM3After: (progress) => progress === 'm2',
  publicKeyLengths: [1, Length.srpPublicKey],
  refusesPublicKey: isIllegalA,
  proofMatches: ({ expected, received }) =>
    received.length === Length.proof && proofEquals(expected, received),
  countsFailure: (failedAttempts) => failedAttempts + 1,
  afterMalformedM3: (failedAttempts) => failedAttempts,
  wrongProofError: () => TlvError.Authentication,

  keepsVerifier: ({ transient, split }) => transient && split,
  securesBehindM4: ({ transient }) => transient,
  authentication: () => undefined,
  authenticationKey: (K) => deriveKey('Pair-Setup-Encrypt', K),
  transientKeys: splitKeys,

  refusesMalformedM3: true,
  reservesEntryAtM4: () => false,
  keepsTransientExchange: false,
};
