import { Accessory, type Behaviour, deliver, memoryStore, serve } from '../../harness/accessory/index.js';
import { Bench, type Topic, benchFor, parseAddress } from '../../harness/device/index.js';
import { type Random, parseSetupCode, seededRandom } from '../../harness/protocol/index.js';
import {
  type Case,
  type CheckBody,
  type CheckResult,
  type CheckSpec,
  type Draft,
  type Level,
  Run,
  type RunOptions,
  type RunReport,
  type Watch,
  chapter,
  loadCases,
  loadCatalogue,
  requirementId,
} from '../../harness/runner/index.js';
import { type Patience, TcpDialer, defaultPatience, listenTcp } from '../../harness/wire/index.js';
import { suite as wholeSuite } from '../../suites/index.js';

export const code = parseSetupCode('031-45-154');

/** Checks that take seconds of arithmetic in memory; the self-test runs them. */
const heavy = ['SESS-03', 'PS-M3-14'];
/** The suite as tests run it that run it whole, again and again. */
export const everyday: readonly Case[] = wholeSuite.filter(({ id }) => !heavy.includes(id));

/**
 * The seed of runs of the whole suite: where they have one in common, their arithmetic is remembered from one to the
 * next. With this one no property guesses so often that the accessory is put back on the way, with another identity.
 */
export const SEED = 7;

/** The steps of the plain flow, which everything else builds on. */
export const sanity = ['PS-M1-01', 'PS-M3-01', 'PS-M5-01', 'PV-M1-01', 'PV-M3-01'];

/** What the reference accessory never declared: it is no receiver of AirPlay and no clone, has no authentication coprocessor, and no label. */
export function isUndeclared({ id, reason }: Pick<CheckResult, 'id' | 'reason'>): boolean {
  return (
    reason === 'not-applicable' &&
    /^(CLONE-|AIRPLAY-|MFI-|MDNS-(08|14)\/|PS-M1-11$|PS-STATE-09\/same-identifier$)/.test(id)
  );
}

/** A requirement by hand; only the level matters. */
function requirement(id: string, level: Level): Record<string, unknown> {
  const texts = {
    title: id,
    stimulus: 's',
    expected: 'e',
    rationale: 'r',
    source: 'x',
    preconditions: 'p',
    area: 'a',
  };
  return { id, level, needs: [], destructive: false, silent_security: false, failed_attempts: 0, ...texts };
}

/** The tools of a chapter, for checks that are called as their requirement is. */
export interface HandTools {
  check(id: string, spec: CheckSpec, body: CheckBody): Draft;
  watch<T extends Topic>(id: string, topic: T, body: Watch<T>['body']): Draft;
}

/** Cases written in a test, on a catalogue made for them; every requirement MUST unless its level is given. */
export function casesOf(
  write: (tools: HandTools) => readonly Draft[],
  levels: Readonly<Record<string, Level>> = {},
): readonly Case[] {
  const written = chapter('hand.made', ({ check, watch }) =>
    write({
      check: (id, ...rest) => check(id, requirementId(id), ...rest),
      watch: (id, ...rest) => watch(id, requirementId(id), ...rest),
    }),
  );
  const ids = new Set(written.drafts.map(({ id }) => requirementId(id)));
  const requirements = [...ids].map((id) => requirement(id, levels[id] ?? 'MUST'));
  return loadCases([written], loadCatalogue({ requirements }));
}

/** Cases of the real suite by id. @throws when one does not exist. */
export function fromSuite(...ids: readonly string[]): readonly Case[] {
  return ids.map((id) => {
    const found = wholeSuite.find((entry) => entry.id === id);
    if (found === undefined) throw new Error(`the suite has no ${id}`);
    return found;
  });
}

export interface Setting {
  readonly target?: string;
  readonly seed?: string;
  readonly patience?: Patience;
  readonly suite?: readonly Case[];
  readonly selected?: readonly Case[];
  readonly strict?: boolean;
  readonly bench?: Bench;
  /** Checks that lock the accessory too; they make hundreds of guesses each. */
  readonly destructive?: boolean;
  /** Failed attempts the run may spend before it resets the accessory. */
  readonly attempts?: number;
  /** Gets the wire record of each check. */
  readonly evidence?: RunOptions['evidence'];
  readonly expectations?: RunOptions['expectations'];
}

/** A run put together as the command does it: embedded and the whole suite unless said otherwise. */
export function newRun(setting: Setting = {}): Run {
  const { target = 'embedded', seed = '1', patience = defaultPatience, strict = false } = setting;
  const { destructive = false } = setting;
  const suite = setting.suite ?? wholeSuite;
  const random = seededRandom(seed);
  const bench = setting.bench ?? benchFor(parseAddress(target), { code, random, patience });
  const selected = setting.selected ?? (setting.suite === undefined ? everyday : suite);
  return new Run({
    target,
    seed,
    random,
    version: '0',
    command: 'test',
    strict,
    bench,
    suite,
    selected,
    destructive,
    ...(setting.attempts !== undefined && { attempts: setting.attempts }),
    ...(setting.evidence && { evidence: setting.evidence }),
    ...(setting.expectations && { expectations: setting.expectations }),
  });
}

/** Survey, every entry of the plan, restore. */
export async function execute(run: Run): Promise<RunReport> {
  await run.survey();
  for (const entry of run.plan) await run.runEntry(entry);
  await run.restore();
  return run.report();
}

/** One result as `fail must` or `pass`. */
export function word({ status, reason }: Pick<CheckResult, 'status' | 'reason'>): string {
  return reason === undefined ? status : `${status} ${reason}`;
}

/** Id → status and reason. */
export function wordsById(report: RunReport): Record<string, string> {
  return Object.fromEntries(report.results.map((result) => [result.id, word(result)]));
}

/** Hand-made cases, run on their own; the result of each by id, the whole report beside them. */
export async function runCases(
  cases: readonly Case[],
  setting: Setting = {},
): Promise<{ report: RunReport; of: (id: string) => CheckResult }> {
  const report = await execute(newRun({ suite: cases, selected: cases, ...setting }));
  return {
    report,
    of: (id) => {
      const found = report.results.find((result) => result.id === id);
      if (found === undefined) throw new Error(`no result of ${id}`);
      return found;
    },
  };
}

/**
 * A bench that reaches an accessory of this process over TCP, otherwise equipped as the embedded one: what it draws
 * in a check depends on nothing but that check, and reset and restart are built in.
 */
export async function tcpBench(
  behaviour: Behaviour,
  random: Random,
  patience: Patience,
): Promise<{ bench: Bench; close: () => Promise<void> }> {
  const store = memoryStore();
  let starts = 0;
  const boot = (): Accessory => {
    const label = ++starts === 1 ? 'accessory' : `accessory, start ${starts}`;
    return new Accessory({ code, random: random.fork(label), store, behaviour });
  };
  let accessory = boot();
  const listener = await listenTcp('127.0.0.1', 0, (connection) => void serve(accessory, connection));
  const bench = new Bench({
    dialer: new TcpDialer('127.0.0.1', listener.port),
    code,
    random,
    patience,
    host: `127.0.0.1:${listener.port}`,
    reseed: (label) => accessory.reseed(random.fork(`accessory in ${label}`)),
    hooks: {
      reset: () => Promise.resolve(deliver(accessory, accessory.factoryReset())),
      restart: () => {
        accessory = boot();
        return Promise.resolve();
      },
    },
  });
  return { bench, close: () => listener.close() };
}
