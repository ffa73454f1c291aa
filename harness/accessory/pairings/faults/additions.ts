import {
  type Bytes,
  Length,
  Permission,
  TlvError,
  TlvType,
  concat,
  equal,
  hex,
  text,
  tlv,
} from '../../../protocol/index.js';
import type { Behaviour } from '../../behaviour.js';
import type { Pairing } from '../../facts.js';
import { type Fault, fault } from '../../faults/fault.js';
import { errorOf, succeeds } from '../../faults/items.js';
import type { Reply } from '../../messages/reply.js';
import type { PairingRequest } from '../../messages/request.js';

/** An Add whose item is taken in a form it must not have. */
function takesAdd(
  change: (parts: { id?: Uint8Array; ltpk?: Uint8Array; permissions?: Uint8Array }) => Pairing | undefined,
) {
  return (ok: Behaviour): Partial<Behaviour> => ({
    additionFrom(message) {
      const id = message.get(TlvType.Identifier);
      const ltpk = message.get(TlvType.PublicKey);
      const permissions = message.get(TlvType.Permissions);
      return (
        ok.additionFrom(message) ??
        change({ ...(id && { id }), ...(ltpk && { ltpk }), ...(permissions && { permissions }) })
      );
    },
  });
}

function sized(bytes: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length);
  out.set(bytes.subarray(0, length));
  return out;
}

const isAdd = (reply: Reply): boolean => reply.step === 'pairings-add';

export const additions: readonly Fault[] = [
  fault(
    'add-reply-names-the-controller',
    { breaks: ['PAIRINGS-04'], story: 'the reply to Add sends back what was added' },
    (ok) => ({
      beforeSending: (reply) =>
        isAdd(reply) && succeeds(reply)
          ? [...ok.beforeSending(reply), tlv(TlvType.Identifier, reply.request.get(TlvType.Identifier)!)]
          : ok.beforeSending(reply),
    }),
  ),
  fault(
    'users-are-admins',
    {
      breaks: ['PAIRINGS-04', 'PAIRINGS-05', 'PAIRINGS-15', 'PAIRINGS-22', 'PAIRINGS-08'],
      fieldBug: 93,
      story: 'whoever has a session may manage the pairings',
    },
    (ok) => ({
      isAdmin: () => true,
      additionFrom: (message) => ok.additionFrom(message) ?? rawAddition(message),
    }),
  ),
  fault(
    'update-changes-nothing',
    { breaks: ['PAIRINGS-05'], story: 'an Add for a known identifier reports success and keeps the entry' },
    () => ({ updated: (existing) => existing }),
  ),
  fault(
    'rights-of-session-start',
    {
      breaks: ['PAIRINGS-05', 'PAIRINGS-22'],
      story: 'the admin bit is read when the session begins, and never again',
    },
    (ok) => ({
      isAdmin: (pairing, requester, step) =>
        requester.permissions === undefined
          ? ok.isAdmin(pairing, requester, step)
          : (requester.permissions & Permission.Admin) !== 0,
    }),
  ),
  fault(
    'known-identifier-taken-over',
    {
      breaks: ['PAIRINGS-06'],
      fieldBug: 95,
      story: 'an Add overwrites the entry of its identifier, key and all',
    },
    (ok) => ({
      refusesAdd: (request) => (request.existing === undefined ? ok.refusesAdd(request) : undefined),
    }),
  ),
  fault(
    'keys-compared-as-text',
    { breaks: ['PAIRINGS-06'], story: 'LTPKs are turned into text before they are compared' },
    (ok) => ({
      isWeakKey: () => false,
      refusesAdd: (request) =>
        request.existing !== undefined && lossy(request.existing.ltpk) === lossy(request.wanted.ltpk)
          ? undefined
          : ok.refusesAdd(request),
    }),
  ),
  fault(
    'own-key-replaced',
    {
      breaks: ['PAIRINGS-06'],
      story: 'an admin that adds itself again is believed, whatever its key is now',
    },
    (ok) => ({
      refusesAdd: (request) =>
        equal(request.wanted.id, request.requester.id) ? undefined : ok.refusesAdd(request),
    }),
  ),
  fault(
    'known-key-is-an-update',
    {
      breaks: ['PAIRINGS-06'],
      story: 'an Add is an update when its key is in the table, in whatever entry',
    },
    (ok) => ({
      refusesAdd: (request) =>
        request.existing !== undefined &&
        request.pairings.some(({ ltpk }) => equal(ltpk, request.wanted.ltpk))
          ? undefined
          : ok.refusesAdd(request),
    }),
  ),
  fault(
    'first-key-of-a-name-stays',
    {
      breaks: ['PAIRINGS-06', 'PAIRINGS-18'],
      story: 'keys are kept by identifier beside the list, Remove leaves them, and the first one counts',
    },
    (ok) => {
      const keys = new Map<string, Bytes>();
      return {
        additionFrom(message) {
          const wanted = ok.additionFrom(message);
          if (wanted === undefined) return undefined;
          const ltpk = keys.get(hex(wanted.id)) ?? wanted.ltpk;
          keys.set(hex(wanted.id), ltpk);
          return { ...wanted, ltpk };
        },
      };
    },
  ),
  fault(
    'missing-permissions-are-admin',
    { breaks: ['PAIRINGS-07'], story: 'Permissions default to those of an admin' },
    takesAdd(({ id, ltpk, permissions }) =>
      id !== undefined && ltpk?.length === Length.ltpk && permissions === undefined
        ? { id, ltpk, permissions: Permission.Admin }
        : undefined,
    ),
  ),
  fault(
    'add-fits-keys-to-32-bytes',
    { breaks: ['PAIRINGS-07'], story: 'whatever PublicKey holds is copied into 32 bytes' },
    (ok) => ({
      isWeakKey: () => false,
      ...takesAdd(({ id, ltpk, permissions }) =>
        id !== undefined && permissions?.length === 1
          ? { id, ltpk: sized(ltpk ?? new Uint8Array(0), Length.ltpk), permissions: permissions[0]! }
          : undefined,
      )(ok),
    }),
  ),
  fault(
    'add-without-identifier-taken',
    { breaks: ['PAIRINGS-07'], story: 'an Add without Identifier is stored under an empty one' },
    takesAdd(({ id, ltpk, permissions }) =>
      id === undefined && ltpk?.length === Length.ltpk && permissions?.length === 1
        ? { id: new Uint8Array(0), ltpk, permissions: permissions[0]! }
        : undefined,
    ),
  ),
  fault(
    'permissions-width-unanswered',
    { breaks: ['PAIRINGS-07'], story: 'a reader of one byte waits where Permissions have another width' },
    (ok) => ({
      answers: (reply) =>
        !(isAdd(reply) && (reply.request.get(TlvType.Permissions)?.length ?? 1) !== 1) && ok.answers(reply),
    }),
  ),
  fault(
    'long-identifier-stops-it',
    { breaks: ['PAIRINGS-07'], story: 'identifiers are copied into 36 bytes, whatever their length' },
    (ok) => ({
      survives: (request) =>
        ok.survives(request) &&
        !(request.endpoint === 'pairings' && (request.message.get(TlvType.Identifier)?.length ?? 0) > 36),
    }),
  ),
  fault(
    'short-identifier-padded',
    {
      breaks: ['PAIRINGS-07'],
      story: 'the table holds 36 bytes for an identifier, and lists all of them',
    },
    (ok) => ({
      identifierAsStored(id) {
        const stored = ok.identifierAsStored(id);
        return stored.length >= 36 ? stored : concat(stored, new Uint8Array(36 - stored.length));
      },
    }),
  ),
  fault(
    'empty-identifier-unanswered',
    {
      breaks: ['PAIRINGS-07', 'PAIRINGS-14'],
      story: 'an Identifier of no bytes is the start of one that never comes',
    },
    (ok) => ({
      answers: (reply) =>
        !(reply.endpoint === 'pairings' && reply.request.get(TlvType.Identifier)?.length === 0) &&
        ok.answers(reply),
    }),
  ),
  fault(
    'any-permission-is-admin',
    { breaks: ['PAIRINGS-08'], story: 'Permissions count as a truth value' },
    (ok) => ({
      additionFrom: (message) => ok.additionFrom(message) ?? rawAddition(message),
      isAdmin: (pairing, requester, step) =>
        (pairing?.permissions ?? 0) !== 0 || ok.isAdmin(pairing, requester, step),
    }),
  ),
  fault(
    'odd-permissions-unanswered',
    { breaks: ['PAIRINGS-08'], story: 'a switch over Permissions has two branches and no other' },
    (ok) => ({
      answers: (reply) =>
        !(isAdd(reply) && (reply.request.get(TlvType.Permissions)?.[0] ?? 0) > 1) && ok.answers(reply),
    }),
  ),
  fault(
    'table-of-eight',
    { breaks: ['PAIRINGS-09'], story: 'there is room for eight controllers' },
    (ok) => ({
      refusesAdd: (request) =>
        request.existing === undefined && request.pairings.length >= 8
          ? TlvError.MaxPeers
          : ok.refusesAdd(request),
    }),
  ),
  fault(
    'full-table-forgets-the-first',
    {
      breaks: ['PAIRINGS-09'],
      story: 'the table is a ring of sixteen: the seventeenth controller takes the place of the first',
    },
    (ok) => ({
      lookUp: (id, known) => ok.lookUp(id, { ...known, pairings: known.pairings.slice(-16) }),
      refusesAdd: (request) => (request.existing === undefined ? undefined : ok.refusesAdd(request)),
    }),
  ),
  fault(
    'full-table-unanswered',
    { breaks: ['PAIRINGS-09'], story: 'the error of the store is logged, and nobody is told' },
    (ok) => ({
      answers: (reply) => !(isAdd(reply) && errorOf(reply) === TlvError.MaxPeers) && ok.answers(reply),
    }),
  ),
  fault(
    'full-table-refuses-updates',
    { breaks: ['PAIRINGS-10'], story: 'whether there is room is asked before whether it is needed' },
    (ok) => ({
      refusesAdd: (request) => (request.pairings.length >= 16 ? TlvError.MaxPeers : ok.refusesAdd(request)),
    }),
  ),
  fault(
    'identifiers-compared-without-case',
    {
      breaks: ['PAIRINGS-23'],
      fieldBug: 109,
      story: 'two identifiers that differ in case are one, and the last one wins',
    },
    (ok) => ({
      lookUp: (id, known) =>
        known.pairings.find((pairing) => text(pairing.id).toLowerCase() === text(id).toLowerCase()),
      refusesAdd: (request) => (request.existing === undefined ? ok.refusesAdd(request) : undefined),
    }),
  ),
];

/** The text of bytes, with one replacement character for whatever is no UTF-8. */
function lossy(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8');
}

/** An Add with any byte as Permissions. */
function rawAddition(message: PairingRequest['message']): Pairing | undefined {
  const id = message.get(TlvType.Identifier);
  const ltpk = message.get(TlvType.PublicKey);
  const permissions = message.get(TlvType.Permissions);
  return id !== undefined && id.length > 0 && ltpk?.length === Length.ltpk && permissions?.length === 1
    ? { id, ltpk, permissions: permissions[0]! }
    : undefined;
}
