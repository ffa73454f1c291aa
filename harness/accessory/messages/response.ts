import type { Bytes } from '../../protocol/index.js';
import { encodeMessage } from '../../wire/index.js';
import type { Change } from '../database.js';
import type { Step, Verified } from '../facts.js';

/** One response before it is framed. */
export interface Response {
  readonly status: number;
  readonly body?: Bytes;
  readonly contentType?: string;
  readonly step?: Step | undefined;
  /** A pairing request was refused. */
  readonly refused?: boolean;
  /** The session to begin behind this response. */
  readonly verified?: Verified;
  /** Characteristics the request has changed. */
  readonly changes?: readonly Change[];
  /** Characteristics the request subscribed to. */
  readonly subscribed?: readonly Change[];
  /** The request was no HTTP. */
  readonly unreadable?: boolean;
  /** Headers beyond those every response has. */
  readonly headers?: readonly (readonly [string, string])[];
}

/** Start line, headers in order, and body of a message to write. */
export interface Message {
  readonly startLine: string;
  readonly headers: readonly (readonly [string, string])[];
  /** undefined where there is neither body nor Content-Length. */
  readonly body: Bytes | undefined;
}

const reasons: Readonly<Record<number, string>> = {
  200: 'OK',
  204: 'No Content',
  207: 'Multi-Status',
  400: 'Bad Request',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  470: 'Connection Authorization Required',
  500: 'Internal Server Error',
};

export function encodeResponse(
  behaviour: ResponseDecisions,
  { status, body, contentType }: Response,
  extra: readonly (readonly [string, string])[] = [],
  version = 'HTTP/1.1',
): Bytes {
  const startLine = `${behaviour.responseVersion(version)} ${status} ${reasons[status] ?? 'Unknown'}`;
  // A 204 has no Content-Length (RFC 9110 §8.6); with one, controllers have waited for a body.
  if (status === 204) return behaviour.write({ startLine, headers: extra, body: undefined });
  if (body === undefined) return behaviour.write({ startLine, headers: extra, body: new Uint8Array(0) });
  const type = contentType === undefined ? [] : [['Content-Type', contentType] as const];
  return behaviour.write({ startLine, headers: [...type, ...extra], body });
}

/** How messages become bytes. */
export interface ResponseDecisions {
  /** The version in the status line that answers a request of this version. */
  responseVersion(request: string): string;
  /** The bytes of a message before they are sealed. */
  write(message: Message): Bytes;
}

export const healthyResponses: ResponseDecisions = {
  responseVersion: () => 'HTTP/1.1',
  write: ({ startLine, headers, body }) => encodeMessage(startLine, headers, body),
};
