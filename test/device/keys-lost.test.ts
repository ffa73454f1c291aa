import { expect } from 'chai';
import {
  Accessory,
  type Behaviour,
  type Dress,
  airplayDress,
  embed,
  faults,
  hapDress,
  healthyIn,
  memoryStore,
  twin,
} from '../../harness/accessory/index.js';
import { Bench, type Memory, airplayProfile, hapProfile } from '../../harness/device/index.js';
import {
  AIRPLAY_CODE,
  type Identity,
  Method,
  Permission,
  TlvError,
  TlvType,
  accessoryIdentity,
  airplayCode,
  controllerIdentity,
  equal,
  hex,
  parseSetupCode,
  seededRandom,
  tlv,
} from '../../harness/protocol/index.js';
import { type Clock, type TraceEvent, VirtualClock, defaultPatience } from '../../harness/wire/index.js';
import { suite } from '../../suites/index.js';
import { quickArithmetic } from '../arithmetic.js';
import { execute, newRun } from '../runner/bench.js';

/** What a scripted accessory may look at beside its own behaviour. */
interface Scene {
  readonly ok: Behaviour;
  readonly clock: Clock;
  /** Identifiers (hex) whose removal is still to come, and when it does. */
  readonly leaving: Map<string, number>;
  /** When a connection was last ended by a removal. */
  ended: number;
}

type Change = (scene: Scene) => Partial<Behaviour>;
type Reply = Parameters<Behaviour['answers']>[0];

const isRemove = ({ step }: Reply): boolean => step === 'pairings-remove';
const keeps = { removes: () => false, endsSession: () => false };

/** Whoever removes anybody, itself too, meets this. */
const scripts: Readonly<Record<string, Change>> = {
  'refuses by Error=2': ({ ok }) => ({
    ...keeps,
    beforeSending: (reply) =>
      isRemove(reply)
        ? [tlv(TlvType.State, 2), tlv(TlvType.Error, TlvError.Authentication)]
        : ok.beforeSending(reply),
  }),
  'refuses by 404': ({ ok }) => ({
    ...keeps,
    status: (reply) => (isRemove(reply) ? 404 : ok.status(reply)),
  }),
  'ignores: empty 200': ({ ok }) => ({
    ...keeps,
    beforeSending: (reply) => (isRemove(reply) ? [] : ok.beforeSending(reply)),
  }),
  'ignores: silence': ({ ok }) => ({
    ...keeps,
    answers: (reply) => !isRemove(reply) && ok.answers(reply),
  }),
  'ignores: State=2': () => keeps,
  'ignores: close': ({ ok }) => ({
    removes: () => false,
    answers: (reply) => !isRemove(reply) && ok.answers(reply),
    admits: (request) =>
      request.secured && methodOf(request.message.body) === Method.RemovePairing
        ? 'close'
        : ok.admits(request),
  }),
  'loses: close': ({ ok }) => ({ answers: (reply) => !isRemove(reply) && ok.answers(reply) }),
  'loses: close, Busy for 300 ms': (scene) => ({
    answers(reply) {
      if (!isRemove(reply)) return scene.ok.answers(reply);
      scene.ended = scene.clock.now();
      return false;
    },
    refusesSetup: (request) =>
      scene.clock.now() < scene.ended + 300 ? TlvError.Busy : scene.ok.refusesSetup(request),
  }),
  'loses: silence': ({ ok }) => ({
    endsSession: () => false,
    answers: (reply) => !isRemove(reply) && ok.answers(reply),
  }),
  'delays: 2 s': (scene) => delayed(scene, 2_000, 'answer'),
  'delays: 2 s, close': (scene) => delayed(scene, 2_000, 'close'),
};

function methodOf(body: Uint8Array): number | undefined {
  return healthyIn(hapDress).decode(body).get(TlvType.Method)?.[0];
}

/** The removal is on its way to the flash, and until it is there the pairing counts. */
function delayed({ ok, clock, leaving }: Scene, wait: number, how: 'answer' | 'close'): Partial<Behaviour> {
  const stays = ({ id }: { id: Uint8Array }): boolean => (leaving.get(hex(id)) ?? Infinity) > clock.now();
  let paired = 0;
  return {
    removes({ id }) {
      if (!leaving.has(hex(id))) leaving.set(hex(id), clock.now() + wait);
      return false;
    },
    restored: (pairings) => {
      paired = pairings.length;
      return pairings;
    },
    answers: (reply) => !(how === 'close' && isRemove(reply)) && ok.answers(reply),
    lookUp: (id, known) => ok.lookUp(id, { ...known, pairings: known.pairings.filter(stays) }),
    endsSession: () => false,
    refusesSetup: (request) => {
      const gone = [...leaving.values()].filter((due) => due <= clock.now()).length;
      return ok.refusesSetup({ ...request, paired: request.paired && gone < paired });
    },
  };
}

interface Kept {
  readonly identity: Identity;
  readonly confirmed: boolean;
  readonly accessory: { readonly id: Uint8Array; readonly ltpk: Uint8Array } | undefined;
}

/** What survives the process, without the disk. */
function memoryOf(kept: Kept[]): Memory {
  const same = (identity: Identity) => (other: Kept) => equal(other.identity.ltsk, identity.ltsk);
  return {
    remember: (identity) => {
      if (!kept.some(same(identity))) kept.push({ identity, confirmed: false, accessory: undefined });
    },
    confirmed: () => undefined,
    forget: (identity) => {
      const at = kept.findIndex(same(identity));
      if (at >= 0) kept.splice(at, 1);
    },
    identities: () => [...kept],
    attempts: 0,
    spend: () => undefined,
    wasReset: () => undefined,
  };
}

interface Result {
  /** Pairings in the accessory whose key nobody has any more. */
  readonly lost: number;
  readonly inside: number;
  readonly kept: number;
  readonly clean: boolean;
  readonly message: string;
  readonly state: string;
  readonly seconds: number;
  /** Pair Verifies it took. */
  readonly verifies: number;
}

interface Earlier {
  /** The pairings are in the accessory; they are unless this is false. */
  readonly inside?: boolean;
  /** The earlier run had its M6, and so who the accessory is; it had unless this is false. */
  readonly confirmed?: boolean;
  /** Done between the first look and the end. */
  readonly run?: (bench: Bench) => Promise<void>;
}

/** What comes of `count` keys of an earlier run at an accessory of this kind. */
async function rescue(
  dress: Dress,
  change: Change,
  count: number,
  { inside: stored = true, confirmed = true, run }: Earlier = {},
): Promise<Result> {
  const random = seededRandom('keys lost');
  const clock = new VirtualClock();
  const own = accessoryIdentity(random);
  const identities = Array.from({ length: count }, () => controllerIdentity(random));
  const scene: Scene = { ok: healthyIn(dress), clock, leaving: new Map(), ended: -Infinity };
  const airplay = dress.kind === 'airplay';
  const code = airplay ? airplayCode(AIRPLAY_CODE) : parseSetupCode('031-45-154');
  const accessory = new Accessory({
    code,
    random: random.fork('accessory'),
    behaviour: { ...scene.ok, ...change(scene) },
    store: memoryStore({
      id: own.id,
      ltsk: own.ltsk,
      failedAttempts: 0,
      pairings: (stored ? identities : []).map(({ id, ltpk }) => ({
        id,
        ltpk,
        permissions: Permission.Admin,
      })),
    }),
  });
  const kept: Kept[] = identities.map((identity) => ({
    identity,
    confirmed,
    accessory: confirmed ? { id: own.id, ltpk: own.ltpk } : undefined,
  }));
  const bench = new Bench({
    dialer: embed(accessory, clock),
    profile: airplay ? airplayProfile() : hapProfile,
    code,
    random,
    patience: defaultPatience,
    memory: memoryOf(kept),
  });
  const start = clock.now();
  await bench.survey();
  const found = bench.state;
  await run?.(bench);
  const { clean, message } = await bench.restore(found);
  const seconds = (clock.now() - start) / 1000;
  // What is still to leave does so whatever happens to its key.
  const inside = accessory.pairings.filter(({ id }) => !scene.leaving.has(hex(id)));
  const lost = inside.filter(({ ltpk }) => !kept.some(({ identity }) => equal(identity.ltpk, ltpk)));
  return {
    lost: lost.length,
    inside: inside.length,
    kept: kept.length,
    clean,
    message,
    state: bench.state,
    seconds,
    verifies: bench.spent.verifies,
  };
}

const COUNTS = [1, 2, 8];

describe('target: keys of pairings that are hard to remove', function () {
  this.timeout(60_000);
  quickArithmetic();

  for (const [dress, name] of [
    [hapDress, 'an accessory'],
    [airplayDress, 'a receiver'],
  ] as const)
    for (const [script, change] of Object.entries(scripts))
      it(`0 of ${COUNTS.join(', ')} are lost: ${name} that ${script}`, async () => {
        const results: (Result & { count: number })[] = [];
        for (const count of COUNTS) results.push({ count, ...(await rescue(dress, change, count)) });
        const about = results.map(
          ({ count, lost, inside, kept, state, seconds, message }) =>
            `${count} keys: ${lost} lost, ${inside} in it, ${kept} kept, ${state}, ${seconds.toFixed(1)} s: ${message}`,
        );
        if (process.env['HAPSPEC_FIGURES'] === '1')
          console.log(about.map((line) => `      ${line}`).join('\n'));
        expect(
          results.map(({ lost }) => lost),
          about.join('\n'),
        ).to.deep.equal([0, 0, 0]);
        for (const { inside, kept, clean, seconds } of results) {
          // What is in it is said; nothing is kept that is of no use, nor tried for ever.
          expect([kept, clean], about.join('\n')).to.deep.equal([inside, inside === 0]);
          expect(seconds, 'seconds of the accessory').to.be.lessThan(150);
        }
      });

  const asks = { lookUp: () => undefined };
  for (const [what, change, earlier, kept, clean] of [
    ['a receiver that proves itself refuses them: forgotten', () => ({}), { inside: false }, 0, true],
    [
      'a receiver that does not prove itself refuses them: kept',
      () => ({ ...asks, signingKey: () => new Uint8Array(32).fill(7) }),
      {},
      2,
      false,
    ],
    [
      'a receiver lets nobody verify: kept',
      () => ({ refusesVerify: () => TlvError.Authentication }),
      {},
      2,
      false,
    ],
    ['a receiver is too busy to verify: kept', () => ({ refusesVerify: () => TlvError.Busy }), {}, 2, false],
    [
      'a receiver refuses them, and nobody knows who it is: kept',
      () => ({}),
      { inside: false, confirmed: false },
      2,
      false,
    ],
    [
      'and forgotten once it has told in an M6',
      () => ({}),
      { inside: false, confirmed: false, run: (bench) => bench.ensure('paired') },
      0,
      true,
    ],
    ['and the key that gets in is removed all the same', () => ({}), { confirmed: false }, 0, true],
  ] satisfies readonly (readonly [string, Change, Earlier, number, boolean])[])
    it(`keys of an earlier run, ${what}`, async () => {
      const result = await rescue(airplayDress, change, 2, earlier);
      expect([result.lost, result.kept, result.clean], result.message).to.deep.equal([0, kept, clean]);
    });

  for (const [what, change] of [
    ['serves M1: forgotten', () => ({})],
    ['serves M1 and does not prove itself: forgotten', () => ({ signingKey: () => new Uint8Array(32) })],
  ] satisfies readonly (readonly [string, Change])[])
    it(`keys of an earlier run, an accessory ${what}`, async () => {
      const { kept, clean, message } = await rescue(hapDress, change, 2, { inside: false });
      expect([kept, clean], message).to.deep.equal([0, true]);
    });

  it('an accessory that serves M1 while paired loses no key it opens to', async () => {
    const change: Change = ({ ok }) => ({
      ...keeps,
      refusesSetup: (request) => ok.refusesSetup({ ...request, paired: false }),
    });
    const { lost, kept, clean, message } = await rescue(hapDress, change, 2);
    expect([lost, kept, clean], message).to.deep.equal([0, 2, false]);
  });

  for (const [what, change] of [
    ['refuses by a status of its own', () => ({ refusesVerify: () => TlvError.MaxPeers })],
    [
      'answers nothing to Pair Verify',
      ({ ok }) => ({ answers: (reply) => reply.endpoint !== 'pair-verify' && ok.answers(reply) }),
    ],
  ] satisfies readonly (readonly [string, Change])[])
    it(`100 keys cost a bounded number of tries and time: a receiver that ${what}`, async () => {
      const { lost, kept, verifies, seconds } = await rescue(airplayDress, change, 100);
      expect([lost, kept]).to.deep.equal([0, 100]);
      expect(verifies, 'Pair Verifies').to.be.at.most(50);
      expect(seconds, 'seconds').to.be.at.most(75);
    });

  // What one run makes itself, in an accessory without a reset.
  for (const fault of faults.filter(({ name }) => /self-removal-/.test(name)))
    it(`a run loses none of its own keys either: ${fault.name}`, async () => {
      const random = seededRandom('own keys');
      const dress = fault.dress ?? hapDress;
      const airplay = dress.kind === 'airplay';
      const code = airplay ? airplayCode(AIRPLAY_CODE) : parseSetupCode('031-45-154');
      const accessory = new Accessory({ code, random: random.fork('accessory'), behaviour: twin(fault) });
      const kept: Kept[] = [];
      const bench = new Bench({
        dialer: embed(accessory, new VirtualClock()),
        profile: airplay ? airplayProfile() : hapProfile,
        code,
        random,
        patience: defaultPatience,
        memory: memoryOf(kept),
      });
      const wanted = suite.filter(
        ({ id, kind }) =>
          kind === 'check' && /^(P[SV]-M\d-01$|PS-M5-0[1-3]|PAIRINGS-(0[1-6]|1[2689]))/.test(id),
      );
      const { aftermath } = await execute(newRun({ bench, selected: wanted }));
      const lost = accessory.pairings.filter(
        ({ ltpk }) => !kept.some(({ identity }) => equal(identity.ltpk, ltpk)),
      );
      expect(lost, `lost of ${accessory.pairings.length}, ${kept.length} kept`).to.have.length(0);
      expect(aftermath.clean, aftermath.message).to.equal(accessory.pairings.length === 0);
      if (aftermath.clean) expect(kept).to.have.length(0);
    });

  it('says in what it blocks, and in the evidence, when and from which exchange the state was told', async () => {
    const evidence = new Map<string, readonly TraceEvent[]>();
    let blocked: readonly string[] = [];
    const { message } = await rescue(hapDress, scripts['refuses by Error=2']!, 1, {
      run: async (bench) => {
        const run = newRun({ bench, selected, evidence: (id, events) => void evidence.set(id, events) });
        await execute(run);
        const skips = run.report().results.filter(({ reason }) => reason === 'blocked');
        blocked = [...new Set(skips.filter(({ leftOut }) => leftOut !== true).map((skip) => skip.message))];
      },
    });
    expect(blocked).to.have.length(1);
    expect(blocked[0]).to.match(
      /^factory-reset the accessory, or give --reset CMD: state foreign: M1 is answered by Unavailable; 1 key is kept \(.*Error=2.*\) \(connection #\d+, at \d+\.\d s\)$/,
    );
    const notes = [...evidence].flatMap(([id, events]) =>
      events.flatMap((event) => (event.kind === 'note' ? [`${id}: ${event.line}`] : [])),
    );
    expect(notes.some((note) => note.startsWith('state-found: state foreign: M1 is answered'))).to.equal(
      true,
    );
    expect(message).to.include('1 key is kept');
  });

  // Each check that removes the admin, or comes behind one that does, and the flow that stands on the state.
  const selected = suite.filter(
    ({ id, kind }) => kind === 'check' && /^(P[SV]-M\d-01$|PS-M1-0|HTTP-06|PAIRINGS-(0[1-6]|1[89]))/.test(id),
  );
  for (const script of ['loses: close', 'loses: close, Busy for 300 ms'])
    it(`is judged in the right state: an accessory that ${script}`, async () => {
      const random = seededRandom('judged');
      const clock = new VirtualClock();
      const scene: Scene = { ok: healthyIn(hapDress), clock, leaving: new Map(), ended: -Infinity };
      const code = parseSetupCode('031-45-154');
      const behaviour = { ...scene.ok, ...scripts[script]!(scene) };
      const accessory = new Accessory({ code, random: random.fork('accessory'), behaviour });
      const dialer = embed(accessory, clock);
      const bench = new Bench({ dialer, code, random, patience: defaultPatience });
      const { results, aftermath } = await execute(newRun({ bench, selected }));
      const wrong = results.filter(
        ({ status, leftOut }) => leftOut !== true && status !== 'pass' && status !== 'fail',
      );
      expect(wrong.map(({ id, status, message }) => `${id} ${status}: ${message}`)).to.deep.equal([]);
      const red = new Set(
        results.filter(({ status }) => status === 'fail').map(({ requirement }) => requirement),
      );
      expect([...red].filter((id) => !/^PAIRINGS-1[89]$/.test(id))).to.deep.equal([]);
      expect(red.size, 'the lost reply is red').to.equal(2);
      expect(aftermath.clean, aftermath.message).to.equal(true);
    });
});
