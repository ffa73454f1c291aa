import {
  type Bytes,
  type Identity,
  type Random,
  type SetupCode,
  equal,
  isTrivialCode,
  parseSetupCode,
} from '../../protocol/index.js';
import { accessoryIdentity, restoreIdentity } from '../crypto.js';
import type { Pairing, VerifyExchange } from '../facts.js';
import type { Carried, Store } from './store.js';

/** What may give an accessory another identity. */
export type Occasion = 'restart' | 'last-removal' | 'factory-reset';

/** Any code of 8 digits. */
function drawnCode(random: Random): SetupCode {
  return parseSetupCode(String(random.below(100_000_000)).padStart(8, '0'));
}

/** Identifiers of removed pairings that are remembered. */
const MAX_DEPARTED = 32;

export interface DeviceOptions<Decisions> {
  readonly code: SetupCode;
  readonly random: Random;
  readonly behaviour: Decisions;
  readonly store: Store;
  /** Called after pairings or identity have changed and are stored. */
  readonly onChange: () => void;
  /** It shows a setup code of its own for each Pair Setup. */
  readonly display?: (code: SetupCode) => void;
}

/**
 * What outlives a connection: identity, pairings and failed attempts. Every change is stored before it is answered. It
 * holds all decisions; each machine knows it by those it asks.
 */
export class Device<Decisions extends DeviceDecisions> {
  /** The setup code; where there is a display, the one it shows. */
  code: SetupCode;
  readonly behaviour: Decisions;
  /** Replaced between checks, so that what one check draws does not depend on its neighbours. */
  random: Random;
  /** Exchanges of Pair Verify a faulty twin remembers beyond their connection, the newest first. */
  exchanges: readonly VerifyExchange[] = [];
  /** Ephemeral secrets drawn since the start. */
  ephemeralsDrawn = 0;
  /** M3s of Pair Verify refused in a row; for faulty twins. */
  verifiesRefused = 0;
  /** What the store held at the start that should have ended with the power: nothing, unless a faulty twin wrote it. */
  readonly carried: Carried;
  /** It was started with a store that was there: that is not its first start, nor one behind the loss of it. */
  readonly restarted: boolean;
  /** It was started with pairings in its store. */
  readonly startedPaired: boolean;
  private own: Identity;
  private former: readonly Pairing[] = [];
  /** Identifiers removed since the start, the newest last; for faulty twins. */
  private departed: readonly Bytes[] = [];
  private carrying: Carried = {};
  private list: readonly Pairing[];
  private attempts: number;
  private readonly store: Store;
  private readonly onChange: () => void;
  private readonly display: ((code: SetupCode) => void) | undefined;

  /** @throws InputError when the store holds something unreadable. */
  constructor(options: DeviceOptions<Decisions>) {
    this.code = options.code;
    this.behaviour = options.behaviour;
    this.random = options.random;
    this.store = options.store;
    this.onChange = options.onChange;
    this.display = options.display;
    const stored = this.store.load();
    this.own = stored ? restoreIdentity(stored.id, stored.ltsk) : accessoryIdentity(this.random);
    this.restarted = stored !== undefined;
    if (this.restarted) this.renew('restart');
    this.carried = stored?.carried ?? {};
    this.list = this.behaviour.restored(stored?.pairings ?? []);
    this.startedPaired = this.list.length > 0;
    this.attempts = stored?.failedAttempts ?? 0;
    if (stored === undefined || stored.id !== this.own.id) this.save();
  }

  /** A Pair Setup begins: where there is a display, another code is on it. */
  showCode(): void {
    if (this.display === undefined) return;
    do this.code = drawnCode(this.random);
    while (isTrivialCode(this.code));
    this.display(this.code);
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
    return this.behaviour.lookUp(id, { pairings: this.list, own: this.own, former: this.former });
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
    this.shrink(this.list.filter((pairing) => pairing !== gone));
  }

  removeAll(): void {
    this.shrink([]);
  }

  /** A pairing of that identifier was removed since the start. */
  wasRemoved(id: Bytes): boolean {
    return this.departed.some((gone) => equal(gone, id));
  }

  private shrink(list: readonly Pairing[]): void {
    const gone = this.list.filter((pairing) => !list.includes(pairing)).map(({ id }) => id);
    this.departed = [...this.departed, ...gone].slice(-MAX_DEPARTED);
    if (this.list.length > 0 && list.length === 0) this.renew('last-removal');
    this.list = list;
    this.changed();
  }

  private renew(occasion: Occasion): void {
    this.own = this.behaviour.identityAfter(occasion, this.own, () => accessoryIdentity(this.random));
    this.code = this.behaviour.codeAfter(occasion, this.code, () => drawnCode(this.random));
  }

  /** Notes what is in memory; the store gets it only from a faulty twin. */
  carry(more: Carried): void {
    if (!this.behaviour.carriesOver) return;
    this.carrying = { ...this.carrying, ...more };
    this.save();
  }

  factoryReset(): void {
    this.renew('factory-reset');
    this.former = [...this.former, ...this.list];
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
    const { list: pairings, attempts: failedAttempts, carrying: carried } = this;
    this.store.save({ id, ltsk, pairings, failedAttempts, carried });
  }
}

/** Who the accessory is, and who is paired. */
export interface DeviceDecisions {
  /** The identity from now on. A factory reset renews it (seed 000); whether the last removal does is left open (erratum E13). */
  identityAfter(occasion: Occasion, own: Identity, draw: () => Identity): Identity;
  /** The setup code from now on: it is printed on the device. */
  codeAfter(occasion: Occasion, code: SetupCode, draw: () => SetupCode): SetupCode;
  /** The form in which a controller's identifier is stored, compared and listed. */
  identifierAsStored(id: Bytes): Bytes;
  /** The pairing an identifier stands for, compared byte for byte. `own` is the accessory itself. */
  lookUp(
    id: Bytes,
    known: {
      pairings: readonly Pairing[];
      own: Identity;
      /** Those that a factory reset has removed since the start. */
      former: readonly Pairing[];
    },
  ): Pairing | undefined;

  // Asides

  /** The pairings as they come back from the store at a start. */
  restored(pairings: readonly Pairing[]): readonly Pairing[];
  /** True to write what should end with the power to the store, and to go on with it. */
  readonly carriesOver: boolean;
}

export const healthyDevice: DeviceDecisions = {
  identityAfter: (occasion, own, draw) => (occasion === 'factory-reset' ? draw() : own),
  codeAfter: (_occasion, code) => code,
  identifierAsStored: (id) => id,
  lookUp: (id, { pairings }) => pairings.find((pairing) => equal(pairing.id, id)),

  restored: (pairings) => pairings,
  carriesOver: false,
};
