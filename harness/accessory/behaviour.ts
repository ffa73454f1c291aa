import { type AnnouncementDecisions, healthyAnnouncement } from './announcement/announcement.js';
import { type DatabaseDecisions, healthyDatabase } from './database.js';
import { type DeviceDecisions, healthyDevice } from './device/device.js';
import { type ImportDecisions, healthyImport } from './device/import.js';
import { type RouteDecisions, healthyRoutes } from './http/route.js';
import { type ServeDecisions, healthyServing } from './http/serve.js';
import { type ReplyDecisions, healthyReplies } from './messages/reply.js';
import { type RequestDecisions, healthyRequests } from './messages/request.js';
import { type ResponseDecisions, healthyResponses } from './messages/response.js';
import { type SealedDecisions, healthySealing } from './messages/sealed.js';
import { type PairingsDecisions, healthyPairings } from './pairings/pairings.js';
import { type ConnectionDecisions, healthyConnections } from './session/connections.js';
import { type EventDecisions, healthyEvents } from './session/events.js';
import { type FrameDecisions, healthyFrames } from './session/frames.js';
import { type ReceptionDecisions, healthyReception } from './session/reception.js';
import { type ExchangeDecisions, healthyExchanges } from './setup/exchanges.js';
import { type M1Decisions, healthyM1 } from './setup/m1.js';
import { type M3Decisions, healthyM3 } from './setup/m3.js';
import { type M5Decisions, healthyM5 } from './setup/m5.js';
import { type VerifyDecisions, healthyVerify } from './verify/verify.js';

/**
 * Every decision the accessory takes, one member each, as the machines ask them. A faulty twin is
 * `{ ...healthy, ...change(healthy) }`. Members are pure: what they return depends on their arguments alone.
 */
export interface Behaviour
  extends
    RequestDecisions,
    ReplyDecisions,
    ResponseDecisions,
    SealedDecisions,
    DeviceDecisions,
    ImportDecisions,
    DatabaseDecisions,
    ExchangeDecisions,
    M1Decisions,
    M3Decisions,
    M5Decisions,
    VerifyDecisions,
    PairingsDecisions,
    ConnectionDecisions,
    FrameDecisions,
    EventDecisions,
    ReceptionDecisions,
    RouteDecisions,
    ServeDecisions,
    AnnouncementDecisions {}

/** The accessory as the protocol wants it. */
export const healthy: Behaviour = {
  ...healthyRequests,
  ...healthyReplies,
  ...healthyResponses,
  ...healthySealing,
  ...healthyDevice,
  ...healthyImport,
  ...healthyDatabase,
  ...healthyExchanges,
  ...healthyM1,
  ...healthyM3,
  ...healthyM5,
  ...healthyVerify,
  ...healthyPairings,
  ...healthyConnections,
  ...healthyFrames,
  ...healthyEvents,
  ...healthyReception,
  ...healthyRoutes,
  ...healthyServing,
  ...healthyAnnouncement,
};
