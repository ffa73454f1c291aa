import { join } from 'node:path';
import { catalogue, excluded, suite } from '../../suites/index.js';
import { faults, variants } from '../accessory/index.js';
import { InputError } from '../protocol/index.js';
import { JSON_SCHEMA, makeFolder, writeAtomically } from '../report/index.js';
import { type Case, coverage, gridTable, matchesPattern, select, wordsOf } from '../runner/index.js';
import { version } from '../version.js';
import type { List } from './completion.js';
import { explainFault } from './explain.js';
import { didYouMean } from './nearest.js';
import { pages } from './pages.js';

export interface ListFlags {
  readonly only?: readonly string[];
  readonly skip?: readonly string[];
  readonly coverage?: boolean;
  /** Folder for the catalogue as Markdown. */
  readonly markdown?: string;
}

/** `hapspec list --markdown DIR`: the catalogue, a page for each chapter. @throws InputError where DIR cannot be written to */
function writePages(folder: string): string {
  const made = pages();
  makeFolder(folder);
  for (const [name, text] of made) writeAtomically(join(folder, name), text);
  return `${made.size} pages in ${folder}`;
}

/** `hapspec list --coverage`: every requirement of the catalogue, its checks or why it has none. */
function coverageLines(): string {
  const lines: string[] = [];
  let area = '';
  const all = coverage(suite, catalogue, excluded);
  for (const { requirement, cases, excluded: reason } of all) {
    if (requirement.area !== area) lines.push('', requirement.area);
    area = requirement.area;
    const state =
      cases.length > 0
        ? `${cases.length} ${cases.length === 1 ? 'check' : 'checks'}`
        : (reason ?? 'no check in this version');
    lines.push(
      `  ${requirement.id.padEnd(14)} ${requirement.level.padEnd(6)} ${requirement.title}: ${state}`,
    );
  }
  const checked = all.filter(({ cases }) => cases.length > 0).length;
  const left = all.filter(({ excluded: reason }) => reason !== undefined).length;
  lines.push(
    '',
    `${all.length} requirements: ${checked} checked, ${left} excluded with a reason, ${all.length - checked - left} without a check`,
  );
  return lines.join('\n').trimStart();
}

/** `hapspec list`: every check with id, level and title, by chapter, and the grid of messages and defects. */
export function listCommand(flags: ListFlags): string {
  if (flags.markdown !== undefined) return writePages(flags.markdown);
  if (flags.coverage) return coverageLines();
  const cases = select(suite, flags);
  const lines: string[] = [];
  let chapter = '';
  for (const entry of cases) {
    if (entry.chapter !== chapter) lines.push('', entry.chapter);
    chapter = entry.chapter;
    const kind = entry.kind === 'watch' ? 'watch' : '     ';
    lines.push(`  ${entry.id.padEnd(42)} ${entry.requirement.level.padEnd(6)} ${kind} ${entry.title}`);
  }
  const requirements = new Set(cases.map((entry) => entry.requirement.id));
  if (flags.only === undefined && flags.skip === undefined)
    lines.push('', 'Checks by message and what is wrong with it:', ...gridTable(suite));
  lines.push(
    '',
    `${cases.length} checks of ${requirements.size} requirements; the catalogue has ${catalogue.size}`,
  );
  return lines.join('\n').trimStart();
}

function paragraph(name: string, text: string): string {
  return `${`${name}:`.padEnd(12)} ${text}`;
}

function explainCase(entry: Case): string[] {
  const lines = [`  ${entry.id} (${entry.file})`];
  if (entry.kind === 'watch') return [...lines, `    watches every ${entry.topic} of the run`];
  const { spec } = entry;
  lines.push(`    starts ${spec.from === 'any' ? 'in any state' : spec.from}`);
  for (const words of wordsOf(spec))
    lines.push(`    ${words.startsWith('tolerated') ? '' : 'allowed: '}${words}`);
  for (const matcher of spec.forbid ?? []) lines.push(`    forbidden: ${matcher.words}`);
  return lines;
}

export interface ExplainFlags {
  readonly values?: boolean;
}

/** `hapspec explain ID`: the requirement, its checks, what they accept, the faults that break it; or one fault. */
export function explainCommand(id: string, flags: ExplainFlags = {}): string {
  const fault = faults.find(({ name }) => name === id);
  if (fault !== undefined) return explainFault(fault, flags.values);
  if (flags.values)
    throw new InputError(`explain ${id} --values: only a fault has values to show; leave --values out`);
  const requirement = catalogue.get(id.split('/')[0]!.toUpperCase());
  if (requirement === undefined) {
    const names = [...catalogue.keys(), ...faults.map(({ name }) => name)];
    throw new InputError(`explain ${id}: no requirement or fault has that name.${didYouMean(id, names)}`);
  }
  const cases = suite.filter((entry) =>
    id.includes('/') ? matchesPattern(id, entry) : entry.requirement === requirement,
  );
  const breaking = faults.filter(({ breaks }) => breaks.includes(requirement.id));
  return [
    `${requirement.id} ${requirement.title} [${requirement.level}]`,
    paragraph('stimulus', requirement.stimulus),
    paragraph('expected', requirement.expected),
    paragraph('why', requirement.rationale),
    paragraph('source', requirement.source),
    ...(cases.length > 0
      ? ['checks:', ...cases.flatMap(explainCase)]
      : ['checks:      none in this version']),
    ...(breaking.length > 0
      ? ['faults that break it:', ...breaking.map(({ name, story }) => `  embedded:${name}: ${story}`)]
      : []),
  ].join('\n');
}

/** Words for the completion of a shell. */
export function words(list: List): readonly string[] {
  const names = [...faults, ...variants].map(({ name }) => name);
  switch (list) {
    case 'checks':
      return [...new Set(suite.flatMap(({ id }) => [id, id.split('/')[0]!]))];
    case 'faults':
      return names;
    case 'targets':
      return ['embedded', ...names.map((name) => `embedded:${name}`)];
    case 'explainable':
      return [
        ...new Set([...catalogue.keys(), ...suite.map(({ id }) => id), ...faults.map(({ name }) => name)]),
      ];
  }
}

/** `hapspec --version --json`: what a report of a bug, or a cache of results, has to tell. */
export function about(): object {
  return {
    name: 'hapspec',
    version,
    node: process.versions.node,
    platform: `${process.platform} ${process.arch}`,
    reportSchema: JSON_SCHEMA,
    checks: suite.length,
    requirements: new Set(suite.map(({ requirement }) => requirement.id)).size,
    faults: faults.length,
  };
}
