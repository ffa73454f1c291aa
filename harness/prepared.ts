import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type AccessoryState,
  type Bench,
  type CloneOf,
  Lifecycle,
  type Memory,
  addressKey,
  benchFor,
  openState,
} from './device/index.js';
import { InputError, aint, equal, readTrustAnchors, seededRandom } from './protocol/index.js';
import {
  Capture,
  SecretIndex,
  codeForms,
  keepPackets,
  redactor,
  reportRedactor,
  whyUnreadable,
  writeEvidence,
  writeReplay,
} from './report/index.js';
import {
  type CheckResult,
  type Execution,
  Run,
  type RunOptions,
  type RunReport,
  quoted,
} from './runner/index.js';
import { type Wanted, codesOf, headOf, repeatOf } from './wanted.js';
import { type Patience, type TraceEvent, defaultPatience } from './wire/index.js';

/** Where keys, ledgers and locks are kept unless told otherwise. */
export const DEFAULT_STATE = '.hapspec';

/** The state of an accessory, with the pairing of `hapspec pair` among the keys that may open it. */
export function withKept(state: AccessoryState, kept: AccessoryState | undefined): Memory {
  return {
    remember: (identity, how) => state.remember(identity, how),
    confirmed: (identity, accessory) => state.confirmed(identity, accessory),
    forget: (identity) => state.forget(identity),
    identities: () => [...state.identities(), ...(kept?.identities() ?? [])],
    get attempts() {
      return state.attempts;
    },
    spend: (count) => state.spend(count),
    wasReset: () => state.wasReset(),
  };
}

/** The same without the controllers of a clone: they are to stay in it, though the harness may be one of them. */
function withoutClones(memory: Memory, device: CloneOf | undefined): Memory {
  if (device === undefined) return memory;
  const { controllers } = device;
  return {
    ...memory,
    get attempts() {
      return memory.attempts;
    },
    identities: () =>
      memory.identities().filter(({ identity }) => !controllers.some(({ id }) => equal(id, identity.id))),
  };
}

function patienceOf(timeout: number): Patience {
  const { silence, close } = defaultPatience;
  return { answer: timeout, silence: Math.min(silence, timeout), close: Math.min(close, timeout) };
}

function trustAnchors(path: string): ReturnType<typeof readTrustAnchors> {
  let content: Uint8Array;
  try {
    content = readFileSync(path);
  } catch (error) {
    throw new InputError(`--mfi-root: cannot read ${path}: ${whyUnreadable(error)}`, { cause: error });
  }
  return readTrustAnchors(content);
}

/** A run ready to start, and the redaction everything it says has to pass before anyone sees it. */
export interface Prepared {
  readonly run: Execution;
  /** The accessory, when the whole run is on one. */
  readonly bench?: Bench;
  /**
   * Takes the lock, launches the accessory, first contact.
   * @throws InputError when another run uses the accessory; HookFailed; Unreachable.
   */
  begin(): Promise<void>;
  /** Leaves the accessory as it was found and lets go of it. */
  end(): Promise<void>;
  /** The report without setup code and keys. */
  redacted<T extends RunReport | CheckResult>(report: T): T;
}

/** A run on one accessory: the whole of it, or one part. */
export interface One extends Prepared {
  readonly run: Run;
  readonly bench: Bench;
}

export function prepareOne(
  wanted: Wanted,
  part: Pick<RunOptions, 'selected' | 'before' | 'stopped' | 'violated'>,
  share = 1,
): One {
  const { target, options, address, seed, code, codeSource, replay, clone } = wanted;
  const timeout = aint(options.timeout ?? defaultPatience.answer, 'timeout', 100, 600_000);
  const random = seededRandom(seed);
  const kept =
    address.kind === 'tcp'
      ? openState(options.state ?? DEFAULT_STATE, `${addressKey(address)} kept`)
      : undefined;
  const state =
    address.kind === 'tcp' ? openState(options.state ?? DEFAULT_STATE, addressKey(address)) : undefined;
  const wait = options.wait === undefined ? undefined : aint(options.wait, 'wait', 0, 24 * 3_600_000);
  const life = new Lifecycle({ ...options, ...(wait !== undefined && { wait }) }, target);
  const bench = benchFor(address, {
    code,
    random,
    patience: patienceOf(timeout),
    hooks: life.hooks,
    codeGiven: (options.code ?? '') !== '' || codeSource !== undefined,
    ...(options.searching !== undefined && { searching: options.searching }),
    ...(codeSource && { codeSource }),
    ...(options.declares && { declares: options.declares }),
    ...(options.mfiRoot !== undefined && { mfiRoots: trustAnchors(options.mfiRoot) }),
    ...(options.startLine && { startLine: options.startLine }),
    pace: aint(options.pace ?? 0, 'pace', 0, 60_000),
    ...(options.idle !== undefined && { idle: aint(options.idle, 'idle', 1_000, 24 * 3_600_000) }),
    ...(state && { memory: withoutClones(withKept(state, kept), clone?.device) }),
    ...(clone && { clone: clone.device }),
    ...(clone?.old && { old: clone.old }),
  });
  if (replay !== undefined && replay.profile !== bench.profile.name)
    throw new InputError(
      `--replay ${options.replay!}: it was found under the profile ${replay.profile}, and ${target} has ${bench.profile.name}`,
    );
  // What is in the file of the user is in no report.
  for (const { ltsk } of [...(clone ? [clone.device, ...clone.device.controllers] : [])])
    if (ltsk !== undefined) bench.keyring.keys.push(ltsk);
  const redact = redactor(codesOf(wanted), bench.keyring.keys, bench.keyring.made, bench.keyring.codes);
  const redacted = reportRedactor(redact);
  const { violated } = options;
  const capture =
    options.pcapng === undefined
      ? undefined
      : new Capture(
          Date.now() - bench.clock.now(),
          new SecretIndex([], bench.keyring.keys, bench.keyring.made),
          () => [...codesOf(wanted), ...bench.keyring.codes].flatMap(codeForms),
          options.evidenceKeys,
        );
  const watches = new Set(wanted.cases.filter(({ kind }) => kind === 'watch').map(({ id }) => id));
  const run: Run = new Run({
    ...headOf(wanted),
    ...(violated && { violated: (result: CheckResult) => violated(redacted(run.excused(result))) }),
    ...part,
    repeat: repeatOf(wanted),
    random,
    bench,
    hunt: {
      strict: options.strict ?? false,
      ...(options.time !== undefined && { time: share * aint(options.time, 'time', 1, 7 * 24 * 3_600_000) }),
      ...(replay && { replay, again: `--replay ${quoted(options.replay!)}` }),
      ...(options.say && { say: options.say }),
      keep: (found) => {
        const folder = options.evidence ?? join(options.state ?? DEFAULT_STATE, 'replays');
        return `--replay ${quoted(writeReplay(folder, found, redact))}`;
      },
    },
    ...(options.attempts !== undefined && { attempts: aint(options.attempts, 'attempts', 0, 95) }),
    ...(options.destructive !== undefined && { destructive: options.destructive }),
    ...(kept && { kept: () => kept.identities().map(({ identity }) => identity) }),
    ...((options.evidence !== undefined || capture !== undefined) && {
      evidence: (id: string, events: readonly TraceEvent[]) => {
        if (options.evidence !== undefined)
          writeEvidence(options.evidence, { id, target, seed }, events, redact, options.evidenceKeys);
        // What a watch objects to is among the packets of a check already.
        if (capture !== undefined && !watches.has(id))
          keepPackets(options.pcapng!, id, capture.add(id, events));
      },
    }),
  });
  return {
    run,
    bench,
    begin: async () => {
      state?.lock();
      // Taking the lock also reads what "hapspec pair" has written since.
      kept?.lock();
      try {
        await life.start(bench, () => run.over);
        if (!run.over) await run.survey();
      } catch (error) {
        await life.stop();
        kept?.release();
        state?.release();
        throw error;
      }
    },
    end: async () => {
      try {
        await run.restore();
      } finally {
        await bench.options.announcements?.close();
        await life.stop();
        kept?.release();
        state?.release();
      }
    },
    redacted,
  };
}
