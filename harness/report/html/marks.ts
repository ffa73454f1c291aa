import type { CheckResult, ExchangeItem, ExchangeStep } from '../../runner/result.js';

/** What is wrong with the message that was judged: items by their place in it, and names of those that are missing. */
export interface Marks {
  /** The step that decided; undefined when none did. */
  readonly step: ExchangeStep | undefined;
  /** Why an item is marked. */
  readonly items: ReadonlyMap<ExchangeItem, string>;
  readonly missing: readonly string[];
}

const NAMES =
  /\b(Method|Identifier|Salt|PublicKey|Proof|EncryptedData|State|Error|RetryDelay|Certificate|Signature|Permissions|Flags|SessionID)\b/g;

/** Values an outcome in words gives an item: `State=4`, `Error=2(Authentication)`, `Error=1…7`. */
function valuesOf(name: string, lines: readonly string[]): readonly (readonly [from: number, to: number])[] {
  return lines.flatMap((line) =>
    [...line.matchAll(new RegExp(`\\b${name}=(\\d+)(?:\\(\\w+\\))?(?:…(\\d+))?`, 'g'))].map(
      ([, from, to]) => [Number(from), Number(to ?? from)] as const,
    ),
  );
}

function little(hexed: string): number {
  return (hexed.match(/../g) ?? [])
    .slice(0, 6)
    .reduce((value, byte, i) => value + parseInt(byte, 16) * 256 ** i, 0);
}

/**
 * Finds what is marked: an item that no allowed outcome has, a State or Error that has another value than all of them,
 * and what each outcome of its kind has and this one has not. Where a message is wrong in another way, the items its
 * failure names.
 */
export function marksOf({ failure, message }: CheckResult): Marks {
  const step = failure?.steps?.findLast(({ kind }) => kind !== 'sent' && kind !== 'note');
  const items = new Map<ExchangeItem, string>();
  if (failure === undefined || step?.items === undefined) return { step, items, missing: [] };
  const replies = failure.allowed.filter((line) => /\b(State|Error)=/.test(line));
  const judged = /^HTTP \d/.test(failure.seen) && replies.length > 0;
  if (!judged) {
    const named = new Set([...message.matchAll(NAMES)].map(([, name]) => name));
    for (const item of step.items) if (named.has(item.name)) items.set(item, 'named by the failure');
    return { step, items, missing: [] };
  }
  const mentioned = (line: string): Set<string> =>
    new Set([...line.replaceAll(/\bno \w+/g, '').matchAll(NAMES)].map(([, name]) => name!));
  const known = new Set(replies.flatMap((line) => [...mentioned(line)]));
  for (const item of step.items) {
    if (item.name === 'State' || item.name === 'Error') {
      const values = valuesOf(item.name, replies);
      const value = little(item.value);
      if (!values.some(([from, to]) => from <= value && value <= to))
        items.set(item, values.length === 0 ? 'no allowed outcome has it' : 'another value is allowed');
      else if (item.length !== 1) items.set(item, 'it is one byte');
    } else if (!known.has(item.name)) items.set(item, 'no allowed outcome has it');
  }
  const strict = replies.filter((line) => !line.startsWith('tolerated:')).map(mentioned);
  const present = new Set(step.items.map(({ name }) => name));
  const missing = [...known].filter(
    (name) => !present.has(name) && strict.length > 0 && strict.every((names) => names.has(name)),
  );
  return { step, items, missing };
}
