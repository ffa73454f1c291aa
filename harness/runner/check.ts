import type { Authentication, SetupM2, SetupM4, SetupM6, VerifyM2 } from '../controller/index.js';
import {
  type Admission,
  type Announced,
  type Bench,
  type Controller,
  type Feature,
  type Outcome,
  type PairingState,
  type Reply,
  type Silent,
  type Step,
  type Topic,
  anyRefusal,
  badRequest,
  steps,
  success,
  tlvError,
} from '../device/index.js';
import {
  type Bytes,
  InputError,
  type Random,
  type ReceivedFrame,
  type TlvMessage,
} from '../protocol/index.js';
import type { HttpMessage } from '../wire/index.js';
import { type Catalogue, type Requirement, requirementId } from './catalogue.js';
import { anyGlob, glob } from './glob.js';
import type { Hunt } from './hunt.js';
import type { Alternatives, Expect } from './judge.js';

/**
 * The alternatives of a message that must be refused at a step: a TLV error or HTTP 400 is right, any other way of
 * saying no is tolerated, silence and success are not. No seed fixes how a malformed message is refused; HAP-NodeJS 2.0
 * answers HTTP 500 with JSON, brutella/hap HTTP 500 with a TLV error, or closes. Nothing of a success comes with it, so
 * whoever sent it gives up either way. Where a seed does fix the code (a wrong proof, a wrong signature, an accessory that
 * is paired, or busy), the check lists its own; that a refusal in TLV8 has its State is what PS-ERR-01 looks at.
 */
export function reject(step: Step): Required<Alternatives> {
  return {
    allow: [tlvError(steps[step].state), badRequest()],
    tolerate: [anyRefusal()],
    forbid: [success(step)],
  };
}

/** Messages of the protocol that a check sends with one thing wrong. */
export const gridMessages = [
  'setup-m1',
  'setup-m3',
  'setup-m5',
  'verify-m1',
  'verify-m3',
  'add',
  'remove',
  'list',
] as const;

/** What may be wrong with a message that is otherwise as it should be. */
export const gridDefects = [
  'state-wrong',
  'state-missing',
  'item-missing',
  'duplicated',
  'split',
  'truncated',
  'trailing',
  'unknown',
  'oversized',
  'bad-tag',
  'wrong-nonce',
  'replayed',
  'out-of-order',
  'other-connection',
] as const;

/** A cell of the grid of messages and defects. */
export type Cell = readonly [(typeof gridMessages)[number], (typeof gridDefects)[number]];

/** What a check needs, costs and accepts. */
export interface CheckSpec extends Alternatives {
  /** State of the accessory when the body starts. */
  readonly from: PairingState;
  /** State it leaves when the accessory behaves. */
  readonly leaves?: 'paired' | 'unpaired';
  /** What one run of the body asks of the accessory. */
  readonly costs?: {
    readonly m2?: number;
    readonly m4?: number;
    readonly m6?: number;
    readonly verifies?: number;
    readonly attempts?: number;
    /** Waiting that is part of the stimulus: seconds a healthy accessory takes of the run's time, from 20 on. */
    readonly seconds?: number;
  };
  /** Asks nothing of an accessory that does not declare this: then it costs nothing either. */
  readonly about?: Feature;
  /**
   * Checks, by their whole id, that run before this one; it is skipped when one of them failed, because it would be red
   * for the same cause or for none of its own. Steps of flows add theirs by themselves.
   */
  readonly needs?: readonly string[];
  /** The same, from the table of what stands on what: also watches. A check alone would be red for that cause itself. */
  readonly bases?: readonly string[];
  /** The stimulus may stop the accessory: it is asked for a sign of life afterwards. */
  readonly risky?: boolean;
  /** Real accessories have gone down for good of such a stimulus, and of what about it. */
  readonly hazard?: string;
  /** What failed attempts are spent on first: `attack`, a way in of its own; `everyday`, what honest controllers meet; last `spare`, which takes long. */
  readonly worth?: 'attack' | 'everyday' | 'spare';
  /** Only a factory reset could undo the stimulus if it were wrongly accepted: blocked without `--reset`, runs last. */
  readonly ifAccepted?: 'reset';
  /** It can lock the accessory or change its identity: needs `--destructive` and `--reset`. */
  readonly destructive?: boolean;
  /** Never repeated: its body has spent what a repeat would cost. */
  readonly once?: boolean;
  readonly needsHook?: 'reset' | 'restart';
  /** It is about a clone: what it takes beside the snapshot. */
  readonly clone?: {
    /** The secret key of a controller, of an admin, or of a plain user. */
    readonly key?: 'anybody' | 'admin' | 'user';
    /** The old device is up as well. */
    readonly old?: boolean;
  };
  /** Starts from `paired`, and does as well with an accessory somebody else has paired. */
  readonly keyless?: boolean;
  /** Message and defect, for a stimulus that is a valid message with one thing wrong. */
  readonly grid?: Cell;
  /** Whatever it finds is a warning at most. */
  readonly warnsOnly?: boolean;
  /**
   * A property: how often it runs, what one run costs, whether the user wants it whatever it costs, and which part of a
   * hunt that is shared out it is (`I/N`): each part draws from a seed of its own.
   */
  readonly property?: {
    readonly runs: number;
    readonly each: NonNullable<CheckSpec['costs']>;
    readonly asked?: boolean;
    readonly part?: string;
  };
  /** Part of the plain flow: runs first, in order; what builds on it is skipped when it fails. */
  readonly sanity?: boolean;
  /** Opens a connection that is silent beside the checks before this one, which judges what has become of it. */
  readonly beside?: (controller: Controller) => Promise<Silent | string>;
  /** It takes most of the places an accessory has to have: nothing waits beside it. */
  readonly alone?: boolean;
}

/** What a body works with. */
export interface CheckContext {
  readonly controller: Controller;
  /** Chai's expect, with `allowed()` for outcomes. */
  readonly expect: Expect;
  /** Randomness of this check. */
  readonly random: Random;
  readonly bench: Bench;
  readonly spec: CheckSpec;
  /** Seed of the run. */
  readonly seed: string;
  /** How properties are run. */
  readonly hunt: Hunt;
  /** Records how the accessory behaves where real ones differ. */
  observe(name: string, value: string): void;
  /** A lesser finding: the check ends as warn at best. */
  warn(what: string): void;
  /** A violation at any level. */
  violate(what: string): never;
  /** The accessory never declared what the check is about. */
  notApplicable(why: string): never;
}

export type CheckBody = (context: CheckContext) => Promise<void>;

/** What each topic hands to its watches. */
export interface TopicPayload {
  /** `asked` is the M1 it answers, as it was sent. */
  readonly 'setup-m2': {
    readonly reply: Outcome & Reply;
    readonly m2: SetupM2;
    readonly asked: TlvMessage;
  };
  readonly 'setup-m4': { readonly reply: Outcome & Reply; readonly m4: SetupM4 };
  /** M4 of a PairSetupWithAuth that was answered as such. */
  readonly authentication: { readonly reply: Outcome & Reply; readonly authentication: Authentication };
  readonly 'setup-m6': { readonly reply: Outcome & Reply; readonly m6: SetupM6 };
  readonly 'verify-m2': { readonly reply: Outcome & Reply; readonly m2: VerifyM2 };
  readonly 'verify-m4': { readonly reply: Outcome & Reply };
  readonly pairings: { readonly reply: Outcome & Reply };
  readonly 'pairing-reply': Outcome & Reply;
  /** A TLV error, and the State of the request it answers (1, 3 or 5). */
  readonly 'error-reply': { readonly reply: Outcome & Reply; readonly asked: number };
  readonly frame: ReceivedFrame;
  /** A segment on a secured connection; `wrong` says why when it is no frames that open with the next counters. */
  readonly secured: { readonly bytes: Bytes; readonly wrong: string | undefined };
  /** Pair Setup or Pair Verify was asked for, and nothing of ours was in the way. */
  readonly admission: Admission;
  /** A response or an event, whatever was asked; or a response that began before there was a request it could answer. */
  readonly message: { readonly message: HttpMessage } | { readonly unasked: string };
  /** The service was announced, asked for or not. */
  readonly announced: Announced;
  /** Readable bytes of one connection in the order they came: plaintext, opened frames, opened sub-TLVs. */
  readonly readable: { readonly connection: number; readonly bytes: Bytes };
}

export interface WatchContext extends Pick<
  CheckContext,
  'expect' | 'observe' | 'warn' | 'violate' | 'bench'
> {
  /** Kept from message to message of one run. */
  readonly memory: Map<string, string>;
}

interface Entry {
  /** Requirement id, plus `/variant`. */
  readonly id: string;
  readonly requirement: Requirement;
  /** `pair-setup.m3-m4`. */
  readonly chapter: string;
  /** `suites/pair-setup/m3-m4.ts`. */
  readonly file: string;
  readonly title: string;
  /** Why it says nothing about an accessory of such a profile, by the name of that. */
  readonly notFor: Readonly<Record<string, string>>;
}

/** All that has to hold before a check is worth its while. */
export function needsOf({ spec: { needs = [], bases = [] } }: Pick<Check, 'spec'>): readonly string[] {
  return bases.length === 0 ? needs : [...new Set([...needs, ...bases])];
}

/** A check sends something and judges what comes back. */
export interface Check extends Entry {
  readonly kind: 'check';
  readonly spec: CheckSpec;
  readonly body: CheckBody;
}

/** A watch sees every message of its topic in the run, sends nothing, costs nothing. */
export interface Watch<T extends Topic = Topic> extends Entry {
  readonly kind: 'watch';
  readonly topic: T;
  readonly body: (payload: TopicPayload[T], context: WatchContext) => void;
}

export type Case = Check | Watch;

/** A case as a suite writes it, before the catalogue gives it level and source. */
export type Draft = {
  readonly id: string;
  /** That of the requirement, word for word. */
  readonly title: string;
} & (
  | { readonly kind: 'check'; readonly spec: CheckSpec; readonly body: CheckBody }
  | { readonly kind: 'watch'; readonly topic: Topic; readonly body: Watch['body'] }
);

export interface ChapterTools {
  /**
   * `id` is a requirement id, plus `/variant` where one requirement has several checks; `title` is the requirement's in
   * the catalogue, so that a reader need not look it up.
   */
  check(id: string, title: string, spec: CheckSpec, body: CheckBody): Draft;
  watch<T extends Topic>(id: string, title: string, topic: T, body: Watch<T>['body']): Draft;
}

export interface Chapter {
  /** `pair-setup.m3-m4`: folder and file, unless it is a part of a chapter of several files. */
  readonly name: string;
  /** `suites/pair-setup/m3-m4.ts`. */
  readonly file: string;
  readonly drafts: readonly Draft[];
}

const tools: ChapterTools = {
  check: (id, title, spec, body) => ({ kind: 'check', id, title, spec, body }),
  watch: (id, title, topic, body) => ({ kind: 'watch', id, title, topic, body: body as Watch['body'] }),
};

/** One chapter of the suite, one file; or a part of it in the file `part` of the same folder. */
export function chapter(
  name: string,
  write: (tools: ChapterTools) => readonly Draft[],
  part?: string,
): Chapter {
  const [folder, own] = name.split('.', 2);
  return { name, file: `suites/${folder}/${part ?? own}.ts`, drafts: write(tools) };
}

/** Checks that say nothing about an accessory of a profile: id globs and the reason, by the name of the profile. */
export type Applicability = Readonly<
  Record<string, readonly { readonly ids: readonly string[]; readonly reason: string }[]>
>;

/** A check or watch that others stand on: where it is red, they would be for the same cause. */
export interface Base {
  readonly base: string;
  /** What the others ask of the accessory beside what they are about. */
  readonly why: string;
  /** Id globs of those that need it; watches and the base itself are left out. */
  readonly ids: readonly string[];
}

/** Stimuli that real accessories are known to go down of, and the reason. */
export interface Hazard {
  /** What there is in the message. */
  readonly why: string;
  /** Id globs. */
  readonly ids: readonly string[];
}

/** The reasons against a check, by its id and that of its requirement. */
function reasonsOf(
  applicability: Applicability,
): (id: string, requirement: string) => Readonly<Record<string, string>> {
  const profiles = Object.entries(applicability).map(([profile, rules]) => ({
    profile,
    rules: rules.map(({ ids, reason }) => ({ meant: anyGlob(ids), reason })),
  }));
  return (id, requirement) => {
    const found = profiles.flatMap(({ profile, rules }) => {
      const rule = rules.find(({ meant }) => meant(id) || meant(requirement));
      return rule === undefined ? [] : [[profile, rule.reason] as const];
    });
    return Object.fromEntries(found);
  };
}

/** Cases by a glob of their ids; most name one. */
function casesBy(cases: ReadonlyMap<string, Case>): (pattern: string) => readonly Case[] {
  const ids = new Map([...cases.keys()].map((id) => [id.toLowerCase(), id]));
  return (pattern) => {
    const one = ids.get(pattern.toLowerCase());
    if (one !== undefined) return [cases.get(one)!];
    return pattern.includes('*') ? [...cases.values()].filter(({ id }) => glob(pattern).test(id)) : [];
  };
}

/**
 * Joins chapters and catalogue.
 * @param bases - what stands on what, beside what the checks say themselves
 * @param hazards - what accessories are known to go down of
 * @throws InputError on an id the catalogue does not know, one that stands twice, a title that is not the catalogue's,
 * or alternatives that contradict each other.
 */
export function loadCases(
  chapters: readonly Chapter[],
  catalogue: Catalogue,
  applicability: Applicability = {},
  bases: readonly Base[] = [],
  hazards: readonly Hazard[] = [],
): readonly Case[] {
  const cases = new Map<string, Case>();
  const reasonsAgainst = reasonsOf(applicability);
  for (const { name, file, drafts } of chapters)
    for (const draft of drafts) {
      const { id } = draft;
      const requirement = catalogue.get(requirementId(id));
      if (requirement === undefined)
        throw new InputError(`suite ${name}: ${id} is no requirement of the catalogue`);
      if (cases.has(id)) throw new InputError(`suite ${name}: ${id} stands twice`);
      if (draft.title !== requirement.title)
        throw new InputError(
          `suite ${name}: ${id} is called "${draft.title}", and in the catalogue "${requirement.title}"`,
        );
      const variant = id.slice(requirement.id.length + 1);
      const entry: Entry = {
        id,
        requirement,
        chapter: name,
        file,
        notFor: reasonsAgainst(id, requirement.id),
        title: variant === '' ? requirement.title : `${requirement.title} (${variant.replaceAll('-', ' ')})`,
      };
      if (draft.kind === 'check') {
        const { allow = [], tolerate = [], forbid = [] } = draft.spec;
        const words = [...allow, ...tolerate, ...forbid].map((matcher) => matcher.words);
        const twice = words.find((text, i) => words.indexOf(text) !== i);
        if (twice !== undefined) throw new InputError(`suite ${name}: ${id} lists "${twice}" twice`);
      }
      cases.set(id, { ...draft, ...entry });
    }
  const casesOf = casesBy(cases);
  for (const { base, ids } of bases) {
    if (!cases.has(base)) throw new InputError(`suite: ${base} is said to be needed, and is no check`);
    for (const pattern of ids) {
      const wanted = casesOf(pattern);
      if (wanted.length === 0)
        throw new InputError(`suite: ${pattern}, which is to need ${base}, is no check`);
      for (const entry of wanted)
        if (entry.kind === 'check' && entry.id !== base && !entry.spec.sanity) {
          const all = new Set([...(entry.spec.bases ?? []), base]);
          cases.set(entry.id, { ...entry, spec: { ...entry.spec, bases: [...all] } });
        }
    }
  }
  for (const { why, ids } of hazards)
    for (const pattern of ids) {
      const meant = casesOf(pattern);
      if (meant.length === 0) throw new InputError(`suite: ${pattern}, said to be a hazard, is no check`);
      for (const entry of meant)
        if (entry.kind === 'check')
          cases.set(entry.id, { ...entry, spec: { ...entry.spec, hazard: entry.spec.hazard ?? why } });
    }
  return [...cases.values()];
}
