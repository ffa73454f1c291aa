import {
  type Bytes,
  InputError,
  Length,
  equal,
  fromHex,
  hex,
  isSmallOrder,
  restoreIdentity,
  text,
  utf8,
} from '../protocol/index.js';
import { schemaDefect } from '../vectors/schema.js';
import { MOST_CONTROLLERS, SNAPSHOT, snapshotSchema } from '../vectors/snapshot.js';

/** A controller as the accessory knows it. */
export interface ClonedController {
  /** 1 to 64 bytes, compared byte for byte. */
  readonly id: Bytes;
  /** 32 bytes. */
  readonly ltpk: Bytes;
  readonly admin: boolean;
  /** 32-byte seed; only of controllers this harness was itself. */
  readonly ltsk?: Bytes;
}

export interface ClonedSetup {
  /** `XXX-XX-XXX`. */
  readonly code?: string;
  /** Four characters 0-9 A-Z. */
  readonly id?: string;
  /** 16 bytes. */
  readonly salt?: Bytes;
  /** 384 bytes. */
  readonly verifier?: Bytes;
}

/** What a controller knows an accessory by, and what the accessory knows its controllers by (seed 000). */
export interface Snapshot {
  /** Where it comes from, in words. */
  readonly source: string;
  /** 17 ASCII characters `XX:XX:XX:XX:XX:XX`, as announced. */
  readonly deviceId: Bytes;
  /** 32-byte seed; missing where only the public half is known. */
  readonly ltsk?: Bytes;
  /** 32 bytes. */
  readonly ltpk: Bytes;
  readonly controllers: readonly ClonedController[];
  readonly configNumber?: number;
  readonly setup?: ClonedSetup;
  /** Names of accessories, services and characteristics, and the aid or iid each has. */
  readonly identifierCache?: Readonly<Record<string, number>>;
}

const DEVICE_ID = /^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$/;

/** 17 bytes `XX:XX:XX:XX:XX:XX`, in the case given. @throws InputError for anything else */
export function deviceIdOf(value: Bytes | string): Bytes {
  const id = typeof value === 'string' ? value : text(value);
  if (!DEVICE_ID.test(id))
    throw new InputError(
      `the device id is ${JSON.stringify(id.slice(0, 40))}: expected six pairs of hexadecimal digits with colons between them`,
    );
  return utf8(id);
}

/**
 * The 32-byte seed of a secret key of 32 bytes (the seed) or 64 (seed and public key). A signature made with halves that
 * do not belong together gives the key away, so nothing goes on with such a pair.
 * @throws InputError naming `title` when the key is neither, or does not belong to `ltpk`
 */
export function seedOf(key: Bytes, ltpk: Bytes | undefined, title = 'LTSK'): Bytes {
  if (key.length !== Length.ltsk && key.length !== 2 * Length.ltsk)
    throw new InputError(
      `${title} is ${key.length} bytes: expected 32 (the seed) or 64 (the seed and the public key behind it)`,
    );
  const seed = key.slice(0, Length.ltsk);
  const derived = publicKeyOf(seed);
  if (key.length > Length.ltsk && !equal(key.subarray(Length.ltsk), derived))
    throw new InputError(
      `${title} is altered: its second 32 bytes are not the public key of the first (nor is the expanded form of a key taken, from which no seed can be had)`,
    );
  if (ltpk !== undefined && !equal(ltpk, derived))
    throw new InputError(`${title} and LTPK do not belong together: LTPK is not the public key of ${title}`);
  return seed;
}

/** The public key of a seed; 32 bytes each. */
export function publicKeyOf(seed: Bytes): Bytes {
  return restoreIdentity(new Uint8Array(0), seed).ltpk;
}

/** Seed and public key, 64 bytes: how most libraries keep a secret key. */
export function keyPairOf(seed: Bytes): Bytes {
  const key = new Uint8Array(64);
  key.set(seed);
  key.set(publicKeyOf(seed), 32);
  return key;
}

/**
 * The snapshot, after a look at all that would make a clone no controller can use.
 * @throws InputError naming what is wrong and where
 */
export function checkSnapshot(snapshot: Snapshot): Snapshot {
  const { deviceId, ltsk, ltpk, controllers } = snapshot;
  deviceIdOf(deviceId);
  if (ltpk.length !== Length.ltpk) throw new InputError(`LTPK is ${ltpk.length} bytes: expected 32`);
  if (isSmallOrder(ltpk)) throw new InputError('LTPK is a point of small order: it is nobody’s key');
  if (ltsk !== undefined) seedOf(ltsk, ltpk);
  if (controllers.length === 0)
    throw new InputError('there is no controller: a clone without any would announce itself as unpaired');
  if (controllers.length > MOST_CONTROLLERS)
    throw new InputError(
      `there are ${controllers.length} controllers: an accessory keeps ${MOST_CONTROLLERS} at most`,
    );
  const seen = new Map<string, number>();
  for (const [index, controller] of controllers.entries()) {
    const title = `controller ${index + 1}`;
    const { id, ltpk: key } = controller;
    if (id.length < 1 || id.length > 64)
      throw new InputError(`the identifier of ${title} is ${id.length} bytes: expected 1 to 64`);
    if (key.length !== Length.ltpk)
      throw new InputError(`the LTPK of ${title} is ${key.length} bytes: expected 32`);
    if (isSmallOrder(key))
      throw new InputError(
        `the LTPK of ${title} is a point of small order: anybody could sign as that controller`,
      );
    if (controller.ltsk !== undefined) seedOf(controller.ltsk, key, `the LTSK of ${title}`);
    const former = seen.get(hex(id));
    if (former !== undefined)
      throw new InputError(`controllers ${former} and ${index + 1} have the same identifier`);
    seen.set(hex(id), index + 1);
  }
  if (!controllers.some(({ admin }) => admin))
    throw new InputError(
      'all controllers are plain users: without an admin a clone announces itself as unpaired, and nobody could remove them',
    );
  return snapshot;
}

/** The text of a snapshot's file: one spelling for each snapshot. */
export function snapshotText(snapshot: Snapshot): string {
  const { source, deviceId, ltsk, ltpk, controllers, configNumber, setup, identifierCache } =
    checkSnapshot(snapshot);
  const json = {
    ...SNAPSHOT,
    source,
    deviceId: text(deviceId),
    ...(ltsk && { ltsk: hex(ltsk) }),
    ltpk: hex(ltpk),
    controllers: controllers.map((controller) => ({
      id: hex(controller.id),
      ltpk: hex(controller.ltpk),
      permissions: controller.admin ? 1 : 0,
      ...(controller.ltsk && { ltsk: hex(controller.ltsk) }),
    })),
    ...(configNumber !== undefined && { configNumber }),
    ...(setup && {
      setup: {
        ...(setup.code !== undefined && { code: setup.code }),
        ...(setup.id !== undefined && { id: setup.id }),
        ...(setup.salt && { salt: hex(setup.salt) }),
        ...(setup.verifier && { verifier: hex(setup.verifier) }),
      },
    }),
    ...(identifierCache && { identifierCache }),
  };
  return `${JSON.stringify(json, undefined, 2)}\n`;
}

interface SnapshotJson {
  readonly source: string;
  readonly deviceId: string;
  readonly ltsk?: string;
  readonly ltpk: string;
  readonly controllers: readonly {
    readonly id: string;
    readonly ltpk: string;
    readonly permissions: number;
    readonly ltsk?: string;
  }[];
  readonly configNumber?: number;
  readonly setup?: {
    readonly code?: string;
    readonly id?: string;
    readonly salt?: string;
    readonly verifier?: string;
  };
  readonly identifierCache?: Readonly<Record<string, number>>;
}

/** @throws InputError naming the field that is wrong; the text itself is never repeated, it may hold a key. */
export function parseSnapshot(content: string): Snapshot {
  let json: unknown;
  try {
    json = JSON.parse(content);
  } catch {
    throw new InputError('the snapshot is no JSON: "hapspec clone export" writes one');
  }
  const count = (json as { controllers?: { length?: unknown } } | null)?.controllers?.length;
  // The schema's words would be right and say less.
  if (count === 0 || (typeof count === 'number' && count > MOST_CONTROLLERS)) {
    const some = { id: utf8('-'), ltpk: new Uint8Array(32).fill(2), admin: true };
    checkSnapshot({
      source: '',
      deviceId: utf8('00:00:00:00:00:00'),
      ltpk: new Uint8Array(32).fill(2),
      controllers: Array.from({ length: Math.min(count, 1000) }, () => some),
    });
  }
  const defect = schemaDefect(json, snapshotSchema);
  if (defect !== undefined)
    throw new InputError(`the snapshot: ${defect.path === '' ? 'it' : defect.path} ${defect.what}`);
  const { source, deviceId, ltsk, ltpk, controllers, configNumber, setup, identifierCache } =
    json as SnapshotJson;
  return checkSnapshot({
    source,
    deviceId: utf8(deviceId),
    ...(ltsk !== undefined && { ltsk: fromHex(ltsk) }),
    ltpk: fromHex(ltpk),
    controllers: controllers.map((controller) => ({
      id: fromHex(controller.id),
      ltpk: fromHex(controller.ltpk),
      admin: controller.permissions === 1,
      ...(controller.ltsk !== undefined && { ltsk: fromHex(controller.ltsk) }),
    })),
    ...(configNumber !== undefined && { configNumber }),
    ...(setup && {
      setup: {
        ...(setup.code !== undefined && { code: setup.code }),
        ...(setup.id !== undefined && { id: setup.id }),
        ...(setup.salt !== undefined && { salt: fromHex(setup.salt) }),
        ...(setup.verifier !== undefined && { verifier: fromHex(setup.verifier) }),
      },
    }),
    ...(identifierCache && { identifierCache }),
  });
}
