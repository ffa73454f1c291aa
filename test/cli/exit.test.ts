import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Accessory, startServer } from '../../harness/accessory/index.js';
import { hex, memoiseArithmetic, parseSetupCode, seededRandom } from '../../harness/protocol/index.js';
import { type RunReport, select } from '../../harness/runner/index.js';
import { suite } from '../../suites/index.js';
import { elements, parseStrictly } from '../report/xml.js';
import { newRun } from '../runner/bench.js';
import {
  type Ended,
  type TestPeer,
  deadPort,
  endChildren,
  hapspec,
  hapspecLines,
  listen,
  startHapspec,
} from './process.js';

const slow = process.env['HAPSPEC_SLOW'] === '1';
const CODE = '031-45-154';
const withCode = ['--code', CODE];
const quick = ['--only', 'PS-M1-01', '--timeout', '500'];

/** A stack trace, in any of the ways Node prints one. */
const stackTrace = /\n\s+at |^\s+at .+:\d+:\d+|Node\.js v\d/m;

function expectNoStackTrace({ stdout, stderr }: Ended): void {
  expect(stdout, 'stdout').to.not.match(stackTrace);
  expect(stderr, 'stderr').to.not.match(stackTrace);
}

function firstLine(text: string): string {
  return text.split('\n')[0]!;
}

let folder: string;

/** Ids of the test cases of a JUnit file; throws when it is not well-formed. */
function junitIds(file: string): string[] {
  const document = parseStrictly(readFileSync(file, 'utf8'));
  // The one that says for all of them that some did not run is no result.
  return elements(document, 'testcase')
    .map((testcase) => testcase.getAttribute('name')!.split(' ')[0]!)
    .filter((id) => id !== 'run/complete');
}

function planned(only: readonly string[]): string[] {
  return select(suite, { only }).map(({ id }) => id);
}

/** Input, exit code, first line on stderr. `{folder}` and `{port}` stand for what differs from run to run. */
type Row = readonly [input: readonly string[], code: number, stderr: string];

const forms =
  'expected HOST:PORT, [IPv6]:PORT, hap://HOST:PORT, airplay://HOST:PORT, what mDNS tells the port of (a host, an address, an instance name, a device id), or embedded[:FAULT]';

const usage: readonly Row[] = [
  [[], 2, 'Usage: hapspec [options] [command]'],
  [['--version'], 0, ''],
  [['run', '--help'], 0, ''],
  [['nope'], 2, "hapspec: unknown command 'nope'"],
  [['run', '--nope'], 2, "hapspec: unknown option '--nope'"],
  [['run', '--sed', '1'], 2, "hapspec: unknown option '--sed'"],
  [['run', '--only'], 2, "hapspec: option '--only <PATTERN>' argument missing"],
  [['run', 'embedded', 'again'], 2, "hapspec: too many arguments for 'run'. Expected 1 argument but got 2."],
  [['run', 'what:is:this'], 2, `hapspec: target "what:is:this": ${forms}`],
  [['run', ''], 2, `hapspec: target "": ${forms}`],
  [['run', 'http://127.0.0.1:80'], 2, `hapspec: target "http://127.0.0.1:80": ${forms}`],
  [['run', 'embeded:m1-unanswered'], 2, `hapspec: target "embeded:m1-unanswered": ${forms}`],
  // Loopback, where nothing is asked outside a network namespace.
  [
    ['run', '127.0.0.1'],
    2,
    'hapspec: target "127.0.0.1": the port is missing, and there is no network to ask for it',
  ],
  [['discover', '--kind', 'ble'], 2, 'hapspec: --kind: expected hap or airplay, got "ble"'],
  [['discover', '--timeout', 'x'], 2, 'hapspec: --timeout: expected a whole number, got "x"'],
  [['run', '127.0.0.1:0'], 2, 'hapspec: target "127.0.0.1:0": port 0 is outside 1 to 65535'],
  [['run', '127.0.0.1:65536'], 2, 'hapspec: target "127.0.0.1:65536": port 65536 is outside 1 to 65535'],
  [
    ['run', 'embedded:nope'],
    2,
    'hapspec: fault: there is none named "nope"; `hapspec accessory --list-faults` shows them',
  ],
  [
    ['run', 'embedded:'],
    2,
    'hapspec: target "embedded:": a fault name is missing; "hapspec accessory --list-faults" shows them',
  ],
  [
    ['run', '--code', '12345'],
    2,
    'hapspec: setup code: expected XXX-XX-XXX, XXXX-XXXX, 8 digits or an X-HM:// payload, got 5 characters of another form',
  ],
  [
    ['run', '--code', '031-45-15x'],
    2,
    'hapspec: setup code: expected XXX-XX-XXX, XXXX-XXXX, 8 digits or an X-HM:// payload, got 10 characters of another form',
  ],
  [
    ['run', '--code', 'X-HM://x'],
    2,
    'hapspec: setup payload: expected X-HM:// with 9 base-36 digits and, where the label has one, a setup id of 4 characters, got 8 characters',
  ],
  [
    ['run', '127.0.0.1:1', '--only', 'PS-M3-06'],
    2,
    'hapspec: setup code: 6 of 6 selected checks need it (PS-M3-06/0-bytes, …): give --code XXX-XX-XXX or set HAPSPEC_CODE, give --code-command CMD for one on a display, or narrow the selection with --only',
  ],
  [
    ['run', '--only', 'NOPE-1'],
    2,
    'hapspec: --only NOPE-1: no check has such an id; "hapspec list" shows them',
  ],
  [
    ['run', '--skip', 'NOPE-*'],
    2,
    'hapspec: --skip NOPE-*: no check has such an id; "hapspec list" shows them',
  ],
  [
    ['run', '--only', 'PS-M1-01', '--skip', 'PS-*'],
    2,
    'hapspec: nothing is selected: --only, --skip and --level together leave no check',
  ],
  [['run', '--level', 'may'], 2, 'hapspec: --level: expected must, should or varies, got "may"'],
  [['run', '--seed', 'x'], 2, 'hapspec: --seed: expected a whole number, got "x"'],
  [['run', '--seed', '-1'], 2, 'hapspec: --seed: expected a whole number, got "-1"'],
  [['run', '--seed', '1.5'], 2, 'hapspec: --seed: expected a whole number, got "1.5"'],
  [
    ['run', '--timeout', 'soon'],
    2,
    'hapspec: --timeout: expected milliseconds, or a duration such as 5s, got "soon"',
  ],
  [
    ['run', '--junit', '{folder}', '--only', 'PS-M1-01'],
    2,
    'hapspec: cannot write {folder}: that is a folder; name a file inside it',
  ],
  [
    ['run', '--json', '{folder}', '--only', 'PS-M1-01'],
    2,
    'hapspec: cannot write {folder}: that is a folder; name a file inside it',
  ],
  [['list', '--only', 'NOPE'], 2, 'hapspec: --only NOPE: no check has such an id; "hapspec list" shows them'],
  [['explain', 'nope'], 2, 'hapspec: explain nope: no requirement or fault has that name.'],
  [
    ['explain', 'PS-M3-4'],
    2,
    'hapspec: explain PS-M3-4: no requirement or fault has that name. Did you mean "PS-M3-04"?',
  ],
  [
    ['accessory', '--port', '{port}'],
    2,
    'hapspec: port {port} is in use: give another with --port, or --port 0 to let the system choose',
  ],
  [['accessory', '--port', 'x'], 2, 'hapspec: --port: expected a number from 0 to 65535, got "x"'],
  [
    ['accessory', '--fault', 'nope'],
    2,
    'hapspec: --fault nope: there is none of that name. "hapspec accessory --list-faults" shows them',
  ],
  [
    ['accessory', '--code', '123-45-678'],
    2,
    'hapspec: setup code: this one is forbidden because it is guessed first; take another',
  ],
];

describe('hapspec: usage and its exit codes', () => {
  let occupied: TestPeer;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hapspec-exit-'));
    occupied = await listen(() => undefined);
  });
  after(async () => {
    endChildren();
    await occupied.close();
    rmSync(folder, { recursive: true });
  });

  const shown = (words: readonly string[]): string =>
    words.map((word) => (/[ *]|^$/.test(word) ? `'${word}'` : word)).join(' ');
  const fill = (text: string): string =>
    text.replaceAll('{folder}', folder).replaceAll('{port}', String(occupied.port));
  const check = (ended: Ended, code: number, stderr: string): void => {
    expect(firstLine(ended.stderr)).to.equal(fill(stderr));
    expect(ended.code).to.equal(code);
    expectNoStackTrace(ended);
  };

  // All in one process; that a process ends so, too, is shown for one in eight and for all with HAPSPEC_SLOW=1.
  let all: Promise<readonly Ended[]> | undefined;
  for (const [i, [input, code, stderr]] of usage.entries()) {
    it(`hapspec ${shown(input)} → ${code}`, async () => {
      all ??= hapspecLines(usage.map(([words]) => words.map(fill)));
      check((await all)[i]!, code, stderr);
    });
    if (!slow && i % 8 !== 0) continue;
    it(`hapspec ${shown(input)} → ${code}, as a process of its own`, async () =>
      check(await hapspec(input.map(fill)), code, stderr));
  }

  it('a timeout out of range → 2, in words', async () => {
    const values = ['5', '0', '600001'];
    const all = await hapspecLines(values.map((value) => ['run', '--timeout', value]));
    for (const [i, value] of values.entries()) {
      const ended = all[i]!;
      expect(firstLine(ended.stderr)).to.equal(
        `hapspec: timeout: expected an integer from 100 to 600000, got ${value}`,
      );
      expect(ended.code).to.equal(2);
    }
  });

  it('a setup code from the environment is taken, a bad one refused', async () => {
    const bad = await hapspec(['run', '--only', 'PS-M1-01'], { HAPSPEC_CODE: 'x' });
    expect([bad.code, firstLine(bad.stderr)]).to.deep.equal([
      2,
      'hapspec: setup code: expected XXX-XX-XXX, XXXX-XXXX, 8 digits or an X-HM:// payload, got 1 characters of another form',
    ]);
    const good = await hapspec(['run', '--only', 'PS-M3-01'], { HAPSPEC_CODE: '11122333' });
    expect(good.code).to.equal(0);
  });
});

/** What a peer that is no accessory does with a connection, the exit code, the first line on stderr. */
type HostileRow = readonly [about: string, act: (socket: Socket) => void, code: number, stderr: string];

const html = '<!doctype html><title>Router</title><h1>Login</h1>';
const nobody = 'hapspec: nothing answered at {target}: it accepts connections and answers nothing';
const question = "Is this the accessory's HAP port?";

const hostile: readonly HostileRow[] = [
  [
    'closes at once',
    (socket) => socket.end(),
    3,
    `${nobody} (Pair Setup M1: connection closed without an answer; GET /accessories: connection closed without an answer). ${question}`,
  ],
  [
    'reads and never answers',
    (socket) => socket.resume(),
    3,
    `${nobody} (Pair Setup M1: silence: no answer within {ms} ms, connection open; GET /accessories: silence: no answer within {ms} ms, connection open). ${question}`,
  ],
  [
    'answers with a page',
    (socket) =>
      socket.on('data', () =>
        socket.write(
          `HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: ${html.length}\r\n\r\n${html}`,
        ),
      ),
    1,
    '',
  ],
  [
    'answers with headers without end',
    (socket) => {
      const more = (): void => {
        while (socket.writable && socket.write(`X-Filler: ${'x'.repeat(1000)}\r\n`));
      };
      socket.on('drain', more);
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\n');
        more();
      });
    },
    1,
    '',
  ],
  [
    'answers with a body without end',
    (socket) => {
      const more = (): void => {
        while (socket.writable && socket.write(`400\r\n${'x'.repeat(1024)}\r\n`));
      };
      socket.on('drain', more);
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
        more();
      });
    },
    1,
    '',
  ],
  ['is an SSH server', (socket) => socket.write('SSH-2.0-OpenSSH_9.6\r\n'), 1, ''],
  [
    'is a TLS server',
    // A fatal alert, unexpected_message, and the end.
    (socket) => socket.once('data', () => socket.end(Uint8Array.of(0x15, 3, 1, 0, 2, 2, 10))),
    1,
    '',
  ],
  [
    'speaks of markup and terminals',
    (socket) =>
      socket.on('data', () =>
        socket.write(
          'HTTP/1.1 200 OK\r\nContent-Type: <![CDATA[]]>&\u001b[31m\u0007\r\nContent-Length: 3\r\n\r\n]]>',
        ),
      ),
    1,
    '',
  ],
];

/** Environment of a process that runs this script before anything else. */
function preloaded(script: string): { readonly NODE_OPTIONS: string } {
  return { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(script)}` };
}

describe('hapspec: peers that are no accessory', () => {
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'hapspec-exit-'));
  });
  after(() => {
    endChildren();
    rmSync(folder, { recursive: true });
  });

  async function against(
    target: string,
    more: readonly string[] = quick,
  ): Promise<{ ended: Ended; report: RunReport }> {
    const [junit, json] = [join(folder, 'junit.xml'), join(folder, 'report.json')];
    const ended = await hapspec([
      'run',
      target,
      ...more,
      ...withCode,
      '--junit',
      junit,
      '--json',
      json,
      '--seed',
      '5',
    ]);
    expectNoStackTrace(ended);
    const only = more.filter((_, i) => more[i - 1] === '--only');
    expect(junitIds(junit).sort()).to.deep.equal(planned(only).sort());
    const text = readFileSync(junit, 'utf8') + readFileSync(json, 'utf8') + ended.stdout + ended.stderr;
    for (const form of [CODE, CODE.replaceAll('-', '')]) expect(text).to.not.include(form);
    // The terminal and the log are not for the accessory to write to.
    expect(ended.stdout).to.not.match(/\p{Cc}(?<!\n)/u);
    return { ended, report: JSON.parse(readFileSync(json, 'utf8')) as RunReport };
  }

  it('nothing listens → 3', async () => {
    const target = `127.0.0.1:${await deadPort()}`;
    const { ended, report } = await against(target, ['--only', 'PS-M1-*', '--timeout', '500']);
    expect(ended.code).to.equal(3);
    expect(firstLine(ended.stderr)).to.equal(
      `hapspec: nothing answered at ${target}: the connection was refused: nothing listens on that port`,
    );
    expect(report.exit.code).to.equal(3);
    for (const { status } of report.results) expect(status).to.equal('error');
  });

  for (const [about, act, code, stderr] of hostile)
    it(`one that ${about} → ${code}`, async () => {
      const peer = await listen(act);
      const target = `127.0.0.1:${peer.port}`;
      try {
        const { ended, report } = await against(target);
        expect(firstLine(ended.stderr).replace(/within \d{3} ms/g, 'within {ms} ms')).to.equal(
          stderr.replace('{target}', target),
        );
        expect(ended.code).to.equal(code);
        expect(report.exit.code).to.equal(code);
        expect(report.results.map(({ status }) => status)).to.deep.equal([code === 1 ? 'fail' : 'error']);
      } finally {
        await peer.close();
      }
    });

  for (const [about, failure] of [
    ['an uncaught error', "throw new Error('injected')"],
    ['an unhandled rejection', "void Promise.reject(new Error('injected'))"],
  ] as const)
    it(`${about} inside the harness during a run → 4, with reports`, async () => {
      const peer = await listen((socket) =>
        socket.on('data', () => socket.write('HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n')),
      );
      // Behind the first request, before any answer can be read: nobody's verdict is due.
      const script = `import { Socket } from 'node:net';
        const { write } = Socket.prototype;
        Socket.prototype.write = function (...args) {
          if (this.remotePort === ${peer.port}) {
            Socket.prototype.write = write;
            process.nextTick(() => { ${failure}; });
          }
          return write.apply(this, args);
        };`;
      const [junit, json] = [join(folder, 'junit.xml'), join(folder, 'report.json')];
      const only = ['--only', 'PS-M1-*'];
      try {
        const ended = await hapspec(
          [
            'run',
            `127.0.0.1:${peer.port}`,
            ...only,
            '--timeout',
            '2000',
            ...withCode,
            '--junit',
            junit,
            '--json',
            json,
          ],
          preloaded(script),
        );
        expect(ended.stderr).to.equal('hapspec: the harness failed: Error: injected\n');
        expect(ended.code).to.equal(4);
        expectNoStackTrace(ended);
        expect(junitIds(junit).sort()).to.deep.equal(planned(['PS-M1-*']).sort());
        const report = JSON.parse(readFileSync(json, 'utf8')) as RunReport;
        expect(report.exit.code).to.equal(4);
        for (const { status } of report.results) expect(status).to.equal('error');
      } finally {
        await peer.close();
      }
    });

  it('an uncaught error while the reference accessory is served → 4', async () => {
    const script = `const { write } = process.stdout;
      process.stdout.write = function (text, ...args) {
        if (String(text).includes('listening on')) setImmediate(() => { throw new Error('injected'); });
        return write.call(this, text, ...args);
      };`;
    const child = startHapspec(['accessory', '--port', '0'], preloaded(script));
    await child.said('listening on 127.0.0.1:');
    const ended = await child.ended;
    expect(firstLine(ended.stderr)).to.equal('hapspec: the harness failed: Error: injected');
    expect(ended.code).to.equal(4);
    expectNoStackTrace(ended);
  });

  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    it(`${signal} in the middle of a run → 5, reports valid, the accessory unpaired`, async () => {
      const accessory = new Accessory({ code: parseSetupCode(CODE), random: seededRandom('sigint') });
      const listener = await startServer({ accessory, host: '127.0.0.1', port: 0 });
      const [junit, json] = [join(folder, 'junit.xml'), join(folder, 'report.json')];
      try {
        const child = startHapspec([
          ...['run', `127.0.0.1:${listener.port}`, ...withCode],
          ...['--junit', junit, '--json', json, '--timeout', '3000'],
        ]);
        await child.said(' PS-M5-01 ');
        expect(accessory.pairings, 'pairings when the signal comes').to.have.length(1);
        child.process.kill(signal);
        const ended = await child.ended;
        expect(ended.code).to.equal(5);
        expect(ended.signal).to.equal(null);
        expectNoStackTrace(ended);
        expect(accessory.pairings, 'pairings afterwards').to.have.length(0);
        expect(junitIds(junit).sort()).to.deep.equal(suite.map(({ id }) => id).sort());
        const report = JSON.parse(readFileSync(json, 'utf8')) as RunReport;
        expect(report.exit.code).to.equal(5);
        const words = report.results
          .filter(({ leftOut }) => !leftOut)
          .map(({ status, reason }) => (status === 'pass' ? status : `${status} ${reason}`));
        expect(words.filter((word) => word === 'pass').length, 'passed before').to.be.greaterThan(2);
        expect(words.filter((word) => word === 'error not-run').length, 'not run').to.be.greaterThan(50);
        expect(new Set(words)).to.deep.equal(new Set(['pass', 'error not-run']));
      } finally {
        await listener.close();
      }
    });
});

/** Every long-term secret of a run with this seed: the run is repeated here, where one can look. */
async function secretsOf(target: string, seed: string, only: readonly string[]): Promise<string[]> {
  const run = newRun({ target, seed, selected: select(suite, { only }) });
  const { bench } = run.options;
  const keys = new Set<string>();
  const look = (): void => {
    for (const { ltsk } of [
      ...bench.keyring.sentIdentities,
      ...(bench.admin === undefined ? [] : [bench.admin]),
    ])
      keys.add(hex(ltsk));
  };
  await run.survey();
  for (const entry of run.plan) {
    await run.runEntry(entry);
    look();
  }
  await run.restore();
  look();
  return [...keys];
}

describe('hapspec: secrets', () => {
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'hapspec-exit-'));
    memoiseArithmetic(true);
  });
  after(() => {
    memoiseArithmetic(false);
    endChildren();
    rmSync(folder, { recursive: true });
  });

  it('setup code and long-term secret keys are in no artefact, neither of a green run nor of a red one', async () => {
    const only = ['PS-M3-04', 'PS-M5-*', 'PAIRINGS-01', 'PAIRINGS-12', 'PAIRINGS-16'];
    const targets = ['embedded', 'embedded:m5-open-failure-ignored'];
    const files = targets.map((_, i) => [join(folder, `${i}.xml`), join(folder, `${i}.json`)] as const);
    const runs = await hapspecLines(
      targets.map((target, i) => [
        ...['run', target, '--seed', '11', ...withCode, '--junit', files[i]![0], '--json', files[i]![1]],
        ...only.flatMap((pattern) => ['--only', pattern]),
      ]),
    );
    for (const [i, target] of targets.entries()) {
      const keys = await secretsOf(target, '11', only);
      expect(keys.length, `${target}: identities sent`).to.be.greaterThan(1);
      const [junit, json] = files[i]!;
      const ended = runs[i]!;
      expect(ended.code, target).to.equal(target === 'embedded' ? 0 : 1);
      const bytes = (text: string): string[] => [text, Buffer.from(text).toString('hex')];
      const secrets = [...bytes(CODE), ...bytes(CODE.replaceAll('-', '')), ...keys];
      for (const key of keys) secrets.push(Buffer.from(key, 'hex').toString('base64'));
      for (const [artefact, text] of Object.entries({
        stdout: ended.stdout,
        stderr: ended.stderr,
        junit: readFileSync(junit, 'utf8'),
        json: readFileSync(json, 'utf8'),
      })) {
        if (artefact !== 'stderr') expect(text, `${target} ${artefact}`).to.include('PS-M5-01');
        for (const secret of secrets)
          expect(text.toLowerCase().includes(secret.toLowerCase()), `${target} ${artefact}`).to.equal(false);
      }
    }
  });
});
