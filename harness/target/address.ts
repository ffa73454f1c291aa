import { InputError } from '../protocol/index.js';

/** Where the accessory under test is. */
export type Address =
  | { readonly kind: 'embedded'; readonly fault: string | undefined }
  | {
      readonly kind: 'tcp';
      readonly protocol: 'hap' | 'airplay';
      readonly host: string;
      readonly port: number;
    };

const forms = 'expected HOST:PORT, [IPv6]:PORT, hap://HOST:PORT, airplay://HOST:PORT, or embedded[:FAULT]';

/** One name for an address, however it was typed: what is kept about an accessory must be found again. */
export function addressKey(address: Address): string {
  if (address.kind === 'embedded') return 'embedded';
  const host = address.host.toLowerCase();
  const loopback = host === 'localhost' || host === '::1' ? '127.0.0.1' : host;
  return `${address.protocol === 'airplay' ? 'airplay ' : ''}${loopback}:${address.port}`;
}

/** The host of a TARGET that names no port: an address, a host name or an instance name; undefined for anything else. */
export function hostAlone(target: string): string | undefined {
  if (target === 'embedded') return undefined;
  const bracketed = /^\[([0-9A-Fa-f:.]+(?:%\w+)?)\]$/.exec(target)?.[1];
  return bracketed ?? (/^[\w.-]+$/.test(target) ? target : undefined);
}

/** Reads a TARGET. @throws InputError that names it and lists the forms taken. */
export function parseAddress(target: string): Address {
  if (target === 'embedded') return { kind: 'embedded', fault: undefined };
  if (target.startsWith('embedded:')) {
    const fault = target.slice('embedded:'.length);
    if (fault === '')
      throw new InputError(
        `target "${target}": a fault name is missing; "hapspec accessory --list-faults" shows them`,
      );
    return { kind: 'embedded', fault };
  }
  const match = /^(?:(hap|airplay):\/\/)?(?:\[([0-9A-Fa-f:.]+(?:%\w+)?)\]|([\w.-]+)):(\d{1,5})\/?$/.exec(
    target,
  );
  if (match === null) {
    const bare = hostAlone(target) !== undefined ? ' (a host alone is not enough: the port is missing)' : '';
    throw new InputError(`target "${target.slice(0, 100)}": ${forms}${bare}`);
  }
  const port = Number(match[4]);
  if (port < 1 || port > 65_535)
    throw new InputError(`target "${target}": port ${port} is outside 1 to 65535`);
  const protocol = match[1] === 'airplay' ? 'airplay' : 'hap';
  return { kind: 'tcp', protocol, host: match[2] ?? match[3]!, port };
}
