import {
  type Bytes,
  type Identity,
  PairingFlag,
  type Random,
  TlvError,
  type TlvMessage,
  TlvType,
  controllerIdentity,
  hasZeroByte,
  integerValue,
  toInteger,
  withKeyThat,
} from '../protocol/index.js';
import { StepFailed } from './errors.js';
import type { Fixture } from './fixture.js';
import type { Link } from './link.js';
import { type Outcome, type Reply, describeOutcome, success } from './outcome.js';
import type { Step } from './profile.js';
import type { Waits } from './waits.js';

/** Bits of Flags that ask for a mode of Pair Setup, and grant it. */
const MODES = BigInt(PairingFlag.Transient | PairingFlag.Split);

function littleEndian(bytes: Bytes): bigint {
  return toInteger(bytes.toReversed());
}

/**
 * How exchanges are conducted: with what randomness, how long an answer is waited for, and what ends a flow. The plain
 * verb of a step throws StepFailed when it does not succeed, so "could not get there" never reads as a violation.
 */
export class Conduct {
  constructor(
    readonly bench: Fixture,
    readonly random: Random,
    /** How long is waited for what is judged; follows from what the check allows. */
    readonly waits: Waits,
  ) {}

  /** Milliseconds a judged outcome may take. */
  get judgedWait(): number {
    return this.waits.judged;
  }

  /** Milliseconds of silence where nothing has to come. */
  get quietWait(): number {
    return this.waits.quiet;
  }

  /** Milliseconds in which an event that must not come would have. */
  get eventWait(): number {
    return this.bench.pace.eventWait;
  }

  get profile(): Fixture['profile'] {
    return this.bench.profile;
  }

  /**
   * A fresh controller identity, of the given identifier when there is one; remembered when it is sent. Its key has no
   * zero byte unless it is to fit something else: an accessory that stops at one is named by the checks of that.
   */
  newIdentity(
    id?: Bytes,
    fits: (identity: Identity) => boolean = ({ ltpk }) => hasZeroByte(ltpk, 'nowhere'),
  ): Identity {
    const fresh = controllerIdentity(this.random);
    const given = id === undefined ? fresh : { ...fresh, id };
    const identity = withKeyThat(fits, given, this.random);
    this.bench.keyring.keys.push(identity.ltsk);
    return identity;
  }

  open(): Promise<Link> {
    return this.bench.open();
  }

  /** Milliseconds a flow step may take. */
  get stepWait(): number {
    return this.bench.options.patience.answer;
  }

  /** The Flags of an M2; of a router only those of the modes, where there are any: its own mean nothing to Pair Setup. */
  flagsOf(m2: Outcome): Bytes | undefined {
    const flags = m2.kind === 'reply' ? m2.tlv?.get(TlvType.Flags) : undefined;
    if (flags === undefined || !this.bench.learned.isRouter) return flags;
    const granted = littleEndian(flags) & MODES;
    return granted === 0n ? undefined : integerValue(Number(granted));
  }

  /** What is to be said of Flags that grant what nobody asked for. */
  hintAt(flags: Bytes): string {
    if ((littleEndian(flags) & ~MODES) === 0n) return '';
    return '; if it is a router with flags of its own, --declares router says so';
  }

  /** Refuses to build on a requirement already found broken. */
  relyOn(...requirements: readonly string[]): void {
    for (const requirement of requirements) {
      const seen = this.bench.broken.get(requirement);
      if (seen !== undefined) throw new StepFailed(requirement, seen);
    }
  }

  /** The reply of a step that must succeed. */
  must(step: Step, requirement: string, outcome: Outcome): Outcome & Reply & { tlv: TlvMessage } {
    const { gates } = this.bench;
    if (success(step).matches(outcome)) {
      if (step === 'verify-m2') gates.verify.serves();
      return outcome as Outcome & Reply & { tlv: TlvMessage };
    }
    if (step === 'verify-m2') gates.verify.refuses(outcome);
    const shut =
      step === 'setup-m2' ? gates.setup.shut : step === 'verify-m2' ? gates.verify.shut : undefined;
    if (shut !== undefined) throw shut;
    // Nothing of ours is under way where a flow begins, and connections that ended get their five seconds.
    if (step === 'setup-m2' && outcome.kind === 'reply' && outcome.tlv?.error === TlvError.Busy)
      throw new StepFailed(
        'PS-STATE-10',
        'M1 was answered by Busy, and every connection that began a Pair Setup has ended',
      );
    throw new StepFailed(requirement, `${stepWords(step)} was due, seen: ${describeOutcome(outcome)}`);
  }

  /** Throws for findings that make it impossible (or wrong) for a controller to go on. */
  accept(read: {
    readonly findings: readonly { requirement: string; what: string; fatal: boolean }[];
  }): void {
    const fatal = read.findings.find((finding) => finding.fatal);
    if (fatal === undefined) return;
    this.bench.broken.set(fatal.requirement, fatal.what);
    throw new StepFailed(fatal.requirement, fatal.what);
  }
}

/** A step as people name it: `verify-m2` is M2 of Pair Verify. */
function stepWords(step: Step): string {
  const [, what = '', message = ''] = /^(setup|verify)-m(\d)$/.exec(step) ?? [];
  if (what !== '') return `M${message} of Pair ${what === 'setup' ? 'Setup' : 'Verify'}`;
  return `the answer to ${{ add: 'Add', remove: 'Remove', list: 'List' }[step.slice('pairings-'.length)] ?? step}`;
}
