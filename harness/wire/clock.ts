/** The one clock of a run. Times are milliseconds since an arbitrary start. */
export interface Clock {
  readonly virtual: boolean;
  now(): number;
  /** Calls `action` at `time` (at once when it has passed) unless the returned function is called first. */
  at(time: number, action: () => void): () => void;
  sleep(milliseconds: number): Promise<void>;
}

/** Real time. Its timers keep the process alive: an await that waits only on an unref'd timer would end Node with code 13. */
export const realClock: Clock = {
  virtual: false,
  now: () => performance.now(),
  at(time, action) {
    // setTimeout overflows above 2^31-1 ms and would fire at once.
    const timer = setTimeout(action, Math.min(Math.max(0, time - performance.now()), 0x7fff_ffff));
    return () => clearTimeout(timer);
  },
  sleep: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
};

interface Timer {
  readonly time: number;
  readonly order: number;
  action: (() => void) | undefined;
}

/**
 * Virtual time for peers that live in this process: when every party waits, the clock jumps to the next deadline.
 * "Every party waits" is one turn of the event loop without work left: in-memory peers run on microtasks only, and
 * those are drained before `setImmediate` calls back.
 */
export class VirtualClock implements Clock {
  readonly virtual = true;
  private time = 0;
  private order = 0;
  private readonly timers: Timer[] = [];
  private scheduled = false;

  now(): number {
    return this.time;
  }

  at(time: number, action: () => void): () => void {
    const timer: Timer = { time: Math.max(time, this.time), order: this.order++, action };
    // Few timers are pending at once, so a sorted insert beats a heap in code and in time.
    let index = this.timers.length;
    while (index > 0 && this.timers[index - 1]!.time > timer.time) index--;
    this.timers.splice(index, 0, timer);
    this.schedule();
    return () => {
      timer.action = undefined;
      const at = this.timers.indexOf(timer);
      if (at >= 0) this.timers.splice(at, 1);
    };
  }

  sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => this.at(this.time + milliseconds, resolve));
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      const timer = this.timers.shift();
      if (timer === undefined) return;
      this.time = timer.time;
      if (this.timers.length > 0) this.schedule();
      timer.action?.();
    });
  }
}
