import { type Bytes, InputError, fromHex, text, utf8 } from '../../protocol/index.js';
import type { Snapshot } from '../snapshot.js';

/** What a format may hold beside keys and controllers. */
export type Extra = 'setup code' | 'setup id' | 'verifier' | 'configuration number' | 'identifier cache';

/** The files of a store, by their path inside its folder; a single file by its name. */
export type Files = ReadonlyMap<string, Bytes>;

export interface ReadOptions {
  /** For a format that does not hold it. */
  readonly deviceId?: Bytes;
}

/** How one stack keeps its pairing data. */
export interface Format {
  readonly name: string;
  /** What it is, in one line. */
  readonly about: string;
  readonly output: 'file' | 'folder';
  readonly holds: readonly Extra[];
  /** @throws InputError saying what is wrong and where */
  read(files: Files, options: ReadOptions): Snapshot;
  /**
   * The files with the snapshot in them; `ltsk` is there.
   * @throws InputError for what the format cannot hold
   */
  write(snapshot: Snapshot & { readonly ltsk: Bytes }): Files;
  /** What else is to be said of what was written. */
  notes?(snapshot: Snapshot): readonly string[];
}

/** The content of a file. @throws InputError when it is not there */
export function fileOf(files: Files, path: string, what: string): Bytes {
  const content = files.get(path);
  if (content === undefined) throw new InputError(`there is no file ${path}, which holds ${what}`);
  return content;
}

/** The only file there is. @throws InputError when there are others */
export function onlyFile(files: Files): Bytes {
  const [first, ...others] = files.values();
  if (first === undefined || others.length > 0)
    throw new InputError(`expected one file, not a folder of ${files.size}`);
  return first;
}

/** The parser's own message would quote the text, and the text may be a key. @throws InputError */
export function jsonOf(content: Bytes, where: string): Readonly<Record<string, unknown>> {
  let json: unknown;
  try {
    json = JSON.parse(text(content));
  } catch {
    throw new InputError(`${where} is no JSON`);
  }
  return objectOf(json, where);
}

export function objectOf(value: unknown, where: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new InputError(`${where} is no object`);
  return value as Record<string, unknown>;
}

/** A member by name, and never one of the prototype. */
export function member(object: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

export function jsonFile(json: unknown, indent?: number): Bytes {
  return utf8(JSON.stringify(json, undefined, indent));
}

export function hexOf(value: unknown, where: string): Bytes {
  if (typeof value !== 'string' || !/^([0-9a-fA-F]{2})*$/.test(value))
    throw new InputError(`${where} is no hexadecimal text`);
  return fromHex(value);
}

export function textOf(value: unknown, where: string): string {
  if (typeof value !== 'string') throw new InputError(`${where} is no text`);
  return value;
}

/** Exactly one spelling is taken: padding there, no other characters, no bits left over. @throws InputError */
export function base64Of(value: unknown, where: string): Bytes {
  const given = textOf(value, where);
  const decoded = new Uint8Array(Buffer.from(given, 'base64'));
  if (toBase64(decoded) !== given)
    throw new InputError(
      `${where} is no base64 (${given.length} characters): it was cut off, or characters of it were changed`,
    );
  return decoded;
}

export function toBase64(bytes: Bytes): string {
  return Buffer.from(bytes).toString('base64');
}

/** A list of numbers from 0 to 255. */
export function numbersOf(value: unknown, where: string): Bytes {
  if (!Array.isArray(value) || !value.every((n) => Number.isInteger(n) && n >= 0 && n <= 255))
    throw new InputError(`${where} is no list of bytes`);
  return Uint8Array.from(value as number[]);
}

/** 0 or 1, as a number. @throws InputError */
export function adminOf(value: unknown, where: string): boolean {
  if (value !== 0 && value !== 1)
    throw new InputError(`${where}: permissions are neither 0 (user) nor 1 (admin)`);
  return value === 1;
}

export function configNumberOf(value: unknown): Pick<Snapshot, 'configNumber'> {
  const known = typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 0xffff_ffff;
  return known ? { configNumber: value } : {};
}

/** An identifier that stands as text in this format: printable ASCII. @throws InputError for other bytes */
export function idText(id: Bytes, format: string): string {
  const shown = text(id);
  if (!/^[\x21-\x7e]+$/.test(shown))
    throw new InputError(`${format} keeps identifiers as text, and one of these is no printable ASCII`);
  return shown;
}

/** A whole number as so many bytes, the lowest first. */
export function littleEndian(value: number, size: number): Bytes {
  return Uint8Array.from({ length: size }, (_, i) => Math.floor(value / 2 ** (8 * i)) & 0xff);
}

export function fromLittleEndian(bytes: Bytes): number {
  return bytes.reduceRight((sum, byte) => sum * 256 + byte, 0);
}

/** The six bytes of a device id. @throws InputError where its letters are small: they would come back as capitals */
export function rawDeviceId(deviceId: Bytes, format: string): Bytes {
  const shown = text(deviceId);
  if (shown !== shown.toUpperCase())
    throw new InputError(
      `${format} keeps the device id as six bytes and announces it in capitals: ${shown} would become another one`,
    );
  return fromHex(shown.replaceAll(':', ''));
}

export function deviceIdFrom(raw: Bytes, where: string): Bytes {
  if (raw.length !== 6) throw new InputError(`${where} is ${raw.length} bytes: a device id is 6`);
  return utf8([...raw].map((byte) => byte.toString(16).padStart(2, '0').toUpperCase()).join(':'));
}

const UUID = /^[0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12}$/i;

export function isUuid(id: string): boolean {
  return UUID.test(id);
}

/** The field up to its first zero byte; `title` says whose. @throws InputError when there is more behind it */
export function zeroEnded(field: Bytes, title: string): Bytes {
  const end = field.indexOf(0);
  if (end < 0) return field;
  if (field.subarray(end).some((byte) => byte !== 0))
    throw new InputError(`${title} has bytes behind its end: it was altered`);
  return field.subarray(0, end);
}

/** The identifier, filled up with zero bytes. @throws InputError when it is too long or holds a zero byte */
export function zeroPadded(id: Bytes, size: number, format: string): Bytes {
  if (id.length > size)
    throw new InputError(
      `${format} keeps identifiers of ${size} bytes at most, and one of these is ${id.length}`,
    );
  if (id.includes(0)) throw new InputError(`${format} cannot keep an identifier with a zero byte`);
  const field = new Uint8Array(size);
  field.set(id);
  return field;
}
