/**
 * What a file of vectors holds. Generator and verifier share this file, the schemas and nothing else: what is computed
 * is computed twice.
 */

/** `valid`: do this, or accept it. `invalid`: refuse it. `acceptable`: sources differ, either may be done. */
export type Result = 'valid' | 'invalid' | 'acceptable';

export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };
export type Fields = Readonly<Record<string, Json>>;

/** One case. Fields beside these depend on the type of its group; bytes are lower-case hexadecimal. */
export type Vector = Fields & {
  /** From 1, in order, over the whole file. */
  readonly tcId: number;
  readonly comment: string;
  /** Why it exists: names of the file's notes. */
  readonly flags: readonly string[];
  readonly result: Result;
};

/** Cases of one type, with what they have in common. */
export type Group = Fields & { readonly type: string; readonly tests: readonly Vector[] };

export type Note = {
  readonly description: string;
  /** The kind of mistake a failing implementation has made. */
  readonly bugType?: string;
};

export type VectorFile = {
  readonly algorithm: string;
  /** File name of the schema. */
  readonly schema: string;
  readonly generatorVersion: string;
  /** What everything random in the file derives from; `recorded` where it was not generated. */
  readonly seed: string;
  readonly numberOfTests: number;
  readonly notes: Readonly<Record<string, Note>>;
  readonly testGroups: readonly Group[];
};

/** Goes up when the same seed gives other vectors. */
export const GENERATOR_VERSION = '2';

/** What the vector was made to do wrong, by a name and what it needs. */
export type Edit = {
  readonly op: string;
  readonly bit?: number;
  readonly to?: number;
  readonly value?: string;
  readonly text?: string;
};

/** A file as it is written: the same bytes on every machine. */
export function serialise(content: object): string {
  return JSON.stringify(content, undefined, 1) + '\n';
}
