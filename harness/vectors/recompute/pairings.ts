import type { Fields } from '../format.js';
import { flagBytes, readTlv, writeTlv } from '../second.js';
import { type Claims, T, argument, editOf, hex, itemsOf, number, state, text } from './shared.js';

export type Pairs = (readonly [number, Uint8Array | number])[];

export function pairingsRequest(test: Fields): Claims {
  const edit = editOf(test);
  const method = text(test['method']);
  const [id, ltpk] = [hex(test['id'] ?? ''), hex(test['ltpk'] ?? '')];
  let list: Pairs = [state(1), [T.Method, { add: 3, remove: 4, list: 5 }[method]!]];
  if (method !== 'list') list.push([T.Identifier, id]);
  if (method === 'add') list.push([T.PublicKey, ltpk], [T.Permissions, number(test['permissions'] ?? 0)]);
  const right = edit && writeTlv(list);
  const without = (type: number): Pairs => list.filter((entry) => entry[0] !== type);
  const replaced = (type: number, value: Uint8Array | number): Pairs =>
    list.map((entry) => (entry[0] === type ? [type, value] : entry));
  switch (edit?.op) {
    case undefined:
      break;
    case 'state':
      list = replaced(T.State, edit.to!);
      break;
    case 'no-state':
      list = without(T.State);
      break;
    case 'method':
      list = replaced(T.Method, edit.to!);
      break;
    case 'no-method':
      list = without(T.Method);
      break;
    case 'no-id':
      list = without(T.Identifier);
      break;
    case 'no-ltpk':
      list = without(T.PublicKey);
      break;
    case 'no-permissions':
      list = without(T.Permissions);
      break;
    case 'twice-id':
      list = [...list, [T.Identifier, argument(edit)]];
  }
  let body = writeTlv(list);
  if (edit?.op === 'cut') body = body.subarray(0, edit.to);
  const absent = (name: string, when: boolean): Claims => (when ? { [name]: undefined } : {});
  const odd = method === 'add' && number(test['permissions'] ?? 0) > 1;
  return {
    ...absent('id', method === 'list'),
    ...absent('ltpk', method !== 'add'),
    ...absent('permissions', method !== 'add'),
    body,
    right,
    result:
      edit !== undefined || id.length > 64 || (method === 'add' && ltpk.length !== 32)
        ? 'invalid'
        : odd
          ? 'acceptable'
          : 'valid',
  };
}

export function pairingsList(test: Fields): Claims {
  const edit = editOf(test);
  const entries = (test['entries'] as readonly Fields[]).map(({ id, ltpk, permissions }): Pairs => [
    [T.Identifier, hex(id)],
    [T.PublicKey, hex(ltpk)],
    [T.Permissions, number(permissions)],
  ]);
  const written = (op: string | undefined): Buffer => {
    const list: Pairs = op === 'no-state' || op === 'state-each' ? [] : [state(2)];
    if (op === 'error') list.push([T.Error, edit!.to!]);
    entries.forEach((entry, index) => {
      const separator = Buffer.alloc(op === 'separator-length' ? 1 : 0);
      if (index > 0 && op !== 'no-separators') list.push([T.Separator, separator]);
      if (op === 'state-each') list.push(state(2));
      list.push(...entry);
    });
    return writeTlv(list);
  };
  let body = written(edit?.op);
  if (edit?.op === 'cut') body = body.subarray(0, edit.to);
  const tolerated = ['state-each', 'separator-length'].includes(edit?.op ?? '');
  const right = edit && written(undefined);
  return { body, right, result: edit === undefined ? 'valid' : tolerated ? 'acceptable' : 'invalid' };
}

export function pairingsReply(test: Fields): Claims {
  const refusals: Readonly<Record<string, readonly [error: number, methods: readonly string[]]>> = {
    'by-non-admin': [2, ['add', 'remove', 'list']],
    'other-key-for-known-id': [1, ['add']],
    'all-places-taken': [4, ['add']],
    'unknown-id': [0, ['remove']],
  };
  const [error, methods] = refusals[text(test['situation'])]!;
  return {
    ...(!methods.includes(text(test['method'])) && { method: methods.join(' or ') }),
    methodNumber: { add: 3, remove: 4, list: 5 }[text(test['method'])],
    error,
    body: error === 0 ? writeTlv([state(2)]) : writeTlv([state(2), [T.Error, error]]),
    result: error === 0 ? 'valid' : 'invalid',
  };
}

const errorNames = [
  'none',
  'Unknown',
  'Authentication',
  'Backoff',
  'MaxPeers',
  'MaxTries',
  'Unavailable',
  'Busy',
];

/** The States a request to an endpoint has. */
export const statesOf: Readonly<Record<string, readonly number[]>> = {
  '/pair-setup': [1, 3, 5],
  '/pair-verify': [1, 3],
  '/pairings': [1],
};

export function errorReply(test: Fields, group: Fields): Claims {
  const edit = editOf(test);
  const [error, requestState] = [number(test['error']), number(test['requestState'])];
  const states = statesOf[text(group['endpoint'])]!;
  const delay = test['retryDelay'] as number | undefined;
  let list: Pairs = [state(requestState + 1), [T.Error, error]];
  if (delay !== undefined) list.push([T.RetryDelay, flagBytes(delay)]);
  const right = edit && writeTlv(list);
  switch (edit?.op) {
    case undefined:
      break;
    case 'error-first':
      list = [list[1]!, list[0]!, ...list.slice(2)];
      break;
    case 'no-state':
      list = list.slice(1);
      break;
    case 'state':
      list = [state(edit.to!), ...list.slice(1)];
      break;
    case 'error-bytes':
      list = [list[0]!, [T.Error, argument(edit)], ...list.slice(2)];
      break;
    case 'with-proof':
      list = [...list, [T.Proof, argument(edit)]];
  }
  let body = writeTlv(list);
  if (edit?.op === 'cut') body = body.subarray(0, edit.to);
  const wrong =
    error < 1 ||
    error > 7 ||
    (edit !== undefined && edit.op !== 'error-first') ||
    (delay !== undefined && error !== 3);
  return {
    ...(!states.includes(requestState) && { requestState: states.join(' or ') }),
    name: errorNames[error] ?? 'undefined',
    items: itemsOf(readTlv(body).items),
    body,
    right,
    // Backoff is of older documents: nothing sends it on purpose any more.
    result: wrong ? 'invalid' : error === 3 ? 'acceptable' : 'valid',
  };
}
