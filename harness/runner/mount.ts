import type Mocha from 'mocha';
import type { Execution } from './parts.js';
import type { PlanEntry } from './plan.js';
import type { CheckResult, RunObserver } from './result.js';

/** What the reporter class reads from a test: mocha carries it, mocha decides nothing. */
interface Carried {
  entry: PlanEntry;
  result: CheckResult | undefined;
}

const carried = new WeakMap<object, Carried>();

/** A red result, thrown at mocha so that its own counters agree with ours. */
class Red extends Error {
  override name = 'Red';
}

/**
 * Executes a run under mocha, built without files or globals, and tells the observers what its reporter hears.
 * Verdicts, retries, timeouts and exit codes live outside mocha, so none of its habits can change them.
 */
export async function executeUnderMocha(run: Execution, observers: readonly RunObserver[]): Promise<void> {
  // Only whoever runs a suite needs it, and it takes its time to load.
  const { default: Mocha } = await import('mocha');
  class Reporter {
    constructor(runner: Mocha.Runner) {
      runner.on('test', (test) => {
        const { entry } = carried.get(test)!;
        if (entry.reported)
          for (const observer of observers) observer.checking?.(entry.entry, run.plan.indexOf(entry));
      });
      runner.on('test end', (test) => {
        const { entry, result } = carried.get(test)!;
        if (!entry.reported || result === undefined) return;
        for (const observer of observers) observer.checked?.(result, () => run.report());
      });
    }
  }
  // failZero: a run of no tests must not read as green, whoever mounts it.
  const mocha = new Mocha({ reporter: Reporter as never, failZero: true });
  const suite = Mocha.Suite.create(mocha.suite, 'hapspec');
  for (const entry of run.plan) {
    const carry: Carried = { entry, result: undefined };
    const test = new Mocha.Test(`${entry.entry.id} ${entry.entry.title}`, async function (
      this: Mocha.Context,
    ) {
      carry.result = await run.runEntry(entry);
      if (carry.result.status === 'skip') this.skip();
      if (carry.result.status === 'fail' || carry.result.status === 'error')
        throw new Red(carry.result.message);
    });
    suite.addTest(test);
    // addTest overwrites the timeout, so it is set behind it; deadlines are the harness's own.
    test.timeout(0);
    carried.set(test, carry);
  }
  return new Promise((resolve) => {
    const listeners = new Set(process.listeners('uncaughtException'));
    const rejections = new Set(process.listeners('unhandledRejection'));
    mocha.run(() => resolve());
    // Mocha would pin a stray error on whatever check runs at that moment, which would read as the accessory's fault.
    for (const listener of process.listeners('uncaughtException'))
      if (!listeners.has(listener)) process.removeListener('uncaughtException', listener);
    for (const listener of process.listeners('unhandledRejection'))
      if (!rejections.has(listener)) process.removeListener('unhandledRejection', listener);
  });
}
