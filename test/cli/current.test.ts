import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type Child, bin, endChildren, start } from './process.js';

async function until(what: string, holds: () => boolean): Promise<void> {
  // Generous: a machine under load is slow, and only a report that is never written is wrong.
  for (let tries = 0; tries < 600; tries++) {
    if (holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${what} has not come about`);
}

describe('reports are current while a run goes on', () => {
  const folder = mkdtempSync(join(tmpdir(), 'hapspec-current-'));
  const junitFile = join(folder, 'junit.xml');
  const jsonFile = join(folder, 'report.json');
  let child: Child;

  /** The state of a check as the JSON report has it. */
  const status = (id: string): string | undefined => {
    if (!existsSync(jsonFile)) return undefined;
    const { results } = JSON.parse(readFileSync(jsonFile, 'utf8')) as {
      results: { id: string; status: string }[];
    };
    return results.find((result) => result.id === id)?.status;
  };

  beforeEach(() => {
    rmSync(junitFile, { force: true });
    rmSync(jsonFile, { force: true });
    // The second check goes on for as long as it is let.
    const only = ['--only', 'PV-M1-01', '--only', 'PS-STATE-15/flows', '--time', '1h', '--seed', '1'];
    const reports = ['--junit', junitFile, '--json', jsonFile];
    child = start(bin, ['run', 'embedded', ...only, ...reports]);
  });
  afterEach(endChildren);
  after(() => rmSync(folder, { recursive: true }));

  it('what has run is in them while the next check goes on, and a kill takes nothing of it away', async () => {
    await until('the result of PV-M1-01', () => status('PV-M1-01') === 'pass');
    expect(status('PS-STATE-15/flows')).to.equal('error');
    child.process.kill('SIGKILL');
    await child.ended;
    expect(status('PV-M1-01')).to.equal('pass');
    const xml = readFileSync(junitFile, 'utf8');
    expect(xml).to.match(/<\/testsuites>\s*$/);
    expect(xml).to.include('PV-M1-01');
  });

  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    it(`${signal} ends the run with all that was seen, exit 5`, async () => {
      await until('the result of PV-M1-01', () => status('PV-M1-01') === 'pass');
      child.process.kill(signal);
      expect((await child.ended).code).to.equal(5);
      expect(status('PV-M1-01')).to.equal('pass');
    });
});
