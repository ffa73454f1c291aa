import { type Bytes, InputError, abytes, aint, hex, join, utf8 } from './bytes.js';
import { TlvType, methodName, tlvErrorName, tlvTypeName } from './constants.js';

/** One value with its type, before encoding or after merging. */
export interface TlvItem {
  readonly type: number;
  readonly value: Bytes;
}

/** One type–length–value triple exactly as it stood on the wire. */
export interface TlvFragment extends TlvItem {
  /** Offset of the type byte in the body. */
  readonly offset: number;
}

/** What is wrong with the bytes as TLV8, in words, with the offset; undefined when they are well-formed. */
export type TlvDefect = string | undefined;

/** Longest value of one fragment. */
export const MAX_FRAGMENT = 255;

/** A decoded body: raw fragments in wire order beside the merged view. Never throws on bytes from a peer. */
export class TlvMessage {
  constructor(
    /** Every triple as sent: order, duplicates and fragments kept. */
    readonly fragments: readonly TlvFragment[],
    /** Values after joining continuations: a fragment continues the one before it when that has the same type and 255 bytes. */
    readonly items: readonly TlvItem[],
    readonly defect: TlvDefect,
  ) {}

  /** Values of every item of `type`, in order. */
  all(type: number): Bytes[] {
    return this.items.filter((item) => item.type === type).map((item) => item.value);
  }

  has(type: number): boolean {
    return this.items.some((item) => item.type === type);
  }

  /** The first value of `type`, or undefined. */
  get(type: number): Bytes | undefined {
    return this.items.find((item) => item.type === type)?.value;
  }

  /**
   * The first value of `type` with every adjacent fragment of the same type appended, whatever its size.
   * For long values a controller must be able to read even where fragmentation is odd; TLV-05 judges the oddity.
   */
  joined(type: number): Bytes | undefined {
    const start = this.fragments.findIndex((fragment) => fragment.type === type);
    if (start < 0) return undefined;
    const parts: Bytes[] = [];
    for (let i = start; i < this.fragments.length && this.fragments[i]!.type === type; i++)
      parts.push(this.fragments[i]!.value);
    return join(parts);
  }

  /** State as a number when present with exactly one byte. */
  get state(): number | undefined {
    const value = this.get(TlvType.State);
    return value?.length === 1 ? value[0] : undefined;
  }

  /** Error as a number (little-endian, up to 4 bytes) when present; an empty Error reads as 0. */
  get error(): number | undefined {
    const value = this.get(TlvType.Error);
    if (value === undefined) return undefined;
    return value.subarray(0, 4).reduce((sum, byte, i) => sum + byte * 2 ** (8 * i), 0);
  }

  /** Names of the types present, each once, in wire order. */
  typeNames(): string[] {
    return [...new Set(this.items.map((item) => tlvTypeName(item.type)))];
  }

  /** One line for people: `State=2 Salt[16] PublicKey[384]`, short values in hex. */
  toString(): string {
    const words = this.items.slice(0, MOST_WORDS).map(describeItem);
    if (this.items.length > MOST_WORDS) words.push(`… ${this.items.length - MOST_WORDS} more items`);
    if (this.defect !== undefined) words.push(`(malformed: ${this.defect})`);
    return words.join(' ') || '(no items)';
  }
}

/** Items put into words: a peer may send a million, and a line of text for people ends earlier. */
const MOST_WORDS = 256;

function describeItem({ type, value }: TlvItem): string {
  const name = tlvTypeName(type);
  if (type === TlvType.Separator && value.length === 0) return '¦';
  if (value.length === 1) {
    const byte = value[0]!;
    if (type === TlvType.State) return `State=${byte}`;
    if (type === TlvType.Error) return `Error=${byte}(${tlvErrorName(byte)})`;
    if (type === TlvType.Method) return `Method=${byte}(${methodName(byte)})`;
  }
  if (type === TlvType.Identifier && value.length > 0 && value.every((b) => b > 0x20 && b < 0x7f))
    return `Identifier[${value.length}]="${String.fromCharCode(...value.subarray(0, 64))}"`;
  if (value.length === 0) return `${name}[0]`;
  if (value.length <= 8) return `${name}[${value.length}]=${hex(value)}`;
  return `${name}[${value.length}]=${hex(value.subarray(0, 4))}…${hex(value.subarray(-2))}`;
}

/**
 * Decodes TLV8 as far as it goes. What does not parse is named in `defect`; the items before it are kept,
 * because the reader of a report wants to see how far the accessory got.
 */
export function decodeTlv(body: Bytes): TlvMessage {
  const fragments: TlvFragment[] = [];
  let defect: TlvDefect;
  let at = 0;
  while (at < body.length) {
    if (at + 2 > body.length) {
      defect = `1 byte left over at offset ${at} (0x${hex(body.subarray(at))})`;
      break;
    }
    const length = body[at + 1]!;
    const rest = body.length - at - 2;
    if (rest < length) {
      defect = `${tlvTypeName(body[at]!)} at offset ${at} declares ${length} bytes, ${rest} are there`;
      break;
    }
    fragments.push({ type: body[at]!, value: body.slice(at + 2, at + 2 + length), offset: at });
    at += 2 + length;
  }
  return new TlvMessage(fragments, merge(fragments), defect);
}

function merge(fragments: readonly TlvFragment[]): TlvItem[] {
  const items: TlvItem[] = [];
  for (let i = 0; i < fragments.length; i++) {
    const { type } = fragments[i]!;
    const parts = [fragments[i]!.value];
    while (fragments[i]!.value.length === MAX_FRAGMENT && fragments[i + 1]?.type === type)
      parts.push(fragments[++i]!.value);
    items.push({ type, value: parts.length === 1 ? parts[0]! : join(parts) });
  }
  return items;
}

/**
 * Encodes items in order, values above 255 bytes as adjacent fragments (seed 002 §2.5; HAP R2 §14.1).
 * Two adjacent items of one type would merge on the other side: separate them with `separator()`.
 */
export function encodeTlv(items: readonly TlvItem[], fragment = MAX_FRAGMENT): Bytes {
  aint(fragment, 'TLV fragment size', 1, MAX_FRAGMENT);
  const parts: Bytes[] = [];
  for (const { type, value } of items) {
    aint(type, 'TLV type', 0, 255);
    abytes(value, `TLV ${tlvTypeName(type)}`);
    let at = 0;
    do {
      const piece = value.subarray(at, at + fragment);
      parts.push(Uint8Array.of(type, piece.length), piece);
      at += fragment;
    } while (at < value.length);
  }
  return join(parts);
}

/** An item; a number becomes one byte, a text UTF-8. */
export function tlv(type: number, value: Bytes | number | string): TlvItem {
  if (typeof value === 'number') {
    aint(value, `TLV ${tlvTypeName(type)}`, 0, 255);
    return { type, value: Uint8Array.of(value) };
  }
  return { type, value: typeof value === 'string' ? utf8(value) : value };
}

/** The empty item that keeps list entries apart (`FF 00`). */
export function separator(): TlvItem {
  return { type: TlvType.Separator, value: new Uint8Array(0) };
}

/**
 * Splits a decoded list at its separators into entries.
 * @throws never; entries may be empty when an accessory sends stray separators.
 */
export function splitEntries(message: TlvMessage): TlvItem[][] {
  const entries: TlvItem[][] = [[]];
  for (const item of message.items) {
    if (item.type === TlvType.Separator) entries.push([]);
    else entries[entries.length - 1]!.push(item);
  }
  return entries;
}

/** An unsigned integer as minimal little-endian bytes of 1, 2, 4 or 8 (erratum E18). */
export function integerValue(value: number): Bytes {
  if (!Number.isSafeInteger(value) || value < 0)
    throw new InputError(`TLV integer: ${value} is not an unsigned integer`);
  const width = value < 0x100 ? 1 : value < 0x1_0000 ? 2 : value < 0x1_0000_0000 ? 4 : 8;
  const out = new Uint8Array(width);
  for (let i = 0, rest = value; i < width; i++, rest = Math.floor(rest / 256)) out[i] = rest % 256;
  return out;
}
