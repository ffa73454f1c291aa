import { type Bytes, type TlvMessage, decodeTlv, text } from '../protocol/index.js';
import { type HttpRequest, encodeRequest } from '../wire/index.js';
import { type Profile, type SetupKind, hapProfile } from './profile.js';

/** What requests of one connection are dressed in. */
export interface Dressing {
  readonly profile: Profile;
  readonly startLine: Profile['startLine'];
  readonly kind: SetupKind;
  readonly host: string;
  /** CSeq of the next request, where requests are numbered. */
  next(): number;
  readonly handwriting?: Handwriting;
}

/**
 * How a controller writes the headers of a request. It is given all of them, Content-Length last, and returns those it
 * sends, in its order and spelling; a request with a body keeps its Content-Length.
 */
export type Handwriting = (
  headers: readonly (readonly [name: string, value: string])[],
) => readonly (readonly [name: string, value: string])[];

/** Method and path of a request in this dress. */
export function placed(
  { route, resource, lacksResource, otherwise }: Profile,
  { method, path, body }: HttpRequest,
): Pick<HttpRequest, 'method' | 'path'> {
  const there = route(path, body);
  if (lacksResource === true && otherwise !== undefined && method === 'GET' && there === resource)
    return { method: otherwise.method, path: otherwise.path };
  return { method, path: there };
}

/** The headers a profile puts into every request, its number first. */
function ownHeaders({ profile, kind, next }: Dressing): (readonly [string, string])[] {
  return [...(profile.numbered ? [['CSeq', String(next())] as const] : []), ...profile.headers[kind]];
}

/** A request as bytes, where this dress has it and with the headers every controller sends. */
export function encodeIn(dressing: Dressing, request: HttpRequest): Bytes {
  const { profile, startLine, host, handwriting } = dressing;
  const length = request.body && ([['Content-Length', String(request.body.length)]] as const);
  const headers = [['Host', host] as const, ...ownHeaders(dressing), ...(request.headers ?? [])];
  return encodeRequest({
    version: startLine,
    ...request,
    ...placed(profile, request),
    headers: handwriting?.([...headers, ...(length ?? [])]) ?? headers,
  });
}

/**
 * Raw bytes of a request in plain HTTP/1.1, with what a sender of this profile puts into each: its start line, media
 * type and headers, spelled as Host is. Whatever else is odd about them stays.
 */
export function dressed(dressing: Dressing, bytes: Bytes): Bytes {
  const { profile, startLine } = dressing;
  const raw = Buffer.from(bytes).toString('latin1');
  const end = raw.indexOf('\n') + 1;
  if (end === 0) return bytes;
  const eol = raw[end - 2] === '\r' ? '\r\n' : '\n';
  const name = /^host(?=:)/im.exec(raw.slice(end))?.[0] ?? 'Host';
  const spelled = (header: string): string =>
    name === 'host' ? header.toLowerCase() : name === 'HOST' ? header.toUpperCase() : header;
  const own = ownHeaders(dressing).map(([key, value]) => `${spelled(key)}: ${value}${eol}`);
  const start = raw.slice(0, end).replace(/ HTTP\/1\.1(?=\r?\n$)/, ` ${startLine}`);
  const rest = raw.slice(end).replace(hapProfile.mediaType, profile.mediaType);
  return Uint8Array.from(Buffer.from(start + own.join('') + rest, 'latin1'));
}

/** The items of a request, unless it has no body of TLV8. */
export function requestItems(request: HttpRequest): TlvMessage | undefined {
  const type = request.headers?.find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? '';
  return request.body === undefined || /json/.test(type) ? undefined : decodeTlv(request.body);
}

/** The body of a request in a line. */
export function describeBody(request: HttpRequest): string {
  if (request.body === undefined) return '';
  return requestItems(request)?.toString() ?? text(request.body.subarray(0, 120));
}
