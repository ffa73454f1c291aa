import { Method } from '../protocol/index.js';
import type { Announcements } from './discovery.js';
import type { Topic } from './heard.js';
import type { Outcome } from './outcome.js';
import type { Declarable, Feature, KeyNames, Profile } from './profile.js';

/** What became of guesses that were to lock the accessory. */
export interface Lockout {
  /** Wrong proofs answered as such before the accessory locked, or all of them when it never did. */
  readonly guesses: number;
  readonly connections: number;
  /** An answer said MaxTries. */
  readonly locked: boolean;
  /** What ended the guesses, when it was not their number. */
  readonly outcome: Outcome | undefined;
}

/** What the run has found out about the accessory, beside whether it is paired. */
export class Learned {
  /** Requirements found violated in a way that makes flows over them useless, with what was seen. */
  readonly broken = new Map<string, string>();
  /** The check of the plain flow that showed that a paired accessory answers nothing any more. */
  deadly: string | undefined;
  /** What watches have objected to, by their id. */
  readonly violated = new Map<string, string>();
  /** Requirements in `broken` that a step of the plain flow showed, and none of their own checks yet. */
  readonly metOnTheWay = new Set<string>();
  /** What the accessory has been through since the setup code was taken last. */
  sinceCode: 'restart' | 'factory reset' | undefined;
  /** The accessory did something forbidden in this run: what M1 says about its pairings is not trusted alone. */
  misbehaved = false;
  /** The accessory answered on a fresh connection since the runner last set this to false. */
  answeredAfresh = false;
  /** Pair Verify M1 was answered while nobody was paired: the accessory does not die of that. */
  verifiesUnpaired = false;
  /** What a receiver does not serve of administration, by Method, and how that was answered. */
  readonly unserved = new Map<number, string>();
  /** What of it has been answered. */
  readonly served = new Set<number>();
  /** Why nobody can be taken out of a receiver again, once that is known. */
  keepsAll: string | undefined;
  /** An Add or an M5 was answered by MaxPeers in the check that runs. */
  metMaxPeers = false;
  /** A receiver that answers M6 and knows nobody in Pair Verify: why, once it has a transient session to offer. */
  keepsNobody: string | undefined;
  /** The check that runs is about sessions, and a transient one has to do. */
  insteadOfVerified = false;
  /** A receiver admits admins alone: its plain users cannot verify; undefined until one has tried. */
  adminsOnly: boolean | undefined;
  /** The list of pairings could not be read where it could before: only pairing anew makes sure of it. */
  listDoubtful = false;
  /** The names by which the keys of a transient Pair Setup go here, once one has come about. */
  transientNames: KeyNames | undefined;
  /** Why there is no transient Pair Setup, once that is known. */
  noTransient: string | undefined;
  /** Topics no message will come of, and why. */
  readonly absent = new Map<Topic, string>();
  /** What the guesses came to, while the accessory is locked by them. */
  lockout: Lockout | undefined;
  /** A check has run that may leave the accessory locked: only a factory reset makes it what it was. */
  tainted = false;
  /** Why no answer of this accessory tells anything: it speaks before it is asked. */
  useless: string | undefined;
  /** Another device has the name or the id of this one: in words. */
  conflict: string | undefined;
  /** A receiver does not answer to being asked to show its code. */
  showsNoCode = false;
  private readonly declared = new Map<Feature, boolean>();

  constructor(
    /** Narrowed by what the accessory is found to serve. */
    public profile: Profile,
    /** What the user says the accessory can do. */
    private readonly said: readonly Declarable[] = [],
    private readonly announcements?: Pick<Announcements, 'current'>,
  ) {}

  /** By the user's account it is a router: M2 may carry flags of its own. */
  get isRouter(): boolean {
    return this.said.includes('router');
  }

  /** Whether the accessory can do this by its own account, or by the user's. */
  async declares(feature: Feature): Promise<boolean> {
    let known = this.declared.get(feature) ?? this.said.includes(feature);
    if (!known) {
      const announced = await this.announcements?.current();
      known = announced !== undefined && this.profile.declares[feature](announced.txt);
    }
    this.declared.set(feature, known);
    return known;
  }

  /** A receiver does not serve this at all. */
  lacks(method: number, why: string): void {
    if (method === Method.ListPairings) this.absent.set('pairings', `no administration here: ${why}`);
    this.unserved.set(method, why);
    if (method === Method.RemovePairing) this.keepsAll ??= `no pairing can be removed: ${why}`;
  }
}
