import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { parse } from 'yaml';

interface Step {
  readonly name: string;
  readonly run?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly uses?: string;
}

interface Action {
  readonly inputs: Readonly<
    Record<string, { readonly default?: string; readonly required?: boolean; readonly description: string }>
  >;
  readonly outputs: Readonly<Record<string, { readonly value: string }>>;
  readonly runs: { readonly using: string; readonly steps: readonly Step[] };
}

const root = fileURLToPath(new URL('../../..', import.meta.url));
const action = parse(readFileSync(join(root, 'action.yml'), 'utf8')) as Action;

describe('the action for GitHub', function () {
  this.timeout(300_000);
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'hapspec-action-'))));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** Runs the steps that are shell as a runner would, in an empty folder. */
  function run(inputs: Readonly<Record<string, string>>): {
    readonly code: number | null;
    readonly outputs: Readonly<Record<string, string>>;
    readonly said: string;
  } {
    const output = join(folder, 'output');
    writeFileSync(output, '');
    let said = '';
    let outputs: Record<string, string> = {};
    const value = (text: string): string =>
      text.replace(/\$\{\{ (inputs|steps\.run\.outputs)\.(\w+) \}\}/g, (_, from: string, name: string) =>
        from === 'inputs' ? (inputs[name] ?? action.inputs[name]!.default ?? '') : (outputs[name] ?? ''),
      );
    for (const step of action.runs.steps) {
      if (step.run === undefined) continue;
      const env = Object.fromEntries(
        Object.entries(step.env ?? {}).map(([name, text]) => [name, value(text)]),
      );
      const ended = spawnSync('bash', ['--noprofile', '--norc', '-eo', 'pipefail', '-c', step.run], {
        cwd: folder,
        env: {
          PATH: process.env['PATH'],
          HOME: folder,
          RUNNER_TEMP: join(folder, 'temp'),
          GITHUB_OUTPUT: output,
          GITHUB_ACTIONS: 'true',
          GITHUB_STEP_SUMMARY: join(folder, 'summary.md'),
          ...env,
        },
        encoding: 'utf8',
      });
      said += ended.stdout + ended.stderr;
      outputs = Object.fromEntries(
        readFileSync(output, 'utf8')
          .split('\n')
          .filter(Boolean)
          .map((line) => line.split('=', 2) as [string, string]),
      );
      if (ended.status !== 0) return { code: ended.status, outputs, said };
    }
    return { code: 0, outputs, said };
  }

  it('says of each input what it is, and uses each', () => {
    const text = readFileSync(join(root, 'action.yml'), 'utf8');
    for (const [name, { description }] of Object.entries(action.inputs)) {
      expect(description).to.not.equal('');
      expect(text, name).to.include(`inputs.${name} `);
    }
    expect(action.runs.using).to.equal('composite');
  });

  it('is red for an accessory that fails, with its outputs, annotations, summary and reports', () => {
    const { code, outputs, said } = run({
      package: root,
      target: 'embedded:accepts-any-proof',
      args: "--only 'PS-M3-04' --seed 1",
    });
    expect(code, said).to.equal(1);
    expect(outputs).to.deep.equal({ exit: '1', failures: '1', report: 'hapspec-reports/report.json' });
    expect(said).to.match(/^::error title=/m);
    expect(readFileSync(join(folder, 'summary.md'), 'utf8')).to.include('PS-M3-04');
    for (const name of ['junit.xml', 'report.json', 'report.html'])
      expect(existsSync(join(folder, 'hapspec-reports', name)), name).to.equal(true);
  });

  it('is green for one that does not; words of its options are words, and nothing of them is run', () => {
    const { code, outputs } = run({
      package: root,
      target: 'embedded',
      args: '--only PS-M1-01 --seed 1 --state "$(touch owned)"',
    });
    expect(code).to.equal(0);
    expect(outputs['failures']).to.equal('0');
    expect(existsSync(join(folder, 'owned'))).to.equal(false);
  });

  it('says what is wrong with its options', () => {
    const { code, outputs, said } = run({ package: root, target: 'embedded', args: '--onyl PS-M1-01' });
    expect(code).to.equal(2);
    expect(outputs['exit']).to.equal('2');
    expect(said).to.include("unknown option '--onyl'");
  });
});
