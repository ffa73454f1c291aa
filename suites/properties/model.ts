/** What the model knows of a step's success before it is sent: it must not come, it may, it must. */
export type Sure = 'no' | 'maybe' | 'yes';

/** Connections and controllers of a flow. */
export const SLOTS = 4;
export const CONTROLLERS = 3;

/** What the model holds about one connection. */
export interface Slot {
  open: boolean;
  /** Nothing but right messages of one procedure went over it. */
  clean: boolean;
  /** What is to be expected of a right M3, and of a right M5. */
  m3: Sure;
  m5: Sure;
  /** A Pair Setup is under way on it as far as the accessory is concerned. */
  holds: Sure;
  /** A right Pair Verify M3 of `verifier`, if that is a member. */
  v3: Sure;
  verifier: number;
  /** Controller of the session, and whether it is served. */
  session: { readonly who: number; sure: Sure } | undefined;
  /** A message was refused that Pair Verify need not get over; a refused M1 and a request are none of these. */
  rude: boolean;
  /** M5 is due on it, also when it has to be refused by now. */
  ripe: boolean;
  /** A message of its Pair Setup was refused: only M1 leads on. */
  stuck: boolean;
  /** Clock time of the last message. */
  at: number;
}

export function closedSlot(): Slot {
  return {
    open: false,
    clean: true,
    m3: 'no',
    m5: 'no',
    holds: 'no',
    v3: 'no',
    verifier: 0,
    session: undefined,
    rude: false,
    ripe: false,
    stuck: false,
    at: 0,
  };
}

/** The pairing state machine as a controller may rely on it. */
export interface Model {
  readonly slots: Slot[];
  /** Controllers that are paired, with their permissions. */
  readonly members: Map<number, number>;
  /** What may still be asked of the accessory. */
  readonly left: { m2: number; m4: number; m6: number; verifies: number; guesses: number; restarts: number };
  /** The last admin may be removed. */
  readonly mayUnpair: boolean;
}

export function newModel(
  start: Pick<Model, 'left' | 'mayUnpair'> & { readonly members?: readonly (readonly [number, number])[] },
): Model {
  return { ...start, slots: Array.from({ length: SLOTS }, closedSlot), members: new Map(start.members) };
}

/** What was sure is so no more. */
export const weaker = (sure: Sure): Sure => (sure === 'no' ? 'no' : 'maybe');

/** Kinds of M3, M5 and Pair Verify M3. */
export type M3 = 'right' | 'of the wrong code' | 'with a bit flipped' | 'replayed' | 'of another connection';
export type M5 = 'right' | 'with a bit flipped' | 'with a wrong signature' | 'replayed';
export type V3 = M5;
