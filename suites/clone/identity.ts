import { type CheckContext, chapter, hap, outcomes } from '../../harness/suite.js';
import { cloneOf, own, sessionOf, verifyAs } from './shared.js';

const refusesSetup = {
  allow: [outcomes.tlvError(2, 'Unavailable')],
  tolerate: [outcomes.anyRefusal()],
  forbid: [outcomes.success('setup-m2')],
};

/** M2 names the old device, and is signed by its key: nobody has to be known for that. */
async function proof(context: CheckContext, when: string): Promise<void> {
  const { controller, expect, violate } = context;
  const { deviceId, ltpk } = cloneOf(context);
  const verify = await verifyAs(controller, controller.newIdentity());
  expect(await verify.sendM1(), `M2 ${when}`).to.be.allowed({ allow: [outcomes.success('verify-m2')] });
  const items = verify.m2?.items;
  if (items === undefined) return violate(`M2 ${when} does not open`);
  const id = items.get(hap.TlvType.Identifier);
  const signature = items.get(hap.TlvType.Signature);
  if (id === undefined || !hap.equal(id, deviceId))
    return violate(
      `M2 ${when} names ${id === undefined ? 'nobody' : JSON.stringify(hap.text(id))}, and the old device is ${hap.text(deviceId)}`,
    );
  const info = hap.signedInfo(verify.m2!.publicKey!, id, verify.machine.ephemeral.publicKey);
  if (signature === undefined || !hap.verifySignature(ltpk, info, signature))
    violate(`the signature in M2 ${when} does not hold under the LTPK of the old device, ${hap.hex(ltpk)}`);
}

async function setupIsRefused({ controller, expect }: CheckContext, when: string): Promise<void> {
  const link = await controller.open();
  const m1 = await controller.post(link, controller.profile.paths.setup, hap.setupM1(0));
  expect(m1, `M1 ${when}`).to.be.allowed(refusesSetup);
}

const verified = { allow: [outcomes.success('verify-m2')] };

export default chapter('clone.identity', ({ check }) => [
  check(
    'CLONE-01',
    'A clone proves itself by the key of the old device',
    { from: 'any', clone: {}, costs: { verifies: 2 }, ...verified },
    async (context) => {
      await proof(context, 'of the first Pair Verify');
      await proof(context, 'of the second Pair Verify');
    },
  ),

  check(
    'CLONE-02',
    'A clone announces the old device id, and itself as paired',
    { from: 'any', clone: {} },
    async (context) => {
      const { bench, expect, notApplicable, observe } = context;
      const { deviceId, configNumber } = cloneOf(context);
      const source = bench.options.announcements;
      const now = await source?.current();
      if (now?.conflict !== undefined) return notApplicable(now.conflict);
      if (source === undefined || now === undefined)
        return notApplicable('nothing is announced at this address');
      // Those that came while the run was on, the first of them included.
      for (const { txt } of [...source.since(0), now]) {
        const sf = hap.txtNumber(txt.get('sf')) ?? hap.StatusFlag.NotPaired;
        expect(txt.get('id')?.toUpperCase(), 'id of the TXT record').to.equal(
          hap.text(deviceId).toUpperCase(),
        );
        expect(sf & hap.StatusFlag.NotPaired, 'bit 0 of sf, which is 1 where nobody is paired').to.equal(0);
      }
      for (const key of ['c#', 's#', 'sh'] as const) observe(key, now.txt.get(key) ?? 'none');
      if (configNumber !== undefined) observe('c# of the old device', String(configNumber));
    },
  ),

  check(
    'CLONE-06',
    'A clone is paired',
    { from: 'any', clone: {}, costs: { m2: 1 }, ...refusesSetup },
    async (context) => {
      await setupIsRefused(context, 'of Pair Setup');
    },
  ),

  check(
    'CLONE-09/identity',
    'A clone outlives a restart',
    {
      from: 'any',
      clone: {},
      needsHook: 'restart',
      needs: ['CLONE-01', 'CLONE-06'],
      costs: { verifies: 1, m2: 1 },
      ...verified,
    },
    async (context) => {
      await context.bench.restart();
      await proof(context, 'behind a restart');
    },
  ),
  check(
    'CLONE-09/controllers',
    'A clone outlives a restart',
    {
      from: 'any',
      clone: { key: 'anybody' },
      needsHook: 'restart',
      needs: ['CLONE-03', 'CLONE-06'],
      costs: { verifies: 1, m2: 1 },
      allow: [outcomes.success('verify-m4')],
    },
    async (context) => {
      await context.bench.restart();
      await sessionOf(context, own(context), 'the clone behind a restart');
      await setupIsRefused(context, 'behind a restart');
    },
  ),
]);
