import { createCipheriv, createHash } from 'node:crypto';
import { type Bytes, concat, utf8 } from './bytes.js';

/** A source of bytes. The seeded one below is the only one the harness uses, so that `--seed` decides everything. */
export interface Random {
  /** `length` fresh bytes. */
  bytes(length: number): Bytes;
  /** An integer in [0, bound). */
  below(bound: number): number;
  /** An independent source: the same label always gives the same stream, whatever was drawn before. */
  fork(label: string): Random;
}

const BLOCK = 1024;
const ZEROS = new Uint8Array(BLOCK);

function sha512(data: Bytes): Bytes {
  return new Uint8Array(createHash('sha512').update(data).digest());
}

/** ChaCha20 keystream from block `counter` on, under a nonce of zeros. OpenSSL takes both as one IV of 16 bytes. */
function keystream(key: Bytes, counter: number): Bytes {
  const iv = new Uint8Array(16);
  new DataView(iv.buffer).setUint32(0, counter, true);
  return createCipheriv('chacha20', key, iv).update(ZEROS);
}

class SeededRandom implements Random {
  private pool: Bytes = new Uint8Array(0);
  private used = 0;
  private block = 0;

  constructor(private readonly key: Bytes) {}

  bytes(length: number): Bytes {
    const out = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      if (this.used === this.pool.length) {
        // The counter is in 64-byte blocks, so each refill starts where the last ended.
        this.pool = keystream(this.key, this.block * (BLOCK / 64));
        this.block++;
        this.used = 0;
      }
      const take = Math.min(length - filled, this.pool.length - this.used);
      out.set(this.pool.subarray(this.used, this.used + take), filled);
      this.used += take;
      filled += take;
    }
    return out;
  }

  below(bound: number): number {
    // Rejection keeps every value equally likely; 2^32 is far above any bound used here.
    const limit = Math.floor(0x1_0000_0000 / bound) * bound;
    for (;;) {
      const bytes = this.bytes(4);
      const value = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);
      if (value < limit) return value % bound;
    }
  }

  fork(label: string): Random {
    return new SeededRandom(sha512(concat(this.key, utf8(label))).subarray(0, 32));
  }
}

/** The source everything random derives from (`--seed N`). */
export function seededRandom(seed: number | string): Random {
  return new SeededRandom(sha512(utf8(`hapspec seed ${seed}`)).subarray(0, 32));
}
