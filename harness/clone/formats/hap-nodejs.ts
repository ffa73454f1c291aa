import { type Bytes, InputError, hex, text, utf8 } from '../../protocol/index.js';
import { deviceIdOf, keyPairOf, seedOf } from '../snapshot.js';
import {
  type Format,
  adminOf,
  configNumberOf,
  hexOf,
  idText,
  jsonFile,
  jsonOf,
  member,
  objectOf,
  rawDeviceId,
} from './format.js';

const NAME = /(?:^|\/)AccessoryInfo\.([0-9A-Fa-f]{12})\.json$/;

/** Files of the folder `persist`. */
export const hapNodejs: Format = {
  name: 'hap-nodejs',
  about: 'HAP-NodeJS, Homebridge: AccessoryInfo.*.json and IdentifierCache.*.json of its folder persist',
  output: 'folder',
  holds: ['setup code', 'setup id', 'configuration number', 'identifier cache'],
  read(files) {
    const infos = [...files.keys()].filter((path) => NAME.test(path));
    if (infos.length !== 1)
      throw new InputError(
        infos.length === 0
          ? 'there is no file AccessoryInfo.XXXXXXXXXXXX.json'
          : `there are ${infos.length} accessories: name the file AccessoryInfo.XXXXXXXXXXXX.json of one`,
      );
    const [path] = infos as [string];
    const mac = NAME.exec(path)![1]!;
    const info = jsonOf(files.get(path)!, path);
    const ltpk = hexOf(member(info, 'signPk'), `${path}: signPk`);
    const permissions = objectOf(
      member(info, 'pairedClientsPermission') ?? {},
      `${path}: pairedClientsPermission`,
    );
    const clients = objectOf(member(info, 'pairedClients') ?? {}, `${path}: pairedClients`);
    const cacheFile = files.get(path.replace('AccessoryInfo.', 'IdentifierCache.'));
    const cache = cacheFile && member(jsonOf(cacheFile, 'IdentifierCache'), 'cache');
    const code = member(info, 'pincode');
    const id = member(info, 'setupID');
    const setup = {
      ...(typeof code === 'string' && /^\d{3}-\d{2}-\d{3}$/.test(code) && { code }),
      ...(typeof id === 'string' && /^[0-9A-Z]{4}$/.test(id) && { id }),
    };
    return {
      source: 'hap-nodejs',
      deviceId: deviceIdOf(mac.match(/../g)!.join(':')),
      ltsk: seedOf(hexOf(member(info, 'signSk'), `${path}: signSk`), ltpk),
      ltpk,
      controllers: Object.entries(clients).map(([client, key]) => ({
        id: utf8(client),
        ltpk: hexOf(key, `${path}: pairedClients of ${client}`),
        // Files from before there were permissions: whoever is in there is an admin.
        admin: adminOf(member(permissions, client) ?? 1, `${path}: ${client}`),
      })),
      ...configNumberOf(member(info, 'configVersion')),
      ...(Object.keys(setup).length > 0 && { setup }),
      ...(cache !== undefined && { identifierCache: identifiersIn(cache) }),
    };
  },
  write(snapshot) {
    const { deviceId, ltsk, ltpk, controllers, configNumber, setup, identifierCache } = snapshot;
    const mac = hex(rawDeviceId(deviceId, 'hap-nodejs')).toUpperCase();
    const clients = controllers.map(({ id }) => idText(id, 'hap-nodejs'));
    const info = {
      displayName: '',
      category: 1,
      pincode: setup?.code ?? '',
      signSk: hex(keyPairOf(ltsk)),
      signPk: hex(ltpk),
      pairedClients: Object.fromEntries(clients.map((id, i) => [id, hex(controllers[i]!.ltpk)])),
      pairedClientsPermission: Object.fromEntries(
        clients.map((id, i) => [id, controllers[i]!.admin ? 1 : 0]),
      ),
      configVersion: configNumber ?? 1,
      configHash: '',
      setupID: setup?.id ?? '',
      lastFirmwareVersion: '',
    };
    return new Map<string, Bytes>([
      [`AccessoryInfo.${mac}.json`, jsonFile(info)],
      ...(identifierCache
        ? [[`IdentifierCache.${mac}.json`, jsonFile({ cache: identifierCache })] as const]
        : []),
    ]);
  },
  notes: ({ deviceId }) => [
    `put the files into the folder persist and publish the accessory with the username ${text(deviceId)}`,
  ],
};

function identifiersIn(cache: unknown): Readonly<Record<string, number>> {
  const entries = Object.entries(objectOf(cache, 'IdentifierCache: cache'));
  for (const [name, value] of entries)
    if (!Number.isSafeInteger(value) || (value as number) < 0)
      throw new InputError(`IdentifierCache: ${name.slice(0, 80)} is no identifier`);
  return Object.fromEntries(entries) as Record<string, number>;
}
