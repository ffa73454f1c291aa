import type { PairingsList } from '../controller/index.js';
import { type Bytes, type Identity, Permission, equal, hex } from '../protocol/index.js';
import type { Keyring } from './keyring.js';
import type { Learned } from './learned.js';
import type { Pairing } from './pairing.js';

/** Who lives in the accessory beside the admin of the run: residents, guests of a check, and whom a receiver keeps. */
export class Household {
  /** Identifiers (hex) of the controllers added and not removed again. */
  readonly guests = new Set<string>();
  /** Identifiers (hex) of every Add of the check that runs: one that fails may have left them, whatever was answered. */
  readonly offered = new Set<string>();
  /** Whom a receiver was paired with when its list was read first, by identifier (hex). */
  residents: Set<string> | undefined;
  /** The one pairing of this run that a receiver keeps and may keep: who checks start from is this one from then on. */
  anchor: Identity | undefined;
  /** Controllers a receiver keeps, in the order in which a check that needs another one takes them. */
  readonly kept: Identity[] = [];
  /** Identifiers (hex) of plain users. */
  private readonly plain = new Set<string>();
  /** How many of the kept ones the check that runs has taken. */
  private taken = 0;

  constructor(
    private readonly keyring: Keyring,
    private readonly learned: Learned,
    private readonly pairing: Pairing,
  ) {}

  /** A check begins. */
  begin(): void {
    this.taken = 0;
  }

  /** The accessory is in its factory state: it keeps nobody. */
  wasReset(): void {
    this.anchor = undefined;
    this.kept.length = 0;
  }

  /**
   * Whom a check may have let in that asks for another controller: where nobody can be taken out again, somebody who
   * is in already, so that a run leaves a few pairings and not hundreds. Undefined where a new one does no harm.
   */
  lodger(): Identity | undefined {
    if (this.learned.keepsAll === undefined) return undefined;
    const kept = this.anchor === undefined ? this.kept : [this.anchor, ...this.kept];
    while (this.taken < kept.length) {
      const next = kept[this.taken++]!;
      if (next !== this.pairing.admin && this.keyring.held.get(next)?.is === 'in') return next;
    }
    return undefined;
  }

  /** An Add was answered by success: what it said is so. */
  added(id: Bytes, permissions: number | undefined): void {
    this.residents?.delete(hex(id));
    if (permissions === Permission.User) this.plain.add(hex(id));
    else this.plain.delete(hex(id));
    const known = [...this.keyring.held.keys()].find((identity) => equal(identity.id, id));
    if (known !== undefined) this.keyring.takenUp(known);
    // Who is no admin any more is of no use as one.
    if (this.anchor !== undefined && equal(this.anchor.id, id) && permissions === Permission.User)
      this.anchor = undefined;
  }

  /** It was added as a plain user. */
  isPlain({ id }: Identity): boolean {
    return this.plain.has(hex(id));
  }

  /** A receiver keeps this one: it stays on the disk, and in use. */
  keep(identity: Identity, why: string): void {
    this.keyring.hold(identity, 'in', why);
    if (!this.learned.profile.servesPaired) return;
    this.anchor ??= identity;
    if (identity !== this.anchor && !this.kept.includes(identity)) this.kept.push(identity);
  }

  /** An identifier of this run; of those whose keys are held too when asked. */
  isOurs(id: Bytes, held = false): boolean {
    return this.guests.has(hex(id)) || this.keyring.knows(id, held);
  }

  /** A list without the controllers that were there before the run: a receiver pairs with several. */
  withoutResidents(list: PairingsList): PairingsList {
    if (!this.learned.profile.servesPaired) return list;
    this.residents ??= new Set(list.entries.filter(({ id }) => !this.isOurs(id)).map(({ id }) => hex(id)));
    const { residents } = this;
    const stay = new Set([...this.keyring.held.keys()].map(({ id }) => hex(id)));
    return {
      ...list,
      entries: list.entries.filter(({ id }) => !residents.has(hex(id)) && !stay.has(hex(id))),
    };
  }
}
