import { type Bytes, Length, counterNonce, text } from '../../../protocol/index.js';
import { open, openIgnoringTag, sealFrame } from '../../crypto.js';
import { type FramePlace, Halt, type Leaving, type SealedFrame, pieces } from '../../behaviour.js';
import { type Fault, fault } from '../../faults/fault.js';

/** The frame opened in another way than the rule's, going on with the next counter. */
function opened(
  { counter }: SealedFrame,
  plaintext: Bytes | undefined,
): { plaintext: Bytes; next: bigint } | undefined {
  return plaintext && { plaintext, next: counter + 1n };
}

/** Bytes of the whole frames at the beginning of a segment, or `most` of them. */
function wholeFrames(bytes: Bytes, most = Infinity): number {
  let at = 0;
  for (let count = 0; count < most && at + 2 <= bytes.length; count++) {
    const next = at + 2 + (bytes[at]! | (bytes[at + 1]! << 8)) + Length.tag;
    if (next > bytes.length) break;
    at = next;
  }
  return at;
}

/** The counter of frames sent; those received are counted by the rule. */
function outwards(counter: (place: FramePlace) => bigint): (place: FramePlace) => bigint {
  return (place) => (place.direction === 'out' ? counter(place) : place.count);
}

/** Some responses bypass the encryption. */
function inPlaintext(
  which: (message: Leaving) => boolean,
): () => { sealsMessage(message: Leaving): boolean } {
  return () => ({ sealsMessage: (message) => !which(message) });
}

/** Receive buffer of an early library: one frame and little more. */
const SMALL_BUFFER = 1042;

export const sessionFaults: readonly Fault[] = [
  fault(
    'accepts-swapped-keys',
    {
      breaks: ['SESS-01', 'SEC-06'],
      story: 'a frame that does not open is tried again with the key of the other direction',
    },
    (ok) => ({
      openFrame: (frame) =>
        ok.openFrame(frame) ??
        opened(frame, open(frame.keys.toController, counterNonce(frame.counter), frame.sealed, frame.header)),
    }),
  ),
  fault('counter-8-bit', { breaks: ['SESS-02'], story: 'the frame counters are kept in one byte' }, () => ({
    frameCounter: ({ count }) => count & 0xffn,
  })),
  fault(
    'accepts-empty-aad',
    { breaks: ['SESS-04'], story: 'frames made by an early client without AAD are still let in' },
    (ok) => ({
      openFrame: (frame) =>
        ok.openFrame(frame) ??
        opened(frame, open(frame.keys.toAccessory, counterNonce(frame.counter), frame.sealed)),
    }),
  ),
  fault(
    'frame-tag-unchecked',
    {
      breaks: ['SESS-04', 'SESS-11'],
      fieldBug: 78,
      story: 'frames are decrypted with the bare cipher, the tag is skipped',
    },
    () => ({
      openFrame: (frame) =>
        opened(frame, openIgnoringTag(frame.keys.toAccessory, counterNonce(frame.counter), frame.sealed)),
    }),
  ),
  fault(
    'bad-frame-answered-in-plaintext',
    { breaks: ['SESS-11'], story: 'the error path of the HTTP layer writes past the encryption' },
    () => ({ onBadFrame: () => 'answer-in-plaintext' }),
  ),
  fault(
    'bad-frame-ignored',
    { breaks: ['SESS-11'], story: 'a frame that does not open is dropped and the next one read' },
    () => ({
      onBadFrame: () => 'ignore',
    }),
  ),
  fault(
    'bad-frame-ends-every-session',
    { breaks: ['SESS-11'], fieldBug: 88, story: 'one broken session tears down all of them' },
    () => ({ onBadFrame: () => 'close-every-session' }),
  ),
  fault(
    'accepts-replayed-frame',
    { breaks: ['SESS-12'], story: 'the previous counter is tried too, against lost increments' },
    (ok) => ({
      openFrame(frame) {
        const { counter } = frame;
        const now = ok.openFrame(frame);
        if (now !== undefined || counter === 0n) return now;
        const again = ok.openFrame({ ...frame, counter: counter - 1n });
        return again && { ...again, next: counter };
      },
    }),
  ),
  fault(
    'plaintext-served-after-verify',
    { breaks: ['SESS-18'], story: 'bytes that look like HTTP skip the decryption' },
    () => ({ takesAsPlaintext: (bytes) => /^(GET|POST|PUT) \//.test(text(bytes.subarray(0, 8))) }),
  ),

  // Keys and counters
  fault(
    'one-key-both-ways',
    { breaks: ['SESS-01', 'SESS-04'], story: 'replies are sealed with the key of the requests' },
    () => ({
      sealFrame: ({ keys, counter, plaintext }) => sealFrame(keys.toAccessory, counter, plaintext),
    }),
  ),
  fault('counter-16-bit', { breaks: ['SESS-03'], story: 'the frame counters are kept in two bytes' }, () => ({
    frameCounter: ({ count }) => count & 0xffffn,
  })),
  fault(
    'send-counter-16-bit',
    { breaks: ['SESS-03'], story: 'the counter of replies is copied into two bytes of the nonce' },
    () => ({ frameCounter: outwards(({ count }) => count & 0xffffn) }),
  ),
  fault(
    'counter-big-endian',
    { breaks: ['SESS-02'], story: 'the counter goes into the nonce most significant byte first' },
    () => ({
      frameCounter: ({ count }) => {
        const bytes = new DataView(new ArrayBuffer(8));
        bytes.setBigUint64(0, count);
        return bytes.getBigUint64(0, true);
      },
    }),
  ),
  fault(
    'one-counter-both-ways',
    { breaks: ['SESS-02'], story: 'frames sent and received are counted together' },
    () => ({ frameCounter: ({ count, other }) => count + other }),
  ),
  fault(
    'counter-restarts-with-each-reply',
    { breaks: ['SESS-02'], story: 'the counter of frames is set to 0 where a reply begins' },
    () => ({ frameCounter: outwards(({ inMessage }) => BigInt(inMessage)) }),
  ),
  fault(
    'counter-once-per-reply',
    { breaks: ['SESS-02'], story: 'the counter goes up with each reply, not with each frame of it' },
    () => ({ frameCounter: outwards(({ count, inMessage }) => count - BigInt(inMessage)) }),
  ),
  fault(
    'counter-of-all-sessions',
    {
      breaks: ['SESS-22'],
      fieldBug: 54,
      story: 'the frame counter is a static variable, shared by every session',
    },
    () => ({ frameCounter: outwards(({ everywhere }) => everywhere) }),
  ),
  fault(
    'seals-without-aad',
    { breaks: ['SESS-04'], story: 'the length bytes are written in front and never authenticated' },
    () => ({
      sealFrame: ({ keys, counter, plaintext }) =>
        sealFrame(keys.toController, counter, plaintext, { aad: new Uint8Array(0) }),
    }),
  ),
  fault(
    'accepts-skipped-counters',
    { breaks: ['SESS-13'], story: 'up to eight lost frames are skipped until the tag fits' },
    (ok) => ({
      openFrame(frame) {
        for (let skipped = 0n; skipped < 8n; skipped++) {
          const opened = ok.openFrame({ ...frame, counter: frame.counter + skipped });
          if (opened !== undefined) return opened;
        }
        return undefined;
      },
    }),
  ),
  fault(
    'accepts-the-last-counter',
    { breaks: ['SESS-12', 'SESS-13'], story: 'a frame may repeat the counter before, as after a lost reply' },
    (ok) => ({
      openFrame(frame) {
        const now = ok.openFrame(frame);
        if (now !== undefined || frame.counter === 0n) return now;
        const again = ok.openFrame({ ...frame, counter: frame.counter - 1n });
        return again && { ...again, next: frame.counter };
      },
    }),
  ),
  fault(
    'accepts-another-high-word',
    {
      breaks: ['SESS-13'],
      story:
        'the counter is two 32-bit halves; where the tag does not fit, the low one is taken to have wrapped',
    },
    (ok) => ({
      openFrame: (frame) =>
        ok.openFrame(frame) ?? ok.openFrame({ ...frame, counter: frame.counter + (1n << 32n) }),
    }),
  ),
  fault(
    'bad-frame-carried-out',
    {
      breaks: ['SESS-11', 'SESS-13'],
      story: 'frames are deciphered and acted on as they come, the tag is checked last',
    },
    () => ({ onBadFrame: () => 'serve-and-close' }),
  ),
  fault(
    'bad-frame-ends-its-siblings',
    { breaks: ['SESS-22'], fieldBug: 88, story: 'an error ends every session of the same controller' },
    () => ({ onBadFrame: () => 'close-sessions-of-the-controller' }),
  ),

  // Frames and segments
  fault(
    'reply-in-one-frame',
    { breaks: ['SESS-05'], fieldBug: 71, story: 'a long reply is sealed as one frame' },
    () => ({ cutFrames: (message) => pieces(message, 0xffff) }),
  ),
  fault(
    'long-reply-cut-short',
    {
      breaks: ['SESS-05'],
      fieldBug: 73,
      story: 'write() returned the length of the ciphertext, and so much plaintext was taken as sent',
    },
    (ok) => ({
      cutFrames: (message) =>
        ok.cutFrames(message).map((piece, index) => (index === 0 ? piece : piece.subarray(2 + Length.tag))),
    }),
  ),
  fault(
    'request-must-fit-one-frame',
    { breaks: ['SESS-06', 'SESS-16'], fieldBug: 65, story: 'each frame is parsed as a request of its own' },
    () => ({ readPlaintext: ({ plaintext }) => ({ bytes: plaintext, forget: true }) }),
  ),
  fault(
    'request-buffer-of-1042',
    { breaks: ['SESS-06'], fieldBug: 69, story: 'what does not fit into the receive buffer is not read' },
    () => ({
      readPlaintext: ({ pending, plaintext }) => ({
        bytes: plaintext.subarray(0, Math.max(0, SMALL_BUFFER - pending.length)),
      }),
    }),
  ),
  fault(
    'body-in-a-second-frame-malformed',
    {
      breaks: ['SESS-06'],
      fieldBug: 70,
      story: 'a request whose body is not in the frame of its headers is malformed',
    },
    () => ({
      readPlaintext: ({ inBody, plaintext }) => ({ bytes: plaintext, forget: inBody }),
    }),
  ),
  fault(
    'full-frame-waits-for-more',
    { breaks: ['SESS-07'], fieldBug: 68, story: 'a frame of 1024 bytes is taken to be continued' },
    () => ({
      readPlaintext: ({ plaintext }) => ({ bytes: plaintext, wait: plaintext.length === Length.frame }),
    }),
  ),
  fault(
    'frame-of-one-byte-refused',
    { breaks: ['SESS-08'], story: 'the least length of a frame is off by one' },
    (ok) => ({ takesFrame: (length) => length !== 1 && ok.takesFrame(length) }),
  ),
  fault(
    'empty-frame-loops',
    { breaks: ['SESS-09'], story: 'the loop over the frames of a read never moves past an empty one' },
    (ok) => ({
      takesFrame(length) {
        if (length === 0) throw new Halt();
        return ok.takesFrame(length);
      },
    }),
  ),
  fault(
    'long-frame-overruns-the-buffer',
    { breaks: ['SESS-10'], story: 'a frame is received into a static buffer, whatever its length says' },
    (ok) => ({
      takesFrame(length) {
        if (length > Length.frame) throw new Halt();
        return ok.takesFrame(length);
      },
    }),
  ),
  fault(
    'waits-for-an-unfinished-frame',
    {
      breaks: ['SESS-10', 'SESS-14'],
      story: 'a frame that has begun is read to its end before anybody else is served',
    },
    () => ({
      // The length is looked at when the frame is there.
      takesFrame: () => true,
      waitsForFrames: (unfinished) => unfinished > 0,
    }),
  ),
  fault(
    'one-frame-per-segment',
    {
      breaks: ['SESS-16', 'SESS-17'],
      fieldBug: 66,
      story: 'a read is taken to hold one frame, and what comes behind it is dropped',
    },
    () => ({
      readSegment: ({ pending, bytes }) => ({
        bytes: pending.length > 0 ? bytes : bytes.subarray(0, wholeFrames(bytes, 1) || bytes.length),
      }),
    }),
  ),
  fault(
    'tail-of-a-segment-dropped',
    {
      breaks: ['SESS-16'],
      fieldBug: 65,
      story: 'a frame that begins behind another one in the same read is lost',
    },
    () => ({
      readSegment: ({ pending, bytes }) => ({
        bytes: pending.length > 0 ? bytes : bytes.subarray(0, wholeFrames(bytes) || bytes.length),
      }),
    }),
  ),
  fault(
    'frame-must-fit-one-segment',
    {
      breaks: ['SESS-15'],
      fieldBug: 62,
      story: 'each read is taken to begin with the length bytes of a frame',
    },
    () => ({ readSegment: ({ bytes }) => ({ bytes, forget: true }) }),
  ),
  fault(
    'lone-length-byte-stops-it',
    {
      breaks: ['SESS-15'],
      fieldBug: 63,
      story: 'the length is read from two bytes when one has come: an exception nobody catches',
    },
    (ok) => ({
      readSegment(segment) {
        if (segment.pending.length + segment.bytes.length === 1) throw new Halt();
        return ok.readSegment(segment);
      },
    }),
  ),
  fault(
    'lone-length-byte-lost',
    { breaks: ['SESS-15'], fieldBug: 64, story: 'a read of one byte is thrown away: too short for a frame' },
    () => ({
      readSegment: ({ bytes }) => ({ bytes: bytes.length === 1 ? new Uint8Array(0) : bytes }),
    }),
  ),
  fault(
    'slow-frame-loses-its-rest',
    {
      breaks: ['SESS-14'],
      story: 'a timer gives up a frame after a second, and what still comes of it is thrown away',
    },
    () => ({
      readSegment: ({ pending, bytes, idle }) =>
        pending.length > 0 && idle > 1_000 ? { bytes: new Uint8Array(0), forget: true } : { bytes },
    }),
  ),
  fault(
    'second-request-in-a-frame-lost',
    { breaks: ['SESS-17'], story: 'a frame is taken to hold one request, and the rest of it is dropped' },
    () => ({ pipelined: 'dropped' }),
  ),
  fault(
    'second-request-stops-it',
    {
      breaks: ['SESS-17'],
      fieldBug: 122,
      story: 'two requests in one read meet a parser that is still in use',
    },
    () => ({ pipelined: 'stops-it' }),
  ),

  // The switch between plaintext and frames
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

  // Events
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

  // Several sessions
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
];
