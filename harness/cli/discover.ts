import {
  type Announced,
  BROWSE_TIME,
  type ServiceKind,
  browse,
  isNowhere,
  servicesOf,
  wantedBy,
} from '../device/index.js';
import {
  InputError,
  aint,
  airplayFeatures,
  airplayFeaturesInWords,
  categoryInWords,
  featuresInWords,
  statusInWords,
  txtNumber,
} from '../protocol/index.js';
import { oneLine } from '../report/index.js';
import { multicastInterfaces } from '../wire/index.js';

export interface DiscoverFlags {
  readonly timeout?: string;
  readonly kind?: string;
  readonly json?: boolean;
}

/** What a service says, decoded and in words; every text of it fit for a terminal. */
export interface Described {
  readonly name: string;
  readonly kind: ServiceKind;
  readonly host: string;
  readonly addresses: readonly string[];
  readonly port: number;
  readonly id: string | undefined;
  /** undefined where the service does not tell. */
  readonly paired: boolean | undefined;
  readonly status: readonly string[];
  readonly category: string | undefined;
  readonly features: readonly string[];
  readonly txt: Readonly<Record<string, string>>;
}

const NAME_LENGTH = 63;
const VALUE_LENGTH = 255;

/** A service in words. */
export function describeService(service: Announced): Described {
  const { kind, port } = service;
  const txt = new Map(
    [...service.txt].map(([key, value]) => [oneLine(key, NAME_LENGTH), oneLine(value, VALUE_LENGTH)]),
  );
  const sf = kind === 'hap' ? txtNumber(txt.get('sf')) : undefined;
  const ci = kind === 'hap' ? txtNumber(txt.get('ci')) : undefined;
  const bits = kind === 'airplay' ? airplayFeatures(txt.get('features') ?? '') : undefined;
  return {
    name: oneLine(service.name, NAME_LENGTH),
    kind,
    host: oneLine(service.host, VALUE_LENGTH),
    addresses: service.addresses.map((address) => oneLine(address, NAME_LENGTH)),
    port,
    id: txt.get(kind === 'hap' ? 'id' : 'deviceid'),
    paired: sf === undefined ? undefined : (sf & 1) === 0,
    status: sf === undefined ? [] : statusInWords(sf),
    category: kind === 'airplay' ? txt.get('model') : ci === undefined ? undefined : categoryInWords(ci),
    features:
      bits === undefined ? featuresInWords(txtNumber(txt.get('ff')) ?? 0) : airplayFeaturesInWords(bits),
    txt: Object.fromEntries(txt),
  };
}

/** `address:port`, as TARGET takes it. */
function place({ addresses, port, host }: Pick<Described, 'addresses' | 'port' | 'host'>): string {
  const [first = host] = addresses;
  return `${first.includes(':') ? `[${first}]` : first}:${port}`;
}

const headings = ['NAME', 'KIND', 'ADDRESS', 'ID', 'STATUS', 'CATEGORY', 'FEATURES'];

function table(services: readonly Described[]): string {
  const rows = [
    headings,
    ...services.map((service) => [
      service.name,
      service.kind,
      place(service),
      service.id ?? '-',
      service.status.join(', ') || '-',
      service.category ?? '-',
      service.features.join(', ') || '-',
    ]),
  ];
  const widths = headings.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Shows what is announced on the network; exit code 3 when there is nothing. @throws InputError for the user's mistakes. */
export async function discoverCommand(flags: DiscoverFlags): Promise<number> {
  const { kind, timeout } = flags;
  if (kind !== undefined && kind !== 'hap' && kind !== 'airplay')
    throw new InputError(`--kind: expected hap or airplay, got "${kind}"`);
  if (timeout !== undefined && !/^\d{1,6}$/.test(timeout))
    throw new InputError(`--timeout: expected a whole number, got "${timeout}"`);
  const milliseconds = aint(Number(timeout ?? BROWSE_TIME), '--timeout', 100, 600_000);
  const interfaces = multicastInterfaces();
  const found = await browse({ milliseconds, interfaces, ...(kind !== undefined && { kinds: [kind] }) });
  const services = found.map(describeService);
  if (flags.json) console.log(JSON.stringify(services, undefined, 2));
  else if (services.length > 0) console.log(table(services));
  for (const conflict of new Set(found.flatMap((service) => service.conflict ?? [])))
    console.error(`hapspec: ${oneLine(conflict, VALUE_LENGTH)}`);
  if (services.length > 0) return 0;
  console.error(
    interfaces.length === 0
      ? 'hapspec: no network to ask: none has an IPv4 address'
      : `hapspec: nothing is announced on ${interfaces.map(({ name }) => name).join(', ')}`,
  );
  return 3;
}

/**
 * A TARGET with its port: a host, an address, an instance name or a device id alone gets the place of the one service it
 * announces; anything else stays as it is.
 * @throws InputError that lists what was found when that is not exactly one.
 */
export async function resolveTarget(target: string): Promise<string> {
  const wanted = wantedBy(target);
  if (wanted === undefined) return target;
  const { name, kind } = wanted;
  const interfaces = multicastInterfaces(name);
  if (interfaces.length === 0)
    throw new InputError(`target "${target}": the port is missing, and there is no network to ask for it`);
  const found = await browse({ milliseconds: BROWSE_TIME, interfaces });
  const here = servicesOf(name, found);
  const accessories = here.filter((service) => service.kind === kind && service.port > 0);
  const [only] = accessories;
  if (only !== undefined && accessories.length === 1) {
    // The host as it was written, where that is an address: state is kept under it.
    const written = only.addresses.find((address) => address.toLowerCase() === name.toLowerCase());
    const address = written ?? only.addresses.find((one) => !isNowhere(one)) ?? only.host;
    return `${kind === 'airplay' ? 'airplay://' : ''}${place({ ...only, addresses: [address] })}`;
  }
  const others = here.length > 0 ? here : found;
  const list = others
    .slice(0, 20)
    .map(describeService)
    .map((service) => `\n  ${place(service)}  ${service.kind}  ${service.name}`);
  const noun = kind === 'hap' ? 'HAP accessory' : 'AirPlay receiver';
  const what =
    accessories.length > 1
      ? `${accessories.length} are announced by that name, name one with its port:`
      : here.length > 0
        ? `no ${noun} is announced there, only:`
        : `the port is missing, and nothing is announced there${found.length === 0 ? ', nor anywhere else' : '; found:'}`;
  throw new InputError(`target "${target}": ${what}${list.join('')}`);
}
