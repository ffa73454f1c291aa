import type { Case, NextQuestion } from '../runner/index.js';
import type { CheckResult } from '../runner/result.js';
import type { Candidate } from './score.js';
import type { Symptom } from './symptom.js';

/** What a mistake would show in a check; undefined where its signature says nothing of it. */
function expectedOf({ row }: Candidate, id: string): readonly Symptom[] | undefined {
  return row.symptoms.get(id) ?? (row.asked.has(id) ? passed : undefined);
}

const passed: readonly Symptom[] = [{ verdict: 'passed', kind: '' }];

/** How well an outcome would tell two mistakes apart: 0 for not at all. */
function tells(a: readonly Symptom[] | undefined, b: readonly Symptom[] | undefined): number {
  if (a === undefined || b === undefined) return 0;
  const apart = (one: Symptom, other: Symptom): number =>
    one.verdict !== other.verdict
      ? one.verdict === 'red' || other.verdict === 'red'
        ? 3
        : 2
      : one.kind === other.kind
        ? 0
        : 2;
  // What came of it now and then may come of it again.
  return Math.min(...a.flatMap((one) => b.map((other) => apart(one, other))));
}

/** What a check asks of the accessory, for choosing. */
function costOf(entry: Case): number {
  if (entry.kind === 'watch') return 0;
  const { m2 = 0, m4 = 0, m6 = 0, verifies = 0, attempts = 0, seconds = 0 } = entry.spec.costs ?? {};
  return m2 + 2 * m4 + m6 + 0.3 * verifies + 3 * attempts + seconds / 2;
}

/** The same in words. */
function priceOf(entry: Case): string {
  if (entry.kind === 'watch') return 'it watches other messages';
  const costs = Object.entries(entry.spec.costs ?? {}).filter(([, count]) => count > 0);
  const names: Readonly<Record<string, string>> = {
    m2: 'M2',
    m4: 'M4',
    m6: 'M6',
    attempts: 'failed attempts',
  };
  return costs.length === 0
    ? 'it costs nothing'
    : costs.map(([name, count]) => `${count} ${names[name] ?? name}`).join(', ');
}

/** The command of a failure with another check in the place of its own. */
function commandFor(id: string, results: readonly CheckResult[]): string | undefined {
  const reproduce = results.find(({ failure }) => failure?.reproduce.includes('--only ') === true)?.failure
    ?.reproduce;
  return reproduce?.replace(/--only '[^']*'/, `--only '${id}'`);
}

/**
 * The check that tells two mistakes apart best, of those that were not asked, or were left out; the cheapest where
 * several do.
 */
export function nextQuestion(
  [a, b]: readonly [Candidate, Candidate],
  suite: readonly Case[],
  results: readonly CheckResult[],
): NextQuestion | undefined {
  const asked = new Set(
    results.filter(({ status }) => status !== 'skip' && status !== 'error').map(({ id }) => id),
  );
  const notFor = new Set(results.filter(({ reason }) => reason === 'not-applicable').map(({ id }) => id));
  const worth = suite
    .filter(({ id, kind }) => kind === 'check' && !asked.has(id) && !notFor.has(id))
    .map((entry) => ({ entry, by: tells(expectedOf(a, entry.id), expectedOf(b, entry.id)) }))
    .filter(({ by }) => by > 0)
    .sort((x, y) => y.by - x.by || costOf(x.entry) - costOf(y.entry));
  const entry = worth[0]?.entry;
  if (entry === undefined) return undefined;
  const command = commandFor(entry.id, results);
  if (command === undefined) return undefined;
  return { id: entry.id, between: [a.row.fault, b.row.fault], price: priceOf(entry), command };
}
