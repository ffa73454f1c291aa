import { type Bytes, type TlvMessage, TlvType } from '../../../protocol/index.js';
import type { VerifyExchange } from '../../facts.js';
import type { Fault } from '../../faults/fault.js';

export const zeros = new Uint8Array(32);

/** What an accessory without an exchange goes on with when it does not look. */
function unmade(key: Bytes): VerifyExchange {
  return { own: zeros, controller: zeros, shared: zeros, key };
}

/** Pair Verify that takes this key for the one of an exchange that never began. */
export function takesM3Under(key: Bytes): Fault['change'] {
  return (ok) => ({
    exchangesForM3(held) {
      const exchanges = ok.exchangesForM3(held);
      return exchanges.length > 0 ? exchanges : [unmade(key)];
    },
  });
}

/** State of a Pair Verify message by what else is in it. */
export function stateByItems(message: TlvMessage): number {
  return message.has(TlvType.EncryptedData) ? 3 : 1;
}
