import {
  PairingFlag,
  Permission,
  TlvError,
  TlvType,
  airplayFeatures,
  decodeTlv,
  hex,
  tlv,
} from '../../../protocol/index.js';
import { type HttpMessage, header } from '../../../wire/index.js';
import type { AnnouncedFacts } from '../../announcement/announcement.js';
import type { Behaviour } from '../../behaviour.js';
import { controlKeys, splitKeys } from '../../crypto.js';
import { type Fault, fault as plainFault } from '../../faults/fault.js';
import { fails } from '../../faults/items.js';
import { departures } from '../../pairings/faults/removals.js';
import { airplayDress } from '../dress.js';

/** A mistake of an AirPlay receiver. */
function fault(
  name: string,
  about: Pick<Fault, 'breaks' | 'story' | 'fieldBug'>,
  change: Fault['change'],
): Fault {
  return plainFault(name, { ...about, dress: airplayDress }, change);
}

/** The TXT record with another value of one key. */
function says(key: string, value: (facts: AnnouncedFacts, right: string) => string): Fault['change'] {
  return (ok) => ({
    announces(facts) {
      const { txt, ...place } = ok.announces(facts);
      return {
        ...place,
        txt: txt.map(([name, right]) => [name, name === key ? value(facts, right) : right]),
      };
    },
  });
}

/** What becomes of requests that a handler was not written for. */
function turnsAway(
  test: (message: HttpMessage) => boolean,
  how: ReturnType<Behaviour['admits']>,
): Fault['change'] {
  return (ok) => ({ admits: (request) => (test(request.message) ? how : ok.admits(request)) });
}

/** Some administrator. */
const somebody = { id: new Uint8Array(36).fill(0x41), permissions: Permission.Admin };

/** Serves administration to whoever asks. */
function administers(transient: boolean): Fault['change'] {
  return (ok) => ({
    transientStatus: (request) =>
      transient && request.path === '/pairings' ? undefined : ok.transientStatus(request),
    servesAs: (request) =>
      request.path === '/pairings' && request.verified === undefined && request.transient === transient
        ? somebody
        : ok.servesAs(request),
    isAdmin: (pairing, requester, step) => requester === somebody || ok.isAdmin(pairing, requester, step),
  });
}

/** Mistakes of receivers of AirPlay, beyond those they share with accessories. */
export const airplayFaults: readonly Fault[] = [
  ...departures.map(({ name, story, change }) =>
    fault(`receiver-${name}`, { breaks: ['PAIRINGS-18', 'PAIRINGS-19'], story }, change),
  ),
  fault(
    'receiver-removal-refused',
    {
      breaks: ['PAIRINGS-12', 'PAIRINGS-18', 'PAIRINGS-19'],
      story: 'Remove demands what no controller sends: it is told Error=2, whoever it is about',
    },
    (ok) => ({
      removes: () => false,
      beforeSending: (reply) =>
        reply.step === 'pairings-remove' && !fails(reply)
          ? [tlv(TlvType.State, 2), tlv(TlvType.Error, TlvError.Authentication)]
          : ok.beforeSending(reply),
    }),
  ),
  fault(
    'receiver-stores-nothing',
    { breaks: ['PV-M3-01'], story: 'M6 is written before anything is stored, and nothing ever is' },
    () => ({ storesController: () => false }),
  ),
  fault(
    'receiver-admits-anybody',
    {
      breaks: ['PV-M3-02', 'PV-M3-03'],
      story:
        'Pair Verify goes through its motions: nobody was stored or can be administered, and whoever comes is let in',
    },
    (ok) => ({
      storesController: () => false,
      lookUp: (id, facts) => ok.lookUp(id, facts) ?? { ...somebody, id, ltpk: new Uint8Array(32) },
      signatureHolds: (claim) => claim.step === 'verify-m3' || ok.signatureHolds(claim),
      route: (path) => (ok.route(path) === '/pairings' ? '/unknown' : ok.route(path)),
    }),
  ),
  fault(
    'receiver-knows-rtsp-only',
    { breaks: ['AIRPLAY-01'], story: 'the parser of start lines knows RTSP/1.0 and nothing else' },
    turnsAway(({ version }) => version === 'HTTP/1.1', 400),
  ),
  fault(
    'receiver-knows-http-only',
    { breaks: ['AIRPLAY-01'], story: 'pairing runs on a web server, and RTSP begins behind it' },
    turnsAway(({ version, path }) => version === 'RTSP/1.0' && path.startsWith('/pair'), 'close'),
  ),
  fault(
    'receiver-drops-cseq',
    { breaks: ['AIRPLAY-02'], story: 'answers of pairing are written without the headers of RTSP' },
    () => ({ answeringHeaders: () => [] }),
  ),
  fault(
    'receiver-counts-cseq-itself',
    { breaks: ['AIRPLAY-02'], story: 'CSeq is the number of the answer, not that of the request' },
    () => ({ answeringHeaders: () => [['CSeq', '1']] }),
  ),
  fault(
    'receiver-announces-transient',
    {
      breaks: ['AIRPLAY-03', 'TRANSIENT-02'],
      story: 'features were copied from another product, and Flags of M1 are passed over',
    },
    () => ({ setupMode: () => ({ transient: false, split: false }) }),
  ),
  fault(
    'receiver-features-decimal',
    { breaks: ['AIRPLAY-03'], story: 'features are printed in decimal digits' },
    says('features', (_facts, right) => String(airplayFeatures(right))),
  ),
  fault(
    'receiver-flags-decimal',
    { breaks: ['AIRPLAY-03'], story: 'status flags are printed in decimal digits' },
    says('flags', (_facts, right) => String(Number(right))),
  ),
  fault(
    'receiver-pk-of-the-boot',
    { breaks: ['AIRPLAY-04'], story: 'pk is a key drawn at the start, not the one that signs' },
    says('pk', ({ boot }) => hex(boot).padEnd(64, '0')),
  ),
  fault(
    'receiver-pk-base64',
    { breaks: ['AIRPLAY-04'], story: 'pk is written in Base64' },
    says('pk', ({ ltpk }) => btoa(String.fromCharCode(...ltpk))),
  ),
  fault(
    'receiver-split-names',
    { breaks: ['AIRPLAY-05'], story: 'the keys behind a transient M4 go by the names of HAP', fieldBug: 134 },
    () => ({ transientKeys: splitKeys }),
  ),
  fault(
    'receiver-counts-from-one',
    { breaks: ['TRANSIENT-02'], story: 'the counter goes up before it is used' },
    (ok) => ({ frameCounter: (place) => ok.frameCounter(place) + 1n }),
  ),
  fault(
    'receiver-one-setup-at-a-time',
    { breaks: ['AIRPLAY-06'], story: 'there is one Pair Setup, and a second sender is told to wait' },
    () => ({ setupContention: 'busy' }),
  ),
  fault(
    'receiver-latest-setup-only',
    {
      breaks: ['AIRPLAY-06'],
      story: 'the SRP session is a global variable: the second sender takes it over',
    },
    () => ({ setupContention: 'take-over' }),
  ),
  fault(
    'receiver-closed-when-paired',
    { breaks: ['AIRPLAY-07'], story: 'Pair Setup was taken from a HAP accessory: paired means unavailable' },
    (ok) => ({ refusesSetup: (request) => (request.paired ? 6 : ok.refusesSetup(request)) }),
  ),
  fault(
    'receiver-administered-by-anybody',
    { breaks: ['AIRPLAY-08'], story: 'the paths of administration never ask for a session' },
    administers(false),
  ),
  fault(
    'receiver-administered-by-guests',
    { breaks: ['TRANSIENT-03'], story: 'an encrypted connection may administer, whoever opened it' },
    administers(true),
  ),
  fault(
    'receiver-goes-by-method',
    { breaks: ['AIRPLAY-09'], story: 'the three paths share a handler that goes by Method' },
    () => ({ pairingsMethod: () => undefined }),
  ),
  fault(
    'receiver-pin-start-unanswered',
    {
      breaks: ['AIRPLAY-10'],
      fieldBug: 133,
      story: '/pair-pin-start has no handler, and what has none gets no answer',
    },
    turnsAway(({ path }) => path === '/pair-pin-start', 'silence'),
  ),
  fault(
    'receiver-waits-for-its-header',
    { breaks: ['AIRPLAY-11'], story: 'Flags without X-Apple-HKP 4 fall between the two branches' },
    turnsAway(
      (message) =>
        message.path === '/pair-setup' &&
        header(message, 'X-Apple-HKP') !== '4' &&
        decodeTlv(message.body).get(TlvType.Flags)?.[0] === PairingFlag.Transient,
      'silence',
    ),
  ),
  fault(
    'receiver-takes-any-proof',
    { breaks: ['TRANSIENT-04'], story: 'the default code is known to all, so its proof is not compared' },
    (ok) => ({ proofMatches: (claim) => claim.mode.transient || ok.proofMatches(claim) }),
  ),
  fault(
    'receiver-derives-twice',
    { breaks: ['PV-M3-01'], story: 'the keys of a session are derived from one that was derived already' },
    (ok) => ({ sessionKeys: (shared) => controlKeys(ok.sessionKeys(shared).toAccessory) }),
  ),
  fault(
    'known-name-refused-and-stored',
    {
      breaks: ['AIRPLAY-12'],
      story: 'the entry of a controller that pairs again is written before it is asked whether it may',
    },
    (ok) => ({
      storesBeforeCheck: true,
      refusesLateM5: (late) => (late.known ? TlvError.Unavailable : ok.refusesLateM5(late)),
    }),
  ),
  fault(
    'known-name-said-to-be-stored',
    {
      breaks: ['AIRPLAY-12'],
      story: 'M6 is sent to a controller that pairs again, and its old entry stays',
    },
    (ok) => ({ storesController: (late) => !late.known && ok.storesController(late) }),
  ),
];
