import { type Behaviour, healthy } from '../behaviour.js';

/** One mistake a programmer made, as a change of the healthy behaviour. */
export interface Fault {
  readonly name: string;
  /** Ids of the requirements it violates; empty for a benign variant. */
  readonly breaks: readonly string[];
  /** The mistake, in one line. */
  readonly story: string;
  /** Row of the field-bug table, when one like it was seen in the wild. */
  readonly fieldBug?: number;
  readonly change: (healthy: Behaviour) => Partial<Behaviour>;
}

export function fault(
  name: string,
  about: Pick<Fault, 'breaks' | 'story' | 'fieldBug'>,
  change: Fault['change'],
): Fault {
  return { name, ...about, change };
}

/** The whole accessory with that one mistake. */
export function twin(fault: Fault): Behaviour {
  return { ...healthy, ...fault.change(healthy) };
}
