import { prepareRun } from './conformance.js';
import { InputError } from './protocol/index.js';
import { failureText } from './report/index.js';
import type { ConformanceOptions } from './wanted.js';

/**
 * Mounts the suite in the user's own mocha: one `describe`, one `it` per check, in the order the accessory is best
 * asked. Skips stay pending with their reason in the title's place in the log; failures carry the full text.
 * @throws InputError for a wrong target or option, or when mocha's globals are not there.
 */
export function describeConformance(target: string, options: ConformanceOptions = {}): void {
  const { describe, it, before, after } = globalThis as Partial<typeof globalThis>;
  if (describe === undefined || it === undefined || before === undefined || after === undefined)
    throw new InputError(
      'describeConformance: call it from a file that mocha runs (describe and it are not defined here)',
    );
  const { run, begin, end, redacted } = prepareRun(target, options);
  describe(`hapspec ${target} (seed ${run.seed})`, function () {
    // Deadlines are the harness's own: mocha's would abandon a check without stopping it.
    this.timeout(0);
    before('the accessory answers', () => begin());
    for (const entry of run.plan)
      if (entry.reported)
        it(`${entry.entry.id} ${entry.entry.title}`, async function () {
          const result = await run.runEntry(entry);
          const clean = redacted(result);
          if (result.status === 'skip') {
            console.log(`      skip ${result.id}: ${clean.message}`);
            this.skip();
          }
          const red =
            result.status === 'fail' || result.status === 'error' || (run.strict && result.status === 'warn');
          if (red) throw new Error(clean.failure === undefined ? clean.message : failureText(clean));
        });
      else before(`brings ${entry.entry.id} about`, async () => void (await run.runEntry(entry)));
    after('the accessory is left as it was found', async () => {
      await end();
      const { aftermath } = run.report();
      if (!aftermath.clean) throw new Error(aftermath.message);
    });
  });
}
