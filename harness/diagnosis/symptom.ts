import type { CheckResult } from '../runner/result.js';

/** What came of a check, as far as mistakes are told apart by it. */
export type Verdict = 'red' | 'warned' | 'passed';

/** What a check says of the accessory: nothing where it was not asked, or where another one has to work first. */
export interface Symptom {
  readonly verdict: Verdict;
  /** Kind of outcome in words, without what differs from run to run; empty for a pass. */
  readonly kind: string;
}

/** Characters of a kind of outcome; what differs only behind them is the same. */
const LONGEST = 160;

/** A message without bytes, times and counts: the same for the same outcome in every run. */
export function kindOf(message: string): string {
  const [, died] = /^(the accessory stops? answering|the accessory stopped answering)/.exec(message) ?? [];
  if (died !== undefined) return 'the accessory stops answering';
  return (
    message
      // What an accessory sends may be long, and only its beginning is looked at.
      .slice(0, 2000)
      .replace(/\s+\[(?:[0-9a-f]{2} ?)+\]/g, '')
      // What a property drew is of its seed, and not of the accessory.
      .replace(/ \(run \d+: .*$/s, '')
      .replace(/ \(\d+ of \d+ messages\)/g, '')
      .replace(/\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b/gi, '#')
      .replace(/\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b/gi, '#')
      .replace(/\b[0-9a-f]{4,}(?:…[0-9a-f]*)?/gi, (run) => (/\d/.test(run) ? '#' : run))
      .replace(/\b\d+(?:\.\d+)? ?(?:ms|s|seconds|minutes)\b/g, '# ms')
      .replace(/\b\d{4,}\b/g, '#')
      .slice(0, LONGEST)
      .trim()
  );
}

/** A kind of outcome with its numbers and its beginning away: what is left when another stack says nearly the same. */
export function coarse(kind: string): string {
  const event =
    /silence|closed|reset|stops answering|empty body|HTTP \d+|(?:State|Error)=\d+|Proof|EncryptedData|PublicKey/g;
  const events = kind.match(event);
  return events === null ? kind.replace(/\d+/g, '#').slice(0, 40) : [...new Set(events)].join(' ');
}

/** What a result says of the accessory; undefined where it says nothing. */
export function symptomOf(result: Pick<CheckResult, 'status' | 'reason' | 'message'>): Symptom | undefined {
  const { status, reason, message } = result;
  switch (status) {
    case 'pass':
      return { verdict: 'passed', kind: '' };
    case 'warn':
      return { verdict: reason === 'should' ? 'red' : 'warned', kind: kindOf(message) };
    case 'fail':
      return reason === 'stale-expectation' ? undefined : { verdict: 'red', kind: kindOf(message) };
    case 'error':
      // The accessory kept the check from its point, and something else says why; anything else is of no accessory.
      return (reason === 'setup' && !message.startsWith('needs ')) || reason === 'unreachable'
        ? { verdict: 'warned', kind: kindOf(message) }
        : undefined;
    case 'skip':
      return undefined;
  }
}
