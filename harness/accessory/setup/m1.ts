import {
  type Bytes,
  Length,
  MAX_TRIES,
  Method,
  PairingFlag,
  type Random,
  SRP_USER,
  type SetupCode,
  type SrpConvention,
  TlvError,
  type TlvMessage,
  TlvType,
  setupM2,
  srpConventions,
  toInteger,
} from '../../protocol/index.js';
import { makeVerifier, srpServer } from '../crypto.js';
import type { DeviceDecisions } from '../device/device.js';
import type { Progress } from '../facts.js';
import { type Reply, type ReplyContext, answer, failure, refusal } from '../messages/reply.js';
import { single } from '../messages/request.js';
import type { ExchangeDecisions, Incoming, SetupMode } from './exchanges.js';

/** What an M1 meets. */
export interface Situation {
  /** Another connection holds Pair Setup, and this one has to wait. */
  readonly busy: boolean;
  /** Another connection held Pair Setup, and has been silent for too long. */
  readonly abandoned: boolean;
  /** The connection is a verified session. */
  readonly secured: boolean;
  /** A Pair Verify M1 on this connection was answered by M2, and an M3 on it was refused. */
  readonly sawVerify: boolean;
  readonly failedVerify: boolean;
}

/** What Pair Setup knows when an M1 asks to begin. */
export interface SetupRequest {
  readonly paired: boolean;
  readonly failedAttempts: number;
  /** Another connection holds Pair Setup, and a second one has to wait. */
  readonly busy: boolean;
  /** Another connection held Pair Setup, and has been silent for too long. */
  readonly abandoned: boolean;
  /** Where an exchange on this connection stands. */
  readonly after: Progress;
  /** Wrong proofs that came over this connection. */
  readonly failedHere: number;
  /** An M5 that came over this connection was refused. */
  readonly refusedM5Here: boolean;
  /** M1s answered by M2 since the start. */
  readonly begun: number;
  /** The M1. */
  readonly message: TlvMessage;
  /** It came through a verified session. */
  readonly secured: boolean;
  /** A Pair Verify M1 on this connection was answered by M2, and an M3 on it was refused. */
  readonly sawVerify: boolean;
  readonly failedVerify: boolean;
}

/** Answers M1 by M2: salt and B of a new exchange (seed 002 §2.4). */
export function answerM1(
  { device, exchanges, connection, context }: Incoming<M1Decisions & ExchangeDecisions & DeviceDecisions>,
  situation: Situation,
): Reply {
  const { behaviour, random } = device;
  const twin: M1Asides & ExchangeDecisions = behaviour;
  const message = context.request;
  const error = behaviour.refusesSetup({
    paired: device.pairings.length > 0,
    failedAttempts: device.failedAttempts,
    ...situation,
    after: context.after,
    failedHere: exchanges.failures.get(connection) ?? 0,
    refusedM5Here: exchanges.refusedM5.has(connection),
    begun: exchanges.begun,
    message,
  });
  const before = exchanges.of(connection);
  if (error === undefined || !twin.keepsExchangeAfter('refused-m1')) exchanges.drop(connection);
  if (error !== undefined) {
    if (situation.busy && twin.foreignM1Disturbs) exchanges.dropAll();
    return failure(context, 2, error);
  }

  if (message.has(TlvType.Method)) {
    const method = single(message, TlvType.Method, 1);
    if (method === undefined || !behaviour.setupMethods.includes(method[0]!)) return refusal(context);
  }
  if (message.has(TlvType.Flags) && single(message, TlvType.Flags, 0, 4) === undefined)
    return refusal(context);
  const flags = message.get(TlvType.Flags);
  const method = message.get(TlvType.Method)?.[0] ?? Method.PairSetup;
  const mode = behaviour.setupMode({ method, flags });

  const { kept } = exchanges;
  const unready = mode.split && kept === undefined ? behaviour.refusesSplit(mode) : undefined;
  if (unready !== undefined) return failure(context, 2, unready);
  const reused = behaviour.reusesVerifier(mode) ? kept : undefined;
  // A salt is drawn in any case: what is drawn later must not depend on whether one was kept.
  const refused = exchanges.refusedM3.get(connection);
  const salt = behaviour.drawSalt(random, refused?.salt);
  if (reused === undefined) device.showCode();
  const { srpUser } = twin;
  const password = behaviour.password(device.code, device.failedAttempts, mode);
  const verifier = reused ?? makeVerifier(password, salt, srpUser);
  // What was kept is good for the next Pair Setup and for no other.
  exchanges.kept = reused;
  const exponent = behaviour.drawExponent(random, refused?.exponent);
  const srp = srpServer(verifier, toInteger(exponent), behaviour.convention, srpUser);

  if (exchanges.holders.length > 0 && behaviour.setupContention !== 'parallel') exchanges.dropAll();
  exchanges.begun++;
  const begun = { after: 'm2', srp, secret: undefined, flags, mode, method, exponent } as const;
  exchanges.hold(connection, before !== undefined && !twin.secondM1Replaces ? before : begun);
  const facts: ReplyContext & Pick<Reply, 'verifier'> = { ...context, verifier: verifier.v };
  return answer(facts, setupM2(srp.B, verifier.salt, behaviour.echoedFlags(mode)));
}

/** Transient and Split as the number that says so in Flags. */
export function flagsOf({ transient, split }: SetupMode): number {
  return (transient ? PairingFlag.Transient : 0) + (split ? PairingFlag.Split : 0);
}

export interface M1Decisions extends M1Asides {
  /** The TLV error an M1 is refused with, or undefined to go on (seed 002 §2.4). */
  refusesSetup(request: SetupRequest): number | undefined;
  /**
   * Values of Method that begin Pair Setup. Without an authentication coprocessor PairSetupWithAuth is refused: to run it
   * as plain Pair Setup would be a silent downgrade.
   */
  readonly setupMethods: readonly number[];
  /** Milliseconds of silence after which a connection no longer holds Pair Setup. */
  readonly setupPatience: number;
  /**
   * A second connection that asks for Pair Setup is told Busy, takes it over, or runs beside the first. The seeds
   * leave it open (seed 002 §2.4); two controllers may never both succeed.
   */
  readonly setupContention: 'busy' | 'take-over' | 'parallel';
  /** The SRP password of one exchange, dashes included (erratum E22). */
  password(code: SetupCode, failedAttempts: number, mode: SetupMode): string;
  readonly convention: SrpConvention;
  /** The salt of one exchange, 16 bytes (seed 002 §2.4). `refused`: that of the last M3 refused on the connection. */
  drawSalt(random: Random, refused: Bytes | undefined): Bytes;
  /** The secret b of one exchange, 32 bytes (seed 002 §2.4 step 3). `refused`: as with the salt. */
  drawExponent(random: Random, refused: Bytes | undefined): Bytes;

  // Transient and split Pair Setup (seed 001; seed 002 §2.3)

  /** What an M1 asks for; Flags of 0 to 4 bytes, little-endian, and none together with PairSetupWithAuth. */
  setupMode(m1: { method: number; flags: Bytes | undefined }): SetupMode;
  /** The Flags of M2, or undefined for none (erratum E09). */
  echoedFlags(mode: SetupMode): number | undefined;
  /** True to use the verifier that was kept, where there is one. */
  reusesVerifier(mode: SetupMode): boolean;
  /** What a split Pair Setup meets when no verifier was kept: a TLV error, or undefined to make a new one. */
  refusesSplit(mode: SetupMode): number | undefined;
}

/** What only a faulty twin answers otherwise. */
export interface M1Asides {
  /** False to keep the exchange of the M1 before, though a second M1 on the connection was answered. */
  readonly secondM1Replaces: boolean;
  /** True to end the exchange of the first connection when a second one is told Busy. */
  readonly foreignM1Disturbs: boolean;
  /** The user name of SRP (seed 002 §2.2). */
  readonly srpUser: string;
}

export const healthyM1: M1Decisions = {
  refusesSetup({ paired, failedAttempts, busy }) {
    if (paired) return TlvError.Unavailable;
    if (failedAttempts >= MAX_TRIES) return TlvError.MaxTries;
    return busy ? TlvError.Busy : undefined;
  },
  setupMethods: [Method.PairSetup],
  // Three times what a board takes for M4; other accessories wait for half a minute (PS-STATE-11).
  setupPatience: 6_000,
  setupContention: 'busy',
  password: (code) => code.dashed,
  convention: srpConventions.adk,
  drawSalt: (random) => random.bytes(Length.salt),
  drawExponent: (random) => random.bytes(32),

  setupMode({ method, flags = new Uint8Array(0) }) {
    const asked = method === Method.PairSetupWithAuth ? 0n : toInteger(flags.toReversed());
    const has = (flag: number): boolean => (asked & BigInt(flag)) !== 0n;
    return { transient: has(PairingFlag.Transient), split: has(PairingFlag.Split) };
  },
  echoedFlags: (mode) => (mode.split ? flagsOf(mode) : undefined),
  reusesVerifier: ({ transient, split }) => split && !transient,
  // The code does not change between two setups, so a new verifier opens to it as well.
  refusesSplit: () => undefined,

  secondM1Replaces: true,
  foreignM1Disturbs: false,
  srpUser: SRP_USER,
};
