import { TlvType, encodeTlv, tlv } from '../../protocol/index.js';
import { type Fault, fault } from './fault.js';
import { withItem } from './items.js';

const known: readonly number[] = Object.values(TlvType);

export const tlvFaults: readonly Fault[] = [
  fault(
    'm1-order-matters',
    { breaks: ['TLV-01'], story: 'M1 parsed by position: Method is expected before State' },
    (ok) => ({
      isMalformed(request) {
        const { endpoint, message } = request;
        const types = message.items.map(({ type }) => type);
        const backwards = types.lastIndexOf(TlvType.Method) > types.indexOf(TlvType.State);
        return ok.isMalformed(request) || (endpoint === 'pair-setup' && message.state === 1 && backwards);
      },
    }),
  ),
  fault(
    'rejects-unknown-tlvs',
    { breaks: ['TLV-02'], story: 'the switch over TLV types has a default branch that fails' },
    (ok) => ({
      isMalformed: (request) =>
        ok.isMalformed(request) || request.message.items.some(({ type }) => !known.includes(type)),
    }),
  ),
  fault(
    'fragments-of-254',
    { breaks: ['TLV-05'], story: 'long values are cut at 254 bytes: off by one in the writer' },
    () => ({ encode: (_step, items) => encodeTlv(items, 254) }),
  ),
  fault(
    'state-two-bytes',
    { breaks: ['TLV-06'], story: 'State of M2 is written as a 16-bit integer' },
    (ok) => ({
      beforeSending(reply) {
        const items = ok.beforeSending(reply);
        return reply.step === 'setup-m2' ? withItem(items, tlv(TlvType.State, Uint8Array.of(2, 0))) : items;
      },
    }),
  ),
  fault(
    'm6-state-twice',
    { breaks: ['TLV-06'], fieldBug: 31, story: 'M6 is built in the buffer of M5, whose State stays in it' },
    (ok) => ({
      beforeSending(reply) {
        const items = ok.beforeSending(reply);
        return reply.step === 'setup-m6' && reply.status === 200 ? [...items, tlv(TlvType.State, 5)] : items;
      },
    }),
  ),
];
