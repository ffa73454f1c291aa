import { expect } from 'chai';
import fc from 'fast-check';
import {
  type ClientInput,
  type ClientSession,
  N,
  type SrpConventionName,
  SrpServer,
  accessoryProof,
  clientSession,
  fixedBase,
  forgedSession,
  fromHex,
  fromInteger,
  g,
  groundExponent,
  hasLeadingZero,
  hex,
  isAccessoryProof,
  isIllegalA,
  makeVerifier,
  memoiseArithmetic,
  multiplier,
  pow,
  powG,
  privateKey,
  proofEquals,
  publicKeyDefect,
  seededRandom,
  srpConventions,
  toInteger,
  utf8,
} from '../../harness/protocol/index.js';
import { leadingZeros, srpAlice, srpShortA } from './known-answers.js';
import { plainPow, sha256Hex, sha512 } from './node-crypto.js';

const conventionNames = Object.keys(srpConventions) as SrpConventionName[];

function integer(digits: string): bigint {
  return BigInt('0x' + digits);
}

function digest(value: bigint): string {
  return sha256Hex(fromInteger(value, 384));
}

describe('SRP-6a, known answers', () => {
  const { user, password, M1, M2, K, sha256 } = srpAlice;
  const salt = fromHex(srpAlice.salt);
  const verifier = makeVerifier(password, salt, user);

  // The values have no leading zeros, so every real convention must give the same ones.
  for (const name of conventionNames.filter((convention) => convention !== 'literal'))
    it(`agrees with alice/password123, ${name}`, () => {
      const convention = srpConventions[name];
      const server = new SrpServer(verifier, integer(srpAlice.b), convention, user);
      const client = clientSession({ password, salt, B: server.B, a: integer(srpAlice.a), convention, user });
      const session = server.session(client.A);
      expect(multiplier(convention)).to.equal(integer(srpAlice.k));
      expect(client.x).to.equal(integer(srpAlice.x));
      expect(client.u).to.equal(integer(srpAlice.u));
      expect({
        A: sha256Hex(client.A),
        B: sha256Hex(server.B),
        v: digest(verifier.v),
        S: digest(client.S),
      }).to.deep.equal(sha256);
      expect(session.S).to.equal(client.S);
      expect([hex(client.K), hex(client.M1), hex(client.M2)]).to.deep.equal([K, M1, M2]);
      expect([hex(session.K), hex(session.M1)]).to.deep.equal([K, M1]);
      expect(hex(session.proveWith(client.M1))).to.equal(M2);
    });

  it('uses Pair-Setup as the user when none is given', () => {
    expect(privateKey(salt, '031-45-154')).to.equal(toInteger(sha512(salt, sha512('Pair-Setup:031-45-154'))));
  });

  it('agrees with the set of the 24-byte A', () => {
    const A = fromHex(srpShortA.A);
    const shortVerifier = makeVerifier(srpShortA.password, fromHex(srpShortA.salt));
    const answer = (name: SrpConventionName) => {
      const server = new SrpServer(shortVerifier, integer(srpShortA.b), srpConventions[name]);
      expect(hex(server.B)).to.match(new RegExp(`^${srpShortA.B.head}.*${srpShortA.B.tail}$`));
      const session = server.session(A);
      return { K: hex(session.K), M1: hex(session.M1), M2: hex(session.proveWith(fromHex(srpShortA.M1))) };
    };
    const asSent = { K: srpShortA.K, M1: srpShortA.M1, M2: srpShortA.M2.asSent };
    const padded = { K: srpShortA.K, M1: srpShortA.M1, M2: srpShortA.M2.padded };
    expect(answer('neutral')).to.deep.equal(asSent);
    expect(answer('integer-key')).to.deep.equal(asSent);
    expect(answer('all-stripped')).to.deep.equal(asSent);
    expect(answer('adk')).to.deep.equal(padded);
    const proofsPadded = answer('padded-proofs');
    expect(proofsPadded.K).to.equal(srpShortA.K);
    expect(proofsPadded.M1).to.not.equal(srpShortA.M1);
  });
});

describe('SRP-6a, leading zeros', () => {
  const { password } = leadingZeros;
  const salt = fromHex(leadingZeros.salt);
  const verifier = makeVerifier(password, salt);
  const B = new SrpServer(verifier, integer(leadingZeros.b)).B;

  function sessions(a: bigint, received = B): Record<string, ClientSession> {
    return Object.fromEntries(
      conventionNames.map((name) => [
        name,
        clientSession({ password, salt, B: received, a, convention: srpConventions[name] }),
      ]),
    );
  }

  /** Conventions that would pair with each other: same M1 and same M2. */
  function camps(a: bigint, received = B): string[][] {
    const groups = new Map<string, string[]>();
    for (const [name, { M1, M2 }] of Object.entries(sessions(a, received))) {
      const key = hex(M1) + hex(M2);
      groups.set(key, [...(groups.get(key) ?? []), name]);
    }
    return [...groups.values()];
  }

  const real = conventionNames.filter((name) => name !== 'literal');

  it('does not matter where A, B, S and K start with another byte', () => {
    const { none } = leadingZeros.a;
    expect(hasLeadingZero(sessions(integer(none))['adk']!)).to.equal(false);
    expect(camps(integer(none))).to.have.deep.members([real, ['literal']]);
  });

  it('A[0] = 0 parts those who hash A as sent or padded from those who strip it', () => {
    const a = integer(leadingZeros.a.A);
    const { A, S, K } = sessions(a)['adk']!;
    expect([A[0], fromInteger(S).length, K[0] === 0]).to.deep.equal([0, 384, false]);
    expect(camps(a)).to.have.deep.members([
      ['neutral', 'padded-session', 'padded-proofs', 'integer-key'],
      ['adk'],
      ['all-stripped'],
      ['literal'],
    ]);
  });

  it('S[0] = 0 parts those who pad S', () => {
    const a = integer(leadingZeros.a.S);
    const { A, S, K } = sessions(a)['adk']!;
    expect([A[0] === 0, fromInteger(S).length, K[0] === 0]).to.deep.equal([false, 383, false]);
    expect(camps(a)).to.have.deep.members([
      real.filter((name) => name !== 'padded-session'),
      ['padded-session'],
      ['literal'],
    ]);
  });

  it('K[0] = 0 parts those who pass K through an integer', () => {
    const a = integer(leadingZeros.a.K);
    const found = sessions(a);
    const { A, S, K } = found['adk']!;
    expect([A[0] === 0, fromInteger(S).length, K[0]]).to.deep.equal([false, 384, 0]);
    expect([K.length, found['integer-key']!.K.length]).to.deep.equal([64, 63]);
    expect(camps(a)).to.have.deep.members([
      real.filter((name) => name !== 'integer-key'),
      ['integer-key'],
      ['literal'],
    ]);
  });

  it('B[0] = 0 parts by how B enters the proof, whichever way it was sent', () => {
    const b = integer(leadingZeros.bForShortB);
    const stripped = new SrpServer(verifier, b, srpConventions.adk).B;
    const padded = new SrpServer(verifier, b, srpConventions['padded-session']).B;
    expect([stripped.length, padded.length, padded[0]]).to.deep.equal([383, 384, 0]);
    const a = integer(leadingZeros.a.none);
    expect(camps(a, stripped)).to.have.deep.members([
      ['neutral', 'adk', 'all-stripped', 'integer-key'],
      ['padded-session', 'padded-proofs'],
      ['literal'],
    ]);
    expect(camps(a, padded)).to.have.deep.members([
      ['neutral', 'padded-session', 'padded-proofs'],
      ['adk', 'all-stripped', 'integer-key'],
      ['literal'],
    ]);
  });

  it('is told by hasLeadingZero', () => {
    for (const which of ['A', 'S', 'K'] as const)
      expect(hasLeadingZero(sessions(integer(leadingZeros.a[which]))['neutral']!), which).to.equal(true);
  });

  it('knows the exponents others published for a 383-byte A', () => {
    for (const a of leadingZeros.publishedForShortA)
      expect(fromInteger(powG(integer(a))).length).to.equal(383);
  });

  for (const which of ['A', 'S', 'K', 'M1'] as const)
    it(`a is found for which ${which}[0] = 0 and nothing else is, always the same`, () => {
      const random = seededRandom(`ground ${which}`);
      for (const session of ['stripped', 'padded'] as const) {
        const convention = { ...srpConventions.neutral, session };
        const input: ClientInput = { password, salt, B, a: toInteger(random.bytes(32)), convention };
        const a = groundExponent(input, which);
        expect(a >= input.a && a < input.a + 5_000n).to.equal(true);
        const { A, S, K, M1 } = clientSession({ ...input, a });
        expect({
          ...{ A: A[0] === 0, S: fromInteger(S).length < 384, K: K[0] === 0, M1: M1[0] === 0 },
        }).to.deep.equal({
          ...{ A: false, S: false, K: false, M1: false },
          [which]: true,
        });
        expect(groundExponent(input, which)).to.equal(a);
      }
    });

  it('the first a that does is found', () => {
    const input: ClientInput = { password, salt, B, a: integer(leadingZeros.a.none) };
    const a = groundExponent(input, 'A');
    for (let before = input.a; before < a; before++) expect(powG(before) >> 3064n > 0n).to.equal(true);
  });

  it('a left-aligned value is its own camp, and only with a leading zero byte', () => {
    const leftAligned = { proofA: 'left-aligned', session: 'left-aligned' } as const;
    for (const [which, agrees] of [
      ['none', true],
      ['A', false],
      ['S', false],
    ] as const) {
      const input = { password, salt, B, a: integer(leadingZeros.a[which]) };
      const right = clientSession({ ...input, convention: srpConventions.adk });
      const wrong = clientSession({ ...input, convention: { ...srpConventions.adk, ...leftAligned } });
      expect(hex(wrong.M1) === hex(right.M1), which).to.equal(agrees);
    }
  });

  it('A goes out short where the convention says so, and u is the same', () => {
    const input = { password, salt, B, a: integer(leadingZeros.a.A) };
    const short = clientSession({ ...input, convention: { ...srpConventions.neutral, wireA: 'stripped' } });
    const padded = clientSession({ ...input, convention: { ...srpConventions.neutral, proofA: 'stripped' } });
    expect([short.A.length, padded.A.length]).to.deep.equal([383, 384]);
    expect([short.u, hex(short.K), hex(short.M1)]).to.deep.equal([padded.u, hex(padded.K), hex(padded.M1)]);
  });

  it('the proof of M4 may be over A as sent, padded or stripped, and over nothing else', () => {
    const session = sessions(integer(leadingZeros.a.A))['neutral']!;
    const { A, M1, K } = session;
    const over = (hashed: Uint8Array) => sha512(hashed, M1, K);
    for (const hashed of [A, A.subarray(1), fromInteger(toInteger(A), 384)])
      expect(isAccessoryProof(over(hashed), session)).to.equal(true);
    const shifted = new Uint8Array(384);
    shifted.set(A.subarray(1));
    for (const hashed of [shifted, A.subarray(2), new Uint8Array(0)])
      expect(isAccessoryProof(over(hashed), session)).to.equal(false);
    expect(isAccessoryProof(over(A).subarray(0, 63), session)).to.equal(false);
  });

  for (const which of ['A', 'S', 'K'] as const)
    it(`client and server of one convention agree with ${which}[0] = 0`, () => {
      for (const name of conventionNames) {
        const convention = srpConventions[name];
        const server = new SrpServer(verifier, integer(leadingZeros.b), convention);
        const client = clientSession({
          password,
          salt,
          B: server.B,
          a: integer(leadingZeros.a[which]),
          convention,
        });
        const session = server.session(client.A);
        expect(hex(session.M1), name).to.equal(hex(client.M1));
        expect(hex(session.proveWith(client.M1)), name).to.equal(hex(client.M2));
      }
    });
});

describe('SRP-6a, both sides', () => {
  for (const name of conventionNames)
    it(`agree in the convention ${name}`, () => {
      const convention = srpConventions[name];
      const random = seededRandom(`srp ${name}`);
      for (let round = 0; round < 4; round++) {
        const salt = random.bytes(16);
        const server = new SrpServer(
          makeVerifier('031-45-154', salt),
          toInteger(random.bytes(32)),
          convention,
        );
        const a = toInteger(random.bytes(32));
        const client = clientSession({ password: '031-45-154', salt, B: server.B, a, convention });
        const session = server.session(client.A);
        expect(session.S).to.equal(client.S);
        expect(hex(session.M1)).to.equal(hex(client.M1));
        expect(hex(session.proveWith(client.M1))).to.equal(hex(client.M2));
        const wrong = clientSession({ password: '031-45-155', salt, B: server.B, a, convention });
        expect(proofEquals(session.M1, wrong.M1)).to.equal(false);
      }
    });

  it('agree with the formulas in plain BigInt and node:crypto', () => {
    const nBytes = fromInteger(N);
    const pad = (value: bigint) => fromInteger(value, 384);
    const k = toInteger(sha512(nBytes, pad(g)));
    const mask = sha512(nBytes).map((byte, i) => byte ^ sha512(Uint8Array.of(5))[i]!);
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 16, maxLength: 16 }),
        fc.bigInt({ min: 1n, max: (1n << 256n) - 1n }),
        fc.bigInt({ min: 1n, max: (1n << 256n) - 1n }),
        fc.string(),
        (salt, a, b, password) => {
          const x = toInteger(sha512(salt, sha512(utf8(`Pair-Setup:${password}`))));
          const v = plainPow(g, x, N);
          const A = plainPow(g, a, N);
          const B = (k * v + plainPow(g, b, N)) % N;
          const u = toInteger(sha512(pad(A), pad(B)));
          const S = plainPow(A * plainPow(v, u, N), b, N);
          const K = sha512(fromInteger(S));
          const M1 = sha512(mask, sha512('Pair-Setup'), salt, fromInteger(A), fromInteger(B), K);
          const M2 = sha512(pad(A), M1, K);
          const server = new SrpServer(makeVerifier(password, salt), b);
          const client = clientSession({ password, salt, B: server.B, a, convention: srpConventions.adk });
          expect(server.verifier.v).to.equal(v);
          expect(toInteger(server.B)).to.equal(B);
          expect(toInteger(client.A)).to.equal(A);
          expect(client.S).to.equal(S);
          expect([hex(client.K), hex(client.M1), hex(client.M2)]).to.deep.equal([K, M1, M2].map(hex));
          expect(hex(server.session(client.A).proveWith(client.M1))).to.equal(hex(M2));
        },
      ),
      { numRuns: 15 },
    );
  });

  it('takes another encoding of A as sent', () => {
    const salt = fromHex(leadingZeros.salt);
    const a = integer(leadingZeros.a.A);
    const short = fromInteger(powG(a));
    const server = new SrpServer(
      makeVerifier('031-45-154', salt),
      integer(leadingZeros.b),
      srpConventions.neutral,
    );
    const client = clientSession({ password: '031-45-154', salt, B: server.B, a, A: short });
    expect(client.A).to.equal(short);
    const session = server.session(short);
    expect(hex(session.M1)).to.equal(hex(client.M1));
    expect(hex(client.M2)).to.equal(hex(accessoryProof(short, client.M1, client.K, srpConventions.neutral)));
  });
});

describe('SRP-6a, public values', () => {
  it('A that is 0 mod N is illegal in every encoding', () => {
    for (const value of [0n, N, 2n * N])
      for (const encoded of [fromInteger(value), fromInteger(value, 384), fromInteger(value, 400)])
        expect(isIllegalA(encoded), `${value === 0n ? 0 : value / N}N in ${encoded.length} bytes`).to.equal(
          true,
        );
    for (const value of [1n, 5n, N - 1n, N + 1n]) expect(isIllegalA(fromInteger(value))).to.equal(false);
  });

  it('an illegal A makes S zero whatever the code is', () => {
    const server = new SrpServer(makeVerifier('031-45-154', new Uint8Array(16)), 12345n);
    for (const value of [0n, N]) expect(server.session(fromInteger(value, 384)).S).to.equal(0n);
  });

  it('an illegal A lets in whoever guesses K, where it is not refused', () => {
    const salt = fromHex(leadingZeros.salt);
    const server = new SrpServer(makeVerifier('031-45-154', salt), integer(leadingZeros.b));
    const K = sha512('');
    for (const { A, hashed } of [
      { A: fromInteger(N), hashed: fromInteger(N) },
      { A: new Uint8Array(384), hashed: new Uint8Array(0) },
    ]) {
      const session = server.session(A);
      const forged = forgedSession(salt, server.B, { A, K, hashed });
      expect([hex(forged.K), hex(forged.M1)]).to.deep.equal([hex(session.K), hex(session.M1)]);
      expect(isAccessoryProof(session.proveWith(forged.M1), forged)).to.equal(true);
    }
    const guess = forgedSession(salt, server.B, { A: fromInteger(N), K: sha512(Uint8Array.of(0)) });
    expect(hex(guess.M1)).to.not.equal(hex(server.session(fromInteger(N)).M1));
  });

  it('names what is wrong with B', () => {
    const defects: readonly [Uint8Array, string | undefined][] = [
      [new Uint8Array(0), 'PublicKey is 0 bytes, 1 to 384 are allowed'],
      [new Uint8Array(385), 'PublicKey is 385 bytes, 1 to 384 are allowed'],
      [new Uint8Array(1), 'PublicKey is 0 mod N'],
      [new Uint8Array(384), 'PublicKey is 0 mod N'],
      [fromInteger(N), 'PublicKey is 0 mod N'],
      [fromInteger(N + 1n), 'PublicKey is not below N'],
      [fromInteger(1n), 'PublicKey is 1'],
      [fromInteger(2n), undefined],
      [fromInteger(2n, 384), undefined],
      [fromInteger(N - 1n), undefined],
    ];
    for (const [B, defect] of defects) expect(publicKeyDefect(B)).to.equal(defect);
  });

  it('compares proofs by content and length', () => {
    const proof = sha512('proof');
    expect(proofEquals(proof, sha512('proof'))).to.equal(true);
    for (const other of [proof.subarray(1), proof.subarray(0, 63), new Uint8Array(0), new Uint8Array(64)])
      expect(proofEquals(proof, other)).to.equal(false);
  });
});

describe('exponentiation', () => {
  afterEach(() => memoiseArithmetic(false));

  const exponents = fc.oneof(
    fc.bigInt({ min: 0n, max: 40n }),
    fc.bigInt({ min: 0n, max: (1n << 512n) + 40n }),
    fc.bigInt({ min: 0n, max: (1n << 800n) - 1n }),
    fc.constantFrom(0n, 1n, (1n << 512n) - 1n, 1n << 512n, (1n << 512n) + 1n, 1n << 255n, N - 1n),
  );
  const bases = fc.oneof(
    fc.constantFrom(0n, 1n, 2n, g, N - 1n, N, N + 5n),
    fc.bigInt({ min: 0n, max: (1n << 3080n) - 1n }),
  );

  it('is square and multiply, for any base and exponent', () => {
    fc.assert(
      fc.property(bases, exponents, (base, exponent) => {
        expect(pow(base, exponent)).to.equal(plainPow(base, exponent, N));
      }),
      { numRuns: 60 },
    );
  });

  it('from the table of g is the same', () => {
    fc.assert(
      fc.property(exponents, (exponent) => {
        const expected = plainPow(g, exponent, N);
        expect(powG(exponent)).to.equal(expected);
        expect(pow(g, exponent)).to.equal(expected);
      }),
      { numRuns: 60 },
    );
  });

  it('from the table of another base is the same', () => {
    fc.assert(
      fc.property(bases, fc.array(exponents, { minLength: 1, maxLength: 4 }), (base, several) => {
        const raise = fixedBase(base % N);
        for (const exponent of several) expect(raise(exponent)).to.equal(plainPow(base, exponent, N));
      }),
      { numRuns: 10 },
    );
  });

  it('is the same when memoised, at first and again, and after it is switched off', () => {
    const random = seededRandom('memo');
    const pairs = Array.from({ length: 4 }, (_, i) => ({
      base: i === 0 ? g : toInteger(random.bytes(384)) % N,
      exponent: toInteger(random.bytes(32)),
    }));
    const expected = pairs.map(({ base, exponent }) => plainPow(base, exponent, N));
    const all = () => pairs.map(({ base, exponent }) => pow(base, exponent));
    expect(all()).to.deep.equal(expected);
    memoiseArithmetic(true);
    expect(all()).to.deep.equal(expected);
    expect(all()).to.deep.equal(expected);
    memoiseArithmetic(true);
    expect(all()).to.deep.equal(expected);
    memoiseArithmetic(false);
    expect(all()).to.deep.equal(expected);
  });

  it('works in the group of RFC 5054', () => {
    // g has order (N - 1) / 2 or N - 1 in a safe-prime group.
    const power = plainPow(g, (N - 1n) / 2n, N);
    expect([1n, N - 1n]).to.include(power);
    expect(N.toString(2).length).to.equal(3072);
  });
});
