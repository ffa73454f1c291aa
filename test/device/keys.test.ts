import { expect } from 'chai';
import {
  Accessory,
  airplayDress,
  embed,
  findFault,
  healthy,
  healthyIn,
  memoryStore,
  twin,
} from '../../harness/accessory/index.js';
import { Bench, HookFailed, type Hooks, type Memory, airplayProfile } from '../../harness/device/index.js';
import {
  AIRPLAY_CODE,
  type Identity,
  Permission,
  accessoryIdentity,
  airplayCode,
  controllerIdentity,
  hex,
  parseSetupCode,
  seededRandom,
} from '../../harness/protocol/index.js';
import { VirtualClock, defaultPatience } from '../../harness/wire/index.js';
import { suite } from '../../suites/index.js';
import { quickArithmetic } from '../arithmetic.js';
import { execute, newRun } from '../runner/bench.js';

const code = parseSetupCode('031-45-154');

/** A bench on a twin of the reference accessory, with a memory that only counts. */
function scene(fault?: string, hooks?: Hooks): { bench: Bench; accessory: Accessory; kept: Identity[] } {
  const random = seededRandom('keys');
  const behaviour = fault === undefined ? healthy : twin(findFault(fault));
  const accessory = new Accessory({ code, random: random.fork('accessory'), behaviour });
  const kept: Identity[] = [];
  const memory: Memory = {
    remember: (identity) => void kept.push(identity),
    confirmed: () => undefined,
    forget: (identity) => void (kept.includes(identity) && kept.splice(kept.indexOf(identity), 1)),
    identities: () => [],
    attempts: 0,
    spend: () => undefined,
    wasReset: () => undefined,
  };
  const dialer = embed(accessory, new VirtualClock());
  const options = { dialer, code, random, patience: defaultPatience, memory, ...(hooks && { hooks }) };
  return { bench: new Bench(options), accessory, kept };
}

describe('target: no key is forgotten while it may open the accessory', function () {
  this.timeout(60_000);
  quickArithmetic();

  for (const state of ['ours', 'unknown'] as const)
    it(`when the accessory closes instead of removing the pairing (state ${state})`, async () => {
      const { bench, accessory, kept } = scene('session-keys-swapped');
      await bench.survey();
      await bench.ensure('paired');
      bench.state = state;
      expect((await bench.restore('unpaired')).clean).to.equal(false);
      expect(accessory.pairings).to.have.length(1);
      expect(kept.map(({ id }) => [...id])).to.deep.equal([[...accessory.pairings[0]!.id]]);
    });

  it('when a reset hook resets nothing', async () => {
    const { bench, accessory, kept } = scene(undefined, { reset: () => Promise.resolve() });
    await bench.survey();
    await bench.ensure('paired');
    const failed = await bench.factoryReset().then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failed).to.be.instanceOf(HookFailed);
    expect((failed as Error).message).to.include('came back paired');
    expect(accessory.pairings).to.have.length(1);
    expect(kept).to.have.length(1);
  });

  // Without a reset hook all that is in the accessory has to go by Remove, and the last admin has to be the last to go.
  for (const [fault, checks] of [
    ['known-identifier-taken-over', /^PAIRINGS-06/],
    ['keys-compared-as-text', /^PAIRINGS-06/],
    ['users-are-admins', /^PAIRINGS-(04|05|08|15|22)/],
    ['any-permission-is-admin', /^PAIRINGS-08/],
    ['full-table-forgets-the-first', /^PAIRINGS-(02|09|10)/],
    ['last-eight-controllers-verify', /^(PV-M4-02|PAIRINGS-(02|09|10))/],
    ['lowercases-identifiers', /^PS-M5-(02|10)/],
    ['accepts-replayed-frame', /^SESS-12/],
    ['short-identifier-padded', /^PAIRINGS-07/],
  ] as const)
    it(`and nobody is left in an accessory that is wrong: ${fault}`, async () => {
      const { bench, accessory, kept } = scene(fault);
      const selected = suite.filter(({ id, kind }) => kind === 'check' && checks.test(id));
      const run = newRun({ bench, selected });
      const { results, aftermath } = await execute(run);
      expect(results.filter(({ status }) => status === 'fail')).to.not.have.length(0);
      expect(aftermath.clean, aftermath.message).to.equal(true);
      expect([accessory.pairings.length, kept.length]).to.deep.equal([0, 0]);
    });

  it('and a receiver keeps whom it was paired with before the run, who is no part of its lists', async () => {
    const random = seededRandom('residents');
    const owner = controllerIdentity(random);
    const { id, ltsk } = accessoryIdentity(random);
    const pairings = [{ id: owner.id, ltpk: owner.ltpk, permissions: Permission.Admin }];
    const receiver = new Accessory({
      code: airplayCode(AIRPLAY_CODE),
      random: random.fork('accessory'),
      behaviour: healthyIn(airplayDress),
      store: memoryStore({ id, ltsk, pairings, failedAttempts: 0 }),
    });
    const bench = new Bench({
      dialer: embed(receiver, new VirtualClock()),
      profile: airplayProfile(),
      code: airplayCode(AIRPLAY_CODE),
      random,
      patience: defaultPatience,
    });
    const selected = suite.filter(({ id: check }) =>
      /^(PAIRINGS-(0|1)|PAIRINGS-24|AIRPLAY-0[78])/.test(check),
    );
    const { results, aftermath } = await execute(newRun({ bench, selected }));
    const red = results.filter(({ status }) => status === 'fail' || status === 'error' || status === 'warn');
    expect(red.map(({ id: check, message }) => `${check}: ${message}`)).to.deep.equal([]);
    expect(results.filter(({ status }) => status === 'pass').length).to.be.greaterThan(30);
    expect(aftermath.clean, aftermath.message).to.equal(true);
    expect(receiver.pairings.map((pairing) => hex(pairing.id))).to.deep.equal([hex(owner.id)]);
  });

  it('and it is forgotten once the accessory is free', async () => {
    const { bench, accessory, kept } = scene();
    await bench.survey();
    await bench.ensure('paired');
    expect((await bench.restore('unpaired')).clean).to.equal(true);
    expect([accessory.pairings.length, kept.length]).to.deep.equal([0, 0]);
  });
});
