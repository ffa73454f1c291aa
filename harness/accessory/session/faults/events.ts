import { type Fault, fault } from '../../faults/fault.js';
import { inPlaintext, outwards } from './shared.js';

/** Events. */
export const events: readonly Fault[] = [
  fault(
    'event-never-sent',
    { breaks: ['SESS-21'], story: 'subscriptions are confirmed and kept nowhere' },
    () => ({ notifies: () => false }),
  ),
  fault(
    'event-in-plaintext',
    { breaks: ['SESS-20', 'SESS-21'], story: 'events are written to the socket itself' },
    inPlaintext(({ kind }) => kind === 'event'),
  ),
  fault(
    'event-inside-a-response',
    { breaks: ['SESS-21'], story: 'the frames of an event go out between those of a long response' },
    () => ({ eventPlacement: 'inside-response' }),
  ),
  fault(
    'event-sealed-when-queued',
    {
      breaks: ['SESS-21'],
      fieldBug: 75,
      story: 'an event is sealed when it is queued and sent behind a later response',
    },
    () => ({ eventPlacement: 'sealed-when-queued' }),
  ),
  fault(
    'event-with-a-counter-of-its-own',
    { breaks: ['SESS-21'], story: 'events and responses are counted apart' },
    () => ({
      frameCounter: outwards(({ count, event, eventCount }) => (event ? eventCount : count - eventCount)),
    }),
  ),
  fault(
    'events-newest-first',
    { breaks: ['SESS-21'], fieldBug: 84, story: 'waiting events are kept on a stack' },
    () => ({ eventPlacement: 'behind-the-next' }),
  ),
  fault(
    'event-as-response',
    { breaks: ['SESS-21'], story: 'events go out through the response writer, HTTP/1.1 in front' },
    () => ({ eventStartLine: 'HTTP/1.1 200 OK' }),
  ),
  fault(
    'event-to-the-writer',
    { breaks: ['SESS-21'], fieldBug: 83, story: 'whoever writes a value is told of it too' },
    (ok) => ({
      notifies: (listener) =>
        ok.notifies(listener) || (listener.cause === 'write' && listener.isWriter && listener.secured),
    }),
  ),
  fault(
    'event-on-subscription',
    { breaks: ['SESS-21'], fieldBug: 82, story: 'every subscription is answered with an event too' },
    (ok) => ({
      notifies: (listener) =>
        ok.notifies(listener) || (listener.cause === 'subscription' && listener.isWriter),
    }),
  ),
  fault(
    'event-to-every-session',
    { breaks: ['SESS-21'], story: 'subscriptions are kept for the characteristic, not for the session' },
    (ok) => ({
      notifies: (listener) =>
        ok.notifies(listener) || (listener.cause === 'write' && listener.secured && !listener.isWriter),
    }),
  ),
  fault(
    'unsubscribing-ignored',
    { breaks: ['SESS-21'], story: '"ev" is read as set whatever its value is' },
    (ok) => ({
      notifies: (listener) =>
        ok.notifies({ ...listener, subscribed: listener.subscribed || listener.unsubscribed }),
    }),
  ),
  fault(
    'subscription-outlives-its-connection',
    { breaks: ['SESS-21'], fieldBug: 85, story: 'subscriptions are kept by controller and never cleared' },
    (ok) => ({
      notifies: (listener) =>
        ok.notifies({ ...listener, subscribed: listener.subscribed || listener.subscribedBefore }),
    }),
  ),
  fault(
    'event-to-plain-connections',
    { breaks: ['SESS-21'], story: 'events go to every socket there is' },
    (ok) => ({
      notifies: (listener) => ok.notifies(listener) || (listener.cause === 'write' && !listener.secured),
    }),
  ),
];
