import { InputError, text, utf8 } from '../../protocol/index.js';
import { deviceIdOf, seedOf } from '../snapshot.js';
import {
  type Format,
  adminOf,
  base64Of,
  fileOf,
  idText,
  jsonFile,
  jsonOf,
  member,
  objectOf,
  toBase64,
} from './format.js';

/** Two files of JSON: the receiver's own keys under its device id, and the controllers under theirs. */
export const airplayReceiver: Format = {
  name: 'airplay-receiver',
  about: 'AirPlay receiver of openairplay: pairings.txt and ltsk.txt of its folder pairings',
  output: 'folder',
  holds: [],
  read(files) {
    const own = Object.entries(jsonOf(fileOf(files, 'ltsk.txt', 'the keys'), 'ltsk.txt'));
    const [first, ...others] = own;
    if (first === undefined || others.length > 0)
      throw new InputError(`ltsk.txt: expected the keys of one receiver, found ${own.length}`);
    const [deviceId, value] = first;
    const keys = objectOf(value, 'ltsk.txt: the keys');
    const ltpk = base64Of(member(keys, 'LTPK'), 'ltsk.txt: LTPK');
    const pairings = jsonOf(fileOf(files, 'pairings.txt', 'the controllers'), 'pairings.txt');
    return {
      source: 'airplay-receiver',
      deviceId: deviceIdOf(deviceId),
      ltsk: seedOf(base64Of(member(keys, 'LTSK'), 'ltsk.txt: LTSK'), ltpk),
      ltpk,
      controllers: Object.entries(pairings).map(([id, entry]) => {
        const where = `pairings.txt, ${id.slice(0, 40)}`;
        const pairing = objectOf(entry, where);
        const rights = base64Of(member(pairing, 'permissions'), `${where}: permissions`);
        return {
          id: utf8(id),
          ltpk: base64Of(member(pairing, 'LTPK'), `${where}: LTPK`),
          admin: adminOf(rights.length === 1 ? rights[0] : undefined, where),
        };
      }),
    };
  },
  write({ deviceId, ltsk, ltpk, controllers }) {
    const rights = (admin: boolean): string => toBase64(Uint8Array.of(admin ? 1 : 0));
    const own = {
      [text(deviceId)]: { LTSK: toBase64(ltsk), LTPK: toBase64(ltpk), permissions: rights(true) },
    };
    const pairings = controllers.map(
      ({ id, ltpk: key, admin }) =>
        [idText(id, 'airplay-receiver'), { LTPK: toBase64(key), permissions: rights(admin) }] as const,
    );
    return new Map([
      ['ltsk.txt', jsonFile(own)],
      ['pairings.txt', jsonFile(Object.fromEntries(pairings))],
    ]);
  },
};
