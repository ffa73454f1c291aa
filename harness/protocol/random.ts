import { chacha20 } from '@noble/ciphers/chacha.js';
import { sha512 } from '@noble/hashes/sha2.js';
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

const NONCE = new Uint8Array(12);
const BLOCK = 1024;

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
        // ChaCha20 keystream; the counter is in 64-byte blocks, so each refill starts where the last ended.
        this.pool = chacha20(this.key, NONCE, new Uint8Array(BLOCK), undefined, this.block * (BLOCK / 64));
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
