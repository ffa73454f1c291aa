import { type Bytes, type Identity, type Peer, equal, text } from '../protocol/index.js';
import type { Memory, RememberedIdentity } from './memory.js';

/** Why a key is kept that nothing more is done with: it opens the accessory, or that cannot be told. */
export interface Held {
  readonly is: 'in' | 'doubtful';
  readonly why: string;
}

/** Something only the two ends of an exchange may know. */
export interface Secret {
  readonly what: string;
  readonly bytes: Bytes;
}

/** Secrets kept in mind: some exchanges back, so that looking for all of them in every byte stays cheap. */
const SECRETS = 24;
/** Of them all, those that are kept until a report has been made of them. */
const LATEST = 4096;

/** The identities the harness has made and sent: which of them may be in the accessory, and which are kept. */
export class Keyring {
  /** Every identity that left in an M5 or Add, also in one that had to be refused: it may be in the accessory. */
  readonly sentIdentities: Identity[] = [];
  /** Keys that are kept, and that nothing more is done with for now. */
  readonly held = new Map<Identity, Held>();
  /** Identities the accessory said it stored. */
  readonly confirmed = new Set<Identity>();
  /** Who the accessory was when it took an identity. */
  readonly peers = new Map<Identity, Peer>();
  /** Identities found in the accessory and removed, of this run or an earlier one. */
  readonly recovered: Identity[] = [];
  /** Secret keys made in this run, for redaction. */
  readonly keys: Uint8Array[] = [];
  /** Setup codes that were asked for in this run, for redaction. */
  readonly codes: string[] = [];
  /** Secrets of the latest exchanges, for the watch over leaks. */
  readonly secrets: Secret[] = [];

  /** Keys of single exchanges: how many were made, and the latest of them; no report shows one. */
  readonly made: { readonly latest: Bytes[]; count: number } = { latest: [], count: 0 };

  constructor(
    private readonly memory: Pick<Memory, 'remember' | 'confirmed' | 'forget'> | undefined,
    /** Writes down why a key is kept. */
    private readonly decide: (why: string) => void,
  ) {}

  /** No report of this run shows the code. */
  keepCode(code: string): void {
    if (!this.codes.includes(code)) this.codes.push(code);
  }

  /** Keeps a secret of this run in mind; the oldest of many are forgotten. */
  keepSecret(what: string, bytes: Bytes): void {
    this.secrets.push({ what, bytes });
    this.made.latest.push(bytes);
    this.made.count++;
    if (this.made.latest.length > LATEST) this.made.latest.splice(0, LATEST >> 1);
    if (this.secrets.length > SECRETS) this.secrets.shift();
  }

  /** An identity of an earlier run may be in the accessory. */
  inherit({ identity, confirmed = false, accessory }: RememberedIdentity): void {
    const same = this.sentIdentities.find(({ ltsk }) => equal(ltsk, identity.ltsk));
    const known = same ?? identity;
    if (same === undefined) this.sentIdentities.push(identity);
    if (confirmed) this.confirmed.add(known);
    if (accessory !== undefined) this.peers.set(known, accessory);
    this.keys.push(identity.ltsk);
  }

  /** Safe on the disk when this returns, and only then to be sent. */
  remember(identity: Identity, how: 'pair-setup' | 'add-pairing'): void {
    if (this.sentIdentities.includes(identity)) return;
    this.memory?.remember(identity, how);
    this.sentIdentities.push(identity);
  }

  /** The accessory says that it stored it. */
  confirm(identity: Identity, accessory: Peer | undefined): void {
    this.confirmed.add(identity);
    if (accessory !== undefined) this.peers.set(identity, accessory);
    this.memory?.confirmed(identity, accessory);
  }

  /** A controller that is held is in use again: the accessory has just said that it let it in. */
  takenUp(identity: Identity): void {
    if (!this.held.delete(identity)) return;
    this.sentIdentities.push(identity);
  }

  /** The key stays on the disk, and is left alone for now. */
  hold(identity: Identity, is: Held['is'], why: string): void {
    this.unsend(identity);
    this.held.set(identity, { is, why });
    this.decide(`the key of ${text(identity.id)} is kept: ${why}`);
  }

  /** Keys that were set aside are tried again. */
  tryAgain(which: (identity: Identity, held: Held) => boolean): void {
    for (const [identity, held] of [...this.held])
      if (which(identity, held)) {
        this.held.delete(identity);
        this.sentIdentities.push(identity);
      }
  }

  /** The identity is known to be in the accessory no more, or never to have been. */
  forget(identity: Identity): void {
    this.unsend(identity);
    this.held.delete(identity);
    this.memory?.forget(identity);
  }

  forgetAll(): void {
    for (const identity of [...this.held.keys(), ...this.sentIdentities]) this.forget(identity);
  }

  private unsend(identity: Identity): void {
    const at = this.sentIdentities.indexOf(identity);
    if (at >= 0) this.sentIdentities.splice(at, 1);
  }

  /** Whether an identifier is one of ours; of those that are held too when asked. */
  knows(id: Bytes, held = false): boolean {
    const identities = held ? [...this.sentIdentities, ...this.held.keys()] : this.sentIdentities;
    return identities.some((identity) => equal(identity.id, id));
  }

  /** Why this one is in the accessory still although the run has asked for its removal, if it is. */
  stays(identity: Identity): string | undefined {
    return this.held.get(identity)?.why;
  }

  /** A key of ours is known to open the accessory, and is kept. */
  get holdsOneInside(): boolean {
    return [...this.held.values()].some(({ is }) => is === 'in');
  }

  /** How many keys are kept, and why, in words. */
  keptKeys(): string {
    const { size } = this.held;
    const words = [...this.held.values()].toSorted((a, b) => Number(b.is === 'in') - Number(a.is === 'in'));
    const keys = size === 1 ? '1 key is kept' : `${size} keys are kept`;
    return `${keys} (${[...new Set(words.map(({ why }) => why))].slice(0, 3).join('; ')})`;
  }
}
