import { type Bytes, concat, join } from '../../protocol/index.js';
import { type Change, type DatabaseAnswer, JSON_TYPE, json } from '../database.js';
import type { Device, DeviceDecisions } from '../device/device.js';
import type { ResponseDecisions } from '../messages/response.js';
import type { Connections, Reaction, Secured, Session } from './connections.js';
import type { FrameDecisions, Frames } from './frames.js';

/** A connection that may be told of a change. */
export interface Listener {
  readonly cause: 'write' | 'subscription';
  readonly secured: boolean;
  /** It subscribed to the characteristic. */
  readonly subscribed: boolean;
  /** It did so at some time and took it back. */
  readonly unsubscribed: boolean;
  /** Its controller did so on a connection that has ended. */
  readonly subscribedBefore: boolean;
  /** The request came over it. */
  readonly isWriter: boolean;
  /** Milliseconds it has said nothing. */
  readonly idle: number;
}

/**
 * When an event leaves: at once behind what has been sent; inside the next response of several frames; behind the
 * next response with a counter drawn before it; behind the next event.
 */
export type EventPlacement = 'at-once' | 'inside-response' | 'sealed-when-queued' | 'behind-the-next';

/** Events of the characteristics: who is told of a change, and where between the responses. */
export class Events {
  constructor(
    private readonly device: Device<EventDecisions & FrameDecisions & ResponseDecisions & DeviceDecisions>,
    private readonly connections: Connections,
    private readonly frames: Frames,
  ) {}

  /** Tells the connections that are to hear of it what a request has changed. */
  notify(
    writer: Session,
    { changes = [], subscribed = [] }: Pick<DatabaseAnswer, 'changes' | 'subscribed'>,
    now: number,
    out: Reaction[],
  ): void {
    const causes = [
      ...changes.map((change) => ({ change, cause: 'write' as const })),
      ...subscribed.map((change) => ({ change, cause: 'subscription' as const })),
    ];
    if (causes.length === 0) return;
    for (const listener of this.connections.all) {
      const { secured } = listener;
      const heard = causes.filter(({ change: { iid }, cause }) =>
        this.device.behaviour.notifies({
          cause,
          secured: secured !== undefined,
          subscribed: secured?.subscriptions.get(iid) === true,
          unsubscribed: secured?.subscriptions.get(iid) === false,
          subscribedBefore:
            secured !== undefined && this.connections.subscribedBefore(secured.requester, iid),
          isWriter: listener === writer,
          idle: now - listener.heard,
        }),
      );
      const told = heard.map(({ change }) => change);
      if (told.length > 0) this.send(listener, told, out);
    }
  }

  private send(listener: Session, changes: readonly Change[], out: Reaction[]): void {
    const { behaviour } = this.device;
    const { body } = json(200, { characteristics: changes });
    const headers = [['Content-Type', JSON_TYPE] as const];
    const message = behaviour.write({ startLine: behaviour.eventStartLine, headers, body });
    const { secured } = listener;
    const push = (bytes: Bytes): void => void out.push({ connection: listener.number, kind: 'send', bytes });
    if (secured === undefined || !behaviour.sealsMessage({ kind: 'event', status: 200, unreadable: false }))
      return push(message);
    switch (behaviour.eventPlacement) {
      case 'at-once':
        return push(this.frames.seal(secured, message, true));
      case 'sealed-when-queued':
        secured.held.push(this.frames.seal(secured, message, true));
        return;
      case 'inside-response':
        secured.held.push(message);
        return;
      case 'behind-the-next': {
        const [older] = secured.held;
        secured.held = older === undefined ? [message] : [];
        if (older === undefined) return;
        push(this.frames.seal(secured, message, true));
        push(this.frames.seal(secured, older, true));
      }
    }
  }

  /** The frames of a response, and of the events that had to wait for it. */
  sealWithHeld(secured: Secured, message: Bytes): Bytes {
    const { eventPlacement } = this.device.behaviour;
    if (eventPlacement !== 'sealed-when-queued' && eventPlacement !== 'inside-response')
      return this.frames.seal(secured, message);
    const waiting = secured.held;
    const [first, ...rest] = this.device.behaviour.cutFrames(message);
    if (eventPlacement === 'inside-response') {
      if (rest.length === 0 || waiting.length === 0) return this.frames.seal(secured, message);
      secured.held = [];
      return concat(
        this.frames.seal(secured, first!),
        ...waiting.map((event) => this.frames.seal(secured, event, true)),
        this.frames.seal(secured, join(rest)),
      );
    }
    secured.held = [];
    return concat(this.frames.seal(secured, message), ...waiting);
  }
}

export interface EventDecisions {
  /** True to send an event to this connection. */
  notifies(listener: Listener): boolean;
  readonly eventPlacement: EventPlacement;
  readonly eventStartLine: string;
}

export const healthyEvents: EventDecisions = {
  notifies: ({ cause, subscribed, isWriter }) => cause === 'write' && subscribed && !isWriter,
  eventPlacement: 'at-once',
  eventStartLine: 'EVENT/1.0 200 OK',
};
