import type { Result } from './format.js';
import type { Draft, Value } from './make.js';
import type { FlagName } from './notes.js';

export const CODE = '031-45-154';

export function draft(
  comment: string,
  flags: readonly FlagName[],
  result: Result,
  fields: Readonly<Record<string, Value>>,
): Draft {
  return { comment, flags, result, fields };
}
