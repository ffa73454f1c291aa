import type { Fault } from '../../faults/fault.js';
import { core, ephemeralKeys } from './basics.js';
import { m1 } from './m1.js';
import { m3, m4 } from './m3.js';
import { states } from './states.js';

/** Mistakes in Pair Verify. */
export const pairVerifyFaults: readonly Fault[] = [...core, ...ephemeralKeys, ...m1, ...m3, ...m4, ...states];
