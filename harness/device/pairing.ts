import type { Bytes, Identity, Peer } from '../protocol/index.js';

/** What a check needs the accessory to be when it starts; `locked` has refused a hundred guesses and says MaxTries. */
export type PairingState = 'any' | 'unpaired' | 'paired' | 'locked';

/** What the harness knows: unpaired, paired by this run, paired by someone else, or to be found out. */
export type KnownState = 'unpaired' | 'ours' | 'foreign' | 'unknown';

/** Whether the accessory is paired, by whom, and why that is thought. */
export class Pairing {
  state: KnownState = 'unknown';
  /** The controller that paired, while the accessory is ours. */
  admin: Identity | undefined;
  /** The accessory's identity as M6 claimed it; of a clone that of the old device. */
  accessory: Peer | undefined;
  /** The last decision about the state: what, from which exchange, when. */
  decision = '';
  /** M1 was answered by M2 since anything of ours left: nothing of it is in an accessory that tells. */
  seenFree = false;
  /** It was paired by somebody else when it was looked at first. */
  foundForeign = false;
  /** How the accessory named itself when it last let a key of ours in. */
  heard: Bytes | undefined;

  /** @param note - puts a line into the trace, and says behind it where and when that was */
  constructor(private readonly note: (line: string) => string) {}

  /** Writes down why the state is taken to be what it is, or why a key is kept. */
  decide(why: string): void {
    this.decision = this.note(`state ${this.state}: ${why}`);
  }

  /** M6 told us: paired, by us. */
  paired(admin: Identity, accessory: Peer | undefined): void {
    this.state = 'ours';
    this.admin = admin;
    if (accessory !== undefined) this.accessory = accessory;
  }

  unpaired(): void {
    this.state = 'unpaired';
    this.admin = undefined;
  }

  /** The removal of the run's own pairing was asked for and not refused: what that came to has to be found out. */
  adminMayBeGone(): void {
    if (this.state !== 'ours') return;
    this.state = 'unknown';
    this.decide('a check asked to remove the pairing of this run, or to demote it');
  }
}
