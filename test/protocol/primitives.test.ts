import { expect } from 'chai';
import { conformance } from '../../harness/conformance.js';
import {
  type Bytes,
  N,
  type Primitives,
  computingWith,
  flipBit,
  fromHex,
  hex,
  lowOrderCurveKeys,
  malleated,
  memoiseArithmetic,
  noble,
  openssl,
  seededRandom,
  sha512,
  smallOrderPoints,
  toInteger,
} from '../../harness/protocol/index.js';
import { ed25519Answers, x25519Answers } from './known-answers.js';

const random = seededRandom('primitives');
const providers = [noble, openssl] as const;

/** What both come to, as text; a test of one is a test of the other. */
function agreed(compute: (by: Primitives) => Bytes | bigint | boolean | undefined): string {
  const [ours, theirs] = providers.map((by) => {
    const result = compute(by);
    return result instanceof Uint8Array ? hex(result) : String(result);
  });
  expect(theirs).to.equal(ours);
  return ours!;
}

describe('primitives: two implementations', () => {
  it('agree on hashes and derived keys of every length', () => {
    for (const length of [0, 1, 111, 112, 127, 128, 129, 400]) {
      const data = random.bytes(length);
      agreed((by) => by.sha512(data));
      agreed((by) => by.hkdfSha512(data, random.fork('s').bytes(length), random.fork('i').bytes(length), 32));
    }
  });

  it('agree on ChaCha20-Poly1305, what they seal and what they open', () => {
    for (const length of [0, 1, 15, 16, 64, 65, 1024, 1025]) {
      const [key, nonce, text, aad] = [32, 12, length, length % 17].map((size) => random.bytes(size));
      const sealed = fromHex(agreed((by) => by.seal(key!, nonce!, text!, aad!)));
      expect(agreed((by) => by.open(key!, nonce!, sealed, aad!))).to.equal(hex(text!));
      expect(agreed((by) => by.chacha20(key!, nonce!, sealed.subarray(0, length)))).to.equal(hex(text!));
      for (const wrong of [flipBit(sealed, 0), flipBit(sealed, 8 * sealed.length - 1)])
        expect(agreed((by) => by.open(key!, nonce!, wrong, aad!))).to.equal('undefined');
      expect(agreed((by) => by.open(key!, nonce!, sealed, random.bytes(5)))).to.equal('undefined');
    }
  });

  it('agree on exponentiation, also where OpenSSL refuses the numbers', () => {
    const bases = [0n, 1n, 2n, 5n, N - 1n, N, N + 1n, N + 2n, 2n * N, toInteger(random.bytes(384))];
    const exponents = [0n, 1n, 2n, 63n, 64n, 65n, 2n ** 255n, toInteger(random.bytes(32)), N - 1n];
    for (const base of bases) for (const exponent of exponents) agreed((by) => by.power(base, exponent));
    for (const size of [16, 32, 64, 128]) {
      const [base, exponent] = [toInteger(random.bytes(384)), toInteger(random.bytes(size))];
      agreed((by) => by.power(base, exponent));
    }
  });

  it('agree on Ed25519, and on what is no signature', () => {
    for (const { secret, publicKey, message, signature } of ed25519Answers) {
      expect(agreed((by) => by.ed25519PublicKey(fromHex(secret)))).to.equal(publicKey);
      expect(agreed((by) => by.ed25519Sign(fromHex(secret), fromHex(message)))).to.equal(signature);
    }
    for (let i = 0; i < 8; i++) {
      const [seed, message] = [random.bytes(32), random.bytes(20 * i)];
      const key = fromHex(agreed((by) => by.ed25519PublicKey(seed)));
      const signature = fromHex(agreed((by) => by.ed25519Sign(seed, message)));
      expect(agreed((by) => by.ed25519Verify(key, message, signature))).to.equal('true');
      const wrong = [flipBit(signature, 0), flipBit(signature, 300), malleated(signature), random.bytes(64)];
      for (const other of wrong)
        expect(agreed((by) => by.ed25519Verify(key, message, other))).to.equal('false');
      expect(agreed((by) => by.ed25519Verify(random.bytes(32), message, signature))).to.equal('false');
    }
    // With (R, S) = (identity, 0) a key of small order signs anything.
    const anything = new Uint8Array(64);
    anything[0] = 1;
    for (const point of smallOrderPoints)
      expect(agreed((by) => by.ed25519Verify(point, random.bytes(10), anything))).to.equal('false');
  });

  it('agree on a key that verifies often, whose multiples are then kept, and on more keys than are kept', () => {
    const seeds = Array.from({ length: 70 }, () => random.bytes(32));
    for (const seed of [...seeds, ...Array.from({ length: 8 }, () => seeds[0]!)]) {
      const message = random.bytes(60);
      const publicKey = fromHex(agreed((by) => by.ed25519PublicKey(seed)));
      const signature = fromHex(agreed((by) => by.ed25519Sign(seed, message)));
      expect(agreed((by) => by.ed25519Verify(publicKey, message, signature))).to.equal('true');
      for (const wrong of [flipBit(signature, 3), flipBit(signature, 400), malleated(signature)])
        expect(agreed((by) => by.ed25519Verify(publicKey, message, wrong))).to.equal('false');
    }
  });

  it('refuse a public key whose y is not below p', () => {
    // y = p + 3 encodes the same point as y = 3 and is no encoding (RFC 8032 §5.1.3).
    const key = new Uint8Array(32).fill(0xff);
    key[0] = 0xf0;
    key[31] = 0x7f;
    expect(agreed((by) => by.ed25519Verify(key, random.bytes(3), random.bytes(64)))).to.equal('false');
  });

  it('agree on X25519, and on keys of low order', () => {
    for (const { secret, publicKey, shared } of x25519Answers)
      expect(agreed((by) => by.x25519(fromHex(secret), fromHex(publicKey)))).to.equal(shared);
    for (let i = 0; i < 20; i++) {
      const [mine, yours] = [random.bytes(32), random.bytes(32)];
      const [own, other] = [mine, yours].map((secret) => fromHex(agreed((by) => by.x25519PublicKey(secret))));
      const shared = agreed((by) => by.x25519(mine, other!));
      expect(agreed((by) => by.x25519(yours, own!))).to.equal(shared);
      // Any 32 bytes are a key; the last bit is not looked at.
      agreed((by) => by.x25519(mine, random.fork(`point ${i}`).bytes(32)));
      expect(agreed((by) => by.x25519(mine, flipBit(other!, 255)))).to.equal(shared);
    }
    for (const secret of [new Uint8Array(32), new Uint8Array(32).fill(0xff)])
      agreed((by) => by.x25519PublicKey(secret));
    for (const point of lowOrderCurveKeys)
      expect(agreed((by) => by.x25519(random.bytes(32), point))).to.equal('undefined');
  });
});

/** A result that is wrong in one bit, or not there, or the other way round. */
function spoilt(result: unknown): unknown {
  if (result instanceof Uint8Array) return flipBit(result, 0);
  if (typeof result === 'bigint') return result ^ 1n;
  return typeof result === 'boolean' ? !result : result;
}

/** The steps of the plain flow, and the watches over what they are answered. */
const plainFlow = [
  ...['PS-M1-01', 'PS-M3-01', 'PS-M5-01', 'PV-M1-01', 'PV-M3-01'],
  ...['PS-M3-18', 'PS-M6-01', 'PV-M2-01'],
];
/** The bare cipher is what faults decrypt with that skip the tag; the protocol itself has no use for it. */
const unused = 'chacha20';

describe('primitives: a mistake in one end does not cancel itself out', () => {
  // What is remembered is not computed, and what is spoilt must not be remembered.
  before(() => memoiseArithmetic(false));

  for (const provider of providers)
    for (const name of Object.keys(provider).filter((key) => key !== 'name' && key !== unused))
      it(`${provider.name}: the plain flow is red when ${name} is wrong`, async () => {
        const table = provider as unknown as Record<string, (...inputs: unknown[]) => unknown>;
        const right = table[name]!;
        let used = 0;
        table[name] = (...inputs) => {
          used++;
          return spoilt(right(...inputs));
        };
        try {
          const report = await conformance('embedded', { seed: 1, only: plainFlow });
          expect(used, 'the primitive is used').to.be.greaterThan(0);
          expect(report.exit.code).to.equal(1);
        } finally {
          table[name] = right;
        }
      });

  it('and green when none is', async () => {
    const report = await conformance('embedded', { seed: 1, only: plainFlow });
    expect(report.results.every(({ status }) => status === 'pass')).to.equal(true);
    expect(report.results.length).to.be.greaterThan(5);
  });
});

describe('primitives: a controller that computes with others', () => {
  it('does so while one of the runs that want it goes on, and with noble behind them', async () => {
    let asked = 0;
    const counted: Primitives = { ...openssl, sha512: (data) => (asked++, openssl.sha512(data)) };
    const hash = (): string => hex(sha512(Uint8Array.of(1)));
    const right = hash();
    let endFirst: () => void = () => undefined;
    const first = computingWith(counted, () => new Promise<void>((resolve) => (endFirst = resolve)));
    const failing = computingWith(counted, async () => {
      await first;
      expect(hash(), 'when the first has ended').to.equal(right);
      throw new Error('it failed');
    });
    expect(hash(), 'beside both').to.equal(right);
    expect(asked).to.equal(1);
    endFirst();
    await failing.then(
      () => expect.fail('it did not fail'),
      (error: Error) => expect(error.message).to.equal('it failed'),
    );
    expect(asked).to.equal(2);
    expect(hash(), 'behind them').to.equal(right);
    expect(asked).to.equal(2);
  });
});
