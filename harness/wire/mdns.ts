import { type Socket, createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { BlockList } from 'node:net';
import { networkInterfaces } from 'node:os';
import makeMdns from 'multicast-dns';
import type { Bytes } from '../protocol/index.js';
import { type KnownAnswer, type MdnsQuestion, encodeQuery, wantsUnicast } from './questions.js';

/** A record of an answer: what DNS-SD is made of. */
export type MdnsRecord = {
  readonly name: string;
  /** Seconds; 0 says goodbye. */
  readonly ttl: number;
  /** It replaces what was known under its name. */
  readonly flush: boolean;
} & (
  | { readonly type: 'PTR' | 'A' | 'AAAA'; readonly data: string }
  | { readonly type: 'SRV'; readonly data: { readonly target: string; readonly port: number } }
  | { readonly type: 'TXT'; readonly data: readonly Bytes[] }
);

/** A record as the library decoded it, or undefined when it is of no use to DNS-SD. Never throws. */
export function readRecord(answer: unknown): MdnsRecord | undefined {
  const { type, name, ttl, flush, data } = (answer ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof name !== 'string') return undefined;
  const head = { name, ttl: typeof ttl === 'number' ? ttl : 0, flush: flush === true };
  if (type === 'PTR' || type === 'A' || type === 'AAAA')
    return typeof data === 'string' ? { ...head, type, data } : undefined;
  if (type === 'SRV') {
    const { target, port } = (data ?? {}) as Readonly<Record<string, unknown>>;
    if (typeof target !== 'string' || typeof port !== 'number') return undefined;
    return { ...head, type, data: { target, port } };
  }
  if (type !== 'TXT') return undefined;
  const entries: readonly unknown[] = Array.isArray(data) ? data : [data];
  return { ...head, type, data: entries.filter((entry) => entry instanceof Uint8Array) };
}

/** A network interface multicast goes out on, by its IPv4 address. */
export interface MulticastInterface {
  readonly name: string;
  readonly address: string;
  /** Bits of the network part. */
  readonly prefix: number;
}

const loopback = /^(localhost|127\.[\d.]+|::1)$/i;

/** The routing table has a multicast route on the loopback: only who sets one up wants multicast there. */
function loopbackMulticasts(): boolean {
  try {
    return /^lo\t000000E0\t/m.test(readFileSync('/proc/self/net/route', 'latin1'));
  } catch {
    return false;
  }
}

/**
 * Where mDNS can be spoken: every network with an IPv4 address; loopback with a multicast route only. For a `host` on
 * loopback nothing else is asked.
 */
export function multicastInterfaces(host?: string): MulticastInterface[] {
  const onLoopback = loopbackMulticasts();
  const only = host !== undefined && loopback.test(host);
  return Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) =>
    addresses
      .filter(({ family, internal }) => family === 'IPv4' && (internal ? onLoopback : !only))
      .slice(0, 1)
      .map(({ address, cidr }) => ({ name, address, prefix: Number(cidr?.split('/')[1] ?? 32) })),
  );
}

export interface MdnsHandlers {
  /** Records of a response; `from` is the interface on whose network the sender is, where that can be told. */
  readonly response?: (records: readonly MdnsRecord[], from: MulticastInterface | undefined) => void;
  /** What is asked for, and how many answers whoever asks has already; `answer` reaches who asked alone. */
  readonly query?: (
    questions: readonly { readonly name: string; readonly type: string; readonly unicastWanted: boolean }[],
    known: number,
    answer: (records: readonly MdnsRecord[]) => void,
  ) => void;
}

const GROUP = '224.0.0.251';
const PORT = 5353;
/** Somebody who is nowhere: nothing is answered to who asks for him. */
const NOBODY: MdnsQuestion = { name: 'nobody-of-hapspec.local', type: 'A' };

/** A socket of multicast DNS, and the library's hand on it. */
interface Line {
  readonly on: MulticastInterface;
  readonly socket: Socket;
  readonly mdns: ReturnType<typeof makeMdns>;
  /** Whether it could be bound. */
  readonly bound: Promise<boolean>;
}

function lineOn(on: MulticastInterface, bind: string): Line {
  const socket = createSocket({ type: 'udp4', reuseAddr: true });
  const mdns = makeMdns({ interface: on.address, bind, socket });
  mdns.on('warning', () => undefined);
  const bound = new Promise<boolean>((resolve) => {
    mdns.on('ready', () => resolve(true));
    mdns.on('error', () => resolve(false));
    socket.once('close', () => resolve(false));
  });
  return { on, socket, mdns, bound };
}

/** The records as the library takes them. */
function forLibrary(records: readonly MdnsRecord[]) {
  return records.map((record) =>
    record.type === 'TXT' ? { ...record, data: record.data.map((entry) => Buffer.from(entry)) } : record,
  );
}

/**
 * Multicast DNS on some interfaces, IPv4. What other hosts send may be anything: malformed packets are dropped, and a
 * network that goes away is silence.
 */
export class Mdns {
  private readonly lines: readonly Line[];
  /** Bound to addresses of our own: what comes to this machine alone comes there, whoever else listens on the port. */
  private ears: readonly Line[] | undefined;
  private closed = false;

  constructor(
    private readonly interfaces: readonly MulticastInterface[],
    private readonly handlers: MdnsHandlers,
  ) {
    // Bound to the interface's own address, a socket would hear no multicast.
    this.lines = interfaces.map((on) => lineOn(on, '0.0.0.0'));
    const networks = interfaces.map((on) => networkOf(on));
    for (const [index, { mdns }] of this.lines.entries()) {
      // A system may give each packet to every socket of the port: the one of the sender's network takes it.
      const mine = (sender: string): boolean => {
        const at = networks.findIndex((network) => network.check(sender));
        return index === Math.max(0, at);
      };
      mdns.on('response', (packet, { address }) => {
        if (mine(address)) this.heard(packet, interfaces[networks.findIndex((one) => one.check(address))]);
      });
      mdns.on('query', ({ questions, answers }, { address, port }) => {
        if (!mine(address)) return;
        handlers.query?.(
          questions.map(({ name, type, class: shown }) => ({
            name,
            type,
            unicastWanted: wantsUnicast(shown),
          })),
          answers.length,
          (records) => mdns.respond(forLibrary(records), { address, port }),
        );
      });
    }
  }

  private heard(
    {
      answers,
      additionals,
    }: { readonly answers: readonly unknown[]; readonly additionals: readonly unknown[] },
    from: MulticastInterface | undefined,
  ): void {
    const records = [...answers, ...additionals].map(readRecord).filter((record) => record !== undefined);
    this.handlers.response?.(records, from);
  }

  /**
   * From now on what is answered to this machine alone is heard, and questions that want that are asked from there.
   * @returns false where another program keeps the port to itself
   */
  async listenAlone(): Promise<boolean> {
    if (this.ears === undefined) {
      this.ears = this.interfaces.map((on) => lineOn(on, on.address));
      for (const { on, mdns } of this.ears)
        mdns.on('response', (packet, { address }) =>
          this.heard(packet, networkOf(on).check(address) ? on : undefined),
        );
    }
    return (await Promise.all(this.ears.map(({ bound }) => bound))).some(Boolean);
  }

  /**
   * Lets what these hosts (IPv4 addresses) send to this machine alone come in: a firewall that knows connections takes
   * it for the answer to a datagram that went there.
   */
  knock(addresses: readonly string[]): void {
    for (const ear of this.ears ?? [])
      for (const address of addresses) this.send(ear, encodeQuery([NOBODY]), address);
  }

  query(questions: readonly MdnsQuestion[], known: readonly KnownAnswer[] = []): void {
    const bytes = encodeQuery(questions, known);
    const alone = questions.some(({ unicastWanted }) => unicastWanted === true);
    for (const line of (alone ? this.ears : undefined) ?? this.lines) this.send(line, bytes, GROUP);
  }

  private send({ socket, bound }: Line, bytes: Bytes, address: string): void {
    // A network that has gone is silence.
    const sent = (): void => undefined;
    void bound.then((is) => {
      if (is && !this.closed) socket.send(bytes, PORT, address, sent);
    });
  }

  respond(records: readonly MdnsRecord[]): void {
    for (const { mdns } of this.lines) mdns.respond(forLibrary(records));
  }

  /** Resolves when the sockets are closed and what was sent before is out. */
  async close(): Promise<void> {
    this.closed = true;
    const all = [...this.lines, ...(this.ears ?? [])];
    await Promise.all(all.map(({ mdns }) => new Promise<void>((done) => mdns.destroy(done))));
  }
}

function networkOf({ address, prefix }: MulticastInterface): BlockList {
  const network = new BlockList();
  network.addSubnet(address, prefix);
  return network;
}

/** How long a host may take to say its addresses, and how long what it said, or did not say, holds (ms). */
const ANSWER_WITHIN = 2_000;
const ASK_EVERY = 500;
const HOLDS = 60_000;
const HOLDS_NOT = 10_000;

const told = new Map<string, { readonly until: number; readonly addresses: Promise<readonly string[]> }>();

async function askAddresses(name: string): Promise<readonly string[]> {
  const interfaces = multicastInterfaces();
  if (interfaces.length === 0) return [];
  const found = new Set<string>();
  const mdns = new Mdns(interfaces, {
    response: (records, from) => {
      for (const record of records) {
        if ((record.type !== 'A' && record.type !== 'AAAA') || record.ttl === 0) continue;
        if (record.name.toLowerCase() !== name || found.size >= 16) continue;
        const zone = /^fe[89ab]/i.test(record.data) && from !== undefined ? `%${from.name}` : '';
        found.add(record.data + zone);
      }
    },
  });
  try {
    for (let waited = 0; waited < ANSWER_WITHIN && found.size === 0; waited += ASK_EVERY) {
      mdns.query([
        { name, type: 'A' },
        { name, type: 'AAAA' },
      ]);
      for (let step = 0; step < 10 && found.size === 0; step++)
        await new Promise((resolve) => setTimeout(resolve, ASK_EVERY / 10));
    }
  } finally {
    await mdns.close();
  }
  // IPv4 first: what a controller without a zone can dial.
  return [...found].sort((a, b) => Number(a.includes(':')) - Number(b.includes(':')));
}

/**
 * The addresses a `.local` name says it has, by mDNS of our own: containers and bare systems have no resolver for it.
 * None for any other name, and where nobody answers within 2 s. Never throws.
 */
export async function localAddresses(host: string): Promise<readonly string[]> {
  const name = host.toLowerCase().replace(/\.$/, '');
  if (!name.endsWith('.local')) return [];
  const known = told.get(name);
  if (known !== undefined && known.until > performance.now()) return known.addresses;
  const addresses = askAddresses(name).catch((): readonly string[] => []);
  told.set(name, { until: performance.now() + HOLDS, addresses });
  if ((await addresses).length === 0) told.set(name, { until: performance.now() + HOLDS_NOT, addresses });
  return addresses;
}
