import { expect } from 'chai';
import { concat, controlKeys, hex, text, utf8 } from '../../harness/protocol/index.js';
import { SecureSession } from '../../harness/wire/index.js';

describe('secured session', () => {
  const { toAccessory, toController } = controlKeys(new Uint8Array(32).fill(3));

  it('has one key and one counter per direction', () => {
    const controller = new SecureSession({ toAccessory, toController });
    const accessory = new SecureSession({ toAccessory: toController, toController: toAccessory });
    for (const message of ['first', 'second']) {
      const frames = accessory.open(concat(...controller.seal(utf8(message))));
      expect(frames.map(({ plaintext }) => plaintext && text(plaintext))).to.deep.equal([message]);
    }
    expect(accessory.encoder.counter).to.equal(0n);
    const [reply] = controller.open(concat(...accessory.seal(utf8('reply'))));
    expect(text(reply!.plaintext!)).to.equal('reply');
  });

  it('does not open what it sealed itself', () => {
    const controller = new SecureSession({ toAccessory, toController });
    const sealed = concat(...controller.seal(utf8('mirror')));
    expect(hex(sealed)).to.have.length((2 + 6 + 16) * 2);
    expect(controller.open(sealed).map(({ plaintext }) => plaintext)).to.deep.equal([undefined]);
  });
});
