import { type Bytes, InputError, utf8 } from '../../protocol/index.js';
import { keyPairOf, seedOf } from '../snapshot.js';
import {
  type Format,
  configNumberOf,
  deviceIdFrom,
  fileOf,
  idText,
  isUuid,
  jsonFile,
  jsonOf,
  member,
  numbersOf,
  objectOf,
  rawDeviceId,
  textOf,
} from './format.js';

const PAIRING = /^pairings\/[^/]+\.json$/;
/** The code of an accessory that was given none. */
const DEFAULT_CODE = '11122333';
const RIGHTS = ['0x00', '0x01'];

/** `config.json` and a file for each controller; identifiers are UUIDs without capitals. */
export const hapRs: Format = {
  name: 'hap-rs',
  about: 'hap-rs (Rust): config.json and the folder pairings',
  output: 'folder',
  holds: ['setup code', 'configuration number'],
  read(files) {
    const config = jsonOf(fileOf(files, 'config.json', 'identity and keys'), 'config.json');
    const pair = numbersOf(member(config, 'device_ed25519_keypair'), 'device_ed25519_keypair');
    if (pair.length !== 64)
      throw new InputError(
        `device_ed25519_keypair is ${pair.length} bytes: expected 64 (seed and public key)`,
      );
    const ltpk = pair.slice(32);
    const pin = member(objectOf(member(config, 'pin') ?? {}, 'pin'), 'pin');
    const digits = Array.isArray(pin) ? pin.join('') : '';
    const raw = numbersOf(member(config, 'device_id'), 'device_id');
    return {
      source: 'hap-rs',
      deviceId: deviceIdFrom(raw, 'device_id'),
      ltsk: seedOf(pair, ltpk, 'device_ed25519_keypair'),
      ltpk,
      controllers: [...files.keys()]
        .filter((path) => PAIRING.test(path))
        .sort()
        .map((path) => {
          const pairing = jsonOf(files.get(path)!, path);
          const id = textOf(member(pairing, 'id'), `${path}: id`);
          if (!isUuid(id)) throw new InputError(`${path}: id is no UUID`);
          const rights = RIGHTS.indexOf(textOf(member(pairing, 'permissions'), `${path}: permissions`));
          if (rights < 0)
            throw new InputError(`${path}: permissions are neither 0x00 (user) nor 0x01 (admin)`);
          return {
            // Controllers write theirs in capitals.
            id: utf8(id.toUpperCase()),
            ltpk: numbersOf(member(pairing, 'public_key'), `${path}: public_key`),
            admin: rights === 1,
          };
        }),
      ...configNumberOf(member(config, 'configuration_number')),
      ...(/^\d{8}$/.test(digits) && {
        setup: { code: `${digits.slice(0, 3)}-${digits.slice(3, 5)}-${digits.slice(5)}` },
      }),
    };
  },
  write({ deviceId, ltsk, controllers, configNumber, setup }) {
    const digits = setup?.code?.replaceAll('-', '') ?? DEFAULT_CODE;
    const config = {
      host: '127.0.0.1',
      port: 32_000,
      pin: { pin: [...digits].map(Number) },
      name: 'Accessory',
      device_id: [...rawDeviceId(deviceId, 'hap-rs')],
      device_ed25519_keypair: [...keyPairOf(ltsk)],
      configuration_number: configNumber ?? 1,
      state_number: 1,
      category: 'Other',
      protocol_version: '1.0',
      status_flag: 'Zero',
      feature_flag: 'Zero',
      max_peers: null,
    };
    return new Map<string, Bytes>([
      ['config.json', jsonFile(config)],
      ...controllers.map(({ id, ltpk, admin }) => {
        const uuid = idText(id, 'hap-rs');
        if (!isUuid(uuid) || uuid !== uuid.toUpperCase())
          throw new InputError(
            'hap-rs keeps UUIDs without their capitals, and one of the identifiers is no UUID in capitals',
          );
        const lower = uuid.toLowerCase();
        const pairing = { id: lower, permissions: RIGHTS[admin ? 1 : 0], public_key: [...ltpk] };
        return [`pairings/${lower}.json`, jsonFile(pairing)] as const;
      }),
    ]);
  },
  notes: ({ setup }) => [
    'host, port, name and category in config.json are what hap-rs takes when it is told nothing: set them as the old device had them',
    ...(setup?.code === undefined
      ? ['the code in config.json is the one hap-rs takes when it is told nothing: 111-22-333']
      : []),
  ],
};
