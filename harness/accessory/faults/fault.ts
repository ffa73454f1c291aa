import type { Label } from '../../protocol/index.js';
import { type Behaviour } from '../behaviour.js';
import { type Dress, hapDress, healthyIn } from '../dress/dress.js';

/** One mistake a programmer made, as a change of the healthy behaviour. */
export interface Fault {
  readonly name: string;
  /** Ids of the requirements it violates; empty for a benign variant. */
  readonly breaks: readonly string[];
  /** The mistake, in one line. */
  readonly story: string;
  /**
   * Checks of other requirements that are red in a whole run all the same, by id glob, and why: they meet the defect
   * itself. What is red for want of something below it needs that instead.
   */
  readonly alsoSeenBy?: Readonly<Record<string, string>>;
  /** Row of the field-bug table, when one like it was seen in the wild. */
  readonly fieldBug?: number;
  /** Of a benign variant: ids of what it could touch; everything unless given. */
  readonly concerns?: RegExp;
  /** It is one of a clone, which meets the chapter of clones: a mistake of the clone, or of the program both devices run. */
  readonly clone?: 'import' | 'firmware';
  /** What the accessory is that makes it; a HAP accessory unless given. */
  readonly dress?: Dress;
  /** What has to be declared of it for nothing to be red: it is no part of what it announces. */
  readonly declares?: readonly 'router'[];
  /** What its label says in the place of what is right; it is no part of the accessory. */
  readonly label?: Partial<Label>;
  readonly change: (healthy: Behaviour) => Partial<Behaviour>;
}

export function fault(
  name: string,
  about: Pick<Fault, 'breaks' | 'story' | 'fieldBug' | 'dress' | 'label'>,
  change: Fault['change'],
): Fault {
  return { name, ...about, change };
}

/** The whole accessory with that one mistake. */
export function twin(fault: Fault): Behaviour {
  const healthy = healthyIn(fault.dress ?? hapDress);
  return { ...healthy, ...fault.change(healthy) };
}
