import { Accessory, embed, findFault, twin } from '../accessory/index.js';
import { type Random, type SetupCode, parseSetupCode } from '../protocol/index.js';
import { type Patience, TcpDialer, VirtualClock } from '../wire/index.js';
import type { Address } from './address.js';
import { Bench, type BenchOptions } from './bench.js';

/** The setup code of the embedded accessory unless another is given. */
export const EMBEDDED_CODE = parseSetupCode('031-45-154');

export interface ConnectOptions {
  readonly code: SetupCode | undefined;
  readonly random: Random;
  readonly patience: Patience;
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
    });
  }
  const code = options.code ?? EMBEDDED_CODE;
  const behaviour = address.fault === undefined ? undefined : twin(findFault(address.fault));
  const accessory = new Accessory({
    code,
    random: random.fork('accessory'),
    ...(behaviour && { behaviour }),
  });
  const bench: BenchOptions = {
    dialer: embed(accessory, new VirtualClock()),
    code,
    random,
    patience,
    reseed: (label) => accessory.reseed(random.fork(`accessory in ${label}`)),
  };
  return new Bench(bench);
}
