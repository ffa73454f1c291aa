import pc from 'picocolors';
import type { CheckResult, Duration, Price, RunObserver, RunReport, Status } from '../runner/result.js';
import { causeLines, causesOf } from './causes.js';
import { counts, groupBy, idList } from './counts.js';
import { clip, failureText, folded, oneLine } from './text.js';

export interface ConsoleOptions {
  readonly stream: NodeJS.WritableStream & { isTTY?: boolean; columns?: number };
  readonly colours: boolean;
  /** Every failure in full; on a terminal, a line for every check and not only for failures and errors. */
  readonly verbose?: boolean;
  /** Milliseconds; the system's clock unless given. */
  readonly now?: () => number;
}

/** How long a run has to go on (ms), over how many checks and which part of its work, before what is left of it can be told. */
const TELLS = { after: 5_000, checks: 5, share: 0.05 };

/** `about 3 min left` */
function timeLeft(seconds: number): string {
  if (seconds < 90) return `about ${Math.max(5, 5 * Math.round(seconds / 5))} s left`;
  return `about ${Math.round(seconds / 60)} min left`;
}

/** How much longer a run takes: work at the pace of what was done so far, and what is waited at any pace. */
class Progress {
  private began: number | undefined;
  private readonly done = new Set<string>();

  /** @param durations - of all there is to do, as far as that is known at the time: a quick accessory is asked more */
  constructor(
    private readonly now: () => number,
    private readonly durations: () => ReadonlyMap<string, Duration>,
  ) {}

  /** The first check begins: nothing before tells how long a check takes. */
  begin(): void {
    this.began ??= this.now();
  }

  over(id: string): void {
    this.done.add(id);
  }

  /** Seconds; undefined as long as that cannot be told. */
  get left(): number | undefined {
    const elapsed = this.now() - (this.began ?? this.now());
    if (elapsed < TELLS.after || this.done.size < TELLS.checks) return undefined;
    const [over, open] = [
      { work: 0, waits: 0 },
      { work: 0, waits: 0 },
    ];
    for (const [id, { work, waits }] of this.durations()) {
      const sum = this.done.has(id) ? over : open;
      sum.work += work;
      sum.waits += waits;
    }
    if (over.work === 0 || over.work < TELLS.share * (over.work + open.work)) return undefined;
    const seconds = elapsed / 1000;
    // What is waited for may have come sooner.
    const worked = Math.max(seconds - over.waits, seconds / 10);
    return open.waits + (worked / over.work) * open.work;
  }
}

const ERASE_LINE = '\r\u001b[2K';

/** Words beside symbols, so that a log can be searched and read without colours. */
const badges: Readonly<Record<Status, string>> = {
  pass: '✓ pass ',
  warn: '! warn ',
  fail: '✗ FAIL ',
  skip: '- skip ',
  error: '? ERROR',
};

const words: readonly (readonly [Status, one: string, many: string])[] = [
  ['pass', 'passed', 'passed'],
  ['warn', 'warning', 'warnings'],
  ['fail', 'failed', 'failed'],
  ['skip', 'skipped', 'skipped'],
  ['error', 'error', 'errors'],
];

function time(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

function priceLine(price: Price): string {
  const { m2, m4, m6, verifies, attempts, resets } = price;
  const spent = `${m2} M2, ${m4} M4, ${m6} M6, ${verifies} verifies, ${resets} resets; ${attempts} attempts`;
  return `price: ${spent}; ${time(price.wallMs)}, of it ${time(price.accessoryMs)} waiting for the accessory`;
}

/** How many checks did not run because of which other, by the id of that. */
function dependents(results: readonly CheckResult[]): ReadonlyMap<string, number> {
  const kept = new Map<string, number>();
  for (const { reason, message } of results) {
    const [, id] = /^needs ([A-Z][\w/-]*)/.exec(message) ?? [];
    if (reason === 'dependency' && id !== undefined) kept.set(id, (kept.get(id) ?? 0) + 1);
  }
  return kept;
}

/**
 * Failures in the order a reader should take them: what most others stand on, what opens the accessory to strangers, then
 * by level; what is inconclusive last.
 */
function byWeight(red: readonly CheckResult[], kept: ReadonlyMap<string, number>): readonly CheckResult[] {
  const key = ({ id, status, level, security }: CheckResult): readonly number[] => [
    ['fail', 'warn', 'error'].indexOf(status),
    -(kept.get(id) ?? 0),
    security === true ? 0 : 1,
    ['MUST', 'SHOULD', 'VARIES'].indexOf(level),
  ];
  return red
    .map((result) => ({ result, order: key(result) }))
    .sort((a, b) => {
      const at = a.order.findIndex((number, i) => number !== b.order[i]);
      return at < 0 ? 0 : a.order[at]! - b.order[at]!;
    })
    .map(({ result }) => result);
}

/**
 * Shows a run to people. On a terminal one rewritten progress line; elsewhere (CI) one plain line for each check.
 * After the list come failures in full, warnings, skips by reason, and last the summary.
 */
export function consoleReporter(options: ConsoleOptions): RunObserver {
  const { stream, verbose = false } = options;
  const colours = pc.createColors(options.colours);
  const terminal = stream.isTTY === true;
  const paint: Readonly<Record<Status, (text: string) => string>> = {
    pass: colours.green,
    warn: colours.yellow,
    fail: colours.red,
    skip: colours.dim,
    error: colours.magenta,
  };
  // One column stays free: a full line makes some terminals wrap, and a wrapped line cannot be rewritten. Terminals without
  // anybody before them say that they have none.
  const width = (): number => ((stream.columns ?? 0) > 0 ? stream.columns! : 80) - 1;
  const now = options.now ?? (() => performance.now());
  let planned = 0;
  let done = 0;
  let pace = new Progress(now, () => new Map());
  let chapter: string | undefined;
  let progressShown = false;
  const causes = new Set<string>();
  /** Watches whose violation is on the screen already. */
  const told = new Set<string>();

  const print = (...lines: readonly string[]): void => {
    const erase = progressShown ? ERASE_LINE : '';
    progressShown = false;
    stream.write(erase + lines.map((line) => line + '\n').join(''));
  };

  const progress = (text: string): void => {
    stream.write(ERASE_LINE + colours.dim(clip(text, Math.max(10, width()))));
    progressShown = true;
  };

  const resultLine = (result: CheckResult): string => {
    const told = result.message === '' ? '' : `: ${oneLine(result.message, 300)}`;
    const text = `${oneLine(`${result.id} ${result.title}`, 200)}${told}`;
    // In full it stands among the failures.
    const room = terminal ? Math.max(40, width()) - 2 - badges.fail.length - 1 : Infinity;
    return `  ${paint[result.status](badges[result.status])} ${clip(text, room)}`;
  };

  /** With the chapter above it where that is another one than above the line before. */
  const resultLines = (result: CheckResult): string[] => {
    if (result.chapter === chapter) return [resultLine(result)];
    chapter = result.chapter;
    return [colours.bold(oneLine(chapter)), resultLine(result)];
  };

  const grouped = (title: string, results: readonly CheckResult[]): string[] => {
    if (results.length === 0) return [];
    const lines = ['', colours.bold(title)];
    for (const [reason, members] of groupBy(results, (result) => result.reason ?? ''))
      for (const [message, same] of groupBy(members, (result) => result.message))
        lines.push(`  ${same.length} ${reason}: ${oneLine(message, 300)} (${idList(same)})`);
    return lines;
  };

  /** One line for what several checks met; the commonest first. */
  const warningLines = (warnings: readonly CheckResult[]): string[] => {
    if (warnings.length === 0) return [];
    // How long a silence lasted tells two of them not apart.
    const groups = groupBy(warnings, ({ message }) => message.replace(/\b\d+ ms\b/g, '… ms'));
    const lines = [...groups]
      .sort(([, a], [, b]) => b.length - a.length)
      .map(([message, same]) =>
        same.length === 1
          ? resultLine(same[0]!)
          : `  ${paint.warn(badges.warn)} ${same.length} checks: ${oneLine(message, 300)} (${idList(same)})`,
      );
    return ['', colours.bold('Warnings'), ...lines];
  };

  const details = (report: RunReport): string[] => {
    const { results, strict } = report;
    const red = results.filter(
      ({ status, reason }) =>
        status === 'fail' || (status === 'error' && reason !== 'not-run') || (strict && status === 'warn'),
    );
    const kept = dependents(results);
    const lines: string[] = [];
    const inFull = (result: CheckResult): string[] => {
      const [first = '', ...rest] = failureText(result, report).split('\n');
      const many = kept.get(result.id) ?? 0;
      if (many > 0)
        rest.unshift(`weight: ${many} ${many === 1 ? 'check stands' : 'checks stand'} on it and did not run`);
      return ['', paint[result.status](first), ...rest.map((line) => `  ${line}`)];
    };
    const view = causesOf(report);
    const causes = view?.causes ?? [];
    const told = new Set<CheckResult>();
    if (causes.length > 0) {
      lines.push('', colours.bold('Causes'));
      for (const [i, cause] of causes.entries()) {
        const { shown } = cause;
        for (const result of [...(shown ? [shown] : []), ...cause.others]) told.add(result);
        const [first = '', ...rest] = causeLines(i + 1, cause);
        lines.push('', colours.bold(first), ...rest);
        if (shown !== undefined) lines.push(...inFull(shown));
        if (verbose) lines.push(...byWeight(cause.others, kept).flatMap(inFull));
        else if (cause.others.length > 0)
          lines.push('', `  and ${cause.others.length} more of it: ${idList(byWeight(cause.others, kept))}`);
      }
      if (view?.next !== undefined) lines.push('', `next: ${oneLine(view.next)}`);
    }
    const others = red.filter((result) => !told.has(result));
    if (others.length > 0)
      lines.push(
        '',
        colours.bold(causes.length > 0 ? 'Other failures: no known mistake explains them' : 'Failures'),
      );
    lines.push(...byWeight(others, kept).flatMap(inFull));
    lines.push(...warningLines(results.filter(({ status }) => status === 'warn' && !strict)));
    lines.push(
      ...grouped(
        'Not run',
        results.filter(({ status, reason }) => status === 'error' && reason === 'not-run'),
      ),
    );
    lines.push(
      ...grouped(
        'Skipped',
        results.filter(({ status }) => status === 'skip'),
      ),
    );
    return lines;
  };

  /** Who it is, and in what it is rightly different from others. */
  const identity = ({ accessory }: RunReport): string[] => {
    const known = Object.entries(accessory).filter(
      ([name]) => !['profile', 'found as', 'LTPK'].includes(name),
    );
    if (known.length === 0) return [];
    return [`identity: ${known.map(([name, value]) => `${oneLine(name)} ${oneLine(value, 80)}`).join('; ')}`];
  };

  const summary = (report: RunReport): string[] => {
    const total = counts(report.results);
    const notRun = report.results.filter(({ reason }) => reason === 'not-run').length;
    const tally = words.map(([status, one, many]) => {
      // What did not run is no error of anybody.
      const count = status === 'error' ? total.error - notRun : total[status];
      const text = `${count} ${count === 1 ? one : many}`;
      return count > 0 ? paint[status](text) : text;
    });
    if (notRun > 0) tally.push(paint.error(`${notRun} not run`));
    const left = oneLine(report.aftermath.message);
    const view = causesOf(report);
    const exit = `exit ${report.exit.code}: ${oneLine(report.exit.meaning)}`;
    return [
      '',
      ...(report.aftermath.clean ? [] : [colours.red(colours.bold(`accessory: ${left}`))]),
      tally.join(', '),
      ...(view === undefined
        ? []
        : [`diagnosis: ${view.note === undefined ? view.summary : oneLine(view.note)}`]),
      priceLine(report.price),
      `seed: ${oneLine(report.seed)}`,
      ...identity(report),
      ...(report.aftermath.clean && left !== '' ? [`accessory: ${left}`] : []),
      (report.exit.code === 0 ? colours.green : colours.red)(exit),
    ];
  };

  return {
    started(count, about) {
      planned = count;
      pace = new Progress(now, about.durations ?? (() => new Map()));
      const run = `hapspec ${oneLine(about.tool.version)}: ${oneLine(about.target)}, seed ${oneLine(about.seed)}`;
      print(`${run}, ${count} planned`);
    },
    checking(check) {
      pace.begin();
      if (!terminal) return;
      const { left } = pace;
      const about = left === undefined ? '' : ` ${timeLeft(left)}:`;
      progress(`[${done + 1}/${planned}]${about} ${oneLine(`${check.id} ${check.title}`, 200)}`);
    },
    violated(result) {
      if (result.status !== 'fail' || told.has(result.id)) return;
      if (result.kind === 'watch') told.add(result.id);
      print(...resultLines(result));
    },
    checked(result) {
      done++;
      pace.over(result.id);
      // How many messages it was in the end stands among the failures.
      if (told.has(result.id) && result.status === 'fail') return;
      if (terminal && !verbose && result.status !== 'fail' && result.status !== 'error') return;
      // One cause, one line: how many it has kept from running stands at the end.
      if (result.reason === 'not-run' || result.reason === 'dependency') {
        if (causes.has(result.message)) return;
        causes.add(result.message);
      }
      print(...resultLines(result));
    },
    ended(report) {
      const lines = [...details(report), ...summary(report)];
      // A log is searched, and a terminal is read.
      print(...(terminal ? lines.flatMap((line) => folded(line, Math.max(40, width()))) : lines));
    },
  };
}
