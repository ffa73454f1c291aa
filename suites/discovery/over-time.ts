/**
 * The network over time: phones and hubs keep what they have heard, and look at it while they talk. So what is announced
 * does not move, does not go away while somebody pairs, and is there whenever and however it is asked for.
 */
import { type Announced, type Asking, type CheckContext, chapter, hap } from '../../harness/suite.js';
import { announced, notPaired, told } from './announced.js';

/** How long (ms) an old announcement may still come: answers that were under way. */
const UNDER_WAY = 1_000;
/** How long (ms) what a check before has changed may still be told. */
const NOTHING_FOR = 1_500;
/** How long (ms) is listened behind a change. */
const LISTENED = 2_500;
/** Longer than others may keep the records that name the host (RFC 6762 §10: 120 s). */
const EXPIRED = 130_000;
/** How much later (ms) it is asked once more. */
const AND_LATER = 10_000;
/** Bytes of the longest label of DNS. */
const MOST_BYTES = 63;

const pairing = { from: 'unpaired', leaves: 'paired', needs: ['PS-M5-01', 'MDNS-01'] } as const;
const costs = { m2: 1, m4: 1, m6: 1 } as const;

/** What a device that stays the same says the same of. */
const constant = ['pv', 'ci', 'md', 'ff', 'sh'] as const;

/** Questions as phones put them. */
const questions: Readonly<Partial<Record<Asking, string>>> = {
  'with-others': 'a question among others',
  'with-known-answers': 'a question with known answers',
  'unicast-wanted': 'a question that asks for an answer by unicast (QU)',
  'as-phones-begin': 'a QU question among others, with known answers',
  'unicast-wanted-of-others': 'a question among QU questions about others',
};

/** No announcement behind a change says what was before it, but for answers that were under way. */
async function firstIsRight(context: CheckContext, heard: number, bit: number): Promise<void> {
  const { bench, expect, warn } = context;
  const source = bench.options.announcements!;
  const changed = bench.clock.now();
  const came = await told(context, heard, bit);
  await bench.clock.sleep(Math.max(0, changed + LISTENED - bench.clock.now()));
  const all = source.since(heard);
  const right = all.findIndex((one) => notPaired(one) === bit);
  const old = all.filter(
    (one, at) => notPaired(one) !== bit && (one.at > changed || (right >= 0 && at > right)),
  );
  const late = old.filter((one) => one.at > changed + UNDER_WAY || all.indexOf(one) > right);
  expect(came, 'announced within 10 s, without a question, as it is now').to.equal(true);
  expect(
    late.map(({ at }) => `${((at - changed) / 1000).toFixed(1)} s behind it`),
    'announcements with bit 0 of sf as it was before',
  ).to.deep.equal([]);
  if (old.length > 0)
    warn(
      'the first announcement behind the change says what was before it; the right one follows within a second',
    );
}

/** What is announced, when nothing is to come any more of what was before. */
async function settled(context: CheckContext): Promise<Announced> {
  await announced(context);
  await context.bench.clock.sleep(NOTHING_FOR);
  return announced(context);
}

export default chapter('discovery.over-time', ({ check, watch }) => [
  watch('MDNS-09', 'What is announced does not move', 'announced', ({ txt }, { expect, memory }) => {
    const id = txt.get('id') ?? '';
    for (const key of constant) {
      const now = txt.get(key);
      if (now === undefined && !memory.has(`${id} ${key}`)) continue;
      const before = memory.get(`${id} ${key}`) ?? now;
      expect(now, `${key}, which was "${before}" before,`).to.equal(before);
      memory.set(`${id} ${key}`, now!);
    }
    const [number, before] = [hap.txtNumber(txt.get('c#')), Number(memory.get(`${id} c#`) ?? 0)];
    if (number === undefined) return;
    expect(number, 'c#, which only rises: beside the one before it').to.be.at.least(before);
    memory.set(`${id} c#`, String(number));
  }),

  check('MDNS-10/pair-setup', 'It stays announced', { ...pairing, costs }, async (context) => {
    const { controller, bench, expect, warn } = context;
    await settled(context);
    const source = bench.options.announcements!;
    const start = bench.clock.now();
    const said = (): number => source.goodbyes.filter((at) => at >= start).length;
    const setup = await controller.pairSetup({ identity: controller.newGuest() });
    await setup.m3();
    // What a phone reads now is that the accessory has left: it gives Pair Setup up.
    await bench.clock.sleep(200);
    expect(said(), 'goodbyes between M1 and M5').to.equal(0);
    await setup.m5();
    await bench.clock.sleep(LISTENED);
    const last = source.goodbyes.at(-1);
    if (last === undefined || last < start) return;
    const again = source.since(0).some(({ at }) => at >= last);
    expect(again, 'announced again behind its goodbye').to.equal(true);
    warn('it says goodbye where it is paired, and is announced anew: who looks at that moment finds nobody');
  }),
  check(
    'MDNS-10/two-minutes',
    'It stays announced',
    { from: 'any', needs: ['MDNS-01'], worth: 'spare', costs: { seconds: EXPIRED / 1000 } },
    async (context) => {
      const { bench, expect } = context;
      await announced(context);
      await bench.clock.sleep(EXPIRED);
      const source = bench.options.announcements!;
      const after = await source.current();
      let later = '';
      if (after === undefined) {
        await bench.clock.sleep(AND_LATER);
        later =
          (await source.current()) === undefined ? ', nor another 10 s later' : '; 10 s later it does again';
      }
      expect(
        after?.name,
        `what answers ${EXPIRED / 1000} s later, when what was heard has expired${later}`,
      ).to.be.a('string');
    },
  ),

  check('MDNS-11/pair-setup', 'The first announcement is right', { ...pairing, costs }, async (context) => {
    const { controller, bench } = context;
    await settled(context);
    const setup = await controller.pairSetup({ identity: controller.newGuest() });
    await setup.m3();
    const heard = bench.options.announcements!.count;
    await setup.m5();
    await firstIsRight(context, heard, 0);
  }),
  check(
    'MDNS-11/last-remove',
    'The first announcement is right',
    {
      from: 'paired',
      leaves: 'unpaired',
      needs: ['PV-M3-01', 'PAIRINGS-19', 'MDNS-01'],
      costs: { m2: 1, verifies: 1 },
    },
    async (context) => {
      const { controller, bench } = context;
      await settled(context);
      const admin = await controller.session();
      const heard = bench.options.announcements!.count;
      await admin.sendPairings(hap.removePairing(admin.identity.id));
      bench.state = 'unknown';
      await firstIsRight(context, heard, 1);
      context.expect(await controller.isUnpaired(), 'M1 is served').to.equal(true);
    },
  ),

  ...Object.entries(questions).map(([asking, what]) =>
    check(
      `MDNS-12/${asking}`,
      'Questions are answered as phones put them',
      { from: 'any', needs: ['MDNS-01'] },
      async (context) => {
        const { bench, expect, notApplicable } = context;
        await announced(context);
        const source = bench.options.announcements!;
        const unheard = await source.unheard(asking as Asking);
        if (unheard !== undefined) notApplicable(unheard);
        const found = await source.current(asking as Asking);
        // Who is silent to every question is not silent to this one.
        if (found === undefined) await announced(context);
        expect(found !== undefined, `${what} is answered`).to.equal(true);
      },
    ),
  ),
  check(
    'MDNS-12/during-pair-setup',
    'Questions are answered as phones put them',
    { from: 'unpaired', needs: ['PS-M3-01', 'MDNS-01'], costs: { m2: 1, m4: 1 } },
    async (context) => {
      const { controller, bench, expect } = context;
      await announced(context);
      const source = bench.options.announcements!;
      const setup = await controller.pairSetup();
      const behindM2 = await source.current();
      expect(behindM2?.name, 'who answers between M2 and M3').to.be.a('string');
      expect(notPaired(behindM2!), 'bit 0 of sf between M2 and M3').to.equal(1);
      await setup.m3();
      const behindM4 = await source.current();
      expect(behindM4?.name, 'who answers between M4 and M5').to.be.a('string');
      expect(notPaired(behindM4!), 'bit 0 of sf between M4 and M5').to.equal(1);
    },
  ),

  check('MDNS-13', 'The instance name is one', { from: 'any', needs: ['MDNS-01'] }, async (context) => {
    const { expect } = context;
    const { name }: Announced = await announced(context);
    expect(hap.utf8(name).length, 'bytes of the instance name').to.be.within(1, MOST_BYTES);
    expect(name.includes('\ufffd'), 'bytes of it that are no UTF-8').to.equal(false);

    expect(/[\u0000-\u001f\u007f]/.test(name), 'control characters in it').to.equal(false);
  }),
]);
