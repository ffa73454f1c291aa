import { type TlvMessage, TlvType } from '../../protocol/index.js';
import type { Device, DeviceDecisions } from '../device/device.js';
import type { Verified } from '../facts.js';
import { type Reply, refusal } from '../messages/reply.js';
import { type RequestDecisions, stateOf } from '../messages/request.js';
import type { SealedDecisions } from '../messages/sealed.js';
import { type ConnectionEnd, type ExchangeDecisions, Exchanges } from './exchanges.js';
import { type M1Decisions, type Situation, answerM1 } from './m1.js';
import { type M3Decisions, answerM3 } from './m3.js';
import { type M5Decisions, answerM5 } from './m5.js';

/** What Pair Setup asks. */
export type SetupDecisions = M1Decisions &
  M3Decisions &
  M5Decisions &
  ExchangeDecisions &
  RequestDecisions &
  SealedDecisions &
  DeviceDecisions;

interface Answer {
  readonly reply: Reply;
  /** The session that a transient M4 begins. */
  readonly verified?: Verified;
}

/** Pair Setup (seed 002 §2). */
export class PairSetup {
  readonly exchanges: Exchanges;

  constructor(private readonly device: Device<SetupDecisions>) {
    this.exchanges = new Exchanges(device);
  }

  /** How far it is, on whatever connection. */
  get stage(): 'nothing' | 'm2' | 'm4' {
    const after = this.exchanges.holders.map((holder) => this.exchanges.of(holder)?.after);
    return after.includes('m4') ? 'm4' : after.includes('m2') ? 'm2' : 'nothing';
  }

  /** One message that came over `connection`. */
  handle(connection: number, message: TlvMessage, situation: Situation): Answer {
    const { device, exchanges } = this;
    const after = exchanges.progress(connection);
    const about = { endpoint: 'pair-setup', after, request: message, random: device.random } as const;
    const to = { device, exchanges, connection };
    switch (stateOf(device.behaviour, { endpoint: 'pair-setup', message })) {
      case 1:
        return { reply: answerM1({ ...to, context: { ...about, step: 'setup-m2' } }, situation) };
      case 3:
        return answerM3({ ...to, context: { ...about, step: 'setup-m4' } });
      case 5: {
        const reply = answerM5({ ...to, context: { ...about, step: 'setup-m6' } });
        if (reply.status !== 200 || reply.items.some(({ type }) => type === TlvType.Error))
          exchanges.refusedM5.add(connection);
        return { reply };
      }
      default:
        exchanges.drop(connection);
        return { reply: refusal({ ...about, step: undefined }) };
    }
  }

  /**
   * What another connection that holds Pair Setup means for an M1 on `connection`. `silence` is how many milliseconds a
   * connection has said nothing, undefined when it has ended.
   */
  elsewhere(
    connection: number,
    silence: (holder: number) => number | undefined,
  ): Pick<Situation, 'busy' | 'abandoned'> {
    const others = this.exchanges.holders.filter((number) => number !== connection);
    if (others.length === 0) return { busy: false, abandoned: false };
    const { setupContention, setupPatience } = this.device.behaviour;
    if (setupContention !== 'busy') return { busy: false, abandoned: false };
    const busy = others.some((holder) => {
      const quiet = silence(holder);
      return quiet === undefined || quiet < setupPatience;
    });
    return { busy, abandoned: !busy };
  }

  /** `connection` has ended. */
  closed(connection: number, how: Omit<ConnectionEnd, 'after'>): void {
    this.exchanges.closed(connection, how);
  }
}
