import type { Case, NextQuestion } from '../runner/index.js';
import type { Cause, CheckResult, Diagnosis, RunReport } from '../runner/result.js';
import { type Finding, evidenceOf } from './evidence.js';
import { nextQuestion } from './next.js';
import { type Candidate, type Grouped, candidates, group, joined, total } from './score.js';
import type { Signatures } from './signatures.js';
import { type Symptom, coarse } from './symptom.js';

/** What a further cause has to be worth (natural logarithm): one of some 600 mistakes, and a second one is rare. */
const FURTHER = 4.5;
/** What the first one has to be worth: a failure of the same kind, not merely of the same check. */
const FIRST = 1;
/** At most so many causes are looked for: what is wrong in more places is told by its checks. */
const MOST = 6;
/** Sets of causes that are gone on with. */
const BEAM = 6;
/** Other mistakes that are named beside a cause. */
const OTHERS = 3;
/** Below this share another mistake is not named. */
const NAMED = 0.02;
/** What a mistake that is not among the known ones would be worth of each finding it explains, and what it costs. */
const UNKNOWN = { weight: 2.6, cost: 2 };
/** Scores are less sure than they look by so much: confidence is held to what comes true. */
const TEMPER = 0.9;

/** Causes together, and what they are worth. */
interface Set_ {
  readonly causes: readonly Candidate[];
  readonly weights: Float64Array;
  readonly score: number;
}

/**
 * The same for what nobody knows, in the place of a cause that explains `mine` beside what `rest` explains. Where more is
 * red than all causes explain, there is something nobody knows anyway.
 */
function unknownFor(mine: ReadonlySet<number>, open: number, rest: Float64Array, grouped: Grouped): number {
  const weights = rest.map((weight, i) => (mine.has(i) ? UNKNOWN.weight : weight));
  return total(weights, grouped) - (open > mine.size ? 0 : UNKNOWN.cost);
}

/** The causes that explain a run best, a few at the most: each further one has to be worth it. */
function search(all: readonly Candidate[], grouped: Grouped): Set_ {
  const { findings } = grouped;
  const none: Set_ = { causes: [], weights: new Float64Array(findings.length), score: 0 };
  let best = none;
  let beam: readonly Set_[] = [none];
  for (let size = 1; size <= MOST; size++) {
    const next = new Map<string, Set_>();
    for (const { causes, weights } of beam) {
      const open = findings.flatMap(({ verdict }, i) => (verdict === 'red' && weights[i]! <= 0 ? [i] : []));
      if (open.length === 0) continue;
      for (const candidate of all) {
        if (!open.some((i) => candidate.weights[i]! > 0)) continue;
        const together = causes.length === 0 ? candidate.weights : joined(weights, candidate.weights);
        const set = [...causes, candidate];
        const priors = set.reduce((sum, { prior }) => sum + prior, 0);
        const score = total(together, grouped) + priors - FIRST - FURTHER * (size - 1);
        const key = set
          .map((one) => one.key)
          .sort()
          .join('\n\n');
        if ((next.get(key)?.score ?? -Infinity) < score)
          next.set(key, { causes: set, weights: together, score });
      }
    }
    beam = [...next.values()].sort((a, b) => b.score - a.score).slice(0, BEAM);
    if (beam.length === 0 || beam[0]!.score <= best.score) break;
    best = beam[0]!;
  }
  return best;
}

/** Causes without one of them. */
function without(set: Set_, cause: Candidate, length: number): Float64Array {
  return set.causes
    .filter((one) => one !== cause)
    .reduce<Float64Array>((sum, { weights }) => joined(sum, weights), new Float64Array(length));
}

interface Share {
  readonly members: readonly Candidate[];
  readonly share: number;
}

/** How likely each class of mistakes is in the place of a cause, the others given; the rest is for what nobody knows. */
function sharesOf(
  cause: Candidate,
  set: Set_,
  all: readonly Candidate[],
  grouped: Grouped,
): readonly Share[] {
  const rest = without(set, cause, grouped.findings.length);
  const others = new Set(set.causes.filter((one) => one !== cause).map(({ key }) => key));
  const classes = new Map<string, { members: Candidate[]; score: number }>();
  const open = grouped.findings.flatMap(({ verdict }, i) => (verdict === 'red' && rest[i]! <= 0 ? [i] : []));
  // What explains nothing of it is not in its place. It may have nothing that others do not explain as well.
  const mine = open.filter((i) => cause.weights[i]! > 0);
  for (const candidate of all) {
    const fits = candidate.key === cause.key || mine.some((i) => candidate.weights[i]! > 0);
    if (others.has(candidate.key) || !fits) continue;
    const known = classes.get(candidate.key);
    if (known !== undefined) {
      known.members.push(candidate);
      continue;
    }
    const score = total(joined(rest, candidate.weights), grouped) + candidate.prior;
    classes.set(candidate.key, { members: [candidate], score });
  }
  const list = [...classes.values()];
  const unknown = unknownFor(new Set(mine), open.length, rest, grouped);
  const most = Math.max(unknown, ...list.map(({ score }) => score));
  const odds = (score: number): number => Math.exp(TEMPER * (score - most));
  const sum = list.reduce((all, { score, members }) => all + members.length * odds(score), odds(unknown));
  return list
    .map(({ members, score }) => ({ members, share: (members.length * odds(score)) / sum }))
    .sort((a, b) => b.share - a.share);
}

/** The failure that tells most of a cause: what few mistakes show, with an exchange to look at. */
function decisive(
  cause: Candidate,
  explained: readonly number[],
  all: readonly Candidate[],
  findings: readonly Finding[],
  results: ReadonlyMap<string, CheckResult>,
): string | undefined {
  const tells = (i: number): number => {
    const sharing = all.filter(({ weights }) => weights[i]! >= cause.weights[i]!).length;
    const exchange = results.get(findings[i]!.id)?.failure?.exchange.length ?? 0;
    return cause.weights[i]! - Math.log(sharing) + (exchange > 0 ? 2 : 0);
  };
  const [first] = [...explained].sort((a, b) => tells(b) - tells(a));
  return first === undefined ? undefined : findings[first]!.id;
}

/** Two mistakes are tied when the second is at least this likely against the first. */
const TIED = 0.25;

/** What would tell apart the likeliest cause and what may be in its place, or two mistakes of its class. */
function tieOf(shares: readonly Share[], own: Share): readonly [Candidate, Candidate] | undefined {
  const rival = shares.find((share) => share !== own && share.share >= TIED * own.share);
  const [first, second] = own.members;
  const other = rival?.members[0] ?? second;
  return first !== undefined && other !== undefined ? [first, other] : undefined;
}

/**
 * What a run comes to: the few mistakes that explain it best, and what nothing explains.
 * @param suite - for the next question: the checks there are, with their prices
 */
export function diagnose(
  report: Pick<RunReport, 'results' | 'accessory'>,
  signatures: Signatures,
  suite: readonly Case[] = [],
): Diagnosis | undefined {
  const evidence = evidenceOf(report.results, report.accessory);
  const { findings } = evidence;
  const reds = findings.flatMap(({ verdict }, i) => (verdict === 'red' ? [i] : []));
  if (reds.length === 0) return undefined;
  const grouped = group(findings);
  const all = candidates(evidence, signatures);
  const results = new Map(report.results.map((result) => [result.id, result]));
  const set = search(all, grouped);
  const owner = new Map<number, Candidate>();
  for (const i of reds) {
    const best = [...set.causes].sort((a, b) => b.weights[i]! - a.weights[i]!)[0];
    const cause = best !== undefined && best.weights[i]! > 0 ? best : kinOf(findings[i]!, set.causes);
    if (cause !== undefined) owner.set(i, cause);
  }
  const first: Cause[] = [];
  const further: Cause[] = [];
  let next: NextQuestion | undefined;
  for (const cause of set.causes) {
    const explained = reds.filter((i) => owner.get(i) === cause);
    if (explained.length === 0) continue;
    const shares = sharesOf(cause, set, all, grouped);
    const own = shares.find(({ members }) => members.some(({ key }) => key === cause.key))!;
    const tie = next === undefined ? tieOf(shares, own) : undefined;
    if (tie !== undefined) next = nextQuestion(tie, suite, report.results);
    const told = (candidate: Candidate, { members, share }: Share): Cause => ({
      fault: candidate.row.fault,
      class: members.filter((one) => one !== candidate).map(({ row }) => row.fault),
      words: candidate.row.words,
      explains: reds
        .filter((i) => candidate.weights[i]! > 0 || (candidate === cause && owner.get(i) === cause))
        .map((i) => findings[i]!.id),
      against: findings.flatMap(({ id }, i) => (candidate.weights[i]! < 0 ? [id] : [])),
      confidence: Math.round(100 * share) / 100,
    });
    const exchange = decisive(
      cause,
      explained.filter((i) => cause.weights[i]! > 0),
      all,
      findings,
      results,
    );
    first.push({
      ...told(cause, own),
      ...(exchange !== undefined && { decisive: exchange }),
    });
    for (const share of shares.filter((one) => one !== own && one.share >= NAMED).slice(0, OTHERS))
      further.push({ ...told(share.members[0]!, share), insteadOf: cause.row.fault });
  }
  const unexplained = reds.filter((i) => !owner.has(i)).map((i) => findings[i]!.id);
  const weight = ({ confidence, explains }: Cause): number => confidence * explains.length;
  first.sort((a, b) => weight(b) - weight(a));
  further.sort((a, b) => b.confidence - a.confidence);
  // A SHOULD that is not kept, and is of no known mistake, is a way accessories have.
  if (first.length === 0 && reds.every((i) => results.get(findings[i]!.id)!.status === 'warn'))
    return undefined;
  const warnings = reds.filter((i) => results.get(findings[i]!.id)!.status === 'warn').length;
  return {
    failures: reds.length - warnings,
    warnings,
    causes: [...first, ...further],
    unexplained,
    ...(next && { next }),
  };
}

/**
 * The cause of a failure that its signature does not know, such as a property's: the requirement that is red, or is named
 * in the message, is one of those it violates; or the same came of it at the same step.
 */
function kinOf(
  { id, requirement, kind, coarse: seen }: Finding,
  causes: readonly Candidate[],
): Candidate | undefined {
  const named = new Set([requirement, ...(kind.match(/\b[A-Z][A-Z0-9]*(?:-[A-Z0-9]+)*-\d{2}\b/g) ?? [])]);
  const isKin = (other: string, symptom: Symptom): boolean => {
    const [theirs = ''] = other.split('/');
    const sameStep = areaOf(theirs) === areaOf(requirement) && coarse(symptom.kind) === seen;
    return symptom.verdict === 'red' && (named.has(theirs) || sameStep);
  };
  return causes.find(
    ({ row }) =>
      !row.asked.has(id) && [...row.symptoms].some(([other, list]) => list.some((one) => isKin(other, one))),
  );
}

/** `PS-M3` of `PS-M3-07`. */
function areaOf(requirement: string): string {
  return requirement.replace(/-\d+$/, '');
}
