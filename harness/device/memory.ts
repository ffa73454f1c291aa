import type { Identity, Peer } from '../protocol/index.js';

/** An identity of an earlier run. */
export interface RememberedIdentity {
  readonly identity: Identity;
  /** The accessory said that it stored it. */
  readonly confirmed?: boolean;
  /** The accessory as it named itself then. */
  readonly accessory?: Peer | undefined;
}

/** What must be on disk before it is in the accessory. */
export interface Memory {
  /** Returns when the identity is safe: only then may it be sent. */
  remember(identity: Identity, how: 'pair-setup' | 'add-pairing'): void;
  /** M6 (or a reply to Add) says it is in the accessory. */
  confirmed(identity: Identity, accessory: Peer | undefined): void;
  forget(identity: Identity): void;
  /** Identities of earlier runs that may still be in the accessory, the most promising first. */
  identities(): readonly RememberedIdentity[];
  /** Failed attempts since the last reset, over runs. */
  readonly attempts: number;
  spend(attempts: number): void;
  wasReset(): void;
}
