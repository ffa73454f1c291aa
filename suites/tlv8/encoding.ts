import { TlvType, chapter, insert, reorder, success, tlv, tlvTypeName } from '../../harness/suite.js';

const m2 = { allow: [success('setup-m2')] };

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
      { from: 'unpaired', costs: { m2: 1 }, ...m2 },
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
]);
