import {
  type Format,
  type Snapshot,
  deviceIdOf,
  formatOf,
  losses,
  mayWrite,
  parts,
  readFiles,
  readStore,
  writeFiles,
  writeStore,
} from '../clone/index.js';
import { addressKey, openState, parseAddress } from '../device/index.js';
import { DEFAULT_STATE } from '../prepared.js';
import { InputError, equal, hex, text } from '../protocol/index.js';
import { oneLine } from '../report/index.js';

export interface CloneFlags {
  readonly from?: string;
  readonly to?: string;
  readonly out?: string;
  readonly replace?: boolean;
  readonly deviceId?: string;
  /** Target whose pairing by `hapspec pair` goes into the snapshot with its secret key. */
  readonly paired?: string;
  readonly state?: string;
}

/** A snapshot in any form. @throws InputError naming path, format and what is wrong */
function read(path: string, format: Format, flags: CloneFlags): Snapshot {
  const { deviceId } = flags;
  if (deviceId !== undefined && format.name !== 'openhap')
    throw new InputError(`--device-id: ${format.name} holds the device id: leave it out`);
  const files = readFiles(path);
  try {
    return readStore(format, files, deviceId === undefined ? {} : { deviceId: deviceIdOf(deviceId) });
  } catch (error) {
    if (error instanceof InputError) throw new InputError(`${path}: ${error.message}`);
    throw error;
  }
}

/** The snapshot with the secret keys by which the harness is one of its controllers. @throws InputError when it is none */
function withOwnKeys(snapshot: Snapshot, target: string, state: string): Snapshot {
  const address = parseAddress(target);
  if (address.kind !== 'tcp')
    throw new InputError(`--paired ${target}: expected the HOST:PORT that was given to "hapspec pair"`);
  const own = openState(state, `${addressKey(address)} kept`).identities();
  let found = 0;
  const controllers = snapshot.controllers.map((controller) => {
    const mine = own.find(
      ({ identity }) => equal(identity.id, controller.id) && equal(identity.ltpk, controller.ltpk),
    );
    if (mine === undefined) return controller;
    found++;
    return { ...controller, ltsk: mine.identity.ltsk };
  });
  if (found === 0)
    throw new InputError(
      `--paired ${target}: no key of "hapspec pair" is among the controllers: pair first, then take the snapshot`,
    );
  return { ...snapshot, controllers };
}

/** Input in one form, output in another; what is lost on the way is said on standard error. */
function transfer(path: string, from: Format, to: Format, flags: CloneFlags): number {
  const { out, replace = false, paired } = flags;
  if (out === undefined && to.output === 'folder')
    throw new InputError(`--out: ${to.name} is a folder: name one that is not there yet`);
  if (out !== undefined) mayWrite(to, out, replace);
  const given = read(path, from, flags);
  const snapshot =
    paired === undefined
      ? given
      : withOwnKeys(given, paired, flags.state ?? process.env['HAPSPEC_STATE'] ?? DEFAULT_STATE);
  const files = writeStore(to, snapshot);
  // On a terminal it would stand in the scroll-back, and in logs for good.
  if (out === undefined)
    throw new InputError('--out: a secret key is never shown: name the file it shall go into');
  writeFiles(to, files, out, replace);
  const { deviceId, controllers } = snapshot;
  console.log(
    oneLine(
      `${out}: ${text(deviceId)} with ${controllers.length} ${controllers.length === 1 ? 'controller' : 'controllers'} as ${to.name}; it holds a secret key`,
    ),
  );
  for (const note of to.notes?.(snapshot) ?? []) console.log(oneLine(`next: ${note}`));
  for (const loss of losses(snapshot, to)) console.error(oneLine(`note: ${loss}`));
  return 0;
}

/** `hapspec clone export`: the store of a stack as a snapshot. */
export function cloneExportCommand(path: string, flags: CloneFlags): number {
  return transfer(path, formatOf(flags.from, '--from'), formatOf('snapshot', '--to'), flags);
}

/** `hapspec clone import`: a snapshot as the store of a stack. */
export function cloneImportCommand(path: string, flags: CloneFlags): number {
  return transfer(path, formatOf('snapshot', '--from'), formatOf(flags.to, '--to'), flags);
}

/** `hapspec clone convert`: the store of one stack as that of another. */
export function cloneConvertCommand(path: string, flags: CloneFlags): number {
  const from = formatOf(flags.from, '--from');
  return transfer(path, from, formatOf(flags.to, '--to'), flags);
}

/** `hapspec clone show`: what a snapshot or store holds, without its secrets. */
export function cloneShowCommand(path: string, flags: CloneFlags): number {
  const snapshot = read(path, formatOf(flags.from ?? 'snapshot', '--from'), flags);
  const { source, deviceId, ltpk, ltsk, controllers } = snapshot;
  const lines = [
    `device id   ${text(deviceId)}`,
    `LTPK        ${hex(ltpk)}`,
    `LTSK        ${ltsk === undefined ? 'not in it: enough to check a clone, not to make one' : 'in it, and never shown'}`,
    `source      ${source}`,
    `also        ${parts(snapshot).join(', ') || 'nothing'}`,
    ...controllers.map(({ id, ltpk: key, admin, ltsk: own }) =>
      [
        `controller  ${text(id)}`,
        admin ? 'admin' : 'user ',
        hex(key),
        ...(own === undefined ? [] : ['(a key of hapspec, with its LTSK)']),
      ].join('  '),
    ),
  ];
  for (const line of lines) console.log(oneLine(line));
  return 0;
}
