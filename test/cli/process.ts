import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, type Server, type Socket, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const bin = fileURLToPath(new URL('../../../bin/hapspec.js', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A child of the test: what it said so far, and its end. */
export interface Child {
  readonly process: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Resolves when stdout holds the text, at `from` or later. @throws when the child ends before. */
  said(text: string, from?: number): Promise<void>;
  /** Standard output so far. */
  output(): string;
}

const children = new Set<ChildProcess>();

/** Keys and ledgers of the runs of this process; each run its own, because ports come back and ledgers add up. */
const states = mkdtempSync(join(tmpdir(), 'hapspec-states-'));
let runs = 0;
process.once('exit', () => rmSync(states, { recursive: true, force: true }));

/** Ends every child still running, by the process that was started here, but the process of all lines. For `after`. */
export function endChildren(): void {
  for (const child of children) if (child !== desk?.child.process) child.kill('SIGKILL');
}

/** Starts node with a script of the build. Its standard input is the text given, or stays open for more (null). */
export function start(
  script: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  input: string | null = '',
): Child {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(HAPSPEC_|GITHUB_|NODE_OPTIONS$|FORCE_COLOR$)/.test(name),
  );
  const child = spawn(process.execPath, [script, ...args], {
    env: { ...Object.fromEntries(inherited), HAPSPEC_STATE: join(states, String(++runs)), ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  if (input !== null) child.stdin.end(input);
  children.add(child);
  let stdout = '';
  let stderr = '';
  const listeners = new Set<() => void>();
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    for (const listener of listeners) listener();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      children.delete(child);
      resolve({ code, signal, stdout, stderr });
    });
  });
  const said = (text: string, from = 0): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (!stdout.includes(text, from)) return;
        listeners.delete(look);
        resolve();
      };
      listeners.add(look);
      look();
      void ended.then(() => reject(new Error(`ended without saying "${text}": ${stdout}${stderr}`)), reject);
    });
  return { process: child, ended, said, output: () => stdout };
}

/** Starts `hapspec …`. */
export function startHapspec(args: readonly string[], env: Readonly<Record<string, string>> = {}): Child {
  return start(bin, args, env);
}

/** `hapspec …` to its end. */
export function hapspec(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  return startHapspec(args, env).ended;
}

/** What the process of all lines is told: the words of a command line, and what differs in its environment. */
export interface Order {
  readonly words: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Folder it is given in; that of this process unless said. */
  readonly folder?: string;
}

/** The process of all lines, and where its next answer begins. */
let desk: { readonly child: Child; read: number } | undefined;
let lastOrder: Promise<unknown> = Promise.resolve();

/** It ends when its input does, and that is when this process does: nobody waits for it. */
function startDesk(): Child {
  const child = start(fileURLToPath(new URL('lines.js', import.meta.url)), [], {}, null);
  child.process.unref();
  for (const pipe of [child.process.stdin, child.process.stdout, child.process.stderr])
    (pipe as Socket | null)?.unref();
  return child;
}

async function ordered(order: Order): Promise<Ended> {
  desk ??= { child: startDesk(), read: 0 };
  const { child } = desk;
  child.process.stdin!.write(`${JSON.stringify(order)}\n`);
  await child.said('\n', desk.read);
  const end = child.output().indexOf('\n', desk.read);
  const answer = child.output().slice(desk.read, end);
  desk.read = end + 1;
  return JSON.parse(answer) as Ended;
}

/**
 * `hapspec …` to its end, in one process for all lines of this one, one after the other: for commands that are about
 * what is said and done, and not about a process.
 */
export function hapspecLine(
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
  folder?: string,
): Promise<Ended> {
  const order = {
    words,
    env: { HAPSPEC_STATE: join(states, String(++runs)), ...env },
    ...(folder !== undefined && { folder }),
  };
  const ended = lastOrder.then(() => ordered(order));
  // Whoever gave that order hears of its error, nobody else.
  lastOrder = ended.catch(() => undefined);
  return ended;
}

/** How each of several command lines ends. */
export function hapspecLines(lines: readonly (readonly string[])[]): Promise<readonly Ended[]> {
  return Promise.all(lines.map((words) => hapspecLine(words)));
}

/** A TCP peer of this process on loopback. */
export interface TestPeer {
  readonly port: number;
  close(): Promise<void>;
}

export function listen(onConnection: (socket: Socket) => void): Promise<TestPeer> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    // The other side may be gone at any time: that is what these peers are for.
    socket.on('error', () => socket.destroy());
    onConnection(socket);
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () =>
      resolve({
        port: (server.address() as AddressInfo).port,
        close: () =>
          new Promise((done) => {
            server.close(() => done());
            for (const socket of sockets) socket.destroy();
          }),
      }),
    );
  });
}

/** A port of loopback on which nothing listens. */
export async function deadPort(): Promise<number> {
  const peer = await listen((socket) => socket.destroy());
  await peer.close();
  return peer.port;
}
