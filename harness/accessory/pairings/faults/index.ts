import type { Fault } from '../../faults/fault.js';
import { additions } from './additions.js';
import { again } from './again.js';
import { basics, lists } from './basics.js';
import { removals } from './removals.js';

/** Mistakes in /pairings. */
export const pairingsFaults: readonly Fault[] = [...basics, ...lists, ...additions, ...removals, ...again];
