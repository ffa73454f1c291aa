import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { catalogue, fieldBugs } from '../../suites/index.js';
import { type Fault, faults } from '../accessory/index.js';
import { signaturesFor } from '../diagnosed.js';
import type { Signature } from '../diagnosis/index.js';
import { InputError } from '../protocol/index.js';
import type { Requirement } from '../runner/index.js';
import { wholeSuite } from '../wanted.js';

/** What a phone shows where a step of the plain flow does not work, by the check of that step; the first counts. */
const steps: readonly (readonly [id: string, phone: string])[] = [
  ['PS-M1-01', 'the phone finds it and cannot add it, whatever code is typed in'],
  ['PS-M3-01', 'the code is right, and the phone says it is wrong or that it cannot add the accessory'],
  ['PS-M5-01', 'the code is taken, and adding it fails at the last step'],
  ['PV-M1-01', 'it is added, and never responds afterwards'],
  ['PV-M3-01', 'it is added, and never responds afterwards'],
];

/** What it is like where the plain flow works, by the area of what it violates. */
const areas: Readonly<Record<string, string>> = {
  TLV: 'nothing, with the phones of today; another one, or an update, writes its messages otherwise and cannot pair',
  'PS-M1/M2': 'nothing where all goes well; the second attempt, or another phone, cannot begin',
  'PS-M3/M4': 'pairing that fails now and then, or a wrong code that is not said to be wrong',
  'PS-M5/M6': 'some phones can be added and others cannot, or are forgotten',
  'PS-ERR': 'a wrong code, or an accessory that is paired already, is shown as another failure',
  'PS-STATE': 'after a pairing that was broken off it can only be added when it has been restarted',
  'PV-M1/M2': 'it responds to some phones, or until the next restart',
  'PV-M3/M4': 'it does not respond now and then, until the phone has tried again',
  'PV-STATE': 'two phones, or a phone and a hub, keep each other out',
  SESS: 'it works, and stops responding after a while, in a burst, or when much is asked at once',
  PAIRINGS: 'a home cannot be shared, or who has been removed from it still gets in',
  HTTP: 'it responds to some clients and not to others, by how their requests arrive',
  IDENT: 'after a restart or a reset it does not respond, or cannot be added again',
  MDNS: 'it is not found, or shown as one that can be added when it cannot',
  TRANSIENT: 'playing to it fails before the first sound',
  SPLIT: 'playing to it fails before the first sound',
  AIRPLAY: 'the receiver is found, and cannot be added or played to',
  MFI: 'the phone warns of an uncertified accessory, or does not go on',
  CLONE: 'the replacement does not respond to phones that the old device responded to',
  RESUME: 'it responds again only after a whole Pair Verify',
};

const nothing = 'nothing: everything works, for whoever should not get in too';

/** Vectors to unit-test what an area is about. */
const vectorsOf: Readonly<Record<string, string>> = {
  TLV: 'tlv8',
  'PS-M1/M2': 'pair-setup',
  'PS-M3/M4': 'srp',
  'PS-M5/M6': 'pair-setup',
  'PS-ERR': 'errors',
  'PV-M1/M2': 'pair-verify',
  'PV-M3/M4': 'pair-verify',
  SESS: 'frames',
  PAIRINGS: 'pairings',
  TRANSIENT: 'transient',
  SPLIT: 'split',
  MFI: 'mfi-m4',
};

function line(name: string, text: string): string {
  return `${`${name}:`.padEnd(12)} ${text}`;
}

function requirementsOf({ breaks }: Fault): readonly Requirement[] {
  return breaks.flatMap((id) => catalogue.get(id) ?? []);
}

/** The signature, where there is one of this suite. */
function signatureFor({ name }: Fault): Signature | undefined {
  try {
    return signaturesFor(wholeSuite, faults).rows.find(({ fault }) => fault === name);
  } catch (error) {
    if (error instanceof InputError) return undefined;
    throw error;
  }
}

function redIds({ symptoms }: Signature): readonly string[] {
  return [...symptoms].filter(([, list]) => list.some(({ verdict }) => verdict === 'red')).map(([id]) => id);
}

function phoneOf(fault: Fault, signature: Signature | undefined): string {
  const red = new Set(signature === undefined ? fault.breaks : redIds(signature));
  const step = steps.find(([id]) => red.has(id));
  if (step !== undefined) return step[1];
  const requirements = requirementsOf(fault);
  if (requirements.some(({ silent_security }) => silent_security)) return nothing;
  return areas[requirements[0]?.area ?? ''] ?? 'nothing in everyday use';
}

/** What the log of a run, or a capture, shows of it: the outcomes that are of it. */
function logOf(fault: Fault, signature: Signature | undefined): readonly string[] {
  if (signature === undefined) return [];
  const own = redIds(signature).filter((id) => fault.breaks.includes(id.split('/')[0]!));
  const kinds = new Map<string, string>();
  for (const id of own.length > 0 ? own : redIds(signature)) {
    const kind = signature.symptoms.get(id)!.find(({ verdict }) => verdict === 'red')!.kind;
    if (!kinds.has(kind)) kinds.set(kind, id);
  }
  return [...kinds].slice(0, 4).map(([kind, id]) => line('log', `${id}: ${kind}`));
}

interface VectorCase {
  readonly file: string;
  readonly tcId: number;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** The first valid case of the vectors an area has; undefined where it has none. */
function vectorFor(fault: Fault): VectorCase | undefined {
  const name = requirementsOf(fault)
    .map(({ area }) => vectorsOf[area])
    .find((one) => one !== undefined);
  if (name === undefined) return undefined;
  const path = fileURLToPath(new URL(`../../../vectors/${name}.json`, import.meta.url));
  const { testGroups } = JSON.parse(readFileSync(path, 'utf8')) as {
    readonly testGroups: readonly { readonly tests: readonly Record<string, unknown>[] }[];
  };
  const cases = testGroups.flatMap(({ tests }) => tests);
  const found = cases.find(({ result, flags }) => result === 'valid' && isOrdinary(flags)) ?? cases[0];
  if (found === undefined) return undefined;
  const { tcId, ...fields } = found;
  return { file: `vectors/${name}.json`, tcId: Number(tcId), fields };
}

function isOrdinary(flags: unknown): boolean {
  return Array.isArray(flags) && flags.includes('Ordinary');
}

/** Values of a case, one a line: keys, secrets and signed strings too. */
function valuesOf(fields: Readonly<Record<string, unknown>>, prefix = ''): readonly string[] {
  return Object.entries(fields).flatMap(([name, value]): readonly string[] => {
    if (['comment', 'flags', 'result'].includes(name)) return [];
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return valuesOf(value as Readonly<Record<string, unknown>>, `${prefix}${name}.`);
    const text = Array.isArray(value) ? JSON.stringify(value) : String(value);
    return [`  ${prefix}${name} = ${text === '' ? '(empty)' : text}`];
  });
}

/**
 * `hapspec explain FAULT`: the mistake, what is seen of it, how it is mended, how it is tested alone, and who sees it.
 * @param values - with the values of the vector, secrets of its session among them
 */
export function explainFault(fault: Fault, values = false): string {
  const signature = signatureFor(fault);
  const requirements = requirementsOf(fault);
  const row = fieldBugs.filter(({ faults: names }) => names?.includes(fault.name)).length;
  const red = signature === undefined ? [] : redIds(signature);
  const many = red.length - 12;
  const vector = vectorFor(fault);
  return [
    `${fault.name}: a mistake as firmware makes it, in the reference accessory`,
    line('story', fault.story),
    ...(row > 0
      ? [line('in the field', `seen in devices or stacks, ${row === 1 ? 'once' : `${row} times`}`)]
      : []),
    line('phone', phoneOf(fault, signature)),
    ...logOf(fault, signature),
    line('breaks', requirements.map(({ id, title }) => `${id} ${title}`).join('; ')),
    ...requirements.map(({ expected }) => line('to mend it', expected)),
    vector === undefined
      ? line('unit test', 'none: it is about what happens between messages, so the checks are its test')
      : line('unit test', `${vector.file}, tcId ${vector.tcId} (docs/vectors.md: as JSON or as a C header)`),
    ...(red.length > 0
      ? [line('seen by', red.slice(0, 12).join(', ') + (many > 0 ? `, and ${many} more` : ''))]
      : []),
    line('try', `npx hapspec run embedded:${fault.name}`),
    ...(values && vector !== undefined
      ? [
          '',
          `Values of ${vector.file}, tcId ${vector.tcId} (secrets of its session, and of no device):`,
          ...valuesOf(vector.fields),
        ]
      : []),
    ...(values && vector === undefined ? ['', 'It has no values: no vector is about it'] : []),
  ].join('\n');
}
