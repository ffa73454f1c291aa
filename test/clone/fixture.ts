import type { Snapshot } from '../../harness/clone/index.js';
import { fromHex } from '../../harness/protocol/index.js';

/** The records HomeSpan prints for the seed 00…1f and a controller of the seed 20…3f. */
export const strings = {
  accessory:
    'QUE6QkI6Q0M6REQ6RUU6RkYAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHwOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=',
  controller:
    'AQEwMDAwMDAwMC0wMDAwLTQwMDAtODAwMC0wMDAwMDAwMDAwMDEprLrhQbzK8LIuGpTTTQvHNh5SbQv+EsiXlLyTIpZt1w==',
};

/** The bytes from one to another, both included. */
export function range(from: number, to: number): Uint8Array {
  return Uint8Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

export const fixture: Snapshot = {
  source: 'homespan',
  deviceId: new TextEncoder().encode('AA:BB:CC:DD:EE:FF'),
  ltsk: range(0x00, 0x1f),
  ltpk: fromHex('03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8'),
  controllers: [
    {
      id: new TextEncoder().encode('00000000-0000-4000-8000-000000000001'),
      ltpk: fromHex('29acbae141bccaf0b22e1a94d34d0bc7361e526d0bfe12c89794bc9322966dd7'),
      admin: true,
    },
  ],
};

/** What the command P prints, as it is. */
export const log = [
  '*** Pairing Data used for Cloning another Device',
  '',
  `Accessory data:  ${strings.accessory}`,
  `Controller data: ${strings.controller}`,
  '',
  '*** End Pairing Data',
  '',
].join('\n');
