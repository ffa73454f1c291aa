import { text } from '../../../protocol/index.js';
import { type HttpMessage, header } from '../../../wire/index.js';
import { Halt, type Requester } from '../../facts.js';
import { type Fault, fault } from '../../faults/fault.js';
import type { AccessRequest } from '../route.js';
import type { ArrivedRequest } from '../serve.js';

const anybody: Requester = { id: new Uint8Array(0) };

function is(request: AccessRequest, method: string, path: string): boolean {
  return request.method === method && request.path === path;
}

/** The accessory goes down under bytes or requests like these. */
export function stopsAt(dangerous: boolean): void {
  if (dangerous) throw new Halt();
}

export function isPairing({ path }: HttpMessage): boolean {
  return /^\/(pair-|pairings)/.test(path);
}

/** A parser that looks for a name as its author wrote it. */
function lacks({ message: { headers, body } }: ArrivedRequest, name: string): boolean {
  return body.length > 0 && !headers.some(([given]) => given === name);
}

function identifies({ message }: ArrivedRequest): boolean {
  return message.method === 'POST' && message.path === '/identify';
}

/** Who is served, and how a connection ends. */
export const access: readonly Fault[] = [
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
];

/** Headers. */
export const headers: readonly Fault[] = [
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
];

/** Methods and paths. */
export const paths: readonly Fault[] = [
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
];
