import { type Bytes, InputError, concat, equal, fromHex, text, utf8 } from '../../protocol/index.js';
import { type ClonedController, type Snapshot, deviceIdOf, keyPairOf, seedOf } from '../snapshot.js';
import { type Files, type Format, base64Of, fileOf, onlyFile, toBase64 } from './format.js';

/** Bytes of the records and characters of their base64. */
const ACCESSORY = { bytes: 113, characters: 152 };
const CONTROLLER = { bytes: 70, characters: 96 };
const ID_LENGTH = 36;

/** Device id[17], LTSK[64] (seed and LTPK), LTPK[32]. */
function accessoryRecord({ deviceId, ltsk, ltpk }: Snapshot & { readonly ltsk: Bytes }): Bytes {
  return concat(deviceId, keyPairOf(ltsk), ltpk);
}

/** Allocated, admin, identifier[36], LTPK[32]. */
function controllerRecord({ id, ltpk, admin }: ClonedController): Bytes {
  if (id.length !== ID_LENGTH)
    throw new InputError(
      `HomeSpan keeps identifiers of exactly ${ID_LENGTH} bytes, and one of these is ${id.length}`,
    );
  return concat(Uint8Array.of(1, admin ? 1 : 0), id, ltpk);
}

type Owner = Pick<Snapshot, 'deviceId' | 'ltpk'> & { readonly ltsk: Bytes };

function readAccessory(record: Bytes, where: string): Owner {
  if (record.length === CONTROLLER.bytes)
    throw new InputError(`${where}: the record of a controller stands where that of the accessory is due`);
  if (record.length !== ACCESSORY.bytes)
    throw new InputError(
      `${where}: the accessory's record is ${record.length} bytes: expected ${ACCESSORY.bytes} (${ACCESSORY.characters} characters of base64)`,
    );
  const ltpk = record.slice(81);
  return within(where, () => ({
    deviceId: deviceIdOf(record.slice(0, 17)),
    ltsk: seedOf(record.slice(17, 81), ltpk),
    ltpk,
  }));
}

function readController(record: Bytes, where: string): ClonedController {
  if (record.length === ACCESSORY.bytes)
    throw new InputError(`${where}: the record of an accessory stands where that of a controller is due`);
  if (record.length !== CONTROLLER.bytes)
    throw new InputError(
      `${where}: a controller's record is ${record.length} bytes: expected ${CONTROLLER.bytes} (${CONTROLLER.characters} characters of base64)`,
    );
  if (record[0] !== 1)
    throw new InputError(`${where}: this record is marked as free, and would be dropped at the next start`);
  if (record[1]! > 1) throw new InputError(`${where}: the byte for admin is ${record[1]}: expected 0 or 1`);
  return { id: record.slice(2, 38), ltpk: record.slice(38), admin: record[1] === 1 };
}

/** What `read` refuses, with the place in front. */
function within<T>(where: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof InputError) throw new InputError(`${where}: ${error.message}`);
    throw error;
  }
}

/** Colours and other things a terminal draws with. */

const ESCAPES = /\u001b\[[0-9;?]*[ -/]*[@-~]/g;
/** What loggers put in front of a line: times, in brackets or not, with an arrow or not, and levels. */
const STAMP =
  /^\s*(?:\[[^\]]{1,40}\]|\d{4}-\d{2}-\d{2}[T ]|\d{1,2}:\d{2}:\d{2}(?:[.,]\d{1,9})?Z?|[VDIWE] \(\d+\)|->|[|>:])\s*/;

function withoutStamp(line: string): string {
  let rest = line;
  for (let stamp = STAMP.exec(rest); stamp !== null && rest.length > 0; stamp = STAMP.exec(rest))
    rest = rest.slice(stamp[0].length);
  return rest.trim();
}

interface Entry {
  readonly kind: 'accessory' | 'controller' | 'any';
  readonly base64: string;
  /** Counted from 1. */
  readonly line: number;
}

/** The records in what a terminal showed, put together where it folded them. */
function entriesIn(log: string): readonly Entry[] {
  const lines = log.replace(ESCAPES, '').split(/\r\n|\r|\n/);
  const entries: Entry[] = [];
  const label = /(Accessory|Controller) data:(.*)$/;
  for (let at = 0; at < lines.length; at++) {
    const found = label.exec(lines[at]!);
    if (found === null) continue;
    const kind = found[1] === 'Accessory' ? 'accessory' : 'controller';
    let base64 = found[2]!.trim();
    const line = at + 1;
    // An empty answer at the prompt of an import ends it.
    if (base64 === '' && lines[at]!.includes('>>>')) continue;
    const due = kind === 'accessory' ? ACCESSORY.characters : CONTROLLER.characters;
    while (base64.length < due && !base64.endsWith('=') && at + 1 < lines.length) {
      const more = withoutStamp(lines[at + 1]!);
      if (!/^[A-Za-z0-9+/]+={0,2}$/.test(more) || base64.length + more.length > ACCESSORY.characters) break;
      base64 += more;
      at++;
    }
    entries.push({ kind, base64, line });
  }
  if (entries.length > 0) return entries;
  // Only the strings were kept, a line each.
  return lines.flatMap((line, index) => {
    const base64 = withoutStamp(line);
    return /^[A-Za-z0-9+/]{60,200}={0,2}$/.test(base64) ? [{ kind: 'any', base64, line: index + 1 }] : [];
  });
}

/** `*** HomeSpan Status ***`: everything but the secret key. */
function readStatus(log: string): Snapshot | undefined {
  const clean = log.replace(ESCAPES, '');
  const own = /Accessory ID:\s+(\S+)\s+LTPK:\s+([0-9A-Fa-f]+)/g;
  const [first, ...others] = [...clean.matchAll(own)];
  if (first === undefined) return undefined;
  if (others.some(([, id, ltpk]) => id !== first[1] || ltpk !== first[2]))
    throw new InputError('the log shows the status of more than one accessory: keep one');
  const key = (digits: string, whose: string): Bytes => {
    if (digits.length !== 64)
      throw new InputError(`the LTPK of ${whose} has ${digits.length} hexadecimal digits: expected 64`);
    return fromHex(digits);
  };
  const last = clean.slice(clean.lastIndexOf(first[0]));
  const controllers = [
    ...last.matchAll(
      /Paired Controller:\s+(\S+)\s+\((\s*admin\s*|\s*regular\s*)\)\s+LTPK:\s+([0-9A-Fa-f]+)/g,
    ),
  ].map(([, id, rights, ltpk], index) => ({
    id: utf8(id!),
    ltpk: key(ltpk!, `controller ${index + 1}`),
    admin: rights!.trim() === 'admin',
  }));
  return {
    source: 'homespan, command s',
    deviceId: deviceIdOf(first[1]!),
    ltpk: key(first[2]!, 'the accessory'),
    controllers,
  };
}

function readLog(files: Files): Snapshot {
  const log = text(onlyFile(files));
  const entries = entriesIn(log);
  if (entries.length === 0) {
    const status = readStatus(log);
    if (status !== undefined) return status;
    throw new InputError(
      'there are no lines "Accessory data:" and "Controller data:" in it: type P (a capital) in the serial monitor of the old device and keep what it prints',
    );
  }
  let owner: Owner | undefined;
  let controllers: ClonedController[] = [];
  for (const { kind, base64, line } of entries) {
    const where = `line ${line}`;
    const record = base64Of(base64, where);
    const startsAnew =
      kind === 'accessory' || (kind === 'any' && (owner === undefined || record.length === ACCESSORY.bytes));
    if (!startsAnew) {
      if (owner === undefined)
        throw new InputError(`${where}: the record of a controller comes before that of the accessory`);
      controllers.push(readController(record, where));
      continue;
    }
    const next = readAccessory(record, where);
    if (owner !== undefined && !(equal(owner.ltsk, next.ltsk) && equal(owner.deviceId, next.deviceId)))
      throw new InputError(`${where}: a second accessory begins here: keep the lines of one`);
    // The same export once more: the last one holds.
    owner = next;
    controllers = [];
  }
  return { source: 'homespan', ...owner!, controllers };
}

/** What the command P prints and C takes. */
export const homespan: Format = {
  name: 'homespan',
  about: 'HomeSpan: what the serial command P prints, and C takes; also what s shows',
  output: 'file',
  holds: [],
  read: readLog,
  write(snapshot) {
    const lines = [
      '*** Pairing Data used for Cloning another Device',
      '',
      `Accessory data:  ${toBase64(accessoryRecord(snapshot))}`,
      ...snapshot.controllers.map((one) => `Controller data: ${toBase64(controllerRecord(one))}`),
      '',
      '*** End Pairing Data',
    ];
    return new Map([['homespan.txt', utf8(`${lines.join('\n')}\n`)]]);
  },
  notes: () => [
    'type C (a capital) in the serial monitor of the new device and give it these strings, the accessory’s first, then an empty line and y',
  ],
};

/** Salt[16] and verifier[384]. */
const VERIFIER = { salt: 16, bytes: 400 };

/** The blobs of the NVS namespaces HAP and SRP, a file each. */
export const homespanNvs: Format = {
  name: 'homespan-nvs',
  about: 'HomeSpan: blobs ACCESSORY and CONTROLLERS of its NVS namespace HAP, VERIFYDATA of SRP, a file each',
  output: 'folder',
  holds: ['verifier'],
  read(files) {
    const owner = readAccessory(fileOf(files, 'ACCESSORY', 'identity and keys'), 'ACCESSORY');
    const list = fileOf(files, 'CONTROLLERS', 'the controllers');
    if (list.length % CONTROLLER.bytes !== 0)
      throw new InputError(
        `CONTROLLERS is ${list.length} bytes: expected records of ${CONTROLLER.bytes} bytes each`,
      );
    const records = Array.from({ length: list.length / CONTROLLER.bytes }, (_, i) =>
      list.slice(i * CONTROLLER.bytes, (i + 1) * CONTROLLER.bytes),
    );
    const verifier = files.get('VERIFYDATA');
    if (verifier !== undefined && verifier.length !== VERIFIER.bytes)
      throw new InputError(`VERIFYDATA is ${verifier.length} bytes: expected ${VERIFIER.bytes}`);
    return {
      source: 'homespan-nvs',
      ...owner,
      controllers: records.flatMap((record, i) =>
        record[0] === 0 ? [] : [readController(record, `CONTROLLERS, record ${i + 1}`)],
      ),
      ...(verifier && {
        setup: { salt: verifier.slice(0, VERIFIER.salt), verifier: verifier.slice(VERIFIER.salt) },
      }),
    };
  },
  write(snapshot) {
    const { salt, verifier } = snapshot.setup ?? {};
    return new Map([
      ['ACCESSORY', accessoryRecord(snapshot)],
      ['CONTROLLERS', concat(...snapshot.controllers.map(controllerRecord))],
      ...(salt && verifier ? [['VERIFYDATA', concat(salt, verifier)] as const] : []),
    ]);
  },
};
