import { type Bytes, concat, utf8 } from '../protocol/index.js';

/** Types of records that DNS-SD is made of (RFC 1035 §3.2.2, RFC 2782, RFC 3596). */
const recordTypes = { A: 1, PTR: 12, TXT: 16, AAAA: 28, SRV: 33 } as const;
const INTERNET = 1;
/** Top bit of a question's class: the answer may come to whoever asks alone (RFC 6762 §5.4). */
const UNICAST_WANTED = 0x8000;
const HEADER = 12;
const MOST_LABEL = 63;

export interface MdnsQuestion {
  readonly name: string;
  readonly type: keyof typeof recordTypes;
  /** A QU question; a QM one unless given. */
  readonly unicastWanted?: boolean;
}

/** An answer that whoever asks has already, and that need not come again (RFC 6762 §7.1). */
export interface KnownAnswer {
  readonly type: 'PTR';
  readonly name: string;
  readonly data: string;
  readonly ttl: number;
}

/** What comes before the type of a service is one label, its dots and all (RFC 6763 §4.1.1). */
const instance = /^(.+)\.(_[^.]+\._(?:tcp|udp)\.local)$/is;

/** A name as it is sent, uncompressed; undefined where a label has no byte or more than 63. */
export function encodeName(name: string): Bytes | undefined {
  const [, first, rest] = instance.exec(name) ?? [];
  const labels = [...(first === undefined ? [] : [first]), ...(rest ?? name).split('.')].map(utf8);
  if (labels.some(({ length }) => length < 1 || length > MOST_LABEL)) return undefined;
  return concat(...labels.flatMap((label) => [Uint8Array.of(label.length), label]), Uint8Array.of(0));
}

/** Numbers of 16 bits, the high byte first. */
function words(...values: readonly number[]): Bytes {
  return Uint8Array.from(values.flatMap((value) => [(value >> 8) & 0xff, value & 0xff]));
}

/** A query of multicast DNS (RFC 6762 §18). What is asked under a name that cannot be sent is left out. */
export function encodeQuery(questions: readonly MdnsQuestion[], known: readonly KnownAnswer[] = []): Bytes {
  const asked = questions.flatMap(({ name, type, unicastWanted = false }) => {
    const encoded = encodeName(name);
    if (encoded === undefined) return [];
    return [concat(encoded, words(recordTypes[type], INTERNET | (unicastWanted ? UNICAST_WANTED : 0)))];
  });
  const answers = known.flatMap(({ name, type, data, ttl }) => {
    const [owner, value] = [encodeName(name), encodeName(data)];
    if (owner === undefined || value === undefined) return [];
    return [concat(owner, words(recordTypes[type], INTERNET, ttl >>> 16, ttl & 0xffff, value.length), value)];
  });
  const header = concat(words(0, 0, asked.length, answers.length), new Uint8Array(HEADER - 8));
  return concat(header, ...asked, ...answers);
}

/** Whether a question, its class as the library shows it, has the top bit of its class set. */
export function wantsUnicast(shownClass: unknown): boolean {
  const [, value] = /^UNKNOWN_(\d{1,5})$/.exec(String(shownClass)) ?? [];
  return (Number(value ?? 0) & UNICAST_WANTED) !== 0;
}
