import { X509Certificate } from 'node:crypto';
import {
  Accessory,
  type AccessoryOptions,
  type Asking,
  type Behaviour,
  CATEGORY,
  type Dress,
  type Fault,
  SETUP_ID,
  type Said,
  deliver,
  embed,
  findFault,
  hapDress,
  healthyIn,
  importInto,
  memoryStore,
  mfiChip,
  serve,
  stateOf,
  twin,
} from '../accessory/index.js';
import {
  AIRPLAY_CODE,
  type Bytes,
  InputError,
  type Label,
  LabelFlag,
  type Random,
  type SetupCode,
  airplayCode,
  parseSetupCode,
  readTxt,
  text,
  writeTxt,
} from '../protocol/index.js';
import {
  type Clock,
  type Dialer,
  type MemoryNetwork,
  type Patience,
  TcpDialer,
  Unreachable,
  VirtualClock,
} from '../wire/index.js';
import type { Address } from './address.js';
import { Bench } from './bench.js';
import type { CloneOf } from './clone.js';
import type { CodeSource } from './code.js';
import {
  type Announced,
  AnnouncementLog,
  type Announcements,
  NetworkAnnouncements,
  isNowhere,
} from './discovery.js';
import type { Hooks } from './fixture.js';
import type { Memory } from './memory.js';
import { type Declarable, type Profile, airplayProfile, hapProfile } from './profile.js';

/** What the label of the embedded accessory says beside the code. */
const EMBEDDED_LABEL: Label = { category: CATEGORY, flags: LabelFlag.Ip, setupId: SETUP_ID };
/** The setup code of the embedded accessory unless another is given. */
export const EMBEDDED_CODE: SetupCode = { ...parseSetupCode('031-45-154'), label: EMBEDDED_LABEL };

export interface ConnectOptions {
  readonly code: SetupCode | undefined;
  readonly random: Random;
  readonly patience: Patience;
  readonly hooks?: Hooks;
  readonly memory?: Memory;
  /** Milliseconds between two connections. */
  readonly pace?: number;
  /** Milliseconds what waits beside a run is silent at the least. */
  readonly idle?: number;
  /** Asked for the code when M2 has come, where it is not known before. */
  readonly codeSource?: CodeSource;
  /** The user gave the code. */
  readonly codeGiven?: boolean;
  /** Somebody looks for what is wrong: a refused right code may cost four failed attempts more, and not two. */
  readonly searching?: boolean;
  /** What the user says the accessory can do. */
  readonly declares?: readonly Declarable[];
  /** Start line of AirPlay requests. */
  readonly startLine?: Profile['startLine'];
  /** Who may have issued the certificate of a coprocessor. */
  readonly mfiRoots?: readonly X509Certificate[];
  /** What the accessory is a clone of; an embedded one is made from it, and the old device stands beside it. */
  readonly clone?: CloneOf;
  /** Where the old device is, where it is up. */
  readonly old?: Address;
}

/** A bench for an address. @throws InputError when an embedded fault does not exist. */
export function benchFor(address: Address, options: ConnectOptions): Bench {
  const { random, patience } = options;
  if (address.kind === 'tcp') {
    const { protocol } = address;
    const host = address.host.includes(':') ? `[${address.host}]` : address.host;
    return new Bench({
      dialer: new TcpDialer(address.host, address.port),
      code: options.code,
      random,
      patience,
      profile: profileOf({ kind: protocol }, options.startLine),
      host: `${host}:${address.port}`,
      announcements: new NetworkAnnouncements(address.host, address.port, protocol),
      ...(options.codeSource && { codeSource: options.codeSource }),
      ...(options.codeGiven !== undefined && { codeGiven: options.codeGiven }),
      ...(options.searching !== undefined && { searching: options.searching }),
      ...(options.declares && { declares: options.declares }),
      ...(options.mfiRoots && { mfiRoots: options.mfiRoots }),
      ...(options.hooks && { hooks: options.hooks }),
      ...(options.memory && { memory: options.memory }),
      ...(options.clone && { clone: { ...options.clone, ...oldOf(options.old) } }),
      ...(options.pace !== undefined && { pace: options.pace }),
      ...(options.idle !== undefined && { idle: options.idle }),
    });
  }
  const fault = address.fault === undefined ? undefined : findFault(address.fault);
  const code = options.code ?? embeddedCode(fault);
  return embeddedBench(
    { ...options, code },
    {
      ...(fault && { behaviour: twin(fault) }),
      ...(fault?.dress && { dress: fault.dress }),
      ...(fault?.clone === 'firmware' && { sameProgram: true }),
    },
  );
}

/** The way to the old device. */
function oldOf(old: Address | undefined): { readonly old?: Dialer } {
  return old?.kind === 'tcp' ? { old: new TcpDialer(old.host, old.port) } : {};
}

/** True for a receiver of AirPlay. @throws InputError when an embedded fault does not exist. */
export function isReceiver(address: Address): boolean {
  if (address.kind === 'tcp') return address.protocol === 'airplay';
  return address.fault !== undefined && findFault(address.fault).dress?.kind === 'airplay';
}

function profileOf({ kind }: Dress, startLine?: Profile['startLine']): Profile {
  return kind === 'airplay' ? airplayProfile(startLine) : hapProfile;
}

/** The code of an embedded accessory with this fault, unless another is given, as its label says it. */
export function embeddedCode({ dress, label }: Pick<Fault, 'dress' | 'label'> = {}): SetupCode {
  if (dress?.kind === 'airplay' && dress.secret === undefined) return airplayCode(AIRPLAY_CODE);
  return label === undefined ? EMBEDDED_CODE : { ...EMBEDDED_CODE, label: { ...EMBEDDED_LABEL, ...label } };
}

/** The code of an embedded address. @throws InputError when the fault does not exist. */
export function codeOfEmbedded(fault: string | undefined): SetupCode {
  return embeddedCode(fault === undefined ? undefined : findFault(fault));
}

/** Where an embedded accessory says it is. */
const EMBEDDED_PLACE = { addresses: ['127.0.0.1'], port: 51_826 };

/** What an accessory of this process announces, without a network. */
class EmbeddedAnnouncements implements Announcements {
  private readonly log = new AnnouncementLog();
  private last: Announced | undefined;
  seen = false;

  constructor(
    private readonly accessory: () => Accessory,
    private readonly clock: Clock,
    private readonly way: Dialer,
    private readonly kind: Announced['kind'],
  ) {
    this.changed();
  }

  private now(asking?: Asking): Announced | undefined {
    const announcement = this.accessory().announcement(
      EMBEDDED_PLACE,
      asking,
      this.clock.now() - (this.last?.at ?? 0),
    );
    if (announcement === undefined) return undefined;
    const { addresses, port, txt, name } = announcement;
    this.seen = true;
    return {
      name: text(name ?? this.accessory().identity.id),
      kind: this.kind,
      host: 'embedded.local',
      addresses,
      port,
      txt: readTxt(writeTxt(txt)),
      at: this.clock.now(),
    };
  }

  private say(what: Said['what'], before: Announced | undefined): void {
    if (what === 'goodbye') return this.log.leaves(this.clock.now());
    if (what === 'now') this.last = this.now();
    const said = what === 'now' ? this.last : before;
    if (said !== undefined) this.log.add({ ...said, at: this.clock.now() });
  }

  /** The accessory has changed, or was started. */
  changed(said: readonly Said[] = [{ delay: 0, what: 'now' }]): void {
    const before = this.last;
    for (const { delay, what } of said)
      if (delay === 0) this.say(what, before);
      else this.clock.at(this.clock.now() + delay, () => this.say(what, before));
  }

  async listen(hear: (announced: Announced) => void): Promise<void> {
    this.log.hear = hear;
    if (this.last !== undefined) hear(this.last);
  }

  get goodbyes(): readonly number[] {
    return this.log.goodbyes;
  }

  async current(asking: Asking = 'plainly'): Promise<Announced | undefined> {
    const now = this.now(asking);
    if (now !== undefined) this.log.hear?.(now);
    return now;
  }

  unheard(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  get count(): number {
    return this.log.count;
  }

  since(count: number): readonly Announced[] {
    return this.log.since(count);
  }

  nowhere(address: string): string | undefined {
    return isNowhere(address, EMBEDDED_PLACE.addresses[0]);
  }

  dialer(address: string, port: number): Dialer {
    if (EMBEDDED_PLACE.addresses.includes(address) && port === EMBEDDED_PLACE.port) return this.way;
    return {
      clock: this.clock,
      connect: () =>
        Promise.reject(new Unreachable('refused', `the embedded accessory is not at ${address}:${port}`)),
    };
  }

  async close(): Promise<void> {
    // Nothing is open.
  }
}

/** A bench on an accessory in this process and in virtual time; reset and restart are built in. */
export function embeddedBench(
  options: ConnectOptions & { readonly code: SetupCode },
  twinOptions: Pick<AccessoryOptions, 'behaviour' | 'latency'> & {
    readonly network?: MemoryNetwork;
    /** A HAP accessory unless given. */
    readonly dress?: Dress;
    /** The old device of a clone behaves as the clone does, and does not only as it should. */
    readonly sameProgram?: boolean;
  } = {},
): Bench {
  const { code, random, patience } = options;
  const { network, dress = hapDress, sameProgram = false, ...given } = twinOptions;
  const accessoryOptions = { behaviour: healthyIn(dress), ...given };
  const store = memoryStore();
  const { clone } = options;
  if (clone !== undefined)
    importInto(store, accessoryOptions.behaviour, withSecret(clone), random.fork('import'));
  let starts = 0;
  // A start goes on drawing what no start before it has drawn.
  const boot = (): Accessory => {
    const label = ++starts === 1 ? 'accessory' : `accessory, start ${starts}`;
    const onChange = (said: readonly Said[]): void => announcements?.changed(said);
    return new Accessory({ code, random: random.fork(label), store, onChange, ...accessoryOptions });
  };
  let announcements: EmbeddedAnnouncements | undefined = undefined;
  let accessory = boot();
  const host = embed(accessory, new VirtualClock(), network);
  announcements = new EmbeddedAnnouncements(() => accessory, host.clock, host, dress.kind);
  const old =
    clone &&
    oldDevice(clone, code, random, host.clock, sameProgram ? accessoryOptions.behaviour : healthyIn(dress));
  return new Bench({
    dialer: host,
    profile: profileOf(dress, options.startLine),
    ...(dress.mfi && { mfiRoots: options.mfiRoots ?? [new X509Certificate(mfiChip(dress.mfi).root)] }),
    code,
    random,
    patience,
    announcements,
    ...(clone && old && { clone: { ...clone, old } }),
    ...(options.declares && { declares: options.declares }),
    reseed: (label) => accessory.reseed(random.fork(`accessory in ${label}`)),
    hooks: {
      reset: async () => deliver(accessory, accessory.factoryReset()),
      restart: async () => {
        accessory = boot();
        announcements.changed();
        host.accept = (connection) => void serve(accessory, connection);
      },
    },
  });
}

/** The data of an embedded clone. @throws InputError where the secret key is not among them */
function withSecret(clone: CloneOf): CloneOf & { readonly ltsk: Bytes } {
  const { ltsk } = clone;
  if (ltsk === undefined)
    throw new InputError(
      '--clone-of: the snapshot has no secret key of the accessory: an embedded clone cannot be made from it',
    );
  return { ...clone, ltsk };
}

/** The old device, up beside its clone. */
function oldDevice(
  clone: CloneOf,
  code: SetupCode,
  random: Random,
  clock: Clock,
  behaviour: Behaviour,
): Dialer {
  const store = memoryStore(stateOf(withSecret(clone)));
  return embed(new Accessory({ code, random: random.fork('old device'), store, behaviour }), clock);
}
