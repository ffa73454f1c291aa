import { type Bytes, counterNonce, open, openIgnoringTag, text } from '../../protocol/index.js';
import type { SealedFrame } from '../behaviour.js';
import { type Fault, fault } from './fault.js';

/** The frame opened in another way than the rule's, going on with the next counter. */
function opened(
  { counter }: SealedFrame,
  plaintext: Bytes | undefined,
): { plaintext: Bytes; next: bigint } | undefined {
  return plaintext && { plaintext, next: counter + 1n };
}

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
    frameCounter: (counter) => counter & 0xffn,
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
