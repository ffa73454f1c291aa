import { outcomes } from '../../harness/suite.js';

export const ok = { allow: [outcomes.answered(200)] };

/** A refusal of Add, or of what comes with it. */
export const refusedAdd = {
  allow: [outcomes.tlvError(2), outcomes.badRequest()],
  tolerate: [outcomes.anyRefusal()],
};
