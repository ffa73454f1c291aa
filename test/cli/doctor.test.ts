import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
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

  it('says what each Error means, of hanging up, and of an M2 that is none', async () => {
    // One answer for each connection: the Error of a TLV, or what stands for another answer.
    const script = `
      const answers = [3, 4, 5, 'close', 'short'];
      require('net').createServer((socket) => {
        const answer = answers.shift();
        socket.on('error', () => undefined).on('data', () => {
          if (answer === 'close') return socket.destroy();
          const body = Buffer.from([6, 1, 2, ...(answer === 'short' ? [3, 1, 5, 2, 1, 5] : [7, 1, answer])]);
          socket.write('HTTP/1.1 200 OK\\r\\nContent-Type: application/pairing+tlv8\\r\\nContent-Length: ' + body.length + '\\r\\n\\r\\n');
          socket.write(body);
        });
      }).listen(51826, () => console.log('listens'));`;
    const { code, out } = await inNamespace(`
      "${node}" -e "$(cat <<'END'${script}
END
)" > "$HOME/listens" & started=$!
      until grep -q listens "$HOME/listens"; do sleep 0.1; done
      for i in 1 2 3 4 5; do hapspec doctor 127.0.0.1:51826 | grep -A1 M1; echo "exit \${PIPESTATUS[0]}"; done`);
    expect(code, out).to.equal(0);
    const said = out.split(/^exit (\d)\n/m);
    for (const [i, [line, exit]] of (
      [
        [/^! .*Error=3\(Backoff\).*\n +it wants a pause/m, '0'],
        [/^✗ .*Error=4\(MaxPeers\).*\n +it has no place/m, '1'],
        [/^✗ .*Error=5\(MaxTries\).*\n +it is locked/m, '1'],
        [/^✗ Pair Setup M1: connection closed.*\n +it hangs up/m, '1'],
        [/^! Pair Setup M1: M2 with a 1-byte PublicKey and 1 bytes of Salt\n/m, '0'],
      ] as const
    ).entries()) {
      expect(said[2 * i]).to.match(line);
      expect(said[2 * i + 1]).to.equal(exit);
    }
  });

  it('asks nothing of an accessory that a run has, and knows a fault by its name', async () => {
    const { code, out } = await inNamespace(`
      "${node}" "${bin}" accessory --port 51826 --seed 1 --airplay >/dev/null & started=$!
      while ! (echo >/dev/tcp/127.0.0.1/51826) 2>/dev/null; do sleep 0.1; done
      hapspec doctor airplay://127.0.0.1:51826 | grep M1
      "${node}" "${bin}" run 127.0.0.1:51827 --wait 60s --only PS-M1-01 --code 031-45-154 >/dev/null 2>&1 & run=$!
      until ls "$HAPSPEC_STATE"/*.lock >/dev/null 2>&1; do sleep 0.1; done
      hapspec doctor 127.0.0.1:51827; kill $run; wait $run
      hapspec doctor embedded:no-such`);
    expect(code, out).to.equal(1);
    expect(out)
      .to.match(/^✓ Pair Setup M1: M2 with a 384-byte PublicKey: it is ready$/m)
      .and.match(/^! in use: .*51827.*\n +nothing is asked of it/m)
      .and.match(/^✗ target: .*"no-such"/m)
      .and.not.include('TCP');
  });

  it('takes a network without multicast for a warning where another one has it', async () => {
    // Kernels differ in what they refuse, and on which devices.
    const refuses = join(folder, 'refuses.cjs');
    writeFileSync(
      refuses,
      `const { addMembership } = require('dgram').Socket.prototype;
      require('dgram').Socket.prototype.addMembership = function (group, address) {
        if (address === '10.9.9.1') throw Object.assign(new Error('refused'), { code: 'ENODEV' });
        return addMembership.call(this, group, address);
      };`,
    );
    const { code, out } = await inNamespace(`${MULTICAST}
      ip link add name tunnel type veth && ip addr add 10.9.9.1/24 dev tunnel && ip link set veth0 up && ip link set tunnel up
      export NODE_OPTIONS='--require ${refuses}'
      hapspec doctor && ip link set lo multicast off && ip route del 224.0.0.0/4 && hapspec doctor`);
    expect(out)
      .to.match(/^✓ mDNS on lo/m)
      .and.match(/^! mDNS on tunnel: 224\.0\.0\.251 cannot be joined: ENODEV$/m)
      .and.match(/^✗ mDNS on tunnel/m);
    expect(code, out).to.equal(1);
  });

  it('says that a name is unknown', async () => {
    const { code, out } = await inNamespace('hapspec doctor lamp.invalid:51826');
    expect(code).to.equal(1);
    expect(out).to.match(/^✗ name: lamp\.invalid: nobody knows it$/m);
  });
});
