import type { CloneOf } from '../device/index.js';
import { type Random, accessoryIdentity, controllerIdentity } from '../protocol/index.js';
import type { Case } from './check.js';

/** It belongs to the chapter of clones: asked of an accessory that is said to be one, and of no other. */
export function isAboutClones({ chapter }: Pick<Case, 'chapter'>): boolean {
  return chapter.startsWith('clone.');
}

/** A device with two admins and a plain user, all of whose keys are known: what the self-test clones. */
export function deviceToClone(random: Random): CloneOf {
  const { id, ltsk, ltpk } = accessoryIdentity(random);
  // Without a letter there would be none to spell otherwise.
  const deviceId = id.with(0, 'A'.charCodeAt(0));
  const controllers = [true, true, false].map((admin) => ({ ...identityOf(random), admin }));
  return { deviceId, ltsk, ltpk, controllers };
}

function identityOf(random: Random): { id: Uint8Array; ltsk: Uint8Array; ltpk: Uint8Array } {
  const { id, ltsk, ltpk } = controllerIdentity(random);
  return { id, ltsk, ltpk };
}
