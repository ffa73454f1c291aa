/** What the rooms of the accessory tell one another. */
import { type Bytes, type SessionKeys } from '../protocol/index.js';

/** Thrown by a faulty decision: the request stops the whole accessory until it is restarted. */
export class Halt extends Error {
  override name = 'Halt';
}

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

/** Where an exchange stands: the last message we sent in it. */
export type Progress = 'nothing' | 'm2' | 'm4';

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

/** A session as another connection might look at it. */
export interface KnownSession {
  readonly requester: Requester;
  readonly keys: SessionKeys;
  /** The counter its next frame must carry. */
  readonly counter: bigint;
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

/** What secures a connection: behind M4 of Pair Verify, or behind that of a transient Pair Setup. */
export interface Verified {
  readonly requester: Requester;
  readonly keys: SessionKeys;
}
