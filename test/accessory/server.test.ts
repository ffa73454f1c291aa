import { expect } from 'chai';
import { Accessory, deliver, embed, startServer } from '../../harness/accessory/index.js';
import { encodeTlv, seededRandom, setupM1, text } from '../../harness/protocol/index.js';
import { type Connection, TcpDialer, VirtualClock, encodeRequest } from '../../harness/wire/index.js';
import { code } from './driver.js';

const m1 = encodeRequest({ method: 'POST', path: '/pair-setup', body: encodeTlv(setupM1()) });

function accessory(): Accessory {
  return new Accessory({ code, random: seededRandom('server') });
}

async function heard(connection: Connection): Promise<string> {
  const event = await connection.next(connection.clock.now() + 2000);
  return event.kind === 'data' ? text(event.bytes).split('\r\n')[0]! : event.kind;
}

describe('accessory: server', () => {
  it('answers in memory, and closes when the peer has sent FIN, behind the answer', async () => {
    const host = embed(accessory(), new VirtualClock());
    const connection = await host.connect();
    connection.write(m1);
    connection.finish();
    expect(await heard(connection)).to.equal('HTTP/1.1 200 OK');
    expect(await heard(connection)).to.equal('close');
  });

  it('carries out reactions that concern other connections', async () => {
    const core = accessory();
    const host = embed(core, new VirtualClock());
    const [first, second] = [await host.connect(), await host.connect()];
    first.write(m1);
    expect(await heard(first)).to.equal('HTTP/1.1 200 OK');
    deliver(core, core.factoryReset());
    expect([await heard(first), await heard(second)]).to.deep.equal(['close', 'close']);
  });

  it('keeps the order of a connection when reactions are delayed', async () => {
    const core = accessory();
    const clock = new VirtualClock();
    const connection = await embed(core, clock).connect();
    deliver(core, [
      { connection: 1, kind: 'send', bytes: Uint8Array.of(0x61), delay: 100 },
      { connection: 1, kind: 'send', bytes: Uint8Array.of(0x62) },
      { connection: 1, kind: 'reset' },
    ]);
    expect(await heard(connection)).to.match(/^ab?$/);
    expect(clock.now()).to.equal(100);
  });

  it('answers over TCP', async () => {
    const listener = await startServer({ accessory: accessory(), host: '127.0.0.1', port: 0 });
    try {
      const dialer = new TcpDialer('127.0.0.1', listener.port);
      const connection = await dialer.connect(dialer.clock.now() + 2000);
      connection.write(m1);
      expect(await heard(connection)).to.equal('HTTP/1.1 200 OK');
      connection.write(Uint8Array.of(0, 1, 2));
      expect(await heard(connection)).to.match(/^HTTP\/1\.1 400/);
      expect(await heard(connection)).to.equal('close');
      connection.close();
    } finally {
      await listener.close();
    }
  });
});
