/**
 * Bounds on what a peer may make the harness keep or wait for. What an accessory sends is hostile: every buffer
 * and every wait has an end. Sizes in bytes, times in milliseconds.
 */
export const limits = {
  /** Start line and headers of one message. */
  head: 32 * 1024,
  /** Body of one message; a pairings list of 16 entries is below 2 KiB, an attribute database below 256 KiB. */
  body: 2 * 1024 * 1024,
  /** Interim (1xx) responses before the final one. */
  interim: 8,
  /** Events nobody has taken from a connection yet, and the bytes of their bodies. */
  events: 10_000,
  eventBytes: 4 * 1024 * 1024,
  /** Frames of one answer that are kept one by one. */
  frames: 10_000,
  /** Unread bytes of one connection before the harness stops reading from the socket. */
  unread: 256 * 1024,
  /** The same in pieces: a byte that comes alone takes the memory of two hundred. */
  pieces: 10_000,
  /** What the record of a run keeps: contents in bytes, and events. */
  record: 32 * 1024 * 1024,
  recordEvents: 50_000,
  /** Characters of one line in it. */
  line: 4_000,
} as const;

/** How long the harness waits, by what may happen. */
export interface Patience {
  /** A required answer (`--timeout`); iOS gives about 10 s to each step. */
  readonly answer: number;
  /** Where silence is an allowed outcome. */
  readonly silence: number;
  /** For a close that must come. */
  readonly close: number;
}

export const defaultPatience: Patience = { answer: 10_000, silence: 1_500, close: 5_000 };
