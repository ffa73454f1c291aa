import { suite } from '../../suites/index.js';
import { faults } from '../accessory/index.js';
import { signaturesFor } from '../diagnosed.js';
import { diagnose } from '../diagnosis/index.js';
import { diagnosisText } from '../report/index.js';
import { storedReport } from './reports.js';

export interface DiagnoseFlags {
  readonly json?: boolean;
}

/**
 * `hapspec diagnose REPORT.json`: the mistakes that explain a stored report.
 * @throws InputError for a file that is no report, and where signatures are of another suite
 */
export function diagnoseReport(path: string, { json = false }: DiagnoseFlags): string {
  const report = storedReport(path);
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
