import {
  type Bytes,
  FeatureFlag,
  type Identity,
  Length,
  MAX_PAIRINGS,
  MAX_TRIES,
  Method,
  PairingFlag,
  Permission,
  type Random,
  type SessionKeys,
  type SetupCode,
  type SrpConvention,
  TlvError,
  type TlvItem,
  type TlvMessage,
  TlvType,
  counterNonce,
  decodeTlv,
  encodeTlv,
  equal,
  isIllegalA,
  isSmallOrder,
  proofEquals,
  signedInfo,
  srpConventions,
  toInteger,
} from '../protocol/index.js';
import {
  controlKeys,
  deriveKey,
  open,
  sealFrame,
  setupHash,
  sharedSecret,
  splitKeys,
  verifySignature,
} from './crypto.js';
import { type HttpMessage, encodeMessage } from '../wire/index.js';
import { single } from './messages/reply.js';

/** Thrown by a faulty decision: the request stops the whole accessory until it is restarted. */
export class Halt extends Error {
  override name = 'Halt';
}

/** Setup id and category (a lightbulb) of the reference accessory. */
export const SETUP_ID = 'HSPC';
export const CATEGORY = 5;

/** Longest controller identifier taken; the protocol's own are 36 bytes. */
export const MAX_IDENTIFIER = 64;

/** The three resources that speak TLV8. */
export type Endpoint = 'pair-setup' | 'pair-verify' | 'pairings';

/** One message of the protocol; odd numbers come from the controller, even ones are ours. */
export type Step =
  | `setup-m${1 | 2 | 3 | 4 | 5 | 6}`
  | `verify-m${1 | 2 | 3 | 4}`
  | 'pairings-add'
  | 'pairings-remove'
  | 'pairings-list';

/** A controller the accessory knows (seed 002 §6.2). */
export interface Pairing {
  /** 1 to 64 bytes, compared byte for byte. */
  readonly id: Bytes;
  /** 32 bytes. */
  readonly ltpk: Bytes;
  /** Bit 0: admin. */
  readonly permissions: number;
}

/** Who a request is served for; the id may be of a pairing that is gone by now. */
export interface Requester {
  readonly id: Bytes;
  /** As they were when the session began. */
  readonly permissions?: number;
  /** Nobody the accessory knows: a transient Pair Setup proved the code and nothing else. The id is a name for the session. */
  readonly transient?: boolean;
}

/** A TLV8 request as the decisions about it see it. */
export interface PairingRequest {
  readonly endpoint: Endpoint;
  readonly message: TlvMessage;
  /** Where Pair Setup stands on this connection. */
  readonly setup?: Progress;
  /** The controller of the session, on `/pairings`. */
  readonly requester?: Requester;
}

/** An open session when the pairings have changed. */
export interface SessionFacts {
  readonly requester: Requester;
  /** As they are now. */
  readonly pairings: readonly Pairing[];
  /** There were more before. */
  readonly removal: boolean;
}

/** Who a controller says it is in M5. */
export interface Introduction {
  readonly id: Bytes;
  readonly ltpk: Bytes;
  readonly signature: Bytes;
}

/** What Pair Setup knows when an M1 asks to begin. */
export interface SetupRequest {
  readonly paired: boolean;
  readonly failedAttempts: number;
  /** Another connection holds Pair Setup, and a second one has to wait. */
  readonly busy: boolean;
  /** Another connection held Pair Setup, and has been silent for too long. */
  readonly abandoned: boolean;
  /** Where an exchange on this connection stands. */
  readonly after: Progress;
  /** Wrong proofs that came over this connection. */
  readonly failedHere: number;
  /** An M5 that came over this connection was refused. */
  readonly refusedM5Here: boolean;
  /** M1s answered by M2 since the start. */
  readonly begun: number;
  /** The M1. */
  readonly message: TlvMessage;
  /** It came through a verified session. */
  readonly secured: boolean;
}

/** What the Flags of an M1 ask for (seed 002 §2.3). */
export interface SetupMode {
  /** Pair Setup ends with M4, and frames begin behind it. */
  readonly transient: boolean;
  /** With `transient`: the verifier is kept for the next Pair Setup; alone: that one is used. */
  readonly split: boolean;
}

/** A message of ours that carries EncryptedData. */
export type SealingStep = 'setup-m4' | 'setup-m6' | 'verify-m2';

/** Where an exchange stands: the last message we sent in it. */
export type Progress = 'nothing' | 'm2' | 'm4';

/** How a connection ended that was in the middle of Pair Setup. */
export interface ConnectionEnd {
  readonly after: Progress;
  /** A request had begun and not ended. */
  readonly partial: boolean;
  /** RST instead of FIN. */
  readonly reset: boolean;
}

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

/** A signature in Pair Setup M5 or Pair Verify M3 and what it is checked with. */
export interface SignatureClaim {
  readonly step: 'setup-m5' | 'verify-m3';
  /** 32 bytes; undefined when no pairing has the identifier given (Pair Verify only). */
  readonly ltpk: Bytes | undefined;
  readonly info: Bytes;
  readonly signature: Bytes;
  readonly pairings: readonly Pairing[];
}

/** A Pair Verify whose M2 went out and whose M3 is due; 32 bytes each. */
export interface VerifyExchange {
  /** Our ephemeral public key. */
  readonly own: Bytes;
  /** The controller's ephemeral public key. */
  readonly controller: Bytes;
  /** The X25519 secret. */
  readonly shared: Bytes;
  /** Opens M3. */
  readonly key: Bytes;
}

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
  /** A message of Pair Setup on this connection was refused. */
  readonly setupRefusedHere: boolean;
}

/** What a Pair Verify M3 says when it is opened. */
export interface VerifyClaim {
  readonly id: Bytes;
  readonly signature: Bytes;
}

/** EncryptedData of a pairing message. */
export interface SealedData {
  readonly step: 'setup-m5' | 'verify-m3';
  /** 32 bytes. */
  readonly key: Bytes;
  /** 12 bytes. */
  readonly nonce: Bytes;
  readonly sealed: Bytes;
}

/** What the accessory signs: three parts, one after the other. */
export interface SignedParts {
  readonly step: 'setup-m6' | 'verify-m2';
  /** AccessoryX, or the accessory's ephemeral key; 32 bytes. */
  readonly first: Bytes;
  readonly id: Bytes;
  /** LTPK, or the controller's ephemeral key; 32 bytes. */
  readonly last: Bytes;
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

/** A connection that a peer has opened. */
export interface Arrival {
  /** Connections since the accessory was started, this one included. */
  readonly opened: number;
  /** Pair Setups that came to M6 since the accessory was started. */
  readonly setupsDone: number;
  /** Connections open now, this one not included. */
  readonly open: number;
  /** Most connections that were ever open at once, this one not included. */
  readonly peak: number;
  /** Secured connections that have ended, by how they did. */
  readonly ended: {
    readonly fin: number;
    readonly reset: number;
    /** Those of both that ended with a frame half received. */
    readonly midFrame: number;
  };
}

/** A request that may need a verified session. */
export interface AccessRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** The controller whose Pair Verify secured this connection. */
  readonly verified: Requester | undefined;
  /** A transient Pair Setup secured it. */
  readonly transient: boolean;
  /** A Pair Verify M1 was answered on this connection. */
  readonly sawVerifyM1: boolean;
  /** Who a Pair Verify M3 on this connection said it was, right or wrong. */
  readonly claimed: Requester | undefined;
  /** The controller whose Pair Verify was the last to succeed, on any connection. */
  readonly lastVerified: Requester | undefined;
  readonly pairings: readonly Pairing[];
}

/** A session as another connection might look at it. */
export interface KnownSession {
  readonly requester: Requester;
  readonly keys: SessionKeys;
  /** The counter its next frame must carry. */
  readonly counter: bigint;
}

/** One frame of a secured session as it came. */
export interface SealedFrame {
  readonly keys: SessionKeys;
  readonly counter: bigint;
  /** The two length bytes. */
  readonly header: Bytes;
  /** Ciphertext and tag. */
  readonly sealed: Bytes;
  /** Keys and next counter of the session before Pair Verify was run inside it. */
  readonly former?: { readonly keys: SessionKeys; readonly counter: bigint } | undefined;
  /** The other sessions that are open. */
  readonly others: readonly KnownSession[];
  /** Those of them that the same controller began later. */
  readonly successors: readonly KnownSession[];
}

/** The place of one frame, by which its counter is told. */
export interface FramePlace {
  readonly direction: 'in' | 'out';
  /** Frames before it in this direction. */
  readonly count: bigint;
  /** Frames so far in the other direction. */
  readonly other: bigint;
  /** Outwards: frames before it in the same message. */
  readonly inMessage: number;
  /** Outwards: it belongs to an event, and how many frames of `count` did. */
  readonly event: boolean;
  readonly eventCount: bigint;
  /** Outwards: frames sent in all sessions. */
  readonly everywhere: bigint;
}

/** Bytes of one TCP segment on a secured connection. */
export interface Segment {
  /** The frame in progress as far as it has come. */
  readonly pending: Bytes;
  readonly bytes: Bytes;
  /** Milliseconds since the segment before. */
  readonly idle: number;
}

/** The plaintext of one frame that opened. */
export interface FramePlaintext {
  /** The request in progress as far as it has come. */
  readonly pending: Bytes;
  /** Its headers are there, its body is not. */
  readonly inBody: boolean;
  readonly plaintext: Bytes;
}

/** A message about to leave on a secured connection. */
export interface Leaving {
  readonly kind: 'response' | 'event';
  /** HTTP status; 200 for an event. */
  readonly status: number;
  /** The request was no HTTP. */
  readonly unreadable: boolean;
}

/** A connection that may be told of a change. */
export interface Listener {
  readonly cause: 'write' | 'subscription';
  readonly secured: boolean;
  /** It subscribed to the characteristic. */
  readonly subscribed: boolean;
  /** It did so at some time and took it back. */
  readonly unsubscribed: boolean;
  /** Its controller did so on a connection that has ended. */
  readonly subscribedBefore: boolean;
  /** The request came over it. */
  readonly isWriter: boolean;
}

/**
 * When an event leaves: at once behind what has been sent; inside the next response of several frames; behind the
 * next response with a counter drawn before it; behind the next event.
 */
export type EventPlacement = 'at-once' | 'inside-response' | 'sealed-when-queued' | 'behind-the-next';

/** What the accessory knows when it says who it is on the network. */
export interface AnnouncedFacts {
  /** The accessory's own identifier and LTPK (32 bytes). */
  readonly id: string;
  readonly ltpk: Bytes;
  readonly pairings: readonly Pairing[];
  readonly failedAttempts: number;
  /** Since the accessory was started: changes of the pairings, and whether there was one at any time. */
  readonly changes: number;
  readonly everPaired: boolean;
  /** 6 bytes drawn at the start. */
  readonly boot: Bytes;
  /** Where it listens. */
  readonly addresses: readonly string[];
  readonly port: number;
}

/** What is announced: addresses and port, and the TXT record in order. */
export interface Announcement {
  readonly addresses: readonly string[];
  readonly port: number;
  readonly txt: readonly (readonly [key: string, value: string])[];
}

/** Start line, headers in order, and body of a message to write. */
export interface Message {
  readonly startLine: string;
  readonly headers: readonly (readonly [string, string])[];
  /** undefined where there is neither body nor Content-Length. */
  readonly body: Bytes | undefined;
}

export interface OpenedFrame {
  readonly plaintext: Bytes;
  /** The counter the frame after this one must carry. */
  readonly next: bigint;
}

/** A request that has come whole, before it is looked at. */
export interface ArrivedRequest {
  readonly message: HttpMessage;
  readonly secured: boolean;
  /** The controller of the session is no longer paired. */
  readonly departed: boolean;
  /** Other connections that are open, and those of them on which a request has begun and not ended. */
  readonly others: number;
  readonly halfOpen: number;
}

/** Bytes of one TCP segment on a plain connection. */
export interface PlainSegment {
  /** The headers or the body in progress as far as they have come. */
  readonly pending: Bytes;
  /** The headers are there, the body is not. */
  readonly inBody: boolean;
  readonly bytes: Bytes;
}

/** What may give an accessory another identity. */
export type Occasion = 'restart' | 'last-removal' | 'factory-reset';

/** What an accessory holds in memory and a faulty twin writes to its store. */
export interface Carried {
  /** K of a Pair Setup that has come to M4. */
  readonly setupSecret?: Bytes;
  readonly session?: KnownSession;
}

/** What becomes of a connection that sent a frame that does not open. */
export type BadFrameAction =
  | 'close'
  | 'ignore'
  | 'answer-in-plaintext'
  | 'close-every-session'
  | 'close-sessions-of-the-controller'
  /** What the bare cipher makes of it is carried out before the tag is looked at. */
  | 'serve-and-close';

/** A response that has been sent. */
export interface SentResponse {
  readonly step: Step | undefined;
  readonly secured: boolean;
  /** HTTP 4xx or 5xx, or a TLV error. */
  readonly refused: boolean;
  /** The request carried `Connection: close`. */
  readonly closeRequested: boolean;
}

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

/**
 * Every decision the accessory takes, one member each. A faulty twin is `{ ...healthy, ...change(healthy) }`.
 * Members are pure: what they return depends on their arguments alone.
 */
export interface Behaviour {
  // Reading requests

  /** The body of a pairing request, or of a sub-TLV that opened, as items. */
  decode(body: Bytes): TlvMessage;
  /** True when the body must be refused with 400 before anything in it counts. */
  isMalformed(request: PairingRequest): boolean;
  /** The State of a request, or undefined when it is to be refused: exactly one item of one byte. */
  stateOf(request: PairingRequest): number | undefined;

  // Pair Setup (seed 002 §2)

  /** The TLV error an M1 is refused with, or undefined to go on (seed 002 §2.4). */
  refusesSetup(request: SetupRequest): number | undefined;
  /**
   * Values of Method that begin Pair Setup. Without an authentication coprocessor PairSetupWithAuth is refused: to run it
   * as plain Pair Setup would be a silent downgrade.
   */
  readonly setupMethods: readonly number[];
  /** Milliseconds of silence after which a connection no longer holds Pair Setup. */
  readonly setupPatience: number;
  /**
   * A second connection that asks for Pair Setup is told Busy, takes it over, or runs beside the first. The seeds
   * leave it open (seed 002 §2.4); two controllers may never both succeed.
   */
  readonly setupContention: 'busy' | 'take-over' | 'parallel';
  /** False to go on holding Pair Setup for a connection that has ended. */
  freesSetupOnClose(end: ConnectionEnd): boolean;
  /** False to go on holding Pair Setup behind M6. */
  readonly endsSetupWithM6: boolean;
  /** False to keep the exchange of the M1 before, though a second M1 on the connection was answered. */
  readonly secondM1Replaces: boolean;
  /** True to end the exchange of the first connection when a second one is told Busy. */
  readonly foreignM1Disturbs: boolean;
  /** Which of the connections with an exchange an M3 or M5 on `connection` belongs to. */
  exchangeFor(connection: number, held: readonly number[]): number | undefined;
  /** True to serve an M3 or M5 that fits an exchange which is over, where the current one does not take it. */
  servesOlder(older: { readonly step: 'setup-m4' | 'setup-m6'; readonly sameConnection: boolean }): boolean;
  /** False where M3 is out of sequence. */
  takesM3After(progress: Progress): boolean;
  /** True to leave the exchange as it stood, so that the controller may try again; otherwise a new M1 is due. */
  keepsExchangeAfter(event: 'refused-m1' | 'wrong-proof' | 'failed-m5'): boolean;
  /**
   * The TLV error an M5 is refused with when somebody else has paired since its M1, or undefined to store it too.
   * `known`: there is a pairing of its identifier.
   */
  refusesLateM5(late: { readonly known: boolean }): number | undefined;
  /** The SRP password of one exchange, dashes included (erratum E22). */
  password(code: SetupCode, failedAttempts: number, mode: SetupMode): string;
  readonly convention: SrpConvention;
  /** The salt of one exchange, 16 bytes (seed 002 §2.4). `refused`: that of the last M3 refused on the connection. */
  drawSalt(random: Random, refused: Bytes | undefined): Bytes;
  /** The secret b of one exchange, 32 bytes (seed 002 §2.4 step 3). `refused`: as with the salt. */
  drawExponent(random: Random, refused: Bytes | undefined): Bytes;
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
  /** False to answer M4 to an M3 that lacks something or has it in the wrong size. */
  readonly refusesMalformedM3: boolean;
  /** False to answer M6 to an M5 that lacks something or has it in the wrong size. */
  readonly refusesMalformedM5: boolean;
  /** False to answer M6 although M5 did not open. */
  refusesUnopenedM5(exchange: { after: Progress }): boolean;
  /** False to answer M6 and keep nothing. */
  storesController(introduced: { readonly known: boolean }): boolean;
  /** True to store the controller of M5 before its signature is checked. */
  readonly storesBeforeCheck: boolean;
  /** True to make the entry of the first controller when its M4 goes out, to be filled at M5. */
  reservesEntryAtM4(mode: SetupMode): boolean;
  /** True for an LTPK under which anybody's signature holds: refused in M5 and Add. */
  isWeakKey(ltpk: Bytes): boolean;
  /** Permissions of the controller that ran Pair Setup (seed 002 §6.1). */
  readonly firstPermissions: number;

  // Transient and split Pair Setup (seed 001; seed 002 §2.3)

  /** What an M1 asks for; Flags of 0 to 4 bytes, little-endian, and none together with PairSetupWithAuth. */
  setupMode(m1: { method: number; flags: Bytes | undefined }): SetupMode;
  /** The Flags of M2, or undefined for none (erratum E09). */
  echoedFlags(mode: SetupMode): number | undefined;
  /** True to keep the verifier of this Pair Setup in memory for a split one. */
  keepsVerifier(mode: SetupMode): boolean;
  /** True to use the verifier that was kept, where there is one. */
  reusesVerifier(mode: SetupMode): boolean;
  /** What a split Pair Setup meets when no verifier was kept: a TLV error, or undefined to make a new one. */
  refusesSplit(mode: SetupMode): number | undefined;
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
  /** True to go on waiting for M5 behind an M4 that secured the connection. */
  readonly keepsTransientExchange: boolean;
  /** True to seal a transient M4 with the keys it only announces. */
  readonly sealsTransientM4: boolean;
  /** Keys of a session that a transient M4 begins; K is 64 bytes (erratum E08). */
  transientKeys(K: Bytes): SessionKeys;
  /** The HTTP status a request inside a transient session is refused with, or undefined to serve it as any other. */
  transientStatus(request: { method: string; path: string }): number | undefined;

  // Pair Verify (seed 002 §3)

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
  /** How many exchanges are remembered beyond the connection they began on. */
  readonly exchangesShared: number;
  /**
   * The exchanges an M3 may belong to, in the order they are tried: of those that began on its connection, and of the
   * shared ones. Both lists begin with the newest. None: M3 is out of sequence.
   */
  exchangesForM3(held: {
    here: readonly VerifyExchange[];
    anywhere: readonly VerifyExchange[];
  }): readonly VerifyExchange[];
  /** True to leave the exchange as it stood behind a refused M3, so that the controller may try again. */
  readonly keepsVerifyAfterFailure: boolean;
  /** True to end the exchange when another request comes between M2 and M3. */
  readonly endsVerifyOnOtherRequest: boolean;
  /** Identifier (1 to 64 bytes) and Signature (64) of an opened M3, or undefined when it is malformed. */
  claimFrom(sub: TlvMessage): VerifyClaim | undefined;
  /** False to answer M4 to an M3 that does not open, or lacks something, or has it in the wrong size. */
  readonly refusesMalformedVerifyM3: boolean;
  /**
   * What a second session of one controller means: both are served, the older one ends, or the new one is refused. The
   * sources leave the first two open.
   */
  readonly secondSession: 'both' | 'ends-older' | 'refused';
  /** True to switch to frames behind an M4 that refuses. */
  readonly securesFailedVerify: boolean;
  /** Pair Verify inside a verified session is refused, begins anew in plaintext, or changes the keys of the session. */
  readonly verifyInSession: 'refused' | 'in-plaintext' | 're-keys';
  /** The keys of a session behind a Pair Verify that was run inside it. */
  rekeyed(keys: { former: SessionKeys; fresh: SessionKeys }): SessionKeys;
  /** What becomes of bytes that came in one segment behind M3. */
  readonly behindM3: 'frames' | 'dropped' | 'answered-in-plaintext';
  /** Keys of the session that begins behind M4 (seed 002 §4). */
  sessionKeys(shared: Bytes): SessionKeys;
  /** True to seal Pair Verify M4 with the keys it only announces; `inSession` when it is sealed anyhow. */
  sealsVerifyM4(place: { inSession: boolean }): boolean;

  // Identities and signatures

  /** The form in which a controller's identifier is stored, compared and listed. */
  identifierAsStored(id: Bytes): Bytes;
  /** The accessory's own identifier as it goes into a message and its signature. */
  ownIdentifier(step: SignedParts['step'], id: Bytes): Bytes;
  /** The seed the accessory signs with, 32 bytes. */
  signingKey(step: SignedParts['step'], ltsk: Bytes, random: Random): Bytes;
  /** What the accessory signs (seed 002 §2.8, §3.3). */
  signedInfo(parts: SignedParts): Bytes;
  signatureHolds(claim: SignatureClaim): boolean;
  /** False to refuse Pair Verify to a controller that is known and has signed rightly. */
  admitsController(pairing: Pairing): boolean;

  // Sealed sub-TLVs

  /** The eight characters of the nonce our EncryptedData is sealed with (seed 002 §5). */
  nonceLabel(step: SealingStep): string;
  /** EncryptedData opened, or undefined when its tag does not match. */
  openSealed(data: SealedData): Bytes | undefined;
  /** The items of M6 or Pair Verify M2 before they are sealed. */
  beforeSealing(step: SealingStep, items: readonly TlvItem[]): readonly TlvItem[];

  // Pairings (seed 002 §7)

  /** The pairing an identifier stands for, compared byte for byte. `own` is the accessory itself. */
  lookUp(
    id: Bytes,
    known: {
      pairings: readonly Pairing[];
      own: Identity;
      /** Those that a factory reset has removed since the start. */
      former: readonly Pairing[];
    },
  ): Pairing | undefined;
  /** The pairings as they come back from the store at a start. */
  restored(pairings: readonly Pairing[]): readonly Pairing[];
  /** The identity from now on. A factory reset renews it (seed 000); whether the last removal does is left open (erratum E13). */
  identityAfter(occasion: Occasion, own: Identity, draw: () => Identity): Identity;
  /** True to write what should end with the power to the store, and to go on with it. */
  readonly carriesOver: boolean;

  /** Bit 0 of the stored permissions, looked up at the time of the request. */
  isAdmin(pairing: Pairing | undefined, requester: Requester, step?: Step): boolean;
  /** Identifier (1 to 64 bytes), LTPK (32) and Permissions (0 or 1) of an Add, or undefined when it is malformed. */
  additionFrom(message: TlvMessage): Pairing | undefined;
  /** Identifier of a Remove, or undefined when it is malformed. */
  removalFrom(message: TlvMessage, pairings: readonly Pairing[]): Bytes | undefined;
  /** What an Add for a known identifier and LTPK leaves in the list. */
  updated(existing: Pairing, wanted: Pairing): Pairing;
  /** The TLV error an Add is refused with, or undefined to go on. */
  refusesAdd(request: AddRequest): number | undefined;
  /** False to report success and keep the pairing. */
  removes(request: RemoveRequest): boolean;
  /** True when no pairing may stay because no admin is left (seed 002 §7.2). */
  dropsEverything(pairings: readonly Pairing[], departed?: Pairing): boolean;
  /** True to end this session when the pairings have changed to these. */
  endsSession(session: SessionFacts): boolean;

  // Replies

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

  /** What a path stands for, by the names HAP gives to resources; anything else is not found. */
  route(path: string): string;
  /** The only Method a path of pairings takes, or undefined for all. */
  pairingsMethod(path: string): number | undefined;
  /** What a session may read of the accessory where there is no attribute database. */
  information(facts: { readonly id: string; readonly ltpk: Bytes }): string;
  /** The version in the status line that answers a request of this version. */
  responseVersion(request: string): string;
  /** Headers that answer those of a request. */
  answeringHeaders(request: HttpMessage): readonly (readonly [string, string])[];
  /** Media type of a pairing reply. */
  contentType(step: Step | undefined): string;
  /** False when this request stops the whole accessory: no answer to anyone until it is restarted. */
  survives(request: PairingRequest): boolean;

  // HTTP and the secured session (seed 001)

  /** False to reset the connection at its first byte: there is nobody to serve it. */
  takesConnection(arrival: Arrival): boolean;
  /** What a connection is sent before it has asked for anything. */
  readonly greeting: Bytes | undefined;
  /** False when these bytes, as they come in one segment, stop the whole accessory. */
  survivesSegment(segment: { bytes: Bytes; secured: boolean }): boolean;
  /** What a segment of a plain connection is read as; undefined ends the connection. */
  readPlain(segment: PlainSegment): Bytes | undefined;
  /** What becomes of a request that has come whole; a number is the HTTP status it is refused with. */
  admits(request: ArrivedRequest): 'serve' | 'silence' | 'close' | number;
  /** Headers beyond those every response has. */
  extraHeaders(code: SetupCode): readonly (readonly [string, string])[];
  /** The serial number in the attribute database. */
  serialNumber(code: SetupCode): string;

  /** Who the request is served for; undefined refuses it. */
  servesAs(request: AccessRequest): Requester | undefined;
  /** The HTTP status of a request that is served for nobody: 470, or what web frameworks have for it. */
  readonly unauthorisedStatus: number;
  closesAfter(response: SentResponse): boolean;
  /** The counter that goes into the nonce of a frame. */
  frameCounter(place: FramePlace): bigint;
  /** The pieces of a message that become one frame each. */
  cutFrames(message: Bytes): readonly Bytes[];
  /** One frame as it goes out: 2 length bytes, ciphertext, 16-byte tag. */
  sealFrame(frame: { keys: SessionKeys; counter: bigint; plaintext: Bytes }): Bytes;
  /** False to end the connection at a frame whose length bytes say so. */
  takesFrame(length: number): boolean;
  openFrame(frame: SealedFrame): OpenedFrame | undefined;
  onBadFrame(): BadFrameAction;
  /** What a segment is read as, and whether the frame in progress is forgotten; undefined ends the connection. */
  readSegment(segment: Segment): { readonly bytes: Bytes; readonly forget?: boolean } | undefined;
  /**
   * What is read behind the request in progress, whether that is forgotten, and whether the request must wait for the
   * next frame even if it is complete.
   */
  readPlaintext(frame: FramePlaintext): {
    readonly bytes: Bytes;
    readonly forget?: boolean;
    readonly wait?: boolean;
  };
  /** What becomes of a request that has come right behind another one. */
  readonly pipelined: 'served' | 'dropped' | 'stops-it';
  /** True to leave a connection unread: so many others are in the middle of a frame. */
  waitsForFrames(unfinished: number): boolean;
  /** The session among those known (the last of them may have ended) that bytes on a plain connection belong to. */
  adopts(bytes: Bytes, known: readonly KnownSession[]): KnownSession | undefined;
  /** False to send a message as plaintext on a secured connection. */
  sealsMessage(message: Leaving): boolean;
  /** What becomes of a secured connection that speaks again after so many milliseconds. */
  afterIdle(milliseconds: number): 'serve' | 'close' | 'timeout-in-plaintext' | 'forget-keys';
  /** False when a secured connection that ends by RST stops the whole accessory. */
  readonly survivesReset: boolean;
  /** True to end the other sessions of a controller with each that ends. */
  readonly endsSiblings: boolean;
  /** The bytes of a message before they are sealed. */
  write(message: Message): Bytes;

  // Events

  /** True to send an event to this connection. */
  notifies(listener: Listener): boolean;
  readonly eventPlacement: EventPlacement;
  readonly eventStartLine: string;
  /** True to read these bytes on a secured connection as a plaintext request. */
  takesAsPlaintext(bytes: Bytes): boolean;

  // Discovery

  /** The announcement as it is due now: asked for with every question and after every change. */
  announces(facts: AnnouncedFacts): Announcement;
  /** False to say nothing on the network, asked or not. */
  isAnnounced(facts: AnnouncedFacts): boolean;
  /** Milliseconds from a change of the pairings to its announcement. */
  readonly announceDelay: number;
}

function isAdmin(pairing: Pairing): boolean {
  return (pairing.permissions & Permission.Admin) !== 0;
}

/** Transient and Split as the number that says so in Flags. */
export function flagsOf({ transient, split }: SetupMode): number {
  return (transient ? PairingFlag.Transient : 0) + (split ? PairingFlag.Split : 0);
}

function introduction(sub: TlvMessage): Introduction | undefined {
  const id = single(sub, TlvType.Identifier, 1, MAX_IDENTIFIER);
  const ltpk = single(sub, TlvType.PublicKey, Length.ltpk);
  const signature = single(sub, TlvType.Signature, Length.signature);
  if (sub.defect !== undefined || id === undefined || ltpk === undefined || signature === undefined)
    return undefined;
  return { id, ltpk, signature };
}

function claimFrom(sub: TlvMessage): VerifyClaim | undefined {
  const id = single(sub, TlvType.Identifier, 1, MAX_IDENTIFIER);
  const signature = single(sub, TlvType.Signature, Length.signature);
  return sub.defect !== undefined || id === undefined || signature === undefined
    ? undefined
    : { id, signature };
}

/** Bytes in pieces of `size`, the last one shorter. */
export function pieces(bytes: Bytes, size: number): readonly Bytes[] {
  const out: Bytes[] = [];
  for (let at = 0; at < bytes.length; at += size) out.push(bytes.subarray(at, at + size));
  return out;
}

const hapPaths: ReadonlySet<string> = new Set([
  '/identify',
  '/pair-setup',
  '/pair-verify',
  '/pairings',
  '/accessories',
  '/characteristics',
  '/prepare',
  '/resource',
]);

/** The accessory as the protocol wants it. */
export const healthy: Behaviour = {
  decode: decodeTlv,
  isMalformed: ({ message }) => message.defect !== undefined,
  contentType: () => 'application/pairing+tlv8',
  survives: () => true,
  stateOf: ({ message }) => (message.all(TlvType.State).length === 1 ? message.state : undefined),

  refusesSetup({ paired, failedAttempts, busy }) {
    if (paired) return TlvError.Unavailable;
    if (failedAttempts >= MAX_TRIES) return TlvError.MaxTries;
    return busy ? TlvError.Busy : undefined;
  },
  setupMethods: [Method.PairSetup],
  // Three times what a board takes for M4; other accessories wait for half a minute (PS-STATE-11).
  setupPatience: 6_000,
  setupContention: 'busy',
  freesSetupOnClose: () => true,
  endsSetupWithM6: true,
  secondM1Replaces: true,
  foreignM1Disturbs: false,
  exchangeFor: (connection, held) => (held.includes(connection) ? connection : undefined),
  servesOlder: () => false,
  takesM3After: (progress) => progress === 'm2',
  keepsExchangeAfter: () => false,
  refusesLateM5: () => TlvError.Unavailable,
  password: (code) => code.dashed,
  convention: srpConventions.adk,
  drawSalt: (random) => random.bytes(Length.salt),
  drawExponent: (random) => random.bytes(32),
  publicKeyLengths: [1, Length.srpPublicKey],
  refusesPublicKey: isIllegalA,
  proofMatches: ({ expected, received }) =>
    received.length === Length.proof && proofEquals(expected, received),
  countsFailure: (failedAttempts) => failedAttempts + 1,
  afterMalformedM3: (failedAttempts) => failedAttempts,
  wrongProofError: () => TlvError.Authentication,
  controllerFrom: introduction,
  refusesMalformedM3: true,
  refusesMalformedM5: true,
  secretForM5: ({ after, secret }) => (after === 'm4' ? secret : undefined),
  refusesUnopenedM5: () => true,
  storesController: () => true,
  storesBeforeCheck: false,
  reservesEntryAtM4: () => false,
  isWeakKey: isSmallOrder,
  firstPermissions: Permission.Admin,

  setupMode({ method, flags = new Uint8Array(0) }) {
    const asked = method === Method.PairSetupWithAuth ? 0n : toInteger(flags.toReversed());
    const has = (flag: number): boolean => (asked & BigInt(flag)) !== 0n;
    return { transient: has(PairingFlag.Transient), split: has(PairingFlag.Split) };
  },
  echoedFlags: (mode) => (mode.split ? flagsOf(mode) : undefined),
  keepsVerifier: ({ transient, split }) => transient && split,
  reusesVerifier: ({ transient, split }) => split && !transient,
  // The code does not change between two setups, so a new verifier opens to it as well.
  refusesSplit: () => undefined,
  securesBehindM4: ({ transient }) => transient,
  authentication: () => undefined,
  authenticationKey: (K) => deriveKey('Pair-Setup-Encrypt', K),
  keepsTransientExchange: false,
  sealsTransientM4: false,
  transientKeys: splitKeys,
  transientStatus: () => 400,

  refusesVerify: () => undefined,
  curveKeyFrom: (m1) => single(m1, TlvType.PublicKey, Length.curveKey),
  drawEphemeral: ({ random }) => random.bytes(Length.curveKey),
  sharedSecret,
  exchangesShared: 0,
  exchangesForM3: ({ here }) => here.slice(0, 1),
  keepsVerifyAfterFailure: false,
  endsVerifyOnOtherRequest: false,
  claimFrom,
  refusesMalformedVerifyM3: true,
  secondSession: 'both',
  securesFailedVerify: false,
  verifyInSession: 'refused',
  rekeyed: ({ fresh }) => fresh,
  behindM3: 'frames',
  sessionKeys: controlKeys,
  sealsVerifyM4: () => false,

  identifierAsStored: (id) => id,
  ownIdentifier: (_step, id) => id,
  signingKey: (_step, ltsk) => ltsk,
  signedInfo: ({ first, id, last }) => signedInfo(first, id, last),
  admitsController: () => true,
  signatureHolds: ({ ltpk, info, signature }) => ltpk !== undefined && verifySignature(ltpk, info, signature),

  nonceLabel: (step) => ({ 'setup-m4': 'PS-Msg04', 'setup-m6': 'PS-Msg06', 'verify-m2': 'PV-Msg02' })[step],
  openSealed: ({ key, nonce, sealed }) => open(key, nonce, sealed),
  beforeSealing: (_step, items) => items,

  lookUp: (id, { pairings }) => pairings.find((pairing) => equal(pairing.id, id)),
  restored: (pairings) => pairings,
  identityAfter: (occasion, own, draw) => (occasion === 'factory-reset' ? draw() : own),
  carriesOver: false,
  isAdmin: (pairing) => pairing !== undefined && isAdmin(pairing),
  refusesAdd({ pairings, existing, wanted }) {
    // Another key under a known name would hand one controller's rights to a second one.
    if (existing !== undefined) return equal(existing.ltpk, wanted.ltpk) ? undefined : TlvError.Unknown;
    return pairings.length >= MAX_PAIRINGS ? TlvError.MaxPeers : undefined;
  },
  removes: () => true,
  additionFrom(message) {
    const id = single(message, TlvType.Identifier, 1, MAX_IDENTIFIER);
    const ltpk = single(message, TlvType.PublicKey, Length.ltpk);
    const permissions = single(message, TlvType.Permissions, 1)?.[0];
    if (id === undefined || ltpk === undefined || permissions === undefined || permissions > 1)
      return undefined;
    return { id, ltpk, permissions };
  },
  removalFrom: (message) => single(message, TlvType.Identifier, 1, MAX_IDENTIFIER),
  updated: (_existing, wanted) => wanted,
  dropsEverything: (pairings) => !pairings.some(isAdmin),
  endsSession: ({ requester, pairings }) =>
    requester.transient !== true && !pairings.some(({ id }) => equal(id, requester.id)),

  route: (path) => (hapPaths.has(path) ? path : '/unknown'),
  pairingsMethod: () => undefined,
  information: () => '',
  responseVersion: () => 'HTTP/1.1',
  answeringHeaders: () => [],
  takes: () => 0,
  answers: () => true,
  status: (reply) => reply.status,
  sendsBody: (_reply, status) => status === 200,
  beforeSending: (reply) => reply.items,
  encode: (_step, items) => encodeTlv(items),

  takesConnection: () => true,
  greeting: undefined,
  survivesSegment: () => true,
  readPlain: ({ bytes }) => bytes,
  admits: () => 'serve',
  extraHeaders: () => [],
  serialNumber: () => 'HAPSPEC-0001',
  servesAs: ({ verified }) => verified,
  unauthorisedStatus: 470,
  closesAfter: ({ closeRequested }) => closeRequested,
  frameCounter: ({ count }) => count,
  cutFrames: (message) => pieces(message, Length.frame),
  sealFrame: ({ keys, counter, plaintext }) => sealFrame(keys.toController, counter, plaintext),
  takesFrame: (length) => length <= Length.frame,
  openFrame({ keys, counter, header, sealed }) {
    const plaintext = open(keys.toAccessory, counterNonce(counter), sealed, header);
    return plaintext && { plaintext, next: counter + 1n };
  },
  onBadFrame: () => 'close',
  readSegment: ({ bytes }) => ({ bytes }),
  readPlaintext: ({ plaintext }) => ({ bytes: plaintext }),
  pipelined: 'served',
  waitsForFrames: () => false,
  adopts: () => undefined,
  sealsMessage: () => true,
  afterIdle: () => 'serve',
  survivesReset: true,
  endsSiblings: false,
  takesAsPlaintext: () => false,
  write: ({ startLine, headers, body }) => encodeMessage(startLine, headers, body),

  notifies: ({ cause, subscribed, isWriter }) => cause === 'write' && subscribed && !isWriter,
  eventPlacement: 'at-once',
  eventStartLine: 'EVENT/1.0 200 OK',

  announces: ({ id, pairings, addresses, port }) => ({
    addresses,
    port,
    txt: [
      ['c#', '1'],
      ['ff', String(FeatureFlag.Software)],
      ['id', id],
      ['md', 'hapspec reference'],
      ['pv', '1.1'],
      ['s#', '1'],
      ['sf', pairings.length === 0 ? '1' : '0'],
      ['ci', String(CATEGORY)],
      ['sh', setupHash(SETUP_ID, id)],
    ],
  }),
  isAnnounced: () => true,
  announceDelay: 0,
};
