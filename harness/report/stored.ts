import { InputError } from '../protocol/index.js';
import type {
  CheckResult,
  ExchangeStep,
  Failure,
  Level,
  Reason,
  RunReport,
  Status,
  Timing,
} from '../runner/result.js';
import { JSON_SCHEMA } from './json.js';

const statuses: readonly Status[] = ['pass', 'warn', 'fail', 'skip', 'error'];
const levels: readonly Level[] = ['MUST', 'SHOULD', 'VARIES'];
/** A report of the whole suite holds some 800 results, and as many again where it is of another version. */
const MOST = 10_000;

type Fields = Readonly<Record<string, unknown>>;

function fields(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string') : [];
}

function text(value: unknown, otherwise = ''): string {
  return typeof value === 'string' ? value : otherwise;
}

function textsByName(value: unknown): Record<string, string> {
  return Object.fromEntries(
    Object.entries(fields(value)).filter((pair): pair is [string, string] => typeof pair[1] === 'string'),
  );
}

function numberOf(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : 0;
}

const kinds: readonly ExchangeStep['kind'][] = ['sent', 'received', 'closed', 'reset', 'silence', 'note'];

function stepsOf(value: unknown): readonly ExchangeStep[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value.flatMap((one): readonly ExchangeStep[] => {
    const { at, connection, kind, line, sealed, items } = fields(one);
    const known = kinds.find((name) => name === kind);
    if (known === undefined) return [];
    const step = { at: numberOf(at), connection: numberOf(connection), kind: known, line: text(line) };
    const listed = Array.isArray(items)
      ? items.map(fields).map(({ name, length, value: bytes }) => ({
          name: text(name),
          length: numberOf(length),
          value: text(bytes),
        }))
      : undefined;
    return [{ ...step, ...(sealed === true && { sealed }), ...(listed && { items: listed }) }];
  });
}

function timingOf(value: unknown): Record<string, Timing> {
  return Object.fromEntries(
    Object.entries(fields(value)).map(([message, times]) => {
      const { count, totalMs, longestMs } = fields(times);
      return [
        message,
        { count: numberOf(count), totalMs: numberOf(totalMs), longestMs: numberOf(longestMs) },
      ];
    }),
  );
}

function failureOf(value: unknown): Failure | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { requirement, allowed, seen, exchange, reproduce, steps } = fields(value);
  const drawn = stepsOf(steps);
  return {
    requirement: text(requirement),
    allowed: texts(allowed),
    seen: text(seen),
    exchange: texts(exchange),
    ...(drawn && { steps: drawn }),
    reproduce: text(reproduce),
  };
}

function resultOf(value: unknown, index: number, path: string): CheckResult {
  const { id, status, level, reason, kind, leftOut, ...rest } = fields(value);
  const named = statuses.find((one) => one === status);
  if (typeof id !== 'string' || id === '' || named === undefined)
    throw new InputError(
      `${path}: results[${index}] has no id, or a status that is none of ${statuses.join(', ')}: expected what "hapspec run --json FILE" writes`,
    );
  return {
    id,
    requirement: text(rest['requirement'], id.split('/')[0]),
    title: text(rest['title']),
    level: levels.find((one) => one === level) ?? 'MUST',
    chapter: text(rest['chapter']),
    file: text(rest['file']),
    source: text(rest['source']),
    kind: kind === 'watch' ? 'watch' : 'check',
    status: named,
    reason: typeof reason === 'string' ? (reason as Reason) : undefined,
    message: text(rest['message']),
    failure: failureOf(rest['failure']),
    observations: textsByName(rest['observations']),
    ...(rest['security'] === true && { security: true }),
    ...(leftOut === true && { leftOut }),
    ...(rest['died'] === true && { died: true }),
    ...(typeof rest['attempts'] === 'number' && { attempts: rest['attempts'] }),
    startedAt: text(rest['startedAt']),
    durationMs: numberOf(rest['durationMs']),
  };
}

/**
 * Reads a report that was written as JSON, of this version or one before it. A diagnosis in it is left out: it is made anew.
 * @param path - for messages
 * @throws InputError naming the file, and what in it is not of a report
 */
export function readReport(content: string, path: string): RunReport {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch (error) {
    throw new InputError(`${path}: it is no JSON (${(error as Error).message})`, { cause: error });
  }
  const report = fields(value);
  const { schema, results } = report;
  if (report['kind'] === 'selftest')
    throw new InputError(`${path}: it is of "hapspec selftest": "hapspec merge" reads it, and shows it`);
  if (schema !== JSON_SCHEMA || !Array.isArray(results))
    throw new InputError(
      `${path}: expected a report of "hapspec run --json FILE" (schema ${JSON_SCHEMA} with results), got schema ${String(schema)}`,
    );
  if (results.length > MOST)
    throw new InputError(`${path}: ${results.length} results are more than the ${MOST} a report can hold`);
  const price = fields(report['price']);
  const [exit, aftermath] = [fields(report['exit']), fields(report['aftermath'])];
  return {
    tool: { name: 'hapspec', version: text(fields(report['tool'])['version']) },
    target: text(report['target']),
    accessory: textsByName(report['accessory']),
    seed: text(report['seed']),
    strict: report['strict'] === true,
    command: text(report['command']),
    ...(typeof report['shard'] === 'string' && { shard: report['shard'] }),
    startedAt: text(report['startedAt']),
    results: results.map((one, index) => resultOf(one, index, path)),
    price: {
      m2: numberOf(price['m2']),
      m4: numberOf(price['m4']),
      m6: numberOf(price['m6']),
      verifies: numberOf(price['verifies']),
      attempts: numberOf(price['attempts']),
      resets: numberOf(price['resets']),
      wallMs: numberOf(price['wallMs']),
      accessoryMs: numberOf(price['accessoryMs']),
    },
    timing: timingOf(report['timing']),
    aftermath: { clean: aftermath['clean'] === true, message: text(aftermath['message']) },
    exit: { code: numberOf(exit['code']), meaning: text(exit['meaning']) },
  };
}
