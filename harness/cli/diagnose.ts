import { existsSync } from 'node:fs';
import { suite } from '../../suites/index.js';
import { faults } from '../accessory/index.js';
import { prepareInquiry } from '../conformance.js';
import { signaturesFor } from '../diagnosed.js';
import { Inquiry, type Leader, type Signatures, diagnose } from '../diagnosis/index.js';
import type { One } from '../prepared.js';
import { InputError } from '../protocol/index.js';
import { diagnosisText, oneLine } from '../report/index.js';
import { type CheckResult, type RunReport, withoutProxies } from '../runner/index.js';
import { Unreachable } from '../wire/index.js';
import { resolveTarget } from './discover.js';
import { guard } from './guard.js';
import { storedReport } from './reports.js';
import { milliseconds, number } from './run.js';

export interface DiagnoseFlags {
  readonly json?: boolean;
  readonly code?: string;
  readonly seed?: string;
  readonly state?: string;
  readonly timeout?: string;
  readonly attempts?: string;
  readonly checks?: string;
}

/** Checks that are asked at the most unless told otherwise. */
const CHECKS = 60;

/** `hapspec diagnose`: of a stored report where the argument is a file, else of an accessory. @returns the exit code */
export async function diagnoseCommand(what: string, flags: DiagnoseFlags): Promise<number> {
  if (!what.endsWith('.json') && !existsSync(what)) return diagnoseTarget(what, flags);
  const { json = false, ...others } = flags;
  const [option] = Object.keys(others);
  if (option !== undefined)
    throw new InputError(`diagnose ${what}: nothing is asked of a stored report; leave --${option} out`);
  console.log(diagnoseReport(what, { json }));
  return 0;
}

/**
 * `hapspec diagnose REPORT.json`: the mistakes that explain a stored report.
 * @throws InputError for a file that is no report, and where signatures are of another suite
 */
export function diagnoseReport(path: string, { json = false }: DiagnoseFlags): string {
  const report = storedReport(path);
  const diagnosis = diagnose(report, signaturesFor(suite, faults), suite);
  const told = { ...report, ...(diagnosis && { diagnosis }) };
  return json ? asJson(told) : diagnosisText(told);
}

/** The causes of a report, for programs. */
function asJson({ diagnosis }: Pick<RunReport, 'diagnosis'>): string {
  const { causes = [], unexplained = [], next } = diagnosis ?? {};
  return JSON.stringify({ diagnosis: causes, unexplained, ...(next && { next }) }, null, 2);
}

/** One line of what was asked, and what is likeliest then. */
function progressOf({ id, status, message }: CheckResult, leader: Leader | undefined): string {
  const told = message === '' ? '' : `: ${oneLine(message, 160)}`;
  const lead =
    leader?.seen === true ? `; likeliest: ${leader.fault}, ${Math.round(100 * leader.share)} %` : '';
  return `  ${status.padEnd(5)} ${id}${told}${lead}`;
}

/**
 * `hapspec diagnose TARGET`: asks the plain flow, and then what tells most, until one class of mistakes is clear or the
 * budget is spent. The accessory is treated as in a run.
 * @returns 1 where something failed, 3 where nothing answered, 4 where the harness did, 5 where it was interrupted or not
 * left as it was found, else 0, which is no verdict on the accessory
 */
export async function diagnoseTarget(wanted: string, flags: DiagnoseFlags): Promise<number> {
  const signatures = signaturesFor(suite, faults);
  const most = number(flags.checks, '--checks') ?? CHECKS;
  const code = flags.code ?? process.env['HAPSPEC_CODE'];
  const timeout = milliseconds(flags.timeout, '--timeout');
  const [seed, attempts] = [number(flags.seed, '--seed'), number(flags.attempts, '--attempts')];
  const state = flags.state ?? process.env['HAPSPEC_STATE'];
  withoutProxies();
  const target = await resolveTarget(wanted);
  const { run, begin, end, redacted } = prepareInquiry(target, {
    searching: true,
    ...(code !== undefined && { code }),
    ...(timeout !== undefined && { timeout }),
    ...(seed !== undefined && { seed }),
    ...(attempts !== undefined && { attempts }),
    ...(state !== undefined && { state }),
  });
  const guarded = guard(run, () => undefined);
  const asked: CheckResult[] = [];
  const say = (line: string): void => (flags.json === true ? console.error(line) : console.log(line));
  try {
    try {
      await begin();
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
      console.error(`hapspec: nothing answered at ${target}: ${error.message}`);
      return 3;
    }
    try {
      await Promise.race([
        inquire(run, signatures, most, asked, (result, leader) => say(progressOf(redacted(result), leader))),
        guarded.failed,
      ]);
    } finally {
      await end();
    }
  } finally {
    guarded.release();
  }
  const { accessory, aftermath, ...report } = run.report();
  const results = [...asked, ...watchesOf(run, report.results)];
  const diagnosis = diagnose({ results, accessory }, signatures, suite);
  const told = redacted({ ...report, accessory, aftermath, results, ...(diagnosis && { diagnosis }) });
  if (flags.json === true) console.log(asJson(told));
  else console.log(`\n${diagnosisText(told)}`);
  say(
    `${asked.length} checks, ${report.price.m2} M2, ${report.price.attempts} failed attempts; accessory: ${oneLine(redacted(told).aftermath.message)}`,
  );
  if (guarded.error !== undefined) {
    console.error(`hapspec: the harness failed: ${guarded.error}`);
    return 4;
  }
  if (results.some(({ status }) => status === 'fail')) return 1;
  return run.over || !aftermath.clean ? 5 : 0;
}

/** Watches that have seen a violation. */
function watchesOf(run: Pick<One['run'], 'plan'>, results: readonly CheckResult[]): readonly CheckResult[] {
  const watches = new Set(
    run.plan.filter(({ entry }) => entry.kind === 'watch').map(({ entry }) => entry.id),
  );
  return results.filter(({ id, status }) => watches.has(id) && status === 'fail');
}

/** Asks check after check, and keeps what came of each. */
async function inquire(
  run: One['run'],
  signatures: Signatures,
  most: number,
  asked: CheckResult[],
  tell: (result: CheckResult, leader: Leader | undefined) => void,
): Promise<void> {
  const inquiry = new Inquiry(signatures, suite);
  const open = new Map(
    run.plan
      .filter(({ entry, leftOut }) => entry.kind === 'check' && leftOut === undefined)
      .map((planned) => [planned.entry.id, planned]),
  );
  const first = [...open.values()].filter(({ entry }) => entry.kind === 'check' && entry.spec.sanity);
  while (!run.over && asked.length < most) {
    const planned = first.shift() ?? open.get(inquiry.next((id) => open.has(id))?.id ?? '');
    if (planned === undefined) return;
    open.delete(planned.entry.id);
    const result = await run.runEntry(planned);
    // It stands on something that is red already, or is not for such an accessory: nothing was asked.
    if (result.status === 'skip' && first.length === 0) continue;
    const { results, accessory } = run.report();
    asked.push(result);
    const leader = inquiry.learn([...asked, ...watchesOf(run, results)], accessory['profile'] ?? 'hap');
    tell(result, leader);
    if (first.length === 0 && leader !== undefined && inquiry.isClear(leader)) return;
  }
}
