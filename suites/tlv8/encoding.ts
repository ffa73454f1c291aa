import {
  type Bytes,
  type TlvItem,
  TlvType,
  all,
  anyRefusal,
  anyReply,
  badRequest,
  chapter,
  closed,
  encodeTlv,
  fromHex,
  insert,
  listPairings,
  reject,
  reorder,
  replace,
  separator,
  setupM1,
  silence,
  success,
  tlv,
  tlvError,
  tlvTypeName,
} from '../../harness/suite.js';

const m2 = { allow: [success('setup-m2')] };

const unpaired = { from: 'unpaired', risky: true } as const;
const paired = { from: 'paired', keyless: true, risky: true } as const;

const orders = {
  'public-key-first': reorder('PublicKey', 'State', 'Proof'),
  'public-key-last': reorder('State', 'Proof', 'PublicKey'),
};

const twoStates = {
  '1-then-3': all(reorder('State', 'Method'), insert(tlv(TlvType.State, 3), -1)),
  '3-then-1': insert(tlv(TlvType.State, 3), 0),
};

/** Bodies cut short, and whether an accessory that drops what is cut has fields left to go on with. */
const truncated: Record<string, { body: string; fields: boolean }> = {
  'type-only': { body: '06', fields: false },
  'value-missing': { body: '0601', fields: false },
  'length-past-the-end': { body: '060501', fields: true },
  'last-item-cut': { body: '00010006010103ff1122', fields: true },
};

/** The widths of State, and whether the value still reads as 1. */
const widths: Record<string, { value: Bytes; isOne: boolean }> = {
  'no-byte': { value: fromHex(''), isOne: false },
  '2-bytes': { value: fromHex('0100'), isOne: true },
  '4-bytes': { value: fromHex('01000000'), isOne: true },
};

/** What came is an answer or a close, and takes no step of Pair Setup the sender has not earned. */
const harmless = {
  allow: [anyReply(), closed()],
  forbid: [silence(), success('setup-m4'), success('setup-m6')],
};

/** Lengths of the random bodies: all read as TLV8 for a while, and end in the middle of an item. */
const lengths = [1, 16, 64, 1024];

function flipped(bytes: Bytes, bit: number): Bytes {
  const out = bytes.slice();
  out[bit >> 3]! ^= 1 << (bit & 7);
  return out;
}

/** Bytes of the tag behind a ciphertext. */
const TAG = 16;

/** The items and one unknown one, together exactly `length` bytes on the wire. */
function padded(items: readonly TlvItem[], length: number): readonly TlvItem[] {
  const free = length - encodeTlv(items).length;
  // Each fragment of up to 255 bytes has a type and a length of its own.
  const value = free - 2 * Math.ceil(free / 257);
  return [...items, tlv(0x7f, new Uint8Array(value))];
}

export default chapter('tlv8.encoding', ({ check, watch }) => [
  check('TLV-01', { from: 'unpaired', costs: { m2: 2 }, ...m2 }, async ({ controller, expect }) => {
    const methodFirst = await controller.setup();
    expect(await methodFirst.sendM1()).to.be.allowed();
    await methodFirst.link.close();
    const stateFirst = await controller.setup();
    expect(await stateFirst.sendM1(reorder('State', 'Method'))).to.be.allowed();
  }),

  ...(['before', 'between', 'after'] as const).map((place, index) =>
    check(
      `TLV-02/${place}`,
      { from: 'unpaired', grid: ['setup-m1', 'unknown'], costs: { m2: 1 }, ...m2 },
      async ({ controller, expect }) => {
        const setup = await controller.setup();
        const extras = [tlv(0x7f, 0xaa), tlv(0xf0, new Uint8Array(0))];
        expect(
          await setup.sendM1((items) => extras.reduce((all, extra) => insert(extra, index)(all), items)),
        ).to.be.allowed();
      },
    ),
  ),

  watch('TLV-05', 'pairing-reply', ({ tlv: message }, { expect, warn }) => {
    const { fragments, defect } = message!;
    expect(defect, 'the body parses to its last byte').to.equal(undefined);
    fragments.forEach(({ type, value, offset }, i) => {
      const next = fragments[i + 1];
      const name = tlvTypeName(type);
      if (next?.type === type) {
        expect(
          value.length,
          `${name} at offset ${offset} goes on in the next fragment, so it holds`,
        ).to.equal(255);
        if (next.value.length === 0) warn(`${name} ends with an empty fragment at offset ${next.offset}`);
      } else if (value.length === 255) {
        const apart = fragments.slice(i + 1).find((fragment) => fragment.type === type);
        expect(apart?.offset, `${name} at offset ${offset} goes on behind another item`).to.equal(undefined);
      }
    });
  }),

  watch('TLV-06', 'pairing-reply', ({ tlv: message }, { expect }) => {
    const states = message!.all(TlvType.State);
    expect(states.length, 'number of State items').to.equal(1);
    expect(states[0]!.length, 'bytes of State').to.equal(1);
    const errors = message!.all(TlvType.Error);
    expect(errors.length, 'number of Error items').to.be.at.most(1);
    if (errors[0] === undefined) return;
    expect(errors[0].length, 'bytes of Error').to.equal(1);
    expect(errors[0][0], 'Error code').to.be.within(1, 7);
  }),

  ...[5000, 40960].map((length) =>
    check(
      `TLV-03/${length}-bytes`,
      {
        ...unpaired,
        grid: ['setup-m1', 'oversized'],
        costs: { m2: 1 },
        // Only the larger one may meet a closed door: 5000 bytes are no reason to hang up.
        allow: [success('setup-m2'), tlvError(2), badRequest(), ...(length > 5000 ? [closed()] : [])],
        tolerate: [anyRefusal()],
        forbid: [silence()],
      },
      async ({ controller, expect, observe, random }) => {
        const setup = await controller.setup();
        const outcome = await setup.sendM1(insert(tlv(0x7f, random.bytes(length)), -1));
        expect(outcome).to.be.allowed();
        observe('long unknown item', success('setup-m2').matches(outcome) ? 'skipped' : 'refused');
      },
    ),
  ),

  ...Object.entries(orders).map(([name, edit]) =>
    check(
      `TLV-04/${name}`,
      { from: 'unpaired', needs: ['PS-M3-01'], costs: { m2: 1, m4: 1 }, allow: [success('setup-m4')] },
      async ({ controller, expect }) => {
        const setup = await controller.pairSetup();
        const outcome = await setup.sendM3(edit);
        expect(outcome).to.be.allowed();
        if (outcome.kind !== 'reply') return;
        expect(
          setup.readM4(outcome).findings.map(({ what }) => what),
          'M4',
        ).to.deep.equal([]);
      },
    ),
  ),

  check(
    'TLV-07',
    {
      ...unpaired,
      grid: ['setup-m3', 'split'],
      needs: ['PS-M3-01'],
      costs: { m2: 1, m4: 1, attempts: 1 },
      allow: [success('setup-m4'), tlvError(4), badRequest()],
      tolerate: [anyRefusal()],
      forbid: [silence()],
    },
    async ({ controller, expect, observe, violate }) => {
      const setup = await controller.pairSetup();
      const outcome = await setup.sendM3((items) =>
        items.flatMap((item) =>
          item.type === TlvType.PublicKey
            ? [tlv(item.type, item.value.subarray(0, 200)), tlv(item.type, item.value.subarray(200))]
            : [item],
        ),
      );
      expect(outcome).to.be.allowed();
      const merged = success('setup-m4').matches(outcome);
      observe('a short fragment and its continuation', merged ? 'joined' : 'refused');
      if (outcome.kind !== 'reply' || !merged) return;
      const defect = setup.readM4(outcome).findings[0];
      if (defect !== undefined) violate(`accepted without the joined value: ${defect.what}`);
    },
  ),

  ...Object.entries(twoStates).map(([name, edit]) =>
    check(
      `TLV-08/${name}`,
      {
        ...unpaired,
        grid: ['setup-m1', 'duplicated'],
        costs: { m2: 1 },
        allow: [
          success('setup-m2'),
          tlvError(2),
          badRequest(),
          ...(name === '3-then-1' ? [tlvError(4)] : []),
        ],
        tolerate: [anyRefusal()],
        forbid: [success('setup-m4'), silence()],
      },
      async ({ controller, expect, observe }) => {
        const setup = await controller.setup();
        const outcome = await setup.sendM1(edit);
        expect(outcome).to.be.allowed();
        observe(`two States, ${name}`, success('setup-m2').matches(outcome) ? 'read as M1' : 'refused');
        expect(await controller.isUnpaired(), 'a regular M1 works afterwards').to.equal(true);
      },
    ),
  ),

  ...Object.entries(truncated).map(([name, { body, fields }]) =>
    check(
      `TLV-09/setup-${name}`,
      {
        ...unpaired,
        ...(name === 'last-item-cut' && { grid: ['setup-m1', 'truncated'] as const }),
        allow: [tlvError(2), badRequest()],
        tolerate: [anyRefusal(), ...(fields ? [success('setup-m2')] : [])],
        forbid: [silence()],
      },
      async ({ controller, expect }) => {
        const setup = await controller.setup();
        expect(await setup.sendM1Bytes(fromHex(body))).to.be.allowed();
      },
    ),
  ),
  ...Object.entries(truncated).map(([name, { body, fields }]) =>
    check(
      `TLV-09/verify-${name}`,
      {
        ...paired,
        costs: { verifies: 1 },
        allow: [tlvError(2), badRequest()],
        tolerate: [anyRefusal(), ...(fields ? [success('verify-m2')] : [])],
        forbid: [silence()],
      },
      async ({ controller, expect }) => {
        const link = await controller.open();
        expect(await controller.postToVerify(link, fromHex(body))).to.be.allowed();
      },
    ),
  ),

  check(
    'TLV-10/setup',
    { ...unpaired, costs: { m2: 1 }, ...reject('setup-m2') },
    async ({ controller, expect }) => {
      const setup = await controller.setup();
      const outcome = await setup.sendM1Bytes(new Uint8Array(0));
      expect(outcome).to.be.allowed();
      if (outcome.kind === 'reply' && (await setup.link.stillOpen(50)))
        expect(await setup.sendM1(), 'a regular M1 on the same connection').to.be.allowed(m2);
      else expect(await controller.isUnpaired(), 'a regular M1 works afterwards').to.equal(true);
    },
  ),
  check(
    'TLV-10/verify',
    { ...paired, costs: { verifies: 2 }, ...reject('verify-m2') },
    async ({ controller, bench, expect }) => {
      const link = await controller.open();
      const outcome = await controller.postToVerify(link, new Uint8Array(0));
      expect(outcome).to.be.allowed();
      if (bench.admin === undefined) return;
      const open = outcome.kind === 'reply' && (await link.stillOpen(50));
      await controller.session(open ? { link } : {});
    },
  ),
  check(
    'TLV-10/pairings',
    { from: 'paired', risky: true, costs: { verifies: 1 }, ...reject('pairings-list') },
    async ({ controller, expect }) => {
      const session = await controller.session();
      expect(await session.sendPairings([])).to.be.allowed();
    },
  ),

  ...Object.entries(widths).map(([name, { value, isOne }]) =>
    check(
      `TLV-11/${name}`,
      {
        ...unpaired,

        allow: [tlvError(2), badRequest(), ...(isOne ? [success('setup-m2')] : [])],
        tolerate: [anyRefusal()],
        forbid: [silence(), ...(isOne ? [] : [success('setup-m2')])],
      },
      async ({ controller, expect, observe }) => {
        const setup = await controller.setup();
        const outcome = await setup.sendM1(replace('State', value));
        expect(outcome).to.be.allowed();
        observe(`State, ${name}`, success('setup-m2').matches(outcome) ? 'read as 1' : 'refused');
      },
    ),
  ),

  check(
    'TLV-12',
    {
      ...unpaired,
      costs: { m2: 1 },
      allow: [success('setup-m2')],
      tolerate: [anyRefusal()],
      forbid: [silence()],
    },
    async ({ controller, expect }) => {
      const setup = await controller.setup();
      expect(await setup.sendM1(insert(separator(), 1))).to.be.allowed();
    },
  ),

  ...[255, 510].map((length) =>
    check(
      `TLV-13/${length}-bytes`,
      {
        ...unpaired,
        leaves: 'paired',
        costs: { m2: 1, m4: 1, m6: 1 },
        allow: [success('setup-m6')],
        tolerate: [anyRefusal()],
        forbid: [silence()],
      },
      async ({ controller, expect, violate }) => {
        const setup = await controller.pairSetup();
        await setup.m3();
        const outcome = await setup.sendM5({ sub: (items) => padded(items, length - TAG) });
        expect(outcome).to.be.allowed();
        if (outcome.kind === 'reply' && success('setup-m6').matches(outcome)) setup.readM6(outcome);
        else if (!(await controller.isUnpaired())) violate('M5 was refused, and its controller is stored');
      },
    ),
  ),

  check(
    'TLV-14/setup',
    { ...unpaired, costs: { m2: 1 }, ...harmless },
    async ({ controller, expect, random }) => {
      const m1 = encodeTlv(setupM1());
      const cut = random.below(m1.length - 1) + 1;
      const mutants = [m1.subarray(0, cut), flipped(m1, random.below(m1.length * 8))];
      for (const body of [...lengths.map((length) => random.bytes(length)), ...mutants]) {
        const setup = await controller.setup();
        expect(await setup.sendM1Bytes(body), `${body.length} bytes`).to.be.allowed();
        await setup.link.close();
      }
      expect(await controller.isUnpaired(), 'nothing was stored').to.equal(true);
    },
  ),
  check(
    'TLV-14/verify',
    { ...paired, costs: { verifies: 4 }, ...harmless, forbid: [silence(), success('verify-m2')] },
    async ({ controller, expect, random }) => {
      for (const length of lengths) {
        const link = await controller.open();
        const outcome = await controller.postToVerify(link, random.bytes(length));
        expect(outcome, `${length} bytes`).to.be.allowed();
        await link.close();
      }
    },
  ),
  check(
    'TLV-14/pairings',
    {
      from: 'paired',
      risky: true,
      costs: { verifies: 5 },
      ...harmless,
      forbid: [silence(), success('pairings-list')],
    },
    async ({ controller, expect, random }) => {
      const { paths } = controller.profile;
      for (const length of lengths) {
        const { link } = await controller.session();
        const outcome = await link.postBytes(paths.pairings, random.bytes(length), controller.judgedWait);
        expect(outcome, `${length} bytes`).to.be.allowed();
        await link.close();
      }
      const list = await (await controller.session()).sendPairings(listPairings());
      expect(list, 'the list afterwards').to.be.allowed({ allow: [success('pairings-list')] });
    },
  ),
]);
