import { expect } from 'chai';
import { JSON_SCHEMA, json } from '../../harness/report/index.js';
import { hostileTexts, report, reportFullOf, result } from './sample.js';

describe('JSON report', () => {
  it('is the report with a schema version and counts', () => {
    const run = report();
    const { schema, counts, ...rest } = JSON.parse(json(run)) as Record<string, unknown>;
    expect(schema).to.equal(JSON_SCHEMA).and.to.equal(1);
    expect(counts).to.deep.equal({ pass: 2, warn: 1, fail: 1, skip: 1, error: 1 });
    expect(rest).to.deep.equal(JSON.parse(JSON.stringify(run)));
  });

  it('does not depend on the order keys were made in', () => {
    const backwards = <T extends object>(value: T): T =>
      Object.fromEntries(Object.entries(value).reverse()) as T;
    const observed = result({ observations: { b: '1', a: '2' } });
    const run = report({ results: [observed] });
    const turned = backwards({ ...run, price: backwards(run.price), results: [backwards(observed)] });
    expect(json(turned)).to.equal(json(run));
    expect(json(run)).to.match(/"a": "2",\s+"b": "1"/);
  });

  it('ends with one newline and survives hostile text', () => {
    expect(json(report())).to.match(/[^\n]\n$/);
    for (const hostile of hostileTexts) {
      const run = reportFullOf(hostile);
      const parsed = JSON.parse(json(run)) as { results: { message: string }[] };
      expect(parsed.results[0]?.message).to.equal(hostile);
    }
  });
});
