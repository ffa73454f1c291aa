import { type Bytes, text, utf8 } from '../../../protocol/index.js';
import { header } from '../../../wire/index.js';
import { type Fault, fault } from '../../faults/fault.js';
import { isPairing, stopsAt } from './requests.js';

/** The first request of a segment alone, as far as its Content-Length goes. */
function firstRequest(bytes: Bytes): Bytes {
  const seen = text(bytes);
  const end = seen.indexOf('\r\n\r\n') + 4;
  const length = /content-length: *(\d+)/i.exec(seen.slice(0, end))?.[1] ?? '0';
  return end < 4 ? bytes : bytes.subarray(0, end + Number(length));
}

/** Segments and lengths. */
export const segments: readonly Fault[] = [
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
];

/** Stalled peers. */
export const stalls: readonly Fault[] = [
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
