import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { bin, endChildren, hapspec, startHapspec } from './process.js';

/** In the sources, so that they are reviewed and versioned. */
const folder = fileURLToPath(new URL('../../../test/cli/snapshots', import.meta.url));

/** One of each kind of event a failure may show. The clock is virtual, so nothing in the text is real time. */
const failures: readonly (readonly [name: string, about: string, args: readonly string[]])[] = [
  ['tlv-reply', 'a TLV reply', ['embedded:accepts-any-proof', '--only', 'PS-M3-04']],
  ['silence', 'silence', ['embedded:wrong-code-unanswered', '--only', 'PS-M3-04']],
  ['close', 'a close', ['embedded:closes-after-each-response', '--only', 'HTTP-10']],
];

describe('hapspec: a failure in full', function () {
  after(endChildren);

  for (const [name, about, args] of failures)
    it(`${about} is shown as in snapshots/${name}.txt (UPDATE_SNAPSHOTS=1 writes it anew)`, async () => {
      const { code, stdout, stderr } = await hapspec(['run', ...args, '--seed', '1']);
      expect([code, stderr]).to.deep.equal([1, '']);
      // How sure a diagnosis is changes with every fault there is.
      const text = stdout
        .replace(/^hapspec \d+\.\d+\.\d+\S*:/, 'hapspec {version}:')
        .replace(/\d+ % sure/g, '… % sure');
      const file = `${folder}/${name}.txt`;
      if (process.env['UPDATE_SNAPSHOTS'] === '1') {
        mkdirSync(folder, { recursive: true });
        writeFileSync(file, text);
      }
      expect(text).to.equal(readFileSync(file, 'utf8'));
    });

  it('is shown in the README as it is', () => {
    const snapshot = readFileSync(`${folder}/tlv-reply.txt`, 'utf8');
    const [, failure = 'none'] = /\nCauses\n\n(.*?)\n\n(?:next: |0 passed)/s.exec(snapshot) ?? [];
    const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');
    expect(readme.replace(/\d+ % sure/g, '… % sure')).to.include(`\n\`\`\`\n${failure}\n\`\`\`\n`);
  });

  it('is repeated by its last line but one, pasted into a shell; without a code that says what to do first', async () => {
    const states = mkdtempSync(join(tmpdir(), 'hapspec states '));
    const accessory = startHapspec([
      'accessory',
      '--port',
      '0',
      '--fault',
      'accepts-any-proof',
      '--seed',
      '1',
    ]);
    try {
      await accessory.said('\n');
      const port = /:(\d+)/.exec(accessory.output())![1]!;
      const { stdout } = await hapspec([
        ...['run', `127.0.0.1:${port}`, '--code', '031-45-154', '--only', 'PS-M3-04', '--seed', '1'],
        ...['--state', states, '--timeout', '4000'],
      ]);
      const [, command = ''] = /^ {2}reproduce: (npx hapspec .*)$/m.exec(stdout) ?? [];
      expect(command).to.include("--only 'PS-M3-04'").and.not.include('031-45-154');
      const paste = (code: string): SpawnSyncReturns<string> =>
        spawnSync(
          'sh',
          ['-c', `${code}${command.replace(/^npx hapspec/, `'${process.execPath}' '${bin}'`)}`],
          {
            encoding: 'utf8',
            env: { PATH: process.env['PATH'] },
          },
        );
      const without = paste('');
      expect(without.status).to.not.equal(0);
      expect(without.stderr).to.include('first: export HAPSPEC_CODE=XXX-XX-XXX');
      const again = paste('export HAPSPEC_CODE=031-45-154; ');
      expect(again.stdout, again.stderr).to.match(/^PS-M3-04 Wrong setup code \[MUST, security\]/m);
      expect(again.status).to.equal(1);
    } finally {
      accessory.process.kill();
      await accessory.ended;
      rmSync(states, { recursive: true, force: true });
    }
  }).timeout(60_000);

  it('is the same text in two runs', async () => {
    const args = ['run', 'embedded:wrong-code-unanswered', '--only', 'PS-M3-04', '--seed', '2'];
    const [first, second] = await Promise.all([hapspec(args), hapspec(args)]);
    expect(first.stdout).to.include('silence');
    expect(second).to.deep.equal(first);
  });
});
