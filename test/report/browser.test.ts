import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect } from 'chai';
import { type Browser, type BrowserContextOptions, type Page, chromium } from 'playwright-core';
import { matrixHtml } from '../../harness/report/html/matrix.js';
import { html } from '../../harness/report/html/page.js';
import { diagnosis, failure, hostileTexts, report, reportFullOf } from './sample.js';

const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  (path) => existsSync(path),
);
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const entries = [
  { id: 'PS-M1-01', title: 'M1 is answered', area: 'PS' },
  { id: 'XX-01', title: 'Not in this run', area: 'XX' },
];
const steps = [
  { at: 0, connection: 1, kind: 'sent', line: 'POST /pair-setup  State=1' },
  {
    at: 4200,
    connection: 1,
    kind: 'received',
    line: '200  State=2 Error=6',
    items: [{ name: 'PublicKey', length: 384, value: 'ab'.repeat(384) }],
  },
  { at: 15_000, connection: 2, kind: 'silence', line: 'silence for 10000 ms, connection open' },
] as const;
const drawn = report({
  diagnosis,
  results: report().results.map((one) => (one.failure ? { ...one, failure: { ...failure, steps } } : one)),
});

/** What the page of a browser says to `script`, which is text: the types of a browser are not known here. */
async function ask<T>(page: Page, script: string): Promise<T> {
  return page.evaluate<T>(script);
}

describe('reports in a browser', function () {
  this.timeout(120_000);
  let browser: Browser;
  let folder: string;
  before(async function () {
    if (executablePath === undefined) {
      if (process.env['CI'] === 'true') throw new Error('Chromium is missing: apt-get install chromium');
      return this.skip();
    }
    folder = mkdtempSync(join(tmpdir(), 'hapspec-page-'));
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  });
  after(async () => {
    await browser?.close();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  /** Opens a page; what it says on the console and every request it makes is kept. */
  async function open(
    content: string,
    hash = '',
    options: BrowserContextOptions = {},
  ): Promise<{ page: Page; said: string[]; asked: string[] }> {
    const path = join(folder, 'report.html');
    writeFileSync(path, content);
    const page = await (await browser.newContext(options)).newPage();
    const [said, asked]: [string[], string[]] = [[], []];
    page.on('console', (message) => said.push(message.text()));
    page.on('pageerror', (error) => said.push(error.message));
    page.on('dialog', (dialog) => {
      said.push('a dialog');
      void dialog.dismiss();
    });
    // What the policy stops fails.
    page.on('requestfinished', (request) => asked.push(request.url()));
    await page.goto(pathToFileURL(path).href + hash);
    return { page, said, asked };
  }
  const visible = (page: Page): Promise<number> =>
    ask(page, `[...document.querySelectorAll('.case')].filter((one) => one.offsetParent !== null).length`);
  const at = (page: Page): Promise<string> => ask(page, `document.querySelector('.case.at')?.id ?? ''`);

  it('filter by status, chapter and text, and say how many are left', async () => {
    const { page, said, asked } = await open(html(drawn, entries));
    expect(await visible(page)).to.equal(drawn.results.length);
    await page.click('input[value=pass]');
    const without = drawn.results.filter(({ status }) => status !== 'pass').length;
    expect(await visible(page)).to.equal(without);
    expect(await page.textContent('#shown')).to.equal(`${without} of ${drawn.results.length} shown`);
    await page.keyboard.press('Escape');
    expect(await visible(page)).to.equal(drawn.results.length);
    await page.keyboard.press('/');
    await page.keyboard.type('0-bytes');
    expect(await visible(page)).to.equal(1);
    await page.click('#all');
    await page.selectOption('select[name=chapter]', 'pair-setup.m3-m4');
    expect(await visible(page)).to.equal(2);
    expect(said).to.deep.equal([]);
    expect(asked).to.have.length(1);
    await page.context().close();
  });

  it('go from failure to failure by keys, and open what the address names', async () => {
    const { page } = await open(html(drawn, entries));
    await page.keyboard.press('j');
    expect(await at(page)).to.equal('PS-M3-04');
    expect(await page.isVisible('[id="PS-M3-04"] svg')).to.equal(true);
    await page.keyboard.press('j');
    const second = await at(page);
    expect(second).to.not.equal('PS-M3-04');
    await page.keyboard.press('k');
    expect(await at(page)).to.equal('PS-M3-04');
    await page.context().close();
    const linked = await open(html(drawn, entries), '#PS-M3-06%2F0-bytes');
    expect(await linked.page.isVisible('[id="PS-M3-06/0-bytes"] .body')).to.equal(true);
    await linked.page.context().close();
    const asked = await open(html(drawn, entries), '#requirement=PS-M3-06');
    expect(await visible(asked.page)).to.equal(1);
    await asked.page.context().close();
  });

  it('do nothing that an accessory wrote', async () => {
    const texts = [
      ...hostileTexts,
      '<script>document.title="owned"</script>',
      '"><img src=x onerror="document.title=\'owned\'">',
      '</script></style><svg onload=alert(1)>',
      'javascript:alert(1)',
    ];
    for (const text of texts) {
      const { page, said, asked } = await open(html(reportFullOf(text)));
      await ask(page, `for (const details of document.querySelectorAll('details')) details.open = true`);
      expect(await page.title()).to.not.equal('owned');
      expect(said, text).to.deep.equal([]);
      expect(asked, text).to.have.length(1);
      expect(
        await ask(
          page,
          `document.querySelectorAll('img, iframe, script:not(body > script), a[href^=javascript]').length`,
        ),
      ).to.equal(0);
      await page.context().close();
    }
    // Were markup let through after all, the policy would stop it.
    const broken = html(report()).replace(
      '<main>',
      '<main><script>document.title="owned"</script><img src="https://example.invalid/x">',
    );
    const { page, asked } = await open(broken);
    expect(await page.title()).to.not.equal('owned');
    expect(asked).to.have.length(1);
    await page.context().close();
  });

  for (const scheme of ['light', 'dark'] as const)
    for (const width of [1200, 390])
      it(`can be read by everybody: axe, ${scheme}, ${width} px wide, nothing wider than the screen`, async () => {
        const sources = [
          html(drawn, entries),
          matrixHtml([
            { name: '1.0', report: report() },
            { name: '2.0', report: drawn },
          ]),
        ];
        for (const source of sources) {
          // What looks into the page from outside is not let in by its policy.
          const { page } = await open(source, '', {
            bypassCSP: true,
            colorScheme: scheme,
            viewport: { width, height: 900 },
          });
          await ask(page, `for (const details of document.querySelectorAll('details')) details.open = true`);
          await page.addScriptTag({ content: axe });
          const violations = await ask<readonly { id: string; nodes: readonly { html: string }[] }[]>(
            page,
            `axe.run().then(({ violations }) => violations)`,
          );
          expect(violations.map(({ id, nodes }) => `${id}: ${nodes[0]!.html}`)).to.deep.equal([]);
          expect(await ask<number>(page, 'document.documentElement.scrollWidth')).to.be.at.most(width);
          await page.context().close();
        }
      });

  it('filter a matrix to where two columns differ', async () => {
    const good = report({ results: report().results.map((one) => ({ ...one, status: 'pass' as const })) });
    const { page, said } = await open(
      matrixHtml([
        { name: 'a', report: report() },
        { name: 'b', report: good },
        { name: 'c', report: good },
      ]),
    );
    const rows = (): Promise<number> =>
      ask(page, `[...document.querySelectorAll('tr[data-cells]')].filter((row) => !row.hidden).length`);
    const all = await rows();
    await page.selectOption('select[name=left]', '1');
    await page.selectOption('select[name=right]', '2');
    expect(await rows()).to.equal(0);
    await page.selectOption('select[name=left]', '0');
    expect(await rows())
      .to.be.above(0)
      .and.below(all);
    expect(said).to.deep.equal([]);
    await page.context().close();
  });

  it('are printed with the failures open', async () => {
    const { page } = await open(html(drawn, entries));
    await ask(page, `dispatchEvent(new Event('beforeprint'))`);
    expect(await page.isVisible('[id="PS-M3-04"] .body')).to.equal(true);
    expect((await page.pdf()).length).to.be.above(1000);
    await page.context().close();
  });
});
