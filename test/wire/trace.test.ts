import { expect } from 'chai';
import { Trace } from '../../harness/wire/index.js';

function bytesHeld(trace: Trace): number {
  return trace.events.reduce((sum, event) => sum + ('bytes' in event ? event.bytes.length : 0), 0);
}

describe('trace', () => {
  it('records in order, with time and connection', () => {
    let time = 0;
    const trace = new Trace(() => (time += 10));
    trace.record(1, { kind: 'open' });
    const mark = trace.mark();
    trace.record(1, { kind: 'said', line: 'M1', sealed: false });
    trace.record(2, { kind: 'silence', waited: 500 });
    expect(trace.since(0)).to.have.length(3);
    expect(trace.since(mark)).to.deep.equal([
      { time: 20, connection: 1, kind: 'said', line: 'M1', sealed: false },
      { time: 30, connection: 2, kind: 'silence', waited: 500 },
    ]);
    expect(trace.since(trace.mark())).to.deep.equal([]);
  });

  it('lets the oldest bytes go first when it is full, and nothing else', () => {
    const trace = new Trace(() => 0, 1000);
    for (let i = 0; i < 50; i++) {
      trace.record(1, { kind: i % 2 === 0 ? 'sent' : 'received', bytes: new Uint8Array(100).fill(i) });
      trace.record(1, { kind: 'heard', line: `message ${i}`, sealed: true });
      expect(bytesHeld(trace)).to.be.at.most(1000);
    }
    const raw = trace.events.filter((event) => 'bytes' in event);
    expect(raw.map((event) => event.bytes.length)).to.deep.equal([
      ...new Array<number>(40).fill(0),
      ...new Array<number>(10).fill(100),
    ]);
    expect(raw.at(-1)?.bytes[0]).to.equal(49);
    expect(trace.events.filter(({ kind }) => kind === 'heard')).to.have.length(50);
    expect(trace.events.map(({ kind }) => kind).slice(0, 4)).to.deep.equal([
      'sent',
      'heard',
      'received',
      'heard',
    ]);
  });

  it('counts items and what frames held too, and lets them go', () => {
    const trace = new Trace(() => 0, 10_000);
    const items = [{ type: 0xa0, value: new Uint8Array(900) }];
    for (let i = 0; i < 30; i++) {
      trace.record(1, { kind: 'heard', line: `message ${i}`, sealed: false, items });
      trace.record(1, { kind: 'opened', line: `frame ${i}`, bytes: new Uint8Array(1000) });
    }
    expect(bytesHeld(trace)).to.be.at.most(10_000);
    expect(trace.events.filter((event) => 'items' in event)).to.have.length(5);
    expect(trace.events.map((event) => ('line' in event ? event.line : ''))).to.include('message 0');
  });

  it('forgets the oldest of too many events, and marks still say what came after', () => {
    const trace = new Trace(() => 0, 10_000, 1000);
    const early = trace.mark();
    for (let i = 0; i < 5000; i++) {
      trace.record(1, { kind: 'received', bytes: Uint8Array.of(i) });
      expect(trace.events.length).to.be.at.most(1000);
    }
    const mark = trace.mark();
    expect(mark).to.equal(5000);
    trace.record(2, { kind: 'note', line: 'x'.repeat(100_000) });
    const [note, ...others] = trace.since(mark);
    expect(others).to.deep.equal([]);
    expect(note).to.have.property('line').with.length.below(5000);
    expect(trace.since(early)).to.deep.equal(trace.events);
    trace.rewind(mark);
    expect(trace.since(mark)).to.deep.equal([]);
    expect(trace.mark()).to.equal(mark);
    expect(bytesHeld(trace)).to.equal(trace.events.length);
  });

  it('holds nothing of one event larger than itself', () => {
    const trace = new Trace(() => 0, 1000);
    trace.record(1, { kind: 'received', bytes: new Uint8Array(1001) });
    expect(bytesHeld(trace)).to.equal(0);
    trace.record(1, { kind: 'received', bytes: new Uint8Array(1000) });
    expect(bytesHeld(trace)).to.equal(1000);
  });
});
