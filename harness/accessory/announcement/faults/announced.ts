import { hex, isZero } from '../../../protocol/index.js';
import type { Behaviour } from '../../behaviour.js';
import { type Fault, fault } from '../../faults/fault.js';
import type { AnnouncedFacts } from '../announcement.js';
import { says } from './txt.js';

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
];
