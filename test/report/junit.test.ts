import type { Element } from '@xmldom/xmldom';
import { expect } from 'chai';
import fc from 'fast-check';
import { failureText, junit } from '../../harness/report/index.js';
import type { RunReport } from '../../harness/runner/result.js';
import { diagnosis, hostileTexts, report, reportFullOf, result } from './sample.js';
import { elements, illegalInXml, parseStrictly, propertiesOf } from './xml.js';

function parse(run: RunReport): { root: Element; suites: Element[]; cases: Element[] } {
  const document = parseStrictly(junit(run));
  const root = document.documentElement!;
  return { root, suites: elements(root, 'testsuite'), cases: elements(root, 'testcase') };
}

function caseOf(run: RunReport, id: string): Element {
  const found = parse(run).cases.find((element) => element.getAttribute('name')?.startsWith(`${id} `));
  if (found === undefined) throw new Error(`no testcase ${id}`);
  return found;
}

function attributes(element: Element | undefined): Record<string, string> {
  return Object.fromEntries([...(element?.attributes ?? [])].map(({ name, value }) => [name, value]));
}

function expectTrueCounters(element: Element): void {
  const cases = elements(element, 'testcase');
  const withChild = (name: string): number =>
    cases.filter((testcase) => elements(testcase, name).length > 0).length;
  const { tests, failures, errors, skipped } = attributes(element);
  expect({ tests, failures, errors, skipped }).to.deep.equal({
    tests: String(cases.length),
    failures: String(withChild('failure')),
    errors: String(withChild('error')),
    skipped: String(withChild('skipped')),
  });
}

describe('JUnit', () => {
  it('has one flat suite for each area, with what the readers use', () => {
    const { root, suites } = parse(report());
    expect(attributes(root)).to.deep.equal({
      name: 'hapspec',
      tests: '6',
      failures: '1',
      errors: '1',
      skipped: '1',
      time: '0.075',
      timestamp: '2026-11-03T10:00:00Z',
    });
    expect(suites.map((suite) => suite.getAttribute('name'))).to.deep.equal([
      'hapspec.pair-setup',
      'hapspec.pair-verify',
    ]);
    expect(attributes(suites[0])).to.deep.equal({
      name: 'hapspec.pair-setup',
      tests: '4',
      failures: '1',
      errors: '0',
      skipped: '0',
      time: '0.050',
      hostname: 'embedded',
      timestamp: '2026-11-03T10:00:00Z',
    });
    expect(propertiesOf(suites[0]!)).to.deep.equal({
      target: 'embedded',
      seed: '7',
      version: '0.1.0',
      'price.m2': '4',
      'price.m4': '2',
      'price.m6': '0',
      'price.verifies': '0',
      'price.attempts': '1',
      'price.resets': '0',
      'price.wallMs': '1234',
      'price.accessoryMs': '900',
      exit: '1: at least one check failed',
    });
    for (const suite of suites) expect(suite.parentNode).to.equal(root);
  });

  it('names a case by chapter, id and title', () => {
    expect(attributes(caseOf(report(), 'PS-M3-04'))).to.deep.equal({
      classname: 'hapspec.pair-setup.m3-m4',
      name: 'PS-M3-04 Wrong setup code',
      file: 'suites/pair-setup/m3-m4.ts',
      time: '0.013',
    });
  });

  it('shows a pass as nothing but properties', () => {
    const passed = caseOf(report(), 'PS-M1-01');
    expect(propertiesOf(passed)).to.deep.equal({
      requirement: 'PS-M1-01',
      level: 'MUST',
      status: 'pass',
      source: '002 §2.4',
    });
    expect([...passed.childNodes].filter(({ nodeType }) => nodeType === 1)).to.have.length(1);
    expect(propertiesOf(caseOf(report(), 'PS-M1-06'))).to.include({
      reason: 'observed',
      'observed.flags': 'absent',
    });
  });

  it('shows a fail with headline and text', () => {
    const run = report();
    const [failed, ...others] = elements(caseOf(run, 'PS-M3-04'), 'failure');
    expect(others).to.have.length(0);
    const headline = 'PS-M3-04 Wrong setup code [MUST]: M4 carries a Proof';
    expect(attributes(failed)).to.deep.equal({ type: 'forbidden', message: headline });
    expect(failed?.textContent).to.equal(failureText(run.results[2]!, run));
    expect(failed?.textContent?.split('\n')[0]).to.equal(headline);
  });

  it('says of each failure that a cause explains which it is, first of all', () => {
    const run = report({ diagnosis });
    const failed = caseOf(run, 'PS-M3-04');
    expect(propertiesOf(failed)).to.include({ cause: 'accepts-any-proof', 'cause.confidence': '0.96' });
    expect(elements(failed, 'failure')[0]?.textContent).to.equal(
      `cause, 96 % sure: proof received, never compared (accepts-any-proof)\n${failureText(run.results[2]!, run)}`,
    );
    expect(propertiesOf(caseOf(run, 'PV-M3-01'))).to.not.have.property('cause');
    expect(propertiesOf(parse(run).suites[0]!)).to.include({
      diagnosis: '2 failures, 1 cause, 1 unexplained',
    });
    // The same result under another diagnosis is written anew.
    expect(propertiesOf(caseOf(report({ results: run.results }), 'PS-M3-04'))).to.not.have.property('cause');
  });

  it('lets a warning pass, its message first in system-out', () => {
    const warned = caseOf(report(), 'PS-M3-06/0-bytes');
    expect(elements(warned, 'failure')).to.have.length(0);
    expect(propertiesOf(warned)).to.include({ status: 'warn', reason: 'tolerated' });
    const out = elements(warned, 'system-out')[0]?.textContent ?? '';
    expect(out.split('\n')[0]).to.equal('closed instead of an error');
    expect(out).to.contain('seen: close');
  });

  it('makes a warning a failure under --strict', () => {
    const strict = report({ strict: true });
    const warned = caseOf(strict, 'PS-M3-06/0-bytes');
    expect(attributes(elements(warned, 'failure')[0]).type).to.equal('tolerated');
    expect(propertiesOf(warned)).to.include({ status: 'warn' });
    expect(elements(warned, 'system-out')).to.have.length(0);
    const { root, suites } = parse(strict);
    expect(root.getAttribute('failures')).to.equal('2');
    [root, ...suites].forEach(expectTrueCounters);
  });

  it('shows skip and error with their reasons', () => {
    expect(attributes(elements(caseOf(report(), 'PV-M1-01'), 'skipped')[0])).to.deep.equal({
      message: 'dependency: needs PS-M5-01',
    });
    expect(attributes(elements(caseOf(report(), 'PV-M3-01'), 'error')[0])).to.deep.equal({
      type: 'setup',
      message: 'PV-M3-01 Pair Verify ends [MUST]: could not pair',
    });
  });

  it('skips what did not run, and says once, as an error, that the run is not complete', () => {
    const missing = ['A', 'B', 'C'].map((id) =>
      result({ id, status: 'error', reason: 'not-run', message: 'not run: the run was interrupted' }),
    );
    const run = report({ results: [result(), ...missing] });
    const { root, cases } = parse(run);
    expect(elements(caseOf(run, 'B'), 'skipped')).to.have.length(1);
    expect(cases.filter((one) => elements(one, 'error').length > 0)).to.have.length(1);
    const complete = caseOf(run, 'run/complete');
    expect(elements(complete, 'error')[0]!.getAttribute('message')).to.equal(
      '3 of 4 did not run: not run: the run was interrupted',
    );
    expectTrueCounters(root);
    for (const suite of parse(run).suites) expectTrueCounters(suite);
    expect(parse(report({ results: [result()] })).cases).to.have.length(1);
  });

  it('writes a result anew where the report around it differs', () => {
    const results = [result({ status: 'warn', reason: 'should', message: 'a close', failure: undefined })];
    const lax = junit(report({ results }));
    expect(junit(report({ results, strict: true })))
      .to.include('<failure')
      .and.to.not.equal(lax);
    expect(junit(report({ results }))).to.equal(lax);
  });

  it('names the file of a check where the reader has it, and none where not', () => {
    const results = [result(), result({ id: 'X-01', file: 'suites/not/here.ts' })];
    const text = junit(report({ results }));
    expect(text).to.include('file="suites/pair-setup/m1-m2.ts"').and.to.not.include('not/here.ts');
  });

  it('counts what it contains', () => {
    const { root, suites } = parse(report());
    [root, ...suites].forEach(expectTrueCounters);
  });

  it('keeps (classname, name) unique also when results do not', () => {
    const { cases } = parse(report({ results: [result(), result(), result()] }));
    expect(cases.map((element) => element.getAttribute('name'))).to.deep.equal([
      'PS-M1-01 M1 is answered with salt and public key',
      'PS-M1-01 M1 is answered with salt and public key (2)',
      'PS-M1-01 M1 is answered with salt and public key (3)',
    ]);
  });

  it('writes a document for a run without results', () => {
    const { root, suites } = parse(report({ results: [] }));
    expect(root.getAttribute('tests')).to.equal('0');
    expect(suites).to.have.length(0);
  });

  it('writes times as plain decimals, whatever the clock said', () => {
    const times = [0, 0.4, 1e21, NaN, Infinity, -5].map((durationMs, i) =>
      result({ id: `X-${i}`, durationMs }),
    );
    const { cases } = parse(report({ results: times }));
    expect(cases.map((element) => element.getAttribute('time'))).to.deep.equal([
      '0.000',
      '0.000',
      '1000000000000000000.000',
      '0.000',
      '0.000',
      '0.000',
    ]);
  });

  it('escapes line ends in attributes and markup everywhere', () => {
    const xml = junit(report({ results: [result({ title: 'a < b & "c" \'d\' ]]> e' })] }));
    expect(xml).to.contain('name="PS-M1-01 a &lt; b &amp; &quot;c&quot; &apos;d&apos; ]]&gt; e"');
    expect(xml).to.not.contain('<![CDATA[');
    expect(parse(report({ results: [result({ title: ']]>' })] })).cases).to.have.length(1);
  });

  for (const strict of [false, true])
    it(`stays well-formed with hostile text in every field${strict ? ', strict' : ''}`, () => {
      for (const hostile of hostileTexts) {
        const run = reportFullOf(hostile, strict);
        const xml = junit(run);
        expect(xml).to.not.match(illegalInXml);
        const { root, suites, cases } = parse(run);
        expect(cases).to.have.length(run.results.length);
        [root, ...suites].forEach(expectTrueCounters);
        const names = cases.map((element) =>
          [element.getAttribute('classname'), element.getAttribute('name')].join('\n'),
        );
        expect(new Set(names).size).to.equal(names.length);
      }
    });

  it('parses back for any text in any field', () => {
    const units = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)) }),
      fc.string({ unit: fc.constantFrom(...'<>&"\';#x0]![-?/ \n\r\t\u001b') }),
    );
    fc.assert(
      fc.property(units, fc.boolean(), (text, strict) => {
        const { root, suites, cases } = parse(reportFullOf(text, strict));
        expect(cases).to.have.length(6);
        [root, ...suites].forEach(expectTrueCounters);
      }),
    );
  });
});
