import { Permission, TlvError, TlvType, equal, tlv } from '../../../protocol/index.js';
import type { Behaviour } from '../../behaviour.js';
import { Halt } from '../../facts.js';
import { type Fault, fault } from '../../faults/fault.js';
import type { Reply } from '../../messages/reply.js';
import { isAdmin, usersMay } from './shared.js';

const isRemove = (reply: Reply): boolean => reply.step === 'pairings-remove';

/** A controller that removes itself is not removed, and answered otherwise. */
function keepsWhoLeaves(how: (ok: Behaviour) => Partial<Behaviour>): (ok: Behaviour) => Partial<Behaviour> {
  return (ok) => ({
    removes: (request) => !equal(request.id, request.requester.id) && ok.removes(request),
    ...how(ok),
  });
}

const leaves = (reply: Reply): boolean => isRemove(reply) && reply.self === true;

/** The removal of the own pairing goes wrong, or its reply does: whoever trusts the one or the other loses a key. */
export const departures: readonly Omit<Fault, 'breaks' | 'dress'>[] = [
  {
    name: 'self-removal-refused',
    story: 'a controller that removes itself is told Error=2: only others may',
    change: keepsWhoLeaves((ok) => ({
      beforeSending: (reply) =>
        leaves(reply)
          ? [tlv(TlvType.State, 2), tlv(TlvType.Error, TlvError.Authentication)]
          : ok.beforeSending(reply),
    })),
  },
  {
    name: 'self-removal-not-found',
    story: 'a controller that removes itself is looked for among the others, and not found: HTTP 404',
    change: keepsWhoLeaves((ok) => ({ status: (reply) => (leaves(reply) ? 404 : ok.status(reply)) })),
  },
  {
    name: 'self-removal-empty-200',
    story: 'the removal of the own pairing has no handler: HTTP 200 and nothing in it',
    change: keepsWhoLeaves((ok) => ({
      beforeSending: (reply) => (leaves(reply) ? [] : ok.beforeSending(reply)),
    })),
  },
  {
    name: 'self-removal-silent',
    story: 'the removal of the own pairing waits for a lock its session holds, for ever',
    change: keepsWhoLeaves((ok) => ({ answers: (reply) => !leaves(reply) && ok.answers(reply) })),
  },
  {
    name: 'self-removal-not-stored',
    story: 'the removal of the own pairing is answered by State=2, and its write fails',
    change: keepsWhoLeaves(() => ({})),
  },
  {
    name: 'self-removal-reply-lost',
    story: 'the session of whoever leaves is closed with its pairing, and the reply with it',
    change: (ok) => ({ answers: (reply) => !leaves(reply) && ok.answers(reply) }),
  },
];

export const removals: readonly Fault[] = [
  fault(
    'removed-sessions-go-on',
    {
      breaks: ['PAIRINGS-13', 'PAIRINGS-18', 'PAIRINGS-19'],
      fieldBug: 86,
      story: 'a session lives as long as its connection, paired or not',
    },
    () => ({ endsSession: () => false }),
  ),
  fault(
    'removal-ends-every-session',
    {
      breaks: ['PAIRINGS-13', 'PAIRINGS-20'],
      story: 'after a Remove all connections are closed, to be sure',
    },
    (ok) => ({ endsSession: (session) => session.removal || ok.endsSession(session) }),
  ),
  fault(
    'unknown-removal-unanswered',
    { breaks: ['PAIRINGS-14'], story: 'a Remove that finds nobody returns early, without a reply' },
    (ok) => ({
      answers: (reply) => !(isRemove(reply) && reply.known === false) && ok.answers(reply),
    }),
  ),
  fault(
    'removal-without-identifier-takes-the-last',
    { breaks: ['PAIRINGS-14'], story: 'a Remove without Identifier means the entry added last' },
    (ok) => ({
      removalFrom: (message, pairings) => ok.removalFrom(message, pairings) ?? pairings.at(-1)?.id,
      removes: (request) => !equal(request.id, request.requester.id) || ok.removes(request),
    }),
  ),
  fault(
    'users-may-list',
    { breaks: ['PAIRINGS-15', 'PAIRINGS-22'], fieldBug: 94, story: 'only changes ask for the admin bit' },
    usersMay('pairings-list'),
  ),
  fault(
    'users-may-add',
    { breaks: ['PAIRINGS-15'], story: 'Add does not ask for the admin bit' },
    usersMay('pairings-add'),
  ),
  fault(
    'users-may-remove',
    { breaks: ['PAIRINGS-15'], story: 'Remove does not ask for the admin bit' },
    usersMay('pairings-remove'),
  ),
  fault(
    'odd-requests-get-an-empty-200',
    {
      breaks: ['PAIRINGS-17'],
      story: 'what /pairings does not understand is answered with HTTP 200 and nothing else',
    },
    (ok) => ({
      status: (reply) => (reply.endpoint === 'pairings' && reply.status === 400 ? 200 : ok.status(reply)),
      beforeSending: (reply) =>
        reply.endpoint === 'pairings' && reply.status === 400 ? [] : ok.beforeSending(reply),
    }),
  ),
  fault(
    'self-removal-unanswered',
    {
      breaks: ['PAIRINGS-18'],
      story: 'the sessions of the controller are closed before its reply is written',
    },
    (ok) => ({
      answers: (reply) =>
        !(isRemove(reply) && reply.self === true && reply.lastAdmin !== true) && ok.answers(reply),
    }),
  ),
  ...departures.map((about) => ({ ...about, breaks: ['PAIRINGS-18', 'PAIRINGS-19'] })),
  fault(
    'last-admin-leaves-users',
    { breaks: ['PAIRINGS-19'], fieldBug: 90, story: 'the users stay when the last admin goes' },
    () => ({ dropsEverything: () => false }),
  ),
  fault(
    'removing-an-admin-unpairs',
    { breaks: ['PAIRINGS-20'], story: 'a Remove of any admin counts as the one of the last' },
    (ok) => ({
      dropsEverything: (pairings, departed) => isAdmin(departed) || ok.dropsEverything(pairings, departed),
    }),
  ),
  fault(
    'demoted-last-admin-stops-it',
    { breaks: ['PAIRINGS-21'], story: 'an assertion that there is an admin ends the process' },
    (ok) => ({
      dropsEverything(pairings, departed) {
        if (departed === undefined && !pairings.some(isAdmin)) throw new Halt();
        return ok.dropsEverything(pairings, departed);
      },
    }),
  ),
  fault(
    'permissions-lost-on-restart',
    {
      breaks: ['PAIRINGS-11'],
      fieldBug: 101,
      story: 'only identifiers and keys are stored, everybody comes back as admin',
    },
    () => ({
      restored: (pairings) => pairings.map((pairing) => ({ ...pairing, permissions: Permission.Admin })),
    }),
  ),
];
