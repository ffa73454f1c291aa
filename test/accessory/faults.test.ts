import { expect } from 'chai';
import {
  type Behaviour,
  type Fault,
  faults,
  findFault,
  hapDress,
  healthyIn,
  twin,
} from '../../harness/accessory/index.js';
import { InputError, listPairings } from '../../harness/protocol/index.js';
import { quickArithmetic } from '../arithmetic.js';
import { Bench } from './driver.js';

/** Faults whose nature is that no ordinary Pair Setup, Pair Verify and List can be completed. */
const blocking = [
  'blank-before-the-colon',
  'answers-twice',
  'm1-unanswered',
  'm2-http-500',
  'public-key-zero',
  'public-key-above-n',
  'fragments-not-joined',
  'code-without-dashes',
  'literal-k-and-u',
  'm3-unanswered',
  'echoes-controller-proof',
  'random-server-proof',
  'm6-sealed-as-m5',
  'm5-unanswered',
  'first-controller-is-user',
  'm6-without-storing',
  'm6-signature-other-order',
  'm6-zero-ltpk',
  'm6-without-signature',
  'verify-m1-unanswered',
  'verify-key-31-bytes',
  'verify-signs-other-order',
  'verify-signs-with-new-key',
  'verify-sends-other-id',
  'verify-key-never-filled',
  'verify-m4-sealed',
  'verify-m3-unanswered',
  'session-keys-swapped',
  'list-without-permissions',
  'list-unanswered',
  'closes-after-each-response',
  'closes-after-m4',
  'public-key-from-hex-text',
  'm4-empty',
  'm5-always-refused',
  'closes-and-stops-listening-after-m6',
  'm6-sends-other-id',
  'one-key-both-ways',
  'counter-big-endian',
  'one-counter-both-ways',
  'counter-restarts-with-each-reply',
  'counter-once-per-reply',
  'seals-without-aad',
  'long-reply-cut-short',
  'one-client-at-a-time',
  'length-counts-one-too-few',
  'other-content-type-unanswered',
  'receiver-knows-rtsp-only',
  'receiver-stores-nothing',
  'receiver-admits-anybody',
  'receiver-derives-twice',
  'receiver-counts-from-one',
  'm5-nonce-label-first',
  'm5-key-of-pair-verify',
  'm5-signature-under-own-labels',
  'srp-user-in-lower-case',
  'public-key-little-endian',
  'm6-is-http-201',
  'list-leaves-out-who-asks',
];

/** Pairs with a receiver and reads what it says of itself. */
function receiverFlow(behaviour: Behaviour): void {
  const bench = new Bench({ behaviour });
  const { controller, accessory } = bench.pair();
  const line = bench.verify(controller, accessory);
  if (line.http('GET', '/info').status !== 200) throw new Error('GET /info');
  if (line.post('/pair-list', listPairings()).status !== 200) throw new Error('POST /pair-list');
}

function ordinaryFlow({ dress, ...fault }: Fault): void {
  const behaviour = twin({ ...fault, ...(dress && { dress }) });
  if (dress?.kind === 'airplay') return receiverFlow(behaviour);
  const bench = new Bench({ behaviour });
  const { controller, accessory } = bench.pair();
  const line = bench.verify(controller, accessory);
  if (bench.list(line).length !== 1) throw new Error('the list has not one entry');
  if (line.http('GET', '/accessories').status !== 200) throw new Error('GET /accessories');
}

describe('accessory: faults', () => {
  // The flows are the same for every twin, so each exponentiation is paid once.
  quickArithmetic();

  it('have unique names', () => {
    expect(new Set(faults.map(({ name }) => name)).size).to.equal(faults.length);
    expect(() => findFault('no-such-fault')).to.throw(InputError);
  });

  for (const fault of faults)
    describe(fault.name, () => {
      it('says what it breaks and why, and alters the healthy behaviour', () => {
        expect(fault.name).to.match(/^[a-z0-9]+(-[a-z0-9]+)*$/);
        expect(fault.breaks).not.to.have.length(0);
        expect(fault.story).to.match(/^\S[^\n]{10,110}$/);
        const healthy = healthyIn(fault.dress ?? hapDress);
        const changed = Object.entries(fault.change(healthy));
        // What is printed on it is beside its behaviour.
        expect([...changed, ...Object.keys(fault.label ?? {})]).not.to.have.length(0);
        for (const [member, value] of changed)
          expect(value, member).not.to.equal(healthy[member as keyof Behaviour]);
        expect(findFault(fault.name)).to.equal(fault);
      });

      const blocks = blocking.includes(fault.name);
      it(blocks ? 'stops the ordinary flow' : 'lets the ordinary flow through', () => {
        if (blocks) expect(() => ordinaryFlow(fault)).to.throw();
        else ordinaryFlow(fault);
      });
    });

  it('block the ordinary flow only where a fault of that name exists', () => {
    for (const name of blocking) expect(findFault(name).name).to.equal(name);
  });
});
