import type { Fields } from '../format.js';
import { readTlv, toBytes, writeTlv } from '../second.js';
import { type Claims, hex, itemsOf, number, text } from './shared.js';

export function tlvCodec(test: Fields): Claims {
  const encoded = hex(test['encoded']);
  const { items, defect } = readTlv(encoded);
  const canonical = writeTlv(items.map(({ type, value }) => [type, value]));
  const result = defect !== undefined ? 'invalid' : canonical.equals(encoded) ? 'valid' : 'acceptable';
  return { items: itemsOf(items), defect, result };
}

export function tlvInteger(test: Fields): Claims {
  const [value, width] = [BigInt(text(test['value'])), number(test['width'])];
  if (value >> BigInt(8 * width) !== 0n) throw new Error(`${value} does not fit ${width} bytes`);
  const big = toBytes(value, width);
  const little = Buffer.from(big).reverse();
  const least = [1, 2, 4, 8].find((size) => value >> BigInt(8 * size) === 0n);
  const bigEndian = test['order'] === 'big-endian';
  const result = bigEndian && !big.equals(little) ? 'invalid' : width === least ? 'valid' : 'acceptable';
  // Where both orders are the same bytes, the right one is named.
  const order = big.equals(little) ? { order: 'little-endian' } : {};
  return { ...order, encoded: bigEndian ? big : little, result };
}
