/**
 * `node lines.js`: reads command lines as JSON (an array of arrays of words), runs each in turn as `hapspec` does, in
 * this one process, and prints what each ended with as JSON. A process for each costs half a second to start.
 */
import { text } from 'node:stream/consumers';
import { main } from '../../harness/cli/main.js';
import type { Ended } from './process.js';

const lines = JSON.parse(await text(process.stdin)) as readonly (readonly string[])[];
const ended: Ended[] = [];
const streams = { stdout: process.stdout, stderr: process.stderr };
const own = streams.stdout.write.bind(streams.stdout);
// A command that is over must not end those behind it.
process.exit = (() => undefined) as unknown as typeof process.exit;
for (const words of lines) {
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    streams[name].write = (chunk: string | Uint8Array): boolean => {
      said[name] += String(chunk);
      return true;
    };
  process.exitCode = undefined;
  await main([process.execPath, 'hapspec', ...words]);
  ended.push({ code: Number(process.exitCode), signal: null, ...said });
}
streams.stdout.write = own;
process.exitCode = 0;
streams.stdout.write(JSON.stringify(ended));
