import { type Clock, type Dialer, type Patience, type Trace } from '../wire/index.js';
import { Link } from './link.js';
import type { LinkObserver } from './observer.js';
import type { Profile } from './profile.js';

export interface LinksOptions {
  readonly dialer: Dialer;
  readonly patience: Patience;
  /** Text of the Host header. */
  readonly host?: string;
  /** Milliseconds between two connections, for accessories that need time to breathe. */
  readonly pace?: number;
}

/** The connections of a run. */
export class Links {
  private links: Link[] = [];
  private connections = 0;
  private lastOpened = -Infinity;

  constructor(
    private readonly options: LinksOptions,
    private readonly clock: Clock,
    private readonly trace: Trace,
    /** Who looks on at the connection of a number. */
    private readonly observer: (number: number) => LinkObserver,
  ) {}

  /** @throws Unreachable when no connection comes about within the time for an answer. */
  async open(profile: Profile, dialer = this.options.dialer): Promise<Link> {
    const { patience, host = 'accessory.local', pace = 0 } = this.options;
    const due = this.lastOpened + pace;
    if (this.clock.now() < due) await this.clock.sleep(due - this.clock.now());
    this.lastOpened = this.clock.now();
    const connection = await dialer.connect(this.clock.now() + patience.answer);
    const number = ++this.connections;
    const link = new Link(number, connection, profile, this.trace, this.observer(number), host);
    this.links.push(link);
    return link;
  }

  /** Connections opened in this run. */
  get opened(): number {
    return this.connections;
  }

  /** Another connection of this check has begun a Pair Setup, and may be what keeps a further one out. */
  hasBegunBeside(own: Link): boolean {
    return this.links.some((link) => link !== own && link.begun);
  }

  /** No connection is open beside this one. */
  isAlone(own?: Link): boolean {
    return this.links.every((link) => link === own);
  }

  /** It outlives the check that opened it. */
  setAside(link: Link): void {
    this.links = this.links.filter((other) => other !== link);
  }

  /** It belongs to the check that runs. */
  takeBack(link: Link): void {
    this.links.push(link);
  }

  /** Ends every connection of the check that just ran. */
  async close(): Promise<void> {
    const links = this.links;
    this.links = [];
    for (const link of links) await link.close();
  }
}
