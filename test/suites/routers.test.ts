import { expect } from 'chai';
import { findFault } from '../../harness/accessory/index.js';
import { benchFor, parseAddress } from '../../harness/device/index.js';
import { seededRandom } from '../../harness/protocol/index.js';
import { type RunReport, runTwin } from '../../harness/runner/index.js';
import { defaultPatience } from '../../harness/wire/index.js';
import { suite } from '../../suites/index.js';
import { code, newRun } from '../runner/bench.js';

const about = /^(PS-M1-|TRANSIENT-0[18]|SPLIT-|MDNS-06)/;
const selected = suite.filter(({ id }) => about.test(id));

/** What a run says of the reference accessory that is a router. */
async function reportOf(declared: boolean): Promise<RunReport> {
  const run = newRun({
    bench: benchFor(parseAddress('embedded:router'), {
      code,
      random: seededRandom('router'),
      patience: defaultPatience,
      ...(declared && { declares: ['router'] }),
    }),
    selected,
  });
  await run.survey();
  for (const planned of run.plan) await run.runEntry(planned);
  return run.report();
}

describe('suites: routers', function () {
  this.timeout(60_000);

  it('are red for flags of their own in M2, and told how to say so', async () => {
    const { results, accessory } = await reportOf(false);
    const red = results.filter(({ status }) => status === 'fail');
    expect(red.map(({ id }) => id)).to.include.members([
      'PS-M1-05/flags',
      'TRANSIENT-01/1-bytes',
      'SPLIT-01',
    ]);
    for (const { id, message } of red) expect(message, id).to.include('--declares router');
    expect(accessory).to.include({ 'flags of its own in M2': '0080' });
  });

  it('are not where they are declared, and their flags stand in the identity', async () => {
    const { results, accessory } = await reportOf(true);
    for (const { id, status, reason, message } of results)
      expect(status === 'pass' || reason === 'not-applicable', `${id}: ${message}`).to.equal(true);
    expect(accessory).to.include({ 'flags of its own in M2': '0080' });
  });

  it('that grant other flags of a mode than were asked for are red all the same', async () => {
    const wrong = { ...findFault('flags-echoed-with-more'), declares: ['router'] as const };
    const results = await runTwin(suite, selected, wrong, { seed: 1 });
    const of = (id: string) => results.find((one) => one.id === id)?.status;
    expect(of('TRANSIENT-01/1-bytes')).to.equal('fail');
    expect(of('PS-M1-05/flags')).to.equal('pass');
  });
});
