import { type Bytes, InputError, concat, text, utf8 } from '../../protocol/index.js';
import { type ClonedController, publicKeyOf, seedOf } from '../snapshot.js';
import {
  type Format,
  adminOf,
  configNumberOf,
  deviceIdFrom,
  fileOf,
  fromLittleEndian,
  littleEndian,
  rawDeviceId,
  zeroEnded,
  zeroPadded,
} from './format.js';

/** Keys of its key-value store: domain and key, two capital hexadecimal digits each. */
const KEY = {
  deviceId: '90.00',
  configNumber: '90.20',
  ltsk: '90.21',
  verifier: '40.10',
  setupId: '40.11',
  setupCode: '40.12',
} as const;
const PAIRING = /^A0\.[0-9A-F]{2}$/;
/** Identifier[36], its length, LTPK[32], permissions. */
const RECORD = { id: 36, bytes: 70 };

function pairingKey(index: number): string {
  return `A0.${index.toString(16).padStart(2, '0').toUpperCase()}`;
}

function readPairing(record: Bytes, where: string): ClonedController {
  if (record.length !== RECORD.bytes)
    throw new InputError(`${where} is ${record.length} bytes: expected ${RECORD.bytes}`);
  const length = record[RECORD.id]!;
  const id = zeroEnded(record.slice(0, RECORD.id), where);
  if (id.length !== length)
    throw new InputError(`${where}: the identifier is ${id.length} bytes, and its length says ${length}`);
  return { id, ltpk: record.slice(37, 69), admin: adminOf(record[69], where) };
}

/** A folder with a file for each entry. */
export const homekitAdk: Format = {
  name: 'homekit-adk',
  about: 'HomeKitADK: the folder .HomeKitStore',
  output: 'folder',
  holds: ['setup code', 'setup id', 'verifier', 'configuration number'],
  read(files) {
    const ltsk = seedOf(fileOf(files, KEY.ltsk, 'the secret key'), undefined, KEY.ltsk);
    const number = files.get(KEY.configNumber);
    const verifier = files.get(KEY.verifier);
    if (verifier !== undefined && verifier.length !== 400)
      throw new InputError(`${KEY.verifier} is ${verifier.length} bytes: expected 400 (salt and verifier)`);
    const shortText = (key: string): string | undefined => {
      const field = files.get(key);
      return field && text(zeroEnded(field, key));
    };
    const [id, code] = [shortText(KEY.setupId), shortText(KEY.setupCode)];
    const setup = {
      ...(code !== undefined && /^\d{3}-\d{2}-\d{3}$/.test(code) && { code }),
      ...(id !== undefined && /^[0-9A-Z]{4}$/.test(id) && { id }),
      ...(verifier && { salt: verifier.slice(0, 16), verifier: verifier.slice(16) }),
    };
    const keys = [...files.keys()].filter((key) => PAIRING.test(key)).sort();
    return {
      source: 'homekit-adk',
      deviceId: deviceIdFrom(fileOf(files, KEY.deviceId, 'the device id'), KEY.deviceId),
      ltsk,
      ltpk: publicKeyOf(ltsk),
      controllers: keys.map((key) => readPairing(files.get(key)!, key)),
      ...(number && configNumberOf(fromLittleEndian(number))),
      ...(Object.keys(setup).length > 0 && { setup }),
    };
  },
  write({ deviceId, ltsk, controllers, configNumber, setup }) {
    const { code, id, salt, verifier } = setup ?? {};
    return new Map<string, Bytes>([
      [KEY.deviceId, rawDeviceId(deviceId, 'homekit-adk')],
      [KEY.configNumber, littleEndian(configNumber ?? 1, 4)],
      [KEY.ltsk, ltsk],
      ...controllers.map((controller, index) => {
        const field = zeroPadded(controller.id, RECORD.id, 'homekit-adk');
        const length = Uint8Array.of(controller.id.length);
        const rights = Uint8Array.of(controller.admin ? 1 : 0);
        return [pairingKey(index), concat(field, length, controller.ltpk, rights)] as const;
      }),
      ...(salt && verifier ? [[KEY.verifier, concat(salt, verifier)] as const] : []),
      ...(id === undefined ? [] : [[KEY.setupId, utf8(`${id}\0`)] as const]),
      ...(code === undefined ? [] : [[KEY.setupCode, utf8(`${code}\0`)] as const]),
    ]);
  },
};
