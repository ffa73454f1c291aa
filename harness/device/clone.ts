import type { Bytes, Identity, Peer } from '../protocol/index.js';
import type { Dialer } from '../wire/index.js';

/** The device a clone stands in for, by its pairing data. */
export interface CloneOf {
  /** 17 ASCII characters, as it names itself in M2. */
  readonly deviceId: Bytes;
  /** 32-byte seed, where it is known; only an embedded clone needs it. */
  readonly ltsk?: Bytes;
  /** 32 bytes. */
  readonly ltpk: Bytes;
  readonly controllers: readonly ClonedPairing[];
  readonly configNumber?: number;
}

/** A controller of the old device; the harness is one where it has the secret key. */
export interface ClonedPairing extends Peer {
  readonly admin: boolean;
  readonly ltsk?: Bytes;
}

/** The old device on the wire, and the data the clone was made from. */
export interface ClonedDevice extends CloneOf {
  /** The way to the old device, where it is up. */
  readonly old?: Dialer;
}

/** A controller the harness can be. */
export type OwnPairing = Identity & { readonly admin: boolean };

/** The controllers the harness can be: all of them, admins, or plain users. */
export function ownPairings(
  { controllers }: CloneOf,
  who: 'anybody' | 'admin' | 'user' = 'anybody',
): readonly OwnPairing[] {
  return controllers.flatMap(({ id, ltpk, ltsk, admin }) => {
    const wanted = who === 'anybody' || admin === (who === 'admin');
    return ltsk === undefined || !wanted ? [] : [{ id, ltpk, ltsk, admin }];
  });
}
