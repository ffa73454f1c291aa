import { faults } from './accessory/index.js';
import { prepareRun } from './conformance.js';
import { diagnosed } from './diagnosed.js';
import { failureText } from './report/index.js';
import type { CheckResult } from './runner/index.js';
import { type ConformanceOptions, wholeSuite } from './wanted.js';

/** A check in a test runner of the user: `run` throws an Error with the failure in full, or skips. */
interface Test {
  readonly name: string;
  run(skip: (why: string) => void): Promise<void>;
}

/** The suite against one accessory for a test runner: hooks and tests, to be run one after the other in their order. */
export interface Described {
  readonly title: string;
  /** Before all tests: the accessory answers. */
  begin(): Promise<void>;
  readonly tests: readonly Test[];
  /** Behind all tests, whatever came of them. @throws Error when the accessory is not left as it was found. */
  end(): Promise<void>;
}

/**
 * Plans the suite for the user's own test runner.
 * @throws InputError for a wrong target or option.
 */
export function describeFor(target: string, options: ConformanceOptions): Described {
  const { run, begin, end, redacted } = prepareRun(target, options);
  /** What brings the accessory where the next test begins. */
  let ahead: (typeof run.plan)[number][] = [];
  const tests: Test[] = [];
  for (const entry of run.plan) {
    if (!entry.reported) {
      ahead.push(entry);
      continue;
    }
    const way = ahead;
    ahead = [];
    tests.push({
      name: `${entry.entry.id} ${entry.entry.title}`,
      async run(skip) {
        for (const step of way) await run.runEntry(step);
        const result = await run.runEntry(entry);
        if (result.status === 'skip') skip(redacted(result).message);
        else if (isRed(result, run.strict)) throw new Error(textOf(redacted(result)));
      },
    });
  }
  return {
    title: `hapspec ${target} (seed ${run.seed})`,
    begin,
    tests,
    async end() {
      for (const step of ahead) await run.runEntry(step);
      await end();
      const report = diagnosed(run.report(), wholeSuite, faults);
      // What is told in thirty tests is one mistake, as a rule.
      for (const { words, explains, confidence, insteadOf } of redacted(report).diagnosis?.causes ?? [])
        if (insteadOf === undefined)
          console.log(
            `hapspec: ${words}: explains ${explains.length} failures, ${Math.round(100 * confidence)} % sure`,
          );
      if (!report.aftermath.clean) throw new Error(redacted(report).aftermath.message);
    },
  };
}

function isRed({ status }: CheckResult, strict: boolean): boolean {
  return status === 'fail' || status === 'error' || (strict && status === 'warn');
}

function textOf(result: CheckResult): string {
  return result.failure === undefined ? result.message : failureText(result);
}
