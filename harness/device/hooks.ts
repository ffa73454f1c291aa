import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

/** What a hook does: start the accessory, factory-reset it, power-cycle it; or read the code it shows. */
export type HookName = 'launch' | 'reset' | 'restart' | 'code' | 'code-command';

export interface HookResult {
  readonly ok: true;
  /** The end of what it wrote to stdout and stderr, at most 16 KiB. */
  readonly output: string;
  /** The end of what it wrote to stdout alone, at most 16 KiB. */
  readonly stdout: string;
  /** How long it took. */
  readonly ms: number;
}

export interface HookOptions {
  /** Milliseconds after which it is ended. */
  readonly deadline: number;
  /** Variables besides those of this process, `HAPSPEC_TARGET` for one. */
  readonly env?: Readonly<Record<string, string>>;
  /** What it writes is a secret: no message shows it. */
  readonly secret?: boolean;
}

/** A hook that did not do its work; the message says which, how it ended, and what it said last. */
export class HookFailed extends Error {
  override name = 'HookFailed';
  constructor(
    readonly hook: HookName,
    how: string,
    /** The end of its output, at most 16 KiB; undefined where nobody may see it. */
    readonly output: string | undefined,
  ) {
    const last = output === undefined ? undefined : lastWords(output);
    const said = last === '' ? '; it wrote nothing' : `; its last output: ${last}`;
    super(`--${hook} ${how}${last === undefined ? '' : said}`);
  }
}

/** A command that was started and stays, the accessory itself. */
export interface Launched {
  /** The end of what it has written so far, at most 16 KiB. */
  output(): string;
  /** Resolves, never rejects, when the command has ended by itself or by `stop`. */
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  readonly running: boolean;
  /** Ends the command with everything it started: asked first, forced after 3 seconds. */
  stop(): Promise<void>;
}

/** How long what is asked to end may take before it is forced (ms). */
const GRACE = 3_000;
/** The same when this process ends and cannot wait (ms). */
const EXIT_GRACE = 100;
/** How often to look whether all of a group has ended (ms). */
const POLL = 20;
/** Output of an ended command that is still on its way arrives within this (ms). */
const LAST_OUTPUT = 200;
const KEPT = 16 * 1024;

/**
 * Runs a hook to its end. What it leaves in the background is left alone: a restart may start the accessory so.
 * @throws HookFailed when it cannot be started, ends with anything but 0, or does not end within the deadline; then
 * all of it is ended first, which takes up to 3 seconds more.
 */
export async function runHook(name: HookName, command: string, options: HookOptions): Promise<HookResult> {
  const start = performance.now();
  const group = new Group(command, options.env);
  const timer = new Timer(options.deadline);
  const end = await Promise.race([group.exited, timer.over]);
  timer.clear();
  const ms = Math.round(performance.now() - start);
  const shown = (): string | undefined => (options.secret === true ? undefined : group.output());
  if (end === undefined) {
    await group.stop(GRACE);
    throw new HookFailed(name, `did not end within ${seconds(options.deadline)}`, shown());
  }
  await group.flushed();
  group.abandon();
  if (end.code === 0) return { ok: true, output: group.output(), stdout: group.stdout(), ms };
  throw new HookFailed(name, `failed: ${describeEnd(end)} after ${seconds(ms)}`, shown());
}

/** Starts a command that stays, ended at the latest when this process ends. */
export function launchHook(
  command: string,
  options: { readonly env?: Readonly<Record<string, string>> } = {},
): Launched {
  const group = new Group(command, options.env);
  return {
    output: () => group.output(),
    exited: group.exited.then(({ code, signal }) => ({ code, signal })),
    get running() {
      return group.running;
    },
    stop: () => group.stop(GRACE),
  };
}

/**
 * Asks again and again until the answer is yes, at least once. Real time: what hooks act on has no virtual clock.
 * @param deadline - milliseconds after which the answer is no, also when a question is still open then
 * @param interval - milliseconds between two questions
 * @returns whether the answer was yes; rejects when a question does.
 */
export async function waitUntil(
  check: () => Promise<boolean>,
  deadline: number,
  interval: number,
): Promise<boolean> {
  const end = performance.now() + deadline;
  const late = new Timer(Math.max(deadline, 0));
  try {
    for (;;) {
      const answer = check();
      // Asked before the deadline and refused after it: nobody waits for that any more.
      answer.catch(() => undefined);
      if (await Promise.race([answer, late.over])) return true;
      const left = end - performance.now();
      if (left <= 0) return false;
      await sleep(Math.min(interval, left));
    }
  } finally {
    late.clear();
  }
}

/** A span of real time that can be called off, so that it does not keep a finished process. */
class Timer {
  readonly over: Promise<undefined>;
  private handle: NodeJS.Timeout | undefined;

  constructor(milliseconds: number) {
    this.over = new Promise((resolve) => {
      this.handle = setTimeout(() => resolve(undefined), milliseconds);
    });
  }

  clear(): void {
    clearTimeout(this.handle);
  }
}

interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Why there was nothing to end. */
  readonly error?: string;
}

/** A shell command and everything it starts: one process group, so that one signal reaches all of it. */
class Group {
  readonly exited: Promise<End>;
  running = true;
  private readonly child: ChildProcess;
  private readonly kept = new Tail();
  private readonly keptStdout = new Tail();
  private readonly closed: Promise<void>;
  private ended = false;
  private stopping: Promise<void> | undefined;
  private readonly onExit = (): void => {
    if (!this.signal('SIGTERM')) return;
    // Its end cannot be waited for: nothing but this function runs any more.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, EXIT_GRACE);
    this.signal('SIGKILL');
  };

  constructor(command: string, env: Readonly<Record<string, string>> = {}) {
    this.child = spawn('sh', ['-c', command], {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    const { child } = this;
    // There are none when not even a pipe could be made.
    for (const stream of [child.stdout, child.stderr] as (Readable | undefined | null)[])
      stream?.on('data', (chunk: Buffer) => this.kept.add(chunk));
    (child.stdout as Readable | undefined | null)?.on('data', (chunk: Buffer) => this.keptStdout.add(chunk));
    this.closed = new Promise((resolve) => child.once('close', () => resolve()));
    this.exited = new Promise((resolve) => {
      const over = (end: End): void => {
        this.running = false;
        // Once nothing is left, the number of the group may be given to strangers.
        if (!this.signal(0) || onlyZombies(this.child.pid!)) this.abandon();
        resolve(end);
      };
      child.once('exit', (code, signal) => over({ code, signal }));
      child.once('error', (error) => over({ code: null, signal: null, error: error.message }));
    });
    process.once('exit', this.onExit);
  }

  output(): string {
    return this.kept.text();
  }

  stdout(): string {
    return this.keptStdout.text();
  }

  /** Resolves when its last output is here, or something in the background keeps the pipes open. */
  async flushed(): Promise<void> {
    const timer = new Timer(LAST_OUTPUT);
    await Promise.race([this.closed, timer.over]);
    timer.clear();
  }

  /** Lets go of what still runs. It is read from for as long as this process lives: a closed pipe would end it. */
  abandon(): void {
    this.ended = true;
    process.removeListener('exit', this.onExit);
    for (const stream of [this.child.stdout, this.child.stderr])
      (stream as Socket | undefined | null)?.unref();
  }

  /** Ends all of it: SIGTERM, after `grace` ms SIGKILL. */
  stop(grace: number): Promise<void> {
    return (this.stopping ??= this.end(grace));
  }

  private async end(grace: number): Promise<void> {
    const deadline = performance.now() + grace;
    let alive = this.signal('SIGTERM');
    while (alive && performance.now() < deadline) {
      await sleep(POLL);
      alive = this.signal(0) && !onlyZombies(this.child.pid!);
    }
    if (alive) {
      this.signal('SIGKILL');
      await this.exited;
    }
    await this.flushed();
    this.abandon();
  }

  /** False when nothing of the group is left. */
  private signal(signal: NodeJS.Signals | 0): boolean {
    const { pid } = this.child;
    if (pid === undefined || this.ended) return false;
    try {
      process.kill(-pid, signal);
      return true;
    } catch (error) {
      // EPERM: what is left belongs to another user, and is out of reach.
      return (error as NodeJS.ErrnoException).code === 'EPERM' && this.running;
    }
  }
}

/**
 * True when all that is left of a group has ended and waits for its parent to notice, which in a container without an
 * init may be never: a signal still finds it. Only told where the system has /proc.
 */
function onlyZombies(group: number): boolean {
  let found = false;
  try {
    for (const pid of readdirSync('/proc')) {
      if (!/^\d+$/.test(pid)) continue;
      let stat: string;
      try {
        stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      } catch {
        // Gone since.
        continue;
      }
      const [state, , member] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (Number(member) !== group) continue;
      found = true;
      if (state !== 'Z' && state !== 'X') return false;
    }
  } catch {
    return false;
  }
  return found;
}

/** The last bytes of a stream, however long it is. */
class Tail {
  private chunks: Buffer[] = [];
  private size = 0;
  private cut = false;

  add(chunk: Buffer): void {
    // Copied: a small part would keep the whole buffer it was read into.
    const part = Buffer.from(chunk.subarray(-KEPT));
    this.cut ||= part.length < chunk.length;
    this.chunks.push(part);
    this.size += part.length;
    while (this.size - this.chunks[0]!.length >= KEPT) {
      this.size -= this.chunks.shift()!.length;
      this.cut = true;
    }
  }

  text(): string {
    const all = Buffer.concat(this.chunks);
    let start = Math.max(0, all.length - KEPT);
    const cut = this.cut || start > 0;
    // Not within a character.
    while (cut && start < all.length && (all[start]! & 0xc0) === 0x80) start++;
    return all.subarray(start).toString('utf8');
  }
}

const ESCAPES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|[^[])/g;
const CONTROLS = /[\u0000-\u001f\u007f-\u009f]+/g;

/** The end of an output as one line for a message. */
function lastWords(output: string): string {
  const line = output.replace(ESCAPES, '').replace(CONTROLS, ' ').replace(/ +/g, ' ').trim();
  return line.length > 300 ? `… ${line.slice(-300).replace(/^[\udc00-\udfff]/, '')}` : line;
}

function seconds(ms: number): string {
  return `${Math.round(ms / 100) / 10} s`;
}

function describeEnd({ code, signal, error }: End): string {
  if (error !== undefined) return `it cannot be started (${error})`;
  if (signal !== null) return `ended by ${signal}`;
  const hint = code === 127 ? ' (command not found)' : code === 126 ? ' (not executable)' : '';
  return `exit code ${code}${hint}`;
}
