import { expect } from 'chai';
import { findFault } from '../../harness/accessory/index.js';
import { Bench, benchFor, parseAddress } from '../../harness/device/index.js';
import { seededRandom } from '../../harness/protocol/index.js';
import type { CheckResult, RunReport } from '../../harness/runner/index.js';
import { defaultPatience } from '../../harness/wire/index.js';
import { quickArithmetic } from '../arithmetic.js';
import { everyday, execute, newRun } from '../runner/bench.js';

/** A run as a user makes it on a receiver of his own, which nothing resets or restarts, or as on the embedded one. */
async function runOn(
  fault: string,
  { hooks }: { hooks: boolean },
): Promise<{ report: RunReport; bench: Bench }> {
  const random = seededRandom('receivers');
  const target = `embedded:${fault}`;
  const embedded = benchFor(parseAddress(target), { code: undefined, random, patience: defaultPatience });
  const { hooks: own, ...bare } = embedded.options;
  const bench = new Bench({ ...bare, ...(hooks && own && { hooks: own }) });
  return { report: await execute(newRun({ target, bench, selected })), bench };
}

/** With properties, and with a reset hook as well. */
const slow = process.env['HAPSPEC_SLOW'] === '1';
const selected = everyday.filter(
  (entry) => slow || entry.kind !== 'check' || entry.spec.property === undefined,
);

const isJudged = ({ status }: CheckResult): boolean => ['pass', 'warn', 'fail'].includes(status);

/** Of what applies to a receiver, the part that was judged. */
function judgedPart({ results }: RunReport): number {
  const applicable = results.filter(({ reason }) => reason !== 'not-applicable');
  return applicable.filter(isJudged).length / applicable.length;
}

/** Receivers as they are, by what makes them so: the requirements that may be red, and of how many checks more applies. */
const receivers = {
  'airplay-without-administration': { red: [], applies: 470 },
  'receiver-removal-refused': { red: ['TLV-14', 'PAIRINGS-11', 'PAIRINGS-13', 'PAIRINGS-20'], applies: 570 },
  'receiver-stores-nothing': { red: [], applies: 390 },
} as const;

/** Controllers a run may leave in a receiver that takes nobody out again. */
const MOST_LEFT = 24;

describe('suites: receivers of AirPlay as they are', function () {
  // Against a hang only.
  this.timeout(600_000);
  quickArithmetic();

  for (const [name, { red, applies }] of Object.entries(receivers))
    for (const hooks of slow ? [false, true] : [false])
      it(`${name}${hooks ? ', with a reset' : ''}: nine in ten of what applies are judged, and rightly`, async () => {
        const { report, bench } = await runOn(name, { hooks });
        const failed = report.results.filter(({ status }) => status === 'fail');
        const declared: readonly string[] = [...findFault(name).breaks, ...red];
        const wrong = failed.filter(({ requirement }) => !declared.includes(requirement));
        expect(wrong.map(({ id, message }) => `${id}: ${message}`)).to.deep.equal([]);
        if (declared.length > 0) expect(failed.length).to.be.at.least(1);
        expect(judgedPart(report)).to.be.at.least(0.9);
        // Not by calling the rest not applicable.
        expect(report.results.filter(isJudged).length).to.be.at.least(applies);
        const transient = report.results.filter(({ id }) => /^(TRANSIENT-0[1-57]|AIRPLAY-0[1-7])/.test(id));
        const open = transient.filter((result) => !isJudged(result) && result.reason !== 'not-applicable');
        expect(open.map(({ id, message }) => `${id}: ${message}`)).to.deep.equal([]);
        // What stays is said, and every key of it is kept; a reset takes it out.
        const stays = name !== 'receiver-stores-nothing' && !hooks;
        expect(report.aftermath.clean, report.aftermath.message).to.equal(!stays);
        expect(bench.keyring.held.size).to.be.at.most(stays ? MOST_LEFT : 0);
        if (stays) expect(report.aftermath.message).to.include('NOT AS FOUND').and.to.include(' kept (');
      });
});
