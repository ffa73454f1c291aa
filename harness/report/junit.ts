import { existsSync } from 'node:fs';
import type { Cause, CheckResult, Price, RunReport } from '../runner/result.js';
import { causeOfEach, causeTitle, causesOf, percent } from './causes.js';
import { failureText, headline, oneLine, printable } from './text.js';

type Attributes = Readonly<Record<string, string | number>>;

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
  // As they are, a parser would turn them into spaces inside an attribute (XML 1.0 §3.3.3).
  '\t': '&#9;',
  '\n': '&#10;',
};

function attribute(value: string): string {
  return printable(value).replace(/[&<>"'\t\n]/g, (character) => entities[character]!);
}

function content(text: string): string {
  return printable(text).replace(/[&<>]/g, (character) => entities[character]!);
}

function tag(name: string, attributes: Attributes): string {
  const list = Object.entries(attributes).map(([key, value]) => ` ${key}="${attribute(String(value))}"`);
  return name + list.join('');
}

function element(name: string, attributes: Attributes, text?: string): string {
  return text === undefined
    ? `<${tag(name, attributes)}/>`
    : `<${tag(name, attributes)}>${content(text)}</${name}>`;
}

function parent(name: string, attributes: Attributes, children: readonly string[]): string[] {
  if (children.length === 0) return [`<${tag(name, attributes)}/>`];
  return [`<${tag(name, attributes)}>`, ...children.map((child) => '  ' + child), `</${name}>`];
}

function properties(values: Readonly<Record<string, string | number>>): string[] {
  const list = Object.entries(values).map(([name, value]) =>
    element('property', { name: oneLine(name, 200), value: oneLine(String(value), 4000) }),
  );
  return parent('properties', {}, list);
}

/** Seconds with three decimals; a reader must never meet `NaN` or an exponent. */
function seconds(milliseconds: number): string {
  return (Number.isFinite(milliseconds) ? Math.max(0, milliseconds) / 1000 : 0).toFixed(3);
}

/** UTC without milliseconds, which some readers refuse; the text as given when it is no time. */
function timestamp(iso: string): string {
  const time = new Date(iso);
  return Number.isNaN(time.getTime()) ? iso : time.toISOString().replace(/\.\d+Z$/, 'Z');
}

type Verdict = 'passed' | 'failure' | 'error' | 'skipped';

function verdictOf(result: CheckResult, strict: boolean): Verdict {
  switch (result.status) {
    case 'pass':
      return 'passed';
    case 'warn':
      return strict ? 'failure' : 'passed';
    case 'fail':
      return 'failure';
    case 'skip':
      return 'skipped';
    case 'error':
      // Readers count errors as failures, and hundreds of them hide the one line that says why (see `unfinished`).
      return result.reason === 'not-run' ? 'skipped' : 'error';
  }
}

function counters(results: readonly CheckResult[], strict: boolean): Attributes {
  const count: Record<Verdict, number> = { passed: 0, failure: 0, error: 0, skipped: 0 };
  for (const result of results) count[verdictOf(result, strict)]++;
  return {
    tests: results.length,
    failures: count.failure,
    errors: count.error,
    skipped: count.skipped,
    time: seconds(results.reduce((sum, { durationMs }) => sum + durationMs, 0)),
  };
}

interface Head {
  readonly name: string;
  readonly chapter: string;
}
const heads = new WeakMap<CheckResult, Head>();

function headOf(result: CheckResult): Head {
  const head = heads.get(result) ?? {
    name: oneLine(`${result.id} ${result.title}`, 300),
    chapter: oneLine(result.chapter),
  };
  heads.set(result, head);
  return head;
}

/** A test case as it was written, and what it depends on beside its result. */
interface Written {
  readonly under: string;
  readonly lines: readonly string[];
}
/** Reports are written again and again while a run goes on, and a result does not change once it is there. */
const written = new WeakMap<CheckResult, Written>();

function testcaseOnce(
  result: CheckResult,
  name: string,
  report: RunReport,
  cause?: Cause,
): readonly string[] {
  const told = cause && [cause.fault, cause.confidence];
  const under = JSON.stringify([name, report.target, report.seed, report.strict, told]);
  const known = written.get(result);
  if (known?.under === under) return known.lines;
  const lines = testcase(result, name, report, cause);
  written.set(result, { under, lines });
  return lines;
}

function testcase(result: CheckResult, name: string, report: RunReport, cause?: Cause): string[] {
  const observed = Object.entries(result.observations).map(([key, value]) => [`observed.${key}`, value]);
  const children = properties({
    requirement: result.requirement,
    level: result.level,
    status: result.status,
    ...(result.reason === undefined ? {} : { reason: result.reason }),
    source: result.source,
    ...(cause && { cause: cause.fault, 'cause.confidence': cause.confidence.toFixed(2) }),
    ...(Object.fromEntries(observed) as Record<string, string>),
  });
  const type = result.reason ?? result.status;
  const verdict = verdictOf(result, report.strict);
  const because =
    cause === undefined ? '' : `cause, ${percent(cause.confidence)} sure: ${causeTitle(cause)}\n`;
  if (verdict === 'skipped')
    children.push(element('skipped', { message: oneLine(`${type}: ${result.message}`) }));
  else if (verdict !== 'passed')
    // GitLab shows the text and no attribute, Azure the attribute: the headline stands in both.
    children.push(
      element(verdict, { type, message: headline(result) }, because + failureText(result, report)),
    );
  else if (result.status === 'warn')
    children.push(element('system-out', {}, `${oneLine(result.message)}\n\n${failureText(result, report)}`));
  const attributes = {
    classname: oneLine(`hapspec.${result.chapter}`),
    name,
    ...(isThere(result.file) && { file: oneLine(result.file) }),
    time: seconds(result.durationMs),
  };
  return parent('testcase', attributes, children);
}

const seen = new Map<string, boolean>();

/** Readers link to the file from the folder the run was in: one that is not there leads nowhere. */
function isThere(file: string): boolean {
  const known = seen.get(file) ?? existsSync(file);
  seen.set(file, known);
  return known;
}

/** The part of a chapter before its dot: `pair-setup` of `pair-setup.m3-m4`. */
function areaOf(result: CheckResult): string {
  return result.chapter.split('.', 1)[0]!;
}

function priceProperties(price: Price): Record<string, number> {
  return Object.fromEntries(Object.entries(price).map(([name, value]) => [`price.${name}`, value as number]));
}

/**
 * What did not run is skipped, check by check; one error says so for all of them, so that no reader takes a run that was
 * cut short, or goes on, for a green one.
 */
function unfinished(report: RunReport): string[] | undefined {
  const missing = report.results.filter(({ reason }) => reason === 'not-run');
  if (missing.length === 0) return undefined;
  const message = `${missing.length} of ${report.results.length} did not run: ${missing[0]!.message}`;
  const name = 'run/complete Every planned check ran';
  const testcase = parent('testcase', { classname: 'hapspec.run', name, time: '0.000' }, [
    element('error', { type: 'not-run', message: oneLine(message) }, oneLine(message)),
  ]);
  const counts = { tests: 1, failures: 0, errors: 1, skipped: 0, time: '0.000' };
  const head = { hostname: oneLine(report.target), timestamp: oneLine(timestamp(report.startedAt)) };
  return parent('testsuite', { name: 'hapspec.run', ...counts, ...head }, testcase);
}

/**
 * A JUnit document: one flat `<testsuite>` for each area, in the order the checks ran, each (classname, name) once.
 * Warnings pass unless the run was strict. Well-formed whatever the accessory sent.
 */
export function junit(report: RunReport): string {
  const areas = new Map<string, CheckResult[]>();
  for (const result of report.results) {
    const area = areaOf(result);
    const members = areas.get(area);
    if (members === undefined) areas.set(area, [result]);
    else members.push(result);
  }
  // Readers take a repeated (classname, name) for a retry, or drop it: two checks must never look like one.
  const taken = new Set<string>();
  const nameOf = (result: CheckResult): string => {
    const { name, chapter } = headOf(result);
    for (let copy = 1; ; copy++) {
      const candidate = copy === 1 ? name : `${name} (${copy})`;
      const key = `${chapter}\n${candidate}`;
      if (taken.has(key)) continue;
      taken.add(key);
      return candidate;
    }
  };
  const causes = causeOfEach(report);
  const diagnosis = causesOf(report)?.summary;
  const about = properties({
    target: report.target,
    seed: report.seed,
    version: report.tool.version,
    ...priceProperties(report.price),
    exit: `${report.exit.code}: ${report.exit.meaning}`,
    ...(diagnosis !== undefined && { diagnosis }),
  });
  const suites = [...areas].flatMap(([area, results]) =>
    parent(
      'testsuite',
      {
        name: oneLine(`hapspec.${area}`),
        ...counters(results, report.strict),
        hostname: oneLine(report.target),
        timestamp: oneLine(timestamp(results[0]!.startedAt)),
      },
      [
        ...about,
        ...results.flatMap((result) => testcaseOnce(result, nameOf(result), report, causes.get(result.id))),
      ],
    ),
  );
  const missing = unfinished(report);
  if (missing !== undefined) suites.push(...missing);
  const all = counters(report.results, report.strict);
  const root = {
    name: 'hapspec',
    ...all,
    ...(missing && { tests: report.results.length + 1, errors: Number(all['errors']) + 1 }),
    timestamp: oneLine(timestamp(report.startedAt)),
  };
  return ['<?xml version="1.0" encoding="UTF-8"?>', ...parent('testsuites', root, suites), ''].join('\n');
}
