import {
  Accessory,
  type AccessoryOptions,
  deliver,
  embed,
  findFault,
  memoryStore,
  serve,
  twin,
} from '../accessory/index.js';
import {
  type Clock,
  type Dialer,
  type MemoryNetwork,
  type Patience,
  TcpDialer,
  Unreachable,
  VirtualClock,
} from '../wire/index.js';
import { type Random, type SetupCode, parseSetupCode, readTxt, text, writeTxt } from '../protocol/index.js';
import type { Address } from './address.js';
import { Bench, type Hooks, type Memory } from './bench.js';
import { AnnouncementLog, type Announced, type Announcements, NetworkAnnouncements } from './discovery.js';

/** The setup code of the embedded accessory unless another is given. */
export const EMBEDDED_CODE = parseSetupCode('031-45-154');

export interface ConnectOptions {
  readonly code: SetupCode | undefined;
  readonly random: Random;
  readonly patience: Patience;
  readonly hooks?: Hooks;
  readonly memory?: Memory;
  /** Milliseconds between two connections. */
  readonly pace?: number;
}

/** A bench for an address. @throws InputError when an embedded fault does not exist. */
export function benchFor(address: Address, options: ConnectOptions): Bench {
  const { random, patience } = options;
  if (address.kind === 'tcp') {
    const host = address.host.includes(':') ? `[${address.host}]` : address.host;
    return new Bench({
      dialer: new TcpDialer(address.host, address.port),
      code: options.code,
      random,
      patience,
      host: `${host}:${address.port}`,
      announcements: new NetworkAnnouncements(address.host, address.port),
      ...(options.hooks && { hooks: options.hooks }),
      ...(options.memory && { memory: options.memory }),
      ...(options.pace !== undefined && { pace: options.pace }),
    });
  }
  const code = options.code ?? EMBEDDED_CODE;
  const behaviour = address.fault === undefined ? undefined : twin(findFault(address.fault));
  return embeddedBench({ ...options, code }, { ...(behaviour && { behaviour }) });
}

/** Where an embedded accessory says it is. */
const EMBEDDED_PLACE = { addresses: ['127.0.0.1'], port: 51_826 };

/** What an accessory of this process announces, without a network. */
class EmbeddedAnnouncements implements Announcements {
  private readonly log = new AnnouncementLog();

  constructor(
    private readonly accessory: () => Accessory,
    private readonly clock: Clock,
    private readonly way: Dialer,
  ) {
    this.announce();
  }

  private now(): Announced {
    const { addresses, port, txt } = this.accessory().announcement(EMBEDDED_PLACE);
    return {
      name: text(this.accessory().identity.id),
      kind: 'hap',
      host: 'embedded.local',
      addresses,
      port,
      txt: readTxt(writeTxt(txt)),
      at: this.clock.now(),
    };
  }

  private announce(): void {
    this.log.add(this.now());
  }

  /** The accessory has changed, or was started. */
  changed(): void {
    const { announceDelay } = this.accessory();
    if (announceDelay === 0) this.announce();
    else this.clock.at(this.clock.now() + announceDelay, () => this.announce());
  }

  async current(): Promise<Announced> {
    return this.now();
  }

  get count(): number {
    return this.log.count;
  }

  since(count: number): readonly Announced[] {
    return this.log.since(count);
  }

  dialer(address: string, port: number): Dialer {
    if (EMBEDDED_PLACE.addresses.includes(address) && port === EMBEDDED_PLACE.port) return this.way;
    return {
      clock: this.clock,
      connect: () =>
        Promise.reject(new Unreachable('refused', `the embedded accessory is not at ${address}:${port}`)),
    };
  }

  async close(): Promise<void> {
    // Nothing is open.
  }
}

/** A bench on an accessory in this process and in virtual time; reset and restart are built in. */
export function embeddedBench(
  options: ConnectOptions & { readonly code: SetupCode },
  twinOptions: Pick<AccessoryOptions, 'behaviour' | 'latency'> & { readonly network?: MemoryNetwork } = {},
): Bench {
  const { code, random, patience } = options;
  const { network, ...accessoryOptions } = twinOptions;
  const store = memoryStore();
  let starts = 0;
  // A start goes on drawing what no start before it has drawn.
  const boot = (): Accessory => {
    const label = ++starts === 1 ? 'accessory' : `accessory, start ${starts}`;
    const onChange = (): void => announcements?.changed();
    return new Accessory({ code, random: random.fork(label), store, onChange, ...accessoryOptions });
  };
  let announcements: EmbeddedAnnouncements | undefined = undefined;
  let accessory = boot();
  const host = embed(accessory, new VirtualClock(), network);
  announcements = new EmbeddedAnnouncements(() => accessory, host.clock, host);
  return new Bench({
    dialer: host,
    code,
    random,
    patience,
    announcements,
    reseed: (label) => accessory.reseed(random.fork(`accessory in ${label}`)),
    hooks: {
      reset: async () => deliver(accessory, accessory.factoryReset()),
      restart: async () => {
        accessory = boot();
        announcements.changed();
        host.accept = (connection) => void serve(accessory, connection);
      },
    },
  });
}
