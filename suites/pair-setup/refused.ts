import { anyRefusal, badRequest, success, tlvError } from '../../harness/suite.js';

/** A refusal of M5; an odd State or HTTP status is the lesser finding. */
export const refused = {
  allow: [tlvError(6)],
  tolerate: [badRequest(), anyRefusal()],
  forbid: [success('setup-m6')],
};
