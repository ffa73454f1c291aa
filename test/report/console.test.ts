import { Writable } from 'node:stream';
import { expect } from 'chai';
import { consoleReporter } from '../../harness/report/index.js';
import { folded } from '../../harness/report/text.js';
import type { CheckResult, RunReport } from '../../harness/runner/result.js';
import { diagnosis, hostileTexts, report, reportFullOf, result } from './sample.js';

class Screen extends Writable {
  text = '';
  constructor(
    readonly isTTY: boolean,
    readonly columns = 60,
  ) {
    super({ decodeStrings: false });
  }
  override _write(chunk: string, _encoding: string, done: () => void): void {
    this.text += chunk;
    done();
  }
}

function show(run: RunReport, { terminal = false, colours = false, verbose = false } = {}): string {
  const screen = new Screen(terminal);
  const observer = consoleReporter({ stream: screen, colours, verbose });
  observer.started?.(run.results.length, run);
  run.results.forEach((one, index) => {
    observer.checking?.(one, index);
    observer.checked?.(one, () => run);
  });
  observer.ended?.(run);
  return screen.text;
}

/** What stays on the screen: a rewritten line keeps only what was written last. */
function visible(output: string): string[] {
  return output.split('\n').map((line) => line.slice(line.lastIndexOf('\u001b[2K') + 1).replace(/^\[2K/, ''));
}

describe('console', () => {
  it('says on a terminal how long the rest takes, once it can tell, by what checks ask of the accessory', () => {
    const screen = new Screen(true);
    let now = 0;
    const observer = consoleReporter({ stream: screen, colours: false, now: () => now });
    const checks = Array.from({ length: 20 }, (_, i) => result({ id: `PS-M1-${i + 10}`, message: '' }));
    // The second ten take nine times as long as the first.
    const durations = new Map(checks.map(({ id }, i) => [id, { work: i < 10 ? 1 : 9, waits: 0 }]));
    observer.started?.(20, { ...report(), durations: () => durations });
    // Until the accessory is there: that is no pace.
    now += 600_000;
    const said: string[] = [];
    for (const [i, check] of checks.entries()) {
      screen.text = '';
      observer.checking?.(check, i);
      said.push(visible(screen.text).join(''));
      now += i < 10 ? 2_000 : 18_000;
      observer.checked?.(check, () => report());
    }
    expect(said.slice(0, 5).join()).to.not.include('left');
    expect(said[5]).to.match(/^\[6\/20\] about 3 min left: PS-M1-15/);
    expect(said[10]).to.include('about 3 min left');
    expect(said[19]).to.include('about 20 s left');
  });

  it('counts what is waited at any pace apart, and says nothing before a part of the work is done', () => {
    const screen = new Screen(true);
    let now = 0;
    const observer = consoleReporter({ stream: screen, colours: false, now: () => now });
    // A quick accessory, at a tenth of what a slow one takes; the last check waits for three minutes.
    const checks = Array.from({ length: 20 }, (_, i) => result({ id: `PS-M1-${i + 10}`, message: '' }));
    const durations = new Map(
      checks.map(({ id }, i) => [id, { work: i < 10 ? 1 : 100, waits: i === 19 ? 180 : 0 }]),
    );
    observer.started?.(20, { ...report(), durations: () => durations });
    const said: string[] = [];
    for (const [i, check] of checks.entries()) {
      screen.text = '';
      observer.checking?.(check, i);
      said.push(visible(screen.text).join(''));
      now += i < 10 ? 600 : i < 19 ? 10_000 : 180_000;
      observer.checked?.(check, () => report());
    }
    expect(said.slice(0, 11).join()).to.not.include('left');
    expect(said[11]).to.include('about 5 min left');
    expect(said[19]).to.include('about 3 min left');
    // The plan of an accessory that turns out to be quick grows.
    durations.set('PS-M3-04', { work: 1_000, waits: 0 });
    screen.text = '';
    observer.checking?.(result({ id: 'PS-M3-04', message: '' }), 20);
    expect(visible(screen.text).join('')).to.match(/about 2 min left: PS-M3-04/);
  });

  it('fits a terminal: lines are broken at blanks, what follows stands deeper, commands stay whole', () => {
    const lines = visible(show(report(), { terminal: true }));
    for (const line of lines) if (!line.includes('npx hapspec')) expect(line.length, line).to.be.at.most(60);
    expect(folded('    - one two three', 13)).to.deep.equal(['    - one two', '          three']);
    expect(folded('\u001b[31mone two\u001b[39m', 7)).to.deep.equal(['\u001b[31mone two\u001b[39m']);
    expect(folded('  | one  (0 ms)', 8)).to.deep.equal(['  | one', '        (0', '        ms)']);
    expect(folded('x'.repeat(100), 20)).to.deep.equal(['x'.repeat(100)]);
    for (const text of hostileTexts)
      for (const line of folded(`  seen: ${text} ${text} ${text}`, 20).slice(1))
        expect(line).to.match(/^ {6}/);
  });

  it('takes a terminal that has no columns for one of 80', () => {
    const screen = new Screen(true, 0);
    const observer = consoleReporter({ stream: screen, colours: false });
    const { title, id, ...rest } = report().results[0]!;
    observer.started?.(1, report());
    observer.checking?.({ ...rest, id, title }, 0);
    expect(visible(screen.text).at(-1)).to.equal(`[1/1] ${id} ${title}`);
  });

  it('prints a line for each check, then failures, warnings, skips and a summary', () => {
    expect(show(report())).to.equal(
      `hapspec 0.1.0: embedded, seed 7, 6 planned
pair-setup.m1-m2
  ✓ pass  PS-M1-01 M1 is answered with salt and public key
  ✓ pass  PS-M1-06 Flags in M2: no Flags
pair-setup.m3-m4
  ✗ FAIL  PS-M3-04 Wrong setup code: M4 carries a Proof
  ! warn  PS-M3-06/0-bytes Proof of 0 bytes: closed instead of an error
pair-verify.m1-m2
  - skip  PV-M1-01 Pair Verify starts: needs PS-M5-01
pair-verify.m3-m4
  ? ERROR PV-M3-01 Pair Verify ends: could not pair

Failures

PS-M3-04 Wrong setup code [MUST]: M4 carries a Proof
  requirement: A wrong proof is refused, or anyone can pair.
  allowed:
    - TLV error 2 (Authentication) in state 4
  seen: M4 carries a Proof
  exchange:
    | → M3 State=3 PublicKey[384] Proof[64]
    | ← M4 State=4 Proof[64]
  reproduce: hapspec run embedded --only PS-M3-04 --seed 7 --code "$HAPSPEC_CODE"
  target: embedded, seed 7

PV-M3-01 Pair Verify ends [MUST]: could not pair
  target: embedded, seed 7

Warnings
  ! warn  PS-M3-06/0-bytes Proof of 0 bytes: closed instead of an error

Skipped
  1 dependency: needs PS-M5-01 (PV-M1-01)

2 passed, 1 warning, 1 failed, 1 skipped, 1 error
price: 4 M2, 2 M4, 0 M6, 0 verifies, 0 resets; 1 attempts; 1.2 s, of it 0.9 s waiting for the accessory
seed: 7
identity: id AA:BB:CC:DD:EE:FF
accessory: as it was found: unpaired
exit 1: at least one check failed
`,
    );
  });

  it('groups failures by cause, each with one exchange in full and the others by id', () => {
    const sample = report();
    const more = sample.results.map((one) =>
      one.id === 'PS-M3-06/0-bytes' ? { ...one, status: 'fail' as const } : one,
    );
    const [first, ...others] = diagnosis.causes;
    const causes = [{ ...first!, explains: ['PS-M3-04', 'PS-M3-06/0-bytes'] }, ...others];
    const run = report({ results: more, diagnosis: { ...diagnosis, failures: 3, causes } });
    const text = show(run);
    const [, told = ''] = /\nCauses\n([^]*?)\nSkipped/.exec(text)!;
    expect(told).to.equal(`
1. proof received, never compared (accepts-any-proof)
  explains 2 of 3, 96 % sure; more: npx hapspec explain accepts-any-proof
  or the same to all that was asked: compares-nothing
  against it: PS-M1-01 would be otherwise
  or, 3 %: a bit of the proof is not compared (proof-bits-masked)

PS-M3-04 Wrong setup code [MUST]: M4 carries a Proof
  requirement: A wrong proof is refused, or anyone can pair.
  allowed:
    - TLV error 2 (Authentication) in state 4
  seen: M4 carries a Proof
  exchange:
    | → M3 State=3 PublicKey[384] Proof[64]
    | ← M4 State=4 Proof[64]
  reproduce: hapspec run embedded --only PS-M3-04 --seed 7 --code "$HAPSPEC_CODE"
  target: embedded, seed 7

  and 1 more of it: PS-M3-06/0-bytes

next: PS-M3-06/0-bytes tells accepts-any-proof and compares-nothing apart (1 M2): npx hapspec run embedded --only 'PS-M3-06/0-bytes' --seed 7

Other failures: no known mistake explains them

PV-M3-01 Pair Verify ends [MUST]: could not pair
  target: embedded, seed 7
`);
    expect(text).to.match(/1 error\ndiagnosis: 3 failures, 1 cause, 1 unexplained\nprice/);
    const all = show(run, { verbose: true });
    expect(all).to.contain('\nPS-M3-06/0-bytes Proof of 0 bytes [MUST]: closed instead of an error\n');
    expect(all).to.not.contain('and 1 more of it');
  });

  it('says first how to recover an accessory that is not as it was found', () => {
    const text = show(report({ aftermath: { clean: false, message: 'still paired: run hapspec unpair' } }), {
      colours: true,
    });
    const summary = text.slice(text.lastIndexOf('\n\n') + 2);
    expect(summary).to.match(/^\S*accessory: still paired: run hapspec unpair/);
    expect(summary.split('\n')[0]).to.contain('\u001b[31m');
    expect(text.match(/still paired/g)).to.have.length(1);
  });

  it('groups skips and checks that did not run by reason and remedy', () => {
    const skip = (id: string, message: string) =>
      result({ id, status: 'skip', reason: 'not-bought', message });
    const results = [
      ...Array.from({ length: 12 }, (_, i) => skip(`A-${i}`, 'needs --attempts 80 or --reset')),
      skip('B', 'needs --reset'),
      result({ id: 'C', status: 'error', reason: 'not-run', message: 'interrupted' }),
      result({ id: 'D', status: 'error', reason: 'not-run', message: 'interrupted' }),
    ];
    const text = show(report({ results }));
    expect(text).to.contain(
      '  12 not-bought: needs --attempts 80 or --reset (A-0, A-1, A-2, A-3, A-4, A-5, A-6, A-7, and 4 more)\n' +
        '  1 not-bought: needs --reset (B)\n',
    );
    expect(text).to.contain('Not run\n  2 not-run: interrupted (C, D)\n');
    expect(text).to.not.contain('Failures');
  });

  it('says a cause once while the run goes on, and how many it concerns at the end', () => {
    const kept = Array.from({ length: 30 }, (_, i) =>
      result({ id: `D-${i}`, status: 'skip', reason: 'dependency', message: 'needs PS-M5-01: refused' }),
    );
    const stopped = Array.from({ length: 30 }, (_, i) =>
      result({ id: `N-${i}`, status: 'error', reason: 'not-run', message: 'not run: interrupted' }),
    );
    const text = show(report({ results: [...kept, ...stopped] }));
    const lines = text.split('\n').filter((line) => /needs PS-M5-01|not run: interrupted/.test(line));
    expect(lines).to.have.length(4);
    expect(text).to.contain('30 dependency: needs PS-M5-01: refused (D-0,');
    expect(text).to.contain('30 not-run: not run: interrupted (N-0,');
  });

  it('says a violation when the message comes that shows it, and not again when its watch is through', () => {
    const screen = new Screen(false);
    const observer = consoleReporter({ stream: screen, colours: false });
    const watch = result({ kind: 'watch', status: 'fail', reason: 'must', message: 'no Signature' });
    const run = report({ results: [watch] });
    observer.started?.(1, run);
    observer.violated?.(watch);
    expect(screen.text).to.match(/FAIL .*: no Signature\n$/);
    const shown = screen.text;
    observer.violated?.(watch);
    observer.checked?.({ ...watch, message: 'no Signature (2 of 2 messages)' }, () => run);
    expect(screen.text).to.equal(shown);
    // What is excused, or a warning, can wait.
    observer.violated?.(
      result({ id: 'X-02', kind: 'watch', status: 'warn', reason: 'should', message: 'w' }),
    );
    expect(screen.text).to.equal(shown);
  });

  it('orders failures by what stands on them and by weight, and says the weight', () => {
    const fail = (id: string, more: Partial<CheckResult> = {}): CheckResult =>
      result({ id, status: 'fail', reason: 'must', message: `${id} is red`, ...more });
    const results = [
      result({ id: 'E-01', status: 'error', reason: 'setup', message: 'could not pair' }),
      fail('V-01', { level: 'VARIES' }),
      fail('M-01'),
      fail('S-01', { level: 'SHOULD', security: true }),
      fail('B-01/x'),
      ...['D-1', 'D-2'].map((id) =>
        result({ id, status: 'skip', reason: 'dependency', message: 'needs B-01/x: B-01/x is red' }),
      ),
    ];
    const text = show(report({ results }));
    const failures = text.slice(text.indexOf('\nFailures'));
    expect(failures.match(/^[A-Z]-\d\d\S* .*\[.*\]/gm)?.map((line) => line.split(' ')[0])).to.deep.equal([
      'B-01/x',
      'S-01',
      'M-01',
      'V-01',
      'E-01',
    ]);
    expect(failures).to.include('[SHOULD, security]').and.to.include('weight: 2 checks stand on it');
  });

  it('groups warnings by what was seen, the commonest first', () => {
    const warn = (id: string, message: string): CheckResult =>
      result({ id, status: 'warn', reason: 'tolerated', message });
    const results = [
      warn('A-1', 'silence: no answer within 500 ms, connection open'),
      warn('B-1', 'closed'),
      warn('A-2', 'silence: no answer within 1500 ms, connection open'),
    ];
    const text = show(report({ results }));
    const warnings = text.slice(text.indexOf('\nWarnings')).split('\n').slice(2, 4);
    expect(warnings[0]).to.equal(
      '  ! warn  2 checks: silence: no answer within … ms, connection open (A-1, A-2)',
    );
    expect(warnings[1]).to.match(/^ {2}! warn {2}B-1 .*: closed$/);
  });

  it('counts what did not run as that, and not as errors', () => {
    const results = [
      result(),
      ...['A', 'B'].map((id) => result({ id, status: 'error', reason: 'not-run', message: 'interrupted' })),
    ];
    expect(show(report({ results }))).to.match(/^1 passed, 0 warnings, .*, 0 errors, 2 not run$/m);
  });

  it('shows warnings in full under --strict, where they decide the exit code', () => {
    const text = show(report({ strict: true }));
    expect(text).to.contain(
      'PS-M3-06/0-bytes Proof of 0 bytes [MUST]: closed instead of an error\n  requirement:',
    );
    expect(text).to.not.contain('Warnings');
  });

  it('rewrites one line on a terminal and keeps only what is red', () => {
    const text = show(report(), { terminal: true });
    expect(text).to.contain('\r\u001b[2K[3/6] PS-M3-04 Wrong setup code');
    const lines = visible(text);
    expect(lines.slice(0, 6)).to.deep.equal([
      'hapspec 0.1.0: embedded, seed 7, 6 planned',
      'pair-setup.m3-m4',
      '  ✗ FAIL  PS-M3-04 Wrong setup code: M4 carries a Proof',
      'pair-verify.m3-m4',
      '  ? ERROR PV-M3-01 Pair Verify ends: could not pair',
      '',
    ]);
    expect(lines.join('\n')).to.not.contain('[6/6]');
  });

  it('keeps the progress line within the terminal', () => {
    const text = show(report({ results: [result({ title: 'x'.repeat(200) })] }), { terminal: true });
    const line = text.slice(text.indexOf('[1/1]'), text.indexOf('\r', text.indexOf('[1/1]')));
    expect(line).to.have.length(59).and.to.match(/…$/);
  });

  it('keeps a line for every check on a terminal when verbose', () => {
    const lines = visible(show(report(), { terminal: true, verbose: true })).join('\n');
    expect(lines).to.contain('  ✓ pass  PS-M1-01').and.to.contain('  - skip  PV-M1-01');
  });

  it('colours only when asked to', () => {
    expect(show(report())).to.not.contain('\u001b');
    expect(show(report(), { colours: true })).to.contain('\u001b[31m');
  });

  it('lets nothing through that a terminal or a CI system would obey', () => {
    for (const hostile of hostileTexts)
      for (const strict of [false, true]) {
        const plain = show(reportFullOf(hostile, strict));
        expect(plain).to.not.match(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
        expect(plain).to.not.match(/\p{Cs}/u);
        expect(plain)
          .to.not.match(/^\s*::/m)
          .and.to.not.match(/##\w*\[/);
        const onTerminal = show(reportFullOf(hostile, strict), { terminal: true }).replaceAll(
          '\r\u001b[2K',
          '',
        );
        expect(onTerminal).to.not.match(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
      }
  });
});
