import { expect } from 'chai';
import fc from 'fast-check';
import { hex } from '../../harness/protocol/index.js';
import {
  REDACTED,
  codeForms,
  json,
  junit,
  redactor,
  reportRedactor,
  sarif,
} from '../../harness/report/index.js';
import { catalogue } from '../../suites/index.js';
import { failure, report, reportFullOf, result } from './sample.js';

describe('redaction', () => {
  const key = Uint8Array.from({ length: 32 }, (_, i) => 0xa0 + i);
  const redact = redactor(['031-45-154', key]);

  it('knows both spellings of a setup code, from either', () => {
    expect(codeForms('031-45-154')).to.deep.equal(['031-45-154', '03145154']);
    expect(codeForms('03145154')).to.deep.equal(['031-45-154', '03145154']);
    expect(codeForms('a password')).to.deep.equal(['a password']);
  });

  it('finds a setup code in every form', () => {
    const forms = codeForms('031-45-154').flatMap((form) => {
      const digits = Buffer.from(form).toString('hex');
      return [form, digits, digits.toUpperCase()];
    });
    for (const form of forms) expect(redact(`code ${form}, sent`), form).to.equal(`code ${REDACTED}, sent`);
  });

  it('finds hex of a code inside longer hex', () => {
    expect(redact('0x05aa3033312d34352d313534ff')).to.equal(`0x05aa${REDACTED}ff`);
  });

  it('leaves the eight digits alone inside a longer number', () => {
    expect(redact('1031451540 031451541 103145154')).to.equal('1031451540 031451541 103145154');
    expect(redact('=03145154.')).to.equal(`=${REDACTED}.`);
  });

  it('finds a key in lower and upper case hex', () => {
    expect(redact(`a ${hex(key)} b ${hex(key).toUpperCase()} c`)).to.equal(`a ${REDACTED} b ${REDACTED} c`);
  });

  it('takes texts literally and ignores empty secrets', () => {
    expect(redactor(['a.b*(c'])('axb*(c a.b*(c')).to.equal(`axb*(c ${REDACTED}`);
    expect(redactor(['', new Uint8Array(0)])('text')).to.equal('text');
    expect(redactor([])('text')).to.equal('text');
  });

  it('prefers the longer of two secrets that start alike', () => {
    expect(redactor(['secret', 'secret-longer'])('secret-longer secret')).to.equal(`${REDACTED} ${REDACTED}`);
  });

  it('knows keys that are made while the run goes on, of any length', () => {
    const keys: Uint8Array[] = [];
    const growing = redactor(['031-45-154'], keys);
    const later = [key, key.slice(0, 16), new Uint8Array(0)];
    expect(growing(`a ${hex(key)}`)).to.equal(`a ${hex(key)}`);
    for (const made of later) keys.push(made);
    for (const made of later.slice(0, 2)) expect(growing(`a ${hex(made)}`)).to.equal(`a ${REDACTED}`);
    expect(growing('031-45-154')).to.equal(REDACTED);
  });

  it('goes through a result once, however many reports it stands in', () => {
    let calls = 0;
    const counting = reportRedactor((text) => (calls++, text));
    const run = report();
    const first = counting(run);
    const after = calls;
    const second = counting({ ...run, results: [...run.results] });
    expect(second.results.every((one, i) => one === first.results[i])).to.equal(true);
    expect(calls - after).to.be.lessThan(after / 2);
  });

  it('leaves no secret in any serialised report', () => {
    const forms = ['031-45-154', '03145154', Buffer.from('031-45-154').toString('hex'), hex(key)];
    for (const form of forms) {
      const clean = reportRedactor(redact)(reportFullOf(`<${form}>`));
      const findings = sarif(clean, { requirements: catalogue, anchor: undefined });
      for (const text of [junit(clean), json(clean), findings]) expect(text).to.not.contain(form);
    }
  });

  it('keeps what is not secret, absent members and numbers included', () => {
    const sample = report();
    expect(reportRedactor(redact)(sample)).to.deep.equal(sample);
    const changed = reportRedactor(redact)(
      report({
        results: [result({ failure: { ...failure, exchange: ['→ 03145154'] }, durationMs: 3145154 })],
      }),
    );
    expect(changed.results[0]?.failure?.exchange).to.deep.equal([`→ ${REDACTED}`]);
    expect(changed.results[0]?.durationMs).to.equal(3145154);
  });

  it('holds for any code and any surroundings without digits', () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^\d{8}$/),
        fc.stringMatching(/^[^\d]*$/),
        fc.stringMatching(/^[^\d]*$/),
        (digits, before, after) => {
          for (const form of codeForms(digits))
            expect(redactor([digits])(before + form + after)).to.equal(before + REDACTED + after);
        },
      ),
    );
  });
});
