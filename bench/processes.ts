import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const cli = fileURLToPath(new URL('../../bin/hapspec.js', import.meta.url));
const peerScript = fileURLToPath(new URL('../test/peers/hap-nodejs.js', import.meta.url));

/** Seconds a whole process took: of its threads, and on the clock. */
export interface Took {
  readonly cpu: number;
  readonly wall: number;
}

/** Writes what the process has used to file descriptor 3 when it ends, or when it is asked by SIGUSR2. */
const meter = `import { writeSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
const tell = () => { const { user, system } = process.cpuUsage(); writeSync(3, (user + system) / 1e6 + '\\n'); };
if (isMainThread) { process.on('exit', tell); process.on('SIGUSR2', tell); }`;

/** A node process whose CPU time can be asked for, and is told when it ends. */
class Metered {
  readonly process: ChildProcess;
  private told = '';

  constructor(script: string, args: readonly string[]) {
    const preload = `data:text/javascript,${encodeURIComponent(meter)}`;
    this.process = spawn(process.execPath, ['--import', preload, script, ...args], {
      stdio: ['pipe', 'pipe', 'inherit', 'pipe'],
    });
    const pipe = this.process.stdio[3] as NodeJS.ReadableStream;
    pipe.setEncoding('utf8').on('data', (text: string) => (this.told += text));
  }

  /** CPU seconds as told last. */
  get cpu(): number {
    return Number(this.told.trim().split('\n').at(-1));
  }

  ended(): Promise<number | null> {
    return new Promise((resolve) => this.process.once('close', (code) => resolve(code)));
  }
}

/** Runs a command of hapspec to its end. @throws Error when it ends with another exit code than those allowed */
export async function hapspec(args: readonly string[], allowed: readonly number[] = [0]): Promise<Took> {
  const started = performance.now();
  const run = new Metered(cli, args);
  run.process.stdout!.resume();
  const code = await run.ended();
  if (code === null || !allowed.includes(code)) throw new Error(`hapspec ${args.join(' ')}: exit ${code}`);
  return { cpu: run.cpu, wall: (performance.now() - started) / 1000 };
}

export interface Peer {
  readonly port: number;
  /** CPU seconds the accessory has computed for so far. */
  cpu(): Promise<number>;
  end(): void;
}

/** An accessory in a process of its own, once it has said at which port it listens. */
async function listening(child: Metered, port: RegExp): Promise<Peer> {
  const end = (): void => void child.process.kill('SIGKILL');
  process.once('exit', end);
  let said = '';
  const found = await new Promise<number>((resolve, reject) => {
    child.process.once('exit', () => reject(new Error(`the accessory ended: ${said}`)));
    child.process.stdout!.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      const match = port.exec(said);
      if (match !== null) resolve(Number(match[1]));
    });
  });
  return {
    port: found,
    end() {
      process.off('exit', end);
      end();
    },
    async cpu() {
      child.process.kill('SIGUSR2');
      await new Promise((resolve) => child.process.stdio[3]!.once('data', resolve));
      return child.cpu;
    },
  };
}

/** `@homebridge/hap-nodejs` on loopback, with nothing announced, in a process of its own. */
export function peer(code: string, storage: string): Promise<Peer> {
  return listening(new Metered(peerScript, ['0', code, storage]), /listening (\d+)/);
}

/** The reference accessory on loopback, with options of `hapspec accessory`, in a process of its own. */
export function accessory(options: readonly string[]): Promise<Peer> {
  return listening(new Metered(cli, ['accessory', '--port', '0', ...options]), /127\.0\.0\.1:(\d+)/);
}
