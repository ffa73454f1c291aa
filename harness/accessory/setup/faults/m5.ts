import {
  Length,
  TlvError,
  TlvType,
  concat,
  labelNonce,
  lengthBytes,
  sealedMessage,
  text,
  tlv,
  utf8,
} from '../../../protocol/index.js';
import type { Behaviour } from '../../behaviour.js';
import { deriveKey, open } from '../../crypto.js';
import { Halt, MAX_IDENTIFIER } from '../../facts.js';
import { type Fault, fault } from '../../faults/fault.js';
import { fails, succeeds } from '../../faults/items.js';
import type { Reply } from '../../messages/reply.js';

const zeroSecret = new Uint8Array(64);
const noSecret = new Uint8Array(64).fill(0xa5);

/** Other nonces that open M5 too, label first included. */
const otherNonces = [
  ...['PS-Msg04', 'PS-Msg06', 'PV-Msg03'].map(labelNonce),
  concat(utf8('PS-Msg05'), new Uint8Array(4)),
];

/** M5 on a connection without an exchange. */
function isLateM5(reply: Reply): boolean {
  return reply.step === 'setup-m6' && reply.after === 'nothing';
}

export const setupM5Faults: readonly Fault[] = [
  fault(
    'm5-malformed-answered',
    {
      breaks: ['PS-M5-04', 'PS-M5-09', 'PS-M5-11', 'PS-M5-12'],
      story: 'what M5 lacks is noticed and M6 goes out all the same',
    },
    () => ({ refusesMalformedM5: false, refusesUnopenedM5: () => false }),
  ),
  fault(
    'm5-any-ltpk-stored',
    { breaks: ['PS-M5-11'], story: 'an LTPK of another size is stored, and its signature cannot be checked' },
    (ok) => ({
      controllerFrom: (sub) => {
        const ltpk = sub.get(TlvType.PublicKey);
        if (ltpk === undefined || ltpk.length === Length.ltpk) return ok.controllerFrom(sub);
        const [id, signature] = [sub.get(TlvType.Identifier), sub.get(TlvType.Signature)];
        return id && signature && { id, ltpk, signature };
      },
      signatureHolds: (claim) =>
        (claim.ltpk !== undefined && claim.ltpk.length !== Length.ltpk) || ok.signatureHolds(claim),
    }),
  ),
  fault(
    'm5-signature-prefix',
    { breaks: ['PS-M5-12'], story: 'of a longer Signature the first 64 bytes are taken' },
    (ok) => ({
      controllerFrom: (sub) => {
        const signature = sub.get(TlvType.Signature);
        if (signature === undefined || signature.length <= Length.signature) return ok.controllerFrom(sub);
        const [id, ltpk] = [sub.get(TlvType.Identifier), sub.get(TlvType.PublicKey)];
        return id && ltpk && { id, ltpk, signature: signature.subarray(0, Length.signature) };
      },
    }),
  ),
  fault(
    'm5-any-nonce',
    { breaks: ['PS-M5-07'], fieldBug: 77, story: 'the nonce of a message is searched instead of known' },
    (ok) => ({
      openSealed: (data) => {
        const opened = ok.openSealed(data);
        if (opened !== undefined || data.step !== 'setup-m5') return opened;
        for (const nonce of otherNonces) {
          const found = open(data.key, nonce, data.sealed);
          if (found !== undefined) return found;
        }
        return undefined;
      },
    }),
  ),
  fault(
    'm5-nonce-label-first',
    {
      breaks: ['PS-M5-01'],
      story: 'M5 is opened with its label in front of the four zero bytes of the nonce',
    },
    (ok) => ({
      openSealed: (data) =>
        data.step === 'setup-m5'
          ? open(data.key, concat(utf8('PS-Msg05'), new Uint8Array(4)), data.sealed)
          : ok.openSealed(data),
    }),
  ),
  fault(
    'm5-key-of-pair-verify',
    { breaks: ['PS-M5-01'], story: 'M5 is opened with a key derived under the labels of Pair Verify' },
    (ok) => ({
      openSealed: (data) =>
        data.step === 'setup-m5'
          ? ok.openSealed({ ...data, key: deriveKey('Pair-Verify-Encrypt', data.secret) })
          : ok.openSealed(data),
    }),
  ),
  fault(
    'm5-signature-under-own-labels',
    {
      breaks: ['PS-M5-01'],
      story: 'X of the signature in M5 is derived under the labels of the accessory’s own signature',
    },
    (ok) => ({
      signatureHolds: (claim) =>
        ok.signatureHolds(
          claim.step === 'setup-m5'
            ? {
                ...claim,
                info: concat(deriveKey('Pair-Setup-Accessory-Sign', claim.secret), claim.info.subarray(32)),
              }
            : claim,
        ),
    }),
  ),
  fault(
    'm5-aad-ignored',
    {
      breaks: ['PS-M5-08'],
      story: 'sealed data of pairing messages is opened like a frame, with its length as AAD',
    },
    (ok) => ({
      openSealed: (data) =>
        ok.openSealed(data) ??
        (data.step === 'setup-m5'
          ? open(data.key, data.nonce, data.sealed, lengthBytes(data.sealed.length - Length.tag))
          : undefined),
    }),
  ),
  fault(
    'closes-and-stops-listening-after-m6',
    {
      breaks: ['PS-M5-03'],
      story:
        'the server of Pair Setup ends with M6, and the one of the paired accessory starts at the next boot',
    },
    (ok) => ({
      closesAfter: (response) => response.step === 'setup-m6' || ok.closesAfter(response),
      takesConnection: (arrival) => ok.takesConnection(arrival) && arrival.setupsDone === 0,
    }),
  ),
  fault(
    'identifier-buffer-of-36',
    { breaks: ['PS-M5-10'], story: 'identifiers are copied into a field of 36 bytes' },
    (ok) => ({ identifierAsStored: (id) => ok.identifierAsStored(id).subarray(0, 36) }),
  ),
  fault(
    'identifier-field-padded',
    { breaks: ['PS-M5-10'], story: 'identifiers come out of their field of 36 bytes in its whole length' },
    (ok) => ({
      identifierAsStored(id) {
        const stored = ok.identifierAsStored(id);
        return stored.length < 36 ? concat(stored, new Uint8Array(36 - stored.length)) : stored;
      },
    }),
  ),
  fault(
    'identifiers-are-text',
    { breaks: ['PS-M5-10'], story: 'identifiers are kept as text: what is no UTF-8 is replaced' },
    (ok) => ({ identifierAsStored: (id) => utf8(text(ok.identifierAsStored(id))) }),
  ),
  fault(
    'identifier-ends-at-nul',
    { breaks: ['PS-M5-10'], story: 'identifiers are copied with strncpy' },
    (ok) => ({
      identifierAsStored(id) {
        const stored = ok.identifierAsStored(id);
        const end = stored.indexOf(0);
        return end < 0 ? stored : stored.subarray(0, end);
      },
    }),
  ),
  fault(
    'identifier-length-unchecked',
    { breaks: ['PS-M5-10'], story: 'an identifier is copied onto the stack in whatever length it came' },
    (ok) => ({
      controllerFrom(sub) {
        const id = sub.get(TlvType.Identifier);
        if (id !== undefined && id.length > MAX_IDENTIFIER) throw new Halt('the stack is overwritten');
        return ok.controllerFrom(sub);
      },
    }),
  ),
  fault(
    'empty-identifier-stored',
    { breaks: ['PS-M5-10'], story: 'an empty identifier is stored in Pair Setup and refused in Pair Verify' },
    (ok) => ({
      controllerFrom(sub) {
        const [id, ltpk, signature] = [TlvType.Identifier, TlvType.PublicKey, TlvType.Signature].map((type) =>
          sub.get(type),
        );
        return id?.length === 0 && ltpk && signature ? { id, ltpk, signature } : ok.controllerFrom(sub);
      },
    }),
  ),
  fault(
    'identifier-must-be-upper-case',
    { breaks: ['PS-M5-10'], fieldBug: 108, story: 'identifiers have to match a pattern of upper-case UUIDs' },
    (ok) => ({
      controllerFrom(sub) {
        const id = sub.get(TlvType.Identifier);
        return id?.length === 36 && /[a-f]/.test(text(id)) ? undefined : ok.controllerFrom(sub);
      },
    }),
  ),
  fault(
    'exchange-kept-after-m6',
    { breaks: ['PS-M5-14'], story: 'the exchange is not cleared after M6, and M5 may come again' },
    () => ({
      endsSetupWithM6: false,
      refusesLateM5: () => undefined,
    }),
  ),
  fault(
    'm5-without-exchange-answers-with-the-last-m6',
    { breaks: ['PS-M5-14'], story: 'an M5 nobody waits for gets the M6 still in the buffer' },
    (ok) => ({
      status: (reply) => (isLateM5(reply) ? 200 : ok.status(reply)),
      beforeSending: (reply) =>
        isLateM5(reply) ? sealedMessage(6, reply.random.bytes(135)) : ok.beforeSending(reply),
    }),
  ),
  fault(
    'refused-m5-locks-the-connection',
    {
      breaks: ['PS-M5-15'],
      story: 'the error of M5 leaves the procedure in a state no M1 leads out of, until the connection ends',
    },
    (ok) => ({
      refusesSetup: (request) =>
        ok.refusesSetup(request) ?? (request.refusedM5Here ? TlvError.Unknown : undefined),
    }),
  ),
  fault(
    'm5-unknown-item-stops-it',
    { breaks: ['PS-M5-16'], story: 'the table of sub-TLV handlers is read past its end for an unknown type' },
    (ok) => ({
      controllerFrom(sub) {
        if (sub.items.some(({ type }) => type > TlvType.Signature)) throw new Halt('no handler');
        return ok.controllerFrom(sub);
      },
    }),
  ),
  fault(
    'm5-read-by-position',
    { breaks: ['PS-M5-16'], story: 'the first sub-TLV is copied as the Identifier, whatever it is' },
    (ok) => ({
      controllerFrom(sub) {
        const first = sub.items[0];
        if (first?.type === TlvType.Signature && first.value.length > 36)
          throw new Halt('a buffer of 36 bytes');
        return ok.controllerFrom(sub);
      },
    }),
  ),
  fault(
    'stored-before-the-signature-check',
    {
      breaks: ['PS-M5-17', 'PS-M5-13'],
      story: 'the controller of M5 is stored first, and nobody takes it out when its signature does not hold',
    },
    () => ({ storesBeforeCheck: true }),
  ),
  fault(
    'pairing-reserved-at-m4',
    {
      breaks: ['PS-M5-17'],
      story: 'M4 makes the entry of the new pairing, and an empty entry counts as paired',
    },
    () => ({ reservesEntryAtM4: () => true }),
  ),
  fault(
    'm6-sends-other-id',
    {
      breaks: ['PS-M6-02', 'PV-M2-01'],
      story: 'Pair Setup formats the accessory id in lower case, Pair Verify in upper case',
    },
    (ok) => ({
      ownIdentifier: (step, id) =>
        step === 'setup-m6' ? utf8(text(id).toLowerCase()) : ok.ownIdentifier(step, id),
    }),
  ),
  fault(
    'm3-malformed-answered',
    { breaks: ['PS-M3-08', 'PS-M3-09'], story: 'what M3 lacks is noticed and M4 goes out all the same' },
    () => ({ refusesMalformedM3: false }),
  ),
  fault('m4-carries-the-salt', { breaks: ['PS-M3-18'], story: 'M4 is built on the items of M2' }, (ok) => ({
    beforeSending: (reply) =>
      reply.step === 'setup-m4' && succeeds(reply)
        ? [...ok.beforeSending(reply), tlv(TlvType.Salt, new Uint8Array(Length.salt))]
        : ok.beforeSending(reply),
  })),
  fault(
    'error-carries-the-proof',
    {
      breaks: ['PS-ERR-01', 'PS-M3-04'],
      story: 'the proof of the accessory goes out before that of the controller was looked at',
    },
    (ok) => ({
      beforeSending: (reply) =>
        reply.step === 'setup-m4' && fails(reply) && reply.serverProof !== undefined
          ? [...ok.beforeSending(reply), tlv(TlvType.Proof, reply.serverProof)]
          : ok.beforeSending(reply),
    }),
  ),
  fault(
    'errors-say-8',
    {
      breaks: ['PS-ERR-05', 'TLV-06'],
      story: 'error codes of the own program go out instead of the protocol’s',
    },
    (ok) => ({
      beforeSending: (reply) =>
        ok.beforeSending(reply).map((item) => (item.type === TlvType.Error ? tlv(item.type, 8) : item)),
    }),
  ),
  ...firstMessage(
    'm5-first-under-zero-key',
    'M5 is taken as the first message, when K is still 64 zero bytes',
    zeroSecret,
  ),
  ...firstMessage(
    'm5-first-always-answered',
    'M5 is taken as the first message, and its tag is not looked at',
    noSecret,
  ),
];

function firstMessage(name: string, story: string, secret: Uint8Array): Fault[] {
  const answersAll = secret === noSecret;
  return [
    fault(
      name,
      { breaks: ['PS-STATE-02', ...(answersAll ? ['PS-STATE-05'] : [])], story },
      (ok: Behaviour) => ({
        secretForM5: (exchange) =>
          ok.secretForM5(exchange) ?? (exchange.after === 'nothing' ? secret : undefined),
        ...(answersAll && {
          refusesUnopenedM5: (exchange: { after: string }) =>
            exchange.after !== 'nothing' && ok.refusesUnopenedM5(exchange as never),
        }),
      }),
    ),
  ];
}
