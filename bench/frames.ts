import { createCipheriv, createDecipheriv } from 'node:crypto';
import { FrameDecoder, FrameEncoder, Length, frameOpener, seededRandom } from '../harness/protocol/index.js';
import type { Contender } from './measure.js';

const ALGORITHM = 'chacha20-poly1305';
const FRAMES = 64;

/** 64 frames of 1024 bytes, sealed and opened: a whole direction of a session each way. */
export function frames(): Contender[] {
  const random = seededRandom('bench frames');
  const key = random.bytes(32);
  const plaintext = random.bytes(Length.frame);
  return [
    {
      name: 'hapspec',
      run() {
        const encoder = new FrameEncoder(key);
        const decoder = new FrameDecoder(frameOpener(key));
        for (let i = 0; i < FRAMES; i++)
          for (const frame of encoder.encode(plaintext))
            if (decoder.feed(frame)[0]?.plaintext?.length !== Length.frame)
              throw new Error('hapspec: not opened');
      },
    },
    {
      name: 'node:crypto',
      run() {
        const nonce = Buffer.alloc(12);
        const header = Buffer.alloc(2);
        header.writeUInt16LE(plaintext.length);
        for (let i = 0; i < FRAMES; i++) {
          nonce.writeBigUInt64LE(BigInt(i), 4);
          const cipher = createCipheriv(ALGORITHM, key, nonce, { authTagLength: 16 });
          cipher.setAAD(header, { plaintextLength: plaintext.length });
          const frame = Buffer.concat([
            header,
            cipher.update(plaintext),
            cipher.final(),
            cipher.getAuthTag(),
          ]);
          const decipher = createDecipheriv(ALGORITHM, key, nonce, { authTagLength: 16 });
          decipher.setAAD(frame.subarray(0, 2), { plaintextLength: plaintext.length });
          decipher.setAuthTag(frame.subarray(-16));
          const opened = Buffer.concat([decipher.update(frame.subarray(2, -16)), decipher.final()]);
          if (opened.length !== Length.frame) throw new Error('node:crypto: not opened');
        }
      },
    },
  ];
}

/** Frames in one call of a contender. */
export const framesPerCall = FRAMES;
