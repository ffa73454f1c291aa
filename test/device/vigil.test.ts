import { expect } from 'chai';
import { type Link, type Silent, Vigil } from '../../harness/device/index.js';
import { type Capabilities, firstBeside, makePlan, quickExchanges } from '../../harness/runner/index.js';
import { suite } from '../../suites/index.js';

/** What a vigil is held by: a clock that is moved by hand and by sleeping, and the connections of the check that runs. */
function holder(virtual = false): {
  clock: ConstructorParameters<typeof Vigil>[0]['clock'];
  links: { own: Link[]; setAside(link: Link): void; takeBack(link: Link): void };
  pairing: { admin: undefined | { id: Uint8Array; ltpk: Uint8Array; ltsk: Uint8Array } };
  closeLinks(): Promise<void>;
  pass(milliseconds: number): void;
} {
  let now = 0;
  const links = {
    own: [] as Link[],
    setAside: (link: Link) => void (links.own = links.own.filter((other) => other !== link)),
    takeBack: (link: Link) => void links.own.push(link),
  };
  return {
    clock: {
      virtual,
      now: () => now,
      at: () => () => undefined,
      sleep: (milliseconds) => Promise.resolve(void (now += milliseconds)),
    },
    links,
    pairing: { admin: undefined },
    closeLinks: () => Promise.resolve(void (links.own = [])),
    pass: (milliseconds) => (now += milliseconds),
  };
}

function silent(open = true): Silent & { closed: boolean } {
  const fake = { closed: false };
  const link = {
    stillOpen: () => Promise.resolve(open),
    close: () => Promise.resolve(void (fake.closed = true)),
  } as unknown as Link;
  return Object.assign(fake, { link });
}

describe('device: what is silent beside a run', () => {
  const never = (): Promise<never> => Promise.reject(new Error('it is opened already'));

  it('has waited as long as the run went on beside it, and costs no time', async () => {
    const held = holder();
    const vigil = new Vigil(held);
    const waiting = silent();
    await vigil.begin(new Map([['X', () => Promise.resolve(waiting)]]));
    await held.closeLinks();
    held.pass(34_000);
    expect(await vigil.take('X', never)).to.equal(waiting);
    expect(held.links.own).to.deep.equal([waiting.link]);
    expect(await vigil.wait('X', 120_000)).to.equal('34 s');
    expect(held.clock.now()).to.equal(34_000);
  });

  it('waits out the rest of what the user asked for, and no more', async () => {
    for (const passed of [20_000, 200_000]) {
      const held = holder();
      const vigil = new Vigil(held, 60_000);
      await vigil.begin(new Map([['X', () => Promise.resolve(silent())]]));
      held.pass(passed);
      await vigil.take('X', never);
      await vigil.wait('X', vigil.silences[0]!);
      expect(held.clock.now()).to.equal(Math.max(60_000, passed));
    }
  });

  it('a repeat waits as long as the first time', async () => {
    const held = holder();
    const vigil = new Vigil(held);
    await vigil.begin(new Map([['X', () => Promise.resolve(silent())]]));
    held.pass(34_000);
    await vigil.take('X', never);
    await vigil.wait('X', 120_000);
    await vigil.take('X', () => Promise.resolve(silent()));
    expect(await vigil.wait('X', 120_000)).to.equal('34 s');
    expect(held.clock.now()).to.equal(68_000);
  });

  it('in virtual time is 2, 5 and 10 minutes, and opened by the check', async () => {
    const held = holder(true);
    const vigil = new Vigil(held);
    expect(vigil.silences).to.deep.equal([120_000, 300_000, 600_000]);
    expect(new Vigil(held, 60_000).silences).to.deep.equal([60_000, 120_000, 300_000, 600_000]);
    await vigil.take('X', () => Promise.resolve(silent()));
    expect(await vigil.wait('X', 300_000)).to.equal('5 min');
  });

  const refusal = async (vigil: Vigil): Promise<string> => {
    try {
      await vigil.take('X', never);
      await vigil.wait('X', 120_000);
    } catch (error) {
      return `${(error as Error).constructor.name}: ${(error as Error).message}`;
    }
    return 'nothing';
  };

  it('says why it has not waited, and what would have it wait', async () => {
    const held = holder();
    const begun = async (waiting = silent()): Promise<Vigil> => {
      const vigil = new Vigil(held);
      await vigil.begin(new Map([['X', () => Promise.resolve(waiting)]]));
      return vigil;
    };
    expect(await refusal(new Vigil(held))).to.match(/^Blocked: .*nothing ran beside them.*--idle/);
    expect(await refusal(await begun())).to.match(/^Blocked: no time went by/);
    expect(await refusal(await begun(silent(false)))).to.match(/^Blocked: .*a newer session ends an older/);
    const restarted = await begun();
    await restarted.drop('the accessory was restarted');
    expect(await refusal(restarted)).to.match(/^Blocked: .*the accessory was restarted.*--idle/);
    const another = await begun();
    held.pairing.admin = { id: new Uint8Array(1), ltpk: new Uint8Array(32), ltsk: new Uint8Array(32) };
    held.pass(5_000);
    expect(await refusal(another)).to.match(/^Blocked: .*its pairing was removed/);
  });

  it('is ended when nothing can be told from it any more', async () => {
    const held = holder();
    const vigil = new Vigil(held);
    const waiting = silent();
    await vigil.begin(new Map([['X', () => Promise.resolve(waiting)]]));
    await vigil.drop('the run came to its end');
    expect(waiting.closed).to.equal(true);
  });

  it('stands in a plan behind checks that leave the pairing, and the places of the accessory, alone', () => {
    for (const restart of [false, true]) {
      const can: Capabilities = { reset: false, restart, destructive: false, profile: 'hap' };
      const { entries } = makePlan(suite, suite, can, { attempts: 30, ...quickExchanges, seconds: 30 });
      const checks = entries.flatMap(({ entry, leftOut }) =>
        entry.kind === 'check' && leftOut === undefined ? [entry] : [],
      );
      const first = checks.findIndex(({ spec }) => spec.beside !== undefined);
      const begins = firstBeside(entries);
      const start = checks.findIndex((check) => check === begins?.entry);
      expect(first - start, 'checks they wait beside').to.be.at.least(40);
      expect(checks.slice(first, first + 4).every(({ spec }) => spec.beside !== undefined)).to.equal(true);
      for (const { id, spec } of checks.slice(start, first))
        expect([spec.from, spec.leaves, spec.alone, spec.needsHook, spec.costs?.m6], id).to.deep.equal([
          'paired',
          undefined,
          undefined,
          undefined,
          undefined,
        ]);
    }
  });
});
