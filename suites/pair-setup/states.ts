import {
  type Bytes,
  anyRefusal,
  badRequest,
  chapter,
  reject,
  setupM3,
  sha512,
  success,
  tlvError,
} from '../../harness/suite.js';

const nothing = new Uint8Array(0);
const zeroKey = new Uint8Array(32);
const zeroSecret = new Uint8Array(64);
const hashOfNothing = sha512(nothing);

/** What an accessory that skipped M3 may hold in the place of K, and in the place of the derived cipher key. */
const assumptions: Record<string, { secret: Bytes; key?: Bytes }> = {
  'empty-secret': { secret: nothing },
  'zero-secret': { secret: zeroSecret },
  'hash-of-nothing': { secret: hashOfNothing },
  'zero-key': { secret: zeroKey, key: zeroKey },
  'zero-key-empty-secret': { secret: nothing, key: zeroKey },
  'zero-key-zero-secret': { secret: zeroSecret, key: zeroKey },
  'zero-key-hash-of-nothing': { secret: hashOfNothing, key: zeroKey },
};

export default chapter('pair-setup.states', ({ check }) => [
  check(
    'PS-STATE-01',
    {
      from: 'unpaired',
      needs: ['PS-M3-01'],
      risky: true,
      costs: { m2: 1, m4: 2, attempts: 1 },
      allow: [tlvError(4), tlvError(3), tlvError(2), badRequest()],
      tolerate: [anyRefusal()],
      forbid: [success('setup-m4')],
    },
    async ({ controller, expect, random }) => {
      const setup = await controller.setup();
      const A = random.bytes(384);
      A[0]! &= 0x7f;
      const outcome = await setup.sendItems(setupM3(A, random.bytes(64)));
      expect(outcome).to.be.allowed();
      const open = outcome.kind === 'reply' && (await setup.link.stillOpen(50));
      const next = await controller.pairSetup(open ? { link: setup.link } : {});
      await next.m3();
    },
  ),

  ...Object.entries({ ...assumptions, 'random-key': undefined }).map(([name, assumption]) =>
    check(
      `PS-STATE-02/${name}`,
      {
        from: 'unpaired',
        needs: ['PS-M5-01'],
        risky: true,
        costs: { m6: 1, verifies: 1 },
        ...reject('setup-m6'),
      },
      async ({ controller, expect, random }) => {
        const setup = await controller.setup();
        expect(
          await setup.sendM5(assumption ?? { secret: random.bytes(64), key: random.bytes(32) }),
        ).to.be.allowed();
        expect(await controller.isStored(setup.identity), 'stored').to.equal(false);
      },
    ),
  ),

  ...['key-of-the-wrong-code', 'zero-key'].map((name) =>
    check(
      `PS-STATE-05/${name}`,
      {
        from: 'unpaired',
        needs: ['PS-M3-01', 'PS-M5-01'],
        costs: { m2: 1, m4: 1, m6: 1, verifies: 1, attempts: 1 },
        ...reject('setup-m6'),
      },
      async ({ controller, expect }) => {
        const setup = await controller.pairSetup({ code: 'wrong' });
        await setup.sendM3();
        expect(
          await setup.sendM5(name === 'zero-key' ? { secret: zeroSecret, key: zeroKey } : {}),
        ).to.be.allowed();
        expect(await controller.isStored(setup.identity), 'stored').to.equal(false);
      },
    ),
  ),

  ...Object.entries({ ...assumptions, 'random-key': undefined }).map(([name, assumption]) =>
    check(
      `PS-STATE-03/${name}`,
      {
        from: 'unpaired',
        needs: ['PS-M5-01'],
        risky: true,
        costs: { m2: 1, m6: 1, verifies: 1 },
        ...reject('setup-m6'),
      },
      async ({ controller, expect, random }) => {
        const setup = await controller.pairSetup();
        expect(
          await setup.sendM5(assumption ?? { secret: random.bytes(64), key: random.bytes(32) }),
        ).to.be.allowed();
        expect(await controller.isStored(setup.identity), 'stored').to.equal(false);
      },
    ),
  ),
]);
