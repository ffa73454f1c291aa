import { memoiseArithmetic } from '../harness/protocol/index.js';
import { flows, repeatedFlows } from './flows.js';
import { frames, framesPerCall } from './frames.js';
import { handshakes } from './handshake.js';
import { compare, machine, rows, table } from './measure.js';
import { vectorLines } from './vectors.js';

import { waits } from './waits.js';

if (process.argv[2] === 'waits') await waits();
else await comparisons();

/** Our controller beside other implementations, in one run. */
async function comparisons(): Promise<void> {
  console.log(machine());
  const handshakeRows = rows('client handshake', await compare(handshakes()));
  const frameTimes = (await compare(frames())).map((row) => ({ ...row, median: row.median / framesPerCall }));
  const frameRows = rows('frame of 1 KiB, sealed and opened', frameTimes);
  const plainFlows = await compare(flows());
  memoiseArithmetic(true);
  const memoisedFlows = await compare(repeatedFlows());
  memoiseArithmetic(false);
  const flowRows = rows('flow in memory', [...plainFlows, ...memoisedFlows]);
  console.log(
    table([['', 'median', 'quartiles', 'per second', 'time'], ...handshakeRows, ...frameRows, ...flowRows]),
  );
  console.log(vectorLines().join('\n'));
}
