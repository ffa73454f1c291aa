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

/** The accessory never declared what the check is about. */
export class NotApplicable extends Error {
  override name = 'NotApplicable';
}
