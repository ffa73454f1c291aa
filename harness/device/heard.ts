/** A message of the run as watches see it. */
export interface Heard {
  readonly topic: Topic;
  readonly payload: unknown;
}
export type Topic =
  | 'setup-m2'
  | 'setup-m4'
  | 'setup-m6'
  | 'authentication'
  | 'verify-m2'
  | 'verify-m4'
  | 'pairings'
  | 'pairing-reply'
  | 'error-reply'
  | 'frame'
  | 'secured'
  | 'message'
  | 'admission'
  | 'readable'
  | 'announced';
