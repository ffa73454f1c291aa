import { type Characteristic, type Session, hap } from '../../harness/suite.js';

/** How long an event may take (ms). */
export const EVENT_WAIT = 5_000;

export const NO_SWITCH = 'no boolean characteristic can be read, written and subscribed to';

/**
 * Can be read, written and subscribed to. Only booleans: to write them back and forth is least likely to move something
 * that should stay where it is.
 */
export function isSwitch({ perms, format, value }: Characteristic): boolean {
  return (
    // Booleans are sent as 0 and 1 too.
    (typeof value === 'boolean' || (format === 'bool' && (value === 0 || value === 1))) &&
    ['pr', 'pw', 'ev'].every((permission) => perms.includes(permission))
  );
}

export function isOn({ value }: Characteristic): boolean {
  return value === true || value === 1;
}

/** The value an event tells of, or what is wrong with it. */
export function told(
  event: Awaited<ReturnType<Session['link']['event']>>,
  { aid, iid }: Characteristic,
): unknown {
  if (event === undefined) return 'no event';
  if (!event.sealed) return 'an event in plaintext';
  try {
    const { characteristics } = JSON.parse(hap.text(event.message.body)) as {
      characteristics: { aid: unknown; iid: unknown; value: unknown }[];
    };
    const value = characteristics.find((entry) => entry.aid === aid && entry.iid === iid)?.value;
    return value === 0 || value === 1 ? value === 1 : value;
  } catch {
    return `an event that is no JSON: ${hap.text(event.message.body).slice(0, 80)}`;
  }
}
