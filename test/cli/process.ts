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
  /** Resolves when stdout holds the text. @throws when the child ends before. */
  said(text: string): Promise<void>;
  /** Standard output so far. */
  output(): string;
}

const children = new Set<ChildProcess>();

/** Keys and ledgers of the runs of this process; each run its own, because ports come back and ledgers add up. */
const states = mkdtempSync(join(tmpdir(), 'hapspec-states-'));
let runs = 0;
process.once('exit', () => rmSync(states, { recursive: true, force: true }));

/** Ends every child still running, by the process that was started here. For `after`. */
export function endChildren(): void {
  for (const child of children) child.kill('SIGKILL');
}

/** Starts node with a script of the build. */
export function start(
  script: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  input?: string,
): Child {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(HAPSPEC_|NODE_OPTIONS$|FORCE_COLOR$)/.test(name),
  );
  const child = spawn(process.execPath, [script, ...args], {
    env: { ...Object.fromEntries(inherited), HAPSPEC_STATE: join(states, String(++runs)), ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.end(input);
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
  const said = (text: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (!stdout.includes(text)) return;
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

/** How each of several command lines ends, in one process for all of them. */
export async function hapspecLines(lines: readonly (readonly string[])[]): Promise<readonly Ended[]> {
  const script = fileURLToPath(new URL('lines.js', import.meta.url));
  const { code, stdout, stderr } = await start(script, [], {}, JSON.stringify(lines)).ended;
  if (code !== 0) throw new Error(`the process of all lines ended with ${code}: ${stderr}`);
  return JSON.parse(stdout) as readonly Ended[];
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
