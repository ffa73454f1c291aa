import { expect } from 'chai';
import { memoiseArithmetic, seededRandom } from '../../harness/protocol/index.js';
import type { CheckResult, RunReport } from '../../harness/runner/index.js';
import { Bench, benchFor, parseAddress } from '../../harness/target/index.js';
import { defaultPatience } from '../../harness/wire/index.js';
import { everyday, execute, newRun } from '../runner/bench.js';

/** A run as a user makes it on a receiver of his own: nothing resets or restarts it. */
async function withoutHooks(fault: string): Promise<RunReport> {
  const random = seededRandom('receivers');
  const options = { code: undefined, random, patience: defaultPatience };
  const embedded = benchFor(parseAddress(`embedded:${fault}`), options);
  const { hooks: _hooks, ...rest } = embedded.options;
  const bench = new Bench(rest);
  return execute(newRun({ target: `embedded:${fault}`, bench, selected: everyday }));
}

function judged({ status }: CheckResult): boolean {
  return status === 'pass' || status === 'warn' || status === 'fail';
}
const applies = ({ reason }: CheckResult): boolean => reason !== 'not-applicable';

describe('suites: receivers as they are', function () {
  this.timeout(600_000);
  before(() => memoiseArithmetic(true));
  after(() => memoiseArithmetic(false));
  for (const fault of (process.env['FAULTS'] ?? 'airplay-without-administration,receiver-removal-refused,receiver-stores-nothing').split(','))
    it(fault, async () => {
      const { results, aftermath } = await withoutHooks(fault);
      const applicable = results.filter(applies);
      const open = applicable.filter((result) => !judged(result));
      console.log(fault, results.length, applicable.length, applicable.length - open.length, ((applicable.length - open.length) / applicable.length).toFixed(3), aftermath.message.slice(0,200));
      const by = new Map<string, string[]>();
      for (const { id, status, reason, message } of open) {
        const key = `${status} ${reason}: ${message.replace(/[0-9a-fA-F-]{20,}/g, 'ID').replace(/#\d+|\d+\.\d s/g, 'N').slice(0, 170)}`;
        by.set(key, [...(by.get(key) ?? []), id]);
      }
      for (const [key, ids] of [...by].sort((a, b) => b[1].length - a[1].length).slice(0, 30)) console.log('   ', ids.length, key, ids.slice(0, 6).join(' '));
      for (const r of results) if (r.status === 'fail' || r.status === 'warn') console.log('   ', r.status, r.id, r.message.slice(0, 160));
      const na = new Map<string, number>();
      for (const r of results) if (!applies(r)) na.set(r.message, (na.get(r.message) ?? 0) + 1);
      for (const [key, n] of [...na].sort((a, b) => b[1] - a[1])) console.log('    NA', n, key.slice(0, 150));
      if (process.env['NAIDS']) for (const r of results) if (r.message.startsWith('no administration')) console.log('NAID', r.id, '|', r.title);
      expect(open.length).to.be.at.most(applicable.length / 10);
    });
});
