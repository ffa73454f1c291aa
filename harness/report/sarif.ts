import { createHash } from 'node:crypto';
import type { Cause, CheckResult, RunReport } from '../runner/result.js';
import { causeOfEach, causeTitle, percent } from './causes.js';
import { clip, failureText, headline, oneLine, printable } from './text.js';

/** What a rule says of a requirement; the catalogue has more. */
export interface SarifRequirement {
  readonly level: CheckResult['level'];
  readonly expected: string;
  readonly rationale: string;
  readonly source: string;
  readonly area: string;
  readonly silent_security: boolean;
}

/** What a SARIF file needs beside the report. */
export interface SarifContext {
  /** By id. */
  readonly requirements: ReadonlyMap<string, SarifRequirement>;
  /**
   * Path of a file from the root of the repository, `/` between folders, that stands for the accessory; undefined where
   * there is none. An accessory has no line of code, and readers show findings at files.
   */
  readonly anchor: string | undefined;
}

const SCHEMA = 'https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json';
/** What code scanning shows of a description. */
const DESCRIPTION = 1024;
/** Notifications at the most: what could not be asked is of one cause mostly. */
const NOTIFICATIONS = 100;

type Level = 'error' | 'warning' | 'note';

/**
 * A text as a message of SARIF: `{0}` would be a placeholder (§3.11.5), and `[text](address)` a link that an accessory puts
 * into the page of its judge (§3.11.6).
 */
function message(text: string): { readonly text: string } {
  return { text: printable(text).replace(/[{}]/g, '$&$&').replaceAll('](', '] (') };
}

function clipped(text: string): { readonly text: string } {
  return { text: clip(message(text).text, DESCRIPTION) };
}

/** How much a violation weighs: MUST and what nobody would notice are errors. */
function weightOf({ level, security }: Pick<CheckResult, 'level' | 'security'>): Level {
  return level === 'MUST' || security === true ? 'error' : 'warning';
}

function ruleOf(result: CheckResult, requirement: SarifRequirement | undefined): object {
  const { id, level, source } = result;
  const title = result.title === '' ? id : result.title;
  const { expected = '', rationale = '', area = '', silent_security: security = false } = requirement ?? {};
  const severity = weightOf({ level, security });
  const text = [
    `${id} ${title} [${level}${security ? ', security' : ''}]`,
    ...(expected === '' ? [] : [`What may come back: ${expected}`]),
    ...(rationale === '' ? [] : [`Why: ${rationale}`]),
    `Source: ${requirement?.source ?? source}`,
    `More: npx hapspec explain ${requirement === undefined ? id : result.requirement}`,
  ];
  return {
    id: oneLine(id, 200),
    shortDescription: clipped(oneLine(title)),
    fullDescription: clipped(oneLine(expected === '' ? title : `${title}: ${expected}`, 2 * DESCRIPTION)),
    help: message(text.map((line) => oneLine(line, 4000)).join('\n\n')),
    defaultConfiguration: { level: severity },
    properties: {
      tags: [...(area === '' ? [] : [oneLine(area)]), level, ...(security ? ['security'] : [])],
      'problem.severity': severity,
    },
  };
}

/** Digest of an id, which stays: the finding is the same one in every run, wherever in the anchor it is shown. */
function fingerprint(id: string): string {
  return createHash('sha256').update(id).digest('hex').slice(0, 16);
}

function resultOf(
  result: CheckResult,
  ruleIndex: number,
  { report, anchor, cause }: { report: RunReport; anchor: string | undefined; cause: Cause | undefined },
): object {
  const because =
    cause === undefined ? '' : `cause, ${percent(cause.confidence)} sure: ${causeTitle(cause)}\n`;
  const [, ...lines] = failureText(result, report).split('\n');
  const print = fingerprint(result.id);
  const region = { startLine: 1, startColumn: 1, endLine: 1, endColumn: 1 };
  const target = oneLine(report.target);
  return {
    ruleId: oneLine(result.id, 200),
    ruleIndex,
    kind: 'fail',
    level: result.status === 'warn' ? 'warning' : weightOf(result),
    message: message(`${headline(result)}.\n\n${because}${lines.join('\n')}`),
    locations: [
      {
        ...(anchor !== undefined && {
          physicalLocation: { artifactLocation: { uri: encodeURI(anchor), uriBaseId: '%SRCROOT%' }, region },
        }),
        logicalLocations: [
          { name: target, fullyQualifiedName: `${target}/${oneLine(result.id, 200)}`, kind: 'resource' },
        ],
      },
    ],
    partialFingerprints: { primaryLocationLineHash: `${print}:1`, 'hapspecCheck/v1': print },
    ...(result.failure && { properties: { reproduce: oneLine(result.failure.reproduce, 4000) } }),
  };
}

/** What kept the run from an answer, which is no finding about the accessory. */
function notificationsOf(report: RunReport, ruleIndex: ReadonlyMap<string, number>): readonly object[] {
  const { results, exit, aftermath } = report;
  const errors = results.filter(({ status, reason }) => status === 'error' && reason !== 'not-run');
  return [
    ...(exit.code > 1 ? [{ level: 'error', message: message(oneLine(exit.meaning)) }] : []),
    ...(aftermath.clean ? [] : [{ level: 'warning', message: message(oneLine(aftermath.message)) }]),
    ...errors.slice(0, NOTIFICATIONS).map((result) => ({
      level: 'warning',
      message: message(headline(result)),
      associatedRule: { id: oneLine(result.id, 200), index: ruleIndex.get(result.id)! },
    })),
  ];
}

/**
 * The report as SARIF 2.1.0 for code scanning: a rule for each check, a result for each failure, with `--strict` for each
 * warning too. Harmless whatever the accessory sent: bounded, and neither placeholder nor link. What could not be asked is
 * a notification of the run.
 */
export function sarif(report: RunReport, { requirements, anchor }: SarifContext): string {
  const { results, strict, exit, tool } = report;
  // A stored report may say anything; a rule stands once.
  const ruled = [...new Map(results.map((result) => [result.id, result])).values()];
  const ruleIndex = new Map(ruled.map(({ id }, i) => [id, i]));
  const causes = causeOfEach(report);
  const red = results.filter(({ status }) => status === 'fail' || (strict && status === 'warn'));
  const started = new Date(report.startedAt);
  return `${JSON.stringify(
    {
      $schema: SCHEMA,
      version: '2.1.0',
      runs: [
        {
          tool: {
            driver: {
              name: tool.name,
              version: oneLine(tool.version),
              rules: ruled.map((result) => ruleOf(result, requirements.get(result.requirement))),
            },
          },
          columnKind: 'utf16CodeUnits',
          originalUriBaseIds: {
            '%SRCROOT%': { description: { text: 'The root of the repository the run is kept in.' } },
          },
          invocations: [
            {
              commandLine: oneLine(report.command, 4000),
              ...(!Number.isNaN(started.getTime()) && { startTimeUtc: started.toISOString() }),
              exitCode: exit.code,
              exitCodeDescription: oneLine(exit.meaning),
              executionSuccessful: exit.code <= 1,
              toolExecutionNotifications: notificationsOf(report, ruleIndex),
            },
          ],
          results: red.map((result) =>
            resultOf(result, ruleIndex.get(result.id)!, { report, anchor, cause: causes.get(result.id) }),
          ),
          properties: { target: oneLine(report.target), seed: oneLine(report.seed) },
        },
      ],
    },
    undefined,
    1,
  )}\n`;
}
