import { X509Certificate } from 'node:crypto';
import { expect } from 'chai';
import { mfiChip } from '../../harness/accessory/index.js';
import { readAuthentication } from '../../harness/controller/index.js';
import {
  InputError,
  authenticationItems,
  concat,
  deriveKey,
  encodeTlv,
  flipBit,
  fromHex,
  hex,
  isIssuedBy,
  labelNonce,
  mfiChallenge,
  readMfiCertificate,
  readTrustAnchors,
  seal,
  utf8,
} from '../../harness/protocol/index.js';
import { keysFromAlice, srpAlice } from './known-answers.js';

const K = fromHex(srpAlice.K);

function sealed(signature: Uint8Array, certificate: Uint8Array, label = 'PS-Msg04'): Uint8Array {
  const plain = encodeTlv(authenticationItems(signature, certificate));
  return seal(deriveKey('Pair-Setup-Encrypt', K), labelNonce(label), plain);
}

describe('MFi authentication', () => {
  it('derives the challenge of the known answer', () => {
    expect(hex(mfiChallenge(K))).to.equal(keysFromAlice['MFi-Pair-Setup']);
  });

  for (const kind of ['rsa', 'ecdsa'] as const) {
    const chip = mfiChip(kind);
    it(`reads what a chip of ${kind} says, its certificate alone or in PKCS#7`, () => {
      const signature = chip.sign(mfiChallenge(K));
      expect(signature).to.have.length(kind === 'rsa' ? 128 : 64);
      for (const certificate of [chip.certificate, chip.container]) {
        const read = readAuthentication(sealed(signature, certificate), K);
        expect(read.findings).to.deep.equal([]);
        const root = new X509Certificate(chip.root);
        expect(isIssuedBy(read.certificate!, [root])).to.equal(true);
        expect(isIssuedBy(read.certificate!, [new X509Certificate(mfiChip(kind, 'another').root)])).to.equal(
          false,
        );
      }
    });

    it(`says what is wrong with a signature of ${kind}`, () => {
      const found = (data: Uint8Array, label?: string): string =>
        readAuthentication(sealed(chip.sign(data), chip.container, label), K)
          .findings.map(({ requirement, what }) => `${requirement} ${what}`)
          .join();
      expect(found(K)).to.match(/^MFI-04 .*K itself$/);
      expect(found(mfiChallenge(fromHex('00'.repeat(64))))).to.match(/^MFI-04 .*this session$/);
      expect(found(mfiChallenge(K), 'PS-Msg05')).to.match(/^MFI-01 .*opens with the nonce PS-Msg05$/);
    });
  }

  it('refuses certificates that are none, cut, or longer than they say', () => {
    const { container, certificate } = mfiChip('rsa');
    const word = (bytes: Uint8Array): string => {
      const read = readMfiCertificate(bytes);
      return typeof read === 'string' ? read : 'a certificate';
    };
    expect(word(certificate)).to.equal('a certificate');
    expect(word(container)).to.equal('a certificate');
    expect(word(utf8('no certificate'))).to.equal('it is no DER');
    expect(word(new Uint8Array(0))).to.equal('it is no DER');
    expect(word(container.subarray(0, 100))).to.equal('it is no DER');
    expect(word(concat(container, new Uint8Array(3)))).to.equal('3 bytes follow its DER');
    expect(word(fromHex('30020500'))).to.equal('it is neither a certificate nor PKCS#7');
    // Whatever is done to it, it is read or refused, and nothing is thrown.
    for (let bit = 0; bit < container.length * 8; bit += 61)
      expect(word(flipBit(container, bit))).to.be.a('string');
  });

  it('reads trust anchors in PEM and DER, and nothing else', () => {
    const { root } = mfiChip('rsa');
    const pem = new X509Certificate(root).toString();
    expect(readTrustAnchors(root)).to.have.length(1);
    expect(readTrustAnchors(utf8(`${pem}\n${pem}`))).to.have.length(2);
    expect(() => readTrustAnchors(utf8('nothing'))).to.throw(InputError, 'trust anchors');
  });
});
