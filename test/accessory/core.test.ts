import { expect } from 'chai';
import { memoryStore } from '../../harness/accessory/index.js';
import { drop, readPairings, replace } from '../../harness/controller/index.js';
import {
  type Bytes,
  N,
  TlvError,
  TlvType,
  addPairing,
  concat,
  decodeTlv,
  encodeTlv,
  equal,
  fromInteger,
  hex,
  listPairings,
  removePairing,
  seededRandom,
  setupM1,
  text,
  tlv,
  utf8,
} from '../../harness/protocol/index.js';
import { encodeRequest } from '../../harness/wire/index.js';
import { Bench, wrongCode } from './driver.js';

function json(body: Bytes): unknown {
  return JSON.parse(text(body));
}

describe('accessory: Pair Setup', () => {
  it('goes from M1 to M6, stores an admin, and proves the identity it keeps', () => {
    const bench = new Bench();
    const { controller, accessory } = bench.pair();
    expect(bench.accessory.pairings).to.have.length(1);
    expect(hex(bench.accessory.pairings[0]!.id)).to.equal(hex(controller.id));
    expect(bench.accessory.pairings[0]!.permissions).to.equal(1);
    expect(hex(accessory.ltpk)).to.equal(hex(bench.accessory.identity.ltpk));
  });

  it('goes through Pair Setup, Pair Verify and List on one connection', () => {
    const bench = new Bench();
    const line = bench.line();
    const { controller, accessory } = bench.pair('alice', line);
    expect(line.verify(controller, accessory).toString()).to.equal('State=4');
    expect(bench.list(line)).to.have.length(1);
  });

  it('refuses a wrong code with Authentication, counts it, and forgets the count after a right one', () => {
    const bench = new Bench();
    const line = bench.line();
    const setup = bench.setup(bench.controller('alice'), wrongCode.dashed);
    line.startSetup(setup);
    const response = line.post('/pair-setup', setup.m3());
    expect(response.status).to.equal(200);
    expect(decodeTlv(response.body).toString()).to.equal('State=4 Error=2(Authentication)');
    expect(bench.accessory.failedAttempts).to.equal(1);
    expect(line.post('/pair-setup', setup.m3()).status, 'the exchange is over').to.equal(400);
    bench.pair('alice', line);
    expect(bench.accessory.failedAttempts).to.equal(0);
  });

  it('refuses A = 0, N and 2N, and counts those of lawful length', () => {
    const bench = new Bench();
    const line = bench.line();
    const setup = bench.setup(bench.controller('alice'));
    for (const [index, A] of [0n, N, 2n * N].entries()) {
      line.startSetup(setup);
      // 2N needs 385 bytes, so it is refused for its length and does not count.
      const response = line.post('/pair-setup', replace('PublicKey', fromInteger(A, 384))(setup.m3()));
      if (index < 2) expect(decodeTlv(response.body).toString()).to.equal('State=4 Error=2(Authentication)');
      else expect(response.status).to.equal(400);
    }
    expect(bench.accessory.failedAttempts).to.equal(2);
  });

  for (const length of [0, 1, 63, 65, 128])
    it(`refuses a proof of ${length} bytes with 400`, () => {
      const bench = new Bench();
      const line = bench.line();
      const setup = bench.setup(bench.controller('alice'));
      line.startSetup(setup);
      const proof = concat(setup.session.M1, new Uint8Array(64)).subarray(0, length);
      expect(line.post('/pair-setup', replace('Proof', proof)(setup.m3())).status).to.equal(400);
      bench.pair('alice', line);
    });

  it('refuses an M5 that does not open, or whose signature does not hold, and stores nothing', () => {
    for (const options of [{ label: 'PS-Msg06' }, { signature: () => new Uint8Array(64) }]) {
      const bench = new Bench();
      const line = bench.line();
      const setup = bench.setup(bench.controller('alice'));
      line.startSetup(setup);
      line.tlv('/pair-setup', setup.m3());
      expect(line.tlv('/pair-setup', setup.m5(options)).toString()).to.equal(
        'State=6 Error=2(Authentication)',
      );
      expect(bench.accessory.pairings).to.have.length(0);
      bench.pair('alice', line);
    }
  });

  it('refuses an M5 with a missing item with 400', () => {
    for (const name of ['Identifier', 'PublicKey', 'Signature'] as const) {
      const bench = new Bench();
      const line = bench.line();
      const setup = bench.setup(bench.controller('alice'));
      line.startSetup(setup);
      line.tlv('/pair-setup', setup.m3());
      expect(line.post('/pair-setup', setup.m5({ sub: drop(name) })).status).to.equal(400);
      expect(bench.accessory.pairings).to.have.length(0);
    }
  });

  it('answers 400 to malformed and misplaced messages, and a new M1 works', () => {
    const bench = new Bench();
    const line = bench.line();
    const bodies: [string, Bytes][] = [
      ['empty', new Uint8Array(0)],
      ['one byte', Uint8Array.of(6)],
      ['truncated', Uint8Array.of(6, 1, 1, 0, 5, 0)],
      ['no State', Uint8Array.of(0, 1, 0)],
      ['State of two bytes', Uint8Array.of(6, 2, 1, 0, 0, 1, 0)],
      ['State twice', Uint8Array.of(6, 1, 1, 0, 1, 0, 6, 1, 1)],
      ['State 2', Uint8Array.of(6, 1, 2)],
      ['M3 first', Uint8Array.of(6, 1, 3)],
      ['M5 first', Uint8Array.of(6, 1, 5)],
      ['Method 9', Uint8Array.of(6, 1, 1, 0, 1, 9)],
      ['Flags of 5 bytes', Uint8Array.of(6, 1, 1, 0, 1, 0, 0x13, 5, 0, 0, 0, 0, 0)],
    ];
    for (const [name, body] of bodies) {
      const response = line.http('POST', '/pair-setup', body);
      expect(response.status, name).to.equal(400);
      expect(response.body, name).to.have.length(0);
    }
    bench.pair('alice', line);
  });

  it('takes any order, unknown types, no Method, and Flags of 0 to 4 bytes', () => {
    const bench = new Bench();
    const line = bench.line();
    const bodies = [
      '06010100 0100',
      '000100 060101',
      '060101',
      '7f01aa 060101 f000',
      '060101 1300',
      '060101 130400000000',
    ];
    for (const body of bodies) {
      const bytes = Buffer.from(body.replaceAll(' ', ''), 'hex');
      const m2 = decodeTlv(line.http('POST', '/pair-setup', new Uint8Array(bytes)).body);
      expect(m2.typeNames(), body).to.have.members(['State', 'PublicKey', 'Salt']);
    }
  });

  it('draws salt and B anew for every M1', () => {
    const line = new Bench().line();
    const first = line.tlv('/pair-setup', setupM1());
    const second = line.tlv('/pair-setup', setupM1());
    expect(equal(first.get(TlvType.Salt)!, second.get(TlvType.Salt)!)).to.equal(false);
    expect(equal(first.get(TlvType.PublicKey)!, second.get(TlvType.PublicKey)!)).to.equal(false);
  });

  it('draws the same after the same reseed, whatever came before', () => {
    const [a, b] = [new Bench(), new Bench()];
    a.line().tlv('/pair-setup', setupM1());
    const m2 = [a, b].map((bench) => {
      bench.accessory.reseed(seededRandom(7));
      const line = bench.line();
      bench.now += 40_000;
      return hex(line.post('/pair-setup', setupM1()).body);
    });
    expect(m2[0]).to.equal(m2[1]);
  });
});

describe('accessory: refusals of Pair Setup', () => {
  const refused = (error: number): string => `State=2 Error=${error}`;

  it('is Unavailable when paired, whatever Method and Flags say', () => {
    const bench = new Bench();
    bench.pair();
    const line = bench.line();
    for (const items of [setupM1(), setupM1(1), setupM1(0, 16), setupM1(9)])
      expect(line.tlv('/pair-setup', items).toString()).to.contain(refused(6));
  });

  it('is Busy for a second connection until the first closes', () => {
    const bench = new Bench();
    const [first, second] = [bench.line(), bench.line()];
    first.tlv('/pair-setup', setupM1());
    expect(second.tlv('/pair-setup', setupM1()).toString()).to.contain(refused(7));
    first.close();
    expect(second.tlv('/pair-setup', setupM1()).error).to.equal(undefined);
  });

  it('is Busy until the first has been silent for 6 s, and then drops the setup of the first', () => {
    const bench = new Bench();
    const [first, second] = [bench.line(), bench.line()];
    const setup = bench.setup(bench.controller('alice'));
    first.startSetup(setup);
    bench.now = 5_999;
    expect(second.tlv('/pair-setup', setupM1()).toString()).to.contain(refused(7));
    bench.now = 6_000;
    expect(second.tlv('/pair-setup', setupM1()).error).to.equal(undefined);
    expect(first.post('/pair-setup', setup.m3()).status).to.equal(400);
  });

  it('binds the exchange to its connection', () => {
    const bench = new Bench();
    const setup = bench.setup(bench.controller('alice'));
    bench.line().startSetup(setup);
    expect(bench.line().post('/pair-setup', setup.m3()).status).to.equal(400);
  });

  it('answers MaxTries after 100 failed attempts', () => {
    const { id, ltsk } = new Bench().accessory.identity;
    const bench = new Bench({ store: memoryStore({ id, ltsk, pairings: [], failedAttempts: 99 }) });
    const line = bench.line();
    const setup = bench.setup(bench.controller('alice'), wrongCode.dashed);
    line.startSetup(setup);
    expect(line.tlv('/pair-setup', setup.m3()).toString()).to.equal('State=4 Error=2(Authentication)');
    expect(line.tlv('/pair-setup', setupM1()).toString()).to.contain(refused(5));
    expect(bench.line().tlv('/pair-setup', setupM1()).toString()).to.contain(refused(5));
  });
});

describe('accessory: Pair Verify', () => {
  it('refuses an unknown controller and a bad signature alike', () => {
    const bench = new Bench();
    const { controller, accessory } = bench.pair();
    const stranger = bench.controller('mallory');
    const line = bench.line();
    for (const identity of [stranger, { ...stranger, id: controller.id }])
      expect(line.verify(identity, accessory).toString()).to.equal('State=4 Error=2(Authentication)');
    expect(line.verify(controller, accessory).error).to.equal(undefined);
  });

  it('answers M2 when unpaired and fails at M4', () => {
    const bench = new Bench();
    expect(bench.line().verify(bench.controller('alice'), bench.accessory.identity).error).to.equal(2);
  });

  it('refuses keys of wrong length and of low order, and M3 without M1', () => {
    const line = new Bench().line();
    const m1 = (key: Bytes): ReturnType<typeof line.post> =>
      line.post('/pair-verify', [tlv(TlvType.State, 1), tlv(TlvType.PublicKey, key)]);
    expect(m1(new Uint8Array(31)).status).to.equal(400);
    expect(decodeTlv(m1(new Uint8Array(32)).body).toString()).to.equal('State=2 Error=2(Authentication)');
    expect(line.post('/pair-verify', [tlv(TlvType.State, 3)]).status).to.equal(400);
  });

  it('reads what follows M3 in the same segment as frames', () => {
    const bench = new Bench();
    const { controller, accessory } = bench.pair();
    const line = bench.line();
    const verify = bench.newVerify(controller, accessory);
    verify.readM2(line.tlv('/pair-verify', verify.m1()));
    const m3 = encodeRequest({ method: 'POST', path: '/pair-verify', body: encodeTlv(verify.m3()) });
    const { wire, ended } = line.raw(concat(m3, utf8('GET /accessories HTTP/1.1\r\n\r\n')));
    expect(ended, 'plaintext behind M3 ends the connection').to.equal(true);
    expect(text(wire).match(/HTTP\/1\.1/g)).to.have.length(1);
  });

  it('answers 400 to Pair Verify inside a session, and the session goes on', () => {
    const bench = new Bench();
    const { controller, accessory } = bench.pair();
    const line = bench.verify(controller, accessory);
    expect(line.post('/pair-verify', bench.newVerify(controller, accessory).m1()).status).to.equal(400);
    expect(bench.list(line)).to.have.length(1);
  });
});

describe('accessory: pairings', () => {
  it('removes the own pairing with the reply first, then closes; a new Pair Setup works', () => {
    const bench = new Bench();
    const { controller, accessory } = bench.pair();
    const line = bench.verify(controller, accessory);
    const other = bench.verify(controller, accessory);
    const { messages, endedConnections } = line.request(
      'POST',
      '/pairings',
      encodeTlv(removePairing(controller.id)),
    );
    expect(decodeTlv(messages[0]!.body).toString()).to.equal('State=2');
    expect(endedConnections).to.deep.equal([other.number, line.number]);
    const again = bench.pair('bob');
    expect(hex(again.accessory.ltpk)).to.equal(hex(accessory.ltpk));
    expect(bench.list(bench.verify(again.controller, again.accessory))).to.have.length(1);
    expect(bench.line().verify(controller, accessory).error).to.equal(2);
  });

  it('adds, updates, refuses another key, lists with one State and separators between', () => {
    const bench = new Bench();
    const { controller, accessory } = bench.pair();
    const line = bench.verify(controller, accessory);
    const bob = bench.controller('bob');
    expect(line.tlv('/pairings', addPairing(bob.id, bob.ltpk, 1)).toString()).to.equal('State=2');
    expect(line.tlv('/pairings', addPairing(bob.id, bob.ltpk, 0)).toString()).to.equal('State=2');
    expect(line.tlv('/pairings', addPairing(bob.id, controller.ltpk, 1)).error).to.equal(TlvError.Unknown);
    const list = line.tlv('/pairings', listPairings());
    expect(list.all(TlvType.State)).to.have.length(1);
    expect(list.all(TlvType.Separator)).to.have.length(1);
    expect(list.items.at(-1)!.type).not.to.equal(TlvType.Separator);
    expect(readPairings(list).entries.map(({ permissions }) => permissions)).to.deep.equal([1, 0]);
    const user = bench.verify(bob, accessory);
    for (const items of [listPairings(), addPairing(bob.id, bob.ltpk, 1), removePairing(controller.id)])
      expect(user.tlv('/pairings', items).toString()).to.equal('State=2 Error=2(Authentication)');
    const { endedConnections } = line.request('POST', '/pairings', encodeTlv(removePairing(bob.id)));
    expect(endedConnections).to.deep.equal([user.number]);
    expect(line.tlv('/pairings', removePairing(bob.id)).toString(), 'unknown id').to.equal('State=2');
  });

  it('holds 16 pairings and answers MaxPeers to one more, while updates still work', () => {
    const bench = new Bench();
    const { controller, accessory } = bench.pair();
    const line = bench.verify(controller, accessory);
    for (let i = 1; i < 16; i++) {
      const { id, ltpk } = bench.controller(`user ${i}`);
      expect(line.tlv('/pairings', addPairing(id, ltpk, 0)).toString()).to.equal('State=2');
    }
    const { id, ltpk } = bench.controller('one more');
    expect(line.tlv('/pairings', addPairing(id, ltpk, 0)).error).to.equal(TlvError.MaxPeers);
    const known = bench.controller('user 1');
    expect(line.tlv('/pairings', addPairing(known.id, known.ltpk, 1)).toString()).to.equal('State=2');
    expect(bench.list(line)).to.have.length(16);
  });

  it('removes everybody with the last admin, also when he is demoted', () => {
    for (const farewell of ['remove', 'demote'] as const) {
      const bench = new Bench();
      const { controller, accessory } = bench.pair();
      const line = bench.verify(controller, accessory);
      const bob = bench.controller('bob');
      line.tlv('/pairings', addPairing(bob.id, bob.ltpk, 0));
      const user = bench.verify(bob, accessory);
      const last =
        farewell === 'remove' ? removePairing(controller.id) : addPairing(controller.id, controller.ltpk, 0);
      const { endedConnections } = line.request('POST', '/pairings', encodeTlv(last));
      expect(endedConnections).to.have.members([user.number, line.number]);
      expect(bench.accessory.pairings).to.have.length(0);
      bench.pair('carol');
    }
  });

  it('answers 400 to malformed requests and 470 without a session', () => {
    const bench = new Bench();
    const { controller, accessory } = bench.pair();
    const line = bench.verify(controller, accessory);
    const bob = bench.controller('bob');
    const good = addPairing(bob.id, bob.ltpk, 1);
    for (const items of [
      replace('State', 3)(good),
      replace('Method', 9)(good),
      drop('Method')(good),
      drop('Identifier')(good),
      replace('Identifier', new Uint8Array(65))(good),
      replace('PublicKey', new Uint8Array(31))(good),
      replace('Permissions', 2)(good),
      replace('Permissions', Uint8Array.of(1, 0))(good),
      drop('Identifier')(removePairing(bob.id)),
    ])
      expect(line.post('/pairings', items).status).to.equal(400);
    expect(bench.list(line)).to.have.length(1);
    const refused = bench.line().post('/pairings', listPairings());
    expect(refused.status).to.equal(470);
    expect(refused.body).to.have.length(0);
  });
});

describe('accessory: HTTP and frames', () => {
  it('keeps what is written and sends its database in more than one frame', () => {
    const bench = new Bench();
    const { controller, accessory } = bench.pair();
    const line = bench.verify(controller, accessory);
    const { messages, wire } = line.request('GET', '/accessories');
    expect(messages[0]!.body.length).to.be.greaterThan(1500);
    expect(wire[0]! | (wire[1]! << 8)).to.equal(1024);
    const wish = {
      characteristics: [
        { aid: 1, iid: 9, value: true },
        { aid: 1, iid: 10, value: 40 },
      ],
    };
    const put = line.request('PUT', '/characteristics', utf8(JSON.stringify(wish)));
    expect(put.messages[0]!.status).to.equal(204);
    expect(json(line.http('GET', '/characteristics?id=1.9,1.10').body)).to.deep.equal(wish);
    expect(line.http('GET', '/characteristics?id=1.99').status).to.equal(207);
    for (const path of ['constructor', '__proto__', '/nothing'])
      expect(line.http('GET', path).status, path).to.equal(404);
    expect(line.http('PUT', '/prepare', utf8('{}')).status).to.equal(200);
    expect(line.http('POST', '/resource', utf8('{}')).status).to.equal(200);
  });

  it('refuses protected resources without a session', () => {
    const line = new Bench().line();
    for (const [method, path] of [
      ['GET', '/accessories'],
      ['GET', '/characteristics?id=1.9'],
      ['PUT', '/characteristics'],
      ['PUT', '/prepare'],
      ['POST', '/resource'],
    ] as const) {
      const response = line.http(method, path, utf8('{}'));
      expect(response.status).to.equal(470);
      expect(json(response.body)).to.deep.equal({ status: -70411 });
    }
    expect(line.http('GET', '/pair-setup').status).to.equal(405);
    expect(line.http('GET', '/nothing').status).to.equal(404);
    expect(line.http('POST', '/identify').status).to.equal(204);
  });

  it('identifies only while unpaired', () => {
    const bench = new Bench();
    bench.pair();
    const response = bench.line().http('POST', '/identify');
    expect(response.status).to.equal(400);
    expect(json(response.body)).to.deep.equal({ status: -70401 });
  });

  it('answers pipelined requests in order, honours Connection: close, and ends on what is no HTTP', () => {
    const bench = new Bench();
    const request = encodeRequest({ method: 'POST', path: '/pair-setup', body: encodeTlv(setupM1()) });
    const get = encodeRequest({ method: 'GET', path: '/accessories' });
    const line = bench.line();
    expect(line.raw(concat(request, get)).messages.map(({ status }) => status)).to.deep.equal([200, 470]);
    expect(line.request('POST', '/identify', undefined, [['Connection', 'close']]).ended).to.equal(true);
    const other = bench.line();
    const { messages, ended } = other.raw(Uint8Array.of(0x16, 3, 1, 0));
    expect(messages.map(({ status }) => status)).to.deep.equal([400]);
    expect(ended).to.equal(true);
  });

  it('closes without an answer on a bad tag, a replay, a length above 1024 and plaintext', () => {
    const get = encodeRequest({ method: 'GET', path: '/characteristics?id=1.9' });
    const bench = new Bench();
    const { controller, accessory } = bench.pair();
    const session = (): ReturnType<typeof bench.verify> => bench.verify(controller, accessory);
    const cases: [string, (line: ReturnType<typeof session>) => Bytes][] = [
      ['bad tag', (line) => line.secure!.seal(get)[0]!.map((byte, i) => (i === 10 ? byte ^ 1 : byte))],
      [
        'replay',
        (line) => {
          const [frame] = line.secure!.seal(get);
          expect(line.raw(frame!).messages).to.have.length(1);
          return frame!;
        },
      ],
      ['length', () => Uint8Array.of(1, 4)],
      ['plaintext', () => get],
    ];
    for (const [name, bytes] of cases) {
      const line = session();
      const { ended, wire } = line.raw(bytes(line));
      expect(ended, name).to.equal(true);
      expect(wire, name).to.have.length(0);
    }
  });

  it('puts frames and requests together from any pieces, empty frames among them', () => {
    const bench = new Bench();
    const { controller, accessory } = bench.pair();
    const line = bench.verify(controller, accessory);
    const get = encodeRequest({ method: 'GET', path: '/characteristics?id=1.9' });
    const { encoder } = line.secure!;
    const frames = concat(...encoder.encode(get.subarray(0, 9)), ...encoder.encode(get.subarray(9)));
    let answers = 0;
    for (const byte of frames) answers += line.raw(Uint8Array.of(byte)).messages.length;
    expect(answers).to.equal(1);
  });

  it('resets to a new identity without pairings and ends every connection', () => {
    const bench = new Bench();
    const { controller, accessory } = bench.pair();
    const line = bench.verify(controller, accessory);
    const reactions = bench.accessory.factoryReset();
    expect(reactions.map(({ connection }) => connection)).to.include(line.number);
    expect(bench.accessory.pairings).to.have.length(0);
    expect(equal(bench.accessory.identity.ltpk, accessory.ltpk)).to.equal(false);
    bench.pair('bob');
  });
});
