import {
  type Bytes,
  FeatureFlag,
  type SessionKeys,
  type TlvType,
  type Txt,
  controlKeys,
  splitKeys,
  txtNumber,
} from '../protocol/index.js';
import type { HttpRequest } from '../wire/index.js';

/** Something an accessory may or may not be able to do, and says so. */
export type Feature = 'transient' | 'mfi';

/** How the keys of a transient session are named (erratum E08). */
export interface KeyNames {
  readonly name: string;
  /** K is 64 bytes. */
  readonly keys: (K: Bytes) => SessionKeys;
}

/** One dress of the protocol: what differs between transports that share the machinery. No check branches on it. */
export interface Profile {
  readonly name: 'hap';
  readonly paths: { readonly setup: string; readonly verify: string; readonly pairings: string };
  /** A resource that every session may read. */
  readonly resource: string;
  /** The first request behind a transient M4: whatever comes back in a frame proves keys and counters. */
  readonly hello: HttpRequest;
  /** The names of transient keys that are tried, the ones of this dress first. */
  readonly transientKeys: readonly KeyNames[];
  /** What the TXT record says of the features. */
  readonly declares: Readonly<Record<Feature, (txt: Txt) => boolean>>;
  /** A paired accessory serves Pair Setup all the same. */
  readonly servesPaired: boolean;
  /** PairSetupWithAuth may come with Flags: they are granted, or passed over. */
  readonly flagsWithAuth: 'granted' | 'ignored';
  /** Media type of pairing requests. */
  readonly mediaType: string;
  /** Media types a pairing response may carry. */
  readonly responseTypes: readonly string[];
  /** Status of a response refused for want of a verified session; the first is the reference. */
  readonly unauthorised: readonly number[];
}

const splitNames: KeyNames = { name: 'SplitSetupSalt', keys: splitKeys };
const controlNames: KeyNames = { name: 'Control-Salt', keys: controlKeys };

function featureBit(txt: Txt, bit: number): boolean {
  return ((txtNumber(txt.get('ff')) ?? 0) & bit) !== 0;
}

export const hapProfile: Profile = {
  name: 'hap',
  paths: { setup: '/pair-setup', verify: '/pair-verify', pairings: '/pairings' },
  resource: '/accessories',
  hello: { method: 'POST', path: '/secure-message', body: new Uint8Array(0) },
  transientKeys: [splitNames, controlNames],
  declares: {
    transient: (txt) => featureBit(txt, FeatureFlag.Software),
    mfi: (txt) => featureBit(txt, FeatureFlag.Coprocessor),
  },
  servesPaired: false,
  flagsWithAuth: 'ignored',
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
