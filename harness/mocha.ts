import { describeFor } from './describe.js';
import { InputError } from './protocol/index.js';
import type { ConformanceOptions } from './wanted.js';

/**
 * Mounts the suite in the user's own mocha: one `describe`, one `it` per check, in the order the accessory is best
 * asked. Skips stay pending with their reason in the log; failures carry the full text.
 * @throws InputError for a wrong target or option, or when mocha's globals are not there.
 */
export function describeConformance(target: string, options: ConformanceOptions = {}): void {
  const { describe, it, before, after } = globalThis as Partial<typeof globalThis>;
  if (describe === undefined || it === undefined || before === undefined || after === undefined)
    throw new InputError(
      'describeConformance: call it from a file that mocha runs (describe and it are not defined here); vitest has hapspec/vitest, node:test has hapspec/node-test',
    );
  const { title, begin, tests, end } = describeFor(target, options);
  describe(title, function () {
    // Deadlines are the harness's own: mocha's would abandon a check without stopping it.
    this.timeout(0);
    before('the accessory answers', begin);
    for (const { name, run } of tests)
      it(name, async function () {
        let skipped: string | undefined;
        await run((why) => (skipped = why));
        if (skipped === undefined) return;
        console.log(`      skip ${name}: ${skipped}`);
        this.skip();
      });
    after('the accessory is left as it was found', end);
  });
}
