import {
  type Bytes,
  TlvType,
  authenticationItems,
  chipHash,
  concat,
  flipBit,
  tlv,
} from '../../../protocol/index.js';
import { controlKeys, mfiChallenge } from '../../crypto.js';
import { type Fault, fault as plainFault } from '../../faults/fault.js';
import { withoutItem } from '../../faults/items.js';
import { type Dress, mfiDress } from '../dress.js';
import { type MfiChip, mfiChip } from '../mfi-chip.js';

/** A mistake of an accessory with an authentication coprocessor. */
function fault(
  name: string,
  about: Pick<Fault, 'breaks' | 'story' | 'dress'>,
  change: Fault['change'],
): Fault {
  return plainFault(name, { dress: mfiDress, ...about }, change);
}

const p256: Dress = { kind: 'hap', mfi: 'ecdsa' };

/** What the coprocessor says, made otherwise. */
function says(
  make: (
    chip: MfiChip,
    exchange: { K: Bytes; former: Bytes | undefined },
  ) => { signature: Bytes; certificate?: Bytes },
  kind: MfiChip['kind'] = 'rsa',
): Fault['change'] {
  return (ok) => ({
    authentication(exchange) {
      if (ok.authentication(exchange) === undefined) return undefined;
      const chip = mfiChip(kind);
      const { signature, certificate = chip.container } = make(chip, exchange);
      return authenticationItems(signature, certificate);
    },
  });
}

/** What is signed, changed. */
function signs(what: (K: Bytes, former: Bytes | undefined) => Bytes): Fault['change'] {
  return says((chip, { K, former }) => ({ signature: chip.sign(what(K, former)) }));
}

/** The certificate, changed. */
function shows(change: (chip: MfiChip) => Bytes): Fault['change'] {
  return says((chip, { K }) => ({ signature: chip.sign(mfiChallenge(K)), certificate: change(chip) }));
}

const earlierChallenge = new Uint8Array(32).fill(0x33);

/** r and s as two INTEGERs, the way most libraries write a signature of ECDSA. */
function inDer(signature: Bytes): Bytes {
  const half = (part: Bytes): Bytes => concat(Uint8Array.of(2, part.length + 1, 0), part);
  const both = concat(half(signature.subarray(0, 32)), half(signature.subarray(32)));
  return concat(Uint8Array.of(0x30, both.length), both);
}

/** Mistakes around the authentication coprocessor. */
export const mfiFaults: readonly Fault[] = [
  fault(
    'mfi-not-asked',
    {
      breaks: ['PS-M1-11'],
      story: 'bit 0 of ff is set, PairSetupWithAuth is served, and nobody asks the chip',
    },
    () => ({ authentication: () => undefined }),
  ),
  fault(
    'mfi-nonce-of-m5',
    { breaks: ['MFI-01'], story: 'M4 is sealed with the nonce of the message after it' },
    (ok) => ({ nonceLabel: (step) => (step === 'setup-m4' ? 'PS-Msg05' : ok.nonceLabel(step)) }),
  ),
  fault(
    'mfi-sealed-with-session-key',
    { breaks: ['MFI-01'], story: 'M4 is sealed with the key of the session that is to come' },
    () => ({ authenticationKey: (K) => controlKeys(K).toController }),
  ),
  fault(
    'mfi-without-certificate',
    { breaks: ['MFI-02'], story: 'the certificate does not fit the buffer of M4, and is left out' },
    (ok) => ({
      beforeSealing: (step, items) =>
        step === 'setup-m4'
          ? withoutItem(ok.beforeSealing(step, items), TlvType.Certificate)
          : ok.beforeSealing(step, items),
    }),
  ),
  fault(
    'mfi-empty-signature',
    { breaks: ['MFI-02'], story: 'the chip does not answer in time, and its buffer goes out as it is' },
    says(() => ({ signature: new Uint8Array(0) })),
  ),
  fault(
    'mfi-certificate-twice',
    { breaks: ['MFI-02'], story: 'the certificate is written by the chip’s driver and by Pair Setup' },
    (ok) => ({
      beforeSealing(step, items) {
        const own = ok.beforeSealing(step, items);
        if (step !== 'setup-m4') return own;
        return [tlv(TlvType.Certificate, mfiChip('rsa').container), ...own];
      },
    }),
  ),
  fault(
    'mfi-certificate-padded',
    { breaks: ['MFI-03'], story: 'the certificate goes out at the size of its buffer' },
    shows(({ container }) => concat(container, new Uint8Array(16))),
  ),
  fault(
    'mfi-certificate-cut',
    {
      breaks: ['MFI-03'],
      story: 'the certificate is read by pages of 128 bytes, and the last one is forgotten',
    },
    shows(({ container }) => container.subarray(0, container.length - (container.length % 128))),
  ),
  fault(
    'mfi-signature-in-der',
    {
      breaks: ['MFI-03'],
      dress: p256,
      story: 'the signature of the new chip is written as the library of the old one wanted it',
    },
    says((chip, { K }) => ({ signature: inDer(chip.sign(mfiChallenge(K))) }), 'ecdsa'),
  ),
  fault(
    'mfi-signs-k',
    { breaks: ['MFI-04'], story: 'the chip signs K itself: the derivation was overlooked' },
    signs((K) => K),
  ),
  fault(
    'mfi-hashes-twice',
    { breaks: ['MFI-04'], story: 'the challenge is hashed for a chip that hashes by itself' },
    signs((K) => chipHash('rsa', mfiChallenge(K))),
  ),
  fault(
    'mfi-another-key',
    { breaks: ['MFI-04'], story: 'the certificate was read from one chip, and another one signs' },
    says((_chip, { K }) => ({ signature: mfiChip('rsa', 'another').sign(mfiChallenge(K)) })),
  ),
  fault(
    'mfi-signs-session-before',
    { breaks: ['MFI-05'], story: 'the chip is slow, so the signature was made ahead, for the setup before' },
    signs((K, former) => mfiChallenge(former ?? K)),
  ),
  fault(
    'mfi-signature-stored',
    { breaks: ['MFI-05'], story: 'the signature is made once in the factory and stored' },
    signs(() => earlierChallenge),
  ),
  fault(
    'mfi-unasked',
    { breaks: ['MFI-06'], story: 'whoever pairs gets the certificate, whether he asked or not' },
    (ok) => ({ authentication: (exchange) => ok.authentication({ ...exchange, method: 1 }) }),
  ),
  fault(
    'mfi-certificate-tampered',
    { breaks: ['MFI-07'], story: 'a bit of the certificate was lost in flash' },
    shows(({ certificate }) => flipBit(certificate, certificate.length * 8 - 9)),
  ),
  fault(
    'mfi-self-made-authority',
    { breaks: ['MFI-07'], story: 'the chip is a copy, its certificate from an authority of the same name' },
    says((_chip, { K }) => {
      const copy = mfiChip('rsa', 'another');
      return { signature: copy.sign(mfiChallenge(K)), certificate: copy.container };
    }),
  ),
  fault(
    'mfi-ends-with-m4',
    { breaks: ['MFI-08'], story: 'M5 looks for Method 0 in the M1 it belongs to' },
    (ok) => ({
      secretForM5: (exchange) => (exchange.method === 1 ? undefined : ok.secretForM5(exchange)),
    }),
  ),
  fault(
    'receiver-mfi-without-flags',
    {
      breaks: ['MFI-09'],
      dress: { kind: 'airplay', mfi: 'rsa' },
      story: 'PairSetupWithAuth was taken from a HAP accessory, where flags beside it are passed over',
    },
    (ok) => ({
      setupMode: ({ method, flags }) =>
        method === 1 ? { transient: false, split: false } : ok.setupMode({ method, flags }),
    }),
  ),
];
