import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type Bytes, InputError, Length, fromHex, hex } from '../../protocol/index.js';
import type { KnownSession, Pairing } from '../facts.js';

/** What an accessory holds in memory and a faulty twin writes to its store. */
export interface Carried {
  /** K of a Pair Setup that has come to M4. */
  readonly setupSecret?: Bytes;
  readonly session?: KnownSession;
}

/** What the accessory keeps over a restart. */
export interface StoredState {
  readonly id: Bytes;
  /** 32 bytes. */
  readonly ltsk: Bytes;
  readonly pairings: readonly Pairing[];
  readonly failedAttempts: number;
  /** Only in memory stores, and of faulty twins. */
  readonly carried?: Carried;
}

/** Where the accessory keeps its state; `save` returns when the state would survive a power cut. */
export interface Store {
  load(): StoredState | undefined;
  save(state: StoredState): void;
}

export function memoryStore(state?: StoredState): Store {
  let kept = state;
  return {
    load: () => kept,
    save: (next) => {
      kept = next;
    },
  };
}

/**
 * One JSON file `accessory.json` in `directory`, readable by its owner only, because it holds the LTSK.
 * `load` throws an InputError when the file is there and cannot be understood.
 */
export function fileStore(directory: string): Store {
  const file = join(directory, 'accessory.json');
  return {
    load() {
      let content: string;
      try {
        content = readFileSync(file, 'utf8');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw unusable(file, (error as Error).message);
      }
      try {
        return fromJson(JSON.parse(content));
      } catch (error) {
        throw unusable(file, (error as Error).message);
      }
    },
    save(state) {
      const temporary = `${file}.${process.pid}.tmp`;
      try {
        mkdirSync(directory, { recursive: true });
        const descriptor = openSync(temporary, 'w', 0o600);
        try {
          writeSync(descriptor, JSON.stringify(toJson(state), undefined, 2) + '\n');
          fsyncSync(descriptor);
        } finally {
          closeSync(descriptor);
        }
        renameSync(temporary, file);
      } catch (error) {
        throw new InputError(`accessory state: cannot write ${file}: ${(error as Error).message}`);
      }
    },
  };
}

function unusable(file: string, why: string): InputError {
  return new InputError(
    `accessory state: ${file} cannot be used (${why}); repair it, or delete it to start with a new identity and no pairings`,
  );
}

function toJson(state: StoredState): unknown {
  return {
    id: hex(state.id),
    ltsk: hex(state.ltsk),
    failedAttempts: state.failedAttempts,
    pairings: state.pairings.map(({ id, ltpk, permissions }) => ({
      id: hex(id),
      ltpk: hex(ltpk),
      permissions,
    })),
  };
}

function fromJson(json: unknown): StoredState {
  const state = record(json, 'the file');
  if (!Array.isArray(state['pairings'])) throw new Error('pairings is no list');
  return {
    id: bytes(state['id'], 'id'),
    ltsk: bytes(state['ltsk'], 'ltsk', Length.ltsk),
    failedAttempts: count(state['failedAttempts'], 'failedAttempts'),
    pairings: state['pairings'].map((entry: unknown, index) => {
      const title = `pairings[${index}]`;
      const pairing = record(entry, title);
      return {
        id: bytes(pairing['id'], `${title}.id`),
        ltpk: bytes(pairing['ltpk'], `${title}.ltpk`, Length.ltpk),
        permissions: count(pairing['permissions'], `${title}.permissions`),
      };
    }),
  };
}

function record(value: unknown, title: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`${title} is no object`);
  return value as Record<string, unknown>;
}

function bytes(value: unknown, title: string, length?: number): Bytes {
  if (typeof value !== 'string' || !/^([0-9a-fA-F]{2})+$/.test(value))
    throw new Error(`${title} is no hexadecimal text`);
  const decoded = fromHex(value);
  if (length !== undefined && decoded.length !== length)
    throw new Error(`${title} is ${decoded.length} bytes, not ${length}`);
  return decoded;
}

function count(value: unknown, title: string): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw new Error(`${title} is no count`);
  return value as number;
}
