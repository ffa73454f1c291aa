import { type Evidence, type Finding, fits, weigh } from './evidence.js';
import type { Signature, Signatures } from './signatures.js';

/** A mistake beside the findings of one run. */
export interface Candidate {
  readonly row: Signature;
  /** Weight of each finding, in their order; 0 where the mistake says nothing of it. */
  readonly weights: Float64Array;
  readonly prior: number;
  /** The same for mistakes that no finding tells apart. */
  readonly key: string;
}

/** Findings of one requirement are of one cause as a rule: twenty of them say more than one, and not twenty times as much. */
export interface Grouped {
  readonly findings: readonly Finding[];
  /** Number of the group of each finding. */
  readonly groups: Uint16Array;
  readonly count: number;
}

export function group(findings: readonly Finding[]): Grouped {
  const numbers = new Map<string, number>();
  const groups = Uint16Array.from(findings, ({ requirement }) => {
    const number = numbers.get(requirement) ?? numbers.size;
    numbers.set(requirement, number);
    return number;
  });
  return { findings, groups, count: numbers.size };
}

/** What was seen in the field is this much likelier before anything is known. */
const FIELD = Math.log(2);

/** All mistakes that fit the accessory, weighed. */
export function candidates(evidence: Evidence, { rows }: Signatures): readonly Candidate[] {
  const { findings } = evidence;
  return rows
    .filter((row) => fits(row, evidence))
    .map((row): Candidate => {
      const weights = new Float64Array(findings.length);
      const key: string[] = [];
      for (const [i, finding] of findings.entries()) {
        const expected = row.symptoms.get(finding.id);
        weights[i] = weigh(expected, finding);
        if (expected !== undefined)
          key.push(`${i}:${expected.map(({ verdict, kind }) => verdict + kind).join('|')}`);
        else if (finding.verdict === 'red' && !row.asked.has(finding.id)) key.push(`${i}?`);
      }
      return { row, weights, prior: row.fieldBug ? FIELD : 0, key: key.join('\n') };
    });
}

/** What correlated findings add up to: as the root of their number. */
const DAMPING = 0.5;

/** Weights of several causes together: what one of them explains is explained, what one of them denies is denied. */
export function total(weights: Float64Array, { groups, count }: Grouped): number {
  const [up, ups] = [new Float64Array(count), new Uint16Array(count)];
  const [down, downs] = [new Float64Array(count), new Uint16Array(count)];
  for (let i = 0; i < weights.length; i++) {
    const weight = weights[i]!;
    if (weight === 0) continue;
    const at = groups[i]!;
    if (weight > 0) {
      up[at]! += weight;
      ups[at]!++;
    } else {
      down[at]! += weight;
      downs[at]!++;
    }
  }
  let sum = 0;
  for (let at = 0; at < count; at++) {
    if (ups[at]! > 0) sum += up[at]! * ups[at]! ** -DAMPING;
    if (downs[at]! > 0) sum += down[at]! * downs[at]! ** -DAMPING;
  }
  return sum;
}

/** Two causes at once. */
export function joined(a: Float64Array, b: Float64Array): Float64Array {
  const out = new Float64Array(a.length);
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i]!, b[i]!];
    out[i] = x > 0 || y > 0 ? Math.max(x, y) : Math.min(x, y);
  }
  return out;
}
