import { expect } from 'chai';
import {
  annotations,
  diffMarkdown,
  diffReports,
  diffText,
  summaryMarkdown,
} from '../../harness/report/index.js';
import { mergeReports } from '../../harness/runner/index.js';
import type { CheckResult, RunReport } from '../../harness/runner/result.js';
import { diagnosis, failure, hostileTexts, report, reportFullOf, result } from './sample.js';

const one = (id: string, changes: Partial<CheckResult> = {}): CheckResult =>
  result({ id, requirement: id.split('/')[0]!, ...changes });
const red = (id: string, message = 'HTTP 200: State=4 Proof[64]=e53c9b74…78ad'): CheckResult =>
  one(id, { status: 'fail', reason: 'forbidden', message, failure: { ...failure, seen: message } });
const skipped = (id: string): CheckResult =>
  one(id, { status: 'skip', reason: 'blocked', message: 'needs a hook' });
const of = (...results: readonly CheckResult[]): RunReport => report({ results });

describe('two reports', () => {
  const ids = (list: readonly { id: string }[]): readonly string[] => list.map(({ id }) => id);

  it('tell what broke, what is fixed, and what is only asked or not asked', () => {
    const warned = one('W', { status: 'warn', reason: 'tolerated', message: 'a close' });
    const diff = diffReports(
      of(
        one('A'),
        red('B'),
        red('C'),
        red('D'),
        one('E'),
        skipped('F'),
        skipped('G'),
        one('W'),
        { ...warned, id: 'V' },
        one('S'),
      ),
      of(
        red('A'),
        one('B'),
        red('C', 'HTTP 200: State=4 Proof[64]=0011aabb…ccdd'),
        red('D', 'silence'),
        skipped('E'),
        one('F'),
        red('G'),
        warned,
        one('V'),
        one('S'),
        red('N'),
      ),
    );
    expect(ids(diff.broken)).to.deep.equal(['A', 'G', 'N']);
    expect(ids(diff.fixed)).to.deep.equal(['B']);
    expect(ids(diff.changed), 'values that are drawn anew are no change').to.deep.equal(['D']);
    expect(ids(diff.gone)).to.deep.equal(['E']);
    expect(ids(diff.asked)).to.deep.equal(['F']);
    expect(ids(diff.warned)).to.deep.equal(['W']);
    expect(ids(diff.quiet)).to.deep.equal(['V']);
    expect(diff.same).to.equal(2);
    const text = diffText(of(), of(), diff);
    expect(text).to.include('3 newly red').and.include('3 newly red; 1 fixed; 1 red as before');
    const markdown = diffMarkdown(of(), of(), diff);
    expect(markdown)
      .to.match(/^### hapspec: 3 newly red$/m)
      .and.include('| `A`');
  });

  it('are the same where they are the same', () => {
    const diff = diffReports(report(), report());
    expect(diff.broken.length + diff.fixed.length + diff.changed.length + diff.gone.length).to.equal(0);
    expect(diffMarkdown(report(), report(), diff)).to.include('nothing newly red');
  });
});

describe('shards of a run', () => {
  it('come to one report: each check as it ran somewhere, the price added up', () => {
    const merged = mergeReports([
      of(one('A'), skipped('B'), one('W', { kind: 'watch', observations: { seen: '3' } })),
      of(
        skipped('A'),
        red('B'),
        one('W', { kind: 'watch', status: 'fail', reason: 'must', observations: { seen: '4' } }),
      ),
    ]);
    expect(merged.results.map(({ id, status }) => `${id} ${status}`)).to.deep.equal([
      'A pass',
      'B fail',
      'W fail',
    ]);
    expect(merged.results[2]!.observations['seen']).to.equal('7');
    expect(merged.price.m2).to.equal(2 * report().price.m2);
    expect(merged.timing['M2']).to.deep.equal({ count: 6, totalMs: 8400, longestMs: 2100 });
    expect(merged.exit.code).to.equal(1);
  });

  it('stay incomplete where one was, and dirty where one left the accessory otherwise', () => {
    const good = report({ results: [one('A')], exit: { code: 0, meaning: 'every planned check passed' } });
    const cut = report({ results: [one('B')], exit: { code: 3, meaning: 'nothing answered' } });
    expect(mergeReports([good, cut]).exit).to.deep.equal({ code: 5, meaning: 'embedded: nothing answered' });
    expect(
      mergeReports([
        { ...good, shard: '1/3' },
        { ...good, shard: '3/3' },
      ]).exit,
    ).to.deep.equal({
      code: 5,
      meaning: 'shard 2/3: there is no report of it',
    });
    expect(mergeReports([cut, cut]).exit.code).to.equal(3);
    const left = { clean: false, message: 'NOT AS FOUND' };
    expect(mergeReports([good, { ...good, aftermath: left }])).to.deep.include({ aftermath: left });
  });

  it('of different runs are refused', () => {
    expect(() => mergeReports([])).to.throw('no report');
    expect(() => mergeReports([report(), report({ seed: '8' })])).to.throw('seeds 7 and 8');
    expect(() => mergeReports([report(), report({ strict: true })])).to.throw('--strict');
    expect(() => mergeReports([report(), report({ tool: { name: 'hapspec', version: '9' } })])).to.throw('9');
  });
});

describe('summaries for CI', () => {
  it('have verdict, cause, failures and how to repeat them', () => {
    const text = summaryMarkdown(report({ diagnosis }));
    expect(text)
      .to.match(/^### hapspec: ❌ exit 1/)
      .and.include('#### Diagnosis')
      .and.include('#### Failures');
    expect(text).to.include(failure.reproduce);
  });

  it('are no markup and no command whatever an accessory sent', () => {
    for (const text of [
      ...hostileTexts,
      '::error::x',
      '\n::set-output name=x::y',
      '[a](javascript:x) <img src=x> @everyone `` ` |',
    ]) {
      const full = reportFullOf(text);
      const lines = summaryMarkdown(full).split('\n');
      for (const line of lines) expect(line).to.not.match(/^(::|##\w*\[)/);
      // Whatever stands outside of code spans is ours.
      const outside = lines.join('\n').replace(/(`+)(?!`)[\s\S]*?(?<!`)\1(?!`)/g, '');
      expect(outside).to.not.match(/<img|javascript:|@everyone/);
      for (const line of annotations(full)) {
        expect(line).to.match(/^::(error|warning) title=[^\n\r]*$/);
        expect(line.slice(2)).to.not.match(/\n/);
      }
    }
  });

  it('of GitHub begin with the causes and are ten of each kind at most', () => {
    const many = Array.from({ length: 30 }, (_, i) => red(`R-${i}`));
    const lines = annotations(report({ results: many, diagnosis }));
    expect(lines.length).to.equal(10);
    expect(lines[0]).to.include(diagnosis.causes[0]!.fault);
  });
});
