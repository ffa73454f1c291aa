import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { InputError, aint } from '../protocol/index.js';
import { type ConfigValues, type Member, asConfig, mergeConfig } from './config.js';
import { matrixCommand, storedReport } from './reports.js';
import type { RunFlags } from './run.js';

const hapspec = fileURLToPath(new URL('../../../bin/hapspec.js', import.meta.url));

/** Where the report of a member is unless it is told. */
const JSON_REPORT = 'reports/report.json';
const outputs = ['junit', 'json', 'html', 'summary', 'sarif', 'evidence', 'pcapng'] as const;

/** What one of several runs came to. */
interface Ended {
  readonly name: string;
  readonly code: number;
  readonly json: string;
}

/** Where a member writes: in a folder of its name, unless its own entry says where. */
function placed({ name, values: own }: Member, shared: RunFlags): RunFlags {
  const merged = mergeConfig(mergeConfig(shared as ConfigValues, own), {}) as RunFlags;
  const paths = outputs.flatMap((key) => {
    const path = own[key] ?? shared[key] ?? (key === 'json' ? JSON_REPORT : undefined);
    if (path === undefined) return [];
    return [[key, own[key] ?? join(dirname(path), name, basename(path))] as const];
  });
  return { ...merged, ...Object.fromEntries(paths) };
}

/** The first of these that an accessory came to: something is wrong with one, with the harness, or something is not known. */
function exitOf(codes: readonly number[]): number {
  if (codes.every((code) => code === 3)) return 3;
  return [2, 1, 4].find((code) => codes.includes(code)) ?? (codes.every((code) => code === 0) ? 0 : 5);
}

/** What a report says in a line, where there is one. */
function verdictOf({ code, json }: Ended): string {
  const none = code === 3 ? 'nothing answered' : 'no report';
  if (!existsSync(json)) return `exit ${code}: ${none}`;
  const { exit, diagnosis } = JSON.parse(readFileSync(json, 'utf8')) as {
    readonly exit?: { readonly meaning: string };
    readonly diagnosis?: readonly { readonly words: string; readonly insteadOf?: string }[];
  };
  const [cause] = (diagnosis ?? []).filter(({ insteadOf }) => insteadOf === undefined);
  return `exit ${code}: ${exit?.meaning ?? none}${cause === undefined ? '' : `: ${cause.words}`}`;
}

/** Runs one member as a command of its own, so that whatever becomes of it ends no other; its lines begin with its name. */
async function one(
  { name, values }: Member,
  flags: RunFlags,
  folder: string,
  running: Set<ChildProcess>,
  width: number,
): Promise<Ended> {
  const { code: setupCode, dryRun, ...options } = placed({ name, values }, flags);
  const config = join(folder, `${name}.json`);
  // The setup code goes by the environment: it is in no file, and in no list of processes.
  // How many run at once is nothing that one of them is told. What is no number is said of the option, not of that file.
  const { config: file, args: odd } = asConfig({ ...options, jobs: undefined });
  writeFileSync(config, JSON.stringify(file), { mode: 0o600 });
  const json = resolve(options.json!);
  rmSync(json, { force: true });
  const args = ['run', values.target, '--config', config, ...odd, ...(dryRun ? ['--dry-run'] : [])];
  // A group of its own: a signal to this process is passed on, once.
  const child = spawn(process.execPath, [hapspec, ...args], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...(setupCode !== undefined && { HAPSPEC_CODE: setupCode }) },
  });
  running.add(child);
  const say = (line: string, to: NodeJS.WriteStream): void =>
    // What a CI system is told has to begin its line.
    void to.write(line.startsWith('::') ? `${line}\n` : `${name.padEnd(width)} | ${line}\n`);
  createInterface(child.stdout).on('line', (line) => say(line, process.stdout));
  createInterface(child.stderr).on('line', (line) => say(line, process.stderr));
  const code = await new Promise<number>((done) =>
    // Killed: the harness has not come to its end.
    child.once('close', (status) => done(status ?? 4)),
  );
  running.delete(child);
  return { name, code, json };
}

/**
 * `hapspec run` with several `targets` in the configuration: side by side, a report each and one matrix of requirements.
 * @returns 2, 1 or 4 when one of them ended so; 3 when nobody answered; 5 when one stayed unknown; else 0
 * @throws InputError for options that are of one accessory.
 */
export async function labCommand(members: readonly Member[], flags: RunFlags): Promise<number> {
  for (const [key, option] of [
    ['replay', '--replay'],
    ['watch', '--watch'],
    ['writeExpectations', '--write-expectations'],
    ['shard', '--shard'],
    ['cloneOf', '--clone-of'],
  ] as const)
    if (flags[key] !== undefined)
      throw new InputError(
        `${option}: that is of one accessory: name it, as in "hapspec run ${members[0]!.name}"`,
      );
  const lanes = Math.min(
    aint(Number(flags.jobs ?? availableParallelism()), '--jobs', 1, 1024),
    members.length,
  );
  const folder = mkdtempSync(join(tmpdir(), 'hapspec-lab-'));
  const running = new Set<ChildProcess>();
  let interrupted = false;
  const passOn = (signal: NodeJS.Signals): void => {
    interrupted = true;
    for (const child of running) child.kill(signal);
  };
  process.on('SIGINT', passOn).on('SIGTERM', passOn);
  const ends = new Map<string, Ended>();
  const width = Math.max(...members.map(({ name }) => name.length));
  try {
    const waiting = [...members];
    await Promise.all(
      Array.from({ length: lanes }, async () => {
        for (let member = waiting.shift(); member !== undefined && !interrupted; member = waiting.shift())
          ends.set(member.name, await one(member, flags, folder, running, width));
      }),
    );
  } finally {
    process.off('SIGINT', passOn).off('SIGTERM', passOn);
    rmSync(folder, { recursive: true, force: true });
  }
  if (flags.dryRun) return exitOf([...ends.values()].map(({ code }) => code));
  console.log('');
  for (const { name } of members) {
    const end = ends.get(name);
    console.log(`${name.padEnd(width)}  ${end === undefined ? 'not run: interrupted' : verdictOf(end)}`);
  }
  const there = [...ends.values()].filter(({ json }) => existsSync(json) && storedReport(json));
  if (there.length > 0) {
    const html = join(dirname(flags.html ?? flags.json ?? JSON_REPORT), 'matrix.html');
    await matrixCommand(
      there.map(({ json }) => json),
      { html, names: there.map(({ name }) => name) },
    );
  }
  return exitOf(members.map(({ name }) => ends.get(name)?.code ?? 5));
}
