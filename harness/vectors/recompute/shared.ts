import type { Edit, Fields, Json, Result } from '../format.js';
import { type Item, publicKey, writeTlv } from '../second.js';

export type Claims = Readonly<Record<string, unknown>>;
export type Recompute = (test: Fields, group: Fields) => Claims;

export const text = (value: Json | undefined): string => value as string;
export const hex = (value: Json | undefined): Buffer => Buffer.from(value as string, 'hex');
export const number = (value: Json | undefined): number => value as number;
export const fields = (value: Json | undefined): Fields => value as Fields;
export const editOf = (test: Fields): Edit | undefined => test['edit'] as Edit | undefined;
export const argument = (edit: Edit): Buffer => Buffer.from(edit.value!, 'hex');

/** TLV types. */
export const T = {
  Method: 0,
  Identifier: 1,
  Salt: 2,
  PublicKey: 3,
  Proof: 4,
  EncryptedData: 5,
  State: 6,
  Error: 7,
  RetryDelay: 8,
  Certificate: 9,
  Signature: 10,
  Permissions: 11,
  Flags: 0x13,
  Separator: 0xff,
} as const;

export const itemsOf = (items: readonly Item[]): Claims[] =>
  items.map(({ type, value }) => ({ type, value }));
export const verdict = (wrong: boolean): Result => (wrong ? 'invalid' : 'valid');

export const state = (value: number): readonly [number, number] => [T.State, value];
export const refused = (replyState: number): Buffer => writeTlv([state(replyState), [T.Error, 2]]);

export interface Person {
  readonly id: Buffer;
  readonly ltsk: Buffer;
  readonly ltpk: Buffer;
}
export function person(value: Json | undefined): Person {
  const { id, ltsk } = fields(value);
  return { id: hex(id), ltsk: hex(ltsk), ltpk: publicKey('ed25519', hex(ltsk)) };
}

/** The op of an edit that belongs to one message (`m5-flip` → `flip`), or undefined. */
export function opOf(edit: Edit | undefined, message: string): string | undefined {
  return edit?.op.startsWith(`${message}-`) ? edit.op.slice(message.length + 1) : undefined;
}
