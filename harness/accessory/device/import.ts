import { type Bytes, type Identity, Permission, type Random } from '../../protocol/index.js';
import { accessoryIdentity } from '../crypto.js';
import type { Store, StoredState } from './store.js';

/** Pairing data of another device (seed 000). */
export interface PairingData {
  /** 17 ASCII characters. */
  readonly deviceId: Bytes;
  /** 32-byte seed. */
  readonly ltsk: Bytes;
  readonly controllers: readonly { readonly id: Bytes; readonly ltpk: Bytes; readonly admin: boolean }[];
}

/** What the device holds that the data are of. */
export function stateOf({ deviceId, ltsk, controllers }: PairingData): StoredState {
  return {
    id: deviceId,
    ltsk,
    pairings: controllers.map(({ id, ltpk, admin }) => ({
      id,
      ltpk,
      permissions: admin ? Permission.Admin : Permission.User,
    })),
    failedAttempts: 0,
  };
}

/** Puts the data into a store in the place of all that is in it: the accessory that starts from it is the clone. */
export function importInto(
  store: Store,
  behaviour: ImportDecisions,
  data: PairingData,
  random: Random,
): void {
  store.save(behaviour.imported(stateOf(data), () => accessoryIdentity(random)));
}

export interface ImportDecisions {
  /** What is stored of the data of another device; `draw` makes an identity of its own. */
  imported(state: StoredState, draw: () => Identity): StoredState;
}

export const healthyImport: ImportDecisions = { imported: (state) => state };
