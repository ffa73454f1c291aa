/**
 * M1 with Flags of odd length or with reserved bits, and with items of later messages.
 * What has no meaning is ignored; an accessory that refuses is the lesser finding, one that is silent or goes down is red.
 * The last check measures how long M2 and M4 take.
 */
import { chapter, edits, hap, outcomes } from '../../harness/suite.js';
import { completes, eitherWay, ignored, m2, risky, takeM2 } from './shared.js';

/** Little-endian, without leading zero bytes. */
function bits(...set: readonly number[]): hap.Bytes {
  const value = new Uint8Array(Math.floor(Math.max(...set) / 8) + 1);
  for (const bit of set) value[bit >> 3]! |= 1 << (bit & 7);
  return value;
}

/** Each ends in a byte or at one, and none is Transient (4) or Split (24). */
const reservedBits = [0, 3, 5, 7, 8, 16, 23, 25, 31];

const wideFlags: Record<string, hap.Bytes> = {
  '5-bytes-zero': new Uint8Array(5),
  '6-bytes-transient': hap.fromHex('100000000000'),
  '7-bytes-bit-55': hap.fromHex('00000000000080'),
  '8-bytes-zero': new Uint8Array(8),
  '8-bytes-transient': hap.fromHex('1000000000000000'),
  '8-bytes-bit-63': hap.fromHex('0000000000000080'),
};

/** Items of later messages, none of which has a meaning in M1. */
const foreignItems = {
  identifier: hap.tlv(hap.TlvType.Identifier, '7F3C0A52-9B1E-4D6A-8C55-2E0B7A91D3F4'),
  proof: hap.tlv(hap.TlvType.Proof, new Uint8Array(hap.Length.proof).fill(0x5a)),
  'encrypted-data': hap.tlv(hap.TlvType.EncryptedData, new Uint8Array(32).fill(0x5a)),
  error: hap.tlv(hap.TlvType.Error, 2),
  permissions: hap.tlv(hap.TlvType.Permissions, 1),
};

/** Milliseconds that are half of what iOS gives a step. */
const SLOW = 5_000;

export default chapter(
  'pair-setup.m1-m2',
  ({ check }) => [
    ...[0, 1, 2, 3].map((length) =>
      check(
        `PS-M1-16/${length}-bytes`,
        'Flags value 0 in 0 to 4 bytes equals no flags',
        { ...risky, costs: { m2: 1 }, ...ignored },
        async ({ controller, expect, warn }) => {
          const setup = await controller.setup();
          const outcome = await setup.sendM1(
            edits.insert(hap.tlv(hap.TlvType.Flags, new Uint8Array(length)), -1),
          );
          expect(outcome).to.be.allowed();
          if (controller.flagsOf(outcome) !== undefined) warn('M2 carries Flags');
        },
      ),
    ),

    ...Object.entries(wideFlags).map(([name, value]) =>
      check(
        `PS-M1-17/${name}`,
        'Flags longer than 4 bytes',
        { ...risky, costs: { m2: 1 }, ...eitherWay },
        async ({ controller, bench, expect, observe }) => {
          const setup = await controller.setup();
          const outcome = await setup.sendM1(edits.insert(hap.tlv(hap.TlvType.Flags, value), -1));
          expect(outcome).to.be.allowed();
          observe('Flags longer than 4 bytes', m2.matches(outcome) ? 'served' : 'refused');
          if (!m2.matches(outcome) || !bench.hasCode) return;
          observe('mode entered', (await completes(setup)) ? 'regular' : 'not the regular one');
        },
      ),
    ),

    ...reservedBits.map((bit) =>
      check(
        `PS-M1-18/bit-${bit}`,
        'Reserved flag bits are ignored',
        { ...risky, costs: { m2: 1 }, ...ignored },
        async ({ controller, expect, warn }) => {
          const setup = await controller.setup();
          const outcome = await setup.sendM1(edits.insert(hap.tlv(hap.TlvType.Flags, bits(bit)), -1));
          expect(outcome).to.be.allowed();
          if (controller.flagsOf(outcome) !== undefined) warn('M2 carries Flags');
        },
      ),
    ),

    // One of the values without a flag, and one with all that means nothing, go the whole way.
    ...Object.entries({
      'PS-M1-16/4-bytes': ['Flags value 0 in 0 to 4 bytes equals no flags', new Uint8Array(4)],
      'PS-M1-18/all': ['Reserved flag bits are ignored', bits(...reservedBits)],
    } as const).map(([id, [title, value]]) =>
      check(
        id,
        title,
        { ...risky, leaves: 'paired', costs: { m2: 1, m4: 1, m6: 1 }, ...ignored },
        async ({ controller, bench, expect, violate }) => {
          const setup = await controller.setup();
          const outcome = await setup.sendM1(edits.insert(hap.tlv(hap.TlvType.Flags, value), -1));
          expect(outcome).to.be.allowed();
          if (m2.matches(outcome) && bench.hasCode && !(await completes(setup)))
            violate('no flag of a mode was set, and the regular setup does not complete');
        },
      ),
    ),

    ...Object.entries(foreignItems).map(([name, item]) =>
      check(
        `PS-M1-19/${name}`,
        'Irrelevant known items in M1 are ignored',
        { ...risky, costs: { m2: 1 }, ...ignored },
        async ({ controller, expect, violate }) => {
          const setup = await controller.setup();
          const outcome = await setup.sendM1(edits.insert(item, -1));
          const reply = outcome.kind === 'reply' ? outcome.tlv : undefined;
          if (reply?.has(hap.TlvType.PublicKey) && reply.has(item.type))
            violate(`M2 brings back the ${hap.tlvTypeName(item.type)} of M1`);
          expect(outcome).to.be.allowed();
        },
      ),
    ),

    check(
      'PS-M1-20',
      'M2 arrives in time',
      {
        from: 'unpaired',
        costs: { m2: 1, m4: 1 },
        allow: [m2, outcomes.success('setup-m4')],
        forbid: [outcomes.silence()],
      },
      async ({ controller, bench, expect, observe, warn }) => {
        const setup = await controller.setup();
        const first = await setup.sendM1();
        expect(first, 'M2').to.be.allowed({ allow: [m2], forbid: [outcomes.silence()] });
        observe('milliseconds until M2', String(Math.round(first.elapsed)));
        // M4 of a wrong code says nothing about time and costs a failed attempt.
        const wrongCode = bench.broken.get('PS-M3-01')?.startsWith('wrong setup code') ?? false;
        if (!bench.hasCode || wrongCode) return;
        takeM2(setup);
        const second = await setup.sendM3();
        expect(second, 'M4').to.be.allowed({
          allow: [outcomes.success('setup-m4')],
          forbid: [outcomes.silence()],
        });
        observe('milliseconds until M4', String(Math.round(second.elapsed)));
        for (const [name, { elapsed }] of Object.entries({ M2: first, M4: second }))
          if (elapsed > SLOW) warn(`${name} took ${Math.round(elapsed)} ms; a phone gives up after 10 s`);
      },
    ),
  ],
  'flags',
);
