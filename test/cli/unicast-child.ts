/**
 * A responder on loopback that answers QU questions alone, to whoever asks alone; and what a run would make of it. Writes
 * what was asked, and whether it was found.
 */
import { NetworkAnnouncements } from '../../harness/device/index.js';
import { utf8 } from '../../harness/protocol/index.js';
import { Mdns, type MdnsRecord, multicastInterfaces } from '../../harness/wire/index.js';

const TYPE = '_hap._tcp.local';
const NAME = `Lamp 2.0.${TYPE}`;
const kept = { ttl: 120, flush: false };
const records: readonly MdnsRecord[] = [
  { type: 'PTR', name: TYPE, ...kept, data: NAME },
  { type: 'SRV', name: NAME, ...kept, data: { target: 'lamp.local', port: 51_826 } },
  { type: 'TXT', name: NAME, ...kept, data: [utf8('id=AA:BB:CC:DD:EE:FF')] },
  { type: 'A', name: 'lamp.local', ...kept, data: '127.0.0.1' },
];

const asked: Record<'plain' | 'unicast', number> = { plain: 0, unicast: 0 };
void new Mdns(multicastInterfaces('127.0.0.1'), {
  query: (questions, _known, answer) => {
    const own = questions.find(({ name }) => name === TYPE);
    if (own === undefined) return;
    asked[own.unicastWanted ? 'unicast' : 'plain']++;
    if (own.unicastWanted) answer(records);
  },
});
const announcements = new NetworkAnnouncements('127.0.0.1', 51_826);
await announcements.listen(() => undefined);
const unheard = await announcements.unheard('unicast-wanted');
const alone = await announcements.current('unicast-wanted');
const phone = await announcements.current('as-phones-begin');
// Nobody answers that: what is asked is enough.
void announcements.current('unicast-wanted-of-others');
await new Promise((resolve) => setTimeout(resolve, 500));
console.log(JSON.stringify({ unheard, alone: alone?.name, phone: phone?.name, asked }));
process.exit(0);
