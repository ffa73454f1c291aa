import { readFileSync, readdirSync } from 'node:fs';
import { expect } from 'chai';
import {
  Accessory,
  airplayDress,
  findFault,
  healthyIn,
  startServer,
  twin,
} from '../../harness/accessory/index.js';
import { Bench, airplayProfile, embeddedCode } from '../../harness/device/index.js';
import { seededRandom } from '../../harness/protocol/index.js';
import type { RunReport } from '../../harness/runner/index.js';
import { type Patience, TcpDialer } from '../../harness/wire/index.js';
import { suite } from '../../suites/index.js';
import { quickArithmetic } from '../arithmetic.js';
import { execute, newRun } from '../runner/bench.js';

const patience: Patience = { answer: 1_500, silence: 250, close: 600 };
const code = embeddedCode({ dress: airplayDress });
const start = { http: 'HTTP/1.1', rtsp: 'RTSP/1.0' } as const;
/** What is asked of a receiver in a test: all of pairing that the plain flow and a dozen M4s come to. */
const selected = suite.filter(({ id }) =>
  /^(PS-M[135]-01|PV-M[13]-01|TRANSIENT|AIRPLAY|PAIRINGS-01)/.test(id),
);

/** A receiver behind a socket, healthy or not, and what the suite says of it. */
async function overTcp(fault: string | undefined, startLine: 'HTTP/1.1' | 'RTSP/1.0'): Promise<RunReport> {
  const random = seededRandom('receiver');
  const behaviour = fault === undefined ? healthyIn(airplayDress) : twin(findFault(fault));
  const accessory = new Accessory({ code, random: random.fork('accessory'), behaviour });
  const listener = await startServer({ accessory, host: '127.0.0.1', port: 0 });
  const bench = new Bench({
    dialer: new TcpDialer('127.0.0.1', listener.port),
    profile: airplayProfile(startLine),
    declares: ['transient'],
    code,
    random,
    patience,
    reseed: (label) => accessory.reseed(random.fork(`accessory in ${label}`)),
  });
  try {
    return await execute(newRun({ target: 'receiver', bench, patience, selected }));
  } finally {
    await listener.close();
  }
}

function failed({ results }: RunReport): string[] {
  return [
    ...new Set(
      results.flatMap(({ status, reason, requirement }) =>
        status === 'fail' || reason === 'should' ? [requirement] : [],
      ),
    ),
  ];
}

describe('suites: receivers of AirPlay', () => {
  quickArithmetic();

  for (const [name, startLine] of Object.entries(start))
    it(`the reference receiver is green over TCP and ${name}`, async () => {
      const report = await overTcp(undefined, startLine);
      expect(failed(report)).to.deep.equal([]);
      const odd = report.results.filter(({ status }) => status === 'error' || status === 'warn');
      expect(odd.map(({ id, message }) => `${id}: ${message}`)).to.deep.equal([]);
      expect(report.exit.code).to.equal(0);
      expect(report.aftermath.clean).to.equal(true);
    });

  for (const name of [
    'receiver-drops-cseq',
    'receiver-split-names',
    'receiver-one-setup-at-a-time',
    'receiver-closed-when-paired',
    'receiver-administered-by-guests',
  ])
    it(`${name} is found over TCP, under the requirement it breaks`, async () => {
      const { breaks } = findFault(name);
      const report = await overTcp(name, 'RTSP/1.0');
      expect(failed(report)).to.include.members([...breaks]);
      expect(report.exit.code).to.equal(1);
    });

  it('are met by the checks that meet accessories: no check asks which of the two it is', () => {
    const folder = new URL('../../../suites/', import.meta.url);
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
      file.endsWith('.ts'),
    );
    expect(files.length).to.be.greaterThan(20);
    for (const file of files) {
      const content = readFileSync(new URL(file, folder), 'utf8');
      expect(content, file).to.not.match(/profile\.name/);
    }
  });

  it('have every check that does not apply to them named with its reason', () => {
    const out = suite.filter(({ notFor }) => notFor['airplay'] !== undefined);
    expect(out.length)
      .to.be.greaterThan(50)
      .and.to.be.lessThan(suite.length / 6);
    for (const { notFor } of out) expect(notFor['airplay']).to.match(/^\S.{20,}/);
  });
});
