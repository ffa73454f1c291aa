import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net';
import { Accessory, memoryStore, startServer } from '../../harness/accessory/index.js';
import { type Bytes, parseSetupCode, seededRandom } from '../../harness/protocol/index.js';
import type { TcpListener } from '../../harness/wire/index.js';
import { CODE } from './tools.js';

/**
 * A reference accessory that can crash: its port is closed then, and every connection reset. What it gets and says
 * passes through this class, so that it can be killed by a message before the accessory sees it.
 */
export class Mortal {
  deaths = 0;
  /** Messages it has got, over all its lives. */
  heard = 0;
  /** Decides for each message whether it is the last. */
  fatal: (message: Bytes, heard: number) => boolean = () => false;
  /** How it goes down: the port closed and connections reset, or everything taken and nothing answered any more. */
  manner: 'crash' | 'hang' = 'crash';
  /** Milliseconds after which it boots by itself; never unless set. */
  revivesAfter: number | undefined;
  port = 0;
  accessory: Accessory;

  private readonly store = memoryStore();
  private readonly random: ReturnType<typeof seededRandom>;
  private readonly sockets = new Set<Socket>();
  private inside: TcpListener | undefined;
  private door: Server | undefined;
  private timer: NodeJS.Timeout | undefined;
  private over = false;
  private hangs = false;

  private constructor(seed: string) {
    this.random = seededRandom(seed);
    this.accessory = this.newLife();
  }

  static async start(seed: string): Promise<Mortal> {
    const mortal = new Mortal(seed);
    await mortal.boot();
    return mortal;
  }

  get target(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Power on, with the pairings it had. */
  async boot(): Promise<void> {
    if (this.door !== undefined || this.over) return;
    const door = (this.door = createServer({ allowHalfOpen: true }, (socket) => this.pass(socket)));
    await this.inside?.close();
    this.accessory = this.newLife();
    this.inside = await startServer({ accessory: this.accessory, host: '127.0.0.1', port: 0 });
    await new Promise<void>((resolve, reject) => {
      door.once('error', reject);
      door.listen(this.port, '127.0.0.1', resolve);
    });
    this.port = (door.address() as AddressInfo).port;
  }

  /** As it came out of the box, and running. */
  async reset(): Promise<void> {
    await this.boot();
    this.accessory.factoryReset();
  }

  die(): void {
    if (this.manner === 'hang') {
      this.deaths++;
      this.hangs = true;
      return;
    }
    // The door first: whoever sees the reset and comes back at once must find nobody.
    this.door?.close();
    this.door = undefined;
    this.deaths++;
    for (const socket of this.sockets) socket.resetAndDestroy();
    if (this.revivesAfter !== undefined) this.timer = setTimeout(() => void this.boot(), this.revivesAfter);
  }

  async close(): Promise<void> {
    this.over = true;
    clearTimeout(this.timer);
    this.door?.close();
    for (const socket of this.sockets) socket.destroy();
    await this.inside?.close();
  }

  private newLife(): Accessory {
    return new Accessory({ code: parseSetupCode(CODE), random: this.random, store: this.store });
  }

  private pass(socket: Socket): void {
    const inner = connect({ port: this.inside!.port, host: '127.0.0.1', allowHalfOpen: true });
    this.sockets.add(socket);
    socket.on('data', (message: Buffer) => {
      this.heard++;
      if (this.hangs) return;
      if (this.door !== undefined && this.fatal(message, this.heard)) this.die();
      else inner.write(message);
    });
    for (const [from, to] of [
      [socket, inner],
      [inner, socket],
    ] as const) {
      from.on('end', () => to.end());
      from.on('error', () => to.destroy());
      from.on('close', () => to.destroy());
    }
    inner.on('data', (answer) => socket.write(answer));
    socket.once('close', () => this.sockets.delete(socket));
  }
}
