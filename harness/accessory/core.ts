import type { Bytes, Identity, Random, SetupCode } from '../protocol/index.js';
import { type Announcement, Announcer, type Asking, type Said } from './announcement/announcement.js';
import { type Behaviour, healthy } from './behaviour.js';
import { Database } from './database.js';
import { Device } from './device/device.js';
import { type Store, memoryStore } from './device/store.js';
import type { Pairing } from './facts.js';
import { Router } from './http/route.js';
import { type Latency, Server } from './http/serve.js';
import { Connections, type Reaction } from './session/connections.js';
import { Events } from './session/events.js';
import { Frames } from './session/frames.js';
import { Reception } from './session/reception.js';
import { PairSetup } from './setup/setup.js';

export type { Latency, Reaction };

/** Up to `maximum` milliseconds, another time for each answer. */
export function randomLatency(random: Random, maximum: number): Latency {
  return () => random.below(maximum + 1);
}

/** Latencies measured on real hardware, by name. */
export const latencies: Readonly<Record<string, Latency>> = {
  /** A microcontroller computing SRP without acceleration. */
  esp32: { 'setup-m2': 1500, 'setup-m4': 2000, 'setup-m6': 700, 'verify-m2': 300, 'verify-m4': 100 },
};

export interface AccessoryOptions {
  readonly code: SetupCode;
  /** Everything the accessory draws comes from here. */
  readonly random: Random;
  /** `healthy` when left out. */
  readonly behaviour?: Behaviour;
  /** In memory when left out. */
  readonly store?: Store;
  /** How long its steps take; at once when left out. */
  readonly latency?: Latency;
  /** Called with a setup code drawn for each Pair Setup, which then takes the place of `code`. */
  readonly display?: (code: SetupCode) => void;
  /** Called when something has changed that is told on the network, with what is told. */
  readonly onChange?: (said: readonly Said[]) => void;
}

/**
 * The reference accessory, sans-I/O: bytes and the time go in, reactions come out. It has no socket and no timer;
 * `now` is milliseconds of any clock that does not run backwards. Never throws on a peer's bytes.
 */
export class Accessory {
  private readonly device: Device<Behaviour>;
  private readonly connections: Connections;
  private readonly reception: Reception;
  private readonly announcer: Announcer;
  private readonly setup: PairSetup;
  private readonly told: AccessoryOptions['onChange'];

  /** @throws InputError when the store holds something unreadable. */
  constructor(options: AccessoryOptions) {
    const { code, random, behaviour = healthy, store = memoryStore(), onChange } = options;
    const boot = random.fork('start').bytes(6);
    const changed = (): void => {
      this.announcer.changed();
      onChange?.(this.announcer.says('pairings'));
    };
    const device = new Device({
      code,
      random,
      behaviour,
      store,
      onChange: changed,
      ...(options.display && { display: options.display }),
    });
    this.device = device;
    const setup = new PairSetup(device);
    this.setup = setup;
    this.announcer = new Announcer(device, boot, () => setup.stage);
    this.told = onChange;
    const connections = new Connections(device, setup);
    this.connections = connections;
    const frames = new Frames(device, connections);
    const events = new Events(device, connections, frames);
    const router = new Router(device, connections, setup, new Database(behaviour.serialNumber(code)));
    const server = new Server(device, connections, frames, events, router, options.latency ?? {});
    this.reception = new Reception(device, connections, frames, server);
  }

  /** Id and key pair; another object after `factoryReset`. */
  get identity(): Identity {
    return this.device.identity;
  }

  get pairings(): readonly Pairing[] {
    return this.device.pairings;
  }

  get failedAttempts(): number {
    return this.device.failedAttempts;
  }

  /**
   * What it says about itself on the network, as of now; addresses and port are where it is served. Undefined when it says
   * nothing.
   */
  announcement(
    place: { readonly addresses: readonly string[]; readonly port: number },
    asked?: Asking,
    sinceSaid = 0,
  ): Announcement | undefined {
    return this.announcer.announcement({ ...place, sinceSaid }, asked);
  }

  /** What a connection is sent when it comes. */
  get greeting(): Bytes | undefined {
    return this.device.behaviour.greeting;
  }

  /** Everything from now on is drawn from `random`. */
  reseed(random: Random): void {
    this.device.random = random;
  }

  /** Drops pairings and failed attempts, takes a new identity, and ends every connection as a reboot does. */
  factoryReset(): Reaction[] {
    this.device.factoryReset();
    return this.connections.endAll();
  }

  /** A new connection; its number is what `receive` and `closed` are called with. */
  open(now: number): number {
    return this.connections.open(now);
  }

  /** The connection has ended, whoever ended it, by FIN or by RST. */
  closed(connection: number, _now: number, how: 'close' | 'reset' = 'close'): Reaction[] {
    return this.connections.closed(connection, how);
  }

  /** Bytes that came over `connection`; a connection that has ended takes none. */
  receive(connection: number, bytes: Bytes, now: number): Reaction[] {
    const { connections } = this;
    const session = connections.get(connection);
    if (session === undefined) return [];
    if (connections.dead) return connections.stop();
    if (!session.taken) {
      connections.end(session);
      return [{ connection, kind: 'reset' }];
    }
    const out: Reaction[] = [];
    const { stage } = this.setup;
    this.reception.receive(session, bytes, now, out);
    if (this.setup.stage !== stage) this.told?.(this.announcer.says('setup'));
    // Whatever it still wanted to say dies with it.
    return connections.dead ? connections.stop() : out;
  }
}
