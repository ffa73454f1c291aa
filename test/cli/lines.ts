/**
 * `node lines.js`: takes orders as lines of JSON, runs each as `hapspec` does, one after the other in this process, and
 * answers each with a line of how it ended. A process for each would cost half a second to start and compute all anew.
 */
import { createInterface } from 'node:readline';
import { main } from '../../harness/cli/main.js';
import { computingWith, memoiseArithmetic, openssl } from '../../harness/protocol/index.js';
import type { Ended, Order } from './process.js';

const home = process.cwd();
const print = process.stdout.write.bind(process.stdout);
// A command that is over ends its process after a while: not the others.
process.exit = (() => undefined) as unknown as typeof process.exit;
// Each command listens for the end of the process; a warning about their number would be taken for the next one's words.
process.setMaxListeners(0);

// What two runs of one seed compute is computed once, and by the quicker of two that agree.
memoiseArithmetic(true);
for await (const order of createInterface({ input: process.stdin })) {
  const { words, env, folder = home } = JSON.parse(order) as Order;
  Object.assign(process.env, env);
  process.chdir(folder);
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    process[name].write = (chunk: string | Uint8Array): boolean => {
      said[name] += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString();
      return true;
    };
  process.exitCode = undefined;
  await computingWith(openssl, () => main([process.execPath, 'hapspec', ...words]));
  print(`${JSON.stringify({ code: Number(process.exitCode), signal: null, ...said } satisfies Ended)}\n`);
}
process.exitCode = 0;
