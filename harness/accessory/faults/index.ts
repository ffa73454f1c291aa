import { InputError } from '../../protocol/index.js';
import type { Fault } from './fault.js';
import seen from './also-seen.json' with { type: 'json' };
import { airplayFaults } from './airplay.js';
import { announcementFaults } from './announcement.js';
import { httpFaults } from './http.js';
import { identityFaults } from './identity.js';
import { mfiFaults } from './mfi.js';
import { pairSetupFaults } from './pair-setup.js';
import { pairVerifyFaults } from './pair-verify.js';
import { pairingsFaults } from './pairings.js';
import { securityFaults } from './security.js';
import { sessionFaults } from './session.js';
import { setupM1Faults } from './setup-m1.js';
import { setupM3Faults } from './setup-m3.js';
import { setupM5Faults } from './setup-m5.js';
import { setupStateFaults } from './setup-states.js';
import { tlvFaults } from './tlv.js';
import { transientFaults } from './transient.js';
import { variants } from './variants.js';

export * from './fault.js';
export * from './onlookers.js';
export { variants };

/** Every fault, by chapter. */
export const faults: readonly Fault[] = unique([
  ...tlvFaults,
  ...setupM1Faults,
  ...setupM3Faults,
  ...setupM5Faults,
  ...pairSetupFaults,
  ...setupStateFaults,
  ...transientFaults,
  ...pairVerifyFaults,
  ...pairingsFaults,
  ...sessionFaults,
  ...httpFaults,
  ...identityFaults,
  ...securityFaults,
  ...announcementFaults,
  ...airplayFaults,
  ...mfiFaults,
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
