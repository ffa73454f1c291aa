import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { openState } from '../../harness/device/index.js';
import { hapspec, start } from '../cli/process.js';
import { Folder, kept, pairable, runHere } from './tools.js';

/** The plain flow as a process of its own, which kills itself where it is told to. */
export const flow = fileURLToPath(new URL('plain-flow.js', import.meta.url));

/** A moment to kill at: before or after a write to the accessory. */
export interface Moment {
  readonly write: number;
  readonly when: 'before' | 'after';
  /** What was being sent. */
  readonly line: string;
}

export const folder = new Folder();

/** An undisturbed flow: the moments it offers, and how long it takes. */
export async function measure(target: string): Promise<{ moments: Moment[]; ms: number }> {
  const { stdout, stderr } = await start(flow, [target, folder.fresh()]).ended;
  const [, code, ms] = /^ended (\d) in (\d+) ms$/m.exec(stdout) ?? [];
  expect(code, `the flow itself\n${stdout}${stderr}`).to.equal('0');
  const moments = [...stdout.matchAll(/^write (\d+) (.*)$/gm)].flatMap(([, write, line]) =>
    (['before', 'after'] as const).map((when) => ({ write: Number(write), when, line: line! })),
  );
  return { moments, ms: Number(ms) };
}

export async function killAt(target: string, state: string, { write, when, line }: Moment): Promise<void> {
  const { signal, stderr } = await start(flow, [target, state], {
    KILL_AT: String(write),
    KILL_WHEN: when,
  }).ended;
  expect(signal, `${when} write ${write} (${line})\n${stderr}`).to.equal('SIGKILL');
}

/** What a user does next: another run, or the command made for it; `here` is a run in this process. */
export type Rescue = 'run' | 'unpair' | 'here';

async function nextRun(target: string, state: string, how: Rescue): Promise<{ code: number | null }> {
  if (how === 'here') {
    const { report } = await runHere(target, { state, timeout: 3_000, only: ['PS-M1-01'] });
    return { code: report.exit.code };
  }
  const common = [target, '--state', state, '--timeout', '3000'];
  return hapspec(how === 'unpair' ? ['unpair', ...common] : ['run', ...common, '--only', 'PS-M1-01']);
}

/** The next run ends well, the accessory is anybody's again, and nothing of it is kept. */
export async function expectRescued(port: number, state: string, how: Rescue, at: string): Promise<void> {
  const target = `127.0.0.1:${port}`;
  expect(await nextRun(target, state, how), `hapspec ${how} after ${at}`).to.include({ code: 0 });
  expect(await pairable(port), `pairable after ${at}`).to.equal(true);
  expect(openState(state, target).identities(), `keys after ${at}`).to.deep.equal([]);
  expect(
    kept(state).filter((name) => !name.endsWith('.ledger.json')),
    `files after ${at}`,
  ).to.deep.equal([]);
  expect(existsSync(join(state, '.gitignore')), `keys hidden from git after ${at}`).to.equal(true);
}

const shorten = (line: string): string =>
  line.replace(/ (PublicKey|Identifier|EncryptedData|Proof)\[\d+\]=\S+/g, ' $1').slice(0, 100);

export function list(title: string, moments: readonly (Moment & { readonly left: string })[]): void {
  const lines = moments
    .toSorted((a, b) => a.write - b.write || b.when.localeCompare(a.when))
    .map(({ write, when, line, left }) => `  ${when.padEnd(6)} write ${write}, ${left}: ${shorten(line)}`);
  console.log([`${title}: killed at ${moments.length} moments, each rescued`, ...lines].join('\n'));
}
