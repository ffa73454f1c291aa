import type { ExchangeStep } from '../../runner/result.js';
import { clip, oneLine } from '../text.js';
import type { Marks } from './marks.js';

const WIDTH = 900;
const LEFT = 150;
const RIGHT = 840;
/** Between two steps at least, and what ten seconds add to that: the time an iPhone waits for an answer. */
const STEP = 34;
const PATIENCE = 10_000;
const STRETCH = 110;
/** Colours there are for connections. */
const COLOURS = 6;
/** Characters that fit over an arrow. */
const FITS = 88;

/** Milliseconds as people say them. */
export function timeWords(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  return `${(milliseconds / 1000).toFixed(milliseconds < 10_000 ? 1 : 0)} s`;
}

function distance(milliseconds: number): number {
  return STEP + STRETCH * Math.min(1, Math.max(0, milliseconds) / PATIENCE);
}

/** The sequence of an exchange: controller left, accessory right, connections by colour, gaps in time to scale. */
export function Diagram({ steps, marks }: { steps: readonly ExchangeStep[]; marks: Marks }) {
  const colours = new Map<number, number>();
  for (const { connection } of steps)
    if (!colours.has(connection)) colours.set(connection, colours.size % COLOURS);
  let y = 34;
  const rows = steps.map((step, i) => {
    const gap = i === 0 ? 0 : step.at - steps[i - 1]!.at;
    y += i === 0 ? STEP - 8 : distance(gap);
    return { step, y, gap };
  });
  const height = y + 24;
  return (
    <svg
      viewBox={`0 0 ${WIDTH} ${height}`}
      width={WIDTH}
      height={height}
      role="img"
      aria-label={`sequence of ${steps.length} steps on ${colours.size} connection${colours.size === 1 ? '' : 's'}; the list below has the same`}
    >
      <text class="head" x={LEFT} y="16" text-anchor="middle">
        controller
      </text>
      <text class="head" x={RIGHT - 10} y="16" text-anchor="middle">
        accessory
      </text>
      <line class="lane" x1={LEFT} y1="24" x2={LEFT} y2={height} />
      <line class="lane" x1={RIGHT} y1="24" x2={RIGHT} y2={height} />
      {rows.map(({ step, y: at, gap }) => (
        <g key={at}>
          {gap > 0 && (
            <text class={gap >= PATIENCE ? 'gap late' : 'gap'} x={LEFT - 12} y={at - 14} text-anchor="end">
              {`+${timeWords(gap)}`}
            </text>
          )}
          <Row step={step} y={at} colour={colours.get(step.connection)!} decisive={step === marks.step} />
        </g>
      ))}
    </svg>
  );
}

function Row({
  step,
  y,
  colour,
  decisive,
}: {
  step: ExchangeStep;
  y: number;
  colour: number;
  decisive: boolean;
}) {
  const tag = (
    <text class={`tag${colour}`} x="8" y={y + 4}>
      {`#${step.connection}`}
    </text>
  );
  const line = clip(oneLine(step.line, 500), FITS);
  const arrow = `arrow c${colour}${step.sealed === true ? ' sealed' : ''}${decisive ? ' decisive' : ''}`;
  const label = (
    <text x={LEFT + 12} y={y - 6}>
      {step.sealed === true ? `sealed: ${line}` : line}
    </text>
  );
  switch (step.kind) {
    case 'sent':
    case 'received': {
      const [from, to] = step.kind === 'sent' ? [LEFT, RIGHT] : [RIGHT, LEFT];
      const back = step.kind === 'sent' ? -9 : 9;
      return (
        <>
          {tag}
          {label}
          <line class={arrow} x1={from} y1={y} x2={to} y2={y} />
          <path class={`tip tag${colour}`} d={`M${to} ${y} l${back} -5 v10 z`} />
        </>
      );
    }
    case 'closed':
    case 'reset':
      return (
        <>
          {tag}
          {label}
          <path class="cut" d={`M${RIGHT - 6} ${y - 6} l12 12 m0 -12 l-12 12`} />
          <line class={arrow} x1={RIGHT - 6} y1={y} x2={LEFT} y2={y} stroke-dasharray="2 4" />
        </>
      );
    case 'silence':
    case 'note':
      return (
        <>
          {tag}
          <text class="note" x={LEFT + 12} y={y}>
            {line}
          </text>
        </>
      );
  }
}
