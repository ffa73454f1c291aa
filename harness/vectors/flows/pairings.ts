import {
  type Bytes,
  Length,
  TlvError,
  type TlvItem,
  TlvType,
  addPairing,
  controllerIdentity,
  decodeTlv,
  encodeTlv,
  errorReply,
  integerValue,
  listPairings,
  pairingEntry,
  removePairing,
  separator,
  stateOnly,
  tlv,
  tlvErrorName,
  utf8,
} from '../../protocol/index.js';
import { draft } from '../cases.js';
import type { Edit } from '../format.js';
import type { Draft, Generator, GroupDraft } from '../make.js';
import type { FlagName } from '../notes.js';
import { argument } from './shared.js';

interface RequestInput {
  readonly method: 'add' | 'remove' | 'list';
  readonly id?: Bytes;
  readonly ltpk?: Bytes;
  readonly permissions?: number;
}

function pairingsRequest(
  comment: string,
  flags: readonly FlagName[],
  input: RequestInput,
  change?: Edit,
): Draft {
  const { method, id = new Uint8Array(0), ltpk = new Uint8Array(0), permissions = 0 } = input;
  const items =
    method === 'add'
      ? addPairing(id, ltpk, permissions)
      : method === 'remove'
        ? removePairing(id)
        : listPairings();
  const without = (type: number): TlvItem[] => items.filter((item) => item.type !== type);
  const replaced = (type: number, value: number): TlvItem[] =>
    items.map((item) => (item.type === type ? tlv(type, value) : item));
  const edits: Readonly<Record<string, () => TlvItem[]>> = {
    state: () => replaced(TlvType.State, change!.to!),
    'no-state': () => without(TlvType.State),
    method: () => replaced(TlvType.Method, change!.to!),
    'no-method': () => without(TlvType.Method),
    'no-id': () => without(TlvType.Identifier),
    'no-ltpk': () => without(TlvType.PublicKey),
    'no-permissions': () => without(TlvType.Permissions),
    'twice-id': () => [...items, tlv(TlvType.Identifier, argument(change!))],
  };
  const whole = encodeTlv(items);
  const made = change === undefined ? undefined : edits[change.op]?.();
  const body = change?.op === 'cut' ? whole.subarray(0, change.to) : encodeTlv(made ?? items);
  const malformed =
    change !== undefined || id.length > 64 || (method === 'add' && ltpk.length !== Length.ltpk);
  return draft(comment, flags, malformed ? 'invalid' : permissions > 1 ? 'acceptable' : 'valid', {
    method,
    id: input.id,
    ltpk: input.ltpk,
    permissions: input.permissions,
    body,
    right: change && whole,
    edit: change,
  });
}

interface Entry {
  readonly id: Bytes;
  readonly ltpk: Bytes;
  readonly permissions: number;
}

function pairingsList(
  comment: string,
  flags: readonly FlagName[],
  entries: readonly Entry[],
  change?: Edit,
): Draft {
  const op = change?.op;
  const made = (how: string | undefined): Bytes =>
    encodeTlv([
      ...(how === 'no-state' || how === 'state-each' ? [] : stateOnly(2)),
      ...(how === 'error' ? [tlv(TlvType.Error, change!.to!)] : []),
      ...entries.flatMap(({ id, ltpk, permissions }, index) => [
        ...(index === 0 || how === 'no-separators'
          ? []
          : how === 'separator-length'
            ? [tlv(TlvType.Separator, 0)]
            : [separator()]),
        ...(how === 'state-each' ? stateOnly(2) : []),
        ...pairingEntry(id, ltpk, permissions),
      ]),
    ]);
  const whole = made(undefined);
  const tolerated = op === 'state-each' || op === 'separator-length';
  return draft(comment, flags, op === undefined ? 'valid' : tolerated ? 'acceptable' : 'invalid', {
    entries: entries.map(({ id, ltpk, permissions }) => ({ id, ltpk, permissions })),
    body: op === 'cut' ? whole.subarray(0, change!.to) : made(op),
    right: change && whole,
    edit: change,
  });
}

export const pairings: Generator = (random) => {
  const entry = (permissions: number, id?: string): Entry => {
    const { id: drawn, ltpk } = controllerIdentity(random);
    return { id: id === undefined ? drawn : utf8(id), ltpk, permissions };
  };
  const add = (permissions: number, id?: string): RequestInput => ({
    method: 'add',
    ...entry(permissions, id),
  });
  const remove = (id?: string): RequestInput => ({ method: 'remove', id: entry(0, id).id });
  const some = [entry(1), entry(0), entry(1)];
  const ids = ['A', 'controller', '6d9f2a1c-0b6e-4c55-9d0a-5be3f3c0aa01', 'x'.repeat(64)];
  const other = Buffer.from(entry(0).id).toString('hex');
  const situations = [
    ['by-non-admin', 'add', 2],
    ['by-non-admin', 'remove', 2],
    ['by-non-admin', 'list', 2],
    ['other-key-for-known-id', 'add', 1],
    ['all-places-taken', 'add', 4],
    ['unknown-id', 'remove', 0],
  ] as const;
  return [
    {
      type: 'PairingsRequest',
      tests: [
        pairingsRequest('an admin', ['Ordinary'], add(1)),
        pairingsRequest('a user', ['Ordinary'], add(0)),
        pairingsRequest('remove', ['Ordinary'], remove()),
        pairingsRequest('list', ['Ordinary'], { method: 'list' }),
        ...ids.map((id) =>
          pairingsRequest(`an id of ${id.length} characters`, ['IdentifierSize'], add(1, id)),
        ),
        ...ids.map((id) =>
          pairingsRequest(`remove an id of ${id.length} characters`, ['IdentifierSize'], remove(id)),
        ),
        pairingsRequest('permissions 2: not an admin', ['Permissions'], add(2)),
        pairingsRequest('permissions 255', ['Permissions'], add(255)),
        pairingsRequest('an LTPK of 31 bytes', ['MissingItem', 'Boundary'], {
          ...add(1),
          ltpk: entry(1).ltpk.subarray(1),
        }),
        pairingsRequest('an empty LTPK', ['MissingItem'], { ...add(1), ltpk: new Uint8Array(0) }),
        pairingsRequest('an LTPK of 64 bytes', ['Boundary'], { ...add(1), ltpk: random.bytes(64) }),
        pairingsRequest('an id of 65 characters', ['IdentifierSize', 'Boundary'], add(1, 'x'.repeat(65))),
        pairingsRequest('State 2', ['WrongState'], add(1), { op: 'state', to: 2 }),
        pairingsRequest('State 3 in a list', ['WrongState'], { method: 'list' }, { op: 'state', to: 3 }),
        pairingsRequest('no State', ['MissingItem'], add(1), { op: 'no-state' }),
        pairingsRequest('no Method', ['MissingItem'], add(1), { op: 'no-method' }),
        pairingsRequest('Method 9', ['WrongState'], { method: 'list' }, { op: 'method', to: 9 }),
        pairingsRequest('no Identifier', ['MissingItem'], add(1), { op: 'no-id' }),
        pairingsRequest('remove without Identifier', ['MissingItem'], remove(), { op: 'no-id' }),
        pairingsRequest('no LTPK', ['MissingItem'], add(1), { op: 'no-ltpk' }),
        pairingsRequest('no Permissions', ['MissingItem'], add(1), { op: 'no-permissions' }),
        pairingsRequest('two Identifiers', ['RepeatedItem'], remove(), { op: 'twice-id', value: other }),
        pairingsRequest('ends inside the LTPK', ['Truncated'], add(1), { op: 'cut', to: 60 }),
      ],
    },
    {
      type: 'PairingsList',
      tests: [
        ...[1, 2, 3, 16].map((count) =>
          pairingsList(
            `${count} pairings`,
            count === 1 ? ['Ordinary'] : ['Ordinary', 'Separated'],
            Array.from({ length: count }, (_, i) => entry(i === 0 ? 1 : i % 2)),
          ),
        ),
        pairingsList(
          'ids of other sizes',
          ['IdentifierSize', 'Separated'],
          ids.map((id) => entry(1, id)),
        ),
        pairingsList('State in front of each entry', ['ListForm'], some, { op: 'state-each' }),
        pairingsList('a separator with a byte', ['ListForm', 'Separated'], some, { op: 'separator-length' }),
        pairingsList('no separators', ['ListForm'], some, { op: 'no-separators' }),
        pairingsList('no State', ['MissingItem'], some, { op: 'no-state' }),
        pairingsList('an Error beside the list', ['ListForm'], some, { op: 'error', to: 2 }),
        pairingsList('ends inside the last entry', ['Truncated'], some, { op: 'cut', to: 200 }),
        pairingsList('ends inside an Identifier', ['Truncated'], some, { op: 'cut', to: 20 }),
      ],
    },
    {
      type: 'PairingsReply',
      tests: situations.map(([situation, method, error]) =>
        draft(
          `${method}: ${situation.replaceAll('-', ' ')}`,
          ['Refused'],
          error === 0 ? 'valid' : 'invalid',
          {
            method,
            methodNumber: { add: 3, remove: 4, list: 5 }[method],
            situation,
            error,
            body: encodeTlv(error === 0 ? stateOnly(2) : errorReply(2, error)),
          },
        ),
      ),
    },
  ];
};

function errorCase(
  comment: string,
  flags: readonly FlagName[],
  input: { requestState: number; error: number; retryDelay?: number },
  change?: Edit,
): Draft {
  const { requestState, error, retryDelay } = input;
  const rightItems = [
    ...errorReply(requestState + 1, error),
    ...(retryDelay === undefined ? [] : [tlv(TlvType.RetryDelay, integerValue(retryDelay))]),
  ];
  const [state, code, ...rest] = rightItems as [TlvItem, TlvItem, ...TlvItem[]];
  const edits: Readonly<Record<string, () => TlvItem[]>> = {
    'error-first': () => [code, state, ...rest],
    'no-state': () => [code, ...rest],
    state: () => [tlv(TlvType.State, change!.to!), code, ...rest],
    'error-bytes': () => [state, tlv(TlvType.Error, argument(change!)), ...rest],
    'with-proof': () => [state, code, ...rest, tlv(TlvType.Proof, argument(change!))],
  };
  const right = encodeTlv(rightItems);
  const made = encodeTlv((change && edits[change.op]?.()) ?? rightItems);
  const body = change?.op === 'cut' ? made.subarray(0, change.to) : made;
  const undefinedCode = error < 1 || error > 7;
  const wrong =
    undefinedCode ||
    (change !== undefined && change.op !== 'error-first') ||
    (retryDelay !== undefined && error !== 3);
  const name = error === 0 ? 'none' : undefinedCode ? 'undefined' : tlvErrorName(error);
  return draft(comment, flags, wrong ? 'invalid' : error === 3 ? 'acceptable' : 'valid', {
    requestState,
    error,
    name,
    retryDelay,
    items: decodeTlv(body).items.map(({ type, value }) => ({ type, value })),
    body,
    right: change && right,
    edit: change,
  });
}

export const errors: Generator = (random) => {
  const endpoints = [
    ['/pair-setup', [1, 3, 5]],
    ['/pair-verify', [1, 3]],
    ['/pairings', [1]],
  ] as const;
  const proof = Buffer.from(random.bytes(64)).toString('hex');
  return endpoints.map(([endpoint, states]): GroupDraft => {
    const [first] = states;
    const last = states.at(-1)!;
    const codes =
      endpoint === '/pair-setup' ? [1, 2, 4, 5, 6, 7] : endpoint === '/pairings' ? [1, 2, 4] : [1, 2];
    const one = { requestState: last, error: TlvError.Authentication };
    return {
      type: 'ErrorReply',
      parameters: { endpoint, requestStates: states },
      tests: [
        ...states.flatMap((requestState) =>
          codes.map((error) =>
            errorCase(`${tlvErrorName(error)} to State ${requestState}`, ['ErrorCode'], {
              requestState,
              error,
            }),
          ),
        ),
        errorCase('Backoff', ['Backoff'], { requestState: first, error: 3 }),
        errorCase('Backoff with a RetryDelay', ['Backoff'], {
          requestState: first,
          error: 3,
          retryDelay: 30,
        }),
        errorCase('Error in front of State', ['ErrorCode'], one, { op: 'error-first' }),
        errorCase('Error 0', ['UndefinedError'], { requestState: first, error: 0 }),
        errorCase('Error 8', ['UndefinedError'], { requestState: first, error: 8 }),
        errorCase('Error 255', ['UndefinedError'], { requestState: first, error: 255 }),
        errorCase('no State', ['ErrorForm', 'MissingItem'], one, { op: 'no-state' }),
        errorCase('State of the request', ['WrongState'], one, { op: 'state', to: last }),
        errorCase('State 0', ['WrongState'], one, { op: 'state', to: 0 }),
        errorCase('Error of two bytes', ['ErrorForm'], one, { op: 'error-bytes', value: '0200' }),
        errorCase('an empty Error', ['ErrorForm'], one, { op: 'error-bytes', value: '' }),
        errorCase('a Proof beside the Error', ['ErrorForm'], one, { op: 'with-proof', value: proof }),
        errorCase('RetryDelay without Backoff', ['ErrorForm'], { ...one, retryDelay: 5 }),
        errorCase('ends inside the Error', ['Truncated'], one, { op: 'cut', to: 5 }),
      ],
    };
  });
};
