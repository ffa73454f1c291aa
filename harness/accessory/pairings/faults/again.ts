import { TlvError, equal } from '../../../protocol/index.js';
import { type Fault, fault } from '../../faults/fault.js';

/** What is done once more by a controller that is known, or was. */
export const again: readonly Fault[] = [
  fault(
    're-add-forgets-the-rights',
    {
      breaks: ['PAIRINGS-25'],
      fieldBug: 145,
      story: 'the buffer with the permissions is cleared before an entry that is there gets them again',
    },
    (ok) => ({
      updated: (existing, wanted) =>
        existing.permissions === wanted.permissions
          ? { ...wanted, permissions: 0 }
          : ok.updated(existing, wanted),
    }),
  ),
  fault(
    're-add-of-oneself-refused',
    {
      breaks: ['PAIRINGS-25'],
      story: 'an Add is for somebody else: the one that asks is not looked up at all',
    },
    (ok) => ({
      refusesAdd: (request) =>
        equal(request.wanted.id, request.requester.id) ? TlvError.Unknown : ok.refusesAdd(request),
    }),
  ),
  fault(
    're-add-loses-the-key',
    {
      breaks: ['PAIRINGS-25'],
      story: 'an entry whose rights stay as they are is written again from a key that was not copied',
    },
    (ok) => ({
      updated: (existing, wanted) =>
        existing.permissions === wanted.permissions
          ? { ...wanted, ltpk: new Uint8Array(wanted.ltpk.length) }
          : ok.updated(existing, wanted),
    }),
  ),
  fault(
    'removed-controller-is-not-stored-again',
    {
      breaks: ['PAIRINGS-26'],
      fieldBug: 146,
      story: 'a removed entry is only marked so, and who is found under that mark is taken for stored',
    },
    (ok) => ({
      storesController: (introduced) => !introduced.returning && ok.storesController(introduced),
    }),
  ),
  fault(
    'removed-controller-is-refused',
    {
      breaks: ['PAIRINGS-26'],
      story: 'a removed entry is only marked so, and its identifier is taken for one that is in use',
    },
    (ok) => ({
      refusesController: (introduced) =>
        introduced.returning ? TlvError.Authentication : ok.refusesController(introduced),
    }),
  ),
];
