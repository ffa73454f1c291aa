import {
  AIRPLAY_CODE,
  AirPlayFeature,
  AirPlayStatus,
  type ChipKind,
  FeatureFlag,
  Method,
  TlvError,
  TlvType,
  authenticationItems,
  hex,
} from '../../protocol/index.js';
import { header } from '../../wire/index.js';
import { type Behaviour, healthy } from '../behaviour.js';
import { controlKeys, mfiChallenge } from '../crypto.js';
import { mfiChip } from './mfi-chip.js';

/** What an accessory is beside the protocol all of them share: whose paths, headers and codes it has. */
export interface Dress {
  readonly kind: 'hap' | 'airplay';
  /** AirPlay: what a regular Pair Setup asks for in the place of the default code; a transient one is refused then. */
  readonly secret?: 'pin' | 'password';
  /** Its authentication coprocessor, where it has one. */
  readonly mfi?: ChipKind;
}

export const hapDress: Dress = { kind: 'hap' };
export const airplayDress: Dress = { kind: 'airplay' };
export const mfiDress: Dress = { kind: 'hap', mfi: 'rsa' };

const administration: Readonly<Record<string, number>> = {
  '/pair-add': Method.AddPairing,
  '/pair-remove': Method.RemovePairing,
  '/pair-list': Method.ListPairings,
};
const own: ReadonlySet<string> = new Set(['/pair-setup', '/pair-verify', '/pair-pin-start', '/info', '*']);

function featureBits(bits: readonly number[]): bigint {
  return bits.reduce((sum, bit) => sum | (1n << BigInt(bit)), 0n);
}

/**
 * `features` as receivers write them: two words, the low one first and always of eight digits. A client that puts the
 * digits of the high word before those of the low one reads other bits otherwise.
 */
function features(value: bigint): string {
  const word = (number: bigint): string => number.toString(16).toUpperCase();
  return `0x${word(value & 0xffff_ffffn).padStart(8, '0')},0x${word(value >> 32n)}`;
}

/** What a loudspeaker plays, tells of it and is timed by: bits that have nothing to do with pairing. */
const loudspeaker = [9, 11, 14, 18, 19, 20, 22, 30, 40, 41];
const { Encryption, SystemPairing, HomeKitPairing, TransientPairing } = AirPlayFeature;
const receiverBits = featureBits([
  ...loudspeaker,
  Encryption,
  SystemPairing,
  HomeKitPairing,
  TransientPairing,
]);

/** What a receiver tells of itself at /info, as a property list. */
function propertyList({ id, ltpk }: { id: string; ltpk: Uint8Array }, flags: number, bits: bigint): string {
  const entries = {
    deviceID: `<string>${id}</string>`,
    features: `<integer>${bits}</integer>`,
    macAddress: `<string>${id}</string>`,
    model: '<string>hapspec1,1</string>',
    name: '<string>hapspec receiver</string>',
    pk: `<data>${btoa(String.fromCharCode(...ltpk))}</data>`,
    protocolVersion: '<string>1.1</string>',
    sourceVersion: '<string>377.25.06</string>',
    statusFlags: `<integer>${flags}</integer>`,
  };
  const lines = Object.entries(entries).map(([key, value]) => `<key>${key}</key>${value}`);
  return `<?xml version="1.0" encoding="UTF-8"?><plist version="1.0"><dict>${lines.join('')}</dict></plist>`;
}

/** An AirPlay receiver (seed 001): served to whoever knows the code, paired or not, to many at a time. */
function airplay({ secret, mfi }: Dress): Behaviour {
  const asks = { pin: AirPlayStatus.PinRequired, password: AirPlayStatus.PasswordRequired, none: 0 };
  const flags = AirPlayStatus.AudioCable | asks[secret ?? 'none'];
  const bits = receiverBits | (mfi === undefined ? 0n : featureBits([AirPlayFeature.MfiPairSetup]));
  return {
    ...healthy,
    route: (path) => (own.has(path) ? path : path in administration ? '/pairings' : '/unknown'),
    pairingsMethod: (path) => administration[path],
    information: (facts) => propertyList(facts, flags, bits),
    responseVersion: (request) => request,
    answeringHeaders(request) {
      const sequence = header(request, 'CSeq');
      return [
        ['Server', 'AirTunes/377.25.06'],
        ...(sequence === undefined ? [] : [['CSeq', sequence] as const]),
      ];
    },
    contentType: () => 'application/octet-stream',

    refusesSetup(request) {
      const error = healthy.refusesSetup({ ...request, paired: false });
      if (error !== undefined || secret === undefined) return error;
      const { message } = request;
      const method = message.get(TlvType.Method)?.[0] ?? Method.PairSetup;
      const { transient } = healthy.setupMode({ method, flags: message.get(TlvType.Flags) });
      return transient ? TlvError.Authentication : undefined;
    },
    // A second controller pairs beside the first one.
    refusesLateM5: () => undefined,
    setupContention: 'parallel',
    setupMode: ({ flags }) => {
      const { transient } = healthy.setupMode({ method: Method.PairSetup, flags });
      return { transient, split: false };
    },
    password: (code, failedAttempts, mode) =>
      mode.transient ? AIRPLAY_CODE : healthy.password(code, failedAttempts, mode),
    transientKeys: controlKeys,
    transientStatus: ({ path }) => (path === '/pairings' || path.startsWith('/pair-') ? 403 : undefined),

    announces({ id, ltpk, addresses, port }) {
      return {
        addresses,
        port,
        txt: [
          ['acl', '0'],
          ['deviceid', id],
          ['features', features(bits)],
          ['flags', `0x${flags.toString(16)}`],
          ['model', 'hapspec1,1'],
          ['pk', hex(ltpk)],
          ['pw', secret === 'password' ? 'true' : 'false'],
          ['srcvers', '377.25.06'],
        ],
      };
    },
  };
}

/** The accessory as the protocol wants it, in this dress. */
export function healthyIn(dress: Dress): Behaviour {
  const plain = dress.kind === 'airplay' ? airplay(dress) : healthy;
  return dress.mfi === undefined ? plain : withChip(plain, dress.mfi);
}

/** The accessory with a coprocessor, which it announces. */
function withChip(plain: Behaviour, kind: ChipKind): Behaviour {
  return {
    ...plain,
    setupMethods: [Method.PairSetup, Method.PairSetupWithAuth],
    authentication({ method, K }) {
      if (method !== Method.PairSetupWithAuth) return undefined;
      const chip = mfiChip(kind);
      return authenticationItems(chip.sign(mfiChallenge(K)), chip.container);
    },
    announces(facts) {
      const { txt, ...place } = plain.announces(facts);
      return { ...place, txt: txt.map(([key, value]) => [key, withMfi(key, value)]) };
    },
  };
}

/** A value of the TXT record with the bit of the coprocessor set. */
function withMfi(key: string, value: string): string {
  return key === 'ff' ? String(Number(value) | FeatureFlag.Coprocessor) : value;
}
