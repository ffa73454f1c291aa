import type { Bytes, SrpServer, Verifier } from '../../protocol/index.js';
import type { Device, DeviceDecisions } from '../device/device.js';
import type { Progress } from '../facts.js';
import type { ReplyContext } from '../messages/reply.js';

/** One Pair Setup from its M1 to its last message. */
export interface Exchange {
  after: Exclude<Progress, 'nothing'>;
  readonly srp: SrpServer;
  /** K, once the controller has proved the code. */
  secret: Bytes | undefined;
  /** Flags of its M1, as they came. */
  readonly flags: Bytes | undefined;
  /** What they ask for. */
  readonly mode: SetupMode;
  readonly method: number;
  /** The secret b, 32 bytes. */
  readonly exponent: Bytes;
}

/** What the Flags of an M1 ask for (seed 002 §2.3). */
export interface SetupMode {
  /** Pair Setup ends with M4, and frames begin behind it. */
  readonly transient: boolean;
  /** With `transient`: the verifier is kept for the next Pair Setup; alone: that one is used. */
  readonly split: boolean;
}

/** How a connection ended that was in the middle of Pair Setup. */
export interface ConnectionEnd {
  readonly after: Progress;
  /** A request had begun and not ended. */
  readonly partial: boolean;
  /** RST instead of FIN. */
  readonly reset: boolean;
}

/** A message of Pair Setup that is to be answered; the decisions are those of its file. */
export interface Incoming<Decisions extends DeviceDecisions> {
  readonly device: Device<Decisions>;
  readonly exchanges: Exchanges;
  readonly connection: number;
  readonly context: ReplyContext;
}

/** Exchanges that are over and remembered by a faulty twin. */
const MAX_OLDER = 8;

/** What Pair Setup remembers: one exchange at a time unless setups may run side by side, each bound to its connection. */
export class Exchanges {
  private readonly running = new Map<number, Exchange>();
  /** The verifier a split Pair Setup is to use again; gone with the power. */
  kept: Verifier | undefined;

  // For faulty twins

  /** M1s answered by M2. */
  begun = 0;
  /** Wrong proofs by connection. */
  readonly failures = new Map<number, number>();
  /** Salt and b of the last exchange whose M3 was refused, by connection. */
  readonly refusedM3 = new Map<number, { readonly salt: Bytes; readonly exponent: Bytes }>();
  /** Connections an M5 was refused on. */
  readonly refusedM5 = new Set<number>();
  /** K of the Pair Setup that came to M4 last. */
  formerSecret: Bytes | undefined;
  /** Exchanges that are over, the newest first. */
  private older: readonly { readonly connection: number; readonly exchange: Exchange }[] = [];

  constructor(private readonly device: Device<ExchangeDecisions & DeviceDecisions>) {}

  /** The connections that are in the middle of an exchange. */
  get holders(): readonly number[] {
    return [...this.running.keys()];
  }

  /** The exchange of this very connection. */
  of(connection: number): Exchange | undefined {
    return this.running.get(connection);
  }

  /** `connection` is in the middle of this exchange from now on. */
  hold(connection: number, exchange: Exchange): void {
    this.running.set(connection, exchange);
  }

  /** Where the exchange stands that a message on `connection` belongs to. */
  progress(connection: number): Progress {
    const owner = this.device.behaviour.exchangeFor(connection, this.holders);
    return (owner === undefined ? undefined : this.running.get(owner))?.after ?? 'nothing';
  }

  /**
   * Whatever is wrong ends the exchange: a second guess needs a new M1, and so a new B. `fits` tells which exchange a
   * message was made for.
   */
  take(
    step: 'setup-m4' | 'setup-m6',
    connection: number,
    fits: (exchange: Exchange) => boolean,
  ): Exchange | undefined {
    const owner = this.device.behaviour.exchangeFor(connection, this.holders);
    const exchange = owner === undefined ? undefined : this.running.get(owner);
    if (owner !== undefined) this.drop(owner);
    return this.anotherThatFits(step, connection, exchange, fits) ?? exchange;
  }

  /** Forgets the exchange of `connection`, if it has one. */
  drop(connection: number): void {
    const exchange = this.running.get(connection);
    if (exchange === undefined) return;
    this.running.delete(connection);
    this.retire(connection, exchange);
  }

  dropAll(): void {
    for (const connection of this.holders) this.drop(connection);
  }

  /** `connection` has ended. */
  closed(connection: number, how: Omit<ConnectionEnd, 'after'>): void {
    this.failures.delete(connection);
    this.refusedM3.delete(connection);
    this.refusedM5.delete(connection);
    const exchange = this.running.get(connection);
    if (exchange === undefined) return;
    if (this.device.behaviour.freesSetupOnClose({ after: exchange.after, ...how })) this.drop(connection);
  }

  /** The exchange a faulty twin goes on with instead of `exchange`: one that is over, or of another connection. */
  private anotherThatFits(
    step: 'setup-m4' | 'setup-m6',
    connection: number,
    exchange: Exchange | undefined,
    fits: (exchange: Exchange) => boolean,
  ): Exchange | undefined {
    const served = (sameConnection: boolean): boolean =>
      this.device.behaviour.servesOlder({ step, sameConnection });
    if ((!served(true) && !served(false)) || (exchange !== undefined && fits(exchange))) return undefined;
    const running = [...this.running].map(([other, held]) => ({ connection: other, exchange: held }));
    return [...this.older, ...running].find(
      (older) => served(older.connection === connection) && fits(older.exchange),
    )?.exchange;
  }

  /** What a faulty twin remembers of an exchange whose M3 was refused; `K` is what it would have led to. */
  refused(connection: number, exchange: Exchange, K: Bytes): void {
    if (this.device.behaviour.keepsExchangeAfter('wrong-proof')) this.hold(connection, exchange);
    this.retire(connection, { ...exchange, after: 'm4', secret: K });
    const { salt } = exchange.srp.verifier;
    this.refusedM3.set(connection, { salt, exponent: exchange.exponent });
  }

  private retire(connection: number, exchange: Exchange): void {
    this.older = [{ connection, exchange }, ...this.older].slice(0, MAX_OLDER);
  }
}

/** Whose exchange a message belongs to, and what ends one. */
export interface ExchangeDecisions {
  /** Which of the connections with an exchange an M3 or M5 on `connection` belongs to. */
  exchangeFor(connection: number, held: readonly number[]): number | undefined;
  /** False to go on holding Pair Setup for a connection that has ended. */
  freesSetupOnClose(end: ConnectionEnd): boolean;

  // Asides

  /** True to serve an M3 or M5 that fits an exchange which is over, where the current one does not take it. */
  servesOlder(older: { readonly step: 'setup-m4' | 'setup-m6'; readonly sameConnection: boolean }): boolean;
  /** True to leave the exchange as it stood, so that the controller may try again; otherwise a new M1 is due. */
  keepsExchangeAfter(event: 'refused-m1' | 'wrong-proof' | 'failed-m5'): boolean;
}

export const healthyExchanges: ExchangeDecisions = {
  exchangeFor: (connection, held) => (held.includes(connection) ? connection : undefined),
  freesSetupOnClose: () => true,

  servesOlder: () => false,
  keepsExchangeAfter: () => false,
};
