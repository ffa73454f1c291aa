/**
 * The proof of Pair Setup: M3 brings A and the controller's proof, M4 the accessory's (seed 002 §2).
 * The first check says which of the known mistakes of SRP an accessory makes that refuses the right code.
 * The others send a wrong code, leading zeros, and an M3 that is broken in one place.
 */
import {
  type CheckContext,
  type CheckSpec,
  type Controller,
  type PairSetup,
  WRONG_CODE,
  chapter,
  edits,
  hap,
  outcomes,
} from '../../harness/suite.js';

const accepted = outcomes.success('setup-m4');
const refused = outcomes.tlvError(4, 'Authentication');
const LITERAL = 'the proof is accepted only with k and u over unpadded values';

/** Hexadecimal digits in the place of the bytes they are of. */
function isHexText(bytes: hap.Bytes): boolean {
  return /^(0x)?[0-9a-f]{64,}$/i.test(hap.text(bytes));
}

/**
 * A refused proof of the right code: the commonest first hour of all. What M2 shows costs nothing; then probes, one
 * failed attempt each, tell known mistakes from a wrong code; nothing else that needs the code is tried after this.
 */
async function whyRefused(controller: Controller, { m2 }: PairSetup): Promise<string> {
  if (m2?.B !== undefined && isHexText(m2.B))
    return 'no proof can be right: B in M2 is hexadecimal text in the place of the bytes of the number';
  const wrong = `${WRONG_CODE}: the proof of the code given was refused with Error=2(Authentication)`;
  const accepts = async (options: Parameters<Controller['pairSetup']>[0]): Promise<boolean> => {
    // Some keep Pair Setup for the connection whose proof they have refused, as long as it is open.
    await controller.bench.closeLinks();
    const setup = await controller.pairSetup(options);
    return outcomes.success('setup-m4').matches(await setup.sendM3());
  };
  if (await accepts({ code: 'undashed' }))
    return 'the proof is accepted only for the setup code without its dashes';
  if (await accepts({ convention: 'literal' })) return LITERAL;
  // Each further attempt is one of the hundred a device has, and the commonest reason is a code that is wrong.
  const { clock, options } = controller.bench;
  if (!clock.virtual && options.searching !== true) return wrong;
  if (await accepts({ user: 'pair-setup' }))
    return 'the proof is accepted only for the SRP user name pair-setup in the place of Pair-Setup';
  if (await accepts({ backwards: true }))
    return 'the proof is accepted only with B of M2 read least significant byte first';
  return wrong;
}

/** An M3 that lacks something. */
const malformed: CheckSpec = {
  from: 'unpaired',
  needs: ['PS-M3-01'],
  risky: true,
  ...outcomes.reject('setup-m4'),
};

/** One M1 and one M3 that must be refused. */
const oneGuess: CheckSpec = {
  from: 'unpaired',
  needs: ['PS-M3-01'],
  costs: { m2: 1, m4: 1, attempts: 1 },
  ...outcomes.reject('setup-m4'),
};

/** A right code that must do in one form of a value; the second form is tried only when the first is refused. */
const leadingZero: CheckSpec = {
  from: 'unpaired',
  // A proof of M4 that is always wrong says nothing about leading zeros.
  needs: ['PS-M3-01', 'PS-M3-03'],
  costs: { m2: 1, m4: 1, attempts: 1 },
  worth: 'everyday',
  allow: [accepted],
  forbid: [outcomes.anyRefusal(), outcomes.silence()],
};

/**
 * The reference's form of a value that starts with a zero byte, then the other camp's, each on an M1 of its own: the
 * first is right, the other one means that one pairing in 256 with a controller of the first camp fails.
 */
async function eitherForm(
  { bench, expect, observe, warn, violate }: CheckContext,
  value: 'A' | 'B' | 'S',
  begin: (form: 'stripped' | 'padded') => Promise<PairSetup>,
): Promise<void> {
  for (const form of ['stripped', 'padded'] as const) {
    await bench.closeLinks();
    const setup = await begin(form);
    const outcome = await setup.sendM3();
    // Refused in the first form: the second decides.
    if (form === 'stripped' && !accepted.matches(outcome)) continue;
    expect(outcome, `${value} ${form}`).to.be.allowed();
    observe(`${value} in the proof`, form);
    // The accessory's own proof is taken over A in any of the forms in use.
    const [defect] = outcome.kind === 'reply' ? setup.readM4(outcome).findings : [];
    if (defect !== undefined) violate(`with a leading zero byte in ${value}: ${defect.what}`);
    if (form === 'padded') warn(`the proof is accepted only with ${value} padded to 384 bytes`);
    return;
  }
}

/** M1s until B starts with a zero byte: 256 on average, and one case in 2,500 needs more than these. */
const MOST_M1S = 2_000;

/** Departures from the right proof that a careless comparison overlooks. */
const nearProofs: Record<string, (proof: hap.Bytes) => hap.Bytes> = {
  '1-byte': (proof) => proof.subarray(0, 1),
  '16-bytes': (proof) => proof.subarray(0, 16),
  '32-bytes': (proof) => proof.subarray(0, 32),
  '63-bytes': (proof) => proof.subarray(0, 63),
  '65-bytes': (proof) => hap.concat(proof, Uint8Array.of(0)),
  'last-byte-flipped': (proof) => hap.concat(proof.subarray(0, 63), Uint8Array.of(~proof[63]!)),
  'all-zero': () => new Uint8Array(hap.Length.proof),
};

/** Elements of order 1 or 2, and the generator: S takes one value or two, or is the accessory's own v^(ub) g^b. */
const trivialKeys = { one: 1n, generator: hap.g, 'n-minus-1': hap.N - 1n };

export default chapter('pair-setup.m3-m4', ({ check, watch }) => [
  check(
    'PS-M3-01',
    'Valid M3 gets a valid M4',
    {
      sanity: true,
      once: true,
      from: 'unpaired',
      costs: { m2: 1, m4: 1 },
      allow: [outcomes.success('setup-m4')],
    },
    async ({ controller, expect, violate }) => {
      const setup = await controller.pairSetup();
      const outcome = await setup.sendM3();
      if (refused.matches(outcome)) violate(await whyRefused(controller, setup));
      expect(outcome).to.be.allowed();
      if (outcome.kind === 'reply')
        expect(setup.readM4(outcome).proof?.length, 'bytes of Proof').to.equal(hap.Length.proof);
    },
  ),

  check(
    'PS-M3-02',
    'k and u use values padded to the length of N',
    {
      from: 'unpaired',
      costs: { m2: 2, m4: 2, attempts: 1 },
      allow: [refused],
      tolerate: [outcomes.anyRefusal()],
      forbid: [accepted],
    },
    async ({ controller, bench, expect, violate }) => {
      // Of what PS-M3-01 may have found, only this is about k and u.
      if (bench.broken.get('PS-M3-01') !== LITERAL) controller.relyOn('PS-M3-01');
      const padded = await controller.pairSetup();
      const first = await padded.sendM3();
      await bench.closeLinks();
      const literal = await controller.pairSetup({ convention: 'literal' });
      const second = await literal.sendM3();
      if (accepted.matches(second))
        violate(
          accepted.matches(first) ? 'the proof is accepted also with k and u over unpadded values' : LITERAL,
        );
      // Refused both times it is the code, or something else about SRP.
      controller.must('setup-m4', 'PS-M3-01', first);
      expect(second).to.be.allowed();
    },
  ),

  watch(
    'PS-M3-03',
    'The server proof in M4 is correct',
    'setup-m4',
    ({ m4: { proof, findings } }, { expect }) => {
      if (proof === undefined) return;
      const defect = findings.find(({ requirement }) => requirement === 'PS-M3-03');
      expect(defect?.what, 'the proof in M4').to.equal(undefined);
    },
  ),

  check(
    'PS-M3-04',
    'Wrong setup code',
    {
      from: 'unpaired',
      needs: ['PS-M3-01'],
      costs: { m2: 1, m4: 1, attempts: 1 },
      allow: [outcomes.tlvError(4, 'Authentication')],
      // Seed 002 §2.6 tells the code; with another HTTP status (erratum E21) it is still told.
      tolerate: [outcomes.misplacedError(4, 'Authentication')],
      forbid: [outcomes.success('setup-m4')],
    },
    async ({ controller, expect }) => {
      const setup = await controller.pairSetup({ code: 'wrong' });
      expect(await setup.sendM3()).to.be.allowed();
    },
  ),

  check(
    'PS-M3-05',
    'The code is used with its dashes',
    {
      from: 'unpaired',
      costs: { m2: 1, m4: 1, attempts: 1 },
      allow: [outcomes.tlvError(4, 'Authentication')],
      // By which code is PS-M3-04's question.
      tolerate: [outcomes.anyRefusal()],
      forbid: [outcomes.success('setup-m4')],
    },
    async ({ controller, bench, expect, notApplicable }) => {
      // The probes behind a refused right code have tried this form already, and each try is a failed attempt.
      if (bench.broken.get('PS-M3-01')?.startsWith(WRONG_CODE))
        notApplicable('PS-M3-01 has tried it: refused');
      const setup = await controller.pairSetup({ code: 'undashed' });
      const outcome = await setup.sendM3();
      // An accessory that does not answer M3 at all says nothing about dashes.
      if (outcome.kind === 'silence') controller.relyOn('PS-M3-01');
      expect(outcome).to.be.allowed();
    },
  ),

  check(
    'PS-M3-08',
    'M3 without Proof',
    { ...malformed, grid: ['setup-m3', 'item-missing'], costs: { m2: 2, m4: 1, attempts: 1 } },
    async ({ controller, expect }) => {
      const setup = await controller.pairSetup();
      expect(await setup.sendM3(edits.drop('Proof'))).to.be.allowed();
      expect(await controller.isUnpaired(), 'a new M1 works').to.equal(true);
    },
  ),

  check(
    'PS-M3-09',
    'M3 without PublicKey',
    { ...malformed, costs: { m2: 1, m4: 1, attempts: 1 } },
    async ({ controller, expect, random }) => {
      const setup = await controller.pairSetup();
      expect(
        await setup.sendM3(edits.all(edits.drop('PublicKey'), edits.replace('Proof', random.bytes(64)))),
      ).to.be.allowed();
    },
  ),

  ...Object.entries(nearProofs).map(([name, near]) =>
    check(
      `PS-M3-07/${name}`,
      'A prefix or an extension of the right proof is refused',
      { ...oneGuess, ...(name.includes('flipped') && { grid: ['setup-m3', 'bad-tag'] as const }) },
      async ({ controller, expect }) => {
        const setup = await controller.pairSetup();
        expect(await setup.sendM3(edits.replace('Proof', near))).to.be.allowed();
      },
    ),
  ),

  check(
    'PS-M3-10/385-bytes-leading-zero',
    'A longer than 384 bytes',
    {
      ...oneGuess,
      risky: true,
      allow: [accepted, outcomes.tlvError(4), outcomes.badRequest()],
      forbid: [outcomes.silence()],
    },
    async ({ controller, expect }) => {
      const setup = await controller.pairSetup();
      const A = edits.replace('PublicKey', (right) => hap.concat(Uint8Array.of(0), right));
      expect(await setup.sendM3(A)).to.be.allowed();
    },
  ),

  ...[385, 512, 1024, 2000].map((length) =>
    check(
      `PS-M3-10/${length}-bytes`,
      'A longer than 384 bytes',
      { ...oneGuess, risky: true },
      async ({ controller, expect, random }) => {
        const setup = await controller.pairSetup({ code: 'wrong' });
        const A = hap.concat(Uint8Array.of(1), random.bytes(length - 1));
        const guess = edits.all(
          edits.replace('PublicKey', A),
          edits.replace('Proof', random.bytes(hap.Length.proof)),
        );
        expect(await setup.sendM3(guess)).to.be.allowed();
      },
    ),
  ),

  ...Object.entries(trivialKeys).map(([name, A]) =>
    check(
      `PS-M3-11/${name}`,
      'A valid but 1 <= A < 2^k for small k',
      { ...oneGuess, risky: true },
      async ({ controller, expect, random }) => {
        const setup = await controller.pairSetup({ code: 'wrong' });
        const key = hap.fromInteger(A, hap.Length.srpPublicKey);
        const guess = edits.all(
          edits.replace('PublicKey', key),
          edits.replace('Proof', random.bytes(hap.Length.proof)),
        );
        expect(await setup.sendM3(guess)).to.be.allowed();
      },
    ),
  ),

  check('PS-M3-12', 'A with a leading zero byte', leadingZero, async (context) => {
    await eitherForm(context, 'A', (proofA) =>
      context.controller.pairSetup({ leadingZero: 'A', convention: { proofA } }),
    );
  }),

  check(
    'PS-M3-13',
    'A sent without its leading zero byte',
    {
      from: 'unpaired',
      needs: ['PS-M3-01'],
      risky: true,
      costs: { m2: 1, m4: 1 },
      allow: [accepted],
      tolerate: [outcomes.anyRefusal()],
      forbid: [outcomes.silence()],
    },
    async ({ controller, expect }) => {
      const setup = await controller.pairSetup({ leadingZero: 'A', convention: { wireA: 'stripped' } });
      const outcome = await setup.sendM3();
      expect(outcome).to.be.allowed();
      if (accepted.matches(outcome) && outcome.kind === 'reply') setup.readM4(outcome);
    },
  ),

  check(
    'PS-M3-14',
    'B with a leading zero byte',
    { ...leadingZero, costs: { m2: 256, m4: 1, attempts: 1 } },
    async (context) => {
      await eitherForm(context, 'B', async (proofB) => {
        const setup = await context.controller.pairSetupWithShortB(MOST_M1S, { convention: { proofB } });
        return setup ?? context.notApplicable(`none of ${MOST_M1S} M2s held a B with a leading zero byte`);
      });
    },
  ),

  check('PS-M3-15', 'S with a leading zero byte', leadingZero, async (context) => {
    await eitherForm(context, 'S', (session) =>
      context.controller.pairSetup({ leadingZero: 'S', convention: { session } }),
    );
  }),

  check(
    'PS-M3-16',
    'K with a leading zero byte',
    {
      from: 'unpaired',
      leaves: 'paired',
      needs: ['PS-M3-01', 'PS-M3-03', 'PS-M5-01'],
      costs: { m2: 1, m4: 1, m6: 1 },
      allow: [accepted],
    },
    async ({ controller, expect }) => {
      const setup = await controller.pairSetup({ leadingZero: 'K' });
      const m4 = await setup.sendM3();
      expect(m4).to.be.allowed();
      if (m4.kind === 'reply') expect(setup.readM4(m4).findings, 'the proof in M4').to.deep.equal([]);
      const m6 = await setup.asGuest().sendM5();
      expect(m6, 'M5 behind it').to.be.allowed({ allow: [outcomes.success('setup-m6')] });
      if (m6.kind === 'reply') expect(setup.readM6(m6).findings, 'M6').to.deep.equal([]);
    },
  ),

  ...[0, 1, 5].map((method) =>
    check(
      `PS-M3-17/method-${method}`,
      'Method repeated or changed in M3',
      {
        from: 'unpaired',
        needs: ['PS-M3-01'],
        costs: { m2: 1, m4: 1 },
        allow: [accepted, outcomes.tlvError(4), outcomes.badRequest()],
        tolerate: [outcomes.anyRefusal()],
        forbid: [outcomes.silence()],
      },
      async ({ controller, expect, violate }) => {
        const setup = await controller.pairSetup();
        const outcome = await setup.sendM3(edits.insert(hap.tlv(hap.TlvType.Method, method), -1));
        const reply = outcome.kind === 'reply' ? outcome.tlv : undefined;
        if (reply?.has(hap.TlvType.EncryptedData)) violate('M4 holds the EncryptedData of PairSetupWithAuth');
        if (reply !== undefined && reply.error === undefined && reply.state !== 4)
          violate('the answer is a success of another procedure');
        expect(outcome).to.be.allowed();
      },
    ),
  ),

  watch(
    'PS-M3-18',
    'M4 carries only the defined items',
    'setup-m4',
    ({ reply }, { expect, violate, warn }) => {
      const types = new Set(reply.tlv!.items.map(({ type }) => type));
      expect([...types]).to.include(hap.TlvType.Proof);
      for (const type of types) {
        const name = hap.tlvTypeName(type);
        if (([hap.TlvType.PublicKey, hap.TlvType.Salt, hap.TlvType.Error] as number[]).includes(type))
          violate(`M4 carries ${name} beside its Proof`);
        // EncryptedData belongs to PairSetupWithAuth, which no flow of this run asks for.
        if (!([hap.TlvType.State, hap.TlvType.Proof] as number[]).includes(type))
          warn(`M4 carries ${name} too`);
      }
    },
  ),

  ...[0, 1, 32, 63, 65, 128].map((length) =>
    check(
      `PS-M3-06/${length}-bytes`,
      'Proof of wrong length',
      {
        from: 'unpaired',
        needs: ['PS-M3-01'],
        risky: true,
        costs: { m2: 1, m4: 1, attempts: 1 },
        ...outcomes.reject('setup-m4'),
      },
      async ({ controller, expect, random }) => {
        const setup = await controller.pairSetup();
        expect(await setup.sendM3(edits.replace('Proof', random.bytes(length)))).to.be.allowed();
      },
    ),
  ),
]);
