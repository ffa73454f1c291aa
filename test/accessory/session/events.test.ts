import { expect } from 'chai';
import { Database } from '../../../harness/accessory/database.js';
import { type Behaviour, healthy } from '../../../harness/accessory/index.js';
import {
  type Bytes,
  type Identity,
  type Peer,
  counterNonce,
  open,
  text,
  utf8,
} from '../../../harness/protocol/index.js';
import type { HttpMessage } from '../../../harness/wire/index.js';
import { Bench, type Line } from '../driver.js';

/** iid of On, which can be subscribed to, and of a name, which cannot. */
const ON = 9;
const NAME = 5;

function writes(iid: number, wish: { value?: unknown; ev?: boolean }): Bytes {
  return utf8(JSON.stringify({ characteristics: [{ aid: 1, iid, ...wish }] }));
}

/** Statuses by iid of a response to a write; a 204 has none. */
function statuses({ status, body }: HttpMessage): unknown {
  return status === 204 ? 204 : JSON.parse(text(body));
}

interface Scene {
  readonly bench: Bench;
  readonly controller: Identity;
  readonly accessory: Peer;
  readonly listener: Line;
  readonly writer: Line;
  /** What came for the listener, by the writes of others. */
  readonly received: Bytes[];
  /** A write over the writer's connection; what the other connections get is kept. */
  write(value: boolean): number;
}

function scene(behaviour: Behaviour = healthy): Scene {
  const bench = new Bench({ behaviour });
  const { controller, accessory } = bench.pair();
  const listener = bench.verify(controller, accessory);
  const writer = bench.verify(controller, accessory);
  const received: Bytes[] = [];
  const receive = bench.accessory.receive.bind(bench.accessory);
  bench.accessory.receive = (connection, bytes, now) => {
    const reactions = receive(connection, bytes, now);
    for (const reaction of reactions)
      if (
        reaction.kind === 'send' &&
        reaction.connection === listener.number &&
        connection !== listener.number
      )
        received.push(reaction.bytes);
    return reactions;
  };
  const write = (value: boolean): number =>
    writer.request('PUT', '/characteristics', writes(ON, { value })).messages.length;
  return { bench, controller, accessory, listener, writer, received, write };
}

const subscribe = (line: Line, ev = true): HttpMessage =>
  line.http('PUT', '/characteristics', writes(ON, { ev }));

describe('accessory: events', () => {
  it('tells a subscribed session of a write in another one, sealed with the next counter', () => {
    const { listener, received, write } = scene();
    expect(subscribe(listener).status).to.equal(204);
    expect(write(true), 'responses to the writer').to.equal(1);
    expect(received).to.have.length(1);
    const [frame] = received as [Bytes];
    const { keys, decoder } = listener.secure!;
    const plaintext = open(
      keys.toController,
      counterNonce(decoder.counter),
      frame.subarray(2),
      frame.subarray(0, 2),
    );
    expect(text(plaintext!)).to.match(/^EVENT\/1\.0 200 OK\r\n/);
    expect(text(plaintext!)).to.match(/\{"characteristics":\[\{"aid":1,"iid":9,"value":true\}\]\}$/);
    listener.secure!.open(frame);
    expect(listener.http('GET', '/accessories').status, 'the response behind it').to.equal(200);
  });

  it('tells nobody of a write that changes nothing', () => {
    const { listener, received, write } = scene();
    subscribe(listener);
    write(false);
    expect(received).to.have.length(0);
  });

  it('tells neither the writer, nor who has not subscribed, nor who has taken it back', () => {
    const { listener, writer, received, write } = scene();
    write(true);
    expect(received, 'not subscribed').to.have.length(0);
    subscribe(writer);
    expect(write(false), 'messages to the writer').to.equal(1);
    subscribe(listener);
    subscribe(listener, false);
    write(true);
    expect(received, 'taken back').to.have.length(0);
  });

  it('forgets subscriptions with their connection', () => {
    const { bench, controller, accessory, listener, writer } = scene();
    subscribe(listener);
    listener.close();
    const again = bench.verify(controller, accessory);
    const { wire } = writer.request('PUT', '/characteristics', writes(ON, { value: true }));
    expect(wire.length, 'the response').to.be.greaterThan(0);
    // An event would have taken a counter, and this response would not open.
    expect(again.http('GET', '/accessories').status).to.equal(200);
  });

  it('answers -70406 where there is nothing to subscribe to, and tells with ev=1 who listens', () => {
    const { listener, writer } = scene();
    const refused = listener.http('PUT', '/characteristics', writes(NAME, { ev: true }));
    expect(refused.status).to.equal(207);
    expect(statuses(refused)).to.deep.equal({ characteristics: [{ aid: 1, iid: NAME, status: -70406 }] });
    subscribe(listener);
    const ev = (line: Line): unknown =>
      (
        JSON.parse(text(line.http('GET', '/characteristics?id=1.9&ev=1').body)) as {
          characteristics: { ev: unknown }[];
        }
      ).characteristics[0]!.ev;
    expect(ev(listener)).to.equal(true);
    expect(ev(writer)).to.equal(false);
  });

  it('changes nothing that a write does not name', () => {
    const database = new Database('1');
    const answer = database.write(writes(ON, { value: 1 }), new Map());
    expect(answer.changes).to.deep.equal([{ aid: 1, iid: ON, value: true }]);
    expect(answer.subscribed).to.deep.equal([]);
  });
});
