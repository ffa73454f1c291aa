import { expect } from 'chai';
import { concat, text, utf8 } from '../../harness/protocol/index.js';
import {
  type Connection,
  TcpDialer,
  type TcpListener,
  Unreachable,
  type WireEvent,
  listenTcp,
  realClock,
} from '../../harness/wire/index.js';

const soon = (milliseconds = 2_000) => realClock.now() + milliseconds;

function shown(event: WireEvent): string {
  return event.kind === 'data' ? `data ${text(event.bytes)}` : event.kind;
}

async function failureOf(attempt: Promise<unknown>): Promise<unknown> {
  return attempt.then(
    () => undefined,
    (error: unknown) => error,
  );
}

describe('TCP', () => {
  let listener: TcpListener;
  let accepted: Promise<Connection>;
  let near: Connection;

  beforeEach(async () => {
    let accept: (connection: Connection) => void = () => undefined;
    accepted = new Promise((resolve) => (accept = resolve));
    listener = await listenTcp('127.0.0.1', 0, accept);
    near = await new TcpDialer('127.0.0.1', listener.port).connect(soon());
  });
  afterEach(async () => {
    near.close();
    await listener.close();
  });

  it('carries bytes both ways', async () => {
    const far = await accepted;
    near.write(utf8('ping'));
    expect(shown(await far.next(soon()))).to.equal('data ping');
    far.write(utf8('pong'));
    expect(shown(await near.next(soon()))).to.equal('data pong');
  });

  it('tells FIN from RST', async () => {
    (await accepted).close();
    expect(shown(await near.next(soon()))).to.equal('close');
    const other = await new TcpDialer('127.0.0.1', listener.port).connect(soon());
    expect(shown(await near.next(soon()))).to.equal('close');
    other.close();
  });

  it('tells RST from FIN', async () => {
    (await accepted).reset();
    expect(shown(await near.next(soon()))).to.equal('reset');
    expect(shown(await near.next(soon()))).to.equal('reset');
  });

  it('tells what the peer sees when we end', async () => {
    const far = await accepted;
    near.reset();
    expect(shown(await far.next(soon()))).to.equal('reset');
  });

  it('delivers what came before a FIN', async () => {
    const far = await accepted;
    far.write(utf8('last words'));
    far.close();
    expect(shown(await near.next(soon()))).to.equal('data last words');
    expect(shown(await near.next(soon()))).to.equal('close');
  });

  it('keeps the other direction open after FIN', async () => {
    const far = await accepted;
    near.finish();
    expect(shown(await far.next(soon()))).to.equal('close');
    far.write(utf8('still here'));
    expect(shown(await near.next(soon()))).to.equal('data still here');
  });

  it('survives writing to a peer that has gone', async () => {
    const far = await accepted;
    far.reset();
    expect(shown(await near.next(soon()))).to.equal('reset');
    near.write(utf8('anyone?'));
    near.finish();
    near.close();
    near.reset();
    expect(shown(await near.next(soon()))).to.equal('reset');
  });

  it('reports silence at the deadline, not before, and stays usable', async () => {
    const far = await accepted;
    const started = realClock.now();
    expect(shown(await near.next(started + 60))).to.equal('silence');
    expect(realClock.now() - started).to.be.at.least(55);
    far.write(utf8('late'));
    expect(shown(await near.next(soon()))).to.equal('data late');
  });

  it('sends two writes with a pause between them as two segments', async () => {
    const far = await accepted;
    const segments: string[] = [];
    near.write(utf8('first'));
    await realClock.sleep(60);
    segments.push(shown(await far.next(soon())));
    near.write(utf8('second'));
    segments.push(shown(await far.next(soon())));
    expect(segments).to.deep.equal(['data first', 'data second']);
  });

  it('does not hold a small write back', async () => {
    const far = await accepted;
    near.write(utf8('a'));
    expect(shown(await far.next(soon()))).to.equal('data a');
    // With Nagle's algorithm the second small write would wait for the acknowledgement of the first.
    near.write(utf8('b'));
    expect(shown(await far.next(soon(200)))).to.equal('data b');
  });

  it('stops reading from a socket nobody reads, and goes on when someone does', async () => {
    const far = await accepted;
    const sent = new Uint8Array(3 * 1024 * 1024).map((_, i) => i % 251);
    far.write(sent);
    await realClock.sleep(100);
    const first = await near.next(soon());
    if (first.kind !== 'data') throw new Error(`unexpected ${first.kind}`);
    expect(first.bytes.length).to.be.below(sent.length / 2);
    const parts = [first.bytes];
    for (let size = first.bytes.length; size < sent.length;) {
      const event = await near.next(soon());
      if (event.kind !== 'data') throw new Error(`unexpected ${event.kind} after ${size} bytes`);
      parts.push(event.bytes);
      size += event.bytes.length;
    }
    expect(Buffer.compare(concat(...parts), sent)).to.equal(0);
  });
});

describe('TCP, nobody there', () => {
  it('says so when nothing listens', async () => {
    const listener = await listenTcp('127.0.0.1', 0, () => undefined);
    await listener.close();
    const error = await failureOf(new TcpDialer('127.0.0.1', listener.port).connect(soon()));
    expect(error).to.be.instanceOf(Unreachable).with.property('code', 'refused');
  });

  it('says so when the deadline comes first', async () => {
    const listener = await listenTcp('127.0.0.1', 0, () => undefined);
    const attempt = failureOf(new TcpDialer('127.0.0.1', listener.port).connect(realClock.now() + 1));
    // Timers come before sockets in the event loop: after this the deadline has passed before the answer is seen.
    const busyUntil = realClock.now() + 10;
    while (realClock.now() < busyUntil);
    expect(await attempt)
      .to.be.instanceOf(Unreachable)
      .with.property('code', 'timeout');
    await listener.close();
  });

  it('passes on why an address cannot be had', async () => {
    const listener = await listenTcp('127.0.0.1', 0, () => undefined);
    const error = await failureOf(listenTcp('127.0.0.1', listener.port, () => undefined));
    expect(error).to.have.property('code', 'EADDRINUSE');
    await listener.close();
  });
});
