import { expect } from 'chai';
import fc from 'fast-check';
import { concat, hex, text, utf8 } from '../../harness/protocol/index.js';
import {
  type HttpMessage,
  type HttpProgress,
  HttpReader,
  contentType,
  encodeMessage,
  encodeRequest,
  header,
  limits,
} from '../../harness/wire/index.js';

type Role = 'request' | 'response';

/** Everything a reader makes of the segments: messages in order, and how it stands at the end. */
function readAll(
  role: Role,
  segments: readonly Uint8Array[],
): { messages: HttpMessage[]; rest: HttpProgress; pending: string } {
  const reader = new HttpReader(role);
  const messages: HttpMessage[] = [];
  let rest = reader.next();
  for (const segment of segments) {
    reader.feed(segment);
    for (rest = reader.next(); rest.kind === 'message'; rest = reader.next()) messages.push(rest.message);
    if (rest.kind === 'invalid') break;
  }
  return { messages, rest, pending: hex(reader.pending) };
}

function read(wire: string, role: Role = 'response') {
  return readAll(role, [utf8(wire)]);
}

function only(wire: string, role: Role = 'response'): HttpMessage {
  const { messages, rest } = read(wire, role);
  if (messages.length !== 1) throw new Error(`${messages.length} messages, then ${rest.kind}`);
  return messages[0]!;
}

function whyInvalid(wire: string | Uint8Array, role: Role = 'response'): string {
  const { messages, rest } = readAll(role, [typeof wire === 'string' ? utf8(wire) : wire]);
  expect(messages).to.have.length(0);
  return rest.kind === 'invalid' ? rest.what : `not invalid but ${rest.kind}`;
}

function segments(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return places.slice(1).map((end, i) => bytes.subarray(places[i], end));
}

const OK = 'HTTP/1.1 200 OK\r\n';

describe('HTTP reader', () => {
  it('keeps a message as it was sent: order, case and repetition of headers', () => {
    const message = only(
      `${OK}content-TYPE:application/pairing+tlv8 ; x=y\r\nX-A: 1\r\nX-a:  two words \r\nContent-Length: 3\r\n\r\nabc`,
    );
    expect(message.headers).to.deep.equal([
      ['content-TYPE', 'application/pairing+tlv8 ; x=y'],
      ['X-A', '1'],
      ['X-a', 'two words'],
      ['Content-Length', '3'],
    ]);
    expect(message).to.include({
      startLine: 'HTTP/1.1 200 OK',
      version: 'HTTP/1.1',
      status: 200,
      framing: 'content-length',
    });
    expect(text(message.body)).to.equal('abc');
    expect(header(message, 'x-A')).to.equal('1');
    expect(header(message, 'absent')).to.equal(undefined);
    expect(contentType(message)).to.equal('application/pairing+tlv8');
    expect(contentType(only(`${OK}Content-Length: 0\r\n\r\n`))).to.equal('');
  });

  it('reads EVENT/1.0, RTSP/1.0, HTTP/1.0 and a status without a reason', () => {
    for (const version of ['EVENT/1.0', 'RTSP/1.0', 'HTTP/1.0', 'HTTP/1.1'])
      expect(
        only(`${version} 470 Connection Authorization Required\r\nContent-Length: 0\r\n\r\n`),
      ).to.include({ version, status: 470 });
    expect(only('HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n').status).to.equal(200);
  });

  it('reads requests', () => {
    const request = only('POST /pair-setup HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi', 'request');
    expect(request).to.include({ method: 'POST', path: '/pair-setup', version: 'HTTP/1.1', status: 0 });
    expect(only('GET /info RTSP/1.0\r\nCSeq: 1\r\n\r\n', 'request')).to.include({
      framing: 'none',
      version: 'RTSP/1.0',
    });
  });

  it('reads line ends of LF alone, and blank lines before a message', () => {
    expect(text(only('HTTP/1.1 200 OK\nContent-Length: 2\n\nhi').body)).to.equal('hi');
    expect(text(only(`\r\n\n\r\n${OK}Content-Length: 2\r\n\r\nhi`).body)).to.equal('hi');
  });

  it('reads chunks with extensions and trailers', () => {
    const message = only(
      `${OK}Transfer-Encoding: Chunked\r\n\r\n5;name=value\r\nhello\r\n0006 \r\n world\r\n0\r\nTrailer: x\r\nOther: y\r\n\r\n`,
    );
    expect([message.framing, text(message.body)]).to.deep.equal(['chunked', 'hello world']);
    expect(text(only(`${OK}Transfer-Encoding: chunked\n\n3\nabc\n0\n\n`).body)).to.equal('abc');
    // Chunked wins over a length (RFC 9112 §6.3).
    expect(only(`${OK}Content-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`).framing).to.equal(
      'chunked',
    );
  });

  it('offers what there is when only the end of the connection can end a body', () => {
    const { messages, rest } = read(`${OK}\r\nhello`);
    expect(messages).to.have.length(0);
    if (rest.kind !== 'partial') throw new Error(rest.kind);
    expect([rest.untilClose?.framing, text(rest.untilClose!.body)]).to.deep.equal(['until-close', 'hello']);
  });

  it('knows which responses never have a body', () => {
    for (const status of [100, 101, 204, 304]) {
      const { messages, pending } = read(`HTTP/1.1 ${status} X\r\nContent-Length: 5\r\n\r\n${OK}`);
      expect(messages.map(({ framing, body }) => [framing, body.length])).to.deep.equal([['none', 0]]);
      expect(pending).to.equal(hex(utf8(OK)));
    }
  });

  it('accepts a length said twice, not two lengths', () => {
    expect(text(only(`${OK}Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi`).body)).to.equal('hi');
    expect(whyInvalid(`${OK}Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi`)).to.contain(
      'contradicting Content-Length',
    );
  });

  const wrong: readonly [name: string, wire: string | Uint8Array, what: string, role?: Role][] = [
    ['a negative length', `${OK}Content-Length: -1\r\n\r\n`, 'Content-Length of "-1"'],
    ['a length in words', `${OK}Content-Length: 5 bytes\r\n\r\n`, 'Content-Length of "5 bytes"'],
    ['a hexadecimal length', `${OK}Content-Length: 0x10\r\n\r\n`, 'Content-Length of "0x10"'],
    ['an empty length', `${OK}Content-Length:\r\n\r\n`, 'Content-Length of ""'],
    ['a length beyond the limit', `${OK}Content-Length: 2097153\r\n\r\n`, `the limit is ${limits.body}`],
    [
      'a length beyond any integer',
      `${OK}Content-Length: ${'9'.repeat(400)}\r\n\r\n`,
      'Content-Length of "999',
    ],
    ['a header without a colon', `${OK}Server\r\n\r\n`, 'without a colon: "Server"'],
    ['a header without a name', `${OK}: x\r\n\r\n`, 'without a colon'],
    ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n', 'start line of "HTTP/1.1 20 OK"'],
    ['an unknown HTTP version', 'HTTP/1.9 200 OK\r\n\r\n', 'start line'],
    ['a chunk size in words', `${OK}Transfer-Encoding: chunked\r\n\r\nfive\r\nhello`, 'chunk size of "five"'],
    ['a negative chunk size', `${OK}Transfer-Encoding: chunked\r\n\r\n-1\r\n`, 'chunk size of "-1"'],
    ['an empty chunk size', `${OK}Transfer-Encoding: chunked\r\n\r\n\r\n`, 'chunk size of ""'],
    [
      'a chunk beyond the limit',
      `${OK}Transfer-Encoding: chunked\r\n\r\nfffffff\r\n`,
      'chunked body of more than',
    ],
    [
      'an endless chunk size line',
      `${OK}Transfer-Encoding: chunked\r\n\r\n5;${'x'.repeat(300)}`,
      'chunk size line',
    ],
    [
      'endless trailers',
      `${OK}Transfer-Encoding: chunked\r\n\r\n0\r\n${'x'.repeat(limits.head + 1)}`,
      'endless trailers',
    ],
    ['endless headers', OK + 'X: y\r\n'.repeat(limits.head / 6 + 1), `more than ${limits.head} bytes`],
    ['an endless body', `${OK}\r\n${'x'.repeat(limits.body + 1)}`, 'without Content-Length'],
    ['a TLS record', Uint8Array.of(0x16, 0x03, 0x01), 'no HTTP response'],
    ['a TLS record', Uint8Array.of(0x16), 'no HTTP request', 'request'],
    ['an SSH banner', 'SSH-2.0-OpenSSH', 'no HTTP response'],
    ['an SSH banner', 'SSH-2.0-OpenSSH', 'no HTTP request', 'request'],
    ['the first byte of a banner', 'S', 'no HTTP response'],
    ['a sealed frame', Uint8Array.of(0x1f, 0x00, 0x35), 'no HTTP response'],
    ['a request where a response belongs', 'POST / HTTP/1.1\r\n\r\n', 'no HTTP response'],
    ['a request without a path', 'POST HTTP/1.1\r\n\r\n', 'start line', 'request'],
  ];
  for (const [name, wire, what, role] of wrong)
    it(`refuses ${name}${role ? ` (as a ${role})` : ''} at once`, () => {
      expect(whyInvalid(wire, role)).to.contain(what);
    });

  it('stays invalid', () => {
    const reader = new HttpReader('response');
    reader.feed(utf8('SSH-2.0'));
    expect([reader.next().kind, reader.next().kind]).to.deep.equal(['invalid', 'invalid']);
    reader.feed(utf8(`${OK}Content-Length: 0\r\n\r\n`));
    expect(reader.next().kind).to.equal('invalid');
  });

  it('waits for the rest of what may still become a message', () => {
    const whole = `${OK}Content-Length: 5\r\n\r\nhello`;
    for (let end = 0; end < whole.length; end++) {
      const { messages, rest } = read(whole.slice(0, end));
      expect([messages.length, rest.kind], whole.slice(0, end)).to.deep.equal([0, 'partial']);
    }
  });

  const token = fc
    .stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,12}$/)
    .filter((name) => !/^(content-length|transfer-encoding)$/i.test(name));
  const value = fc.stringMatching(/^[!-~]([ -~]{0,18}[!-~])?$/);
  const headers = fc.array(fc.tuple(token, value), { maxLength: 4 });
  const body = fc.uint8Array({ maxLength: 300 });
  const start = fc
    .tuple(
      fc.constantFrom('HTTP/1.1', 'HTTP/1.0', 'EVENT/1.0', 'RTSP/1.0'),
      fc.constantFrom(200, 207, 400, 470, 500),
    )
    .map(([version, status]) => `${version} ${status} Words`);
  const sized = fc.tuple(start, headers, body).map(([line, list, content]) => ({
    wire: encodeMessage(line, list, content),
    expected: {
      startLine: line,
      headers: [...list, ['Content-Length', String(content.length)]],
      body: hex(content),
    },
  }));
  const chunked = fc
    .tuple(
      start,
      headers,
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 4 }),
      fc.boolean(),
    )
    .map(([line, list, chunks, extras]) => ({
      wire: concat(
        encodeMessage(line, [...list, ['Transfer-Encoding', 'chunked']]),
        ...chunks.flatMap((chunk) => [
          utf8(chunk.length.toString(16) + (extras ? ';a=b' : '') + '\r\n'),
          chunk,
          utf8('\r\n'),
        ]),
        utf8(extras ? '0\r\nT: 1\r\n\r\n' : '0\r\n\r\n'),
      ),
      expected: {
        startLine: line,
        headers: [...list, ['Transfer-Encoding', 'chunked']],
        body: hex(concat(...chunks)),
      },
    }));

  it('reads the same messages from any segmentation', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(sized, chunked), { minLength: 1, maxLength: 4 }),
        fc.array(fc.nat(5_000), { maxLength: 25 }),
        (plan, cuts) => {
          const wire = concat(...plan.map((message) => message.wire));
          for (const pieces of [[wire], segments(wire, cuts), [...wire].map((byte) => Uint8Array.of(byte))]) {
            const { messages, pending } = readAll('response', pieces);
            expect(
              messages.map((message) => ({
                startLine: message.startLine,
                headers: message.headers,
                body: hex(message.body),
              })),
            ).to.deep.equal(plan.map(({ expected }) => expected));
            expect(pending).to.equal('');
          }
        },
      ),
    );
  });

  it('never throws, and sees invalid where it saw it before, for any bytes', () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc
        .constantFrom(
          OK,
          'EVENT/1.0 200 OK\r\n',
          'POST / HTTP/1.1\r\n',
          'Content-Length: 3\r\n',
          'Transfer-Encoding: chunked\r\n',
          '\r\n',
          '\n',
          '0\r\n',
          '3\r\nabc\r\n',
          ':',
          '\ufeff',
        )
        .map(utf8),
    );
    fc.assert(
      fc.property(
        fc.constantFrom<Role>('request', 'response'),
        fc.array(piece, { maxLength: 12 }),
        (role, pieces) => {
          const apart = readAll(role, pieces);
          const whole = readAll(role, [concat(...pieces)]);
          expect(apart.messages.length).to.equal(whole.messages.length);
          expect(apart.rest.kind).to.equal(whole.rest.kind);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('HTTP writer', () => {
  it('writes headers as given and adds only a length', () => {
    expect(
      text(
        encodeRequest({
          method: 'POST',
          path: '/pair-setup',
          headers: [
            ['hOST', 'x'],
            ['B', ''],
          ],
          body: utf8('hi'),
        }),
      ),
    ).to.equal('POST /pair-setup HTTP/1.1\r\nhOST: x\r\nB: \r\nContent-Length: 2\r\n\r\nhi');
    expect(text(encodeRequest({ method: 'GET', path: '/', version: 'RTSP/1.0' }))).to.equal(
      'GET / RTSP/1.0\r\n\r\n',
    );
    expect(text(encodeMessage('HTTP/1.1 200 OK', [['content-length', '9']], utf8('hi')))).to.equal(
      'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi',
    );
  });

  it('is understood by the reader', () => {
    const request = encodeRequest({ method: 'PUT', path: '/x', body: new Uint8Array(0) });
    expect(readAll('request', [request]).messages[0]).to.include({
      method: 'PUT',
      path: '/x',
      framing: 'content-length',
    });
  });
});

describe('http: what RFC 9112 does not have', () => {
  const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';
  const cases: readonly (readonly [name: string, bytes: string, found: readonly string[]])[] = [
    ['nothing in a regular response', ok, []],
    ['nothing in an empty reason', 'HTTP/1.1 470 \r\nContent-Length: 0\r\n\r\n', []],
    ['nothing in a tab and text beyond ASCII', ok.replace(': 0', ': 0\r\nX-A:\tm\u00fcde'), []],
    [
      'no space behind the status',
      ok.replace(' OK', ''),
      ['a status line without a space behind its status'],
    ],
    [
      'LF alone',
      ok.replaceAll('\r\n', '\n'),
      [
        'a status line that ends with LF alone',
        'a header line that ends with LF alone',
        'a head that ends with LF alone',
      ],
    ],
    ['NUL', ok.replace(': 0', ': 0\r\nX-A: b\0'), ['a header line with NUL in it']],
    ['CR', ok.replace(': 0', ': 0\r\nX-A: b\rc'), ['a header line with CR in it']],
    ['DEL', ok.replace(': 0', ': 0\r\nX-A: b\x7f'), ['a header line with the control character 0x7f in it']],
    [
      'a blank in front of the colon',
      ok.replace(': 0', ': 0\r\nX-A : b'),
      ['a header with white space in front of its colon'],
    ],
    ['a name that is no token', ok.replace(': 0', ': 0\r\nX(A): b'), ['a header whose name is no token']],
    ['a folded line', ok.replace(': 0', ': 0\r\nX-A: b\r\n c: d'), ['a header line that is folded']],
    ['a line end in front', `\r\n${ok}`, ['line ends in front of the status line']],
    ['a length twice', ok.replace(': 0', ': 0\r\nContent-Length: 0'), ['Content-Length twice']],
    ['a 204 with a length', ok.replace('200', '204'), ['HTTP 204 with Content-Length']],
    [
      'a length and chunks',
      'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n',
      ['both Content-Length and Transfer-Encoding'],
    ],
    [
      'chunks with LF',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\na\n0\n\n',
      [
        'a chunk size that ends with LF alone',
        'the data of a chunk that ends with LF alone',
        'a line behind the last chunk that ends with LF alone',
      ],
    ],
  ];
  for (const [name, bytes, found] of cases)
    it(name, () => {
      for (const piece of [bytes.length, 1]) {
        const reader = new HttpReader('response');
        let progress = reader.next();
        const all = Buffer.from(bytes);
        for (let at = 0; at < all.length; at += piece) {
          reader.feed(all.subarray(at, at + piece));
          progress = reader.next();
        }
        if (progress.kind !== 'message') throw new Error(`no message, but ${progress.kind}`);
        expect(progress.message.irregular?.map(({ what }) => what)).to.deep.equal(found);
      }
    });

  it('names each kind once, however many lines there are', () => {
    const reader = new HttpReader('response');
    reader.feed(Buffer.from(`HTTP/1.1 200 OK\r\n${'X-A: \0\n'.repeat(900)}Content-Length: 0\r\n\r\n`));
    const progress = reader.next();
    if (progress.kind !== 'message') throw new Error(`no message, but ${progress.kind}`);
    expect(progress.message.irregular).to.have.length(2);
  });
});
