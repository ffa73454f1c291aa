import { type Bytes, hex, utf8 } from './bytes.js';
import { remembered } from './memo.js';
import { ours } from './ours.js';
import type { Primitives } from './primitives.js';

/** Every HKDF-SHA-512 label pair of the protocol (seed 002 §4, seed 001, erratum E08). Outputs are 32 bytes. */
export const keyLabels = {
  /** Seals M5, M6 and the MFi data of M4; input K. */
  'Pair-Setup-Encrypt': { salt: 'Pair-Setup-Encrypt-Salt', info: 'Pair-Setup-Encrypt-Info' },
  /** ControllerX (iOSDeviceX); input K. */
  'Pair-Setup-Controller-Sign': {
    salt: 'Pair-Setup-Controller-Sign-Salt',
    info: 'Pair-Setup-Controller-Sign-Info',
  },
  /** AccessoryX; input K. */
  'Pair-Setup-Accessory-Sign': {
    salt: 'Pair-Setup-Accessory-Sign-Salt',
    info: 'Pair-Setup-Accessory-Sign-Info',
  },
  /** Challenge signed by the authentication coprocessor; input K. */
  'MFi-Pair-Setup': { salt: 'MFi-Pair-Setup-Salt', info: 'MFi-Pair-Setup-Info' },
  /** Seals M2 and M3 of Pair Verify; input the X25519 shared secret. */
  'Pair-Verify-Encrypt': { salt: 'Pair-Verify-Encrypt-Salt', info: 'Pair-Verify-Encrypt-Info' },
  /** Frames from controller to accessory. */
  'Control-Write': { salt: 'Control-Salt', info: 'Control-Write-Encryption-Key' },
  /** Frames from accessory to controller. */
  'Control-Read': { salt: 'Control-Salt', info: 'Control-Read-Encryption-Key' },
  /** Frames from accessory to controller after a transient M4 (HAP names). */
  'Split-Accessory': { salt: 'SplitSetupSalt', info: 'AccessoryEncrypt-Control' },
  /** Frames from controller to accessory after a transient M4 (HAP names). */
  'Split-Controller': { salt: 'SplitSetupSalt', info: 'ControllerEncrypt-Control' },
  /** AirPlay event channel. */
  'Events-Write': { salt: 'Events-Salt', info: 'Events-Write-Encryption-Key' },
  'Events-Read': { salt: 'Events-Salt', info: 'Events-Read-Encryption-Key' },
} as const;
export type KeyLabel = keyof typeof keyLabels;

/** SHA-512; 64 bytes. */
export function sha512(data: Bytes, by: Primitives = ours()): Bytes {
  return by.sha512(data);
}

/** HKDF-SHA-512 (RFC 5869) with texts as salt and info; `length` bytes, 32 in HAP. */
export function hkdfSha512(
  ikm: Bytes,
  salt: string,
  info: string,
  length = 32,
  by: Primitives = ours(),
): Bytes {
  return remembered(
    () => `${by.name} HKDF ${hex(ikm)} ${salt} ${info} ${length}`,
    () => by.hkdfSha512(ikm, utf8(salt), utf8(info), length),
  ).slice();
}

/** The 32-byte key of one label. */
export function deriveKey(label: KeyLabel, ikm: Bytes, by?: Primitives): Bytes {
  const { salt, info } = keyLabels[label];
  return hkdfSha512(ikm, salt, info, 32, by);
}

/** Keys of a secured session, named by who sends. */
export interface SessionKeys {
  /** Seals controller → accessory, 32 bytes. */
  readonly toAccessory: Bytes;
  /** Seals accessory → controller, 32 bytes. */
  readonly toController: Bytes;
}

/** Keys after a transient M4 under HAP's own names (erratum E08); `K` is the 64-byte key of Pair Setup. */
export function splitKeys(K: Bytes, by?: Primitives): SessionKeys {
  return {
    toAccessory: deriveKey('Split-Controller', K, by),
    toController: deriveKey('Split-Accessory', K, by),
  };
}

/** Keys after Pair Verify M4 (seed 002 §4); `shared` is the X25519 secret. */
export function controlKeys(shared: Bytes, by?: Primitives): SessionKeys {
  return {
    toAccessory: deriveKey('Control-Write', shared, by),
    toController: deriveKey('Control-Read', shared, by),
  };
}
