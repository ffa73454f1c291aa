import { type Bytes, FeatureFlag, text } from '../../protocol/index.js';
import { setupHash } from '../crypto.js';
import type { Device, DeviceDecisions } from '../device/device.js';
import type { Pairing } from '../facts.js';

/** Setup id and category (a lightbulb) of the reference accessory. */
export const SETUP_ID = 'HSPC';

export const CATEGORY = 5;

/** What the accessory knows when it says who it is on the network. */
export interface AnnouncedFacts {
  /** The accessory's own identifier and LTPK (32 bytes). */
  readonly id: string;
  readonly ltpk: Bytes;
  readonly pairings: readonly Pairing[];
  readonly failedAttempts: number;
  /** Since the accessory was started: changes of the pairings, and whether there was one at any time. */
  readonly changes: number;
  readonly everPaired: boolean;
  /** Its identifier at the start, and whether that was a restart. */
  readonly firstId: string;
  readonly restarted: boolean;
  /** How far Pair Setup is, on whatever connection. */
  readonly stage: SetupStage;
  /** How it is asked; undefined when it speaks by itself. */
  readonly asked: Asking | undefined;
  /** Milliseconds since it spoke by itself. */
  readonly sinceSaid: number;
  /** 6 bytes drawn at the start. */
  readonly boot: Bytes;
  /** Where it listens. */
  readonly addresses: readonly string[];
  readonly port: number;
}

/** Nobody is pairing; M2 is out; M4 is out. */
export type SetupStage = 'nothing' | 'm2' | 'm4';

/**
 * A question as this harness puts it; several types in one message; with answers that are known already; with the bit
 * for an answer to whoever asks alone (QU), by itself, together with all of that, or only in the questions for others.
 */
export type Asking =
  | 'plainly'
  | 'with-others'
  | 'with-known-answers'
  | 'unicast-wanted'
  | 'as-phones-begin'
  | 'unicast-wanted-of-others';

/** What is said on the network when something has changed, `delay` ms behind it. */
export interface Said {
  readonly delay: number;
  /** The announcement as it is then; as it was before the change; goodbye, with a TTL of 0. */
  readonly what: 'now' | 'before' | 'goodbye';
}

/** What has changed. */
export interface Occurrence {
  readonly cause: 'pairings' | 'setup';
  readonly stage: SetupStage;
  readonly pairings: readonly Pairing[];
}

/** What is announced: addresses and port, and the TXT record in order. */
export interface Announcement {
  readonly addresses: readonly string[];
  readonly port: number;
  readonly txt: readonly (readonly [key: string, value: string])[];
  /** Bytes of the instance name, where it is not the one it was given. */
  readonly name?: Bytes;
}

/** What the accessory says about itself on the network. */
export class Announcer {
  /** Since the start: changes of the pairings, and whether there was one at any time. */
  private changes = 0;
  private everPaired: boolean;
  private readonly firstId: string;

  /** `boot` is 6 bytes drawn at the start. */
  constructor(
    private readonly device: Device<AnnouncementDecisions & DeviceDecisions>,
    private readonly boot: Bytes,
    private readonly stage: () => SetupStage,
  ) {
    this.everPaired = device.pairings.length > 0;
    this.firstId = text(device.identity.id);
  }

  /** To be called when pairings or identity have changed. */
  changed(): void {
    this.changes++;
    this.everPaired ||= this.device.pairings.length > 0;
  }

  /** What is to be said of a change. */
  says(cause: Occurrence['cause']): readonly Said[] {
    const { behaviour, pairings } = this.device;
    return behaviour.says({ cause, stage: this.stage(), pairings });
  }

  /** The announcement as of now, or undefined for none. */
  announcement(
    place: Pick<AnnouncedFacts, 'addresses' | 'port' | 'sinceSaid'>,
    asked: Asking | undefined,
  ): Announcement | undefined {
    const { changes, everPaired, firstId, boot } = this;
    const { behaviour, identity, pairings, failedAttempts, restarted } = this.device;
    const id = text(identity.id);
    const facts = {
      ...place,
      id,
      ltpk: identity.ltpk,
      pairings,
      failedAttempts,
      changes,
      everPaired,
      firstId,
      restarted,
      stage: this.stage(),
      asked,
      boot,
    };
    return behaviour.isAnnounced(facts) ? behaviour.announces(facts) : undefined;
  }
}

export interface AnnouncementDecisions {
  /** The announcement as it is due now: asked for with every question and after every change. */
  announces(facts: AnnouncedFacts): Announcement;
  /** False to say nothing on the network, asked or not. */
  isAnnounced(facts: AnnouncedFacts): boolean;
  /** What is said, unasked, when something has changed. */
  says(occurrence: Occurrence): readonly Said[];
}

export const healthyAnnouncement: AnnouncementDecisions = {
  announces: ({ id, pairings, addresses, port }) => ({
    addresses,
    port,
    txt: [
      ['c#', '1'],
      ['ff', String(FeatureFlag.Software)],
      ['id', id],
      ['md', 'hapspec reference'],
      ['pv', '1.1'],
      ['s#', '1'],
      ['sf', pairings.length === 0 ? '1' : '0'],
      ['ci', String(CATEGORY)],
      ['sh', setupHash(SETUP_ID, id)],
    ],
  }),
  isAnnounced: () => true,
  says: ({ cause }) => (cause === 'pairings' ? [{ delay: 0, what: 'now' }] : []),
};
