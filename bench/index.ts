import { memoiseArithmetic } from '../harness/protocol/index.js';
import { census } from './census.js';
import { diagnosis } from './diagnosis.js';
import { bareHandshake, exponentiation } from './exponentiation.js';
import { earlierFigures, keepFigures, worse } from './figures.js';
import { flows, repeatedFlows } from './flows.js';
import { frames, framesPerCall } from './frames.js';
import { handshakes } from './handshake.js';
import { compare, machine, rows, table } from './measure.js';
import { page, reports } from './reports.js';
import { wholeRuns } from './runs.js';
import { vectorLines } from './vectors.js';
import { waits } from './waits.js';

const usage = `npm run bench             everything, side by side: some minutes
npm run bench parts       arithmetic, frames, flows, reports, vectors
npm run bench runs        whole commands: the embedded run, selftest, a default run on HAP-NodeJS
npm run bench diagnosis   how often a diagnosis is right: one fault in ten, 20 pairs, 6 over TCP; "diagnosis-all": all, 200 and 60
npm run bench waits       every wait of that default run, and the rule that needs it (bench/waits.md)
npm run bench census      published versions of a real stack by requirement: a quarter of an hour
npm run bench -- --keep   and keep the ratios as those the next run is compared with (bench/figures.json)`;

const words = process.argv.slice(2).filter((word) => word !== '--keep');
const keep = process.argv.includes('--keep');
const [what = 'everything'] = words;
const known: Record<string, readonly (() => Promise<Record<string, number>>)[]> = {
  everything: [parts, runs],
  parts: [parts],
  runs: [runs],
  waits: [waits],
  census: [census],
  diagnosis: [() => diagnosis({ everyFault: 10, pairs: 20, tcp: 6 })],
  'diagnosis-all': [() => diagnosis({ everyFault: 1, pairs: 200, tcp: 60 })],
};
const wanted = known[what];
if (wanted === undefined || words.length > 1) {
  console.error(`bench: no "${words.join(' ')}"\n${usage}`);
  process.exit(2);
}
console.log(machine());
const figures: Record<string, number> = {};
for (const measure of wanted) Object.assign(figures, await measure());
const earlier = earlierFigures();
for (const line of worse(figures, earlier)) console.log(line);
if (keep) keepFigures(figures);

/** Pieces of the harness beside other implementations of the same. */
async function parts(): Promise<Record<string, number>> {
  const contenders = [...handshakes(), bareHandshake(), exponentiation];
  const [ours, theirs, bare, unit] = await compare(contenders);
  const handshakeRows = rows('client handshake', [ours!, theirs!, bare!]);
  const frameTimes = (await compare(frames())).map((row) => ({ ...row, median: row.median / framesPerCall }));
  const frameRows = rows('frame of 1 KiB, sealed and opened', frameTimes);
  const plainFlows = await compare(flows());
  memoiseArithmetic(true);
  const memoisedFlows = await compare(repeatedFlows());
  memoiseArithmetic(false);
  const flowRows = rows('flow in memory', [...plainFlows, ...memoisedFlows]);
  const asPage = page();
  const written = await compare([reports(), asPage]);
  const reportRows = rows('reports', written);
  console.log(
    table([
      ['', 'median', 'quartiles', 'per second', 'time'],
      ...[handshakeRows, frameRows, flowRows, reportRows].flat(),
    ]),
  );
  const flow = plainFlows[0]!.median;
  console.log(`flows: ${Math.round(60_000 / flow)} a minute`);
  const opened = await asPage.open();
  console.log(
    `page of 1,000 results: ${(asPage.bytes / 1e6).toFixed(2)} MB${opened === undefined ? ', no browser to open it' : `, open in Chromium in ${Math.round(opened)} ms`}`,
  );
  console.log(vectorLines().join('\n'));
  return {
    'handshake ÷ fast-srp-hap': ours!.median / theirs!.median,
    'handshake ÷ bare exponentiations of OpenSSL': ours!.median / bare!.median,
    'frame ÷ node:crypto': frameTimes[0]!.median / frameTimes[1]!.median,
    'flow in memory ÷ exponentiation': flow / unit!.median,
    'reports of 1,000 results ÷ exponentiation': written[0]!.median / unit!.median,
    'page of 1,000 results ÷ exponentiation': written[1]!.median / unit!.median,
  };
}

async function runs(): Promise<Record<string, number>> {
  const { lines, figures: ratios } = await wholeRuns();
  console.log(table(lines));
  return ratios;
}
