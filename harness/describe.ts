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
  /** What is no test of its own and only brings about what others look at; each is run once. */
  const ahead = run.plan.flatMap((entry, at) => (entry.reported ? [] : [{ entry, at }]));
  const tests = run.plan.flatMap((entry, at): readonly Test[] => {
    if (!entry.reported) return [];
    const name = `${entry.entry.id} ${entry.entry.title}`;
    return [
      {
        name,
        async run(skip) {
          // Also what stands before tests that the runner was told to leave out.
          while (ahead[0] !== undefined && ahead[0].at < at) await run.runEntry(ahead.shift()!.entry);
          const result = await run.runEntry(entry);
          if (result.status === 'skip') skip(redacted(result).message);
          else if (isRed(result, run.strict)) throw new Error(textOf(redacted(result)));
        },
      },
    ];
  });
  return {
    title: `hapspec ${target} (seed ${run.seed})`,
    begin,
    tests,
    async end() {
      await end();
      const report = diagnosed(run.report(), wholeSuite, faults);
      // What is told in thirty tests is one mistake, as a rule.
      for (const { words, explains, confidence, insteadOf } of redacted(report).diagnosis?.causes ?? [])
        if (insteadOf === undefined)
          console.log(
            `hapspec: ${words}: explains ${explains.length} ${explains.length === 1 ? 'failure' : 'failures'}, ${Math.round(100 * confidence)} % sure`,
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
