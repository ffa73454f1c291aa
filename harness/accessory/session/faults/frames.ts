import { type Bytes, Length, counterNonce, text } from '../../../protocol/index.js';
import { open, openIgnoringTag, sealFrame } from '../../crypto.js';
import { Halt } from '../../facts.js';
import { type Fault, fault } from '../../faults/fault.js';
import { pieces } from '../frames.js';
import { opened, outwards } from './shared.js';

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

/** Receive buffer of an early library: one frame and little more. */
const SMALL_BUFFER = 1042;

/** Mistakes an accessory without a second session shows. */
export const basics: readonly Fault[] = [
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
];

/** Keys and counters. */
export const counters: readonly Fault[] = [
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
];

/** Frames and segments. */
export const frames: readonly Fault[] = [
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
];
