import { expect } from 'chai';
import { Gates } from '../../harness/device/gates.js';
import { Household } from '../../harness/device/household.js';
import {
  type Announced,
  type Memory,
  type Outcome,
  airplayProfile,
  hapProfile,
} from '../../harness/device/index.js';
import { Keyring } from '../../harness/device/keyring.js';
import { Learned } from '../../harness/device/learned.js';
import { Links } from '../../harness/device/links.js';
import { Pairing } from '../../harness/device/pairing.js';
import { Tally } from '../../harness/device/tally.js';
import {
  type Identity,
  Method,
  Permission,
  controllerIdentity,
  hex,
  seededRandom,
} from '../../harness/protocol/index.js';
import { type Connection, Trace, VirtualClock, defaultPatience } from '../../harness/wire/index.js';

const random = seededRandom('parts');
const newIdentity = (): Identity => controllerIdentity(random);
const SILENCE: Outcome = { kind: 'silence', elapsed: 10_000 };
const CLOSE: Outcome = { kind: 'close', elapsed: 5 };

/** A memory that writes down what it is told. */
function noted(): { memory: Memory; said: string[] } {
  const said: string[] = [];
  const memory: Memory = {
    remember: (_identity, how) => void said.push(`remember ${how}`),
    confirmed: () => void said.push('confirmed'),
    forget: () => void said.push('forget'),
    identities: () => [],
    attempts: 7,
    spend: (attempts) => void said.push(`spend ${attempts}`),
    wasReset: () => void said.push('reset'),
  };
  return { memory, said };
}

describe('target: the tally', () => {
  it('counts an M3 that did not succeed as an attempt, and none that did', () => {
    const tally = new Tally();
    tally.countM4(CLOSE, true);
    tally.countM4(CLOSE, false);
    expect([tally.spent.m4, tally.spent.attempts, tally.attempts]).to.deep.equal([2, 1, 1]);
    tally.wasReset();
    expect([tally.spent.attempts, tally.attempts], 'what was spent stays spent').to.deep.equal([1, 0]);
  });

  it('goes by the attempts of earlier runs, and tells of its own', () => {
    const { memory, said } = noted();
    const tally = new Tally(memory);
    tally.spendAttempt();
    tally.wasReset();
    expect(tally.attempts).to.equal(7);
    expect(said).to.deep.equal(['spend 1', 'reset']);
  });

  it('calls no accessory quick of which it has seen no M2', () => {
    const tally = new Tally();
    tally.countM2(SILENCE);
    expect(tally.spent.m2).to.equal(1);
    expect(tally.isQuick(Number.MAX_VALUE)).to.equal(false);
  });
});

describe('target: the keyring', () => {
  it('remembers a key once, on the disk first', () => {
    const { memory, said } = noted();
    const order: number[] = [];
    const keyring = new Keyring(
      {
        ...memory,
        remember: (...args) => (order.push(keyring.sentIdentities.length), memory.remember(...args)),
      },
      () => undefined,
    );
    const one = newIdentity();
    keyring.remember(one, 'pair-setup');
    keyring.remember(one, 'add-pairing');
    expect(said).to.deep.equal(['remember pair-setup']);
    expect(order, 'not sent yet when it is written').to.deep.equal([0]);
  });

  it('holds a key without forgetting it, tries it again, and forgets it for good', () => {
    const { memory, said } = noted();
    const why: string[] = [];
    const keyring = new Keyring(memory, (words) => void why.push(words));
    const [one, two] = [newIdentity(), newIdentity()];
    for (const identity of [one, two]) keyring.remember(identity, 'pair-setup');
    keyring.hold(one, 'in', 'it opens');
    keyring.hold(two, 'doubtful', 'who knows');
    expect([keyring.sentIdentities.length, keyring.holdsOneInside, keyring.stays(one)]).to.deep.equal([
      0,
      true,
      'it opens',
    ]);
    expect(keyring.keptKeys()).to.equal('2 keys are kept (it opens; who knows)');
    expect(why).to.have.length(2);
    expect([keyring.knows(one.id), keyring.knows(one.id, true)]).to.deep.equal([false, true]);
    keyring.tryAgain((_identity, { is }) => is === 'doubtful');
    expect(keyring.sentIdentities).to.deep.equal([two]);
    expect(said).to.not.include('forget');
    keyring.forgetAll();
    expect([keyring.sentIdentities.length, keyring.held.size]).to.deep.equal([0, 0]);
    expect(said.filter((word) => word === 'forget')).to.have.length(2);
  });

  it('knows a key of an earlier run again by its LTSK', () => {
    const keyring = new Keyring(undefined, () => undefined);
    const one = newIdentity();
    keyring.inherit({ identity: one });
    keyring.inherit({ identity: { ...one }, confirmed: true });
    expect(keyring.sentIdentities).to.deep.equal([one]);
    expect([...keyring.confirmed]).to.deep.equal([one]);
  });

  it('keeps the latest secrets alone in mind', () => {
    const keyring = new Keyring(undefined, () => undefined);
    for (let i = 0; i < 100; i++) keyring.keepSecret(String(i), Uint8Array.of(i));
    expect(keyring.secrets.length).to.be.below(100);
    expect(keyring.secrets.at(-1)?.what).to.equal('99');
  });
});

describe('target: the pairing', () => {
  it('may be gone only while it is ours, and says why', () => {
    const pairing = new Pairing((line) => `${line}!`);
    pairing.adminMayBeGone();
    expect([pairing.state, pairing.decision]).to.deep.equal(['unknown', '']);
    pairing.paired(newIdentity(), undefined);
    pairing.adminMayBeGone();
    expect(pairing.state).to.equal('unknown');
    expect(pairing.decision).to.match(/^state unknown: a check asked to remove .*!$/);
    pairing.unpaired();
    expect([pairing.state, pairing.admin]).to.deep.equal(['unpaired', undefined]);
  });
});

describe('target: the household', () => {
  const house = (profile = airplayProfile()): { house: Household; keyring: Keyring; learned: Learned } => {
    const keyring = new Keyring(undefined, () => undefined);
    const learned = new Learned(profile);
    return { house: new Household(keyring, learned, new Pairing((line) => line)), keyring, learned };
  };

  it('has lodgers where nobody can be taken out, each once in a check', () => {
    const { house: own, learned } = house();
    const [one, two] = [newIdentity(), newIdentity()];
    own.keep(one, 'kept');
    own.keep(two, 'kept');
    expect(own.lodger(), 'where a new one does no harm').to.equal(undefined);
    learned.lacks(Method.RemovePairing, '404');
    own.begin();
    expect([own.lodger(), own.lodger(), own.lodger()]).to.deep.equal([one, two, undefined]);
    own.begin();
    expect(own.lodger()).to.equal(one);
    own.wasReset();
    own.begin();
    expect(own.lodger()).to.equal(undefined);
  });

  it('leaves out of a list who was there before the run, and nobody that came later', () => {
    const { house: own, keyring } = house();
    const [before, ours] = [newIdentity(), newIdentity()];
    keyring.remember(ours, 'pair-setup');
    const entry = ({ id, ltpk }: Identity) => ({ id, ltpk, permissions: 1 });
    const list = { entries: [before, ours].map(entry), findings: [] };
    const later = { ...list, entries: [...list.entries, entry(newIdentity())] };
    expect(own.withoutResidents(list).entries).to.have.length(1);
    expect(own.withoutResidents(later).entries).to.have.length(2);
    expect(house(hapProfile).house.withoutResidents(list).entries, 'a HAP accessory').to.have.length(2);
  });

  it('knows plain users by what Add has said last', () => {
    const { house: own } = house();
    const one = newIdentity();
    own.added(one.id, Permission.User);
    expect(own.isPlain(one)).to.equal(true);
    own.added(one.id, Permission.Admin);
    expect(own.isPlain(one)).to.equal(false);
    own.guests.add(hex(one.id));
    expect(own.isOurs(one.id)).to.equal(true);
  });
});

describe('target: what was learned', () => {
  it('goes by the user first, asks for the announcement once it has said yes no more', async () => {
    let asked = 0;
    const announcements = { current: async (): Promise<Announced | undefined> => (asked++, undefined) };
    const learned = new Learned(hapProfile, ['mfi'], announcements);
    expect(await learned.declares('mfi')).to.equal(true);
    expect(asked).to.equal(0);
    expect(await learned.declares('transient')).to.equal(false);
    expect(asked).to.equal(1);
  });

  it('that there is no Remove says that everybody stays', () => {
    const learned = new Learned(hapProfile);
    learned.lacks(Method.ListPairings, '404');
    expect([learned.keepsAll, learned.absent.has('pairings')]).to.deep.equal([undefined, true]);
    learned.lacks(Method.RemovePairing, '404');
    expect(learned.keepsAll).to.equal('no pairing can be removed: 404');
  });
});

describe('target: links and gates', () => {
  it('opens no two connections within the pace', async () => {
    const clock = new VirtualClock();
    const at: number[] = [];
    const connect = async (): Promise<Connection> => {
      at.push(clock.now());
      throw new Error('enough');
    };
    const options = { dialer: { clock, connect }, patience: defaultPatience, pace: 500 };
    const links = new Links(options, clock, new Trace(() => clock.now()), () => ({}));
    for (let i = 0; i < 3; i++) await links.open(hapProfile).catch(() => undefined);
    expect(at.map((time) => time - at[0]!)).to.deep.equal([0, 500, 1_000]);
    expect([links.opened, links.isAlone()]).to.deep.equal([0, true]);
  });

  it('are shut by what shut them, and open again', () => {
    const gates = new Gates(new VirtualClock(), { isAlone: () => true }, () => undefined);
    for (let i = 0; i < 3; i++) gates.verify.serves();
    for (let i = 0; i < 3; i++) gates.verify.refuses(SILENCE);
    expect([gates.areShutBy('SESS-26'), gates.areShutBy('PS-STATE-10')]).to.deep.equal([true, false]);
    gates.open();
    expect(gates.areShutBy('SESS-26')).to.equal(false);
  });
});
