import type { CheckResult, RunReport, Status } from '../runner/result.js';
import { groupBy } from './counts.js';

/** One column: a stack, or a version of one. */
export interface Column {
  readonly name: string;
  readonly report: RunReport;
}

/** What became of a requirement in one column. */
export interface Cell {
  /** The worst of its checks; undefined where none was in the report. */
  readonly status: Status | undefined;
  /** Ids that are red or warned of. */
  readonly ids: readonly string[];
  /** Checks of it that ran. */
  readonly asked: number;
}

export interface MatrixRow {
  readonly requirement: string;
  readonly title: string;
  readonly cells: readonly Cell[];
}

const order: readonly Status[] = ['fail', 'error', 'warn', 'pass', 'skip'];

/** What did not run says as little as what was left out. */
function statusOf({ status, reason }: CheckResult): Status {
  return reason === 'not-run' ? 'skip' : status;
}

function cellOf(results: readonly CheckResult[]): Cell {
  const status = order.find((one) => results.some((result) => statusOf(result) === one));
  return {
    status,
    ids: results.filter((result) => /fail|error|warn/.test(statusOf(result))).map(({ id }) => id),
    asked: results.filter((result) => statusOf(result) !== 'skip').length,
  };
}

/** Columns by requirements, in the order of the requirements in the first report that has each. */
export function matrixOf(columns: readonly Column[]): readonly MatrixRow[] {
  const grouped = columns.map(({ report }) => groupBy(report.results, ({ requirement }) => requirement));
  const names = new Map<string, string>();
  for (const { report } of columns)
    for (const { requirement, id, title } of report.results)
      if (!names.has(requirement) || id === requirement)
        names.set(requirement, id === requirement ? title : title.replace(/ \([^()]*\)$/, ''));
  return [...names]
    .sort(([a], [b]) => a.localeCompare(b, 'en'))
    .map(([requirement, title]) => ({
      requirement,
      title,
      cells: grouped.map((of) => cellOf(of.get(requirement) ?? [])),
    }));
}
