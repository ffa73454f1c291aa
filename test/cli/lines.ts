/**
 * `node lines.js`: reads command lines as JSON (a list of lists of words), runs each as `hapspec` does, one after the
 * other in this process, and prints how each ended. A process for each would cost half a second to start.
 */
import { text } from 'node:stream/consumers';
import { main } from '../../harness/cli/main.js';
import { memoiseArithmetic } from '../../harness/protocol/index.js';
import type { Ended } from './process.js';

const lines = JSON.parse(await text(process.stdin)) as readonly (readonly string[])[];
const print = process.stdout.write.bind(process.stdout);
// A command that is over ends its process after a while: not the others.
process.exit = (() => undefined) as unknown as typeof process.exit;

// What two runs of one seed compute is computed once.
memoiseArithmetic(true);
const all: Ended[] = [];
for (const words of lines) {
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    process[name].write = (chunk: string | Uint8Array): boolean => {
      said[name] += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString();
      return true;
    };
  process.exitCode = undefined;
  await main([process.execPath, 'hapspec', ...words]);
  all.push({ code: Number(process.exitCode), signal: null, ...said });
}
process.exitCode = 0;
print(JSON.stringify(all));
