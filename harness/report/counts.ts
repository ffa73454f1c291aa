import type { CheckResult, Counts, Status } from '../runner/result.js';
import { oneLine } from './text.js';

/** How many results have each status. The runner has the same count; report writers take only types from it. */
export function counts(results: readonly CheckResult[]): Counts {
  const byStatus: Record<Status, number> = { pass: 0, warn: 0, fail: 0, skip: 0, error: 0 };
  for (const { status } of results) byStatus[status]++;
  return byStatus;
}

/** Items by key, in the order the keys came. */
export function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return groups;
}

/** Ids of a group, bounded: a family of a hundred variants must not push the summary off the screen. */
export function idList(results: readonly Pick<CheckResult, 'id'>[]): string {
  const shown = results.slice(0, 8).map(({ id }) => oneLine(id, 80));
  return shown.join(', ') + (results.length > 8 ? `, and ${results.length - 8} more` : '');
}
