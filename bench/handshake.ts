import { SRP, SrpClient } from 'fast-srp-hap';
import {
  type Bytes,
  SRP_USER,
  SrpServer,
  clientSession,
  fromInteger,
  hasLeadingZero,
  makeVerifier,
  proofEquals,
  seededRandom,
  srpConventions,
  toInteger,
} from '../harness/protocol/index.js';
import type { Contender } from './measure.js';

interface Input {
  readonly salt: Bytes;
  readonly B: Bytes;
  readonly a: bigint;
  /** The accessory's proof. */
  readonly M2: Bytes;
}

const CODE = '031-45-154';

/** Exchanges without leading zeros, where both libraries compute the same. */
function inputs(count: number): Input[] {
  const random = seededRandom('bench handshake');
  const found: Input[] = [];
  while (found.length < count) {
    const salt = random.bytes(16);
    const { B } = new SrpServer(makeVerifier(CODE, salt), toInteger(random.bytes(32)));
    const a = toInteger(random.bytes(32));
    const session = clientSession({ password: CODE, salt, B, a, convention: srpConventions.adk });
    if (B.length === 384 && !hasLeadingZero(session)) found.push({ salt, B, a, M2: session.M2 });
  }
  return found;
}

/** One client handshake of Pair Setup: A, S, K, M1, and M2 checked. */
export function handshakes(): Contender[] {
  const list = inputs(16);
  const buffers = list.map(({ salt, B, a, M2 }) => ({
    salt: Buffer.from(salt),
    B: Buffer.from(B),
    a: Buffer.from(fromInteger(a, 32)),
    M2: Buffer.from(M2),
  }));
  const user = Buffer.from(SRP_USER);
  const password = Buffer.from(CODE);
  return [
    {
      name: 'hapspec clientSession',
      run(call) {
        const { salt, B, a, M2 } = list[call % list.length]!;
        const session = clientSession({ password: CODE, salt, B, a });
        if (!proofEquals(session.M2, M2)) throw new Error('hapspec: M2 differs');
        return session.K;
      },
    },
    {
      name: 'fast-srp-hap SrpClient',
      run(call) {
        const { salt, B, a, M2 } = buffers[call % buffers.length]!;
        const client = new SrpClient(SRP.params.hap, salt, user, password, a, true);
        client.computeA();
        client.setB(B);
        client.computeM1();
        client.checkM2(M2);
        return client.computeK();
      },
    },
  ];
}
