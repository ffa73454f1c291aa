import { type Announced, type CheckContext, hap } from '../../harness/suite.js';

/** How long a change may take to be announced (ms). */
const TOLD_WITHIN = 10_000;

/** What is announced now. */
export async function announced({ bench, notApplicable, violate }: CheckContext): Promise<Announced> {
  const source = bench.options.announcements;
  const found = await source?.current();
  if (found?.conflict !== undefined) return notApplicable(found.conflict);
  if (found !== undefined) return found;
  if (source?.seen === true)
    violate(
      'it was announced before, and now no question about it is answered: controllers take it for gone',
    );
  return notApplicable('nothing is announced at this address');
}

/** Bit 0 of sf: 1 is free to be paired. */
export function notPaired({ txt }: Announced): number | undefined {
  const sf = hap.txtNumber(txt.get('sf'));
  return sf === undefined ? undefined : sf & hap.StatusFlag.NotPaired;
}

/** Waits, without a question, until an announcement behind the `heard` ones says so; false when none did in time. */
export async function told({ bench }: CheckContext, heard: number, bit: number): Promise<boolean> {
  const { clock, options } = bench;
  for (const deadline = clock.now() + TOLD_WITHIN; clock.now() <= deadline; await clock.sleep(100))
    if (options.announcements!.since(heard).some((service) => notPaired(service) === bit)) return true;
  return false;
}
