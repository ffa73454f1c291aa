import { hex, utf8 } from '../protocol/index.js';
import type { CheckResult, RunReport } from '../runner/result.js';

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

/** Regular expressions, most specific first, that find a text in every form it may take in a report. */
function patterns(secret: string): string[] {
  return codeForms(secret)
    .filter((form) => form !== '')
    .flatMap((form) => [
      hex(utf8(form)),
      // Digits inside a longer run are a timestamp or a counter, and blanking them would only tell where to look.
      /^\d+$/.test(form) ? `(?<!\\d)${form}(?!\\d)` : quote(form),
    ]);
}

/**
 * Makes a function that replaces every secret by `‹redacted›`: texts as they are and as hex of their UTF-8, a setup
 * code with and without dashes, byte secrets as hex; hex in either case. Empty secrets are ignored.
 */
export function redactor(secrets: readonly (string | Uint8Array)[]): (text: string) => string {
  const texts = secrets.filter((secret) => typeof secret === 'string').flatMap(patterns);
  const sources = [...new Set(texts)].sort((a, b) => b.length - a.length);
  const anyText = sources.length === 0 ? undefined : new RegExp(sources.join('|'), 'gi');
  const keys = keyRedactor(
    secrets.filter((secret): secret is Uint8Array => typeof secret !== 'string' && secret.length > 0),
  );
  return (text) => keys(anyText === undefined ? text : text.replace(anyText, REDACTED));
}

/**
 * Replaces keys written as hex. A run makes hundreds of them, too many for one expression: every run of hex digits is
 * looked up at each place in each length a key has. The lookup is made when the first text has room for a key.
 */
function keyRedactor(keys: readonly Uint8Array[]): (text: string) => string {
  if (keys.length === 0) return (text) => text;
  const lengths = [...new Set(keys.map(({ length }) => 2 * length))].sort((a, b) => b - a);
  const roomy = new RegExp(`[0-9a-f]{${lengths.at(-1)!},}`, 'gi');
  let known: ReadonlySet<string> | undefined;
  return (text) =>
    text.replace(roomy, (run) => {
      known ??= new Set(keys.map((key) => hex(key)));
      const digits = run.toLowerCase();
      let out = '';
      let from = 0;
      for (let at = 0; at < digits.length;) {
        const length = lengths.find((candidate) => known!.has(digits.slice(at, at + candidate)));
        if (length === undefined) {
          at++;
          continue;
        }
        out += run.slice(from, at) + REDACTED;
        from = at += length;
      }
      return out + run.slice(from);
    });
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
 * The report, or one result of it, with `redact` applied to every string in it, names of observations included. Done before serialising,
 * because escaping for XML or JSON could hide a secret from a search in the finished file.
 */
export function redactReport<T extends RunReport | CheckResult>(
  report: T,
  redact: (text: string) => string,
): T {
  return mapStrings(report, redact) as T;
}
