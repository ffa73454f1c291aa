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
