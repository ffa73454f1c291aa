/**
 * Exponentiation in the 3072-bit group of RFC 5054 appendix A, the one cost that decides how fast the harness is.
 * Fixed-base tables for g and a 5-bit window for everything else; nothing here is constant-time, because the
 * harness guards no secret of its own: exponents derive from a printed seed and pairings are removed again.
 */

/** The 3072-bit prime (seed 002 §2.2). */
export const N = BigInt(
  '0x' +
    'FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD' +
    'EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED' +
    'EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F' +
    '83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B' +
    'E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA0510' +
    '15728E5A8AAAC42DAD33170D04507A33A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7DB3970F85A6E1E4C7' +
    'ABF5AE8CDB0933D71E8C94E04A25619DCEE3D2261AD2EE6BF12FFA06D98A0864D87602733EC86A64521F2B18177B200C' +
    'BBE117577A615D6C770988C0BAD946E208E24FA074E5AB3143DB5BFCE0FD108E4B82D120A93AD2CAFFFFFFFFFFFFFFFF',
);

/** The generator (seed 002 §2.2). */
export const g = 5n;

const WINDOW = 6;
const FIXED_WINDOW = 4;
/** x is a SHA-512 digest, so 512 bits is the longest exponent g is ever raised to in an ordinary flow. */
const FIXED_BITS = 512;

/**
 * base^exponent mod N for one base below N and many non-negative exponents of up to 512 bits. The table costs about as
 * much as three exponentiations; with it each is five times as fast.
 */
export function fixedBase(base: bigint): (exponent: bigint) => bigint {
  const table: bigint[][] = [];
  let unit = base;
  for (let window = 0; window < FIXED_BITS / FIXED_WINDOW; window++) {
    const row = [1n];
    for (let digit = 1; digit < 1 << FIXED_WINDOW; digit++) row.push(reduce(row[digit - 1]! * unit));
    table.push(row);
    unit = reduce(row[row.length - 1]! * unit);
  }
  return (exponent) => {
    const digits = digitsOf(exponent, FIXED_WINDOW);
    if (digits.length > table.length) return slidingWindow(base, exponent);
    let result = 1n;
    digits.forEach((digit, window) => {
      if (digit !== 0) result = reduce(result * table[window]![digit]!);
    });
    return result;
  };
}

let fixedG: ((exponent: bigint) => bigint) | undefined;

/** Digits of `exponent` in base 2^bits, least significant first. */
function digitsOf(exponent: bigint, bits: number): number[] {
  const binary = exponent.toString(2);
  const digits: number[] = [];
  for (let end = binary.length; end > 0; end -= bits)
    digits.push(parseInt(binary.slice(Math.max(0, end - bits), end), 2));
  return digits;
}

/** g^exponent mod N for a non-negative exponent. */
export function powG(exponent: bigint): bigint {
  fixedG ??= fixedBase(g);
  return fixedG(exponent);
}

/** 2^BITS mod N for the places at which a product is folded, the highest first. */
const folds = [1536n, 768n].map((above) => {
  const place = 3072n + above;
  return { place, bits: Number(place), value: (1n << place) % N };
});

/**
 * A number below 2^6144 mod N. What stands above a place is multiplied by 2^place mod N and added to what stands below:
 * two products of a half and a quarter of the length, and a division of a fourth, take two thirds of the time of one
 * whole division.
 */
function reduce(product: bigint): bigint {
  let rest = product;
  for (const { place, bits, value } of folds) rest = (rest >> place) * value + BigInt.asUintN(bits, rest);
  return rest % N;
}

/** base^exponent mod N for any base and a non-negative exponent. */
export function power(base: bigint, exponent: bigint): bigint {
  const reduced = ((base % N) + N) % N;
  return reduced === g ? powG(exponent) : slidingWindow(reduced, exponent);
}

/** The same for a base from 0 to N - 1, without a table that is kept. */
function slidingWindow(base: bigint, exponent: bigint): bigint {
  if (exponent === 0n) return 1n;
  const square = reduce(base * base);
  /** base^(2 i + 1) */
  const odd = [base];
  for (let i = 1; i < 1 << (WINDOW - 1); i++) odd.push(reduce(odd[i - 1]! * square));
  const binary = exponent.toString(2);
  let result = 1n;
  for (let at = 0; at < binary.length;) {
    if (binary[at] === '0') {
      result = reduce(result * result);
      at++;
      continue;
    }
    let end = Math.min(at + WINDOW, binary.length);
    while (binary[end - 1] === '0') end--;
    const window = parseInt(binary.slice(at, end), 2);
    // Nothing has to be raised yet when the first window is read.
    if (at > 0) for (let i = at; i < end; i++) result = reduce(result * result);
    result = at > 0 ? reduce(result * odd[window >> 1]!) : odd[window >> 1]!;
    at = end;
  }
  return result;
}
