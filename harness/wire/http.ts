import { type Bytes, Gathered, concat, hex, text, utf8 } from '../protocol/index.js';
import { limits } from './limits.js';

/** How the end of a body was told. */
export type Framing = 'content-length' | 'chunked' | 'none' | 'until-close';

/** What of a message RFC 9112 does not have, though a reader may make sense of it. */
export interface Irregularity {
  readonly what: string;
  /** It is only untidy: every reader takes it for the same message. */
  readonly untidy: boolean;
}

/** A message as it was really sent: nothing normalised, so that a check can judge the details. */
export interface HttpMessage {
  /** The first line without its line end. */
  readonly startLine: string;
  /** `HTTP/1.1`, `EVENT/1.0`, `RTSP/1.0`. */
  readonly version: string;
  /** Status of a response; 0 in a request. */
  readonly status: number;
  /** Method and path of a request; empty in a response. */
  readonly method: string;
  readonly path: string;
  /** Names and values in wire order, case as sent. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Bytes;
  readonly framing: Framing;
  /** Of a response or an event, byte by byte; none are looked for in a request. */
  readonly irregular?: readonly Irregularity[];
}

/** The value of the first header of that name, in any case. */
export function header(message: Pick<HttpMessage, 'headers'>, name: string): string | undefined {
  const lower = name.toLowerCase();
  return message.headers.find(([key]) => key.toLowerCase() === lower)?.[1];
}

/** The media type without parameters, lower case; empty when there is none. */
export function contentType(message: Pick<HttpMessage, 'headers'>): string {
  return (header(message, 'Content-Type') ?? '').split(';')[0]!.trim().toLowerCase();
}

/** A request to send. Headers go out as given, in order; Content-Length is added when there is a body. */
export interface HttpRequest {
  readonly method: string;
  readonly path: string;
  readonly headers?: readonly (readonly [string, string])[];
  readonly body?: Bytes;
  readonly version?: string;
}

export function encodeRequest(request: HttpRequest): Bytes {
  const { method, path, body, version = 'HTTP/1.1' } = request;
  return encodeMessage(`${method} ${path} ${version}`, request.headers ?? [], body);
}

/** Start line, headers and body; Content-Length is added when there is a body and none is given. */
export function encodeMessage(
  startLine: string,
  headers: readonly (readonly [string, string])[],
  body?: Bytes,
): Bytes {
  const lines = [startLine, ...headers.map(([name, value]) => `${name}: ${value}`)];
  const given = headers.some(([name]) => name.toLowerCase() === 'content-length');
  if (body !== undefined && !given) lines.push(`Content-Length: ${body.length}`);
  return concat(utf8(lines.join('\r\n') + '\r\n\r\n'), body ?? new Uint8Array(0));
}

/** What a reader made of the bytes so far. */
export type HttpProgress =
  | { readonly kind: 'message'; readonly message: HttpMessage }
  /** More bytes are needed. `untilClose` holds what would be the message if the connection ended (or went quiet) now. */
  | { readonly kind: 'partial'; readonly untilClose?: HttpMessage }
  /** These bytes are no HTTP message, or one beyond the limits. */
  | { readonly kind: 'invalid'; readonly what: string };

interface Head {
  readonly message: Omit<HttpMessage, 'body' | 'framing' | 'irregular'>;
  readonly framing: Framing;
  readonly length: number;
}

/**
 * Incremental reader of HTTP/1.1 messages, one role per instance. It accepts what real peers send (LF line ends,
 * RTSP and EVENT versions) and never throws. Each byte is looked at a bounded number of times.
 */
export class HttpReader {
  private readonly gathered = new Gathered();
  private head: Head | undefined;
  /** Where the search for the end of the head goes on. */
  private searched = 0;
  /** What the chunks so far held, and how many bytes must be there before another look is worth it. */
  private chunk: { readonly body: Gathered; need: number } | undefined;
  /** Of the message in progress. */
  private irregular: Irregularity[] = [];

  /** The response due answers HEAD: whatever its headers say, no body follows (RFC 9112 §6.3). */
  bodiless = false;

  constructor(private readonly role: 'request' | 'response') {}

  /** Bytes received and not yet part of a message. */
  get pending(): Bytes {
    return this.gathered.bytes;
  }

  /** A message's headers have been read, and its body is not complete. */
  get inBody(): boolean {
    return this.head !== undefined;
  }

  /** The head of a response has begun, or is complete, and its end is not there: no event. */
  get inResponse(): boolean {
    if (this.head !== undefined) return !this.head.message.version.startsWith('EVENT');
    const start = text(this.pending.subarray(0, 6)).replace(/^[\r\n]+/, '');
    return start !== '' && !'EVENT/'.startsWith(start.slice(0, 6));
  }

  /** Nothing of a message has come since the last complete one. */
  get idle(): boolean {
    return this.gathered.length === 0 && this.head === undefined;
  }

  feed(bytes: Bytes): void {
    this.gathered.append(bytes);
  }

  /** Takes the next complete message, if there is one. */
  next(): HttpProgress {
    if (this.head === undefined) {
      const head = this.readHead();
      if ('kind' in head) return head;
      this.head = this.bodiless ? { ...head, framing: 'none' } : head;
    }
    const { framing, length, message } = this.head;
    if (framing === 'none') return this.take(new Uint8Array(0), 0);
    if (framing === 'chunked') return this.readChunks();
    if (framing === 'until-close') {
      if (this.gathered.length > limits.body)
        return invalid(`a body of more than ${limits.body} bytes without Content-Length`);
      return { kind: 'partial', untilClose: this.soFar(message) };
    }
    if (this.gathered.length < length) return { kind: 'partial' };
    return this.take(this.pending.slice(0, length), length);
  }

  private take(body: Bytes, consumed: number): HttpProgress {
    const { message, framing } = this.head!;
    const { irregular } = this;
    this.gathered.drop(consumed);
    this.head = undefined;
    this.chunk = undefined;
    this.searched = 0;
    this.irregular = [];
    return { kind: 'message', message: { ...message, framing, body, irregular } };
  }

  private readHead(): Head | Exclude<HttpProgress, { kind: 'message' }> {
    const data = this.pending;
    if (this.searched === 0) {
      // Blank lines before a start line are tolerated (RFC 9112 §2.2).
      let start = 0;
      while (data[start] === 0x0d || data[start] === 0x0a) start++;
      if (start > 0) {
        this.gathered.drop(start);
        if (this.role === 'response' && this.irregular.length === 0)
          this.irregular.push({ what: 'line ends in front of the status line', untidy: false });
        return this.readHead();
      }
    }
    const firstLine = data.subarray(0, 64);
    if (data.length > 0 && !plausibleStart(firstLine, this.role))
      return invalid(`bytes that are no HTTP ${this.role}`);
    let end = -1;
    for (let i = this.searched; i < data.length && i <= limits.head; i++) {
      if (data[i] !== 0x0a) continue;
      if (data[i + 1] === 0x0a) end = i + 2;
      else if (data[i + 1] === 0x0d && data[i + 2] === 0x0a) end = i + 3;
      if (end > 0) break;
    }
    if (end < 0) {
      if (data.length > limits.head) return invalid(`headers of more than ${limits.head} bytes`);
      this.searched = Math.max(0, data.length - 2);
      return { kind: 'partial' };
    }
    const words = text(data.subarray(0, end));
    const head = parseHead(words, this.role);
    if ('kind' in head) return head;
    if (this.role === 'response') {
      if (!regularHead.test(words)) this.irregular.push(...irregularLines(data.subarray(0, end)));
      this.irregular.push(...irregularFraming(head.message));
    }
    this.gathered.drop(end);
    return head;
  }

  /** The message as it would be if it ended here; joined when somebody looks, not with every segment. */
  private soFar(message: Head['message']): HttpMessage {
    const bytes = (): Bytes => this.pending.slice();
    let body: Bytes | undefined;
    return {
      ...message,
      irregular: this.irregular,
      framing: 'until-close',
      get body() {
        return (body ??= bytes());
      },
    };
  }

  private readChunks(): HttpProgress {
    this.chunk ??= { body: new Gathered(), need: 0 };
    const { chunk } = this;
    while (this.gathered.length >= chunk.need) {
      const data = this.pending;
      const lineEnd = data.subarray(0, 258).indexOf(0x0a);
      if (data[lineEnd - 1] !== 0x0d && lineEnd >= 0) this.bareLineFeed('a chunk size');
      if (lineEnd < 0)
        return data.length > 256 ? invalid('a chunk size line of more than 256 bytes') : { kind: 'partial' };
      const line = text(data.subarray(0, lineEnd)).split(';')[0]!.trim();
      if (!/^[0-9a-fA-F]{1,7}$/.test(line)) return invalid(`a chunk size of "${line.slice(0, 20)}"`);
      const size = parseInt(line, 16);
      if (chunk.body.length + size > limits.body)
        return invalid(`a chunked body of more than ${limits.body} bytes`);
      if (size === 0) return this.readTrailers(data, lineEnd + 1, chunk.body.bytes);
      const start = lineEnd + 1;
      // The line end behind the data may be CRLF or LF.
      const crlf = data[start + size] === 0x0d;
      const after = start + size + (crlf ? 2 : 1);
      chunk.need = after;
      if (data.length < after) break;
      if (!crlf && data[after - 1] === 0x0a) this.bareLineFeed('the data of a chunk');
      else if (data[after - 1] !== 0x0a)
        return invalid('data of a chunk that does not end where its size says');
      chunk.body.append(data.subarray(start, start + size));
      chunk.need = 0;
      this.gathered.drop(after);
    }
    return { kind: 'partial' };
  }

  private bareLineFeed(where: string): void {
    const what = `${where} that ends with LF alone`;
    if (this.role === 'response' && !this.irregular.some((known) => known.what === what))
      this.irregular.push({ what, untidy: false });
  }

  /** Trailers, if any, end with a blank line. */
  private readTrailers(data: Bytes, from: number, body: Bytes): HttpProgress {
    for (let at = from; ;) {
      const next = data.indexOf(0x0a, at);
      if (next - from > limits.head || (next < 0 && data.length - from > limits.head))
        return invalid('endless trailers');
      if (next < 0) return { kind: 'partial' };
      if (data[next - 1] !== 0x0d) this.bareLineFeed('a line behind the last chunk');
      if (text(data.subarray(at, next)).trim() === '') return this.take(body, next + 1);
      at = next + 1;
    }
  }
}

/** Kinds of irregularity that are named once a message: a head may have thousands of lines. */
const MOST_IRREGULAR = 8;

/** The head of a response as RFC 9112 has it, which almost all are. */
const regularHead =
  /^\S+ \d{3} [^\x00-\x08\x0a-\x1f\x7f]*\r\n(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[^\x00-\x08\x0a-\x1f\x7f]*\r\n)*\r\n$/;

/** Lines of the head of a response, its line ends included, by RFC 9112 §2.2, §4, §5 and RFC 9110 §5.5. */
function irregularLines(head: Bytes): Irregularity[] {
  const found = new Map<string, boolean>();
  const note = (what: string, untidy = false): unknown =>
    found.size < MOST_IRREGULAR && !found.has(what) && found.set(what, untidy);
  for (let at = 0, line = 0; at < head.length; line++) {
    const end = head.indexOf(0x0a, at);
    const crlf = head[end - 1] === 0x0d && end > at;
    const bytes = head.subarray(at, crlf ? end - 1 : end);
    at = end + 1;
    const which = line === 0 ? 'a status line' : 'a header line';
    if (!crlf) note(`${bytes.length === 0 ? 'a head' : which} that ends with LF alone`);
    for (const byte of bytes) {
      if ((byte >= 0x20 && byte !== 0x7f) || byte === 0x09) continue;
      const name =
        byte === 0 ? 'NUL' : byte === 0x0d ? 'CR' : `the control character 0x${hex(Uint8Array.of(byte))}`;
      note(`${which} with ${name} in it`);
    }
    if (bytes.length === 0) continue;
    const words = text(bytes);
    if (line === 0) {
      if (!/^\S+ \d{3} /.test(words)) note('a status line without a space behind its status', true);
    } else if (bytes[0] === 0x20 || bytes[0] === 0x09) note('a header line that is folded');
    else if (/^[^:]*[ \t]:/.test(words)) note('a header with white space in front of its colon');
    else if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+:/.test(words)) note('a header whose name is no token');
  }
  return [...found].map(([what, untidy]) => ({ what, untidy }));
}

/** Headers of a response that tell of its body what they must not, by RFC 9112 §6.1 and RFC 9110 §8.6. */
function irregularFraming({ status, headers }: Pick<HttpMessage, 'status' | 'headers'>): Irregularity[] {
  const values = (name: string): string[] =>
    headers.flatMap(([key, value]) => (key.toLowerCase() === name ? [value] : []));
  const [lengths, codings] = [values('content-length'), values('transfer-encoding')];
  const bodiless = status < 200 || status === 204;
  const found: Irregularity[] = [];
  if (lengths.length > 0 && codings.length > 0)
    found.push({ what: 'both Content-Length and Transfer-Encoding', untidy: false });
  if (lengths.length > 1) found.push({ what: 'Content-Length twice', untidy: true });
  // A reader that goes by the length alone waits for what never comes; of 0 bytes nobody waits.
  if (bodiless && lengths.length > 0)
    found.push({
      what: `HTTP ${status} with Content-Length`,
      untidy: lengths.every((value) => value === '0'),
    });
  if (bodiless && codings.length > 0)
    found.push({ what: `HTTP ${status} with Transfer-Encoding`, untidy: false });
  return found;
}

function invalid(what: string): { kind: 'invalid'; what: string } {
  return { kind: 'invalid', what };
}

const responseStart = /^(HTTP\/1\.[01]|EVENT\/1\.0|RTSP\/1\.0) (\d{3})(?: (.*))?$/;
const requestStart = /^([A-Za-z]{1,20}) (\S+) (HTTP\/1\.[01]|RTSP\/1\.0)$/;

/** Tells early that bytes can never become a message, so that no one waits 10 s for the rest of a TLS record. */
function plausibleStart(start: Bytes, role: 'request' | 'response'): boolean {
  const seen = text(start);
  if (role === 'request') return /^[A-Za-z]{1,20}( |$)/.test(seen);
  return ['HTTP/1.', 'EVENT/1.0 ', 'RTSP/1.0 '].some((prefix) =>
    seen.length < prefix.length ? prefix.startsWith(seen) : seen.startsWith(prefix),
  );
}

function parseHead(head: string, role: 'request' | 'response'): Head | { kind: 'invalid'; what: string } {
  const [startLine = '', ...lines] = head.split(/\r?\n/);
  const response = role === 'response' ? responseStart.exec(startLine) : null;
  const request = role === 'request' ? requestStart.exec(startLine) : null;
  if (response === null && request === null) return invalid(`a start line of "${startLine.slice(0, 80)}"`);
  const headers: [string, string][] = [];
  for (const line of lines) {
    if (line === '') continue;
    const colon = line.indexOf(':');
    if (colon <= 0) return invalid(`a header line without a colon: "${line.slice(0, 80)}"`);
    headers.push([line.slice(0, colon), line.slice(colon + 1).trim()]);
  }
  const status = response ? Number(response[2]) : 0;
  const message = {
    startLine,
    version: response?.[1] ?? request?.[3] ?? '',
    status,
    method: request?.[1] ?? '',
    path: request?.[2] ?? '',
    headers,
  };
  const chunked = (header(message, 'Transfer-Encoding') ?? '').toLowerCase().includes('chunked');
  // These never have a body, whatever their headers say (RFC 9112 §6.3).
  if (response && (status < 200 || status === 204 || status === 304))
    return { message, framing: 'none', length: 0 };
  if (chunked) return { message, framing: 'chunked', length: 0 };
  const lengths = headers
    .filter(([name]) => name.toLowerCase() === 'content-length')
    .map(([, value]) => value);
  if (lengths.length === 0) return { message, framing: response ? 'until-close' : 'none', length: 0 };
  if (new Set(lengths).size > 1)
    return invalid(`contradicting Content-Length headers: ${lengths.slice(0, 4).join(', ')}`);
  if (!/^\d{1,15}$/.test(lengths[0]!)) return invalid(`a Content-Length of "${lengths[0]!.slice(0, 40)}"`);
  const length = Number(lengths[0]);
  if (length > limits.body) return invalid(`a Content-Length of ${length}, the limit is ${limits.body}`);
  return { message, framing: 'content-length', length };
}
