import { type CheckSpec, type PairSetup, outcomes } from '../../harness/suite.js';

export const nothing = new Uint8Array(0);
export const zeroKey = new Uint8Array(32);
export const zeroSecret = new Uint8Array(64);

export const m2 = outcomes.success('setup-m2');
export const m4 = outcomes.success('setup-m4');
export const m6 = outcomes.success('setup-m6');

export const afterM4: CheckSpec = { from: 'unpaired', needs: ['PS-M5-01'], costs: { m2: 1, m4: 1 } };

/** Goes on from an M2 that was served. */
export async function takesM3(setup: PairSetup): Promise<outcomes.Outcome> {
  setup.controller.accept(setup.m2!);
  setup.machine.answer(setup.m2!.salt!, setup.m2!.B!);
  return setup.sendM3();
}

/** Sends M5 and takes note of the pairing when it is accepted. */
export async function sendsM5(setup: PairSetup): Promise<outcomes.Outcome> {
  const outcome = await setup.sendM5();
  if (outcome.kind === 'reply' && m6.matches(outcome)) setup.readM6(outcome);
  return outcome;
}
