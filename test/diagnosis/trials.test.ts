import { expect } from 'chai';
import { occurrence, trials } from '../../bench/trials.js';

describe('diagnosis: why it does not open, hold or match', () => {
  for (const one of trials)
    it(`${one.fault} is named where it is met first`, async () => {
      const { named, said } = await occurrence(one, 4);
      expect(named, said).to.equal(true);
    }).timeout(120_000);
});
