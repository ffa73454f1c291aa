import { type Session, hap, outcomes } from '../../harness/suite.js';

export const added = outcomes.success('pairings-add');
export const removed = outcomes.success('pairings-remove');
export const listed = outcomes.success('pairings-list');

export const paired = { from: 'paired', needs: ['PV-M3-01', 'PAIRINGS-01'], costs: { verifies: 1 } } as const;

/** The list as a set: one line for each entry. */
export async function lines(session: Session): Promise<string[]> {
  const { entries } = await session.list();
  return entries.map(({ id, ltpk, permissions }) => line({ id, ltpk }, permissions)).sort();
}

export function line({ id, ltpk }: Pick<hap.Identity, 'id' | 'ltpk'>, permissions: number): string {
  return `${hap.text(id)} ${hap.hex(ltpk)} ${permissions}`;
}

export async function empty(session: Session, users: readonly hap.Identity[]): Promise<void> {
  for (const { id } of users) await session.sendRemove(id);
}
