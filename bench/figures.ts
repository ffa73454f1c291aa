import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** In the sources, where it is committed. */
const file = fileURLToPath(new URL('../../bench/figures.json', import.meta.url));
/** So many times an earlier figure is worth a word. */
const WORSE = 1.5;

/** Ratios by name; of each the smaller is the better. */
export type Figures = Readonly<Record<string, number>>;

export function earlierFigures(): Figures {
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Figures) : {};
}

/** Keeps the figures of this run, beside those of what it did not measure. */
export function keepFigures(figures: Figures): void {
  const all = { ...earlierFigures(), ...figures };
  const rounded = Object.entries(all).map(([name, value]) => [name, Number(value.toPrecision(3))]);
  writeFileSync(file, `${JSON.stringify(Object.fromEntries(rounded), undefined, 2)}\n`);
}

/** What has become much worse than it was, a line each. */
export function worse(figures: Figures, earlier: Figures): string[] {
  return Object.entries(figures).flatMap(([name, value]) => {
    const before = earlier[name];
    if (before === undefined || value < WORSE * before) return [];
    return [
      `WORSE: ${name}: ${value.toPrecision(3)}, ${(value / before).toFixed(1)} times what it was (${before})`,
    ];
  });
}
