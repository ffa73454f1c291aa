import { readFileSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { catalogue, suite } from '../../suites/index.js';
import { faults } from '../accessory/index.js';
import { diagnosed } from '../diagnosed.js';
import { InputError } from '../protocol/index.js';
import {
  consoleReporter,
  diffMarkdown,
  diffReports,
  diffText,
  json,
  junit,
  readReport,
  sarif,
  summaryMarkdown,
  whyUnreadable,
  writeAtomically,
} from '../report/index.js';
import { type RunReport, mergeReports, sourceWords } from '../runner/index.js';
import { anchorOf } from './anchor.js';

/** Where reports are written to. */
export interface Outputs {
  readonly junit?: string;
  readonly json?: string;
  readonly html?: string;
  readonly summary?: string;
  readonly sarif?: string;
}

/** Bytes of a report that are read at the most; one of the whole suite has two or three million. */
const LARGEST = 100_000_000;

/** @throws InputError naming the file when it cannot be read */
function stored(path: string): string {
  try {
    if (statSync(path).size > LARGEST) throw new InputError(`${path}: it is too long for a report`);
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(`${path}: ${whyUnreadable(error)}`, { cause: error });
  }
}

/** A report as it is stored. @throws InputError naming the file when it cannot be read or is no report */
export function storedReport(path: string): RunReport {
  return readReport(stored(path), path);
}

/** What makes a page of a report. It is loaded by those who ask for one. */
export async function pageMaker(): Promise<(report: RunReport) => string> {
  const { html } = await import('../report/html/page.js');
  const entries = [...catalogue.values()].map(({ id, title, area }) => ({ id, title, area }));
  return (report) => html(report, entries);
}

/** The report as SARIF, at the file of the repository that stands for the accessory. */
export function sarifText(report: RunReport, told: Parameters<typeof anchorOf>[0]): string {
  const requirements = new Map(
    [...catalogue].map(([id, one]) => [id, { ...one, source: sourceWords(one.source) }]),
  );
  return sarif(report, { requirements, anchor: anchorOf(told, process.cwd(), process.env) });
}

/** Says of a SARIF file without such a file what becomes of it. */
export function warnWithoutAnchor(path: string, told: Parameters<typeof anchorOf>[0]): void {
  if (anchorOf(told, process.cwd(), process.env) === undefined)
    console.error(
      `hapspec: ${path}: its findings are at no file, and GitHub refuses such: keep a hapspec.config.json in the repository`,
    );
}

/** Writes a finished report in the forms asked for. @throws InputError when a file cannot be written */
export async function writeReports(report: RunReport, outputs: Outputs): Promise<void> {
  if (outputs.junit !== undefined) writeAtomically(outputs.junit, junit(report));
  if (outputs.json !== undefined) writeAtomically(outputs.json, json(report));
  if (outputs.summary !== undefined) writeAtomically(outputs.summary, summaryMarkdown(report));
  if (outputs.html !== undefined) writeAtomically(outputs.html, (await pageMaker())(report));
  if (outputs.sarif === undefined) return;
  warnWithoutAnchor(outputs.sarif, {});
  writeAtomically(outputs.sarif, sarifText(report, {}));
}

function show(report: RunReport): void {
  const colours = process.stdout.isTTY === true && process.env['NO_COLOR'] === undefined;
  consoleReporter({ stream: process.stdout, colours }).ended?.(report);
}

/** `hapspec report`: a stored report in other forms; on the console where none is named. */
export async function reportCommand(path: string, outputs: Outputs): Promise<number> {
  const report = diagnosed(storedReport(path), suite, faults);
  if (Object.keys(outputs).length === 0) show(report);
  else await writeReports(report, outputs);
  return 0;
}

/** `hapspec diff`: exit 1 when anything is newly red. */
export function diffCommand(
  before: string,
  after: string,
  { markdown }: { readonly markdown?: string },
): number {
  const [a, b] = [storedReport(before), storedReport(after)];
  const diff = diffReports(a, b);
  console.log(diffText(a, b, diff));
  if (markdown !== undefined) writeAtomically(markdown, diffMarkdown(a, b, diff));
  return diff.broken.length > 0 ? 1 : 0;
}

/** `hapspec merge`: the reports of shards as one, and its exit code; of runs or of self-tests, as their content says. */
export async function mergeCommand(paths: readonly string[], outputs: Outputs): Promise<number> {
  const files = paths.map((path) => ({ path, content: stored(path) }));
  const { asSelftest, mergeSelftestsCommand } = await import('./selftest-report.js');
  const selftests = files.flatMap(({ path, content }) => {
    const value = asSelftest(content);
    return value === undefined ? [] : [{ path, value }];
  });
  if (selftests.length > 0) {
    const other = paths.find((path) => !selftests.some((one) => one.path === path));
    if (other !== undefined)
      throw new InputError(
        `merge: ${selftests[0]!.path} is of "hapspec selftest", and ${other} is not: merge them apart`,
      );
    return mergeSelftestsCommand(selftests, outputs);
  }
  const reports = files.map(({ path, content }) => readReport(content, path));
  const report = diagnosed(mergeReports(reports), suite, faults);
  await writeReports(report, outputs);
  show(report);
  return report.exit.code;
}

/** `hapspec matrix`: accessories by requirements. */
export async function matrixCommand(
  paths: readonly string[],
  { html, names = [] }: { readonly html: string; readonly names?: readonly string[] },
): Promise<number> {
  if (names.length > 0 && names.length !== paths.length)
    throw new InputError(
      `--name: ${names.length} names for ${paths.length} reports: give one for each, or none`,
    );
  const columns = paths.map((path, i) => ({
    name: names[i] ?? basename(path, '.json'),
    report: storedReport(path),
  }));
  const { matrixHtml } = await import('../report/html/matrix.js');
  writeAtomically(html, matrixHtml(columns));
  console.log(`${columns.length} accessories in ${html}`);
  return 0;
}
