/**
 * Sessions side by side and one after the other: independent, at least eight of them, idle ones, abrupt ends.
 * No plaintext comes from the accessory behind M4, and events come whole, between responses.
 * The accessory must not tire of sessions that come and go.
 */
import {
  type Characteristic,
  type CheckContext,
  type Controller,
  type Session,
  StepFailed,
  chapter,
  hap,
  outcomes,
} from '../../harness/suite.js';
import { EVENT_WAIT, NO_SWITCH, isOn, isSwitch, told } from './shared.js';

const request = { method: 'GET', path: '/accessories' };
const json: [string, string] = ['Content-Type', 'application/hap+json'];
const ok = { allow: [outcomes.answered(200)] };
const mustClose = { allow: [outcomes.closed()], forbid: [outcomes.anyReply()] };

/** Requests that end in the error paths of an HTTP server. */
const errorCases = {
  'unknown-path': { method: 'GET', path: '/no-such-path' },
  'wrong-method': { method: 'DELETE', path: '/accessories' },
  'bad-json': {
    method: 'PUT',
    path: '/characteristics',
    headers: [json],
    body: hap.utf8('{"characteristics":['),
  },
};
const errorBytes = {
  'malformed-http': hap.utf8('GET /accessories\r\n:\r\n\r\n'),
  'oversize-body': hap.utf8('PUT /characteristics HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n{'),
};
const sealedOrNothing = {
  allow: [outcomes.anyReply(), outcomes.closed(), outcomes.silence()],
  forbid: [outcomes.plaintextReply()],
};

/** What every accessory must be able to keep. */
const SESSIONS = 8;
/** Where the search for the limit ends: each Pair Verify takes a device 0.3 s. */
const MOST_SESSIONS = 16;
/** More often than most accessories have sockets. */
const REPETITIONS = 10;
/** No accessory known ends a session that was idle for less (ms). */
const IDLE = 20_000;

/** Sessions up to a number, as many as come about. */
async function sessionsOf(controller: Controller, count: number): Promise<Session[]> {
  const sessions: Session[] = [];
  const session = await controller.trySession();
  if (session === undefined) return [];
  sessions.push(session);
  while (sessions.length < count) {
    const [first] = sessions;
    const next = await controller.trySession();
    if (next === undefined) break;
    // Only the newest session of a controller may live (PV-STATE-05): then each gets a controller of its own.
    if (!(await first!.link.stillOpen(20))) return guestsOf(controller, next, count);
    sessions.push(next);
  }
  return sessions;
}

/** One more controller, while there is room for it. */
async function guestOf(controller: Controller, host: Session): Promise<hap.Identity | undefined> {
  try {
    return await controller.letIn(host);
  } catch (error) {
    if (error instanceof StepFailed) return undefined;
    throw error;
  }
}

/** A session, and more of as many other controllers as it takes to make `count`. */
async function guestsOf(controller: Controller, host: Session, count: number): Promise<Session[]> {
  const sessions = [host];
  while (sessions.length < count) {
    const guest = await guestOf(controller, host);
    if (guest === undefined) break;
    const session = await controller.trySession({ as: guest });
    if (session === undefined) break;
    sessions.push(session);
  }
  return sessions;
}

/** Two sessions of one controller and one of another, which is removed at the end. */
async function withThreeSessions(
  { controller, bench, expect }: CheckContext,
  use: (first: Session, second: Session, other: Session) => Promise<readonly Session[]>,
): Promise<void> {
  let first = await controller.session();
  const user = bench.learned.insteadOfVerified ? undefined : await controller.letIn(first);
  let second = await controller.trySession();
  if (second !== undefined && !(await first.link.stillOpen(20))) {
    // Only the newest session of a controller lives: then two of different ones have to do.
    first = second;
    second = await controller.guestSession(first);
  }
  const other = await controller.trySession(user && { as: user });
  expect(second, 'a second session').to.not.equal(undefined);
  expect(other, 'a session of another controller').to.not.equal(undefined);
  if (second === undefined || other === undefined) return;
  for (const session of [first, second, other, first, second, other])
    expect(await session.request(request, controller.stepWait), 'side by side').to.be.allowed(ok);
  const rest = await use(first, second, other);
  for (const session of rest)
    expect(await session.request(request, controller.stepWait), 'a session that goes on').to.be.allowed(ok);
  if (user !== undefined && bench.learned.keepsAll === undefined)
    await rest.find(({ identity }) => identity !== user)?.sendRemove(user.id);
}

/** A listener that has subscribed, a writer, and the values that go back and forth. */
interface Notified {
  readonly listener: Session;
  readonly writer: Session;
  readonly item: Characteristic;
  /** The value it has, and the other one. */
  readonly values: readonly [boolean, boolean];
}

async function notified(context: CheckContext, subscribes = true): Promise<Notified> {
  const { controller, expect, notApplicable } = context;
  const listener = await controller.session();
  const item = (await listener.characteristics()).find(isSwitch);
  if (item === undefined) return notApplicable(NO_SWITCH);
  const writer = await controller.guestSession(listener);
  if (subscribes)
    expect(await listener.put(item, { ev: true }), 'subscription').to.be.allowed({
      allow: [outcomes.served()],
    });
  const value = isOn(item);
  return { listener, writer, item, values: [value, !value] };
}

/** Exchanges begun one behind the other, none of which is finished: one more than the tables of eight and of sixteen that boards have hold. */
const SETUPS = 9;
const VERIFIES = 20;

export default chapter('session.sessions', ({ check, watch }) => [
  watch(
    'SESS-20/every-byte',
    'No plaintext from the accessory after M4',
    'secured',
    ({ wrong }, { expect, violate }) => {
      if (wrong !== undefined) violate(`bytes on a secured connection: ${wrong}`);
      expect(wrong).to.equal(undefined);
    },
  ),
  ...Object.entries(errorCases).map(([name, wrong]) =>
    check(
      `SESS-20/${name}`,
      'No plaintext from the accessory after M4',
      { from: 'paired', risky: true, costs: { verifies: 1 }, ...sealedOrNothing },
      async ({ controller, expect }) => {
        const session = await controller.session();
        expect(await session.request(wrong)).to.be.allowed();
      },
    ),
  ),
  ...Object.entries(errorBytes).map(([name, bytes]) =>
    check(
      `SESS-20/${name}`,
      'No plaintext from the accessory after M4',
      { from: 'paired', risky: true, costs: { verifies: 1 }, ...sealedOrNothing },
      async ({ controller, expect }) => {
        const session = await controller.session();
        const frames = session.sealParts([bytes]);
        expect(await session.sendRaw(hap.concat(...frames), name.replace('-', ' '))).to.be.allowed();
      },
    ),
  ),

  check(
    'SESS-21/delivered',
    'Events come as whole messages between responses',
    { from: 'paired', costs: { verifies: 5 }, allow: [outcomes.served()] },
    async (context) => {
      const { expect } = context;
      const { listener, writer, item, values } = await notified(context);
      for (const value of [values[1], values[0]]) {
        expect(await writer.put(item, { value }), 'write').to.be.allowed();
        expect(told(await listener.link.event(EVENT_WAIT), item), 'event').to.equal(value);
        // Its frame took its place among those of the responses.
        expect(await listener.get('/accessories'), 'a request behind the event').to.be.allowed(ok);
      }
    },
  ),
  check(
    'SESS-21/between-responses',
    'Events come as whole messages between responses',
    { from: 'paired', costs: { verifies: 5 }, allow: [outcomes.served()] },
    async (context) => {
      const { expect } = context;
      const { listener, writer, item, values } = await notified(context);
      let last: unknown;
      for (const value of [values[1], values[0], values[1], values[0]]) {
        const [reply, write] = await Promise.all([listener.get('/accessories'), writer.put(item, { value })]);
        expect(reply, 'a long reply while the value changes').to.be.allowed(ok);
        expect(write, 'write').to.be.allowed();
        last = value;
      }
      // Changes may be told together, so only the last of them is certain to come.
      let heard: unknown;
      do heard = told(await listener.link.event(EVENT_WAIT), item);
      while (typeof heard === 'boolean' && (heard !== last || listener.link.events.length > 0));
      expect(heard, 'the last event').to.equal(last);
    },
  ),
  check(
    'SESS-21/in-order',
    'Events come as whole messages between responses',
    { from: 'paired', costs: { verifies: 5 }, allow: [outcomes.served()] },
    async (context) => {
      const { bench, expect } = context;
      const { listener, writer, item, values } = await notified(context);
      for (const value of [values[1], values[0], values[1]])
        expect(await writer.put(item, { value }), 'write').to.be.allowed();
      let last: unknown = told(await listener.link.event(EVENT_WAIT), item);
      for (;;) {
        const event = await listener.link.event(bench.options.patience.silence);
        if (event === undefined) break;
        last = told(event, item);
      }
      expect(last, 'the last event of three changes').to.equal(values[1]);
      expect(await writer.put(item, { value: values[0] }), 'back').to.be.allowed();
    },
  ),
  ...Object.entries({
    'not-to-the-writer': async (context: CheckContext) => {
      const { writer, item, values } = await notified(context);
      await writer.put(item, { value: values[1] });
      return { quiet: writer, writer, item, values };
    },
    'not-for-a-subscription': async (context: CheckContext) => {
      const all = await notified(context);
      return { quiet: all.listener, ...all };
    },
    'not-without-a-subscription': async (context: CheckContext) => {
      const all = await notified(context, false);
      await all.writer.put(all.item, { value: all.values[1] });
      return { quiet: all.listener, ...all };
    },
    'not-after-it-was-taken-back': async (context: CheckContext) => {
      const all = await notified(context);
      await all.listener.put(all.item, { ev: false });
      await all.writer.put(all.item, { value: all.values[1] });
      return { quiet: all.listener, ...all };
    },
    'not-after-the-connection-has-ended': async (context: CheckContext) => {
      const all = await notified(context);
      await all.listener.link.close();
      const again = await context.controller.session();
      await all.writer.put(all.item, { value: all.values[1] });
      return { quiet: again, ...all };
    },
  }).map(([name, stimulus]) =>
    check(
      `SESS-21/${name}`,
      'Events come as whole messages between responses',
      {
        from: 'paired',
        costs: { verifies: name === 'not-after-the-connection-has-ended' ? 3 : 2 },
        allow: [outcomes.served()],
      },
      async (context) => {
        const { controller, expect } = context;
        const { quiet, writer, item, values } = await stimulus(context);
        const event = await quiet.link.event(controller.eventWait);
        expect(event && told(event, item), 'an event').to.equal(undefined);
        expect(await writer.put(item, { value: values[0] }), 'the value back').to.be.allowed();
      },
    ),
  ),
  check(
    'SESS-21/not-to-plain-connections',
    'Events come as whole messages between responses',
    {
      from: 'paired',
      costs: { verifies: 6 },
      allow: [outcomes.silence(), outcomes.closed()],
      forbid: [outcomes.anyReply()],
    },
    async (context) => {
      const { controller, expect } = context;
      const { writer, item, values } = await notified(context);
      const plain = [await controller.open(), (await controller.pairVerify()).link];
      await writer.put(item, { value: values[1] });
      const outcomes = await Promise.all(plain.map((link) => link.outcome(controller.eventWait)));
      for (const [i, link] of plain.entries()) {
        expect(outcomes[i], 'a connection without a session').to.be.allowed();
        expect(link.events.length, 'events in plaintext').to.equal(0);
      }
      await writer.put(item, { value: values[0] });
    },
  ),

  check(
    'SESS-22/frame-of-another-session',
    'Sessions are independent',
    { from: 'paired', risky: true, costs: { verifies: 5 }, ...mustClose },
    (context) =>
      withThreeSessions(context, async (first, second, other) => {
        const frame = hap.concat(...first.seal(request));
        context.expect(await second.sendRaw(frame, 'a frame of another session')).to.be.allowed();
        first.link.said('the same frame in its own session');
        first.link.send(frame);
        const outcome = await first.link.outcome(context.controller.stepWait);
        context.expect(outcome, 'in its own session').to.be.allowed(ok);
        return [first, other];
      }),
  ),
  check(
    'SESS-22/broken-session',
    'Sessions are independent',
    { from: 'paired', risky: true, costs: { verifies: 5 }, ...mustClose },
    (context) =>
      withThreeSessions(context, async (first, second, other) => {
        const frame = hap.concat(...first.seal(request));
        frame[frame.length - 1]! ^= 1;
        context.expect(await first.sendRaw(frame, 'a frame with a wrong tag')).to.be.allowed();
        return [second, other];
      }),
  ),
  check(
    'SESS-22/ended-sessions',
    'Sessions are independent',
    { from: 'paired', costs: { verifies: 5 }, ...ok },
    (context) =>
      withThreeSessions(context, async (first, second, other) => {
        await second.link.close();
        await other.link.close();
        return [first];
      }),
  ),

  check(
    'SESS-23',
    'At least 8 concurrent verified sessions',
    { from: 'paired', risky: true, alone: true, costs: { verifies: MOST_SESSIONS + 1 }, ...ok },
    async ({ controller, bench, expect, observe }) => {
      const sessions = await sessionsOf(controller, SESSIONS);
      expect(sessions.length, 'sessions at once').to.equal(SESSIONS);
      for (let round = 1; round <= 3; round++)
        for (const [index, session] of sessions.entries())
          expect(await session.get('/accessories'), `session ${index + 1}, request ${round}`).to.be.allowed();
      const used = bench.clock.now();
      sessions.push(...(await sessionsOf(controller, MOST_SESSIONS - SESSIONS)));
      observe(
        'sessions at once',
        sessions.length < MOST_SESSIONS ? String(sessions.length) : `${MOST_SESSIONS} or more`,
      );
      const alive: Session[] = [];
      for (const session of sessions)
        if (outcomes.answered(200).matches(await session.get('/accessories'))) alive.push(session);
      // The oldest may have made room for those beyond the eighth, one for one; and one that was idle for long while a
      // slow board verified the others may have ended for that (SESS-24).
      if (bench.clock.now() - used < IDLE)
        expect(alive.length, 'sessions that still work').to.be.at.least(SESSIONS);
      else observe('sessions that still work, the first ones idle for long', String(alive.length));
      await alive.at(-1)?.link.close();
      const deadline = bench.clock.now() + 5_000;
      let fresh = await controller.trySession();
      while (fresh === undefined && bench.clock.now() < deadline) {
        await bench.clock.sleep(500);
        fresh = await controller.trySession();
      }
      expect(fresh, 'a new session within 5 s of the end of another').to.not.equal(undefined);
    },
  ),

  check(
    'SESS-24',
    'Idle sessions stay usable',
    { from: 'paired', costs: { verifies: 3, seconds: 60 }, ...ok, tolerate: [outcomes.closed()] },
    async ({ controller, bench, expect }) => {
      const session = await controller.session();
      session.link.said('a minute without traffic');
      await bench.clock.sleep(60_000);
      expect(await session.get('/accessories')).to.be.allowed();
    },
  ),

  ...(['half-closed', 'reset'] as const).map((how) =>
    check(
      `SESS-25/${how}`,
      'Half-closed and reset connections',
      {
        from: 'paired',
        risky: true,
        alone: true,
        costs: { verifies: REPETITIONS + SESSIONS },
        allow: [outcomes.answered(200), outcomes.closed()],
      },
      async ({ controller, bench, expect }) => {
        for (let round = 1; round <= REPETITIONS; round++) {
          const session = await controller.trySession();
          expect(session, `session ${round}`).to.not.equal(undefined);
          const { link } = session!;
          link.said(`GET /accessories, then the connection is ${how.replace('-', ' ')}`);
          link.send(hap.concat(...session!.seal(request)));
          if (how === 'half-closed') {
            link.finish();
            expect(await link.outcome(controller.judgedWait), `round ${round}`).to.be.allowed();
            continue;
          }
          // Every other time the reply has begun by then.
          if (round % 2 === 0) await link.connection.next(bench.clock.now() + controller.judgedWait);
          link.reset();
        }
        await bench.closeLinks();
        const deadline = bench.clock.now() + 10_000;
        let sessions = await sessionsOf(controller, SESSIONS);
        while (sessions.length < SESSIONS && bench.clock.now() < deadline) {
          await bench.closeLinks();
          await bench.clock.sleep(2_000);
          sessions = await sessionsOf(controller, SESSIONS);
        }
        expect(sessions.length, 'sessions at once afterwards').to.equal(SESSIONS);
      },
    ),
  ),

  check(
    'SESS-26/setups',
    'What has ended takes no room',
    { from: 'unpaired', costs: { m2: SETUPS }, allow: [outcomes.success('setup-m2')] },
    async ({ controller, expect }) => {
      for (let i = 1; i <= SETUPS; i++) {
        const setup = await controller.setup();
        expect(await setup.sendM1(), `M1 number ${i}, the connections before have ended`).to.be.allowed();
        await setup.link.close();
      }
    },
  ),
  check(
    'SESS-26/verifies',
    'What has ended takes no room',
    {
      from: 'paired',
      keyless: true,
      needs: ['PV-M1-01'],
      costs: { verifies: VERIFIES },
      allow: [outcomes.success('verify-m2')],
    },
    async ({ controller, expect }) => {
      for (let i = 1; i <= VERIFIES; i++) {
        const verify = await controller.verify();
        expect(await verify.sendM1(), `M1 number ${i}, the connections before have ended`).to.be.allowed();
        await verify.link.close();
      }
    },
  ),
  watch('SESS-26', 'What has ended takes no room', 'admission', ({ shut }, { expect, violate }) => {
    if (shut?.requirement === 'SESS-26') violate(shut.what);
    expect(shut?.requirement, 'what keeps Pair Setup and Pair Verify from being served').to.not.equal(
      'SESS-26',
    );
  }),
]);
