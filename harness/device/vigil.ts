import type { Identity } from '../protocol/index.js';
import { type Clock, Unreachable } from '../wire/index.js';
import type { Characteristic } from './accessories.js';
import { Blocked, NotApplicable, StepFailed } from './errors.js';
import { HookFailed } from './hooks.js';
import type { Link } from './link.js';

/** A connection that says nothing for long, what it was opened for, and the session on it. */
export interface Silent<S = unknown> {
  readonly link: Link;
  readonly session?: S;
  /** What it has subscribed to. */
  readonly item?: Characteristic;
}

/** Opens a connection that then is silent; a text says why the accessory is not asked. */
export type OpensSilent<S = unknown> = () => Promise<Silent<S> | string>;

/** What the connections of a vigil are held by. */
interface Holder {
  readonly clock: Clock;
  readonly links: { setAside(link: Link): void; takeBack(link: Link): void };
  readonly pairing: { readonly admin: Identity | undefined };
  closeLinks(): Promise<void>;
}

interface Kept {
  readonly waiting: Silent;
  readonly admin: Identity | undefined;
  since: number;
}

/** Milliseconds a silence lasts unless told otherwise, where it is waited out at all. */
export const DEFAULT_IDLE = 120_000;
/** Those of virtual time, where they cost nothing (ms). */
const VIRTUAL = [DEFAULT_IDLE, 300_000, 600_000];
/** A silence that says nothing (ms). */
const TOO_SHORT = 1_000;

/**
 * Connections that are silent while the rest of a run goes on beside them: they cost the run no time of its own. In
 * virtual time each check waits by itself, as long as phones do.
 */
export class Vigil {
  private readonly kept = new Map<string, Kept>();
  /** How long a check has waited: a repeat of it waits as long. */
  private readonly lasted = new Map<string, number>();
  /** Why nothing waits beside the run. */
  private why = 'nothing ran beside them';
  begun = false;
  /** That of the check that runs. */
  private own: Kept | undefined;

  constructor(
    private readonly holder: Holder,
    /** Milliseconds the user wants to be waited for at the least; left out, what the run takes has to do. */
    private readonly idle?: number,
    /** In virtual time too, what is silent waits beside the run: as on a device. */
    private readonly besideRun = false,
  ) {}

  /** Each check waits by itself, as long as phones do: time is virtual, and costs nothing. */
  get inFull(): boolean {
    return this.holder.clock.virtual && !this.besideRun;
  }

  /** The silences in a row a check waits for (ms). */
  get silences(): readonly number[] {
    const { idle = DEFAULT_IDLE } = this;
    if (!this.inFull) return [idle];
    return [...new Set([...VIRTUAL, idle])].sort((a, b) => a - b);
  }

  /** Opens what is to wait, each by the id of its check. Never throws for what the accessory does. */
  async begin(all: ReadonlyMap<string, OpensSilent>): Promise<void> {
    this.begun = true;
    try {
      for (const [id, open] of all) {
        const waiting = await open();
        if (typeof waiting !== 'string') this.keep(id, waiting);
        await this.holder.closeLinks();
      }
      for (const { waiting } of this.kept.values())
        if (!(await waiting.link.stillOpen(20))) return await this.drop('a newer session ends an older one');
    } catch (error) {
      if (!isOfTheAccessory(error)) throw error;
      await this.drop(error.message);
    }
  }

  /** The connection of a check, from the run that went on beside it, or opened now. @throws Blocked; NotApplicable */
  async take<S>(id: string, open: OpensSilent<S>): Promise<Silent<S>> {
    const kept = this.kept.get(id);
    this.kept.delete(id);
    const { clock, links, pairing } = this.holder;
    if (kept !== undefined) {
      links.takeBack(kept.waiting.link);
      if (kept.admin === pairing.admin) {
        this.own = kept;
        // Opened by the same, at the beginning.
        return kept.waiting as Silent<S>;
      }
      this.why = 'its pairing was removed meanwhile';
    }
    const waitsItself = this.inFull || this.idle !== undefined || this.lasted.has(id);
    if (!waitsItself)
      throw new Blocked(
        `it waits beside the run, and could not (${this.why}): --idle D waits it out, e.g. --idle 2m`,
      );
    const waiting = await open();
    if (typeof waiting === 'string') throw new NotApplicable(waiting);
    this.own = { waiting, admin: pairing.admin, since: clock.now() };
    return waiting;
  }

  /**
   * Waits until the connection of the check that runs has been silent for `silence` ms; where a run has no time of its
   * own for that, for as long as it has been. @returns in words how long that was @throws Blocked where it was nothing
   */
  async wait(id: string, silence: number): Promise<string> {
    const { clock } = this.holder;
    const own = this.own!;
    const due = this.inFull || this.idle !== undefined ? silence : (this.lasted.get(id) ?? 0);
    const left = own.since + due - clock.now();
    if (left > 0) await clock.sleep(left);
    const lasted = clock.now() - own.since;
    if (lasted < TOO_SHORT)
      throw new Blocked('no time went by beside it: --idle D waits it out, e.g. --idle 2m');
    this.lasted.set(id, lasted);
    const seconds = Math.round(lasted / 1000);
    return seconds % 60 === 0 ? `${seconds / 60} min` : `${seconds} s`;
  }

  /** The connection of the check that runs has spoken: its next silence begins. */
  spoke(): void {
    this.own!.since = this.holder.clock.now();
  }

  /** Ends what waits: nothing can be told from it any more. */
  async drop(why: string): Promise<void> {
    if (this.kept.size > 0) this.why = why;
    for (const { waiting } of this.kept.values()) await waiting.link.close();
    this.kept.clear();
  }

  private keep(id: string, waiting: Silent): void {
    const { clock, links, pairing } = this.holder;
    links.setAside(waiting.link);
    this.kept.set(id, { waiting, admin: pairing.admin, since: clock.now() });
  }
}

function isOfTheAccessory(error: unknown): error is Error {
  return (
    error instanceof StepFailed ||
    error instanceof Blocked ||
    error instanceof NotApplicable ||
    error instanceof HookFailed ||
    error instanceof Unreachable
  );
}
