import { type Bytes, hex, isZero, utf8 } from '../../protocol/index.js';
import type { Behaviour } from '../behaviour.js';
import { setupHash } from '../crypto.js';
import { type Fault, fault } from '../faults/fault.js';
import { type AnnouncedFacts, SETUP_ID, type Said } from './announcement.js';

/** The TXT record with another value of one key; undefined leaves the key out. */
function says(
  key: string,
  value: (facts: AnnouncedFacts, right: string) => string | undefined,
): Fault['change'] {
  return (ok) => ({
    announces(facts) {
      const { txt, ...place } = ok.announces(facts);
      const changed = txt.flatMap(([name, right]): [string, string][] => {
        const other = name === key ? value(facts, right) : right;
        return other === undefined ? [] : [[name, other]];
      });
      return { ...place, txt: changed };
    },
  });
}

/** Announced from elsewhere than where it listens. */
function isAt(
  place: (facts: AnnouncedFacts) => Partial<Pick<AnnouncedFacts, 'addresses' | 'port'>>,
): Fault['change'] {
  return (ok) => ({ announces: (facts) => ok.announces({ ...facts, ...place(facts) }) });
}

/** Six octets as an id is written. */
function octets(bytes: Uint8Array): string {
  return hex(bytes).toUpperCase().match(/../g)!.join(':');
}

/** What is said behind each change of the pairings: milliseconds, and what. */
function inRounds(...rounds: readonly (readonly [delay: number, what: Said['what']])[]): Fault['change'] {
  return (ok) => ({
    says: (occurrence) =>
      occurrence.cause === 'pairings'
        ? rounds.map(([delay, what]) => ({ delay, what }))
        : ok.says(occurrence),
  });
}

function isCalled(name: Bytes): Fault['change'] {
  return (ok) => ({ announces: (facts) => ({ ...ok.announces(facts), name }) });
}

const late: Partial<Behaviour> = {
  says: ({ cause }) => (cause === 'pairings' ? [{ delay: 30_000, what: 'now' }] : []),
};

export const announcementFaults: readonly Fault[] = [
  fault(
    'announces-no-category',
    { breaks: ['MDNS-01'], story: 'ci is set by the app, and the app never does' },
    says('ci', () => undefined),
  ),
  fault(
    'announces-port-0',
    {
      breaks: ['MDNS-01', 'MDNS-07'],
      story: 'the port of the configuration is announced, and that was 0: the system chose another',
    },
    isAt(() => ({ port: 0 })),
  ),
  fault(
    'not-announced-when-paired',
    {
      breaks: ['MDNS-01'],
      story: 'the responder is stopped behind Pair Setup, as that of the Wi-Fi setup before was',
    },
    () => ({ isAnnounced: ({ pairings }) => pairings.length === 0 }),
  ),
  fault(
    'announces-address-0',
    {
      breaks: ['MDNS-07'],
      story: 'the address the socket is bound to is announced, and that is 0.0.0.0',
    },
    isAt(({ addresses }) => ({ addresses: [...addresses, '0.0.0.0'] })),
  ),
  fault(
    'announces-a-multicast-address',
    {
      breaks: ['MDNS-07'],
      story: 'the address of the mDNS group is taken for the address of the interface',
    },
    isAt(({ addresses }) => ({ addresses: ['224.0.0.251', ...addresses] })),
  ),
  fault(
    'announces-other-interface',
    {
      breaks: ['MDNS-07'],
      fieldBug: 115,
      story: 'every address of the machine is announced, and it listens on one of them',
    },
    // 127.0.0.2 stands for the other interface: nobody listens there.
    isAt(({ addresses }) => ({ addresses: [...addresses, '127.0.0.2'] })),
  ),
  fault(
    'announces-id-of-its-network-card',
    {
      breaks: ['MDNS-07', 'PS-M6-02'],
      story: 'the TXT record takes the MAC address for id, Pair Setup the one that was drawn',
    },
    says('id', () => '02:00:5E:10:00:01'),
  ),
  fault(
    'announces-id-without-colons',
    { breaks: ['MDNS-02'], story: 'the id is announced as twelve digits' },
    says('id', (_facts, right) => right.replaceAll(':', '')),
  ),
  fault(
    'configuration-number-0',
    { breaks: ['MDNS-02'], fieldBug: 113, story: 'c# begins with 0' },
    says('c#', () => '0'),
  ),
  fault(
    'state-number-0',
    { breaks: ['MDNS-02'], story: 's# is a zero that nobody ever raises' },
    says('s#', () => '0'),
  ),
  fault(
    'status-flags-with-more-bits',
    { breaks: ['MDNS-02'], fieldBug: 112, story: 'a flag of the firmware’s own is kept in bit 3 of sf' },
    says('sf', (_facts, right) => String(Number(right) | 8)),
  ),
  fault(
    'feature-flags-in-hexadecimal',
    { breaks: ['MDNS-02'], story: 'ff is written as AirPlay writes its features' },
    says('ff', () => '0x0'),
  ),
  fault(
    'category-by-name',
    { breaks: ['MDNS-02'], story: 'ci holds the name of the category' },
    says('ci', () => 'lightbulb'),
  ),
  fault(
    'protocol-version-of-the-firmware',
    { breaks: ['MDNS-02'], story: 'pv is the version of the firmware, all three numbers of it' },
    says('pv', () => '1.1.0'),
  ),
  fault(
    'model-left-empty',
    { breaks: ['MDNS-02'], story: 'the model was never filled in' },
    says('md', () => ''),
  ),
  fault(
    'setup-hash-in-hexadecimal',
    { breaks: ['MDNS-02'], story: 'sh is hexadecimal instead of Base64' },
    says('sh', (_facts, right) => hex(Uint8Array.from(atob(right), (character) => character.charCodeAt(0)))),
  ),
  fault(
    'status-stays-free',
    {
      breaks: ['MDNS-03'],
      fieldBug: 111,
      story: 'sf is written once, at the start, as it is for a new accessory',
    },
    says('sf', () => '1'),
  ),
  fault(
    'status-stays-paired',
    { breaks: ['MDNS-03'], fieldBug: 110, story: 'sf follows a pairing, and not its removal' },
    says('sf', ({ everPaired }) => (everPaired ? '0' : '1')),
  ),
  fault(
    'status-told-late',
    {
      breaks: ['MDNS-03'],
      fieldBug: 110,
      story: 'a change waits for the next announcement, one every half minute',
    },
    () => late,
  ),
  fault(
    'status-flips-with-every-change',
    { breaks: ['MDNS-03'], story: 'each change of the pairings inverts bit 0 of sf' },
    says('sf', ({ changes }) => (changes % 2 === 0 ? '1' : '0')),
  ),
  fault(
    'status-follows-the-attempt',
    {
      breaks: ['MDNS-03'],
      story: 'sf is cleared when somebody begins to pair, and a failure does not set it again',
    },
    says('sf', ({ failedAttempts }, right) => (failedAttempts > 0 ? '0' : right)),
  ),
  fault(
    'id-drawn-at-each-start',
    { breaks: ['MDNS-04'], story: 'the announced id is drawn at the start and not kept' },
    says('id', ({ boot }) => octets(isZero(boot) ? boot.map(() => 1) : boot)),
  ),
  fault(
    'id-changes-with-the-owner',
    {
      breaks: ['MDNS-04'],
      story: 'an id is announced for each owner, so that nobody can follow the accessory',
    },
    says('id', ({ pairings }, right) => (pairings.length === 0 ? right : `02${right.slice(2)}`)),
  ),
  fault(
    'id-counts-the-owners',
    { breaks: ['MDNS-04'], story: 'the last octet of the id is the number of pairings' },
    says('id', ({ pairings }, right) => right.slice(0, -2) + String(pairings.length).padStart(2, '0')),
  ),
  fault(
    'configuration-number-counts-pairings',
    {
      breaks: ['MDNS-05'],
      fieldBug: 113,
      story: 'c# is raised whenever something is stored, and a pairing is',
    },
    says('c#', ({ changes }) => String(1 + changes)),
  ),
  fault(
    'configuration-number-drawn-at-each-start',
    {
      breaks: ['MDNS-05'],
      fieldBug: 113,
      story: 'c# is drawn at the start, so that every controller reads anew',
    },
    says('c#', ({ boot }) => String(1 + boot[0]! + 256 * (boot[1]! & 0x7f))),
  ),
  fault(
    'announces-a-coprocessor',
    {
      breaks: ['MDNS-06'],
      fieldBug: 114,
      story: 'ff was copied from an accessory with an authentication coprocessor',
    },
    says('ff', () => '1'),
  ),
  fault(
    'announces-software-authentication',
    {
      breaks: ['MDNS-06', 'TRANSIENT-02'],
      story: 'bit 1 of ff is set, and Pair Setup knows no flags',
    },
    () => ({ setupMode: () => ({ transient: false, split: false }) }),
  ),
  fault(
    'setup-hash-of-the-id-in-lower-case',
    { breaks: ['MDNS-08'], fieldBug: 155, story: 'sh is made of the MAC address as the system writes it' },
    says('sh', ({ id }) => setupHash(SETUP_ID, id.toLowerCase())),
  ),
  fault(
    'setup-hash-of-another-setup-id',
    {
      breaks: ['MDNS-08'],
      fieldBug: 155,
      story: 'the setup id of the firmware is the one of the example, the label has its own',
    },
    says('sh', ({ id }) => setupHash('OTHR', id)),
  ),
  fault(
    'setup-hash-of-id-and-setup-id',
    { breaks: ['MDNS-08'], story: 'id and setup id are hashed in the wrong order' },
    says('sh', ({ id }) => setupHash(id, SETUP_ID)),
  ),
  fault(
    'category-is-not-that-of-the-label',
    { breaks: ['MDNS-08'], story: 'ci says that it is a bridge, the label was printed for a lightbulb' },
    says('ci', () => '2'),
  ),
  fault(
    'category-moves-with-the-owner',
    {
      breaks: ['MDNS-09'],
      fieldBug: 161,
      story: 'ci is that of the first service, and there are more of them once it is paired',
    },
    says('ci', ({ pairings }, right) => (pairings.length === 0 ? right : '2')),
  ),
  fault(
    'feature-flags-end-with-pairing',
    {
      breaks: ['MDNS-09'],
      story: 'the record that is written anew when it is paired lacks the feature flags',
    },
    says('ff', ({ pairings }, right) => (pairings.length === 0 ? right : '0')),
  ),
  fault(
    'configuration-number-falls-with-the-owner',
    {
      breaks: ['MDNS-09'],
      fieldBug: 161,
      story: 'the removal of the last pairing clears the storage, c# is in it',
    },
    says('c#', ({ everPaired, pairings }) => (everPaired && pairings.length === 0 ? '1' : '7')),
  ),
  fault(
    'goodbye-while-somebody-pairs',
    {
      breaks: ['MDNS-10'],
      fieldBug: 162,
      story: 'the responder is restarted when Pair Setup begins, and takes the service back first',
    },
    (ok) => ({
      says: (occurrence) =>
        occurrence.cause === 'setup' && occurrence.stage === 'm2'
          ? [
              { delay: 0, what: 'goodbye' },
              { delay: 1_500, what: 'now' },
            ]
          : ok.says(occurrence),
    }),
  ),
  fault(
    'goodbye-behind-m6',
    {
      breaks: ['MDNS-10'],
      fieldBug: 162,
      story: 'the service of an accessory that was free is taken back behind the new one of the same name',
    },
    (ok) => ({
      says: (occurrence) => [
        ...ok.says(occurrence),
        ...(occurrence.cause === 'pairings' && occurrence.pairings.length === 1
          ? [{ delay: 100, what: 'goodbye' } as const]
          : []),
      ],
    }),
  ),
  fault(
    'announced-for-two-minutes',
    {
      breaks: ['MDNS-10'],
      fieldBug: 163,
      story:
        'the socket leaves the multicast group with its lease of two minutes, and joins it with the next round',
    },
    () => ({ isAnnounced: ({ sinceSaid }) => sinceSaid <= 120_000 || sinceSaid > 135_000 }),
  ),
  fault(
    'announces-what-was-before',
    {
      breaks: ['MDNS-11'],
      fieldBug: 110,
      story: 'the record is sent before the pairing is stored, and anew with the next round',
    },
    inRounds([0, 'before'], [2_000, 'before'], [4_000, 'now']),
  ),
  fault(
    'status-falls-back',
    {
      breaks: ['MDNS-11'],
      story: 'the repetition of an announcement is a copy of the one before the change',
    },
    inRounds([0, 'now'], [1_000, 'before'], [3_000, 'now']),
  ),
  fault(
    'removal-announced-as-pairing',
    {
      breaks: ['MDNS-11'],
      story: 'behind the last Remove the old record is confirmed until the storage is written',
    },
    (ok) => ({
      says: (occurrence) =>
        occurrence.cause === 'pairings' && occurrence.pairings.length === 0
          ? [
              { delay: 1_500, what: 'before' },
              { delay: 3_000, what: 'now' },
            ]
          : ok.says(occurrence),
    }),
  ),
  fault(
    'status-cleared-by-the-right-code',
    {
      breaks: ['MDNS-12'],
      story: 'sf says paired from the right proof on, and there is nothing that M5 could fail of any more',
    },
    says('sf', ({ stage }, right) => (stage === 'm4' ? '0' : right)),
  ),
  fault(
    'unanswered-while-somebody-pairs',
    {
      breaks: ['MDNS-12'],
      fieldBug: 162,
      story: 'the responder shares a thread with Pair Setup, and has its turn when that has ended',
    },
    () => ({ isAnnounced: ({ asked, stage }) => asked === undefined || stage === 'nothing' }),
  ),
  fault(
    'answers-one-question-a-message',
    {
      breaks: ['MDNS-12'],
      story:
        'the first question of a message is read, and the message thrown away when it asks for something else',
    },
    () => ({ isAnnounced: ({ asked }) => asked !== 'with-others' }),
  ),
  fault(
    'known-answers-silence-all',
    {
      breaks: ['MDNS-12'],
      story: 'an answer that is known already is looked for by its type alone, whatever it names',
    },
    () => ({ isAnnounced: ({ asked }) => asked !== 'with-known-answers' }),
  ),
  fault(
    'name-with-its-terminator',
    { breaks: ['MDNS-13'], story: 'the name is announced with the zero byte that ends it in memory' },
    isCalled(utf8('Lamp\0')),
  ),
  fault(
    'name-in-latin-1',
    { breaks: ['MDNS-13'], story: 'the name is kept in the charset of the tool that wrote the firmware' },
    isCalled(Uint8Array.from([0x4b, 0xfc, 0x63, 0x68, 0x65])),
  ),
  fault(
    'name-of-70-bytes',
    { breaks: ['MDNS-13'], story: 'characters of the name are counted, and not its bytes' },
    isCalled(utf8('ü'.repeat(35))),
  ),
];
