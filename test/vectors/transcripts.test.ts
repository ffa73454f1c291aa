import { expect } from 'chai';
import { healthy, memoryStore } from '../../harness/accessory/index.js';
import { PairSetupController, PairVerifyController, readPairings } from '../../harness/controller/index.js';
import {
  type Bytes,
  FrameDecoder,
  type Identity,
  type Random,
  type SetupCode,
  TlvType,
  decodeTlv,
  encodeTlv,
  frameOpener,
  fromHex,
  hex,
  isIllegalA,
  publicKeyDefect,
  restoreIdentity,
  seededRandom,
} from '../../harness/protocol/index.js';
import type { Fields, Vector } from '../../harness/vectors/format.js';
import { Bench } from '../accessory/driver.js';
import { vectors } from './folder.js';

/** Gives what the vector says, in order; anything else drawn is an error. */
class Script implements Random {
  constructor(private readonly drawn: Bytes[]) {}
  bytes(length: number): Bytes {
    const next = this.drawn.shift();
    if (next?.length !== length)
      throw new Error(`${length} bytes drawn, the script has ${next?.length ?? 'none'}`);
    return next;
  }
  below(): number {
    throw new Error('a number was drawn');
  }
  fork(label: string): Random {
    return seededRandom(label);
  }
}

const bytes = (value: unknown): Bytes => fromHex(value as string);
const messagesOf = (vector: Fields): Readonly<Record<string, string>> =>
  vector['messages'] as Readonly<Record<string, string>>;
const opOf = (vector: Vector): string =>
  ((vector['edit'] as Fields | undefined)?.['op'] as string | undefined) ?? '';
function identityOf(value: unknown): Identity {
  if (value === undefined) return restoreIdentity(fromHex('41'), new Uint8Array(32).fill(7));
  const { id, ltsk } = value as Readonly<Record<string, string>>;
  return restoreIdentity(bytes(id), bytes(ltsk));
}
/** AirPlay's codes have four digits and no dashes. */
const codeOf = (code: unknown): SetupCode => ({
  dashed: code as string,
  digits: (code as string).replaceAll('-', ''),
});
const tests = (kind: string, type: string): Vector[] =>
  vectors(kind).testGroups.flatMap((group) => (group.type === type ? group.tests : []));

function setupAccessory(vector: Fields, accessory: unknown, names: readonly string[]): void {
  const { id, ltsk } = identityOf(accessory);
  const store = memoryStore({ id, ltsk, pairings: [], failedAttempts: 0 });
  const random = new Script([bytes(vector['salt']), bytes(vector['b'])]);
  const line = new Bench({ random, store, code: codeOf(vector['code']) }).line();
  const messages = messagesOf(vector);
  for (const [index, name] of names.entries()) {
    if (index % 2 === 1) continue;
    const answer = line.http('POST', '/pair-setup', bytes(messages[name]));
    // A proof of another size may also count as malformed: HTTP 400 without a body.
    if (answer.status === 400 && opOf(vector as Vector) === 'm3-proof-cut') return;
    expect([answer.status, hex(answer.body)], names[index + 1]).to.deep.equal([
      200,
      messages[names[index + 1]!],
    ]);
  }
}

/** M1, M3 and the reading of M4. */
function setupController(
  vector: Vector,
  fields: Fields,
  method?: number,
  flags?: number,
): PairSetupController {
  const { M1, M2, M3, M4 } = messagesOf(fields);
  const op = opOf(vector);
  const code = op === 'm3-code' ? ((vector['edit'] as Fields)['text'] as string) : (vector['code'] as string);
  const zero = (['S', 'K'] as const).find((name) => vector.flags.includes(`LeadingZero${name}`));
  const random = new Script([bytes(fields['a'])]);
  const controller = new PairSetupController(
    code,
    identityOf(fields['controller']),
    random,
    zero === undefined ? {} : { leadingZero: zero },
  );
  expect(hex(encodeTlv(controller.m1(method, flags))), 'M1').to.equal(M1);
  const m2 = decodeTlv(bytes(M2));
  controller.answer(m2.get(TlvType.Salt)!, m2.joined(TlvType.PublicKey)!);
  if (!op.startsWith('m3-proof')) expect(hex(encodeTlv(controller.m3())), 'M3').to.equal(M3);
  const right = fields['M2'] !== undefined && op !== 'm4-proof-flip';
  expect(controller.readM4(decodeTlv(bytes(M4))).findings.length === 0, 'M4').to.equal(right);
  return controller;
}

describe('test vectors: driven with their randomness', () => {
  const setups = tests('pair-setup', 'PairSetup');
  it('the reference accessory says what the transcripts of Pair Setup say', () => {
    for (const vector of setups) {
      // What is wrong in M4 and M6 is the accessory's mistake, and this one makes none.
      const names = Object.keys(messagesOf(vector)).slice(0, opOf(vector).startsWith('m4') ? 2 : undefined);
      setupAccessory(vector, vector['accessory'], opOf(vector).startsWith('m6') ? names.slice(0, 4) : names);
    }
  });

  it('the reference controller says and judges what the transcripts of Pair Setup say', () => {
    for (const vector of setups) {
      const controller = setupController(vector, vector, vector['method'] as number);
      const { M5, M6 } = messagesOf(vector);
      if (M5 === undefined) continue;
      const op = opOf(vector);
      if (!op.startsWith('m5')) expect(hex(encodeTlv(controller.m5())), 'M5').to.equal(M5);
      const { findings, accessory } = controller.readM6(decodeTlv(bytes(M6)));
      expect(findings.length === 0, `M6 of tcId ${vector.tcId}`).to.equal(vector.result === 'valid');
      if (vector.result === 'valid')
        expect(hex(accessory!.ltpk)).to.equal((vector['accessory'] as Fields)['ltpk']);
    }
  });

  it('both roles of Pair Verify', () => {
    for (const vector of tests('pair-verify', 'PairVerify')) {
      const op = opOf(vector);
      const [controller, accessory] = [identityOf(vector['controller']), identityOf(vector['accessory'])];
      const { M1, M2, M3, M4 } = messagesOf(vector);
      const pairings = [{ id: controller.id, ltpk: controller.ltpk, permissions: 1 }];
      const store = memoryStore({ id: accessory.id, ltsk: accessory.ltsk, pairings, failedAttempts: 0 });
      const line = new Bench({ random: new Script([bytes(vector['accessorySecret'])]), store }).line();
      const said = (body: string): string => hex(line.http('POST', '/pair-verify', bytes(body)).body);
      if (!op.startsWith('m2')) expect(said(M1!), `M2 of tcId ${vector.tcId}`).to.equal(M2);
      if (M3 !== undefined) expect(said(M3), `M4 of tcId ${vector.tcId}`).to.equal(M4);
      if (op === 'm1-low-order') continue;

      const verify = new PairVerifyController(
        controller,
        accessory,
        new Script([bytes(vector['controllerSecret'])]),
      );
      expect(hex(encodeTlv(verify.m1()))).to.equal(M1);
      const { findings } = verify.readM2(decodeTlv(bytes(M2)));
      expect(findings.length === 0, `M2 of tcId ${vector.tcId}`).to.equal(!op.startsWith('m2'));
      if (M3 === undefined || op.startsWith('m3')) continue;
      expect(hex(encodeTlv(verify.m3()))).to.equal(M3);
      const keys = verify.sessionKeys();
      expect([hex(keys.toAccessory), hex(keys.toController)]).to.deep.equal([
        vector['toAccessory'],
        vector['toController'],
      ]);
    }
  });

  it('M1 to M4 of transient, split and MFi exchanges', () => {
    for (const vector of tests('transient', 'Transient')) {
      setupController(vector, vector, vector['method'] as number, vector['pairingFlags'] as number);
      if (vector['method'] === 0) setupAccessory(vector, undefined, ['M1', 'M2', 'M3', 'M4']);
    }
    for (const vector of tests('split', 'Split')) {
      setupController(vector, vector['first'] as Fields, 0, 0x01000010);
      if (!opOf(vector).startsWith('flags-one') && !opOf(vector).startsWith('flags-big'))
        setupController(vector, vector['second'] as Fields, 0, 0x01000000);
    }
    for (const vector of tests('mfi-m4', 'MfiM4'))
      setupController(vector, vector, 1, vector['pairingFlags'] as number | undefined);
  });

  it('lists, frames and illegal numbers are judged as the vectors say', () => {
    for (const vector of tests('pairings', 'PairingsList').filter(({ result }) => result === 'valid')) {
      const { entries, findings } = readPairings(decodeTlv(bytes(vector['body'])));
      expect(findings).to.deep.equal([]);
      const shown = entries.map(({ id, ltpk, permissions }) => ({
        id: hex(id),
        ltpk: hex(ltpk),
        permissions,
      }));
      expect(shown).to.deep.equal(vector['entries']);
    }
    for (const vector of tests('frames', 'FrameStream')) {
      const decoder = new FrameDecoder(
        frameOpener(bytes(vector['key'])),
        BigInt(vector['counter'] as string),
      );
      const opened = (vector['frames'] as readonly string[]).flatMap((frame) => decoder.feed(bytes(frame)));
      const text = opened.map(({ plaintext }) => (plaintext === undefined ? '!' : hex(plaintext))).join('');
      const whole = text === vector['plaintext'] && decoder.pending.length === 0;
      expect(whole, `frames tcId ${vector.tcId}`).to.equal(vector.result !== 'invalid');
    }
    const [least, most] = healthy.publicKeyLengths;
    for (const vector of tests('srp', 'SrpIllegalA')) {
      const A = bytes(vector['A']);
      expect(isIllegalA(A) || A.length < least || A.length > most).to.equal(true);
    }
    for (const vector of tests('srp', 'SrpIllegalB')) {
      const defect = publicKeyDefect(bytes(vector['B']));
      if (vector.result !== 'acceptable') expect(defect === undefined).to.equal(vector.result === 'valid');
    }
  });
});
