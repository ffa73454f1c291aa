import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { parse } from 'yaml';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const templates = join(root, 'docs', 'ci');
const text = (name: string): string => readFileSync(join(templates, name), 'utf8');

interface Steps {
  readonly steps: readonly { readonly run?: string; readonly bash?: string; readonly env?: Variables }[];
  readonly env?: Variables;
}
type Variables = Readonly<Record<string, string | number>>;
interface Container {
  readonly command: readonly string[];
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string; readonly value?: string }[];
}

describe('templates for CI', function () {
  this.timeout(300_000);
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hapspec-ci-'));
    writeFileSync(join(folder, 'hapspec.config.json'), JSON.stringify({ only: ['PS-M3-0*'], seed: 1 }));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** Runs shell in the bare folder as a runner would: nothing is in its environment but what the file says. */
  function shell(script: string, env: Variables, with_ = ['bash', '-eo', 'pipefail', '-c']): number | null {
    const [command, ...args] = [...with_, script];
    const ended = spawnSync(command, args, {
      cwd: folder,
      env: {
        PATH: process.env['PATH'],
        HOME: folder,
        HAPSPEC_CODE: '031-45-154',
        npm_config_cache: join(folder, '.npm'),
        ...Object.fromEntries(Object.entries(env).map(([name, value]) => [name, String(value)])),
      },
      encoding: 'utf8',
    });
    said = ended.stdout + ended.stderr;
    return ended.status;
  }
  let said = '';
  /** The first exit code that is not 0, as a runner has it. */
  function all(scripts: readonly string[], env: Variables): number | null {
    for (const script of scripts) {
      const code = shell(script, env);
      if (code !== 0) return code;
    }
    return 0;
  }

  const jobs: Readonly<Record<string, () => readonly string[]>> = {
    'github.yml': () =>
      (parse(text('github.yml')) as { jobs: { conformance: Steps } }).jobs.conformance.steps.flatMap(
        ({ run }) => run ?? [],
      ),
    'gitlab-ci.yml': () =>
      (parse(text('gitlab-ci.yml')) as { conformance: { script: readonly string[] } }).conformance.script,
    'azure-pipelines.yml': () =>
      (parse(text('azure-pipelines.yml')) as Steps).steps.flatMap(({ bash }) => bash ?? []),
    Jenkinsfile: () => [...text('Jenkinsfile').matchAll(/sh '''([^]*?)'''/g)].map(([, script]) => script!),
  };
  for (const [name, scripts] of Object.entries(jobs))
    it(`${name} is red for an accessory that fails, green for one that does not, and leaves its reports`, () => {
      for (const [TARGET, code] of [
        ['embedded:accepts-any-proof', 1],
        ['embedded', 0],
      ] as const) {
        expect(all(scripts(), { TARGET, PACKAGE: root }), said).to.equal(code);
        expect(readFileSync(join(folder, 'reports', 'junit.xml'), 'utf8')).to.include('PS-M3-04');
        expect(readdirSync(join(folder, 'reports'))).to.include.members(['report.html', 'report.json']);
        for (const path of text(name).matchAll(/reports\/[a-z]+\.[a-z]+/g))
          expect(existsSync(join(folder, path[0])), path[0]).to.equal(true);
      }
    });

  it('github-code-scanning.yml writes what is uploaded, and says whether it is to be', () => {
    const { conformance } = (parse(text('github-code-scanning.yml')) as { jobs: Record<string, Steps> }).jobs;
    const GITHUB_OUTPUT = join(folder, 'output');
    const env = { ...conformance!.env, PACKAGE: root, TARGET: 'embedded:accepts-any-proof', GITHUB_OUTPUT };
    const scripts = conformance!.steps.flatMap(({ run }) => run ?? []);
    expect(all(scripts, { ...env, HAPSPEC_CODE: '' }), said).to.equal(1);
    expect(readFileSync(GITHUB_OUTPUT, 'utf8')).to.equal('exit=1\n');
    const sarif = readFileSync(join(folder, 'reports', 'hapspec.sarif'), 'utf8');
    expect(sarif).to.include('"ruleId": "PS-M3-04"').and.include('"uri": "hapspec.config.json"');
    expect(all(scripts.slice(1), { ...env, HAPSPEC_CODE: '', TARGET: '127.0.0.1:1' })).to.not.equal(0);
    expect(readFileSync(GITHUB_OUTPUT, 'utf8')).to.match(/exit=[2-5]\n$/);
  });

  /** Runs each part of a matrix, the tool installed once. @returns what merges the parts: its exit code is the verdict */
  function matrix(name: string, part: string, env: Variables): () => number | null {
    const { [part]: one, verdict } = (parse(text(name)) as { jobs: Record<string, Steps> }).jobs;
    const scripts = ({ steps }: Steps): readonly string[] => steps.flatMap(({ run }) => run ?? []);
    const [install, ...work] = scripts(one!);
    const [again, ...merge] = scripts(verdict!);
    expect(again).to.equal(install);
    if (!existsSync(join(folder, '.hapspec-tool')))
      expect(shell(install!, { PACKAGE: root }), said).to.equal(0);
    for (let SHARD = 1; SHARD <= Number(one!.env!['SHARDS']); SHARD++)
      all(work, { ...one!.env, HAPSPEC_CODE: '', SHARD, ...env });
    return () => all(merge, {});
  }

  it('github-shards.yml shares a run out and comes to one verdict', () => {
    for (const [TARGET, code] of [
      ['embedded:accepts-any-proof', 1],
      ['embedded', 0],
    ] as const) {
      const verdict = matrix('github-shards.yml', 'shard', { TARGET });
      expect(readdirSync(join(folder, 'shards')).length).to.be.greaterThan(1);
      expect(verdict(), said).to.equal(code);
      expect(existsSync(join(folder, 'reports', 'report.html'))).to.equal(true);
    }
  });

  it('github-selftest.yml proves the suite in parts, and names one that is lost', () => {
    const verdict = matrix('github-selftest.yml', 'shard', { OPTIONS: '--only accepts-a*' });
    expect(verdict(), said).to.equal(0);
    expect(said).to.include('accepts-any-proof: PS-M3-04').and.include('selftest passed');
    expect(existsSync(join(folder, 'reports', 'selftest.json'))).to.equal(true);
    rmSync(join(folder, 'shards', '3.json'));
    expect(verdict(), said).to.equal(5);
    expect(said).to.include('shard 3/4: there is no file of it');
  });

  it('github-hunt.yml hunts in parts, and comes to a counterexample that is run again', () => {
    const hunt = (TARGET: string, RUNS: number): number | null =>
      matrix('github-hunt.yml', 'hunt', { TARGET, RUNS, SEED: 1 })();
    expect(hunt('embedded', 4), said).to.equal(0);
    expect(hunt('embedded:accepts-any-proof', 8), said).to.equal(1);
    const again = /hapspec run (embedded:\S+ --replay '[^']+')/.exec(said)![1]!;
    expect(shell(`.hapspec-tool/node_modules/.bin/hapspec run ${again}`, {}), said).to.equal(1);
    expect(existsSync(join(folder, 'hunts', 'merged', 'report.html'))).to.equal(true);
  });

  /** How each pod of an Indexed Job ends. */
  function pods(name: string, env_: Variables): readonly (number | null)[] {
    const job = parse(text(name)) as {
      spec: { completions: number; template: { spec: { containers: readonly [Container] } } };
    };
    const [{ command, args, env }] = job.spec.template.spec.containers;
    const given = Object.fromEntries(
      env.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value]])),
    );
    expect(Number(given['SHARDS'])).to.equal(job.spec.completions);
    if (given['LAMPS'] !== undefined) expect(given['LAMPS'].split(' ')).to.have.length(job.spec.completions);
    mkdirSync(join(folder, 'bin'));
    writeFileSync(
      join(folder, 'bin', 'hapspec'),
      `#!/bin/sh\nexec node '${join(root, 'bin', 'hapspec.js')}' "$@"\n`,
      {
        mode: 0o755,
      },
    );
    const PATH = `${join(folder, 'bin')}:${process.env['PATH']!}`;
    const REPORTS = join(folder, 'shards');
    const codes = Array.from({ length: job.spec.completions }, (_, JOB_COMPLETION_INDEX) =>
      shell(args[0]!, { ...given, PATH, REPORTS, ...env_, JOB_COMPLETION_INDEX }, [...command]),
    );
    const reports = readdirSync(REPORTS).filter((file) => file.endsWith('.json'));
    expect(reports).to.have.length(job.spec.completions);
    return codes;
  }

  it('kubernetes-job.yml asks the accessory of its index for its part', () => {
    const LAMPS = 'embedded embedded:accepts-any-proof embedded embedded';
    // PS-M3-04 is what others stand on, so every part asks it.
    expect(pods('kubernetes-job.yml', { LAMPS })).to.deep.equal([0, 1, 0, 0]);
  });

  it('kubernetes-hunt.yml hunts on the accessory of its index', () => {
    const LAMPS = 'embedded embedded:second-m1-spoils-both embedded embedded';
    expect(pods('kubernetes-hunt.yml', { LAMPS, TIME: '1s' }), said).to.deep.equal([0, 1, 0, 0]);
    expect(readdirSync(join(folder, 'shards', 'evidence-1')).join(' ')).to.include('.replay.json');
  });

  it('kubernetes-selftest.yml proves the part of its index', () => {
    const codes = pods('kubernetes-selftest.yml', { OPTIONS: '--only accepts-a*' });
    expect(codes, said).to.deep.equal(codes.map(() => 0));
    expect(
      shell('hapspec merge shards/*.json', { PATH: `${join(folder, 'bin')}:${process.env['PATH']!}` }),
      said,
    ).to.equal(0);
    expect(said).to.include('selftest passed');
  });

  it('Dockerfile installs what its entry point runs', () => {
    const lines = text('Dockerfile').split('\n');
    const run = lines.filter((line) => line.startsWith('RUN ')).map((line) => line.slice(4));
    const env = { PACKAGE: root, npm_config_prefix: join(folder, 'global') };
    expect(all(run, env), said).to.equal(0);
    const word = (name: string): string =>
      (
        JSON.parse(lines.find((line) => line.startsWith(`${name} `))!.slice(name.length + 1)) as string[]
      ).join(' ');
    const PATH = `${join(folder, 'global', 'bin')}:${process.env['PATH']!}`;
    expect(shell(`${word('ENTRYPOINT')} ${word('CMD')}`, { PATH })).to.equal(0);
    expect(said).to.include('Usage: hapspec');
    expect(shell(`${word('ENTRYPOINT')} run embedded`, { PATH }), said).to.equal(0);
  });

  it('workflows and the action are what GitHub takes', () => {
    const workflows = join(root, '.github', 'workflows');
    const files = [
      join(root, 'action.yml'),
      ...readdirSync(templates)
        .filter((name) => name.startsWith('github'))
        .map((name) => join(templates, name)),
      ...readdirSync(workflows).map((name) => join(workflows, name)),
    ];
    const lint = join(root, 'node_modules', '.bin', 'action-validator');
    for (const file of files) expect(spawnSync(lint, [file]).status, file).to.equal(0);
    // The linter sees what is wrong.
    const wrong = join(folder, 'wrong.yml');
    writeFileSync(wrong, text('github-shards.yml').replace('runs-on:', 'run-on:'));
    expect(spawnSync(lint, [wrong]).status).to.not.equal(0);
  });

  it('a release is what its tag says', () => {
    for (const path of ['.ci', 'package.json', 'CHANGELOG.md'])
      cpSync(join(root, path), join(folder, path), { recursive: true });
    const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
    expect(shell(`bash .ci/release-check v${version}`, {}), said).to.equal(0);
    expect(shell('bash .ci/release-check v9.9.9', {})).to.equal(1);
    expect(said).to.include('the tag is v9.9.9');
    writeFileSync(join(folder, 'CHANGELOG.md'), '# Changelog\n');
    expect(shell(`bash .ci/release-check v${version}`, {})).to.equal(1);
    expect(said).to.include(`no heading "## ${version}"`);
  });
});
