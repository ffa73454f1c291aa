import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { argumentsOf, values } from '../../harness/cli/completion.js';
import { bin, hapspecLine } from './process.js';

/** What shells without a test of their own on this machine are: skipped, and named. */
const has = (shell: string): boolean => spawnSync(shell, ['--version']).status === 0;

/** A skip with its name; an error where the tools are promised. */
function missing(context: Mocha.Context, shell: string): void {
  if (process.env['CI'] === 'true') throw new Error(`${shell} is missing: apt-get install ${shell}`);
  context.skip();
}

describe('hapspec completion', function () {
  this.timeout(120_000);
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'hapspec-completion-'));
    mkdirSync(join(folder, 'bin'));
    writeFileSync(join(folder, 'bin', 'hapspec'), `#!/bin/sh\nexec '${process.execPath}' '${bin}' "$@"\n`, {
      mode: 0o755,
    });
    writeFileSync(join(folder, 'known deviations.json'), '{}');
    mkdirSync(join(folder, 'keys'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  function run(shell: string, script: string): readonly string[] {
    const ended = spawnSync(shell, [shell === 'bash' ? '--norc' : '-N', '-c', script], {
      cwd: folder,
      env: { PATH: `${join(folder, 'bin')}:${process.env['PATH']!}`, HOME: folder },
      encoding: 'utf8',
    });
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
    expect(offered('schema', '')).to.deep.equal(['config', 'report', 'selftest']);
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

  it('takes --option=value, with or without the equals sign in a word of its own', () => {
    expect(offered('run', '--level', '=', 's')).to.deep.equal(['should']);
    expect(offered('run', '--level', '=')).to.deep.equal(['must', 'should', 'varies']);
    expect(offered('run', '--level=s')).to.deep.equal(['--level=should']);
  });

  it('offers no fault behind the colon of a port', () => {
    expect(offered('run', '127.0.0.1', ':')).to.deep.equal([]);
    expect(offered('run', '127.0.0.1', ':', '5')).to.deep.equal([]);
  });

  /** What a shell on a terminal makes of each line when Tab is pressed at its end. */
  function tabbed(shell: 'bash' | 'zsh', lines: readonly string[]): Promise<readonly string[]> {
    const show = {
      bash: String.raw`bind -x '"\C-g": printf "<%s>\n" "$READLINE_LINE"'; bind 'set enable-bracketed-paste off'`,
      zsh: String.raw`PS1='% '; show() { print -r -- "<$BUFFER>" }; zle -N show; bindkey '^G' show; bindkey '^U' kill-whole-line; autoload -Uz compinit; compinit -u -D`,
    }[shell];
    const rc = join(folder, shell === 'bash' ? 'rc' : '.zshrc');
    writeFileSync(rc, `${show}\neval "$(hapspec completion ${shell})"\necho '<ready>'\n`);
    const command = shell === 'bash' ? `bash --rcfile ${rc} -i` : 'zsh -d -i';
    const child = spawn('script', ['-qec', command, '/dev/null'], {
      cwd: folder,
      env: {
        PATH: `${join(folder, 'bin')}:${process.env['PATH']!}`,
        HOME: folder,
        ZDOTDIR: folder,
        TERM: 'xterm',
      },
    });
    return new Promise((resolve, reject) => {
      const found: string[] = [];
      let said = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        said += text;
        const [shown, line = ''] = /<([^<>\r\n]*)>\r?\n/.exec(said) ?? [];
        if (shown === undefined) return;
        said = '';
        found.push(line.trimEnd());
        const next = lines[found.length - 1];
        if (next !== undefined) child.stdin.write(`\u0015${next}\t\u0007`);
        else child.kill();
      });
      child.once('error', reject);
      child.once('close', () =>
        found.length > lines.length
          ? resolve(found.slice(1))
          : reject(new Error(`${shell} said: ${said} after ${found.join(', ')}`)),
      );
    });
  }

  const common: readonly (readonly [typed: string, completed: string])[] = [
    ['hapspec explain accepts-any-p', 'hapspec explain accepts-any-proof'],
    ['hapspec run --only PS-M3-06/12', 'hapspec run --only PS-M3-06/128-bytes'],
    ['hapspec run --level=mu', 'hapspec run --level=must'],
    ['hapspec clone ch', 'hapspec clone check'],
    ['hapspec report kn', String.raw`hapspec report known\ deviations.json`],
    ['hapspec run --expectations kno', String.raw`hapspec run --expectations known\ deviations.json`],
    ['hapspec run embedded:accepts-any', 'hapspec run embedded:accepts-any-proof'],
  ];
  // Where bash is told that folders alone are meant.
  const ofBash = [['hapspec run --state kn', 'hapspec run --state kn']] as const;
  for (const shell of ['bash', 'zsh'] as const) {
    const there = has('script') && has(shell);
    it(`completes on a terminal in ${shell}, files as the shell quotes them${there ? '' : ` (skipped: there is no ${shell} or no script here)`}`, async function () {
      if (!there) return missing(this, shell);
      const lines = shell === 'bash' ? [...common, ...ofBash] : common;
      expect(
        await tabbed(
          shell,
          lines.map(([typed]) => typed),
        ),
      ).to.deep.equal(lines.map(([, completed]) => completed));
    });
  }

  it(`completes in fish, where a word may be the name of another command${has('fish') ? '' : ' (skipped: there is no fish here)'}`, function () {
    if (!has('fish')) return missing(this, 'fish');
    const lines: Readonly<Record<string, readonly string[]>> = {
      r: ['report', 'run'],
      'run --level ': ['must', 'should', 'varies'],
      'run embedded:accepts-any-p': ['embedded:accepts-any-proof'],
      'explain PS-M3-04': ['PS-M3-04'],
      'clone check --o': ['--old'],
      'schema report --': ['--help'],
    };
    const asked = Object.keys(lines).map((line) => `echo '<'; complete -C 'hapspec ${line}'`);
    const said = run('fish', ['hapspec completion fish | source', ...asked].join('; '))
      .map((line) => line.split('\t')[0]!)
      .join(' ')
      .split('< ')
      .slice(1)
      .map((words) => words.trim().split(' ').toSorted());
    expect(said).to.deep.equal(Object.values(lines));
  });

  it('knows no value of an option and no argument of a command that is gone', () => {
    const script = run('bash', 'hapspec completion bash').join('\n');
    for (const option of Object.keys(values)) expect(script).to.match(new RegExp(`[ '*]${option}[" '|)]`));
    for (const command of Object.keys(argumentsOf)) expect(script).to.include(`"${command}")`);
  });

  it('--version --json says what belongs to a version', async () => {
    const { code, stdout } = await hapspecLine(['--version', '--json']);
    expect(code).to.equal(0);
    expect(JSON.parse(stdout)).to.include({ name: 'hapspec', node: process.versions.node, reportSchema: 1 });
    expect((JSON.parse(stdout) as { checks: number }).checks).to.be.above(800);
    expect(await hapspecLine(['--json', '-V'])).to.include({ code, stdout });
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
