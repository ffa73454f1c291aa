import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect } from 'chai';
import { anchorOf } from '../../harness/cli/anchor.js';
import { sarif } from '../../harness/report/index.js';
import type { CheckResult, RunReport } from '../../harness/runner/result.js';
import { catalogue } from '../../suites/index.js';
import { diagnosis, failure, hostileTexts, report, reportFullOf, result } from './sample.js';

const text = { type: 'string', minLength: 1 };
const level = { enum: ['error', 'warning', 'note'] };
/** An object that holds these members and no other; those whose names end in `?` may be missing. */
const object = (members: Readonly<Record<string, object>>): object => ({
  type: 'object',
  properties: Object.fromEntries(
    Object.entries(members).map(([name, form]) => [name.replace('?', ''), form]),
  ),
  required: Object.keys(members).filter((name) => !name.endsWith('?')),
  additionalProperties: false,
});
const list = (items: object): object => ({ type: 'array', items });
const message = object({ text });
const columns = { type: 'integer', minimum: 1 };

/** What SARIF 2.1.0 says of the members that are written, and code scanning requires of them. */
const form = object({
  $schema: { type: 'string', pattern: 'sarif-schema-2\\.1\\.0\\.json$' },
  version: { const: '2.1.0' },
  runs: {
    ...list(
      object({
        tool: object({
          driver: object({
            name: { const: 'hapspec' },
            version: text,
            rules: {
              ...list(
                object({
                  id: text,
                  shortDescription: object({ text: { ...text, maxLength: 1024 } }),
                  fullDescription: object({ text: { ...text, maxLength: 1024 } }),
                  help: message,
                  defaultConfiguration: object({ level }),
                  properties: object({
                    tags: { ...list(text), uniqueItems: true, maxItems: 20 },
                    'problem.severity': { enum: ['error', 'warning', 'recommendation'] },
                  }),
                }),
              ),
              uniqueItems: true,
            },
          }),
        }),
        columnKind: { enum: ['utf16CodeUnits', 'unicodeCodePoints'] },
        originalUriBaseIds: object({ '%SRCROOT%': object({ description: message }) }),
        invocations: list(
          object({
            commandLine: text,
            'startTimeUtc?': { type: 'string', pattern: '^\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z$' },
            exitCode: { type: 'integer' },
            exitCodeDescription: text,
            executionSuccessful: { type: 'boolean' },
            toolExecutionNotifications: list(
              object({
                level,
                message,
                'associatedRule?': object({ id: text, index: { type: 'integer', minimum: 0 } }),
              }),
            ),
          }),
        ),
        results: list(
          object({
            ruleId: text,
            ruleIndex: { type: 'integer', minimum: 0 },
            kind: { const: 'fail' },
            level,
            message,
            locations: {
              ...list(
                object({
                  'physicalLocation?': object({
                    artifactLocation: object({
                      // Relative, and a URI: no blank, no backslash, nothing above the root.
                      uri: { type: 'string', pattern: '^(?!/|\\.\\./|[a-z]+:)[^\\s\\\\]+$' },
                      uriBaseId: { const: '%SRCROOT%' },
                    }),
                    region: object({
                      startLine: columns,
                      startColumn: columns,
                      endLine: columns,
                      endColumn: columns,
                    }),
                  }),
                  logicalLocations: list(
                    object({ name: text, fullyQualifiedName: text, kind: { const: 'resource' } }),
                  ),
                }),
              ),
              minItems: 1,
              maxItems: 1,
            },
            partialFingerprints: object({
              primaryLocationLineHash: { type: 'string', pattern: '^[0-9a-f]{16}:1$' },
              'hapspecCheck/v1': { type: 'string', pattern: '^[0-9a-f]{16}$' },
            }),
            'properties?': object({ reproduce: text }),
          }),
        ),
        properties: object({ target: text, seed: text }),
      }),
    ),
    minItems: 1,
  },
});
const isSarif = new Ajv2020({ allErrors: true }).compile(form);

interface Finding {
  readonly ruleId: string;
  readonly ruleIndex: number;
  readonly level: string;
  readonly message: { readonly text: string };
  readonly locations: readonly [
    { readonly physicalLocation?: { readonly artifactLocation: { readonly uri: string } } },
  ];
  readonly partialFingerprints: { readonly primaryLocationLineHash: string };
}
interface Log {
  readonly tool: {
    readonly driver: {
      readonly rules: readonly {
        readonly id: string;
        readonly help: { readonly text: string };
        readonly defaultConfiguration: { readonly level: string };
        readonly properties: { readonly tags: readonly string[] };
      }[];
    };
  };
  readonly invocations: readonly [
    {
      readonly executionSuccessful: boolean;
      readonly toolExecutionNotifications: readonly { readonly message: { readonly text: string } }[];
    },
  ];
  readonly results: readonly Finding[];
}

/** What is written of a report; it has the form it must have. */
function written(one: RunReport, anchor?: string): Log {
  const content = sarif(one, { requirements: catalogue, anchor });
  const log = JSON.parse(content) as { readonly runs: readonly [Log] };
  expect(isSarif(log), JSON.stringify(isSarif.errors)).to.equal(true);
  const [run] = log.runs;
  for (const { ruleId, ruleIndex } of run.results)
    expect(run.tool.driver.rules[ruleIndex]!.id).to.equal(ruleId);
  return run;
}

const failed = (changes: Partial<CheckResult> = {}): CheckResult =>
  result({ id: 'PS-M3-04', requirement: 'PS-M3-04', status: 'fail', reason: 'must', failure, ...changes });

describe('report: SARIF', () => {
  it('has a rule for each check and a result for each failure', () => {
    const one = report({ diagnosis });
    const run = written(one, 'hapspec.config.json');
    expect(run.tool.driver.rules.map(({ id }) => id)).to.deep.equal(one.results.map(({ id }) => id));
    const red = one.results.filter(({ status }) => status === 'fail');
    expect(red.length).to.be.at.least(1);
    expect(run.results.map(({ ruleId }) => ruleId)).to.deep.equal(red.map(({ id }) => id));
    const [finding] = run.results;
    expect(finding!.locations[0].physicalLocation!.artifactLocation.uri).to.equal('hapspec.config.json');
    const all = run.results.map((each) => each.message.text).join('\n');
    expect(all).to.include('reproduce: ').and.include('seen: ').and.include('96 % sure');
  });

  it('says in a rule what the catalogue says of the requirement', () => {
    const { rules } = written(report({ results: [failed({ title: 'Wrong setup code' })] })).tool.driver;
    const { expected, rationale } = catalogue.get('PS-M3-04')!;
    expect(rules[0]!.help.text).to.include(expected).and.include(rationale).and.include('explain PS-M3-04');
    expect(rules[0]!.properties.tags).to.include.members(['MUST', 'security']);
    // A report of another version may have what this catalogue does not know.
    expect(
      written(report({ results: [failed({ requirement: 'X-99', id: 'X-99' })] })).results,
    ).to.have.length(1);
  });

  it('weighs: MUST and security are errors, others warnings; warnings count with --strict alone', () => {
    const results = [
      failed({ id: 'a' }),
      failed({ id: 'b', level: 'SHOULD' }),
      failed({ id: 'c', level: 'VARIES', security: true }),
      failed({ id: 'd', status: 'warn' }),
    ];
    const levels = (strict: boolean): readonly string[] =>
      written(report({ results, strict })).results.map(({ ruleId, level: weight }) => `${ruleId} ${weight}`);
    expect(levels(false)).to.deep.equal(['a error', 'b warning', 'c error']);
    expect(levels(true)).to.deep.equal(['a error', 'b warning', 'c error', 'd warning']);
  });

  it('knows a finding again: by its check, whatever the run', () => {
    const prints = (changes: Partial<RunReport>): readonly string[] =>
      written(report({ results: [failed(), failed({ id: 'PS-M3-05' })], ...changes })).results.map(
        ({ partialFingerprints }) => partialFingerprints.primaryLocationLineHash,
      );
    const first = prints({});
    expect(new Set(first).size).to.equal(2);
    expect(prints({ target: '10.0.0.9:1', seed: '8', startedAt: 'never' })).to.deep.equal(first);
  });

  it('is at no file where none is named, and encodes what a name holds', () => {
    const one = report({ results: [failed()] });
    expect(written(one).results[0]!.locations[0].physicalLocation).to.equal(undefined);
    const { uri } = written(one, 'my lamp/ä.json').results[0]!.locations[0].physicalLocation!
      .artifactLocation;
    expect(uri).to.equal('my%20lamp/%C3%A4.json');
  });

  it('is harmless whatever the accessory sent', () => {
    const hostile =
      '{0} [free](https://evil.example) \u001b[2J\u0000 ##vso[task] \u202e ' + 'x'.repeat(100_000);
    const run = written(
      report({
        target: hostile,
        results: [failed({ message: hostile, failure: { ...failure, seen: hostile, exchange: [hostile] } })],
        exit: { code: 5, meaning: hostile },
        aftermath: { clean: false, message: hostile },
      }),
    );
    const everything = JSON.stringify(run);
    expect(everything).to.not.match(/\\u001b|\\u0000|##vso\[|\u202e/);
    const notes = run.invocations[0].toolExecutionNotifications;
    const messages = [...run.results, ...notes].map((one) => one.message.text);
    expect(messages).to.have.length(3);
    for (const said of messages)
      expect(said)
        .to.include('{{0}}')
        .and.include('[free] (')
        .and.not.match(/(?<!\{)\{0/);
    expect(everything.length).to.be.below(40_000);
    for (const strict of [false, true])
      for (const nasty of [...hostileTexts, 'y'.repeat(50_000)]) written(reportFullOf(nasty, strict));
  });

  it('tells what could not be asked as notifications, and not as findings', () => {
    const run = written(
      report({
        results: [
          result({ status: 'error', reason: 'unreachable', message: 'it closed' }),
          result({ id: 'PS-M1-02', status: 'error', reason: 'not-run', message: 'interrupted' }),
        ],
        exit: { code: 5, meaning: '2 planned checks did not run' },
        aftermath: { clean: false, message: 'a pairing is left' },
      }),
    );
    const [invocation] = run.invocations;
    expect(run.results).to.deep.equal([]);
    expect(invocation.executionSuccessful).to.equal(false);
    const told = invocation.toolExecutionNotifications.map((one) => one.message.text);
    expect(told).to.have.length(3);
    expect(told.join('\n'))
      .to.include('did not run')
      .and.include('a pairing is left')
      .and.include('it closed');
    expect(
      written(report({ exit: { code: 1, meaning: 'red' } })).invocations[0].executionSuccessful,
    ).to.equal(true);
  });

  describe('is shown at a file of the repository', () => {
    let root: string;
    let outside: string;
    beforeEach(() => {
      root = realpathSync(mkdtempSync(join(tmpdir(), 'hapspec-anchor-')));
      outside = realpathSync(mkdtempSync(join(tmpdir(), 'hapspec-outside-')));
      mkdirSync(join(root, '.git'));
      mkdirSync(join(root, 'firmware', 'test'), { recursive: true });
    });
    afterEach(() => {
      for (const folder of [root, outside]) rmSync(folder, { recursive: true, force: true });
    });
    const put = (folder: string, name: string): string => {
      writeFileSync(join(folder, name), '{}');
      return join(folder, name);
    };
    const anchor = (told: Parameters<typeof anchorOf>[0] = {}, env: Readonly<Record<string, string>> = {}) =>
      anchorOf(told, join(root, 'firmware'), env);

    it('the configuration, the expectations, the workflow: the first that is there', () => {
      expect(anchor()).to.equal(undefined);
      const workflow = { GITHUB_WORKFLOW_REF: 'owner/repo/.github/workflows/ci.yml@refs/heads/main' };
      expect(anchor({}, workflow)).to.equal(undefined);
      mkdirSync(join(root, '.github', 'workflows'), { recursive: true });
      put(join(root, '.github', 'workflows'), 'ci.yml');
      expect(anchor({}, workflow)).to.equal('.github/workflows/ci.yml');
      expect(anchor({ expectations: 'known.json' }, workflow)).to.equal('.github/workflows/ci.yml');
      put(join(root, 'firmware'), 'known.json');
      expect(anchor({ expectations: 'known.json' }, workflow)).to.equal('firmware/known.json');
      put(root, 'hapspec.config.json');
      expect(anchor({ expectations: 'known.json' }, workflow)).to.equal('hapspec.config.json');
      const own = put(join(root, 'firmware', 'test'), 'lamp.json');
      expect(anchor({ config: own })).to.equal('firmware/test/lamp.json');
    });

    it('none that lies outside, nor a folder; links are followed', () => {
      const far = put(outside, 'far.json');
      expect(anchor({ config: far, expectations: '../../x.json' })).to.equal(undefined);
      expect(anchor({ config: join(root, 'firmware') })).to.equal(undefined);
      symlinkSync(far, join(root, 'linked.json'));
      expect(anchor({ config: join(root, 'linked.json') })).to.equal(undefined);
      const near = put(root, 'near.json');
      symlinkSync(near, join(root, 'firmware', 'near.json'));
      expect(anchor({ config: join(root, 'firmware', 'near.json') })).to.equal('near.json');
    });

    it('from where GitHub has checked the repository out', () => {
      put(join(root, 'firmware', 'test'), 'known.json');
      const env = { GITHUB_WORKSPACE: join(root, 'firmware') };
      expect(anchor({ expectations: 'test/known.json' }, env)).to.equal('test/known.json');
    });
  });
});
