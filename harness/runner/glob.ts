/** Patterns as they were compiled: each is asked of every check, and again whenever a report is written. */
const compiled = new Map<string, RegExp>();

/** `*` stands for any characters; the rest is literal, in any case. */
export function glob(pattern: string): RegExp {
  const known = compiled.get(pattern);
  if (known !== undefined) return known;
  const literal = pattern.replace(/[.+?^${}()|[\]\\]/g, '\\$&');
  const made = new RegExp(`^${literal.replaceAll('*', '.*')}$`, 'i');
  compiled.set(pattern, made);
  return made;
}

/** Whether one of the patterns fits, for many texts: those without `*` are looked up, the others are one expression. */
export function anyGlob(patterns: readonly string[]): (text: string) => boolean {
  const exact = new Set(
    patterns.filter((pattern) => !pattern.includes('*')).map((text) => text.toLowerCase()),
  );
  const open = patterns.filter((pattern) => pattern.includes('*')).map((pattern) => glob(pattern).source);
  const expression = open.length === 0 ? undefined : new RegExp(open.join('|'), 'i');
  return (text) => exact.has(text.toLowerCase()) || expression?.test(text) === true;
}
