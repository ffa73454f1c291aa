import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { expect } from 'chai';
import { Accessory, startServer } from '../../harness/accessory/index.js';
import { HookFailed, codeByCommand, codeByPrompt } from '../../harness/device/index.js';
import { parseSetupCode, seededRandom } from '../../harness/protocol/index.js';
import type { TcpListener } from '../../harness/wire/index.js';
import { endChildren, hapspec, hapspecLine } from './process.js';

async function failureOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    expect(error).to.be.instanceOf(HookFailed);
    return (error as HookFailed).message;
  }
  throw new Error('expected no code to come');
}

describe('hapspec: a code that appears only when M2 has come', function () {
  let folder: string;
  let display: string;
  let codes: string[];
  let listener: TcpListener;
  let accessory: Accessory;
  let target: string;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hapspec-display-'));
    display = join(folder, 'display');
    codes = [];
    accessory = new Accessory({
      code: parseSetupCode('031-45-154'),
      random: seededRandom('display'),
      display: ({ dashed }) => {
        codes.push(dashed);
        writeFileSync(display, `${dashed}\n`);
      },
    });
    listener = await startServer({ accessory, host: '127.0.0.1', port: 0 });
    target = `127.0.0.1:${listener.port}`;
  });
  afterEach(async () => {
    endChildren();
    await listener.close();
    rmSync(folder, { recursive: true });
  });

  it('--code-command reads each of them, and no report has one', async () => {
    const files = ['junit', 'json', 'evidence', 'pcapng'].map((name) => join(folder, name));
    const [junit, json, evidence, pcapng] = files as [string, string, string, string];
    const only = ['PS-M3-01', 'PS-M3-04', 'PS-M5-01', 'PV-M3-01'].flatMap((id) => ['--only', id]);
    const ended = await hapspec([
      ...['run', target, '--code-command', `echo a word to the user >&2; cat '${display}'`, '--seed', '1'],
      ...[...only, '--junit', junit, '--json', json, '--evidence', evidence, '--pcapng', pcapng],
    ]);
    expect(ended.code, ended.stdout + ended.stderr).to.equal(0);
    expect(new Set(codes).size).to.be.greaterThan(3);
    for (const text of [ended.stdout, ended.stderr, readFileSync(junit, 'utf8'), readFileSync(json, 'utf8')])
      for (const code of codes) expect(text).to.not.include(code);
    expect(readFileSync(json, 'utf8')).to.include('--code-command');
  });

  it('a code given is not the one that is shown', async () => {
    const ended = await hapspecLine(['run', target, '--code', '518-08-582', '--only', 'PS-M3-01']);
    expect(ended.code, ended.stdout).to.equal(1);
  });

  it('hapspec pair takes it, and says what is wrong with a command', async () => {
    const pair = (command: string, more: readonly string[] = []) =>
      hapspecLine(['pair', target, '--code-command', command, ...more]);
    const wrong: readonly (readonly [string, number, string])[] = [
      ['echo 518-08-582; exit 4', 3, '--code-command failed: exit code 4'],
      ['echo 5180-8582x', 3, '--code-command wrote no setup code: setup code: expected XXX-XX-XXX'],
      ['echo hello >&2', 3, '--code-command wrote nothing to stdout'],
      [' ', 2, '--code-command: expected a shell command'],
    ];
    for (const [command, code, text] of wrong) {
      const ended = await pair(command);
      expect(ended.code, command).to.equal(code);
      expect(ended.stderr).to.include(text).and.to.not.include('5180').and.to.not.include('518-08');
    }
    const both = await pair('true', ['--code', '518-08-582']);
    expect([both.code, both.stderr]).to.deep.equal([
      2,
      'hapspec: --code and --code-command: the code is known or has to be read: leave one of them out\n',
    ]);
    const paired = await pair(`cat '${display}'`);
    expect(paired.code, paired.stderr).to.equal(0);
    expect(accessory.pairings).to.have.length(1);
  });

  it('an embedded accessory shows none', async () => {
    const ended = await hapspecLine(['run', 'embedded', '--code-command', 'true', '--only', 'PS-M3-01']);
    expect(ended.code).to.equal(2);
    expect(ended.stderr).to.include('an embedded accessory shows no code');
  });

  it('a command that does not end is ended; one that fails thrice is not run again', async () => {
    const runs = join(folder, 'runs');
    const source = codeByCommand(`echo >> '${runs}'; sleep 60`, target, parseSetupCode, 100);
    for (let i = 0; i < 5; i++)
      expect(await failureOf(source())).to.equal('--code-command did not end within 0.1 s');
    expect(readFileSync(runs, 'utf8')).to.equal('\n\n\n');
  });

  it('is asked for on a terminal, again where it is none, and once for all', async () => {
    const [input, output] = [new PassThrough(), new PassThrough()];
    const source = codeByPrompt(parseSetupCode, input, output);
    const first = source();
    input.write('12345\n');
    await new Promise((resolve) => setImmediate(resolve));
    input.write('518-08-582\n');
    expect((await first).digits).to.equal('51808582');
    expect((await source()).digits).to.equal('51808582');
    const said = String(output.read());
    expect(said.match(/setup code of the accessory/g)).to.have.length(2);
    expect(said).to.include('got 5 characters of another form');
    input.end();
  });

  it('nobody types it: the input ends, or the time is over', async () => {
    const input = new PassThrough();
    const ended = failureOf(codeByPrompt(parseSetupCode, input, new PassThrough())());
    input.end();
    expect(await ended).to.equal(
      '--code is needed, and the input has ended: give --code XXX-XX-XXX or --code-command CMD',
    );
    const late = codeByPrompt(parseSetupCode, new PassThrough(), new PassThrough(), 20);
    expect(await failureOf(late())).to.include('none was typed within 0.02 s');
  });
});
