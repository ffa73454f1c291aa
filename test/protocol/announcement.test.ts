import { createHash } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import {
  MAX_TXT_ENTRIES,
  airplayFeatures,
  airplayFeaturesInWords,
  categoryInWords,
  featuresInWords,
  readTxt,
  setupHash,
  statusInWords,
  txtNumber,
  utf8,
  writeTxt,
} from '../../harness/protocol/index.js';

describe('protocol: announcements', () => {
  it('reads keys in any case, takes the first of two, and passes over what has no key', () => {
    const txt = readTxt(['C#=3', 'c#=4', 'flag', '=nothing', '', 'md=a=b', 'empty='].map(utf8));
    expect([...txt]).to.deep.equal([
      ['c#', '3'],
      ['flag', ''],
      ['md', 'a=b'],
      ['empty', ''],
    ]);
  });

  it('writes what it reads', () => {
    const entries: [string, string][] = [
      ['id', 'AA:BB:CC:DD:EE:FF'],
      ['md', 'Lämpchen'],
    ];
    expect([...readTxt(writeTxt(entries))]).to.deep.equal(entries);
  });

  it('takes any bytes, within bounds', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 200 }), (entries) => {
        const txt = readTxt(entries);
        expect(txt.size).to.be.at.most(MAX_TXT_ENTRIES);
        for (const [key, value] of txt) {
          expect(key).to.equal(key.toLowerCase());
          expect(key.length + value.length).to.be.at.most(255);
          txtNumber(value);
          airplayFeatures(value);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('says every number of flags and categories in words', () => {
    fc.assert(
      fc.property(fc.nat({ max: 9_999_999_999 }), (number) => {
        expect(statusInWords(number)).to.not.be.empty;
        expect(categoryInWords(number)).to.not.equal('');
        expect(featuresInWords(number).length === 0).to.equal(number === 0);
      }),
      { numRuns: 1000 },
    );
    expect(statusInWords(1)).to.deep.equal(['not paired']);
    expect(statusInWords(6)).to.deep.equal(['paired', 'not on Wi-Fi', 'problem detected']);
    expect(statusInWords(9)).to.deep.equal(['not paired', 'unknown bits 0x8']);
    expect(featuresInWords(3)).to.deep.equal(['authentication coprocessor', 'software authentication']);
    expect([1, 2, 5, 10, 17, 24, 33, 99].map(categoryInWords)).to.deep.equal([
      'other',
      'bridge',
      'lightbulb',
      'sensor',
      'IP camera',
      'Apple TV',
      'router',
      'category 99',
    ]);
  });

  it('reads the features of AirPlay in one number and in two, the low one first', () => {
    expect(airplayFeatures('0x405C4A00,0x18340')).to.equal(0x18340405c4a00n);
    expect(airplayFeatures('0x00018340405C4A00')).to.equal(0x18340405c4a00n);
    expect(airplayFeatures('0x5')).to.equal(5n);
    for (const wrong of ['', '5', '0x', '0x123456789,0x1', '0x1,0x2,0x3', '0xg'])
      expect(airplayFeatures(wrong)).to.equal(undefined);
    expect(airplayFeaturesInWords((1n << 48n) | (1n << 51n) | 1n)).to.deep.equal([
      'transient pairing',
      'MFi Pair Setup',
    ]);
  });

  it('makes the setup hash of setup id and id', () => {
    const id = 'C8:D8:58:C6:63:F5';
    const expected = createHash('sha512').update(`7OSX${id}`).digest().subarray(0, 4).toString('base64');
    expect(setupHash('7OSX', id)).to.equal(expected);
  });
});
