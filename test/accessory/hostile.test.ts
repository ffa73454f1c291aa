import { expect } from 'chai';
import fc from 'fast-check';
import { encodeTlv } from '../../harness/protocol/index.js';
import { encodeRequest } from '../../harness/wire/index.js';
import { Bench, type Line } from './driver.js';

const runs = { numRuns: 300, seed: 20_251 };
const bytes = fc.uint8Array({ maxLength: 600 });
const item = fc.record({
  type: fc.oneof(fc.constantFrom(0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 19, 255), fc.nat(255)),
  value: fc.oneof(fc.uint8Array({ maxLength: 3 }), fc.uint8Array({ minLength: 31, maxLength: 65 }), bytes),
});
/** Lists that begin with a plausible State, so that more than the first guard is reached. */
const message = fc
  .tuple(fc.constantFrom(1, 3, 5), fc.array(item, { maxLength: 6 }))
  .map(([state, items]) => encodeTlv([{ type: 6, value: Uint8Array.of(state) }, ...items]));

describe('accessory: hostile bytes', () => {
  it('never throws on random bytes of a connection', () => {
    fc.assert(
      fc.property(fc.array(bytes, { maxLength: 4 }), (chunks) => {
        const line = new Bench().line();
        for (const chunk of chunks) line.raw(chunk);
      }),
      runs,
    );
  });

  for (const path of ['/pair-setup', '/pair-verify', '/pairings', '/characteristics'])
    it(`answers whatever is posted to ${path}, plain and in a session, and stays usable`, () => {
      const bench = new Bench();
      const { controller, accessory } = bench.pair();
      // One session for as long as it is open: a Pair Verify for each body would be most of what this costs.
      let session: Line | undefined;
      const inSession = (): Line =>
        (session = session === undefined || session.ended ? bench.verify(controller, accessory) : session);
      fc.assert(
        fc.property(fc.oneof(bytes, message), fc.boolean(), (body, secured) => {
          const line = secured ? inSession() : bench.line();
          const method = path === '/characteristics' ? 'PUT' : 'POST';
          expect(line.request(method, path, body).messages).to.have.length(1);
          expect(line.request('GET', '/nothing').messages).to.have.length(1);
          if (!secured) line.close();
        }),
        runs,
      );
      expect(bench.accessory.pairings).to.have.length(1);
    });

  it('answers every unpaired Pair Setup message', () => {
    const bench = new Bench();
    const line = bench.line();
    fc.assert(
      fc.property(fc.oneof(bytes, message), (body) => {
        expect(line.http('POST', '/pair-setup', body).status).to.be.oneOf([200, 400]);
      }),
      { ...runs, numRuns: 100 },
    );
    expect(bench.accessory.pairings).to.have.length(0);
  });

  it('never throws on random bytes of a secured session, and answers no frame that does not open', () => {
    const bench = new Bench();
    const { controller, accessory } = bench.pair();
    fc.assert(
      fc.property(fc.array(bytes, { minLength: 1, maxLength: 3 }), (chunks) => {
        const line = bench.verify(controller, accessory);
        for (const chunk of chunks) expect(line.raw(chunk).wire).to.have.length(0);
        line.close();
      }),
      { ...runs, numRuns: 100 },
    );
  });

  it('answers every start line and header', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 40 }), fc.string({ maxLength: 40 }), (path, value) => {
        const line = new Bench().line();
        line.raw(encodeRequest({ method: 'POST', path: `/${path}`, headers: [['X', value]] }));
      }),
      runs,
    );
  });
});
