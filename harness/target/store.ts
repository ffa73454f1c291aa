import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { sha256 } from '@noble/hashes/sha2.js';
import {
  type Bytes,
  type Identity,
  InputError,
  Length,
  type Peer,
  abytes,
  aint,
  fromHex,
  hex,
  restoreIdentity,
  utf8,
} from '../protocol/index.js';

/** The message an identity left in: as the admin of a Pair Setup, or added by an admin. */
export type IdentityOrigin = 'pair-setup' | 'add-pairing';

/** An identity that has left the harness and may be in the accessory. */
export interface StoredIdentity {
  readonly identity: Identity;
  readonly how: IdentityOrigin;
  /** The accessory answered that it stored the pairing, so this key most likely opens it. */
  readonly confirmed: boolean;
  /** The accessory as it named itself then. */
  readonly accessory: Peer | undefined;
  /** When it was last remembered; ISO 8601, UTC. */
  readonly at: string;
}

/**
 * What survives a crash of the harness, for one accessory. Every write is on the disk when its method returns, and
 * belongs to the one run that holds the lock: a write takes the lock when it is not held yet.
 */
export interface AccessoryState {
  /** The file that names the run in progress. */
  readonly lockFile: string;
  /** The file with the private keys. */
  readonly keysFile: string;
  /** Failed attempts spent since the last factory reset, over all runs. */
  readonly attempts: number;
  /** Call before the identity leaves in an M5 or Add. @throws InputError when it cannot be written. */
  remember(identity: Identity, how: IdentityOrigin): void;
  /** The accessory says it stored the pairing. @throws InputError when that cannot be written. */
  confirmed(identity: Identity, accessory: Peer | undefined): void;
  /** The pairing is known to be gone. @throws InputError when that cannot be written. */
  forget(identity: Identity): void;
  /** The most promising first: confirmed before others, newer before older. */
  identities(): readonly StoredIdentity[];
  /** Adds `count` failed attempts. @throws InputError when they cannot be written. */
  spend(count: number): void;
  /** The accessory was factory-reset: its counter starts anew. Keys are kept: only a look at it proves them useless. */
  wasReset(): void;
  /**
   * Reserves the accessory for this process until `release` or its end.
   * @throws InputError naming the process that has it, or a file that cannot be written or understood.
   */
  lock(): void;
  release(): void;
}

/**
 * Opens what is kept in `dir` about one accessory; `accessory` is its id or address, in any characters. Nothing is
 * written before the first write or lock.
 * @throws InputError naming the file that cannot be understood, and what to do.
 */
export function openState(dir: string, accessory: string): AccessoryState {
  if (accessory === '') throw new InputError('accessory state: expected the id or address of an accessory');
  return new FileState(resolve(dir), accessory);
}

/** Readable at the front; the hash keeps apart what the characters left out, or a file system, would make equal. */
function fileName(accessory: string): string {
  const readable = accessory.replace(/[^\w.-]+/g, '-').replace(/^[.-]+|[.-]+$/g, '');
  return `${readable.slice(0, 60)}-${hex(sha256(utf8(accessory))).slice(0, 10)}`.replace(/^-/, '');
}

class FileState implements AccessoryState {
  readonly keysFile: string;
  readonly lockFile: string;
  private readonly keys: KeyLog;
  private readonly ledger: Ledger;
  private readonly holder: Lock;
  private readonly onExit = (): void => this.release();

  constructor(
    private readonly dir: string,
    accessory: string,
  ) {
    const path = join(dir, fileName(accessory));
    this.keysFile = `${path}.keys.json`;
    this.lockFile = `${path}.lock`;
    this.keys = new KeyLog(this.keysFile);
    this.ledger = new Ledger(`${path}.ledger.json`, accessory);
    this.holder = new Lock(this.lockFile);
    this.keys.load();
    this.ledger.load();
  }

  get attempts(): number {
    return this.ledger.attempts;
  }

  remember(identity: Identity, how: IdentityOrigin): void {
    this.lock();
    this.keys.remember(identity, how);
  }

  confirmed(identity: Identity, accessory: Peer | undefined): void {
    this.lock();
    this.keys.confirmed(identity, accessory);
  }

  forget(identity: Identity): void {
    this.lock();
    this.keys.forget(identity);
  }

  identities(): readonly StoredIdentity[] {
    return this.keys.identities();
  }

  spend(count: number): void {
    aint(count, 'attempts spent', 0, 1_000_000);
    this.lock();
    this.ledger.write(this.ledger.attempts + count);
  }

  wasReset(): void {
    this.lock();
    this.ledger.write(0);
  }

  lock(): void {
    if (this.holder.held) return;
    makeFolder(this.dir);
    this.holder.acquire();
    process.once('exit', this.onExit);
    try {
      // The run before may have written since this one read.
      sweep(this.keysFile);
      sweep(this.ledger.file);
      this.keys.load();
      this.ledger.load();
      this.keys.tidy();
    } catch (error) {
      this.release();
      throw error;
    }
  }

  release(): void {
    if (!this.holder.held) return;
    process.removeListener('exit', this.onExit);
    try {
      this.keys.tidy();
    } catch {
      // Only keys of no use are left behind, and the next run tidies first.
    }
    this.holder.release();
  }
}

interface Entry {
  readonly id: Bytes;
  readonly ltsk: Bytes;
  readonly how: IdentityOrigin;
  readonly confirmed: boolean;
  readonly accessory: Peer | undefined;
  readonly at: string;
}

/** Two stimuli may send one id with different keys: each is an identity of its own. */
function keyOf({ id, ltsk }: Pick<Identity, 'id' | 'ltsk'>): string {
  return `${hex(id)} ${hex(ltsk)}`;
}

/**
 * One JSON record a line, the last about an identity counts. Appending costs one write and one fsync however many
 * there are, and a kill in the middle can only tear the last line: one whose `remember` had not returned.
 */
class KeyLog {
  private entries = new Map<string, Entry>();
  /** The file holds more than the entries: forgotten keys, repeated records, a torn line. */
  private untidy = false;
  /** The file ends within a line: what is appended would be lost with it. */
  private torn = false;
  /** The name of the file is known to be on the disk, not only its content. */
  private filed = false;

  constructor(private readonly file: string) {}

  load(): void {
    this.entries = new Map();
    this.untidy = this.torn = false;
    const content = readIfThere(this.file);
    if (content === undefined) return;
    const lines = content.split('\n');
    const torn = lines.length - 1;
    this.untidy = this.torn = lines[torn] !== '';
    lines.forEach((line, index) => {
      // A record without its line end is torn, and its `remember` never returned, so that identity never left;
      // unless it is whole: then only an editor has taken the line end away.
      if (line === '' || (index === torn && !isJson(line))) return;
      try {
        this.apply(parse(line));
      } catch (error) {
        throw unusable(
          this.file,
          `line ${index + 1}: ${(error as Error).message}`,
          'repair or remove that line; without its key a pairing it may have left in the accessory goes only with a factory reset',
        );
      }
    });
  }

  identities(): readonly StoredIdentity[] {
    const newest = [...this.entries.values()].reverse();
    newest.sort((a, b) => Number(b.confirmed) - Number(a.confirmed));
    return newest.map(({ id, ltsk, ...rest }) => ({ identity: restoreIdentity(id, ltsk), ...rest }));
  }

  remember(identity: Identity, how: IdentityOrigin): void {
    const id = abytes(identity.id, 'pairing id');
    const ltsk = abytes(identity.ltsk, 'LTSK', Length.ltsk);
    const earlier = this.entries.get(keyOf(identity));
    // Sent twice, it is as likely to be in the accessory as before.
    const { confirmed = false, accessory } = earlier ?? {};
    this.put({ id, ltsk, how, confirmed, accessory, at: new Date().toISOString() });
  }

  confirmed(identity: Identity, accessory: Peer | undefined): void {
    if (!this.entries.has(keyOf(identity))) this.remember(identity, 'pair-setup');
    const entry = this.entries.get(keyOf(identity))!;
    this.put({ ...entry, confirmed: true, accessory: accessory ?? entry.accessory });
  }

  forget(identity: Identity): void {
    if (!this.entries.has(keyOf(identity))) return;
    this.append({ forget: true, id: hex(identity.id), ltsk: hex(identity.ltsk) });
    this.entries.delete(keyOf(identity));
    this.untidy = true;
  }

  /** Rewrites the file with what counts: keys that open nothing any more should not lie about. */
  tidy(): void {
    if (!this.untidy) return;
    if (this.entries.size === 0) removeFile(this.file);
    else
      replaceFile(this.file, [...this.entries.values()].map((entry) => line(toJson(entry))).join(''), 0o600);
    this.untidy = this.torn = false;
  }

  private put(entry: Entry): void {
    const key = keyOf(entry);
    this.append(toJson(entry));
    this.untidy ||= this.entries.has(key);
    // Deleted first, so that what was remembered last stands last.
    this.entries.delete(key);
    this.entries.set(key, entry);
  }

  private append(record: unknown): void {
    if (this.torn) this.tidy();
    try {
      const file = openSync(this.file, 'a', 0o600);
      try {
        const { size, mode } = fstatSync(file);
        if ((mode & 0o077) !== 0) chmodSync(this.file, 0o600);
        writeAll(file, line(record));
        fsyncSync(file);
        if (size === 0 || !this.filed) syncFolder(dirname(this.file));
        this.filed = true;
      } finally {
        closeSync(file);
      }
    } catch (error) {
      this.untidy = this.torn = true;
      throw cannotWrite(this.file, error);
    }
  }

  private apply(json: unknown): void {
    const value = record(json, 'it');
    const id = bytes(value['id'], 'id');
    const ltsk = bytes(value['ltsk'], 'ltsk', Length.ltsk);
    const key = keyOf({ id, ltsk });
    if (value['forget'] === true) {
      this.entries.delete(key);
      this.untidy = true;
      return;
    }
    const { how, confirmed, at } = value;
    if (how !== 'pair-setup' && how !== 'add-pairing') throw new Error('how is no message of ours');
    if (typeof confirmed !== 'boolean') throw new Error('confirmed is not true or false');
    if (typeof at !== 'string') throw new Error('at is no time');
    const entry: Entry = { id, ltsk, how, confirmed, accessory: peer(value['accessory']), at };
    this.untidy = this.entries.delete(key) || this.untidy;
    this.entries.set(key, entry);
  }
}

function line(record: unknown): string {
  return `${JSON.stringify(record)}\n`;
}

function toJson({ id, ltsk, how, confirmed, accessory, at }: Entry): unknown {
  const peer = accessory === undefined ? {} : { id: hex(accessory.id), ltpk: hex(accessory.ltpk) };
  return {
    id: hex(id),
    ltsk: hex(ltsk),
    how,
    confirmed,
    ...(accessory !== undefined && { accessory: peer }),
    at,
  };
}

function peer(json: unknown): Peer | undefined {
  if (json === undefined) return undefined;
  const value = record(json, 'accessory');
  return { id: bytes(value['id'], 'accessory.id'), ltpk: bytes(value['ltpk'], 'accessory.ltpk') };
}

/** Failed attempts: an accessory counts to 100 over its whole life, so the harness has to as well. */
class Ledger {
  attempts = 0;

  constructor(
    readonly file: string,
    private readonly accessory: string,
  ) {}

  load(): void {
    const content = readIfThere(this.file);
    this.attempts = 0;
    if (content === undefined) return;
    try {
      const attempts = record(parse(content), 'it')['attempts'];
      if (!Number.isSafeInteger(attempts) || (attempts as number) < 0)
        throw new Error('attempts is no count');
      this.attempts = attempts as number;
    } catch (error) {
      throw unusable(
        this.file,
        (error as Error).message,
        'it counts the failed attempts the accessory has seen: factory-reset the accessory and delete the file',
      );
    }
  }

  write(attempts: number): void {
    const { accessory } = this;
    const content = { accessory, attempts, at: new Date().toISOString() };
    replaceFile(this.file, `${JSON.stringify(content, undefined, 2)}\n`, 0o600);
    this.attempts = attempts;
  }
}

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
class Lock {
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

/** Makes the folder, for its owner only. */
function makeFolder(dir: string): void {
  try {
    const first = mkdirSync(dir, { recursive: true, mode: 0o700 });
    // A crash may have come before the file below; a folder with other things in it is none of ours to hide from git.
    const others = readdirSync(dir).filter((name) => !/^\.gitignore\.\d+\.tmp$/.test(name));
    if (others.length === 0) replaceFile(join(dir, '.gitignore'), '*\n', 0o600);
    if (first === undefined) return;
    for (let made = dir; made.length >= first.length; made = dirname(made)) syncFolder(dirname(made));
  } catch (error) {
    throw cannotWrite(dir, error);
  }
}

/**
 * Replaces a file at once and for good: readers, also after a power cut, find the old content or the new.
 * @throws InputError naming the path when it cannot be written.
 */
export function replaceFile(path: string, content: string, mode = 0o666): void {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    const file = openSync(temporary, 'w', mode);
    try {
      writeAll(file, content);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
    syncFolder(dirname(path));
  } catch (error) {
    rmSync(temporary, { force: true });
    throw cannotWrite(path, error);
  }
}

/** Removes what a kill left beside a file: temporary ones, named after it. */
function sweep(path: string): void {
  try {
    for (const name of readdirSync(dirname(path)))
      if (name.startsWith(`${basename(path)}.`)) rmSync(join(dirname(path), name), { force: true });
  } catch (error) {
    throw cannotWrite(path, error);
  }
}

function removeFile(path: string): void {
  try {
    rmSync(path, { force: true });
    syncFolder(dirname(path));
  } catch (error) {
    throw cannotWrite(path, error);
  }
}

function writeAll(file: number, content: string): void {
  const bytes = utf8(content);
  // A full disk takes a part and says so only to the next write.
  for (let written = 0; written < bytes.length;) written += writeSync(file, bytes, written);
}

/** A new name in a folder is on the disk only when the folder is. */
function syncFolder(path: string): void {
  // Windows opens no folders, and writes names at once.
  if (process.platform === 'win32') return;
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw unusable(file, (error as Error).message, 'make it readable, or choose another folder with --state');
  }
}

function unusable(file: string, why: string, fix: string): InputError {
  return new InputError(`accessory state: ${file} cannot be used (${why}): ${fix}`);
}

function cannotWrite(path: string, error: unknown): InputError {
  if (error instanceof InputError) return error;
  return new InputError(`cannot write ${path}: ${(error as Error).message}`, {
    cause: error,
  });
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The parser's own message quotes the text, and the text may be a key. */
function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    throw new Error('no JSON');
  }
}

function record(value: unknown, title: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`${title} is no object`);
  return value as Record<string, unknown>;
}

/** A stimulus may send an empty id, so no bytes are bytes. */
function bytes(value: unknown, title: string, length?: number): Bytes {
  if (typeof value !== 'string' || !/^([0-9a-fA-F]{2})*$/.test(value))
    throw new Error(`${title} is no hexadecimal text`);
  return abytes(fromHex(value), title, length);
}
