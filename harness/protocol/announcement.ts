import { type Bytes, text, utf8 } from './bytes.js';
import { sha512 } from './key-schedule.js';
import type { Primitives } from './primitives.js';

/** TXT record of a service: keys in lower case, as DNS-SD compares them (RFC 6763 §6.4). */
export type Txt = ReadonlyMap<string, string>;

/** Most entries read of one record: the protocols use a dozen, and what is announced is anybody's. */
export const MAX_TXT_ENTRIES = 64;
/** Longest entry read, in bytes; the length byte of DNS allows no more. */
export const MAX_TXT_ENTRY = 255;

/**
 * `key=value` strings as they came. The first of two equal keys counts, one without `=` has an empty value, and what
 * has no key is passed over (RFC 6763 §6.4). Malformed UTF-8 becomes U+FFFD. Never throws.
 */
export function readTxt(entries: readonly Bytes[]): Txt {
  const txt = new Map<string, string>();
  for (const entry of entries.slice(0, MAX_TXT_ENTRIES)) {
    const line = text(entry.subarray(0, MAX_TXT_ENTRY));
    const at = line.indexOf('=');
    const key = (at < 0 ? line : line.slice(0, at)).toLowerCase();
    if (key !== '' && !txt.has(key)) txt.set(key, at < 0 ? '' : line.slice(at + 1));
  }
  return txt;
}

/** The strings of a TXT record. */
export function writeTxt(entries: readonly (readonly [key: string, value: string])[]): Bytes[] {
  return entries.map(([key, value]) => utf8(`${key}=${value}`).subarray(0, MAX_TXT_ENTRY));
}

/** Bits of `ff`. */
export const FeatureFlag = {
  /** An Apple authentication coprocessor: Pair Setup with Method 1. */
  Coprocessor: 1,
  /** Software authentication: a transient Pair Setup and a split one. */
  Software: 2,
} as const;

/** Bits of `sf`. */
export const StatusFlag = { NotPaired: 1, NoWifi: 2, Problem: 4 } as const;

/** A decimal number as TXT values hold them, or undefined. */
export function txtNumber(value: string | undefined): number | undefined {
  return value !== undefined && /^\d{1,10}$/.test(value) ? Number(value) : undefined;
}

function bitsInWords(value: number, names: readonly string[]): string[] {
  const known = names.filter((_, bit) => (value >>> bit) & 1);
  const rest = Math.floor(value / 2 ** names.length) * 2 ** names.length;
  return rest === 0 ? known : [...known, `unknown bits 0x${rest.toString(16)}`];
}

/** `sf` in words. */
export function statusInWords(sf: number): string[] {
  const words = bitsInWords(sf, ['not paired', 'not on Wi-Fi', 'problem detected']);
  return (sf & StatusFlag.NotPaired) === 0 ? ['paired', ...words] : words;
}

/** `ff` in words. */
export function featuresInWords(ff: number): string[] {
  return bitsInWords(ff, ['authentication coprocessor', 'software authentication']);
}

const categories: readonly string[] = [
  '',
  'other',
  'bridge',
  'fan',
  'garage door opener',
  'lightbulb',
  'door lock',
  'outlet',
  'switch',
  'thermostat',
  'sensor',
  'security system',
  'door',
  'window',
  'window covering',
  'programmable switch',
  'range extender',
  'IP camera',
  'video doorbell',
  'air purifier',
  'heater',
  'air conditioner',
  'humidifier',
  'dehumidifier',
  'Apple TV',
  'HomePod',
  'speaker',
  'AirPort',
  'sprinkler',
  'faucet',
  'shower system',
  'television',
  'remote control',
  'router',
];

/** `ci` in words. */
export function categoryInWords(ci: number): string {
  return categories[ci] || `category ${ci}`;
}

/** `features` of AirPlay: one number or two of 32 bits, the low one first, in hexadecimal; undefined for anything else. */
export function airplayFeatures(value: string): bigint | undefined {
  const match = /^0x([0-9a-f]{1,16})(?:,0x([0-9a-f]{1,8}))?$/i.exec(value);
  if (match === null || (match[2] !== undefined && match[1]!.length > 8)) return undefined;
  return BigInt(`0x${match[1]!}`) | (BigInt(`0x${match[2] ?? '0'}`) << 32n);
}

/** Bits of AirPlay's `features` that pairing depends on. */
export const AirPlayFeature = {
  Encryption: 38,
  SystemPairing: 43,
  HomeKitPairing: 46,
  TransientPairing: 48,
  MfiPairSetup: 51,
} as const;

/** Bits of AirPlay's status `flags`. */
export const AirPlayStatus = {
  AudioCable: 4,
  PinRequired: 8,
  PasswordRequired: 0x80,
  OneTimePairing: 0x200,
} as const;

/** The default code of AirPlay (seed 001). */
export const AIRPLAY_CODE = '3939';

/** One bit of `features`; false where they are not announced. */
export function airplayBit(txt: Txt, bit: number): boolean {
  const features = airplayFeatures(txt.get('features') ?? '') ?? 0n;
  return ((features >> BigInt(bit)) & 1n) === 1n;
}

/** True where a transient Pair Setup with the default code has to work: nothing asks for a PIN, a password or a member of the home. */
export function declaresTransient(txt: Txt): boolean {
  const { SystemPairing, TransientPairing } = AirPlayFeature;
  const { PinRequired, PasswordRequired, OneTimePairing } = AirPlayStatus;
  const flags = Number(/^0x[0-9a-f]{1,8}$/i.test(txt.get('flags') ?? '') ? txt.get('flags') : 0);
  const barred = (flags & (PinRequired | PasswordRequired | OneTimePairing)) !== 0;
  const password = /^(1|true)$/i.test(txt.get('pw') ?? '');
  const everybody = (txt.get('acl') ?? '0') === '0';
  return (
    (airplayBit(txt, SystemPairing) || airplayBit(txt, TransientPairing)) && !barred && !password && everybody
  );
}

const airplayBits: readonly (readonly [bit: bigint, words: string])[] = [
  [14n, 'FairPlay'],
  [26n, 'MFi authentication'],
  [27n, 'legacy pairing'],
  [38n, 'encryption'],
  [43n, 'system pairing'],
  [46n, 'HomeKit pairing'],
  [48n, 'transient pairing'],
  [51n, 'MFi Pair Setup'],
];

/** The bits of AirPlay's `features` that pairing depends on. */
export function airplayFeaturesInWords(features: bigint): string[] {
  return airplayBits.filter(([bit]) => ((features >> bit) & 1n) === 1n).map(([, words]) => words);
}

/** `sh`: Base64 of the first 4 bytes of SHA-512 over the setup id and the accessory's id. */
export function setupHash(setupId: string, id: string, by?: Primitives): string {
  return btoa(String.fromCharCode(...sha512(utf8(setupId + id), by).subarray(0, 4)));
}
