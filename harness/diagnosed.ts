import { readFileSync } from 'node:fs';
import { type Mistake, type Signatures, diagnose, readSignatures, whyStale } from './diagnosis/index.js';
import { InputError } from './protocol/index.js';
import type { Case, RunReport } from './runner/index.js';

/** Where the signatures of all mistakes are: made by `hapspec selftest --signatures`, shipped with the package. */
export const SIGNATURES = new URL('../../signatures/signatures.json', import.meta.url);

let loaded: Signatures | undefined;

/**
 * The signatures of this suite's mistakes. @throws InputError where they are of another suite, or cannot be read
 */
export function signaturesFor(suite: readonly Case[], mistakes: readonly Mistake[]): Signatures {
  if (loaded === undefined) {
    let text: string;
    try {
      text = readFileSync(SIGNATURES, 'utf8');
    } catch (error) {
      throw new InputError('signatures/signatures.json: it is not there or cannot be read', { cause: error });
    }
    loaded = readSignatures(text);
  }
  const stale = whyStale(loaded, suite, mistakes);
  if (stale !== undefined) throw new InputError(stale);
  return loaded;
}

/**
 * A report with its diagnosis: which mistakes explain what failed. Verdicts and the exit code stay as they are; where there
 * are no signatures of this suite, the report says so and is otherwise the same.
 */
export function diagnosed(
  report: RunReport,
  suite: readonly Case[],
  mistakes: readonly Mistake[],
): RunReport {
  const red = report.results.some(({ status, reason }) => status === 'fail' || reason === 'should');
  if (!red) return report;
  let signatures: Signatures;
  try {
    signatures = signaturesFor(suite, mistakes);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return {
      ...report,
      diagnosis: { failures: 0, warnings: 0, causes: [], unexplained: [], note: `none: ${error.message}` },
    };
  }
  const diagnosis = diagnose(report, signatures, suite);
  return diagnosis === undefined ? report : { ...report, diagnosis };
}
