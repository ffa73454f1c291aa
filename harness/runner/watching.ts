import type { Bench, Heard } from '../device/index.js';
import type { TraceEvent } from '../wire/index.js';
import type { Watch } from './check.js';
import { type RunEnvironment, Violation, failure, header, messageOf } from './execute.js';
import { Judge } from './judge.js';
import { producers } from './plan.js';
import type { CheckResult } from './result.js';
import { type Thrown, verdict } from './status.js';

/** What one watch has seen so far. */
export class WatchState {
  seen = 0;
  failed = 0;
  first: { result: ReturnType<typeof verdict>; message: string; events: readonly TraceEvent[] } | undefined;
  readonly observations: Record<string, string> = {};
  private readonly memory = new Map<string, string>();

  constructor(readonly watch: Watch) {}

  look(heard: Heard, bench: Bench, mark: number): void {
    this.seen++;
    const keeper = new Judge({});
    let thrown: Thrown;
    let message = '';
    try {
      this.watch.body(heard.payload as never, {
        expect: keeper.expect,
        observe: (name, value) => (this.observations[name] = value),
        warn: (what) => keeper.tolerated.push(what),
        violate: (what) => {
          throw new Violation(what);
        },
        bench,
        memory: this.memory,
      });
    } catch (error) {
      thrown =
        error instanceof Violation
          ? 'forbidden'
          : error instanceof Error && error.name === 'AssertionError'
            ? 'assertion'
            : 'harness';
      message = messageOf(error);
    }
    if (thrown === undefined && keeper.asserted === 0 && keeper.tolerated.length === 0) {
      // The message was not one this watch is about (an error reply, say).
      this.seen--;
      return;
    }
    const result = verdict({
      level: this.watch.requirement.level,
      thrown,
      asserted: true,
      tolerated: keeper.tolerated.length > 0,
      alive: undefined,
    });
    if (result.status === 'pass') return;
    this.failed++;
    if (result.status === 'fail') bench.learned.violated.set(this.watch.id, message);
    const rank = ['pass', 'skip', 'warn', 'error', 'fail'];
    if (this.first === undefined || rank.indexOf(result.status) > rank.indexOf(this.first.result.status))
      this.first = {
        result,
        message: message || keeper.tolerated.join('; '),
        events: bench.trace.since(mark),
      };
  }

  result(bench: Bench, environment: RunEnvironment, startedAt: string): CheckResult {
    const base = {
      ...header(this.watch),
      observations: { ...this.observations, seen: String(this.seen) },
      startedAt,
      durationMs: 0,
    };
    if (this.first === undefined && this.seen > 0)
      return {
        ...base,
        ...verdict({
          level: this.watch.requirement.level,
          thrown: undefined,
          asserted: true,
          tolerated: false,
          alive: undefined,
        }),
        message: '',
        failure: undefined,
      };
    if (this.first === undefined) {
      const absent = bench.learned.absent.get(this.watch.topic);
      if (absent !== undefined)
        return { ...base, status: 'skip', reason: 'not-applicable', message: absent, failure: undefined };
      if (this.watch.topic === 'error-reply' && bench.profile.statusRefuses)
        return {
          ...base,
          status: 'skip',
          reason: 'not-applicable',
          message: 'what was refused was refused by an HTTP status, as it may be here',
          failure: undefined,
        };
      if (this.watch.topic === 'announced' && bench.options.announcements?.seen !== true)
        return {
          ...base,
          status: 'skip',
          reason: 'not-applicable',
          message: 'nothing is announced at this address',
          failure: undefined,
        };
      const producer = producers[this.watch.topic][0]!;
      const broken = bench.broken.get(producer);
      return {
        ...base,
        status: 'skip',
        reason: 'dependency',
        message: `needs ${producer}: ${broken ?? 'no message of this kind was seen in the run'}`,
        failure: undefined,
      };
    }
    const { result, message, events } = this.first;
    const seen = this.seen > 1 ? `${message} (${this.failed} of ${this.seen} messages)` : message;
    return { ...base, ...result, message: seen, failure: failure(this.watch, environment, [], seen, events) };
  }
}
