import { formatSetupPayload, isTrivialCode, parseSetupCode } from '../../protocol/index.js';
import { CODE, draft } from '../cases.js';
import type { Edit } from '../format.js';
import type { Draft, Generator } from '../make.js';
import type { FlagName } from '../notes.js';

function codeCase(input: string, flags: readonly FlagName[], comment: string): Draft {
  const digits = input.replace(/\D/g, '');
  const shape = input.replace(/\d/g, '0');
  const known = shape === '000-00-000' || shape === '00000000' ? parseSetupCode(input) : undefined;
  const refused = known === undefined || isTrivialCode(known);
  return draft(comment, flags, refused ? 'invalid' : shape.includes('-') ? 'valid' : 'acceptable', {
    input,
    digits,
    shape,
    dashed: known?.dashed,
  });
}

interface PayloadFields {
  readonly reserved?: number;
  readonly version?: number;
  readonly category?: number;
  readonly transport?: number;
  readonly code?: number;
  readonly setupId?: string;
}

function payloadCase(
  comment: string,
  flags: readonly FlagName[],
  given: PayloadFields,
  change?: Edit,
): Draft {
  const { reserved = 0, version = 0, category = 8, transport = 2, code = 84131633, setupId = '3QYT' } = given;
  const wrong = code > 99_999_999 || reserved !== 0;
  const bits =
    (BigInt(reserved) << 46n) |
    (BigInt(version) << 43n) |
    (BigInt(category) << 31n) |
    (BigInt(transport) << 27n) |
    BigInt(code);
  const whole = wrong
    ? 'X-HM://' + bits.toString(36).toUpperCase().padStart(9, '0') + setupId
    : formatSetupPayload({
        code: parseSetupCode(String(code).padStart(8, '0')),
        version,
        category,
        flags: transport,
        setupId,
      });
  let payload = whole;
  if (change?.op === 'lower-case') payload = whole.toLowerCase();
  if (change?.op === 'cut') payload = whole.slice(0, change.to);
  if (change?.op === 'add') payload = whole + change.text!;
  if (change?.op === 'prefix') payload = change.text! + whole.slice('X-HM://'.length);
  const result =
    wrong || (change !== undefined && change.op !== 'lower-case')
      ? 'invalid'
      : change
        ? 'acceptable'
        : 'valid';
  return draft(comment, flags, result, {
    payload,
    reserved,
    version,
    category,
    transport,
    code,
    setupId,
    right: change && whole,
    edit: change,
  });
}

export const setupCode: Generator = (random) => {
  const drawn = (): string => {
    for (;;) {
      const digits = String(random.below(100_000_000)).padStart(8, '0');
      if (!isTrivialCode(parseSetupCode(digits))) return digits;
    }
  };
  const dashes = (digits: string): string => `${digits.slice(0, 3)}-${digits.slice(3, 5)}-${digits.slice(5)}`;
  const trivial = [
    ...Array.from({ length: 10 }, (_, digit) => String(digit).repeat(8)),
    '12345678',
    '87654321',
  ];
  const malformed = [
    '',
    '031-45-15',
    '031-45-1544',
    '0314515',
    '031451544',
    '031-451-54',
    '03145-154',
    '031 45 154',
    '031-45-15A',
    '-031-45-154',
    '3939',
    '031.45.154',
  ];
  const payload = (): PayloadFields => ({
    category: random.below(36),
    transport: random.below(8),
    code: Number(drawn()),
    setupId: Array.from({ length: 4 }, () => '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ'[random.below(36)]!).join(
      '',
    ),
  });
  return [
    {
      type: 'SetupCode',
      tests: [
        codeCase(CODE, ['Ordinary'], 'with dashes: the form SRP uses'),
        codeCase('000-00-001', ['Boundary'], 'leading zeros are digits'),
        codeCase('999-99-998', ['Boundary'], 'beside a trivial one'),
        codeCase('123-45-679', ['Boundary'], 'beside a trivial one'),
        ...Array.from({ length: 6 }, () => codeCase(dashes(drawn()), ['Ordinary'], 'drawn')),
        ...Array.from({ length: 4 }, () =>
          codeCase(drawn(), ['WithoutDashes'], 'as on some labels; SRP takes the dashed form'),
        ),
        ...trivial.map((digits) =>
          codeCase(dashes(digits), ['TrivialCode'], 'must not be used by an accessory'),
        ),
        codeCase('12345678', ['TrivialCode', 'WithoutDashes'], 'trivial without its dashes too'),
        ...malformed.map((input) => codeCase(input, ['MalformedCode'], 'no code')),
      ],
    },
    {
      type: 'SetupPayload',
      tests: [
        payloadCase('the known answer: 841-31-633', ['KnownAnswer'], {}),
        ...Array.from({ length: 12 }, () => payloadCase('drawn', ['Ordinary'], payload())),
        payloadCase('all bits of the fields zero', ['Boundary'], {
          category: 0,
          transport: 0,
          code: 1,
          setupId: '0000',
        }),
        payloadCase('the greatest code', ['Boundary'], { code: 99_999_998 }),
        payloadCase('the greatest category and flags', ['Boundary'], {
          category: 255,
          transport: 15,
          version: 7,
        }),
        payloadCase('in lower case, as a scanner may return it', ['Ordinary'], {}, { op: 'lower-case' }),
        payloadCase('a code of nine digits', ['MalformedPayload'], { code: 100_000_000 }),
        payloadCase('the greatest 27-bit code', ['MalformedPayload'], { code: 0x7ffffff }),
        payloadCase('a bit above the version', ['MalformedPayload'], { reserved: 1 }),
        payloadCase('without the setup id', ['MalformedPayload', 'Truncated'], {}, { op: 'cut', to: 16 }),
        payloadCase('one character short', ['MalformedPayload', 'Truncated'], payload(), {
          op: 'cut',
          to: 19,
        }),
        payloadCase('one character too many', ['MalformedPayload'], payload(), { op: 'add', text: '0' }),
        payloadCase('another scheme', ['MalformedPayload'], payload(), { op: 'prefix', text: 'X-HN://' }),
        payloadCase('one slash', ['MalformedPayload'], payload(), { op: 'prefix', text: 'X-HM:/' }),
        payloadCase('no scheme', ['MalformedPayload'], payload(), { op: 'prefix', text: '' }),
      ],
    },
  ];
};
