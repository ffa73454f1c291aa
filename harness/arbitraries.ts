/**
 * Generators for property-based tests of a pairing stack, for use with fast-check: TLV8 and its equivalent and broken
 * forms, HTTP requests likewise, cuts, frames, single bits. Every value shrinks and prints itself in words.
 */
import fc from 'fast-check';
import {
  type Bytes,
  type SetupCode,
  type TlvItem,
  TlvMessage,
  TlvType,
  concat,
  decodeTlv,
  encodeTlv,
  flipBit,
  hex,
  isTrivialCode,
  parseSetupCode,
  utf8,
} from './protocol/index.js';

/** Bytes made from something whole, and what was done to it, in words. */
export interface Spelling {
  readonly bytes: Bytes;
  /** Empty when nothing was. */
  readonly words: string;
}

/** One bit of some bytes inverted. */
export interface Flip extends Spelling {
  /** From 0, the least significant bit of the first byte first. */
  readonly bit: number;
}

/** A request as its parts: start line without line end, headers in order, body. */
export interface RequestParts {
  readonly startLine: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Bytes;
}

/** What an equivalent encoding may differ in from the plain one. */
export interface EncodingOptions {
  /** Items in any order; true unless given. */
  readonly order?: boolean;
  /** Most items of types nobody knows among them; 3 unless given. */
  readonly unknown?: number;
}

/** The value, which fast-check prints by these words from here on. */
export function printed<T extends object>(value: T, words: (value: T) => string): T {
  return Object.defineProperty(value, fc.toStringMethod, { value: () => words(value), enumerable: false });
}

function spelling<T extends Spelling>(value: T): T {
  return printed(value, ({ bytes, words }) => {
    const shown = bytes.length > 48 ? `${hex(bytes.subarray(0, 48))}… ${bytes.length} bytes` : hex(bytes);
    return `${words || 'plain'} [${shown}]`;
  });
}

/** TLV items in words: `State=1 Method=0(PairSetup)`. */
export function tlvWords(items: readonly TlvItem[]): string {
  const fragments = items.map((item) => ({ ...item, offset: 0 }));
  return new TlvMessage(fragments, items, undefined).toString();
}

/** Types the protocol gives a meaning; Flags and Separator are among them. */
const known: ReadonlySet<number> = new Set(Object.values(TlvType));

/** A TLV type without a meaning. */
export function unknownTypes(): fc.Arbitrary<number> {
  const types = Array.from({ length: 256 }, (_, type) => type);
  return fc.constantFrom(...types.filter((type) => type > 0x0e && !known.has(type)));
}

/**
 * TLV items of different types, so that encoding and decoding leaves them as they are.
 * @param options.maxItems - 8 unless given
 * @param options.maxLength - bytes of a value, 600 unless given: three fragments
 */
export function tlvLists(
  options: { readonly maxItems?: number; readonly maxLength?: number } = {},
): fc.Arbitrary<readonly TlvItem[]> {
  const { maxItems = 8, maxLength = 600 } = options;
  const value = fc.oneof(
    { weight: 3, arbitrary: fc.uint8Array({ maxLength: Math.min(maxLength, 16), size: 'max' }) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength, size: 'max' }) },
  );
  return fc
    .uniqueArray(fc.record({ type: fc.integer({ min: 0, max: 255 }), value }), {
      maxLength: maxItems,
      selector: ({ type }) => type,
    })
    .map((items) => printed(items, tlvWords));
}

/**
 * Encodings a parser has to read as the items given: other orders, and items of unknown types (at most 64 bytes) in
 * between. Values keep their fragments of 255 bytes; items of one type keep their order.
 */
export function equivalentEncodings(
  items: readonly TlvItem[],
  options: EncodingOptions = {},
): fc.Arbitrary<Spelling> {
  const { order = true, unknown = 3 } = options;
  const ranks = fc.array(fc.nat(1000), { minLength: items.length, maxLength: items.length });
  const extras = fc.uniqueArray(
    fc.record({
      type: unknownTypes(),
      value: fc.uint8Array({ maxLength: 64, size: 'max' }),
      place: fc.nat(items.length),
    }),
    { maxLength: unknown, selector: ({ type }) => type, size: 'max' },
  );
  return fc.tuple(order ? ranks : fc.constant([]), extras).map(([rank, added]) => {
    const sorted = stableOrder(items, rank);
    const all: TlvItem[] = [];
    for (let place = 0; place <= sorted.length; place++) {
      all.push(...added.filter((extra) => extra.place === place));
      if (place < sorted.length) all.push(sorted[place]!);
    }
    const words = added.length > 0 || sorted.some((item, i) => item !== items[i]) ? tlvWords(all) : '';
    return spelling({ bytes: encodeTlv(all), words });
  });
}

/** By rank; items of one type stay in the order they have, where it means something. */
function stableOrder(items: readonly TlvItem[], ranks: readonly number[]): TlvItem[] {
  const sorted = items
    .map((item, i) => ({ item, rank: ranks[i] ?? 0 }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ item }) => item);
  const queues = new Map<number, TlvItem[]>();
  for (const item of items) queues.set(item.type, [...(queues.get(item.type) ?? []), item]);
  return sorted.map(({ type }) => queues.get(type)!.shift()!);
}

/** Bytes that are no TLV8: cut inside an item, a length past the end, a type without a length. */
export function malformedTlv(items: readonly TlvItem[]): fc.Arbitrary<Spelling> {
  const whole = encodeTlv(items);
  const starts = decodeTlv(whole).fragments.map(({ offset }) => offset);
  const inside = Array.from({ length: whole.length }, (_, at) => at).filter((at) => !starts.includes(at));
  const last = starts.at(-1);
  const tail = fc
    .tuple(fc.nat(255), fc.nat(255), fc.uint8Array({ maxLength: 8 }))
    .map(([type, length, rest]): Spelling => ({
      bytes: concat(whole, Uint8Array.of(type, rest.length + 1 + (length % (255 - rest.length))), rest),
      words: `${rest.length} bytes behind an item that declares more`,
    }));
  const lone = fc.nat(255).map((type): Spelling => ({
    bytes: concat(whole, Uint8Array.of(type)),
    words: 'a type without a length at the end',
  }));
  const forms: fc.Arbitrary<Spelling>[] = [lone, tail];
  if (inside.length > 0)
    forms.push(
      fc
        .constantFrom(...inside)
        .map((at) => ({ bytes: whole.slice(0, at), words: `cut at ${at} of ${whole.length} bytes` })),
    );
  if (last !== undefined && whole[last + 1]! < 255)
    forms.push(
      fc.integer({ min: whole[last + 1]! + 1, max: 255 }).map((length) => {
        const bytes = whole.slice();
        bytes[last + 1] = length;
        return { bytes, words: `the last item declares ${length} bytes and has ${whole[last + 1]!}` };
      }),
    );
  return fc.oneof(...forms).map((value) => spelling({ ...value }));
}

/**
 * The items after one to three random changes of their structure: left out, doubled, moved, of another type, with a
 * value cut, extended or drawn anew. The encoded bytes always differ; they may still mean the same.
 */
export function editedTlv(items: readonly TlvItem[]): fc.Arbitrary<Spelling> {
  const plain = hex(encodeTlv(items));
  // What the protocol knows is where a parser has something to get wrong.
  const type = fc.oneof(
    { weight: 2, arbitrary: fc.constantFrom(...items.map((item) => item.type), ...known) },
    { weight: 1, arbitrary: fc.nat(255) },
  );
  const value = fc.oneof(
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40, size: 'max' }) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 6 }).map((byte) => Uint8Array.of(byte)) },
  );
  const change = fc.record({
    what: fc.constantFrom('drop', 'double', 'move', 'type', 'cut', 'extend', 'draw', 'add'),
    at: fc.nat(31),
    to: fc.nat(31),
    type,
    value,
  });
  return fc
    .array(change, { minLength: 1, maxLength: 3 })
    .map((changes) => {
      let now = [...items];
      for (const { what, at, to, type, value } of changes) {
        const i = now.length === 0 ? 0 : at % now.length;
        const item = now[i];
        const added = { type, value };
        if (item === undefined || what === 'add') now.splice(to % (now.length + 1), 0, added);
        else if (what === 'drop') now = now.toSpliced(i, 1);
        else if (what === 'double') now = now.toSpliced(to % (now.length + 1), 0, item);
        else if (what === 'move') now = now.toSpliced(i, 1).toSpliced(to % now.length, 0, item);
        else if (what === 'type') now[i] = { ...item, type };
        else if (what === 'cut')
          now[i] = { ...item, value: item.value.slice(0, to % (item.value.length + 1)) };
        else if (what === 'extend') now[i] = { ...item, value: concat(item.value, value) };
        else now[i] = { ...item, value };
      }
      return spelling({ bytes: encodeTlv(now), words: tlvWords(now) || 'no items' });
    })
    .filter(({ bytes }) => hex(bytes) !== plain);
}

const CR_LF = '\r\n';

function assemble(startLine: string, lines: readonly string[], body: Bytes): Bytes {
  return concat(utf8([startLine, ...lines, '', ''].join(CR_LF)), body);
}

/** Headers real clients add, and whose value means nothing to a pairing endpoint. */
const extras = [
  ['User-Agent', 'hapspec/1'],
  ['Accept', '*/*'],
  ['Accept-Language', 'en-GB, de;q=0.5'],
  ['X-Empty', ''],
  ['X-Long', 'x'.repeat(200)],
] as const;

/**
 * The same request written otherwise: case of the header names, order, spaces before the values, headers added.
 * Content-Length goes by the body. Source: RFC 9110 §5.1, RFC 9112 §5.
 */
export function requestSpellings(request: RequestParts): fc.Arbitrary<Spelling> {
  const base: (readonly [string, string])[] = [
    ...request.headers,
    ['Content-Length', String(request.body.length)],
  ];
  const line = fc.record({
    letters: fc.constantFrom('as it is', 'lower', 'upper', 'mixed'),
    rank: fc.nat(1000),
    space: fc.constantFrom(' ', '', '  ', '\t'),
  });
  const lines = fc.array(line, { minLength: base.length, maxLength: base.length });
  return fc.tuple(lines, fc.subarray([...extras]), fc.nat(20)).map(([ways, added, at]) => {
    const written = base
      .map(([name, value], i) => ({ name, value, ...ways[i]! }))
      .sort((a, b) => a.rank - b.rank)
      .map(({ name, value, letters, space }) => `${lettersOf(name, letters)}:${space}${value}`);
    written.splice(at % (written.length + 1), 0, ...added.map(([name, value]) => `${name}: ${value}`));
    return spelling({
      bytes: assemble(request.startLine, written, request.body),
      words: written.map((text) => text.slice(0, 40)).join(' | '),
    });
  });
}

function lettersOf(name: string, how: string): string {
  if (how === 'lower') return name.toLowerCase();
  if (how === 'upper') return name.toUpperCase();
  if (how === 'as it is') return name;
  return [...name].map((letter, i) => (i % 2 === 0 ? letter.toLowerCase() : letter.toUpperCase())).join('');
}

/**
 * Bytes that are no HTTP request, or one without a meaning: a start line with a part missing, a line without a colon,
 * lengths that contradict each other or are no numbers, control characters in a header's name.
 */
export function malformedRequests(request: RequestParts): fc.Arbitrary<Spelling> {
  const { startLine, body } = request;
  const lines = request.headers.map(([name, value]) => `${name}: ${value}`);
  const length = (value: string | number): string => `Content-Length: ${value}`;
  const good = length(body.length);
  const [method = 'POST', path = '/', version = 'HTTP/1.1'] = startLine.split(' ');
  const starts = fc
    .constantFrom(
      `${method} ${path}`,
      method,
      `${path} ${version}`,
      `${method}${path}${version}`,
      `${method} ${path} ${version} ${version}`,
      `${method} ${path} HTTP/9.9`,
      `${method} ${path} ${version.replace('/', '')}`,
      `\u0000${method} ${path} ${version}`,
      ` ${method} ${path} ${version}`,
    )
    .map((start): Spelling => ({
      bytes: assemble(start, [...lines, good], body),
      words: `a start line of ${JSON.stringify(start)}`,
    }));
  const numbers = fc
    .oneof(
      fc.constantFrom('-1', '+1', '0x10', '1e3', '', ' ', 'ten', '18446744073709551616', `${body.length},`),
      fc.stringMatching(/^[a-z!-]{1,8}$/),
    )
    .map((value): Spelling => ({
      bytes: assemble(startLine, [...lines, length(value)], body),
      words: `a Content-Length of ${JSON.stringify(value)}`,
    }));
  const contradictions = fc.integer({ min: 1, max: 1000 }).map((more): Spelling => ({
    bytes: assemble(startLine, [...lines, good, length(body.length + more)], body),
    words: `Content-Length ${body.length} and ${body.length + more}`,
  }));
  const noColons = fc.tuple(fc.stringMatching(/^[A-Za-z]{1,12}$/), fc.nat(8)).map(([name, at]): Spelling => ({
    bytes: assemble(startLine, [...lines, good].toSpliced(at % (lines.length + 2), 0, name), body),
    words: `a header line of ${JSON.stringify(name)}`,
  }));
  return fc.oneof(starts, numbers, contradictions, noColons).map((value) => spelling({ ...value }));
}

/**
 * Places to cut `length` bytes at, ascending, none at an end.
 * @param most - cuts at most, 8 unless given
 */
export function cutPoints(length: number, most = 8): fc.Arbitrary<readonly number[]> {
  if (length < 2) return fc.constant([]);
  return fc
    .uniqueArray(fc.integer({ min: 1, max: length - 1 }), {
      maxLength: Math.min(most, length - 1),
      size: 'max',
    })
    .map((points) =>
      printed(
        points.toSorted((a, b) => a - b),
        (cuts) => `cut at ${cuts.join(', ') || 'no place'}`,
      ),
    );
}

/** The parts of `bytes` between the cuts; together they are `bytes`. */
export function cutAt(bytes: Bytes, points: readonly number[]): Bytes[] {
  return [0, ...points].map((from, i) => bytes.subarray(from, points[i] ?? bytes.length));
}

/**
 * How a message of `length` bytes may be cut into frames: their sizes, 1 to `largest` each.
 * @param largest - plaintext bytes of a frame, 1024 unless given
 */
export function frameSizes(length: number, largest = 1024): fc.Arbitrary<readonly number[]> {
  return cutPoints(length, 12).map((points) => {
    const sizes = [...points, length]
      .map((end, i) => end - (points[i - 1] ?? 0))
      .flatMap((size) => {
        const whole = Array.from({ length: Math.floor(size / largest) }, () => largest);
        return size % largest === 0 ? whole : [...whole, size % largest];
      });
    return printed(sizes, (all) => `frames of ${all.join(', ')} bytes`);
  });
}

/** `bytes`, not empty, with any one bit inverted; shrinks towards the first. */
export function bitFlips(bytes: Bytes): fc.Arbitrary<Flip> {
  return fc
    .nat(bytes.length * 8 - 1)
    .map((bit) =>
      spelling({ bit, bytes: flipBit(bytes, bit), words: `bit ${bit} of ${bytes.length * 8} flipped` }),
    );
}

/** Any one of `count` bits, for bytes that are not there yet. */
export function bitOf(count: number): fc.Arbitrary<number> {
  return fc.nat(count - 1);
}

/** Identifiers of controllers: UUIDs of version 4 in capitals, 36 bytes, as phones write them. */
export function pairingIds(): fc.Arbitrary<Bytes> {
  return fc
    .uuid({ version: 4 })
    .map((uuid) => printed(utf8(uuid.toUpperCase()), (id) => Buffer.from(id).toString('latin1')));
}

/** Setup codes an accessory may have: `XXX-XX-XXX`, none of the forbidden ones (HAP R2 §4.2.1.2). */
export function setupCodes(): fc.Arbitrary<SetupCode> {
  return fc
    .nat(99_999_999)
    .map((number) => parseSetupCode(String(number).padStart(8, '0')))
    .filter((code) => !isTrivialCode(code))
    .map((code) => printed(code, ({ dashed }) => dashed));
}
