import type { Bytes } from '../../../protocol/index.js';
import type { FramePlace, Leaving, SealedFrame } from '../frames.js';

/** The frame opened in another way than the rule's, going on with the next counter. */
export function opened(
  { counter }: SealedFrame,
  plaintext: Bytes | undefined,
): { plaintext: Bytes; next: bigint } | undefined {
  return plaintext && { plaintext, next: counter + 1n };
}

/** The counter of frames sent; those received are counted by the rule. */
export function outwards(counter: (place: FramePlace) => bigint): (place: FramePlace) => bigint {
  return (place) => (place.direction === 'out' ? counter(place) : place.count);
}

/** Some responses bypass the encryption. */
export function inPlaintext(
  which: (message: Leaving) => boolean,
): () => { sealsMessage(message: Leaving): boolean } {
  return () => ({ sealsMessage: (message) => !which(message) });
}
