import { InputError } from '../protocol/index.js';
import type { Extra, Files, Format, ReadOptions } from './formats/format.js';
import { type Snapshot, checkSnapshot } from './snapshot.js';

/** Reads a store and looks at it. @throws InputError naming the format, what is wrong and where */
export function readStore(format: Format, files: Files, options: ReadOptions = {}): Snapshot {
  try {
    return checkSnapshot(format.read(files, options));
  } catch (error) {
    if (error instanceof InputError) throw new InputError(`${format.name}: ${error.message}`);
    throw error;
  }
}

/** The files of a store with the snapshot in it. @throws InputError for what it cannot hold */
export function writeStore(format: Format, snapshot: Snapshot): Files {
  const { ltsk } = checkSnapshot(snapshot);
  if (ltsk === undefined)
    throw new InputError(
      `${format.name}: the secret key of the accessory is not in ${snapshot.source}: without it nothing can stand in for the accessory`,
    );
  try {
    return format.write({ ...snapshot, ltsk });
  } catch (error) {
    if (error instanceof InputError) throw new InputError(`${format.name}: ${error.message}`);
    throw error;
  }
}

/** What it means that something is not there. */
const meanings: Readonly<Record<Extra, string>> = {
  'setup code': 'the clone may have another setup code',
  'setup id': 'the setup hash it announces may be another, and an old QR code may not find it',
  verifier: 'the old code may not pair: the clone has a verifier of its own code',
  'configuration number': 'it may announce another c#, and controllers read its accessories anew',
  'identifier cache': 'aid and iid may be others, and automations may point elsewhere',
};

function held({ setup, configNumber, identifierCache }: Snapshot): ReadonlySet<Extra> {
  const there: Readonly<Record<Extra, unknown>> = {
    'setup code': setup?.code,
    'setup id': setup?.id,
    verifier: setup?.salt && setup.verifier,
    'configuration number': configNumber,
    'identifier cache': identifierCache,
  };
  return new Set((Object.keys(there) as Extra[]).filter((extra) => there[extra] !== undefined));
}

/** What the clone will not have of the old device, in words: what the input lacks, and what the format cannot hold. */
export function losses(snapshot: Snapshot, format: Format): readonly string[] {
  const there = held(snapshot);
  return (Object.keys(meanings) as Extra[]).flatMap((extra) => {
    if (!there.has(extra)) return [`no ${extra} in ${snapshot.source}: ${meanings[extra]}`];
    if (format.name !== 'snapshot' && !format.holds.includes(extra))
      return [`${format.name} cannot hold the ${extra}: ${meanings[extra]}`];
    return [];
  });
}

/** The parts beside keys and controllers that a snapshot holds, in words. */
export function parts(snapshot: Snapshot): readonly Extra[] {
  return [...held(snapshot)];
}
