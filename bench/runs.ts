import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { thousand } from './exponentiation.js';
import type { Figures } from './figures.js';
import { type Took, hapspec, peer } from './processes.js';

const CODE = '031-45-154';

function line(what: string, { cpu, wall }: Took, ratio: string): string[] {
  return [what, `${cpu.toFixed(1)} s`, `${wall.toFixed(1)} s`, ratio];
}

/** Whole commands, each as a process: what people wait for. CPU is also told in thousands of exponentiations. */
export async function wholeRuns(): Promise<{ lines: string[][]; figures: Figures }> {
  const folder = mkdtempSync(join(tmpdir(), 'hapspec-bench-'));
  const report = ['--junit', join(folder, 'junit.xml'), '--json', join(folder, 'report.json')];
  const lines = [['', 'CPU', 'wall', '']];
  const figures: Record<string, number> = {};
  // The unit before and after each, so that a machine that changes its pace does not spoil the ratio.
  const measured = async (name: string, run: () => Promise<Took>): Promise<Took> => {
    const before = thousand();
    const took = await run();
    const unit = (before + thousand()) / 2;
    figures[name] = took.cpu / unit;
    lines.push(line(name, took, `${(took.cpu / unit).toFixed(1)} × 1,000 exponentiations`));
    return took;
  };
  try {
    thousand();
    await measured('embedded run, one thread', () =>
      hapspec(['run', '--seed', '1', '--jobs', '1', ...report]),
    );
    await measured('embedded run', () => hapspec(['run', '--seed', '1', ...report]));
    await measured('selftest', () => hapspec(['selftest']));
    const accessory = await peer(CODE, join(folder, 'storage'));
    try {
      const idle = await accessory.cpu();
      const target = [`127.0.0.1:${accessory.port}`, '--code', CODE, '--seed', '1'];
      const name = 'default run on HAP-NodeJS 2.0.2';
      const took = await measured(name, () =>
        // What it is known to do wrong is red here: nobody hands the run a list of it.
        hapspec(['run', ...target, '--state', join(folder, 'state'), ...report], [0, 1, 5]),
      );
      const own = (await accessory.cpu()) - idle;
      figures[`${name}: wall ÷ the accessory's CPU`] = took.wall / own;
      lines.push(
        line(
          '  of it the accessory itself',
          { cpu: own, wall: own },
          `wall ÷ its CPU ${(took.wall / own).toFixed(2)}`,
        ),
      );
    } finally {
      accessory.end();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return { lines, figures };
}
