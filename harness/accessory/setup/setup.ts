import {
  type Bytes,
  Length,
  Method,
  type SrpServer,
  TlvError,
  type TlvItem,
  type TlvMessage,
  TlvType,
  encodeTlv,
  equal,
  identityItems,
  labelNonce,
  sealedMessage,
  setupM2,
  setupM4,
  signedInfo,
  toInteger,
  utf8,
  type Verifier,
} from '../../protocol/index.js';
import { deriveKey, makeVerifier, seal, sign, srpServer } from '../crypto.js';
import type { ConnectionEnd, Pairing, PairingRequest, Progress, Reply, SetupMode } from '../behaviour.js';
import type { Device } from '../device/device.js';
import type { Verified } from '../verify/verify.js';
import { type ReplyContext, answer, failure, refusal, single } from '../messages/reply.js';

interface Exchange {
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

/** Exchanges that are over and remembered by a faulty twin. */
const MAX_OLDER = 8;

interface Answer {
  readonly reply: Reply;
  /** The session that a transient M4 begins. */
  readonly verified?: Verified;
}

/** What an M1 meets. */
interface Situation {
  /** Another connection holds Pair Setup, and this one has to wait. */
  readonly busy: boolean;
  /** Another connection held Pair Setup, and has been silent for too long. */
  readonly abandoned: boolean;
  /** The connection is a verified session. */
  readonly secured: boolean;
}

/** An entry of the pairings nobody is in yet. */
const reservedEntry: Pairing = { id: Uint8Array.of(0), ltpk: new Uint8Array(Length.ltpk), permissions: 0 };

/** Pair Setup (seed 002 §2): one exchange at a time unless setups may run side by side, each bound to its connection. */
export class PairSetup {
  private readonly exchanges = new Map<number, Exchange>();
  /** Wrong proofs by connection. */
  private readonly failures = new Map<number, number>();
  /** Salt and b of the last exchange whose M3 was refused, by connection. */
  private readonly refusedM3 = new Map<number, { readonly salt: Bytes; readonly exponent: Bytes }>();
  /** Exchanges that are over, the newest first. */
  private older: readonly { readonly connection: number; readonly exchange: Exchange }[] = [];
  /** M1s answered by M2. */
  private begun = 0;
  /** Connections an M5 was refused on. */
  private readonly refusedM5 = new Set<number>();
  /** The verifier a split Pair Setup is to use again; gone with the power. */
  private kept: Verifier | undefined;
  /** K of the Pair Setup that came to M4 last. */
  private formerSecret: Bytes | undefined;

  constructor(private readonly device: Device) {}

  /** The connections that are in the middle of an exchange. */
  get holders(): readonly number[] {
    return [...this.exchanges.keys()];
  }

  /** Forgets the exchange of `connection`, if it has one. */
  drop(connection: number): void {
    const exchange = this.exchanges.get(connection);
    if (exchange === undefined) return;
    this.exchanges.delete(connection);
    this.retire(connection, exchange);
  }

  private retire(connection: number, exchange: Exchange): void {
    this.older = [{ connection, exchange }, ...this.older].slice(0, MAX_OLDER);
  }

  private dropAll(): void {
    for (const connection of this.holders) this.drop(connection);
  }

  /** `connection` has ended. */
  closed(connection: number, how: Omit<ConnectionEnd, 'after'>): void {
    this.failures.delete(connection);
    this.refusedM3.delete(connection);
    this.refusedM5.delete(connection);
    const exchange = this.exchanges.get(connection);
    if (exchange === undefined) return;
    if (this.device.behaviour.freesSetupOnClose({ after: exchange.after, ...how })) this.drop(connection);
  }

  /** Where the exchange stands that a message on `connection` belongs to. */
  progress(connection: number): Progress {
    const owner = this.device.behaviour.exchangeFor(connection, this.holders);
    return (owner === undefined ? undefined : this.exchanges.get(owner))?.after ?? 'nothing';
  }

  handle(connection: number, message: TlvMessage, situation: Situation): Answer {
    const { behaviour, random } = this.device;
    const request: PairingRequest = { endpoint: 'pair-setup', message };
    const after = this.progress(connection);
    const context = { endpoint: 'pair-setup', after, request: message, random } as const;
    const state = behaviour.isMalformed(request) ? undefined : behaviour.stateOf(request);
    if (state === 1)
      return { reply: this.m2({ step: 'setup-m2', ...context }, connection, message, situation) };
    if (state === 3) return this.m4({ step: 'setup-m4', ...context }, connection, message);
    if (state === 5) {
      const reply = this.m6({ step: 'setup-m6', ...context }, connection, message);
      if (reply.status !== 200 || reply.items.some(({ type }) => type === TlvType.Error))
        this.refusedM5.add(connection);
      return { reply };
    }
    this.drop(connection);
    return { reply: refusal({ step: undefined, ...context }) };
  }

  /**
   * Whatever is wrong ends the exchange: a second guess needs a new M1, and so a new B. `fits` tells which exchange a
   * message was made for.
   */
  private take(
    step: 'setup-m4' | 'setup-m6',
    connection: number,
    fits: (exchange: Exchange) => boolean,
  ): Exchange | undefined {
    const { behaviour } = this.device;
    const owner = behaviour.exchangeFor(connection, this.holders);
    const exchange = owner === undefined ? undefined : this.exchanges.get(owner);
    if (owner !== undefined) this.drop(owner);
    const served = (sameConnection: boolean): boolean => behaviour.servesOlder({ step, sameConnection });
    if ((!served(true) && !served(false)) || (exchange !== undefined && fits(exchange))) return exchange;
    const running = [...this.exchanges].map(([other, held]) => ({ connection: other, exchange: held }));
    return (
      [...this.older, ...running].find(
        (older) => served(older.connection === connection) && fits(older.exchange),
      )?.exchange ?? exchange
    );
  }

  private m2(context: ReplyContext, connection: number, message: TlvMessage, situation: Situation): Reply {
    const { device } = this;
    const { behaviour, random } = device;
    const error = behaviour.refusesSetup({
      paired: device.pairings.length > 0,
      failedAttempts: device.failedAttempts,
      ...situation,
      after: context.after,
      failedHere: this.failures.get(connection) ?? 0,
      refusedM5Here: this.refusedM5.has(connection),
      begun: this.begun,
      message,
    });
    const before = this.exchanges.get(connection);
    if (error === undefined || !behaviour.keepsExchangeAfter('refused-m1')) this.drop(connection);
    if (error !== undefined) {
      if (situation.busy && behaviour.foreignM1Disturbs) this.dropAll();
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
    const unready = mode.split && this.kept === undefined ? behaviour.refusesSplit(mode) : undefined;
    if (unready !== undefined) return failure(context, 2, unready);
    const reused = behaviour.reusesVerifier(mode) ? this.kept : undefined;
    // A salt is drawn in any case: what is drawn later must not depend on whether one was kept.
    const refused = this.refusedM3.get(connection);
    const salt = behaviour.drawSalt(random, refused?.salt);
    const verifier =
      reused ?? makeVerifier(behaviour.password(device.code, device.failedAttempts, mode), salt);
    // What was kept is good for the next Pair Setup and for no other.
    this.kept = reused;
    const exponent = behaviour.drawExponent(random, refused?.exponent);
    const srp = srpServer(verifier, toInteger(exponent), behaviour.convention);
    if (this.exchanges.size > 0 && behaviour.setupContention !== 'parallel') this.dropAll();
    this.begun++;
    const begun = { after: 'm2', srp, secret: undefined, flags, mode, method, exponent } as const;
    this.exchanges.set(connection, before !== undefined && !behaviour.secondM1Replaces ? before : begun);
    const facts: ReplyContext & Pick<Reply, 'verifier'> = { ...context, verifier: verifier.v };
    return answer(facts, setupM2(srp.B, verifier.salt, behaviour.echoedFlags(mode)));
  }

  private m4(context: ReplyContext, connection: number, message: TlvMessage): Answer {
    const { device } = this;
    const { behaviour } = device;
    const A = single(message, TlvType.PublicKey, ...behaviour.publicKeyLengths);
    const received = single(message, TlvType.Proof, 0, Infinity);
    const exchange = this.take(
      'setup-m4',
      connection,
      ({ after, srp }) =>
        after === 'm2' && A !== undefined && received !== undefined && equal(srp.session(A).M1, received),
    );
    if (exchange === undefined || !behaviour.takesM3After(exchange.after)) return { reply: refusal(context) };
    if (A === undefined || received === undefined) {
      this.count(behaviour.afterMalformedM3(device.failedAttempts));
      const reply = behaviour.refusesMalformedM3
        ? refusal(context)
        : answer(context, setupM4(device.random.bytes(Length.proof)));
      return { reply };
    }
    const { mode } = exchange;
    const session = exchange.srp.session(A);
    const serverProof = session.proveWith(received);
    const facts: ReplyContext & Pick<Reply, 'serverProof' | 'controllerProof' | 'secret'> = {
      ...context,
      secret: session.K,
      serverProof,
      controllerProof: received,
    };
    const { B, verifier } = exchange.srp;
    const { failedAttempts } = device;
    const claim = { A, B, salt: verifier.salt, expected: session.M1, received, failedAttempts, mode };
    if (behaviour.refusesPublicKey(A) || !behaviour.proofMatches(claim)) {
      if (behaviour.keepsExchangeAfter('wrong-proof')) this.exchanges.set(connection, exchange);
      this.retire(connection, { ...exchange, after: 'm4', secret: session.K });
      this.refusedM3.set(connection, { salt: verifier.salt, exponent: exchange.exponent });
      if (received.length !== Length.proof) {
        this.count(behaviour.afterMalformedM3(device.failedAttempts));
        return { reply: refusal(facts) };
      }
      this.failures.set(connection, (this.failures.get(connection) ?? 0) + 1);
      this.count(behaviour.countsFailure(device.failedAttempts));
      return { reply: failure(facts, 4, behaviour.wrongProofError(device.failedAttempts)) };
    }
    this.count(0);
    if (behaviour.keepsVerifier(mode)) this.kept = verifier;
    const secures = behaviour.securesBehindM4(mode);
    if (!secures || behaviour.keepsTransientExchange)
      this.exchanges.set(connection, { ...exchange, after: 'm4', secret: session.K });
    device.carry({ setupSecret: session.K });
    if (behaviour.reservesEntryAtM4(mode)) device.put(reservedEntry);
    const proofs = behaviour.authentication({
      method: exchange.method,
      K: session.K,
      former: this.formerSecret,
    });
    this.formerSecret = session.K;
    const sealed =
      proofs &&
      seal(
        behaviour.authenticationKey(session.K),
        labelNonce(behaviour.nonceLabel('setup-m4')),
        encodeTlv(behaviour.beforeSealing('setup-m4', proofs)),
      );
    const reply = answer(facts, setupM4(serverProof, sealed));
    if (!secures) return { reply };
    const requester = { id: utf8(`transient ${connection}`), transient: true };
    return { reply, verified: { requester, keys: behaviour.transientKeys(session.K) } };
  }

  /** Every change of the counter is stored. */
  private count(failedAttempts: number): void {
    if (this.device.failedAttempts !== failedAttempts) this.device.failedAttempts = failedAttempts;
  }

  private m6(context: ReplyContext, connection: number, message: TlvMessage): Reply {
    const { device } = this;
    const { behaviour } = device;
    const sealed = single(message, TlvType.EncryptedData, 0, Infinity);
    const nonce = labelNonce('PS-Msg05');
    const step = 'setup-m5';
    const exchange = this.take(
      'setup-m6',
      connection,
      (older) =>
        older.secret !== undefined &&
        sealed !== undefined &&
        behaviour.openSealed({ step, key: deriveKey('Pair-Setup-Encrypt', older.secret), nonce, sealed }) !==
          undefined,
    );
    const secret = behaviour.secretForM5({
      after: exchange?.after ?? context.after,
      secret: exchange?.secret,
      flags: exchange?.flags,
      method: exchange?.method,
      carried: device.carried.setupSecret,
    });
    if (secret === undefined || (sealed === undefined && behaviour.refusesMalformedM5))
      return refusal(context);
    const key = deriveKey('Pair-Setup-Encrypt', secret);
    if (sealed === undefined) return answer(context, this.sealedM6(secret, key));
    const plain = behaviour.openSealed({ step, key, nonce, sealed });
    if (plain === undefined && exchange !== undefined && behaviour.keepsExchangeAfter('failed-m5'))
      this.exchanges.set(connection, exchange);
    if (plain === undefined)
      return behaviour.refusesUnopenedM5(context)
        ? failure(context, 6, TlvError.Authentication)
        : answer(context, this.sealedM6(secret, key));
    const sub = behaviour.decode(plain);
    const controller = behaviour.controllerFrom(sub);
    if (controller === undefined)
      return behaviour.refusesMalformedM5 ? refusal(context) : answer(context, this.sealedM6(secret, key));
    const { id, ltpk, signature } = controller;
    const info = signedInfo(deriveKey('Pair-Setup-Controller-Sign', secret), id, ltpk);
    const pairing = { id: behaviour.identifierAsStored(id), ltpk, permissions: behaviour.firstPermissions };
    if (exchange !== undefined && behaviour.reservesEntryAtM4(exchange.mode)) device.remove(reservedEntry.id);
    const { pairings } = device;
    const known = device.find(pairing.id) !== undefined;
    const late = pairings.length > 0 ? behaviour.refusesLateM5({ known }) : undefined;
    if (behaviour.storesBeforeCheck) device.put(pairing);
    if (behaviour.isWeakKey(ltpk)) return failure(context, 6, TlvError.Authentication);
    if (!behaviour.signatureHolds({ step, ltpk, info, signature, pairings }))
      return failure(context, 6, TlvError.Authentication);
    if (late !== undefined) return failure(context, 6, late);
    if (exchange !== undefined && !behaviour.endsSetupWithM6) this.exchanges.set(connection, exchange);
    // Stored before M6 goes out: a controller that has M6 may verify at once, also after a power cut.
    if (behaviour.storesController({ known })) device.put(pairing);
    return answer(context, this.sealedM6(secret, key));
  }

  private sealedM6(secret: Bytes, key: Bytes): TlvItem[] {
    const { behaviour, identity, random } = this.device;
    const step = 'setup-m6';
    const id = behaviour.ownIdentifier(step, identity.id);
    const first = deriveKey('Pair-Setup-Accessory-Sign', secret);
    const info = behaviour.signedInfo({ step, first, id, last: identity.ltpk });
    const signature = sign(behaviour.signingKey(step, identity.ltsk, random), info);
    const items = behaviour.beforeSealing(step, identityItems(id, identity.ltpk, signature));
    return sealedMessage(6, seal(key, labelNonce(behaviour.nonceLabel(step)), encodeTlv(items)));
  }
}
