import {
  AIRPLAY_CODE,
  AirPlayFeature,
  type Bytes,
  FeatureFlag,
  Length,
  Method,
  type SessionKeys,
  TlvType,
  type Txt,
  airplayBit,
  controlKeys,
  declaresTransient,
  decodeTlv,
  encodeTlv,
  listPairings,
  splitKeys,
  txtNumber,
} from '../protocol/index.js';
import type { HttpRequest } from '../wire/index.js';

/** Something an accessory may or may not be able to do, and says so. */
export type Feature = 'transient' | 'mfi';

/** What the user can say of an accessory: its features, and that it is a router, which nothing announces. */
export const declarable = ['transient', 'mfi', 'router'] as const;
export type Declarable = (typeof declarable)[number];

/** What a Pair Setup is headed for. */
export type SetupKind = 'transient' | 'regular';

/** How the keys of a transient session are named (erratum E08). */
export interface KeyNames {
  readonly name: string;
  /** K is 64 bytes. */
  readonly keys: (K: Bytes) => SessionKeys;
}

/** One dress of the protocol: what differs between transports that share the machinery. No check branches on it. */
export interface Profile {
  readonly name: 'hap' | 'airplay';
  /** What the checks call the resources; `route` says where they are. */
  readonly paths: { readonly setup: string; readonly verify: string; readonly pairings: string };
  /** Where a resource is in this dress; `body` is that of the request. */
  route(path: string, body: Bytes | undefined): string;
  readonly startLine: 'HTTP/1.1' | 'RTSP/1.0';
  /** Requests carry a CSeq, counted from 1 on each connection. */
  readonly numbered: boolean;
  /** Headers of every request of a transient Pair Setup, and of all other ones. */
  readonly headers: Readonly<Record<SetupKind, readonly (readonly [string, string])[]>>;
  /** The code of every transient Pair Setup; the setup code unless given. */
  readonly transientCode?: string;
  /** Asked before a regular Pair Setup whose code the user gave: the accessory shows it then. */
  readonly pinStart?: string;
  /** An HTTP status from 400 on is a whole refusal, with or without a TLV error. */
  readonly statusRefuses: boolean;
  /** A resource that every session may read. */
  readonly resource: string;
  /** What is asked in the place of `resource` where that is not served: any request proves a session. */
  readonly otherwise?: HttpRequest;
  /** Whether `resource` is not served, as the run has found: then `otherwise` is asked. */
  readonly lacksResource?: boolean;
  /** A request that is served in the session of an admin, and to nobody who has not verified. */
  readonly guarded: HttpRequest;
  /** The first request behind a transient M4: whatever comes back in a frame proves keys and counters. */
  readonly hello: HttpRequest;
  /** The names of transient keys that are tried, the ones of this dress first. */
  readonly transientKeys: readonly KeyNames[];
  /** What the TXT record says of the features. */
  readonly declares: Readonly<Record<Feature, (txt: Txt) => boolean>>;
  /** The form of an accessory's identifier. */
  readonly identifier: RegExp;
  /** Fewest bytes of a Salt: some drop the zero bytes it begins with. */
  readonly leastSalt: number;
  /** A paired accessory serves Pair Setup all the same. */
  readonly servesPaired: boolean;
  /** There may be no Add, Remove and List at all. */
  readonly optionalAdministration: boolean;
  /** Failed attempts are counted, and too many lock the accessory. */
  readonly countsAttempts: boolean;
  /** PairSetupWithAuth may come with Flags: they are granted, or passed over. */
  readonly flagsWithAuth: 'granted' | 'ignored';
  /** What becomes of PairSetupWithAuth where no coprocessor is announced: nobody asks for it there, so it may be silence. */
  readonly authUnannounced: 'answered' | 'any';
  /** Media type of pairing requests. */
  readonly mediaType: string;
  /** Media types a pairing response may carry. */
  readonly responseTypes: readonly string[];
  /** Status of a response refused for want of a verified session; the first is the reference. */
  readonly unauthorised: readonly number[];
}

const paths = { setup: '/pair-setup', verify: '/pair-verify', pairings: '/pairings' } as const;

const splitNames: KeyNames = { name: 'SplitSetupSalt', keys: splitKeys };
const controlNames: KeyNames = { name: 'Control-Salt', keys: controlKeys };

function featureBit(txt: Txt, bit: number): boolean {
  return ((txtNumber(txt.get('ff')) ?? 0) & bit) !== 0;
}

export const hapProfile: Profile = {
  name: 'hap',
  paths,
  route: (path) => path,
  startLine: 'HTTP/1.1',
  numbered: false,
  headers: { transient: [], regular: [] },
  statusRefuses: false,
  resource: '/accessories',
  guarded: { method: 'GET', path: '/accessories' },
  hello: { method: 'POST', path: '/secure-message', body: new Uint8Array(0) },
  transientKeys: [splitNames, controlNames],
  declares: {
    transient: (txt) => featureBit(txt, FeatureFlag.Software),
    mfi: (txt) => featureBit(txt, FeatureFlag.Coprocessor),
  },
  identifier: /^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$/,
  leastSalt: Length.salt,
  servesPaired: false,
  optionalAdministration: false,
  countsAttempts: true,
  flagsWithAuth: 'ignored',
  authUnannounced: 'answered',
  mediaType: 'application/pairing+tlv8',
  responseTypes: ['application/pairing+tlv8'],
  unauthorised: [470, 401, 400, 403, 404],
};

/** Where AirPlay has what HAP keeps under one path, by Method. */
const administration: Readonly<Record<number, string>> = {
  [Method.AddPairing]: '/pair-add',
  [Method.RemovePairing]: '/pair-remove',
  [Method.ListPairings]: '/pair-list',
};

function airplayRoute(path: string, body: Bytes | undefined): string {
  if (path === '/accessories') return '/info';
  if (path !== paths.pairings) return path;
  const method = body && decodeTlv(body).get(TlvType.Method)?.[0];
  return administration[method ?? Method.ListPairings] ?? '/pair-list';
}

/** What every server of RTSP answers. */
const options: HttpRequest = { method: 'OPTIONS', path: '*' };

const userAgent = ['User-Agent', 'AirPlay/950.7.1'] as const;

/** Pairing of AirPlay receivers (seed 001), over the start line given. */
export function airplayProfile(startLine: Profile['startLine'] = 'RTSP/1.0'): Profile {
  return {
    ...hapProfile,
    name: 'airplay',
    route: airplayRoute,
    startLine,
    numbered: true,
    headers: {
      transient: [userAgent, ['X-Apple-HKP', '4']],
      regular: [userAgent, ['X-Apple-HKP', '3']],
    },
    transientCode: AIRPLAY_CODE,
    pinStart: '/pair-pin-start',
    statusRefuses: true,
    resource: '/info',
    otherwise: options,
    // What a receiver tells of itself is for everybody.
    guarded: {
      method: 'POST',
      path: paths.pairings,
      headers: [['Content-Type', 'application/octet-stream']],
      body: encodeTlv(listPairings()),
    },
    hello: options,
    transientKeys: [controlNames, splitNames],
    declares: { transient: declaresTransient, mfi: (txt) => airplayBit(txt, AirPlayFeature.MfiPairSetup) },
    // A MAC address with or without colons, a UUID, sixteen digits: it is opaque.
    identifier: /^[^]{1,64}$/,
    leastSalt: Length.salt - 1,
    servesPaired: true,
    optionalAdministration: true,
    countsAttempts: false,
    flagsWithAuth: 'granted',
    authUnannounced: 'any',
    mediaType: 'application/octet-stream',
    // Receivers copy the request's type, leave it out, or say what the body is not: what counts is the body.
    responseTypes: [
      'application/octet-stream',
      'application/pairing+tlv8',
      'application/x-apple-binary-plist',
      '',
    ],
    unauthorised: [470, 401, 403, 400, 404, 405, 451, 455, 500, 501],
  };
}

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
