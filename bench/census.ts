import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { matrixHtml } from '../harness/report/html/matrix.js';
import { readReport } from '../harness/report/index.js';
import { cli, peer } from './processes.js';

/** Published versions of one real stack, oldest first; the package has changed its name between them. */
const versions: readonly (readonly [name: string, version: string])[] = [
  ['hap-nodejs', '0.11.2'],
  ['hap-nodejs', '1.1.0'],
  ['@homebridge/hap-nodejs', '2.0.2'],
  ['@homebridge/hap-nodejs', '2.2.3'],
];

const CODE = '031-45-154';
const examples = fileURLToPath(new URL('../../reports/example/', import.meta.url));
/** Ids of which nothing is claimed, by package and by one version of it. */
const notRun = JSON.parse(
  readFileSync(new URL('../../test/peers/not-run.json', import.meta.url), 'utf8'),
) as Record<string, readonly string[]>;

/** The report of one version: installed in a folder of its own, run on loopback, judged with the default plan. */
async function reportOf(name: string, version: string, folder: string): Promise<string> {
  const home = join(folder, version);
  mkdirSync(home);
  writeFileSync(join(home, 'package.json'), '{"private": true}');
  const installed = spawnSync(
    'npm',
    ['install', '--no-audit', '--no-fund', '--ignore-scripts', `${name}@${version}`],
    { cwd: home, encoding: 'utf8' },
  );
  if (installed.status !== 0) throw new Error(`npm install ${name}@${version}: ${installed.stderr}`);
  process.env['HAPSPEC_PEER_PACKAGE'] = name;
  process.env['HAPSPEC_PEER_FROM'] = join(home, 'from.js');
  const accessory = await peer(CODE, join(home, 'storage'));
  const path = join(home, 'report.json');
  try {
    const skips = [...notRun['@homebridge/hap-nodejs']!, ...(notRun[`${name}@${version}`] ?? [])].flatMap(
      (id) => ['--skip', id],
    );
    const options = ['--code', CODE, '--seed', '1', '--timeout', '3000', '--state', join(home, 'state')];
    const args = ['run', `127.0.0.1:${accessory.port}`, ...options, ...skips, '--json', path];
    const run = spawn(process.execPath, [cli, ...args], { stdio: 'ignore' });
    const code = await new Promise((resolve) => run.once('close', resolve));
    console.log(`${name} ${version}: exit ${String(code)}`);
  } finally {
    accessory.end();
  }
  return path;
}

/**
 * `npm run bench census`: what the suite says of published versions of a real stack, as a matrix of requirements
 * (`reports/example/census.html`), and the reports of two of them.
 */
export async function census(): Promise<Record<string, number>> {
  const folder = mkdtempSync(join(tmpdir(), 'hapspec-census-'));
  try {
    const columns = [];
    for (const [name, version] of versions) {
      const path = await reportOf(name, version, folder);
      // Where counterexamples went is nobody's business.
      const content = readFileSync(path, 'utf8').replaceAll(join(folder, version, 'state'), '.hapspec');
      columns.push({ name: version, report: readReport(content, path) });
      if (['1.1.0', '2.0.2'].includes(version))
        writeFileSync(join(examples, `hap-nodejs-${version}.json`), content);
    }
    writeFileSync(join(examples, 'census.html'), matrixHtml(columns));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return {};
}
