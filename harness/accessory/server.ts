import {
  type Clock,
  type Connection,
  type MemoryNetwork,
  MemoryNetworkHost,
  type TcpListener,
  listenTcp,
} from '../wire/index.js';
import type { Accessory } from './core.js';
import type { Reaction } from './session/connections.js';

/** One connection's reactions in order, each at its time. */
class Outlet {
  private readonly queue: { readonly due: number; readonly reaction: Reaction }[] = [];
  /** Set once the accessory has ended the connection. */
  ended = false;

  constructor(private readonly connection: Connection) {}

  push(reaction: Reaction): void {
    const { clock } = this.connection;
    this.queue.push({ due: clock.now() + (reaction.delay ?? 0), reaction });
    if (this.queue.length === 1) this.pump();
  }

  private pump = (): void => {
    const { clock } = this.connection;
    for (let next = this.queue[0]; next !== undefined; next = this.queue[0]) {
      if (next.due > clock.now()) return void clock.at(next.due, this.pump);
      this.apply(next.reaction);
      this.queue.shift();
    }
  };

  private apply(reaction: Reaction): void {
    if (reaction.kind === 'send') return this.connection.write(reaction.bytes);
    this.ended = true;
    if (reaction.kind === 'close') this.connection.close();
    else this.connection.reset();
  }
}

/** The open connections of each accessory, by the core's numbers: a reaction may concern another one than spoke. */
const outlets = new WeakMap<Accessory, Map<number, Outlet>>();

function outletsOf(accessory: Accessory): Map<number, Outlet> {
  let open = outlets.get(accessory);
  if (open === undefined) outlets.set(accessory, (open = new Map<number, Outlet>()));
  return open;
}

/** Carries out reactions; for those a call outside the loop gave, such as `factoryReset`. */
export function deliver(accessory: Accessory, reactions: readonly Reaction[]): void {
  const open = outletsOf(accessory);
  for (const reaction of reactions) open.get(reaction.connection)?.push(reaction);
}

/** Joins the accessory to one connection until that ends. */
export async function serve(accessory: Accessory, connection: Connection): Promise<void> {
  const { clock } = connection;
  const number = accessory.open(clock.now());
  const outlet = new Outlet(connection);
  outletsOf(accessory).set(number, outlet);
  const { greeting } = accessory;
  if (greeting !== undefined) outlet.push({ connection: number, kind: 'send', bytes: greeting });
  while (!outlet.ended) {
    const event = await connection.next(Infinity);
    if (event.kind === 'data') {
      deliver(accessory, accessory.receive(number, event.bytes, clock.now()));
      continue;
    }
    const how = event.kind === 'reset' ? 'reset' : 'close';
    deliver(accessory, accessory.closed(number, clock.now(), how));
    // Behind what is still on its way: a peer that half-closed may wait for its answer.
    outlet.push({ connection: number, kind: 'close' });
    break;
  }
  outletsOf(accessory).delete(number);
}

/** Serves the accessory on a TCP port (0 lets the system choose). @throws the system's error when it cannot be had. */
export function startServer(options: {
  readonly accessory: Accessory;
  readonly host: string;
  readonly port: number;
}): Promise<TcpListener> {
  return listenTcp(options.host, options.port, (connection) => void serve(options.accessory, connection));
}

/** Serves the accessory on a network of this process. */
export function embed(accessory: Accessory, clock: Clock, network: MemoryNetwork = {}): MemoryNetworkHost {
  return new MemoryNetworkHost(clock, (connection) => void serve(accessory, connection), network);
}
