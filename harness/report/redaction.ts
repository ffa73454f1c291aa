import { hex, utf8 } from '../protocol/index.js';
import type { CheckResult, RunReport } from '../runner/result.js';
import { type Making, SecretIndex } from './secrets.js';

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
 * @param growing - keys that are made while the run goes on: each call also knows those added since the last
 * @param making - keys of single exchanges, of which there are thousands
 * @param asked - setup codes that are asked for while the run goes on, known as `growing` is
 */
export function redactor(
  secrets: readonly (string | Uint8Array)[],
  growing: readonly Uint8Array[] = [],
  making?: Making,
  asked: readonly string[] = [],
): (text: string) => string {
  const texts = secrets.filter((secret) => typeof secret === 'string');
  let known = -1;
  let anyText: RegExp | undefined;
  const upToDate = (): RegExp | undefined => {
    if (known === asked.length) return anyText;
    known = asked.length;
    const sources = [...new Set([...texts, ...asked].flatMap(patterns))].sort((a, b) => b.length - a.length);
    return (anyText = sources.length === 0 ? undefined : new RegExp(sources.join('|'), 'gi'));
  };
  const fixed = secrets.filter((secret): secret is Uint8Array => typeof secret !== 'string');
  const index = new SecretIndex(fixed, growing, making);
  return (text) => {
    const pattern = upToDate();
    return withoutKeys(pattern === undefined ? text : text.replace(pattern, REDACTED), index);
  };
}

/** Keys written as hex: each place in each run of hex digits is looked up. */
function withoutKeys(text: string, index: SecretIndex): string {
  if (index.empty) return text;
  return text.replace(/[0-9a-f]{8,}/gi, (run) => {
    const digits = run.toLowerCase();
    let out = '';
    let from = 0;
    for (let at = 0; at < digits.length;) {
      const length = index.lengthAt(digits, at);
      if (length === 0) {
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
 * Makes a function that gives a report, or one result of it, with `redact` applied to every string in it, names of
 * observations included. Done before serialising, because escaping for XML or JSON could hide a secret from a search
 * in the finished file. A result is gone through once, however many reports it stands in: the keys it may show were
 * made before it was.
 */
export function reportRedactor(
  redact: (text: string) => string,
): <T extends RunReport | CheckResult>(report: T) => T {
  const clean = new WeakMap<CheckResult, CheckResult>();
  const cleaned = (result: CheckResult): CheckResult => {
    const known = clean.get(result) ?? (mapStrings(result, redact) as CheckResult);
    clean.set(result, known);
    return known;
  };
  return <T extends RunReport | CheckResult>(report: T): T => {
    if (!('results' in report)) return cleaned(report) as T;
    const { results, ...rest } = report;
    return { ...(mapStrings(rest, redact) as object), results: results.map(cleaned) } as unknown as T;
  };
}
