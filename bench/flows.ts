import { Accessory, embed } from '../harness/accessory/index.js';
import { PairSetupController, PairVerifyController } from '../harness/controller/index.js';
import {
  type TlvItem,
  type TlvMessage,
  controllerIdentity,
  decodeTlv,
  encodeTlv,
  parseSetupCode,
  seededRandom,
} from '../harness/protocol/index.js';
import { type Connection, HttpReader, VirtualClock, encodeRequest } from '../harness/wire/index.js';
import type { Contender } from './measure.js';

const code = parseSetupCode('031-45-154');

async function exchange(
  connection: Connection,
  reader: HttpReader,
  path: string,
  items: readonly TlvItem[],
): Promise<TlvMessage> {
  const headers = [['Content-Type', 'application/pairing+tlv8']] as const;
  connection.write(encodeRequest({ method: 'POST', path, headers, body: encodeTlv(items) }));
  for (;;) {
    const progress = reader.next();
    if (progress.kind === 'message') return decodeTlv(progress.message.body);
    const event = await connection.next(connection.clock.now() + 10_000);
    if (event.kind !== 'data') throw new Error(`${path}: ${event.kind}`);
    reader.feed(event.bytes);
  }
}

function expectNone(findings: readonly { readonly what: string }[]): void {
  if (findings.length > 0) throw new Error(findings.map(({ what }) => what).join('; '));
}

/** One flow in memory: Pair Setup M1 to M6, then Pair Verify M1 to M4, with a fresh accessory. */
async function flow(seed: string): Promise<void> {
  const random = seededRandom(seed);
  const accessory = new Accessory({ code, random: random.fork('accessory') });
  const connection = await embed(accessory, new VirtualClock()).connect();
  const reader = new HttpReader('response');
  const identity = controllerIdentity(random.fork('identity'));

  const setup = new PairSetupController(code.dashed, identity, random.fork('setup'));
  const m2 = await exchange(connection, reader, '/pair-setup', setup.m1());
  setup.answer(m2.get(0x02)!, m2.joined(0x03)!);
  expectNone(setup.readM4(await exchange(connection, reader, '/pair-setup', setup.m3())).findings);
  const m6 = setup.readM6(await exchange(connection, reader, '/pair-setup', setup.m5()));
  expectNone(m6.findings);

  const verify = new PairVerifyController(identity, m6.accessory, random.fork('verify'));
  expectNone(verify.readM2(await exchange(connection, reader, '/pair-verify', verify.m1())).findings);
  const m4 = await exchange(connection, reader, '/pair-verify', verify.m3());
  if (m4.state !== 4 || m4.error !== undefined) throw new Error(`Pair Verify M4: ${m4.toString()}`);
  connection.close();
}

/** Whole flows against the embedded accessory, each with its own seed. */
export function flows(): Contender[] {
  return [{ name: 'setup and verify', run: (call) => flow(`flow ${call}`) }];
}

/** One seed again and again: what a run pays that repeats the same flow against many twins while exponentiations are remembered. */
export function repeatedFlows(): Contender[] {
  return [{ name: 'setup and verify, memoised', run: () => flow('repeated') }];
}
