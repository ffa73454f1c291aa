import { type Bytes, type SetupCode, text, utf8 } from '../protocol/index.js';

export const JSON_TYPE = 'application/hap+json';

/** HAP status codes of a characteristic request (HAP R2 §6.7.1.4). */
export const HapStatus = {
  Success: 0,
  InsufficientPrivileges: -70401,
  ReadOnly: -70404,
  WriteOnly: -70405,
  NoNotification: -70406,
  NotFound: -70409,
  InvalidValue: -70410,
  InsufficientAuthorization: -70411,
} as const;

type Value = boolean | number | string;

interface Characteristic {
  readonly iid: number;
  readonly type: string;
  readonly perms: readonly ('pr' | 'pw' | 'ev')[];
  readonly format: 'bool' | 'int' | 'string';
  readonly description: string;
  readonly value?: Value;
  readonly unit?: string;
  readonly minValue?: number;
  readonly maxValue?: number;
  readonly minStep?: number;
}

interface Service {
  readonly iid: number;
  readonly type: string;
  readonly characteristics: readonly Characteristic[];
}

/** A characteristic that has another value now. */
export interface Change {
  readonly aid: number;
  readonly iid: number;
  readonly value: Value;
}

/** Status and JSON body of a response; no body with 204. */
export interface DatabaseAnswer {
  readonly status: number;
  readonly body?: Bytes;
  /** What a write changed. */
  readonly changes?: readonly Change[];
  /** What a write began to listen to, with its value. */
  readonly subscribed?: readonly Change[];
}

/** What one connection listens to, by iid; false for what it has given up. */
export type Subscriptions = Map<number, boolean>;

const AID = 1;
/** iid of the serial number, which the device gives. */
const SERIAL_NUMBER = 6;

function fixed(iid: number, type: string, description: string, value: string): Characteristic {
  return { iid, type, perms: ['pr'], format: 'string', description, value };
}

function scale(
  iid: number,
  type: string,
  description: string,
  maxValue: number,
  unit: string,
): Characteristic {
  const range = { unit, minValue: 0, maxValue, minStep: 1 };
  return { iid, type, perms: ['pr', 'pw', 'ev'], format: 'int', description, value: maxValue, ...range };
}

/** A lamp: small, but more than one frame of JSON, and with values that stay written. */
const services: readonly Service[] = [
  {
    iid: 1,
    type: '3E',
    characteristics: [
      { iid: 2, type: '14', perms: ['pw'], format: 'bool', description: 'Identify' },
      fixed(3, '20', 'Manufacturer', 'hapspec'),
      fixed(4, '21', 'Model', 'Reference Accessory'),
      fixed(5, '23', 'Name', 'hapspec reference accessory'),
      fixed(SERIAL_NUMBER, '30', 'Serial Number', ''),
      fixed(7, '52', 'Firmware Revision', '1.0.0'),
    ],
  },
  {
    iid: 8,
    type: '43',
    characteristics: [
      { iid: 9, type: '25', perms: ['pr', 'pw', 'ev'], format: 'bool', description: 'On', value: false },
      scale(10, '8', 'Brightness', 100, 'percentage'),
      scale(13, '13', 'Hue', 360, 'arcdegrees'),
      scale(14, '2F', 'Saturation', 100, 'percentage'),
      fixed(11, '23', 'Name', 'Lamp'),
      fixed(12, 'E3', 'Configured Name', 'Lamp'),
    ],
  },
  { iid: 16, type: 'A2', characteristics: [fixed(18, '37', 'Protocol Version', '1.1.0')] },
];

/** The attribute database: one accessory, values kept while the process lives. */
export class Database {
  private readonly written = new Map<number, Value>();

  constructor(serialNumber: string) {
    this.written.set(SERIAL_NUMBER, serialNumber);
  }

  /** GET /accessories. */
  accessories(): DatabaseAnswer {
    const described = services.map((service) => ({
      ...service,
      characteristics: service.characteristics.map((item) => ({ ...item, ...this.value(item) })),
    }));
    return json(200, { accessories: [{ aid: AID, services: described }] });
  }

  /** GET /characteristics?id=1.9,1.10; at most 100 ids. With `&ev=1` each tells whether this connection listens. */
  read(query: string, subscriptions: Subscriptions): DatabaseAnswer {
    const parameters = new URLSearchParams(query);
    const list = parameters.get('id') ?? '';
    const asked = /^(1|true)$/.test(parameters.get('ev') ?? '');
    if (!/^\d{1,9}\.\d{1,9}(,\d{1,9}\.\d{1,9}){0,99}$/.test(list))
      return json(400, { status: HapStatus.InvalidValue });
    const results = list.split(',').map((id) => {
      const [aid, iid] = id.split('.').map(Number) as [number, number];
      const item = find(aid, iid);
      if (item === undefined) return { aid, iid, status: HapStatus.NotFound };
      if (!item.perms.includes('pr')) return { aid, iid, status: HapStatus.WriteOnly };
      return { aid, iid, ...this.value(item), ...(asked && { ev: subscriptions.get(iid) ?? false }) };
    });
    if (!results.some((result) => 'status' in result)) return json(200, { characteristics: results });
    return json(207, {
      characteristics: results.map((result) => ({ status: HapStatus.Success, ...result })),
    });
  }

  /** PUT /characteristics; `ev` changes what this connection listens to. */
  write(body: Bytes, subscriptions: Subscriptions): DatabaseAnswer {
    const entries = parseWrites(body);
    if (entries === undefined) return json(400, { status: HapStatus.InvalidValue });
    const changes: Change[] = [];
    const subscribed: Change[] = [];
    const results = entries.map(({ aid, iid, ...wish }) => {
      const item = find(aid, iid);
      const before = item && this.value(item).value;
      const status = item === undefined ? HapStatus.NotFound : this.writeOne(item, wish, subscriptions);
      const now = item && this.value(item).value;
      if (now !== undefined && now !== before) changes.push({ aid, iid, value: now });
      if (now !== undefined && wish.ev === true && status === HapStatus.Success)
        subscribed.push({ aid, iid, value: now });
      return { aid, iid, status };
    });
    if (results.every(({ status }) => status === HapStatus.Success))
      return { status: 204, changes, subscribed };
    return { ...json(207, { characteristics: results }), changes, subscribed };
  }

  private writeOne(
    item: Characteristic,
    wish: { value?: unknown; ev?: unknown },
    subscriptions: Subscriptions,
  ): number {
    if (typeof wish.ev === 'boolean') {
      if (!item.perms.includes('ev')) return HapStatus.NoNotification;
      subscriptions.set(item.iid, wish.ev);
    }
    if (wish.value === undefined) return HapStatus.Success;
    if (!item.perms.includes('pw')) return HapStatus.ReadOnly;
    const value = accepted(item, wish.value);
    if (value === undefined) return HapStatus.InvalidValue;
    if (item.perms.includes('pr')) this.written.set(item.iid, value);
    return HapStatus.Success;
  }

  private value(item: Characteristic): { value?: Value } {
    const value = this.written.get(item.iid) ?? item.value;
    return value === undefined ? {} : { value };
  }
}

const byIid = new Map(
  services.flatMap(({ characteristics }) => characteristics.map((item) => [item.iid, item])),
);

function find(aid: number, iid: number): Characteristic | undefined {
  return aid === AID ? byIid.get(iid) : undefined;
}

function accepted(item: Characteristic, value: unknown): Value | undefined {
  if (item.format === 'bool') {
    // Controllers send booleans as 0 and 1 too.
    if (typeof value === 'boolean') return value;
    return value === 0 || value === 1 ? value === 1 : undefined;
  }
  if (item.format !== 'int' || typeof value !== 'number' || !Number.isInteger(value)) return undefined;
  return value >= (item.minValue ?? 0) && value <= (item.maxValue ?? 0) ? value : undefined;
}

interface Write {
  readonly aid: number;
  readonly iid: number;
  readonly value?: unknown;
  readonly ev?: unknown;
}

function parseWrites(body: Bytes): Write[] | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text(body));
  } catch {
    return undefined;
  }
  const list = (parsed as { characteristics?: unknown } | null)?.characteristics;
  if (!Array.isArray(list) || list.length === 0 || list.length > 100) return undefined;
  const valid = list.every(
    (entry: unknown) =>
      typeof entry === 'object' &&
      entry !== null &&
      Number.isSafeInteger((entry as Write).aid) &&
      Number.isSafeInteger((entry as Write).iid),
  );
  return valid ? (list as Write[]) : undefined;
}

export function json(status: number, value: unknown): DatabaseAnswer & { readonly body: Bytes } {
  return { status, body: utf8(JSON.stringify(value)) };
}

export interface DatabaseDecisions {
  /** The serial number in the attribute database. */
  serialNumber(code: SetupCode): string;
}

export const healthyDatabase: DatabaseDecisions = {
  serialNumber: () => 'HAPSPEC-0001',
};
