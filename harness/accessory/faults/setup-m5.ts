import { Length, TlvType, concat, lengthBytes, labelNonce, open, tlv, utf8 } from '../../protocol/index.js';
import type { Behaviour } from '../behaviour.js';
import { type Fault, fault } from './fault.js';
import { fails, succeeds } from './items.js';

const zeroSecret = new Uint8Array(64);
const noSecret = new Uint8Array(64).fill(0xa5);

/** Other nonces that open M5 too, label first included. */
const otherNonces = [
  ...['PS-Msg04', 'PS-Msg06', 'PV-Msg03'].map(labelNonce),
  concat(utf8('PS-Msg05'), new Uint8Array(4)),
];

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
