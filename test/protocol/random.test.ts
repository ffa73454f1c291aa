import { expect } from 'chai';
import { concat, hex, seededRandom } from '../../harness/protocol/index.js';

describe('seeded random', () => {
  it('gives the same stream for the same seed, a number or its text', () => {
    expect(hex(seededRandom(7).bytes(3000))).to.equal(hex(seededRandom('7').bytes(3000)));
    expect(hex(seededRandom(7).bytes(32))).to.not.equal(hex(seededRandom(8).bytes(32)));
  });

  it('stays what it was: a change would silently change every stored seed', () => {
    expect(hex(seededRandom(1).bytes(16))).to.equal('869320463bcc779ad21101145b8d661d');
    expect(hex(seededRandom(1).fork('PS-M3-04').bytes(16))).to.equal('79f739352b0e442b07e8b30e7e873016');
  });

  it('gives the same bytes however they are asked for, over the end of its blocks', () => {
    const whole = seededRandom('cut').bytes(5000);
    const random = seededRandom('cut');
    const pieces = [1, 1023, 1, 1024, 0, 2048, 903].map((length) => random.bytes(length));
    expect(hex(concat(...pieces))).to.equal(hex(whole));
    expect(
      new Set(Array.from({ length: 300 }, (_, i) => hex(whole.subarray(i * 16, i * 16 + 16)))).size,
    ).to.equal(300);
  });

  it('gives bytes of the caller’s own', () => {
    const random = seededRandom('own');
    random.bytes(16).fill(0);
    const again = seededRandom('own');
    again.bytes(16);
    expect(hex(random.bytes(16))).to.equal(hex(again.bytes(16)));
  });

  it('forks by label alone, whatever was drawn and in whatever order', () => {
    const fresh = hex(seededRandom(1).fork('a').bytes(32));
    const used = seededRandom(1);
    used.bytes(77);
    used.fork('b').bytes(5);
    expect(hex(used.fork('a').bytes(32))).to.equal(fresh);
    expect(hex(used.fork('a').bytes(32))).to.equal(fresh);
    expect(hex(used.fork('b').bytes(32))).to.not.equal(fresh);
    expect(hex(used.fork('a').fork('b').bytes(32))).to.not.equal(hex(used.fork('ab').bytes(32)));
  });

  it('is not advanced by forking', () => {
    const random = seededRandom(1);
    random.fork('a').bytes(100);
    expect(hex(random.bytes(32))).to.equal(hex(seededRandom(1).bytes(32)));
  });

  for (const bound of [1, 2, 3, 10, 256, 1000])
    it(`draws below ${bound} evenly`, () => {
      const random = seededRandom(`below ${bound}`);
      const counts = new Array<number>(bound).fill(0);
      const draws = bound * 400;
      for (let i = 0; i < draws; i++) {
        const value = random.below(bound);
        counts[value] = (counts[value] ?? 0) + 1;
      }
      // A value outside the range, or no integer, would have made a key of its own.
      expect(Object.keys(counts)).to.have.length(bound);
      const chi = counts.reduce((sum, count) => sum + (count - 400) ** 2 / 400, 0);
      // Mean bound - 1, variance twice that: five standard deviations; the seed is fixed, so this never flakes.
      expect(chi).to.be.at.most(bound - 1 + 5 * Math.sqrt(2 * (bound - 1)));
    });
});
