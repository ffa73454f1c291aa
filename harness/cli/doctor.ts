import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { accessSync, constants, existsSync, mkdtempSync, rmdirSync } from 'node:fs';
import { isIP } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import pc from 'picocolors';
import { findFault } from '../accessory/index.js';
import {
  type AccessoryState,
  type Address,
  BROWSE_TIME,
  type Outcome,
  addressKey,
  benchFor,
  browse,
  describeOutcome,
  isReceiver,
  openState,
  parseAddress,
} from '../device/index.js';
import { DEFAULT_STATE } from '../prepared.js';
import {
  AIRPLAY_CODE,
  InputError,
  Length,
  TlvError,
  TlvType,
  aint,
  airplayCode,
  seededRandom,
  setupM1,
} from '../protocol/index.js';
import { oneLine } from '../report/index.js';
import {
  type MulticastInterface,
  Unreachable,
  defaultPatience,
  localAddresses,
  multicastInterfaces,
} from '../wire/index.js';
import { resolveTarget } from './discover.js';

export interface DoctorFlags {
  readonly state?: string;
  readonly timeout?: string;
  readonly json?: boolean;
}

/** One thing looked at: what was found, and what to do about it. */
interface Finding {
  readonly what: string;
  readonly status: 'ok' | 'warn' | 'fail';
  readonly found: string;
  readonly mend?: string;
}

const ok = (what: string, found: string): Finding => ({ what, status: 'ok', found });
const warn = (what: string, found: string, mend: string): Finding => ({ what, status: 'warn', found, mend });
const fail = (what: string, found: string, mend: string): Finding => ({ what, status: 'fail', found, mend });

const MDNS_GROUP = '224.0.0.251';
const MDNS_PORT = 5353;
/** How long a packet of ours may take to come back to us (ms). */
const COMES_BACK = 1_000;
/** A date before this project's first release is of no clock that was set. */
const FIRST_RELEASE = Date.UTC(2026, 0, 1);

function nodeVersion(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const found = `v${process.versions.node}`;
  return major > 20 || (major === 20 && minor >= 19)
    ? ok('Node', found)
    : fail('Node', found, 'install Node 20.19 or later');
}

function clock(): Finding {
  const now = new Date();
  const found = now.toISOString();
  return now.getTime() > FIRST_RELEASE
    ? ok('clock', found)
    : warn('clock', found, 'set it: reports are dated by it, and expectations expire by it');
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** The folder itself, or the nearest above it that there is. */
function stateFolder(wanted: string): Finding {
  const dir = resolve(wanted);
  let there = dir;
  while (!existsSync(there)) there = dirname(there);
  try {
    accessSync(there, constants.W_OK | constants.X_OK);
    if (there === dir) rmdirSync(mkdtempSync(join(dir, 'doctor-')));
    return ok('keys', `kept in ${dir}`);
  } catch (error) {
    return fail(
      'keys',
      `${dir} cannot be written${isCode(error, 'EACCES') ? ': this user may not' : ''}`,
      'make it writable, or name another folder with --state DIR: a pairing whose key is lost takes a factory reset',
    );
  }
}

/** Whether multicast DNS works on one interface: a question of ours, sent to all, has to come back to us. */
function multicast({ name, address }: MulticastInterface): Promise<Finding> {
  const what = `mDNS on ${name}`;
  return new Promise((done) => {
    const socket = createSocket({ type: 'udp4', reuseAddr: true });
    let timer: NodeJS.Timeout | undefined;
    const end = (finding: Finding): void => {
      clearTimeout(timer);
      try {
        socket.close();
      } catch {
        // It was never bound.
      }
      done(finding);
    };
    const refused = (doing: string) => (error: NodeJS.ErrnoException) => {
      const mend =
        error.code === 'EADDRINUSE'
          ? 'another program holds UDP port 5353 for itself: stop it, or give TARGET as HOST:PORT'
          : error.code === 'EPERM' || error.code === 'EACCES'
            ? 'a firewall forbids it: allow UDP port 5353 in and out'
            : `there is no way for multicast: ip link set ${name} multicast on; ip route add 224.0.0.0/4 dev ${name}`;
      end(fail(what, `${doing}: ${error.code ?? error.message}`, mend));
    };
    socket.once('error', refused(`UDP port ${MDNS_PORT} cannot be used`));
    socket.bind(MDNS_PORT, '0.0.0.0', () => {
      try {
        socket.addMembership(MDNS_GROUP, address);
        socket.setMulticastInterface(address);
        socket.setMulticastLoopback(true);
      } catch (error) {
        return refused(`${MDNS_GROUP} cannot be joined`)(error as NodeJS.ErrnoException);
      }
      // A question for the services of HomeKit accessories, under an id that is ours.
      const id = Math.floor(Math.random() * 0xffff);
      const question = Buffer.concat([
        Buffer.from([id >> 8, id & 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
        ...['_hap', '_tcp', 'local'].map((label) => Buffer.from(String.fromCharCode(label.length) + label)),
        Buffer.from([0, 0, 12, 0, 1]),
      ]);
      socket.on('message', (message) => {
        if (message.equals(question)) end(ok(what, `${address}: sent and heard`));
      });
      socket.send(question, MDNS_PORT, MDNS_GROUP, (error) => {
        if (error !== null) return refused('a question cannot be sent')(error);
        timer = setTimeout(
          () =>
            end(
              warn(
                what,
                `${address}: a question of ours did not come back`,
                'a firewall may drop UDP port 5353; a container needs the network of its host (docker run --network host)',
              ),
            ),
          COMES_BACK,
        );
      });
    });
  });
}

async function network(): Promise<readonly Finding[]> {
  const interfaces = multicastInterfaces();
  if (interfaces.length === 0)
    return [
      warn(
        'network',
        'no interface but loopback has an IPv4 address',
        'join the network of the accessory; accessories on this machine are reached as 127.0.0.1:PORT',
      ),
    ];
  const each: Finding[] = [];
  for (const one of interfaces) each.push(await multicast(one));
  // A tunnel or a bridge without multicast is no harm where another network has it.
  const works = each.some(({ status }) => status === 'ok');
  const findings = each.map((one) =>
    works && one.status === 'fail' ? ({ ...one, status: 'warn' } as const) : one,
  );
  if (findings.some(({ status }) => status === 'fail')) return findings;
  const found = await browse({ milliseconds: BROWSE_TIME, interfaces });
  const names = found.slice(0, 5).map(({ name }) => oneLine(name, 63));
  const more = found.length > names.length ? ` and ${found.length - names.length} more` : '';
  return [
    ...findings,
    found.length > 0
      ? ok('announced', `${names.join(', ')}${more} ("hapspec discover" shows them)`)
      : warn(
          'announced',
          'nothing',
          'an accessory that is on has to show here; one in another network or behind client isolation does not: give TARGET as HOST:PORT',
        ),
  ];
}

/** Why Pair Setup does not begin though somebody listens. */
const noReply: Readonly<Record<Exclude<Outcome['kind'], 'reply'>, string>> = {
  garbage:
    'something else listens on that port: the port of an accessory is in its announcement (hapspec discover)',
  silence:
    'the accessory takes the connection and does not answer: is another Pair Setup going on, is it still starting?',
  close:
    'it hangs up on a request for Pair Setup: all its places may be taken (close the Home app, power-cycle it), or it is no accessory',
  reset:
    'it hangs up on a request for Pair Setup: all its places may be taken (close the Home app, power-cycle it), or it is no accessory',
};

/** What is done about an Error in the place of M2. */
const errors = new Map<number, readonly [make: typeof warn, mend: string]>([
  [
    TlvError.Backoff,
    [warn, 'it wants a pause after wrong setup codes: wait some minutes, or power-cycle it, and ask again'],
  ],
  [
    TlvError.MaxPeers,
    [fail, 'it has no place for another controller: remove one of its pairings, or reset it'],
  ],
  [TlvError.MaxTries, [fail, 'it is locked by too many wrong setup codes: only a factory reset opens it']],
  [
    TlvError.Busy,
    [warn, 'another controller is pairing with it: close the Home app, wait a minute, ask again'],
  ],
]);

/**
 * What the reply to M1 means for whoever wants to run the suite.
 * @param ours - keys of pairings that this harness left there
 */
function setupFinding(outcome: Outcome, receiver: boolean, ours: number): Finding {
  const what = 'Pair Setup M1';
  const found = oneLine(describeOutcome(outcome), 200);
  if (outcome.kind !== 'reply') return fail(what, found, noReply[outcome.kind]);
  const { tlv, http } = outcome;
  const error = tlv?.get(TlvType.Error)?.[0];
  if (error === TlvError.Unavailable)
    return warn(
      what,
      found,
      ours > 0
        ? 'it is paired, and a key in the state folder is of this harness: "hapspec unpair" removes that pairing'
        : 'it is paired, and most checks begin with an unpaired one: remove it from its home, or reset it',
    );
  if (error !== undefined) {
    const [make, mend] = errors.get(error) ?? [
      fail,
      'Pair Setup does not begin: run the suite with --only "PS-M1-*" to see why',
    ];
    return make(what, found, mend);
  }
  const key = tlv?.get(TlvType.PublicKey);
  const salt = tlv?.get(TlvType.Salt);
  if (key === undefined || salt === undefined || http.status !== 200)
    return fail(
      what,
      found,
      'that is no M2: is it the port of a HomeKit accessory? run the suite with --only "PS-M1-*"',
    );
  const sizes = `M2 with a ${key.length}-byte PublicKey`;
  if (key.length !== Length.srpPublicKey || salt.length !== Length.salt)
    return warn(
      what,
      `${sizes} and ${salt.length} bytes of Salt`,
      `they are ${Length.srpPublicKey} and ${Length.salt} bytes: run the suite with --only "PS-M1-*"`,
    );
  // A receiver begins for everybody.
  return ok(what, receiver ? `${sizes}: it is ready` : `${sizes}: it is unpaired and ready`);
}

/** Whether the target can be reached, step by step; the first step that fails ends it. */
async function reach(target: string, answer: number, dir: string): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  let address: Address;
  try {
    const resolved = await resolveTarget(target);
    address = parseAddress(resolved);
    if (address.kind === 'embedded' && address.fault !== undefined) findFault(address.fault);
    if (resolved !== target) findings.push(ok('announcement', `${target} is at ${resolved}`));
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return [
      fail('target', oneLine(error.message, 300), 'give it as HOST:PORT; "hapspec discover" lists them'),
    ];
  }
  if (address.kind !== 'tcp') return [ok('target', 'the embedded accessory needs no network')];
  const { host, port } = address;
  const bare = host.split('%')[0]!;
  if (isIP(bare) === 0) {
    const local = await localAddresses(host);
    const found =
      local.length > 0
        ? local
        : await lookup(host, { all: true }).then(
            (all) => all.map((one) => one.address),
            () => [],
          );
    if (found.length === 0)
      return [
        ...findings,
        fail(
          'name',
          `${host}: nobody knows it`,
          'check the spelling; a .local name is told by the accessory itself, by mDNS',
        ),
      ];
    findings.push(ok('name', `${host} is ${found.join(', ')}`));
  }
  const receiver = isReceiver(address);
  let state: AccessoryState | undefined;
  let ours = 0;
  try {
    state = openState(dir, addressKey(address));
    const kept = openState(dir, `${addressKey(address)} kept`);
    ours = state.identities().length + kept.identities().length;
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    findings.push({ what: 'its keys', status: 'fail', found: oneLine(error.message, 300) });
  }
  try {
    if (state !== undefined && existsSync(state.lockFile)) state.lock();
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return [
      ...findings,
      warn(
        'in use',
        oneLine(error.message, 300),
        'nothing is asked of it meanwhile: another Pair Setup would disturb that run',
      ),
    ];
  }
  const bench = benchFor(address, {
    code: receiver ? airplayCode(AIRPLAY_CODE) : undefined,
    random: seededRandom(0),
    patience: { ...defaultPatience, answer },
  });
  try {
    const started = performance.now();
    const link = await bench.open();
    findings.push(
      ok('TCP', `${host}:${port} takes a connection after ${Math.round(performance.now() - started)} ms`),
    );
    const outcome = await link.post(bench.profile.paths.setup, setupM1(), answer);
    if (outcome.kind === 'reply')
      findings.push(
        outcome.http.status < 500
          ? ok('HTTP', `answered in ${Math.round(outcome.elapsed)} ms`)
          : warn('HTTP', `status ${outcome.http.status}`, 'the accessory fails inside: look at its log'),
      );
    findings.push(setupFinding(outcome, receiver, ours));
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
    const mend: Readonly<Record<string, string>> = {
      refused:
        'nothing listens there: is the accessory on, and is this its port of today? Many take another one at each start',
      timeout:
        'the host is silent: is it on, in this network, and not behind client isolation or a firewall?',
      'no-route': 'this machine has no way to that network',
    };
    findings.push(
      fail('TCP', `${host}:${port}: ${error.message}`, mend[error.code] ?? 'check host and port'),
    );
  } finally {
    // A Pair Setup that was begun ends with its connection; no failed attempt is spent.
    await bench.closeLinks();
    state?.release();
  }
  return findings;
}

/**
 * `hapspec doctor`: looks at what a run needs of this machine, and with a TARGET how far it gets on the way to it. Asks the
 * accessory for one M2, which costs it no attempt.
 * @returns 0, or 1 when something does not work.
 * @throws InputError for the user's mistakes.
 */
export async function doctorCommand(target: string | undefined, flags: DoctorFlags): Promise<number> {
  if (flags.timeout !== undefined && !/^\d{1,6}$/.test(flags.timeout))
    throw new InputError(`--timeout: expected a whole number, got "${flags.timeout}"`);
  const answer = aint(Number(flags.timeout ?? defaultPatience.answer), '--timeout', 100, 600_000);
  const findings: Finding[] = [];
  const colours = pc.createColors(process.stdout.isTTY === true && process.env['NO_COLOR'] === undefined);
  const badges = { ok: colours.green('✓'), warn: colours.yellow('!'), fail: colours.red('✗') };
  const say = (...more: readonly Finding[]): void => {
    findings.push(...more);
    if (flags.json) return;
    for (const { what, status, found, mend } of more) {
      console.log(`${badges[status]} ${what}: ${found}`);
      if (mend !== undefined) console.log(`    ${mend}`);
    }
  };
  const state = flags.state ?? process.env['HAPSPEC_STATE'] ?? DEFAULT_STATE;
  say(nodeVersion(), clock(), stateFolder(state));
  say(...(await network()));
  if (target !== undefined) say(...(await reach(target, answer, state)));
  const failed = findings.filter(({ status }) => status === 'fail').length;
  const warned = findings.filter(({ status }) => status === 'warn').length;
  if (flags.json) console.log(JSON.stringify({ ok: failed === 0, findings }, undefined, 2));
  else
    console.log(
      failed > 0
        ? `${failed} of ${findings.length} do not work`
        : `everything works${warned > 0 ? `, ${warned} to look at` : ''}`,
    );
  return failed > 0 ? 1 : 0;
}
