import { fc, hap } from '../../harness/suite.js';
import type { Flow } from './flow.js';
import { CONTROLLERS, type M3, type M5, type Model, SLOTS, type Slot, closedSlot } from './model.js';
import { m3Words } from './pairing.js';

/** A step of a flow: when it can be made, and what it does. */
export class Step implements fc.AsyncCommand<Model, Flow> {
  constructor(
    private readonly words: string,
    private readonly can: (model: Readonly<Model>) => boolean,
    private readonly act: (flow: Flow, model: Model) => Promise<void>,
  ) {}

  check(model: Readonly<Model>): boolean {
    return this.can(model);
  }

  async run(model: Model, flow: Flow): Promise<void> {
    await this.act(flow, model);
  }

  toString(): string {
    return this.words;
  }
}

const nobody: Slot = closedSlot();

function slotOf(model: Readonly<Model>, at: number): Slot {
  return model.slots[at] ?? nobody;
}

const plain = (model: Readonly<Model>, at: number): boolean => slotOf(model, at).session === undefined;

/** An M3 that may fail costs an attempt. */
function canM3(model: Readonly<Model>, at: number, how: M3): boolean {
  const sure = how === 'right' ? slotOf(model, at).m3 : 'no';
  return plain(model, at) && model.left.m4 > 0 && (sure === 'yes' || model.left.guesses > 0);
}

function canM1(model: Readonly<Model>, at: number): boolean {
  return plain(model, at) && model.left.m2 > 0;
}

function canM5(model: Readonly<Model>, at: number): boolean {
  return plain(model, at) && model.left.m6 > 0;
}

function canV1(model: Readonly<Model>, at: number): boolean {
  return plain(model, at) && model.left.verifies > 0;
}

/** A request that changes something is made where its effect is known. */
function inSession(model: Readonly<Model>, at: number): boolean {
  const { open, session } = slotOf(model, at);
  return open && session?.sure === 'yes';
}

function keepsAnAdmin(model: Readonly<Model>, target: number): boolean {
  const admins = [...model.members].filter(([, permissions]) => permissions === hap.Permission.Admin);
  return admins.some(([who]) => who !== target);
}

/** A controller that is paired: that one, if it is. */
function memberOr(model: Readonly<Model>, who: number): number {
  return model.members.has(who) ? who : ([...model.members.keys()][0] ?? who);
}

/** What a controller would do next on a connection. */
function next(model: Readonly<Model>, at: number): 'm1' | 'm3' | 'm5' | 'v1' | 'v3' | 'request' {
  const { session, m3, ripe, v3, stuck, rude } = slotOf(model, at);
  if (session !== undefined) return 'request';
  if (ripe && !stuck) return 'm5';
  if (m3 !== 'no' && !stuck) return 'm3';
  if (v3 === 'yes' || (v3 === 'maybe' && !rude)) return 'v3';
  return model.members.size > 0 ? 'v1' : 'm1';
}

/** Most flows are about one or two connections. */
const slot = fc.oneof(
  { weight: 4, arbitrary: fc.constant(0) },
  { weight: 3, arbitrary: fc.constant(1) },
  { weight: 2, arbitrary: fc.nat(SLOTS - 1) },
);
const controller = fc.nat(CONTROLLERS - 1);

/** The next right step on a connection. */
const advance = fc.tuple(slot, controller).map(
  ([at, who]) =>
    new Step(
      `#${at} goes on (controller ${who})`,
      (model) => {
        const step = next(model, at);
        if (step === 'm1') return canM1(model, at);
        if (step === 'm3') return canM3(model, at, 'right');
        if (step === 'm5') return canM5(model, at);
        return step !== 'v1' || canV1(model, at);
      },
      async (flow, model) => {
        const step = next(model, at);
        if (step === 'm1') await flow.m1(model, at, who);
        else if (step === 'm3') await flow.m3(model, at, 'right', at);
        else if (step === 'm5') await flow.m5(model, at, 'right');
        else if (step === 'v1') await flow.v1(model, at, memberOr(model, who));
        else if (step === 'v3') await flow.v3(model, at, 'right');
        else await flow.request(model, at);
      },
    ),
);

const leave = fc.tuple(slot, fc.constantFrom('close', 'reset', 'half')).map(
  ([at, how]) =>
    new Step(
      `#${at} ${how === 'half' ? 'half a request, then close' : how}`,
      (model) => slotOf(model, at).open,
      (flow, model) => flow.leave(model, at, how),
    ),
);

const setupM1 = fc.tuple(slot, controller).map(
  ([at, who]) =>
    new Step(
      `#${at} M1 (controller ${who})`,
      (model) => canM1(model, at),
      (flow, model) => flow.m1(model, at, who),
    ),
);

const setupM3s = fc
  .tuple(
    slot,
    fc.constantFrom<M3>(
      'right',
      'of the wrong code',
      'with a bit flipped',
      'replayed',
      'of another connection',
    ),
    slot,
  )
  .map(
    ([at, how, from]) =>
      new Step(
        `#${at} M3 ${m3Words(how, from)}`,
        (model) => canM3(model, at, how),
        (flow, model) => flow.m3(model, at, how, from),
      ),
  );

const kinds = fc.constantFrom<M5>('right', 'with a bit flipped', 'with a wrong signature', 'replayed');

const setupM5s = fc.tuple(slot, kinds).map(
  ([at, how]) =>
    new Step(
      `#${at} M5 ${how}`,
      (model) => canM5(model, at),
      (flow, model) => flow.m5(model, at, how),
    ),
);

const verifyM1s = fc.tuple(slot, controller).map(
  ([at, who]) =>
    new Step(
      `#${at} Pair Verify M1 (controller ${who})`,
      (model) => canV1(model, at),
      (flow, model) => flow.v1(model, at, who),
    ),
);

const verifyM3s = fc.tuple(slot, kinds).map(
  ([at, how]) =>
    new Step(
      `#${at} Pair Verify M3 ${how}`,
      (model) => plain(model, at),
      (flow, model) => flow.v3(model, at, how),
    ),
);

const requests = slot.map(
  (at) =>
    new Step(
      `#${at} request`,
      () => true,
      (flow, model) => flow.request(model, at),
    ),
);

const secured = (model: Readonly<Model>, at: number): boolean =>
  slotOf(model, at).open && slotOf(model, at).session !== undefined;

const badFrames = slot.map(
  (at) =>
    new Step(
      `#${at} bad frame`,
      (model) => secured(model, at),
      (flow, model) => flow.badFrame(model, at),
    ),
);

const foreignFrames = fc.tuple(slot, slot).map(
  ([at, from]) =>
    new Step(
      `#${at} frame of #${from}`,
      (model) => at !== from && secured(model, at) && secured(model, from),
      (flow, model) => flow.foreignFrame(model, at, from),
    ),
);

const bareMessages = fc.tuple(slot, fc.constantFrom('a request', 'Pair Verify M1', 'Pair Verify M3')).map(
  ([at, what]) =>
    new Step(
      `#${at} ${what} in plaintext`,
      (model) => secured(model, at),
      (flow, model) => flow.bare(model, at, what),
    ),
);

const emptyFrames = slot.map(
  (at) =>
    new Step(
      `#${at} empty frame`,
      (model) => secured(model, at),
      (flow, model) => flow.emptyFrame(model, at),
    ),
);

const slowRequests = slot.map(
  (at) =>
    new Step(
      `#${at} request in two halves`,
      (model) => inSession(model, at),
      (flow, model) => flow.slowRequest(model, at),
    ),
);

const verifiesInside = fc.tuple(slot, fc.constantFrom('new keys', 'old keys', 'plaintext')).map(
  ([at, then]) =>
    new Step(
      `#${at} Pair Verify in the session, then ${then}`,
      (model) => inSession(model, at) && model.left.verifies > 0,
      (flow, model) => flow.verifyInside(model, at, then),
    ),
);

const garbage = slot.map(
  (at) =>
    new Step(
      `#${at} garbage`,
      (model) => plain(model, at),
      (flow, model) => flow.garbage(model, at),
    ),
);

const lists = slot.map(
  (at) =>
    new Step(
      `#${at} List`,
      (model) => secured(model, at),
      (flow, model) => flow.list(model, at),
    ),
);

const adds = fc.tuple(slot, controller, fc.constantFrom(hap.Permission.User, hap.Permission.Admin)).map(
  ([at, target, permissions]) =>
    new Step(
      `#${at} Add controller ${target} as ${permissions === hap.Permission.Admin ? 'admin' : 'user'}`,
      (model) =>
        inSession(model, at) && (permissions === hap.Permission.Admin || keepsAnAdmin(model, target)),
      (flow, model) => flow.add(model, at, target, permissions),
    ),
);

const removes = fc.tuple(slot, controller).map(
  ([at, target]) =>
    new Step(
      `#${at} Remove controller ${target}`,
      (model) => inSession(model, at) && (model.mayUnpair || keepsAnAdmin(model, target)),
      (flow, model) => flow.remove(model, at, target),
    ),
);

const restarts = fc.constant(
  new Step(
    'restart',
    (model) => model.left.restarts > 0,
    (flow, model) => flow.restart(model),
  ),
);

/** Commands, as often as their weight says. */
function weighted(...commands: readonly (readonly [number, fc.Arbitrary<Step>])[]): fc.Arbitrary<Step>[] {
  return commands.flatMap(([weight, command]) => Array.from({ length: weight }, () => command));
}

/** Flows through Pair Setup and what it leads to. */
export const setupSteps = weighted(
  [9, advance],
  [2, leave],
  [2, setupM1],
  [3, setupM3s],
  [3, setupM5s],
  [1, verifyM1s],
  [2, verifyM3s],
  [1, requests],
  [1, badFrames],
  [1, garbage],
  [1, lists],
  [1, adds],
  [1, removes],
  [1, restarts],
);

/** Flows through Pair Verify and frames, on an accessory that is paired. */
export const sessionSteps = weighted(
  [8, advance],
  [2, leave],
  [4, verifyM1s],
  [4, verifyM3s],
  [2, requests],
  [1, slowRequests],
  [1, badFrames],
  [2, foreignFrames],
  [1, bareMessages],
  [1, emptyFrames],
  [1, restarts],
);

/** The same, with Pair Verify inside sessions. */
export const insideSteps = [...sessionSteps, ...weighted([8, verifiesInside], [4, advance])];

/** Flows of administration, on an accessory that is paired. */
export const administrationSteps = weighted(
  [6, advance],
  [1, leave],
  [1, setupM1],
  [2, verifyM1s],
  [3, verifyM3s],
  [1, requests],
  [1, badFrames],
  [2, lists],
  [5, adds],
  [4, removes],
  [1, restarts],
);
