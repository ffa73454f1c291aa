import { randomBytes } from 'node:crypto';
import { readPairings } from '../controller/index.js';
import {
  type AccessoryState,
  type Bench,
  Blocked,
  HookFailed,
  type Memory,
  StepFailed,
  addressKey,
  benchFor,
  isReceiver,
  openState,
  parseAddress,
} from '../device/index.js';
import { DEFAULT_STATE, withKept } from '../prepared.js';
import {
  AIRPLAY_CODE,
  InputError,
  Permission,
  type SetupCode,
  aint,
  airplayCode,
  hex,
  listPairings,
  parseSetupCode,
  seededRandom,
  text,
} from '../protocol/index.js';
import { printable } from '../report/index.js';
import { codeSourceOf } from '../wanted.js';
import { Unreachable, defaultPatience } from '../wire/index.js';
import { resolveTarget } from './discover.js';

export interface PairingFlags {
  readonly code?: string;
  readonly codeCommand?: string;
  readonly state?: string;
  readonly timeout?: string;
  readonly json?: boolean;
}

/** One accessory with what is kept about it: leftovers of runs, and the pairing that was made to stay. */
interface Kept {
  readonly bench: Bench;
  readonly state: AccessoryState;
  readonly kept: AccessoryState;
}

function codeOf(given: string | undefined, receiver: boolean): SetupCode | undefined {
  if (given === undefined || given === '') return receiver ? airplayCode(AIRPLAY_CODE) : undefined;
  return receiver ? airplayCode(given) : parseSetupCode(given);
}

/** `all`: the pairing that was made to stay goes with the leftovers. `pairs`: the setup code will be needed. */
async function open(target: string, flags: PairingFlags, { all = false, pairs = false } = {}): Promise<Kept> {
  const address = parseAddress(await resolveTarget(target));
  if (address.kind === 'embedded')
    throw new InputError(`target "${target}": an embedded accessory ends with its run`);
  const dir = flags.state ?? process.env['HAPSPEC_STATE'] ?? DEFAULT_STATE;
  const { codeCommand } = flags;
  const code = flags.code ?? (codeCommand === undefined ? process.env['HAPSPEC_CODE'] : undefined);
  // Without a command there is nobody to ask for a code but the user.
  const prompt = pairs && process.stdin.isTTY === true && process.stderr.isTTY === true;
  const codeSource = codeSourceOf(
    { ...(code !== undefined && { code }), ...(codeCommand !== undefined && { codeCommand }), prompt },
    target,
    address,
  );
  if (flags.timeout !== undefined && !/^\d{1,6}$/.test(flags.timeout))
    throw new InputError(`--timeout: expected a whole number, got "${flags.timeout}"`);
  const answer = aint(Number(flags.timeout ?? defaultPatience.answer), '--timeout', 100, 600_000);
  const state = openState(dir, addressKey(address));
  const kept = openState(dir, `${addressKey(address)} kept`);
  const bench = benchFor(address, {
    code: codeOf(code, isReceiver(address)),
    codeGiven: (code !== undefined && code !== '') || codeSource !== undefined,
    ...(codeSource && { codeSource }),
    // Not from a seed: this pairing stays, and its key must not follow from anything printed.
    random: seededRandom(randomBytes(16).toString('hex')),
    patience: { ...defaultPatience, answer },
    memory: all ? everything(state, kept) : withKept(state, undefined),
  });
  return { bench, state, kept };
}

/** Leftovers and the pairing that was made to stay as one: what is forgotten is forgotten in both. */
function everything(state: AccessoryState, kept: AccessoryState): Memory {
  const memory = withKept(state, kept);
  return {
    remember: (identity, how) => memory.remember(identity, how),
    confirmed: (identity, accessory) => memory.confirmed(identity, accessory),
    forget(identity) {
      state.forget(identity);
      kept.forget(identity);
    },
    identities: () => memory.identities(),
    get attempts() {
      return memory.attempts;
    },
    spend: (count) => memory.spend(count),
    wasReset: () => memory.wasReset(),
  };
}

/** Runs a command under the accessory's lock; what the accessory or the network does wrong is a message and a code. */
async function locked({ bench, state, kept }: Kept, action: () => Promise<number>): Promise<number> {
  state.lock();
  kept.lock();
  try {
    return await action();
  } catch (error) {
    if (error instanceof Unreachable) {
      console.error(`hapspec: nothing answered: ${error.message}`);
      return 3;
    }
    if (error instanceof HookFailed) {
      console.error(`hapspec: ${printable(error.message)}`);
      return 3;
    }
    if (!(error instanceof StepFailed || error instanceof Blocked)) throw error;
    console.error(`hapspec: ${printable(error.message)}`);
    return 1;
  } finally {
    await bench.closeLinks();
    state.release();
    kept.release();
  }
}

/** `hapspec pair`: a pairing that stays, its key in the state folder. */
export async function pairCommand(target: string, flags: PairingFlags): Promise<number> {
  const opened = await open(target, flags, { pairs: true });
  const { bench, kept } = opened;
  if (!bench.hasCode)
    throw new InputError(
      'setup code: pairing needs it: give --code XXX-XX-XXX or --code-command CMD, or set HAPSPEC_CODE',
    );
  return locked(opened, async () => {
    await bench.survey();
    if (bench.state !== 'unpaired')
      throw new Blocked('the accessory is paired already: see "hapspec pairings" and "hapspec unpair"');
    const controller = bench.controller('pair');
    const identity = controller.newIdentity();
    kept.remember(identity, 'pair-setup');
    const setup = await controller.pairSetup({ identity });
    await setup.m3();
    const { accessory, findings } = await setup.m5();
    kept.confirmed(identity, accessory);
    opened.state.forget(identity);
    const fatal = findings.find((finding) => finding.fatal);
    if (fatal !== undefined) throw new StepFailed(fatal.requirement, fatal.what);
    console.log(
      `paired with ${printable(text(accessory!.id))} as ${text(identity.id)}; the key is in ${kept.keysFile}`,
    );
    return 0;
  });
}

/** `hapspec unpair`: removes whatever this harness has left in the accessory. */
export async function unpairCommand(target: string, flags: PairingFlags): Promise<number> {
  const opened = await open(target, flags, { all: true });
  const { bench } = opened;
  return locked(opened, async () => {
    await bench.survey();
    const removed = bench.keyring.recovered.length;
    const done = `removed ${removed} ${removed === 1 ? 'pairing' : 'pairings'}`;
    if (bench.keyring.held.size > 0)
      throw new Blocked(
        `${removed === 0 ? 'nothing removed' : done}: the accessory may still hold pairings of hapspec: ${bench.keyring.keptKeys()}. A factory reset of the accessory clears them`,
      );
    if (bench.state !== 'unpaired')
      throw new Blocked(
        `the accessory stays paired, and no key kept here opens it: it is paired with another controller, or needs a factory reset (${bench.pairing.decision})`,
      );
    console.log(
      removed === 0 ? 'the accessory is unpaired: nothing to remove' : `${done}: the accessory is unpaired`,
    );
    return 0;
  });
}

/** `hapspec pairings`: what List Pairings says. */
export async function pairingsCommand(target: string, flags: PairingFlags): Promise<number> {
  const opened = await open(target, flags);
  const { bench, kept } = opened;
  return locked(opened, async () => {
    const [key] = kept.identities();
    if (key === undefined) throw new Blocked('no key for this accessory: "hapspec pair" makes one');
    bench.pairing.paired(key.identity, key.accessory);
    const session = await bench.controller('pairings').session();
    const outcome = await session.sendPairings(listPairings(), session.controller.stepWait);
    // All of them: whom a receiver was paired with before is what a run leaves out.
    const { entries, findings } = readPairings(
      session.controller.must('pairings-list', 'PAIRINGS-01', outcome).tlv,
    );
    if (flags.json)
      console.log(
        JSON.stringify(
          entries.map(({ id, ltpk, permissions }) => ({ id: text(id), ltpk: hex(ltpk), permissions })),
          undefined,
          2,
        ),
      );
    else
      for (const { id, ltpk, permissions } of entries)
        console.log(
          `${printable(text(id)).padEnd(38)} ${(permissions & 1) === Permission.Admin ? 'admin' : 'user '} ${hex(ltpk)}`,
        );
    for (const { what } of findings) console.error(`hapspec: ${printable(what)}`);
    return 0;
  });
}
