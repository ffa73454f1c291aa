import { type Bytes, TlvType, equal, text, utf8 } from '../../protocol/index.js';
import type { Behaviour } from '../behaviour.js';
import { sha512 } from '../crypto.js';
import type { StoredState } from '../device/store.js';
import type { Pairing } from '../facts.js';
import type { Fault } from './fault.js';
import { succeeds } from './items.js';

/** A mistake of whoever takes over the pairing data of another device; that device has none. */
function importing(
  name: string,
  about: Pick<Fault, 'breaks' | 'story'>,
  change: (state: StoredState, draw: Parameters<Behaviour['imported']>[1]) => StoredState,
): Fault {
  return { name, ...about, clone: 'import', change: () => ({ imported: change }) };
}

/** A mistake of the new device, however the data came into it. */
function clone(name: string, about: Pick<Fault, 'breaks' | 'story'>, change: Fault['change']): Fault {
  return { name, ...about, clone: 'import', change };
}

/** A mistake of the program that both devices run. */
function firmware(name: string, about: Pick<Fault, 'breaks' | 'story'>, change: Fault['change']): Fault {
  return { name, ...about, clone: 'firmware', change };
}

function withPairings(change: (pairings: readonly Pairing[]) => readonly Pairing[]) {
  return (state: StoredState): StoredState => ({ ...state, pairings: change(state.pairings) });
}

function announcing(key: string, value: string): Fault['change'] {
  return (ok) => ({
    announces(facts) {
      const { txt, ...place } = ok.announces(facts);
      return { ...place, txt: txt.map(([name, old]) => [name, name === key ? value : old] as const) };
    },
  });
}

/** The letters of a text in the other case. */
function otherCase(id: Bytes): Bytes {
  const shown = text(id);
  const lower = shown.toLowerCase();
  return utf8(lower === shown ? shown.toUpperCase() : lower);
}

/** Ways in which a clone is none (seed 000). */
export const cloneFaults: readonly Fault[] = [
  importing(
    'clone-draws-new-keys',
    { breaks: ['CLONE-01'], story: 'the device id is taken over, and the key pair is made anew for it' },
    (state, draw) => ({ ...state, ltsk: draw().ltsk }),
  ),
  importing(
    'clone-id-in-small-letters',
    { breaks: ['CLONE-01'], story: 'the device id is taken over in small letters' },
    (state) => ({ ...state, id: utf8(text(state.id).toLowerCase()) }),
  ),
  importing(
    'clone-loses-a-controller',
    { breaks: ['CLONE-03', 'CLONE-05'], story: 'the loop over the controllers ends one too early' },
    withPairings((pairings) => pairings.slice(0, -1)),
  ),
  importing(
    'clone-makes-everybody-admin',
    { breaks: ['CLONE-04', 'CLONE-05'], story: 'permissions are not taken over, and admin is the default' },
    withPairings((pairings) => pairings.map((pairing) => ({ ...pairing, permissions: 1 }))),
  ),
  importing(
    'clone-makes-everybody-user',
    { breaks: ['CLONE-04'], story: 'permissions are not taken over, and 0 is the default' },
    withPairings((pairings) => pairings.map((pairing) => ({ ...pairing, permissions: 0 }))),
  ),
  importing(
    'clone-swaps-permissions',
    {
      breaks: ['CLONE-04'],
      story: 'the list of permissions is read in another order than that of controllers',
    },
    withPairings((pairings) => {
      const rights = pairings.map(({ permissions }) => permissions).reverse();
      return pairings.map((pairing, i) => ({ ...pairing, permissions: rights[i]! }));
    }),
  ),
  importing(
    'clone-is-unpaired',
    {
      breaks: ['CLONE-02', 'CLONE-03', 'CLONE-06'],
      story: 'the identity is taken over, and the controllers are not',
    },
    withPairings(() => []),
  ),
  importing(
    'clone-repeats-a-key',
    {
      breaks: ['CLONE-03', 'CLONE-05'],
      story: 'the buffer of a key is used for the next controller before it is stored',
    },
    withPairings((pairings) =>
      pairings.map((pairing, i) =>
        i === 0 ? { ...pairing, ltpk: pairings[1]?.ltpk ?? pairing.ltpk } : pairing,
      ),
    ),
  ),
  clone(
    'clone-announces-its-former-id',
    { breaks: ['CLONE-02'], story: 'the id on the network is still the one the device was made with' },
    announcing('id', '02:00:00:00:00:01'),
  ),
  clone(
    'clone-announces-itself-unpaired',
    { breaks: ['CLONE-02'], story: 'sf is only set to 0 by a Pair Setup' },
    announcing('sf', '1'),
  ),
  clone(
    'clone-forgets-at-restart',
    { breaks: ['CLONE-09'], story: 'what was taken over stays in memory, and the store has what it had' },
    () => {
      let starts = 0;
      return { restored: (pairings) => (++starts > 1 ? [] : pairings) };
    },
  ),
  clone(
    'clone-is-itself-after-restart',
    { breaks: ['CLONE-09'], story: 'the identity it was made with is read again at the next start' },
    (ok) => {
      let starts = 0;
      return {
        identityAfter: (occasion, own, draw) =>
          occasion === 'restart' && ++starts > 1 ? draw() : ok.identityAfter(occasion, own, draw),
      };
    },
  ),
  clone(
    'clone-lists-in-another-case',
    { breaks: ['CLONE-05'], story: 'identifiers are listed as the platform writes UUIDs' },
    (ok) => ({
      beforeSending(reply) {
        const items = ok.beforeSending(reply);
        if (reply.step !== 'pairings-list' || !succeeds(reply)) return items;
        return items.map((item) =>
          item.type === TlvType.Identifier ? { ...item, value: otherCase(item.value) } : item,
        );
      },
    }),
  ),
  clone(
    'clone-compares-no-keys',
    { breaks: ['CLONE-07'], story: 'a controller that was taken over is known by its identifier alone' },
    (ok) => ({
      signatureHolds: (claim) =>
        (claim.step === 'verify-m3' && claim.ltpk !== undefined) || ok.signatureHolds(claim),
    }),
  ),
  clone(
    'clone-lets-in-strangers',
    {
      breaks: ['CLONE-07'],
      story: 'after an import whoever comes first is taken for one of the controllers',
    },
    (ok) => ({ signatureHolds: (claim) => claim.ltpk === undefined || ok.signatureHolds(claim) }),
  ),
  clone(
    'clone-counts-controllers-twice',
    { breaks: ['CLONE-08'], story: 'controllers that were taken over count as old and as new ones' },
    (ok) => ({ refusesAdd: (request) => (request.pairings.length >= 8 ? 4 : ok.refusesAdd(request)) }),
  ),
  firmware(
    'clone-seeded-by-its-key',
    {
      breaks: ['CLONE-10', 'CLONE-11'],
      story: 'the random generator is seeded by what was taken over, and both devices draw the same',
    },
    () => ({ drawEphemeral: () => sha512(utf8('seeded by the secret key')).slice(0, 32) }),
  ),
  firmware(
    'clone-shares-its-removals',
    { breaks: ['CLONE-12'], story: 'devices of one id tell each other whom to forget' },
    (ok) => {
      const gone: Bytes[] = [];
      return {
        removes(request) {
          gone.push(request.id);
          return ok.removes(request);
        },
        lookUp: (id, known) => (gone.some((one) => equal(one, id)) ? undefined : ok.lookUp(id, known)),
      };
    },
  ),
  clone(
    'clone-removal-has-no-effect',
    { breaks: ['CLONE-12'], story: 'what was taken over is read again for each Pair Verify' },
    () => ({ removes: () => false }),
  ),
  clone(
    'clone-keeps-users-without-admin',
    { breaks: ['CLONE-13'], story: 'the admins that were taken over are not counted' },
    () => ({ dropsEverything: () => false }),
  ),
  firmware(
    'clone-clears-the-old-one',
    { breaks: ['CLONE-13'], story: 'the last removal is told to all devices of that id' },
    (ok) => {
      let cleared = false;
      return {
        dropsEverything(pairings, departed) {
          const drops = ok.dropsEverything(pairings, departed);
          cleared ||= drops;
          return drops;
        },
        lookUp: (id, known) => (cleared ? undefined : ok.lookUp(id, known)),
      };
    },
  ),
];

function benign(name: string, story: string, change: Fault['change']): Fault {
  return { name, breaks: [], story, clone: 'import', concerns: /^CLONE/, change };
}

/** Clones that differ from the old device where they may. */
export const cloneVariants: readonly Fault[] = [
  benign(
    'clone-with-another-c#',
    'a clone of another program: its c# is not the old one',
    announcing('c#', '7'),
  ),
  benign(
    'clone-with-another-code',
    'a clone with a setup code of its own, and so another setup hash',
    announcing('sh', 'AAAAAA=='),
  ),
  benign('clone-in-another-order', 'a clone that keeps its controllers in another order', () => ({
    imported: withPairings((pairings) => pairings.toReversed()),
  })),
];
