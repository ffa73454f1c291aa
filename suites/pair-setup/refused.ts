import { outcomes } from '../../harness/suite.js';

/** A refusal of M5; an odd State or HTTP status is the lesser finding. */
export const refused = {
  allow: [outcomes.tlvError(6)],
  tolerate: [outcomes.badRequest(), outcomes.anyRefusal()],
  forbid: [outcomes.success('setup-m6')],
};
