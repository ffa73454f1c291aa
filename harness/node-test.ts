import { after, before, describe, it } from 'node:test';
import { describeFor } from './describe.js';
import type { ConformanceOptions } from './wanted.js';

/**
 * Mounts the suite in the user's own `node:test`: one `describe`, one `it` per check, in the order the accessory is best
 * asked. Skips carry their reason; failures carry the full text.
 * @throws InputError for a wrong target or option.
 */
export function describeConformance(target: string, options: ConformanceOptions = {}): void {
  const { title, begin, tests, end } = describeFor(target, options);
  // One at a time: an accessory serves one Pair Setup.
  void describe(title, { concurrency: 1 }, () => {
    before(begin);
    for (const { name, run } of tests) void it(name, async (test) => run((why) => test.skip(why)));
    after(end);
  });
}
