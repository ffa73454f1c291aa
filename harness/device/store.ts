import { join, resolve } from 'node:path';
import { sha256 } from '@noble/hashes/sha2.js';
import { type Identity, InputError, type Peer, aint, hex, utf8 } from '../protocol/index.js';
import { makeFolder, sweep } from './files.js';
import { type IdentityOrigin, KeyLog, Ledger, type StoredIdentity } from './key-log.js';
import { Lock } from './lock.js';

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
