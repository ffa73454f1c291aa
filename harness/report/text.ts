import type { CheckResult, RunReport } from '../runner/result.js';

/**
 * Characters that never reach a terminal or an XML file as they are: control characters (a terminal obeys them),
 * lone surrogates and U+FFFE/F (no XML 1.0 document may hold them), bidi controls (they make a line read as another).
 */
const UNPRINTABLE = /(?![\t\n])[\p{Cc}\p{Cs}\p{Bidi_Control}\ufffe\uffff]/gu;

/** `##[…`, `##vso[…`, `##teamcity[…`: CI systems obey such text wherever it stands in a log line. */
const CI_COMMAND = /##(?=\w*\[)/g;

/** Text of an accessory made harmless for terminals, CI logs and XML: each dangerous character becomes U+FFFD. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, '\ufffd').replace(CI_COMMAND, '#\ufffd');
}

/**
 * `printable`, on one line: line ends become `\n` and tabs `\t`. An accessory must not be able to start a line of its own, which
 * could imitate ours or, as `::error::`, command a CI system.
 */
export function oneLine(text: string, max = 1000): string {
  // A generous cut first, so that megabytes from an accessory are not searched for a line that shows little of them.
  const line = printable(text.slice(0, max + 1))
    .replaceAll('\n', '\\n')
    .replaceAll('\t', '\\t');
  return clip(text.length > max + 1 ? line + '…' : line, max);
}

/** At most `max` UTF-16 units of the text, the last an ellipsis when it was longer; a character is never cut in two. */
export function clip(text: string, max: number): string {
  if (text.length <= max) return text;
  let end = Math.max(0, max - 1);
  if (/[\ud800-\udbff]/.test(text.charAt(end - 1))) end--;
  return text.slice(0, end) + '…'.slice(0, max);
}

/** What a terminal obeys and does not show. */

const PAINT = /\u001b\[[\d;]*m/g;

/**
 * A line as lines of at most `width` characters, broken at blanks; the further ones stand deeper than the first, so that
 * none begins with what an accessory sent. Words longer than a line, and commands to be pasted, stay whole.
 */
export function folded(line: string, width: number): readonly string[] {
  const length = (text: string): number => text.replace(PAINT, '').length;
  if (length(line) <= width || line.includes('npx hapspec ')) return [line];
  const [indent = ''] = /^(?: *(?:- |\| )?)/.exec(line) ?? [];
  const deeper = ' '.repeat(indent.length + 4);
  const lines: string[] = [];
  let now = '';
  for (const word of line.slice(indent.length).split(' ')) {
    const start = lines.length === 0 ? indent : deeper;
    if (now === '') now = start + word;
    else if (length(now) + 1 + length(word) <= width) now += ` ${word}`;
    else {
      lines.push(now.trimEnd());
      now = deeper + word;
    }
  }
  return [...lines, now.trimEnd()];
}

/** `PS-M3-04 Wrong setup code [MUST, security]: M4 carries a Proof`, one line. */
export function headline(result: CheckResult): string {
  const weight = result.security === true ? `${result.level}, security` : result.level;
  const about = `${result.id} ${result.title} [${weight}]`;
  return oneLine(result.message === '' ? about : `${about}: ${result.message}`, 500);
}

/** Enough for two whole pairings; the evidence bundle, not the report, is the place for more. */
const MAX_EXCHANGE = 120;
const MAX_ALLOWED = 40;

function bounded(lines: readonly string[], max: number, mark: string): string[] {
  const shown = lines.slice(0, max).map((line) => `  ${mark} ${oneLine(line)}`);
  return lines.length > max ? [...shown, `  ${mark} … ${lines.length - max} more`] : shown;
}

/**
 * One failure in full, the same in console, JUnit and HTML: headline, requirement, allowed, seen, exchange,
 * reproduce. Safe for terminals and, once escaped, for XML. No line starts with text of the accessory.
 */
export function failureText(result: CheckResult, report?: Pick<RunReport, 'target' | 'seed'>): string {
  const lines = [headline(result)];
  const { failure } = result;
  if (failure !== undefined) {
    lines.push(`requirement: ${oneLine(failure.requirement, 4000)}`);
    if (failure.allowed.length > 0) lines.push('allowed:', ...bounded(failure.allowed, MAX_ALLOWED, '-'));
    lines.push(`seen: ${oneLine(failure.seen, 4000)}`);
    if (failure.exchange.length > 0) lines.push('exchange:', ...bounded(failure.exchange, MAX_EXCHANGE, '|'));
    lines.push(`reproduce: ${oneLine(failure.reproduce, 4000)}`);
  }
  if (report !== undefined) lines.push(`target: ${oneLine(report.target)}, seed ${oneLine(report.seed)}`);
  return lines.join('\n');
}
