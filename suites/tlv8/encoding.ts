/**
 * TLV8 (seed 002 §1): order, unknown types, fragments, lengths, separators, truncation.
 * The checks write a message in another way that means the same, or in one that means nothing.
 * What means the same is answered as usual; the rest is refused, and the accessory stays up.
 */
import { chapter, edits, hap, outcomes } from '../../harness/suite.js';

const m2 = { allow: [outcomes.success('setup-m2')] };

const unpaired = { from: 'unpaired', risky: true } as const;
const paired = { from: 'paired', keyless: true, risky: true } as const;

const orders = {
  'public-key-first': edits.reorder('PublicKey', 'State', 'Proof'),
  'public-key-last': edits.reorder('State', 'Proof', 'PublicKey'),
};

const twoStates = {
  '1-then-3': edits.all(edits.reorder('State', 'Method'), edits.insert(hap.tlv(hap.TlvType.State, 3), -1)),
  '3-then-1': edits.insert(hap.tlv(hap.TlvType.State, 3), 0),
};

/** Bodies cut short, and whether an accessory that drops what is cut has fields left to go on with. */
const truncated: Record<string, { body: string; fields: boolean }> = {
  'type-only': { body: '06', fields: false },
  'value-missing': { body: '0601', fields: false },
  'length-past-the-end': { body: '060501', fields: true },
  'last-item-cut': { body: '00010006010103ff1122', fields: true },
};

/** The widths of State, and whether the value still reads as 1. */
const widths: Record<string, { value: hap.Bytes; isOne: boolean }> = {
  'no-byte': { value: hap.fromHex(''), isOne: false },
  '2-bytes': { value: hap.fromHex('0100'), isOne: true },
  '4-bytes': { value: hap.fromHex('01000000'), isOne: true },
};

/** What came is an answer or a close, and takes no step of Pair Setup the sender has not earned. */
const harmless = {
  allow: [outcomes.anyReply(), outcomes.closed()],
  forbid: [outcomes.silence(), outcomes.success('setup-m4'), outcomes.success('setup-m6')],
};

/** Lengths of the random bodies: all read as TLV8 for a while, and end in the middle of an item. */
const lengths = [1, 16, 64, 1024];

function flipped(bytes: hap.Bytes, bit: number): hap.Bytes {
  const out = bytes.slice();
  out[bit >> 3]! ^= 1 << (bit & 7);
  return out;
}

/** Bytes of the tag behind a ciphertext. */
const TAG = 16;

/** The items and one unknown one, together exactly `length` bytes on the wire. */
function padded(items: readonly hap.TlvItem[], length: number): readonly hap.TlvItem[] {
  const free = length - hap.encodeTlv(items).length;
  // Each fragment of up to 255 bytes has a type and a length of its own.
  const value = free - 2 * Math.ceil(free / 257);
  return [...items, hap.tlv(0x7f, new Uint8Array(value))];
}

export default chapter('tlv8.encoding', ({ check, watch }) => [
  check(
    'TLV-01',
    'Field order inside a message is free',
    { from: 'unpaired', costs: { m2: 2 }, ...m2 },
    async ({ controller, expect }) => {
      const methodFirst = await controller.setup();
      expect(await methodFirst.sendM1()).to.be.allowed();
      await methodFirst.link.close();
      const stateFirst = await controller.setup();
      expect(await stateFirst.sendM1(edits.reorder('State', 'Method'))).to.be.allowed();
    },
  ),

  ...(['before', 'between', 'after'] as const).map((place, index) =>
    check(
      `TLV-02/${place}`,
      'Unknown TLV types are ignored',
      { from: 'unpaired', grid: ['setup-m1', 'unknown'], costs: { m2: 1 }, ...m2 },
      async ({ controller, expect }) => {
        const setup = await controller.setup();
        const extras = [hap.tlv(0x7f, 0xaa), hap.tlv(0xf0, new Uint8Array(0))];
        expect(
          await setup.sendM1((items) =>
            extras.reduce((all, extra) => edits.insert(extra, index)(all), items),
          ),
        ).to.be.allowed();
      },
    ),
  ),

  watch(
    'TLV-05',
    'Response fragmentation is canonical',
    'pairing-reply',
    ({ tlv: message }, { expect, warn }) => {
      const { fragments, defect } = message!;
      expect(defect, 'the body parses to its last byte').to.equal(undefined);
      fragments.forEach(({ type, value, offset }, i) => {
        const next = fragments[i + 1];
        const name = hap.tlvTypeName(type);
        if (next?.type === type) {
          expect(
            value.length,
            `${name} at offset ${offset} goes on in the next fragment, so it holds`,
          ).to.equal(255);
          if (next.value.length === 0) warn(`${name} ends with an empty fragment at offset ${next.offset}`);
        } else if (value.length === 255) {
          const apart = fragments.slice(i + 1).find((fragment) => fragment.type === type);
          expect(apart?.offset, `${name} at offset ${offset} goes on behind another item`).to.equal(
            undefined,
          );
        }
      });
    },
  ),

  watch(
    'TLV-06',
    'State and Error values in responses are exactly one byte',
    'pairing-reply',
    ({ tlv: message }, { expect }) => {
      const states = message!.all(hap.TlvType.State);
      expect(states.length, 'number of State items').to.equal(1);
      expect(states[0]!.length, 'bytes of State').to.equal(1);
      const errors = message!.all(hap.TlvType.Error);
      expect(errors.length, 'number of Error items').to.be.at.most(1);
      if (errors[0] === undefined) return;
      expect(errors[0].length, 'bytes of Error').to.equal(1);
      expect(errors[0][0], 'Error code').to.be.within(1, 7);
    },
  ),

  ...[5000, 40960].map((length) =>
    check(
      `TLV-03/${length}-bytes`,
      'Large unknown value, fragmented, is skipped',
      {
        ...unpaired,
        grid: ['setup-m1', 'oversized'],
        costs: { m2: 1 },
        // Only the larger one may meet a closed door: 5000 bytes are no reason to hang up.
        allow: [
          outcomes.success('setup-m2'),
          outcomes.tlvError(2),
          outcomes.badRequest(),
          ...(length > 5000 ? [outcomes.closed()] : []),
        ],
        tolerate: [outcomes.anyRefusal()],
        forbid: [outcomes.silence()],
      },
      async ({ controller, expect, observe, random }) => {
        const setup = await controller.setup();
        const outcome = await setup.sendM1(edits.insert(hap.tlv(0x7f, random.bytes(length)), -1));
        expect(outcome).to.be.allowed();
        observe('long unknown item', outcomes.success('setup-m2').matches(outcome) ? 'skipped' : 'refused');
      },
    ),
  ),

  ...Object.entries(orders).map(([name, edit]) =>
    check(
      `TLV-04/${name}`,
      'Values longer than 255 bytes are reassembled from adjacent fragments',
      {
        from: 'unpaired',
        needs: ['PS-M3-01'],
        costs: { m2: 1, m4: 1 },
        allow: [outcomes.success('setup-m4')],
      },
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
    'Adjacent same-type items where the earlier one is shorter than 255',
    {
      ...unpaired,
      grid: ['setup-m3', 'split'],
      needs: ['PS-M3-01'],
      costs: { m2: 1, m4: 1, attempts: 1 },
      allow: [outcomes.success('setup-m4'), outcomes.tlvError(4), outcomes.badRequest()],
      tolerate: [outcomes.anyRefusal()],
      forbid: [outcomes.silence()],
    },
    async ({ controller, expect, observe, violate }) => {
      const setup = await controller.pairSetup();
      const outcome = await setup.sendM3((items) =>
        items.flatMap((item) =>
          item.type === hap.TlvType.PublicKey
            ? [hap.tlv(item.type, item.value.subarray(0, 200)), hap.tlv(item.type, item.value.subarray(200))]
            : [item],
        ),
      );
      expect(outcome).to.be.allowed();
      const merged = outcomes.success('setup-m4').matches(outcome);
      observe('a short fragment and its continuation', merged ? 'joined' : 'refused');
      if (outcome.kind !== 'reply' || !merged) return;
      const defect = setup.readM4(outcome).findings[0];
      if (defect !== undefined) violate(`accepted without the joined value: ${defect.what}`);
    },
  ),

  ...Object.entries(twoStates).map(([name, edit]) =>
    check(
      `TLV-08/${name}`,
      'Non-adjacent duplicate of a known type never changes the state reached',
      {
        ...unpaired,
        grid: ['setup-m1', 'duplicated'],
        costs: { m2: 1 },
        allow: [
          outcomes.success('setup-m2'),
          outcomes.tlvError(2),
          outcomes.badRequest(),
          ...(name === '3-then-1' ? [outcomes.tlvError(4)] : []),
        ],
        tolerate: [outcomes.anyRefusal()],
        forbid: [outcomes.success('setup-m4'), outcomes.silence()],
      },
      async ({ controller, expect, observe }) => {
        const setup = await controller.setup();
        const outcome = await setup.sendM1(edit);
        expect(outcome).to.be.allowed();
        observe(
          `two States, ${name}`,
          outcomes.success('setup-m2').matches(outcome) ? 'read as M1' : 'refused',
        );
        expect(await controller.isUnpaired(), 'a regular M1 works afterwards').to.equal(true);
      },
    ),
  ),

  ...Object.entries(truncated).map(([name, { body, fields }]) =>
    check(
      `TLV-09/setup-${name}`,
      'Truncated TLV input is rejected',
      {
        ...unpaired,
        ...(name === 'last-item-cut' && { grid: ['setup-m1', 'truncated'] as const }),
        allow: [outcomes.tlvError(2), outcomes.badRequest()],
        tolerate: [outcomes.anyRefusal(), ...(fields ? [outcomes.success('setup-m2')] : [])],
        forbid: [outcomes.silence()],
      },
      async ({ controller, expect }) => {
        const setup = await controller.setup();
        expect(await setup.sendM1Bytes(hap.fromHex(body))).to.be.allowed();
      },
    ),
  ),
  ...Object.entries(truncated).map(([name, { body, fields }]) =>
    check(
      `TLV-09/verify-${name}`,
      'Truncated TLV input is rejected',
      {
        ...paired,
        costs: { verifies: 1 },
        allow: [outcomes.tlvError(2), outcomes.badRequest()],
        tolerate: [outcomes.anyRefusal(), ...(fields ? [outcomes.success('verify-m2')] : [])],
        forbid: [outcomes.silence()],
      },
      async ({ controller, expect }) => {
        const link = await controller.open();
        expect(await controller.postToVerify(link, hap.fromHex(body))).to.be.allowed();
      },
    ),
  ),

  check(
    'TLV-10/setup',
    'Empty body',
    { ...unpaired, costs: { m2: 1 }, ...outcomes.reject('setup-m2') },
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
    'Empty body',
    { ...paired, costs: { verifies: 2 }, ...outcomes.reject('verify-m2') },
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
    'Empty body',
    { from: 'paired', risky: true, costs: { verifies: 1 }, ...outcomes.reject('pairings-list') },
    async ({ controller, expect }) => {
      const session = await controller.session();
      expect(await session.sendPairings([])).to.be.allowed();
    },
  ),

  ...Object.entries(widths).map(([name, { value, isOne }]) =>
    check(
      `TLV-11/${name}`,
      'State TLV with wrong length',
      {
        ...unpaired,

        allow: [
          outcomes.tlvError(2),
          outcomes.badRequest(),
          ...(isOne ? [outcomes.success('setup-m2')] : []),
        ],
        tolerate: [outcomes.anyRefusal()],
        forbid: [outcomes.silence(), ...(isOne ? [] : [outcomes.success('setup-m2')])],
      },
      async ({ controller, expect, observe }) => {
        const setup = await controller.setup();
        const outcome = await setup.sendM1(edits.replace('State', value));
        expect(outcome).to.be.allowed();
        observe(`State, ${name}`, outcomes.success('setup-m2').matches(outcome) ? 'read as 1' : 'refused');
      },
    ),
  ),

  check(
    'TLV-12',
    'Separator items outside lists are ignored',
    {
      ...unpaired,
      costs: { m2: 1 },
      allow: [outcomes.success('setup-m2')],
      tolerate: [outcomes.anyRefusal()],
      forbid: [outcomes.silence()],
    },
    async ({ controller, expect }) => {
      const setup = await controller.setup();
      expect(await setup.sendM1(edits.insert(hap.separator(), 1))).to.be.allowed();
    },
  ),

  ...[255, 510].map((length) =>
    check(
      `TLV-13/${length}-bytes`,
      'EncryptedData whose length is an exact multiple of 255',
      {
        ...unpaired,
        leaves: 'paired',
        costs: { m2: 1, m4: 1, m6: 1 },
        allow: [outcomes.success('setup-m6')],
        tolerate: [outcomes.anyRefusal()],
        forbid: [outcomes.silence()],
      },
      async ({ controller, expect, violate }) => {
        const setup = await controller.pairSetup();
        await setup.m3();
        const outcome = await setup.sendM5({ sub: (items) => padded(items, length - TAG) });
        expect(outcome).to.be.allowed();
        if (outcome.kind === 'reply' && outcomes.success('setup-m6').matches(outcome)) setup.readM6(outcome);
        else if (!(await controller.isUnpaired())) violate('M5 was refused, and its controller is stored');
      },
    ),
  ),

  check(
    'TLV-14/setup',
    'Arbitrary bytes never crash, hang or advance the accessory',
    { ...unpaired, costs: { m2: 1 }, ...harmless },
    async ({ controller, expect, random }) => {
      const m1 = hap.encodeTlv(hap.setupM1());
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
    'Arbitrary bytes never crash, hang or advance the accessory',
    {
      ...paired,
      costs: { verifies: 4 },
      ...harmless,
      forbid: [outcomes.silence(), outcomes.success('verify-m2')],
    },
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
    'Arbitrary bytes never crash, hang or advance the accessory',
    {
      from: 'paired',
      risky: true,
      costs: { verifies: 5 },
      ...harmless,
      forbid: [outcomes.silence(), outcomes.success('pairings-list')],
    },
    async ({ controller, expect, random }) => {
      const { paths } = controller.profile;
      for (const length of lengths) {
        const { link } = await controller.session();
        const outcome = await link.postBytes(paths.pairings, random.bytes(length), controller.judgedWait);
        expect(outcome, `${length} bytes`).to.be.allowed();
        await link.close();
      }
      const list = await (await controller.session()).sendPairings(hap.listPairings());
      expect(list, 'the list afterwards').to.be.allowed({ allow: [outcomes.success('pairings-list')] });
    },
  ),
]);
