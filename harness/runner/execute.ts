import { EditWithoutEffect } from '../controller/index.js';
import {
  type Bench,
  Blocked,
  CheckWaits,
  HookFailed,
  type Matcher,
  NotApplicable,
  StepFailed,
} from '../device/index.js';
import type { Random } from '../protocol/index.js';
import { type TraceEvent, Unreachable } from '../wire/index.js';
import { type Case, type Check, type CheckContext, needsOf } from './check.js';
import { exchangeLines, exchangeSteps } from './exchange.js';
import { Falsified, type Hunt, Inconclusive } from './hunt.js';
import { Judge, NotAllowed, wordsOf } from './judge.js';
import type { CheckResult, Failure } from './result.js';
import { type Thrown, verdict } from './status.js';
import { type Weighed, behaviourOf } from './weights.js';

/** A violation at any level, found by a check or a watch. */
export class Violation extends Error {}

/** What surrounds a check in its result. */
export interface RunEnvironment {
  /** The target as the user wrote it. */
  readonly target: string;
  readonly seed: string;
  readonly random: Random;
  /** How properties are run; as each says when left out. */
  readonly hunt?: Hunt;
  /** Told how each outcome was weighed: the self-test compares. */
  readonly weigh?: (weighed: Weighed) => void;
  /** Options of the command without which a check would be another one, as a shell takes them. */
  readonly repeat?: readonly string[];
}

/** How long outcomes are waited for: as long as the most patient outcome the check accepts needs. */
function waitsOf({ spec, requirement }: Check, bench: Bench): CheckWaits {
  const { allow = [], tolerate = [] } = spec;
  const accepted: readonly Matcher[] = [...allow, ...tolerate];
  const isSilence = ({ event }: Matcher): boolean => event === 'silence';
  return new CheckWaits(bench.pace, {
    judged: accepted.some(isSilence)
      ? 'silence'
      : accepted.length > 0 && accepted.every(({ event }) => event === 'close')
        ? 'close'
        : 'answer',
    requirement: requirement.id,
    light: spec.from === 'paired',
  });
}

/** The flow steps a pairing state stands on. */
const foundations: Readonly<Record<Check['spec']['from'], readonly string[]>> = {
  any: [],
  unpaired: [],
  paired: ['PS-M1-01', 'PS-M3-01', 'PS-M5-01'],
  locked: ['PS-M1-01', 'PS-M3-04'],
};

/** It is about Pair Setup becoming free again: it is to find by itself that it does not. */
function isAboutRelease({ requirement: { id } }: Check): boolean {
  return id === 'PS-STATE-10' || id === 'PS-STATE-14';
}

/** What keeps a check from the state it starts from: that Pair Setup, or Pair Verify, is not served any more. */
function shutTo(check: Check, { gates, state }: Bench): StepFailed | undefined {
  const { from } = check.spec;
  if (from === 'any' || isAboutRelease(check)) return undefined;
  return from === 'paired' && state === 'ours' ? gates.verify.shut : gates.setup.shut;
}

/** M5 cannot be reached where M3 is broken: who needs the one needs the other. */
function allNeeds(check: Check): readonly string[] {
  const needs = needsOf(check);
  return needs.includes('PS-M5-01') ? ['PS-M3-01', ...needs] : needs;
}

/** Runs one check against a bench and judges it: the one function behind the command, mocha and the self-test. */
export async function runCheck(
  check: Check,
  bench: Bench,
  environment: RunEnvironment,
): Promise<CheckResult> {
  const startedAt = new Date().toISOString();
  const start = bench.clock.now();
  let mark = bench.trace.mark();
  const { weigh } = environment;
  const keeper = new Judge(
    check.spec,
    weigh &&
      ((outcome, judgement) =>
        weigh({
          behaviour: behaviourOf(check.spec.from, bench.trace.since(mark), outcome),
          judgement,
          id: check.id,
        })),
  );
  const observations: Record<string, string> = {};
  let thrown: Thrown;
  let seen = '';
  let allowed: readonly string[] = wordsOf(check.spec);
  let found: Falsified | undefined;
  let failedStep: string | undefined;
  const waits = waitsOf(check, bench);
  let transient = false;
  try {
    if (bench.learned.useless !== undefined) throw new StepFailed('HTTP-01', bench.learned.useless);
    const shut = shutTo(check, bench);
    if (shut !== undefined) throw shut;
    for (const requirement of [...foundations[check.spec.from], ...allNeeds(check)]) {
      const broken = bench.broken.get(requirement) ?? bench.learned.violated.get(requirement);
      if (broken === undefined || check.spec.sanity) continue;
      if (requirement !== 'PV-M3-01' || bench.learned.keepsNobody === undefined)
        throw new StepFailed(requirement, broken);
      transient = true;
    }
    const { deadly } = bench.learned;
    if (deadly !== undefined && !check.spec.sanity && [check.spec.from, check.spec.leaves].includes('paired'))
      throw new StepFailed(deadly, bench.broken.get(deadly) ?? 'the accessory stopped answering');
    // Before anything of ours is in the accessory, the first step of the plain flow is itself what tells its state.
    const first =
      check.id === 'PS-M1-01' && bench.state === 'unknown' && bench.keyring.sentIdentities.length === 0;
    if (!first) await bench.ensure(check.spec.from, check.spec.keyless);
    bench.learned.insteadOfVerified = transient;
    bench.learned.metMaxPeers = false;
    bench.learned.answeredAfresh = false;
    bench.household.offered.clear();
    if (check.spec.destructive) bench.learned.tainted = true;
    // The way to the starting state is not part of what the check did.
    mark = bench.trace.mark();
    const context: CheckContext = {
      controller: bench.controller(check.id, waits),
      expect: keeper.expect,
      // Not the controller's stream: a check's own draws must differ from the identity it sends.
      random: environment.random.fork(`${check.id} body`),
      bench,
      spec: check.spec,
      seed: environment.seed,
      hunt: environment.hunt ?? {},
      observe: (name, value) => (observations[name] = value),
      warn: (what) => keeper.tolerated.push(what),
      violate: (what) => {
        throw new Violation(what);
      },
      notApplicable: (why) => {
        throw new NotApplicable(why);
      },
    };
    await check.body(context);
  } catch (raised) {
    found = raised instanceof Falsified ? raised : undefined;
    const error: unknown = found?.verdict ?? raised;
    thrown = kindOf(error, bench, check);
    // The message that a watch it needs objects to may be one of its own.
    const objects = needsOf(check).find((id) => bench.learned.violated.has(id));
    if (redden.has(thrown) && objects !== undefined) {
      thrown = 'dependency';
      failedStep = objects;
      seen = `needs ${objects}: ${bench.learned.violated.get(objects)!}`;
    }
    if (error instanceof StepFailed) {
      failedStep ??= error.requirement;
      if (failedStep === 'PAIRINGS-01') bench.learned.listDoubtful = true;
      // In the plain flow nothing else can be the cause: who is about that step will say so, others need not try.
      if (check.spec.sanity && thrown === 'assertion') {
        if (!bench.broken.has(failedStep)) bench.learned.metOnTheWay.add(failedStep);
        bench.broken.set(failedStep, error.what);
      }
    }
    seen ||= error instanceof NotAllowed ? error.seen : messageOf(error);
    if (bench.learned.keepsAll !== undefined && bench.learned.metMaxPeers && redden.has(thrown)) {
      thrown = 'blocked';
      seen = `the table is full of controllers that cannot be taken out again (${bench.learned.keepsAll})`;
    }
    if (error instanceof NotAllowed) allowed = error.allowed;
    // What a plain assertion wants stands in the requirement, not among the outcomes.
    else if (thrown === 'assertion') allowed = [];
    if (error instanceof StepFailed && thrown !== 'setup') seen = `needs ${error.requirement}: ${error.what}`;
    if (found !== undefined) seen += ` (${found.about})`;
  }
  const bodyEvents = found?.events ?? bench.trace.since(mark);
  await bench.closeLinks();
  waits.settle();
  const alive =
    bench.learned.useless !== undefined
      ? undefined
      : (check.spec.risky ?? false) || thrown === 'unreachable'
        ? await signOfLife(bench)
        : (thrown !== undefined || keeper.tolerated.length > 0) &&
            bodyEvents.some(({ kind }) => brokenOff.has(kind))
          ? await reachable(bench)
          : undefined;
  const facts = {
    level: check.requirement.level,
    thrown,
    asserted: keeper.asserted > 0,
    tolerated: keeper.tolerated.length > 0,
    alive: check.spec.risky ? alive : undefined,
  };
  const { status, reason } = verdict(facts);
  if (facts.alive === false) seen = [seen, NO_LONGER].filter(Boolean).join('; ');
  if (status === 'error' && reason === 'harness' && thrown === undefined)
    seen = 'the check came to its end without asserting anything';
  if (status === 'warn' && thrown === undefined) seen = [...new Set(keeper.tolerated)].join('; ');
  // What a forbidden stimulus left behind has to be found out before the next check relies on a state.
  if (reason === 'forbidden') {
    bench.learned.misbehaved = true;
    if (bench.state !== 'foreign') bench.state = 'unknown';
  }
  // What it left under whatever identifier would fail the next ones, and its own next run, which draws the same.
  if (status === 'fail' || status === 'error')
    for (const id of bench.household.offered) bench.household.guests.add(id);
  if (status === 'fail' && check.id === 'PV-M3-01') await bench.learnKeeping();
  // What others build on is known to be broken from here; a variant says nothing about the plain step.
  if (status === 'fail') bench.broken.set(check.id, seen);
  if (status === 'fail' && check.spec.sanity && check.spec.from === 'paired' && alive === false)
    bench.learned.deadly = check.id;
  return {
    ...header(check),
    status,
    reason,
    message: seen,
    failure:
      status === 'pass' || status === 'skip'
        ? undefined
        : // A sign of life that was asked for and did not come belongs to the story.
          failure(
            check,
            environment,
            allowed,
            seen,
            facts.alive === false && found === undefined ? bench.trace.since(mark) : bodyEvents,
            found?.again,
          ),
    observations,
    ...(alive === false && { died: true }),
    ...((reason === 'setup' || reason === 'dependency') && failedStep !== undefined && { failedStep }),
    startedAt,
    durationMs: bench.clock.now() - start,
  };
}

/** What is said of an accessory that gives no sign of life behind a stimulus. */
export const NO_LONGER = 'the accessory no longer answers after this';

/** What may come of a table that the run itself has filled. */
const redden: ReadonlySet<Thrown> = new Set(['assertion', 'unlisted', 'forbidden', 'setup'] as const);

function kindOf(error: unknown, bench: Bench, check: Check): Thrown {
  if (error instanceof NotAllowed) return error.judgement;
  if (error instanceof Violation) return 'forbidden';
  if (error instanceof NotApplicable) return 'not-applicable';
  if (error instanceof Blocked) return 'blocked';
  if (error instanceof HookFailed) return 'setup';
  if (error instanceof StepFailed) {
    // A sanity check that cannot get to its point has found the accessory's fault, unless an earlier one has already.
    if (error.requirement === 'PV-M3-01' && bench.learned.keepsNobody !== undefined) return 'not-applicable';
    const own = error.requirement === check.requirement.id;
    const shut = bench.gates.areShutBy(error.requirement);
    if (shut && (own || (error.requirement === 'PS-STATE-10' && isAboutRelease(check)))) return 'assertion';
    const known =
      shut || bench.broken.has(error.requirement) || bench.learned.violated.has(error.requirement);
    if (known && !(own && bench.learned.metOnTheWay.has(error.requirement))) return 'dependency';
    // The very thing the check is about went wrong on the way to it.
    if (own) return 'assertion';
    return check.spec.sanity ? 'assertion' : 'setup';
  }
  if (error instanceof Unreachable) return 'unreachable';
  if (error instanceof EditWithoutEffect) return 'harness';
  if (error instanceof Inconclusive) return error.reason;
  if (error instanceof Error && error.name === 'AssertionError') return 'assertion';
  return 'harness';
}

/** One line about an error; for one of the harness's own with the place it came from. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // An unexpected error is a fault of the harness: whoever reports it needs to say where.
  const known =
    error instanceof StepFailed ||
    error instanceof Blocked ||
    error instanceof Unreachable ||
    error instanceof HookFailed ||
    error instanceof Inconclusive;
  if (
    known ||
    error instanceof Violation ||
    error instanceof NotApplicable ||
    error.name === 'AssertionError'
  )
    return error.message;
  const where = error.stack
    ?.split('\n')
    .find((line) => line.includes('/dist/'))
    ?.trim()
    .replace(/\(?(?:file:\/\/)?\/.*\/dist\//, '(');
  return `${error.name}: ${error.message}${where === undefined ? '' : ` ${where}`}`;
}

/**
 * An answer on a new connection, whatever it says. Pair Verify M1 asks the part of the accessory that pairs and costs
 * it little; where that is known to be broken, a plain request has to do. So it is where nobody may be paired, until
 * Pair Verify has been answered there: there are accessories that die of just that (PV-M1-04), and a question that
 * kills would blame whatever came before it.
 */
export async function signOfLife(bench: Bench): Promise<boolean> {
  if (bench.learned.answeredAfresh) return true;
  if (bench.broken.has('PV-M1-01')) return bench.ready(0);
  const nobody = bench.state === 'unpaired' || bench.state === 'unknown';
  try {
    if (nobody && !bench.learned.verifiesUnpaired)
      return (await asksForResource(bench)) || (await answersM1(bench));
    const controller = bench.controller('sign of life');
    const verify = await controller.verify({ as: controller.newIdentity(), housekeeping: true });
    const outcome = await verify.sendM1();
    await bench.closeLinks();
    return outcome.kind === 'reply';
  } catch (error) {
    if (error instanceof Unreachable) return false;
    // It speaks, though not when it is asked.
    if (error instanceof StepFailed) return true;
    throw error;
  }
}

/** Costs an accessory nothing, and whatever it says to it shows that it runs. @throws Unreachable */
async function asksForResource(bench: Bench): Promise<boolean> {
  const link = await bench.open();
  const { kind } = await link.request(
    { method: 'GET', path: bench.profile.resource },
    bench.options.patience.answer,
  );
  await bench.closeLinks();
  return kind === 'reply';
}

/** Pair Setup M1 is answered, whatever is said. @throws Unreachable */
async function answersM1(bench: Bench): Promise<boolean> {
  const { kind } = await bench.ask();
  await bench.closeLinks();
  return kind === 'reply';
}

/** How an accessory that goes down is met, and one that refuses, which many a check tolerates. */
const brokenOff: ReadonlySet<TraceEvent['kind']> = new Set(['close', 'reset', 'silence']);

/**
 * Somebody is there: connections are taken, and not only met by silence. An accessory that has gone down under a
 * check has not failed it.
 */
async function reachable(bench: Bench): Promise<boolean> {
  try {
    // An accessory that is going down may still take a connection, and reset it.
    return (await asksForResource(bench)) || (await signOfLife(bench));
  } catch (error) {
    if (error instanceof Unreachable) return false;
    if (error instanceof StepFailed) return true;
    throw error;
  }
}

export type Head = Pick<
  CheckResult,
  'id' | 'requirement' | 'title' | 'level' | 'chapter' | 'file' | 'source' | 'kind' | 'security'
>;

export function header(entry: Case): Head {
  const { id, requirement, chapter, file, title, kind } = entry;
  return {
    id,
    requirement: requirement.id,
    title,
    level: requirement.level,
    chapter,
    file,
    source: requirement.source,
    kind,
    ...(requirement.silent_security && { security: true }),
  };
}

/** Titles of the documents the project began with. */
const titles: Readonly<Record<string, string>> = {
  '000': 'Cloning Pairing Data',
  '001': 'HomeKit Based Pairings',
  '002': 'HAP Pairing Protocol',
};

/** The sources of a requirement by their titles: "seed 002 §2.6" says nothing to whoever does not have them. */
export function sourceWords(source: string): string {
  return source.replace(/\bseed (00[0-2])\b/g, (_, number: string) => `"${titles[number]!}"`);
}

/** A word as a POSIX shell takes it for itself. */
export function shellWord(word: string): string {
  return /^[\w.:@%+,/=-]+$/.test(word) ? word : quoted(word);
}

/** The same in quotes whatever is in it. */
export function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

export function failure(
  entry: Case,
  environment: RunEnvironment,
  allowed: readonly string[],
  seen: string,
  events: readonly TraceEvent[],
  /** Options that run the stimulus again; the check alone unless given. */
  again = `--only '${entry.id}' --seed ${environment.seed}`,
): Failure {
  const { requirement } = entry;
  const { target, repeat = [] } = environment;
  return {
    requirement: `${requirement.expected} Why: ${requirement.rationale} (${sourceWords(requirement.source)})`,
    allowed: allowed.length > 0 ? allowed : [requirement.expected],
    seen,
    exchange: exchangeLines(events),
    ...(events.length > 0 && { steps: exchangeSteps(events) }),
    reproduce: ['npx hapspec run', shellWord(target), ...repeat, again].join(' '),
  };
}
