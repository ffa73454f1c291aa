/** Something in an accessory's message a controller must not accept, tied to the requirement that forbids it. */
export interface Finding {
  /** Id in the catalogue. */
  readonly requirement: string;
  /** What was seen, in words. */
  readonly what: string;
  /** The exchange cannot go on. */
  readonly fatal: boolean;
}
