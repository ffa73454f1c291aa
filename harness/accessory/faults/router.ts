import { TlvType, integerValue, tlv, toInteger } from '../../protocol/index.js';
import type { Fault } from './fault.js';
import { succeeds } from './items.js';

/** A bit of Flags that no source gives a meaning. */
const OWN_FLAG = 1 << 15;

/** Not red once it is declared: that routers have flags of their own is public, which ones is not. */
export const router: Fault = {
  name: 'router',
  breaks: [],
  story: 'M2 carries flags of its own, as those of routers do, beside the ones it grants',
  declares: ['router'],
  change: (ok) => ({
    beforeSending(reply) {
      const items = ok.beforeSending(reply);
      if (reply.step !== 'setup-m2' || !succeeds(reply)) return items;
      const granted = items.find(({ type }) => type === TlvType.Flags)?.value ?? new Uint8Array(0);
      const flags = OWN_FLAG | Number(toInteger(granted.toReversed()));
      return [...items.filter(({ type }) => type !== TlvType.Flags), tlv(TlvType.Flags, integerValue(flags))];
    },
  }),
};
