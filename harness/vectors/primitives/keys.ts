import { hkdf } from '@noble/hashes/hkdf.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256, sha512 as nobleSha512 } from '@noble/hashes/sha2.js';
import {
  type Bytes,
  concat,
  deriveKey,
  flipBit,
  fromHex,
  hkdfSha512,
  keyLabels,
  labelNonce,
  seal,
  stripLeadingZeros,
  utf8,
} from '../../protocol/index.js';
import { draft } from '../cases.js';
import { type Draft, type Generator, type GroupDraft, edit } from '../make.js';
import type { FlagName } from '../notes.js';

const alice =
  '5cbc219db052138ee1148c71cd4498963d682549ce91ca24f098468f06015beb6af245c2093f98c3651bca83ab8cab2b580bbf02184fefdf26142f73df95ac50';

/** Every label, with those of AirPlay's data stream and of resuming. */
const allLabels: Readonly<
  Record<string, { readonly salt: string; readonly info: string; readonly size?: number }>
> = {
  ...keyLabels,
  'Pair-Verify-ResumeSessionID': {
    salt: 'Pair-Verify-ResumeSessionID-Salt',
    info: 'Pair-Verify-ResumeSessionID-Info',
    size: 8,
  },
  'DataStream-Output': {
    salt: 'DataStream-Salt15014746994705656022',
    info: 'DataStream-Output-Encryption-Key',
  },
  'DataStream-Input': {
    salt: 'DataStream-Salt15014746994705656022',
    info: 'DataStream-Input-Encryption-Key',
  },
};

export const hkdfKeys: Generator = (random) =>
  Object.entries(allLabels).map(([label, { salt, info, size = 32 }], index): GroupDraft => {
    const verify = /^(Pair-Verify|Control|Events)/.test(label);
    const ikm = random.bytes(verify ? 32 : 64);
    const zero = random.bytes(ikm.length);
    zero[0] = 0;
    const key = (input: Bytes): Bytes => hkdfSha512(input, salt, info, size);
    const right = (comment: string, flags: readonly FlagName[], input: Bytes): Draft =>
      draft(comment, flags, 'valid', { ikm: input, size, key: key(input) });
    const wrong = (comment: string, op: string, made: Bytes, input = ikm): Draft =>
      draft(
        comment,
        op === 'stripped-ikm' ? ['WrongDerivation', 'LeadingZeroK'] : ['WrongDerivation'],
        'invalid',
        {
          ikm: input,
          size,
          key: made,
          right: key(input),
          edit: edit(op),
        },
      );
    const [saltBytes, infoBytes] = [utf8(salt), utf8(info)];
    const negatives = [
      wrong('SHA-256 in the place of SHA-512', 'sha256', hkdf(sha256, ikm, saltBytes, infoBytes, size)),
      wrong('salt and info swapped', 'swapped', hkdfSha512(ikm, info, salt, size)),
      wrong('no salt', 'no-salt', hkdfSha512(ikm, '', info, size)),
      wrong('no info', 'no-info', hkdfSha512(ikm, salt, '', size)),
      wrong('leading zero byte of the input dropped', 'stripped-ikm', key(stripLeadingZeros(zero)), zero),
      wrong('only the first half of the input', 'half-ikm', key(ikm.subarray(0, ikm.length / 2))),
      wrong(
        'salt and info with the NUL that ends a C string',
        'nul-terminated',
        hkdfSha512(ikm, `${salt}\0`, `${info}\0`, size),
      ),
      wrong(
        'extracted and not expanded',
        'extract-only',
        hmac(nobleSha512, saltBytes, ikm).subarray(0, size),
      ),
    ];
    // All mistakes on the labels everybody needs, two on each of the others.
    const every = ['Pair-Setup-Encrypt', 'Pair-Verify-Encrypt', 'Control-Write', 'Split-Controller'].includes(
      label,
    );
    const some = every ? negatives : [negatives[index % 8]!, negatives[(index + 3) % 8]!];
    return {
      type: 'HkdfLabel',
      parameters: { label, salt, info },
      tests: [
        right('drawn', ['Ordinary'], ikm),
        right('starts with a zero byte', ['LeadingZeroK'], zero),
        right('K of the known SRP exchange', ['KnownAnswer'], fromHex(alice)),
        ...some,
      ],
    };
  });

export const aead: Generator = (random) =>
  (['PS-Msg04', 'PS-Msg05', 'PS-Msg06', 'PV-Msg02', 'PV-Msg03'] as const).map(
    (label, index, all): GroupDraft => {
      const nonce = labelNonce(label);
      const one = (
        comment: string,
        flags: readonly FlagName[],
        key: Bytes,
        plaintext: Bytes,
        change?: { op: string; argument?: Parameters<typeof edit>[1]; make: (right: Bytes) => Bytes },
      ): Draft => {
        const right = seal(key, nonce, plaintext);
        return draft(comment, flags, change === undefined ? 'valid' : 'invalid', {
          ...{ key, nonce, plaintext, aad: '' },
          sealed: change === undefined ? right : change.make(right),
          right: change && right,
          edit: change && edit(change.op, change.argument),
        });
      };
      const key = random.bytes(32);
      const sub = random.bytes(151);
      const other = all[(index + 1) % all.length]!;
      const flipped = (comment: string, bit: number, flag: FlagName): Draft =>
        one(comment, [flag], key, sub, {
          op: 'flip',
          argument: { bit },
          make: (right) => flipBit(right, bit),
        });
      const aad = utf8(label);
      return {
        type: 'AeadLabel',
        parameters: { label },
        tests: [
          one(
            'the known answer of K',
            ['KnownAnswer'],
            deriveKey('Pair-Setup-Encrypt', fromHex(alice)),
            fromHex('0a0100090100'),
          ),
          ...[0, 1, 63, 64, 65, 101, 120, 151, 600].map((size) =>
            one(
              `${size} bytes`,
              size === 0 ? ['Boundary'] : ['Ordinary'],
              random.bytes(32),
              random.bytes(size),
            ),
          ),
          flipped('first bit of the ciphertext', 0, 'ModifiedCiphertext'),
          flipped('last bit of the ciphertext', 151 * 8 - 1, 'ModifiedCiphertext'),
          flipped('first bit of the tag', 151 * 8, 'ModifiedTag'),
          flipped('last bit of the tag', 167 * 8 - 1, 'ModifiedTag'),
          one('the last byte of the tag missing', ['ModifiedTag', 'Truncated'], key, sub, {
            op: 'cut',
            argument: { to: 166 },
            make: (right) => right.subarray(0, 166),
          }),
          one('no tag', ['ModifiedTag', 'Truncated'], key, sub, {
            op: 'cut',
            argument: { to: 151 },
            make: (right) => right.subarray(0, 151),
          }),
          one('shorter than a tag', ['ModifiedTag', 'Truncated'], key, sub, {
            op: 'cut',
            argument: { to: 15 },
            make: (right) => right.subarray(0, 15),
          }),
          one('nothing', ['Truncated'], key, sub, {
            op: 'cut',
            argument: { to: 0 },
            make: () => new Uint8Array(0),
          }),
          one('a byte behind the tag', ['ModifiedTag'], key, sub, {
            op: 'append',
            argument: { value: Uint8Array.of(0) },
            make: (right) => concat(right, Uint8Array.of(0)),
          }),
          one('the label in front of the four zero bytes', ['WrongNonce'], key, sub, {
            op: 'label-first',
            make: () => seal(key, concat(utf8(label), new Uint8Array(4)), sub),
          }),
          one(`sealed as ${other}`, ['WrongNonce'], key, sub, {
            op: 'other-label',
            argument: { text: other },
            make: () => seal(key, labelNonce(other), sub),
          }),
          one('the label as additional data', ['WrongAad'], key, sub, {
            op: 'with-aad',
            argument: { value: aad },
            make: () => seal(key, nonce, sub, aad),
          }),
          one('the tag in front', ['ModifiedTag'], key, sub, {
            op: 'tag-first',
            make: (right) => concat(right.slice(-16), right.slice(0, -16)),
          }),
        ],
      };
    },
  );
