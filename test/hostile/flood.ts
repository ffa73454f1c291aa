/**
 * `node flood.js MEGABYTES`: requests to peers that answer without end in each framing, until so much has been received;
 * `node flood.js replies`: the whole suite against an accessory each of whose pairing replies is a megabyte. Prints what was
 * received, and the most memory the process ever had.
 */
import type { Fault } from '../../harness/accessory/index.js';
import { Bench } from '../../harness/device/index.js';
import { type Bytes, join, sealFrame, seededRandom, utf8 } from '../../harness/protocol/index.js';
import { runTwin } from '../../harness/runner/index.js';
import { TcpDialer } from '../../harness/wire/index.js';
import { suite } from '../../suites/index.js';
import { listen } from '../cli/process.js';
import { type Peer, endless } from './peers.js';

const MB = 1024 * 1024;
const mostMemory = (): number => Math.round(process.resourceUsage().maxRSS / 1024);

/** Begun with the first bytes, then the same again and again. */
const framings: Readonly<Record<string, readonly [beginning: string, again: Bytes]>> = {
  'until close': ['HTTP/1.1 200 OK\r\n\r\n', new Uint8Array(16_384).fill(0x61)],
  'a length beyond all bounds': [
    'HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n',
    new Uint8Array(16_384),
  ],
  'a length that is allowed': ['HTTP/1.1 200 OK\r\nContent-Length: 2097152\r\n\r\n', new Uint8Array(16_384)],
  'large chunks': [
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
    utf8(`4000\r\n${'a'.repeat(16_384)}\r\n`),
  ],
  'chunks of one byte': [
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
    utf8('1\r\na\r\n'.repeat(2000)),
  ],
  headers: ['HTTP/1.1 200 OK\r\n', utf8('A: b\r\n'.repeat(500))],
  events: ['', utf8('EVENT/1.0 200 OK\r\nContent-Length: 1\r\n\r\na'.repeat(200))],
  'large events': ['', utf8(`EVENT/1.0 200 OK\r\nContent-Length: 1000000\r\n\r\n${'a'.repeat(1_000_000)}`)],
  'interim responses': ['', utf8('HTTP/1.1 100 Continue\r\n\r\n'.repeat(200))],
  'a trailer': ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n', utf8('A: b\r\n'.repeat(500))],
};

const keys = { toAccessory: new Uint8Array(32).fill(1), toController: new Uint8Array(32).fill(2) };

/** Frames of one byte that hold a response without end. */
const tinyFrames: Peer = (socket) =>
  socket.once('data', () => {
    let counter = 0n;
    const head = utf8('HTTP/1.1 200 OK\r\n\r\n');
    const pump = (): void => {
      if (socket.destroyed) return;
      const frames = Array.from({ length: 100 }, () => {
        const byte = head[Number(counter)] ?? 0x61;
        return sealFrame(keys.toController, counter++, Uint8Array.of(byte));
      });
      // The other end lives in this process, and wants its turn.
      if (socket.write(join(frames))) setImmediate(pump);
      else socket.once('drain', pump);
    };
    pump();
  });

async function floods(megabytes: number): Promise<void> {
  const patience = { answer: 2_000, silence: 500, close: 500 };
  const share = (megabytes * MB) / (Object.keys(framings).length + 1);
  const received: Record<string, number> = {};
  const flood = async (name: string, peer: Peer, secured: boolean): Promise<void> => {
    const listening = await listen(peer);
    const dialer = new TcpDialer('127.0.0.1', listening.port);
    const bench = new Bench({ dialer, code: undefined, random: seededRandom(name), patience });
    let size = 0;
    // What is refused at once, or slow to make, does not reach its share.
    for (let asked = 0; size < share && asked < 10; asked++) {
      const mark = bench.trace.mark();
      const link = await bench.open();
      if (secured) link.secureWith(keys);
      await link.request({ method: 'GET', path: '/accessories' }, patience.answer);
      link.reset();
      await bench.closeLinks();
      for (const event of bench.trace.since(mark)) if (event.kind === 'received') size += event.bytes.length;
      if (secured && asked === 1) break;
    }
    received[name] = Math.ceil((10 * size) / MB) / 10;
    await listening.close();
  };
  for (const [name, [beginning, again]] of Object.entries(framings))
    await flood(name, endless(utf8(beginning), again), false);
  await flood('frames of one byte', tinyFrames, true);
  console.log(JSON.stringify({ received, memory: mostMemory() }));
}

/** An item nobody knows, as padding. */
const PADDING = { type: 0xe0, value: new Uint8Array(MB) };

async function replies(): Promise<void> {
  const padded: Fault = {
    name: 'padded',
    breaks: [],
    story: '',
    // M4 of Pair Verify is judged by its items, and nearly everything stands on it.
    change: () => ({
      beforeSending: ({ items, step }) => (step === 'verify-m4' ? items : [...items, PADDING]),
    }),
  };
  const results = await runTwin(suite, suite, padded, { seed: 1 });
  const asked = results.filter(({ status }) => status !== 'skip').length;
  console.log(JSON.stringify({ received: { replies: asked }, memory: mostMemory() }));
}

await (process.argv[2] === 'replies' ? replies() : floods(Number(process.argv[2])));
process.exit(0);
