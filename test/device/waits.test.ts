import { expect } from 'chai';
import fc from 'fast-check';
import { Bench, Pace, type Wait, answered, anyReply, silence } from '../../harness/device/index.js';
import { parseSetupCode, seededRandom } from '../../harness/protocol/index.js';
import {
  type CheckSpec,
  type Draft,
  type Expectations,
  Run,
  type RunReport,
  property,
} from '../../harness/runner/index.js';
import {
  type Clock,
  type Connection,
  HttpReader,
  MemoryNetworkHost,
  VirtualClock,
  defaultPatience,
} from '../../harness/wire/index.js';
import { type HandTools, casesOf } from '../runner/bench.js';

const { answer, silence: quiet } = defaultPatience;

/** Virtual time in which the harness behaves as on a device: it repeats failures, and runs out of patience. */
function deviceClock(): Clock {
  const clock = new VirtualClock();
  return {
    virtual: false,
    now: () => clock.now(),
    at: (time, action) => clock.at(time, action),
    sleep: (milliseconds) => clock.sleep(milliseconds),
  };
}

/** Answers `/in/N` after N ms, never what begins with `/never`, and everything else at once: it is alive. */
async function serve(connection: Connection): Promise<void> {
  const { clock } = connection;
  const reader = new HttpReader('request');
  for (;;) {
    const event = await connection.next(Infinity);
    if (event.kind !== 'data') return connection.close();
    reader.feed(event.bytes);
    for (let got = reader.next(); got.kind === 'message'; got = reader.next()) {
      const after = /\/in\/(\d+)/.exec(got.message.startLine)?.[1];
      const bytes = new TextEncoder().encode('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}');
      if (!got.message.startLine.includes('/never'))
        clock.at(clock.now() + Number(after ?? 0), () => connection.write(bytes));
    }
  }
}

interface Ran {
  readonly report: RunReport;
  /** Milliseconds of silence in the order they went by, where an answer was waited for. */
  readonly silences: readonly number[];
  readonly elapsed: number;
  word(id: string): string;
}

async function ran(write: (tools: HandTools) => readonly Draft[], expectations?: Expectations): Promise<Ran> {
  const clock = deviceClock();
  const random = seededRandom('waits');
  const bench = new Bench({
    dialer: new MemoryNetworkHost(clock, (connection) => void serve(connection)),
    code: parseSetupCode('031-45-154'),
    random,
    patience: defaultPatience,
  });
  const waits: Wait[] = [];
  bench.onWait = (wait) => waits.push(wait);
  const cases = casesOf(write);
  const run = new Run({
    ...{ target: 'device', seed: '1', random, version: '', command: '', strict: false },
    ...{ bench, suite: cases, selected: cases, ...(expectations && { expectations }) },
  });
  const start = clock.now();
  for (const entry of run.plan) await run.runEntry(entry);
  const report = run.report();
  return {
    report,
    silences: waits
      .filter(({ what, ended }) => what === 'answer' && ended === 'silence')
      .map(({ milliseconds }) => milliseconds),
    elapsed: clock.now() - start,
    word: (id) => {
      const { status, reason } = report.results.find((result) => result.id === id)!;
      return `${status} ${reason ?? ''}`.trim();
    },
  };
}

const due: CheckSpec = { from: 'any', allow: [answered(200)] };
const nothing: CheckSpec = { from: 'any', allow: [silence()], forbid: [anyReply()] };

/** One request that nothing need come of, judged. */
function needNot({ check }: HandTools, id: string, path: string): Draft {
  return check(id, nothing, async ({ controller, expect: judge }) => {
    const link = await controller.open();
    judge(await link.request({ method: 'GET', path }, controller.quietWait)).to.be.allowed();
  });
}

/** One request, judged. */
function asks({ check }: HandTools, id: string, path: string, spec: CheckSpec): Draft {
  return check(id, spec, async ({ controller, expect: judge }) => {
    judge(await controller.request(await controller.open(), { method: 'GET', path })).to.be.allowed();
  });
}

describe('target: waiting for an answer that is due', () => {
  it('takes its whole time once and is confirmed; the same requirement is not given as much again', async () => {
    const { silences, word } = await ran((tools) => [
      ...['A-01/one', 'A-01/other', 'B-01/one', 'B-01/other'].map((id) => asks(tools, id, '/never', due)),
    ]);
    expect(silences).to.deep.equal([answer, quiet, 500, quiet, 500]);
    for (const id of ['A-01/one', 'A-01/other', 'B-01/one', 'B-01/other'])
      expect(word(id), id).to.equal('fail must');
  });

  for (const late of [400, 1_400, 3_000])
    it(`goes by what the accessory takes: one of ${late} ms is an answer everywhere`, async () => {
      const { word } = await ran((tools) => [
        asks(tools, 'C-01', `/in/${late}`, due),
        asks(tools, 'A-01/one', '/never', due),
        asks(tools, 'A-01/other', `/in/${late}`, due),
        asks(tools, 'B-01', `/in/${late}`, due),
      ]);
      expect(['C-01', 'A-01/one', 'A-01/other', 'B-01'].map(word)).to.deep.equal([
        'pass',
        'fail must',
        'pass',
        'pass',
      ]);
    });

  it('does not shorten that of an accessory that has answered everything, 3 s late where it was quick before', async () => {
    const { word } = await ran((tools) => [
      asks(tools, 'A-01/one', '/in/1', due),
      asks(tools, 'A-01/other', '/in/3000', due),
    ]);
    expect(word('A-01/other')).to.equal('pass');
  });

  it('that a property does not get costs its time once, and fails it all the same', async () => {
    const { silences, elapsed, word } = await ran(() => [
      property(
        'A-01/any-value',
        'A-01',
        { ...due, each: {} },
        () => fc.array(fc.nat(9), { minLength: 3, maxLength: 9 }),
        async ({ controller, expect: judge }, value) => {
          const path = `/never/${value.join('')}`;
          judge(await controller.request(await controller.open(), { method: 'GET', path })).to.be.allowed();
        },
      ),
    ]);
    expect(word('A-01/any-value')).to.equal('fail must');
    expect(silences[0]).to.equal(answer);
    expect(Math.max(...silences.slice(1)), 'the longest later one').to.equal(500);
    expect(elapsed).to.be.below(answer + 6_000);
  });

  it('is shorter where it is a known deviation, and 3 s late ends that', async () => {
    const known: Expectations = {
      about: '',
      path: 'expectations',
      entries: [{ id: 'A-01/*', status: 'fail', reason: 'never answered' }],
    };
    const { silences, word } = await ran((tools) => [asks(tools, 'A-01/one', '/never', due)], known);
    expect(silences).to.deep.equal([3 * quiet]);
    expect(word('A-01/one')).to.equal('skip expected');
    const late = await ran((tools) => [asks(tools, 'A-01/one', '/in/3000', due)], known);
    expect(late.word('A-01/one')).to.equal('pass');
    expect(late.report.results.some(({ reason }) => reason === 'stale-expectation')).to.equal(true);
  });
});

describe('target: waiting where nothing has to come', () => {
  it('takes its whole time once in each area', async () => {
    const { silences, report } = await ran((tools) =>
      ['A-01', 'A-02', 'A-03', 'B-01', 'B-02'].map((id) => needNot(tools, id, '/never')),
    );
    expect(silences).to.deep.equal([quiet, 400, 400, quiet, 400]);
    expect(report.results.map(({ status }) => status)).to.deep.equal(Array(5).fill('pass'));
  });

  it('is twice the slowest answer, and never longer than the whole time', async () => {
    for (const [slowest, wait] of [
      [250, 500],
      [3_000, quiet],
    ] as const) {
      const { silences } = await ran((tools) => [
        asks(tools, 'A-01', `/in/${slowest}`, due),
        ...['A-02', 'A-03'].map((id) => needNot(tools, id, '/never')),
      ]);
      expect(silences, `slowest ${slowest}`).to.deep.equal([quiet, wait]);
    }
  });

  it('takes the whole time where an answer would be better', async () => {
    const { silences, word } = await ran((tools) => [
      needNot(tools, 'A-01', '/never'),
      asks(tools, 'A-02', '/in/1400', { ...due, tolerate: [silence()] }),
    ]);
    expect(silences).to.deep.equal([quiet]);
    expect(word('A-02')).to.equal('pass');
  });

  it('finds what comes when the shorter time is over, and looks once more', async () => {
    const { silences, word } = await ran((tools) => [
      needNot(tools, 'A-01', '/never'),
      tools.check('A-02', nothing, async ({ controller, bench, expect: judge }) => {
        const link = await controller.open();
        judge(await link.request({ method: 'GET', path: '/in/1200' }, controller.quietWait)).to.be.allowed();
        await bench.clock.sleep(1_000);
      }),
    ]);
    expect(silences).to.deep.equal([quiet, 400]);
    expect(word('A-02')).to.equal('fail forbidden');
  });
});

describe('target: waiting for an event that must not come', () => {
  it('takes twice what the slowest took, and the whole time while none has come', () => {
    for (const [took, wait] of [
      [undefined, quiet],
      [20, 500],
      [400, 800],
      [3_000, quiet],
    ] as const) {
      let now = 0;
      const pace = new Pace(defaultPatience, { ...deviceClock(), now: () => now });
      pace.asked();
      now += took ?? 0;
      if (took !== undefined) pace.told();
      expect(pace.eventWait, `events of ${took} ms`).to.equal(wait);
    }
  });
});
