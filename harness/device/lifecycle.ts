import { Unreachable } from '../wire/index.js';
import type { Bench } from './bench.js';
import type { Hooks } from './fixture.js';
import { HookFailed, type Launched, launchHook, runHook } from './hooks.js';

/** Shell commands of the user that act on the accessory. */
export interface Commands {
  readonly launch?: string;
  readonly reset?: string;
  readonly restart?: string;
  /** Milliseconds an accessory that somebody else starts may take until it answers. */
  readonly wait?: number;
}

/** How long a hook may run, and how long a launched accessory may take to answer (ms). */
const HOOK_DEADLINE = 60_000;

/** The accessory's life as far as the user's commands reach. */
export class Lifecycle {
  private launched: Launched | undefined;

  constructor(
    private readonly commands: Commands,
    private readonly target: string,
  ) {}

  private get env(): Readonly<Record<string, string>> {
    return { HAPSPEC_TARGET: this.target };
  }

  /** Hooks for a bench; what no command exists for is left out. Without `--restart`, `--launch` serves as one. */
  get hooks(): Hooks {
    const { launch, reset, restart } = this.commands;
    const run = (name: 'reset' | 'restart', command: string) => async (): Promise<void> => {
      await runHook(name, command, { deadline: HOOK_DEADLINE, env: this.env });
    };
    const relaunch = async (): Promise<void> => {
      await this.launched?.stop();
      this.spawn(launch!);
    };
    return {
      ...(reset !== undefined && { reset: run('reset', reset) }),
      ...(restart !== undefined
        ? { restart: run('restart', restart) }
        : launch !== undefined && { restart: relaunch }),
    };
  }

  private spawn(command: string): Launched {
    this.launched = launchHook(command, { env: this.env });
    return this.launched;
  }

  /**
   * Starts the accessory when there is a command for it, and waits until it answers.
   * @throws HookFailed; Unreachable when one that somebody else starts does not within `wait`
   */
  async start(bench: Bench, interrupted: () => boolean): Promise<void> {
    if (this.commands.launch === undefined) return this.appear(bench, interrupted);
    const launched = this.spawn(this.commands.launch);
    let ended: number | null | undefined;
    void launched.exited.then(({ code }) => (ended = code ?? null));
    const deadline = bench.clock.now() + HOOK_DEADLINE;
    while (!(await bench.ready(500))) {
      if (interrupted()) return;
      // Code 0 is a command that puts the accessory into the background.
      if (ended !== undefined && ended !== 0)
        throw new HookFailed(
          'launch',
          `ended with ${ended === null ? 'a signal' : `code ${ended}`} before the accessory answered`,
          launched.output(),
        );
      if (bench.clock.now() >= deadline) {
        await launched.stop();
        throw new HookFailed(
          'launch',
          `runs, and the accessory did not answer within ${HOOK_DEADLINE / 1000} s`,
          launched.output(),
        );
      }
    }
  }

  private async appear(bench: Bench, interrupted: () => boolean): Promise<void> {
    const { wait } = this.commands;
    if (wait === undefined) return;
    const deadline = bench.clock.now() + wait;
    while (!(await bench.ready(0))) {
      if (interrupted()) return;
      if (bench.clock.now() >= deadline)
        throw new Unreachable('timeout', `nothing answered within the ${wait / 1000} s of --wait`);
      await bench.clock.sleep(250);
    }
  }

  /** Ends what was launched. */
  async stop(): Promise<void> {
    await this.launched?.stop();
  }
}
