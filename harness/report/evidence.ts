import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { type TlvItem, hex, tlvTypeName } from '../protocol/index.js';
import type { Replay } from '../runner/hunt.js';
import type { TraceEvent } from '../wire/index.js';
import { writeAtomically } from './files.js';

/** Version of the lines below. */
export const EVIDENCE_SCHEMA = 1;

/** A file name that any system takes; a hash keeps ids apart that differ only in what is replaced. */
export function fileName(id: string, ending = '.jsonl'): string {
  const plain = id.replace(/[^A-Za-z0-9._-]/g, '_').slice(0, 100);
  return plain === id
    ? `${plain}${ending}`
    : `${plain}-${createHash('sha256').update(id).digest('hex').slice(0, 6)}${ending}`;
}

function decoded(items: readonly TlvItem[]): unknown[] {
  return items.map(({ type, value }) => ({
    type,
    name: tlvTypeName(type),
    length: value.length,
    value: hex(value),
  }));
}

function lineOf(event: TraceEvent): Record<string, unknown> {
  const { time, connection, kind } = event;
  const base = { ms: Math.round(time * 1000) / 1000, connection, kind };
  switch (event.kind) {
    case 'sent':
    case 'received':
      return { ...base, bytes: hex(event.bytes) };
    case 'opened':
    case 'inside':
      return {
        ...base,
        line: event.line,
        bytes: hex(event.bytes),
        ...(event.items && { tlv: decoded(event.items) }),
      };
    case 'said':
    case 'heard':
      return {
        ...base,
        line: event.line,
        sealed: event.sealed,
        ...(event.items && { tlv: decoded(event.items) }),
      };
    case 'silence':
      return { ...base, waitedMs: Math.round(event.waited) };
    case 'note':
      return { ...base, line: event.line };
    default:
      return base;
  }
}

/** The line of an event, redacted; `keys` of a session stand in it only when they are wanted, and then whole. */
function textOf(event: TraceEvent, redact: (text: string) => string, keys: boolean): string {
  const line = redact(JSON.stringify(lineOf(event)));
  if (!keys || event.kind !== 'note' || event.keys === undefined) return line;
  const { toAccessory, toController } = event.keys;
  return JSON.stringify({
    ...(JSON.parse(line) as object),
    keys: { toAccessory: hex(toAccessory), toController: hex(toController) },
  });
}

/**
 * Writes the wire record of one check: a JSON object a line, the first one says what follows. Bytes are hex, times
 * milliseconds of the run's clock. `redact` sees every line before it is written.
 * @param keys - add the keys of each session where it begins, which `redact` does not see
 * @returns the path of the file.
 * @throws InputError when the folder cannot be written.
 */
export function writeEvidence(
  folder: string,
  check: { readonly id: string; readonly target: string; readonly seed: string },
  events: readonly TraceEvent[],
  redact: (text: string) => string,
  keys = false,
): string {
  const path = join(folder, fileName(check.id));
  const head = { schema: EVIDENCE_SCHEMA, check: check.id, target: check.target, seed: check.seed };
  const lines = [redact(JSON.stringify(head)), ...events.map((event) => textOf(event, redact, keys))];
  // A file a check: an fsync each would take longer than most checks do.
  writeAtomically(path, lines.join('\n') + '\n', false);
  return path;
}

/**
 * Writes a counterexample of a property for `--replay`; a later one of the same property takes its place.
 * @returns the path of the file.
 * @throws InputError when the folder cannot be written.
 */
export function writeReplay(folder: string, found: Replay, redact: (text: string) => string): string {
  const path = join(folder, fileName(found.check, '.replay.json'));
  writeAtomically(path, redact(JSON.stringify(found, null, 2)) + '\n');
  return path;
}
