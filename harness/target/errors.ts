/** The flow could not be brought to the point a check is about. Never a verdict on that check's requirement. */
export class StepFailed extends Error {
  override name = 'StepFailed';
  constructor(
    /** The requirement the failed step belongs to. */
    readonly requirement: string,
    readonly what: string,
  ) {
    super(`${requirement}: ${what}`);
  }
}

/** Something the run needs and does not have: a setup code, a hook, an unpaired accessory. */
export class Blocked extends Error {
  override name = 'Blocked';
}

/** A hook did not do what it is for. The message names it and keeps the end of its output. */
export class HookFailed extends Error {
  override name = 'HookFailed';
  constructor(
    /** `--reset`, `--restart`, `--launch`. */
    readonly hook: string,
    what: string,
  ) {
    super(`${hook} failed: ${what}`);
  }
}
