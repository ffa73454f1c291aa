import { type Bytes, InputError, concat, equal, hex, text, utf8 } from '../../protocol/index.js';
import { type ClonedController, deviceIdOf, keyPairOf, seedOf } from '../snapshot.js';
import {
  type Format,
  adminOf,
  configNumberOf,
  deviceIdFrom,
  fromLittleEndian,
  hexOf,
  littleEndian,
  onlyFile,
  rawDeviceId,
  zeroEnded,
  zeroPadded,
} from './format.js';

/** Identifier[64] with a zero byte at its end, LTPK[32], permissions. */
const RECORD = { id: 64, bytes: 97 };
const NAMESPACES = { main: 'hap_main', controllers: 'hap_ctrl' } as const;

/** A line of the CSV: namespaces are lines of their own, blobs are hexadecimal. */
interface NvsEntry {
  readonly namespace: string;
  readonly key: string;
  readonly value: Bytes;
}

function readCsv(csv: string): readonly NvsEntry[] {
  const entries: NvsEntry[] = [];
  let namespace = '';
  for (const [index, line] of csv.split(/\r?\n/).entries()) {
    const [key = '', type = '', encoding = '', value = ''] = line.split(',').map((cell) => cell.trim());
    if (line.trim() === '' || (index === 0 && key === 'key')) continue;
    if (type === 'namespace') namespace = key;
    else if (type === 'data' && encoding === 'hex2bin')
      entries.push({ namespace, key, value: hexOf(value, `line ${index + 1}: ${key.slice(0, 20)}`) });
    else if (namespace === NAMESPACES.main || namespace === NAMESPACES.controllers)
      throw new InputError(`line ${index + 1}: expected the form key,data,hex2bin,value`);
  }
  return entries;
}

function readRecord(record: Bytes, where: string): ClonedController {
  if (record.length !== RECORD.bytes)
    throw new InputError(`${where} is ${record.length} bytes: expected ${RECORD.bytes}`);
  return {
    id: zeroEnded(record.slice(0, RECORD.id), where),
    ltpk: record.slice(64, 96),
    admin: adminOf(record[96], where),
  };
}

/** The CSV that the generator of NVS partitions takes. */
export const espHomekitSdk: Format = {
  name: 'esp-homekit-sdk',
  about: 'ESP HomeKit SDK: NVS namespaces hap_main and hap_ctrl, as CSV for the generator of NVS partitions',
  output: 'file',
  holds: ['configuration number'],
  read(files) {
    const entries = readCsv(text(onlyFile(files)));
    const value = (key: string): Bytes => {
      const found = entries.find((entry) => entry.namespace === NAMESPACES.main && entry.key === key);
      if (found === undefined)
        throw new InputError(`there is no entry ${key} in the namespace ${NAMESPACES.main}`);
      return found.value;
    };
    const number = entries.find(
      ({ namespace, key }) => namespace === NAMESPACES.main && key === 'config_num',
    );
    const ltpk = value('ltpka');
    return {
      source: 'esp-homekit-sdk',
      deviceId: deviceIdFrom(value('acc_id'), 'acc_id'),
      ltsk: seedOf(value('ltska'), ltpk, 'ltska'),
      ltpk,
      controllers: entries
        .filter(({ namespace }) => namespace === NAMESPACES.controllers)
        .map(({ key, value: record }) => readRecord(record, `${NAMESPACES.controllers}, entry ${key}`)),
      ...(number && configNumberOf(fromLittleEndian(number.value))),
    };
  },
  write({ deviceId, ltsk, ltpk, controllers, configNumber }) {
    const entry = (key: string, value: Bytes): string => `${key},data,hex2bin,${hex(value)}`;
    const lines = [
      'key,type,encoding,value',
      `${NAMESPACES.main},namespace,,`,
      entry('acc_id', rawDeviceId(deviceId, 'esp-homekit-sdk')),
      entry('ltska', ltsk),
      entry('ltpka', ltpk),
      ...(configNumber === undefined ? [] : [entry('config_num', littleEndian(configNumber, 4))]),
      `${NAMESPACES.controllers},namespace,,`,
      ...controllers.map(({ id, ltpk: key, admin }, index) => {
        // The last byte ends the text.
        const field = concat(zeroPadded(id, RECORD.id - 1, 'esp-homekit-sdk'), Uint8Array.of(0));
        return entry(String(index), concat(field, key, Uint8Array.of(admin ? 1 : 0)));
      }),
    ];
    return new Map([['nvs.csv', utf8(`${lines.join('\n')}\n`)]]);
  },
};

const MAGIC = utf8('HAP\0');
const SECTOR = { size: 4096, id: 4, key: 32, pairings: 128, slots: 16, slot: 80 };

/** The flash sector that holds everything; what was never written is ff. */
export const espHomekit: Format = {
  name: 'esp-homekit',
  about: 'esp-homekit: the image of its flash sector',
  output: 'file',
  holds: [],
  read(files) {
    const image = onlyFile(files);
    const least = SECTOR.pairings + SECTOR.slots * SECTOR.slot;
    if (image.length < least)
      throw new InputError(`the image is ${image.length} bytes: expected ${least} or more, it was cut off`);
    if (!equal(image.subarray(0, 4), MAGIC))
      throw new InputError(
        'the image does not begin with the four bytes "HAP" and zero: it is no such sector',
      );
    const pair = image.slice(SECTOR.key, SECTOR.key + 64);
    const ltpk = pair.slice(32);
    const slots = Array.from({ length: SECTOR.slots }, (_, i) => {
      const start = SECTOR.pairings + i * SECTOR.slot;
      return image.slice(start, start + SECTOR.slot);
    });
    return {
      source: 'esp-homekit',
      deviceId: deviceIdOf(image.slice(SECTOR.id, SECTOR.id + 17)),
      ltsk: seedOf(pair, ltpk),
      ltpk,
      controllers: slots.flatMap((slot, i) => {
        // Never written, or a pairing that was removed.
        if (!equal(slot.subarray(0, 4), MAGIC)) return [];
        const where = `pairing ${i + 1}`;
        return [
          {
            id: zeroEnded(slot.slice(5, 41), where),
            ltpk: slot.slice(41, 73),
            admin: adminOf(slot[4], where),
          },
        ];
      }),
    };
  },
  write({ deviceId, ltsk, controllers }) {
    const image = new Uint8Array(SECTOR.size).fill(0xff);
    image.set(MAGIC);
    image.set(deviceId, SECTOR.id);
    image.set(keyPairOf(ltsk), SECTOR.key);
    for (const [index, { id, ltpk, admin }] of controllers.entries()) {
      const field = zeroPadded(id, 36, 'esp-homekit');
      const slot = concat(MAGIC, Uint8Array.of(admin ? 1 : 0), field, ltpk, new Uint8Array(7));
      image.set(slot, SECTOR.pairings + index * SECTOR.slot);
    }
    return new Map([['homekit-sector.bin', image]]);
  },
};
