import {
  Length,
  TlvError,
  TlvType,
  concat,
  equal,
  labelNonce,
  text,
  tlv,
  utf8,
} from '../../../protocol/index.js';
import { openIgnoringTag } from '../../crypto.js';
import { Halt } from '../../facts.js';
import { type Fault, fault } from '../../faults/fault.js';
import { fails, succeeds, withItem } from '../../faults/items.js';
import type { Reply } from '../../messages/reply.js';

/** A refused M3 that did not come to its signature, or to a pairing. */
function refusedEarly(reply: Reply): boolean {
  return reply.step === 'verify-m4' && fails(reply) && reply.known === undefined;
}

export const m3: readonly Fault[] = [
  fault(
    'verify-m3-tag-unchecked',
    { breaks: ['PV-M3-04'], fieldBug: 78, story: 'M3 is decrypted, the result of the tag is not looked at' },
    (ok) => ({
      openSealed: (data) =>
        data.step === 'verify-m3' ? openIgnoringTag(data.key, data.nonce, data.sealed) : ok.openSealed(data),
    }),
  ),
  fault(
    'verify-m3-nonce-tried',
    { breaks: ['PV-M3-04'], story: 'every nonce a controller was ever seen with is tried in turn' },
    (ok) => ({
      openSealed: (data) =>
        [
          data.nonce,
          labelNonce('PV-Msg02'),
          labelNonce('PS-Msg05'),
          concat(utf8('PV-Msg03'), new Uint8Array(4)),
        ]
          .map((nonce) => ok.openSealed({ ...data, nonce }))
          .find((plain) => plain !== undefined),
    }),
  ),
  fault(
    'broken-verify-m3-granted',
    {
      breaks: ['PV-M3-04', 'PV-M3-05'],
      story: 'the result begins as success, and the branch for a broken M3 forgets to change it',
    },
    () => ({ refusesMalformedVerifyM3: false }),
  ),
  fault(
    'verify-m3-of-a-tag-stops-it',
    { breaks: ['PV-M3-04'], story: 'an allocation of no bytes is taken for the end of the memory' },
    (ok) => ({
      openSealed(data) {
        if (data.step === 'verify-m3' && data.sealed.length <= Length.tag) throw new Halt('out of memory');
        return ok.openSealed(data);
      },
    }),
  ),
  fault(
    'verify-without-signature-granted',
    { breaks: ['PV-M3-05'], story: 'a signature that is there is checked, one that is not is not' },
    (ok) => ({
      claimFrom(sub) {
        const id = sub.get(TlvType.Identifier);
        return id !== undefined && !sub.has(TlvType.Signature)
          ? { id, signature: new Uint8Array(0) }
          : ok.claimFrom(sub);
      },
      signatureHolds: (claim) =>
        (claim.ltpk !== undefined && claim.signature.length === 0) || ok.signatureHolds(claim),
    }),
  ),
  fault(
    'identifier-cut-at-36-bytes',
    {
      breaks: ['PV-M3-05', 'PV-M3-06'],
      story: 'the identifier is copied into 36 bytes, and what does not fit is left behind',
    },
    (ok) => ({
      claimFrom(sub) {
        const id = sub.get(TlvType.Identifier);
        const signature = sub.get(TlvType.Signature);
        return id !== undefined && id.length > 36 && signature !== undefined
          ? { id, signature }
          : ok.claimFrom(sub);
      },
      identifierAsStored: (id) => ok.identifierAsStored(id).subarray(0, 36),
    }),
  ),
  fault(
    'identifier-compared-in-the-length-sent',
    {
      breaks: ['PV-M3-05', 'PV-M3-06'],
      story: 'memcmp runs over the length that came: a beginning of a name is the name',
    },
    (ok) => ({
      claimFrom(sub) {
        const signature = sub.get(TlvType.Signature);
        const id = sub.get(TlvType.Identifier);
        return id?.length === 0 && signature !== undefined ? { id, signature } : ok.claimFrom(sub);
      },
      lookUp: (id, { pairings }) => pairings.find((pairing) => equal(pairing.id.subarray(0, id.length), id)),
    }),
  ),
  fault(
    'identifier-as-trimmed-text',
    { breaks: ['PV-M3-06'], story: 'blanks and NUL at the end of an identifier are taken for padding' },
    (ok) => ({
      identifierAsStored: (id) => utf8(text(ok.identifierAsStored(id)).replace(/[\s\0]+$/, '')),
    }),
  ),
  fault(
    'unknown-controller-unanswered',
    {
      breaks: ['PV-M3-02', 'PV-M3-06'],
      story: 'who is not in the list is not worth an answer',
    },
    (ok) => ({
      answers: (reply) => !(reply.step === 'verify-m4' && reply.known === false) && ok.answers(reply),
    }),
  ),
  fault(
    'session-keys-before-the-check',
    { breaks: ['PV-M3-07'], story: 'the keys of the session are installed before the signature is checked' },
    () => ({ securesFailedVerify: true }),
  ),
  fault(
    'claimed-controller-is-served',
    {
      breaks: ['PV-M3-07'],
      story: 'M3 notes the controller on the connection before it checks the signature',
    },
    (ok) => ({ servesAs: (request) => ok.servesAs(request) ?? request.claimed }),
  ),
  fault(
    'verify-m3-order-matters',
    { breaks: ['PV-M3-08'], story: 'the sub-TLV of M3 is parsed by position: Identifier comes first' },
    (ok) => ({
      claimFrom: (sub) => (sub.items[0]?.type === TlvType.Identifier ? ok.claimFrom(sub) : undefined),
    }),
  ),
  fault(
    'verify-m3-items-counted',
    { breaks: ['PV-M3-08'], story: 'the sub-TLV of M3 must have two items, no more' },
    (ok) => ({ claimFrom: (sub) => (sub.items.length === 2 ? ok.claimFrom(sub) : undefined) }),
  ),
  fault(
    'unknown-controller-has-another-error',
    { breaks: ['SEC-05'], story: 'who is not in the list gets Unknown, who cannot sign gets Authentication' },
    (ok) => ({
      beforeSending: (reply) =>
        reply.step === 'verify-m4' && reply.known === false && fails(reply)
          ? withItem(ok.beforeSending(reply), tlv(TlvType.Error, TlvError.Unknown))
          : ok.beforeSending(reply),
    }),
  ),
  fault(
    'undecryptable-verify-m3-is-malformed',
    { breaks: ['SEC-05'], story: 'an M3 that does not open is HTTP 400, one that is not signed is an error' },
    (ok) => ({ status: (reply) => (refusedEarly(reply) ? 400 : ok.status(reply)) }),
  ),
];

export const m4: readonly Fault[] = [
  fault(
    'verify-m4-names-a-session',
    { breaks: ['PV-M3-01', 'PV-M4-01'], story: 'the SessionID of BLE is written into M4 on IP too' },
    (ok) => ({
      beforeSending: (reply) =>
        reply.step === 'verify-m4' && succeeds(reply)
          ? [...ok.beforeSending(reply), tlv(TlvType.SessionID, reply.random.bytes(8))]
          : ok.beforeSending(reply),
    }),
  ),
  fault(
    'bytes-behind-m3-dropped',
    {
      breaks: ['PV-M4-01'],
      fieldBug: 79,
      story: 'the reader of plain requests has read ahead, and is thrown away at the switch',
    },
    () => ({ behindM3: 'dropped' }),
  ),
  fault(
    'bytes-behind-m3-read-as-http',
    {
      breaks: ['PV-M4-01'],
      fieldBug: 79,
      story: 'the reader of plain requests goes on with what it has read ahead',
    },
    () => ({ behindM3: 'answered-in-plaintext' }),
  ),
  fault(
    'first-eight-controllers-verify',
    { breaks: ['PV-M4-02'], story: 'sixteen pairings are stored, and eight of them loaded' },
    (ok) => ({ lookUp: (id, known) => ok.lookUp(id, { ...known, pairings: known.pairings.slice(0, 8) }) }),
  ),
  fault(
    'last-eight-controllers-verify',
    { breaks: ['PV-M4-02'], story: 'pairings are looked up in a cache of eight, and nowhere else' },
    (ok) => ({ lookUp: (id, known) => ok.lookUp(id, { ...known, pairings: known.pairings.slice(-8) }) }),
  ),
  fault(
    'rights-of-the-last-verified',
    { breaks: ['PV-M4-02'], story: 'the current controller is one variable for all sessions' },
    (ok) => ({
      servesAs: (request) => ok.servesAs(request) && request.lastVerified,
    }),
  ),
];
