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
} from '../protocol/index.js';
import { controlKeys, mfiChallenge } from './crypto.js';
import { header } from '../wire/index.js';
import { type Behaviour, healthy } from './behaviour.js';
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

/** `features` as AirPlay writes them: two words, the low one first. */
function features(bits: readonly number[]): string {
  const value = bits.reduce((sum, bit) => sum | (1n << BigInt(bit)), 0n);
  return [value & 0xffff_ffffn, value >> 32n].map((word) => `0x${word.toString(16).toUpperCase()}`).join();
}

/** An AirPlay receiver (seed 001): served to whoever knows the code, paired or not, to many at a time. */
function airplay({ secret }: Dress): Behaviour {
  return {
    ...healthy,
    route: (path) => (own.has(path) ? path : path in administration ? '/pairings' : '/unknown'),
    pairingsMethod: (path) => administration[path],
    information: ({ id, ltpk }) =>
      `<?xml version="1.0"?><plist version="1.0"><dict><key>deviceID</key><string>${id}</string><key>name</key><string>hapspec receiver</string><key>pk</key><string>${hex(ltpk)}</string></dict></plist>`,
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
      const { Encryption, SystemPairing, HomeKitPairing, TransientPairing } = AirPlayFeature;
      const asks = { pin: AirPlayStatus.PinRequired, password: AirPlayStatus.PasswordRequired, none: 0 };
      const flags = AirPlayStatus.AudioCable | asks[secret ?? 'none'];
      return {
        addresses,
        port,
        txt: [
          ['acl', '0'],
          ['deviceid', id],
          ['features', features([14, Encryption, SystemPairing, HomeKitPairing, TransientPairing])],
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
  if (key === 'ff') return String(Number(value) | FeatureFlag.Coprocessor);
  if (key !== 'features') return value;
  const [low = '0x0', high = '0x0'] = value.split(',');
  return `${low},0x${(BigInt(high) | (1n << BigInt(AirPlayFeature.MfiPairSetup - 32))).toString(16).toUpperCase()}`;
}
