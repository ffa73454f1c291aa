import type { Command } from 'commander';
import { InputError } from '../protocol/index.js';
import { JSON_SCHEMA } from '../report/index.js';
import { reasons } from '../runner/index.js';
import { configKeys } from './config.js';
import { SELFTEST_SCHEMA, judgements } from './selftest-report.js';

const DRAFT = 'https://json-schema.org/draft/2020-12/schema';

const types = {
  string: { type: 'string' },
  number: { type: 'number' },
  boolean: { type: 'boolean' },
  list: { type: 'array', items: { type: 'string' } },
} as const;

/** What a configuration file may hold: the options of `hapspec run`, each with its description. */
function configSchema(run: Command): object {
  const described = new Map(run.options.map((option) => [option.attributeName(), option.description]));
  const properties = Object.entries(configKeys).map(([key, kind]) => [
    key,
    {
      ...types[kind],
      description: described.get(key) ?? (key === 'target' ? run.registeredArguments[0]!.description : ''),
    },
  ]);
  return {
    $schema: DRAFT,
    title: 'hapspec configuration',
    type: 'object',
    properties: {
      $schema: { type: 'string' },
      ...(Object.fromEntries(properties) as object),
      targets: {
        type: 'array',
        minItems: 1,
        description: 'several accessories in place of one target, each with options of its own',
        items: {
          type: 'object',
          properties: {
            name: {
              type: 'string',
              pattern: '^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$',
              description: 'names its reports; made of the target unless given',
            },
            ...(Object.fromEntries(properties) as object),
          },
          required: ['target'],
          additionalProperties: false,
        },
      },
    },
    not: { required: ['target', 'targets'] },
    additionalProperties: false,
  };
}

const text = { type: 'string' };
const count = { type: 'integer', minimum: 0 };
const number = { type: 'number' };
const flag = { type: 'boolean' };
const texts = { type: 'array', items: text };
const SHARD = { type: 'string', pattern: '^\\d+/\\d+$' };
const byName = { type: 'object', additionalProperties: text };

/** Members whose names end in `?` may be missing; what a later version adds is no error. */
function record(members: Readonly<Record<string, object>>): object {
  const names = Object.keys(members);
  return {
    type: 'object',
    properties: Object.fromEntries(names.map((name) => [name.replace('?', ''), members[name]])),
    required: names.filter((name) => !name.endsWith('?')),
  };
}

function reportSchema(): object {
  const step = record({
    at: count,
    connection: count,
    kind: { enum: ['sent', 'received', 'closed', 'reset', 'silence', 'note'] },
    line: text,
    'sealed?': flag,
    'items?': { type: 'array', items: record({ name: text, length: count, value: text }) },
  });
  const result = record({
    id: text,
    requirement: text,
    title: text,
    level: { enum: ['MUST', 'SHOULD', 'VARIES'] },
    chapter: text,
    file: text,
    source: text,
    kind: { enum: ['check', 'watch'] },
    status: { enum: Object.keys(reasons) },
    'reason?': { enum: Object.values(reasons).flat() },
    message: text,
    'failure?': record({
      requirement: text,
      allowed: texts,
      seen: text,
      exchange: texts,
      'steps?': { type: 'array', items: step },
      reproduce: text,
    }),
    'security?': flag,
    observations: byName,
    'leftOut?': flag,
    'died?': flag,
    'attempts?': count,
    startedAt: text,
    durationMs: number,
  });
  const cause = record({
    fault: text,
    class: texts,
    words: text,
    explains: texts,
    against: texts,
    confidence: { type: 'number', minimum: 0, maximum: 1 },
  });
  const prices = ['m2', 'm4', 'm6', 'verifies', 'attempts', 'resets', 'wallMs', 'accessoryMs'];
  return {
    $schema: DRAFT,
    title: 'hapspec report',
    ...record({
      schema: { const: JSON_SCHEMA },
      tool: record({ name: { const: 'hapspec' }, version: text }),
      target: text,
      accessory: byName,
      seed: text,
      strict: flag,
      command: text,
      'shard?': SHARD,
      startedAt: text,
      exit: record({ code: { type: 'integer', minimum: 0, maximum: 5 }, meaning: text }),
      aftermath: record({ clean: flag, message: text }),
      counts: record(Object.fromEntries(Object.keys(reasons).map((status) => [status, count]))),
      price: record(Object.fromEntries(prices.map((name) => [name, number]))),
      timing: {
        type: 'object',
        additionalProperties: record({ count, totalMs: number, longestMs: number }),
      },
      diagnosis: { type: 'array', items: cause },
      unexplained: texts,
      results: { type: 'array', items: result },
    }),
  };
}

function selftestSchema(): object {
  const weighed = record({ behaviour: text, judgement: { enum: judgements }, id: text });
  return {
    $schema: DRAFT,
    title: 'hapspec selftest',
    ...record({
      schema: { const: SELFTEST_SCHEMA },
      kind: { const: 'selftest' },
      tool: record({ name: { const: 'hapspec' }, version: text }),
      suite: { type: 'string', pattern: '^[0-9a-f]{16}$' },
      seed: { type: 'string', pattern: '^\\d{1,15}$' },
      full: flag,
      'only?': texts,
      'shard?': SHARD,
      seconds: { type: 'number', minimum: 0 },
      exit: record({ code: { enum: [0, 1, 5] }, meaning: text }),
      counts: record({ checks: count, faults: count, kills: count }),
      rows: {
        type: 'array',
        items: record({
          twin: {
            type: ['string', 'null'],
            description: 'fault or benign variant; null is the healthy accessory',
          },
          failed: texts,
          odd: texts,
          foreign: texts,
          weighed: { type: 'array', items: weighed },
        }),
      },
    }),
  };
}

/** `hapspec schema`: the JSON Schema of a configuration file, or of a report of `run` or `selftest`. @throws InputError for any other word */
export function schemaCommand(what: string, run: Command): string {
  const schemas = { config: () => configSchema(run), report: reportSchema, selftest: selftestSchema };
  if (!Object.hasOwn(schemas, what))
    throw new InputError(`schema ${what}: expected config, report or selftest`);
  return JSON.stringify(schemas[what as keyof typeof schemas](), null, 2);
}
