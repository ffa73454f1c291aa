import { hex, utf8 } from '../protocol/index.js';
import type { RunReport } from '../runner/result.js';

/** What stands in a report where a secret stood. */
export const REDACTED = '‹redacted›';

const CODE = /^(\d{3})-?(\d{2})-?(\d{3})$/;

/** Both spellings of a setup code, `XXX-XX-XXX` and 8 digits; any other text is its own only form. */
export function codeForms(code: string): readonly string[] {
  const parts = CODE.exec(code);
  return parts === null ? [code] : [parts.slice(1).join('-'), parts.slice(1).join('')];
}

function quote(literal: string): string {
  return literal.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
}

/** Regular expressions, most specific first, that find one secret in every form it may take in a report. */
function patterns(secret: string | Uint8Array): string[] {
  if (typeof secret !== 'string') return secret.length === 0 ? [] : [hex(secret)];
  return codeForms(secret)
    .filter((form) => form !== '')
    .flatMap((form) => [
      hex(utf8(form)),
      // Digits inside a longer run are a timestamp or a counter, and blanking them would only tell where to look.
      /^\d+$/.test(form) ? `(?<!\\d)${form}(?!\\d)` : quote(form),
    ]);
}

/** An expression for any of the sources, made when it is first asked for; undefined for none. */
function lazily(sources: () => readonly string[]): () => RegExp | undefined {
  let made: RegExp | undefined | null = null;
  return () => {
    if (made === null) {
      const list = sources();
      made = list.length === 0 ? undefined : new RegExp(list.join('|'), 'gi');
    }
    return made;
  };
}

/**
 * Makes a function that replaces every secret by `‹redacted›`: texts as they are and as hex of their UTF-8, a setup
 * code with and without dashes, byte secrets as hex; hex in either case. Empty secrets are ignored.
 */
export function redactor(secrets: readonly (string | Uint8Array)[]): (text: string) => string {
  const sources = (of: readonly (string | Uint8Array)[]): string[] =>
    [...new Set(of.flatMap(patterns))].sort((a, b) => b.length - a.length);
  const texts = sources(secrets.filter((secret) => typeof secret === 'string'));
  const keys = secrets.filter((secret) => typeof secret !== 'string' && secret.length > 0);
  const [anyText, all] = [lazily(() => texts), lazily(() => sources(secrets))];
  // A run makes thousands of keys, and hardly a text of it has room for the hex of one.
  const shortest = Math.min(...keys.map(({ length }) => 2 * length));
  const roomy = keys.length === 0 ? undefined : new RegExp(`[0-9a-f]{${shortest}}`, 'i');
  return (text) => {
    const anySecret = roomy?.test(text) ? all() : anyText();
    return anySecret === undefined ? text : text.replace(anySecret, REDACTED);
  };
}

function mapStrings(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === 'string') return change(value);
  if (Array.isArray(value)) return value.map((item) => mapStrings(item, change));
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(
      Object.entries(value).map(([name, member]) => [change(name), mapStrings(member, change)]),
    );
  return value;
}

/**
 * The report with `redact` applied to every string in it, names of observations included. Done before serialising,
 * because escaping for XML or JSON could hide a secret from a search in the finished file.
 */
export function redactReport(report: RunReport, redact: (text: string) => string): RunReport {
  return mapStrings(report, redact) as RunReport;
}
