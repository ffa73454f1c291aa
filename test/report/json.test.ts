import { expect } from 'chai';
import { InputError } from '../../harness/protocol/index.js';
import { JSON_SCHEMA, json, readReport } from '../../harness/report/index.js';
import { diagnosis, hostileTexts, report, reportFullOf, result } from './sample.js';

describe('JSON report', () => {
  it('is the report with a schema version and counts', () => {
    const run = report();
    const {
      schema,
      counts,
      diagnosis: causes,
      unexplained,
      ...rest
    } = JSON.parse(json(run)) as Record<string, unknown>;
    expect(schema).to.equal(JSON_SCHEMA).and.to.equal(1);
    expect(counts).to.deep.equal({ pass: 2, warn: 1, fail: 1, skip: 1, error: 1 });
    expect([causes, unexplained]).to.deep.equal([[], []]);
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

  it('has the causes best first, and what nothing explains', () => {
    const run = report({ diagnosis });
    const read = JSON.parse(json(run)) as Record<string, unknown>;
    expect(read['diagnosis']).to.deep.equal(diagnosis.causes);
    expect(read['unexplained']).to.deep.equal(['PV-M3-01']);
    expect(read['next']).to.deep.equal(diagnosis.next);
  });

  it('is read back as it was written, without the diagnosis', () => {
    const { diagnosis: made, ...run } = report({ diagnosis });
    expect(made).to.equal(diagnosis);
    const read = readReport(json({ ...run, diagnosis }), 'report.json');
    expect(json(read)).to.equal(json(run));
  });

  it('says of a file that is no report what is wrong with it', () => {
    const parts: [string, RegExp][] = [
      ['{', /^report\.json: it is no JSON/],
      ['[]', /^report\.json: expected a report of "hapspec run --json FILE".*got schema undefined/],
      ['{"schema":2,"results":[]}', /got schema 2/],
      [
        '{"schema":1,"results":[{"id":"A","status":"pass"},{"id":"B","status":"ok"}]}',
        /results\[1\] has no id/,
      ],
      [
        `{"schema":1,"results":[${Array.from({ length: 10_001 }, () => 0).join()}]}`,
        /10001 results are more/,
      ],
    ];
    for (const [text, message] of parts)
      expect(() => readReport(text, 'report.json')).to.throw(InputError, message);
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
