import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
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

const forms =
  'expected HOST:PORT, [IPv6]:PORT, hap://HOST:PORT, airplay://HOST:PORT, what mDNS tells the port of (a host, an address, an instance name, a device id), or embedded[:FAULT]';

/** One name for an address, however it was typed: what is kept about an accessory must be found again. */
export function addressKey(address: Address): string {
  if (address.kind === 'embedded') return 'embedded';
  const host = address.host.toLowerCase();
  const loopback = host === 'localhost' || host === '::1' ? '127.0.0.1' : host;
  return `${address.protocol === 'airplay' ? 'airplay ' : ''}${loopback}:${address.port}`;
}

const ZONE = String.raw`(?:%[\w.-]+)?`;
/** HOST:PORT in its forms: protocol, IPv6 in brackets, another host, port. */
const place = new RegExp(
  String.raw`^(?:(hap|airplay)://)?(?:\[([0-9A-Fa-f:.]+${ZONE})\]|([\w.-]+)):(\d{1,5})/?$`,
);

/** A TARGET without a port: whom mDNS is asked for. */
export interface Wanted {
  /** An address, a host name, an instance name or a device id. */
  readonly name: string;
  readonly kind: 'hap' | 'airplay';
}

/** Whom a TARGET that names no port speaks of; undefined for one that does, or that speaks of the embedded accessory. */
export function wantedBy(target: string): Wanted | undefined {
  if (/^embedded(:|$)/.test(target) || place.test(target)) return undefined;
  const [, scheme, rest = ''] = /^(?:(hap|airplay):\/\/)?(.*?)\/?$/s.exec(target) ?? [];
  const name = /^\[(.*)\]$/.exec(rest)?.[1] ?? rest;
  // An instance name is up to 63 bytes of any text; a colon without a blank behind it belongs to an address, an id or a port.
  const address = isIPv6(name.replace(/%[\w.-]+$/, ''));
  const fits = name !== '' && Buffer.byteLength(name) <= 255 && !/[\p{Cc}]/u.test(name);
  if (!fits || (!address && !isDeviceId(name) && /:(?! )/.test(name))) return undefined;
  return { name, kind: scheme === 'airplay' ? 'airplay' : 'hap' };
}

/** Six octets divided by colons, as TXT records give an accessory's id. */
export function isDeviceId(name: string): boolean {
  return /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(name);
}

/** A link-local address is somewhere on each network: without the interface nobody can dial it. */
function refuseZoneless(host: string, target: string): void {
  if (!/^fe[89ab]/i.test(host) || !host.includes(':') || host.includes('%')) return;
  const names = Object.entries(networkInterfaces())
    .filter(([, addresses]) => addresses?.some(({ internal }) => !internal))
    .map(([name]) => name);
  const [first = 'eth0'] = names;
  throw new InputError(
    `target "${target}": a link-local address needs its interface, as in [${host}%${first}]; here: ${names.join(', ') || 'none but loopback'}`,
  );
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
  const match = place.exec(target);
  if (match === null) {
    const bare = wantedBy(target) !== undefined ? ' (a name alone is not enough: the port is missing)' : '';
    throw new InputError(`target "${target.slice(0, 100)}": ${forms}${bare}`);
  }
  const port = Number(match[4]);
  if (port < 1 || port > 65_535)
    throw new InputError(`target "${target}": port ${port} is outside 1 to 65535`);
  const protocol = match[1] === 'airplay' ? 'airplay' : 'hap';
  const host = match[2] ?? match[3]!;
  refuseZoneless(host, target);
  return { kind: 'tcp', protocol, host, port };
}
