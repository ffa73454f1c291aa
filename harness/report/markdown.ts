import { oneLine } from './text.js';

/** Text of an accessory in Markdown: code, so that nothing of it is markup, a link, or calls somebody. */
export function code(text: string, max = 300): string {
  const line = oneLine(text, max).replaceAll('|', '\\|');
  if (line === '') return '';
  const longest = Math.max(0, ...[...line.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  const room = /^`|`$/.test(line) ? ' ' : '';
  return `${fence}${room}${line}${room}${fence}`;
}
