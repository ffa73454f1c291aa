/** A worker: whole flows against healthy accessories in memory, one for each seed from `from` up to `to`. */
import { parentPort, workerData } from 'node:worker_threads';
import { benchFor, describeOutcome, success } from '../../harness/device/index.js';
import { parseSetupCode, seededRandom, text } from '../../harness/protocol/index.js';
import { defaultPatience } from '../../harness/wire/index.js';

export interface FlowRange {
  readonly from: number;
  readonly to: number;
}
export interface FlowsDone {
  readonly flows: number;
  /** What went wrong, with its seed. */
  readonly failures: readonly string[];
}

const code = parseSetupCode('031-45-154');

/** Pair Setup, Pair Verify, List, Remove of one's own pairing, M1 again. @returns what is odd about it. */
async function flow(seed: number): Promise<string[]> {
  const address = { kind: 'embedded', fault: undefined } as const;
  const bench = benchFor(address, { code, random: seededRandom(String(seed)), patience: defaultPatience });
  const controller = bench.controller('flow');
  const setup = await controller.setup();
  const findings = [
    ...(await setup.m1()).findings,
    ...(await setup.m3()).findings,
    ...(await setup.m5()).findings,
  ];
  const verify = await controller.verify();
  findings.push(...(await verify.m1()).findings);
  const session = await verify.m3();
  const { entries, findings: odd } = await session.list();
  findings.push(...odd);
  const what = findings.map((finding) => `${finding.requirement}: ${finding.what}`);
  const ids = entries.map(({ id }) => text(id)).join();
  if (ids !== text(setup.identity.id)) what.push(`the list has ${ids}`);
  const removal = await session.sendRemove(setup.identity.id);
  if (!success('pairings-remove').matches(removal)) what.push(`Remove: ${describeOutcome(removal)}`);
  const again = await bench.probe();
  if (!success('setup-m2').matches(again)) what.push(`M1 behind Remove: ${describeOutcome(again)}`);
  await bench.closeLinks();
  return what;
}

const { from, to } = workerData as FlowRange;
const failures: string[] = [];
for (let seed = from; seed <= to; seed++)
  try {
    failures.push(...(await flow(seed)).map((what) => `seed ${seed}: ${what}`));
  } catch (error) {
    failures.push(`seed ${seed}: ${String(error)}`);
  }
parentPort!.postMessage({ flows: to - from + 1, failures } satisfies FlowsDone);
