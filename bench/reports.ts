import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';
import { html } from '../harness/report/html/page.js';
import { json, junit, redactor, reportRedactor } from '../harness/report/index.js';
import type { CheckResult, RunReport } from '../harness/runner/index.js';
import type { Contender } from './measure.js';

const RESULTS = 1000;

/** A report of a thousand results, every tenth a failure with an exchange to show. */
function sample(): RunReport {
  const results = Array.from({ length: RESULTS }, (_, i): CheckResult => {
    const failed = i % 10 === 0;
    return {
      id: `BENCH-${i}`,
      requirement: `BENCH-${i}`,
      title: 'A result of the benchmark',
      level: 'MUST',
      chapter: `bench.part-${i % 20}`,
      file: 'bench/reports.ts',
      source: 'none',
      kind: 'check',
      status: failed ? 'fail' : 'pass',
      reason: failed ? 'must' : undefined,
      message: failed ? 'HTTP 200: State=4 Error=2(Authentication)' : '',
      failure: failed
        ? {
            requirement: 'State=4 and nothing else. Why: it is the benchmark.',
            allowed: ['HTTP 200, State=4', 'tolerated: a close'],
            seen: 'HTTP 200: State=4 Error=2(Authentication)',
            exchange: Array.from(
              { length: 24 },
              (_line, n) => `#1 → POST /pair-setup  State=${n} ${'a7'.repeat(60)}`,
            ),
            steps: Array.from({ length: 8 }, (_step, n) => ({
              at: 40 * n,
              connection: 1,
              kind: n % 2 === 0 ? ('sent' as const) : ('received' as const),
              line: `200  State=${n} PublicKey[384]=20e51665…3a4a`,
              items: [{ name: 'PublicKey', length: 384, value: 'a7'.repeat(384) }],
            })),
            reproduce: `npx hapspec run embedded --only 'BENCH-${i}' --seed 1`,
          }
        : undefined,
      observations: { seen: String(i) },
      startedAt: '2026-01-01T00:00:00.000Z',
      durationMs: i,
    };
  });
  return {
    tool: { name: 'hapspec', version: '0' },
    target: 'embedded',
    accessory: { profile: 'hap' },
    seed: '1',
    strict: false,
    command: 'hapspec run embedded',
    startedAt: '2026-01-01T00:00:00.000Z',
    results,
    price: { m2: 1, m4: 1, m6: 1, verifies: 1, attempts: 0, resets: 0, wallMs: 1, accessoryMs: 1 },
    timing: {},
    aftermath: { clean: true, message: 'as it was found' },
    exit: { code: 1, meaning: '100 checks failed' },
  };
}

/** A thousand results that come one after the other, the reports written whenever fifty more are there. */
export function reports(): Contender {
  const keys = Array.from({ length: 500 }, (_, i) => new Uint8Array(32).fill(i % 251));
  return {
    name: `${RESULTS} results, JUnit and JSON written 20 times`,
    run() {
      const report = sample();
      const redacted = reportRedactor(redactor(['031-45-154'], keys));
      let bytes = 0;
      for (let count = 50; count <= RESULTS; count += 50) {
        const clean = redacted({ ...report, results: report.results.slice(0, count) });
        bytes += junit(clean).length + json(clean).length;
      }
      return bytes;
    },
  };
}

/** The same as a page, and how it opens in Chromium where there is one. */
export function page(): Contender & { readonly bytes: number; open(): Promise<number | undefined> } {
  const report = sample();
  const content = html(report);
  return {
    name: `${RESULTS} results as a page`,
    bytes: content.length,
    run: () => html(report).length,
    /** Milliseconds until it is there and filtered. */
    async open() {
      const executablePath = '/usr/bin/chromium';
      if (!existsSync(executablePath)) return undefined;
      const folder = mkdtempSync(join(tmpdir(), 'hapspec-bench-'));
      const path = join(folder, 'report.html');
      writeFileSync(path, content);
      const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
      try {
        const tab = await browser.newPage();
        await tab.goto('about:blank');
        const start = performance.now();
        await tab.goto(pathToFileURL(path).href);
        return performance.now() - start;
      } finally {
        await browser.close();
        rmSync(folder, { recursive: true, force: true });
      }
    },
  };
}
