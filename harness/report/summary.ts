import type { CheckResult, RunReport, Status } from '../runner/result.js';
import { causesOf } from './causes.js';
import { counts } from './counts.js';
import { code } from './markdown.js';
import { clip, headline, oneLine } from './text.js';

/** Failures that are shown one by one; a summary is read, not searched. */
const SHOWN = 50;

const signs: readonly (readonly [Status, string])[] = [
  ['pass', '✅'],
  ['warn', '⚠️'],
  ['fail', '❌'],
  ['error', '❓'],
  ['skip', '➖'],
];

function isRed({ strict }: Pick<RunReport, 'strict'>, { status, reason }: CheckResult): boolean {
  return status === 'fail' || (status === 'error' && reason !== 'not-run') || (strict && status === 'warn');
}

/** The report as Markdown for the page of a CI job: verdict, causes, failures, what it cost. */
export function summaryMarkdown(report: RunReport): string {
  const { exit, aftermath, results, price } = report;
  const count = counts(results);
  const lines = [
    `### hapspec: ${exit.code === 0 ? '✅' : '❌'} exit ${exit.code}: ${code(exit.meaning)}`,
    '',
    `${code(report.target)} · ${signs.map(([status, sign]) => `${sign} ${count[status]} ${status}`).join(' · ')}`,
  ];
  if (!aftermath.clean) lines.push('', `> **Accessory**: ${code(aftermath.message)}`);
  const view = causesOf(report);
  if (view !== undefined) {
    lines.push('', `#### Diagnosis: ${view.summary}`, '');
    if (view.note !== undefined) lines.push(code(view.note));
    for (const [i, { title, weight, others, shown }] of view.causes.entries()) {
      const ids = [...(shown ? [shown] : []), ...others].map(({ id }) => code(id));
      const more = ids.length > 12 ? `, and ${ids.length - 12} more` : '';
      lines.push(`${i + 1}. **${code(title)}**: ${oneLine(weight)}: ${ids.slice(0, 12).join(', ')}${more}`);
    }
    if (view.unexplained.length > 0)
      lines.push(
        '',
        `No known mistake explains ${view.unexplained
          .slice(0, 12)
          .map(({ id }) => code(id))
          .join(', ')}`,
      );
    if (view.next !== undefined) lines.push('', `Next question: ${code(view.next)}`);
  }
  const red = results.filter((result) => isRed(report, result));
  if (red.length > 0) {
    lines.push('', '#### Failures', '');
    for (const result of red.slice(0, SHOWN)) {
      lines.push(`- ${code(headline(result))}`);
      if (result.failure !== undefined) lines.push(`  repeat: ${code(result.failure.reproduce)}`);
    }
    if (red.length > SHOWN) lines.push('', `and ${red.length - SHOWN} more`);
  }
  const { m2, m4, m6, verifies, attempts, wallMs } = price;
  lines.push(
    '',
    `Price: ${m2} M2, ${m4} M4, ${m6} M6, ${verifies} verifies, ${attempts} failed attempts; ${(wallMs / 1000).toFixed(1)} s. Seed ${code(report.seed)}.`,
  );
  return lines.join('\n') + '\n';
}

/** What a workflow command may hold: it ends with the line, and `%` begins an escape. */
function data(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function property(text: string): string {
  return data(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}

/** GitHub shows ten errors and ten warnings a step: the causes come first, then what is red. */
const ANNOTATIONS = 10;

/** Workflow commands that put the findings on the page of a GitHub job, a line each. */
export function annotations(report: RunReport): readonly string[] {
  const view = causesOf(report);
  const of = (kind: 'error' | 'warning', title: string, message: string): string =>
    `::${kind} title=${property(clip(oneLine(title), 120))}::${data(clip(oneLine(message, 800), 800))}`;
  const causes = (view?.causes ?? []).map(({ title, weight }) => of('error', `hapspec: ${title}`, weight));
  const red = report.results
    .filter((result) => isRed(report, result))
    .map((result) =>
      of(
        'error',
        `hapspec: ${result.id}`,
        `${headline(result)}${result.failure ? `; repeat: ${result.failure.reproduce}` : ''}`,
      ),
    );
  const warned = report.results
    .filter(({ status }) => status === 'warn' && !report.strict)
    .map((result) => of('warning', `hapspec: ${result.id}`, headline(result)));
  return [...[...causes, ...red].slice(0, ANNOTATIONS), ...warned.slice(0, ANNOTATIONS)];
}
