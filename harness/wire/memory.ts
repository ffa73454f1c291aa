import type { Bytes } from '../protocol/index.js';
import type { Clock } from './clock.js';
import { BufferedConnection, type Connection, type Dialer, Unreachable } from './connection.js';

/** How the in-memory network behaves; times in milliseconds of the clock. */
export interface MemoryNetwork {
  /** One-way delay of a segment, asked once per segment; order is kept. Default 0. */
  readonly latency?: () => number;
}

class MemoryEnd extends BufferedConnection {
  private peer: MemoryEnd | undefined;
  private gone = false;
  /** Clock time the last segment arrives: later ones must not overtake it. */
  private arrival = 0;
  /** Segments on their way through the clock. */
  private inFlight = 0;

  constructor(
    clock: Clock,
    private readonly network: MemoryNetwork,
  ) {
    super(clock);
  }

  static pair(clock: Clock, network: MemoryNetwork): [MemoryEnd, MemoryEnd] {
    const ends: [MemoryEnd, MemoryEnd] = [new MemoryEnd(clock, network), new MemoryEnd(clock, network)];
    ends[0].peer = ends[1];
    ends[1].peer = ends[0];
    return ends;
  }

  private deliver(action: (peer: MemoryEnd) => void): void {
    const peer = this.peer;
    if (peer === undefined) return;
    const latency = this.network.latency?.() ?? 0;
    this.arrival = Math.max(this.arrival, this.clock.now() + latency);
    // A segment due at this very moment may still wait for the clock's call: a microtask would overtake it.
    if (this.arrival > this.clock.now() || this.inFlight > 0) {
      this.inFlight++;
      this.clock.at(this.arrival, () => {
        this.inFlight--;
        action(peer);
      });
    } else queueMicrotask(() => action(peer));
  }

  write(bytes: Bytes): void {
    if (this.gone || bytes.length === 0) return;
    const copy = bytes.slice();
    this.deliver((peer) => {
      // Bytes for an end that has closed are answered with RST, as TCP does.
      if (peer.gone) this.end('reset');
      else peer.received(copy);
    });
  }

  finish(): void {
    if (!this.gone) this.deliver((peer) => peer.end('close'));
  }

  close(): void {
    if (this.gone) return;
    this.finish();
    this.gone = true;
  }

  reset(): void {
    if (this.gone) return;
    this.gone = true;
    this.deliver((peer) => peer.end('reset'));
  }

  protected throttle(): void {
    // The peer lives in this process and answers what it is asked: there is no one to slow down.
  }
}

/** A network of one listener in this process. `accept` gets the accessory's end; it may be undefined while "down". */
export class MemoryNetworkHost implements Dialer {
  constructor(
    readonly clock: Clock,
    public accept: ((connection: Connection) => void) | undefined,
    private readonly network: MemoryNetwork = {},
  ) {}

  async connect(): Promise<Connection> {
    const accept = this.accept;
    if (accept === undefined) throw new Unreachable('refused', 'the embedded accessory is not running');
    const [near, far] = MemoryEnd.pair(this.clock, this.network);
    accept(far);
    return near;
  }
}
