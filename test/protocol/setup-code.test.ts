import { expect } from 'chai';
import fc from 'fast-check';
import {
  InputError,
  disallowedCodes,
  formatSetupPayload,
  isTrivialCode,
  otherCode,
  parseSetupCode,
  parseSetupPayload,
} from '../../harness/protocol/index.js';

const payloads = fc.record({
  code: fc.stringMatching(/^\d{8}$/).map(parseSetupCode),
  version: fc.nat(7),
  category: fc.nat(255),
  flags: fc.nat(15),
  setupId: fc.stringMatching(/^[0-9A-Z]{4}$/),
});

function thrownBy(action: () => unknown): Error {
  try {
    action();
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error('nothing was thrown');
}

describe('setup codes', () => {
  it('are read with dashes, as 8 digits and from a payload', () => {
    const code = { dashed: '841-31-633', digits: '84131633' };
    for (const form of [
      '841-31-633',
      '84131633',
      ' 841-31-633\n',
      'X-HM://0081YCYEP3QYT',
      'x-hm://0081ycyep3qyt',
      // A label without a setup id, and labels as accessories print and people type them.
      'X-HM://0081YCYEP',
      '8413 1633',
      '8413-1633',
      '841 31 633',
      '841.31.633',
      '841\u201331\u2013633',
      '841 - 31 - 633',
    ]) {
      const { label, ...read } = parseSetupCode(form);
      expect(read, form).to.deep.equal(code);
      expect(label !== undefined, form).to.equal(/^x-hm/i.test(form));
    }
    expect(parseSetupCode('00000001').dashed).to.equal('000-00-001');
  });

  it('refuse any other form, naming those taken', () => {
    for (const form of [
      '',
      '123',
      '123-45678',
      '12-34-56-78',
      '031-45-1544',
      '0314515',
      '031/45/154',
      '03145154x',
      '०३१-४५-१५४',
    ])
      expect(() => parseSetupCode(form), form).to.throw(InputError, 'XXX-XX-XXX');
    expect(() => parseSetupCode('X-HM://0081YCYEP3QY')).to.throw(InputError, 'X-HM://');
    expect(() => parseSetupCode('MT:Y.K9042C00KA0648G00')).to.throw(InputError, 'Matter');
  });

  it('never stand in an error message', () => {
    const nearly = fc
      .tuple(fc.stringMatching(/^\d{3}$/), fc.stringMatching(/^\d{2}$/), fc.stringMatching(/^\d{3}$/))
      .chain(([a, b, c]) =>
        fc.constantFrom(
          `${a}-${b}${c}`,
          `${a}${b}-${c}`,
          `${a}/${b}/${c}`,
          `${a}-${b}-${c}0`,
          `X-HM://${a}${b}${c}`,
        ),
      );
    fc.assert(
      fc.property(nearly, (input) => {
        const { message } = thrownBy(() => parseSetupCode(input));
        expect(message).to.not.contain(input);
        // No digits but those of the forms themselves and the length.
        expect(message.match(/\d{3,}/)).to.equal(null);
      }),
    );
  });

  it('know the twelve that are forbidden', () => {
    expect(disallowedCodes).to.have.length(12);
    for (const digits of ['00000000', '11111111', '99999999', '12345678', '87654321'])
      expect(isTrivialCode(parseSetupCode(digits)), digits).to.equal(true);
    for (const digits of ['03145154', '12345679', '00000001'])
      expect(isTrivialCode(parseSetupCode(digits)), digits).to.equal(false);
  });

  it('have another code that is neither the same nor trivial', () => {
    fc.assert(
      fc.property(fc.oneof(fc.stringMatching(/^\d{8}$/), fc.constantFrom(...disallowedCodes)), (digits) => {
        const other = otherCode(parseSetupCode(digits));
        expect(other).to.deep.equal(parseSetupCode(other.dashed));
        expect(other.digits).to.not.equal(digits);
        expect(isTrivialCode(other)).to.equal(false);
      }),
    );
    // 1 234 567 8 - the step: the first candidate is a forbidden one.
    const before = parseSetupCode(String(12_345_678 - 10_000_019).padStart(8, '0'));
    expect(isTrivialCode(otherCode(before))).to.equal(false);
  });
});

describe('setup payloads', () => {
  const known = {
    code: { dashed: '841-31-633', digits: '84131633' },
    version: 0,
    category: 8,
    flags: 2,
    setupId: '3QYT',
  };

  it('give the known answer, both ways', () => {
    expect(parseSetupPayload('X-HM://0081YCYEP3QYT')).to.deep.equal(known);
    expect(formatSetupPayload(known)).to.equal('X-HM://0081YCYEP3QYT');
  });

  it('survive writing and reading', () => {
    fc.assert(
      fc.property(payloads, (payload) => {
        const uri = formatSetupPayload(payload);
        expect(uri).to.match(/^X-HM:\/\/[0-9A-Z]{13}$/);
        expect(parseSetupPayload(uri)).to.deep.equal(payload);
        const { category, flags, setupId } = payload;
        expect(parseSetupCode(uri)).to.deep.equal({ ...payload.code, label: { category, flags, setupId } });
      }),
    );
  });

  it('refuse fields that do not fit their bits', () => {
    for (const [field, wrong] of [
      ['flags', 16],
      ['category', 256],
      ['version', 8],
      ['flags', -1],
      ['category', 0.5],
    ] as const)
      expect(() => formatSetupPayload({ ...known, [field]: wrong })).to.throw(InputError, field);
    for (const setupId of ['', 'abc1', 'ABCDE', 'AB-1'])
      expect(() => formatSetupPayload({ ...known, setupId })).to.throw(InputError, 'setup id');
  });

  it('refuse a code of more than 8 digits and bits above the version', () => {
    const uri = (bits: bigint) => `X-HM://${bits.toString(36).toUpperCase().padStart(9, '0')}3QYT`;
    expect(() => parseSetupPayload(uri(100_000_000n))).to.throw(InputError, '8 digits');
    expect(() => parseSetupPayload(uri(1n << 46n))).to.throw(InputError, 'version');
    expect(parseSetupPayload(uri(99_999_999n)).code.digits).to.equal('99999999');
  });
});
