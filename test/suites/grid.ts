import { expect } from 'chai';
import { findFault } from '../../harness/accessory/index.js';
import { type Case, cellOf, gridDefects, gridMessages, runTwin } from '../../harness/runner/index.js';
import { suite } from '../../suites/index.js';
import { SEED } from '../runner/bench.js';

/** For each row of the grid a fault that no other row catches. */
const rows: Readonly<Record<string, string>> = {
  'setup-m1': 'second-m1-unanswered',
  'setup-m3': 'm3-first-unanswered',
  'setup-m5': 'm5-tag-unchecked',
  'verify-m1': 'short-verify-key-filled-up',
  'verify-m3': 'verify-m3-tag-unchecked',
  add: 'add-fits-keys-to-32-bytes',
  remove: 'removal-without-identifier-takes-the-last',
  list: 'pairings-without-method-unanswered',
};

/** For each column a fault that no other column catches. */
const columns: Readonly<Record<string, string>> = {
  'state-wrong': 'any-state-is-m1',
  'state-missing': 'missing-state-is-m1',
  'item-missing': 'missing-method-unanswered',
  duplicated: 'repeated-item-stops-it',
  split: 'short-fragment-stops-it',
  truncated: 'last-value-read-past-the-end',
  trailing: 'lone-type-byte-stops-it',
  unknown: 'rejects-unknown-tlvs',
  oversized: 'long-body-stops-it',
  'bad-tag': 'm5-tag-unchecked',
  'wrong-nonce': 'm5-any-nonce',
  replayed: 'repeated-m3-new-proof',
  'out-of-order': 'm3-first-accepted',
  'other-connection': 'busy-unanswered',
};

/** Cells that cannot be: what the defect takes away or changes is not in the message. */
const impossible = new Set([
  'setup-m1 bad-tag',
  'setup-m1 wrong-nonce',
  'setup-m3 wrong-nonce',
  'verify-m1 bad-tag',
  'verify-m1 wrong-nonce',
]);

const grid = suite.filter(
  (entry): entry is Extract<Case, { kind: 'check' }> =>
    entry.kind === 'check' && entry.spec.grid !== undefined,
);

/** Rows or columns in which a fault makes a check red. */
async function reds(fault: string, axis: 0 | 1): Promise<readonly string[]> {
  const results = await runTwin(suite, grid, findFault(fault), { seed: SEED });
  const red = results.filter(({ status, reason }) => status === 'fail' || reason === 'should');
  return [...new Set(red.map(({ id }) => grid.find((check) => check.id === id)?.spec.grid?.[axis] ?? id))];
}

/** In twins.test.ts. */
export function gridOfDefects(): void {
  describe('suites: the grid of messages and defects', () => {
    for (const message of gridMessages.filter((name) => name in rows))
      it(`${message} has a check in every cell that can be`, () => {
        const empty = gridDefects.filter((defect) => cellOf(suite, [message, defect]).length === 0);
        expect(empty).to.deep.equal(gridDefects.filter((defect) => impossible.has(`${message} ${defect}`)));
      });

    for (const message of gridMessages.filter((name) => name in rows))
      it(`${message} alone catches ${rows[message]}`, async () => {
        expect(await reds(rows[message]!, 0)).to.deep.equal([message]);
      });

    for (const defect of gridDefects)
      it(`${defect} alone catches ${columns[defect]}`, async () => {
        expect(await reds(columns[defect]!, 1)).to.deep.equal([defect]);
      });
  });
}
