import { expect } from 'chai';
import { marksOf } from '../../harness/report/html/marks.js';
import { matrixHtml } from '../../harness/report/html/matrix.js';
import { html } from '../../harness/report/html/page.js';
import type { CheckResult, ExchangeStep } from '../../harness/runner/result.js';
import { failure, hostileTexts, report, reportFullOf, result } from './sample.js';

const m4: ExchangeStep = {
  at: 2100,
  connection: 4,
  kind: 'received',
  line: '200  State=4 Proof[64]=e53c9b74…78ad  (2100 ms)',
  items: [
    { name: 'State', length: 1, value: '04' },
    { name: 'Proof', length: 64, value: 'e5'.repeat(64) },
  ],
};
const steps: readonly ExchangeStep[] = [
  {
    at: 0,
    connection: 4,
    kind: 'sent',
    line: 'POST /pair-setup  State=3 PublicKey[384]=… Proof[64]=…',
    items: [{ name: 'PublicKey', length: 384, value: 'ab'.repeat(384) }],
  },
  m4,
];
const judged: CheckResult = result({
  id: 'PS-M3-04',
  status: 'fail',
  failure: {
    ...failure,
    allowed: ['HTTP 200, State=4, Error=2(Authentication) and nothing else'],
    seen: 'HTTP 200: State=4 Proof[64]=e53c9b74…78ad',
    steps,
  },
});

describe('reports as a page', () => {
  it('has verdict, causes, chapters and every result, and loads nothing', () => {
    const page = html(report({ results: [judged, ...report().results.slice(3)] }), [
      { id: 'PS-M3-04', title: 'Wrong setup code', area: 'PS' },
      { id: 'XX-01', title: 'Not in this run', area: 'XX' },
    ]);
    expect(page).to.match(/^<!doctype html>\n<html lang="en">/);
    for (const { id } of report().results.slice(3)) expect(page).to.include(`id="${id}"`);
    expect(page)
      .to.include('not asked')
      .and.include('Content-Security-Policy')
      .and.include("default-src 'none'");
    expect(page).to.not.match(/\b(src|href)="(?!#)/);
    expect(page).to.not.match(/url\(|@import|<link|<img|<iframe| on[a-z]+=/);
    // An attribute of style is not let through by the policy, so it would be without effect.
    expect(page).to.not.match(/ style="/);
  });

  it('draws an exchange with its times, and shows each item', () => {
    const page = html(report({ results: [judged] }));
    expect(page)
      .to.include('<svg')
      .and.include('+2.1 s')
      .and.include('Proof[64]')
      .and.include('PublicKey[384]');
    expect(page).to.include('ab '.repeat(383) + 'ab');
    expect(page).to.match(/class="arrow c0 decisive"/);
  });

  it('marks what no allowed outcome has, another value, and what is missing', () => {
    const words = (changes: Partial<ExchangeStep>, allowed: readonly string[]): readonly string[] => {
      const marks = marksOf({
        ...judged,
        failure: { ...judged.failure!, allowed, steps: [steps[0]!, { ...m4, ...changes }] },
      });
      return [...[...marks.items].map(([{ name }, why]) => `${name}: ${why}`), ...marks.missing];
    };
    expect(words({}, judged.failure!.allowed)).to.deep.equal(['Proof: no allowed outcome has it', 'Error']);
    const refused = [
      { name: 'State', length: 2, value: '0400' },
      { name: 'Error', length: 1, value: '03' },
    ];
    expect(words({ items: refused }, judged.failure!.allowed)).to.deep.equal([
      'State: it is one byte',
      'Error: another value is allowed',
    ]);
    expect(
      words({ items: refused.slice(1) }, ['HTTP 200, State=4, Error=1…7 and nothing else']),
    ).to.deep.equal(['State']);
    expect(words({}, ['HTTP 200, State=4, Proof, no Error'])).to.deep.equal([]);
  });

  it('is text whatever an accessory sent', () => {
    for (const text of [
      ...hostileTexts,
      '</script><script>alert(1)</script>',
      '"><img src=x onerror=alert(1)>',
    ]) {
      const page = html(reportFullOf(text));
      const tags = new Set([...page.matchAll(/<([a-z!/][\w-]*)/gi)].map(([, name]) => name!.toLowerCase()));
      expect([...tags]).to.not.include.members(['img']);
      expect(page.match(/<script/g)).to.have.length(1);

      expect(page).to.not.match(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202e]/);
      expect(matrixHtml([{ name: text, report: reportFullOf(text) }]).match(/<script/g)).to.have.length(1);
    }
  });

  it('has a row for each requirement of a matrix, the worst of its checks in each column', () => {
    const good = report({ results: report().results.map((one) => ({ ...one, status: 'pass' as const })) });
    const page = matrixHtml([
      { name: 'old', report: report() },
      { name: 'new', report: good },
    ]);
    expect(page)
      .to.match(/data-cells="fail pass"/)
      .and.match(/data-cells="warn pass"/);
    expect(page).to.include('>old<').and.include('>new<');
  });
});
