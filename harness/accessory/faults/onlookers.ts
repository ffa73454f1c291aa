import { isDeepStrictEqual } from 'node:util';
import type { Random } from '../../protocol/index.js';
import type { Behaviour } from '../behaviour.js';
import { type Dress, healthyIn } from '../dress/dress.js';
import type { Fault } from './fault.js';

/** The healthy accessory, and the names of those that would have decided otherwise on the way. */
export interface WithOnlookers {
  readonly behaviour: Behaviour;
  /** Filled as decisions are taken; to be emptied by whoever reads it. */
  readonly differing: Set<string>;
}

/**
 * The healthy accessory in a dress, with others of that dress that are asked about every decision it takes. Decisions
 * depend on their arguments alone, so as long as another one decides the same, it sends the same.
 */
export function withOnlookers(dress: Dress, others: readonly Fault[]): WithOnlookers {
  const healthy = healthyIn(dress);
  const differing = new Set<string>();
  const behaviour = { ...healthy };
  const changes = others.map(({ name, change }) => ({ name, change: change(healthy) }));
  for (const member of Object.keys(healthy) as (keyof Behaviour)[]) {
    const those = changes.flatMap(({ name, change }) =>
      member in change ? [{ name, decision: change[member] }] : [],
    );
    if (those.length === 0) continue;
    const own: unknown = healthy[member];
    const look = (differs: (decision: unknown) => boolean): void => {
      for (const { name, decision } of those)
        if (!differing.has(name) && differs(decision)) differing.add(name);
    };
    const asked = (...args: readonly unknown[]): unknown => {
      let decided: unknown;
      try {
        decided = (own as Decision)(...args);
      } catch (error) {
        look(() => true);
        throw error;
      }
      look((decision) => {
        try {
          return !isDeepStrictEqual((decision as Decision)(...args.map(aside)), decided);
        } catch {
          return true;
        }
      });
      return decided;
    };
    const read = (): unknown => {
      look((decision) => decision !== own);
      return own;
    };
    Object.defineProperty(behaviour, member, typeof own === 'function' ? { value: asked } : { get: read });
  }
  return { behaviour, differing };
}

type Decision = (...args: readonly unknown[]) => unknown;

function isRandom(value: unknown): value is Random {
  return typeof value === 'object' && value !== null && 'fork' in value;
}

/** An argument from which whoever looks on may draw: nothing that the accessory would have drawn. */
function aside(argument: unknown): unknown {
  if (isRandom(argument)) return argument.fork('onlooker');
  if (typeof argument === 'function')
    return () => {
      throw new Error('only the accessory draws');
    };
  if (typeof argument !== 'object' || argument === null || !('random' in argument)) return argument;
  return isRandom(argument.random) ? { ...argument, random: aside(argument.random) } : argument;
}
