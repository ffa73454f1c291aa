import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { addressKey, openState, parseAddress } from '../../harness/device/index.js';
import { bin } from './process.js';

const MULTICAST = 'ip link set lo multicast on && ip route add 224.0.0.0/4 dev lo';
const node = process.execPath;

describe('hapspec doctor, in a network namespace', function () {
  this.timeout(120_000);
  let folder: string;

  /** Shell in a network of its own, where `hapspec` is a function and `$port` that of an accessory. */
  function inNamespace(script: string): Promise<{ readonly code: number; readonly out: string }> {
    const prelude = [
      'ip link set lo up || exit 97',
      `hapspec() { "${node}" "${bin}" "$@"; }`,
      `serve() { "${node}" "${bin}" accessory --port 51826 --seed 1 "$@" >/dev/null & started=$!; while ! (echo >/dev/tcp/127.0.0.1/51826) 2>/dev/null; do sleep 0.1; done; }`,
      "trap 'kill $started 2>/dev/null' EXIT",
    ];
    return new Promise((resolve) => {
      execFile(
        'unshare',
        ['-n', 'bash', '-c', [...prelude, script].join('\n')],
        {
          env: { PATH: process.env['PATH'], HOME: folder, HAPSPEC_STATE: join(folder, 'state') },
          timeout: 100_000,
        },
        (error, stdout, stderr) =>
          resolve({ code: error === null ? 0 : Number(error.code ?? -1), out: stdout + stderr }),
      );
    });
  }

  before(async function () {
    folder = mkdtempSync(join(tmpdir(), 'hapspec-doctor-'));
    if ((await inNamespace('exit 0')).code === 0) return;
    if (process.env['CI'] === 'true')
      throw new Error('no network namespace can be made: it takes root and iproute2');
    this.test!.parent!.title += ' (skipped: none can be made, it takes root and iproute2)';
    this.skip();
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('finds a machine and an accessory that are ready, and leaves the accessory as it was', async () => {
    const { code, out } = await inNamespace(`${MULTICAST}; serve
      hapspec doctor 127.0.0.1:51826 && hapspec doctor 127.0.0.1:51826 --json`);
    expect(code, out).to.equal(0);
    for (const line of [
      /^✓ Node: v/m,
      /^✓ clock: 2/m,
      /^✓ keys: kept in /m,
      /^✓ mDNS on lo: .*: sent and heard$/m,
    ])
      expect(out).to.match(line);
    expect(out)
      .to.match(/^✓ TCP: 127\.0\.0\.1:51826 takes a connection/m)
      .and.match(/^✓ Pair Setup M1: M2 with a 384-byte PublicKey: it is unpaired and ready$/m)
      // The second time as well: nothing was left half-open.
      .and.match(/"what": "Pair Setup M1",\n\s+"status": "ok"/);
  });

  it('says what is missing, and how to mend it', async () => {
    const { code, out } = await inNamespace('hapspec doctor 127.0.0.1:51826 --state /dev/null/keys');
    expect(code).to.equal(1);
    expect(out)
      .to.match(/^✗ keys: \/dev\/null\/keys cannot be written: this user may not$/m)
      .and.match(/^! network: no interface but loopback has an IPv4 address$/m)
      .and.match(/^✗ TCP: 127\.0\.0\.1:51826: the connection was refused/m)
      .and.match(/^\d of \d do not work$/m);
    const taken = await inNamespace(`${MULTICAST}
      "${node}" -e 'require("dgram").createSocket("udp4").bind(5353, "0.0.0.0", () => console.log("bound")); setTimeout(() => {}, 20000)' > "$HOME/bound" & started=$!
      until grep -q bound "$HOME/bound"; do sleep 0.1; done
      hapspec doctor`);
    expect(taken.out).to.include('another program holds UDP port 5353 for itself');
    expect(taken.code).to.equal(1);
  });

  it('tells what listens there: an accessory that is paired, one that is busy, a web server, nothing that speaks', async () => {
    const { code, out } = await inNamespace(`serve
      hapspec pair 127.0.0.1:51826 --code 031-45-154 >/dev/null && hapspec doctor 127.0.0.1:51826 | grep -A1 M1
      kill $started; wait $started
      serve; exec 5<>/dev/tcp/127.0.0.1/51826
      printf 'POST /pair-setup HTTP/1.1\\r\\nHost: lamp\\r\\nContent-Type: application/pairing+tlv8\\r\\nContent-Length: 6\\r\\n\\r\\n\\x06\\x01\\x01\\x00\\x01\\x00' >&5
      head -c 20 <&5 >/dev/null; hapspec doctor 127.0.0.1:51826 | grep -A1 M1; exec 5>&-
      kill $started; wait $started
      "${node}" -e 'require("http").createServer((_, answer) => answer.end("<h1>router</h1>")).listen(51826)' & started=$!
      sleep 1; hapspec doctor 127.0.0.1:51826 | grep -A1 M1
      kill $started; wait $started
      "${node}" -e 'require("net").createServer(() => {}).listen(51826)' & started=$!
      sleep 1; hapspec doctor 127.0.0.1:51826 --timeout 500 | grep -A1 M1`);
    expect(code, out).to.equal(0);
    expect(out)
      .to.match(/^! Pair Setup M1: HTTP 200: State=2 Error=6\(Unavailable\).*\n +it is paired/m)
      .and.match(/^! Pair Setup M1: HTTP 200: State=2 Error=7\(Busy\).*\n +another controller is pairing/m)
      .and.match(/^✗ Pair Setup M1: HTTP 200: .*\n +that is no M2/m)
      .and.match(/^✗ Pair Setup M1: silence: no answer within (49|5\d)\d ms/m);
  });

  it('does not come between an accessory and a run that has it in hand', async () => {
    const state = openState(join(folder, 'state'), addressKey(parseAddress('127.0.0.1:51826')));
    state.lock();
    const { out } = await inNamespace('serve; hapspec doctor 127.0.0.1:51826');
    expect(out)
      .to.match(/^! Pair Setup M1: .*another.*\n +it is not asked: wait until that has ended$/m)
      .and.not.include('TCP');
    state.release();
    const after = await inNamespace('serve; hapspec doctor 127.0.0.1:51826');
    expect(after.out).to.include('it is unpaired and ready');
    mkdirSync(state.keysFile);
    const broken = await inNamespace('serve; hapspec doctor 127.0.0.1:51826');
    expect([broken.code, broken.out]).to.satisfy(
      ([code, out]: [number, string]) =>
        code === 1 && /^✗ keys: .*\.keys\.json/m.test(out) && out.includes('ready'),
    );
  });

  it('says that there is no such fault', async () => {
    const { code, out } = await inNamespace('hapspec doctor embedded:accepts-any-prof');
    expect(code).to.equal(1);
    expect(out).to.match(/^✗ target: .*none named "accepts-any-prof"/m);
  });

  it('says that a name is unknown', async () => {
    const { code, out } = await inNamespace('hapspec doctor lamp.invalid:51826');
    expect(code).to.equal(1);
    expect(out).to.match(/^✗ name: lamp\.invalid: nobody knows it$/m);
  });
});
