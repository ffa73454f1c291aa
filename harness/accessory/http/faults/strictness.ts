import { text, utf8 } from '../../../protocol/index.js';
import { type Fault, fault } from '../../faults/fault.js';
import type { Message } from '../../messages/response.js';

/** Every response with one more header. */
function withHeader(name: string, value: string): Fault['change'] {
  return (ok) => ({
    write: (message) =>
      ok.write(
        message.startLine.startsWith('HTTP')
          ? { ...message, headers: [...message.headers, [name, value]] }
          : message,
      ),
  });
}

function isMultiStatus({ startLine }: Message): boolean {
  return startLine.includes(' 207 ');
}

/** What a lenient client passes over, and a strict one takes at its word. */
export const strictness: readonly Fault[] = [
  fault(
    'says-close-and-goes-on',
    {
      breaks: ['HTTP-13'],
      fieldBug: 153,
      story: 'a header of the web server says that the connection ends, and it does not',
    },
    withHeader('Connection', 'close'),
  ),
  fault(
    'says-gzip',
    {
      breaks: ['HTTP-13'],
      story: 'the web server adds the coding it would have used, and sends bodies as they are',
    },
    withHeader('Content-Encoding', 'gzip'),
  ),
  fault(
    'partial-read-is-ok',
    {
      breaks: ['HTTP-13'],
      fieldBug: 154,
      story: 'the status line says 200 before the entries are looked at',
    },
    (ok) => ({
      write: (message) =>
        ok.write(isMultiStatus(message) ? { ...message, startLine: 'HTTP/1.1 200 OK' } : message),
    }),
  ),
  fault(
    'multi-status-of-failures-alone',
    { breaks: ['HTTP-13'], story: 'only entries that failed get a status, in HTTP 207 too' },
    (ok) => ({
      write(message) {
        if (!isMultiStatus(message) || message.body === undefined) return ok.write(message);
        const body = utf8(text(message.body).replaceAll('"status":0,', ''));
        return ok.write({ ...message, body });
      },
    }),
  ),
];
