import { cpus } from 'node:os';

/** One implementation in a comparison. */
export interface Contender {
  readonly name: string;
  /** Does the work once; the argument counts up, so that inputs can differ from call to call. */
  readonly run: (call: number) => unknown;
}

export interface Measurement {
  readonly name: string;
  /** Milliseconds per call: median of the rounds. */
  readonly median: number;
  /** Half the distance between the quartiles, as a part of the median. */
  readonly spread: number;
}

const ROUNDS = 15;
const ROUND_MS = 150;

function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.round((sorted.length - 1) * part)]!;
}

async function time(contender: Contender, calls: number): Promise<number> {
  const started = performance.now();
  for (let call = 0; call < calls; call++) {
    const done = contender.run(call);
    // Awaiting what is no promise would cost a turn of the microtask queue and be measured with it.
    if (done instanceof Promise) await done;
  }
  return (performance.now() - started) / calls;
}

/**
 * Runs the contenders in alternating rounds, so that a machine that slows down slows down all of them. The first
 * round of each only warms up and decides how many calls a round has.
 */
export async function compare(contenders: readonly Contender[]): Promise<Measurement[]> {
  const entries = [];
  for (const contender of contenders) {
    const once = await time(contender, 3);
    entries.push({ contender, calls: Math.max(1, Math.ceil(ROUND_MS / once)), samples: [] as number[] });
  }
  for (let round = 0; round < ROUNDS; round++) {
    const order = round % 2 === 0 ? entries : [...entries].reverse();
    for (const { contender, calls, samples } of order) samples.push(await time(contender, calls));
  }
  return entries.map(({ contender, samples }) => {
    samples.sort((a, b) => a - b);
    const median = quantile(samples, 0.5);
    return {
      name: contender.name,
      median,
      spread: (quantile(samples, 0.75) - quantile(samples, 0.25)) / 2 / median,
    };
  });
}

/** Node, processor and architecture: what a figure depends on. */
export function machine(): string {
  const [cpu] = cpus();
  return `node ${process.version}, ${cpu?.model.trim() ?? 'unknown processor'} × ${cpus().length}, ${process.arch}`;
}

/** An aligned table: first column left, the others right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ');
  return rows.map(line).join('\n');
}

/** Rows of one comparison, each with its speed relative to the first contender. */
export function rows(title: string, measurements: readonly Measurement[]): string[][] {
  const [first] = measurements;
  return measurements.map(({ name, median, spread }) => [
    `${title}: ${name}`,
    median >= 1 ? `${median.toFixed(2)} ms` : `${(median * 1000).toFixed(2)} µs`,
    `±${(spread * 100).toFixed(1)} %`,
    (1000 / median).toFixed(median > 100 ? 1 : 0),
    `${(median / first!.median).toFixed(2)}×`,
  ]);
}
