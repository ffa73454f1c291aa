import { InputError } from '../protocol/index.js';
import type { Case } from './check.js';
import { glob } from './glob.js';
import type { Level } from './result.js';

/** Which cases of the suite a run takes. */
export interface Selection {
  /** Id globs; none means all. */
  readonly only?: readonly string[];
  readonly skip?: readonly string[];
  readonly levels?: readonly Level[];
}

/** True when the pattern selects the case by its id or by its requirement's id. */
export function matchesPattern(pattern: string, entry: Pick<Case, 'id' | 'requirement'>): boolean {
  const test = glob(pattern);
  return test.test(entry.id) || test.test(entry.requirement.id);
}

/** @throws InputError naming a pattern that selects nothing: a misspelt id must not read as a green run. */
export function select(
  cases: readonly Case[],
  { only = [], skip = [], levels = [] }: Selection,
): readonly Case[] {
  for (const [option, patterns] of [
    ['--only', only],
    ['--skip', skip],
  ] as const)
    for (const pattern of patterns)
      if (!cases.some((entry) => matchesPattern(pattern, entry)))
        throw new InputError(`${option} ${pattern}: no check has such an id; "hapspec list" shows them`);
  const chosen = cases.filter(
    (entry) =>
      (only.length === 0 || only.some((pattern) => matchesPattern(pattern, entry))) &&
      !skip.some((pattern) => matchesPattern(pattern, entry)) &&
      (levels.length === 0 || levels.includes(entry.requirement.level)),
  );
  if (chosen.length === 0)
    throw new InputError('nothing is selected: --only, --skip and --level together leave no check');
  return chosen;
}
