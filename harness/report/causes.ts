import type { Cause, CheckResult, Diagnosis, RunReport } from '../runner/result.js';
import { failureText, headline, oneLine } from './text.js';

/** A cause with what a reader is shown of it. */
export interface CauseView {
  readonly cause: Cause;
  /** `a State of two bytes (state-two-bytes)`, without markup, on one line. */
  readonly title: string;
  /** `explains 24 of 26, 96 % sure`. */
  readonly weight: string;
  /** The failure whose exchange shows most. */
  readonly shown: CheckResult | undefined;
  /** The other failures that are of this cause before they are of one that stands behind it. */
  readonly others: readonly CheckResult[];
  /** Mistakes that may be in its place, the likeliest first. */
  readonly instead: readonly Cause[];
}

/** The failures of a report by their causes, for whoever writes it: console, JUnit, HTML. */
export interface CausesView {
  readonly causes: readonly CauseView[];
  /** Failures that nothing known explains. */
  readonly unexplained: readonly CheckResult[];
  /** `26 failures, 2 causes`. */
  readonly summary: string;
  readonly next: string | undefined;
  readonly note: string | undefined;
}

function count(number: number, one: string): string {
  return `${number} ${one}${number === 1 ? '' : 's'}`;
}

/** A share as a reader takes it; nothing measured is certain. */
export function percent(share: number): string {
  return `${Math.min(99, Math.max(1, Math.round(100 * share)))} %`;
}

/** A cause in its words, with the name of the fault that makes the same mistake. */
export function causeTitle({ words, fault }: Pick<Cause, 'words' | 'fault'>): string {
  return oneLine(`${words} (${fault})`, 300);
}

/** `26 failures, 2 causes, 1 unexplained`. */
function summaryOf({ failures, warnings, causes, unexplained }: Diagnosis): string {
  const main = causes.filter(({ insteadOf }) => insteadOf === undefined).length;
  const open = unexplained.length > 0 ? `, ${unexplained.length} unexplained` : '';
  const what = [
    ...(failures > 0 || warnings === 0 ? [count(failures, 'failure')] : []),
    ...(warnings > 0 ? [count(warnings, 'warning')] : []),
  ].join(' and ');
  return `${what}, ${main === 0 ? 'no known cause' : count(main, 'cause')}${open}`;
}

function nextText({ next }: Diagnosis): string | undefined {
  if (next === undefined) return undefined;
  const [a, b] = next.between;
  return `${next.id} tells ${a} and ${b} apart (${next.price}): ${next.command}`;
}

/** Groups the failures of a report by cause; undefined where it has no diagnosis. Each failure stands under one cause. */
export function causesOf(report: Pick<RunReport, 'results' | 'diagnosis'>): CausesView | undefined {
  const { diagnosis, results } = report;
  if (diagnosis === undefined) return undefined;
  const byId = new Map(results.map((result) => [result.id, result]));
  const main = diagnosis.causes.filter(({ insteadOf }) => insteadOf === undefined);
  const taken = new Set<string>(main.flatMap(({ decisive }) => decisive ?? []));
  const causes = main.map((cause): CauseView => {
    const others = cause.explains.filter((id) => !taken.has(id));
    for (const id of others) taken.add(id);
    return {
      cause,
      title: causeTitle(cause),
      weight: `explains ${cause.explains.length} of ${diagnosis.failures + diagnosis.warnings}, ${percent(cause.confidence)} sure`,
      shown: cause.decisive === undefined ? undefined : byId.get(cause.decisive),
      others: others.flatMap((id) => byId.get(id) ?? []),
      instead: diagnosis.causes.filter(({ insteadOf }) => insteadOf === cause.fault),
    };
  });
  return {
    causes,
    unexplained: diagnosis.unexplained.flatMap((id) => byId.get(id) ?? []),
    summary: summaryOf(diagnosis),
    next: nextText(diagnosis),
    note: diagnosis.note,
  };
}

/** The cause a failure is said to be of, by the id of the failure: the likeliest where several explain it. */
export function causeOfEach({ diagnosis }: Pick<RunReport, 'diagnosis'>): ReadonlyMap<string, Cause> {
  const of = new Map<string, Cause>();
  for (const cause of diagnosis?.causes ?? [])
    if (cause.insteadOf === undefined) for (const id of cause.explains) if (!of.has(id)) of.set(id, cause);
  return of;
}

/** What a cause is, what it explains, what speaks against it, and what may be in its place; one fact a line. */
export function causeLines(number: number, { cause, title, weight, instead }: CauseView): string[] {
  const alike = cause.class.map((name) => oneLine(name, 80)).join(', ');
  const against = cause.against.slice(0, 5).map((id) => oneLine(id, 80));
  const more = cause.against.length - against.length;
  return [
    `${number}. ${title}`,
    `  ${weight}; more: npx hapspec explain ${oneLine(cause.fault, 80)}`,
    ...(alike === '' ? [] : [`  or the same to all that was asked: ${alike}`]),
    ...(against.length === 0
      ? []
      : [`  against it: ${against.join(', ')}${more > 0 ? `, and ${more} more` : ''} would be otherwise`]),
    ...instead.map((other) => `  or, ${percent(other.confidence)}: ${causeTitle(other)}`),
  ];
}

/** The diagnosis of a report in words, each cause with one exchange. */
export function diagnosisText(report: RunReport): string {
  const view = causesOf(report);
  if (view === undefined) return 'nothing failed: there is nothing to explain';
  const ids = (results: readonly CheckResult[]): string =>
    results.map(({ id }) => oneLine(id, 80)).join(', ');
  const lines = view.causes.flatMap((cause, i) => [
    ...causeLines(i + 1, cause),
    ...(cause.shown
      ? [
          '',
          ...failureText(cause.shown)
            .split('\n')
            .map((line) => `    ${line}`),
        ]
      : []),
    ...(cause.others.length > 0 ? ['', `  and ${cause.others.length} more of it: ${ids(cause.others)}`] : []),
    '',
  ]);
  if (view.unexplained.length > 0)
    lines.push('No known mistake explains:', ...view.unexplained.map((one) => `  ${headline(one)}`), '');
  if (view.next !== undefined) lines.push(`next: ${oneLine(view.next)}`);
  return [...lines, view.summary].join('\n');
}
