import type { Cause, CheckResult, RunReport } from '../runner/result.js';
import { counts } from './counts.js';

/** Version of the JSON report's shape; raised when a field changes its meaning or goes. */
export const JSON_SCHEMA = 1;

/** Members by name, so that two reports differ only where the runs differ. */
function sorted(record: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}

function resultObject(result: CheckResult): CheckResult {
  return {
    id: result.id,
    requirement: result.requirement,
    title: result.title,
    level: result.level,
    chapter: result.chapter,
    file: result.file,
    source: result.source,
    kind: result.kind,
    status: result.status,
    reason: result.reason,
    message: result.message,
    failure: result.failure && {
      requirement: result.failure.requirement,
      allowed: result.failure.allowed,
      seen: result.failure.seen,
      exchange: result.failure.exchange,
      ...(result.failure.steps && { steps: result.failure.steps }),
      reproduce: result.failure.reproduce,
    },
    ...(result.security !== undefined && { security: result.security }),
    observations: sorted(result.observations),
    ...(result.leftOut !== undefined && { leftOut: result.leftOut }),
    ...(result.died !== undefined && { died: result.died }),
    ...(result.attempts !== undefined && { attempts: result.attempts }),
    startedAt: result.startedAt,
    durationMs: result.durationMs,
  };
}

function causeObject(cause: Cause): Cause {
  const { fault, words, explains, against, confidence, decisive, insteadOf } = cause;
  return {
    fault,
    class: cause.class,
    words,
    explains,
    against,
    confidence,
    ...(decisive !== undefined && { decisive }),
    ...(insteadOf !== undefined && { insteadOf }),
  };
}

/** A result is written once, however many reports it stands in while the run goes on. */
const written = new WeakMap<CheckResult, string>();

function resultText(result: CheckResult): string {
  const text =
    written.get(result) ?? JSON.stringify(resultObject(result), null, 2).replaceAll('\n', '\n    ');
  written.set(result, text);
  return text;
}

/** The report as JSON (`schema: 1`): keys always in the same order, a newline at the end. */
export function json(report: RunReport): string {
  const { tool, price } = report;
  const ordered = {
    schema: JSON_SCHEMA,
    tool: { name: tool.name, version: tool.version },
    target: report.target,
    accessory: sorted(report.accessory),
    seed: report.seed,
    strict: report.strict,
    command: report.command,
    ...(report.shard !== undefined && { shard: report.shard }),
    startedAt: report.startedAt,
    exit: { code: report.exit.code, meaning: report.exit.meaning },
    aftermath: { clean: report.aftermath.clean, message: report.aftermath.message },
    counts: counts(report.results),
    price: {
      m2: price.m2,
      m4: price.m4,
      m6: price.m6,
      verifies: price.verifies,
      attempts: price.attempts,
      resets: price.resets,
      wallMs: price.wallMs,
      accessoryMs: price.accessoryMs,
    },
    timing: Object.fromEntries(
      Object.entries(report.timing)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([message, { count, totalMs, longestMs }]) => [
          message,
          { count, totalMs: Math.round(totalMs), longestMs: Math.round(longestMs) },
        ]),
    ),
    diagnosis: (report.diagnosis?.causes ?? []).map(causeObject),
    unexplained: report.diagnosis?.unexplained ?? [],
    ...(report.diagnosis?.next && { next: report.diagnosis.next }),
  };
  const results = report.results.map((result) => `\n    ${resultText(result)}`);
  const list = results.length === 0 ? '[]' : `[${results.join()}\n  ]`;
  return `${JSON.stringify(ordered, null, 2).slice(0, -2)},\n  "results": ${list}\n}\n`;
}
