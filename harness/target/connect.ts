import {
  Accessory,
  type AccessoryOptions,
  deliver,
  embed,
  findFault,
  memoryStore,
  serve,
  twin,
} from '../accessory/index.js';
import { type Random, type SetupCode, parseSetupCode } from '../protocol/index.js';
import { type MemoryNetwork, type Patience, TcpDialer, VirtualClock } from '../wire/index.js';
import type { Address } from './address.js';
import { Bench, type Hooks, type Memory } from './bench.js';

/** The setup code of the embedded accessory unless another is given. */
export const EMBEDDED_CODE = parseSetupCode('031-45-154');

export interface ConnectOptions {
  readonly code: SetupCode | undefined;
  readonly random: Random;
  readonly patience: Patience;
  readonly hooks?: Hooks;
  readonly memory?: Memory;
  /** Milliseconds between two connections. */
  readonly pace?: number;
}

/** A bench for an address. @throws InputError when an embedded fault does not exist. */
export function benchFor(address: Address, options: ConnectOptions): Bench {
  const { random, patience } = options;
  if (address.kind === 'tcp') {
    const host = address.host.includes(':') ? `[${address.host}]` : address.host;
    return new Bench({
      dialer: new TcpDialer(address.host, address.port),
      code: options.code,
      random,
      patience,
      host: `${host}:${address.port}`,
      ...(options.hooks && { hooks: options.hooks }),
      ...(options.memory && { memory: options.memory }),
      ...(options.pace !== undefined && { pace: options.pace }),
    });
  }
  const code = options.code ?? EMBEDDED_CODE;
  const behaviour = address.fault === undefined ? undefined : twin(findFault(address.fault));
  return embeddedBench({ ...options, code }, { ...(behaviour && { behaviour }) });
}

/** A bench on an accessory in this process and in virtual time; reset and restart are built in. */
export function embeddedBench(
  options: ConnectOptions & { readonly code: SetupCode },
  twinOptions: Pick<AccessoryOptions, 'behaviour' | 'latency'> & { readonly network?: MemoryNetwork } = {},
): Bench {
  const { code, random, patience } = options;
  const { network, ...accessoryOptions } = twinOptions;
  const store = memoryStore();
  let starts = 0;
  // A start goes on drawing what no start before it has drawn.
  const boot = (): Accessory => {
    const label = ++starts === 1 ? 'accessory' : `accessory, start ${starts}`;
    return new Accessory({ code, random: random.fork(label), store, ...accessoryOptions });
  };
  let accessory = boot();
  const host = embed(accessory, new VirtualClock(), network);
  return new Bench({
    dialer: host,
    code,
    random,
    patience,
    reseed: (label) => accessory.reseed(random.fork(`accessory in ${label}`)),
    hooks: {
      reset: async () => deliver(accessory, accessory.factoryReset()),
      restart: async () => {
        accessory = boot();
        host.accept = (connection) => void serve(accessory, connection);
      },
    },
  });
}
