import type { CheckResult } from './result.js';

/** Where accessories are rightly different: what a check observed, and what that makes of the accessory. */
interface Trait {
  readonly name: string;
  /** Id of the check or watch. */
  readonly id: string;
  readonly observation: string;
  /** Words for what was observed; as it is where there are none. */
  readonly words?: Readonly<Record<string, string>>;
}

const stripped = { stripped: 'without leading zero bytes', padded: 'padded to 384 bytes' };

const traits: readonly Trait[] = [
  {
    name: 'salt',
    id: 'PS-M1-02',
    observation: 'salt',
    words: { 'the same in every M2': 'constant', 'fresh in every M2': 'fresh for every M1' },
  },
  {
    name: 'B in M2',
    id: 'PS-M1-03',
    observation: 'B',
    words: {
      'sent without leading zero bytes': 'without leading zero bytes',
      'sent with its leading zero bytes': 'padded to 384 bytes',
    },
  },
  { name: 'flags of its own in M2', id: 'PS-M1-05/flags', observation: 'flags of its own' },
  { name: 'items of its own in M2', id: 'PS-M1-05', observation: 'items of its own' },
  { name: 'A in the proof', id: 'PS-M3-12', observation: 'A in the proof', words: stripped },
  { name: 'B in the proof', id: 'PS-M3-14', observation: 'B in the proof', words: stripped },
  { name: 'S in K', id: 'PS-M3-15', observation: 'S in the proof', words: stripped },
  {
    name: 'Pair Setup behind a wrong proof',
    id: 'PS-STATE-04',
    observation: 'the right proof behind a wrong one',
    words: { accepted: 'patient: the exchange goes on', refused: 'ended: M1 begins anew' },
  },
  {
    name: 'second Pair Setup',
    id: 'PS-STATE-08/after-m1',
    observation: 'a second M1 while a setup is in progress',
  },
];

/** What results say of the accessory where accessories may differ, by name; nothing of what was not observed. */
export function traitsOf(results: readonly CheckResult[]): Record<string, string> {
  const observed = new Map(results.map(({ id, observations }) => [id, observations]));
  const found: Record<string, string> = {};
  for (const { name, id, observation, words = {} } of traits) {
    const value = observed.get(id)?.[observation];
    if (value !== undefined) found[name] = words[value] ?? value;
  }
  return found;
}
