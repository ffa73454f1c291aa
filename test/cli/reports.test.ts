import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect } from 'chai';
import { json } from '../../harness/report/index.js';
import { report, result } from '../report/sample.js';
import { endChildren, hapspec, hapspecLine } from './process.js';

describe('hapspec: stored reports', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'hapspec-reports-'));
    writeFileSync(join(folder, 'red.json'), json(report()));
    const good = report().results.map((one) => ({ ...one, status: 'pass' as const, reason: undefined }));
    writeFileSync(
      join(folder, 'green.json'),
      json(report({ results: good, exit: { code: 0, meaning: 'every planned check passed' } })),
    );
    writeFileSync(join(folder, 'other.json'), json(report({ seed: '9', results: [result()] })));
    writeFileSync(join(folder, 'text.json'), 'no JSON');
    writeFileSync(join(folder, 'foreign.json'), '{"schema": 7}');
  });
  after(() => {
    endChildren();
    rmSync(folder, { recursive: true, force: true });
  });
  const at = (name: string): string => join(folder, name);

  it('diff ends with 1 when anything is newly red, and with 0 when something is fixed', async () => {
    const broken = await hapspecLine(['diff', at('green.json'), at('red.json'), '--markdown', at('diff.md')]);
    expect(broken.code).to.equal(1);
    expect(broken.stdout).to.include('newly red').and.include('PS-M3-04');
    expect(readFileSync(at('diff.md'), 'utf8')).to.include('newly red');
    const fixed = await hapspecLine(['diff', at('red.json'), at('green.json')]);
    expect(fixed.code).to.equal(0);
    expect(fixed.stdout).to.include('fixed');
  });

  it('report shows one on the console, or writes it in other forms', async () => {
    const shown = await hapspecLine(['report', at('red.json')]);
    expect(shown.code).to.equal(0);
    expect(shown.stdout).to.include('Causes').and.include('PS-M3-04');
    const outputs = ['html', 'junit', 'json', 'summary'].flatMap((form) => [`--${form}`, at(`out.${form}`)]);
    const written = await hapspecLine(['report', at('red.json'), ...outputs]);
    expect(written.code, written.stderr).to.equal(0);
    expect(readFileSync(at('out.html'), 'utf8')).to.include('id="PS-M3-04"');
    expect(readFileSync(at('out.junit'), 'utf8')).to.include('<testsuites');
    expect(JSON.parse(readFileSync(at('out.json'), 'utf8'))).to.have.property('schema', 1);
    expect(readFileSync(at('out.summary'), 'utf8')).to.include('### hapspec');
  });

  it('run, report and merge write SARIF at the configuration, and say when there is none', async () => {
    const place = mkdtempSync(join(folder, 'sarif-'));
    mkdirSync(join(place, '.git'));
    const code = '518-08-582';
    const run = ['run', 'embedded:accepts-any-proof', '--only', 'PS-M3-04', '--seed', '1', '--code', code];
    const sarifs = (name: string): readonly string[] => ['--sarif', join(place, name)];
    const finding = (name: string): unknown => {
      const content = readFileSync(join(place, name), 'utf8');
      expect(content).to.not.match(/518-?08-?582/);
      const [{ results }] = (JSON.parse(content) as { runs: [{ results: { ruleId: string }[] }] }).runs;
      return results.find(({ ruleId }) => ruleId === 'PS-M3-04');
    };
    const bare = await hapspecLine([...run, ...sarifs('bare.sarif')], {}, place);
    expect(bare.code).to.equal(1);
    expect(bare.stderr).to.include('its findings are at no file').and.include('hapspec.config.json');
    expect(finding('bare.sarif')).to.not.have.nested.property('locations[0].physicalLocation');
    writeFileSync(join(place, 'lamp.json'), '{"strict": false}');
    const told = await hapspecLine([...run, '--config', 'lamp.json', ...sarifs('told.sarif')], {}, place);
    expect(told.stderr).to.equal('');
    const uri = 'locations[0].physicalLocation.artifactLocation.uri';
    expect(finding('told.sarif')).to.have.nested.property(uri, 'lamp.json');
    writeFileSync(join(place, 'hapspec.config.json'), '{}');
    for (const command of [
      ['report', at('red.json')],
      ['merge', at('red.json')],
    ]) {
      await hapspecLine([...command, ...sarifs('stored.sarif')], {}, place);
      expect(finding('stored.sarif')).to.have.nested.property(uri, 'hapspec.config.json');
    }
  });

  it('merge has the exit code of the whole, matrix a column for each', async () => {
    const merged = await hapspecLine([
      'merge',
      at('green.json'),
      at('red.json'),
      '--json',
      at('merged.json'),
    ]);
    expect(merged.code).to.equal(1);
    expect(
      (JSON.parse(readFileSync(at('merged.json'), 'utf8')) as { results: unknown[] }).results,
    ).to.have.length(report().results.length);
    const matrix = await hapspecLine([
      ...['matrix', at('green.json'), at('red.json')],
      ...['--html', at('matrix.html'), '--name', '1.0', '--name', '1.1'],
    ]);
    expect(matrix.code).to.equal(0);
    expect(readFileSync(at('matrix.html'), 'utf8')).to.include('1.1');
  });

  it('what is no report, or does not belong together, is refused by name', async () => {
    for (const [words, said] of [
      [['report', at('nothing.json')], 'there is no such file'],
      [['report', at('text.json')], 'it is no JSON'],
      [['report', folder], 'that is a folder'],
      [['diff', at('red.json'), at('foreign.json')], 'foreign.json: expected a report'],
      [['merge', at('red.json'), at('other.json')], 'seeds 7 and 9'],
      [
        ['matrix', at('red.json'), '--html', at('m.html'), '--name', 'a', '--name', 'b'],
        '2 names for 1 reports',
      ],
      [['matrix', at('red.json')], '--html'],
    ] as const) {
      const { code, stderr } = await hapspecLine(words);
      expect(code, stderr).to.equal(2);
      expect(stderr)
        .to.match(/^hapspec: /)
        .and.include(said);
      expect(stderr).to.not.match(/\n\s+at /);
    }
  });

  it('follow the schema that hapspec schema prints, and so do configuration files', async () => {
    const schemaOf = async (what: string): Promise<object> => {
      const { code, stdout } = await hapspecLine(['schema', what]);
      expect(code).to.equal(0);
      return JSON.parse(stdout) as object;
    };
    const ajv = new Ajv2020({ allErrors: true });
    const isReport = ajv.compile(await schemaOf('report'));
    const examples = ['fault', 'healthy'].map((name) =>
      readFileSync(new URL(`../../../reports/example/${name}.json`, import.meta.url), 'utf8'),
    );
    for (const one of [json(report()), ...examples])
      expect(isReport(JSON.parse(one)), JSON.stringify(isReport.errors)).to.equal(true);
    expect(isReport({ ...(JSON.parse(examples[0]!) as object), exit: { code: 9 } })).to.equal(false);
    const isConfig = ajv.compile(await schemaOf('config'));
    expect(
      isConfig({ $schema: './hapspec.schema.json', target: 'embedded', only: ['PS-*'], seed: 1 }),
    ).to.equal(true);
    for (const wrong of [{ tagret: 'x' }, { only: 'PS-*' }, { seed: '1' }])
      expect(isConfig(wrong)).to.equal(false);
    expect((await hapspecLine(['schema', 'nothing'])).code).to.equal(2);
    writeFileSync(at('hapspec.config.json'), '{"$schema": "./x.json", "only": ["PS-M1-01"]}');
    expect((await hapspecLine(['run', '--config', at('hapspec.config.json'), '--dry-run'])).code).to.equal(0);
  });

  it('run tells GitHub: annotations, and the summary of the step', async () => {
    const summary = at('step.md');
    writeFileSync(summary, 'before\n');
    const { code, stdout } = await hapspec(
      ['run', 'embedded:accepts-any-proof', '--only', 'PS-M3-04', '--seed', '1', '--html', at('run.html')],
      { GITHUB_ACTIONS: 'true', GITHUB_STEP_SUMMARY: summary },
    );
    expect(code).to.equal(1);
    expect(stdout)
      .to.match(/^::error title=hapspec%3A the proof is received/m)
      .and.match(/^::error title=hapspec%3A PS-M3-04::/m);
    expect(readFileSync(summary, 'utf8')).to.match(/^before\n### hapspec/);
    expect(readFileSync(at('run.html'), 'utf8')).to.include('<svg');
  });

  it('run says that evidence with keys is a secret, and refuses keys that have no place', async () => {
    const asked = [
      'run',
      'embedded',
      '--only',
      'PAIRINGS-01',
      '--seed',
      '1',
      '--jobs',
      '1',
      '--evidence-keys',
    ];
    const without = await hapspecLine(asked);
    expect(without.code).to.equal(2);
    expect(without.stderr).to.include('--evidence-keys: there is nothing to write keys to');
    const { code, stderr } = await hapspecLine([...asked, '--evidence', at('evidence')]);
    expect(code, stderr).to.equal(0);
    expect(stderr).to.include(`${at('evidence')} will hold the session keys of this run`);
    expect(readFileSync(at('evidence/PAIRINGS-01.jsonl'), 'utf8')).to.match(
      /"keys":\{"toAccessory":"[0-9a-f]{64}"/,
    );
  });

  it('run refuses a page or a capture that cannot be written before the accessory is touched', async () => {
    for (const option of ['--html', '--summary', '--sarif', '--pcapng']) {
      const { code, stderr } = await hapspecLine([
        'run',
        '127.0.0.1:1',
        '--code',
        '031-45-154',
        option,
        folder,
      ]);
      expect(code, stderr).to.equal(2);
      expect(stderr).to.include('that is a folder');
    }
  });
});
