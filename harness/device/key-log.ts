import { chmodSync, closeSync, fstatSync, fsyncSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import {
  type Bytes,
  type Identity,
  Length,
  type Peer,
  abytes,
  hex,
  restoreIdentity,
} from '../protocol/index.js';
import {
  bytes,
  cannotWrite,
  isJson,
  line,
  parse,
  readIfThere,
  record,
  removeFile,
  replaceFile,
  syncFolder,
  unusable,
  writeAll,
} from './files.js';

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
export class KeyLog {
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
export class Ledger {
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
