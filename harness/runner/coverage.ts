import type { Catalogue, Requirement } from './catalogue.js';
import { type Case, type Cell, gridDefects, gridMessages } from './check.js';

/** How one requirement of the catalogue is covered. */
export interface Covered {
  readonly requirement: Requirement;
  readonly cases: readonly Case[];
  /** Why there is no check of it, where none is meant to be. */
  readonly excluded: string | undefined;
}

/** Every requirement of the catalogue with its checks, or the reason it has none. */
export function coverage(
  suite: readonly Case[],
  catalogue: Catalogue,
  excluded: ReadonlyMap<string, string>,
): readonly Covered[] {
  return [...catalogue.values()].map((requirement) => ({
    requirement,
    cases: suite.filter((entry) => entry.requirement === requirement),
    excluded: excluded.get(requirement.id),
  }));
}

/** The checks in a cell of the grid. */
export function cellOf(suite: readonly Case[], [message, defect]: Cell): readonly Case[] {
  return suite.filter(
    (entry) => entry.kind === 'check' && entry.spec.grid?.[0] === message && entry.spec.grid[1] === defect,
  );
}

/** The grid of messages and defects as a table: the number of checks in each cell. */
export function gridTable(suite: readonly Case[]): string[] {
  const width = Math.max(...gridDefects.map((defect) => defect.length));
  const row = (name: string, cells: readonly string[]): string =>
    `  ${name.padEnd(width)}${cells.map((cell, i) => cell.padStart(gridMessages[i]!.length + 2)).join('')}`;
  return [
    row('', gridMessages),
    ...gridDefects.map((defect) =>
      row(
        defect,
        gridMessages.map((message) => {
          const { length } = cellOf(suite, [message, defect]);
          return length === 0 ? '-' : String(length);
        }),
      ),
    ),
  ];
}
