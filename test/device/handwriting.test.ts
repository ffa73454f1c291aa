import { expect } from 'chai';
import { encodeIn, hapProfile } from '../../harness/device/index.js';
import { text, utf8 } from '../../harness/protocol/index.js';

const dressing = {
  profile: hapProfile,
  startLine: 'HTTP/1.1',
  kind: 'regular',
  host: '192.0.2.1:51826',
  next: () => 1,
} as const;
const request = {
  method: 'POST',
  path: '/pair-setup',
  headers: [['Content-Type', 'application/pairing+tlv8']],
  body: utf8('abc'),
} as const;

describe('device: how a request is written', () => {
  it('is Host, what the request has, and Content-Length, unless somebody’s handwriting is given', () => {
    expect(text(encodeIn(dressing, request)).split('\r\n').slice(1, 4)).to.deep.equal([
      'Host: 192.0.2.1:51826',
      'Content-Type: application/pairing+tlv8',
      'Content-Length: 3',
    ]);
  });

  it('is what the handwriting returns of all headers, in its order, and the length stands once', () => {
    const bytes = encodeIn({ ...dressing, handwriting: (headers) => headers.toReversed() }, request);
    expect(text(bytes)).to.equal(
      [
        'POST /pair-setup HTTP/1.1',
        'Content-Length: 3',
        'Content-Type: application/pairing+tlv8',
        'Host: 192.0.2.1:51826',
        '',
        'abc',
      ].join('\r\n'),
    );
  });

  it('has no length where there is no body', () => {
    const given: string[] = [];
    const handwriting = (headers: readonly (readonly [string, string])[]) => {
      given.push(...headers.map(([name]) => name));
      return headers;
    };
    encodeIn({ ...dressing, handwriting }, { method: 'GET', path: '/accessories' });
    expect(given).to.deep.equal(['Host']);
  });
});
