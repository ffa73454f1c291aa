import { type Bytes, InputError, hex, text, utf8 } from '../../protocol/index.js';
import { keyPairOf, seedOf } from '../snapshot.js';
import { type Format, adminOf, fileOf, hexOf, idText } from './format.js';

/** Keys as raw bytes and a line for each controller; the device id stands in its configuration, not here. */
export const openhap: Format = {
  name: 'openhap',
  about: 'openhap: accessory_ltsk, accessory_ltpk and pairings.db (the device id is not among them)',
  output: 'folder',
  holds: [],
  read(files, { deviceId }) {
    if (deviceId === undefined)
      throw new InputError(
        'openhap keeps the device id in its configuration, not beside the keys: give it with --device-id',
      );
    const ltpk = fileOf(files, 'accessory_ltpk', 'the public key');
    const lines = text(fileOf(files, 'pairings.db', 'the controllers')).split(/\r?\n/);
    return {
      source: 'openhap',
      deviceId,
      ltsk: seedOf(fileOf(files, 'accessory_ltsk', 'the secret key'), ltpk),
      ltpk,
      controllers: lines.flatMap((line, index) => {
        if (line.trim() === '' || line.startsWith('#')) return [];
        const where = `pairings.db, line ${index + 1}`;
        const found = /^(.+):([0-9A-Fa-f]+):(\d+)$/.exec(line);
        if (found === null) throw new InputError(`${where}: expected identifier:LTPK:permissions`);
        const [, id, key, rights] = found;
        return [{ id: utf8(id!), ltpk: hexOf(key, where), admin: adminOf(Number(rights), where) }];
      }),
    };
  },
  write({ ltsk, ltpk, controllers }) {
    const lines = controllers.map(({ id, ltpk: key, admin }) => {
      const name = idText(id, 'openhap');
      if (name.startsWith('#')) throw new InputError('openhap takes a line that begins with # for a comment');
      return `${name}:${hex(key)}:${admin ? 1 : 0}\n`;
    });
    return new Map<string, Bytes>([
      ['accessory_ltsk', keyPairOf(ltsk)],
      ['accessory_ltpk', ltpk],
      ['pairings.db', utf8(lines.join(''))],
    ]);
  },
  notes: ({ deviceId }) => [`set the device id in the configuration of openhap: ${text(deviceId)}`],
};
