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

/** What happens in a run, as it happens. Results are without secrets; `done` of `planned` checks have been asked. */
export type ProgressEvent =
  | { readonly kind: 'planned'; readonly planned: number; readonly seed: string }
  | {
      readonly kind: 'checking';
      readonly id: string;
      readonly title: string;
      readonly done: number;
      readonly planned: number;
    }
  | {
      readonly kind: 'checked';
      readonly result: CheckResult;
      readonly done: number;
      readonly planned: number;
    }
  /** A rule that is watched over in every exchange was broken: its result is among those checked at the end too. */
  | { readonly kind: 'violated'; readonly result: CheckResult };

/** Whoever looks on while a run goes on. */
export interface Spectator {
  /** Called for each event, one after the other; what it throws ends the run, and the accessory is left as it was found. */
  readonly progress?: (event: ProgressEvent) => void;
  /**
   * Ends the run: no further check starts, the accessory is left as it was found, and the report says what was not asked
   * (exit code 5, unless something failed). Aborted before the run begins, its reason is thrown and nobody is asked.
   */
  readonly signal?: AbortSignal;
}

/**
 * Runs the suite against a target and returns the report: what `hapspec run` does, for programs.
 * @throws InputError for a wrong target or option; Unreachable when nothing answers.
 */
export async function conformance(
  target: string,
  options: ConformanceOptions = {},
  { progress, signal }: Spectator = {},
): Promise<RunReport> {
  signal?.throwIfAborted();
  const prepared = prepareRun(target, {
    ...options,
    ...(progress && {
      violated: (result) => {
        options.violated?.(result);
        progress({ kind: 'violated', result });
      },
    }),
  });
  const { run, begin, end, redacted } = prepared;
  const interrupt = (): void => run.interrupt();
  signal?.addEventListener('abort', interrupt);
  try {
    await begin();
    try {
      const reported = run.plan.filter((entry) => entry.reported);
      const planned = reported.length;
      progress?.({ kind: 'planned', planned, seed: run.seed });
      let done = 0;
      for (const entry of run.plan) {
        const { id, title } = entry.entry;
        if (entry.reported) progress?.({ kind: 'checking', id, title, done, planned });
        const result = await run.runEntry(entry);
        if (entry.reported) progress?.({ kind: 'checked', result: redacted(result), done: ++done, planned });
      }
    } finally {
      await end();
    }
  } finally {
    signal?.removeEventListener('abort', interrupt);
  }
  return redacted(diagnosed(run.report(), wholeSuite, faults));
}
