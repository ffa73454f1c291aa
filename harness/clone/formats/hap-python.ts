import { InputError, hex, text, utf8 } from '../../protocol/index.js';
import { deviceIdOf, seedOf } from '../snapshot.js';
import {
  type Format,
  adminOf,
  configNumberOf,
  hexOf,
  idText,
  isUuid,
  jsonFile,
  jsonOf,
  member,
  objectOf,
  onlyFile,
  textOf,
} from './format.js';

/** One file of JSON; identifiers are UUIDs, and their bytes stand beside them. */
export const hapPython: Format = {
  name: 'hap-python',
  about: 'HAP-python, Home Assistant: accessory.state',
  output: 'file',
  holds: ['configuration number'],
  read(files) {
    const state = jsonOf(onlyFile(files), 'the state');
    const ltpk = hexOf(member(state, 'public_key'), 'public_key');
    const spellings = objectOf(member(state, 'client_uuid_to_bytes') ?? {}, 'client_uuid_to_bytes');
    const properties = objectOf(member(state, 'client_properties') ?? {}, 'client_properties');
    const clients = objectOf(member(state, 'paired_clients') ?? {}, 'paired_clients');
    return {
      source: 'hap-python',
      deviceId: deviceIdOf(textOf(member(state, 'mac'), 'mac')),
      ltsk: seedOf(hexOf(member(state, 'private_key'), 'private_key'), ltpk, 'private_key'),
      ltpk,
      controllers: Object.entries(clients).map(([uuid, key]) => {
        const where = `paired_clients ${uuid.slice(0, 40)}`;
        if (!isUuid(uuid)) throw new InputError(`${where}: this identifier is no UUID`);
        const spelling = member(spellings, uuid);
        // Of older files: controllers write theirs in capitals.
        const id = spelling === undefined ? utf8(uuid.toUpperCase()) : hexOf(spelling, `${where}: its bytes`);
        if (text(id).toLowerCase() !== uuid.toLowerCase())
          throw new InputError(`${where}: client_uuid_to_bytes holds another identifier`);
        const own = objectOf(member(properties, uuid) ?? {}, `client_properties of ${uuid}`);
        return {
          id,
          ltpk: hexOf(key, where),
          admin: adminOf(member(own, 'permissions') ?? 1, where),
        };
      }),
      ...configNumberOf(member(state, 'config_version')),
    };
  },
  write({ deviceId, ltsk, ltpk, controllers, configNumber }) {
    const clients = controllers.map((controller) => {
      const id = idText(controller.id, 'hap-python');
      if (!isUuid(id))
        throw new InputError('hap-python keeps UUIDs only, and one of the identifiers is none');
      return { ...controller, uuid: id.toLowerCase() };
    });
    if (new Set(clients.map(({ uuid }) => uuid)).size < clients.length)
      throw new InputError('hap-python cannot tell identifiers apart that differ in capitals only');
    const byUuid = (value: (client: (typeof clients)[number]) => unknown): object =>
      Object.fromEntries(clients.map((client) => [client.uuid, value(client)]));
    const state = {
      mac: text(deviceId),
      config_version: configNumber ?? 1,
      paired_clients: byUuid((client) => hex(client.ltpk)),
      client_properties: byUuid(({ admin }) => ({ permissions: admin ? 1 : 0 })),
      accessories_hash: null,
      client_uuid_to_bytes: byUuid(({ id }) => hex(id)),
      private_key: hex(ltsk),
      public_key: hex(ltpk),
    };
    return new Map([['accessory.state', jsonFile(state)]]);
  },
};
