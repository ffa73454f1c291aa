import { Method, TlvType, equal, tlv } from '../../../protocol/index.js';
import type { Behaviour } from '../../behaviour.js';
import type { Requester } from '../../facts.js';
import { type Fault, fault } from '../../faults/fault.js';
import { succeeds, withoutItem } from '../../faults/items.js';
import type { Reply } from '../../messages/reply.js';
import type { PairingRequest } from '../../messages/request.js';

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

export const basics: readonly Fault[] = [
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

/** Replaces the items of a list. */
function listing(change: (items: Reply['items']) => Reply['items']): (ok: Behaviour) => Partial<Behaviour> {
  return (ok) => ({
    beforeSending(reply) {
      const items = ok.beforeSending(reply);
      return reply.step === 'pairings-list' && succeeds(reply) ? change(items) : items;
    },
  });
}

export const lists: readonly Fault[] = [
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
    'list-leaves-out-who-asks',
    {
      breaks: ['PAIRINGS-01'],
      story: 'the list is of the others: the entry of the controller that asks is not in it',
    },
    (ok) => ({
      listed: (pairings, requester) =>
        ok.listed(pairings, requester).filter(({ id }) => !equal(id, requester.id)),
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
