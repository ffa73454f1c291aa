import { expect } from 'chai';
import {
  type Behaviour,
  airplayDress,
  findFault,
  healthy,
  healthyIn,
  twin,
} from '../../harness/accessory/index.js';
import {
  type Bench,
  airplayProfile,
  embeddedBench,
  embeddedCode,
  hapProfile,
  isPairingBody,
} from '../../harness/device/index.js';
import { parseSetupCode, seededRandom, text, utf8 } from '../../harness/protocol/index.js';
import { type CheckResult } from '../../harness/runner/index.js';
import { type HttpMessage, defaultPatience } from '../../harness/wire/index.js';
import { suite } from '../../suites/index.js';
import { quickArithmetic } from '../arithmetic.js';
import { execute, newRun } from '../runner/bench.js';

function message(status: number, type: string | undefined, body: Uint8Array): HttpMessage {
  return {
    startLine: `RTSP/1.0 ${status} X`,
    version: 'RTSP/1.0',
    status,
    method: '',
    path: '',
    headers: type === undefined ? [] : [['Content-Type', type]],
    body,
    framing: 'content-length',
  };
}

const m2 = Uint8Array.of(6, 1, 2);

describe('target: what is read as TLV8', () => {
  const receiver = airplayProfile();
  for (const [about, http, pairing, read] of [
    ['an answer of pairing that names its type', message(200, 'application/pairing+tlv8', m2), true, true],
    ['one of a receiver that names none', message(200, undefined, m2), true, true],
    [
      'one that calls itself a binary plist',
      message(200, 'application/x-apple-binary-plist', m2),
      true,
      true,
    ],
    ['a malformed one without a type', message(200, undefined, Uint8Array.of(6, 9, 2)), true, true],
    [
      '/info as a binary plist',
      message(200, 'application/x-apple-binary-plist', utf8('bplist00')),
      false,
      false,
    ],
    ['/info without a type, which happens to be TLV8', message(200, undefined, m2), false, false],
    ['the page of an error without a type', message(404, undefined, utf8('Not found')), true, false],
    ['a TLV error that goes with an HTTP status', message(470, undefined, m2), true, true],
    ['an answer to raw bytes that is a message', message(200, undefined, m2), undefined, true],
    ['one that is none', message(200, undefined, utf8('Not found')), undefined, false],
    ['JSON', message(200, 'application/hap+json', utf8('{}')), true, false],
  ] as const)
    it(`${about}: ${read ? 'yes' : 'no'}`, () => {
      expect(isPairingBody(http, receiver, pairing)).to.equal(read);
    });
});

function benchOf(behaviour: Behaviour, dress?: typeof airplayDress): Bench {
  return embeddedBench(
    { code: embeddedCode({ dress }), random: seededRandom('dress'), patience: defaultPatience },
    { behaviour, ...(dress && { dress }) },
  );
}

async function resultsOf(bench: Bench, pattern: RegExp): Promise<readonly CheckResult[]> {
  const selected = suite.filter(({ id }) => pattern.test(id));
  return (await execute(newRun({ bench, selected }))).results;
}

describe('target: raw requests', () => {
  const raw = 'POST /pair-setup HTTP/1.1\r\nhost: x\r\ncontent-type: application/pairing+tlv8\r\n\r\n';

  it('stay as they are where the profile is the one they are written in', async () => {
    const link = await benchOf(healthy).open();
    expect(text(link.dress(utf8(raw)))).to.equal(raw);
    expect(link.profile).to.equal(hapProfile);
  });

  it('get start line, media type and headers of a receiver, spelled as they are themselves', async () => {
    const link = await benchOf(healthyIn(airplayDress), airplayDress).open();
    const lines = text(link.dress(utf8(raw))).split('\r\n');
    expect(lines[0]).to.equal('POST /pair-setup RTSP/1.0');
    expect(lines).to.include('cseq: 1').and.to.include('x-apple-hkp: 3');
    expect(lines).to.include('content-type: application/octet-stream').and.to.include('host: x');
    const upper = text(link.dress(utf8(raw.replace('host', 'HOST'))));
    expect(upper).to.include('\r\nCSEQ: 2\r\n');
    expect(text(link.dress(utf8('no line end')))).to.equal('no line end');
  });

  it('are what a receiver that asks for its headers serves', async () => {
    const strict: Behaviour = {
      ...healthyIn(airplayDress),
      admits: ({ message: { headers } }) =>
        headers.some(([name]) => name.toLowerCase() === 'x-apple-hkp') ? 'serve' : 501,
    };
    const results = await resultsOf(benchOf(strict, airplayDress), /^HTTP-0[27]/);
    expect(results.filter(({ status }) => status === 'pass').length).to.be.greaterThan(5);
    const red = results.filter(({ status }) => status === 'fail' || status === 'error');
    expect(red.map(({ id, message: why }) => `${id}: ${why}`)).to.deep.equal([]);
  });
});

describe('target: what says nothing is not read as something', function () {
  this.timeout(60_000);
  quickArithmetic();

  it('Pair Verify of an accessory that lets everybody in is no proof that somebody was stored', async () => {
    const results = await resultsOf(benchOf(twin(findFault('unknown-controller-accepted'))), /^PS-M5-06\//);
    for (const { id, status, reason, message: why } of results) {
      // Nothing here is red for it: that would be PV-M1-04, which is not part of this run.
      expect([status, reason], `${id}: ${why}`).to.deep.equal(['error', 'setup']);
      expect(why).to.include('PV-M1-04');
    }
    expect(results).to.not.have.length(0);
  });

  it('an accessory that stays Busy for the connection it has refused is asked why all the same', async () => {
    const code = parseSetupCode('031-45-154');
    const behaviour: Behaviour = {
      ...healthy,
      password: ({ digits }) => digits,
      keepsExchangeAfter: (event) => event !== 'refused-m1',
      setupPatience: Infinity,
    };
    const random = seededRandom('dashes');
    const bench = embeddedBench({ code, random, patience: defaultPatience }, { behaviour });
    const [result] = await resultsOf(bench, /^PS-M3-01$/);
    expect(result!.status).to.equal('fail');
    expect(result!.message).to.include('without its dashes');
  });
});
