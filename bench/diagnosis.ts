import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Fault, faults, latencies, variants } from '../harness/accessory/index.js';
import { signaturesFor } from '../harness/diagnosed.js';
import { Inquiry, type Signatures, diagnose } from '../harness/diagnosis/index.js';
import { memoiseArithmetic, seededRandom } from '../harness/protocol/index.js';
import { readReport } from '../harness/report/index.js';
import { type CheckResult, runTwin, wholeRun, withoutProxies } from '../harness/runner/index.js';
import type { Cause, Diagnosis } from '../harness/runner/result.js';
import { suite } from '../suites/index.js';
import { table } from './measure.js';
import { accessory, hapspec } from './processes.js';
import { occurrence, trials } from './trials.js';

/** None of the seeds that signatures are made with. */
const SEED = 2;
/** Questions after which an inquiry that has not come to the right class is given up. */
const MOST = 60;

/** Of every list one in so many. */
export interface Share {
  readonly everyFault: number;
  readonly pairs: number;
  /** Faults behind a socket, in real time. */
  readonly tcp: number;
}

const signatures = signaturesFor(suite, faults);

function names({ fault, class: others }: Cause, name: string): boolean {
  return fault === name || others.includes(name);
}

function rankOf(diagnosis: Diagnosis | undefined, name: string): number {
  const at = diagnosis?.causes.findIndex((cause) => names(cause, name)) ?? -1;
  return at < 0 ? Infinity : at + 1;
}

function explained(
  results: readonly CheckResult[],
  { dress }: Pick<Fault, 'dress'>,
  known: Signatures = signatures,
): Diagnosis | undefined {
  return diagnose({ results, accessory: { profile: dress?.kind ?? 'hap' } }, known, suite);
}

/** Signatures as they were before anybody knew of these mistakes. */
function unaware({ fault, class: others }: Cause): Signatures {
  const rows = signatures.rows.filter((row) => row.fault !== fault && !others.includes(row.fault));
  return { ...signatures, rows };
}

/** The rank of a fault in the report of a default run over TCP, which takes half a minute and more. */
async function rankOverTcp(fault: Fault): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'hapspec-diagnosis-'));
  const served = await accessory(['--fault', fault.name, '--seed', String(SEED)]);
  try {
    const path = join(folder, 'report.json');
    const options = ['--code', '031-45-154', '--seed', String(SEED), '--timeout', '1500'];
    const files = ['--state', join(folder, 'state'), '--json', path];
    await hapspec(['run', `127.0.0.1:${served.port}`, ...options, ...files], [0, 1, 4, 5]);
    return rankOf(diagnose(readReport(readFileSync(path, 'utf8'), path), signatures, suite), fault.name);
  } finally {
    served.end();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** One accessory that makes both mistakes. */
export function bothOf(a: Fault, b: Fault): Fault {
  return {
    name: `${a.name} and ${b.name}`,
    breaks: [...a.breaks, ...b.breaks],
    story: '',
    change: (ok) => {
      const first = a.change(ok);
      return { ...first, ...b.change({ ...ok, ...first }) };
    },
  };
}

/** `PS-M3` of the first requirement a fault breaks. */
function areaOf({ breaks }: Fault): string {
  return breaks[0]!.split('-')[0]!;
}

function percent(part: number, whole: number): string {
  return whole === 0 ? 'none' : `${part} of ${whole} (${((100 * part) / whole).toFixed(1)} %)`;
}

function medianOf(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN;
}

/** After how many checks and M2s of an inquiry the right class leads, by what a whole run has seen. */
function leadsAfter(
  name: string,
  results: readonly CheckResult[],
  profile: string,
): { checks: number; m2: number } {
  const inquiry = new Inquiry(signatures, suite);
  const known = new Map(results.map((result) => [result.id, result]));
  const asked = new Set<string>();
  let [checks, m2] = [0, 0];
  const ask = (id: string): boolean => {
    asked.add(id);
    const entry = suite.find((one) => one.id === id);
    const result = known.get(id);
    if (entry?.kind !== 'check' || result === undefined || result.status === 'skip') return false;
    checks++;
    m2 += entry.spec.costs?.m2 ?? 0;
    return true;
  };
  for (const entry of suite) if (entry.kind === 'check' && entry.spec.sanity) ask(entry.id);
  while (checks < MOST) {
    const seen = results.filter(({ id, kind }) => kind === 'watch' || asked.has(id));
    const leader = inquiry.learn(seen, profile);
    if (leader?.seen === true && (leader.fault === name || leader.class.includes(name)))
      return { checks, m2 };
    const next = inquiry.next((id) => known.has(id) && !asked.has(id));
    if (next === undefined) break;
    ask(next.id);
  }
  return { checks: Infinity, m2: Infinity };
}

/**
 * How often a diagnosis is right: single faults under another seed, under the budget of a slow device, pairs, accessories
 * that conform; what the trials say; and how soon an inquiry gets there.
 */
export async function diagnosis({ everyFault, pairs, tcp }: Share): Promise<Record<string, number>> {
  withoutProxies();
  memoiseArithmetic(true);
  const reliability = Array.from({ length: 5 }, () => ({ said: 0, right: 0 }));
  const weigh = (found: Diagnosis | undefined, ...right: readonly string[]): void => {
    for (const cause of found?.causes ?? []) {
      if (cause.insteadOf !== undefined) continue;
      const bin = reliability[Math.min(4, Math.floor(5 * cause.confidence))]!;
      bin.said++;
      if (right.some((name) => names(cause, name))) bin.right++;
    }
  };
  const chosen = faults.filter((_, i) => i % everyFault === 0);
  const [single, slow] = [[] as number[], [] as number[]];
  const leads: { checks: number; m2: number }[] = [];
  const missed: string[] = [];
  let certain = 0;
  for (const fault of chosen) {
    const results = await wholeRun(suite, fault, { seed: SEED });
    const found = explained(results, fault);
    const rank = rankOf(found, fault.name);
    single.push(rank);
    if (rank > 1) missed.push(`${fault.name} (${found?.causes[0]?.fault ?? 'none named'})`);
    weigh(found, fault.name);
    const own = found?.causes.find((cause) => names(cause, fault.name));
    if (own !== undefined && (explained(results, fault, unaware(own))?.causes[0]?.confidence ?? 0) >= 0.8)
      certain++;
    if (fault.clone === undefined) leads.push(leadsAfter(fault.name, results, fault.dress?.kind ?? 'hap'));
    const late = await wholeRun(suite, fault, {
      seed: SEED,
      latency: latencies['esp32']!,
      destructive: false,
    });
    slow.push(rankOf(explained(late, fault), fault.name));
  }

  const plain = faults.filter(({ dress, clone }) => dress === undefined && clone === undefined);
  const random = seededRandom(SEED);
  let both = 0;
  for (let i = 0; i < pairs; i++) {
    const a = plain[random.below(plain.length)]!;
    const others = plain.filter((fault) => areaOf(fault) !== areaOf(a));
    const b = others[random.below(others.length)]!;
    const pair = bothOf(a, b);
    const found = explained(await wholeRun(suite, pair, { seed: SEED }), pair);
    if (rankOf(found, a.name) <= 4 && rankOf(found, b.name) <= 4) both++;
    weigh(found, a.name, b.name);
  }

  const overTcp: number[] = [];
  for (let i = 0; i < tcp; i++) overTcp.push(await rankOverTcp(plain[Math.floor((i * plain.length) / tcp)]!));

  const conforming = variants.filter((_, i) => i % everyFault === 0);
  let named = 0;
  for (const variant of conforming)
    if (explained(await wholeRun(suite, variant, { seed: SEED }), variant) !== undefined) named++;
  const healthy = await runTwin(suite, suite, undefined, { seed: SEED });
  if (explained(healthy, {}) !== undefined) named++;

  const said = [];
  for (const trial of trials) said.push({ trial, ...(await occurrence(trial, SEED)) });

  const within = (ranks: readonly number[], most: number): string =>
    percent(ranks.filter((rank) => rank <= most).length, ranks.length);
  console.log(
    table([
      ['', 'right class first', 'in the first three'],
      ['one mistake, another seed', within(single, 1), within(single, 3)],
      ['the same, an ESP32 and 30 attempts', within(slow, 1), within(slow, 3)],
      ['the same over TCP', within(overTcp, 1), within(overTcp, 3)],
      ['two mistakes, both in the first four', percent(both, pairs), ''],
      ['healthy and benign variants named', percent(named, conforming.length + 1), ''],
      [
        'a mistake no signature is of: another one said with 80 % and more',
        percent(certain, single.length),
        '',
      ],
    ]),
  );
  const checks = medianOf(leads.map((one) => one.checks));
  const m2 = medianOf(leads.map((one) => one.m2));
  console.log(
    `asked one by one, the right class leads after ${checks} checks and ${m2} M2 (median); within ${MOST} checks in ${percent(leads.filter((one) => one.checks <= MOST).length, leads.length)}`,
  );
  console.log(
    table([
      ['confidence', 'right'],
      ...reliability.map(({ said: all, right }, i) => [`${20 * i} to ${20 * i + 20} %`, percent(right, all)]),
    ]),
  );
  console.log(
    table([
      ['fault', 'check', 'probes', 'named', 'said'],
      ...said.map(({ trial, named: is, said: words }) => [
        trial.fault,
        trial.check,
        String(trial.probes),
        is ? 'yes' : 'NO',
        words.slice(0, 120),
      ]),
    ]),
  );
  for (const line of missed) console.log(`not first: ${line}`);
  return {};
}
