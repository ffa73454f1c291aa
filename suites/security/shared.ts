import { answered, anyRefusal, badRequest, tlvError } from '../../harness/suite.js';

export const ok = { allow: [answered(200)] };

/** A refusal of Add, or of what comes with it. */
export const refusedAdd = { allow: [tlvError(2), badRequest()], tolerate: [anyRefusal()] };
