import { lookup } from 'node:dns';
import {
  type AddressInfo,
  type LookupFunction,
  type Server,
  type Socket,
  connect,
  createServer,
} from 'node:net';
import type { Bytes } from '../protocol/index.js';
import { type Clock, realClock } from './clock.js';
import { BufferedConnection, type Connection, type Dialer, Unreachable } from './connection.js';
import { localAddresses } from './mdns.js';

class TcpConnection extends BufferedConnection {
  constructor(
    private readonly socket: Socket,
    clock: Clock,
  ) {
    super(clock);
    // Without it the kernel merges what is written close together and segment control is an illusion.
    socket.setNoDelay(true);
    socket.on('data', (data) => this.received(new Uint8Array(data.buffer, data.byteOffset, data.byteLength)));
    socket.on('end', () => this.end('close'));
    socket.on('error', () => this.end('reset'));
    socket.on('close', (hadError) => this.end(hadError ? 'reset' : 'close'));
  }

  write(bytes: Bytes): void {
    if (this.socket.writable) this.socket.write(bytes);
  }

  finish(): void {
    this.socket.end();
  }

  close(): void {
    this.socket.end();
    // FIN is on its way; a peer that never answers it must not keep our descriptor.
    if (!this.socket.destroyed) setTimeout(() => this.socket.destroy(), 250).unref();
  }

  reset(): void {
    this.socket.resetAndDestroy();
  }

  protected throttle(on: boolean): void {
    if (on) this.socket.pause();
    else if (this.socket.isPaused()) this.socket.resume();
  }
}

const reasons: Readonly<Record<string, [Unreachable['code'], string]>> = {
  ECONNREFUSED: ['refused', 'the connection was refused: nothing listens on that port'],
  ENOTFOUND: ['unknown-host', 'the host name is unknown'],
  EAI_AGAIN: ['unknown-host', 'the host name could not be looked up'],
  EHOSTUNREACH: ['no-route', 'there is no route to that host'],
  ENETUNREACH: ['no-route', 'there is no route to that network'],
  ETIMEDOUT: ['timeout', 'the host did not answer'],
};

/** Names under `.local` are asked for by our own mDNS first; the system's resolver has the rest, and what nobody told. */
const lookupLocal: LookupFunction = (hostname, options, callback) => {
  void localAddresses(hostname).then((addresses) => {
    const wanted = addresses
      .map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
      .filter(
        ({ family }) => options.family === 0 || options.family === undefined || options.family === family,
      );
    const [first] = wanted;
    if (first === undefined) return lookup(hostname, options, callback);
    if (options.all === true) callback(null, wanted);
    else callback(null, first.address, first.family);
  });
};

/** Connections to an accessory on the network. */
export class TcpDialer implements Dialer {
  readonly clock = realClock;

  constructor(
    readonly host: string,
    readonly port: number,
  ) {}

  connect(deadline: number): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect({
        host: this.host,
        port: this.port,
        allowHalfOpen: true,
        ...(/\.local\.?$/i.test(this.host) && { lookup: lookupLocal }),
      });
      const cancel = this.clock.at(deadline, () => {
        socket.destroy();
        reject(new Unreachable('timeout', 'the host did not answer in time'));
      });
      socket.once('error', (error: NodeJS.ErrnoException) => {
        cancel();
        const [code, message] = reasons[error.code ?? ''] ?? ['failed', error.message];
        reject(new Unreachable(code, message));
      });
      socket.once('connect', () => {
        cancel();
        socket.removeAllListeners('error');
        resolve(new TcpConnection(socket, this.clock));
      });
    });
  }
}

/** A listening socket; each connection goes to `accept`. */
export interface TcpListener {
  readonly host: string;
  readonly port: number;
  /** Stops listening and resets what is still open. */
  close(): Promise<void>;
}

/** @throws the system's error (`EADDRINUSE`, `EACCES`, …) when the address cannot be had. */
export function listenTcp(
  host: string,
  port: number,
  accept: (connection: Connection) => void,
): Promise<TcpListener> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    accept(new TcpConnection(socket, realClock));
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.removeListener('error', reject);
      resolve({
        host,
        port: (server.address() as AddressInfo).port,
        close: () =>
          new Promise((done) => {
            server.close(() => done());
            for (const socket of sockets) socket.destroy();
          }),
      });
    });
  });
}
