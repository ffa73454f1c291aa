import { expect } from 'chai';
import fc from 'fast-check';
import { clip, failureText, headline, oneLine, printable } from '../../harness/report/index.js';
import { failure, hostileTexts, report, reportFullOf, result } from './sample.js';
import { illegalInXml } from './xml.js';

const anyText = fc.string({ unit: 'binary' });

describe('text of reports', () => {
  it('keeps tab, line feed and every ordinary character', () => {
    const text = 'a\tb\nc é 漢字 😀 ‹›';
    expect(printable(text)).to.equal(text);
  });

  it('replaces each dangerous character by U+FFFD', () => {
    expect(printable('a\u0000b\u001b[2Jc\u007fd\u009be\r\n')).to.equal('a�b�[2Jc�d�e�\n');
    expect(printable('\ud800x\udc00\ufffe\uffff')).to.equal('�x���');
    expect(printable('\u202ea\u2066b\u061c')).to.equal('�a�b�');
  });

  it('breaks commands a CI system would obey', () => {
    expect(printable('x ##[error]y ##vso[a]b ##teamcity[c] ## [')).to.equal(
      'x #�[error]y #�vso[a]b #�teamcity[c] ## [',
    );
  });

  it('is legal XML text and stays as it is the second time, for any text', () => {
    const surrogates = fc.string({
      unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)),
    });
    fc.assert(
      fc.property(fc.oneof(anyText, surrogates), (text) => {
        const safe = printable(text);
        expect(safe).to.not.match(illegalInXml);
        expect(printable(safe)).to.equal(safe);
      }),
    );
  });

  it('makes one line of many, of bounded length', () => {
    expect(oneLine('a\nb\tc')).to.equal('a\\nb\\tc');
    fc.assert(
      fc.property(anyText, fc.integer({ min: 1, max: 40 }), (text, max) => {
        const line = oneLine(text, max);
        expect(line.length).to.be.at.most(max);
        expect(line).to.not.match(/[\n\t]/);
      }),
    );
  });

  it('clips to at most the length asked for and never cuts a character in two', () => {
    expect(clip('abc', 3)).to.equal('abc');
    expect(clip('abcd', 3)).to.equal('ab…');
    expect(clip('a😀b', 3)).to.equal('a…');
    expect(clip('abc', 0)).to.equal('');
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.nat(20), (text, max) => {
        const short = clip(text, max);
        expect(short.length).to.be.at.most(Math.max(max, 0));
        expect(short).to.not.match(/\p{Cs}/u);
      }),
    );
  });

  it('puts the five parts of a failure under a headline', () => {
    const failed = result({
      id: 'PS-M3-04',
      title: 'Wrong setup code',
      message: 'M4 carries a Proof',
      failure,
    });
    expect(headline(failed)).to.equal('PS-M3-04 Wrong setup code [MUST]: M4 carries a Proof');
    expect(failureText(failed, report())).to.equal(
      [
        'PS-M3-04 Wrong setup code [MUST]: M4 carries a Proof',
        'requirement: A wrong proof is refused, or anyone can pair.',
        'allowed:',
        '  - TLV error 2 (Authentication) in state 4',
        'seen: M4 carries a Proof',
        'exchange:',
        '  | → M3 State=3 PublicKey[384] Proof[64]',
        '  | ← M4 State=4 Proof[64]',
        'reproduce: hapspec run embedded --only PS-M3-04 --seed 7 --code "$HAPSPEC_CODE"',
        'target: embedded, seed 7',
      ].join('\n'),
    );
  });

  it('is the headline alone for a result without details', () => {
    expect(failureText(result({ message: 'could not pair' }))).to.equal(
      'PS-M1-01 M1 is answered with salt and public key [MUST]: could not pair',
    );
  });

  it('bounds the exchange and says how much it left out', () => {
    const exchange = Array.from({ length: 500 }, (_, i) => `line ${i}`);
    const text = failureText(result({ failure: { ...failure, exchange } }));
    expect(text).to.contain('  | line 119\n  | … 380 more\n');
    expect(text).to.not.contain('line 120');
  });

  it('never lets an accessory start a line of its own', () => {
    for (const hostile of hostileTexts) {
      const { results } = reportFullOf(hostile);
      const lines = failureText({ ...results[1]!, id: 'ID', title: 'title' }).split('\n');
      for (const line of lines)
        expect(line).to.match(/^(ID title|requirement: |allowed:$|seen: |exchange:$|reproduce: | {2}[-|] )/);
    }
  });
});
