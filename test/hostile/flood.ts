/**
 * `node flood.js MEGABYTES`: requests to peers that answer without end, until so much has been received; prints how
 * much was, and by how many megabytes the process has grown since the first tenth.
 */
import { seededRandom } from '../../harness/protocol/index.js';
import { Bench } from '../../harness/target/index.js';
import { TcpDialer } from '../../harness/wire/index.js';
import { utf8 } from '../../harness/protocol/index.js';
import { listen } from '../cli/process.js';
import { endless } from './peers.js';

const MB = 1024 * 1024;
const wanted = Number(process.argv[2]) * MB;
const beginnings = ['HTTP/1.1 200 OK\r\n\r\n', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'];
const again = [new Uint8Array(16_384).fill(0x61), utf8(`4000\r\n${'a'.repeat(16_384)}\r\n`)];
let served = 0;
const peer = await listen((socket) => {
  const which = served++ % 2;
  endless(utf8(beginnings[which]!), again[which]!)(socket);
});
const patience = { answer: 2_000, silence: 500, close: 500 };
const random = seededRandom('flood');
const bench = new Bench({
  dialer: new TcpDialer('127.0.0.1', peer.port),
  code: undefined,
  random,
  patience,
});
let received = 0;
let before = 0;
while (received < wanted) {
  const mark = bench.trace.mark();
  const link = await bench.open();
  await link.request({ method: 'GET', path: '/accessories' }, patience.answer);
  link.reset();
  await bench.closeLinks();
  for (const event of bench.trace.since(mark)) if (event.kind === 'received') received += event.bytes.length;
  if (before === 0 && received > wanted / 10) before = process.memoryUsage().rss;
}
const growth = Math.round((process.memoryUsage().rss - before) / MB);
console.log(JSON.stringify({ received: Math.round(received / MB), growth }));
await peer.close();
process.exit(0);
