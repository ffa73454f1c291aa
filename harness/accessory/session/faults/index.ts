import type { Fault } from '../../faults/fault.js';
import { events } from './events.js';
import { basics, counters, frames } from './frames.js';
import { sessions, switches } from './sessions.js';

/** Mistakes in the encrypted session. */
export const sessionFaults: readonly Fault[] = [
  ...basics,
  ...counters,
  ...frames,
  ...switches,
  ...events,
  ...sessions,
];
