import { expect } from 'chai';
import {
  Method,
  PairingFlag,
  type TlvItem,
  addPairing,
  encodeTlv,
  errorReply,
  hex,
  identityItems,
  listPairings,
  methodName,
  pairingEntry,
  proofItems,
  removePairing,
  sealedMessage,
  setupM1,
  setupM2,
  setupM3,
  setupM4,
  stateOnly,
  tlvErrorName,
  tlvTypeName,
  utf8,
  verifyM1,
  verifyM2,
} from '../../harness/protocol/index.js';

const id = utf8('00000000-0000-4000-8000-000000000001');
const key = new Uint8Array(32).fill(0xaa);

function wire(items: readonly TlvItem[]): string {
  return hex(encodeTlv(items));
}

describe('messages on the wire', () => {
  it('start Pair Setup as real senders do', () => {
    expect(wire(setupM1())).to.equal('000100060101');
    expect(wire(setupM1(Method.PairSetupWithAuth))).to.equal('000101060101');
    expect(wire(setupM1(Method.PairSetup, PairingFlag.Transient))).to.equal('000100060101130110');
    expect(wire(setupM1(Method.PairSetup, PairingFlag.Split))).to.equal('000100060101130400000001');
    expect(wire(setupM1(Method.PairSetup, PairingFlag.Transient | PairingFlag.Split))).to.equal(
      '000100060101130410000001',
    );
  });

  it('have the sizes of published captures', () => {
    const sizes: readonly [TlvItem[], number][] = [
      [setupM2(new Uint8Array(384), new Uint8Array(16)), 409],
      [setupM3(new Uint8Array(384), new Uint8Array(64)), 457],
      [setupM4(new Uint8Array(64)), 69],
      [sealedMessage(5, new Uint8Array(134)), 139],
      [verifyM1(key), 37],
      [verifyM2(key, new Uint8Array(101)), 140],
      [sealedMessage(3, new Uint8Array(120)), 125],
      [stateOnly(4), 3],
    ];
    for (const [items, size] of sizes) expect(encodeTlv(items).length).to.equal(size);
    // Sealed sub-TLVs of Pair Verify: 17 and 36 characters of id, 64 bytes of signature, 16 of tag.
    expect(encodeTlv(proofItems(new Uint8Array(17), new Uint8Array(64))).length + 16).to.equal(101);
    expect(encodeTlv(proofItems(id, new Uint8Array(64))).length + 16).to.equal(120);
  });

  it('say what they are', () => {
    expect(wire(stateOnly(4))).to.equal('060104');
    expect(wire(errorReply(4, 2))).to.equal('060104070102');
    expect(wire(listPairings())).to.equal('060101000105');
    expect(wire(removePairing(Uint8Array.of(0x41)))).to.equal('060101000104010141');
    expect(wire(addPairing(Uint8Array.of(0x41), key, 1))).to.equal(`0601010001030101410320${hex(key)}0b0101`);
    expect(wire(pairingEntry(Uint8Array.of(0x41), key, 0))).to.equal(`0101410320${hex(key)}0b0100`);
    expect(wire(identityItems(Uint8Array.of(0x41), key, Uint8Array.of(1)))).to.equal(
      `0101410320${hex(key)}0a0101`,
    );
  });

  it('have names for people', () => {
    expect([tlvTypeName(3), tlvTypeName(0x7f), tlvTypeName(255)]).to.deep.equal([
      'PublicKey',
      '0x7f',
      'Separator',
    ]);
    expect([methodName(5), methodName(9)]).to.deep.equal(['ListPairings', 'Method 9']);
    expect([tlvErrorName(7), tlvErrorName(0)]).to.deep.equal(['Busy', 'Error 0']);
  });
});
