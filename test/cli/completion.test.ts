import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { bin, hapspecLine } from './process.js';

/** What shells without a test of their own on this machine are: skipped, and named. */
const has = (shell: string): boolean => spawnSync(shell, ['--version']).status === 0;

describe('hapspec completion', function () {
  this.timeout(120_000);
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'hapspec-completion-'));
    mkdirSync(join(folder, 'bin'));
    writeFileSync(join(folder, 'bin', 'hapspec'), `#!/bin/sh\nexec '${process.execPath}' '${bin}' "$@"\n`, {
      mode: 0o755,
    });
    writeFileSync(join(folder, 'known.json'), '{}');
    mkdirSync(join(folder, 'keys'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  function run(shell: string, script: string): readonly string[] {
    const ended = spawnSync(
      shell,
      [...(shell === 'bash' ? ['--norc'] : shell === 'zsh' ? ['-f'] : ['-N']), '-c', script],
      {
        cwd: folder,
        env: { PATH: `${join(folder, 'bin')}:${process.env['PATH']!}`, HOME: folder },
        encoding: 'utf8',
      },
    );
    expect(ended.stderr).to.equal('');
    return ended.stdout.split('\n').filter(Boolean);
  }

  /** What bash offers for the last of these words, as it splits them. */
  function offered(...words: readonly string[]): readonly string[] {
    const list = words.map((word) => `'${word}'`).join(' ');
    return run(
      'bash',
      `eval "$(hapspec completion bash)"; COMP_WORDS=(hapspec ${list}); COMP_CWORD=${words.length}; _hapspec; printf '%s\\n' "\${COMPREPLY[@]}"`,
    );
  }

  it('offers commands, their options, and the values these take', () => {
    expect(offered('r')).to.deep.equal(['run', 'report']);
    expect(offered('run', '--ev')).to.deep.equal(['--evidence', '--evidence-keys']);
    expect(offered('run', 'embedded', '--level', '')).to.deep.equal(['must', 'should', 'varies']);
    expect(offered('run', '--only', 'PS-M3-0')).to.include.members([
      'PS-M3-04',
      'PS-M3-06',
      'PS-M3-06/32-bytes',
    ]);
    expect(offered('clone', 'ch')).to.deep.equal(['check']);
    expect(offered('clone', 'check', '--o')).to.deep.equal(['--old']);
    expect(offered('schema', '')).to.deep.equal(['config', 'report']);
    expect(offered('selftest', '--only', 'accepts-any'))
      .to.include('accepts-any-proof')
      .and.not.include('PS-M3-04');
  });

  it('offers faults behind the colon that bash splits at, and what can be explained', () => {
    expect(offered('run', 'embedded', ':', 'accepts-any')).to.include('accepts-any-proof');
    expect(offered('run', 'embedded', ':')).to.include('accepts-any-proof');
    expect(offered('explain', 'PS-M3-04')).to.deep.equal(['PS-M3-04']);
    expect(offered('accessory', '--fault', 'static-sal')).to.deep.equal(['static-salt']);
  });

  it('offers files and folders where these are meant', () => {
    expect(offered('run', '--expectations', 'kn')).to.deep.equal(['known.json']);
    expect(offered('run', '--state', 'k')).to.deep.equal(['keys']);
    expect(offered('report', 'kn')).to.deep.equal(['known.json']);
  });

  for (const shell of ['zsh', 'fish'])
    it(`is a script that ${shell} takes${has(shell) ? '' : ` (skipped: there is no ${shell} here)`}`, function () {
      if (!has(shell)) return this.skip();
      const script =
        shell === 'zsh'
          ? `eval "$(hapspec completion zsh)"; COMP_WORDS=(hapspec run --level ''); print -r -- $_comps[hapspec]`
          : `hapspec completion fish | source; complete -C 'hapspec run --level '; complete -C 'hapspec explain PS-M3-04'; complete -C 'hapspec r'`;
      const said = run(shell, script).map((line) => line.split('\t')[0]);
      if (shell === 'zsh') expect(said.join(' ')).to.include('_bash_complete');
      else expect(said).to.include.members(['must', 'should', 'varies', 'PS-M3-04', 'run', 'report']);
    });

  it('--version --json says what belongs to a version', async () => {
    const { code, stdout } = await hapspecLine(['--version', '--json']);
    expect(code).to.equal(0);
    expect(JSON.parse(stdout)).to.include({ name: 'hapspec', node: process.versions.node, reportSchema: 1 });
    expect((JSON.parse(stdout) as { checks: number }).checks).to.be.above(800);
  });

  it('refuses a shell and a list there is none of', async () => {
    const shell = await hapspecLine(['completion', 'tcsh']);
    expect([shell.code, shell.stderr]).to.deep.equal([
      2,
      'hapspec: completion: expected bash, zsh, fish, got "tcsh"\n',
    ]);
    const list = await hapspecLine(['completion', '--list', 'x']);
    expect(list.stderr).to.include(
      'completion --list: expected checks, faults, targets, explainable, got "x"',
    );
  });
});
