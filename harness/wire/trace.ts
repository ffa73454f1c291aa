import type { Bytes, TlvItem } from '../protocol/index.js';

/** One thing that happened on the wire, in order. Times are clock milliseconds. */
export type TraceEvent = {
  readonly time: number;
  /** Connections are numbered from 1 in the order they were opened. */
  readonly connection: number;
} & (
  | { readonly kind: 'open' | 'close' | 'reset' }
  /** We ended it. */
  | { readonly kind: 'we-close' | 'we-reset' | 'we-finish' }
  | { readonly kind: 'silence'; readonly waited: number }
  /** Raw bytes, as they went through the socket. */
  | { readonly kind: 'sent' | 'received'; readonly bytes: Bytes }
  /** A message understood: one line for people, and whether it travelled sealed. */
  | {
      readonly kind: 'said' | 'heard';
      readonly line: string;
      readonly sealed: boolean;
      /** The items of a pairing message. */
      readonly items?: readonly TlvItem[];
    }
  /** What frames held, or a sub-TLV after it was opened. */
  | {
      readonly kind: 'opened' | 'inside';
      readonly bytes: Bytes;
      readonly line: string;
      readonly items?: readonly TlvItem[];
    }
  /** A remark of the harness: a retry, a departure from the rule, a decision. */
  | { readonly kind: 'note'; readonly line: string }
);

/** `Omit` over each member of a union. */
type Without<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

/** The record of a run, bounded: when full, the oldest raw bytes go first. */
export class Trace {
  readonly events: TraceEvent[] = [];
  private bytes = 0;
  private firstHeld = 0;

  constructor(
    private readonly now: () => number,
    private readonly maximum = 32 * 1024 * 1024,
  ) {}

  record(connection: number, event: Without<TraceEvent, 'time' | 'connection'>): void {
    this.events.push({ time: this.now(), connection, ...event });
    if (event.kind === 'sent' || event.kind === 'received') this.bytes += event.bytes.length;
    while (this.bytes > this.maximum) this.release();
  }

  /** Where the record stands now; `since` gives what came after. */
  mark(): number {
    return this.events.length;
  }

  since(mark: number): readonly TraceEvent[] {
    return this.events.slice(mark);
  }

  /** Forgets what came after `mark`: a hunt of thousands of runs keeps only those that failed. */
  rewind(mark: number): void {
    for (const event of this.events.splice(mark))
      if (event.kind === 'sent' || event.kind === 'received') this.bytes -= event.bytes.length;
    this.firstHeld = Math.min(this.firstHeld, mark);
  }

  private release(): void {
    const event = this.events[this.firstHeld];
    if (event?.kind === 'sent' || event?.kind === 'received') {
      this.bytes -= event.bytes.length;
      this.events[this.firstHeld] = { ...event, bytes: new Uint8Array(0) };
    }
    this.firstHeld++;
  }
}
