import {
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
import { expect } from 'chai';
import { loadConfig } from '../../harness/cli/config.js';
import type { RunReport } from '../../harness/runner/index.js';
import type { startHapspec } from './process.js';
import { bin, deadPort, endChildren, start } from './process.js';

describe('hapspec run: several accessories', function () {
  this.timeout(120_000);
  let folder: string;
  const at = (name: string): string => join(folder, name);
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hapspec-racks-'));
    mkdirSync(at('tmp'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  after(endChildren);

  function configure(values: object): string {
    writeFileSync(at('lab.json'), JSON.stringify(values));
    return at('lab.json');
  }
  function lab(values: object, ...more: readonly string[]): ReturnType<typeof startHapspec> {
    return start(bin, ['run', '--config', configure(values), ...more], {
      HAPSPEC_STATE: at('state'),
      TMPDIR: at('tmp'),
    });
  }
  const report = (path: string): RunReport => JSON.parse(readFileSync(at(path), 'utf8')) as RunReport;

  it('runs them side by side, each with what its entry says, and writes a report each and one matrix', async () => {
    const dead = await deadPort();
    const { code, stdout, stderr } = await lab(
      {
        only: ['PS-M3-0*'],
        seed: 1,
        json: 'reports/report.json',
        junit: 'reports/junit.xml',
        targets: [
          { name: 'good', target: 'embedded' },
          { name: 'bad', target: 'embedded:accepts-any-proof', only: ['PS-M3-04'], junit: 'bad.xml' },
          { target: `127.0.0.1:${dead}`, code: '031-45-154' },
        ],
      },
      '--timeout',
      '3000',
    ).ended;
    expect(code, stdout + stderr).to.equal(1);
    expect(stdout)
      .to.match(/^good +\| .*21 passed, 0 warnings, 0 failed/m)
      .and.match(/^good +exit 0: every planned check passed$/m)
      .and.match(/^bad +exit 1: 1 check failed: .*: the proof is received and never compared$/m)
      .and.match(new RegExp(`^127\\.0\\.0\\.1-${dead} +exit 3: nothing answered`, 'm'));
    expect(report('reports/good/report.json').results).to.have.length(21);
    expect(report('reports/bad/report.json').results).to.have.length(1);
    expect(report('reports/bad/report.json').command).to.include('--timeout 3000');
    expect(existsSync(at('reports/good/junit.xml'))).to.equal(true);
    expect(existsSync(at('bad.xml'))).to.equal(true);
    const matrix = readFileSync(at('reports/matrix.html'), 'utf8');
    for (const name of ['good', 'bad', `127.0.0.1-${dead}`]) expect(matrix).to.include(`>${name}<`);
  });

  it('keeps the setup code out of files and arguments, and starts each by its own hook', async () => {
    const ports = [await deadPort(), await deadPort()];
    const { code, stdout, stderr } = await lab(
      {
        only: ['PS-M1-01'],
        json: at('reports/report.json'),
        wait: '30s',
        code: '031-45-154',
        targets: ports.map((port, i) => ({
          name: `lamp-${i}`,
          target: `127.0.0.1:${port}`,
          launch: `cat '${at('tmp')}'/hapspec-lab-*/*.json > '${at(`seen-${i}`)}'; '${process.execPath}' '${bin}' accessory --port ${port}`,
        })),
      },
      '--jobs',
      '2',
    ).ended;
    expect(code, stdout + stderr).to.equal(0);
    const written = ['reports/lamp-0/report.json', 'reports/lamp-1/report.json', 'reports/matrix.html'];
    for (const name of written) expect(readFileSync(at(name), 'utf8')).to.not.include('031-45-154');
    expect(stdout + stderr).to.not.include('031-45-154');
    for (const name of ['seen-0', 'seen-1'])
      expect(readFileSync(at(name), 'utf8'))
        .to.include('"wait":"30s"')
        .and.not.include('031-45-154');
    expect(readdirSync(at('tmp')).filter((name) => name.startsWith('hapspec-lab-'))).to.deep.equal([]);
  });

  it('runs one of them by its name, and another target beside them', async () => {
    const values = {
      only: ['PS-M1-01'],
      seed: 1,
      targets: [{ name: 'lamp', target: 'embedded', only: ['PS-M3-04'] }],
    };
    const one = await lab(values, 'lamp').ended;
    expect(one.stdout).to.include('PS-M3-04').and.not.include('PS-M1-01');
    const other = await lab(values, 'embedded').ended;
    expect(other.stdout).to.include('PS-M1-01').and.not.include('PS-M3-04');
  });

  it('passes a signal on once: each leaves its accessory as it was found, and nothing more is begun', async () => {
    const target = 'embedded';
    const names = ['a', 'b', 'c'];
    const child = lab(
      { seed: 1, json: at('r/report.json'), targets: names.map((name) => ({ name, target })) },
      '--jobs',
      '2',
    );
    await child.said('✓ pass');
    child.process.kill('SIGINT');
    const { code, stdout } = await child.ended;
    expect(code).to.equal(5);
    expect(stdout).to.match(/^c +not run: interrupted$/m);
    const ended = names.flatMap((name) =>
      existsSync(at(`r/${name}/report.json`)) ? [report(`r/${name}/report.json`)] : [],
    );
    expect(ended).to.have.length.above(0);
    for (const { aftermath } of ended) expect(aftermath.clean).to.equal(true);
  });

  it('refuses what is of one accessory, and entries that are none', async () => {
    const targets = [{ name: 'lamp', target: 'embedded' }];
    for (const option of [['--replay', 'x'], ['--write-expectations'], ['--shard', '1/2']]) {
      const { code, stderr } = await lab({ targets }, ...option).ended;
      expect(code).to.equal(2);
      expect(stderr).to.include(`${option[0]!}: that is of one accessory: name it, as in "hapspec run lamp"`);
    }
    const number = await lab({ targets, json: at('r.json') }, '--timeout', 'soon').ended;
    expect(number.code).to.equal(2);
    expect(number.stderr).to.include('lamp | hapspec: --timeout').and.not.include('.json');
    const wrong: readonly (readonly [values: object, message: string])[] = [
      [{ targets: [] }, 'targets: expected a list of accessories, got []'],
      [{ targets: ['embedded'] }, 'targets[0]: expected an object with "target", got "embedded"'],
      [{ targets: [{ name: 'x' }] }, 'targets[0]: it has no "target"'],
      [{ targets: [{ target: 'embedded', name: '../x' }] }, 'targets[0]: name: expected up to 64 letters'],
      [
        { targets: [{ target: 'embedded', timout: 1 }] },
        'targets[0]: unknown key "timout". Did you mean "timeout"?',
      ],
      [{ targets: [...targets, ...targets] }, 'two have the name "lamp"'],
      [{ target: 'embedded', targets }, 'it has "target" and "targets"'],
    ];
    for (const [values, message] of wrong) {
      const thrown: unknown = await loadConfig({ cwd: folder, path: configure(values) }).catch(
        (error: unknown) => error,
      );
      expect(thrown).to.be.an('error').with.property('message').that.includes(message);
    }
  });
});
