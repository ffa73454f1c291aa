import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Accessory, type AccessoryOptions, startServer } from '../../harness/accessory/index.js';
import { prepareRun } from '../../harness/conformance.js';
import {
  type TlvMessage,
  decodeTlv,
  encodeTlv,
  parseSetupCode,
  seededRandom,
  setupM1,
} from '../../harness/protocol/index.js';
import { json, junit } from '../../harness/report/index.js';
import type { RunReport } from '../../harness/runner/index.js';
import type { ConformanceOptions } from '../../harness/wanted.js';
import { HttpReader, TcpDialer, Unreachable, encodeRequest } from '../../harness/wire/index.js';
import { elements, parseStrictly } from '../report/xml.js';

export const CODE = '031-45-154';

/** The long lane: everything there is, for minutes. */
export const slow = process.env['HAPSPEC_SLOW'] === '1';

/** A reference accessory of this process on loopback, so that a test can look inside. */
export interface Reference {
  readonly accessory: Accessory;
  readonly port: number;
  readonly target: string;
  close(): Promise<void>;
}

export async function reference(
  seed: string,
  options: Partial<Pick<AccessoryOptions, 'latency' | 'behaviour' | 'store'>> = {},
): Promise<Reference> {
  const accessory = new Accessory({ code: parseSetupCode(CODE), random: seededRandom(seed), ...options });
  const { port, close } = await startServer({ accessory, host: '127.0.0.1', port: 0 });
  return { accessory, port, target: `127.0.0.1:${port}`, close };
}

/** What answers a Pair Setup M1 this test writes itself, past all that the harness believes about the accessory. */
export async function answerToM1(port: number): Promise<TlvMessage> {
  const dialer = new TcpDialer('127.0.0.1', port);
  const connection = await dialer.connect(dialer.clock.now() + 3_000);
  const headers: [string, string][] = [
    ['Host', `127.0.0.1:${port}`],
    ['Content-Type', 'application/pairing+tlv8'],
  ];
  connection.write(
    encodeRequest({ method: 'POST', path: '/pair-setup', headers, body: encodeTlv(setupM1()) }),
  );
  const reader = new HttpReader('response');
  try {
    for (;;) {
      const progress = reader.next();
      if (progress.kind === 'message') return decodeTlv(progress.message.body);
      const event = await connection.next(dialer.clock.now() + 3_000);
      if (event.kind !== 'data') throw new Error(`M1 was answered by ${event.kind}`);
      reader.feed(event.bytes);
    }
  } finally {
    connection.close();
  }
}

/** True when the accessory gives M2: it is paired with nobody, and anybody may pair. */
export async function pairable(port: number): Promise<boolean> {
  return (await answerToM1(port)).typeNames().toSorted().join(' ') === 'PublicKey Salt State';
}

/** A folder for one test file, with folders for single runs in it. */
export class Folder {
  readonly path = mkdtempSync(join(tmpdir(), 'hapspec-care-'));
  private count = 0;

  /** A path that does not exist yet. */
  fresh(): string {
    return join(this.path, String(++this.count));
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** Names of the files that keep something of an accessory: a lock, a ledger, keys. */
export function kept(state: string): string[] {
  return (
    readdirSync(state)
      // A kill within the making of the folder leaves one that could be another process's at work.
      .filter((name) => !/^\.gitignore(\.\d+\.tmp)?$/.test(name))
      .sort()
  );
}

/** Runs a task for each item, so many at a time, in the order given. */
export async function inParallel<T>(
  width: number,
  items: readonly T[],
  task: (item: T) => Promise<void>,
): Promise<void> {
  const rest = items[Symbol.iterator]();
  // One iterator shared by all: each takes the next when it is done with its last.
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (const item of rest) await task(item);
    }),
  );
}

export interface Reports {
  readonly report: RunReport;
  /** Ids in the JUnit report, sorted. */
  readonly testcases: readonly string[];
}

/** Both reports of a run, read as strictly as can be. */
export function readReports(junitFile: string, jsonFile: string): Reports {
  return parseReports(readFileSync(junitFile, 'utf8'), readFileSync(jsonFile, 'utf8'));
}

function parseReports(xml: string, text: string): Reports {
  const document = parseStrictly(xml);
  // The one that says for all of them that some did not run is no result.
  const testcases = elements(document, 'testcase')
    .map((testcase) => testcase.getAttribute('name')!.split(' ')[0]!)
    .filter((id) => id !== 'run/complete');
  return { report: JSON.parse(text) as RunReport, testcases: testcases.sort() };
}

/**
 * What `hapspec run` does with a target, in this process: for runs that are about the accessory and not about the
 * process. It costs no start, and what both sides compute is remembered from run to run while memoising is on.
 */
export async function runHere(target: string, options: ConformanceOptions): Promise<Reports> {
  const { run, begin, end, redacted } = prepareRun(target, { code: CODE, ...options });
  const reports = (report: RunReport): Reports => {
    const clean = redacted(report);
    return parseReports(junit(clean), json(clean));
  };
  try {
    await begin();
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
    run.unreachable(error.message);
    return reports(run.report({ code: 3, meaning: error.message }));
  }
  for (const entry of run.plan) await run.runEntry(entry);
  await end();
  return reports(run.report());
}
