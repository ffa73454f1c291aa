/**
 * SRP with chosen public keys: every A that fixes the session key without the code.
 * Each form is sent with the proof that fits it, so that only the test of A itself stands in its way.
 * The code is never used.
 */
import { chapter, hap, outcomes } from '../../harness/suite.js';

const nothing = new Uint8Array(0);
const zeros = new Uint8Array(hap.Length.srpPublicKey);

/** K = H(S) for S = 0: as no bytes at all (the commonest), padded to 384, and as one byte. */
const K = { stripped: hap.sha512(nothing), padded: hap.sha512(zeros), oneByte: hap.sha512(Uint8Array.of(0)) };

/** An encoding of 0 mod N with each of the three K; most accessories hash A as it came. */
function asSent(A: hap.Bytes): hap.Forgery[] {
  return [K.stripped, K.padded, K.oneByte].map((guess) => ({ A, K: guess }));
}

/** The reference hashes A without leading zeros, and some implementations reduce it first: nothing is left of it. */
function hashedAsNothing(A: hap.Bytes): hap.Forgery {
  return { A, K: K.stripped, hashed: nothing };
}

const n = hap.fromInteger(hap.N);

const twice = hap.fromInteger(2n * hap.N);

/**
 * What somebody without the code can try. The first holds each form of 0 under the likeliest K, of which four have opened
 * accessories that were sold; a budget of failed attempts that does not hold all buys it before the others. That an A of
 * no bytes stands alone is because accessories go down of it.
 */
const forgeries: Record<string, (random: hap.Bytes) => readonly hap.Forgery[]> = {
  likeliest: () => [
    { A: n, K: K.stripped },
    { A: n, K: K.padded },
    hashedAsNothing(zeros),
    { A: zeros, K: K.stripped },
    { A: Uint8Array.of(0), K: K.stripped },
    { A: twice, K: K.stripped },
  ],
  n: () => [hashedAsNothing(n), { A: n, K: K.oneByte }],
  'zero-384-bytes': () => [K.padded, K.oneByte].map((guess) => ({ A: zeros, K: guess })),
  'zero-one-byte': () => [hashedAsNothing(Uint8Array.of(0)), ...asSent(Uint8Array.of(0))],
  empty: () => asSent(nothing),
  '2n': () => [...asSent(twice), hashedAsNothing(twice)],
  // The branch that refuses A has set neither K nor A, and goes on to compare.
  'without-a-and-k': () => [zeros, n].map((A) => ({ A, K: nothing, hashed: nothing })),
  // Any proof does where the refusal is the way out that means success.
  'random-proof': (random) => [{ A: zeros, K: random }],
};

export default chapter('security.srp', ({ check }) =>
  Object.entries(forgeries).map(([name, make]) => {
    const tries = make(new Uint8Array(64)).length;
    return check(
      `SEC-01/${name}`,
      'A congruent to 0 mod N never authenticates',
      {
        from: 'unpaired',
        // Nobody's code is needed; but a code known to be wrong is not followed by more failed attempts.
        needs: ['PS-M3-01'],
        risky: true,
        costs: { m2: tries, m4: tries, verifies: 1, attempts: tries },
        ...(name !== 'random-proof' && { worth: 'attack' }),
        ...outcomes.reject('setup-m4'),
      },
      async ({ controller, bench, expect, random, violate }) => {
        for (const forgery of make(random.bytes(64))) {
          // Some accessories hold a refused exchange until its connection ends.
          await bench.closeLinks();
          const setup = await controller.setup({ code: 'wrong' });
          await setup.m1Forged(forgery);
          const outcome = await setup.sendM3();
          if (outcomes.success('setup-m4').matches(outcome)) {
            // How far it goes: all the way to a pairing, which is taken back by the identity remembered here.
            const paired = outcomes.success('setup-m6').matches(await setup.sendM5());
            const end = paired
              ? 'M5 and M6 then paired a controller that does not know the code'
              : 'M5 under the K guessed was not answered by M6';
            violate(`an A that is 0 mod N was accepted with a proof made without the code; ${end}`);
          }
          expect(outcome).to.be.allowed();
          // Locked: every further try would be met by the same answer.
          if (outcome.kind === 'reply' && outcome.tlv?.error === hap.TlvError.MaxTries) return;
        }
      },
    );
  }),
);
