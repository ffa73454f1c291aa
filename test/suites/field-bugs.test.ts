import { expect } from 'chai';
import { faults } from '../../harness/accessory/index.js';
import fieldBugs from '../../suites/field-bugs.json' with { type: 'json' };
import { catalogue, suite } from '../../suites/index.js';

interface Row {
  readonly row: number;
  readonly faults?: readonly string[];
  readonly awaits?: readonly string[];
  readonly reason?: string;
  /** Of rows beyond the table: what users saw, and where it was told. */
  readonly symptom?: string;
  readonly source?: string;
}
/** The last row of the table that was collected first. */
const COLLECTED = 139;
const rows: readonly Row[] = fieldBugs.rows;
const checked = new Set(suite.map(({ requirement }) => requirement.id));

describe('suites: field bugs', () => {
  it('has every row of the table once', () => {
    const last = rows.at(-1)!.row;
    const numbers = Array.from({ length: last }, (_, i) => i + 1).filter((n) => ![17, 18, 87].includes(n));
    expect(rows.map(({ row }) => row)).to.deep.equal(numbers);
    expect(last).to.be.at.least(COLLECTED);
  });

  it('tells the symptom and the source of each row that came later', () => {
    for (const { row, symptom = '', source = '' } of rows)
      if (row > COLLECTED) {
        expect(symptom.length, `symptom of row ${row}`).to.be.greaterThan(20);
        expect(source.length, `source of row ${row}`).to.be.greaterThan(5);
      }
  });

  for (const { row, faults: names, awaits, reason } of rows)
    it(`row ${row} is a fault, waits for a check, or says why it cannot be one`, () => {
      expect([names, awaits, reason].filter((part) => part !== undefined)).to.have.length(1);
      for (const name of names ?? []) expect(faults.map((fault) => fault.name)).to.include(name);
      for (const id of awaits ?? []) {
        expect(catalogue.has(id), `${id} is in the catalogue`).to.equal(true);
        // The day a requirement gets its checks, the bug has to become a fault.
        expect(checked.has(id), `${id} has checks now: row ${row} needs a fault`).to.equal(false);
      }
      if (reason !== undefined) expect(reason.length).to.be.greaterThan(20);
    });

  it('knows the rows the faults name', () => {
    for (const { name, fieldBug } of faults)
      if (fieldBug !== undefined)
        expect(
          rows.some(({ row }) => row === fieldBug),
          name,
        ).to.equal(true);
  });
});
