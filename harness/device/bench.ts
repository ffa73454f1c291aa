import type { Identity } from '../protocol/index.js';
import { Controller } from './controller.js';
import { Factory } from './factory.js';
import { type BenchOptions, Fixture } from './fixture.js';
import type { KnownState, PairingState } from './pairing.js';
import { Rescue } from './rescue.js';
import { Settling } from './settling.js';
import { States } from './states.js';
import { Visit } from './visit.js';
import { type Waits, fixedWaits } from './waits.js';

/** The one door to the accessory under test: what it is held by, who drives it, and where it can be brought. */
export class Bench extends Fixture {
  /** How often a controller was made under each label. */
  private readonly labels = new Map<string, number>();
  private readonly rescue: Rescue;
  private readonly factory: Factory;
  private readonly states: States;
  private readonly visit: Visit;

  constructor(options: BenchOptions) {
    super(options);
    const controller = (label: string): Controller => this.controller(label);
    this.rescue = new Rescue(this, controller);
    const settling = new Settling(this, this.rescue);
    this.factory = new Factory(this, controller, settling);
    this.states = new States(this, controller, this.rescue, settling, this.factory);
    this.visit = new Visit(this, controller, this.rescue, settling, this.factory, this.states);
  }

  /** The reference controller for one check, with the randomness of its id. */
  controller(label: string, waits: Waits = fixedWaits(this.options.patience)): Controller {
    const times = (this.labels.get(label) ?? 0) + 1;
    this.labels.set(label, times);
    // An embedded accessory that went on from the same seed would send the same B a second time.
    this.options.reseed?.(times === 1 ? label : `${label}, time ${times}`);
    return new Controller(this, this.options.random.fork(label), waits);
  }

  /** First contact; see Visit. @throws Unreachable */
  survey(): Promise<boolean> {
    return this.visit.survey();
  }

  /** Brings the accessory into a state; see States. @throws Blocked; StepFailed */
  ensure(state: PairingState, keyless = false): Promise<void> {
    return this.states.ensure(state, keyless);
  }

  /** Takes the run's pairing back; see States. @throws StepFailed when the accessory stays paired. */
  unpair(): Promise<void> {
    return this.states.unpair();
  }

  /** Puts the accessory into its factory state by the hook; see Factory. @throws Blocked; HookFailed */
  factoryReset(): Promise<void> {
    return this.factory.factoryReset();
  }

  /** Power-cycles the accessory by the hook. @throws Blocked without one; HookFailed */
  restart(early?: () => Promise<void>): Promise<void> {
    return this.factory.restart(early);
  }

  /** Waits until the accessory answers a request on a fresh connection, `wait` ms at most. */
  ready(wait: number): Promise<boolean> {
    return this.factory.ready(wait);
  }

  /** What a receiver that refuses its own admin is there for; see Rescue. */
  learnKeeping(): Promise<void> {
    return this.rescue.learnKeeping();
  }

  /** Leaves the accessory as it was found; see Visit. Never throws. */
  restore(foundAs: KnownState, kept?: Identity): Promise<{ clean: boolean; message: string }> {
    return this.visit.restore(foundAs, kept);
  }
}
