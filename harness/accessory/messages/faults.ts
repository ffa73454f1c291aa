import { Length, TlvMessage, TlvType, decodeTlv, encodeTlv, setupM4, tlv } from '../../protocol/index.js';
import { type Fault, fault } from '../faults/fault.js';
import { withItem } from '../faults/items.js';
import type { Reply } from './reply.js';

const known: readonly number[] = Object.values(TlvType);

function bodyLength({ fragments }: TlvMessage): number {
  return fragments.reduce((sum, { value }) => sum + 2 + value.length, 0);
}

/** A State of M1 or M3 among several. */
function highestState(message: TlvMessage): number {
  return Math.max(...message.all(TlvType.State).map(([state]) => state ?? 0));
}

function skipsM1(reply: Reply): boolean {
  return (
    reply.step === 'setup-m4' && reply.after === 'nothing' && reply.request.all(TlvType.State).length > 1
  );
}

/** A type other than State that stands again behind another one. */
function hasReturningType({ fragments }: TlvMessage): boolean {
  return fragments.some(
    ({ type }, i) =>
      type !== TlvType.State &&
      fragments[i - 1]?.type !== type &&
      fragments.slice(0, Math.max(0, i - 1)).some((before) => before.type === type),
  );
}

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
    { breaks: ['TLV-02', 'TLV-14'], story: 'the switch over TLV types has a default branch that fails' },
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
  fault(
    'long-body-stops-it',
    { breaks: ['TLV-03', 'TLV-14'], story: 'the body is copied into a buffer of 4096 bytes' },
    (ok) => ({
      survives: (request) => ok.survives(request) && bodyLength(request.message) <= 4096,
    }),
  ),
  fault(
    'm3-order-matters',
    { breaks: ['TLV-04'], story: 'M3 parsed by position: PublicKey is expected between State and Proof' },
    (ok) => ({
      isMalformed(request) {
        const types = request.message.items.map(({ type }) => type);
        const [state, key, proof] = [TlvType.State, TlvType.PublicKey, TlvType.Proof].map((type) =>
          types.indexOf(type),
        ) as [number, number, number];
        const scrambled = key >= 0 && proof >= 0 && !(state < key && key < proof);
        return ok.isMalformed(request) || (request.endpoint === 'pair-setup' && scrambled);
      },
    }),
  ),
  fault(
    'fragments-not-joined',
    {
      breaks: ['PS-M3-01'],
      story: 'every fragment replaces the one before it: 129 bytes of A stay',
    },
    () => ({
      decode(body) {
        const { fragments, defect } = decodeTlv(body);
        const kept = fragments.filter(({ type }, i) => fragments[i + 1]?.type !== type);
        return new TlvMessage(fragments, kept, defect);
      },
    }),
  ),
  fault(
    'short-fragment-stops-it',
    {
      breaks: ['TLV-07', 'TLV-14'],
      story: 'an assertion that only a full fragment goes on ends the process',
    },
    (ok) => ({
      survives: (request) =>
        ok.survives(request) &&
        !request.message.fragments.some(
          ({ type, value }, i, all) => all[i + 1]?.type === type && value.length < 255,
        ),
    }),
  ),
  fault(
    'repeated-item-stops-it',
    { breaks: ['TLV-14'], story: 'an assertion that a type does not come back ends the process' },
    (ok) => ({ survives: (request) => ok.survives(request) && !hasReturningType(request.message) }),
  ),
  fault(
    'last-value-read-past-the-end',
    {
      breaks: ['TLV-14'],
      story: 'a value is copied in its declared length, also where the body ends before it',
    },
    (ok) => ({
      survives: (request) => ok.survives(request) && !/declares/.test(request.message.defect ?? ''),
    }),
  ),
  fault(
    'lone-type-byte-stops-it',
    { breaks: ['TLV-14'], story: 'the length byte is read without asking whether the body still has one' },
    (ok) => ({
      survives: (request) => ok.survives(request) && !/left over/.test(request.message.defect ?? ''),
    }),
  ),
  fault(
    'highest-state-counts',
    {
      breaks: ['TLV-08'],
      story: 'of two States the guard reads one and the handler the other: M4 without M1',
    },
    (ok) => ({
      stateOf: (request) =>
        request.endpoint === 'pair-setup' && request.message.all(TlvType.State).length > 1
          ? highestState(request.message)
          : ok.stateOf(request),
      status: (reply) => (skipsM1(reply) ? 200 : ok.status(reply)),
      beforeSending: (reply) =>
        skipsM1(reply) ? setupM4(reply.random.bytes(Length.proof)) : ok.beforeSending(reply),
    }),
  ),
  fault(
    'truncated-tlv-stops-it',
    {
      breaks: ['TLV-09', 'TLV-14'],
      story: 'the declared length is believed, and the read past the end of the body is fatal',
    },
    (ok) => ({ survives: (request) => ok.survives(request) && request.message.defect === undefined }),
  ),
  fault(
    'truncated-tlv-unanswered',
    { breaks: ['TLV-09', 'TLV-14'], story: 'the reader waits for the bytes the last length declares' },
    (ok) => ({ answers: (reply) => reply.request.defect === undefined && ok.answers(reply) }),
  ),
  fault(
    'empty-body-unanswered',
    { breaks: ['TLV-10'], story: 'the handler is called when the body comes, and an empty one never does' },
    (ok) => ({
      answers: ({ request, ...reply }) =>
        (request.fragments.length > 0 || request.defect !== undefined) && ok.answers({ request, ...reply }),
    }),
  ),
  fault(
    'empty-body-stops-it',
    { breaks: ['TLV-10'], story: 'a body of no bytes is a null pointer, and it is read' },
    (ok) => ({
      survives: (request) =>
        ok.survives(request) &&
        (request.message.fragments.length > 0 || request.message.defect !== undefined),
    }),
  ),
  fault(
    'empty-state-is-m1',
    { breaks: ['TLV-11'], story: 'State is read from one byte behind its header, there or not' },
    (ok) => ({
      stateOf: (request) => (request.message.get(TlvType.State)?.length === 0 ? 1 : ok.stateOf(request)),
    }),
  ),
  fault(
    'wide-state-stops-it',
    { breaks: ['TLV-11'], story: 'State is copied into one byte, whatever its length' },
    (ok) => ({
      survives: (request) => ok.survives(request) && (request.message.get(TlvType.State)?.length ?? 1) <= 1,
    }),
  ),
  fault(
    'zero-length-tlv-loops',
    {
      breaks: ['TLV-02', 'TLV-11'],
      fieldBug: 23,
      story: 'the index does not move past an item of no bytes, and the task reads it for ever',
    },
    (ok) => ({
      answers: (reply) =>
        !reply.request.fragments.some(({ value }) => value.length === 0) && ok.answers(reply),
    }),
  ),
  fault(
    'zero-length-integer-stops-it',
    {
      breaks: ['TLV-11'],
      fieldBug: 24,
      story: 'the value of State or Error is read through a pointer that is null for no bytes',
    },
    (ok) => ({
      survives: (request) =>
        ok.survives(request) &&
        !request.message.items.some(
          ({ type, value }) => (type === TlvType.State || type === TlvType.Error) && value.length === 0,
        ),
    }),
  ),
  fault(
    'separator-awaits-entries',
    { breaks: ['TLV-12'], story: 'a separator makes the message a list, and its next entry is waited for' },
    (ok) => ({ answers: (reply) => !reply.request.has(TlvType.Separator) && ok.answers(reply) }),
  ),
  fault(
    'full-fragment-awaits-a-tail',
    {
      breaks: ['TLV-13'],
      story: 'a value ends with a fragment below 255 bytes, or the reader waits for one',
    },
    (ok) => ({
      answers: (reply) =>
        !reply.request.items.some(({ value }) => value.length > 0 && value.length % 255 === 0) &&
        ok.answers(reply),
    }),
  ),
];
