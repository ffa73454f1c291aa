/**
 * A short run that pairs, adds, removes and unpairs, and kills itself at one write to the accessory.
 * `node plain-flow.js TARGET STATE` with KILL_AT (number of the write) and KILL_WHEN (`before` or `after`); without
 * KILL_AT it prints `write N LINE` for each write.
 */
import { Socket } from 'node:net';
import { prepareRun } from '../../harness/conformance.js';
import { CODE } from './tools.js';

const [target = '', state = ''] = process.argv.slice(2);
const at = Number(process.env['KILL_AT'] ?? Infinity);
const when = process.env['KILL_WHEN'];

const { run, bench, begin, end } = prepareRun(target, {
  code: CODE,
  state,
  timeout: 2_000,
  seed: 5,
  only: ['PS-M5-01', 'PAIRINGS-12', 'PAIRINGS-16/add-on-a-fresh-connection', 'PAIRINGS-16/add-when-unpaired'],
});

function die(): never {
  process.kill(process.pid, 'SIGKILL');
  for (;;);
}

/** What the last request was, with the place in the flow it belongs to. */
function saying(): string {
  const said = bench!.trace.since(0).findLast(({ kind }) => kind === 'said');
  return said?.kind === 'said' ? `#${said.connection} ${said.sealed ? '[sealed] ' : ''}${said.line}` : '?';
}

const port = Number(target.split(':').at(-1));
const write = Socket.prototype.write as (this: Socket, ...args: unknown[]) => boolean;
let count = 0;
Socket.prototype.write = function (this: Socket, ...args: unknown[]): boolean {
  // Standard output is a socket, too.
  if (this.remotePort !== port) return write.apply(this, args);
  count++;
  if (at === Infinity) console.log(`write ${count} ${saying()}`);
  if (count === at && when === 'before') die();
  // Behind the system's word that it has the bytes, before anything else happens here.
  return count === at ? write.call(this, args[0], die) : write.apply(this, args);
};

console.log('begins');
const start = performance.now();
await begin();
for (const entry of run.plan) await run.runEntry(entry);
await end();
console.log(`ended ${run.report().exit.code} in ${Math.round(performance.now() - start)} ms`);
