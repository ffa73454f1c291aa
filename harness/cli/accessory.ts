import { X509Certificate, randomBytes } from 'node:crypto';
import { networkInterfaces } from 'node:os';
import {
  Accessory,
  Advertiser,
  type Behaviour,
  CATEGORY,
  type Dress,
  SETUP_ID,
  type Store,
  faults,
  fileStore,
  findFault,
  hapDress,
  healthyIn,
  importInto,
  latencies,
  memoryStore,
  mfiChip,
  startServer,
  twin,
  variants,
} from '../accessory/index.js';
import { readSnapshot } from '../clone/index.js';
import {
  AIRPLAY_CODE,
  InputError,
  type Random,
  type SetupCode,
  aint,
  airplayCode,
  equal,
  formatSetupPayload,
  isTrivialCode,
  parseSetupCode,
  seededRandom,
  text,
} from '../protocol/index.js';
import { writeAtomically } from '../report/index.js';
import { multicastInterfaces } from '../wire/index.js';
import { didYouMean } from './nearest.js';

export interface AccessoryFlags {
  readonly port: string;
  readonly host: string;
  readonly code?: string;
  readonly state?: string;
  /** Snapshot of the device it takes over. */
  readonly import?: string;
  readonly fault?: string;
  readonly seed?: string;
  /** File that shows a setup code drawn for each Pair Setup. */
  readonly display?: string;
  readonly latency?: string;
  readonly advertise?: boolean;
  readonly name?: string;
  readonly listFaults?: boolean;
  /** An AirPlay receiver instead of a HAP accessory, with the default code or one of these. */
  readonly airplay?: boolean;
  readonly pin?: string;
  readonly password?: string;
  /** It has an authentication coprocessor; where the certificate of its authority goes. */
  readonly mfi?: boolean;
  readonly mfiRoot?: string;
}

/** What the accessory is, and its code. @throws InputError for options that contradict each other. */
function dressOf(flags: AccessoryFlags): { dress: Dress; code: SetupCode } {
  const { airplay = false, pin, password, code } = flags;
  const mfi = flags.mfi ? ({ mfi: 'rsa' } as const) : {};
  if (flags.mfiRoot !== undefined && !flags.mfi)
    throw new InputError('--mfi-root: there is no certificate without a coprocessor: give --mfi too');
  if (!airplay) {
    const given = pin !== undefined ? '--pin' : password !== undefined ? '--password' : undefined;
    if (given !== undefined) throw new InputError(`${given}: only a receiver has one: give --airplay too`);
    return { dress: { ...hapDress, ...mfi }, code: parseSetupCode(code ?? DEFAULT_CODE) };
  }
  if (code !== undefined)
    throw new InputError('--code: a receiver has a PIN or a password: give --pin or --password');
  if (pin !== undefined && password !== undefined)
    throw new InputError('--pin and --password: a receiver asks for one of them');
  if (pin !== undefined && !/^\d{4}$/.test(pin)) throw new InputError('--pin: expected 4 digits');
  const secret = pin !== undefined ? 'pin' : password !== undefined ? 'password' : undefined;
  return {
    dress: { kind: 'airplay', ...(secret && { secret }), ...mfi },
    code: airplayCode(pin ?? password ?? AIRPLAY_CODE),
  };
}

/**
 * Puts the pairing data of another device into the store.
 * @throws InputError for a snapshot that cannot be used, and where the store is somebody else's already
 */
function takeOver(path: string, store: Store, behaviour: Behaviour, random: Random): void {
  const { ltsk, ...device } = readSnapshot(path);
  if (ltsk === undefined)
    throw new InputError(
      `--import ${path}: there is no secret key in it: nothing can stand in for that device`,
    );
  const there = store.load();
  if (there !== undefined && !equal(there.ltsk, ltsk))
    throw new InputError(
      `--import ${path}: the folder of --state holds another identity already, which would be lost: name another folder`,
    );
  // What has changed since it was taken over stays.
  if (there === undefined) importInto(store, behaviour, { ...device, ltsk }, random.fork('import'));
}

/** The setup code of a HAP accessory unless another is given. */
const DEFAULT_CODE = '031-45-154';

/** The names, stories and requirements of all faults, and the benign variants. */
export function listFaults(): string {
  const lines = faults.map(
    ({ name, breaks, story }) => `${name.padEnd(36)} ${breaks.join(', ').padEnd(22)} ${story}`,
  );
  const benign = variants.map(({ name, story }) => `${name.padEnd(36)} ${story}`);
  return [...lines, '', 'Benign variants, on which nothing may fail:', ...benign].join('\n');
}

/** The addresses to announce for one that is listened on: all of the machine's for a wildcard. */
function addressesOf(host: string): string[] {
  if (host === 'localhost') return ['127.0.0.1'];
  if (host !== '0.0.0.0' && host !== '::') return [host];
  return Object.values(networkInterfaces()).flatMap((addresses = []) =>
    addresses
      .filter(({ internal, family }) => !internal && (host === '::' || family === 'IPv4'))
      .map(({ address }) => address),
  );
}

/** Serves the reference accessory until a signal comes. @throws InputError for the user's mistakes. */
export async function accessoryCommand(flags: AccessoryFlags): Promise<number> {
  if (flags.listFaults) {
    console.log(listFaults());
    return 0;
  }
  const { display } = flags;
  const asked = dressOf(flags);
  if (display !== undefined && (asked.dress.kind !== 'hap' || flags.code !== undefined))
    throw new InputError(
      asked.dress.kind === 'hap'
        ? '--display and --code: what is on the display is drawn: leave --code out'
        : '--display: a receiver has a PIN or a password: give --pin or --password',
    );
  const { code } = asked;
  if (asked.dress.kind === 'hap' && isTrivialCode(code))
    throw new InputError('setup code: this one is forbidden because it is guessed first; take another');
  if (!/^\d{1,5}$/.test(flags.port))
    throw new InputError(`--port: expected a number from 0 to 65535, got "${flags.port}"`);
  const port = aint(Number(flags.port), '--port', 0, 65_535);
  const names = [...faults, ...variants].map(({ name }) => name);
  if (flags.fault !== undefined && !names.includes(flags.fault))
    throw new InputError(
      `--fault ${flags.fault}: there is none of that name.${didYouMean(flags.fault, names)} "hapspec accessory --list-faults" shows them`,
    );
  const fault = flags.fault === undefined ? undefined : findFault(flags.fault);
  const chip = fault?.dress?.mfi ?? asked.dress.mfi;
  if (fault?.dress?.mfi !== undefined && asked.dress.mfi === undefined)
    throw new InputError(`--fault ${fault.name}: it is one of a coprocessor: give --mfi too`);
  if (fault !== undefined && (fault.dress ?? hapDress).kind !== asked.dress.kind)
    throw new InputError(
      fault.dress?.kind === 'airplay'
        ? `--fault ${fault.name}: it is one of receivers: give --airplay too`
        : `--fault ${fault.name}: it is one of HAP accessories, and --airplay is given`,
    );
  if (flags.latency !== undefined && !(flags.latency in latencies))
    throw new InputError(`--latency ${flags.latency}: expected one of ${Object.keys(latencies).join(', ')}`);
  const name = flags.name ?? 'hapspec';
  if (!/^[\p{L}\p{N} ._-]{1,40}$/u.test(name) || Buffer.byteLength(name) > 63)
    throw new InputError('--name: expected 1 to 40 letters, digits, spaces, dots, dashes or underscores');
  const interfaces = flags.advertise ? multicastInterfaces(flags.host) : [];
  if (flags.advertise && interfaces.length === 0)
    throw new InputError(
      `--advertise: nothing can be announced from ${flags.host}: give an address of the network with --host`,
    );
  const random = seededRandom(flags.seed ?? randomBytes(16).toString('hex'));
  const store = flags.state === undefined ? memoryStore() : fileStore(flags.state);
  const behaviour =
    fault === undefined
      ? healthyIn(asked.dress)
      : twin({ ...fault, dress: { ...asked.dress, ...(chip && { mfi: chip }) } });
  if (flags.import !== undefined) takeOver(flags.import, store, behaviour, random);
  let advertiser: Advertiser | undefined = undefined;
  const accessory = new Accessory({
    onChange: (said) => advertiser?.changed(said),
    code,
    random,
    store,
    ...(display !== undefined && {
      display: (shown: SetupCode) => writeAtomically(display, `${shown.dashed}\n`),
    }),
    ...(flags.latency !== undefined && { latency: latencies[flags.latency]! }),
    behaviour,
  });
  const listener = await startServer({ accessory, host: flags.host, port }).catch(
    (error: NodeJS.ErrnoException) => {
      const fixes: Readonly<Record<string, string>> = {
        EADDRINUSE: `port ${port} is in use: give another with --port, or --port 0 to let the system choose`,
        EACCES: `port ${port} needs more rights than this user has: give one above 1023 with --port`,
        EADDRNOTAVAIL: `--host ${flags.host}: this machine has no such address`,
        ENOTFOUND: `--host ${flags.host}: the name is unknown`,
      };
      throw new InputError(
        fixes[error.code ?? ''] ?? `cannot listen on ${flags.host}:${port}: ${error.message}`,
      );
    },
  );
  if (flags.advertise)
    advertiser = new Advertiser(
      accessory,
      { addresses: addressesOf(flags.host), port: listener.port },
      name,
      interfaces,
      asked.dress.kind,
    );
  if (flags.mfiRoot !== undefined && chip !== undefined)
    writeAtomically(flags.mfiRoot, new X509Certificate(mfiChip(chip).root).toString());
  console.log(`listening on ${flags.host}:${listener.port}`);
  const known = `${text(accessory.identity.id)}, ${accessory.pairings.length} pairings`;
  if (asked.dress.kind === 'airplay') console.log(`receiver ${known}, code ${code.dashed}`);
  else if (display !== undefined)
    console.log(`accessory ${known}, setup code in ${display}, another for each Pair Setup`);
  else {
    const payload = formatSetupPayload({ code, flags: 2, category: CATEGORY, version: 0, setupId: SETUP_ID });
    console.log(`accessory ${known}, setup code ${code.dashed}, ${payload}`);
  }
  if (fault !== undefined) console.log(`fault ${fault.name}: ${fault.story}`);
  await new Promise<void>((resolve) => {
    process.once('SIGINT', resolve);
    process.once('SIGTERM', resolve);
  });
  await advertiser?.close();
  await listener.close();
  return 0;
}
