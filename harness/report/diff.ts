import type { CheckResult, RunReport } from '../runner/result.js';
import { groupBy, idList } from './counts.js';
import { code } from './markdown.js';
import { clip, oneLine } from './text.js';

/** How one check differs in a later report. */
export interface Change {
  readonly id: string;
  readonly title: string;
  readonly before: CheckResult | undefined;
  readonly after: CheckResult | undefined;
}

/** What has changed from one report to another; each check stands in one list at most. */
export interface ReportDiff {
  /** Red now and not before, also where it was not asked before. */
  readonly broken: readonly Change[];
  readonly fixed: readonly Change[];
  /** Red in both, and what was seen is something else. */
  readonly changed: readonly Change[];
  /** A warning that was none, and a warning that is none any more. */
  readonly warned: readonly Change[];
  readonly quiet: readonly Change[];
  /** Judged now and not before, and the other way round. */
  readonly asked: readonly Change[];
  readonly gone: readonly Change[];
  /** Judged in both, with the same end. */
  readonly same: number;
}

const isJudged = (result: CheckResult | undefined): result is CheckResult =>
  result !== undefined &&
  (result.status !== 'skip' || result.reason === 'expected') &&
  result.reason !== 'not-run';
const isRed = (result: CheckResult): boolean => result.status === 'fail' || result.status === 'error';

/** What was seen without what is drawn or measured anew in each run: numbers stay where they are few digits. */
function kindOf({ status, reason, message }: CheckResult): string {
  const plain = message.replace(
    /\b[0-9a-f]{8}…[0-9a-f]{4}\b|\b\d+ ms\b|\(connection #\d+, at [\d.]+ s\)/g,
    '…',
  );
  return `${status} ${reason ?? ''} ${plain.replace(/\(run \d+:.*$/, '')}`;
}

/** Compares two reports of one suite, check by check. */
export function diffReports(before: RunReport, after: RunReport): ReportDiff {
  const earlier = new Map(before.results.map((result) => [result.id, result]));
  const later = new Map(after.results.map((result) => [result.id, result]));
  const lists = {
    broken: [] as Change[],
    fixed: [] as Change[],
    changed: [] as Change[],
    warned: [] as Change[],
    quiet: [] as Change[],
    asked: [] as Change[],
    gone: [] as Change[],
  };
  let same = 0;
  for (const id of new Set([...earlier.keys(), ...later.keys()])) {
    const [a, b] = [earlier.get(id), later.get(id)];
    const change: Change = { id, title: (b ?? a)!.title, before: a, after: b };
    if (isJudged(b)) {
      const wasRed = isJudged(a) && isRed(a);
      if (isRed(b) && !wasRed) lists.broken.push(change);
      else if (!isJudged(a)) lists.asked.push(change);
      else if (isRed(b) && kindOf(a) !== kindOf(b)) lists.changed.push(change);
      else if (isRed(b)) same++;
      else if (wasRed) lists.fixed.push(change);
      else if (a.status === b.status) same++;
      else if (b.status === 'warn') lists.warned.push(change);
      else if (a.status === 'warn') lists.quiet.push(change);
      else same++;
    } else if (isJudged(a)) lists.gone.push(change);
  }
  return { ...lists, same };
}

const titles: readonly (readonly [keyof Omit<ReportDiff, 'same'>, string])[] = [
  ['broken', 'newly red'],
  ['fixed', 'fixed'],
  ['changed', 'red as before, and something else was seen'],
  ['warned', 'newly warned of'],
  ['quiet', 'no longer warned of'],
  ['asked', 'newly asked'],
  ['gone', 'no longer asked'],
];

function words(result: CheckResult | undefined): string {
  if (result === undefined) return 'not in the report';
  const why = result.message === '' ? '' : `: ${oneLine(result.message, 200)}`;
  return `${result.status}${why}`;
}

function countLine(diff: ReportDiff): string {
  const parts = titles
    .filter(([name]) => diff[name].length > 0)
    .map(([name, title]) => `${diff[name].length} ${title}`);
  return [...parts, `${diff.same} the same`].join('; ');
}

function headOf(report: RunReport): string {
  return `${oneLine(report.target, 200)}, ${oneLine(report.startedAt, 40)}, hapspec ${oneLine(report.tool.version, 40)}`;
}

/** The comparison for a terminal: red first; of what is merely asked or no longer asked the ids. */
export function diffText(before: RunReport, after: RunReport, diff: ReportDiff): string {
  const lines = [`before: ${headOf(before)}`, `after:  ${headOf(after)}`];
  for (const [name, title] of titles) {
    const changes = diff[name];
    if (changes.length === 0) continue;
    lines.push('', `${changes.length} ${title}`);
    if (name === 'asked' || name === 'gone') {
      const groups = groupBy(changes, ({ before: a, after: b }) =>
        name === 'asked' ? words(b) : `was ${words(a)}; now ${words(b)}`,
      );
      for (const [what, same] of groups) lines.push(`  ${same.length} ${what} (${idList(same)})`);
      continue;
    }
    for (const { id, title: about, before: a, after: b } of changes)
      lines.push(
        `  ${oneLine(id, 200)} ${oneLine(about, 200)}`,
        `    was ${words(a)}`,
        `    is  ${words(b)}`,
      );
  }
  return [...lines, '', countLine(diff)].join('\n');
}

/** The same for a pull request. */
export function diffMarkdown(before: RunReport, after: RunReport, diff: ReportDiff): string {
  const lines = [
    `### hapspec: ${diff.broken.length === 0 ? 'nothing newly red' : `${diff.broken.length} newly red`}`,
    '',
    `${countLine(diff)}.`,
    '',
    `Before: ${code(headOf(before))}  `,
    `After: ${code(headOf(after))}`,
  ];
  for (const [name, title] of titles) {
    const changes = diff[name];
    if (changes.length === 0) continue;
    const open = name === 'broken' || name === 'fixed' || name === 'changed';
    const table = [
      '',
      '| check | before | after |',
      '| --- | --- | --- |',
      ...changes
        .slice(0, 200)
        .map(
          ({ id, title: about, before: a, after: b }) =>
            `| ${code(id)} ${code(clip(about, 120))} | ${code(words(a))} | ${code(words(b))} |`,
        ),
      ...(changes.length > 200 ? ['', `and ${changes.length - 200} more`] : []),
    ];
    lines.push(
      '',
      ...(open
        ? [`#### ${changes.length} ${title}`, ...table]
        : [`<details><summary>${changes.length} ${title}</summary>`, ...table, '', '</details>']),
    );
  }
  return [...lines, ''].join('\n');
}
