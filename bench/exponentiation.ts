import { createDiffieHellman, randomBytes } from 'node:crypto';
import { N, fromInteger } from '../harness/protocol/index.js';
import type { Contender } from './measure.js';

/**
 * The unit of this benchmark: OpenSSL's exponentiation in the group of Pair Setup, 3072 bits with an exponent of 256.
 * A machine that is slow, or has other things to do, is so for both sides of a ratio.
 */
export const exponentiation: Contender = (() => {
  const group = createDiffieHellman(fromInteger(N), 2);
  const base = group.generateKeys();
  const exponents = Array.from({ length: 16 }, () => randomBytes(32));
  return {
    name: 'OpenSSL, one exponentiation',
    run(call: number) {
      group.setPrivateKey(exponents[call % exponents.length]!);
      return group.computeSecret(base);
    },
  };
})();

/** The three exponentiations of one client handshake, bare: A and v of 256 and 512 bits, S of 1024. */
export function bareHandshake(): Contender {
  const group = createDiffieHellman(fromInteger(N), 2);
  const base = group.generateKeys();
  const exponents = [32, 64, 128].map((size) => randomBytes(size));
  return {
    name: 'OpenSSL, its three exponentiations',
    run() {
      for (const exponent of exponents) {
        group.setPrivateKey(exponent);
        group.computeSecret(base);
      }
    },
  };
}

/** CPU seconds of a thousand, by this process. */
export function thousand(): number {
  const before = process.cpuUsage();
  for (let call = 0; call < 1000; call++) exponentiation.run(call);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}
