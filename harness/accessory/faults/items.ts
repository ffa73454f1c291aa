import { type TlvItem, TlvType } from '../../protocol/index.js';
import type { Reply } from '../messages/reply.js';

/** The items with the one of that type replaced; unchanged when there is none. */
export function withItem(items: readonly TlvItem[], item: TlvItem): readonly TlvItem[] {
  return items.map((old) => (old.type === item.type ? item : old));
}

export function withoutItem(items: readonly TlvItem[], type: number): readonly TlvItem[] {
  return items.filter((item) => item.type !== type);
}

/** A reply that grants what was asked: HTTP 200 without Error. */
export function succeeds(reply: Reply): boolean {
  return reply.status === 200 && !reply.items.some(({ type }) => type === TlvType.Error);
}

/** A reply of HTTP 200 with an Error item. */
export function fails(reply: Reply): boolean {
  return reply.status === 200 && !succeeds(reply);
}

/** The Error of a reply, or undefined when it has none. */
export function errorOf({ items }: Reply): number | undefined {
  return items.find(({ type }) => type === TlvType.Error)?.value[0];
}
