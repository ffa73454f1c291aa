import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { prepareRun } from '../harness/conformance.js';
import type { Wait } from '../harness/device/index.js';
import type { Case, CheckResult } from '../harness/runner/index.js';
import { type Patience, defaultPatience } from '../harness/wire/index.js';
import { peer } from './processes.js';

const CODE = '031-45-154';
const PEER = '@homebridge/hap-nodejs 2.0.2';
/** Shorter waits are no matter (ms). */
const SHORT = 300;
/** In the sources, where it is committed. */
const table = fileURLToPath(new URL('../../bench/waits.md', import.meta.url));

interface Waited extends Wait {
  readonly entry: Case | undefined;
}

/** What a wait was for, and the rule that needs it. */
interface Reason {
  readonly what: string;
  readonly rule: string;
}

function reasonOf({ what, ended, milliseconds, entry }: Waited, red: boolean, patience: Patience): Reason {
  // A timer may fire a little early.
  const lasted = (whole: number): boolean => milliseconds >= whole - 5;
  if (what === 'pause')
    return { what: 'a pause', rule: `part of the stimulus: ${entry?.requirement.title ?? 'first contact'}` };
  if (what === 'end' || what === 'more')
    return { what: 'whether the connection ends', rule: 'a FIN may travel behind the last answer' };
  if (what === 'event' && ended === 'event')
    return { what: 'an event, which came', rule: 'it takes what the accessory takes' };
  if (ended !== 'silence')
    return { what: 'an answer, which came', rule: 'it takes what the accessory takes' };
  if (what === 'event' || entry?.id.startsWith('SESS-21') === true)
    return lasted(patience.silence)
      ? { what: 'an event that need not come', rule: 'events may be held back for a second to go together' }
      : {
          what: 'an event that must not come',
          rule: 'twice what the slowest of the run took, 500 ms at least',
        };
  if (red)
    return lasted(patience.answer)
      ? { what: 'an answer that was due', rule: 'a required answer gets the whole --timeout' }
      : lasted(patience.silence)
        ? {
            what: 'an answer that was due',
            rule: 'the first of a requirement, and the repeat of a failure, get twice the slowest answer, 1.5 s at least',
          }
        : {
            what: 'an answer known not to come',
            rule: 'it is due all the same: twice the slowest answer, 500 ms at least',
          };
  return lasted(patience.silence)
    ? { what: 'nothing', rule: 'silence is allowed: the first of each area gets 1.5 s' }
    : { what: 'nothing', rule: 'silence is allowed: twice the slowest answer, 400 ms at least' };
}

/** Every wait above 300 ms of a default run on a real accessory: which check, what for, which rule needs it. */
export async function waits(): Promise<Record<string, number>> {
  const folder = mkdtempSync(join(tmpdir(), 'hapspec-waits-'));
  const { port, end } = await peer(CODE, join(folder, 'storage'));
  try {
    const {
      run,
      bench,
      begin,
      end: leave,
    } = prepareRun(`127.0.0.1:${port}`, {
      code: CODE,
      seed: 1,
      state: join(folder, 'state'),
    });
    const all: Waited[] = [];
    const results = new Map<string, CheckResult>();
    let entry: Case | undefined;
    bench!.onWait = (wait) => all.push({ ...wait, entry });
    const start = performance.now();
    await begin();
    for (const planned of run.plan) {
      ({ entry } = planned);
      results.set(entry.id, await run.runEntry(planned));
    }
    entry = undefined;
    await leave();
    const wall = performance.now() - start;
    const text = page(all, results, wall);
    writeFileSync(table, text);
    console.log(text);
    return {};
  } finally {
    end();
    rmSync(folder, { recursive: true, force: true });
  }
}

function page(all: readonly Waited[], results: ReadonlyMap<string, CheckResult>, wall: number): string {
  const rows = new Map<string, { id: string; reason: Reason; times: number; ms: number }>();
  for (const wait of all.filter(({ milliseconds }) => milliseconds >= SHORT)) {
    const id = wait.entry?.id ?? 'before and after the checks';
    const reason = reasonOf(wait, results.get(id)?.status === 'fail', defaultPatience);
    const key = [id, reason.what, reason.rule].join('|');
    const row = rows.get(key) ?? { id, reason, times: 0, ms: 0 };
    rows.set(key, row);
    row.times++;
    row.ms += wait.milliseconds;
  }
  const sorted = [...rows.values()].sort((a, b) => b.ms - a.ms);
  const seconds = (ms: number): string => (ms / 1000).toFixed(1);
  const sum = (some: readonly { readonly ms: number }[]): string =>
    seconds(some.reduce((total, { ms }) => total + ms, 0));
  const answered = sorted.filter(({ reason }) => reason.rule === 'it takes what the accessory takes');
  const waited = sorted.filter((row) => !answered.includes(row));
  const lines = waited.map(
    ({ id, reason: { what, rule }, times, ms }) =>
      `| ${id} | ${what} | ${times === 1 ? '' : `${times} × `}${Math.round(ms / times)} | ${rule} |`,
  );
  return `# Waits of a default run

Every wait above ${SHORT} ms in \`hapspec run\` on ${PEER} over loopback, seed 1: ${sum(waited)} s in all, of
${seconds(wall)} s. Written by \`npm run bench waits\`. Answers that came after more than ${SHORT} ms are not in it: ${answered.reduce((count, { times }) => count + times, 0)} of
them took ${sum(answered)} s, which is what the accessory and the machine needed.

| check | for | ms | the rule that needs it |
| --- | --- | --- | --- |
${lines.join('\n')}
`;
}
