import { type Bytes, hex } from '../protocol/index.js';

/** Keys that are made while a run goes on: `count` were, and the latest of them are in the list. */
export interface Making {
  readonly latest: readonly Bytes[];
  readonly count: number;
}

/** Most keys of single exchanges that are searched for: those of a run's last thousands. */
const MOST = 20_000;
/** Bytes by which a key is looked up: shorter ones are none. */
const HEAD = 4;

/** Byte secrets, found in bytes or in hexadecimal digits at any place: a run makes thousands, too many for expressions. */
export class SecretIndex {
  /** By the digits of their first four bytes. */
  private readonly byHead = new Map<string, Set<string>>();
  private readonly passing: string[] = [];
  private seen = 0;
  private made = 0;

  /**
   * @param growing - keys that stay secret for the whole run; each call also knows those added since the last
   * @param making - keys of single exchanges
   */
  constructor(
    fixed: readonly Bytes[],
    private readonly growing: readonly Bytes[] = [],
    private readonly making?: Making,
  ) {
    for (const key of fixed) this.add(hex(key));
  }

  /** Whether there is anything to search for. */
  get empty(): boolean {
    this.learn();
    return this.byHead.size === 0;
  }

  private learn(): void {
    for (; this.seen < this.growing.length; this.seen++) this.add(hex(this.growing[this.seen]!));
    if (this.making === undefined || this.made === this.making.count) return;
    const { latest, count } = this.making;
    for (const key of latest.slice(-Math.min(latest.length, count - this.made))) {
      this.passing.push(hex(key));
      this.add(hex(key));
    }
    this.made = count;
    if (this.passing.length > MOST) for (const old of this.passing.splice(0, MOST >> 1)) this.remove(old);
  }

  private add(digits: string): void {
    if (digits.length < 2 * HEAD) return;
    const head = digits.slice(0, 2 * HEAD);
    const known = this.byHead.get(head);
    if (known === undefined) this.byHead.set(head, new Set([digits]));
    else known.add(digits);
  }

  private remove(digits: string): void {
    const known = this.byHead.get(digits.slice(0, 2 * HEAD));
    known?.delete(digits);
    if (known?.size === 0) this.byHead.delete(digits.slice(0, 2 * HEAD));
  }

  /** How many of the lower-case digits from `at` on are a key; 0 when none is there. */
  lengthAt(digits: string, at: number): number {
    const known = this.byHead.get(digits.slice(at, at + 2 * HEAD));
    if (known === undefined) return 0;
    for (const key of known) if (digits.startsWith(key, at)) return key.length;
    return 0;
  }

  /** The bytes with each key overwritten by `X`, as it is or as hexadecimal digits. */
  withoutKeys(bytes: Bytes): Bytes {
    if (this.empty) return bytes;
    const digits = hex(bytes);
    let copy: Bytes | undefined;
    const erase = (from: number, length: number): void =>
      void (copy ??= bytes.slice()).fill(0x58, from, from + length);
    for (let at = 0; at < bytes.length; at++) {
      const length = this.lengthAt(digits, 2 * at) / 2;
      if (length > 0) erase(at, length);
    }
    const text = Buffer.from(bytes).toString('latin1').toLowerCase();
    for (const { index, 0: run } of text.matchAll(/[0-9a-f]{8,}/g))
      for (let at = 0; at < run.length; at++) {
        const length = this.lengthAt(run, at);
        if (length > 0) erase(index + at, length);
      }
    return copy ?? bytes;
  }
}
