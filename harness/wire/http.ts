import { type Bytes, Gathered, concat, text, utf8 } from '../protocol/index.js';
import { limits } from './limits.js';

/** How the end of a body was told. */
export type Framing = 'content-length' | 'chunked' | 'none' | 'until-close';

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
  readonly message: Omit<HttpMessage, 'body' | 'framing'>;
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
    this.gathered.drop(consumed);
    this.head = undefined;
    this.chunk = undefined;
    this.searched = 0;
    return { kind: 'message', message: { ...message, framing, body } };
  }

  private readHead(): Head | Exclude<HttpProgress, { kind: 'message' }> {
    const data = this.pending;
    if (this.searched === 0) {
      // Blank lines before a start line are tolerated (RFC 9112 §2.2).
      let start = 0;
      while (data[start] === 0x0d || data[start] === 0x0a) start++;
      if (start > 0) {
        this.gathered.drop(start);
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
    const head = parseHead(text(data.subarray(0, end)), this.role);
    if ('kind' in head) return head;
    this.gathered.drop(end);
    return head;
  }

  /** The message as it would be if it ended here; joined when somebody looks, not with every segment. */
  private soFar(message: Head['message']): HttpMessage {
    const bytes = (): Bytes => this.pending.slice();
    let body: Bytes | undefined;
    return {
      ...message,
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
      const after = data[start + size] === 0x0d ? start + size + 2 : start + size + 1;
      chunk.need = after;
      if (data.length < after) break;
      chunk.body.append(data.subarray(start, start + size));
      chunk.need = 0;
      this.gathered.drop(after);
    }
    return { kind: 'partial' };
  }

  /** Trailers, if any, end with a blank line. */
  private readTrailers(data: Bytes, from: number, body: Bytes): HttpProgress {
    for (let at = from; ;) {
      const next = data.indexOf(0x0a, at);
      if (next - from > limits.head || (next < 0 && data.length - from > limits.head))
        return invalid('endless trailers');
      if (next < 0) return { kind: 'partial' };
      if (text(data.subarray(at, next)).trim() === '') return this.take(body, next + 1);
      at = next + 1;
    }
  }
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
