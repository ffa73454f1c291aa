import { type Bytes, type Identity, fromHex, keyLabels } from '../../protocol/index.js';
import type { Edit } from '../format.js';
import type { Value } from '../make.js';

/** What is wrong with a transcript, from a list that the schema knows. */
export type Change = Edit | undefined;

export function argument(change: Edit): Bytes {
  return fromHex(change.value!);
}
/** The op of an edit that belongs to one message (`m5-flip` → `flip`), or undefined. */
export function opOf(change: Change, message: string): string | undefined {
  return change?.op.startsWith(`${message}-`) ? change.op.slice(message.length + 1) : undefined;
}
export const person = ({ id, ltsk, ltpk }: Identity): Value => ({ id, ltsk, ltpk });

export const dresses = {
  hap: { toAccessory: keyLabels['Split-Controller'], toController: keyLabels['Split-Accessory'] },
  airplay: { toAccessory: keyLabels['Control-Write'], toController: keyLabels['Control-Read'] },
} as const;
export type Dress = keyof typeof dresses;
