import type { TlvType } from '../protocol/index.js';

/** One dress of the protocol: what differs between transports that share the machinery. No check branches on it. */
export interface Profile {
  readonly name: 'hap';
  readonly paths: { readonly setup: string; readonly verify: string; readonly pairings: string };
  /** Media type of pairing requests. */
  readonly mediaType: string;
  /** Media types a pairing response may carry. */
  readonly responseTypes: readonly string[];
  /** Status of a response refused for want of a verified session; the first is the reference. */
  readonly unauthorised: readonly number[];
}

export const hapProfile: Profile = {
  name: 'hap',
  paths: { setup: '/pair-setup', verify: '/pair-verify', pairings: '/pairings' },
  mediaType: 'application/pairing+tlv8',
  responseTypes: ['application/pairing+tlv8'],
  unauthorised: [470, 401, 400, 403, 404],
};

/** The answer each step must get: its State and what a success carries (seed 002 §2, §3, §7). */
export const steps = {
  'setup-m2': { state: 2, items: ['Salt', 'PublicKey'] },
  'setup-m4': { state: 4, items: ['Proof'] },
  'setup-m6': { state: 6, items: ['EncryptedData'] },
  'verify-m2': { state: 2, items: ['PublicKey', 'EncryptedData'] },
  'verify-m4': { state: 4, items: [] },
  'pairings-add': { state: 2, items: [] },
  'pairings-remove': { state: 2, items: [] },
  'pairings-list': { state: 2, items: ['Identifier', 'PublicKey', 'Permissions'] },
} as const satisfies Record<string, { state: number; items: readonly (keyof typeof TlvType)[] }>;
export type Step = keyof typeof steps;
