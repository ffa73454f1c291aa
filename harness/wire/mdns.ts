import { readFileSync } from 'node:fs';
import { BlockList } from 'node:net';
import { networkInterfaces } from 'node:os';
import makeMdns from 'multicast-dns';
import type { Bytes } from '../protocol/index.js';

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
  /** Names and types asked for, and how many answers whoever asks has already. */
  readonly query?: (
    questions: readonly { readonly name: string; readonly type: string }[],
    known: number,
  ) => void;
}

/**
 * Multicast DNS on some interfaces, IPv4. What other hosts send may be anything: malformed packets are dropped, and a
 * network that goes away is silence.
 */
export class Mdns {
  private readonly sockets: ReturnType<typeof makeMdns>[];

  constructor(interfaces: readonly MulticastInterface[], handlers: MdnsHandlers) {
    const networks = interfaces.map((on) => {
      const network = new BlockList();
      network.addSubnet(on.address, on.prefix);
      return { on, network };
    });
    this.sockets = interfaces.map(({ address }, index) => {
      // Bound to the interface's own address, a socket would hear no multicast.
      const mdns = makeMdns({ interface: address, bind: '0.0.0.0' });
      mdns.on('error', () => undefined);
      mdns.on('warning', () => undefined);
      // A system may give each packet to every socket of the port: the one of the sender's network takes it.
      const mine = (sender: string): boolean => {
        const at = networks.findIndex(({ network }) => network.check(sender));
        return index === Math.max(0, at);
      };
      mdns.on('response', ({ answers, additionals }, { address: sender }) => {
        if (!mine(sender)) return;
        const from = networks.find(({ network }) => network.check(sender));
        const records = [...answers, ...additionals].map(readRecord).filter((record) => record !== undefined);
        handlers.response?.(records, from?.on);
      });
      mdns.on('query', ({ questions, answers }, { address: sender }) => {
        if (mine(sender)) handlers.query?.(questions, answers.length);
      });
      return mdns;
    });
  }

  query(
    questions: readonly { readonly name: string; readonly type: 'PTR' | 'SRV' | 'TXT' | 'A' | 'AAAA' }[],
    /** Answers that are known already, and need not come again. */
    known: readonly {
      readonly type: 'PTR';
      readonly name: string;
      readonly data: string;
      readonly ttl: number;
    }[] = [],
  ): void {
    for (const socket of this.sockets) socket.query({ questions: [...questions], answers: [...known] });
  }

  respond(records: readonly MdnsRecord[]): void {
    const answers = records.map((record) =>
      record.type === 'TXT' ? { ...record, data: record.data.map((entry) => Buffer.from(entry)) } : record,
    );
    for (const socket of this.sockets) socket.respond([...answers]);
  }

  /** Resolves when the sockets are closed and what was sent before is out. */
  async close(): Promise<void> {
    await Promise.all(this.sockets.map((socket) => new Promise<void>((done) => socket.destroy(done))));
  }
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
