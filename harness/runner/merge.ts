import { InputError } from '../protocol/index.js';
import type { CheckResult, Price, RunReport, Timing } from './result.js';
import { parseShard } from './selection.js';
import { exitOf } from './status.js';

/** The worst first. */
export const ranks: readonly CheckResult['status'][] = ['fail', 'error', 'warn', 'pass', 'skip'];

/** What was seen of one check or watch in several runs: the worst, of equals the first; messages and runs are added up. */
export function worstOf(results: readonly CheckResult[]): CheckResult {
  const worst = Math.min(...results.map(({ status }) => ranks.indexOf(status)));
  const chosen = results.find(({ status }) => status === ranks[worst])!;
  const sum = (key: string): string =>
    String(results.reduce((total, { observations }) => total + Number(observations[key] ?? 0), 0));
  // Of a property: one that failed says in which run.
  if ('runs' in chosen.observations)
    return { ...chosen, observations: { ...chosen.observations, runs: sum('runs') } };
  if (!results.some(({ observations }) => 'seen' in observations)) return chosen;
  const observations = Object.assign({}, ...results.map((one) => one.observations).reverse()) as object;
  return { ...chosen, observations: { ...observations, ...chosen.observations, seen: sum('seen') } };
}

/** What several runs cost together. */
export function addedPrices(prices: readonly Price[]): Price {
  const sum = (of: (price: Price) => number): number => prices.reduce((total, one) => total + of(one), 0);
  return {
    m2: sum(({ m2 }) => m2),
    m4: sum(({ m4 }) => m4),
    m6: sum(({ m6 }) => m6),
    verifies: sum(({ verifies }) => verifies),
    attempts: sum(({ attempts }) => attempts),
    resets: sum(({ resets }) => resets),
    wallMs: sum(({ wallMs }) => wallMs),
    accessoryMs: sum(({ accessoryMs }) => accessoryMs),
  };
}

export function addedTimings(timings: readonly RunReport['timing'][]): RunReport['timing'] {
  const sum: Record<string, Timing> = {};
  for (const timing of timings)
    for (const [message, { count, totalMs, longestMs }] of Object.entries(timing)) {
      const known = sum[message] ?? { count: 0, totalMs: 0, longestMs: 0 };
      sum[message] = {
        count: known.count + count,
        totalMs: known.totalMs + totalMs,
        longestMs: Math.max(known.longestMs, longestMs),
      };
    }
  return sum;
}

/** A result, and the report it is of. */
interface Found {
  readonly result: CheckResult;
  readonly of: string;
}

/** What became of one check in all reports: where it ran, that; where nobody ran it, the first. */
function mergedResult(found: readonly Found[]): CheckResult {
  const results = found.map(({ result }) => result);
  const ran = results.filter(
    ({ kind, status, reason }) => reason !== 'not-run' && (kind === 'watch' || status !== 'skip'),
  );
  if (ran.length === 0) return results.find(({ reason }) => reason !== 'not-run') ?? results[0]!;
  const worst = worstOf(ran);
  const others = found.filter(({ result }) => isCounterexample(result) && result.failure !== worst.failure);
  if (!isCounterexample(worst) || others.length === 0) return worst;
  const kept = others.map(({ result, of }) => [`counterexample of ${of}`, result.failure!.reproduce]);
  return { ...worst, observations: { ...worst.observations, ...(Object.fromEntries(kept) as object) } };
}

/** A property that failed: parts of a hunt come to counterexamples of their own, each worth keeping. */
function isCounterexample({ status, failure }: CheckResult): boolean {
  return status === 'fail' && failure?.reproduce.includes(' --replay ') === true;
}

/**
 * Shards of which there is nothing.
 * @param all - `I/N` of each part, undefined of what is no part
 * @throws InputError for one that is there twice, or of another number of them
 */
export function missingShards(all: readonly (string | undefined)[]): string[] {
  const shards = all.flatMap((shard) => shard ?? []);
  if (shards.length === 0) return [];
  const counts = new Set(shards.map((shard) => parseShard(shard).count));
  if (counts.size > 1 || shards.length < all.length)
    throw new InputError(`merge: ${[...new Set(shards)].join(', ')} are not the shards of one run`);
  const twice = shards.find((shard, i) => shards.indexOf(shard) !== i);
  if (twice !== undefined) throw new InputError(`merge: shard ${twice} is there twice`);
  const [count = 0] = counts;
  return Array.from({ length: count }, (_, i) => `${i + 1}/${count}`).filter(
    (shard) => !shards.includes(shard),
  );
}

function nameOf({ shard, target }: RunReport): string {
  return shard === undefined ? target : `shard ${shard}`;
}

/** A run of which a part is lost is incomplete, and says which; unless what was found is worse. */
function exitOfAll(reports: readonly RunReport[], own: RunReport['exit']): RunReport['exit'] {
  const lost = [
    ...missingShards(reports.map(({ shard }) => shard)).map(
      (shard) => `shard ${shard}: there is no report of it`,
    ),
    ...reports
      .filter(({ exit }) => exit.code > 1)
      .map((report) => `${nameOf(report)}: ${report.exit.meaning}`),
  ];
  if (lost.length === 0) return own;
  const what = lost.join('; ');
  if (own.code === 1) return { code: 1, meaning: `${own.meaning}; and not all was asked: ${what}` };
  if (reports.some(({ exit }) => exit.code === 4)) return { code: 4, meaning: what };
  return { code: reports.every(({ exit }) => exit.code === 3) ? 3 : 5, meaning: what };
}

/**
 * Reports of the shards of one run as one report.
 * @throws InputError when there is none, or they are of different suites, seeds or runs
 */
export function mergeReports(reports: readonly RunReport[]): RunReport {
  const [first] = reports;
  if (first === undefined) throw new InputError('merge: no report was given');
  for (const { tool, seed, strict } of reports) {
    if (tool.version !== first.tool.version)
      throw new InputError(
        `merge: reports of hapspec ${first.tool.version} and ${tool.version} do not belong together`,
      );
    if (seed !== first.seed)
      throw new InputError(
        `merge: seeds ${first.seed} and ${seed}: shards of one run have one; give each --seed ${first.seed}`,
      );
    if (strict !== first.strict)
      throw new InputError('merge: some reports are of a run with --strict, and some are not');
  }
  const byId = new Map<string, Found[]>();
  for (const report of reports)
    for (const result of report.results) {
      const found = { result, of: nameOf(report) };
      const known = byId.get(result.id);
      if (known === undefined) byId.set(result.id, [found]);
      else known.push(found);
    }
  const results = [...byId.values()].map(mergedResult);
  const dirty = reports.find(({ aftermath }) => !aftermath.clean);
  const targets = [...new Set(reports.map(({ target }) => target))];
  const own = exitOf({
    results,
    strict: first.strict,
    interrupted: false,
    harnessError: false,
    clean: dirty === undefined,
  });
  return {
    tool: first.tool,
    target: targets.join(', '),
    accessory: first.accessory,
    seed: first.seed,
    strict: first.strict,
    command: `hapspec merge of ${reports.length}: ${first.command}`,
    startedAt: reports.map(({ startedAt }) => startedAt).sort()[0]!,
    results,
    price: addedPrices(reports.map(({ price }) => price)),
    timing: addedTimings(reports.map(({ timing }) => timing)),
    aftermath: (dirty ?? first).aftermath,
    exit: exitOfAll(reports, own),
  };
}
