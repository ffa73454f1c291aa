import { type Bytes, concat, text, utf8 } from '../../../protocol/index.js';
import { type HttpMessage, header } from '../../../wire/index.js';
import { type AccessRequest, type ArrivedRequest, Halt, type Requester } from '../../behaviour.js';
import { type Fault, fault } from '../../faults/fault.js';

const anybody: Requester = { id: new Uint8Array(0) };

function is(request: AccessRequest, method: string, path: string): boolean {
  return request.method === method && request.path === path;
}

/** The accessory goes down under bytes or requests like these. */
function stopsAt(dangerous: boolean): void {
  if (dangerous) throw new Halt();
}

function isPairing({ path }: HttpMessage): boolean {
  return /^\/(pair-|pairings)/.test(path);
}

/** A parser that looks for a name as its author wrote it. */
function lacks({ message: { headers, body } }: ArrivedRequest, name: string): boolean {
  return body.length > 0 && !headers.some(([given]) => given === name);
}

function identifies({ message }: ArrivedRequest): boolean {
  return message.method === 'POST' && message.path === '/identify';
}

/** The first request of a segment alone, as far as its Content-Length goes. */
function firstRequest(bytes: Bytes): Bytes {
  const seen = text(bytes);
  const end = seen.indexOf('\r\n\r\n') + 4;
  const length = /content-length: *(\d+)/i.exec(seen.slice(0, end))?.[1] ?? '0';
  return end < 4 ? bytes : bytes.subarray(0, end + Number(length));
}

/** The head of every message, as another writer leaves it. */
function rewritten(change: (head: string) => string): Fault['change'] {
  return (ok) => ({
    write(message) {
      const bytes = ok.write(message);
      const head = bytes.length - (message.body?.length ?? 0);
      return concat(utf8(change(text(bytes.subarray(0, head)))), bytes.subarray(head));
    },
  });
}

/** Every body in one chunk, with these headers about it and these line ends. */
function chunked(headers: (size: number) => string, lineEnd: string): Fault['change'] {
  return (ok) => ({
    write(message) {
      const { body } = message;
      if (body === undefined || body.length === 0) return ok.write(message);
      const head = text(ok.write({ ...message, body: undefined })).replace(
        '\r\n\r\n',
        `\r\n${headers(body.length)}\r\n`,
      );
      const size = `${body.length.toString(16)}${lineEnd}`;
      return concat(utf8(head + size), body, utf8(`${lineEnd}0${lineEnd}${lineEnd}`));
    },
  });
}

export const httpFaults: readonly Fault[] = [
  fault(
    'unverified-get-served',
    { breaks: ['HTTP-05'], fieldBug: 96, story: 'GET /accessories is routed without asking for a session' },
    (ok) => ({
      servesAs: (request) =>
        ok.servesAs(request) ?? (is(request, 'GET', '/accessories') ? anybody : undefined),
    }),
  ),
  fault(
    'unverified-put-served',
    {
      breaks: ['HTTP-05'],
      fieldBug: 96,
      story: 'PUT /characteristics is routed without asking for a session',
    },
    (ok) => ({
      servesAs: (request) =>
        ok.servesAs(request) ?? (is(request, 'PUT', '/characteristics') ? anybody : undefined),
    }),
  ),
  fault(
    'unverified-all-served',
    {
      breaks: ['HTTP-05'],
      fieldBug: 96,
      story: 'whether a session is there is asked nowhere, only what it may do',
    },
    (ok) => ({ servesAs: (request) => ok.servesAs(request) ?? anybody }),
  ),
  fault(
    'closes-after-each-response',
    {
      breaks: ['HTTP-10', 'PS-M3-01'],
      story: 'the HTTP server has no persistent connections before Pair Verify',
    },
    (ok) => ({
      closesAfter: (response) =>
        (response.step !== undefined && !response.secured) || ok.closesAfter(response),
    }),
  ),
  fault(
    'closes-after-m4',
    { breaks: ['HTTP-10', 'PS-M5-01'], story: 'the connection is closed behind M4' },
    (ok) => ({
      closesAfter: (response) => response.step === 'setup-m4' || ok.closesAfter(response),
    }),
  ),

  // Answers

  fault(
    'length-counts-one-too-few',
    {
      breaks: ['HTTP-01'],
      fieldBug: 116,
      story: 'the terminator of the buffer is sent with the body and not counted',
    },
    (ok) => ({
      write: (message) =>
        message.body === undefined ? ok.write(message) : concat(ok.write(message), Uint8Array.of(0)),
    }),
  ),
  fault(
    'refusals-without-length',
    {
      breaks: ['HTTP-01'],
      fieldBug: 120,
      story: 'answers without a body are written without Content-Length, the connection stays open',
    },
    (ok) => ({
      write: (message) => ok.write(message.body?.length === 0 ? { ...message, body: undefined } : message),
    }),
  ),
  fault(
    'answers-as-http-1-0',
    { breaks: ['HTTP-01'], story: 'the status line of a template of long ago' },
    (ok) => ({
      write: (message) =>
        ok.write({ ...message, startLine: message.startLine.replace('HTTP/1.1', 'HTTP/1.0') }),
    }),
  ),
  fault(
    '470-without-length',
    { breaks: ['HTTP-01'], fieldBug: 120, story: 'HTTP 470 is a bare status line' },
    (ok) => ({
      write: (message) =>
        ok.write(
          message.startLine.includes(' 470 ') ? { ...message, headers: [], body: undefined } : message,
        ),
    }),
  ),
  fault(
    'pairing-replies-as-octets',
    { breaks: ['HTTP-01'], story: 'the media type of binary data, whatever it is' },
    () => ({ contentType: () => 'application/octet-stream' }),
  ),

  fault(
    'line-feeds-alone',
    {
      breaks: ['HTTP-01'],
      story: 'header lines are written with the newline of the language, not with CR LF',
    },
    rewritten((head) => head.replaceAll('\r\n', '\n')),
  ),
  fault(
    'status-line-with-line-feed',
    { breaks: ['HTTP-01'], story: 'the status line comes from a template of its own, without CR' },
    rewritten((head) => head.replace('\r\n', '\n')),
  ),
  fault(
    'nul-in-a-header',
    { breaks: ['HTTP-01'], story: 'a header is copied with the terminator of its string' },
    rewritten((head) => head.replace('\r\n\r\n', '\r\nServer: hapspec\0\r\n\r\n')),
  ),
  fault(
    'bare-cr-in-a-header',
    { breaks: ['HTTP-01'], story: 'a model name is written as it was configured, line end and all' },
    rewritten((head) => head.replace('\r\n\r\n', '\r\nServer: hapspec\rX: 1\r\n\r\n')),
  ),
  fault(
    'blank-before-the-colon',
    { breaks: ['HTTP-01'], story: 'names and values are joined by a colon between two blanks' },
    rewritten((head) => head.replace(/: /g, ' : ')),
  ),
  fault(
    'length-and-chunks',
    { breaks: ['HTTP-01'], story: 'a layer below chunks what was given a length above' },
    chunked((size) => `Content-Length: ${size}\r\nTransfer-Encoding: chunked\r\n`, '\r\n'),
  ),
  fault(
    'chunks-with-line-feeds',
    { breaks: ['HTTP-01'], story: 'the lines between chunks end with LF' },
    chunked(() => 'Transfer-Encoding: chunked\r\n', '\n'),
  ),
  fault(
    'blank-line-behind-each-body',
    { breaks: ['HTTP-01'], story: 'a body is written as a line, and its end is not counted' },
    (ok) => ({
      write: (message) =>
        (message.body?.length ?? 0) === 0 ? ok.write(message) : concat(ok.write(message), utf8('\r\n')),
    }),
  ),
  fault(
    'greets',
    {
      breaks: ['HTTP-01'],
      story: 'a connection is welcomed by an answer, as if it had asked for something',
    },
    () => ({ greeting: utf8('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n') }),
  ),
  fault(
    'answers-twice',
    {
      breaks: ['HTTP-01'],
      story: 'the buffer of an answer is flushed by its handler and by the server once more',
    },
    (ok) => ({
      write(message) {
        const bytes = ok.write(message);
        return message.startLine.startsWith('HTTP') ? concat(bytes, bytes) : bytes;
      },
    }),
  ),

  // Headers

  fault(
    'header-names-case-sensitive',
    { breaks: ['HTTP-02'], story: 'Content-Length is found by comparing bytes' },
    (ok) => ({ admits: (request) => (lacks(request, 'Content-Length') ? 400 : ok.admits(request)) }),
  ),
  fault(
    'content-length-must-come-first',
    { breaks: ['PS-M1-01'], fieldBug: 117, story: 'the length is read before the type, or not at all' },
    (ok) => ({
      admits(request) {
        const names = request.message.headers.map(([name]) => name.toLowerCase());
        const [length, type] = [names.indexOf('content-length'), names.indexOf('content-type')];
        return isPairing(request.message) && type >= 0 && type < length ? 400 : ok.admits(request);
      },
    }),
  ),
  fault(
    'content-type-must-come-first',
    { breaks: ['HTTP-02'], story: 'headers are taken in the order in which one controller sends them' },
    (ok) => ({
      admits(request) {
        const names = request.message.headers.map(([name]) => name.toLowerCase());
        const [length, type] = [names.indexOf('content-length'), names.indexOf('content-type')];
        return type >= 0 && length >= 0 && length < type ? 400 : ok.admits(request);
      },
    }),
  ),
  fault(
    'short-host-unanswered',
    {
      breaks: ['HTTP-02'],
      fieldBug: 118,
      story: 'a request below the size of its buffer waits for more: a longer Host header helps',
    },
    (ok) => ({
      admits: (request) =>
        (header(request.message, 'Host')?.length ?? 100) < 2 ? 'silence' : ok.admits(request),
    }),
  ),
  fault(
    'missing-host-stops-it',
    { breaks: ['HTTP-02'], fieldBug: 119, story: 'the Host header is used and was never there' },
    (ok) => ({
      admits(request) {
        stopsAt(header(request.message, 'Host') === undefined);
        return ok.admits(request);
      },
    }),
  ),
  fault(
    'accept-encoding-upsets-it',
    { breaks: ['HTTP-02'], fieldBug: 119, story: 'more headers than its table has places' },
    (ok) => ({
      admits: (request) =>
        header(request.message, 'Accept-Encoding') === undefined ? ok.admits(request) : 400,
    }),
  ),
  fault(
    'one-space-behind-the-colon',
    { breaks: ['HTTP-02'], story: 'a value begins two bytes behind its name' },
    (ok) => ({
      readPlain: (segment) => (text(segment.bytes).includes(':  ') ? undefined : ok.readPlain(segment)),
    }),
  ),
  fault(
    'other-content-type-unanswered',
    { breaks: ['HTTP-02'], story: 'a pairing request is known by its media type, the rest has no handler' },
    (ok) => ({
      admits: (request) =>
        isPairing(request.message) && header(request.message, 'Content-Type') !== 'application/pairing+tlv8'
          ? 'silence'
          : ok.admits(request),
    }),
  ),

  // Methods and paths

  fault(
    'other-methods-unanswered',
    { breaks: ['HTTP-03'], story: 'the router has no default for a method' },
    (ok) => ({
      admits: (request) =>
        isPairing(request.message) && request.message.method !== 'POST' ? 'silence' : ok.admits(request),
    }),
  ),
  fault(
    'get-without-body-stops-it',
    { breaks: ['HTTP-03'], story: 'the handler of pairing requests reads a body that is not there' },
    (ok) => ({
      admits(request) {
        stopsAt(isPairing(request.message) && request.message.body.length === 0);
        return ok.admits(request);
      },
    }),
  ),
  fault(
    'unknown-path-unanswered',
    { breaks: ['HTTP-04'], story: 'a path without a handler is dropped' },
    (ok) => ({
      admits: (request) =>
        /^\/(pair-setup|pair-verify|pairings|identify|accessories|characteristics|prepare|resource)$/.test(
          request.message.path.replace(/\?id=.*/, ''),
        )
          ? ok.admits(request)
          : 'silence',
    }),
  ),
  fault(
    'unknown-path-welcome',
    { breaks: ['HTTP-04'], story: 'what is not found is answered with the start page of the web interface' },
    (ok) => ({
      admits: (request) => (request.message.path === '/nope' ? 200 : ok.admits(request)),
    }),
  ),
  fault(
    'long-path-overflows',
    { breaks: ['HTTP-04'], fieldBug: 124, story: 'the path is copied into 256 bytes without an end' },
    (ok) => ({
      admits(request) {
        stopsAt(request.message.path.length > 256);
        return ok.admits(request);
      },
    }),
  ),
  fault(
    'identifies-when-paired',
    { breaks: ['HTTP-06'], story: '/identify does not ask whether there is a pairing' },
    (ok) => ({
      admits: (request) => (identifies(request) ? 204 : ok.admits(request)),
    }),
  ),
  fault(
    'identify-unanswered',
    { breaks: ['HTTP-06'], story: 'the routine blinks, and nobody answers' },
    (ok) => ({ admits: (request) => (identifies(request) ? 'silence' : ok.admits(request)) }),
  ),

  // Segments and lengths

  fault(
    'body-of-a-second-segment-lost',
    { breaks: ['HTTP-07'], fieldBug: 119, story: 'one read, one request: what comes later is not looked at' },
    (ok) => ({
      readPlain: (segment) => (segment.inBody ? new Uint8Array(0) : ok.readPlain(segment)),
    }),
  ),
  fault(
    'split-body-refused',
    { breaks: ['HTTP-07'], story: 'a body that is shorter than its Content-Length is an error at once' },
    (ok) => ({ readPlain: (segment) => (segment.inBody ? undefined : ok.readPlain(segment)) }),
  ),
  fault(
    'split-headers-refused',
    { breaks: ['HTTP-07'], story: 'the start line has to come whole' },
    (ok) => ({
      readPlain: (segment) =>
        segment.inBody || segment.pending.length === 0 ? ok.readPlain(segment) : undefined,
    }),
  ),
  fault(
    'byte-by-byte-wears-it-out',
    { breaks: ['HTTP-07'], story: 'every segment of a request takes a buffer, and there are sixteen' },
    (ok) => ({
      readPlain(segment) {
        stopsAt(segment.bytes.length === 1 && segment.pending.length > 16);
        return ok.readPlain(segment);
      },
    }),
  ),
  fault(
    'pipelined-request-lost',
    { breaks: ['HTTP-08'], story: 'the buffer is emptied behind each request, with all that is in it' },
    (ok) => ({
      readPlain: (segment) =>
        segment.pending.length === 0 ? firstRequest(segment.bytes) : ok.readPlain(segment),
    }),
  ),
  fault(
    'length-fields-are-trusted',
    {
      breaks: ['HTTP-09'],
      story:
        'Content-Length is read as a signed number and allocated: negative, or a gigabyte, it ends there',
    },
    (ok) => ({
      readPlain(segment) {
        stopsAt(/content-length: *(-|\d{7})/i.test(text(segment.bytes)));
        return ok.readPlain(segment);
      },
    }),
  ),
  fault(
    'first-length-wins',
    { breaks: ['HTTP-09'], story: 'a second Content-Length is not looked at' },
    (ok) => ({
      readPlain(segment) {
        const seen = text(segment.bytes);
        const lengths = /(\r\ncontent-length:[^\r]*)((?:\r\ncontent-length:[^\r]*)+)/i;
        const bytes = lengths.test(seen) ? utf8(seen.replace(lengths, '$1')) : segment.bytes;
        return ok.readPlain({ ...segment, bytes });
      },
    }),
  ),
  fault(
    'two-lengths-stop-it',
    { breaks: ['HTTP-09'], story: 'an assertion counts the lengths of a request' },
    (ok) => ({
      readPlain(segment) {
        stopsAt((text(segment.bytes).match(/content-length/gi) ?? []).length > 1);
        return ok.readPlain(segment);
      },
    }),
  ),
  fault(
    'missing-length-stops-it',
    { breaks: ['HTTP-09'], story: 'the length of a POST is used before it is known to be there' },
    (ok) => ({
      readPlain(segment) {
        stopsAt(
          /^POST \/pair-setup /.test(text(segment.bytes)) && !/content-length/i.test(text(segment.bytes)),
        );
        return ok.readPlain(segment);
      },
    }),
  ),
  fault(
    'expect-unanswered',
    { breaks: ['HTTP-09'], story: 'a request with Expect waits for a handler that sends 100' },
    (ok) => ({
      admits: (request) => (header(request.message, 'Expect') === undefined ? ok.admits(request) : 'silence'),
    }),
  ),
  fault(
    'long-header-overflows',
    { breaks: ['HTTP-09'], fieldBug: 125, story: 'a header line is copied into a buffer of 4 KB' },
    (ok) => ({
      readPlain(segment) {
        stopsAt(segment.bytes.length > 4096);
        return ok.readPlain(segment);
      },
    }),
  ),
  fault(
    'odd-start-line-stops-it',
    { breaks: ['HTTP-09'], story: 'the start line is split at its blanks, and the second one must be there' },
    (ok) => ({
      readPlain(segment) {
        stopsAt(segment.pending.length === 0 && (segment.bytes[0] ?? 0x41) < 0x20);
        return ok.readPlain(segment);
      },
    }),
  ),
  fault(
    'bare-line-feed-stops-it',
    { breaks: ['HTTP-09'], story: 'the carriage return before a line feed is taken for granted' },
    (ok) => ({
      readPlain(segment) {
        stopsAt(/^[A-Z]+ [^\r\n]*\n/.test(text(segment.bytes)));
        return ok.readPlain(segment);
      },
    }),
  ),
  fault(
    'close-comes-first',
    { breaks: ['HTTP-10'], story: 'Connection: close is obeyed before the request is' },
    (ok) => ({
      admits: (request) =>
        header(request.message, 'Connection') === 'close' || request.message.version === 'HTTP/1.0'
          ? 'close'
          : ok.admits(request),
    }),
  ),

  // Stalled peers

  fault(
    'half-a-request-blocks-all',
    { breaks: ['SEC-10'], story: 'one thread reads a request to its end before it looks at the next' },
    (ok) => ({ admits: (request) => (request.halfOpen > 0 ? 'silence' : ok.admits(request)) }),
  ),
  fault(
    'four-sockets',
    { breaks: ['SEC-10'], story: 'a table of four sockets, and none is given up while it is open' },
    (ok) => ({
      takesConnection: (arrival) => arrival.open < 4 && ok.takesConnection(arrival),
    }),
  ),
  fault(
    'idle-sockets-eat-the-heap',
    {
      breaks: ['SEC-10'],
      fieldBug: 129,
      story: 'with four idle sockets there is no memory left for cryptography, and HTTP 500 says so',
    },
    (ok) => ({
      admits: (request) => (request.others >= 4 && isPairing(request.message) ? 500 : ok.admits(request)),
    }),
  ),
];
