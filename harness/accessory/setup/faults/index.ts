import type { Fault } from '../../faults/fault.js';
import { pairSetupFaults } from './basics.js';
import { errors, limits } from './errors.js';
import { setupM1Faults } from './m1.js';
import { setupM3Faults } from './m3.js';
import { setupM5Faults } from './m5.js';
import { contention, repeated } from './states.js';
import { transientFaults } from './transient.js';

/** Mistakes in Pair Setup. */
export const setupFaults: readonly Fault[] = [
  ...setupM1Faults,
  ...setupM3Faults,
  ...setupM5Faults,
  ...pairSetupFaults,
  ...repeated,
  ...contention,
  ...errors,
  ...limits,
  ...transientFaults,
];
