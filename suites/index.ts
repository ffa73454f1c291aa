import { loadCases, loadCatalogue, verifySuite } from '../harness/suite.js';
import receiver from './airplay/receiver.js';
import cloneControllers from './clone/controllers.js';
import cloneIdentity from './clone/identity.js';
import cloneIndependence from './clone/independence.js';
import announcement from './discovery/announcement.js';
import label from './discovery/label.js';
import overTime from './discovery/over-time.js';
import exclusions from './excluded.json' with { type: 'json' };
import bugs from './field-bugs.json' with { type: 'json' };
import hazards from './hazards.json' with { type: 'json' };
import connections from './http/connections.js';
import controllers from './http/controllers.js';
import http from './http/messages.js';
import strictness from './http/strictness.js';
import persistence from './identity/persistence.js';
import authentication from './mfi/authentication.js';
import needs from './needs.json' with { type: 'json' };
import errors from './pair-setup/errors.js';
import flags from './pair-setup/flags.js';
import setupHousehold from './pair-setup/household.js';
import interleaved from './pair-setup/interleaved.js';
import m1m2 from './pair-setup/m1-m2.js';
import m3m4 from './pair-setup/m3-m4.js';
import m5m6 from './pair-setup/m5-m6.js';
import m6 from './pair-setup/m6.js';
import states from './pair-setup/states.js';
import chains from './pair-verify/chains.js';
import verifyM1m2 from './pair-verify/m1-m2.js';
import verifyM3m4 from './pair-verify/m3-m4.js';
import verifyStates from './pair-verify/states.js';
import administration from './pairings/administration.js';
import again from './pairings/again.js';
import changes from './pairings/changes.js';
import removals from './pairings/removals.js';
import rights from './pairings/rights.js';
import profiles from './profiles.json' with { type: 'json' };
import encodings from './properties/encodings.js';
import flows from './properties/flows.js';
import refusals from './properties/refusals.js';
import requirements from './requirements.json' with { type: 'json' };
import attacks from './security/attacks.js';
import hostileInput from './security/hostile-input.js';
import srp from './security/srp.js';
import frames from './session/frames.js';
import sessions from './session/sessions.js';
import silence from './session/silence.js';
import traffic from './session/traffic.js';
import encoding from './tlv8/encoding.js';
import grid from './tlv8/grid.js';
import transient from './transient/setup.js';
import split from './transient/split.js';
import zeroBytes from './values/zero-bytes.js';

/** The catalogue and the chapters in the order of the protocol. Loading stops on any contradiction between them. */
export const catalogue = loadCatalogue(requirements);
/** Requirements no check is meant for, each with its reason. */
export const excluded: ReadonlyMap<string, string> = new Map(Object.entries(exclusions));
/** Bugs seen in the field: the faults that reproduce each, or why none can. */
export const fieldBugs: readonly { readonly row: number; readonly faults?: readonly string[] }[] = bugs.rows;
export const suite = loadCases(
  [
    encoding,
    grid,
    m1m2,
    flags,
    m3m4,
    srp,
    m5m6,
    m6,
    errors,
    states,
    interleaved,
    setupHousehold,
    transient,
    split,
    authentication,
    verifyM1m2,
    verifyM3m4,
    verifyStates,
    chains,
    administration,
    changes,
    removals,
    rights,
    again,
    zeroBytes,
    frames,
    traffic,
    sessions,
    silence,
    http,
    connections,
    controllers,
    strictness,
    persistence,
    attacks,
    hostileInput,
    announcement,
    label,
    overTime,
    encodings,
    refusals,
    flows,
    receiver,
    cloneIdentity,
    cloneControllers,
    cloneIndependence,
  ],
  catalogue,
  profiles,
  needs,
  hazards,
);
verifySuite(suite);
