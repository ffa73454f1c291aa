import { AssertionError, expect } from 'chai';
import {
  type Matcher,
  type Outcome,
  answered,
  anyRefusal,
  anyReply,
  badRequest,
  closed,
  describeOutcome,
  hapProfile,
  isPairingBody,
  otherError,
  plaintextReply,
  served,
  serverError,
  silence,
  success,
  tlvError,
  unauthorised,
  withoutCode,
} from '../../harness/device/index.js';
import { TlvError, type TlvItem, TlvType, decodeTlv, encodeTlv, tlv } from '../../harness/protocol/index.js';
import {
  type Alternatives,
  FOREIGN,
  Judge,
  NotAllowed,
  judge,
  reject,
  shellWord,
  wordsOf,
} from '../../harness/runner/index.js';
import type { HttpMessage } from '../../harness/wire/index.js';

interface Made {
  readonly status?: number;
  readonly type?: string | undefined;
  readonly body?: Uint8Array;
  readonly items?: readonly TlvItem[];
  readonly sealed?: boolean;
  readonly secured?: boolean;
}

/** A reply made by hand; pairing media type, plain connection unless said otherwise. */
function reply({ status = 200, items, sealed = false, secured = false, ...made }: Made): Outcome {
  const body = made.body ?? (items === undefined ? new Uint8Array(0) : encodeTlv(items));
  const type = 'type' in made ? made.type : body.length === 0 ? undefined : 'application/pairing+tlv8';
  const http: HttpMessage = {
    startLine: `HTTP/1.1 ${status} X`,
    version: 'HTTP/1.1',
    status,
    method: '',
    path: '',
    headers: type === undefined ? [] : [['Content-Type', type]],
    body,
    framing: 'content-length',
  };
  const parsed = isPairingBody(http, hapProfile) ? decodeTlv(body) : undefined;
  return { kind: 'reply', http, tlv: parsed, sealed, secured, profile: hapProfile, elapsed: 1 };
}

const state = (value: number): TlvItem => tlv(TlvType.State, value);
const error = (code: number): TlvItem => tlv(TlvType.Error, code);
const proof = tlv(TlvType.Proof, new Uint8Array(64).fill(7));
const salt = tlv(TlvType.Salt, new Uint8Array(16).fill(7));
const publicKey = tlv(TlvType.PublicKey, new Uint8Array(384).fill(7));

const silent: Outcome = { kind: 'silence', elapsed: 1500 };
const close: Outcome = { kind: 'close', elapsed: 3 };
const reset: Outcome = { kind: 'reset', elapsed: 3 };
const garbage: Outcome = { kind: 'garbage', what: 'no start line', elapsed: 3 };
const m4 = reply({ items: [state(4), proof] });
const refusal = reply({ items: [state(4), error(TlvError.Authentication)] });
const http400 = reply({ status: 400 });

/** One row: the outcome in words, the outcome, whether it is to match. */
type Row = readonly [about: string, outcome: Outcome, matches: boolean];

function table(name: string, matcher: Matcher, rows: readonly Row[]): void {
  describe(`matcher: ${name}`, () => {
    for (const [about, outcome, matches] of rows)
      it(`${matches ? 'matches' : 'does not match'} ${about}`, () =>
        expect(matcher.matches(outcome), describeOutcome(outcome)).to.equal(matches));
    it('has words for reports', () => expect(matcher.words).to.match(/^\S.{5,}$/));
  });
}

describe('runner: an assertion in words', () => {
  const rows: readonly (readonly [words: string, assert: (expect: Judge['expect']) => void])[] = [
    ['stored: yes, and should be no', (expect) => expect(true, 'stored').to.equal(false)],
    ['bytes of Salt: 15, and should be 16', (expect) => expect(15, 'bytes of Salt').to.equal(16)],
    [
      'the identity in M6: no Signature',
      (expect) => expect('no Signature', 'the identity in M6').to.equal(undefined),
    ],
    ['keys it lacks: sf, c#', (expect) => expect(['sf', 'c#'], 'keys it lacks').to.deep.equal([])],
    ['a session: none', (expect) => expect(undefined, 'a session').to.not.equal(undefined)],
    ['items: none, and should be State', (expect) => expect([], 'items').to.deep.equal(['State'])],
    ['Error: 9, and should be within 1..7', (expect) => expect(9, 'Error').to.be.within(1, 7)],
    ['State items: 3, and should be at most 1', (expect) => expect(3, 'State items').to.be.at.most(1)],
    ['ids of A, B: 1, and should not include 1', (expect) => expect([1], 'ids of A, B,').to.not.include(1)],
    ['2, and should be 3', (expect) => expect(2).to.equal(3)],
  ];
  for (const [words, assert] of rows)
    it(words, () => {
      const { expect: judged } = new Judge({});
      let message = '';
      try {
        assert(judged);
      } catch (error) {
        expect(error).to.be.instanceOf(AssertionError);
        ({ message } = error as Error);
      }
      expect(message).to.equal(words);
      expect(FOREIGN.test(message), message).to.equal(false);
    });

  it('is the business of checks alone', () => {
    expect(() => expect(1, 'x').to.equal(2)).to.throw('x: expected 1 to equal 2');
  });
});

describe('runner: a command to be pasted', () => {
  it('has its words as a shell takes them', () => {
    for (const word of ['embedded:fault', '127.0.0.1:51826', 'airplay://h:7000'])
      expect(shellWord(word)).to.equal(word);
    expect(shellWord('[::1]:80')).to.equal("'[::1]:80'");
    expect(shellWord("Living Room's $HOME.local:80")).to.equal(`'Living Room'\\''s $HOME.local:80'`);
    expect(shellWord('')).to.equal("''");
  });
});

describe('runner: judge', () => {
  const wide: Alternatives = {
    allow: [anyReply()],
    tolerate: [anyReply(), closed()],
    forbid: [success('setup-m4')],
  };

  it('reads forbid before allow and tolerate', () => {
    expect(judge(m4, wide)).to.equal('forbidden');
    expect(judge(refusal, wide)).to.equal('allowed');
    expect(judge(close, wide)).to.equal('tolerated');
    expect(judge(silent, wide)).to.equal('unlisted');
  });

  it('reads allow before tolerate', () => {
    expect(judge(close, { allow: [closed()], tolerate: [closed()] })).to.equal('allowed');
  });

  it('lists nothing without alternatives', () => {
    for (const outcome of [m4, refusal, close, reset, silent, garbage])
      expect(judge(outcome, {}), outcome.kind).to.equal('unlisted');
  });

  it('reads forbid in its wider sense: a success with an odd item beside it is still the violation', () => {
    const odd = [
      reply({ items: [state(4), proof, error(TlvError.Authentication)] }),
      reply({ items: [state(2), proof] }),
      reply({ items: [proof] }),
      reply({ items: [state(4)] }),
      reply({ items: [state(4), proof], type: 'application/octet-stream' }),
      reply({ items: [state(4), proof], status: 204 }),
    ];
    for (const outcome of odd) {
      expect(judge(outcome, reject('setup-m4')), describeOutcome(outcome)).to.equal('forbidden');
      // Being no clean success does not excuse it.
      expect(success('setup-m4').matches(outcome), describeOutcome(outcome)).to.equal(false);
    }
    expect(judge(refusal, reject('setup-m4'))).to.equal('allowed');
    expect(judge(reply({ status: 400, items: [state(4), proof] }), reject('setup-m4'))).to.not.equal(
      'allowed',
    );
  });

  it('never takes silence or garbage for a refusal', () => {
    for (const step of ['setup-m2', 'setup-m4', 'setup-m6', 'verify-m2', 'verify-m4'] as const)
      for (const outcome of [silent, garbage])
        expect(judge(outcome, reject(step)), `${step} ${outcome.kind}`).to.equal('unlisted');
  });

  it('remembers what was tolerated and throws what was not allowed, with its words', () => {
    const keeper = new Judge({
      allow: [tlvError(4, 'Authentication')],
      tolerate: [closed()],
      forbid: [success('setup-m4')],
    });
    keeper.expect(refusal).to.be.allowed();
    expect(keeper.tolerated).to.deep.equal([]);
    keeper.expect(close).to.be.allowed();
    expect(keeper.tolerated).to.deep.equal(['connection closed without an answer']);
    expect(keeper.asserted).to.equal(2);
    const thrown = (outcome: Outcome): NotAllowed => {
      try {
        keeper.expect(outcome).to.be.allowed();
      } catch (problem) {
        if (problem instanceof NotAllowed) return problem;
        throw problem;
      }
      throw new Error('nothing was thrown');
    };
    expect(thrown(m4).judgement).to.equal('forbidden');
    expect(thrown(silent).judgement).to.equal('unlisted');
    expect(thrown(silent).seen).to.equal('silence: no answer within 1500 ms, connection open');
    expect(thrown(silent).allowed).to.deep.equal([
      'HTTP 200, State=4, Error=2(Authentication) and nothing else',
      'tolerated: connection closed without an answer',
    ]);
  });

  it('takes other alternatives for a second outcome', () => {
    const keeper = new Judge({ allow: [tlvError(4)] });
    keeper.expect(m4).to.be.allowed({ allow: [success('setup-m4')] });
    expect(() => keeper.expect(refusal).to.be.allowed({ allow: [success('setup-m4')] })).to.throw(NotAllowed);
    keeper.expect(refusal).to.be.allowed();
  });

  it('counts ordinary assertions, and they stay ordinary', () => {
    const keeper = new Judge({});
    keeper.expect(1).to.equal(1);
    expect(() => keeper.expect(1, 'one').to.equal(2)).to.throw(AssertionError, 'one');
    expect(keeper.asserted).to.equal(2);
  });

  it('throws when allowed() is asked outside a check', () => {
    expect(() => expect(m4).to.be.allowed()).to.throw(Error, 'allowed() needs the expect of a check');
    expect(() => expect(m4).to.be.allowed({ allow: [anyReply()] })).to.throw('allowed() needs');
  });

  it('marks tolerated outcomes in its words', () => {
    expect(wordsOf({ allow: [silence()], tolerate: [closed()], forbid: [anyReply()] })).to.deep.equal([
      'silence, connection open',
      'tolerated: connection closed without an answer',
    ]);
  });
});

table('success', success('setup-m4'), [
  ['State and Proof with HTTP 200', m4, true],
  ['the items in another order', reply({ items: [proof, state(4)] }), true],
  [
    'a success with a further item',
    reply({ items: [state(4), proof, tlv(TlvType.EncryptedData, new Uint8Array(40))] }),
    true,
  ],
  [
    'a sealed success on a secured connection',
    reply({ items: [state(4), proof], sealed: true, secured: true }),
    true,
  ],
  [
    'a success in plaintext on a secured connection',
    reply({ items: [state(4), proof], secured: true }),
    false,
  ],
  ['another State', reply({ items: [state(2), proof] }), false],
  ['no State', reply({ items: [proof] }), false],
  ['an Error beside the Proof', reply({ items: [state(4), proof, error(2)] }), false],
  ['no Proof', reply({ items: [state(4)] }), false],
  ['HTTP 400', reply({ status: 400, items: [state(4), proof] }), false],
  ['HTTP 206', reply({ status: 206, items: [state(4), proof] }), false],
  ['another media type', reply({ items: [state(4), proof], type: 'application/octet-stream' }), false],
  ['no media type', reply({ items: [state(4), proof], type: undefined }), false],
  ['an empty body', reply({}), false],
  ['a close', close, false],
  ['silence', silent, false],
  ['garbage', garbage, false],
]);

table('tlvError with a code', tlvError(4, 'Authentication'), [
  ['exactly State and Error', refusal, true],
  ['Error before State', reply({ items: [error(2), state(4)] }), true],
  ['a third item', reply({ items: [state(4), error(2), tlv(TlvType.RetryDelay, 1)] }), false],
  ['a second State', reply({ items: [state(4), state(4), error(2)] }), false],
  ['a Proof beside the Error', reply({ items: [state(4), error(2), proof] }), false],
  ['another State', reply({ items: [state(3), error(2)] }), false],
  ['no State', reply({ items: [error(2)] }), false],
  ['another code', reply({ items: [state(4), error(1)] }), false],
  ['HTTP 400', reply({ status: 400, items: [state(4), error(2)] }), false],
  ['HTTP 470', reply({ status: 470, items: [state(4), error(2)] }), false],
  ['JSON', reply({ body: encodeTlv([state(4), error(2)]), type: 'application/json' }), false],
  ['text/html', reply({ items: [state(4), error(2)], type: 'text/html' }), false],
  ['no media type', reply({ items: [state(4), error(2)], type: undefined }), false],
  [
    'a sealed refusal on a secured connection',
    reply({ items: [state(4), error(2)], sealed: true, secured: true }),
    true,
  ],
  ['plaintext on a secured connection', reply({ items: [state(4), error(2)], secured: true }), false],
  ['silence', silent, false],
  ['a close', close, false],
]);

table('tlvError without a code', tlvError(2), [
  ['code 1', reply({ items: [state(2), error(1)] }), true],
  ['code 7', reply({ items: [state(2), error(7)] }), true],
  ['code 0', reply({ items: [state(2), error(0)] }), false],
  ['code 8', reply({ items: [state(2), error(8)] }), false],
  ['no Error', reply({ items: [state(2)] }), false],
]);

table('otherError', otherError(4), [
  ['the due State with any code and HTTP status', reply({ status: 400, items: [state(4), error(9)] }), true],
  ['another State', reply({ items: [state(2), error(2)] }), false],
  ['a Proof beside the Error', reply({ items: [state(4), error(2), proof] }), false],
  ['HTTP 400 without a body', http400, false],
]);

table('anyRefusal', anyRefusal(), [
  ['a TLV error', refusal, true],
  ['a TLV error with another State', reply({ items: [state(9), error(1)] }), true],
  ['a TLV error without State', reply({ items: [error(1)] }), true],
  ['a TLV error with HTTP 400', reply({ status: 400, items: [state(4), error(2)] }), true],
  ['HTTP 400', http400, true],
  ['HTTP 500', reply({ status: 500 }), true],
  ['HTTP 404 with a page', reply({ status: 404, body: new Uint8Array(9), type: 'text/html' }), true],
  ['a close', close, true],
  ['a reset', reset, true],
  ['silence', silent, false],
  ['garbage', garbage, false],
  ['a success', m4, false],
  ['HTTP 200 without a body', reply({}), false],
  ['HTTP 200 with JSON', reply({ body: new Uint8Array([0x7b, 0x7d]), type: 'application/json' }), false],
  ...Object.entries({
    Salt: salt,
    PublicKey: publicKey,
    Proof: proof,
    EncryptedData: tlv(TlvType.EncryptedData, new Uint8Array(40)),
    Permissions: tlv(TlvType.Permissions, 1),
  }).flatMap(([name, item]): Row[] => [
    [`an Error beside ${name}`, reply({ items: [state(4), error(2), item] }), false],
    [`HTTP 400 with ${name}`, reply({ status: 400, items: [item] }), false],
  ]),
  ['plaintext on a secured connection', reply({ status: 400, secured: true }), false],
  ['a sealed HTTP 400', reply({ status: 400, secured: true, sealed: true }), true],
]);

table('badRequest', badRequest(), [
  ['HTTP 400 without a body', http400, true],
  ['HTTP 422 without a body', reply({ status: 422 }), true],
  ['HTTP 499 without a body', reply({ status: 499 }), true],
  ['HTTP 399', reply({ status: 399 }), false],
  ['HTTP 500', reply({ status: 500 }), false],
  ['HTTP 200', reply({}), false],
  ['HTTP 400 with a TLV', reply({ status: 400, items: [state(4), error(2)] }), false],
  ['HTTP 400 with a page', reply({ status: 400, body: new Uint8Array(5), type: 'text/html' }), false],
  ['HTTP 400 in plaintext on a secured connection', reply({ status: 400, secured: true }), false],
  ['a close', close, false],
]);

table('withoutCode', withoutCode(), [
  ['HTTP 429 without a body', reply({ status: 429 }), true],
  ['HTTP 503 with a page', reply({ status: 503, body: new Uint8Array(5), type: 'text/html' }), true],
  ['a close', close, true],
  ['a TLV error', reply({ items: [state(2), error(2)] }), false],
  ['a TLV error under HTTP 400', reply({ status: 400, items: [state(2), error(2)] }), false],
  ['M2', reply({ items: [state(2), salt, publicKey] }), false],
  ['silence', silent, false],
]);

table('unauthorised', unauthorised(), [
  ...[470, 401, 403, 404, 400].map((status): Row => [`HTTP ${status}`, reply({ status }), true]),
  [
    'HTTP 470 with a status in JSON',
    reply({ status: 470, body: new Uint8Array([0x7b, 0x7d]), type: 'application/hap+json' }),
    true,
  ],
  ['HTTP 470 with a TLV error', reply({ status: 470, items: [state(2), error(2)] }), true],
  ['HTTP 470 with pairing data', reply({ status: 470, items: [state(2), publicKey] }), false],
  ['HTTP 500', reply({ status: 500 }), false],
  ['HTTP 200', reply({}), false],
  ['a close', close, false],
  ['silence', silent, false],
]);

table('served', served(), [
  ['HTTP 200 with JSON', reply({ body: new Uint8Array([0x7b, 0x7d]), type: 'application/hap+json' }), true],
  ['HTTP 204', reply({ status: 204 }), true],
  ['HTTP 200 with a TLV success', reply({ items: [state(2)] }), true],
  ['HTTP 200 with a TLV error, which is a refusal', reply({ items: [state(2), error(2)] }), false],
  ['HTTP 300', reply({ status: 300 }), false],
  ['HTTP 470', reply({ status: 470 }), false],
  ['a close', close, false],
]);

table('serverError', serverError(), [
  ['HTTP 500', reply({ status: 500 }), true],
  ['HTTP 503', reply({ status: 503 }), true],
  ['HTTP 499', reply({ status: 499 }), false],
  ['HTTP 500 in plaintext on a secured connection', reply({ status: 500, secured: true }), false],
]);

table('answered', answered(200), [
  ['HTTP 200', reply({}), true],
  ['a sealed HTTP 200', reply({ secured: true, sealed: true }), true],
  ['HTTP 200 in plaintext on a secured connection', reply({ secured: true }), false],
  ['HTTP 207', reply({ status: 207 }), false],
]);

table('plaintextReply', plaintextReply(), [
  ['plaintext on a secured connection', reply({ secured: true }), true],
  ['plaintext on a plain connection', reply({}), false],
  ['a sealed reply', reply({ secured: true, sealed: true }), false],
]);

table('closed', closed(), [
  ['a close', close, true],
  ['a reset', reset, true],
  ['silence', silent, false],
  ['a reply', http400, false],
  ['garbage', garbage, false],
]);

table('silence', silence(), [
  ['silence', silent, true],
  ['a close', close, false],
  ['a reply', http400, false],
]);

table('anyReply', anyReply(), [
  ['a reply', http400, true],
  ['a close', close, false],
  ['silence', silent, false],
  ['garbage', garbage, false],
]);

describe('target: an outcome in words', () => {
  const rows: readonly (readonly [Outcome, string])[] = [
    [silent, 'silence: no answer within 1500 ms, connection open'],
    [close, 'connection closed without an answer'],
    [reset, 'connection reset without an answer'],
    [garbage, 'no valid answer: no start line'],
    [http400, 'HTTP 400: empty body'],
    [refusal, 'HTTP 200: State=4 Error=2(Authentication)  [06 01 04 07 01 02]'],
    [reply({ status: 500, secured: true }), 'HTTP 500, in plaintext on a secured connection: empty body'],
    [reply({ body: new Uint8Array(5), type: 'text/html' }), 'HTTP 200: text/html, 5 bytes'],
  ];
  for (const [outcome, words] of rows) it(words, () => expect(describeOutcome(outcome)).to.equal(words));
});
