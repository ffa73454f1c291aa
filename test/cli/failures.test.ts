import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { endChildren, hapspec } from './process.js';

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
      const text = stdout.replace(/^hapspec \d+\.\d+\.\d+\S*:/, 'hapspec {version}:');
      const file = `${folder}/${name}.txt`;
      if (process.env['UPDATE_SNAPSHOTS'] === '1') {
        mkdirSync(folder, { recursive: true });
        writeFileSync(file, text);
      }
      expect(text).to.equal(readFileSync(file, 'utf8'));
    });

  it('is the same text in two runs', async () => {
    const args = ['run', 'embedded:wrong-code-unanswered', '--only', 'PS-M3-04', '--seed', '2'];
    const [first, second] = await Promise.all([hapspec(args), hapspec(args)]);
    expect(first.stdout).to.include('silence');
    expect(second).to.deep.equal(first);
  });
});
