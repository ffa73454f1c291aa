import { afterAll, beforeAll, describe, it } from 'vitest';
import { describeFor } from './describe.js';
import type { ConformanceOptions } from './wanted.js';

/** Deadlines are the harness's own: the runner's would abandon a check without stopping it. */
const NO_DEADLINE = 0;

/**
 * Mounts the suite in the user's own vitest: one `describe`, one `it` per check, in the order the accessory is best
 * asked, also where the user's tests are shuffled or run side by side. Skips carry their reason; failures the full text.
 * @throws InputError for a wrong target or option.
 */
export function describeConformance(target: string, options: ConformanceOptions = {}): void {
  const { title, begin, tests, end } = describeFor(target, options);
  describe(title, { concurrent: false, sequential: true, shuffle: false, retry: 0 }, () => {
    beforeAll(begin, NO_DEADLINE);
    for (const { name, run } of tests)
      it(name, { timeout: NO_DEADLINE }, async (context) => run((why) => context.skip(why)));
    afterAll(end, NO_DEADLINE);
  });
}
