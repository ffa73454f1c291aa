import { InputError, type TlvItem, TlvType, encodeTlv, equal, flipBit, tlv } from '../protocol/index.js';

/** A change to a message while it is still a list of items, so that it stays cryptographically valid everywhere else. */
export type Edit = (items: readonly TlvItem[]) => readonly TlvItem[];

/** An edit that changed nothing: the check would have sent a healthy message and judged the answer as if it had not. */
export class EditWithoutEffect extends Error {
  override name = 'EditWithoutEffect';
}

/** Applies an edit. @throws EditWithoutEffect when the encoded message stays the same. */
export function applyEdit(items: readonly TlvItem[], edit: Edit | undefined): readonly TlvItem[] {
  if (edit === undefined) return items;
  const edited = edit(items);
  if (equal(encodeTlv(items), encodeTlv(edited)))
    throw new EditWithoutEffect('an edit left the message as it was: the check does not send what it says');
  return edited;
}

type ItemName = keyof typeof TlvType;

function change(name: ItemName, how: (item: TlvItem) => TlvItem[]): Edit {
  return (items) => {
    if (!items.some((item) => item.type === TlvType[name]))
      throw new EditWithoutEffect(`the message has no ${name} to edit`);
    return items.flatMap((item) => (item.type === TlvType[name] ? how(item) : [item]));
  };
}

/** Leaves the item out. */
export function drop(name: ItemName): Edit {
  return change(name, () => []);
}

/** Another value for the item. */
export function replace(
  name: ItemName,
  value: Uint8Array | number | ((value: Uint8Array) => Uint8Array),
): Edit {
  return change(name, (item) => [tlv(item.type, typeof value === 'function' ? value(item.value) : value)]);
}

/** Cuts the value, or extends it with zero bytes, to `length`. */
export function resize(name: ItemName, length: number): Edit {
  return replace(name, (value) => {
    const out = new Uint8Array(length);
    out.set(value.subarray(0, length));
    return out;
  });
}

/** Inverts one bit of the value; negative bits count from the end (-1 is the top bit of the last byte). */
export function flip(name: ItemName, bit: number): Edit {
  return replace(name, (value) => flipBit(value, bit < 0 ? value.length * 8 + bit : bit));
}

/** The item a second time, right behind the first or at the end. */
export function duplicate(name: ItemName, where: 'adjacent' | 'end' = 'adjacent'): Edit {
  return (items) => {
    const copy = items.find((item) => item.type === TlvType[name]);
    if (copy === undefined) throw new EditWithoutEffect(`the message has no ${name} to edit`);
    return where === 'end'
      ? [...items, copy]
      : items.flatMap((item) => (item === copy ? [item, copy] : [item]));
  };
}

/** The items named, in that order, before all others. */
export function reorder(...names: readonly ItemName[]): Edit {
  return (items) => {
    const first = names.map((name) => {
      const item = items.find((candidate) => candidate.type === TlvType[name]);
      if (item === undefined) throw new EditWithoutEffect(`the message has no ${name} to edit`);
      return item;
    });
    return [...first, ...items.filter((item) => !first.includes(item))];
  };
}

/** Puts an item at `index` (0 = first, negative counts from the end, -1 = last). */
export function insert(item: TlvItem, index: number): Edit {
  return (items) => {
    const at = index < 0 ? items.length + 1 + index : index;
    if (at < 0 || at > items.length)
      throw new InputError(`insert: no position ${index} in ${items.length} items`);
    return [...items.slice(0, at), item, ...items.slice(at)];
  };
}

/** Several edits, one after the other. */
export function all(...edits: readonly Edit[]): Edit {
  return (items) => edits.reduce<readonly TlvItem[]>((message, edit) => edit(message), items);
}
