import {
  Length,
  Method,
  Permission,
  TlvType,
  concat,
  equal,
  lowOrderCurveKeys,
  stateOnly,
  tlv,
} from '../../../protocol/index.js';
import { Halt } from '../../facts.js';
import { type Fault, fault } from '../../faults/fault.js';
import type { Reply } from '../../messages/reply.js';
import { stateByItems, zeros } from './shared.js';

export const m1: readonly Fault[] = [
  fault(
    'short-verify-key-filled-up',
    {
      breaks: ['PV-M1-02'],
      story: 'a short key overwrites the beginning of the buffer, the rest is from before',
    },
    (ok) => ({
      curveKeyFrom(message) {
        const key = message.get(TlvType.PublicKey) ?? new Uint8Array(0);
        return key.length < Length.curveKey
          ? concat(key, new Uint8Array(Length.curveKey - key.length).fill(0x42))
          : ok.curveKeyFrom(message);
      },
    }),
  ),
  fault(
    'long-verify-key-cut',
    { breaks: ['PV-M1-02'], story: 'the first 32 bytes of the key are copied, however many there are' },
    (ok) => ({
      curveKeyFrom: (message) =>
        ok.curveKeyFrom(message) ??
        [message.get(TlvType.PublicKey)?.subarray(0, Length.curveKey)].find(
          (key) => key?.length === Length.curveKey,
        ),
    }),
  ),
  fault(
    'verify-method-unanswered',
    { breaks: ['PV-M1-03'], story: 'a Method sends M1 to a handler of its own that was never written' },
    (ok) => ({
      answers: (reply) =>
        !(reply.endpoint === 'pair-verify' && reply.request.has(TlvType.Method)) && ok.answers(reply),
    }),
  ),
  fault(
    'foreign-verify-method-unanswered',
    { breaks: ['PV-M1-03'], story: 'a Method that is no business of Pair Verify is dropped without a word' },
    (ok) => ({
      answers(reply) {
        const method = reply.request.get(TlvType.Method);
        const own = method === undefined || (method.length === 1 && method[0]! <= Method.PairVerify);
        return (reply.endpoint !== 'pair-verify' || own) && ok.answers(reply);
      },
    }),
  ),
  fault(
    'foreign-verify-method-gets-an-empty-200',
    {
      breaks: ['PV-M1-03'],
      story:
        'a Method that is no business of Pair Verify falls through to the end of the handler: HTTP 200 and nothing',
    },
    (ok) => {
      const isForeign = ({ endpoint, request }: Reply): boolean => {
        const method = request.get(TlvType.Method);
        return endpoint === 'pair-verify' && method !== undefined && method[0] !== Method.PairVerify;
      };
      return {
        status: (reply) => (isForeign(reply) ? 200 : ok.status(reply)),
        sendsBody: (reply, status) => !isForeign(reply) && ok.sendsBody(reply, status),
      };
    },
  ),
  fault(
    'nobody-is-everybody',
    {
      breaks: ['PV-M1-04'],
      story: 'with an empty list of pairings there is nothing to compare, and all is well',
    },
    (ok) => ({
      lookUp: (id, known) =>
        known.pairings.length === 0
          ? { id, ltpk: zeros, permissions: Permission.Admin }
          : ok.lookUp(id, known),
      signatureHolds: (claim) =>
        (claim.ltpk !== undefined && equal(claim.ltpk, zeros)) || ok.signatureHolds(claim),
    }),
  ),
  fault(
    'verify-state-by-items',
    { breaks: ['PV-M1-05', 'TLV-14'], story: 'M1 and M3 are told apart by their items, State is never read' },
    (ok) => ({
      stateOf: (request) =>
        request.endpoint === 'pair-verify' && request.message.defect === undefined
          ? stateByItems(request.message)
          : ok.stateOf(request),
    }),
  ),
  fault(
    'high-verify-state-stops-it',
    { breaks: ['PV-M1-05'], story: 'State is the index into a table of six handlers' },
    (ok) => ({
      survives: (request) =>
        ok.survives(request) && !(request.endpoint === 'pair-verify' && (request.message.state ?? 0) > 6),
    }),
  ),
  fault(
    'verify-m1-items-counted',
    { breaks: ['PV-M1-06'], story: 'M1 must have two items, no more' },
    (ok) => ({
      isMalformed: (request) =>
        ok.isMalformed(request) ||
        (request.endpoint === 'pair-verify' &&
          request.message.state === 1 &&
          request.message.items.length > 2),
    }),
  ),
  fault(
    'empty-item-ends-verify-m1',
    {
      breaks: ['PV-M1-06'],
      story: 'a length of 0 ends the loop over the items, and what stands behind it is missing',
    },
    (ok) => ({
      isMalformed: (request) =>
        ok.isMalformed(request) ||
        (request.endpoint === 'pair-verify' &&
          request.message.state === 1 &&
          request.message.items.some(({ value }) => value.length === 0)),
    }),
  ),
  fault(
    'resumes-any-session',
    {
      breaks: ['RESUME-01'],
      story: 'Pair Resume over BLE is reachable over IP too, its tag is never checked',
    },
    (ok) => ({
      beforeSending: (reply) =>
        reply.step === 'verify-m2' && reply.request.get(TlvType.Method)?.[0] === Method.PairResume
          ? [
              ...stateOnly(2),
              tlv(TlvType.Method, Method.PairResume),
              tlv(TlvType.SessionID, reply.random.bytes(8)),
              tlv(TlvType.EncryptedData, reply.random.bytes(Length.tag)),
            ]
          : ok.beforeSending(reply),
    }),
  ),
  fault(
    'low-order-key-stops-it',
    { breaks: ['SEC-02'], story: 'the library asserts that the X25519 secret is not zero' },
    (ok) => ({
      sharedSecret(secret, publicKey) {
        if (lowOrderCurveKeys.some((point) => equal(point, publicKey))) throw new Halt('a zero secret');
        return ok.sharedSecret(secret, publicKey);
      },
    }),
  ),
];
