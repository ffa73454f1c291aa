import { faults } from './accessory/index.js';
import { diagnosed } from './diagnosed.js';
import { type One, type Prepared, prepareOne } from './prepared.js';
import { InputError, aint, memoiseArithmetic, memoising } from './protocol/index.js';
import { redactor, reportRedactor } from './report/index.js';
import type { Run } from './runner/index.js';
import {
  type Case,
  type CheckResult,
  type Part,
  type PartEnd,
  PartedRun,
  type Performer,
  type RunOptions,
  type RunReport,
  partsOf,
} from './runner/index.js';
import { threads } from './threads.js';
import { type ConformanceOptions, type Wanted, codesOf, headOf, wantedOf, wholeSuite } from './wanted.js';
import { Unreachable } from './wire/index.js';

function isProperty(entry: Case): boolean {
  return entry.kind === 'check' && entry.spec.property !== undefined;
}

/** One part of a run, ready to start. */
function preparePart(
  wanted: Wanted,
  { checks, before }: Part,
  more: Pick<RunOptions, 'stopped' | 'violated'> = {},
): One {
  const watches = wanted.selected.filter(({ kind }) => kind === 'watch');
  const all = wanted.selected.filter(isProperty).length;
  const own = checks.filter(isProperty).length;
  // The time for properties is shared by all of them.
  const share = all === 0 ? 1 : own / all;
  return prepareOne(wanted, { selected: [...checks, ...watches], before, ...more }, share);
}

/** Runs one part to its end: for this thread and for others. Everything it says is without secrets. */
async function performPart(
  wanted: Wanted,
  part: Part,
  hear: (result: CheckResult) => void,
  { started, stopped }: { started?: (run: Run) => void; stopped?: () => boolean } = {},
): Promise<PartEnd> {
  const one = preparePart(wanted, part, {
    ...(stopped && { stopped }),
    violated: (result) => hear(one.redacted(result)),
  });
  const { run, bench, begin, end, redacted } = one;
  started?.(run);
  // The plain flow, with the same draws, begins and ends every part.
  memoiseArithmetic(true);
  try {
    await begin();
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
    run.unreachable(error.message);
  }
  try {
    for (const planned of run.plan) {
      if (planned.entry.kind === 'watch') continue;
      await run.runEntry(planned);
      if (planned.reported) hear(redacted(run.resultOf(planned.entry)));
    }
  } finally {
    await end();
  }
  const watches = run.plan.filter(({ entry, reported }) => entry.kind === 'watch' && reported);
  for (const planned of watches) await run.runEntry(planned);
  await bench.closeLinks();
  return {
    facts: run.facts,
    watches: watches.map(({ entry }) => redacted(run.resultOf(entry))),
    extra: run.extra.map(redacted),
  };
}

/** Fewer checks than these are run sooner than another thread is started for them. */
const CHECKS_A_LANE = 40;

/**
 * A run against the embedded accessory in parts, each with an accessory of its own: the results are the same whether
 * they run one after the other or side by side.
 */
function prepareParts(wanted: Wanted, parts: readonly Part[]): Prepared {
  const { options, selected } = wanted;
  const lanes = Math.min(options.jobs ?? 1, parts.length, Math.ceil(selected.length / CHECKS_A_LANE));
  const plans = parts.map((part) => {
    const { run } = preparePart(wanted, part);
    return { entries: run.plan, estimate: run.estimate };
  });
  const memoised = memoising();
  let running: Run | undefined;
  const here: Performer = {
    lanes: 1,
    perform: (index, hear) => performPart(wanted, parts[index]!, hear, { started: (run) => (running = run) }),
    interrupt: () => running?.interrupt(),
    async end() {
      if (!memoised) memoiseArithmetic(false);
    },
  };
  // A function cannot be told to another thread, and only replays say anything.
  const plain = { ...options, say: undefined, violated: undefined, seed: Number(wanted.seed) };
  const performer = lanes < 2 ? here : threads(lanes, { target: wanted.target, options: plain });
  const run = new PartedRun(headOf(wanted), parts, plans, performer, options.violated);
  return {
    run,
    // Whether anybody answers at all, before the first check.
    begin: async () => {
      const first = prepareOne(wanted, { selected: [] });
      await first.begin();
      await first.end();
    },
    end: () => run.end(),
    redacted: reportRedactor(redactor(codesOf(wanted))),
  };
}

/** The parts of a run that a thread performs: the same as those of the thread that asks for them. */
export function partsFor(
  target: string,
  options: ConformanceOptions,
  stopped: () => boolean,
): (index: number, hear: (result: CheckResult) => void) => Promise<PartEnd> {
  const wanted = wantedOf(target, options);
  const parts = partsOf(wanted.selected);
  return (index, hear) => performPart(wanted, parts[index]!, hear, { stopped });
}

/**
 * Plans a run against a target: `HOST:PORT`, `[IPv6]:PORT`, `hap://HOST:PORT`, `airplay://HOST:PORT`, or `embedded[:FAULT]`.
 * @throws InputError naming what is wrong with the target or an option.
 */
export function prepareRun(target: string, options: ConformanceOptions = {}): Prepared {
  const wanted = wantedOf(target, options);
  const { address, selected, replay } = wanted;
  aint(options.jobs ?? 1, 'jobs', 1, 1024);
  if (address.kind === 'embedded' && replay === undefined) {
    const parts = partsOf(selected);
    if (parts.length > 1) return prepareParts(wanted, parts);
  } else if (options.jobs !== undefined)
    throw new InputError(
      'jobs: an accessory is asked one thing at a time: leave --jobs out, or run against the embedded accessory',
    );
  return prepareOne(wanted, { selected });
}

/**
 * The whole suite against one accessory, each check when it is asked for: nothing of it is shared out.
 * @throws InputError naming what is wrong with the target or an option.
 */
export function prepareInquiry(target: string, options: ConformanceOptions = {}): One {
  const wanted = wantedOf(target, options);
  return prepareOne(wanted, { selected: wanted.selected });
}

/**
 * Runs the suite against a target and returns the report: what `hapspec run` does, for programs.
 * @throws InputError for a wrong target or option; Unreachable when nothing answers.
 */
export async function conformance(target: string, options: ConformanceOptions = {}): Promise<RunReport> {
  const { run, begin, end, redacted } = prepareRun(target, options);
  await begin();
  try {
    for (const entry of run.plan) await run.runEntry(entry);
  } finally {
    await end();
  }
  return redacted(diagnosed(run.report(), wholeSuite, faults));
}
