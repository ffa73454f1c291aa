import type { SetupCode } from '../../protocol/index.js';
import { type HttpMessage, HttpReader, header } from '../../wire/index.js';
import type { Device, DeviceDecisions } from '../device/device.js';
import type { Step } from '../facts.js';
import { type ReplyDecisions } from '../messages/reply.js';
import { type Response, type ResponseDecisions, encodeResponse } from '../messages/response.js';
import type { Connections, Reaction, Session } from '../session/connections.js';
import type { Events } from '../session/events.js';
import type { FrameDecisions, Frames } from '../session/frames.js';
import type { VerifyDecisions } from '../verify/verify.js';
import type { RouteDecisions, Router } from './route.js';

/** Milliseconds a step takes before its answer goes out; steps left out take no time. */
export type Latency = Partial<Readonly<Record<Step, number>>> | ((step: Step) => number);

/** A request that has come whole, before it is looked at. */
export interface ArrivedRequest {
  readonly message: HttpMessage;
  readonly secured: boolean;
  /** The controller of the session is no longer paired. */
  readonly departed: boolean;
  /** Other connections that are open, and those of them on which a request has begun and not ended. */
  readonly others: number;
  readonly halfOpen: number;
  /** Milliseconds the connection was silent before the last bytes of it came. */
  readonly idle: number;
}

/** A response that has been sent. */
export interface SentResponse {
  readonly step: Step | undefined;
  readonly secured: boolean;
  /** HTTP 4xx or 5xx, or a TLV error. */
  readonly refused: boolean;
  /** The request carried `Connection: close`. */
  readonly closeRequested: boolean;
}

/** Serves requests: each is admitted, answered, and its consequences for the connections are drawn. */
export class Server {
  constructor(
    private readonly device: Device<
      ServeDecisions &
        RouteDecisions &
        ReplyDecisions &
        ResponseDecisions &
        FrameDecisions &
        VerifyDecisions &
        DeviceDecisions
    >,
    private readonly connections: Connections,
    private readonly frames: Frames,
    private readonly events: Events,
    private readonly router: Router,
    private readonly latency: Latency,
  ) {}

  /** Every complete request in `reader`, one after the other, until the connection changes or ends. */
  serveAll(session: Session, reader: HttpReader, sealed: boolean, now: number, out: Reaction[]): void {
    const { pipelined } = this.device.behaviour;
    const securedBefore = session.secured;
    for (let served = 0; session.open && session.secured === securedBefore; served++) {
      if (served > 0 && sealed && pipelined !== 'served' && reader.pending.length > 0) {
        if (pipelined === 'stops-it') this.connections.dead = true;
        if (session.secured !== undefined) session.secured.reader = new HttpReader('request');
        return;
      }
      const progress = reader.next();
      if (progress.kind === 'partial') return;
      if (progress.kind === 'invalid') {
        this.send(session, { status: 400, unreadable: true }, sealed, out);
        out.push(this.connections.end(session));
        return;
      }
      this.serve(session, progress.message, sealed, now, out);
    }
  }

  private serve(session: Session, request: HttpMessage, framed: boolean, now: number, out: Reaction[]): void {
    const { device, connections } = this;
    const before = device.pairings;
    const sealed = framed && !this.unseals(session, request);
    const admitted = connections.attempt(() => this.admit(session, request, now));
    if (admitted === 'close') return void out.push(connections.end(session));
    const response =
      admitted === 'serve'
        ? connections.attempt(() => this.router.respond(session, request, now))
        : typeof admitted === 'number'
          ? { status: admitted }
          : undefined;
    if (response !== undefined) {
      this.sendAndSecure(session, response, { sealed, framed }, out, request);
      this.events.notify(session, response, now, out);
      if (response.step === 'setup-m6' && device.pairings.length > 0) connections.setupsDone++;
    }
    connections.endDeparted(before, session, out);
    const closeRequested = (header(request, 'Connection') ?? '').toLowerCase().includes('close');
    const secured = session.secured !== undefined;
    if (
      session.open &&
      response !== undefined &&
      device.behaviour.closesAfter({
        step: response.step,
        secured,
        closeRequested,
        refused: response.refused ?? response.status >= 400,
      })
    )
      out.push(connections.end(session));
  }

  private admit(session: Session, message: HttpMessage, now: number): 'serve' | 'silence' | 'close' | number {
    const others = this.connections.all.filter((other) => other !== session);
    const halfOpen = others.filter(({ plain }) => plain.inBody || plain.pending.length > 0);
    const { secured } = session;
    const departed =
      secured !== undefined &&
      secured.requester.transient !== true &&
      this.device.find(secured.requester.id) === undefined;
    return this.device.behaviour.admits({
      message,
      secured: secured !== undefined,
      departed,
      others: others.length,
      halfOpen: halfOpen.length,
      idle: now - session.heard,
    });
  }

  /** The session begins behind the response that grants it: M4 itself is still plain. */
  private sendAndSecure(
    session: Session,
    response: Response,
    { sealed, framed }: { readonly sealed: boolean; readonly framed: boolean },
    out: Reaction[],
    request: HttpMessage,
  ): void {
    const { verified } = response;
    const { behaviour } = this.device;
    const twin: ServeAsides = behaviour;
    const early =
      verified !== undefined &&
      (response.step === 'setup-m4' ? twin.sealsTransientM4 : twin.sealsVerifyM4({ inSession: framed }));
    if (early) this.frames.secure(session, verified);
    this.send(session, response, sealed || early, out, request);
    if (verified === undefined) return;
    if (!early) this.frames.secure(session, verified);
    const older = this.connections.ofController(verified.requester.id, session.number);
    if (older.length > 0 && behaviour.secondSession === 'ends-older')
      for (const one of older) out.push(this.connections.end(one));
  }

  send(session: Session, response: Response, sealed: boolean, out: Reaction[], request?: HttpMessage): void {
    const { behaviour, code } = this.device;
    const { step, status, unreadable = false } = response;
    const extra = [
      ...(request === undefined ? [] : behaviour.answeringHeaders(request)),
      ...(response.headers ?? []),
      ...behaviour.extraHeaders(code),
    ];
    const message = encodeResponse(behaviour, response, extra, request?.version);
    const secured =
      sealed && behaviour.sealsMessage({ kind: 'response', status, unreadable })
        ? session.secured
        : undefined;
    const bytes = secured ? this.events.sealWithHeld(secured, message) : message;
    const delay = this.delayOf(step);
    out.push({ connection: session.number, kind: 'send', bytes, ...(delay > 0 && { delay }) });
  }

  private delayOf(step: Step | undefined): number {
    if (step === undefined) return 0;
    const { latency } = this;
    const given = typeof latency === 'function' ? latency(step) : latency[step];
    return given ?? this.device.behaviour.takes(step);
  }

  /** True where a faulty twin begins Pair Verify anew in plaintext, inside a session. */
  private unseals(session: Session, { path }: HttpMessage): boolean {
    if (path !== '/pair-verify' || this.device.behaviour.verifyInSession !== 'in-plaintext') return false;
    session.unsealed = session.secured?.requester;
    session.secured = undefined;
    return true;
  }
}

/** What is served, and how. */
export interface ServeDecisions extends ServeAsides {
  /** What becomes of a request that has come whole; a number is the HTTP status it is refused with. */
  admits(request: ArrivedRequest): 'serve' | 'silence' | 'close' | number;
  closesAfter(response: SentResponse): boolean;
  /** Headers that answer those of a request. */
  answeringHeaders(request: HttpMessage): readonly (readonly [string, string])[];
  /** What becomes of a request that has come right behind another one. */
  readonly pipelined: 'served' | 'dropped' | 'stops-it';
}

/** What only a faulty twin answers otherwise. */
export interface ServeAsides {
  /** True to seal a transient M4 with the keys it only announces. */
  readonly sealsTransientM4: boolean;
  /** True to seal Pair Verify M4 with the keys it only announces; `inSession` when it is sealed anyhow. */
  sealsVerifyM4(place: { inSession: boolean }): boolean;
  /** Headers beyond those every response has. */
  extraHeaders(code: SetupCode): readonly (readonly [string, string])[];
}

export const healthyServing: ServeDecisions = {
  admits: () => 'serve',
  closesAfter: ({ closeRequested }) => closeRequested,
  answeringHeaders: () => [],
  pipelined: 'served',

  sealsTransientM4: false,
  sealsVerifyM4: () => false,
  extraHeaders: () => [],
};
