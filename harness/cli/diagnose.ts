import { readFileSync } from 'node:fs';
import { suite } from '../../suites/index.js';
import { faults } from '../accessory/index.js';
import { signaturesFor } from '../diagnosed.js';
import { diagnose } from '../diagnosis/index.js';
import { InputError } from '../protocol/index.js';
import { diagnosisText, readReport, whyUnreadable } from '../report/index.js';
import type { RunReport } from '../runner/index.js';

export interface DiagnoseFlags {
  readonly json?: boolean;
}

/** Bytes of a report that are read at the most; one of the whole suite has two or three million. */
const LARGEST = 100_000_000;

function stored(path: string): RunReport {
  let content: string;
  try {
    content = readFileSync(path, 'utf8');
  } catch (error) {
    throw new InputError(`diagnose ${path}: ${whyUnreadable(error)}`, { cause: error });
  }
  if (content.length > LARGEST) throw new InputError(`diagnose ${path}: it is too long for a report`);
  return readReport(content, path);
}

/**
 * `hapspec diagnose REPORT.json`: the mistakes that explain a stored report.
 * @throws InputError for a file that is no report, and where signatures are of another suite
 */
export function diagnoseReport(path: string, { json = false }: DiagnoseFlags): string {
  const report = stored(path);
  const diagnosis = diagnose(report, signaturesFor(suite, faults), suite);
  if (json)
    return JSON.stringify(
      {
        diagnosis: diagnosis?.causes ?? [],
        unexplained: diagnosis?.unexplained ?? [],
        ...(diagnosis?.next && { next: diagnosis.next }),
      },
      null,
      2,
    );
  return diagnosisText({ ...report, ...(diagnosis && { diagnosis }) });
}
