import {
  type Bytes,
  InputError,
  type TlvMessage,
  TlvType,
  concat,
  decodeTlv,
  fromHex,
  labelNonce,
  open,
} from '../protocol/index.js';
import type { VectorFile } from './format.js';
import { type Draft, type Value, fileOf } from './make.js';

/**
 * A recorded exchange becomes vectors: each pairing message with its items, each sub-TLV that was written down or can be
 * opened. Two forms are read.
 *
 * - Evidence (`--evidence`): JSON lines; the first says `schema` and `check`, the others are events. Messages are read
 *   from `sent`, `received` and `opened` bytes, sub-TLVs from `inside`. What a pairing message is its media type says, and
 *   in AirPlay, where that says little, the path of the request. An event `{"kind":"key","label":"PS-Msg05",
 *   "bytes":"…"}` gives the key of a sealed message on its connection.
 * - Replay: one JSON object `{"exchanges":[{"request":"…","response":"…"}], "keys":{"PS-Msg05":"…"}}`; requests and
 *   responses are hexadecimal, HTTP messages or bare TLV bodies, an empty response is silence; `keys` may be missing.
 */

/** Largest recording taken, bytes. */
export const MAX_RECORDING = 64 * 1024 * 1024;
/** What a vector can hold. */
const MAX_BODY = 70_000;
const MAX_ITEMS = 1000;

interface Message {
  readonly where: string;
  readonly connection: number;
  readonly body: Bytes;
  readonly tlv: TlvMessage;
  key?: Bytes;
  sub?: Bytes;
}

type Line = Readonly<Record<string, unknown>>;

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
const isObject = (value: unknown): value is Line =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** @throws InputError naming where the text that should be bytes stands. */
function bytesOf(value: unknown, where: string): Bytes {
  if (typeof value !== 'string' || value.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(value))
    throw new InputError(`${where}: expected bytes as hexadecimal digits`);
  return fromHex(value);
}

/** HTTP messages out of bytes as they come; anything else is let go. */
class BodyReader {
  private pending: Bytes = new Uint8Array(0);

  /** The start line and the body of each message that is complete; `named` when its media type says TLV8. */
  feed(bytes: Bytes): { readonly start: string; readonly named: boolean; readonly body: Bytes }[] {
    this.pending = concat(this.pending, bytes);
    const found = [];
    for (;;) {
      const text = Buffer.from(this.pending.buffer, this.pending.byteOffset, this.pending.length).toString(
        'latin1',
      );
      const end = text.indexOf('\r\n\r\n');
      if (!/^(?:[A-Z]{1,10} |HTTP\/|RTSP\/)/.test(text)) {
        this.pending = new Uint8Array(0);
        return found;
      }
      if (end < 0) return found;
      const head = text.slice(0, end);
      const length = Number(/^content-length: *(\d{1,9}) *$/im.exec(head)?.[1] ?? 0);
      if (this.pending.length < end + 4 + length) return found;
      const body = this.pending.slice(end + 4, end + 4 + length);
      this.pending = this.pending.slice(end + 4 + length);
      found.push({ start: head.split('\r\n')[0]!, named: /pairing\+tlv8/i.test(head), body });
    }
  }
}

/** Where pairing messages go, and what answers them. */
const pairingPath = /^POST \/(?:pair-setup|pair-verify|pair-add|pair-remove|pair-list|pairings) /;

/** A whole message with a State: what else comes from such a path is an error page or a property list. */
function isPairing(body: Bytes): boolean {
  const { defect, state } = decodeTlv(body);
  return defect === undefined && state !== undefined;
}

/** The nonce label of a message that holds EncryptedData; State alone tells, because no two of them share it. */
function labelOf({ tlv }: Message): string | undefined {
  const { state } = tlv;
  if (!tlv.has(TlvType.EncryptedData) || state === undefined) return undefined;
  return { 2: 'PV-Msg02', 3: 'PV-Msg03', 4: 'PS-Msg04', 5: 'PS-Msg05', 6: 'PS-Msg06' }[state];
}

function draftOf(message: Message): Draft {
  const { body, tlv, where, key } = message;
  const label = labelOf(message);
  const sealed = label === undefined ? undefined : tlv.get(TlvType.EncryptedData);
  const opened = key && sealed && label !== undefined ? open(key, labelNonce(label), sealed) : undefined;
  const sub = sealed && (opened ?? message.sub);
  const inside = sub && decodeTlv(sub);
  const list = ({ items }: TlvMessage): Value => items.map(({ type, value }) => ({ type, value }));
  const defect = (bytes: Bytes, { defect: words, fragments }: TlvMessage): Value => {
    if (words === undefined) return undefined;
    const last = fragments.at(-1);
    const offset = last === undefined ? 0 : last.offset + 2 + last.value.length;
    const rest = bytes.subarray(offset);
    return { kind: rest.length < 2 ? 'length-missing' : 'value-truncated', offset, rest };
  };
  const malformed = tlv.defect !== undefined || inside?.defect !== undefined;
  return {
    comment: where.slice(0, 500),
    flags: malformed ? ['Recorded', 'Truncated'] : ['Recorded'],
    result: malformed ? 'invalid' : 'valid',
    fields: {
      body,
      items: list(tlv),
      defect: defect(body, tlv),
      key: opened && key,
      label: opened && label,
      sealed: sub && sealed,
      sub,
      subItems: inside && list(inside),
      subDefect: sub && inside && defect(sub, inside),
    },
  };
}

function message(where: string, connection: number, body: Bytes): Message {
  const tlv = decodeTlv(body);
  if (body.length > MAX_BODY || tlv.items.length > MAX_ITEMS)
    throw new InputError(
      `${where}: ${body.length} bytes, ${tlv.items.length} items are more than a vector holds`,
    );
  return { where, connection, body, tlv };
}

/** Printable ASCII of a start line, which an accessory may fill with anything. */
const plain = (text: string): string => text.replace(/[^\x20-\x7e]/g, '?').slice(0, 100);

function fromEvidence(lines: readonly Line[]): Message[] {
  const readers = new Map<string, BodyReader>();
  /** Whether the last request of a connection was for a path of pairing. */
  const asked = new Map<string, boolean>();
  const messages: Message[] = [];
  const keys = new Map<string, Bytes>();
  /** Sub-TLVs of messages that are sent later. */
  const waiting: { connection: number; state: number; sub: Bytes }[] = [];
  for (const [index, event] of lines.entries()) {
    const where = `line ${index + 2}`;
    const { kind } = event;
    const connection = Number(event['connection'] ?? 0);
    if (!['sent', 'received', 'opened', 'inside', 'key'].includes(String(kind))) continue;
    // What redaction has blanked is no message any more.
    if (typeof event['bytes'] === 'string' && event['bytes'].includes('redacted')) continue;
    const bytes = bytesOf(event['bytes'], where);
    if (kind === 'key') {
      if (bytes.length !== 32) throw new InputError(`${where}: a key has 32 bytes, not ${bytes.length}`);
      keys.set(`${connection} ${String(event['label'])}`, bytes);
      continue;
    }
    const line = typeof event['line'] === 'string' ? event['line'] : '';
    if (kind === 'inside') {
      const state = Number(/M(\d)\b/.exec(line)?.[1] ?? 0);
      const earlier = messages.findLast(
        (candidate) =>
          candidate.connection === connection &&
          candidate.tlv.state === state &&
          labelOf(candidate) !== undefined,
      );
      // The harness opens what it heard after it heard it, and writes down what it seals before it says it.
      if (earlier !== undefined && earlier.sub === undefined && state % 2 === 0) earlier.sub = bytes;
      else waiting.push({ connection, state, sub: bytes });
      continue;
    }
    const incoming = kind === 'received' || (kind === 'opened' && line.includes('received'));
    const stream = `${connection} ${String(kind === 'opened')} ${String(incoming)}`;
    const reader = readers.get(stream) ?? new BodyReader();
    readers.set(stream, reader);
    const way = `${connection} ${String(kind === 'opened')}`;
    for (const { start, named, body } of reader.feed(bytes)) {
      if (!incoming) asked.set(way, pairingPath.test(start));
      const byPath = asked.get(way) === true && (!incoming || isPairing(body));
      if ((!named && !byPath) || body.length === 0) continue;
      const next = message(
        `connection ${connection}, ${incoming ? 'from' : 'to'} the accessory: ${plain(start)}`,
        connection,
        body,
      );
      const held = waiting.findIndex(
        (entry) =>
          entry.connection === connection && entry.state === next.tlv.state && labelOf(next) !== undefined,
      );
      if (held >= 0) next.sub = waiting.splice(held, 1)[0]!.sub;
      messages.push(next);
    }
  }
  for (const entry of messages) {
    const key = keys.get(`${entry.connection} ${labelOf(entry)}`);
    if (key !== undefined) entry.key = key;
  }
  return messages;
}

/** The body of an HTTP message, or the bytes themselves. */
function bodyOf(bytes: Bytes): Bytes {
  const [http] = new BodyReader().feed(bytes);
  return http === undefined ? bytes : http.body;
}

function fromReplay(replay: Line): Message[] {
  const exchanges = replay['exchanges'] as readonly unknown[];
  const keys = isObject(replay['keys']) ? replay['keys'] : {};
  const messages: Message[] = [];
  for (const [index, exchange] of exchanges.entries()) {
    const name = `exchange ${index + 1}`;
    if (!isObject(exchange))
      throw new InputError(`${name}: expected an object with "request" and "response"`);
    for (const side of ['request', 'response']) {
      const body = bodyOf(bytesOf(exchange[side] ?? '', `${name}, ${side}`));
      if (body.length > 0) messages.push(message(`${name}, ${side}`, 0, body));
    }
  }
  for (const entry of messages) {
    const label = labelOf(entry);
    const key = label === undefined || !Object.hasOwn(keys, label) ? undefined : keys[label];
    if (key === undefined) continue;
    entry.key = bytesOf(key, `keys, ${label}`);
    if (entry.key.length !== 32)
      throw new InputError(`keys, ${label}: a key has 32 bytes, not ${entry.key.length}`);
  }
  return messages;
}

/**
 * Vectors from the text of a recording, evidence or replay.
 * @throws InputError that says what is wrong with the text, or which forms are read.
 */
export function fromRecording(text: string): VectorFile {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const first = parsed(lines[0] ?? '');
  let messages: Message[];
  if (isObject(first) && typeof first['check'] === 'string' && first['schema'] !== undefined) {
    if (first['schema'] !== 1)
      throw new InputError(`evidence of schema ${JSON.stringify(first['schema'])}; 1 is read here`);
    const events = lines.slice(1).map((line, index) => {
      const event = parsed(line);
      if (!isObject(event)) throw new InputError(`line ${index + 2}: expected a JSON object`);
      return event;
    });
    messages = fromEvidence(events);
  } else {
    const whole = parsed(text);
    if (!isObject(whole) || !Array.isArray(whole['exchanges']))
      throw new InputError(
        'this is neither evidence (JSON lines that begin with "schema" and "check") nor a replay file (a JSON object with "exchanges")',
      );
    messages = fromReplay(whole);
  }
  if (messages.length === 0) throw new InputError('there is no pairing message in it');
  return fileOf('recorded', 'recorded', [{ type: 'Recorded', tests: messages.map(draftOf) }]);
}
