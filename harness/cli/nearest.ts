import { closest, distance } from 'fastest-levenshtein';

/** ` Did you mean "x"?` when one of the candidates is near the word, else nothing. */
export function didYouMean(word: string, candidates: readonly string[]): string {
  if (candidates.length === 0) return '';
  const best = closest(word.toLowerCase(), candidates);
  return distance(word.toLowerCase(), best.toLowerCase()) <= Math.max(2, word.length / 3)
    ? ` Did you mean "${best}"?`
    : '';
}
