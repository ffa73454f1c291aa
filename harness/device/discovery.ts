import { lookup } from 'node:dns/promises';
import { isIPv4 } from 'node:net';
import type { Asking } from '../accessory/index.js';
import { type Txt, readTxt } from '../protocol/index.js';
import {
  type Clock,
  type Dialer,
  Mdns,
  type MdnsRecord,
  type MulticastInterface,
  TcpDialer,
  multicastInterfaces,
  realClock,
} from '../wire/index.js';
import { isDeviceId } from './address.js';

export type { Asking };

export type ServiceKind = 'hap' | 'airplay';

/** A service as its records describe it. What it says is anybody's: bounded, and not yet fit for a terminal. */
export interface Announced {
  /** Instance name, without type and domain. */
  readonly name: string;
  readonly kind: ServiceKind;
  /** Name of the host; empty before it is known. */
  readonly host: string;
  readonly addresses: readonly string[];
  /** 0 before it is known. */
  readonly port: number;
  readonly txt: Txt;
  /** When its TXT record came last, by the clock of the browser. */
  readonly at: number;
  /** Another device claims the same name or the same id: what is said may be either's. In words. */
  readonly conflict?: string;
}

/** What the accessory under test says about itself on the network. */
export interface Announcements {
  /** What is announced now, by an answer to a question asked now; undefined when nothing comes. */
  current(asking?: Asking): Promise<Announced | undefined>;
  /** Why what is answered to such a question might not be heard here, in words; undefined where it would be. */
  unheard(asking: Asking): Promise<string | undefined>;
  /** From now on everything that is heard is told, too. Resolves when it is listened. */
  listen(hear: (announced: Announced) => void): Promise<void>;
  /** When it said goodbye, by the clock of the bench; very old ones are forgotten. */
  readonly goodbyes: readonly number[];
  /** How many announcements have come, asked for or not. */
  readonly count: number;
  /** Those that came after the first `count`, the oldest first; very old ones are forgotten. */
  since(count: number): readonly Announced[];
  /** It has been announced in this run. */
  readonly seen: boolean;
  /** Why nobody can be at an announced address; undefined for one that may be dialled. */
  nowhere(address: string): string | undefined;
  /** A way to one of the places announced. */
  dialer(address: string, port: number): Dialer;
  close(): Promise<void>;
}

export const serviceTypes: Readonly<Record<ServiceKind, string>> = {
  hap: '_hap._tcp.local',
  airplay: '_airplay._tcp.local',
};

/** Most instances, hosts and addresses of a host that are kept: a network may be full of nonsense. */
const MOST_INSTANCES = 256;
const MOST_ADDRESSES = 16;
/** Milliseconds between two questions: some answers get lost, and nobody answers the same one twice a second. */
const ASK_AGAIN = 1_000;
/** How long an answer may take (ms). */
export const BROWSE_TIME = 3_000;

interface Instance {
  readonly name: string;
  readonly kind: ServiceKind;
  srv?: { readonly target: string; readonly port: number };
  /** Hosts that claimed the name, with what came of the first again behind the second: two devices, and not one renamed. */
  readonly hosts: Set<string>;
  contested: boolean;
  txt?: Txt;
  at: number;
}

/** Records of mDNS put together as services. Never throws, whatever the records hold. */
export class ServiceTable {
  private readonly instances = new Map<string, Instance>();
  private readonly hosts = new Map<string, Set<string>>();

  /** Takes in the records of one response; returns the services whose TXT record was among them. */
  learn(records: readonly MdnsRecord[], now: number, scope?: string): Announced[] {
    const told = new Set<string>();
    const flushed = new Set<string>();
    for (const record of records.slice(0, 4 * MOST_INSTANCES)) {
      const name = record.name.toLowerCase();
      const { ttl, flush } = record;
      switch (record.type) {
        case 'PTR':
          if (Object.values(serviceTypes).includes(name)) this.note(record.data, ttl === 0, now);
          break;
        case 'SRV': {
          const instance = this.note(record.name, ttl === 0, now);
          if (instance !== undefined) this.claim(instance, record.data);
          break;
        }
        case 'TXT': {
          const instance = this.note(record.name, ttl === 0, now);
          if (instance === undefined) break;
          instance.txt = readTxt(record.data);
          instance.at = now;
          told.add(name);
          break;
        }
        case 'A':
        case 'AAAA': {
          // With the flush bit a host tells all its addresses of a family anew.
          const family = `${name} ${record.type}`;
          if (flush && !flushed.has(family)) this.hosts.delete(family);
          flushed.add(family);
          if (ttl === 0 || this.hosts.size >= 2 * MOST_INSTANCES) break;
          const known = this.hosts.get(family) ?? new Set();
          const local = /^fe[89ab]/i.test(record.data) && scope !== undefined ? `%${scope}` : '';
          if (known.size < MOST_ADDRESSES) known.add(record.data + local);
          this.hosts.set(family, known);
          break;
        }
      }
    }
    return this.found.filter((service) =>
      told.has(`${service.name}.${serviceTypes[service.kind]}`.toLowerCase()),
    );
  }

  /** A name that moves to another host is a device renamed; one that moves back is claimed by two. */
  private claim(
    instance: Instance,
    { target, port }: { readonly target: string; readonly port: number },
  ): void {
    const host = target.toLowerCase();
    if (instance.hosts.has(host) && instance.srv?.target !== host) instance.contested = true;
    if (instance.hosts.size < MOST_ADDRESSES) instance.hosts.add(host);
    instance.srv = { target: host, port };
  }

  private note(fullName: string, gone: boolean, now: number): Instance | undefined {
    const key = fullName.toLowerCase();
    const kind = (['hap', 'airplay'] as const).find((one) => key.endsWith(`.${serviceTypes[one]}`));
    if (kind === undefined) return undefined;
    if (gone) {
      this.instances.delete(key);
      return undefined;
    }
    const known = this.instances.get(key);
    if (known !== undefined || this.instances.size >= MOST_INSTANCES) return known;
    const name = fullName.slice(0, -serviceTypes[kind].length - 1);
    const fresh: Instance = { name, kind, at: now, hosts: new Set(), contested: false };
    this.instances.set(key, fresh);
    return fresh;
  }

  /** All services known, complete or not. */
  get found(): Announced[] {
    const instances = [...this.instances.values()];
    return instances.map((instance) => {
      const { name, kind, srv, txt = new Map<string, string>(), at } = instance;
      const conflict = conflictOf(instance, instances);
      return {
        name,
        kind,
        host: srv?.target ?? '',
        port: srv?.port ?? 0,
        addresses: ['A', 'AAAA'].flatMap((type) => [
          ...(this.hosts.get(`${srv?.target ?? ''} ${type}`) ?? []),
        ]),
        txt,
        at,
        ...(conflict !== undefined && { conflict }),
      };
    });
  }

  /** What has to be asked to know the rest of these services. */
  questions(services: readonly Announced[]): { name: string; type: 'SRV' | 'TXT' | 'A' | 'AAAA' }[] {
    return services.flatMap(({ name, kind, host, addresses }) => {
      const instance = `${name}.${serviceTypes[kind]}`;
      return [
        { name: instance, type: 'TXT' as const },
        { name: instance, type: 'SRV' as const },
        ...(host !== '' && addresses.length === 0
          ? [
              { name: host, type: 'A' as const },
              { name: host, type: 'AAAA' as const },
            ]
          : []),
      ];
    });
  }
}

/** The id a service's TXT record gives, in one case. */
function idOf({ kind, txt }: Pick<Instance, 'kind' | 'txt'>): string | undefined {
  return txt?.get(kind === 'hap' ? 'id' : 'deviceid')?.toUpperCase();
}

/** Another device with the same name or the same id: the records of one are not to be held against the other. */
function conflictOf(instance: Instance, all: readonly Instance[]): string | undefined {
  const { name, kind, contested, hosts, srv } = instance;
  if (contested)
    return `two devices are called "${name}", at ${[...hosts].join(' and ')}: one of them has to go`;
  const id = idOf(instance);
  const twin = all.find(
    (other) =>
      other !== instance &&
      other.kind === kind &&
      id !== undefined &&
      idOf(other) === id &&
      other.srv?.target !== srv?.target,
  );
  if (twin === undefined) return undefined;
  return `two devices have the id ${id}, "${name}" and "${twin.name}": one of them is a copy, and has to go`;
}

/** What is announced on the network, listened to for `milliseconds`. */
export async function browse(options: {
  readonly milliseconds: number;
  readonly kinds?: readonly ServiceKind[];
  readonly interfaces?: readonly MulticastInterface[];
}): Promise<Announced[]> {
  const { milliseconds, kinds = ['hap', 'airplay'], interfaces = multicastInterfaces() } = options;
  if (interfaces.length === 0) return [];
  const table = new ServiceTable();
  const mdns = new Mdns(interfaces, {
    response: (records, from) => void table.learn(records, realClock.now(), from?.name),
  });
  const deadline = realClock.now() + milliseconds;
  try {
    for (;;) {
      mdns.query(kinds.map((kind) => ({ name: serviceTypes[kind], type: 'PTR' })));
      const incomplete = table.found.filter(
        ({ host, addresses, txt }) => host === '' || addresses.length === 0 || txt.size === 0,
      );
      if (incomplete.length > 0) mdns.query(table.questions(incomplete.slice(0, 16)));
      const left = deadline - realClock.now();
      await realClock.sleep(Math.max(0, Math.min(ASK_AGAIN, left)));
      if (realClock.now() >= deadline - 1) break;
    }
  } finally {
    await mdns.close();
  }
  return table.found
    .filter(({ kind }) => kinds.includes(kind))
    .sort((a, b) => (`${a.kind} ${a.name}` < `${b.kind} ${b.name}` ? -1 : 1));
}

/** What a phone asks for beside accessories, in the same message. */
const OTHER_TYPES = [
  'lb._dns-sd._udp.local',
  '_companion-link._tcp.local',
  '_homekit._tcp.local',
  '_hap._udp.local',
  '_sleep-proxy._udp.local',
];

/** What goes along with a question, and where an answer to whoever asks alone is wanted. */
const ways: Readonly<
  Record<
    Asking,
    {
      readonly others: readonly string[];
      readonly answers: boolean;
      readonly wanted: { readonly own: boolean; readonly others: boolean };
    }
  >
> = {
  plainly: { others: [], answers: false, wanted: { own: false, others: false } },
  'with-others': { others: OTHER_TYPES, answers: false, wanted: { own: false, others: false } },
  'with-known-answers': { others: [], answers: true, wanted: { own: false, others: false } },
  'unicast-wanted': { others: [], answers: false, wanted: { own: true, others: false } },
  // Behind sleep or a change of the network: all it looks for, with what it knows, and the bit in each question.
  'as-phones-begin': { others: OTHER_TYPES, answers: true, wanted: { own: true, others: true } },
  'unicast-wanted-of-others': { others: OTHER_TYPES, answers: false, wanted: { own: false, others: true } },
};

/** The service is taken back: a TTL of 0 for its PTR or SRV record, and nothing else of that name in the same message. */
function saysGoodbye(records: readonly MdnsRecord[], { name, kind }: Announced): boolean {
  const instance = `${name}.${serviceTypes[kind]}`.toLowerCase();
  const own = records.filter(
    (record) =>
      (record.type === 'PTR' && record.data.toLowerCase() === instance) ||
      (record.type === 'SRV' && record.name.toLowerCase() === instance),
  );
  return own.length > 0 && own.every(({ ttl }) => ttl === 0);
}

/** A run of an hour hears much; the checks look a minute back. */
const LOG_LENGTH = 1_000;

/** The announcements of a run in the order they came. */
export class AnnouncementLog {
  private readonly heard: Announced[] = [];
  /** Goodbyes, by the clock of the bench. */
  readonly goodbyes: number[] = [];
  /** Told of each announcement. */
  hear: ((announced: Announced) => void) | undefined;
  count = 0;

  leaves(now: number): void {
    if (this.goodbyes.at(-1) !== now) this.goodbyes.push(now);
    if (this.goodbyes.length > LOG_LENGTH) this.goodbyes.splice(0, LOG_LENGTH / 2);
  }

  add(announced: Announced): void {
    this.count++;
    this.hear?.(announced);
    this.heard.push(announced);
    if (this.heard.length > LOG_LENGTH) this.heard.splice(0, LOG_LENGTH / 2);
  }

  since(count: number): readonly Announced[] {
    const more = Math.max(0, this.count - count);
    return more === 0 ? [] : this.heard.slice(-more);
  }
}

/** An address without its zone, as two ways to write it compare. */
function plain(address: string): string {
  return address.toLowerCase().replace(/%.*$/, '');
}

/** Why nobody can be at an announced address; undefined for one that may be dialled. `from` is where the accessory is. */
export function isNowhere(address: string, from?: string): string | undefined {
  const bare = plain(address);
  if (/^(0\.|::$)/.test(bare)) return 'the address of no device';
  if (/^(22[4-9]|23\d)\.|^ff/.test(bare)) return 'a multicast address';
  if (bare === '255.255.255.255') return 'the broadcast address';
  const loopback = (host: string): boolean => /^(127\.|::1$|::ffff:127\.|localhost$)/.test(plain(host));
  if (loopback(bare) && (from === undefined || !loopback(from)))
    return 'the loopback address of whoever reads it';
  return undefined;
}

/** Services by address, host name (with or without `.local`), instance name or the id in their TXT record. */
export function servicesOf(
  host: string,
  services: readonly Announced[],
  addresses: readonly string[] = [],
): Announced[] {
  const wanted = plain(host);
  const all = new Set([wanted, ...addresses.map(plain)]);
  return services.filter(
    (service) =>
      service.name.toLowerCase() === wanted ||
      (isDeviceId(host) &&
        service.txt.get(service.kind === 'hap' ? 'id' : 'deviceid')?.toLowerCase() === wanted) ||
      service.host === wanted ||
      service.host === `${wanted}.local` ||
      service.addresses.some((address) => all.has(plain(address))),
  );
}

/**
 * The service at a port that was heard last: an accessory with another id since a factory reset may have another name,
 * and nobody has said goodbye for the one from before.
 */
export function latestAt(port: number, services: readonly Announced[]): Announced | undefined {
  return services
    .filter((service) => service.port === port)
    .reduce<Announced | undefined>(
      (last, one) => (last === undefined || one.at > last.at ? one : last),
      undefined,
    );
}

/** The addresses of a name, or none. */
async function addressesOf(host: string): Promise<string[]> {
  try {
    return (await lookup(host, { all: true })).map(({ address }) => address);
  } catch {
    return [];
  }
}

/** Announcements of the HAP service at one address of the network; asks and listens from the first question on. */
export class NetworkAnnouncements implements Announcements {
  private readonly table = new ServiceTable();
  private readonly log = new AnnouncementLog();
  private readonly clock: Clock = realClock;
  private mdns: Mdns | undefined;
  private addresses: readonly string[] = [];
  private absent = false;
  seen = false;

  constructor(
    private readonly host: string,
    private readonly port: number,
    private readonly kind: ServiceKind = 'hap',
  ) {}

  /** The service at the target: the only one there, or the one of its port. */
  private pick(services: readonly Announced[]): Announced | undefined {
    const here = servicesOf(this.host, services, this.addresses).filter(({ kind }) => kind === this.kind);
    return here.length === 1 ? here[0] : latestAt(this.port, here);
  }

  private async open(): Promise<Mdns | undefined> {
    if (this.mdns !== undefined) return this.mdns;
    const interfaces = multicastInterfaces(this.host);
    if (interfaces.length === 0) return undefined;
    this.addresses = await addressesOf(this.host);
    this.mdns = new Mdns(interfaces, {
      response: (records, from) => {
        const known = this.pick(this.table.found);
        if (known !== undefined && saysGoodbye(records, known)) this.log.leaves(this.clock.now());
        for (const told of this.table.learn(records, this.clock.now(), from?.name)) this.log.add(told);
      },
    });
    return this.mdns;
  }

  async listen(hear: (announced: Announced) => void): Promise<void> {
    this.log.hear = (announced) => {
      if (this.pick([announced]) !== undefined) hear(announced);
    };
    await this.open();
  }

  get goodbyes(): readonly number[] {
    return this.log.goodbyes;
  }

  async current(asking: Asking = 'plainly'): Promise<Announced | undefined> {
    if (this.absent) return undefined;
    const mdns = await this.open();
    if (mdns === undefined) return undefined;
    const { others, wanted, answers } = ways[asking];
    if (wanted.own) await mdns.listenAlone();
    const asked = this.clock.now();
    // Multicast gets lost: who has been heard of is asked twice as long before it is said to be silent.
    const deadline = asked + (this.seen ? 2 : 1) * BROWSE_TIME;
    for (let next = asked; this.clock.now() < deadline;) {
      if (this.clock.now() >= next) {
        const known = this.pick(this.table.found);
        const type = serviceTypes[this.kind];
        const own = [
          { name: type, type: 'PTR' as const },
          ...this.table.questions(known === undefined ? this.table.found.slice(0, 16) : [known]),
        ];
        if (wanted.own) mdns.knock((known?.addresses ?? []).filter(isIPv4));
        mdns.query(
          [
            ...others.map((name) => ({ name, type: 'PTR' as const, unicastWanted: wanted.others })),
            ...own.map((question) => ({ ...question, unicastWanted: wanted.own })),
          ],
          answers ? [{ type: 'PTR', name: type, data: `somebody else.${type}`, ttl: 4_000 }] : [],
        );
        next += ASK_AGAIN;
      }
      await this.clock.sleep(50);
      const fresh = this.pick(this.table.found);
      if (fresh !== undefined && fresh.at >= asked && fresh.host !== '') {
        this.seen = true;
        return fresh;
      }
    }
    // Who has never announced anything is not asked again for every check.
    this.absent = this.pick(this.table.found) === undefined;
    return undefined;
  }

  async unheard(asking: Asking): Promise<string | undefined> {
    if (!ways[asking].wanted.own || (await (await this.open())?.listenAlone()) !== false) return undefined;
    return 'another program keeps port 5353 of this machine to itself: what is answered to this machine alone goes there';
  }

  get count(): number {
    return this.log.count;
  }

  since(count: number): readonly Announced[] {
    return this.log.since(count).filter((service) => this.pick([service]) !== undefined);
  }

  nowhere(address: string): string | undefined {
    return isNowhere(address, this.host);
  }

  dialer(address: string, port: number): Dialer {
    return new TcpDialer(address, port);
  }

  async close(): Promise<void> {
    await this.mdns?.close();
    this.mdns = undefined;
  }
}
