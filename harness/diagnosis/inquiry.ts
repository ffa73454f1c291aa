import type { Case, CheckResult } from '../runner/index.js';
import { evidenceOf } from './evidence.js';
import { candidates, group, total } from './score.js';
import type { Dress, Signatures } from './signatures.js';

/** The likeliest class of mistakes so far. */
export interface Leader {
  readonly fault: string;
  readonly class: readonly string[];
  /** Share of it among all mistakes, and no mistake. */
  readonly share: number;
  /** Something is red that it explains. */
  readonly seen: boolean;
}

/** Scores are less sure than they look by so much, as in a diagnosis. */
const TEMPER = 0.9;
/** What a question has to be worth (bits) to be asked: below it everything left answers alike. */
const LEAST = 0.02;
/** The share at which a class is clear. */
const CLEAR = 0.9;
/** What a check that costs nothing is worth less than nothing: the time of one more connection. */
const BASE = 1;

/** What a check asks of the accessory, in M2s and what is as slow. */
export function costOf(entry: Case): number {
  if (entry.kind === 'watch') return 0;
  const { m2 = 0, m4 = 0, verifies = 0, attempts = 0, seconds = 0 } = entry.spec.costs ?? {};
  return m2 + m4 + 0.2 * verifies + attempts + seconds / 4;
}

/** Asks an accessory what tells most, check by check, until one class of mistakes is clear. */
export class Inquiry {
  /** Number of the outcome each mistake would have, by the id of a check; 0 for a pass, 1 where it would not be reached. */
  private readonly outcomes: ReadonlyMap<string, Uint16Array>;
  private shares: Float64Array;
  /** Share of no mistake, or of none that is known. */
  private healthy = 0;

  constructor(
    private readonly signatures: Signatures,
    private readonly suite: readonly Case[],
  ) {
    const { rows } = signatures;
    this.outcomes = new Map(
      suite
        .filter(({ id, kind }) => kind === 'check' && signatures.checks.has(id))
        .map(({ id }) => {
          const numbers = new Map<string, number>();
          const of = Uint16Array.from(rows, (row) => {
            const symptoms = row.symptoms.get(id);
            if (symptoms === undefined) return row.asked.has(id) ? 0 : 1;
            const text = symptoms.map(({ verdict, kind }) => verdict + kind).join('|');
            const number = numbers.get(text) ?? numbers.size + 2;
            numbers.set(text, number);
            return number;
          });
          return [id, of] as const;
        }),
    );
    this.shares = new Float64Array(rows.length);
  }

  /** Takes in what is known so far. What a watch has not objected to yet says nothing. */
  learn(results: readonly CheckResult[], profile: string): Leader | undefined {
    const { rows } = this.signatures;
    const told = results.filter(({ kind, status }) => kind === 'check' || status === 'fail');
    const evidence = evidenceOf(told, { profile });
    // What it is about will be asked: a mistake of an MFi accessory is possible until then.
    const dresses = new Set<Dress>([...evidence.dresses, 'mfi']);
    const all = candidates({ ...evidence, dresses }, this.signatures);
    const grouped = group(evidence.findings);
    const of = new Map(all.map((candidate) => [candidate.row, candidate]));
    const scores = rows.map((row) => {
      const candidate = of.get(row);
      return candidate === undefined ? -Infinity : total(candidate.weights, grouped) + candidate.prior;
    });
    const most = Math.max(0, ...scores);
    const odds = (score: number): number => Math.exp(TEMPER * (score - most));
    const none = odds(0);
    const sum = scores.reduce((all, score) => all + odds(score), none);
    this.shares = Float64Array.from(scores, (score) => odds(score) / sum);
    this.healthy = none / sum;
    const best = [...all].sort((a, b) => scores[rows.indexOf(b.row)]! - scores[rows.indexOf(a.row)]!)[0];
    if (best === undefined) return undefined;
    const members = all.filter(({ key }) => key === best.key);
    return {
      fault: best.row.fault,
      class: members.filter((one) => one !== best).map(({ row }) => row.fault),
      share: members.reduce((share, { row }) => share + this.shares[rows.indexOf(row)]!, 0),
      seen: evidence.findings.some(({ verdict }, i) => verdict === 'red' && best.weights[i]! > 0),
    };
  }

  /** A class explains what is red, and hardly anything else would. */
  isClear({ share, seen }: Leader): boolean {
    return seen && share >= CLEAR;
  }

  /** The check whose answer is worth most for what it costs; undefined where no answer would tell anything. */
  next(available: (id: string) => boolean): Case | undefined {
    let best: Case | undefined;
    let worth = 0;
    for (const entry of this.suite) {
      const outcomes = this.outcomes.get(entry.id);
      if (outcomes === undefined || !available(entry.id)) continue;
      const bits = this.information(outcomes);
      if (bits < LEAST) continue;
      const value = bits / (BASE + costOf(entry));
      if (value > worth) [best, worth] = [entry, value];
    }
    return best;
  }

  /** Entropy of the answers (bits). */
  private information(outcomes: Uint16Array): number {
    const sums: number[] = [this.healthy];
    for (let i = 0; i < outcomes.length; i++) {
      const number = outcomes[i]!;
      sums[number] = (sums[number] ?? 0) + this.shares[i]!;
    }
    let bits = 0;
    for (const share of sums) if (share !== undefined && share > 0) bits -= share * Math.log2(share);
    return bits;
  }
}
