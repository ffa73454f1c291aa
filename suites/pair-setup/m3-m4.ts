import {
  type CheckSpec,
  type Controller,
  Length,
  TlvType,
  all,
  anyRefusal,
  chapter,
  drop,
  reject,
  replace,
  success,
  tlvError,
  tlvTypeName,
} from '../../harness/suite.js';

const refused = tlvError(4, 'Authentication');
const WRONG_CODE = 'wrong setup code, or SRP differs';

/**
 * A refused proof of the right code: the commonest first hour of all. Two probes, one failed attempt each, tell the
 * two known mistakes from a wrong code; nothing else that needs the code is tried after this.
 */
async function whyRefused(controller: Controller): Promise<string> {
  const accepts = async (options: Parameters<Controller['pairSetup']>[0]): Promise<boolean> => {
    const setup = await controller.pairSetup(options);
    return success('setup-m4').matches(await setup.sendM3());
  };
  if (await accepts({ code: 'undashed' }))
    return 'the proof is accepted only for the setup code without its dashes';
  if (await accepts({ convention: 'literal' }))
    return 'the proof is accepted only with k and u over unpadded values';
  return `${WRONG_CODE}: the proof of the code given was refused with Error=2(Authentication)`;
}

/** An M3 that lacks something. */
const malformed: CheckSpec = { from: 'unpaired', needs: ['PS-M3-01'], risky: true, ...reject('setup-m4') };

export default chapter('pair-setup.m3-m4', ({ check, watch }) => [
  check(
    'PS-M3-01',
    { sanity: true, once: true, from: 'unpaired', costs: { m2: 1, m4: 1 }, allow: [success('setup-m4')] },
    async ({ controller, expect, violate }) => {
      const setup = await controller.pairSetup();
      const outcome = await setup.sendM3();
      if (refused.matches(outcome)) violate(await whyRefused(controller));
      expect(outcome).to.be.allowed();
      if (outcome.kind === 'reply')
        expect(setup.readM4(outcome).proof?.length, 'bytes of Proof').to.equal(Length.proof);
    },
  ),

  watch('PS-M3-03', 'setup-m4', ({ m4: { proof, findings } }, { expect }) => {
    if (proof === undefined) return;
    const defect = findings.find(({ requirement }) => requirement === 'PS-M3-03');
    expect(defect?.what, 'the proof in M4').to.equal(undefined);
  }),

  check(
    'PS-M3-04',
    {
      from: 'unpaired',
      needs: ['PS-M3-01'],
      costs: { m2: 1, m4: 1, attempts: 1 },
      allow: [tlvError(4, 'Authentication')],
      tolerate: [anyRefusal()],
      forbid: [success('setup-m4')],
    },
    async ({ controller, expect }) => {
      const setup = await controller.pairSetup({ code: 'wrong' });
      expect(await setup.sendM3()).to.be.allowed();
    },
  ),

  check(
    'PS-M3-05',
    {
      from: 'unpaired',
      costs: { m2: 1, m4: 1, attempts: 1 },
      allow: [tlvError(4, 'Authentication')],
      tolerate: [anyRefusal()],
      forbid: [success('setup-m4')],
    },
    async ({ controller, bench, expect, notApplicable }) => {
      // The probes behind a refused right code have tried this form already, and each try is a failed attempt.
      if (bench.broken.get('PS-M3-01')?.startsWith(WRONG_CODE))
        notApplicable('PS-M3-01 has tried it: refused');
      const setup = await controller.pairSetup({ code: 'undashed' });
      expect(await setup.sendM3()).to.be.allowed();
    },
  ),

  check(
    'PS-M3-08',
    { ...malformed, costs: { m2: 2, m4: 1, attempts: 1 } },
    async ({ controller, expect }) => {
      const setup = await controller.pairSetup();
      expect(await setup.sendM3(drop('Proof'))).to.be.allowed();
      expect(await controller.isUnpaired(), 'a new M1 works').to.equal(true);
    },
  ),

  check(
    'PS-M3-09',
    { ...malformed, costs: { m2: 1, m4: 1, attempts: 1 } },
    async ({ controller, expect, random }) => {
      const setup = await controller.pairSetup();
      expect(await setup.sendM3(all(drop('PublicKey'), replace('Proof', random.bytes(64))))).to.be.allowed();
    },
  ),

  watch('PS-M3-18', 'setup-m4', ({ reply }, { expect, violate, warn }) => {
    const types = new Set(reply.tlv!.items.map(({ type }) => type));
    expect([...types]).to.include(TlvType.Proof);
    for (const type of types) {
      const name = tlvTypeName(type);
      if (([TlvType.PublicKey, TlvType.Salt, TlvType.Error] as number[]).includes(type))
        violate(`M4 carries ${name} beside its Proof`);
      // EncryptedData belongs to PairSetupWithAuth, which no flow of this run asks for.
      if (!([TlvType.State, TlvType.Proof] as number[]).includes(type)) warn(`M4 carries ${name} too`);
    }
  }),

  ...[0, 1, 32, 63, 65, 128].map((length) =>
    check(
      `PS-M3-06/${length}-bytes`,
      {
        from: 'unpaired',
        needs: ['PS-M3-01'],
        risky: true,
        costs: { m2: 1, m4: 1, attempts: 1 },
        ...reject('setup-m4'),
      },
      async ({ controller, expect, random }) => {
        const setup = await controller.pairSetup();
        expect(await setup.sendM3(replace('Proof', random.bytes(length)))).to.be.allowed();
      },
    ),
  ),
]);
