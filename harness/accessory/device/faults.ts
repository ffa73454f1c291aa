import { equal, text } from '../../protocol/index.js';
import type { Behaviour } from '../behaviour.js';
import { type Fault, fault } from '../faults/fault.js';
import type { Occasion } from './device.js';

/** Another identity on an occasion on which the old one is due. */
function renewsAt(occasion: Occasion): Fault['change'] {
  return (ok) => ({
    identityAfter: (now, own, draw) => (now === occasion ? draw() : ok.identityAfter(now, own, draw)),
  });
}

/** A new key pair under the old id, or the old one under a new id. */
function halfRenewed(kept: 'id' | 'key', occasion: Occasion): Fault['change'] {
  return (ok) => ({
    identityAfter(now, own, draw): ReturnType<Behaviour['identityAfter']> {
      if (now !== occasion) return ok.identityAfter(now, own, draw);
      const fresh = draw();
      return kept === 'id' ? { ...fresh, id: own.id } : { ...own, id: fresh.id };
    },
  });
}

/** Another setup code on an occasion that leaves it what it is. */
function drawsCodeAt(occasion: Occasion): Fault['change'] {
  return (ok) => ({
    codeAfter: (now, code, draw) => (now === occasion ? draw() : ok.codeAfter(now, code, draw)),
  });
}

export const identityFaults: readonly Fault[] = [
  fault(
    'signs-with-a-spoiled-key',
    { breaks: ['IDENT-01'], story: 'now and then the buffer of the key is in use by somebody else' },
    (ok) => ({
      signingKey: (step, ltsk, random) =>
        step === 'verify-m2' && random.below(4) === 0
          ? random.bytes(ltsk.length)
          : ok.signingKey(step, ltsk, random),
    }),
  ),
  fault(
    'new-identity-at-each-start',
    { breaks: ['IDENT-02'], fieldBug: 102, story: 'id and keys are drawn at the start and never read back' },
    renewsAt('restart'),
  ),
  fault(
    'new-keys-at-each-start',
    { breaks: ['IDENT-02'], story: 'the key pair is derived from a counter of starts' },
    halfRenewed('id', 'restart'),
  ),
  fault(
    'shutdown-wipes-pairings',
    {
      breaks: ['IDENT-02'],
      fieldBug: 100,
      story: 'the clean-up at the end of the process empties the store',
    },
    () => ({ restored: () => [] }),
  ),
  fault(
    'reset-while-starting-wipes',
    {
      breaks: ['IDENT-08'],
      fieldBug: 156,
      story: 'a connection that is reset before anybody has verified counts as a failed start: factory state',
    },
    () => ({ forgetsAtStart: ({ reset }) => reset }),
  ),
  fault(
    'half-request-while-starting-wipes',
    {
      breaks: ['IDENT-08'],
      fieldBug: 156,
      story: 'what is left of a half request is written over the list that is being read from flash',
    },
    () => ({ forgetsAtStart: ({ partial, reset }) => partial && !reset }),
  ),
  fault(
    'crowd-while-starting-wipes',
    {
      breaks: ['IDENT-08'],
      fieldBug: 157,
      story:
        'each connection reads the store anew; of four at once one finds it half read, and writes that back',
    },
    () => ({ forgetsAtStart: ({ peak }) => peak > 3 }),
  ),
  fault(
    'volatile-state-carried-over',
    {
      breaks: ['IDENT-03'],
      story: 'the whole context is written to flash, exchanges and session keys with it',
    },
    (ok) => ({
      carriesOver: true,
      secretForM5: (exchange) => ok.secretForM5(exchange) ?? exchange.carried,
      adopts: (bytes, known) =>
        /^[A-Z]{3,7} \//.test(text(bytes.subarray(0, 9))) ? undefined : known.at(-1),
    }),
  ),
  fault(
    'last-removal-renews-the-id-only',
    { breaks: ['IDENT-04'], story: 'the id is made anew with the last removal, the keys are not' },
    halfRenewed('key', 'last-removal'),
  ),
  fault(
    'last-removal-renews-the-keys-only',
    {
      breaks: ['IDENT-04'],
      story: 'the keys are made anew with the last removal, the id is the MAC address',
    },
    halfRenewed('id', 'last-removal'),
  ),
  fault(
    'factory-reset-keeps-identity',
    { breaks: ['IDENT-05'], fieldBug: 103, story: 'the reset drops the pairings and keeps id and keys' },
    () => ({ identityAfter: (_occasion, own) => own }),
  ),
  fault(
    'code-drawn-at-each-start',
    {
      breaks: ['IDENT-09'],
      fieldBug: 164,
      story: 'no code is configured, so that one is drawn at each start, as for an accessory with a display',
    },
    drawsCodeAt('restart'),
  ),
  fault(
    'code-made-anew-by-reset',
    {
      breaks: ['IDENT-09'],
      fieldBug: 165,
      story: 'the factory reset makes salt, verifier and code anew; the label has the one from before',
    },
    drawsCodeAt('factory-reset'),
  ),
  fault(
    'pairing-cache-outlives-reset',
    { breaks: ['IDENT-05'], story: 'pairings are looked up in a cache that the reset does not empty' },
    (ok) => ({
      lookUp: (id, known) => ok.lookUp(id, known) ?? known.former.find((pairing) => equal(pairing.id, id)),
    }),
  ),
];
