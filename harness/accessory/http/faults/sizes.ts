import { text, utf8 } from '../../../protocol/index.js';
import { header } from '../../../wire/index.js';
import { type Fault, fault } from '../../faults/fault.js';
import type { ArrivedRequest } from '../serve.js';
import { stopsAt } from './requests.js';

function host({ message }: ArrivedRequest): string {
  return header(message, 'Host') ?? '';
}

/** Entries of a read or a write of characteristics. */
function entries({ message }: ArrivedRequest): number {
  const { path, body } = message;
  if (!path.startsWith('/characteristics')) return 0;
  return message.method === 'GET' ? path.split(',').length : text(body).split('"iid"').length - 1;
}

/** What real controllers send and harnesses do not: their Host, and as much as a hub asks at once. */
export const clients: readonly Fault[] = [
  fault(
    'host-with-a-backslash-refused',
    {
      breaks: ['HTTP-11'],
      fieldBug: 140,
      story: 'the HTTP library takes no backslash in Host, and iOS escapes blanks by one',
    },
    (ok) => ({ admits: (request) => (host(request).includes('\\') ? 400 : ok.admits(request)) }),
  ),
  fault(
    'host-of-64-bytes-overflows',
    { breaks: ['HTTP-11'], fieldBug: 141, story: 'Host is copied into a buffer of 64 bytes' },
    (ok) => ({
      admits(request) {
        stopsAt(host(request).length > 64);
        return ok.admits(request);
      },
    }),
  ),
  fault(
    'ipv6-host-refused',
    { breaks: ['HTTP-11'], fieldBug: 142, story: 'what is behind the first colon of Host has to be a port' },
    (ok) => ({
      admits: (request) => (/^[^:]*:(?!\d+$)/.test(host(request)) ? 400 : ok.admits(request)),
    }),
  ),
  fault(
    'bare-address-as-host-unanswered',
    { breaks: ['HTTP-11'], story: 'a Host of digits and dots is looked up as a name, and nobody answers' },
    (ok) => ({
      admits: (request) => (/^\d+(\.\d+){3}$/.test(host(request)) ? 'silence' : ok.admits(request)),
    }),
  ),
  fault(
    'other-local-name-not-found',
    {
      breaks: ['HTTP-11'],
      story: 'it is a virtual host, found by the name of its service, its own name or an address',
    },
    (ok) => ({
      admits: (request) =>
        /(?<!_tcp|^(?:embedded|accessory))\.local(:\d+)?$/.test(host(request)) ? 404 : ok.admits(request),
    }),
  ),
  fault(
    'port-in-host-refused',
    { breaks: ['HTTP-11'], story: 'Host is compared with the name, and a port behind it makes another one' },
    (ok) => ({ admits: (request) => (/:\d+$/.test(host(request)) ? 400 : ok.admits(request)) }),
  ),
  fault(
    'escapes-above-127-refused',
    {
      breaks: ['HTTP-11'],
      story: 'Host is ASCII, and the decimal escapes of an umlaut are looked at as bytes',
    },
    (ok) => ({
      admits: (request) => (/\\(1[3-9]|2)\d/.test(host(request)) ? 400 : ok.admits(request)),
    }),
  ),
  fault(
    'accept-has-to-be-json',
    {
      breaks: ['HTTP-11'],
      story: 'a web framework offers JSON alone, and a client that asks for TLV8 gets 406',
    },
    (ok) => ({
      admits: (request) => (/tlv8/.test(header(request.message, 'Accept') ?? '') ? 406 : ok.admits(request)),
    }),
  ),
  fault(
    'uri-cut-at-1024-bytes',
    {
      breaks: ['HTTP-12'],
      fieldBug: 143,
      story: 'a URI is copied as far as it fits, and what is left of it is malformed',
    },
    (ok) => ({
      admits: (request) => (pathLength(request) > 1024 && isRead(request) ? 400 : ok.admits(request)),
    }),
  ),
  fault(
    'reads-answer-the-first-eight',
    { breaks: ['HTTP-12'], fieldBug: 143, story: 'an answer has room for eight entries, and nobody is told' },
    (ok) => ({
      write(message) {
        const body = message.body === undefined ? '' : text(message.body);
        if (!body.startsWith('{"characteristics":[')) return ok.write(message);
        const { characteristics } = JSON.parse(body) as { characteristics: unknown[] };
        return ok.write({
          ...message,
          body: utf8(JSON.stringify({ characteristics: characteristics.slice(0, 8) })),
        });
      },
    }),
  ),
  fault(
    'uri-of-1024-bytes-closes',
    {
      breaks: ['HTTP-12'],
      fieldBug: 143,
      story: 'a start line has room for 1 KB, and the connection ends beyond',
    },
    (ok) => ({
      admits: (request) => (pathLength(request) > 1000 && isRead(request) ? 'close' : ok.admits(request)),
    }),
  ),
  fault(
    'reads-of-many-refused',
    { breaks: ['HTTP-12'], fieldBug: 143, story: 'a read has room for eight characteristics' },
    (ok) => ({
      admits: (request) =>
        request.message.method === 'GET' && entries(request) > 8 ? 500 : ok.admits(request),
    }),
  ),
  fault(
    'writes-of-many-cut-short',
    {
      breaks: ['HTTP-12'],
      fieldBug: 144,
      story: 'a write has room for two characteristics, and more are no JSON',
    },
    (ok) => ({
      admits: (request) =>
        request.message.method === 'PUT' && entries(request) > 2 ? 400 : ok.admits(request),
    }),
  ),
  fault(
    'body-must-begin-in-the-frame-of-the-head',
    {
      breaks: ['HTTP-12'],
      fieldBug: 144,
      story: 'a head without a byte of its body behind it is malformed, unless it fills its frame',
    },
    (ok) => ({
      readPlaintext(frame) {
        const { pending, plaintext } = frame;
        const whole = text(pending) + text(plaintext);
        const short = whole.startsWith('PUT ') && whole.endsWith('\r\n\r\n') && !/length: 0/i.test(whole);
        return short ? { bytes: new Uint8Array(0), forget: true } : ok.readPlaintext(frame);
      },
    }),
  ),
];

function pathLength({ message }: ArrivedRequest): number {
  return message.path.length;
}

function isRead({ message }: ArrivedRequest): boolean {
  return message.path.startsWith('/characteristics');
}
