import { expect } from 'chai';
import { type Behaviour, faults, healthy, twin } from '../../harness/accessory/index.js';
import { flip, readPairings, replace } from '../../harness/controller/index.js';
import {
  type Bytes,
  type Identity,
  type Peer,
  TlvType,
  addPairing,
  decodeTlv,
  encodeTlv,
  equal,
  listPairings,
  memoiseExponentiations,
  removePairing,
  sealFrame,
  setupM1,
  tlv,
  utf8,
} from '../../harness/protocol/index.js';
import { encodeRequest } from '../../harness/wire/index.js';
import { Bench, type Line, wrongCode } from './driver.js';

interface Scene {
  readonly bench: Bench;
  readonly line: Line;
}

interface PairedScene extends Scene {
  readonly controller: Identity;
  readonly accessory: Peer;
}

/** What shows on the wire with the fault and not without it. */
type Symptom = (behaviour: Behaviour) => boolean;

function unpaired(shows: (scene: Scene) => boolean): Symptom {
  return (behaviour) => {
    const bench = new Bench({ behaviour });
    return shows({ bench, line: bench.line() });
  };
}

/** Paired, with a plaintext connection. */
function paired(shows: (scene: PairedScene) => boolean): Symptom {
  return unpaired(({ bench, line }) => shows({ bench, line, ...bench.pair() }));
}

/** Paired, with a secured connection. */
function verified(shows: (scene: PairedScene) => boolean): Symptom {
  return paired((scene) => shows({ ...scene, line: scene.bench.verify(scene.controller, scene.accessory) }));
}

/** Status 0 is silence. */
function status(line: Line, path: string, body: Bytes): number {
  return line.request('POST', path, body).messages[0]?.status ?? 0;
}

function afterM3(
  scene: Scene,
  password?: string,
  proof?: (proof: Bytes) => Bytes,
): ReturnType<typeof decodeTlv> | undefined {
  const setup = scene.bench.setup(scene.bench.controller('alice'), password);
  scene.line.startSetup(setup);
  const m3 = proof ? replace('Proof', proof)(setup.m3()) : setup.m3();
  const [response] = scene.line.request('POST', '/pair-setup', encodeTlv(m3)).messages;
  return response && decodeTlv(response.body);
}

function afterM5(scene: Scene, options: Parameters<ReturnType<Bench['setup']>['m5']>[0]): boolean {
  const setup = scene.bench.setup(scene.bench.controller('alice'));
  scene.line.startSetup(setup);
  scene.line.tlv('/pair-setup', setup.m3());
  const response = scene.line.post('/pair-setup', setup.m5(options));
  return decodeTlv(response.body).has(TlvType.EncryptedData);
}

function m5BehindM1(secret: Bytes): Symptom {
  return unpaired(({ bench, line }) => {
    const setup = bench.setup(bench.controller('alice'));
    line.startSetup(setup);
    return decodeTlv(line.post('/pair-setup', setup.m5({ secret })).body).has(TlvType.EncryptedData);
  });
}

const get = encodeRequest({ method: 'GET', path: '/characteristics?id=1.9' });

/** A frame in a session, made by `frame`, is answered in some way. */
function answersFrame(frame: (line: Line) => Bytes): Symptom {
  return verified(({ line }) => line.raw(frame(line)).messages.length > 0);
}

function flippedTag(line: Line): Bytes {
  return line.secure!.seal(get)[0]!.map((byte, i, all) => (i === all.length - 1 ? byte ^ 1 : byte));
}

const m2 = (line: Line): ReturnType<typeof decodeTlv> => line.tlv('/pair-setup', setupM1());
const hex = (digits: string): Bytes => new Uint8Array(Buffer.from(digits, 'hex'));

const symptoms: Readonly<Record<string, Symptom>> = {
  'm1-order-matters': unpaired(({ line }) => status(line, '/pair-setup', hex('060101000100')) === 400),
  'rejects-unknown-tlvs': unpaired(
    ({ line }) => status(line, '/pair-setup', hex('0601010001007f01aa')) === 400,
  ),
  'fragments-of-254': unpaired(({ line }) => m2(line).fragments.some(({ value }) => value.length === 254)),
  'state-two-bytes': unpaired(({ line }) => m2(line).get(TlvType.State)?.length === 2),
  'm6-state-twice': unpaired((scene) => {
    const setup = scene.bench.setup(scene.bench.controller('alice'));
    scene.line.startSetup(setup);
    scene.line.tlv('/pair-setup', setup.m3());
    return scene.line.tlv('/pair-setup', setup.m5()).all(TlvType.State).length === 2;
  }),
  'salt-15-bytes': unpaired(({ line }) => m2(line).get(TlvType.Salt)?.length === 15),
  'm2-names-the-accessory': unpaired(({ line }) => m2(line).has(TlvType.Identifier)),
  'm2-carries-error': unpaired(({ line }) => m2(line).has(TlvType.Error)),
  'missing-state-is-m1': unpaired(({ line }) => status(line, '/pair-setup', hex('000100')) === 200),
  'any-state-is-m1': unpaired(({ line }) => status(line, '/pair-setup', hex('000100060107')) === 200),
  'paired-accepts-setup': paired(({ line }) => m2(line).has(TlvType.Salt)),
  'paired-accepts-flagged-setup': paired(({ line }) =>
    line.tlv('/pair-setup', setupM1(0, 16)).has(TlvType.Salt),
  ),
  'accepts-any-proof': unpaired((scene) => afterM3(scene, wrongCode.dashed)?.has(TlvType.Proof) === true),
  'wrong-code-unanswered': unpaired((scene) => afterM3(scene, wrongCode.dashed) === undefined),
  'success-before-check': unpaired((scene) => afterM3(scene, wrongCode.dashed)?.has(TlvType.Proof) === true),
  'wrong-length-proof-passes': unpaired(
    (scene) => afterM3(scene, undefined, () => new Uint8Array(32))?.has(TlvType.Proof) === true,
  ),
  'compares-received-length': unpaired(
    (scene) => afterM3(scene, undefined, (proof) => proof.subarray(0, 1))?.has(TlvType.Proof) === true,
  ),
  'lowercases-identifiers': verified(
    ({ bench, line, controller }) => !equal(bench.list(line)[0]!.id, controller.id),
  ),
  'm5-open-failure-ignored': unpaired((scene) => afterM5(scene, { key: new Uint8Array(32) })),
  'm5-tag-unchecked': unpaired((scene) => {
    const setup = scene.bench.setup(scene.bench.controller('alice'));
    scene.line.startSetup(setup);
    scene.line.tlv('/pair-setup', setup.m3());
    return scene.line.tlv('/pair-setup', flip('EncryptedData', -1)(setup.m5())).has(TlvType.EncryptedData);
  }),
  'm5-signature-unchecked': unpaired((scene) => afterM5(scene, { signature: () => new Uint8Array(64) })),
  'm3-first-unanswered': unpaired(({ line }) => status(line, '/pair-setup', hex('060103')) === 0),
  'm3-first-accepted': unpaired(({ line }) => {
    const items = [tlv(6, 3), tlv(3, new Uint8Array(384).fill(7)), tlv(4, new Uint8Array(64))];
    return decodeTlv(line.post('/pair-setup', items).body).has(TlvType.Proof);
  }),
  'm5-after-m1-under-zero-key': m5BehindM1(new Uint8Array(64)),
  'm5-after-m1-always-answered': m5BehindM1(new Uint8Array(64).fill(1)),
  'unknown-controller-accepted': paired(
    ({ bench, line, accessory }) => line.verify(bench.controller('mallory'), accessory).error === undefined,
  ),
  'unknown-controller-http-400': paired(({ bench, line, accessory }) => {
    const verify = bench.newVerify(bench.controller('mallory'), accessory);
    verify.readM2(line.tlv('/pair-verify', verify.m1()));
    return line.post('/pair-verify', verify.m3()).status === 400;
  }),
  'verify-signature-unchecked': paired(
    ({ bench, line, controller, accessory }) =>
      line.verify({ ...bench.controller('mallory'), id: controller.id }, accessory).error === undefined,
  ),
  'remove-changes-nothing': verified(({ bench, line }) => {
    const bob = bench.controller('bob');
    line.tlv('/pairings', addPairing(bob.id, bob.ltpk, 0));
    line.tlv('/pairings', removePairing(bob.id));
    return bench.list(line).length === 2;
  }),
  'remove-demands-public-key': verified(({ bench, line }) => {
    const bob = bench.controller('bob');
    line.tlv('/pairings', addPairing(bob.id, bob.ltpk, 0));
    return line.post('/pairings', removePairing(bob.id)).status === 400;
  }),
  'pairings-open-to-all': paired(
    ({ line }) => readPairings(decodeTlv(line.post('/pairings', listPairings()).body)).entries.length === 1,
  ),
  'verify-m1-authenticates': paired(({ bench, line, controller, accessory }) => {
    const verify = bench.newVerify(controller, accessory);
    line.tlv('/pair-verify', verify.m1());
    return line.http('GET', '/accessories').status === 200;
  }),
  'accepts-swapped-keys': answersFrame((line) => sealFrame(line.secure!.keys.toController, 0n, get)),
  'counter-8-bit': verified(({ line }) => {
    try {
      for (let i = 0; i < 260; i++) line.http('GET', '/characteristics?id=1.9');
      return false;
    } catch {
      return true;
    }
  }),
  'accepts-empty-aad': answersFrame((line) =>
    sealFrame(line.secure!.keys.toAccessory, 0n, get, { aad: new Uint8Array(0) }),
  ),
  'frame-tag-unchecked': answersFrame(flippedTag),
  'bad-frame-answered-in-plaintext': verified(({ line }) => {
    const frame = flippedTag(line);
    line.secure = undefined;
    return line.raw(frame).messages[0]?.status === 400;
  }),
  'bad-frame-ignored': verified(({ line }) => !line.raw(flippedTag(line)).ended),
  'bad-frame-ends-every-session': verified(({ bench, line, controller, accessory }) => {
    const other = bench.verify(controller, accessory);
    return line.raw(flippedTag(line)).endedConnections.includes(other.number);
  }),
  'accepts-replayed-frame': verified(({ line }) => {
    const [frame] = line.secure!.seal(get);
    line.raw(frame!);
    return line.raw(frame!).messages.length === 1 && line.http('GET', '/accessories').status === 200;
  }),
  'plaintext-served-after-verify': verified(({ line }) => {
    line.secure = undefined;
    return line.raw(get).messages[0]?.status === 200;
  }),
  'unverified-all-served': paired(({ line }) => line.http('PUT', '/prepare').status === 200),
  'unverified-get-served': paired(({ line }) => line.http('GET', '/accessories').status === 200),
  'unverified-put-served': paired(({ bench, line, controller, accessory }) => {
    const wish = utf8('{"characteristics":[{"aid":1,"iid":9,"value":true}]}');
    line.request('PUT', '/characteristics', wish);
    const seen = bench.verify(controller, accessory).http('GET', '/characteristics?id=1.9').body;
    return Buffer.from(seen).includes('true');
  }),
};

/** These stop the ordinary flow, which faults.test.ts shows. */
const stops = (behaviour: Behaviour): boolean => {
  try {
    const bench = new Bench({ behaviour });
    const { controller, accessory } = bench.pair();
    return bench.list(bench.verify(controller, accessory)).length !== 1;
  } catch {
    return true;
  }
};

describe('accessory: symptoms', () => {
  // The flows are the same for every twin, so each exponentiation is paid once.
  before(() => memoiseExponentiations(true));
  after(() => memoiseExponentiations(false));

  for (const fault of faults)
    it(`${fault.name} shows on the wire, and the healthy accessory does not show it`, () => {
      const symptom = symptoms[fault.name] ?? stops;
      expect(symptom(twin(fault)), 'with the fault').to.equal(true);
      expect(symptom(healthy), 'healthy').to.equal(false);
    });
});
