import { type Bytes, TlvType, text, utf8 } from '../../protocol/index.js';
import type { HttpMessage } from '../../wire/index.js';
import { type Database, HapStatus, JSON_TYPE, json } from '../database.js';
import type { Device } from '../device/device.js';
import type { Endpoint, Pairing, Requester } from '../facts.js';
import { type ReplyDecisions, written } from '../messages/reply.js';
import type { Response } from '../messages/response.js';
import { type PairingsDecisions, handlePairings } from '../pairings/pairings.js';
import type { Connections, Session } from '../session/connections.js';
import type { PairSetup, SetupDecisions } from '../setup/setup.js';
import type { VerifyAsides, VerifyDecisions } from '../verify/verify.js';

/** A request that may need a verified session. */
export interface AccessRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** The controller whose Pair Verify secured this connection. */
  readonly verified: Requester | undefined;
  /** A transient Pair Setup secured it. */
  readonly transient: boolean;
  /** A Pair Verify M1 was answered on this connection. */
  readonly sawVerifyM1: boolean;
  /** Who a Pair Verify M3 on this connection said it was, right or wrong. */
  readonly claimed: Requester | undefined;
  /** The controller whose Pair Verify was the last to succeed, on any connection. */
  readonly lastVerified: Requester | undefined;
  readonly pairings: readonly Pairing[];
}

/** What an AirPlay receiver says it understands. */
const PUBLIC =
  'ANNOUNCE, SETUP, RECORD, PAUSE, FLUSH, TEARDOWN, OPTIONS, GET_PARAMETER, SET_PARAMETER, POST, GET';

/** Start and end marker of a JPEG with nothing between: the reference accessory has no camera, only the path. */
const EMPTY_IMAGE = Uint8Array.of(0xff, 0xd8, 0xff, 0xd9);

/** A Map, because a peer names the path: `constructor` would be found in an object. */
const protectedPaths: ReadonlyMap<string, readonly string[]> = new Map([
  ['/accessories', ['GET']],
  ['/characteristics', ['GET', 'PUT']],
  ['/prepare', ['PUT']],
  ['/resource', ['POST']],
]);

/** What each method and path is answered with. */
export class Router {
  constructor(
    private readonly device: Device<
      RouteDecisions & ReplyDecisions & SetupDecisions & VerifyDecisions & PairingsDecisions
    >,
    private readonly connections: Connections,
    private readonly setup: PairSetup,
    private readonly database: Database,
  ) {}

  /** The response, or undefined for silence. */
  respond(session: Session, request: HttpMessage, now: number): Response | undefined {
    const { behaviour } = this.device;
    const { method } = request;
    const [asked = '', query = ''] = request.path.split('?', 2);
    const path = behaviour.route(asked);
    const twin: VerifyAsides = behaviour;
    if (path !== '/pair-verify' && twin.endsVerifyOnOtherRequest) session.verify.forget();
    const barred =
      session.secured?.requester.transient === true ? behaviour.transientStatus({ method, path }) : undefined;
    if (barred !== undefined) return { status: barred };
    if (path === '*' && method === 'OPTIONS') return { status: 200, headers: [['Public', PUBLIC]] };
    if (path === '/pair-pin-start') return { status: method === 'POST' ? 200 : 405 };
    if (path === '/info') return this.information(method);
    if (path === '/identify') return this.identify(method);
    if (path === '/pair-setup' || path === '/pair-verify' || path === '/pairings')
      return this.respondPairing(session, path, request, now, behaviour.pairingsMethod(asked));
    const methods = protectedPaths.get(path);
    if (methods === undefined) return { status: 404 };
    if (this.requester(session, method, path) === undefined)
      return {
        ...json(behaviour.unauthorisedStatus, { status: HapStatus.InsufficientAuthorization }),
        contentType: JSON_TYPE,
      };
    if (!methods.includes(method)) return { status: 405 };
    const subscriptions = session.secured?.subscriptions ?? new Map<number, boolean>();
    if (path === '/accessories') return { ...this.database.accessories(), contentType: JSON_TYPE };
    if (path === '/prepare') return { ...json(200, { status: HapStatus.Success }), contentType: JSON_TYPE };
    if (path === '/resource') return { status: 200, body: EMPTY_IMAGE, contentType: 'image/jpeg' };
    return {
      ...(method === 'GET'
        ? this.database.read(query, subscriptions)
        : this.database.write(request.body, subscriptions)),
      contentType: JSON_TYPE,
    };
  }

  private respondPairing(
    session: Session,
    path: '/pair-setup' | '/pair-verify' | '/pairings',
    request: HttpMessage,
    now: number,
    only: number | undefined,
  ): Response | undefined {
    if (request.method !== 'POST') return { status: 405 };
    const { device, setup } = this;
    const { behaviour } = device;
    const message = behaviour.decode(request.body);
    const endpoint = path.slice(1) as Endpoint;
    if (!behaviour.survives({ endpoint, message, setup: setup.exchanges.progress(session.number) })) {
      this.connections.dead = true;
      return undefined;
    }
    if (path === '/pair-setup') {
      const silence = (holder: number): number | undefined => {
        const other = this.connections.get(holder);
        return other && now - other.heard;
      };
      const elsewhere = setup.elsewhere(session.number, silence);
      const { sawM1: sawVerify, failed: failedVerify } = session.verify;
      const situation = { ...elsewhere, secured: session.secured !== undefined, sawVerify, failedVerify };
      const { reply, verified } = setup.handle(session.number, message, situation);
      const response = written(behaviour, reply);
      if (response?.refused === true) session.verify.setupRefused = true;
      return response && verified ? { ...response, verified } : response;
    }
    if (path === '/pair-verify') {
      // A second Pair Verify inside a session would have to switch keys in the middle of it.
      if (session.secured !== undefined && behaviour.verifyInSession === 'refused') return { status: 400 };
      const { reply, verified } = session.verify.handle(message);
      const response = written(behaviour, reply);
      const twin: RouteAsides = behaviour;
      if (response?.refused === true && twin.refusedVerifyEndsSetups) setup.exchanges.dropAll();
      return response && verified ? { ...response, verified } : response;
    }
    const requester = this.requester(session, request.method, path);
    if (requester === undefined) return { status: behaviour.unauthorisedStatus };
    if (only !== undefined && message.get(TlvType.Method)?.[0] !== only) return { status: 400 };
    return written(behaviour, handlePairings(device, message, requester));
  }

  private information(method: string): Response {
    if (method !== 'GET') return { status: 405 };
    const { identity, behaviour } = this.device;
    const body = utf8(behaviour.information({ id: text(identity.id), ltpk: identity.ltpk }));
    return { status: 200, body, contentType: 'text/x-apple-plist+xml' };
  }

  private identify(method: string): Response {
    if (method !== 'POST') return { status: 405 };
    if (this.device.pairings.length === 0) return { status: 204 };
    return { ...json(400, { status: HapStatus.InsufficientPrivileges }), contentType: JSON_TYPE };
  }

  /** Who a request is served for. */
  private requester(session: Session, method: string, path: string): Requester | undefined {
    const { behaviour, pairings } = this.device;
    const owner = session.secured?.requester ?? session.unsealed;
    const transient = owner?.transient === true;
    const verified = transient ? undefined : owner;
    const { sawM1, claimed } = session.verify;
    const { lastVerified } = this.connections;
    return behaviour.servesAs({
      method,
      path,
      verified,
      transient,
      sawVerifyM1: sawM1,
      claimed,
      lastVerified,
      pairings,
    });
  }
}

const hapPaths: ReadonlySet<string> = new Set([
  '/identify',
  '/pair-setup',
  '/pair-verify',
  '/pairings',
  '/accessories',
  '/characteristics',
  '/prepare',
  '/resource',
]);

/** What there is, and for whom. */
export interface RouteDecisions extends RouteAsides {
  /** What a path stands for, by the names HAP gives to resources; anything else is not found. */
  route(path: string): string;
  /** The only Method a path of pairings takes, or undefined for all. */
  pairingsMethod(path: string): number | undefined;
  /** What a session may read of the accessory where there is no attribute database. */
  information(facts: { readonly id: string; readonly ltpk: Bytes }): string;
  /** The HTTP status a request inside a transient session is refused with, or undefined to serve it as any other. */
  transientStatus(request: { method: string; path: string }): number | undefined;
  /** Who the request is served for; undefined refuses it. */
  servesAs(request: AccessRequest): Requester | undefined;
  /** The HTTP status of a request that is served for nobody: 470, or what web frameworks have for it. */
  readonly unauthorisedStatus: number;
  /** Pair Verify inside a verified session is refused, begins anew in plaintext, or changes the keys of the session. */
  readonly verifyInSession: 'refused' | 'in-plaintext' | 're-keys';
}

/** What only a faulty twin answers otherwise. */
export interface RouteAsides {
  /** True to end every Pair Setup in progress when a Pair Verify is refused, on whatever connection. */
  readonly refusedVerifyEndsSetups: boolean;
}

export const healthyRoutes: RouteDecisions = {
  route: (path) => (hapPaths.has(path) ? path : '/unknown'),
  pairingsMethod: () => undefined,
  information: () => '',
  transientStatus: () => 400,
  servesAs: ({ verified }) => verified,
  unauthorisedStatus: 470,
  verifyInSession: 'refused',

  refusedVerifyEndsSetups: false,
};
