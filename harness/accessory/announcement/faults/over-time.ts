import { type Bytes, utf8 } from '../../../protocol/index.js';
import { type Fault, fault } from '../../faults/fault.js';
import type { Said } from '../announcement.js';
import { says } from './txt.js';

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

/** What is announced over time, and how questions are answered. */
export const overTimeFaults: readonly Fault[] = [
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
    'unicast-wanted-is-no-class',
    {
      breaks: ['MDNS-12'],
      fieldBug: 166,
      story: 'QCLASS is compared with 1, and is 0x8001 where the answer may come by unicast',
    },
    () => ({ isAnnounced: ({ asked }) => asked !== 'unicast-wanted' && asked !== 'as-phones-begin' }),
  ),
  fault(
    'known-answers-silence-unicast',
    {
      breaks: ['MDNS-12'],
      story:
        'what is known is crossed out of the answer to all, and the unicast one is made of what was crossed out',
    },
    () => ({ isAnnounced: ({ asked }) => asked !== 'as-phones-begin' }),
  ),
  fault(
    'unknown-class-spoils-the-message',
    {
      breaks: ['MDNS-12'],
      fieldBug: 166,
      story: 'a message is thrown away with the first question in it whose class is none the parser knows',
    },
    () => ({
      isAnnounced: ({ asked }) =>
        !['unicast-wanted', 'as-phones-begin', 'unicast-wanted-of-others'].includes(asked ?? ''),
    }),
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
