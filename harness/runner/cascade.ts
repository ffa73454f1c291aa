import type { Fault, Latency } from '../accessory/index.js';
import type { Case } from './check.js';
import { isAboutClones } from './cloned.js';
import { glob } from './glob.js';
import type { CheckResult } from './result.js';
import { isShort, runTwin } from './selftest.js';

/** One fault in a whole run: what is red of it, and why else. */
export interface CascadeRow {
  readonly fault: string;
  readonly breaks: readonly string[];
  /** Ids that are red of the requirements it names. */
  readonly own: readonly string[];
  /** Other ids that are red, and said to be so by the fault. */
  readonly also: readonly string[];
  /** Other ids that are red, each with its message: one cause, and more than one red. */
  readonly undeclared: readonly string[];
  /** Globs of the fault that nothing red fits. */
  readonly stale: readonly string[];
  /** Checks that were skipped because something below them is red. */
  readonly skipped: number;
  /** Ids that could not be brought to their point. */
  readonly errors: readonly string[];
}

/** What the matrix of cascades comes to. */
export interface CascadeGrade {
  /** `fault: id message` for each red nobody has declared. */
  readonly undeclared: readonly string[];
  /** `fault: glob` for each declaration that is not needed. */
  readonly stale: readonly string[];
  /** Faults that are red nowhere in a whole run. */
  readonly unseen: readonly string[];
  /** Checks that more than a quarter of all faults declare: their own design is wrong. */
  readonly crowded: readonly string[];
  readonly passed: boolean;
}

/** Of all faults at most this share may declare the same check. */
const CROWD = 0.25;

/**
 * A whole run against one fault, as a user has it: what takes minutes of an accessory is left out unless the fault is
 * about it, and so are properties, which go through again what single checks have looked at.
 */
export async function wholeRun(
  suite: readonly Case[],
  fault: Fault,
  options: { readonly seed: number; readonly latency?: Latency; readonly destructive?: boolean },
): Promise<readonly CheckResult[]> {
  const isProperty = (entry: Case): boolean => entry.kind === 'check' && entry.spec.property !== undefined;
  const selected = suite.filter(
    (entry) => !isProperty(entry) && (isShort(entry) || fault.breaks.includes(entry.requirement.id)),
  );
  return runTwin(suite, selected, fault, options);
}

/** One fault in a whole run. */
export async function cascadeRow(
  suite: readonly Case[],
  fault: Fault,
  options: { readonly seed: number },
): Promise<CascadeRow> {
  const { name, breaks, alsoSeenBy = {} } = fault;
  // A user is asked the chapter of clones where the accessory is one.
  const results = (await wholeRun(suite, fault, options)).filter(
    (result) => fault.clone !== undefined || !isAboutClones(result),
  );
  const globs = Object.keys(alsoSeenBy);
  const red = results.filter(({ status, reason }) => status === 'fail' || reason === 'should');
  const others = red.filter(({ requirement }) => !breaks.includes(requirement));
  const isDeclared = (id: string): boolean => globs.some((pattern) => glob(pattern).test(id));
  return {
    fault: name,
    breaks,
    own: red.filter(({ requirement }) => breaks.includes(requirement)).map(({ id }) => id),
    also: others.filter(({ id }) => isDeclared(id)).map(({ id }) => id),
    undeclared: others.filter(({ id }) => !isDeclared(id)).map(({ id, message }) => `${id} ${message}`),
    stale: globs.filter((pattern) => !others.some(({ id }) => glob(pattern).test(id))),
    skipped: results.filter(({ reason }) => reason === 'dependency').length,
    errors: results.filter(({ status }) => status === 'error').map(({ id }) => id),
  };
}

/** Adds the rows of all faults up. */
export function gradeCascades(rows: readonly CascadeRow[]): CascadeGrade {
  const undeclared = rows.flatMap((row) => row.undeclared.map((red) => `${row.fault}: ${red}`));
  const stale = rows.flatMap((row) => row.stale.map((pattern) => `${row.fault}: ${pattern}`));
  const unseen = rows.filter(({ own, also }) => own.length + also.length === 0).map(({ fault }) => fault);
  const declared = new Map<string, number>();
  for (const { also } of rows) for (const id of also) declared.set(id, (declared.get(id) ?? 0) + 1);
  const crowded = [...declared].filter(([, count]) => count > CROWD * rows.length).map(([id]) => id);
  const passed = [undeclared, stale, unseen, crowded].every((list) => list.length === 0);
  return { undeclared, stale, unseen, crowded, passed };
}

/** Ids by requirement: `PV-M3-03 ×7` where several of its checks are red, the id where it is one. */
function inShort(ids: readonly string[]): string {
  const groups = new Map<string, string[]>();
  for (const id of ids) {
    const [requirement = ''] = id.split('/');
    groups.set(requirement, [...(groups.get(requirement) ?? []), id]);
  }
  return [...groups]
    .map(([name, list]) => (list.length === 1 ? list[0]! : `${name} ×${list.length}`))
    .join(', ');
}

function lineOf(row: CascadeRow): string {
  const cells = [
    row.fault,
    row.breaks.join(', '),
    inShort(row.own),
    [inShort(row.also), ...row.undeclared.map((red) => `**${red.split(' ')[0]!}**`)]
      .filter(Boolean)
      .join(', '),
    String(row.skipped),
    String(row.errors.length),
  ];
  return `| ${cells.join(' | ')} |`;
}

/** Lines of a matrix that was written before, by fault. */
export function cascadeLines(table: string): ReadonlyMap<string, string> {
  return new Map(
    table.split('\n').flatMap((line) => {
      const name = /^\| (\S+) \|/.exec(line)?.[1];
      return name === undefined || name === 'fault' || name === '---' ? [] : [[name, line] as const];
    }),
  );
}

/** The matrix as it is kept in a file, a line for each fault: in the given order, with what was kept of the others. */
export function cascadeTable(
  rows: readonly CascadeRow[],
  kept: ReadonlyMap<string, string> = new Map(),
  order: readonly string[] = rows.map(({ fault }) => fault),
): string {
  const made = new Map(rows.map((row) => [row.fault, lineOf(row)]));
  const lines = order.flatMap((name) => made.get(name) ?? kept.get(name) ?? []);
  const alone = lines.filter((line) => line.split(' | ')[3]!.trim() === '').length;
  return [
    '# One cause, one red',
    '',
    `Written by \`hapspec selftest --cascade --update FILE\`: each fault in a whole run. ${alone} of ${lines.length} faults are red under the requirements they break and nowhere else; the others say why they are (\`harness/accessory/faults/also-seen.json\`). What stands on a red check is skipped (\`suites/needs.json\`).`,
    '',
    '| fault | breaks | red of it | also seen by | skipped | errors |',
    '| --- | --- | --- | --- | ---: | ---: |',
    ...lines,
    '',
  ].join('\n');
}
