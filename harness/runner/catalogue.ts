import { InputError } from '../protocol/index.js';
import type { Level } from './result.js';

/** One thing an accessory must do, as the catalogue words it. */
export interface Requirement {
  /** `PS-M3-04`. */
  readonly id: string;
  readonly title: string;
  readonly level: Level;
  /** What a controller does to find out. */
  readonly stimulus: string;
  /** What may come back. */
  readonly expected: string;
  /** Why it matters: the attack or the field bug. */
  readonly rationale: string;
  /** Section of the sources. */
  readonly source: string;
  /** State of the accessory before. */
  readonly preconditions: string;
  /** Capabilities beyond plain HTTP: `setup-code`, `raw-tcp`, `restart-hook`, … */
  readonly needs: readonly string[];
  readonly destructive: boolean;
  /** A normal controller notices nothing of a violation. */
  readonly silent_security: boolean;
  /** Upper bound of wrong proofs the entry sends. */
  readonly failed_attempts: number;
  readonly area: string;
}

/** The requirements by id. */
export type Catalogue = ReadonlyMap<string, Requirement>;

const levels: readonly string[] = ['MUST', 'SHOULD', 'VARIES'];
const texts = [
  'id',
  'title',
  'stimulus',
  'expected',
  'rationale',
  'source',
  'preconditions',
  'area',
] as const;

/** Reads the catalogue. @throws InputError naming the entry and the field that is wrong. */
export function loadCatalogue(data: unknown): Catalogue {
  const list = (data as { requirements?: unknown }).requirements;
  if (!Array.isArray(list)) throw new InputError('catalogue: expected an object with a list "requirements"');
  const catalogue = new Map<string, Requirement>();
  for (const entry of list as Record<string, unknown>[]) {
    const id = String(entry['id']);
    for (const field of texts)
      if (typeof entry[field] !== 'string' || entry[field] === '')
        throw new InputError(`catalogue: ${id} has no text "${field}"`);
    if (!levels.includes(String(entry['level'])))
      throw new InputError(
        `catalogue: ${id} has level "${String(entry['level'])}", expected MUST, SHOULD or VARIES`,
      );
    if (!Array.isArray(entry['needs'])) throw new InputError(`catalogue: ${id} has no list "needs"`);
    if (catalogue.has(id)) throw new InputError(`catalogue: ${id} stands twice`);
    catalogue.set(id, entry as unknown as Requirement);
  }
  return catalogue;
}

/** The requirement an id belongs to: `PS-M3-06/0-bytes` → `PS-M3-06`. */
export function requirementId(id: string): string {
  return id.split('/')[0]!;
}
