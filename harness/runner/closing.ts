import { type Bench, Blocked, HookFailed, StepFailed, answered, describeOutcome } from '../device/index.js';
import { Unreachable } from '../wire/index.js';
import type { Book } from './book.js';
import { type RunEnvironment, failure } from './execute.js';
import type { PlanEntry } from './plan.js';

/** What the end of a run is about. */
export interface ClosingOptions extends RunEnvironment {
  readonly bench: Bench;
  readonly book: Book;
  readonly entries: readonly PlanEntry[];
  readonly over: () => boolean;
}

/**
 * The plain flow once more when it worked at the start: an accessory that some stimulus broke for good must not
 * leave the run green. A pairing that a check has just made counts as its first half.
 */
export async function closingFlow(options: ClosingOptions): Promise<void> {
  const { bench, book, entries } = options;
  const sanity = entries.filter(({ entry }) => entry.kind === 'check' && entry.spec.sanity);
  const worked = sanity.every(({ entry }) => book.get(entry.id)?.status === 'pass');
  const more = entries.some(({ entry }) => entry.kind === 'check' && !entry.spec.sanity);
  if (sanity.length < 5 || !worked || !more || options.over() || book.down !== undefined) return;
  const last = sanity.at(-1)!.entry;
  const mark = bench.trace.mark();
  try {
    const controller = bench.controller('closing flow');
    if (bench.state !== 'ours') {
      await bench.ensure('unpaired');
      await controller.pair();
    }
    const session = await controller.session();
    const outcome = await session.get(bench.profile.resource);
    if (!answered(200).matches(outcome)) throw new StepFailed('PV-M3-01', describeOutcome(outcome));
  } catch (error) {
    const expected = error instanceof StepFailed || error instanceof Blocked || error instanceof HookFailed;
    if (!expected && !(error instanceof Unreachable)) throw error;
    const message = `the plain flow worked at the start and does not at the end: ${error.message}`;
    book.extra.push({
      ...book.blank(last),
      id: 'sanity/last',
      title: 'The plain flow works at the end as it did at the start',
      chapter: 'sanity.last',
      status: 'error',
      reason: 'setup',
      message,
      failure: failure(last, options, [], message, bench.trace.since(mark)),
    });
  }
  await bench.closeLinks();
}

/**
 * What was skipped because something below it is broken, and nothing is red for that: a defect that only housekeeping
 * has met, and that its own check did not, or was not asked to, see. A run may not be green over it.
 */
export function orphans({ book, entries }: Pick<ClosingOptions, 'book' | 'entries'>): void {
  const isRed = (needed: string): boolean =>
    entries.some(({ entry }) => {
      if (entry.id !== needed && entry.requirement.id !== needed) return false;
      const result = book.get(entry.id);
      return result?.status === 'fail' || result?.status === 'error' || result?.reason === 'should';
    });
  for (const { entry } of entries) {
    const result = book.get(entry.id);
    const { failedStep } = result ?? {};
    if (result?.reason !== 'dependency' || failedStep === undefined || isRed(failedStep)) continue;
    const message = `${result.message}; met on the way, and no check of this run is red for it`;
    book.record({ ...result, status: 'error', reason: 'setup', message });
  }
}
