import { InputError, text, utf8 } from '../../protocol/index.js';
import { parseSnapshot, snapshotText } from '../snapshot.js';
import { airplayReceiver } from './airplay-receiver.js';
import { brutella } from './brutella.js';
import { espHomekit, espHomekitSdk } from './esp.js';
import { type Format, onlyFile } from './format.js';
import { hapNodejs } from './hap-nodejs.js';
import { hapPython } from './hap-python.js';
import { hapRs } from './hap-rs.js';
import { homekitAdk } from './homekit-adk.js';
import { homespan, homespanNvs } from './homespan.js';
import { openhap } from './openhap.js';

/** The neutral form. */
const snapshotFormat: Format = {
  name: 'snapshot',
  about: 'the neutral form of hapspec: one file of JSON',
  output: 'file',
  holds: ['setup code', 'setup id', 'verifier', 'configuration number', 'identifier cache'],
  read: (files) => parseSnapshot(text(onlyFile(files))),
  write: (snapshot) => new Map([['snapshot.json', utf8(snapshotText(snapshot))]]),
};

export const formats: readonly Format[] = [
  snapshotFormat,
  homespan,
  homespanNvs,
  hapNodejs,
  hapPython,
  homekitAdk,
  brutella,
  hapRs,
  espHomekitSdk,
  espHomekit,
  openhap,
  airplayReceiver,
];

/** @throws InputError listing the formats when there is none of that name */
export function formatOf(name: string | undefined, option: string): Format {
  const found = formats.find((format) => format.name === name);
  if (found === undefined)
    throw new InputError(
      [
        name === undefined
          ? `${option}: name the format; these are known:`
          : `${option} ${name.slice(0, 40)}: there is no such format; these are known:`,
        ...formats.map((format) => `  ${format.name.padEnd(17)} ${format.about}`),
      ].join('\n'),
    );
  return found;
}
