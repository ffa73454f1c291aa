import type { AccessRequest, Requester } from '../behaviour.js';
import { type Fault, fault } from './fault.js';

const anybody: Requester = { id: new Uint8Array(0) };

function is(request: AccessRequest, method: string, path: string): boolean {
  return request.method === method && request.path === path;
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
];
