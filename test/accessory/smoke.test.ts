import { expect } from 'chai';
import { Bench } from './driver.js';
describe('smoke', () => {
  it('pairs, verifies, lists', () => {
    const bench = new Bench();
    const { controller, accessory } = bench.pair();
    const line = bench.verify(controller, accessory);
    expect(bench.list(line)).to.have.length(1);
    const r = line.http('GET', '/accessories');
    expect(r.status).to.equal(200);
    expect(r.body.length).to.be.greaterThan(1500);
    expect(line.http('GET', '/characteristics?id=1.9,1.10').status).to.equal(200);
  });
});
