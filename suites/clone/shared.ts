import {
  type CheckContext,
  type ClonedDevice,
  type Controller,
  type Link,
  type OwnPairing,
  type PairVerify,
  type Session,
  hap,
  outcomes,
  ownPairings,
} from '../../harness/suite.js';

/** How a Pair Verify of somebody the device must not know ends. */
export const notLetIn = {
  allow: [outcomes.tlvError(4, 'Authentication')],
  tolerate: [outcomes.misplacedError(4, 'Authentication'), outcomes.anyRefusal()],
  forbid: [outcomes.success('verify-m4')],
};

/** The device the accessory is a clone of: the plan leaves the chapter out where none is named. */
export function cloneOf({ bench }: Pick<CheckContext, 'bench'>): ClonedDevice {
  return bench.options.clone!;
}

/** The first controller of a kind the harness can be; the plan has seen to it that there is one. */
export function own(context: CheckContext, who: 'anybody' | 'admin' | 'user' = 'anybody'): OwnPairing {
  return ownPairings(cloneOf(context), who)[0]!;
}

/** A Pair Verify of somebody, whoever the accessory proves to be: that is what CLONE-01 looks at. */
export function verifyAs(controller: Controller, as: hap.Identity, link?: Link): Promise<PairVerify> {
  return controller.verify({ as, housekeeping: true, ...(link && { link }) });
}

/** A Pair Verify as somebody to its end: the first answer that is no success, or M4 and the session. */
export async function enter(
  { controller, violate }: Pick<CheckContext, 'controller' | 'violate'>,
  as: hap.Identity,
  link?: Link,
): Promise<{ readonly outcome: outcomes.Outcome; readonly session?: Session }> {
  const verify = await verifyAs(controller, as, link);
  // An answer is due each time, also where what comes behind it may be silence.
  const m2 = await verify.sendM1(undefined, controller.stepWait);
  if (!outcomes.success('verify-m2').matches(m2)) return { outcome: m2 };
  if (verify.m2?.items === undefined) violate('M2 does not open');
  const m4 = await verify.sendM3({}, undefined, controller.stepWait);
  return outcomes.success('verify-m4').matches(m4)
    ? { outcome: m4, session: verify.secure() }
    : { outcome: m4 };
}

/** A session of somebody who has to be let in. */
export async function sessionOf(
  context: Pick<CheckContext, 'controller' | 'violate' | 'expect'>,
  as: hap.Identity,
  where = 'the clone',
  link?: Link,
): Promise<Session> {
  const { outcome, session } = await enter(context, as, link);
  context.expect(outcome, `Pair Verify of ${hap.text(as.id)} with ${where}`).to.be.allowed({
    allow: [outcomes.success('verify-m4')],
  });
  return session!;
}

/** A connection to the old device. */
export async function openOld(context: CheckContext): Promise<Link> {
  const link = await context.controller.openAt(cloneOf(context).old!);
  return link ?? context.notApplicable('nobody takes a connection where --old says the old device is');
}

/** Somebody whose Add was refused is not in there: the key is of no use any more, or the refusal was none. */
export async function isNotIn(context: CheckContext, guest: hap.Identity, what: string): Promise<void> {
  const { outcome, session } = await enter(context, guest);
  await session?.sendRemove(guest.id);
  if (session !== undefined) context.violate(`${what} was refused, and let in all the same`);
  if (outcomes.tlvError(4, 'Authentication').matches(outcome)) context.bench.keyring.forget(guest);
}
