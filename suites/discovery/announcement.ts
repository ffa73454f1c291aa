/**
 * What an accessory says of itself by mDNS, before anybody connects: service, TXT record, names and addresses.
 * The announcement is held against what the accessory then does: its identifier against M6, the status flag against
 * its pairings, the feature flags against what it answers.
 */
import { type CheckContext, chapter, hap, outcomes } from '../../harness/suite.js';
import { announced, notPaired, told } from './announced.js';

/** How long a change that must not come is waited for (ms). */
const NOTHING_FOR = 1_500;
/** Most of the announced places that are visited. */
const MOST_PLACES = 8;

const pairing = { from: 'unpaired', leaves: 'paired', needs: ['PS-M5-01'] } as const;
const pairingCosts = { m2: 1, m4: 1, m6: 1 } as const;
const session = { from: 'paired', needs: ['PV-M3-01'], costs: { verifies: 1 } } as const;

/** Bit 0 of sf in what was announced behind the `heard` ones and in what is announced now. */
async function bitsSince(context: CheckContext, heard: number): Promise<(number | undefined)[]> {
  await context.bench.clock.sleep(NOTHING_FOR);
  const unasked = context.bench.options.announcements!.since(heard).map(notPaired);
  return [...new Set([...unasked, notPaired(await announced(context))])];
}

/** True for a decimal number from `least` to `most`. */
function within(value: string, least: number, most: number): boolean {
  const number = hap.txtNumber(value);
  return number !== undefined && number >= least && number <= most;
}

/** Key, what its value has to be, and what is wrong or only odd with one. A key that is missing is MDNS-01's question. */
const values: Record<
  string,
  { key: string; right: string; holds: (value: string) => boolean; odd?: (value: string) => boolean }
> = {
  id: {
    key: 'id',
    right: 'six octets of two hexadecimal digits, divided by colons',
    holds: (value) => /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(value),
    odd: (value) => value !== value.toUpperCase(),
  },
  'configuration-number': {
    key: 'c#',
    right: 'a number from 1 to 65535',
    holds: (value) => within(value, 1, 0xffff_ffff),
    odd: (value) => !within(value, 1, 65_535),
  },
  'state-number': { key: 's#', right: 'a number from 1', holds: (value) => within(value, 1, 0xffff_ffff) },
  'status-flags': { key: 'sf', right: 'a number of the bits 0 to 2', holds: (value) => within(value, 0, 7) },
  'feature-flags': { key: 'ff', right: 'a number of one byte', holds: (value) => within(value, 0, 255) },
  category: { key: 'ci', right: 'a number from 1', holds: (value) => within(value, 1, 65_535) },
  'protocol-version': {
    key: 'pv',
    right: 'X or X.Y',
    holds: (value) => /^\d+(\.\d+)?$/.test(value),
    odd: (value) => value !== '1.0' && value !== '1.1',
  },
  model: { key: 'md', right: 'not empty', holds: (value) => value !== '' },
  'setup-hash': {
    key: 'sh',
    right: 'Base64 of 4 bytes',
    holds: (value) => /^[A-Za-z0-9+/]{5}[AQgw]==$/.test(value),
  },
};

export default chapter('discovery.announcement', ({ check }) => [
  check('MDNS-01', 'Service is announced with the required TXT keys', { from: 'any' }, async (context) => {
    const { txt } = await announced(context);
    const missing = ['c#', 'id', 'md', 's#', 'sf', 'ci'].filter((key) => !txt.has(key));
    context.expect(missing, 'keys the TXT record lacks').to.deep.equal([]);
  }),

  check(
    'MDNS-01/paired',
    'Service is announced with the required TXT keys',
    { from: 'paired' },
    async (context) => {
      const { txt } = await announced(context);
      context.expect([...txt.keys()], 'keys of the TXT record of a paired accessory').to.include('id');
    },
  ),

  check(
    'MDNS-01/port',
    'Service is announced with the required TXT keys',
    { from: 'any', costs: { verifies: 1 }, allow: [outcomes.anyReply()] },
    async (context) => {
      const { controller, bench, expect } = context;
      const { port, addresses } = await announced(context);
      const source = bench.options.announcements!;
      // Which of the addresses are of any use is MDNS-07's question.
      for (const address of addresses.slice(0, MOST_PLACES)) {
        if (source.nowhere(address) !== undefined) continue;
        const link = await controller.openAt(source.dialer(address, port));
        if (link === undefined) continue;
        const verify = await controller.verify({ as: controller.newIdentity(), link, housekeeping: true });
        expect(await verify.sendM1(), 'Pair Verify M1 at the announced port').to.be.allowed();
        return;
      }
      expect(`nobody at port ${port}`, 'who takes a connection at the announced port').to.equal(
        'the accessory',
      );
    },
  ),

  ...Object.entries(values).map(([name, { key, right, holds, odd }]) =>
    check(`MDNS-02/${name}`, 'TXT values are valid', { from: 'any' }, async (context) => {
      const { expect, warn, notApplicable } = context;
      const value = (await announced(context)).txt.get(key) ?? notApplicable(`${key} is not announced`);
      expect(holds(value), `"${value}" as ${key}, which has to be ${right},`).to.equal(true);
      if (odd?.(value)) warn(`${key} is "${value}", not ${right} as controllers expect it`);
    }),
  ),

  check(
    'MDNS-03/paired',
    'sf bit 0 follows the pairing state',
    { ...pairing, costs: pairingCosts },
    async (context) => {
      const { controller, bench, expect } = context;
      expect(notPaired(await announced(context)), 'bit 0 of sf before').to.equal(1);
      const heard = bench.options.announcements!.count;
      await controller.pair();
      expect(
        await told(context, heard, 0),
        'told within 10 s of M6, without a question, that it is paired',
      ).to.equal(true);
      expect(notPaired(await announced(context)), 'bit 0 of sf after').to.equal(0);
    },
  ),

  check(
    'MDNS-03/users',
    'sf bit 0 follows the pairing state',
    { ...session, needs: ['PV-M3-01', 'PAIRINGS-04'] },
    async (context) => {
      const { controller, bench, expect } = context;
      expect(notPaired(await announced(context)), 'bit 0 of sf before').to.equal(0);
      const admin = await controller.session();
      const user = controller.newIdentity();
      let heard = bench.options.announcements!.count;
      await admin.add(user, hap.Permission.User);
      expect(await bitsSince(context, heard), 'bit 0 of sf behind an Add').to.deep.equal([0]);
      heard = bench.options.announcements!.count;
      await admin.sendRemove(user.id);
      expect(await bitsSince(context, heard), 'bit 0 of sf behind the removal of a user').to.deep.equal([0]);
    },
  ),

  check(
    'MDNS-03/last-admin',
    'sf bit 0 follows the pairing state',
    { ...session, costs: { m2: 1, verifies: 1 }, leaves: 'unpaired', needs: ['PV-M3-01', 'PAIRINGS-19'] },
    async (context) => {
      const { controller, bench, expect } = context;
      await announced(context);
      const admin = await controller.session();
      const heard = bench.options.announcements!.count;
      await admin.sendPairings(hap.removePairing(admin.identity.id));
      bench.state = 'unknown';
      expect(await told(context, heard, 1), 'told within 10 s, without a question, that it is free').to.equal(
        true,
      );
      expect(notPaired(await announced(context)), 'bit 0 of sf after').to.equal(1);
      expect(await controller.isUnpaired(), 'M1 is served').to.equal(true);
    },
  ),

  check(
    'MDNS-03/failed-setup',
    'sf bit 0 follows the pairing state',
    { from: 'unpaired', needs: ['PS-M3-01'], costs: { m2: 1, m4: 1, attempts: 1 } },
    async (context) => {
      const { controller, bench, expect } = context;
      await announced(context);
      const heard = bench.options.announcements!.count;
      const setup = await controller.pairSetup({ code: 'wrong' });
      expect(await setup.sendM3(), 'a wrong code').to.be.allowed({
        allow: [outcomes.anyRefusal()],
        forbid: [outcomes.success('setup-m4')],
      });
      expect(await bitsSince(context, heard), 'bit 0 of sf behind it').to.deep.equal([1]);
    },
  ),

  check('MDNS-04/paired', 'id in TXT is constant', { ...pairing, costs: pairingCosts }, async (context) => {
    const before = await announced(context);
    await context.controller.pair();
    await context.bench.clock.sleep(NOTHING_FOR);
    const after = await announced(context);
    context.expect(after.txt.get('id'), 'id behind a pairing').to.equal(before.txt.get('id'));
  }),
  check(
    'MDNS-04/users',
    'id in TXT is constant',
    { ...session, needs: ['PV-M3-01', 'PAIRINGS-04'] },
    async (context) => {
      const { controller, bench, expect } = context;
      const before = await announced(context);
      const admin = await controller.session();
      const user = controller.newIdentity();
      await admin.add(user, hap.Permission.User);
      await bench.clock.sleep(NOTHING_FOR);
      expect((await announced(context)).txt.get('id'), 'id behind an Add').to.equal(before.txt.get('id'));
      await admin.sendRemove(user.id);
      await bench.clock.sleep(NOTHING_FOR);
      expect((await announced(context)).txt.get('id'), 'id behind a Remove').to.equal(before.txt.get('id'));
    },
  ),
  check(
    'MDNS-04/restarted',
    'id in TXT is constant',
    { from: 'any', needsHook: 'restart' },
    async (context) => {
      const before = await announced(context);
      await context.bench.restart();
      const after = await announced(context);
      context.expect(after.txt.get('id'), 'id behind a restart').to.equal(before.txt.get('id'));
    },
  ),

  check(
    'MDNS-05/paired',
    'c# does not change by pairing',
    { ...pairing, costs: { ...pairingCosts, verifies: 1 } },
    async (context) => {
      const { controller, bench, expect } = context;
      const before = await announced(context);
      await controller.pair();
      await controller.session();
      await bench.clock.sleep(NOTHING_FOR);
      expect((await announced(context)).txt.get('c#'), 'c# behind a pairing').to.equal(before.txt.get('c#'));
    },
  ),
  check(
    'MDNS-05/restarted',
    'c# does not change by pairing',
    { from: 'any', needsHook: 'restart' },
    async (context) => {
      const before = await announced(context);
      await context.bench.restart();
      const after = await announced(context);
      context.expect(after.txt.get('c#'), 'c# behind a restart').to.equal(before.txt.get('c#'));
    },
  ),

  // What is announced is what controllers choose by: a claim that is not kept leaves them without any way in.
  check(
    'MDNS-06',
    'ff reflects the authentication features',
    {
      from: 'unpaired',
      costs: { m2: 1 },
      allow: [outcomes.success('setup-m2')],
      forbid: [outcomes.anyRefusal()],
    },
    async (context) => {
      const { controller, expect, observe, violate } = context;
      const ff = hap.txtNumber((await announced(context)).txt.get('ff') ?? '0') ?? 0;
      expect(ff, 'ff').to.be.a('number');
      observe('ff', String(ff));
      if ((ff & hap.FeatureFlag.Coprocessor) !== 0) {
        const link = await controller.open();
        const outcome = await controller.bench.sendM1(link, hap.setupM1(hap.Method.PairSetupWithAuth));
        expect(outcome, 'Method 1, which bit 0 of ff promises').to.be.allowed();
        await link.close();
      }
      if ((ff & hap.FeatureFlag.Software) !== 0) {
        const link = await controller.open();
        const wanted = hap.PairingFlag.Transient | hap.PairingFlag.Split;
        const outcome = await controller.bench.sendM1(link, hap.setupM1(hap.Method.PairSetup, wanted));
        const echoed = controller.flagsOf(outcome) !== undefined;
        if (!echoed)
          violate('bit 1 of ff promises a transient and split Pair Setup, and M2 does not grant it');
      }
    },
  ),

  check(
    'MDNS-07',
    'Announced endpoint is the tested one',
    {
      from: 'paired',
      keyless: true,
      needs: ['PV-M1-01'],
      costs: { verifies: 1 },
      allow: [outcomes.success('verify-m2')],
    },
    async (context) => {
      const { controller, bench, expect, warn, violate } = context;
      const { txt, addresses, port } = await announced(context);
      const source = bench.options.announcements!;
      for (const address of addresses.slice(0, MOST_PLACES)) {
        // Not dialled: somebody else may answer there, or all of a network.
        const nowhere = source.nowhere(address);
        if (nowhere !== undefined) violate(`${address} is announced, which is ${nowhere}`);
        const link = await controller.openAt(source.dialer(address, port));
        if (link === undefined && /^fe[89ab]/i.test(address)) {
          warn(`nobody takes a connection at ${address}, which is announced`);
          continue;
        }
        expect(link !== undefined, `${address}, which is announced, takes connections`).to.equal(true);
        const verify = await controller.verify({
          as: controller.newIdentity(),
          link: link!,
          housekeeping: true,
        });
        expect(await verify.sendM1(), `Pair Verify M1 at ${address}`).to.be.allowed();
        const id = hap.text(verify.m2?.items?.get(hap.TlvType.Identifier) ?? new Uint8Array(0));
        expect(id.toUpperCase(), `Identifier at ${address}, beside the announced one`).to.equal(
          txt.get('id')?.toUpperCase(),
        );
      }
    },
  ),

  check(
    'PS-M6-02/announced',
    'The M6 identifier is the advertised device id',
    { from: 'paired' },
    async (context) => {
      const { bench, expect, warn, notApplicable } = context;
      const id = (await announced(context)).txt.get('id') ?? notApplicable('no id is announced');
      const own = hap.text(bench.accessory?.id ?? notApplicable('M6 told no Identifier'));
      expect(id.toUpperCase(), 'announced id, beside the Identifier of M6').to.equal(own.toUpperCase());
      if (id !== own) warn(`"${id}" is announced, and M6 says "${own}"`);
    },
  ),
]);
