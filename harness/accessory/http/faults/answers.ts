import { concat, text, utf8 } from '../../../protocol/index.js';
import { type Fault, fault } from '../../faults/fault.js';

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

/** Answers. */
export const answers: readonly Fault[] = [
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
];
