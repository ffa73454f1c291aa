import {
  type Bytes,
  Length,
  Method,
  Permission,
  TlvError,
  TlvType,
  concat,
  equal,
  hex,
  text,
  tlv,
} from '../../../protocol/index.js';
import {
  type Behaviour,
  Halt,
  type Pairing,
  type PairingRequest,
  type Reply,
  type Requester,
} from '../../behaviour.js';
import { type Fault, fault } from '../../faults/fault.js';
import { succeeds, withoutItem } from '../../faults/items.js';

/** Who a request without a session is taken for; no pairing has an empty identifier. */
const anybody: Requester = { id: new Uint8Array(0) };

function removesAnother({ endpoint, message, requester }: PairingRequest): boolean {
  const id = message.get(TlvType.Identifier);
  return (
    endpoint === 'pairings' &&
    message.get(TlvType.Method)?.[0] === Method.RemovePairing &&
    id !== undefined &&
    requester !== undefined &&
    !equal(id, requester.id)
  );
}

const basics: readonly Fault[] = [
  fault(
    'list-wrong-content-type',
    {
      breaks: ['PAIRINGS-01'],
      fieldBug: 97,
      story: 'replies of /pairings carry the media type of the database',
    },
    (ok) => ({
      contentType: (step) => (step === 'pairings-list' ? 'application/hap+json' : ok.contentType(step)),
    }),
  ),
  fault(
    'list-without-permissions',
    { breaks: ['PAIRINGS-01'], fieldBug: 35, story: 'list entries hold Identifier and PublicKey only' },
    (ok) => ({
      beforeSending: (reply) =>
        reply.step === 'pairings-list'
          ? withoutItem(ok.beforeSending(reply), TlvType.Permissions)
          : ok.beforeSending(reply),
    }),
  ),
  fault(
    'list-unanswered',
    { breaks: ['PAIRINGS-01'], fieldBug: 91, story: 'List Pairings is parsed and has no handler' },
    (ok) => ({ answers: (reply) => reply.step !== 'pairings-list' && ok.answers(reply) }),
  ),
  fault(
    'remove-changes-nothing',
    {
      breaks: ['PAIRINGS-12'],
      fieldBug: 89,
      story: 'the removal of another controller is logged, nothing is deleted',
    },
    (ok) => ({ removes: (request) => equal(request.id, request.requester.id) && ok.removes(request) }),
  ),
  fault(
    'remove-demands-public-key',
    {
      breaks: ['PAIRINGS-12'],
      fieldBug: 36,
      story: 'Remove shares its parser with Add and wants the same items',
    },
    (ok) => ({
      isMalformed: (request) =>
        ok.isMalformed(request) || (removesAnother(request) && !request.message.has(TlvType.PublicKey)),
    }),
  ),
  fault(
    'pairings-open-to-all',
    { breaks: ['PAIRINGS-16'], story: '/pairings is routed before the session is asked for' },
    (ok) => ({
      servesAs: (request) => ok.servesAs(request) ?? (request.path === '/pairings' ? anybody : undefined),
      isAdmin: (pairing, requester) => requester.id.length === 0 || ok.isAdmin(pairing, requester),
    }),
  ),
  fault(
    'verify-m1-authenticates',
    {
      breaks: ['HTTP-05', 'PAIRINGS-16'],
      fieldBug: 44,
      story: 'a connection counts as authenticated from Pair Verify M1 on',
    },
    (ok) => ({
      servesAs: (request) =>
        ok.servesAs(request) ??
        (request.sawVerifyM1
          ? request.pairings.find((pairing) => ok.isAdmin(pairing, { id: pairing.id }))
          : undefined),
    }),
  ),
];

function isAdmin(pairing: Pairing | undefined): boolean {
  return ((pairing?.permissions ?? 0) & Permission.Admin) !== 0;
}

/** Lets plain users do one thing. */
function usersMay(step: Reply['step'], also: (ok: Behaviour) => Partial<Behaviour> = () => ({})) {
  return (ok: Behaviour): Partial<Behaviour> => ({
    isAdmin: (pairing, requester, asked) => asked === step || ok.isAdmin(pairing, requester, asked),
    ...also(ok),
  });
}

/** Replaces the items of a list. */
function listing(change: (items: Reply['items']) => Reply['items']): (ok: Behaviour) => Partial<Behaviour> {
  return (ok) => ({
    beforeSending(reply) {
      const items = ok.beforeSending(reply);
      return reply.step === 'pairings-list' && succeeds(reply) ? change(items) : items;
    },
  });
}

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

const lists: readonly Fault[] = [
  fault(
    'list-without-separators',
    {
      breaks: ['PAIRINGS-02', 'PAIRINGS-24'],
      story: 'entries of the list follow each other with nothing between',
    },
    listing((items) => withoutItem(items, TlvType.Separator)),
  ),
  fault(
    'list-state-in-each-entry',
    {
      breaks: ['PAIRINGS-02'],
      story: 'every entry of the list begins with State (erratum E16 read word by word)',
    },
    listing((items) =>
      items.flatMap((item) => (item.type === TlvType.Separator ? [item, tlv(TlvType.State, 2)] : [item])),
    ),
  ),
  fault(
    'list-cut-at-a-kilobyte',
    { breaks: ['PAIRINGS-02', 'PAIRINGS-10'], story: 'the list is written into a buffer of 1024 bytes' },
    listing((items) => {
      let size = 0;
      return items.filter(({ value }) => (size += value.length + 2) <= 1024);
    }),
  ),
  fault(
    'list-refuses-extras',
    { breaks: ['PAIRINGS-03'], story: 'a List of more than two items is refused' },
    (ok) => ({
      isMalformed: (request) =>
        ok.isMalformed(request) ||
        (request.endpoint === 'pairings' &&
          request.message.get(TlvType.Method)?.[0] === Method.ListPairings &&
          request.message.items.length > 2),
    }),
  ),
];

const additions: readonly Fault[] = [
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

const removals: readonly Fault[] = [
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

function errorOf({ items }: Reply): number | undefined {
  return items.find(({ type }) => type === TlvType.Error)?.value[0];
}

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

export const pairingsFaults: readonly Fault[] = [...basics, ...lists, ...additions, ...removals];
