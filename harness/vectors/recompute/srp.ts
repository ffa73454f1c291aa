import type { Fields } from '../format.js';
import {
  type Forms,
  N,
  type SrpInput,
  type SrpValues,
  clientS,
  flip,
  join,
  multiplier,
  neutral,
  power,
  proofM1,
  proofM2,
  reference,
  sha,
  srp,
  toBytes,
  toNumber,
} from '../second.js';
import { type Claims, argument, editOf, hex, number, text, verdict } from './shared.js';

/** Who writes integers how; the names are of camps, not of products. */
const conventions: Readonly<Record<string, Forms>> = {
  reference,
  neutral,
  'padded-session': {
    ...neutral,
    proofB: 'padded',
    session: 'padded',
    wireB: 'padded',
  },
  'stripped-proofs-padded-session': { ...reference, session: 'padded' },
  'padded-proofs': { ...reference, proofA: 'padded', proofB: 'padded', wireB: 'padded' },
  'all-stripped': { ...reference, serverProofA: 'stripped', wireA: 'stripped' },
  'all-stripped-and-salt': { ...reference, serverProofA: 'stripped', wireA: 'stripped', salt: 'stripped' },
  'integer-key': { ...neutral, proofB: 'stripped', sessionKey: 'stripped' },
  literal: { ...reference, k: 'literal', u: 'stripped' },
  'left-aligned': {
    ...reference,
    proofA: 'left-aligned',
    proofB: 'left-aligned',
    session: 'left-aligned',
    serverProofA: 'left-aligned',
  },
};
/** Conventions that are mistakes wherever they show. */
const mistaken = ['integer-key', 'literal', 'left-aligned'];

export function srpClaims({ x, v, k, u, A, B, S, K, M1, M2 }: SrpValues): Claims {
  return {
    x: toBytes(x, 64),
    v: toBytes(v, 384),
    k: toBytes(k, 64),
    u: toBytes(u, 64),
    A,
    B,
    S: toBytes(S, 384),
    K,
    M1,
    M2,
  };
}

export function srpInput(test: Fields, user: string, password: string, forms: Forms): SrpInput {
  return { user, password, salt: hex(test['salt']), a: hex(test['a']), b: hex(test['b']), forms };
}

export function srpSession(test: Fields, group: Fields): Claims {
  const name = text(group['convention']);
  const forms = group['forms'] as unknown as Forms;
  const [user, password] = [text(group['user']), text(group['password'])];
  const values = srp(srpInput(test, user, password, forms));
  const right = srp(srpInput(test, user, password, reference));
  const agrees = values.M1.equals(right.M1) && values.M2.equals(right.M2);
  const result = agrees ? 'valid' : mistaken.includes(name) ? 'invalid' : 'acceptable';
  return { ...srpClaims(values), result };
}

export function srpGroup(group: Fields): Claims {
  const forms = conventions[text(group['convention'])];
  return forms === undefined ? { convention: Object.keys(conventions).join(' or ') } : { forms };
}

export function srpIllegalA(test: Fields, group: Fields): Claims {
  const [user, salt] = [text(group['user']), hex(test['salt'])];
  const length = number(test['length']);
  const value = BigInt(number(test['multiple'])) * N;
  const x = toNumber(sha('sha512', salt, sha('sha512', `${user}:${text(group['password'])}`)));
  const v = power(5n, x);
  const B = toBytes((multiplier('padded') * v + power(5n, toNumber(hex(test['b'])))) % N);
  const A = toBytes(value, length);
  if (A.length !== length) throw new Error(`${length} bytes do not hold A`);
  const zero = { empty: 0, 'zero-byte': 1, padded: 384 }[text(test['guess'])]!;
  const K = sha('sha512', Buffer.alloc(zero));
  return {
    v: toBytes(v, 384),
    B,
    A,
    K,
    M1: proofM1({ user, salt, A, B, K, forms: neutral }),
    result: 'invalid',
  };
}

export function srpIllegalB(test: Fields): Claims {
  const name = text(test['number']);
  const value = { '0': 0n, '1': 1n, 'N-1': N - 1n, N, 'N+1': N + 1n }[name]!;
  const length = number(test['length']);
  const B = toBytes(value, length);
  if (B.length !== length) throw new Error(`${length} bytes do not hold B`);
  const fits = length >= 1 && length <= 384;
  const result = value % N === 0n || !fits ? 'invalid' : value > 1n && value < N ? 'valid' : 'acceptable';
  return { B, result };
}

export function srpProof(test: Fields, group: Fields): Claims {
  const [user, password] = [text(group['user']), text(group['password'])];
  const salt = hex(test['salt']);
  const right = srp(srpInput(test, user, password, neutral));
  const edit = editOf(test)!;
  const { A, B, K, M1, M2, S, u, k } = right;
  const hashed = (more: object): Buffer => proofM1({ user, salt, A, B, K, forms: neutral, ...more });
  const made = (): Buffer => {
    switch (edit.op) {
      case 'M1-flip':
        return flip(M1, edit.bit!);
      case 'M1-cut':
        return M1.subarray(0, edit.to);
      case 'M1-append':
        return join(M1, argument(edit));
      case 'M1-zero':
        return Buffer.alloc(64);
      case 'M1-of-password': {
        const other = clientS({ user, salt, a: hex(test['a']), B, u, k, password: edit.text! });
        return hashed({ K: sha('sha512', toBytes(other)) });
      }
      case 'M1-of-user': {
        const other = clientS({ user: edit.text!, salt, a: hex(test['a']), B, u, k, password });
        return hashed({ user: edit.text!, K: sha('sha512', toBytes(other)) });
      }
      case 'M1-without-salt':
        return hashed({ salt: Buffer.alloc(0) });
      case 'M1-padded-g':
        return proofM1({ user, salt, A, B, K, forms: neutral }, false);
      case 'M1-is-M2':
        return M2;
      case 'M1-S-in-place-of-K':
        return hashed({ K: toBytes(S) });
      case 'M2-flip':
        return flip(M2, edit.bit!);
      case 'M2-cut':
        return M2.subarray(0, edit.to);
      case 'M2-append':
        return join(M2, argument(edit));
      case 'M2-is-M1':
        return M1;
      default:
        return proofM2(B, M1, K, neutral);
    }
  };
  const proof = made();
  const wanted = edit.op.startsWith('M1') ? M1 : M2;
  return { ...srpClaims(right), right: wanted, proof, result: verdict(!proof.equals(wanted)) };
}
