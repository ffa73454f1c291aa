import { InputError } from './bytes.js';

/** Codes the protocol forbids because they are guessed first (HAP R2 §4.2.1.2). Digits only. */
export const disallowedCodes: readonly string[] = [
  ...Array.from({ length: 10 }, (_, digit) => String(digit).repeat(8)),
  '12345678',
  '87654321',
];

/** A setup code in every form the harness meets. */
export interface SetupCode {
  /** `XXX-XX-XXX`: what SRP uses, dashes included (erratum E22). */
  readonly dashed: string;
  /** The 8 digits. */
  readonly digits: string;
  /** What else the label says, where the code was read from its payload. */
  readonly label?: Label;
}

/** Bits of a label's flags: by which transports the accessory is paired. Of the two others no source says the same. */
export const LabelFlag = { Ip: 2, Ble: 4 } as const;

/** What a label says beside the code. */
export interface Label {
  readonly category: number;
  /** See `LabelFlag`. */
  readonly flags: number;
  /** Four characters 0-9 A-Z, as in the TXT record's hash; undefined where the label has none (older accessories). */
  readonly setupId: string | undefined;
}

export interface SetupPayload extends Label {
  readonly code: SetupCode;
  readonly version: number;
}

function fromDigits(digits: string): SetupCode {
  return { digits, dashed: `${digits.slice(0, 3)}-${digits.slice(3, 5)}-${digits.slice(5)}` };
}

/** What people put between the digits: hyphens and dashes of any kind, dots, blanks. */
const separators = /[\s.\u00b7\u2010-\u2015\u2212-]+/u;

/** How the 8 digits are grouped: in one, as SRP has them, and as labels print them. */
const groupings = ['8', '3 2 3', '4 4'];

/**
 * Reads 8 digits as people hold them (`XXX-XX-XXX`, `XXXX XXXX`, with dots, blanks or dashes), or an `X-HM://` payload.
 * @throws InputError that says which forms are taken; it never repeats the text given, which may be a secret.
 */
export function parseSetupCode(input: string): SetupCode {
  const value = input.trim();
  if (/^X-HM:/i.test(value)) {
    const { code, category, flags, setupId } = parseSetupPayload(value);
    return { ...code, label: { category, flags, setupId } };
  }
  if (/^MT:/i.test(value))
    throw new InputError(
      'setup code: an MT: payload belongs to Matter; the HomeKit code is the 8 digits on the label, or its X-HM:// payload',
    );
  const groups = value.split(separators);
  if (groups.every((group) => /^\d+$/.test(group)) && groupings.includes(groups.map(lengthOf).join(' ')))
    return fromDigits(groups.join(''));
  throw new InputError(
    `setup code: expected XXX-XX-XXX, XXXX-XXXX, 8 digits or an X-HM:// payload, got ${value.length} characters of another form`,
  );
}

function lengthOf({ length }: string): number {
  return length;
}

/**
 * The code of an AirPlay receiver: a PIN or a password of 1 to 64 characters, used as it stands.
 * @throws InputError that does not repeat the text given.
 */
export function airplayCode(input: string): SetupCode {
  if (input.length < 1 || input.length > 64)
    throw new InputError(
      `AirPlay code: expected a PIN or password of 1 to 64 characters, got ${input.length}`,
    );
  return { dashed: input, digits: input };
}

export function isTrivialCode(code: SetupCode): boolean {
  return disallowedCodes.includes(code.digits);
}

/** A code of the same form that is certainly another one, and not a trivial one. */
export function otherCode(code: SetupCode): SetupCode {
  // A PIN or a password has no form to keep to.
  if (!/^\d{8}$/.test(code.digits)) return fromDigits('13572468');
  for (let step = 1; ; step++) {
    const other = fromDigits(
      String((Number(code.digits) + 10_000_019 * step) % 100_000_000).padStart(8, '0'),
    );
    if (other.digits !== code.digits && !isTrivialCode(other)) return other;
  }
}

const PAYLOAD_DIGITS = 9;
const PREFIX = 'X-HM://';

/**
 * Decodes an `X-HM://` payload: nine base-36 digits = version«43 | category«31 | flags«27 | code, then the setup id.
 * Older labels have none.
 * @throws InputError naming what does not fit.
 */
export function parseSetupPayload(uri: string): SetupPayload {
  const value = uri.trim().toUpperCase();
  const match = new RegExp(`^${PREFIX}([0-9A-Z]{${PAYLOAD_DIGITS}})([0-9A-Z]{4})?$`).exec(value);
  if (match === null)
    throw new InputError(
      `setup payload: expected ${PREFIX} with 9 base-36 digits and, where the label has one, a setup id of 4 characters, got ${value.length} characters`,
    );
  let bits = 0n;
  for (const digit of match[1]!) bits = bits * 36n + BigInt(parseInt(digit, 36));
  const code = Number(bits & 0x7ff_ffffn);
  if (code > 99_999_999) throw new InputError('setup payload: its code has more than 8 digits');
  if (bits >> 46n !== 0n) throw new InputError('setup payload: bits above the version are set');
  return {
    code: fromDigits(String(code).padStart(8, '0')),
    flags: Number((bits >> 27n) & 0xfn),
    category: Number((bits >> 31n) & 0xffn),
    version: Number((bits >> 43n) & 0x7n),
    setupId: match[2],
  };
}

/** @throws InputError when a field does not fit its bits. */
export function formatSetupPayload(payload: SetupPayload): string {
  const { code, flags, category, version, setupId } = payload;
  if (setupId !== undefined && !/^[0-9A-Z]{4}$/.test(setupId))
    throw new InputError('setup id: expected four characters 0-9 A-Z');
  for (const [name, value, limit] of [
    ['flags', flags, 16],
    ['category', category, 256],
    ['version', version, 8],
  ] as const)
    if (!Number.isInteger(value) || value < 0 || value >= limit)
      throw new InputError(`setup payload ${name}: expected 0 to ${limit - 1}, got ${value}`);
  const bits =
    (BigInt(version) << 43n) |
    (BigInt(category) << 31n) |
    (BigInt(flags) << 27n) |
    BigInt(Number(code.digits));
  return PREFIX + bits.toString(36).toUpperCase().padStart(PAYLOAD_DIGITS, '0') + (setupId ?? '');
}
