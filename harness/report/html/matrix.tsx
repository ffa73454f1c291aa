import { render } from 'preact-render-to-string';
import type { Status } from '../../runner/result.js';
import { counts } from '../counts.js';
import { type Cell, type Column, type MatrixRow, matrixOf } from '../matrix.js';
import { oneLine } from '../text.js';
import { signs, tone } from './case.js';
import { policyOf } from './policy.js';
import { style } from './style.js';

/** Filters rows by text, by difference between two columns, and by whether anything is wrong in them. */
const script = `
(() => {
  'use strict';
  const form = document.querySelector('form.filter');
  const rows = [...document.querySelectorAll('tr[data-cells]')];
  const shown = document.getElementById('shown');
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const apply = () => {
    const { text, only, left, right } = Object.fromEntries(['text', 'only', 'left', 'right'].map((name) => [name, form.elements.namedItem(name).value]));
    const words = text.toLowerCase().split(/\\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const cells = row.dataset.cells.split(' ');
      const differs = left === '' || right === '' ? new Set(cells.filter((cell) => !/none|skip/.test(cell))).size > 1 : cells[left] !== cells[right];
      const wrong = cells.some((cell) => /fail|error|warn/.test(cell));
      const fits = words.every((word) => texts.get(row).includes(word)) && (only === 'all' || (only === 'wrong' ? wrong : differs));
      row.hidden = !fits;
      if (fits) count++;
    }
    shown.textContent = count + ' of ' + rows.length + ' requirements';
  };
  form.addEventListener('input', (event) => {
    if (/left|right/.test(event.target.name) && form.elements.namedItem('left').value !== '' && form.elements.namedItem('right').value !== '')
      form.elements.namedItem('only').value = 'different';
    apply();
  });
  form.addEventListener('submit', (event) => event.preventDefault());
  apply();
})();
`;

const words: Readonly<Record<Status, string>> = {
  pass: 'passed',
  warn: 'warned of',
  fail: 'failed',
  error: 'inconclusive',
  skip: 'not asked',
};

function CellView({ cell }: { cell: Cell }) {
  const { status, ids, asked } = cell;
  if (status === undefined || status === 'skip')
    return (
      <td class="quiet">
        <span aria-hidden="true">–</span>
        <span class="said">not asked</span>
      </td>
    );
  const some = ids.length > 0 ? ` ${ids.length}/${asked}` : '';
  return (
    <td class={tone(status)} title={ids.slice(0, 20).join(', ')}>
      {`${signs[status]}${some}`}
      <span class="said">{` ${words[status]}`}</span>
    </td>
  );
}

function Row({ row }: { row: MatrixRow }) {
  return (
    <tr data-cells={row.cells.map(({ status }) => status ?? 'none').join(' ')}>
      <th scope="row">
        <span class="mono">{oneLine(row.requirement, 60)}</span> {oneLine(row.title, 200)}
      </th>
      {row.cells.map((cell, i) => (
        <CellView key={i} cell={cell} />
      ))}
    </tr>
  );
}

function Choice({ name, label, columns }: { name: string; label: string; columns: readonly Column[] }) {
  return (
    <label>
      {`${label} `}
      <select name={name}>
        <option value="">…</option>
        {columns.map((column, i) => (
          <option key={i} value={i}>
            {oneLine(column.name, 80)}
          </option>
        ))}
      </select>
    </label>
  );
}

function Page({ columns }: { columns: readonly Column[] }) {
  const rows = matrixOf(columns);
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content={policyOf(style, script)} />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>{`${columns.length} accessories by requirement · hapspec`}</title>
        <style dangerouslySetInnerHTML={{ __html: style }} />
      </head>
      <body class="wide">
        <main>
          <h1>{`${columns.length} accessories by requirement`}</h1>
          <p class="quiet">
            ✓ passed, ! warned of, ✗ violated, ? inconclusive, – not asked; behind the sign how many of the
            checks that ran.
          </p>
          <form class="filter" aria-label="filter requirements">
            <label>
              show{' '}
              <select name="only">
                <option value="all">all</option>
                <option value="wrong">where anything is wrong</option>
                <option value="different">where they differ</option>
              </select>
            </label>
            <Choice name="left" label="compare" columns={columns} />
            <Choice name="right" label="with" columns={columns} />
            <label>
              text <input type="search" name="text" autocomplete="off" />
            </label>
            <span id="shown" class="quiet" role="status" />
          </form>
          <div class="scroll" tabIndex={0} role="group" aria-label="requirements by accessory">
            <table>
              <thead>
                <tr>
                  <th scope="col">requirement</th>
                  {columns.map(({ name, report }, i) => {
                    const count = counts(report.results);
                    return (
                      <th scope="col" key={i}>
                        {oneLine(name, 80)}
                        <br />
                        <span class="quiet">{`${count.pass} ✓ ${count.warn} ! ${count.fail} ✗`}</span>
                      </th>
                    );
                  })}
                </tr>
              </thead>
              <tbody>
                {rows.map((row) => (
                  <Row key={row.requirement} row={row} />
                ))}
              </tbody>
            </table>
          </div>
        </main>
        <script dangerouslySetInnerHTML={{ __html: script }} />
      </body>
    </html>
  );
}

/** Accessories, or versions of one, by requirements as one page that needs nothing else. */
export function matrixHtml(columns: readonly Column[]): string {
  return `<!doctype html>\n${render(<Page columns={columns} />)}\n`;
}
