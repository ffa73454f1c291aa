import type { Fault } from '../../faults/fault.js';
import type { AnnouncedFacts } from '../announcement.js';

/** The TXT record with another value of one key; undefined leaves the key out. */
export function says(
  key: string,
  value: (facts: AnnouncedFacts, right: string) => string | undefined,
): Fault['change'] {
  return (ok) => ({
    announces(facts) {
      const { txt, ...place } = ok.announces(facts);
      const changed = txt.flatMap(([name, right]): [string, string][] => {
        const other = name === key ? value(facts, right) : right;
        return other === undefined ? [] : [[name, other]];
      });
      return { ...place, txt: changed };
    },
  });
}
