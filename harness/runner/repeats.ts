import { type Bench, Blocked, HookFailed, StepFailed } from '../device/index.js';
import { Unreachable } from '../wire/index.js';
import type { Book } from './book.js';
import type { Budget } from './budget.js';
import type { Check } from './check.js';
import { NO_LONGER, type RunEnvironment, runCheck, signOfLife } from './execute.js';
import type { Expectations } from './expectations.js';
import type { CheckResult } from './result.js';
import { matchesPattern } from './selection.js';

/** How often one step is asked again by itself: where it always works, what goes wrong is no doing of its. */
const MOST_SUSPICIONS = 3;

/** Variants that differ in detail: `PS-ERR-04/pairings-state-3` belongs to `PS-ERR-04/pairings`. */
function familyOf(id: string): string {
  const [requirement = '', variant] = id.split('/');
  return variant === undefined ? requirement : `${requirement}/${variant.split('-')[0]}`;
}

function wasSilent({ status, message }: CheckResult): boolean {
  return status === 'fail' && message.includes('silence: no answer');
}

/** What the policy asks of the run it belongs to. */
export interface RepeatsOptions {
  readonly bench: Bench;
  readonly book: Book;
  readonly budget: Budget;
  readonly environment: RunEnvironment;
  readonly expectations: Expectations | undefined;
  /** The run is over: nothing is repeated any more. */
  readonly over: () => boolean;
  /** Told of a step that was red when it was asked again by itself. */
  readonly found: (result: CheckResult) => void;
}

/** How often a check runs until it is believed, and what becomes of one behind which nothing answers. */
export class Repeats {
  /** Failures by silence, by family. */
  private readonly silences = new Map<string, readonly CheckResult[]>();
  /** How often a step was asked again by itself, because it went wrong on the way to a check. */
  private readonly suspicions = new Map<string, number>();

  constructor(private readonly options: RepeatsOptions) {}

  /** Runs a check as often as it takes, and returns what that came to. */
  async run(check: Check): Promise<CheckResult> {
    const family = familyOf(check.id);
    const silent = this.silences.get(family) ?? [];
    // Each silence costs the whole window; two of a family show what the others would.
    const known = silent.every((result) => this.options.book.excused(result).reason === 'expected');
    // Where the silences are known, so are those that are met by none.
    if (silent.length >= 2 && (!known || this.isExpected(check))) {
      const message = `two of ${family} were met by silence already${known ? ', as expected' : ''}`;
      return this.options.book.skipped(check, known ? 'expected' : 'dependency', message, false);
    }
    const blocked = await this.afford(check);
    if (blocked !== undefined) return blocked;
    const broken = new Set(this.options.bench.broken.keys());
    let result = await this.suspect(check, await this.waitedOut(check));
    if (result.died) result = await this.afterDeath(check, result, broken);
    // What is known to fail is not worth another look.
    else if (this.options.book.excused(result).status === 'fail') result = await this.confirm(check, result);
    // A deviation somebody has accepted must not hide what else there is: what needs the check runs, and tells by itself.
    if (result.status === 'fail' && !check.spec.sanity && this.options.book.excused(result).status !== 'fail')
      this.options.bench.broken.delete(check.id);
    if (wasSilent(result)) {
      this.silences.set(family, [...silent, result]);
      // Confirmed, as a rule: answers are no longer given the whole time.
      this.options.bench.pace.impatient = true;
    }
    return result;
  }

  /** One of the known deviations is about this check. */
  private isExpected(check: Check): boolean {
    return this.options.expectations?.entries.some(({ id }) => matchesPattern(id, check)) ?? false;
  }

  /** It is a known deviation that this check fails. */
  private isKnownToFail(check: Check): boolean {
    const { expectations } = this.options;
    return (
      expectations?.entries.some(({ id, status }) => status === 'fail' && matchesPattern(id, check)) ?? false
    );
  }

  /**
   * One run of a check. What is known not to be answered is not waited for as long; and an answer that came when its
   * shorter time was over is waited for once more, with the time it takes.
   */
  private async waitedOut(check: Check): Promise<CheckResult> {
    const { bench } = this.options;
    const { pace } = bench;
    const { lateAnswers } = pace;
    pace.knownSilence = this.isKnownToFail(check);
    const first = await runCheck(check, bench, this.options.environment);
    pace.knownSilence = false;
    const { costs, once } = check.spec;
    if (pace.lateAnswers === lateAnswers || (once && (costs?.attempts ?? 0) > 0)) return first;
    if (!this.options.budget.affords(costs?.attempts ?? 0) || this.options.over()) return first;
    bench.broken.delete(check.id);
    return runCheck(check, bench, this.options.environment);
  }

  /**
   * A step of a flow went wrong on the way to a check. When it does so by itself, it is that step which is red, under
   * its own requirement, though it worked before; and what could not get to its point needs it.
   */
  private async suspect(check: Check, result: CheckResult): Promise<CheckResult> {
    const { failedStep } = result;
    if (failedStep === undefined || result.reason !== 'setup' || this.options.over()) return result;
    const red = this.options.budget.entries.find(
      ({ entry }) =>
        entry.requirement.id === failedStep &&
        entry !== check &&
        this.options.book.get(entry.id)?.status === 'fail',
    )?.entry;
    if (red !== undefined)
      return this.options.book.skipped(
        check,
        'dependency',
        `needs ${red.id}: ${this.options.book.get(red.id)!.message}`,
        false,
      );
    const step = this.options.budget.entries.find(
      ({ entry, leftOut }) => entry.id === failedStep && entry.kind === 'check' && leftOut === undefined,
    )?.entry as Check | undefined;
    const known = step && this.options.book.get(step.id);
    const asked = this.suspicions.get(failedStep) ?? 0;
    if (known?.reason === 'dependency')
      return this.options.book.skipped(
        check,
        'dependency',
        `needs ${known.id}, which ${known.message}`,
        false,
      );
    // One that has not run yet will tell by itself.
    if (step === undefined || step === check || !known || asked >= MOST_SUSPICIONS) return result;
    if (known.status !== 'pass' && known.status !== 'warn') return result;
    this.suspicions.set(failedStep, asked + 1);
    let again = await this.waitedOut(step);
    if (again.status === 'fail') again = await this.confirm(step, again);
    if (again.status !== 'fail') return result;
    const { sinceCode } = this.options.bench.learned;
    const before =
      failedStep === 'PS-M3-01' && sinceCode !== undefined ? `before the ${sinceCode}` : 'before';
    const message = `${again.message} (behind ${check.id}; it worked ${before})`;
    this.options.found({ ...again, message });
    return this.options.book.skipped(check, 'dependency', `needs ${step.id}: ${again.message}`, false);
  }

  /** Makes room in the ledger by a reset when the check needs it; the plan has made sure there is a hook. */
  private async afford(check: Check): Promise<CheckResult | undefined> {
    const { bench } = this.options;
    const cost = check.spec.costs?.attempts ?? 0;
    // In memory a property puts the accessory back by itself, as often as it takes.
    if (check.spec.property?.asked === true && bench.clock.virtual) return undefined;
    if (cost === 0 || this.options.budget.affords(cost)) return undefined;
    try {
      await bench.factoryReset();
      return undefined;
    } catch (error) {
      if (error instanceof Blocked)
        return this.options.book.skipped(
          check,
          'not-bought',
          `the run has spent its ${this.options.budget.limit} failed attempts`,
          false,
        );
      // What comes back from the reset may be past every step.
      if (error instanceof HookFailed || error instanceof Unreachable || error instanceof StepFailed)
        return this.options.book.failed(check, 'setup', error.message);
      throw error;
    }
  }

  /**
   * Repeats a failure until two of three runs agree, as far as the ledger allows it. In virtual time nothing can
   * flake: the same seed gives the same bytes. A repeat that cannot get to its point, because of what the defect has
   * left behind, contradicts nothing; one that meets nobody does.
   */
  private async confirm(check: Check, first: CheckResult): Promise<CheckResult> {
    const { bench } = this.options;
    const { once, destructive, ifAccepted } = check.spec;
    if (bench.clock.virtual || once || destructive || ifAccepted !== undefined) return first;
    // An accessory that is known to leave requests unanswered has done it again.
    if (bench.pace.impatient && wasSilent(first)) return first;
    const cost = check.spec.costs?.attempts ?? 0;
    const runs = [first];
    const fails = (): number => runs.filter(({ status }) => status === 'fail').length;
    const undecided = ({ reason }: CheckResult): boolean =>
      reason === 'setup' || reason === 'dependency' || reason === 'blocked';
    const contradictions = (): number =>
      runs.filter((result) => result.status !== 'fail' && !undecided(result)).length;
    while (runs.length < 3 && fails() < 2 && contradictions() < 2 && !this.options.over()) {
      if (cost > 0 && !this.options.budget.affords(cost)) break;
      bench.broken.delete(check.id);
      // The whole time has gone by in silence once: whether it does again shows sooner.
      const { impatient } = bench.pace;
      bench.pace.impatient ||= wasSilent(first);
      bench.pace.confirming = true;
      const again = await runCheck(check, bench, this.options.environment);
      bench.pace.confirming = false;
      bench.pace.impatient = impatient;
      if (again.died) return this.afterDeath(check, first);
      runs.push(again);
    }
    if (fails() >= 2 || contradictions() === 0) return { ...first, attempts: runs.length };
    bench.broken.delete(check.id);
    const message = `failed ${fails()} of ${runs.length} times: ${first.message}`;
    return { ...first, status: 'error', reason: 'flaky', message, attempts: runs.length };
  }

  /** The accessory stopped answering. A death that repeats after the same stimulus is that check's fail. */
  private async afterDeath(
    check: Check,
    first: CheckResult,
    broken?: ReadonlySet<string>,
  ): Promise<CheckResult> {
    const { bench } = this.options;
    if (!(await this.revive())) {
      // Places that are lost one by one are gone at some check that has nothing to do with it.
      const count = `connection ${bench.links.opened} of the run`;
      this.options.book.down = `it stopped answering after ${check.id}, at ${count}`;
      const message = `the accessory stopped answering after this, at ${count}, and does not come back: --restart CMD would tell whether this stimulus does it, or the number of connections (${first.message})`;
      return { ...first, status: 'error', reason: 'unreachable', message };
    }
    // It had not come to its stimulus: what was below it is to blame.
    if (first.reason === 'dependency') return first;
    bench.broken.delete(check.id);
    // A step that met nobody is not broken by that; whether it dies of this is what the repeat tells.
    if (broken !== undefined)
      for (const id of [...bench.broken.keys()])
        if (!broken.has(id)) {
          bench.broken.delete(id);
          bench.learned.metOnTheWay.delete(id);
        }
    if (bench.learned.deadly === check.id) bench.learned.deadly = undefined;
    const again = await runCheck(check, bench, this.options.environment);
    if (again.died) {
      if (!(await this.revive())) this.options.book.down = `it stopped answering after ${check.id}`;
      const seen =
        first.message === NO_LONGER ? 'no sign of life' : first.message.replace(`; ${NO_LONGER}`, '');
      const message = `the accessory stops answering after this, each time: ${seen}`;
      return { ...again, status: 'fail', reason: 'forbidden', message, attempts: 2 };
    }
    // Restarted it had room for one more, or none of what led to the end: the check is red all the same.
    if (again.status === 'fail' || again.reason === 'should') return { ...again, attempts: 2 };
    const message = `the accessory stopped answering once, and not when this was repeated: ${first.message}`;
    return { ...again, status: 'error', reason: 'flaky', message, attempts: 2 };
  }

  /** Waits for the accessory to come back, after a restart when there is a hook for it. */
  private async revive(): Promise<boolean> {
    const { bench } = this.options;
    try {
      if (bench.options.hooks?.restart !== undefined) await bench.restart();
      const deadline = bench.clock.now() + bench.options.patience.answer;
      for (;;) {
        bench.learned.answeredAfresh = false;
        if (await signOfLife(bench)) break;
        if (bench.clock.now() >= deadline || this.options.over()) return false;
        await bench.clock.sleep(500);
      }
    } catch (error) {
      if (error instanceof HookFailed) return false;
      throw error;
    }
    // What was under way is gone: who is paired has to be found out.
    if (bench.state !== 'foreign') bench.state = 'unknown';
    return true;
  }
}
