import { Length, TlvError, setupM1, setupM3 } from '../protocol/index.js';
import type { Controller } from './controller.js';
import { StepFailed } from './errors.js';
import type { Lockout } from './learned.js';
import { success } from './outcome.js';

export interface GuessOptions {
  /** Guesses made at most. */
  readonly most: number;
  /** Guesses on one connection before the next is opened. */
  readonly each: number;
  /** Told after every guess. */
  readonly progress?: (done: number) => void;
}

/** How often an accessory may be found busy in a row before that is its answer. */
const BUSY_TRIES = 20;

/**
 * Sends M1 and an M3 with a random A and proof, again and again, until the accessory says MaxTries. Costs the
 * controller nothing: a random A is as good as a computed one when the proof is wrong anyway.
 * @throws StepFailed when a random proof succeeds.
 */
export async function guess(controller: Controller, options: GuessOptions): Promise<Lockout> {
  try {
    return await tryAll(controller, options);
  } finally {
    // The last M1 would hold Pair Setup for as long as its connection lives.
    await controller.bench.closeLinks();
  }
}

async function tryAll(controller: Controller, { most, each, progress }: GuessOptions): Promise<Lockout> {
  const { bench, random, profile, stepWait } = controller;
  let link = await controller.open();
  let connections = 1;
  let here = 0;
  let busy = 0;
  for (let guesses = 0; ;) {
    if (here >= each || !(await link.stillOpen(0))) {
      await link.close();
      link = await controller.open();
      connections++;
      here = 0;
    }
    const m2 = await bench.sendM1(link, setupM1());
    const m2Error = m2.kind === 'reply' ? m2.tlv?.error : undefined;
    if (m2Error === TlvError.MaxTries) return { guesses, connections, locked: true, outcome: m2 };
    if (m2Error === TlvError.Busy && busy++ < BUSY_TRIES) {
      await bench.clock.sleep(250);
      continue;
    }
    busy = 0;
    if (!success('setup-m2').matches(m2)) return { guesses, connections, locked: false, outcome: m2 };
    if (guesses >= most) return { guesses, connections, locked: false, outcome: undefined };
    const A = random.bytes(Length.srpPublicKey);
    // Below N, whatever was drawn.
    A[0]! &= 0x7f;
    bench.spent.m4++;
    bench.tally.spendAttempt();
    const m4 = await link.post(profile.paths.setup, setupM3(A, random.bytes(Length.proof)), stepWait);
    if (success('setup-m4').matches(m4))
      throw new StepFailed('PS-M3-04', 'a random proof was answered with success');
    guesses++;
    here++;
    progress?.(guesses);
    if (m4.kind === 'reply' && m4.tlv?.error === TlvError.MaxTries)
      return { guesses, connections, locked: true, outcome: m4 };
  }
}
