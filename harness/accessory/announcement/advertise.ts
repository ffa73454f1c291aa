import { writeTxt } from '../../protocol/index.js';
import { Mdns, type MdnsRecord, type MulticastInterface } from '../../wire/index.js';
import type { Accessory } from '../core.js';
import type { Asking, Said } from './announcement.js';

const ALL_SERVICES = '_services._dns-sd._udp.local';
/** Seconds others may keep a record that names the host, and one that does not (RFC 6762 §10). */
const HOST_TTL = 120;
const OTHER_TTL = 4500;
/** Who multicast a record within a quarter of its TTL may answer to who asks alone (RFC 6762 §5.4; ms). */
const LATELY = (HOST_TTL / 4) * 1_000;
/** Milliseconds between an announcement and its repetition (RFC 6762 §8.3). */
const AGAIN = 1_000;

interface Asked {
  readonly unicastWanted: boolean;
}

/** How it is asked; of the questions some are `about` it, and `known` answers came along. */
function askingOf(questions: readonly Asked[], about: readonly Asked[], known: number): Asking {
  const wanted = ({ unicastWanted }: Asked): boolean => unicastWanted;
  if (about.some(wanted)) return known > 0 ? 'as-phones-begin' : 'unicast-wanted';
  if (questions.some(wanted)) return 'unicast-wanted-of-others';
  return known > 0 ? 'with-known-answers' : questions.length > 5 ? 'with-others' : 'plainly';
}

/** Announces an accessory by mDNS: at the start, after every change, and to whoever asks. */
export class Advertiser {
  private readonly mdns: Mdns;
  private readonly service: string;
  private readonly instance: string;
  private readonly host: string;
  /** What was announced last. */
  private last: readonly MdnsRecord[] = [];
  private saidAt = performance.now();
  private readonly timers = new Set<NodeJS.Timeout>();

  constructor(
    private readonly accessory: Accessory,
    private readonly place: { readonly addresses: readonly string[]; readonly port: number },
    name: string,
    interfaces: readonly MulticastInterface[],
    kind: 'hap' | 'airplay' = 'hap',
  ) {
    this.service = `_${kind}._tcp.local`;
    this.instance = `${name}.${this.service}`;
    this.host = `${name.replaceAll(/[^A-Za-z0-9-]/g, '-')}.local`;
    const own = new Set(
      [this.service, ALL_SERVICES, this.instance, this.host].map((known) => known.toLowerCase()),
    );
    this.mdns = new Mdns(interfaces, {
      query: (questions, known, answer) => {
        const about = questions.filter(({ name: asked }) => own.has(asked.toLowerCase()));
        if (about.length === 0) return;
        const records = this.records(askingOf(questions, about, known));
        const alone = about.every(({ unicastWanted }) => unicastWanted);
        if (records.length === 0) return;
        if (alone && performance.now() - this.saidAt < LATELY) answer(records);
        else this.mdns.respond(records);
      },
    });
    this.changed([{ delay: 0, what: 'now' }]);
  }

  /** To be called when the accessory has changed, with what it says of that. */
  changed(said: readonly Said[]): void {
    const before = this.last;
    for (const { delay, what } of said) {
      const say = (): void => {
        this.saidAt = performance.now();
        if (what === 'now') this.last = this.records();
        this.respond(
          what === 'before' ? before : what === 'goodbye' ? this.records(undefined, true) : this.last,
        );
      };
      this.later(delay, say);
      this.later(delay + AGAIN, say);
    }
  }

  private later(delay: number, say: () => void): void {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      say();
    }, delay);
    this.timers.add(timer);
  }

  private respond(records: readonly MdnsRecord[]): void {
    if (records.length > 0) this.mdns.respond(records);
  }

  private records(asked?: Asking, gone = false): MdnsRecord[] {
    const announcement = this.accessory.announcement(this.place, asked, performance.now() - this.saidAt);
    if (announcement === undefined) return [];
    const { addresses, port, txt } = announcement;
    const { instance, host, service } = this;
    const ttl = gone ? 0 : HOST_TTL;
    const about = gone ? 0 : OTHER_TTL;
    const shared = { ttl: about, flush: false };
    const own = { flush: true };
    return [
      { type: 'PTR', name: service, ...shared, data: instance },
      { type: 'PTR', name: ALL_SERVICES, ...shared, data: service },
      { type: 'SRV', name: instance, ttl, ...own, data: { target: host, port } },
      { type: 'TXT', name: instance, ttl: about, ...own, data: writeTxt(txt) },
      ...addresses.map((address) => ({
        type: address.includes(':') ? ('AAAA' as const) : ('A' as const),
        name: host,
        ttl,
        ...own,
        data: address,
      })),
    ];
  }

  /** Says goodbye. */
  async close(): Promise<void> {
    for (const timer of this.timers) clearTimeout(timer);
    this.respond(this.records(undefined, true));
    // A packet handed to the socket is out a moment later; behind a close it would not be.
    await new Promise((resolve) => setTimeout(resolve, 50));
    await this.mdns.close();
  }
}
