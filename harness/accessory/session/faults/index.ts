import type { Fault } from '../../faults/fault.js';
import { basics, counters, frames } from './frames.js';
import { switches, sessions } from './sessions.js';
import { events } from './events.js';

/** Mistakes in the encrypted session. */
export const sessionFaults: readonly Fault[] = [
  ...basics,
  ...counters,
  ...frames,
  ...switches,
  ...events,
  ...sessions,
];
