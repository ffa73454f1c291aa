import { InputError } from '../../protocol/index.js';
import { announcementFaults } from '../announcement/faults/announced.js';
import { labelFaults } from '../announcement/faults/label.js';
import { overTimeFaults } from '../announcement/faults/over-time.js';
import { identityFaults } from '../device/faults.js';
import { airplayFaults } from '../dress/faults/airplay.js';
import { mfiFaults } from '../dress/faults/mfi.js';
import { httpFaults } from '../http/faults/index.js';
import { tlvFaults } from '../messages/faults.js';
import { pairingsFaults } from '../pairings/faults/index.js';
import { sessionFaults } from '../session/faults/index.js';
import { setupFaults } from '../setup/faults/index.js';
import { pairVerifyFaults } from '../verify/faults/index.js';
import seen from './also-seen.json' with { type: 'json' };
import { cloneFaults } from './clones.js';
import type { Fault } from './fault.js';
import { household } from './household.js';
import { securityFaults } from './security.js';
import { variants } from './variants.js';
import { zeroByteFaults } from './zero-bytes.js';

export * from './fault.js';
export * from './onlookers.js';
export { variants };

/** Every fault, by chapter; those of one machine stand beside it, and are summed up there. */
export const faults: readonly Fault[] = unique([
  ...tlvFaults,
  ...setupFaults,
  ...pairVerifyFaults,
  ...pairingsFaults,
  ...sessionFaults,
  ...httpFaults,
  ...zeroByteFaults,
  ...household,
  ...identityFaults,
  ...securityFaults,
  ...announcementFaults,
  ...labelFaults,
  ...overTimeFaults,
  ...airplayFaults,
  ...mfiFaults,
  ...cloneFaults,
]);

/** A fault or a benign variant. @throws InputError when there is none of that name. */
export function findFault(name: string): Fault {
  const found = [...faults, ...variants].find((fault) => fault.name === name);
  if (found === undefined)
    throw new InputError(
      `fault: there is none named "${name}"; \`hapspec accessory --list-faults\` shows them`,
    );
  return found;
}

/** Faults with what else sees them, each once. */
function unique(list: readonly Fault[]): readonly Fault[] {
  const names = new Set<string>();
  const also: Readonly<Record<string, Readonly<Record<string, string>>>> = seen;
  for (const { name } of list) {
    if (names.has(name)) throw new Error(`fault: two are named "${name}"`);
    names.add(name);
  }
  for (const name of Object.keys(also))
    if (!names.has(name)) throw new Error(`also-seen.json: there is no fault named "${name}"`);
  return list.map((fault) => ({ ...fault, ...(also[fault.name] && { alsoSeenBy: also[fault.name] }) }));
}
