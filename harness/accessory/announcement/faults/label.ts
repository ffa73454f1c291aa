import { LabelFlag } from '../../../protocol/index.js';
import { setupHash } from '../../crypto.js';
import { type Fault, fault } from '../../faults/fault.js';
import { SETUP_ID } from '../announcement.js';
import { says } from './txt.js';

/** What is printed on the device, and what is announced. */
export const labelFaults: readonly Fault[] = [
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
    'label-for-bluetooth',
    {
      breaks: ['MDNS-08'],
      story: 'the label is that of the product of the same name without Wi-Fi: it says Bluetooth, and not IP',
      label: { flags: LabelFlag.Ble },
    },
    () => ({}),
  ),
  fault(
    'setup-id-drawn-at-each-start',
    {
      breaks: ['MDNS-09', 'MDNS-14'],
      fieldBug: 164,
      story: 'the setup id is not among what is stored, and is drawn at each start',
    },
    says('sh', ({ id, restarted }, right) => (restarted ? setupHash('DRWN', id) : right)),
  ),
  fault(
    'setup-hash-outlives-reset',
    {
      breaks: ['MDNS-14'],
      story: 'sh is made once, at the start: behind a factory reset it belongs to the id from before',
    },
    says('sh', ({ firstId }) => setupHash(SETUP_ID, firstId)),
  ),
  fault(
    'setup-id-lost-by-reset',
    {
      breaks: ['MDNS-14'],
      story: 'the factory reset erases the setup id with everything else, and four zeros take its place',
    },
    says('sh', ({ id, firstId }, right) => (id === firstId ? right : setupHash('0000', id))),
  ),
  fault(
    'category-lost-by-reset',
    {
      breaks: ['MDNS-14'],
      story:
        'ci was configured when the device was made; behind a factory reset it is the default of the SDK',
    },
    says('ci', ({ id, firstId }, right) => (id === firstId ? right : '1')),
  ),
];
