import type { Fields, Result } from '../format.js';
import { type Claims, editOf, number, text, verdict } from './shared.js';

const TRIVIAL = /^(\d)\1{7}$|^12345678$|^87654321$/;

export function setupCode(test: Fields): Claims {
  const input = text(test['input']);
  const digits = input.replace(/\D/g, '');
  const shape = input.replace(/\d/g, '0');
  const readable = ['000-00-000', '00000000'].includes(shape);
  const dashed = readable ? digits.replace(/^(...)(..)(...)$/, '$1-$2-$3') : undefined;
  const result = !readable || TRIVIAL.test(digits) ? 'invalid' : shape.length === 8 ? 'acceptable' : 'valid';
  return { digits, shape, dashed, result };
}

export function setupPayload(test: Fields): Claims {
  const bits =
    (BigInt(number(test['reserved'])) << 46n) |
    (BigInt(number(test['version'])) << 43n) |
    (BigInt(number(test['category'])) << 31n) |
    (BigInt(number(test['transport'])) << 27n) |
    BigInt(number(test['code']));
  let payload = 'X-HM://' + bits.toString(36).toUpperCase().padStart(9, '0') + text(test['setupId']);
  const edit = editOf(test);
  const right = edit && payload;
  let result: Result = verdict(number(test['code']) > 99_999_999 || test['reserved'] !== 0);
  switch (edit?.op) {
    case undefined:
      break;
    case 'lower-case':
      payload = payload.toLowerCase();
      if (result === 'valid') result = 'acceptable';
      break;
    case 'cut':
      payload = payload.slice(0, edit.to);
      result = 'invalid';
      break;
    case 'add':
      payload += edit.text!;
      result = 'invalid';
      break;
    case 'prefix':
      payload = payload.replace('X-HM://', edit.text!);
      result = 'invalid';
  }
  return { payload, right, result };
}
