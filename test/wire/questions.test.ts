import { expect } from 'chai';
import { fromHex, hex, utf8 } from '../../harness/protocol/index.js';
import { encodeName, encodeQuery, wantsUnicast } from '../../harness/wire/index.js';

const HAP = '045f686170' + '045f746370' + '056c6f63616c' + '00';

describe('wire: questions of multicast DNS', () => {
  it('are sent as RFC 1035 has them, the top bit of the class for an answer by unicast (RFC 6762 §5.4)', () => {
    const question = { name: '_hap._tcp.local', type: 'PTR' } as const;
    const head = '0000' + '0000' + '0001' + '0000' + '0000' + '0000';
    expect(hex(encodeQuery([question]))).to.equal(head + HAP + '000c' + '0001');
    expect(hex(encodeQuery([{ ...question, unicastWanted: true }]))).to.equal(head + HAP + '000c' + '8001');
  });

  it('are sent several at a time, with what is known', () => {
    const known = { type: 'PTR', name: '_hap._tcp.local', data: 'A._hap._tcp.local', ttl: 4_500 } as const;
    const query = encodeQuery(
      [
        { name: '_hap._tcp.local', type: 'PTR', unicastWanted: true },
        { name: 'lamp.local', type: 'AAAA' },
      ],
      [known],
    );
    expect(hex(query)).to.equal(
      '0000' +
        '0000' +
        '0002' +
        '0001' +
        '0000' +
        '0000' +
        HAP +
        '000c' +
        '8001' +
        '046c616d70' +
        '056c6f63616c' +
        '00' +
        '001c' +
        '0001' +
        HAP +
        '000c' +
        '0001' +
        '00001194' +
        '0013' +
        '0141' +
        HAP,
    );
  });

  it('name an instance by one label, dots and all (RFC 6763 §4.1.1)', () => {
    expect(hex(encodeName('Lamp 2.0._hap._tcp.local')!)).to.equal('08' + hex(utf8('Lamp 2.0')) + HAP);
    expect(hex(encodeName('lb._dns-sd._udp.local')!)).to.equal(
      '026c62' + '075f646e732d7364' + '045f756470' + '056c6f63616c' + '00',
    );
    expect(hex(encodeName('é._hap._tcp.local')!)).to.equal('02c3a9' + HAP);
  });

  it('leave out what no label can hold', () => {
    const long = `${'ü'.repeat(32)}._hap._tcp.local`;
    for (const name of [long, 'a..local', '']) expect(encodeName(name), name).to.equal(undefined);
    expect(encodeName(`${'u'.repeat(63)}.local`)).to.have.length(71);
    expect(encodeQuery([{ name: long, type: 'TXT' }])).to.deep.equal(fromHex('00'.repeat(12)));
  });

  it('are told apart by the class the library shows', () => {
    for (const shown of ['UNKNOWN_32769', 'UNKNOWN_33023']) expect(wantsUnicast(shown), shown).to.equal(true);
    for (const shown of ['IN', 'ANY', 'UNKNOWN_32767', undefined])
      expect(wantsUnicast(shown)).to.equal(false);
  });
});
