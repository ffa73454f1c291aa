import type { CheckResult, RunReport } from '../runner/result.js';
import type { Dress, Signature } from './signatures.js';
import { type Symptom, coarse, symptomOf } from './symptom.js';

/** What one check of a run says. */
export interface Finding extends Symptom {
  readonly id: string;
  readonly requirement: string;
  readonly coarse: string;
}

/** All that a run says of the accessory's mistakes: what was asked, and what the accessory is. */
export interface Evidence {
  readonly findings: readonly Finding[];
  readonly dresses: ReadonlySet<Dress>;
}

type Asked = Pick<CheckResult, 'id' | 'requirement' | 'status' | 'reason' | 'message'>;

/** Reads the results of a run: what was not asked, or not reached, says nothing. */
export function evidenceOf(results: readonly Asked[], accessory: RunReport['accessory'] = {}): Evidence {
  const findings = results.flatMap((result): readonly Finding[] => {
    const symptom = symptomOf(result);
    if (symptom === undefined) return [];
    const { id, requirement } = result;
    return [{ ...symptom, id, requirement, coarse: coarse(symptom.kind) }];
  });
  const dresses = new Set<Dress>();
  if (accessory['profile'] === 'airplay') dresses.add('airplay');
  for (const { id } of findings) {
    if (id.startsWith('CLONE-')) dresses.add('clone');
    else if (id.startsWith('AIRPLAY-')) dresses.add('airplay');
    else if (id.startsWith('MFI-')) dresses.add('mfi');
  }
  return { findings, dresses };
}

/** Whether a mistake can be one of such an accessory. */
export function fits({ dress }: Pick<Signature, 'dress'>, { dresses }: Evidence): boolean {
  return dress === undefined || dresses.has(dress);
}

/*
 * How much likelier an outcome is under a mistake than where nothing known is the cause, as natural logarithms. They are
 * of this order in the runs of `bench diagnosis`; confidence is held to what comes true there.
 */
const RED = { same: 5.5, alike: 3, other: 0.3, warned: 0.8, passed: -3.6 };
const WARNED = { same: 3, alike: 1.6, other: 0.3, red: 0.3, passed: -1.6 };

function weightOf(expected: Symptom, seen: Finding): number {
  const alike =
    expected.kind === seen.kind ? 'same' : coarse(expected.kind) === seen.coarse ? 'alike' : 'other';
  switch (expected.verdict) {
    case 'passed':
      return 0;
    case 'red':
      return seen.verdict === 'red' ? RED[alike] : RED[seen.verdict];
    case 'warned':
      return seen.verdict === 'warned' ? WARNED[alike] : WARNED[seen.verdict];
  }
}

/** How a finding stands to the outcomes a mistake has had: above 0 for it, below 0 against it. */
export function weigh(expected: readonly Symptom[] | undefined, seen: Finding): number {
  if (expected === undefined) return 0;
  const weights = expected.map((one) => weightOf(one, seen));
  const best = Math.max(...weights);
  // What came of it now and then only says less either way.
  return expected.length === 1 ? best : best > 0 ? best - 0.5 : best / expected.length;
}
