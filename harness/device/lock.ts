import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { InputError, hex } from '../protocol/index.js';
import { cannotWrite, codeOf, line, parse, readIfThere, record, sweep, writeAll } from './files.js';

/** Who has a lock. */
interface Holder {
  readonly pid: number;
  /** When the process started, in ticks of its machine; undefined where that cannot be told. */
  readonly start: string | undefined;
  readonly host: string;
  /** ISO 8601, UTC. */
  readonly since: string;
  /** No two locks have the same. */
  readonly nonce: string;
}

/** Nobody can see from here whether a process of another machine lives; no run takes this long (ms). */
const FOREIGN_LOCK_AGE = 24 * 3_600_000;
/** A lock that cannot be read may be in the middle of being written, but not for as long as this (ms). */
const TORN_LOCK_AGE = 2_000;

/**
 * A file that exists while a process uses the accessory. A dead holder's lock is taken over by exactly one of those
 * that find it: each would first have to create the one file named after that lock's nonce, and moves it over the
 * lock, so that the lock is never absent meanwhile.
 */
export class Lock {
  private mine: Holder | undefined;

  constructor(private readonly file: string) {}

  get held(): boolean {
    return this.mine !== undefined;
  }

  acquire(): void {
    const mine: Holder = {
      pid: process.pid,
      start: processStat(process.pid)?.start,
      host: hostname(),
      since: new Date().toISOString(),
      nonce: hex(randomBytes(8)),
    };
    const patience = performance.now() + 2 * TORN_LOCK_AGE;
    while (!this.create(this.file, mine) && !this.takeOver(mine)) {
      if (performance.now() > patience)
        throw new InputError(`accessory state: cannot lock ${this.file}: others keep changing it`);
      pause(10);
    }
    this.mine = mine;
    // Claims on locks that are no more, left by a kill within a takeover.
    sweep(this.file);
  }

  release(): void {
    const { mine } = this;
    this.mine = undefined;
    // Someone may have deleted the file, as its message invites to, and locked anew.
    if (mine !== undefined && readHolder(this.file)?.nonce === mine.nonce) rmSync(this.file, { force: true });
  }

  private create(file: string, holder: Holder): boolean {
    try {
      const descriptor = openSync(file, 'wx', 0o600);
      try {
        writeAll(descriptor, line(holder));
      } catch (error) {
        rmSync(file, { force: true });
        throw error;
      } finally {
        closeSync(descriptor);
      }
      return true;
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return false;
      throw cannotWrite(file, error);
    }
  }

  /** False when things changed meanwhile and the caller should look again. @throws InputError when the holder lives. */
  private takeOver(mine: Holder): boolean {
    const dead = readHolder(this.file);
    if (dead === undefined || !this.abandoned(dead)) return false;
    const claims: string[] = [];
    // Whoever held a claim may have died as well: then its claim is what has to be taken over.
    for (let predecessor: Holder | undefined = dead; predecessor !== undefined;) {
      const claim = `${this.file}.${predecessor.nonce}`;
      claims.push(claim);
      if (this.create(claim, mine)) break;
      predecessor = readHolder(claim);
      if (predecessor === undefined || !this.abandoned(predecessor)) return false;
    }
    const claim = claims.pop()!;
    // Claims are swept by whoever succeeds: that one may have been faster, and its lock is another.
    if (readHolder(this.file)?.nonce !== dead.nonce) {
      rmSync(claim, { force: true });
      return false;
    }
    try {
      renameSync(claim, this.file);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return false;
      throw cannotWrite(this.file, error);
    }
    return true;
  }

  /** True when the holder is dead; false while that cannot be told yet. @throws InputError when it lives. */
  private abandoned(holder: Holder): boolean {
    if (holder.pid === 0) return Math.abs(Date.now() - Date.parse(holder.since)) > TORN_LOCK_AGE;
    if (!lives(holder)) return true;
    const where = holder.host === hostname() ? '' : ` on ${holder.host}`;
    throw new InputError(
      `another run (pid ${holder.pid}${where}, since ${holder.since}) is using this accessory: wait for it, or delete ${this.file} if it is not running`,
    );
  }
}

/** Undefined when there is no such file; pid 0, since its last change, when it cannot be understood. */
function readHolder(file: string): Holder | undefined {
  const content = readIfThere(file);
  if (content === undefined) return undefined;
  try {
    const { pid, start, host, since, nonce } = record(parse(content), 'it');
    if (!Number.isSafeInteger(pid) || (pid as number) < 1 || typeof host !== 'string') throw new Error();
    if (typeof since !== 'string' || typeof nonce !== 'string' || !/^\w{1,40}$/.test(nonce))
      throw new Error();
    return { pid: pid as number, start: typeof start === 'string' ? start : undefined, host, since, nonce };
  } catch {
    try {
      const { mtime, ino } = statSync(file);
      const nonce = `torn_${ino}_${mtime.getTime()}`;
      return { pid: 0, start: undefined, host: '', since: mtime.toISOString(), nonce };
    } catch {
      return undefined;
    }
  }
}

function lives({ pid, start, host, since }: Holder): boolean {
  if (host !== hostname()) return !(Date.now() - Date.parse(since) > FOREIGN_LOCK_AGE);
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it is there and belongs to another user.
    if (codeOf(error) === 'ESRCH') return false;
  }
  const now = processStat(pid);
  if (now === undefined) return true;
  // Ended and not yet fetched by its parent, which in a container may be never.
  if (now.state === 'Z' || now.state === 'X') return false;
  return start === undefined || now.start === start;
}

/** State and start time (field 22) of a process, where the system has /proc. */
function processStat(pid: number): { state: string; start: string } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name stands in parentheses and may hold blanks and parentheses itself.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state, start] = [fields[0], fields[19]];
    return state === undefined || start === undefined ? undefined : { state, start };
  } catch {
    return undefined;
  }
}

function pause(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
