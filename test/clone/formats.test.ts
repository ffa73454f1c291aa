import { expect } from 'chai';
import fc from 'fast-check';
import {
  type Files,
  type Format,
  type Snapshot,
  checkSnapshot,
  formatOf,
  formats,
  keyPairOf,
  losses,
  parseSnapshot,
  publicKeyOf,
  readStore,
  seedOf,
  snapshotText,
  writeStore,
} from '../../harness/clone/index.js';
import {
  InputError,
  controllerIdentity,
  hex,
  memoiseArithmetic,
  seededRandom,
  text,
  utf8,
} from '../../harness/protocol/index.js';
import { fixture, log, range, strings } from './fixture.js';

const homespan = formatOf('homespan', '--from');
const one = (content: string | Uint8Array): Files =>
  new Map([['-', typeof content === 'string' ? utf8(content) : content]]);
const refusal = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof InputError) return error.message;
    throw error;
  }
  return 'nothing refused it';
};

/** Keys are derived once each: there are thousands of snapshots. */
const random = seededRandom('clone formats');
const people = Array.from({ length: 24 }, () => controllerIdentity(random));
const seeds = people.slice(0, 6).map(({ ltsk }) => ltsk);

const uuid = fc.uuid().map((id) => id.toUpperCase());
const setup = fc.record(
  {
    code: fc.constantFrom('031-45-154', '841-31-633'),
    id: fc.constantFrom('3QYT', 'ABCD'),
    verifier: fc.integer({ min: 0, max: 255 }),
  },
  { requiredKeys: [] },
);

function snapshots(ids: fc.Arbitrary<string> = uuid): fc.Arbitrary<Snapshot & { ltsk: Uint8Array }> {
  return fc
    .record({
      device: fc.uint8Array({ minLength: 6, maxLength: 6 }),
      seed: fc.constantFrom(...seeds),
      ids: fc.uniqueArray(ids, { minLength: 1, maxLength: 16, selector: (id) => id.toLowerCase() }),
      first: fc.nat(15),
      rights: fc.array(fc.boolean(), { minLength: 16, maxLength: 16 }),
      configNumber: fc.option(fc.integer({ min: 1, max: 65_535 }), { nil: undefined }),
      setup: fc.option(setup, { nil: undefined }),
      cache: fc.option(fc.dictionary(fc.stringMatching(/^[a-z|-]{1,12}$/), fc.nat(1000)), { nil: undefined }),
    })
    .map(({ device, seed, ids, first, rights, configNumber, setup, cache }) => ({
      source: 'test',
      deviceId: utf8([...device].map((byte) => hex(Uint8Array.of(byte)).toUpperCase()).join(':')),
      ltsk: seed,
      ltpk: publicKeyOf(seed),
      controllers: ids.map((id, i) => ({
        id: utf8(id),
        ltpk: people[i]!.ltpk,
        admin: i === first % ids.length || rights[i]!,
      })),
      ...(configNumber !== undefined && { configNumber }),
      ...(setup && {
        setup: {
          ...(setup.code !== undefined && { code: setup.code }),
          ...(setup.id !== undefined && { id: setup.id }),
          ...(setup.verifier !== undefined && {
            salt: new Uint8Array(16).fill(setup.verifier),
            verifier: new Uint8Array(384).fill(setup.verifier),
          }),
        },
      }),
      ...(cache && { identifierCache: { ...cache } }),
    }));
}

/** What every format has to keep, and the order of controllers means nothing. */
function core({ deviceId, ltsk, ltpk, controllers }: Snapshot): unknown {
  return {
    deviceId: text(deviceId),
    ltsk: hex(ltsk!),
    ltpk: hex(ltpk),
    controllers: controllers.map(({ id, ltpk, admin }) => `${hex(id)} ${hex(ltpk)} ${admin}`).sort(),
  };
}

/** What the formats all hold beside it. */
function extras({ configNumber, setup, identifierCache }: Snapshot, through: readonly Format[]): unknown {
  const held = (extra: Format['holds'][number]): boolean =>
    through.every(({ holds }) => holds.includes(extra));
  return {
    number: held('configuration number') && configNumber,
    code: held('setup code') && setup?.code,
    id: held('setup id') && setup?.id,
    verifier: held('verifier') && setup?.verifier && hex(setup.verifier),
    cache: held('identifier cache') && identifierCache,
  };
}

const bytesOf = (files: Files): unknown => [...files].map(([name, content]) => [name, hex(content)]).sort();

describe('clone: formats', () => {
  before(() => memoiseArithmetic(true));
  after(() => memoiseArithmetic(false));

  it('every pair of formats keeps the neutral model (1,000 runs), and writes the same bytes again', () => {
    // A code or a number that some formats always hold is there from the start.
    const whole = snapshots().map((snapshot) => ({
      ...snapshot,
      configNumber: snapshot.configNumber ?? 1,
      setup: { code: '111-22-333', ...snapshot.setup },
    }));
    fc.assert(
      fc.property(whole, fc.constantFrom(...formats), fc.constantFrom(...formats), (snapshot, a, b) => {
        const { deviceId } = snapshot;
        const inA = writeStore(a, snapshot);
        const fromA = readStore(a, inA, { deviceId });
        expect(core(fromA), a.name).to.deep.equal(core(snapshot));
        expect(extras(fromA, [a]), a.name).to.deep.equal(extras(snapshot, [a]));
        const fromB = readStore(b, writeStore(b, fromA), { deviceId });
        expect(core(fromB), `${a.name} to ${b.name}`).to.deep.equal(core(snapshot));
        expect(extras(fromB, [a, b]), `${a.name} to ${b.name}`).to.deep.equal(extras(snapshot, [a, b]));
        expect(bytesOf(writeStore(a, { ...fromA, source: snapshot.source })), a.name).to.deep.equal(
          bytesOf(inA),
        );
      }),
      { numRuns: 1000, seed: 1 },
    );
  });

  it('identifiers stay bytes, case and all, or are refused', () => {
    const mixed = fc.uuid().map((id) => `${id.slice(0, 18).toUpperCase()}${id.slice(18)}`);
    fc.assert(
      fc.property(snapshots(mixed), fc.constantFrom(...formats), (snapshot, format) => {
        const spelled = snapshot.controllers.every(({ id }) => text(id) === text(id).toUpperCase());
        if (format.name === 'hap-rs' && !spelled)
          expect(refusal(() => writeStore(format, snapshot))).to.contain('without their capitals');
        else {
          const { deviceId } = snapshot;
          expect(core(readStore(format, writeStore(format, snapshot), { deviceId }))).to.deep.equal(
            core(snapshot),
          );
        }
      }),
      { numRuns: 200, seed: 2 },
    );
  });

  it('a device id in small letters is kept, or refused where it would become another', () => {
    const snapshot = { ...fixture, deviceId: utf8('aa:bb:cc:dd:ee:ff') };
    const kept = formats.filter(
      (format) => refusal(() => writeStore(format, snapshot)) === 'nothing refused it',
    );
    for (const format of kept) {
      const read = readStore(format, writeStore(format, snapshot), { deviceId: snapshot.deviceId });
      expect(text(read.deviceId), format.name).to.equal('aa:bb:cc:dd:ee:ff');
    }
    expect(kept.map(({ name }) => name)).to.not.include.members(['hap-nodejs', 'homekit-adk', 'hap-rs']);
  });

  it('says what a conversion loses', () => {
    const full: Snapshot = {
      ...fixture,
      setup: { code: '031-45-154', id: 'ABCD', salt: range(1, 16), verifier: new Uint8Array(384) },
      configNumber: 3,
      identifierCache: { a: 1 },
    };
    expect(losses(full, formatOf('snapshot', '--to'))).to.deep.equal([]);
    expect(losses(full, formatOf('hap-nodejs', '--to')).join('\n')).to.contain('the old code may not pair');
    expect(losses(full, homespan).join('\n')).to.contain('automations may point elsewhere');
    expect(losses(fixture, formatOf('hap-nodejs', '--to')).join('\n')).to.contain('no identifier cache');
  });
});

describe('clone: HomeSpan’s strings', () => {
  before(() => memoiseArithmetic(true));
  after(() => memoiseArithmetic(false));

  it('are 152 characters for 113 bytes and 96 for 70, to the letter', () => {
    expect(strings.accessory).to.have.length(152);
    expect(strings.controller).to.have.length(96);
    expect(text([...writeStore(homespan, fixture).values()][0]!)).to.equal(log);
    expect(core(readStore(homespan, one(log)))).to.deep.equal(core(fixture));
  });

  const fold = (line: string, width: number): string[] =>
    line.match(new RegExp(`.{1,${width}}`, 'g')) ?? [''];
  const logs: Readonly<Record<string, string>> = {
    'with CRLF': log.replaceAll('\n', '\r\n'),
    'with times in front': log.replaceAll(/^/gm, '12:34:56.789 -> '),
    'with dates in brackets in front': log.replaceAll(/^/gm, '[2026-11-28 12:34:56] '),
    'folded at 80 columns': log
      .split('\n')
      .flatMap((line) => fold(line, 80))
      .join('\n'),
    'folded at 72 columns, with times in front of each line': log
      .split('\n')
      .flatMap((line) => fold(line, 72))
      .map((line) => `[12:34:56.789] ${line}`)
      .join('\r\n'),
    'in colours': log.replaceAll('Accessory', '\u001b[32mAccessory\u001b[0m'),
    'with other lines of the device before and behind': `I (1234) wifi: connected\n> P\n${log}\nE (5678) something else data: x\n`,
    twice: `${log}\n${log}`,
    'in the dialogue of an import': [
      `>>> Accessory data:  ${strings.accessory}`,
      'AA:BB:CC:DD:EE:FF',
      `>>> Controller data: ${strings.controller}`,
      '>>> Controller data: ',
      'Save Cloned Pairing Data (y/n): ',
    ].join('\n'),
    'as the two strings alone': `${strings.accessory}\n${strings.controller}\n`,
  };
  for (const [name, content] of Object.entries(logs))
    it(`are read ${name}`, () => {
      expect(core(readStore(homespan, one(content)))).to.deep.equal(core(fixture));
    });

  it('the status of command s has everything but the secret key', () => {
    const status = [
      '*** HomeSpan Status ***',
      `Accessory ID:      AA:BB:CC:DD:EE:FF                               LTPK: ${hex(fixture.ltpk).toUpperCase()}`,
      `Paired Controller: 00000000-0000-4000-8000-000000000001   (admin)  LTPK: ${hex(fixture.controllers[0]!.ltpk).toUpperCase()}`,
      `Connection #0 192.0.2.1 on Socket 3/16  ID=00000000-0000-4000-8000-000000000001   (admin)`,
      '*** End Status ***',
    ].join('\r\n');
    const snapshot = readStore(homespan, one(status));
    expect(snapshot.ltsk).to.equal(undefined);
    expect(hex(snapshot.ltpk)).to.equal(hex(fixture.ltpk));
    expect(snapshot.controllers).to.deep.equal(fixture.controllers);
    expect(refusal(() => writeStore(homespan, snapshot))).to.contain(
      'the secret key of the accessory is not in',
    );
    expect(core({ ...parseSnapshot(snapshotText(snapshot)), ltsk: fixture.ltsk! })).to.deep.equal(
      core(fixture),
    );
  });
});

describe('clone: what is refused', () => {
  before(() => memoiseArithmetic(true));
  after(() => memoiseArithmetic(false));

  it('secret keys of 32 and 64 bytes are told apart, and a pair that does not belong together is refused', () => {
    const [seed, ltpk] = [fixture.ltsk!, fixture.ltpk];
    expect(seedOf(seed, ltpk)).to.deep.equal(seed);
    expect(seedOf(keyPairOf(seed), ltpk)).to.deep.equal(seed);
    expect(refusal(() => seedOf(range(1, 33), ltpk))).to.contain('33 bytes: expected 32');
    const altered = keyPairOf(seed);
    altered[0]! ^= 1;
    expect(refusal(() => seedOf(altered, ltpk))).to.contain('are not the public key of the first');
    expect(refusal(() => seedOf(range(1, 32), ltpk))).to.contain('do not belong together');
  });

  const many = (count: number, admin = true): Snapshot['controllers'] =>
    people.slice(0, count).map(({ id, ltpk }) => ({ id, ltpk, admin }));
  const bad: Readonly<Record<string, readonly [Partial<Snapshot>, string]>> = {
    'no controller': [{ controllers: [] }, 'there is no controller'],
    '17 controllers': [{ controllers: many(17) }, 'there are 17 controllers'],
    'only plain users': [{ controllers: many(2, false) }, 'all controllers are plain users'],
    'the same controller twice': [
      { controllers: [...many(2), ...many(1)] },
      'controllers 1 and 3 have the same',
    ],
    'an identifier that is no device id': [
      { deviceId: utf8('AA:BB:CC:DD:EE') },
      'the device id is "AA:BB:CC:DD:EE"',
    ],
    'a key that is not derived': [{ ltpk: people[0]!.ltpk }, 'do not belong together'],
    'a key of small order': [
      { controllers: [{ ...many(1)[0]!, ltpk: new Uint8Array(32) }] },
      'of small order',
    ],
  };
  for (const [name, [change, words]] of Object.entries(bad))
    it(`${name}, in every format`, () => {
      const snapshot = { ...fixture, ...change };
      expect(refusal(() => checkSnapshot(snapshot))).to.contain(words);
      for (const format of formats)
        expect(
          refusal(() => writeStore(format, snapshot)),
          format.name,
        ).to.contain(words);
    });

  const lines: Readonly<Record<string, readonly [string, string]>> = {
    'base64 that was cut off': [log.replace('ZBJVMbg=', 'ZBJV'), 'line 3'],
    'base64 that lost its padding': [log.replace('VMbg=', 'VMbg'), 'line 3 is no base64'],
    'a character that was changed': [log.replace('QUE6Q', 'QUE6!'), 'line 3'],
    'a bit of the secret key that was changed': [
      log.replace('RkYAAQID', 'RkYBAQID'),
      'line 3: LTSK is altered',
    ],
    'a controller in the place of the accessory': [
      log.replace(strings.accessory, strings.controller),
      'line 3: the record of a controller stands where that of the accessory is due',
    ],
    'an accessory in the place of a controller': [
      log.replace(strings.controller, strings.accessory),
      'line 4: the record of an accessory stands where that of a controller is due',
    ],
    'a controller before any accessory': [
      `Controller data: ${strings.controller}\n`,
      'line 1: the record of a controller comes before that of the accessory',
    ],
    'a controller marked as free': [
      log.replace('AQEwMDAw', 'AAEwMDAw'),
      'line 4: this record is marked as free',
    ],
    'the same controller again': [
      log.replace('\n\n***', `\nController data: ${strings.controller}\n\n***`),
      'controllers 1 and 2 have the same identifier',
    ],
    'no record at all': ['hello\n', 'there are no lines "Accessory data:"'],
  };
  for (const [name, [content, words]] of Object.entries(lines))
    it(`HomeSpan: ${name}`, () => {
      expect(refusal(() => readStore(homespan, one(content)))).to.contain(words);
    });

  it('whatever else is read is refused in words of its own, never by an error of the machine', () => {
    const stores = formats.map((format) => [format, writeStore(format, fixture)] as const);
    fc.assert(
      fc.property(
        fc.constantFrom(...stores),
        fc.nat(),
        fc.constantFrom('cut', 'flip', 'drop', 'swap'),
        ([format, files], at, how) => {
          const names = [...files.keys()];
          const name = names[at % names.length]!;
          const content = files.get(name)!;
          const changed = new Map(files);
          if (how === 'drop') changed.delete(name);
          else if (how === 'swap') changed.set(name, utf8('{"__proto__": [], "a": null}'));
          else if (how === 'cut') changed.set(name, content.subarray(0, at % (content.length + 1)));
          else {
            const flipped = content.slice();
            if (flipped.length > 0) flipped[at % flipped.length]! ^= 1 << (at % 8);
            changed.set(name, flipped);
          }
          // Either it is refused, or it is pairing data that could be.
          const said = refusal(() => readStore(format, changed, { deviceId: fixture.deviceId }));
          if (said !== 'nothing refused it') expect(said).to.match(new RegExp(`^${format.name}: `));
          expect(said).to.not.contain(hex(fixture.ltsk!));
        },
      ),
      { numRuns: 1000, seed: 3 },
    );
  });
});
