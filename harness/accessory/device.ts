import {
  type Bytes,
  type Identity,
  type Random,
  type SetupCode,
  accessoryIdentity,
  restoreIdentity,
} from '../protocol/index.js';
import type { Behaviour, Pairing, VerifyExchange } from './behaviour.js';
import type { Store } from './store.js';

export interface DeviceOptions {
  readonly code: SetupCode;
  readonly random: Random;
  readonly behaviour: Behaviour;
  readonly store: Store;
  /** Called after pairings or identity have changed and are stored. */
  readonly onChange: () => void;
}

/** What outlives a connection: identity, pairings and failed attempts. Every change is stored before it is answered. */
export class Device {
  readonly code: SetupCode;
  readonly behaviour: Behaviour;
  /** Replaced between checks, so that what one check draws does not depend on its neighbours. */
  random: Random;
  /** Exchanges of Pair Verify a faulty twin remembers beyond their connection, the newest first. */
  exchanges: readonly VerifyExchange[] = [];
  /** Ephemeral secrets drawn since the start. */
  ephemeralsDrawn = 0;
  private own: Identity;
  private list: readonly Pairing[];
  private attempts: number;
  private readonly store: Store;
  private readonly onChange: () => void;

  /** @throws InputError when the store holds something unreadable. */
  constructor(options: DeviceOptions) {
    this.code = options.code;
    this.behaviour = options.behaviour;
    this.random = options.random;
    this.store = options.store;
    this.onChange = options.onChange;
    const stored = this.store.load();
    this.own = stored ? restoreIdentity(stored.id, stored.ltsk) : accessoryIdentity(this.random);
    this.list = this.behaviour.restored(stored?.pairings ?? []);
    this.attempts = stored?.failedAttempts ?? 0;
    if (stored === undefined) this.save();
  }

  get identity(): Identity {
    return this.own;
  }

  /** A new list after each change, so that one kept from before shows the difference. */
  get pairings(): readonly Pairing[] {
    return this.list;
  }

  get failedAttempts(): number {
    return this.attempts;
  }

  set failedAttempts(count: number) {
    this.attempts = count;
    this.save();
  }

  find(id: Bytes): Pairing | undefined {
    return this.behaviour.lookUp(id, { pairings: this.list, own: this.own });
  }

  /** Adds the pairing, or replaces the one of the same id. */
  put(pairing: Pairing): void {
    const old = this.find(pairing.id);
    const index = old === undefined ? -1 : this.list.indexOf(old);
    this.list = index < 0 ? [...this.list, pairing] : this.list.with(index, pairing);
    this.changed();
  }

  remove(id: Bytes): void {
    const gone = this.find(id);
    this.list = this.list.filter((pairing) => pairing !== gone);
    this.changed();
  }

  removeAll(): void {
    this.list = [];
    this.changed();
  }

  factoryReset(): void {
    this.own = accessoryIdentity(this.random);
    this.list = [];
    this.attempts = 0;
    this.changed();
  }

  private changed(): void {
    this.save();
    this.onChange();
  }

  private save(): void {
    const { id, ltsk } = this.own;
    this.store.save({ id, ltsk, pairings: this.list, failedAttempts: this.attempts });
  }
}
