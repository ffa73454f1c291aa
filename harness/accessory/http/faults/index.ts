import type { Fault } from '../../faults/fault.js';
import { answers } from './answers.js';
import { access, headers, paths } from './requests.js';
import { segments, stalls } from './segments.js';
import { clients } from './sizes.js';
import { strictness } from './strictness.js';

/** Mistakes in HTTP. */
export const httpFaults: readonly Fault[] = [
  ...access,
  ...answers,
  ...headers,
  ...paths,
  ...segments,
  ...stalls,
  ...clients,
  ...strictness,
];
