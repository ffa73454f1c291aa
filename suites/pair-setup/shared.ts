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

export const risky = { from: 'unpaired', risky: true } as const;

/** An M1 that may be served or refused: what it must not do is leave the controller waiting. */
export const eitherWay = {
  allow: [m2, outcomes.tlvError(2), outcomes.badRequest()],
  tolerate: [outcomes.anyRefusal()],
  forbid: [outcomes.silence(), outcomes.success('setup-m4')],
};

/** An M1 that must be served as if what was added to it were not there; to refuse it is the lesser finding. */
export const ignored = {
  allow: [m2],
  tolerate: [outcomes.anyRefusal()],
  forbid: [outcomes.silence(), outcomes.success('setup-m4')],
};

/** Computes the SRP session of the M2 that came. */
export function takeM2({ controller, machine, m2: read }: PairSetup): void {
  controller.accept(read!);
  machine.answer(read!.salt!, read!.B!);
}

/** Goes on from M2 to M6 in the regular mode. False when M5 is not accepted in plaintext. */
export async function completes(setup: PairSetup): Promise<boolean> {
  takeM2(setup);
  await setup.m3();
  const outcome = await setup.asGuest().sendM5();
  if (outcome.kind !== 'reply' || !outcomes.success('setup-m6').matches(outcome)) return false;
  setup.readM6(outcome);
  return true;
}
