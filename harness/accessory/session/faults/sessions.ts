import { counterNonce, text } from '../../../protocol/index.js';
import { open } from '../../crypto.js';
import { type Fault, fault } from '../../faults/fault.js';
import { inPlaintext } from './shared.js';

/** The switch between plaintext and frames. */
export const switches: readonly Fault[] = [
  fault(
    'keys-by-address',
    { breaks: ['SESS-19'], story: 'the keys of a session are looked up by the peer, not by the connection' },
    () => ({
      adopts: (bytes, known) =>
        /^[A-Z]/.test(text(bytes.subarray(0, 1)))
          ? undefined
          : known.find(
              ({ keys, counter }) =>
                open(keys.toAccessory, counterNonce(counter), bytes.subarray(2), bytes.subarray(0, 2)) !==
                undefined,
            ),
    }),
  ),
  fault(
    'binary-before-verify-stops-it',
    { breaks: ['SESS-19'], story: 'bytes that are no HTTP trip an assertion of the parser' },
    () => ({
      survivesSegment: ({ bytes, secured }) =>
        secured || bytes.length === 0 || /[A-Z]/.test(text(bytes.subarray(0, 1))),
    }),
  ),
  fault(
    'not-found-in-plaintext',
    { breaks: ['SESS-20'], story: 'the answer for paths nobody serves is written to the socket itself' },
    inPlaintext(({ status }) => status === 404),
  ),
  fault(
    'wrong-method-in-plaintext',
    { breaks: ['SESS-20'], story: 'the router answers before the session is looked at' },
    inPlaintext(({ status }) => status === 405),
  ),
  fault(
    'parser-error-in-plaintext',
    { breaks: ['SESS-20'], story: 'the error handler of the HTTP parser writes to the socket itself' },
    inPlaintext(({ unreadable }) => unreadable),
  ),
  fault(
    'bad-json-in-plaintext',
    { breaks: ['SESS-20'], story: 'the exception of the JSON parser is answered outside the session' },
    inPlaintext(({ status, unreadable }) => status === 400 && !unreadable),
  ),
];

/** Several sessions, and how they end. */
export const sessions: readonly Fault[] = [
  fault(
    'keys-of-the-latest-session',
    {
      breaks: ['SESS-22', 'SESS-23'],
      story: 'the keys are kept for each controller: a second session replaces them',
    },
    (ok) => ({
      openFrame: (frame) => ok.openFrame({ ...frame, keys: frame.successors.at(-1)?.keys ?? frame.keys }),
    }),
  ),
  fault(
    'accepts-frames-of-other-sessions',
    { breaks: ['SESS-22'], story: 'a frame that does not open is tried with the keys of every session' },
    (ok) => ({
      openFrame(frame) {
        const own = ok.openFrame(frame);
        if (own !== undefined) return own;
        const found = frame.others.find(({ keys, counter }) => ok.openFrame({ ...frame, keys, counter }));
        const opened = found && ok.openFrame({ ...frame, ...found });
        return opened && { ...opened, next: frame.counter + 1n };
      },
    }),
  ),
  fault(
    'ended-session-takes-its-siblings',
    { breaks: ['SESS-22'], story: 'a session that ends clears everything kept for its controller' },
    () => ({ endsSiblings: true }),
  ),
  fault(
    'one-client-at-a-time',
    {
      breaks: ['SESS-22', 'SESS-23'],
      fieldBug: 52,
      story: 'a connection is served to its end before the next',
    },
    (ok) => ({ takesConnection: (arrival) => ok.takesConnection(arrival) && arrival.open === 0 }),
  ),
  fault(
    'four-sessions',
    { breaks: ['SESS-23'], fieldBug: 131, story: 'there is memory for four connections' },
    (ok) => ({ takesConnection: (arrival) => ok.takesConnection(arrival) && arrival.open < 4 }),
  ),
  fault(
    'full-once-full-for-ever',
    {
      breaks: ['SESS-23'],
      story: 'when the last slot is taken the listener is closed, and never opened again',
    },
    (ok) => ({
      takesConnection: ({ open, peak, ...arrival }) =>
        ok.takesConnection({ open, peak, ...arrival }) && open < 12 && peak < 12,
    }),
  ),
  fault(
    'half-frame-keeps-its-slot',
    { breaks: ['SESS-14'], story: 'a connection that ends inside a frame is never taken off the list' },
    (ok) => ({
      takesConnection: (arrival) => ok.takesConnection(arrival) && arrival.open + arrival.ended.midFrame < 8,
    }),
  ),
  fault(
    'finished-connection-keeps-its-slot',
    { breaks: ['SESS-25'], fieldBug: 130, story: 'a socket the peer has finished stays in CLOSE_WAIT' },
    (ok) => ({
      takesConnection: (arrival) => ok.takesConnection(arrival) && arrival.open + arrival.ended.fin < 16,
    }),
  ),
  fault(
    'reset-connection-keeps-its-slot',
    { breaks: ['SESS-25'], fieldBug: 130, story: 'only a FIN frees the slot of a session' },
    (ok) => ({
      takesConnection: (arrival) => ok.takesConnection(arrival) && arrival.open + arrival.ended.reset < 16,
    }),
  ),
  fault(
    'reset-stops-it',
    { breaks: ['SESS-14', 'SESS-25'], story: 'a write to a dead socket raises a signal nobody handles' },
    () => ({ survivesReset: false }),
  ),
  fault(
    'idle-session-told-in-plaintext',
    { breaks: ['SESS-24'], story: 'the HTTP server times out below the encryption, and says so' },
    () => ({ afterIdle: (milliseconds) => (milliseconds > 30_000 ? 'timeout-in-plaintext' : 'serve') }),
  ),
  fault(
    'idle-session-loses-its-keys',
    { breaks: ['SESS-24'], story: 'keys not used for half a minute are dropped, the connection is kept' },
    () => ({ afterIdle: (milliseconds) => (milliseconds > 30_000 ? 'forget-keys' : 'serve') }),
  ),
  fault(
    'session-forgotten-in-100-seconds',
    {
      breaks: ['SESS-27'],
      fieldBug: 158,
      story: 'a table of sessions drops what was not used for 100 seconds, and leaves the socket open',
    },
    () => ({ afterIdle: (milliseconds) => (milliseconds > 100_000 ? 'forget-keys' : 'serve') }),
  ),
  fault(
    'session-unread-behind-four-minutes',
    {
      breaks: ['SESS-27'],
      fieldBug: 158,
      story: 'a socket that was quiet for four minutes falls out of the set that is polled',
    },
    () => ({ afterIdle: (milliseconds) => (milliseconds > 240_000 ? 'silence' : 'serve') }),
  ),
  fault(
    'counters-begin-anew-behind-silence',
    {
      breaks: ['SESS-27'],
      story: 'a session is put away in light sleep, and comes back without the counter of its answers',
    },
    () => ({ afterIdle: (milliseconds) => (milliseconds > 90_000 ? 'counters-anew' : 'serve') }),
  ),
  fault(
    'session-forgotten-in-nine-minutes',
    { breaks: ['SESS-27'], story: 'keys have a lifetime of nine minutes without use, connections have none' },
    () => ({ afterIdle: (milliseconds) => (milliseconds > 540_000 ? 'forget-keys' : 'serve') }),
  ),
  fault(
    'subscriptions-end-in-100-seconds',
    {
      breaks: ['SESS-28'],
      fieldBug: 159,
      story: 'subscriptions are kept by who asked lately: who only listens is taken off',
    },
    (ok) => ({ notifies: (listener) => listener.idle <= 100_000 && ok.notifies(listener) }),
  ),
  fault(
    'subscriptions-end-in-four-minutes',
    { breaks: ['SESS-28'], story: 'the timer that cleans up after phones that left counts requests alone' },
    (ok) => ({ notifies: (listener) => listener.idle <= 240_000 && ok.notifies(listener) }),
  ),
  fault(
    'subscriptions-end-in-eight-minutes',
    { breaks: ['SESS-28'], fieldBug: 159, story: 'a subscription has to be renewed, which nobody knows' },
    (ok) => ({ notifies: (listener) => listener.idle <= 480_000 && ok.notifies(listener) }),
  ),
  fault(
    'silent-session-keeps-others-out',
    {
      breaks: ['SESS-29'],
      story: 'the server waits in a read without a deadline: one session that is silent for long holds it',
    },
    (ok) => ({
      takesConnection: (arrival) => ok.takesConnection(arrival) && arrival.longestSilence <= 90_000,
    }),
  ),
  fault(
    'deaf-behind-a-long-silence',
    {
      breaks: ['SESS-29'],
      fieldBug: 160,
      story: 'where nothing came for minutes the radio sleeps, and whoever comes first only wakes it',
    },
    (ok) => ({ takesConnection: (arrival) => ok.takesConnection(arrival) && arrival.quiet <= 100_000 }),
  ),
  fault(
    'idle-plain-connection-unanswered',
    {
      breaks: ['SESS-29'],
      fieldBug: 158,
      story: 'a connection that asked nothing for a minute loses its handler, and stays open',
    },
    (ok) => ({
      admits: (request) => (!request.secured && request.idle >= 100_000 ? 'silence' : ok.admits(request)),
    }),
  ),
];
