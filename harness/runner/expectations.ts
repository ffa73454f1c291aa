import { mkdirSync, readFileSync, realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import { closest, distance } from 'fastest-levenshtein';
// Not through the target's index: only this one function of it is needed here.
import { replaceFile } from '../device/files.js';
import { InputError } from '../protocol/index.js';
import type { Case } from './check.js';
import type { CheckResult } from './result.js';
import { matchesPattern } from './selection.js';

/** One known deviation, accepted by a human. */
export interface Expectation {
  /** Id glob, as `--only` takes it. */
  readonly id: string;
  /** What the checks are expected to end as. */
  readonly status: 'warn' | 'fail';
  /** Why it is accepted. */
  readonly reason: string;
  /** Last day it is accepted, `YYYY-MM-DD`, UTC. */
  readonly expires?: string;
  /** Text the result's message must contain. */
  readonly message?: string;
  /** It depends on time, on segments that merge for one, whether it shows: passing does not make the entry stale. */
  readonly mayPass?: boolean;
}

/** The known deviations of one accessory. */
export interface Expectations {
  /** The file they are from. */
  readonly path: string;
  /** What the file says about itself. */
  readonly about: string | undefined;
  readonly entries: readonly Expectation[];
}

/** Starts the reason of an entry that no human has looked at yet; such a file is refused. */
const PLACEHOLDER = 'TODO: say why this is accepted';

/**
 * Reads a file of known deviations.
 * @throws InputError naming file, entry and key for anything that is not as it has to be.
 */
export function loadExpectations(path: string): Expectations {
  const expectations = read(path);
  expectations.entries.forEach(({ reason }, index) => {
    if (/^\W*(todo|tbd|fixme|xxx|placeholder)\b/i.test(reason) || !/\p{L}/u.test(reason))
      throw mistake(
        path,
        index,
        'reason',
        `"${reason.slice(0, 60)}" is a placeholder: say why it is accepted`,
      );
  });
  return expectations;
}

/**
 * What the results mean to someone who knows of these deviations: those that are as expected are skipped, and
 * entries that expect what no longer happens, that expired, or that match nothing are failures of their own at the
 * end. Meant for the results of a whole run: halfway an entry may look stale.
 */
export function applyExpectations(
  { path, entries }: Expectations,
  results: readonly CheckResult[],
  suite: readonly Case[],
  today: Date,
): readonly CheckResult[] {
  const day = today.toISOString().slice(0, 10);
  // A watch that has nothing to object to in part of the traffic does not say that the deviation is gone.
  const settled = new Set(
    results.flatMap(({ id, status, reason }) => (status in doing || reason === 'not-applicable' ? [id] : [])),
  );
  const partial = suite.some(({ id, kind }) => kind === 'check' && !settled.has(id));
  const tells = ({ kind, status }: CheckResult): boolean => !partial || kind !== 'watch' || status !== 'pass';
  const active: { readonly entry: Expectation; readonly ids: ReadonlySet<string> }[] = [];
  const findings: CheckResult[] = [];
  for (const entry of entries) {
    const ids = idsOf(entry.id, suite);
    const finding = judgeEntry(entry, ids, results, day, tells);
    if (finding !== undefined) findings.push(findingResult(entry, finding, path, today));
    if (!expired(entry, day)) active.push({ entry, ids });
  }
  const excused = results.map((result) => {
    const match = active.find(({ entry, ids }) => ids.has(result.id) && fits(entry, result));
    return match === undefined ? result : excuse(result, match.entry);
  });
  return [...excused, ...findings];
}

/** Ids that patterns select, by suite: neither changes while a run goes on, and every result asks. */
const selected = new WeakMap<readonly Case[], Map<string, ReadonlySet<string>>>();

function idsOf(pattern: string, suite: readonly Case[]): ReadonlySet<string> {
  const known = selected.get(suite) ?? new Map<string, ReadonlySet<string>>();
  selected.set(suite, known);
  const ids =
    known.get(pattern) ?? new Set(suite.filter((one) => matchesPattern(pattern, one)).map(({ id }) => id));
  known.set(pattern, ids);
  return ids;
}

function expired({ expires }: Expectation, day: string): boolean {
  return expires !== undefined && day > expires;
}

function fits({ status, message }: Expectation, result: CheckResult): boolean {
  return result.status === status && (message === undefined || result.message.includes(message));
}

/** Why an entry is red by itself. */
interface Finding {
  readonly kind: 'unknown' | 'expired' | 'stale';
  readonly message: string;
}

const doing = { pass: 'passes', warn: 'warns', fail: 'fails' } as const;

function judgeEntry(
  entry: Expectation,
  ids: ReadonlySet<string>,
  results: readonly CheckResult[],
  day: string,
  tells: (result: CheckResult) => boolean,
): Finding | undefined {
  const { id, status, message } = entry;
  if (ids.size === 0)
    return {
      kind: 'unknown',
      message: `${id} matches no check: correct it, or remove the entry; "hapspec list" shows the ids`,
    };
  const executed = results.filter((result) => ids.has(result.id) && result.status in doing);
  // Not selected, not run, inconclusive: this run says nothing about the entry.
  if (executed.length === 0) return undefined;
  const still = executed.some((result) => fits(entry, result));
  if (expired(entry, day))
    return {
      kind: 'expired',
      message: `${id} was expected to ${status} until ${entry.expires}${still ? ' and still does: look at it again, then renew' : ': remove'} the entry`,
    };
  if (still || !executed.some(tells)) return undefined;
  if (entry.mayPass && executed.every((result) => result.status === 'pass')) return undefined;
  const same = executed.filter((result) => result.status === status);
  if (same.length > 0)
    return {
      kind: 'stale',
      message: `${id} is expected to ${status} with "${message}", and ${doing[status]} with another message now (${same[0]!.message}): correct the entry`,
    };
  const seen = [...new Set(executed.map((result) => doing[result.status as keyof typeof doing]))];
  return {
    kind: 'stale',
    message: `${id} is expected to ${status}, and ${seen.sort().join(' or ')} now: remove the entry`,
  };
}

function findingResult(entry: Expectation, finding: Finding, path: string, today: Date): CheckResult {
  return {
    id: `expectations/${entry.id}`,
    requirement: 'expectations',
    title: `Known deviation ${entry.id} (${finding.kind})`,
    level: 'MUST',
    chapter: 'expectations',
    file: path,
    source: 'the file of known deviations',
    kind: 'check',
    status: 'fail',
    reason: 'stale-expectation',
    message: finding.message,
    failure: {
      requirement:
        'A known deviation is in the file for as long as it is one: left there, it would hide the next one.',
      allowed: [],
      seen: finding.message,
      exchange: [],
      reproduce: `hapspec list --only '${entry.id}'`,
    },
    observations: { 'expectation.kind': finding.kind, 'expectation.reason': entry.reason },
    startedAt: today.toISOString(),
    durationMs: 0,
  };
}

/** Nothing of the failure is lost: whoever doubts the excuse finds it among the observations. */
function excuse(result: CheckResult, entry: Expectation): CheckResult {
  const { failure } = result;
  return {
    ...result,
    status: 'skip',
    reason: 'expected',
    message: `expected ${entry.status}: ${entry.reason}`,
    failure: undefined,
    observations: {
      ...result.observations,
      'expected.message': result.message,
      ...(result.reason !== undefined && { 'expected.reason': result.reason }),
      ...(entry.expires !== undefined && { 'expected.until': entry.expires }),
      ...(failure !== undefined && {
        'expected.requirement': failure.requirement,
        'expected.allowed': failure.allowed.join('\n'),
        'expected.seen': failure.seen,
        'expected.exchange': failure.exchange.join('\n'),
        'expected.reproduce': failure.reproduce,
      }),
    },
  };
}

/**
 * Writes the deviations of a run into the file, new ones with a reason that has to be replaced before the file is
 * taken. What a human wrote stays, except entries the run found stale. Variants of one requirement that all have the
 * same status become one entry.
 * @param results - of a whole run, after `applyExpectations`
 * @param suite - says which variants a requirement has, also those not selected; without it those in the results count
 * @throws InputError when the file is there and cannot be understood, or cannot be written.
 */
export function writeExpectations(
  path: string,
  results: readonly CheckResult[],
  suite: readonly Pick<Case, 'id'>[] = results,
): void {
  const existing = exists(path) ? read(path) : { path, about: undefined, entries: [] };
  const stale = new Set(
    results.filter((one) => one.observations['expectation.kind'] === 'stale').map((one) => one.id),
  );
  const entries = new Map<string, Expectation>();
  for (const entry of existing.entries)
    if (!stale.has(`expectations/${entry.id}`)) entries.set(entry.id.toLowerCase(), entry);
  for (const entry of deviations(results, suite)) {
    const known = existing.entries.find(({ id }) => id.toLowerCase() === entry.id.toLowerCase());
    const kept = entries.get(entry.id.toLowerCase());
    // Expired: whether it is renewed is for a human to say.
    if (kept?.status === entry.status && kept.message === undefined) continue;
    const was =
      known === undefined || unreviewed(known) ? '' : ` (as ${known.status} it was: ${known.reason})`;
    entries.set(entry.id.toLowerCase(), { ...entry, reason: PLACEHOLDER + was });
  }
  const sorted = [...entries.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  const about =
    existing.about ??
    'Known deviations of this accessory; every entry needs a reason before the file is taken.';
  const content = { about, expectations: sorted };
  try {
    mkdirSync(dirname(path), { recursive: true });
  } catch (error) {
    throw new InputError(`cannot write ${path}: ${(error as Error).message}`, { cause: error });
  }
  replaceFile(exists(path) ? realpathSync(path) : path, `${JSON.stringify(content, undefined, 2)}\n`);
}

function unreviewed({ reason }: Expectation): boolean {
  return reason.startsWith(PLACEHOLDER);
}

/** Entries for all that is red or yellow, without reasons. */
function deviations(
  results: readonly CheckResult[],
  suite: readonly Pick<Case, 'id'>[],
): Omit<Expectation, 'reason'>[] {
  const own = results.filter(({ chapter }) => chapter !== 'expectations');
  const statuses = new Map(own.map(({ id, status }) => [id, status]));
  const found = new Map<string, 'warn' | 'fail'>();
  for (const { id, status } of own) {
    if (status !== 'warn' && status !== 'fail') continue;
    const family = id.includes('/') ? `${id.slice(0, id.indexOf('/'))}/` : undefined;
    const variants = family === undefined ? [] : suite.filter((one) => one.id.startsWith(family));
    const whole = variants.length > 1 && variants.every((one) => statuses.get(one.id) === status);
    found.set(whole ? `${family}*` : id, status);
  }
  // What is generated depends on the seed: under another one it may not meet the deviation.
  return [...found].map(([id, status]) => ({ id, status, ...(isGenerated(id) && { mayPass: true }) }));
}

/** Ids of properties end in `/flows` or `/any-…`. */
function isGenerated(id: string): boolean {
  return /\/(flows|any-[^/]*)$/.test(id);
}

const keys = ['id', 'status', 'reason', 'expires', 'message', 'mayPass'] as const;

/** Reads the file, reasons not judged: one that was just written has placeholders. */
function read(path: string): Expectations {
  let content: string;
  try {
    content = readFileSync(path, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const fix = code === 'ENOENT' ? 'there is no such file; --write-expectations makes one' : message;
    throw new InputError(`expectations: cannot read ${path}: ${fix}`, { cause: error });
  }
  const file = parseJson(content, path);
  if (!isRecord(file)) throw new InputError(`${path}: expected an object with a list "expectations"`);
  for (const key of Object.keys(file))
    if (key !== 'about' && key !== 'expectations')
      throw new InputError(`${path}: unknown key "${key}".${nearest(key, ['about', 'expectations'])}`);
  const { about, expectations } = file;
  if (about !== undefined && typeof about !== 'string')
    throw new InputError(`${path}: about: expected text, got ${describe(about)}`);
  if (!Array.isArray(expectations))
    throw new InputError(`${path}: expectations: expected a list, got ${describe(expectations)}`);
  const entries = expectations.map((entry, index) => readEntry(path, entry, index));
  const seen = new Map<string, number>();
  entries.forEach(({ id }, index) => {
    const first = seen.get(id.toLowerCase());
    if (first !== undefined)
      throw mistake(path, index, 'id', `"${id}" stands twice, in expectations[${first}] too`);
    seen.set(id.toLowerCase(), index);
  });
  return { path, about, entries };
}

function readEntry(path: string, entry: unknown, index: number): Expectation {
  if (!isRecord(entry))
    throw new InputError(`${path}: expectations[${index}]: expected an object, got ${describe(entry)}`);
  for (const key of Object.keys(entry))
    if (!(keys as readonly string[]).includes(key))
      throw new InputError(`${path}: expectations[${index}]: unknown key "${key}".${nearest(key, keys)}`);
  const text = (key: (typeof keys)[number]): string => {
    const value = entry[key];
    if (typeof value !== 'string') throw mistake(path, index, key, `expected text, got ${describe(value)}`);
    if (value.trim() === '') throw mistake(path, index, key, 'expected text, got an empty one');
    return value;
  };
  const id = text('id');
  const status = text('status');
  if (status !== 'warn' && status !== 'fail')
    throw mistake(path, index, 'status', `expected "warn" or "fail", got "${status}"`);
  const reason = text('reason');
  const expires = entry['expires'] === undefined ? undefined : text('expires');
  if (expires !== undefined && !isDay(expires))
    throw mistake(path, index, 'expires', `expected a day such as "2027-06-30", got "${expires}"`);
  const { mayPass } = entry;
  if (mayPass !== undefined && typeof mayPass !== 'boolean')
    throw mistake(path, index, 'mayPass', `expected true or false, got ${describe(mayPass)}`);
  return {
    id,
    status,
    reason,
    ...(expires !== undefined && { expires }),
    ...(entry['message'] !== undefined && { message: text('message') }),
    ...(mayPass !== undefined && { mayPass }),
  };
}

function mistake(path: string, index: number, key: string, what: string): InputError {
  return new InputError(`${path}: expectations[${index}].${key}: ${what}`);
}

function isDay(value: string): boolean {
  // 30 February becomes a day of March, and so another text.
  if (!/^\d{4}-\d\d-\d\d$/.test(value)) return false;
  const date = new Date(`${value}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(value);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  return (JSON.stringify(value) ?? typeof value).slice(0, 60);
}

function nearest(word: string, candidates: readonly string[]): string {
  const best = closest(word.toLowerCase(), candidates);
  return distance(word.toLowerCase(), best) <= Math.max(2, word.length / 3)
    ? ` Did you mean "${best}"?`
    : ` Known are ${candidates.join(', ')}.`;
}

function exists(path: string): boolean {
  try {
    realpathSync(path);
    return true;
  } catch {
    return false;
  }
}

/**
 * JSON as a file for people needs it: a mistake is told with its line and column.
 * @throws InputError `FILE:LINE:COLUMN: …`
 */
export function parseJson(content: string, file: string): unknown {
  // Some editors begin a file with a byte order mark.
  const json = content.replace(/^\ufeff/, '');
  try {
    return JSON.parse(json);
  } catch (error) {
    const at = firstError(json);
    const before = json.slice(0, at).split('\n');
    const what = at >= json.length ? 'it ends too early' : `${JSON.stringify(json[at])} is not expected here`;
    throw new InputError(`${file}:${before.length}:${before.at(-1)!.length + 1}: no JSON: ${what}`, {
      cause: error,
    });
  }
}

class NoJson extends Error {}

/** Where JSON stops being JSON; the parser of the platform tells only sometimes, and never the line. */
function firstError(json: string): number {
  let at = 0;
  const take = (token: RegExp): string | undefined => {
    token.lastIndex = at;
    const found = token.exec(json)?.[0];
    at += found?.length ?? 0;
    return found;
  };
  const need = (token: RegExp): string => {
    const found = take(token);
    if (found === undefined) throw new NoJson();
    take(blank);
    return found;
  };
  const blank = /[ \t\r\n]*/y;
  const string = (): void => {
    need(/"/y);
    for (;;) {
      take(/[^"\\\u0000-\u001f]*/y);
      if (json[at] !== '\\') break;
      if (take(/\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y) === undefined) throw new NoJson();
    }
    need(/"/y);
  };
  const list = (end: RegExp, item: () => void): void => {
    if (take(end) === undefined) {
      do item();
      while (need(/,|[\]}]/y) === ',');
      at = json.slice(0, at).trimEnd().length;
      if (!end.source.includes(json[at - 1]!)) {
        at--;
        throw new NoJson();
      }
    }
    take(blank);
  };
  const value = (): void => {
    if (json[at] === '"') string();
    else if (take(/\{/y) !== undefined) {
      take(blank);
      list(/\}/y, () => {
        string();
        need(/:/y);
        value();
      });
    } else if (take(/\[/y) !== undefined) {
      take(blank);
      list(/\]/y, value);
    } else need(/-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y);
  };
  try {
    take(blank);
    value();
  } catch (error) {
    // Nested beyond the stack: the place is lost, the message is not.
    if (!(error instanceof NoJson || error instanceof RangeError)) throw error;
  }
  return at;
}
