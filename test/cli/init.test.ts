import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { parse } from 'yaml';
import { describeService } from '../../harness/cli/discover.js';
import { place } from '../../harness/cli/init.js';
import { bin } from './process.js';

const node = process.execPath;

describe('hapspec init', function () {
  this.timeout(120_000);
  let folder: string;
  const at = (...names: readonly string[]): string => join(folder, ...names);
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'hapspec-init-'))));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  function run(
    command: string,
    args: readonly string[],
  ): Promise<{ readonly code: number; readonly out: string }> {
    return new Promise((resolve) => {
      execFile(
        command,
        args,
        { cwd: folder, env: { PATH: process.env['PATH'], HOME: folder } },
        (error, stdout, stderr) =>
          resolve({ code: error === null ? 0 : Number(error.code ?? -1), out: stdout + stderr }),
      );
    });
  }
  const init = (...args: readonly string[]): ReturnType<typeof run> => run(node, [bin, 'init', ...args]);

  it('writes a configuration that a run takes as it is, and a file for CI; nothing is written over', async () => {
    for (const type of [undefined, 'module', 'commonjs']) {
      if (type !== undefined) writeFileSync(at('package.json'), JSON.stringify({ type }));
      const { code, out } = await init('--target', 'embedded:accepts-any-proof', '--ci', 'github', '--force');
      expect(code, out).to.equal(0);
      const ran = await run(node, [bin, 'run', '--only', 'PS-M3-04']);
      expect(ran.code, ran.out).to.equal(1);
      expect(ran.out).to.include('embedded:accepts-any-proof').and.not.include('Warning:');
      expect(existsSync(at('reports', 'junit.xml'))).to.equal(true);
    }
    const workflow = readFileSync(at('.github', 'workflows', 'hapspec.yml'), 'utf8');
    expect(workflow).to.include('TARGET: embedded:accepts-any-proof');
    expect((parse(workflow) as { jobs: object }).jobs).to.have.property('conformance');
    const again = await init('--target', 'embedded', '--ci', 'none');
    expect(again.code).to.equal(2);
    expect(again.out).to.include('hapspec.config.js is there already: --force');
    expect(readFileSync(at('hapspec.config.js'), 'utf8')).to.include('accepts-any-proof');
  });

  it('has a file for each CI system, in which the device of a desk does not stand, and keeps keys out of git', async () => {
    mkdirSync(at('.git'));
    writeFileSync(at('.gitignore'), 'dist');
    const paths = { gitlab: '.gitlab-ci.yml', azure: 'azure-pipelines.yml', jenkins: 'Jenkinsfile' };
    for (const [system, path] of Object.entries(paths)) {
      const { code, out } = await init('--target', '192.168.1.40:51826', '--ci', system, '--force');
      expect(code, out).to.equal(0);
      expect(readFileSync(at(path), 'utf8'))
        .to.include('127.0.0.1:51826')
        .and.not.include('192.168');
      expect(out).to.include('export HAPSPEC_CODE=');
    }
    expect(readFileSync(at('hapspec.config.js'), 'utf8')).to.include("target: '192.168.1.40:51826'");
    expect(readFileSync(at('.gitignore'), 'utf8')).to.equal('dist\n.hapspec/\nreports/\n');
    const refused = await init('--target', 'embedded', '--ci', 'gitlab');
    expect(refused.code).to.equal(2);
  });

  it('refuses what it cannot do, and writes nothing then', async () => {
    const wrong: readonly (readonly [args: readonly string[], message: string])[] = [
      [['--ci', 'travis', '--yes'], '--ci: expected github, gitlab, azure, jenkins, none, got "travis"'],
      [['--target', 'lamp:0:0', '--ci', 'none'], 'target'],
      [['--target', 'embedded:no-such', '--ci', 'none'], 'there is none named "no-such"'],
      [['--target', 'embedded:a\n      - run: id', '--ci', 'github'], 'there is none named'],
      [['--target', '192.168.1.40:51826', '--ci', 'none', '--code', '12345'], 'setup code'],
      [[], 'nobody is here to be asked: give --yes, or --target and --ci'],
    ];
    for (const [args, message] of wrong) {
      const { code, out } = await init(...args);
      expect(code, out).to.equal(2);
      expect(out).to.include(message);
    }
    expect(existsSync(at('hapspec.config.js'))).to.equal(false);
    // A file where a folder has to be, and the other way round: neither of the two files is written.
    writeFileSync(at('.github'), '');
    const blocked = await init('--target', 'embedded', '--ci', 'github');
    expect([blocked.code, blocked.out]).to.deep.equal([
      2,
      'hapspec: init: .github is in the way of .github/workflows/hapspec.yml: it is no folder: move it away\n',
    ]);
    expect(existsSync(at('hapspec.config.js'))).to.equal(false);
    mkdirSync(at('hapspec.config.js'));
    const folderThere = await init('--target', 'embedded', '--ci', 'none', '--force');
    expect([folderThere.code, folderThere.out]).to.deep.equal([
      2,
      'hapspec: init: hapspec.config.js is in the way of hapspec.config.js: it is no file: move it away\n',
    ]);
  });

  it('writes the setup code where it is told to alone, and takes a name for a target', async () => {
    const told = await init('--target', "Bob's Lamp", '--ci', 'none', '--code', '031-45-154');
    expect(told.code, told.out).to.equal(0);
    expect(told.out).to.include(`hapspec doctor 'Bob'\\''s Lamp'`).and.not.include('HAPSPEC_CODE');
    const written = readFileSync(at('hapspec.config.js'), 'utf8');
    expect(written)
      .to.include(String.raw`target: 'Bob\'s Lamp',`)
      .and.include("code: '031-45-154',");
    const ran = await run(node, [bin, 'run', 'embedded', '--only', 'PS-M1-01']);
    expect(ran.code, ran.out).to.equal(0);
  });

  it('keeps keys out of the repository from a folder in it, and says where CI looks', async () => {
    mkdirSync(at('.git'));
    mkdirSync(at('lamp'));
    const args = ['init', '--target', 'embedded', '--ci', 'github'];
    const { code, out } = await run('sh', ['-c', `cd lamp && exec "$0" "$@"`, node, bin, ...args]);
    expect(code, out).to.equal(0);
    expect(out).to.include(`CI looks for .github/workflows/hapspec.yml in ${folder}: move it there`);
    expect(readFileSync(at('lamp', '.gitignore'), 'utf8')).to.equal('.hapspec/\nreports/\n');
  });

  it('offers an address that can be dialled, and a name or id where none is announced', () => {
    const one = describeService({
      kind: 'hap',
      name: 'Lamp',
      host: 'lamp.local',
      addresses: [],
      port: 51826,
      txt: new Map(),
      at: 0,
    });
    const target = (...addresses: readonly string[]): string => place({ ...one, addresses });
    expect(target('fe80::1', '192.168.1.40')).to.equal('192.168.1.40:51826');
    expect(target('127.0.0.1', 'fd00::1')).to.equal('[fd00::1]:51826');
    expect(target('fe80::1')).to.equal('lamp.local:51826');
    const nowhere = { ...one, addresses: ['fe80::1'], host: '' };
    expect(place({ ...nowhere, id: 'AA:BB:CC:DD:EE:FF' })).to.equal('AA:BB:CC:DD:EE:FF');
    expect(place({ ...nowhere, kind: 'airplay' })).to.equal('airplay://Lamp');
  });

  it('does not send its user from one refusal to the next', async () => {
    writeFileSync(at('hapspec.config.json'), '{}');
    for (const more of [[], ['--force']]) {
      const { code, out } = await init('--target', 'embedded', '--ci', 'none', ...more);
      expect(code).to.equal(2);
      expect(out).to.include('hapspec.config.json is there').and.include('move it away');
    }
  });

  it('finds what is announced, and asks on a terminal', async function () {
    const network = 'ip link set lo up && ip link set lo multicast on && ip route add 224.0.0.0/4 dev lo';
    if ((await run('unshare', ['-n', 'bash', '-c', network])).code !== 0) {
      if (process.env['CI'] === 'true')
        throw new Error('no network namespace can be made: it takes root and iproute2');
      return this.skip();
    }
    const script = `${network}
      "${node}" "${bin}" accessory --port 51826 --advertise --name Lamp >/dev/null & lamp=$!
      trap 'kill $lamp' EXIT
      while ! (echo >/dev/tcp/127.0.0.1/51826) 2>/dev/null; do sleep 0.1; done; sleep 1
      printf '\\004' | TERM=dumb script -qec '"${node}" "${bin}" init; echo "exit code $?"' /dev/null
      TERM=dumb script -qec '"${node}" "${bin}" init' /dev/null`;
    const child = spawn('unshare', ['-n', 'bash', '-c', script], {
      cwd: folder,
      env: { PATH: process.env['PATH'], HOME: folder },
    });
    let said = '';
    const answer = (question: RegExp, text: string): Promise<void> =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (!question.test(said)) return;
          child.stdout.off('data', look);
          child.stdin.write(text);
          said = '';
          resolve();
        };
        child.stdout.on('data', look);
        child.once('close', () => reject(new Error(`it ended without asking ${String(question)}: ${said}`)));
        look();
      });
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
    // The end of the input is no answer, and no fault of the harness.
    await answer(/it was not answered: nothing is written\r?\nexit code 2/, '');
    await answer(/1 +127\.0\.0\.1:51826 +hap +Lamp[^]*which one\?[^]*\[1\]: /, 'nonsense:x:y\r');
    // There is no such line: it is asked for again.
    await answer(/which one\?[^]*\[1\]: /, '7\r');
    await answer(/which one\?[^]*\[1\]: /, '\r');
    await answer(/a file for CI\?[^]*\[none\]: /, 'gitlab\r');
    await new Promise((resolve) => child.once('close', resolve));
    expect(readFileSync(at('hapspec.config.js'), 'utf8')).to.include("target: '127.0.0.1:51826'");
    expect(readFileSync(at('.gitlab-ci.yml'), 'utf8')).to.include('TARGET: 127.0.0.1:51826');
  });
});
