/**
 * Sessions that are silent for long, as those of phones and hubs are between two touches: they wait beside the rest of a
 * run. Behind the silence keys, counters and subscriptions are what they were, and nobody else was kept out meanwhile.
 */
import {
  type Characteristic,
  type Controller,
  type Link,
  type Session,
  type Silent,
  StepFailed,
  chapter,
  describeOutcome,
  outcomes,
} from '../../harness/suite.js';
import { EVENT_WAIT, NO_SWITCH, isOn, isSwitch, told } from './shared.js';

const served = outcomes.served();
const NEW = 'the new value';
const NEWEST_ONLY = 'a newer session of a controller ends the one before';
/** An accessory may end what is idle, with a FIN; whoever finds that verifies anew, and is a moment late. */
const orClosed = {
  allow: [outcomes.answered(200)],
  tolerate: [outcomes.closed()],
  forbid: [outcomes.silence(), outcomes.plaintextReply()],
};

async function session(controller: Controller): Promise<Silent<Session>> {
  const opened = await controller.session();
  // Counters that were at 0 all the time would not show that they begin anew.
  const outcome = await opened.get('/accessories');
  if (!outcomes.answered(200).matches(outcome))
    throw new StepFailed('PV-M3-01', `GET /accessories was answered by ${describeOutcome(outcome)}`);
  opened.link.note('silence from here');
  return { link: opened.link, session: opened };
}

/** Another session writes the other value, and then the old one: what the listener is told of the first. */
async function toldOfChange(controller: Controller, link: Link, item: Characteristic): Promise<unknown> {
  const writer = await controller.session();
  if (!(await link.stillOpen(20))) return NEWEST_ONLY;
  const now = (await writer.characteristics()).find(({ aid, iid }) => aid === item.aid && iid === item.iid);
  const value = isOn(now ?? item);
  // What others have written meanwhile was told as well.
  while ((await link.event(50)) !== undefined);
  const outcome = await writer.put(item, { value: !value });
  if (!served.matches(outcome))
    throw new StepFailed('SESS-21', `a write was answered by ${describeOutcome(outcome)}`);
  const event = await link.event(EVENT_WAIT);
  await writer.put(item, { value });
  await writer.link.close();
  const heard = told(event, item);
  return heard === !value ? NEW : typeof heard === 'string' ? heard : `the value ${String(heard)}`;
}

async function subscribed(controller: Controller): Promise<Silent<Session> | string> {
  const { link, session: listener } = await session(controller);
  const item = (await listener!.characteristics()).find(isSwitch);
  if (item === undefined) return NO_SWITCH;
  const outcome = await listener!.put(item, { ev: true });
  if (!served.matches(outcome)) return 'a subscription is not served (SESS-21)';
  // Where no event comes at once, none will come later: SESS-21 is about that.
  const heard = await toldOfChange(controller, link, item);
  if (heard === NEWEST_ONLY) return NEWEST_ONLY;
  if (heard !== NEW) return 'a change is not told at once (SESS-21)';
  await link.event(EVENT_WAIT);
  link.note('silence from here');
  return { link, session: listener!, item };
}

async function plain(controller: Controller): Promise<Silent<Session>> {
  const link = await controller.open();
  link.note('silence from the first byte on');
  return { link };
}

export default chapter('session.silence', ({ check }) => [
  check(
    'SESS-27',
    'Sessions outlast a long silence',
    { from: 'paired', costs: { verifies: 1 }, beside: session, ...orClosed },
    async ({ controller, bench, expect, observe }) => {
      const { vigil } = bench;
      const waiting = await vigil.take('SESS-27', () => session(controller));
      for (const silence of vigil.silences) {
        const lasted = await vigil.wait('SESS-27', silence);
        observe('silence', lasted);
        const first = await waiting.session!.get('/accessories');
        expect(first, `a request behind ${lasted} of silence`).to.be.allowed();
        if (outcomes.closed().matches(first)) return;
        const second = await waiting.session!.get('/accessories');
        expect(second, 'the request behind that').to.be.allowed({ ...orClosed, tolerate: [] });
        vigil.spoke();
      }
    },
  ),

  check(
    'SESS-28',
    'Subscriptions outlast a long silence',
    {
      from: 'paired',
      needs: ['SESS-27', 'SESS-29/pair-verify'],
      costs: { verifies: 5 },
      beside: subscribed,
      allow: [outcomes.answered(200)],
    },
    async ({ controller, bench, expect, observe, notApplicable }) => {
      const { vigil } = bench;
      const { link, item, session: listener } = await vigil.take('SESS-28', () => subscribed(controller));
      for (const silence of vigil.silences) {
        const lasted = await vigil.wait('SESS-28', silence);
        observe('silence', lasted);
        if (!(await link.stillOpen(0)))
          return notApplicable(`the session was closed in ${lasted} of silence`);
        const heard = await toldOfChange(controller, link, item!);
        if (heard === NEWEST_ONLY) return notApplicable(NEWEST_ONLY);
        expect(heard, `what comes of a change behind ${lasted} of silence`).to.equal(NEW);
        await link.event(EVENT_WAIT);
        const behind = await listener!.get('/accessories');
        // To hear is not to speak: it may be idle all the same.
        expect(behind, 'a request behind the events').to.be.allowed(orClosed);
        if (outcomes.closed().matches(behind)) return;
        vigil.spoke();
      }
    },
  ),

  check(
    'SESS-29/pair-verify',
    'A long silence keeps nobody out',
    {
      from: 'paired',
      needs: ['PV-M3-01'],
      costs: { verifies: 4 },
      beside: session,
      allow: [outcomes.answered(200), outcomes.success('verify-m2'), outcomes.success('verify-m4')],
    },
    async ({ controller, bench, expect, observe }) => {
      const { vigil } = bench;
      await vigil.take('SESS-29/pair-verify', () => session(controller));
      for (const silence of vigil.silences) {
        const lasted = await vigil.wait('SESS-29/pair-verify', silence);
        observe('silence', lasted);
        const verify = await controller.verify();
        const about = `beside a session that was silent for ${lasted}`;
        expect(await verify.sendM1(), `Pair Verify M1 ${about}`).to.be.allowed();
        expect(await verify.sendM3(), `Pair Verify M3 ${about}`).to.be.allowed();
        await verify.link.close();
      }
    },
  ),

  check(
    'SESS-29/plain-connection',
    'A long silence keeps nobody out',
    {
      from: 'paired',
      needs: ['PV-M1-01'],
      costs: { verifies: 3 },
      beside: plain,
      allow: [outcomes.success('verify-m2'), outcomes.closed()],
      forbid: [outcomes.silence()],
    },
    async ({ controller, bench, expect, observe }) => {
      const { vigil } = bench;
      const { link } = await vigil.take('SESS-29/plain-connection', () => plain(controller));
      for (const silence of vigil.silences) {
        const lasted = await vigil.wait('SESS-29/plain-connection', silence);
        observe('silence', lasted);
        const verify = await controller.verify({ link });
        const outcome = await verify.sendM1();
        expect(outcome, `Pair Verify M1 on a connection that was silent for ${lasted}`).to.be.allowed();
        if (outcomes.closed().matches(outcome)) return;
        vigil.spoke();
      }
    },
  ),
]);
