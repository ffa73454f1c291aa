import { type Outcome, describeOutcome } from '../device/index.js';
import type { TraceEvent } from '../wire/index.js';
import type { Judgement } from './judge.js';

/** One behaviour of an accessory, and how a check weighed it. */
export interface Weighed {
  /** What was said, in which situation, and what came of it, without anything that was drawn by lot. */
  readonly behaviour: string;
  readonly judgement: Judgement;
  /** Id of the check. */
  readonly id: string;
}

/** A line without what differs from run to run: values in hexadecimal and times. */
function withoutChance(line: string): string {
  return line
    .replace(/=[0-9a-f]{4,}(…[0-9a-f]*)?/g, '')
    .replace(/\d+ ms/g, '… ms')
    .replace(/\s+/g, ' ')
    .trim();
}

/** Milliseconds behind which a connection was idle: some accessories close it then (SESS-24). */
const IDLE = 10_000;

/**
 * One behaviour in words: the state a check starts from, the exchange before on the same connection, whether it was idle since
 * and what another one was told meanwhile, what was said to it, and the outcome. What is fair of one check is fair of every other that meets the same.
 */
export function behaviourOf(from: string, events: readonly TraceEvent[], outcome: Outcome): string {
  const said = events.findLast((event) => event.kind === 'said');
  const before = events.slice(0, said === undefined ? 0 : events.indexOf(said));
  const heard = before.findLast((event) => event.kind === 'heard' && event.connection === said?.connection);
  const line = (event: TraceEvent | undefined): string =>
    event !== undefined && 'line' in event ? withoutChance(event.line) : 'nothing';
  const idle =
    said !== undefined && heard !== undefined && said.time - heard.time > IDLE ? ', idle since' : '';
  const since = heard === undefined ? [] : before.slice(before.indexOf(heard));
  const asked =
    heard === undefined
      ? undefined
      : before
          .slice(0, before.indexOf(heard))
          .findLast((event) => event.kind === 'said' && event.connection === heard.connection);
  const elsewhere = since.findLast((event) => event.kind === 'said' && event.connection !== said?.connection);
  const meanwhile = elsewhere === undefined ? '' : `, meanwhile ${line(elsewhere)} elsewhere`;
  return `${from}; behind ${line(asked)} → ${line(heard)}${idle}${meanwhile}: ${line(said)} → ${withoutChance(describeOutcome(outcome))}`;
}

/** Behaviours that one check takes as right and another only tolerates, each with a check of either kind. */
export function unevenWeights(weighed: Iterable<Weighed>): string[] {
  const seen = new Map<string, Map<Judgement, string>>();
  for (const { behaviour, judgement, id } of weighed) {
    const ids = seen.get(behaviour) ?? new Map<Judgement, string>();
    seen.set(behaviour, ids.set(judgement, ids.get(judgement) ?? id));
  }
  return [...seen]
    .filter(([, ids]) => ids.size > 1)
    .map(
      ([behaviour, ids]) =>
        `${behaviour} (${[...ids].map(([judgement, id]) => `${judgement} by ${id}`).join(', ')})`,
    );
}
