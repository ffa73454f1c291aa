import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, unwatchFile, watchFile, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InputError } from '../protocol/index.js';
import { asConfig } from './config.js';
import type { RunFlags } from './run.js';

const hapspec = fileURLToPath(new URL('../../../bin/hapspec.js', import.meta.url));

/** How often files are looked at, and how long they have to stay as they are before a run begins (ms). */
const LOOK_EVERY = 250;
const SETTLED = 600;

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
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
}

/** What has to run again behind a run: what was red in it, or else all. */
function redOf(json: string): readonly string[] {
  try {
    const { results = [] } = JSON.parse(readFileSync(json, 'utf8')) as {
      readonly results?: readonly { readonly id: string; readonly status: string }[];
    };
    return results.filter(({ status }) => status === 'fail' || status === 'error').map(({ id }) => id);
  } catch {
    return [];
  }
}

/**
 * `hapspec run --watch`: a run, and another one each time a file of the accessory changes: of what was red, or of everything
 * when nothing was. Each run ends by itself with the accessory as it was found. Ends on a signal.
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
  const paths = [...new Set([...watchPath.map((path) => resolve(path)), ...filesOf(flags.launch ?? '')])];
  if (paths.length === 0)
    throw new InputError(
      '--watch: which file? --launch names none that is there: give --watch-path FILE, such as the image that is flashed',
    );
  const folder = mkdtempSync(join(tmpdir(), 'hapspec-watch-'));
  const [config, report] = [join(folder, 'config.json'), flags.json ?? join(folder, 'report.json')];
  let child: ChildProcess | undefined;
  let over = false;
  let changed: () => void = () => undefined;
  let seen = 0;
  const onSignal = (signal: NodeJS.Signals): void => {
    over = true;
    child?.kill(signal);
    changed();
  };
  const onChange = (): void => {
    seen++;
    changed();
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  for (const path of paths) watchFile(path, { interval: LOOK_EVERY }, onChange);

  const once = async (only: readonly string[]): Promise<Once> => {
    rmSync(report, { force: true });
    const { config: values, args } = asConfig({ ...options, json: report, ...(only.length > 0 && { only }) });
    writeFileSync(config, JSON.stringify(values), { mode: 0o600 });
    // A group of its own: a signal to this process is passed on, once.
    child = spawn(process.execPath, [hapspec, 'run', target, '--config', config, ...args], {
      detached: true,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, ...(code !== undefined && { HAPSPEC_CODE: code }) },
    });
    const ended = await new Promise<number>((done) => child!.once('close', (status) => done(status ?? 4)));
    child = undefined;
    return { code: ended, red: redOf(report) };
  };
  /** Until a file has changed, is there, and stays as it is: a compiler writes it in pieces. */
  const change = async (since: number): Promise<void> => {
    while (!over && seen === since) await new Promise<void>((wake) => (changed = wake));
    for (let last = -1; !over && (last !== seen || !paths.every(isFile));) {
      last = seen;
      await new Promise((wake) => setTimeout(wake, SETTLED));
    }
  };

  try {
    let only: readonly string[] = [];
    for (;;) {
      const since = seen;
      const { code: ended, red } = await once(only);
      // 2: it will not get better by another build.
      if (over || ended === 2) return ended;
      only = red;
      const next =
        red.length === 0
          ? 'everything runs'
          : red.length === 1
            ? `${red[0]!} runs`
            : `${red.length} checks run`;
      console.log(`\nwatching ${paths.join(', ')}: ${next} again when it changes (Ctrl-C ends)`);
      await change(since);
      if (over) return ended;
    }
  } finally {
    for (const path of paths) unwatchFile(path, onChange);
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
    rmSync(folder, { recursive: true, force: true });
  }
}
