import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';

const bin = fileURLToPath(new URL('../../../bin/hapspec.js', import.meta.url));

/** Multicast stays in a network of its own, which is made here: loopback is all it has. */
const NETWORK = 'ip link set lo up && ip link set lo multicast on && ip route add 224.0.0.0/4 dev lo';

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A shell script in a network namespace; `hapspec` is a function in it, `advertise` starts an accessory behind it. */
function inNamespace(script: string, env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const prelude = [
    `${NETWORK} || exit 99`,
    `hapspec() { "${process.execPath}" "${bin}" "$@"; }`,
    'advertise() { "' +
      process.execPath +
      '" "' +
      bin +
      '" accessory --port 0 --advertise "$@" >"$STATE/$$.out" & started="$started $!"; }',
    "trap 'kill $started 2>/dev/null; wait' EXIT",
  ];
  return new Promise((resolve) => {
    execFile(
      'unshare',
      ['-n', 'sh', '-c', [...prelude, script].join('\n')],
      {
        env: { PATH: process.env['PATH'], HAPSPEC_STATE: join(folder, 'state'), STATE: folder, ...env },
        timeout: 100_000,
      },
      (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr }),
    );
  });
}

let folder: string;

describe('cli: discovery, in a network namespace', function () {
  this.timeout(120_000);

  before(async function () {
    folder = mkdtempSync(join(tmpdir(), 'hapspec-discover-'));
    const { code } = await inNamespace('exit 0');
    if (code === 0) return;
    if (process.env['CI'] === 'true')
      throw new Error('no network namespace can be made: it takes root and iproute2');
    this.test!.parent!.title += ' (skipped: none can be made, it takes root and iproute2)';
    this.skip();
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('says so when nothing is announced', async () => {
    const { code, stdout, stderr } = await inNamespace('hapspec discover --timeout 300');
    expect([code, stdout, stderr]).to.deep.equal([3, '', 'hapspec: nothing is announced on lo\n']);
  });

  it('shows what is announced, as a table and as JSON', async () => {
    const { code, stdout } = await inNamespace(
      "advertise --name 'Lamp One' --seed 1; sleep 2; hapspec discover --timeout 1500; hapspec discover --timeout 1500 --json; hapspec discover --kind airplay --timeout 300; exit $?",
    );
    expect(code).to.equal(3);
    const [head, row, ...rest] = stdout.trimEnd().split('\n');
    expect(head).to.match(/^NAME +KIND +ADDRESS +ID +STATUS +CATEGORY +FEATURES$/);
    expect(row).to.match(
      /^Lamp One +hap +127\.0\.0\.1:\d+ +([0-9A-F]{2}:){5}[0-9A-F]{2} +not paired +lightbulb +software authentication$/,
    );
    const [service, ...others] = JSON.parse(rest.join('\n')) as Record<string, unknown>[];
    expect(others).to.deep.equal([]);
    expect(service).to.include({ name: 'Lamp One', kind: 'hap', host: 'lamp-one.local', paired: false });
  });

  it('finds the port of a host, and passes every check of what is announced', async () => {
    const { code, stdout, stderr } = await inNamespace(
      "advertise; sleep 2; hapspec run 127.0.0.1 --code 031-45-154 --only 'MDNS-*' --only PS-M6-02/announced --skip '*/restarted' --skip MDNS-08 --skip MDNS-14 --skip MDNS-10/two-minutes --strict",
    );
    expect(stdout + stderr).to.include('33 passed, 0 warnings, 0 failed, 0 skipped, 0 errors');
    expect(code).to.equal(0);
  });

  it('tells of a second device with the same id when a run begins, and judges neither by the other', async () => {
    const { stdout, stderr } = await inNamespace(
      [
        'advertise --name One --seed 1 --port 51998',
        'advertise --name Two --seed 1 --port 51997',
        'sleep 2',
        'hapspec run 127.0.0.1:51998 --code 031-45-154 --only MDNS-01 --only MDNS-09',
      ].join('\n'),
    );
    expect(stderr).to.match(
      /two devices have the id [0-9A-F:]{17}, "(One|Two)" and "(One|Two)": one of them/,
    );
    expect(stdout).to.match(/^identity: .*conflict two devices have the id/m);
    expect(stdout).to.include(' 0 failed, ');
  });

  it('takes an instance name with blanks and dots, a device id, and a .local name with a port', async () => {
    const { stdout } = await inNamespace(
      [
        "advertise --name 'Kitchen Lamp 2.0' --seed 1 --port 51999",
        'sleep 2',
        'id=$(hapspec discover --timeout 1500 --json | sed -n \'s/^    "id": "\\(.*\\)",$/\\1/p\')',
        'for target in "Kitchen Lamp 2.0" "$id" Kitchen-Lamp-2-0.local:51999; do',
        '  hapspec run "$target" --code 031-45-154 --only PS-M1-01 2>&1 | grep -c "^1 passed"',
        'done',
        'hapspec run "airplay://$id" 2>&1',
      ].join('\n'),
    );
    expect(stdout).to.match(
      /^1\n1\n1\nhapspec: target "airplay:.*": no AirPlay receiver is announced there, only:\n/,
    );
  });

  it('hears what is answered to this machine alone, and asks for it by the top bit of the class', async () => {
    const child = fileURLToPath(new URL('unicast-child.js', import.meta.url));
    const { stdout } = await inNamespace(`"${process.execPath}" "${child}"`);
    const { asked, ...found } = JSON.parse(stdout) as Record<string, Record<string, number>>;
    expect(found).to.deep.equal({ alone: 'Lamp 2.0', phone: 'Lamp 2.0' });
    // The third question asks for others by unicast, and for accessories by multicast.
    expect(asked!['plain']).to.be.at.least(1);
    expect(asked!['unicast']).to.be.at.least(2);
  });

  it('shows a status that never changes for what it is', async () => {
    const { code, stdout } = await inNamespace(
      'advertise --fault status-stays-free; sleep 2; hapspec run 127.0.0.1 --code 031-45-154 --only MDNS-03/paired',
    );
    expect(stdout).to.match(
      /MDNS-03\/paired .*: told within 10 s of M6, without a question, that it is paired/,
    );
    expect(code).to.equal(1);
  });

  it('wants a port where several or none are announced, and lists them', async () => {
    const { stdout } = await inNamespace(
      'advertise --name One; advertise --name Two; sleep 2; hapspec run 127.0.0.1 2>&1; echo $?; hapspec pairings nobody 2>&1; echo $?',
    );
    const place = String.raw`\n {2}127\.0\.0\.1:\d+ {2}hap {2}`;
    expect(stdout).to.match(
      new RegExp(
        `^hapspec: target "127.0.0.1": 2 are announced by that name, name one with its port:${place}One${place}Two\n2\n` +
          `hapspec: target "nobody": the port is missing, and nothing is announced there; found:${place}One${place}Two\n2\n$`,
      ),
    );
  });
});
