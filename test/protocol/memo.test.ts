import { expect } from 'chai';
import { memoiseArithmetic, remembered } from '../../harness/protocol/memo.js';

describe('remembered arithmetic', () => {
  beforeEach(() => memoiseArithmetic(true));
  afterEach(() => memoiseArithmetic(false));

  let computed = 0;
  const of = (name: string): number =>
    remembered(
      () => name,
      () => ++computed,
    );

  it('is computed once, also when it came to nothing', () => {
    expect(of('a')).to.equal(of('a'));
    let calls = 0;
    for (let i = 0; i < 2; i++)
      remembered(
        () => 'nothing',
        () => void calls++,
      );
    expect(calls).to.equal(1);
  });

  it('is bounded: what was not asked for the longest is forgotten first', () => {
    const [first, used] = [of('first'), of('used')];
    for (let i = 0; i < 60_000; i++) {
      of(`other ${i}`);
      if (i % 1000 === 0) expect(of('used')).to.equal(used);
    }
    expect(of('used')).to.equal(used);
    expect(of('first')).to.not.equal(first);
  });

  it('is computed each time while it is off', () => {
    memoiseArithmetic(false);
    expect(of('a')).to.not.equal(of('a'));
  });
});
