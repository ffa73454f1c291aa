import { TlvError, TlvType, decodeTlv } from '../../protocol/index.js';
import type { ArrivedRequest } from '../http/serve.js';
import { type Fault, fault } from './fault.js';

/** The State of a message of Pair Setup. */
function stateOf({ message }: ArrivedRequest): number | undefined {
  return message.path === '/pair-setup' ? decodeTlv(message.body).get(TlvType.State)?.[0] : undefined;
}

/** Milliseconds in which nobody has typed a code. */
const TYPING = 15_000;

/** Others in the house, and the time people take. */
export const household: readonly Fault[] = [
  fault(
    'refused-verify-ends-setups',
    {
      breaks: ['PS-STATE-18'],
      fieldBug: 150,
      story: 'the state of pairing is one for all connections, and a refused Pair Verify resets it',
    },
    () => ({ refusedVerifyEndsSetups: true }),
  ),
  fault(
    'half-a-request-holds-setup',
    { breaks: ['PS-STATE-18'], story: 'Pair Setup is taken by the connection that begins to ask for it' },
    (ok) => ({
      admits: (request) =>
        request.halfOpen > 0 && request.message.path === '/pair-setup' ? 503 : ok.admits(request),
    }),
  ),
  fault(
    'refused-verifies-count-against-all',
    {
      breaks: ['PV-STATE-10'],
      fieldBug: 151,
      story: 'eight Pair Verifies that were refused are an attack, and whoever asks next has to wait',
    },
    (ok) => ({
      refusesVerify: (request) => (request.refusedInARow >= 8 ? TlvError.Backoff : ok.refusesVerify(request)),
    }),
  ),
  fault(
    'm2-is-forgotten-in-15-seconds',
    {
      breaks: ['PS-M3-20'],
      fieldBug: 152,
      story: 'a timer ends the exchange while the code is typed, and M3 is one with a wrong code',
    },
    (ok) => ({
      admits: (request) => (stateOf(request) === 3 && request.idle > TYPING ? 400 : ok.admits(request)),
    }),
  ),
  fault(
    'closes-while-the-code-is-typed',
    {
      breaks: ['PS-M3-20'],
      fieldBug: 152,
      story:
        'the web server ends a connection without a request for fifteen seconds, in the middle of Pair Setup',
    },
    (ok) => ({
      admits: (request) => (stateOf(request) === 3 && request.idle > TYPING ? 'close' : ok.admits(request)),
    }),
  ),
  fault(
    'paused-setup-unanswered',
    { breaks: ['PS-M3-20'], story: 'a timer frees the exchange, and a message that finds none is dropped' },
    (ok) => ({
      admits: (request) =>
        stateOf(request) === 3 && request.idle > 3 * TYPING ? 'silence' : ok.admits(request),
    }),
  ),
  fault(
    'first-request-after-a-pause-unanswered',
    { breaks: ['PS-M3-20'], story: 'a connection without a request goes to sleep, and nothing wakes it' },
    (ok) => ({
      admits: (request) => (stateOf(request) === 1 && request.idle > TYPING ? 'silence' : ok.admits(request)),
    }),
  ),
];
