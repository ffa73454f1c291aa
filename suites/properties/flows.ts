/**
 * Properties of flows: random sequences of steps against a model of what the accessory has to say to each.
 * The model knows who is paired, what is in progress on which connection, and where sources leave a choice.
 * What fails is cut to the shortest sequence that still does.
 */
import { type Trial, chapter, fc, hap, property } from '../../harness/suite.js';
import { Flow } from './flow.js';
import { CONTROLLERS, type Model, newModel } from './model.js';
import * as moves from './steps.js';

/** Commands of a flow at most, and at least when it is looked for: shorter ones are what checks are for. */
const MOST = 12;
const LEAST = 4;

/** Flows of these steps; what has failed may shrink to a single one. */
function flows(
  steps: readonly fc.Arbitrary<moves.Step>[],
): (replayPath?: string) => fc.Arbitrary<Iterable<fc.AsyncCommand<Model, Flow>>> {
  return (replayPath) =>
    fc.commands<Model, Flow, false>([...steps], {
      maxCommands: MOST,
      size: 'max',
      ...(replayPath !== undefined && { replayPath }),
    });
}

async function run(
  flow: Flow,
  model: Model,
  steps: Iterable<fc.AsyncCommand<Model, Flow>>,
  leaves: 'unpaired' | 'paired',
): Promise<void> {
  await fc.asyncModelRun(() => ({ model, real: flow }), steps);
  await flow.end(model, leaves);
}

/** What one flow may ask of the accessory. */
const each = { m2: 3, m4: 3, m6: 2, verifies: 8, attempts: 1 };

function restartsOf({ bench }: Trial): number {
  return bench.options.hooks?.restart === undefined ? 0 : 1;
}

export default chapter('properties.flows', () => [
  property(
    'PS-STATE-15/flows',
    'Random message sequences follow the model',
    { from: 'unpaired', needs: ['PS-M1-01', 'PS-M3-01', 'PS-M5-01', 'PV-M3-01'], risky: true, each },
    flows(moves.setupSteps),
    async (trial, steps) => {
      trial.controller.needsRemoval();
      if (trial.searching) fc.pre([...steps].length >= LEAST);
      const { guesses } = trial;
      const identities = Array.from({ length: CONTROLLERS }, (_, who) =>
        trial.fresh(`controller ${who}`).newIdentity(),
      );
      const left = { m2: 3, m4: 3, m6: 2, verifies: 4, guesses, restarts: restartsOf(trial) };
      const model = newModel({ left, mayUnpair: true });
      await run(new Flow(trial, identities), model, steps, 'unpaired');
    },
  ),

  ...(
    [
      ['PV-STATE-05', 'Several verifies at the same time do not disturb each other', moves.sessionSteps],
      ['PV-STATE-06', 'Pair Verify inside a verified session', moves.insideSteps],
    ] as const
  ).map(([requirement, title, steps]) =>
    property(
      `${requirement}/flows`,
      title,
      {
        from: 'paired',
        needs: ['PV-M3-01', 'PAIRINGS-01'],
        risky: true,
        runs: 5,
        each: { verifies: 9 },
      },
      flows(steps),
      async (trial, chosen) => {
        trial.controller.needsRemoval();
        if (!(await trial.controller.admitsPlain())) trial.notApplicable('the receiver admits admins alone');
        if (trial.searching) fc.pre([...chosen].length >= LEAST);
        const { bench } = trial;
        const others = Array.from({ length: CONTROLLERS - 1 }, (_, who) =>
          trial.fresh(`controller ${who}`).newIdentity(),
        );
        const left = { m2: 0, m4: 0, m6: 0, verifies: 7, guesses: 0, restarts: restartsOf(trial) };
        const model = newModel({ left, mayUnpair: false, members: [[0, hap.Permission.Admin]] });
        const flow = new Flow(trial, [bench.admin!, ...others]);
        await flow.v1(model, 0, 0);
        await flow.v3(model, 0, 'right');
        // A second controller, whom a step is about as often as the first.
        await flow.add(model, 0, 1, hap.Permission.User);
        await run(flow, model, chosen, 'paired');
      },
    ),
  ),

  property(
    'PAIRINGS-24/flows',
    'Random pairing administration follows the model',
    {
      from: 'paired',
      needs: ['PV-M3-01', 'PAIRINGS-01'],
      risky: true,
      each: { verifies: 10 },
    },
    flows(moves.administrationSteps),
    async (trial, steps) => {
      trial.controller.needsRemoval();
      if (!(await trial.controller.admitsPlain())) trial.notApplicable('the receiver admits admins alone');
      if (trial.searching) fc.pre([...steps].length >= LEAST);
      const { bench } = trial;
      const others = Array.from({ length: CONTROLLERS - 1 }, (_, who) =>
        trial.fresh(`controller ${who}`).newIdentity(),
      );
      const left = { m2: 2, m4: 0, m6: 0, verifies: 6, guesses: 0, restarts: restartsOf(trial) };
      const model = newModel({ left, mayUnpair: false, members: [[0, hap.Permission.Admin]] });
      const flow = new Flow(trial, [bench.admin!, ...others]);
      // Somebody has to be in before anybody can be let in.
      await flow.v1(model, 0, 0);
      await flow.v3(model, 0, 'right');
      await run(flow, model, steps, 'paired');
    },
  ),
]);
