import {
  type Fault,
  type Latency,
  type WithOnlookers,
  hapDress,
  healthyIn,
  twin,
  variants,
  withOnlookers,
} from '../accessory/index.js';
import { embeddedBench, embeddedCode } from '../device/index.js';
import { computingWith, memoiseArithmetic, openssl, seededRandom } from '../protocol/index.js';
import { defaultPatience } from '../wire/index.js';
import type { Case } from './check.js';
import { deviceToClone, isAboutClones } from './cloned.js';
import type { Hunt } from './hunt.js';
import { withRuns } from './property.js';
import type { CheckResult } from './result.js';
import { Run } from './run.js';
import { type Weighed, unevenWeights } from './weights.js';

/** One row of the kill matrix: what the suite says about one twin of the reference accessory. */
export interface Row {
  /** Undefined for the healthy twin. */
  readonly fault: string | undefined;
  /** Requirements the fault violates by its own account. */
  readonly breaks: readonly string[];
  /** A benign variant: nothing may fail on it. */
  readonly benign: boolean;
  /** Ids of the checks that failed, as `--strict` reads them: a SHOULD that is not kept counts. */
  readonly failed: readonly string[];
  /** What was neither passed nor skipped nor failed, with its message: a healthy twin must have none. */
  readonly odd: readonly string[];
  /** `id: message` of what is said in words of the assertion library. */
  readonly foreign: readonly string[];
  /** How each behaviour of a healthy accessory was weighed; of a fault nothing. */
  readonly weighed: readonly Weighed[];
  /** Of a whole run: by benign variant that looked on, the ids of what it would have answered otherwise in. */
  readonly touched?: ReadonlyMap<string, readonly string[]>;
}

/** The grade of the suite (design: every check is killed, every fault is caught, the healthy twin is green). */
export interface Grade {
  readonly checks: number;
  readonly faults: number;
  /** Pairs of a fault and a check that failed on it. */
  readonly kills: number;
  /** Reds of the healthy twin, and those of benign variants behind their names. */
  readonly healthyReds: readonly string[];
  /** `fault: requirement` for each requirement a fault names and no check of it failed. */
  readonly survivors: readonly string[];
  /** Checks that can be red and that no fault makes fail. */
  readonly unkilled: readonly string[];
  /** `fault: id: message` of what a reader of the protocol would not say so. */
  readonly foreign: readonly string[];
  /** Behaviours that one check takes as right and another does not. */
  readonly uneven: readonly string[];
  readonly passed: boolean;
}

/** Words of the assertion library, and of JavaScript, that have no place in a report. */
export const FOREIGN =
  /\bexpected .* to (not )?(be|deeply|equal|have|include|match)\b|AssertionError|\[object |\bundefined\b|\bNaN\b/s;

/** A check that only warns cannot fail; every other one can. */
export function canBeRed(entry: Case): boolean {
  return entry.kind === 'watch' || entry.spec.warnsOnly !== true;
}

interface TwinOptions {
  readonly seed: number;
  readonly latency?: Latency;
  /** False to leave out what needs `--destructive`. */
  readonly destructive?: boolean;
  readonly hunt?: Hunt;
  readonly weigh?: (weighed: Weighed) => void;
  /** Who looks on, and is told of each check when it has run. */
  readonly onlookers?: WithOnlookers & { readonly ran: (id: string) => void };
}

/**
 * Runs cases against a twin in memory and in virtual time, seeded. The chapter of clones is asked of a twin that has
 * taken over the pairing data of another device, and stands beside it; of one whose fault is none of clones no more.
 */
export async function runTwin(
  suite: readonly Case[],
  selected: readonly Case[],
  fault: Fault | undefined,
  options: TwinOptions,
): Promise<readonly CheckResult[]> {
  const ofClones = selected.filter(isAboutClones);
  const others = fault?.clone === undefined ? selected.filter((entry) => !isAboutClones(entry)) : [];
  // Whether the two ends agree on the arithmetic is asked elsewhere, with two implementations.
  return computingWith(openssl, async () => [
    ...(others.length > 0 ? await runOne(suite, others, fault, options) : []),
    ...(ofClones.length > 0 ? await runOne(suite.filter(isAboutClones), ofClones, fault, options, true) : []),
  ]);
}

async function runOne(
  suite: readonly Case[],
  selected: readonly Case[],
  fault: Fault | undefined,
  options: TwinOptions,
  cloned = false,
): Promise<readonly CheckResult[]> {
  memoiseArithmetic(true);
  const random = seededRandom(options.seed);
  const behaviour = options.onlookers?.behaviour ?? (fault && twin(fault));
  const clone = cloned ? { clone: deviceToClone(random.fork('device to clone')) } : {};
  const bench = embeddedBench(
    {
      code: embeddedCode(fault),
      random,
      patience: defaultPatience,
      ...clone,
      ...(fault?.declares && { declares: fault.declares }),
    },
    {
      ...(behaviour && { behaviour }),
      ...(fault?.dress && { dress: fault.dress }),
      ...(options.latency && { latency: options.latency }),
      ...(fault?.clone === 'firmware' && { sameProgram: true }),
    },
  );
  const target = fault === undefined ? 'embedded' : `embedded:${fault.name}`;
  const run = new Run({
    target,
    seed: String(options.seed),
    random,
    version: '',
    command: '',
    strict: false,
    destructive: options.destructive ?? true,
    bench,
    suite,
    selected,
    // A counterexample is enough: nobody reads it.
    hunt: { shrinking: 0, ...options.hunt },
    ...(options.weigh && { weigh: options.weigh }),
  });
  await run.survey();
  for (const planned of run.plan) {
    await run.runEntry(planned);
    options.onlookers?.ran(planned.entry.id);
  }
  await run.restore();
  return run.report().results;
}

/**
 * Whose whole run shows what a benign variant touches: that of the healthy accessory (null), or of the variant that is the
 * first of the same dress and changes nothing else. Undefined where there is no such run.
 */
export function shownBy(variant: Fault): string | null | undefined {
  // A clone is made when it is made: no run of another shows it.
  if (variant.breaks.length > 0 || variant.clone !== undefined) return undefined;
  if (variant.dress === undefined) return null;
  const first = variants.find(({ dress }) => dress === variant.dress);
  const plain = first !== undefined && Object.keys(first.change(healthyIn(variant.dress))).length === 0;
  return plain && first !== variant ? first.name : undefined;
}

/** Copies of checks without what they stand on, the same one each time. */
const copies = new WeakMap<Case, Case>();

function alone(entry: Case): Case {
  if (entry.kind === 'watch' || entry.spec.bases === undefined) return entry;
  const known = copies.get(entry) ?? { ...entry, spec: { ...entry.spec, bases: [] } };
  copies.set(entry, known);
  return known;
}

/** Seconds of a stimulus that no benign variant goes through but in the whole matrix: traffic by the ten thousand frames. */
const LONG = 300;

/** What a benign variant goes through outside the whole matrix. */
export function isShort(entry: Case): boolean {
  return (
    entry.kind === 'watch' ||
    (!entry.spec.destructive && (entry.spec.costs?.seconds ?? 0) < LONG && (entry.spec.costs?.m2 ?? 0) < 100)
  );
}

/**
 * One row: the whole suite (`full`), or only the checks of the requirements the fault names. A benign variant leaves
 * out what takes minutes of a real accessory: hundreds of guesses, of M1s, and of frames (SESS-03). Where a run that it
 * looked on at has shown what it answers otherwise, it is asked that alone: everything else it answers byte for byte the
 * same. What an answer leaves behind for a later check is seen in the whole matrix.
 */
export async function matrixRow(
  suite: readonly Case[],
  fault: Fault | undefined,
  options: {
    readonly seed: number;
    readonly full: boolean;
    readonly latency?: Latency;
    /** What a benign variant touches, by the row of whom it is `shownBy`. */
    readonly touched?: readonly string[];
  },
): Promise<Row> {
  const breaks = fault?.breaks ?? [];
  const benign = fault !== undefined && breaks.length === 0;
  const isTouched = (entry: Case): boolean =>
    entry.kind === 'watch' || (options.touched?.includes(entry.id) ?? true);
  const selected =
    fault === undefined || options.full
      ? suite
      : benign
        ? suite.filter(
            (entry) => isShort(entry) && (fault.concerns?.test(entry.id) ?? true) && isTouched(entry),
          )
        : suite.filter(({ requirement }) => breaks.includes(requirement.id));
  const others = options.full ? [] : variants.filter((other) => shownBy(other) === (fault?.name ?? null));
  const onlookers = others.length === 0 ? undefined : withOnlookers(fault?.dress ?? hapDress, others);
  const touched = new Map(others.map(({ name }): [string, string[]] => [name, []]));
  const ran = (id: string): void => {
    for (const name of onlookers!.differing) touched.get(name)!.push(id);
    onlookers!.differing.clear();
  };
  // Each check has to be red by itself here: what stands on what is the question of the matrix of cascades.
  // The same again adds nothing, and there are thousands.
  const weighed = new Map<string, Weighed>();
  const weigh = (one: Weighed): void => void weighed.set(`${one.judgement} ${one.behaviour}`, one);
  const results =
    selected.length === 0
      ? []
      : await runTwin(suite.map(alone), selected.map(alone), fault, {
          ...options,
          ...((fault === undefined || benign) && { weigh }),
          ...(onlookers && { onlookers: { ...onlookers, ran } }),
        });
  const odd = results
    .filter(({ status }) => status === 'error' || (status === 'warn' && !benign))
    .map(({ id, status, message }) => `${id} ${status}: ${message}`);
  if (options.touched?.length === 0) odd.push('it answers everything as the healthy accessory does');
  return {
    fault: fault?.name,
    breaks,
    benign,
    failed: results
      .filter(({ status, reason }) => status === 'fail' || (reason === 'should' && !benign))
      .map(({ id }) => id),
    odd,
    foreign: results
      .filter(({ message }) => FOREIGN.test(message))
      .map(({ id, message }) => `${id}: ${message}`),
    weighed: [...weighed.values()],
    ...(onlookers && { touched }),
  };
}

/** Adds the rows up. `suite` is what the rows were made with. */
export function grade(suite: readonly Case[], rows: readonly Row[]): Grade {
  const requirementOf = new Map(suite.map(({ id, requirement }) => [id, requirement.id]));
  const killed = new Set<string>();
  const survivors: string[] = [];
  const healthyReds: string[] = [];
  const foreign = rows.flatMap((row) => row.foreign.map((text) => `${row.fault ?? 'healthy twin'}: ${text}`));
  let kills = 0;
  for (const { fault, breaks, benign, failed, odd } of rows) {
    if (fault === undefined || benign) {
      const whose = benign ? `${fault}: ` : '';
      healthyReds.push(...[...failed.map((id) => `${id} fail`), ...odd].map((red) => whose + red));
      continue;
    }
    kills += failed.length;
    for (const id of failed) killed.add(id);
    const requirements = new Set(failed.map((id) => requirementOf.get(id)));
    for (const requirement of breaks)
      if (!requirements.has(requirement)) survivors.push(`${fault}: ${requirement}`);
  }
  const uneven = unevenWeights(rows.flatMap(({ weighed }) => weighed));
  const unkilled = suite.filter((entry) => canBeRed(entry) && !killed.has(entry.id)).map(({ id }) => id);
  return {
    checks: suite.length,
    faults: rows.filter(({ fault, benign }) => fault !== undefined && !benign).length,
    kills,
    healthyReds,
    survivors,
    unkilled,
    foreign,
    uneven,
    passed: [healthyReds, survivors, unkilled, foreign, uneven].every((list) => list.length === 0),
  };
}

/** Which property finds a fault, and after how many runs. */
export interface Find {
  readonly fault: string;
  readonly breaks: readonly string[];
  /** Undefined when no property did. */
  readonly property: string | undefined;
  /** Runs it took, a seed each, ascending; Infinity where it did not within the limit. */
  readonly runs: readonly number[];
}

/**
 * Faults of the state machines, of TLV8 and of frames, by what they break. Counters of more than a byte (SESS-02, SESS-03),
 * idle times, numbers of sessions and events are none of these: they need thousands of frames, minutes, or other requests.
 */
export function isHunted({ breaks }: Pick<Fault, 'breaks'>): boolean {
  return breaks.some((id) => /^(TLV-|PS-STATE-|PV-STATE-|SESS-(01|0[4-9]|1[0-4]|18|22)$)/.test(id));
}

/** How often properties run against a fault, less first: most are found at once. */
const ROUNDS = [10, 50];

/** Properties that are tried under every seed: what is found first under one may have been luck, or a neighbour's doing. */
const CANDIDATES = 3;

/**
 * Which property finds a fault within `most` runs: of those with the fewest runs under the first seed the one with the
 * lowest median under all. The last round is for flows, and for the properties of what the fault breaks.
 */
export async function findFaultBy(
  suite: readonly Case[],
  fault: Fault,
  options: { readonly seeds: readonly number[]; readonly most: number },
): Promise<Find> {
  const properties = suite.filter((entry) => entry.kind === 'check' && entry.spec.property !== undefined);
  const areas = new Set(fault.breaks.map(areaOf));
  const near = properties.filter(
    ({ id, requirement }) => id.endsWith('/flows') || areas.has(areaOf(requirement.id)),
  );
  const [first = 1, ...others] = options.seeds;
  const runs = async (
    selected: readonly Case[],
    seed: number,
    most: number,
  ): Promise<Map<string, number>> => {
    const found = new Map<string, number>();
    const ran: NonNullable<Hunt['ran']> = (id, count, failed) => void (failed && found.set(id, count));
    const own = withRuns(selected, most, { asked: true });
    await runTwin(own, own, fault, { seed, hunt: { ran, strict: true } });
    return found;
  };
  for (const most of [...ROUNDS, options.most]) {
    const found = await runs(most === options.most ? near : properties, first, most);
    let best: Find | undefined;
    for (const [property] of [...found].sort((a, b) => a[1] - b[1]).slice(0, CANDIDATES)) {
      const chosen = properties.filter(({ id }) => id === property);
      const counts: number[] = [];
      for (const seed of [first, ...others])
        counts.push((await runs(chosen, seed, options.most)).get(property) ?? Infinity);
      const find = {
        fault: fault.name,
        breaks: fault.breaks,
        property,
        runs: counts.sort((a, b) => a - b),
      };
      if (best === undefined || medianOf(find.runs) < medianOf(best.runs)) best = find;
      // Nothing is found sooner than that.
      if (medianOf(best.runs) <= most) break;
    }
    if (best !== undefined && medianOf(best.runs) <= options.most) return best;
  }
  return { fault: fault.name, breaks: fault.breaks, property: undefined, runs: [] };
}

function areaOf(id: string): string {
  return id.replace(/-\d+.*$/, '');
}

/** The middle of ascending numbers; of an even count the higher one, which is no better than it is. */
export function medianOf(ascending: readonly number[]): number {
  return ascending[ascending.length >> 1] ?? Infinity;
}
