import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { RunReport } from '../../harness/runner/index.js';
import { bin, hapspec } from './process.js';

const slow = process.env['HAPSPEC_SLOW'] === '1';
/** Networks of one machine each, with one accessory and one shard. */
const COUNT = slow ? 8 : 3;
const CODE = '031-45-154';
/** What shards share out: with eight of them the whole of Pair Setup, everyday a step of it. */
const ONLY = slow ? 'PS-M*' : 'PS-M3-0*';

describe('a lab of several machines', function () {
  this.timeout(300_000);
  let folder: string;
  const at = (name: string): string => join(folder, name);

  /** Runs shell in a network of its own, where nothing is but a loopback interface. */
  function machine(script: string): Promise<{ readonly code: number; readonly said: string }> {
    return new Promise((resolve) => {
      execFile(
        'unshare',
        ['-n', 'bash', '-c', `ip link set lo up || exit 97\n${script}`],
        { env: { PATH: process.env['PATH'], HOME: folder }, timeout: 250_000, maxBuffer: 1 << 26 },
        (error, stdout, stderr) =>
          resolve({ code: error === null ? 0 : Number(error.code ?? -1), said: stdout + stderr }),
      );
    });
  }

  before(async function () {
    folder = mkdtempSync(join(tmpdir(), 'hapspec-machines-'));
    if ((await machine('exit 0')).code === 0) return;
    if (process.env['CI'] === 'true')
      throw new Error('no network namespace can be made: it takes root and iproute2');
    this.test!.parent!.title += ' (skipped: none can be made, it takes root and iproute2)';
    this.skip();
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  /** The same accessory at the same address in each, and a run of it; `dying` ends both at the first check that passed. */
  const served = (name: string, options: string, fault: string, dying = false): string => `
    mkdir -p '${at(`own-${name}`)}' && cd '${at(`own-${name}`)}'
    node '${bin}' accessory --port 51826 --seed 1 ${fault} >/dev/null & accessory=$!
    node '${bin}' run 127.0.0.1:51826 --wait 60s --code ${CODE} --seed 1 --timeout 3000 --only '${ONLY}' \
      --state '${at(`state-${name}`)}' --json '${at(`${name}.json`)}' ${options} > >(
        while read -r line; do
          ${dying ? 'case $line in *✓*) kill -9 $accessory $(cat pid); exit ;; esac' : 'echo "$line"'}
        done) & run=$!
    echo $run > pid
    wait $run
    code=$?
    kill $accessory
    exit $code`;
  const report = (name: string): RunReport =>
    JSON.parse(readFileSync(at(`${name}.json`), 'utf8')) as RunReport;
  const verdicts = ({ results }: RunReport): readonly string[] =>
    results.map(({ id, status }) => `${id} ${status}`).sort();

  it(`${COUNT} shards, each in a network of its own, come to what one run comes to${slow ? '' : ' (HAPSPEC_SLOW=1 takes 8, and all of Pair Setup)'}; a machine that dies is named`, async () => {
    const names = Array.from({ length: COUNT }, (_, i) => `shard-${i + 1}`);
    const files = names.map((name) => at(`${name}.json`));
    const shards = (fault: string, dying = -1): Promise<readonly { code: number; said: string }[]> =>
      Promise.all(
        names.map((name, i) => machine(served(name, `--shard ${i + 1}/${COUNT}`, fault, i === dying))),
      );
    const defect = '--fault accepts-any-proof';
    for (const { code, said } of await shards(defect)) expect([0, 1], said).to.include(code);
    expect((await machine(served('whole', '', defect))).code).to.equal(1);
    const merged = await hapspec(['merge', ...files, '--json', at('merged.json')]);
    expect(merged.code).to.equal(1);
    expect(verdicts(report('merged'))).to.deep.equal(verdicts(report('whole')));

    for (const file of files) rmSync(file);
    const codes = (await shards('', 1)).map(({ code }) => code);
    expect(codes.filter((_, i) => i !== 1)).to.deep.equal(names.slice(1).map(() => 0));
    expect(codes[1]).to.equal(137);
    const without = await hapspec(['merge', ...files.filter((file) => existsSync(file))]);
    expect(without.code, without.stdout).to.equal(5);
    expect(without.stdout).to.match(new RegExp(`shard 2/${COUNT}: (there is no report of it|.*not )`));
  });
});
