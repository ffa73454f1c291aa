import { type Bytes, InputError, fromHex, hex, text, utf8 } from '../../protocol/index.js';
import { deviceIdOf, keyPairOf, seedOf } from '../snapshot.js';
import {
  type Format,
  adminOf,
  base64Of,
  configNumberOf,
  fileOf,
  idText,
  jsonFile,
  jsonOf,
  member,
  textOf,
  toBase64,
} from './format.js';

const PAIRING = /^([0-9a-f]+)\.pairing$/;

/** A folder with a file for each entry; those of controllers are named after the hexadecimal form of the identifier. */
export const brutella: Format = {
  name: 'brutella',
  about: 'brutella/hap (Go): the folder of its store',
  output: 'folder',
  holds: ['configuration number'],
  read(files) {
    const pair = jsonOf(fileOf(files, 'keypair', 'the keys'), 'keypair');
    const ltpk = base64Of(member(pair, 'Public'), 'keypair: Public');
    const version = files.get('version');
    const names = [...files.keys()].filter((name) => PAIRING.test(name)).sort();
    return {
      source: 'brutella',
      deviceId: deviceIdOf(text(fileOf(files, 'uuid', 'the device id')).trim()),
      ltsk: seedOf(base64Of(member(pair, 'Private'), 'keypair: Private'), ltpk),
      ltpk,
      controllers: names.map((name) => {
        const pairing = jsonOf(files.get(name)!, name);
        const id = fromHex(PAIRING.exec(name)![1]!);
        if (text(id) !== textOf(member(pairing, 'Name'), `${name}: Name`))
          throw new InputError(`${name}: the name of the file stands for another identifier than Name`);
        return {
          id,
          ltpk: base64Of(member(pairing, 'PublicKey'), `${name}: PublicKey`),
          admin: adminOf(member(pairing, 'Permission'), name),
        };
      }),
      ...(version && configNumberOf(Number(text(version).trim()))),
    };
  },
  write({ deviceId, ltsk, ltpk, controllers, configNumber }) {
    const pair = { Public: toBase64(ltpk), Private: toBase64(keyPairOf(ltsk)) };
    return new Map<string, Bytes>([
      ['keypair', jsonFile(pair)],
      ['uuid', deviceId],
      ['schema', utf8('1')],
      ...(configNumber === undefined ? [] : [['version', utf8(String(configNumber))] as const]),
      ...controllers.map(({ id, ltpk: key, admin }) => {
        const pairing = { Name: idText(id, 'brutella'), PublicKey: toBase64(key), Permission: admin ? 1 : 0 };
        return [`${hex(id)}.pairing`, jsonFile(pairing)] as const;
      }),
    ]);
  },
};
