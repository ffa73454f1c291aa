import { expect } from 'chai';
import fc from 'fast-check';
import { concat, hex, text, utf8 } from '../../harness/protocol/index.js';
import {
  type Connection,
  MemoryNetworkHost,
  Unreachable,
  VirtualClock,
  type WireEvent,
} from '../../harness/wire/index.js';

async function connected(
  latency?: () => number,
): Promise<{ near: Connection; far: Connection; clock: VirtualClock }> {
  const clock = new VirtualClock();
  let far: Connection | undefined;
  const host = new MemoryNetworkHost(clock, (end) => (far = end), latency && { latency });
  const near = await host.connect();
  return { near, far: far!, clock };
}

function shown(event: WireEvent): string {
  return event.kind === 'data' ? `data ${text(event.bytes)}` : event.kind;
}

describe('in-memory network', () => {
  it('carries bytes both ways, as a copy', async () => {
    const { near, far } = await connected();
    const sent = utf8('ping');
    near.write(sent);
    sent.fill(0);
    expect(shown(await far.next(10))).to.equal('data ping');
    far.write(utf8('pong'));
    expect(shown(await near.next(10))).to.equal('data pong');
  });

  it('reports silence at the deadline and stays usable', async () => {
    const { near, far, clock } = await connected();
    expect(shown(await near.next(500))).to.equal('silence');
    expect(clock.now()).to.equal(500);
    // A deadline that has passed asks only for what is there.
    expect(shown(await near.next(100))).to.equal('silence');
    far.write(utf8('late'));
    expect(shown(await near.next(600))).to.equal('data late');
    expect(clock.now()).to.equal(500);
  });

  it('ends 30 s of silence in no time', async () => {
    const { near, clock } = await connected();
    const started = performance.now();
    expect(shown(await near.next(30_000))).to.equal('silence');
    expect(clock.now()).to.equal(30_000);
    expect(performance.now() - started, 'real milliseconds').to.be.below(clock.now());
  });

  it('delivers what was sent before a close, then the close, again and again', async () => {
    const { near, far } = await connected();
    far.write(utf8('last words'));
    far.close();
    expect(shown(await near.next(10))).to.equal('data last words');
    expect(shown(await near.next(10))).to.equal('close');
    expect(shown(await near.next(Infinity))).to.equal('close');
  });

  it('tells a reset from a close', async () => {
    const { near, far } = await connected();
    far.reset();
    expect(shown(await near.next(10))).to.equal('reset');
    expect(shown(await near.next(10))).to.equal('reset');
  });

  it('answers bytes for a closed end with a reset', async () => {
    const { near, far } = await connected();
    far.close();
    expect(shown(await near.next(10))).to.equal('close');
    near.write(utf8('anyone?'));
    await near.clock.sleep(1);
    expect(shown(await near.next(10))).to.equal('reset');
  });

  it('keeps the other direction open after FIN', async () => {
    const { near, far } = await connected();
    near.finish();
    expect(shown(await far.next(10))).to.equal('close');
    far.write(utf8('still here'));
    expect(shown(await near.next(10))).to.equal('data still here');
  });

  it('ignores what is written after our own end', async () => {
    for (const how of ['close', 'reset'] as const) {
      const { near, far } = await connected();
      near[how]();
      near.write(utf8('too late'));
      near.close();
      near.reset();
      expect(shown(await far.next(10))).to.equal(how);
      expect(shown(await far.next(10))).to.equal(how);
    }
  });

  it('puts bytes back in front', async () => {
    const { near, far } = await connected();
    far.write(utf8('head body'));
    const event = await near.next(10);
    if (event.kind !== 'data') throw new Error(`unexpected ${event.kind}`);
    far.write(utf8(' tail'));
    near.unread(event.bytes.subarray(5));
    await near.clock.sleep(1);
    expect(shown(await near.next(10))).to.equal('data body tail');
  });

  it('refuses a second reader while one waits', async () => {
    const { near, far } = await connected();
    const first = near.next(1_000);
    let refused: unknown;
    await near.next(1_000).catch((error: unknown) => (refused = error));
    expect(refused).to.be.an('error').with.property('message').that.contains('second reader');
    far.write(utf8('x'));
    expect(shown(await first)).to.equal('data x');
  });

  it('refuses connections while the accessory is down', async () => {
    const host = new MemoryNetworkHost(new VirtualClock(), undefined);
    const error: unknown = await host.connect().catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(Unreachable).with.property('code', 'refused');
    host.accept = () => undefined;
    expect(shown(await (await host.connect()).next(5))).to.equal('silence');
  });

  it('delays by the latency', async () => {
    const { near, far, clock } = await connected(() => 40);
    near.write(utf8('a'));
    expect(shown(await far.next(39))).to.equal('silence');
    expect(shown(await far.next(100))).to.equal('data a');
    expect(clock.now()).to.equal(40);
  });

  it('keeps the order whatever the latencies and the times of writing are', async () => {
    // Few values, so that arrivals and writes often fall on one moment.
    const write = fc.record({ pause: fc.nat(3), latency: fc.nat(3) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(write, { minLength: 1, maxLength: 12 }),
        fc.boolean(),
        async (plan, closes) => {
          let latency = 0;
          const { near, far, clock } = await connected(() => latency);
          let time = 0;
          // Registered before anything is in flight, so that a write and an arrival can fall on one moment.
          plan.forEach((step, index) => {
            time += step.pause;
            clock.at(time, () => {
              latency = step.latency;
              near.write(Uint8Array.of(index));
              if (closes && index === plan.length - 1) near.close();
            });
          });
          const received: Uint8Array[] = [];
          let last: WireEvent = await far.next(10_000);
          for (; last.kind === 'data'; last = await far.next(10_000)) received.push(last.bytes);
          expect(hex(concat(...received))).to.equal(hex(Uint8Array.from(plan.keys())));
          expect(last.kind).to.equal(closes ? 'close' : 'silence');
        },
      ),
    );
  });
});
