import type { Bytes, TlvItem } from '../protocol/index.js';
import { limits } from './limits.js';

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
      /** We sent it. */
      readonly ours?: boolean;
      readonly bytes: Bytes;
      readonly line: string;
      readonly items?: readonly TlvItem[];
    }
  /** A remark of the harness: a retry, a departure from the rule, a decision. */
  | {
      readonly kind: 'note';
      readonly line: string;
      /** The keys a connection has gone over to: 32 bytes each way. No report shows them unless it is asked to. */
      readonly keys?: { readonly toAccessory: Bytes; readonly toController: Bytes };
    }
);

/** `Omit` over each member of a union. */
type Without<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

/**
 * The record of a run, bounded by constants however long it goes on and whatever is sent: when full, the oldest contents
 * (bytes and items) go first; the lines stay until there are too many of them.
 */
export class Trace {
  readonly events: TraceEvent[] = [];
  /** Events that are gone for good: marks count them. */
  private gone = 0;
  /** Bytes of contents held. */
  private held = 0;
  /** The first event whose contents may still be there. */
  private firstHeld = 0;

  constructor(
    private readonly now: () => number,
    private readonly maximum: number = limits.record,
    private readonly most: number = limits.recordEvents,
  ) {}

  record(connection: number, event: Without<TraceEvent, 'time' | 'connection'>): void {
    const bounded =
      'line' in event && event.line.length > limits.line
        ? { ...event, line: `${event.line.slice(0, limits.line)}…` }
        : event;
    this.events.push({ time: this.now(), connection, ...bounded });
    this.held += contentOf(event);
    while (this.held > this.maximum) this.release();
    // Half of them at once: taking the first of so many away one by one would move all the others each time.
    if (this.events.length > this.most) this.forget(this.most >> 1);
  }

  /** Where the record stands now; `since` gives what came after. */
  mark(): number {
    return this.gone + this.events.length;
  }

  since(mark: number): readonly TraceEvent[] {
    return this.events.slice(Math.max(0, mark - this.gone));
  }

  /** Forgets what came after `mark`: a hunt of thousands of runs keeps only those that failed. */
  rewind(mark: number): void {
    const from = Math.max(0, mark - this.gone);
    for (const event of this.events.splice(from)) this.held -= contentOf(event);
    this.firstHeld = Math.min(this.firstHeld, from);
  }

  private release(): void {
    const event = this.events[this.firstHeld];
    if (event !== undefined) {
      this.held -= contentOf(event);
      if (contentOf(event) > 0) this.events[this.firstHeld] = withoutContent(event);
    }
    this.firstHeld++;
  }

  private forget(count: number): void {
    for (const event of this.events.splice(0, count)) this.held -= contentOf(event);
    this.gone += count;
    this.firstHeld = Math.max(0, this.firstHeld - count);
  }
}

/** Bytes an event keeps in memory besides its line. */
function contentOf(event: Without<TraceEvent, 'time' | 'connection'>): number {
  let size = 'bytes' in event ? event.bytes.length : 0;
  // An item of two bytes takes the memory of a hundred.
  if ('items' in event) for (const { value } of event.items ?? []) size += 100 + value.length;
  return size;
}

function withoutContent(event: TraceEvent): TraceEvent {
  if (event.kind === 'said' || event.kind === 'heard') {
    const { time, connection, kind, line, sealed } = event;
    return { time, connection, kind, line, sealed };
  }
  return 'bytes' in event ? { ...event, bytes: new Uint8Array(0) } : event;
}
