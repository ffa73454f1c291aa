import { counterNonce, labelNonce, open } from './aead.js';
import { type Bytes, concat, equal, fromHex, hex, text, utf8 } from './bytes.js';
import { Length } from './constants.js';
import { verifySignature } from './identity.js';
import { type KeyLabel, type SessionKeys, hkdfSha512, keyLabels, sha512 } from './key-schedule.js';

/**
 * Known mistakes, tried on bytes that are there already: nothing is sent. Where sealed data, a signature or a proof of
 * an accessory is wrong, what it did in the place of the rule is often one thing, and the whole answer.
 */

/** One value a mistaken accessory may have taken, in words that go on from "it opens with" or "it holds over". */
type Trial<T> = readonly [words: string, value: T];

const nonceLabels = [
  'PS-Msg02',
  'PS-Msg04',
  'PS-Msg05',
  'PS-Msg06',
  'PV-Msg01',
  'PV-Msg02',
  'PV-Msg03',
  'PV-Msg04',
];
const nothing = new Uint8Array(0);
/** Bytes of sealed data beyond which nothing is tried: hundreds of trials of what a hostile accessory sends take their time. */
const LONGEST = 2048;

/** The first pair of departures, or single one, that opens; what departs least is tried first. */
function firstThatOpens(
  sealed: Bytes,
  right: { readonly key: Bytes; readonly nonce: Bytes; readonly aad: Bytes },
  keys: readonly Trial<Bytes>[],
  nonces: readonly Trial<Bytes>[],
  aads: readonly Trial<Bytes>[],
): string | undefined {
  const opens = (key: Bytes, nonce: Bytes, aad: Bytes): boolean =>
    open(key, nonce, sealed, aad) !== undefined;
  for (const [words, nonce] of nonces) if (opens(right.key, nonce, right.aad)) return words;
  for (const [words, key] of keys) if (opens(key, right.nonce, right.aad)) return words;
  for (const [words, aad] of aads) if (opens(right.key, right.nonce, aad)) return words;
  for (const [first, nonce] of nonces) {
    for (const [second, key] of keys) if (opens(key, nonce, right.aad)) return `${first} and ${second}`;
    for (const [second, aad] of aads) if (opens(right.key, nonce, aad)) return `${first} and ${second}`;
  }
  for (const [first, key] of keys)
    for (const [second, aad] of aads) if (opens(key, right.nonce, aad)) return `${first} and ${second}`;
  return undefined;
}

/** What EncryptedData of a pairing message was to be sealed with. */
export interface SealingRule {
  readonly label: KeyLabel;
  /** Eight characters. */
  readonly nonce: string;
  /** What the key is derived from, and its name: K (64 bytes), or the X25519 shared secret (32 bytes). */
  readonly secret: Trial<Bytes>;
  /** What else the key may have been derived from. */
  readonly others?: readonly Trial<Bytes>[];
}

/** The keys that mistakes in HKDF come to, 32 bytes each. */
function mistakenKeys({ label, secret: [name, secret], others = [] }: SealingRule): Trial<Bytes>[] {
  const { salt, info } = keyLabels[label];
  const from = (ikm: Bytes, key: KeyLabel = label): Bytes => {
    const labels = keyLabels[key];
    return hkdfSha512(ikm, labels.salt, labels.info);
  };
  const [firstHalf, text] = [secret.subarray(0, 32), utf8(hex(secret))];
  return [
    ...(Object.keys(keyLabels) as KeyLabel[])
      .filter((other) => other !== label)
      .map((other): Trial<Bytes> => [`the key ${other}`, from(secret, other)]),
    ...others.map(([other, value]): Trial<Bytes> => [
      `a key derived from ${other} in the place of ${name}`,
      from(value),
    ]),
    ['a key derived with salt and info exchanged', hkdfSha512(secret, info, salt)],
    ['a key derived without a salt', hkdfSha512(secret, '', info)],
    ['a key derived without an info', hkdfSha512(secret, salt, '')],
    ['a key derived with the salt as info too', hkdfSha512(secret, salt, salt)],
    [`a key derived from ${name} as hexadecimal text`, from(text)],
    [`a key derived from ${name} backwards`, from(secret.slice().reverse())],
    [`the first 32 bytes of ${name} as key`, firstHalf],
    ...(secret.length > 32
      ? [
          [`the last 32 bytes of ${name} as key`, secret.subarray(-32)] as const,
          [`a key derived from the first 32 bytes of ${name}`, from(firstHalf)] as const,
        ]
      : []),
  ];
}

/**
 * How EncryptedData that does not open by the rule was sealed, in words that go on from "it opens with"; undefined when no
 * known mistake opens it.
 */
export function howSealed(sealed: Bytes, rule: SealingRule): string | undefined {
  if (sealed.length > LONGEST) return undefined;
  const { salt, info } = keyLabels[rule.label];
  const label = utf8(rule.nonce);
  const nonces: Trial<Bytes>[] = [
    ...nonceLabels
      .filter((other) => other !== rule.nonce)
      .map((other): Trial<Bytes> => [`the nonce ${other}`, labelNonce(other)]),
    [`the nonce ${rule.nonce} in front of its four zero bytes`, concat(label, new Uint8Array(4))],
    [`the nonce ${rule.nonce} in lower case`, labelNonce(rule.nonce.toLowerCase())],
    [`the nonce ${rule.nonce} backwards`, labelNonce([...rule.nonce].reverse().join(''))],
    ['a nonce of zero bytes', new Uint8Array(12)],
    ['a counter as nonce, 1', counterNonce(1n)],
  ];
  const aads: Trial<Bytes>[] = [
    [`${rule.nonce} as additional data`, label],
    ['the State item as additional data', Uint8Array.of(6, 1, Number(rule.nonce.at(-1)))],
    [
      'the length as additional data',
      Uint8Array.of((sealed.length - Length.tag) & 0xff, (sealed.length - Length.tag) >> 8),
    ],
  ];
  const right = { key: hkdfSha512(rule.secret[1], salt, info), nonce: labelNonce(rule.nonce), aad: nothing };
  return firstThatOpens(sealed, right, mistakenKeys(rule), nonces, aads);
}

/** What was to be joined and signed or hashed: each part with its name, and other values it may have had. */
export interface Part {
  readonly name: string;
  readonly value: Bytes;
  readonly others?: readonly Trial<Bytes>[];
}

/** All orders of all parts, then of fewer of them; the right one is not left out. */
function orders<T>(parts: readonly T[]): T[][] {
  if (parts.length === 0) return [[]];
  const all = parts.flatMap((part, i) =>
    orders(parts.filter((_, j) => j !== i)).map((rest) => [part, ...rest]),
  );
  const fewer = parts.flatMap((_, i) => orders(parts.filter((__, j) => j !== i)));
  return [...all, ...fewer].filter((order) => order.length > 0);
}

/** How parts were joined where what was made of them holds, in words that go on from "it holds over". */
function howJoined(parts: readonly Part[], holds: (joined: Bytes) => boolean): string | undefined {
  const say = (order: readonly Part[]): string => order.map(({ name }) => name).join(' | ');
  const tried = new Set<string>();
  const first = (candidates: readonly (readonly Part[])[]): string | undefined => {
    for (const order of candidates) {
      const joined = concat(...order.map(({ value }) => value));
      const key = hex(joined);
      if (tried.has(key)) continue;
      tried.add(key);
      if (holds(joined)) return say(order);
    }
    return undefined;
  };
  const replaced = parts.flatMap((part, i) =>
    (part.others ?? []).map(([name, value]) => parts.map((own, j) => (i === j ? { name, value } : own))),
  );
  return first(orders(parts)) ?? first(replaced) ?? first(replaced.flatMap((some) => orders(some)));
}

/** Forms in which an identifier is mistaken for the one that was sent. */
export function identifierForms(id: Bytes): Trial<Bytes>[] {
  const written = text(id);
  const forms: Trial<string>[] = [
    ['Identifier in lower case', written.toLowerCase()],
    ['Identifier in upper case', written.toUpperCase()],
    ['Identifier without its colons', written.replaceAll(':', '')],
    ['Identifier with a zero byte behind it', `${written}\0`],
  ];
  const digits = written.replaceAll(':', '');
  return [
    ...forms.filter(([, form]) => form !== written).map(([words, form]): Trial<Bytes> => [words, utf8(form)]),
    ...(/^([0-9a-f]{2}){6}$/i.test(digits) ? [['Identifier as 6 raw bytes', fromHex(digits)] as const] : []),
  ];
}

/** Over what a signature that does not hold by the rule was made; undefined when no known mistake explains it. */
export function howSigned(ltpk: Bytes, signature: Bytes, parts: readonly Part[]): string | undefined {
  return howJoined(parts, (joined) => verifySignature(ltpk, joined, signature));
}

/** Over what a proof that is none was made: SHA-512 of it is the proof; undefined when no known mistake explains it. */
export function howProven(proof: Bytes, parts: readonly Part[]): string | undefined {
  return howJoined(parts, (joined) => equal(sha512(joined), proof));
}

/** Whether bytes begin with a frame that is sealed under one of these keys as the first of a session. */
export function isEarlyFrame(bytes: Bytes, keys: readonly SessionKeys[]): boolean {
  if (bytes.length < 2 + Length.tag) return false;
  const header = bytes.subarray(0, 2);
  const end = 2 + header[0]! + header[1]! * 256 + Length.tag;
  if (bytes.length < end || end > LONGEST) return false;
  const sealed = bytes.subarray(2, end);
  return keys.some(({ toController }) => open(toController, counterNonce(0n), sealed, header) !== undefined);
}

/** How one frame that does not open with a counter was sealed, in words that go on from "it opens with". */
export function howFramed(
  wire: Bytes,
  counter: bigint,
  { toController, toAccessory }: SessionKeys,
): string | undefined {
  if (wire.length > LONGEST) return undefined;
  const [header, sealed] = [wire.subarray(0, 2), wire.subarray(2)];
  const bigEndian = (at: number): Bytes => {
    const out = new Uint8Array(12);
    new DataView(out.buffer).setBigUint64(at, counter);
    return out;
  };
  const inFront = concat(counterNonce(counter).subarray(4), new Uint8Array(4));
  const near = [1n, -1n, 2n, -2n].map((step) => counter + step).filter((other) => other >= 0n);
  const counters = [...new Set([...near, 0n])].filter((other) => other !== counter);
  const nonces: Trial<Bytes>[] = [
    ...counters.map((other): Trial<Bytes> => [`counter ${other}`, counterNonce(other)]),
    ...(counter === 0n
      ? []
      : ([
          ['the counter as a big-endian number', bigEndian(4)],
          ['the counter in front of the four zero bytes', inFront],
          ['the counter in front of the four zero bytes, big-endian', bigEndian(0)],
        ] as const)),
  ];
  const whole = header[0]! + header[1]! * 256 + Length.tag;
  const aads: Trial<Bytes>[] = [
    ['no additional data', nothing],
    ['the length as a big-endian number as additional data', header.slice().reverse()],
    ['the length with the tag as additional data', Uint8Array.of(whole & 0xff, whole >> 8)],
  ];
  const right = { key: toController, nonce: counterNonce(counter), aad: header };
  const keys: Trial<Bytes>[] = [['the key of the other direction', toAccessory]];
  return firstThatOpens(sealed, right, keys, nonces, aads);
}
