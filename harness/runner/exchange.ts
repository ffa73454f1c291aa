import { type TlvItem, hex, tlvTypeName } from '../protocol/index.js';
import type { TraceEvent } from '../wire/index.js';
import type { ExchangeItem, ExchangeStep } from './result.js';

/** Steps and lines of an exchange at the most: the last ones. */
const MOST_STEPS = 24;
/** Of a value that is shown, and items of a message: what an accessory sends has no bounds of its own. */
const MOST_BYTES = 1024;
const MOST_ITEMS = 32;

/** What happened, one step for each event that tells something. */
function stepsOf(events: readonly TraceEvent[]): ExchangeStep[] {
  const steps: ExchangeStep[] = [];
  const ended = new Set<number>();
  let first: number | undefined;
  for (const event of events) {
    const { connection } = event;
    first ??= event.time;
    const base = { at: Math.round(event.time - first), connection };
    switch (event.kind) {
      case 'we-close':
      case 'we-reset':
        // What the accessory does behind our own end says nothing.
        ended.add(connection);
        break;
      case 'said':
      case 'heard':
        steps.push({
          ...base,
          kind: event.kind === 'said' ? 'sent' : 'received',
          line: event.line,
          ...(event.sealed && { sealed: true }),
          ...(event.items && { items: event.items.slice(0, MOST_ITEMS).map(itemOf) }),
        });
        break;
      case 'close':
      case 'reset':
        if (ended.has(connection)) break;
        steps.push(
          event.kind === 'close'
            ? { ...base, kind: 'closed', line: 'the accessory closed the connection' }
            : { ...base, kind: 'reset', line: 'the accessory reset the connection' },
        );
        break;
      case 'silence':
        steps.push({
          ...base,
          kind: 'silence',
          line: `silence for ${Math.round(event.waited)} ms, connection open`,
        });
        break;
      case 'note':
        steps.push({ ...base, kind: 'note', line: event.line });
        break;
      default:
        break;
    }
  }
  return steps;
}

function itemOf({ type, value }: TlvItem): ExchangeItem {
  return { name: tlvTypeName(type), length: value.length, value: hex(value.subarray(0, MOST_BYTES)) };
}

const signs: Readonly<Record<ExchangeStep['kind'], string>> = {
  sent: '→',
  received: '←',
  closed: '×',
  reset: '×',
  silence: '…',
  note: '·',
};

/** The exchange as data, its last steps when there are many. */
export function exchangeSteps(events: readonly TraceEvent[]): ExchangeStep[] {
  return stepsOf(events).slice(-MOST_STEPS);
}

/** The decoded exchange, one event a line; the last ones when there are many. */
export function exchangeLines(events: readonly TraceEvent[], maximum = MOST_STEPS): string[] {
  const lines = stepsOf(events).map(
    ({ connection, kind, sealed, line }) =>
      `#${connection} ${signs[kind]} ${sealed ? '[sealed] ' : ''}${line}`,
  );
  return lines.length > maximum
    ? [`… ${lines.length - maximum} earlier lines`, ...lines.slice(-maximum)]
    : lines;
}
