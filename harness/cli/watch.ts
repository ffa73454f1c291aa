import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { suite } from '../../suites/index.js';
import { InputError } from '../protocol/index.js';
import { asConfig } from './config.js';
import { isGone, onHangUp } from './guard.js';
import type { RunFlags } from './run.js';

const hapspec = fileURLToPath(new URL('../../../bin/hapspec.js', import.meta.url));

/** How often files are looked at, and how long they have to stay as they are before a run begins (ms). */
const LOOK_EVERY = 250;
const SETTLED = 600;

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

/** Changes when the file is written or replaced. */
function stateOf(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat?.isFile() ? `${stat.ino} ${stat.size} ${stat.mtimeMs}` : '';
}

const programs = new Set('.js .mjs .cjs .ts .py .rb .pl .sh .jar .wasm .elf .exe .dll .so'.split(' '));

/** What is built, other than what an accessory may write: its state, a log, the flash of an emulated one. */
function isProgram(path: string): boolean {
  const stat = statSync(path, { throwIfNoEntry: false });
  return programs.has(extname(path).toLowerCase()) || ((stat?.mode ?? 0) & 0o111) !== 0;
}

/** The files that a command names: what is run, and a script or an image it is given. */
export function filesOf(command: string): readonly string[] {
  const words = command.match(/"[^"]*"|'[^']*'|[^\s"';|&<>()]+/g) ?? [];
  const paths = words.map((word) => word.replace(/^(["'])(.*)\1$/, '$2')).filter((word) => /[./]/.test(word));
  return [...new Set(paths.map((path) => resolve(path)))].filter(isFile);
}

interface Once {
  readonly code: number;
  /** Ids of what is red. */
  readonly red: readonly string[];
  /** Of what the run drew from; undefined for one that told nothing. */
  readonly seed: string | undefined;
}

function seedOf(json: string): string | undefined {
  try {
    const { seed } = JSON.parse(readFileSync(json, 'utf8')) as { readonly seed?: unknown };
    return typeof seed === 'string' || typeof seed === 'number' ? String(seed) : undefined;
  } catch {
    return undefined;
  }
}

/** What has to run again behind a run: what was red in it, or else all. */
export function redOf(json: string): readonly string[] {
  try {
    const { results = [], strict = false } = JSON.parse(readFileSync(json, 'utf8')) as {
      readonly strict?: boolean;
      readonly results?: readonly { readonly id: string; readonly status: string }[];
    };
    const red = new Set(['fail', 'error', ...(strict ? ['warn'] : [])]);
    // Not all that can be red is a check that can be asked for alone: the closing flow is none.
    const known = new Set(suite.map(({ id }) => id));
    return results.filter(({ id, status }) => red.has(status) && known.has(id)).map(({ id }) => id);
  } catch {
    return [];
  }
}

/** Milliseconds that a signal cuts short. */
class Pauses {
  private wake: () => void = () => undefined;
  over = false;

  async pause(milliseconds: number): Promise<void> {
    if (this.over) return;
    await new Promise<void>((done) => {
      const timer = setTimeout(done, milliseconds);
      this.wake = () => {
        clearTimeout(timer);
        done();
      };
    });
  }

  end(): void {
    this.over = true;
    this.wake();
  }
}

/** Until a file is another one than before, is there, and stays as it is: a compiler writes it in pieces. */
async function change(before: ReadonlyMap<string, string>, pauses: Pauses): Promise<void> {
  const now = (): string => [...before.keys()].map(stateOf).join();
  const then = [...before.values()].join();
  while (!pauses.over && now() === then) await pauses.pause(LOOK_EVERY);
  for (let last: string | undefined; !pauses.over;) {
    const states = now();
    if (states === last && [...before.keys()].every(isFile)) return;
    last = states;
    await pauses.pause(SETTLED);
  }
}

/**
 * `hapspec run --watch`: a run, and another one each time a file of the accessory changes: of what was red, or of everything
 * when nothing was. Each run ends by itself with the accessory as it was found. Ends on a signal, and when nobody reads on.
 * @returns the exit code of the last run that came to its end.
 * @throws InputError when there is nothing to watch.
 */
export async function watchCommand(target: string, flags: RunFlags): Promise<number> {
  const { watch: _on, watchPath = [], code, ...options } = flags;
  void _on;
  for (const [key, option] of [
    ['replay', '--replay'],
    ['writeExpectations', '--write-expectations'],
    ['dryRun', '--dry-run'],
  ] as const)
    if (flags[key] !== undefined) throw new InputError(`${option}: that is done once: leave --watch out`);
  const missing = watchPath.find((path) => !isFile(path));
  if (missing !== undefined) throw new InputError(`--watch-path ${missing}: there is no such file`);
  const wanted = new Set(watchPath.map((path) => resolve(path)));
  const paths = new Set([...wanted, ...filesOf(flags.launch ?? '')]);
  if (paths.size === 0)
    throw new InputError(
      '--watch: which file? --launch names none that is there: give --watch-path FILE, such as the image that is flashed',
    );
  const folder = mkdtempSync(join(tmpdir(), 'hapspec-watch-'));
  const [config, report] = [join(folder, 'config.json'), flags.json ?? join(folder, 'report.json')];
  const pauses = new Pauses();
  let child: ChildProcess | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    child?.kill(signal);
    pauses.end();
  };
  const signals = ['SIGINT', 'SIGTERM'] as const;
  for (const signal of signals) process.on(signal, onSignal);
  const stayHungUp = onHangUp(() => onSignal('SIGTERM'));
  const onBrokenPipe = (error: NodeJS.ErrnoException): void => {
    if (isGone(error)) onSignal('SIGTERM');
  };
  process.stdout.on('error', onBrokenPipe);

  const once = async (only: readonly string[], seed: string | undefined): Promise<Once> => {
    rmSync(report, { force: true });
    const { shard, ...all } = options;
    const { config: values, args } = asConfig({
      // What a draw of values showed is looked for with the same ones.
      ...(only.length > 0 && seed !== undefined && { seed }),
      ...all,
      json: report,
      // What was red in this shard is in it; shared out once more, some of it would not be.
      ...(only.length > 0 ? { only } : shard !== undefined && { shard }),
    });
    writeFileSync(config, JSON.stringify(values), { mode: 0o600 });
    // A group of its own: a signal to this process is passed on, once.
    child = spawn(process.execPath, [hapspec, 'run', target, '--config', config, ...args], {
      detached: true,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, ...(code !== undefined && { HAPSPEC_CODE: code }) },
    });
    const status = await new Promise<number | null>((done) => child!.once('close', done));
    child = undefined;
    // One that a signal meets before it listens has not begun.
    return { code: status ?? (pauses.over ? 5 : 4), red: redOf(report), seed: seedOf(report) };
  };
  /** What the accessory has written itself is no build of it: or every run would be followed by another. */
  const leaveOut = (before: ReadonlyMap<string, string>): void => {
    for (const [path, state] of before) {
      if (wanted.has(path) || isProgram(path) || stateOf(path) === state) continue;
      paths.delete(path);
      const name = relative('', path);
      console.log(
        `\n${name} was written while the accessory ran, and is not watched: --watch-path '${name}' does it all the same`,
      );
    }
    if (paths.size === 0)
      throw new InputError(
        '--watch: --launch names no file that the accessory does not write itself: give --watch-path FILE',
      );
  };

  try {
    let only: readonly string[] = [];
    let seed: string | undefined;
    for (;;) {
      const before = new Map([...paths].map((path) => [path, stateOf(path)]));
      const { code: ended, ...told } = await once(only, seed);
      // 2: it will not get better by another build.
      if (pauses.over || ended === 2) return ended;
      // An accessory may write its state when it is ended.
      await pauses.pause(LOOK_EVERY);
      leaveOut(before);
      // 3: a build that does not start tells nothing, and what was red stays so.
      if (ended !== 3) ({ red: only, seed } = told);
      const next =
        only.length === 0
          ? 'everything runs'
          : only.length === 1
            ? `${only[0]!} runs`
            : `${only.length} checks run`;
      console.log(`\nwatching ${[...paths].join(', ')}: ${next} again when it changes (Ctrl-C ends)`);
      await change(new Map([...before].filter(([path]) => paths.has(path))), pauses);
      if (pauses.over) return ended;
    }
  } finally {
    for (const signal of signals) process.off(signal, onSignal);
    stayHungUp();
    process.stdout.off('error', onBrokenPipe);
    rmSync(folder, { recursive: true, force: true });
  }
}
