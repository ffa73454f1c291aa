import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { decodeTlv, encodeTlv, setupM1 } from '../../harness/protocol/index.js';
import {
  type CheckResult,
  type RunReport,
  loadExpectations,
  matchesPattern,
} from '../../harness/runner/index.js';
import { HttpReader, TcpDialer, encodeRequest } from '../../harness/wire/index.js';
import { suite } from '../../suites/index.js';
import { type Child, endChildren, hapspec, start } from '../cli/process.js';
import { elements, parseStrictly, propertiesOf } from '../report/xml.js';
import { word } from '../runner/bench.js';

const CODE = '031-45-154';
/** The last ones take the plain flow and the watches alone. */
const RUNS = 5;
const launcher = fileURLToPath(new URL('hap-nodejs.js', import.meta.url));

/** Where this peer departs from the suite, each with its reason; all else passes. */
const expectations = fileURLToPath(
  new URL('../../../test/peers/hap-nodejs-2.0.2.expectations.json', import.meta.url),
);
const { entries } = loadExpectations(expectations);
const deviating = entries.map(({ id }) => id);
/** What passes or deviates as time has it. */
const mayPass = new Set(
  entries
    .filter((entry) => entry.mayPass)
    .flatMap(({ id }) => suite.filter((one) => matchesPattern(id, one)).map((one) => one.id)),
);

/** Ids nothing is claimed about. */
const notRun = (
  JSON.parse(readFileSync(new URL('../../../test/peers/not-run.json', import.meta.url), 'utf8')) as Record<
    string,
    readonly string[]
  >
)['@homebridge/hap-nodejs']!;

/** The first run takes everything; the others leave out the families that only repeat themselves, to save a minute. */
const shorter = [
  'SESS-18',
  'PS-M1-*/*',
  'TLV-*/*',
  'PS-M3-*/*',
  ...['PS-M3-02', 'PS-M3-1*', 'PS-ERR-0*/*', 'PS-ERR-06', 'PS-ERR-07', 'PS-ERR-09', 'PS-ERR-10', 'SEC-*'],
  'PS-M5-*/*',
  'PS-M5-1*',
  'PS-STATE-*',
  'PAIRINGS-*',
  'PV-*',
  'SESS-*',
  'HTTP-*',
  'IDENT-*',
  'MDNS-*',
  'RESUME-*',
].flatMap((pattern) => ['--skip', pattern]);
const slow = process.env['HAPSPEC_SLOW'] === '1';

/** Types in the answer to a Pair Setup M1 that this test writes itself. */
async function answerToM1(port: number): Promise<readonly string[]> {
  const dialer = new TcpDialer('127.0.0.1', port);
  const connection = await dialer.connect(dialer.clock.now() + 3_000);
  const headers: [string, string][] = [
    ['Host', `127.0.0.1:${port}`],
    ['Content-Type', 'application/pairing+tlv8'],
  ];
  connection.write(
    encodeRequest({ method: 'POST', path: '/pair-setup', headers, body: encodeTlv(setupM1()) }),
  );
  const reader = new HttpReader('response');
  try {
    for (;;) {
      const progress = reader.next();
      if (progress.kind === 'message') return decodeTlv(progress.message.body).typeNames();
      const event = await connection.next(dialer.clock.now() + 3_000);
      if (event.kind !== 'data') throw new Error(`M1 was answered by ${event.kind}`);
      reader.feed(event.bytes);
    }
  } finally {
    connection.close();
  }
}

/** A watch with a known deviation: whether the traffic that shows it is part of the run, the budget decides. */
function unseen({ id, kind }: CheckResult): boolean {
  const watched = suite.find((one) => one.id === id)!;
  return kind === 'watch' && deviating.some((pattern) => matchesPattern(pattern, watched));
}

describe('peers: hap-nodejs', function () {
  this.timeout(60_000);
  let folder: string;
  let peer: Child;
  let port: number;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hapspec-peer-'));
    const generation = join(folder, 'generation');
    peer = start(launcher, ['0', CODE, join(folder, 'storage'), generation]);
    await peer.said('\n');
    port = Number(/listening (\d+)/.exec(peer.output())?.[1]);
    // Sends a signal and waits until the peer listens again, ten seconds at most.
    writeFileSync(
      join(folder, 'hook.sh'),
      `before=$(cat ${generation}); kill -$1 ${peer.process.pid}; n=0
while [ "$(cat ${generation})" = "$before" ] && [ $n -lt 100 ]; do sleep 0.1; n=$((n+1)); done\n`,
    );
  });
  after(async () => {
    endChildren();
    await peer.ended;
    rmSync(folder, { recursive: true });
  });

  it(`is judged the same in ${RUNS} runs, and is unpaired after each`, async () => {
    const seen: Readonly<Record<string, string>>[] = [];
    for (let run = 1; run <= RUNS; run++) {
      const [junit, json] = [join(folder, `${run}.xml`), join(folder, `${run}.json`)];
      const { code, stdout, stderr } = await hapspec([
        ...['run', `127.0.0.1:${port}`, '--code', CODE, '--seed', '7', '--timeout', '3000'],
        ...['--junit', junit, '--json', json, '--expectations', expectations],
        ...['--state', join(folder, 'state'), '--restart', `sh ${folder}/hook.sh USR2`],
        // The first run is what a user gets by default; the slow lane buys everything.
        ...(slow ? ['--reset', `sh ${folder}/hook.sh HUP`, '--destructive'] : []),
        ...(run === 1 ? [] : ['--attempts', '95']),
        ...notRun.flatMap((id) => ['--skip', id]),
        ...(run === 1 || slow ? [] : shorter),
      ]);
      const report = JSON.parse(readFileSync(json, 'utf8')) as RunReport;
      const planned = report.results.filter(({ leftOut }) => !leftOut);
      const words = Object.fromEntries(
        planned.map((result) => [
          result.id,
          // What a check could not be tried on says nothing about the accessory.
          ['pass', 'not-applicable'].includes(result.reason ?? result.status) || result.status === 'pass'
            ? mayPass.has(result.id) || unseen(result)
              ? 'skip expected'
              : 'pass'
            : word(result),
        ]),
      );
      const expected = suite
        .filter(({ id }) => id in words)
        .map((entry) => [
          entry.id,
          deviating.some((id) => matchesPattern(id, entry)) ? 'skip expected' : 'pass',
        ]);
      expect(words, `run ${run}\n${stdout}${stderr}`).to.deep.equal(Object.fromEntries(expected));
      expect(code, `run ${run}`).to.equal(0);
      expect(report.aftermath.clean, `run ${run}`).to.equal(true);
      const testcases = elements(parseStrictly(readFileSync(junit, 'utf8')), 'testcase');
      seen.push(
        Object.fromEntries(
          testcases.map((testcase) => [testcase.getAttribute('name')!, propertiesOf(testcase)['status']!]),
        ),
      );
      // An accessory that is paired answers Unavailable and nothing to pair with.
      expect((await answerToM1(port)).toSorted(), `run ${run}`).to.deep.equal(['PublicKey', 'Salt', 'State']);
    }
    const [first = {}, ...others] = seen;
    const claimed = suite.filter((entry) => !notRun.some((id) => matchesPattern(id, entry)));
    expect(Object.keys(first)).to.have.length(claimed.length);
    for (const statuses of others) {
      expect(Object.keys(statuses)).to.have.length.greaterThan(10);
      for (const [name, status] of Object.entries(statuses))
        if (![...mayPass].some((id) => name.startsWith(`${id} `)))
          expect([status, 'skip'], name).to.include(first[name]);
    }
  }).timeout(400_000);

  it('keeps to every property, but where it is known to deviate', async () => {
    const json = join(folder, 'properties.json');
    const { code, stdout, stderr } = await hapspec([
      ...['run', `127.0.0.1:${port}`, '--code', CODE, '--seed', '7', '--timeout', '3000', '--json', json],
      ...['--expectations', expectations, '--state', join(folder, 'properties')],
      // 19 properties: some 300 runs in the slow lane.
      ...['--only', '*/any-*', '--only', '*/flows', '--runs', slow ? '17' : '3'],
      ...notRun.flatMap((id) => ['--skip', id]),
    ]);
    const { results, price, aftermath } = JSON.parse(readFileSync(json, 'utf8')) as RunReport;
    const red = results.filter(({ status, reason }) => status !== 'pass' && reason !== 'expected');
    expect(
      red.map(({ id, message }) => `${id}: ${message}`),
      stdout + stderr,
    ).to.deep.equal([]);
    expect(code).to.equal(0);
    expect(price.attempts, 'failed attempts').to.be.at.most(30);
    expect(aftermath.clean).to.equal(true);
  }).timeout(300_000);
});
