/** What may come back: matchers for `allow`, `tolerate` and `forbid`, and words for what did. */
export type { Alternatives } from './runner/judge.js';
export { reject } from './runner/check.js';
export {
  type Matcher,
  type Outcome,
  type Reply,
  answered,
  anyRefusal,
  anyReply,
  badRequest,
  clientError,
  closed,
  describeOutcome,
  misplacedError,
  otherError,
  plaintextReply,
  served,
  servedWhilePaired,
  serverError,
  silence,
  success,
  takeOver,
  tlvError,
  unauthorised,
  withoutCode,
} from './device/index.js';
