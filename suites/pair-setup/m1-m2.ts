import {
  Length,
  PairingFlag,
  TlvType,
  anyRefusal,
  chapter,
  drop,
  hex,
  insert,
  integerValue,
  isZero,
  reject,
  replace,
  success,
  tlv,
  tlvError,
  tlvTypeName,
} from '../../harness/suite.js';

const flags = {
  plain: undefined,
  transient: Uint8Array.of(PairingFlag.Transient),
  split: integerValue(PairingFlag.Split),
  'transient-split': integerValue(PairingFlag.Transient + PairingFlag.Split),
};

export default chapter('pair-setup.m1-m2', ({ check, watch }) => [
  check(
    'PS-M1-01',
    { sanity: true, from: 'unpaired', costs: { m2: 1 }, allow: [success('setup-m2')] },
    async ({ controller, expect }) => {
      const setup = await controller.setup();
      expect(await setup.sendM1()).to.be.allowed();
    },
  ),

  watch('PS-M1-02', 'setup-m2', ({ m2: { salt } }, { expect, warn, observe, memory }) => {
    if (salt === undefined) return;
    expect(salt.length, 'bytes of Salt').to.equal(Length.salt);
    if (isZero(salt)) warn('the Salt is all zero');
    const last = memory.get('salt');
    if (last !== undefined)
      observe('salt', last === hex(salt) ? 'the same in every M2' : 'fresh in every M2');
    memory.set('salt', hex(salt));
  }),

  watch('PS-M1-03', 'setup-m2', ({ m2: { B, findings } }, { expect, observe }) => {
    if (B === undefined) return;
    const defect = findings.find(({ requirement }) => requirement === 'PS-M1-03');
    expect(defect?.what, 'B as an SRP public value').to.equal(undefined);
    if (B.length < Length.srpPublicKey) observe('B', 'sent without leading zero bytes');
  }),

  watch('PS-M1-05', 'setup-m2', ({ reply }, { expect, violate, warn }) => {
    const types = [...new Set(reply.tlv!.items.map(({ type }) => type))];
    expect(types).to.include(TlvType.State);
    const contradicting: number[] = [TlvType.Error, TlvType.Proof, TlvType.Identifier, TlvType.EncryptedData];
    for (const type of types) {
      const name = tlvTypeName(type);
      if (contradicting.includes(type)) violate(`M2 carries ${name} beside its Salt and PublicKey`);
      if (![TlvType.State, TlvType.PublicKey, TlvType.Salt, TlvType.Flags].includes(type as never))
        warn(`M2 carries ${name} too`);
    }
  }),

  check(
    'PS-M1-06',
    { from: 'unpaired', risky: true, costs: { m2: 2 }, ...reject('setup-m2') },
    async ({ controller, expect }) => {
      const setup = await controller.setup();
      expect(await setup.sendM1(drop('State'))).to.be.allowed();
      expect(await controller.isUnpaired(), 'a regular M1 works afterwards').to.equal(true);
    },
  ),

  ...[0x00, 0x02, 0x04, 0x06, 0x07, 0x7f, 0xff].map((state) =>
    check(
      `PS-M1-12/state-${state}`,
      {
        from: 'unpaired',
        risky: true,
        costs: { m2: 2, verifies: 1 },
        allow: [anyRefusal()],
        forbid: [success('setup-m2')],
      },
      async ({ controller, expect }) => {
        const setup = await controller.setup();
        const outcome = await setup.sendM1(replace('State', state));
        expect(outcome).to.be.allowed();
        if (outcome.kind !== 'reply' || !(await setup.link.stillOpen(50))) return;
        expect(await setup.sendM1()).to.be.allowed({ allow: [success('setup-m2')] });
      },
    ),
  ),

  ...Object.entries(flags).map(([name, value]) =>
    check(
      `PS-M1-13/${name}`,
      {
        from: 'paired',
        keyless: true,
        costs: { m2: 1, verifies: 1 },
        allow: [tlvError(2, 'Unavailable')],
        tolerate: [anyRefusal()],
        forbid: [success('setup-m2')],
      },
      async ({ controller, bench, expect }) => {
        const setup = await controller.setup();
        const edit = value && insert(tlv(TlvType.Flags, value), -1);
        expect(await setup.sendM1(edit)).to.be.allowed();
        if (bench.admin === undefined) return;
        // On the same connection when the accessory kept it: a refused setup must not be in the way of a session.
        const open = await setup.link.stillOpen(50);
        await controller.session(open ? { link: setup.link } : {});
      },
    ),
  ),
]);
