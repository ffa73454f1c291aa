import { readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import { faults } from '../../harness/accessory/index.js';
import { closed, silence, success, tlvError } from '../../harness/device/index.js';
import { InputError } from '../../harness/protocol/index.js';
import {
  type CheckSpec,
  chapter,
  exchangesFor,
  loadCases,
  loadCatalogue,
  makePlan,
  requirementId,
  secondsFor,
} from '../../harness/runner/index.js';
import { catalogue, suite } from '../../suites/index.js';
import renamedIds from '../../suites/renamed.json' with { type: 'json' };
import requirements from '../../suites/requirements.json' with { type: 'json' };
import { casesOf } from './bench.js';

const entry = {
  id: 'PS-M1-01',
  title: 'A title',
  level: 'MUST',
  stimulus: 'M1',
  expected: 'M2',
  rationale: 'because',
  source: 'seed 002',
  preconditions: 'unpaired',
  needs: [],
  destructive: false,
  silent_security: false,
  failed_attempts: 0,
  area: 'pair-setup',
};

const spec: CheckSpec = { from: 'any' };
const body = (): Promise<void> => Promise.resolve();

describe('runner: the catalogue', () => {
  it('is read by id', () => {
    const read = loadCatalogue({ requirements: [entry, { ...entry, id: 'PS-M1-02' }] });
    expect([...read.keys()]).to.deep.equal(['PS-M1-01', 'PS-M1-02']);
    expect(read.get('PS-M1-01')?.title).to.equal('A title');
  });

  it('must be an object with a list', () => {
    for (const data of [{}, { requirements: {} }, { requirements: 'x' }, [], 7])
      expect(() => loadCatalogue(data), JSON.stringify(data)).to.throw(InputError, 'list "requirements"');
  });

  it('says which entry lacks which text', () => {
    for (const field of ['title', 'stimulus', 'expected', 'rationale', 'source', 'preconditions', 'area'])
      for (const value of [undefined, '', 7, null])
        expect(() => loadCatalogue({ requirements: [{ ...entry, [field]: value }] }), field).to.throw(
          InputError,
          `catalogue: PS-M1-01 has no text "${field}"`,
        );
    expect(() => loadCatalogue({ requirements: [{ ...entry, id: '' }] })).to.throw(InputError, '"id"');
  });

  it('stops on a level that is none', () => {
    for (const level of ['must', 'MAY', undefined, ''])
      expect(() => loadCatalogue({ requirements: [{ ...entry, level }] }), String(level)).to.throw(
        InputError,
        `catalogue: PS-M1-01 has level "${String(level)}", expected MUST, SHOULD or VARIES`,
      );
  });

  it('stops on needs that are no list', () => {
    expect(() => loadCatalogue({ requirements: [{ ...entry, needs: 'code' }] })).to.throw(
      InputError,
      'list "needs"',
    );
  });

  it('stops on an id that stands twice', () => {
    expect(() => loadCatalogue({ requirements: [entry, entry] })).to.throw(
      InputError,
      'PS-M1-01 stands twice',
    );
  });
});

describe('runner: chapters and catalogue', () => {
  const known = loadCatalogue({ requirements: [entry] });

  it('are joined: title, file and variant', () => {
    const [plain, variant, watch] = loadCases(
      [
        chapter('pair-setup.m1-m2', (tools) => [
          tools.check('PS-M1-01', 'A title', spec, body),
          tools.check('PS-M1-01/two-words', 'A title', spec, body),
          tools.watch('PS-M1-01/seen', 'A title', 'setup-m2', () => undefined),
        ]),
      ],
      known,
    );
    expect(plain).to.include({
      id: 'PS-M1-01',
      title: 'A title',
      chapter: 'pair-setup.m1-m2',
      kind: 'check',
    });
    expect(plain?.file).to.equal('suites/pair-setup/m1-m2.ts');
    expect(variant?.title).to.equal('A title (two words)');
    expect(variant?.requirement).to.equal(plain?.requirement);
    expect(watch).to.include({ kind: 'watch', topic: 'setup-m2' });
    expect(requirementId('PS-M1-01/two-words')).to.equal('PS-M1-01');
  });

  it('stop on an id the catalogue does not know', () => {
    for (const id of ['PS-M1-99', 'ps-m1-01', '', '/x'])
      expect(
        () => loadCases([chapter('a.b', ({ check }) => [check(id, 'A title', spec, body)])], known),
        id,
      ).to.throw(InputError, `suite a.b: ${id} is no requirement of the catalogue`);
  });

  it('stop on a title that is not the one of the catalogue', () => {
    const other = chapter('a.b', ({ check }) => [check('PS-M1-01/x', 'Another title', spec, body)]);
    expect(() => loadCases([other], known)).to.throw(
      InputError,
      'suite a.b: PS-M1-01/x is called "Another title", and in the catalogue "A title"',
    );
  });

  it('stop on an id that stands twice, also across chapters and kinds', () => {
    const one = chapter('a.b', ({ check }) => [check('PS-M1-01', 'A title', spec, body)]);
    const two = chapter('c.d', ({ watch }) => [watch('PS-M1-01', 'A title', 'setup-m2', () => undefined)]);
    expect(() => loadCases([one, one], known)).to.throw(InputError, 'suite a.b: PS-M1-01 stands twice');
    expect(() => loadCases([one, two], known)).to.throw(InputError, 'suite c.d: PS-M1-01 stands twice');
  });

  it('stop on alternatives that contradict each other', () => {
    const contradictions: readonly Partial<CheckSpec>[] = [
      { allow: [closed()], tolerate: [closed()] },
      { allow: [closed()], forbid: [closed()] },
      { tolerate: [tlvError(4), silence()], forbid: [tlvError(4)] },
      { allow: [success('setup-m2'), success('setup-m2')] },
    ];
    for (const alternatives of contradictions)
      expect(() =>
        loadCases(
          [chapter('a.b', ({ check }) => [check('PS-M1-01', 'A title', { ...spec, ...alternatives }, body)])],
          known,
        ),
      ).to.throw(InputError, /suite a\.b: PS-M1-01 lists "[^"]+" twice/);
    const fine = {
      allow: [tlvError(4, 'Authentication')],
      tolerate: [tlvError(4)],
      forbid: [success('setup-m4')],
    };
    expect(
      loadCases(
        [chapter('a.b', ({ check }) => [check('PS-M1-01', 'A title', { ...spec, ...fine }, body)])],
        known,
      ),
    ).to.have.length(1);
  });
});

/** What became of ids that are no longer there: those that ask the same now, none where nothing does. */
const renamed: Readonly<Record<string, readonly string[]>> = renamedIds;

describe('suites: the whole suite', () => {
  it('loads, with unique ids that are or extend a requirement id', () => {
    expect(suite.length).to.be.greaterThan(100);
    expect(new Set(suite.map(({ id }) => id)).size).to.equal(suite.length);
    for (const { id, requirement } of suite) {
      expect(id).to.match(/^[A-Z][A-Z0-9-]*(\/[a-z0-9][a-z0-9-]*)?$/);
      expect(catalogue.get(requirementId(id)), id).to.equal(requirement);
    }
  });

  it('gives every check that sends something an outcome it accepts', () => {
    // What is announced, what is in a message, and what is left behind are no outcomes of anything sent.
    const described = /^(AIRPLAY-0[234]|TRANSIENT-06|MFI-0[56]|CLONE-02|MDNS-08)/;
    const others = suite.filter(
      ({ chapter: name, id }) => !name.startsWith('discovery.') && !described.test(id),
    );
    for (const entry of others)
      // A property says for each value what is right.
      if (entry.kind === 'check' && entry.id !== 'SEC-04/listed' && entry.spec.property === undefined)
        expect([...(entry.spec.allow ?? []), ...(entry.spec.tolerate ?? [])], entry.id).to.not.have.length(0);
  });

  it('names requirements of the catalogue, or checks, wherever a check says what it needs', () => {
    const ids = new Set(suite.map(({ id }) => id));
    for (const entry of suite)
      if (entry.kind === 'check')
        for (const id of entry.spec.needs ?? [])
          expect(catalogue.has(id) || ids.has(id), `${entry.id} needs ${id}`).to.equal(true);
  });

  // Expectations, dashboards and scripts of users name checks: an id that is gone breaks them without a word.
  it('has every id it ever had, or says in suites/renamed.json what became of it (HAPSPEC_UPDATE=1 writes new ones)', () => {
    const path = new URL('../../../test/runner/ids.json', import.meta.url);
    const ids = suite.map(({ id }) => id);
    const had = JSON.parse(readFileSync(path, 'utf8')) as readonly string[];
    if (process.env['HAPSPEC_UPDATE'] === '1') {
      const all = [...new Set([...had, ...ids])].sort();
      writeFileSync(path, `[\n${all.map((id) => `  ${JSON.stringify(id)}`).join(',\n')}\n]\n`);
    }
    const gone = had.filter((id) => !ids.includes(id) && !Object.hasOwn(renamed, id));
    expect(gone, 'are no longer there').to.deep.equal([]);
    const kept = new Set(JSON.parse(readFileSync(path, 'utf8')) as readonly string[]);
    expect(
      ids.filter((id) => !kept.has(id)),
      'are new',
    ).to.deep.equal([]);
    for (const [old, now] of Object.entries(renamed)) {
      expect(ids, `${old} is still there`).to.not.include(old);
      for (const id of now) expect(ids, `${old} is now ${id}`).to.include(id);
    }
  });

  it('has the plain flow as its sanity checks, in order', () => {
    const sanity = suite.filter((entry) => entry.kind === 'check' && entry.spec.sanity).map(({ id }) => id);
    expect(sanity).to.deep.equal(['PS-M1-01', 'PS-M3-01', 'PS-M5-01', 'PV-M1-01', 'PV-M3-01']);
  });

  it('is broken by faults that name requirements of the catalogue, each with a check', () => {
    expect(faults.length).to.be.greaterThan(50);
    for (const { name, breaks } of faults)
      for (const id of breaks) {
        expect(catalogue.has(id), `${name} breaks ${id}`).to.equal(true);
        expect(
          suite.some(({ requirement }) => requirement.id === id),
          `${name} breaks ${id}`,
        ).to.equal(true);
      }
  });

  it('has a catalogue that names no stack, but as the source of what controllers send and users have reported', () => {
    const stacks = [
      'hap-nodejs',
      'homebridge',
      'hap-python',
      'hap-controller',
      'hap-java',
      'brutella',
      'hc/',
      'homespan',
      'esp-homekit',
      'esp-hap',
      'esp_hap',
      'arduino-homekit',
      'homekitadk',
      'homekit adk',
      'hap-rs',
      'hap-go',
      'shairport',
      'pyatv',
      'aiohomekit',
      'fast-srp',
      'wolfssl',
      'mbedtls',
      'libsodium',
      'openssl',
      'uxplay',
      'owntone',
      'airplay2-receiver',
      'home assistant',
      'homeassistant',
      'reference_behaviour',
    ];
    const words = JSON.stringify(requirements, (name, value: unknown) =>
      name === 'source' ? undefined : value,
    ).toLowerCase();
    expect(stacks.filter((name) => words.includes(name))).to.deep.equal([]);
  });
});

describe('runner: waiting is planned', () => {
  const can = { reset: false, restart: false, destructive: false };
  const cases = casesOf(({ check }) => [
    check('WAIT-01', { from: 'any', costs: { seconds: 60 } }, async () => undefined),
    check('WAIT-02', { from: 'any', costs: { seconds: 30 } }, async () => undefined),
    check('WAIT-03', { from: 'any', costs: { seconds: 300 } }, async () => undefined),
  ]);
  const leftOut = (seconds: number, reset = false): readonly string[] =>
    makePlan(
      cases,
      cases,
      { ...can, reset },
      { attempts: 30, exchanges: exchangesFor(30), seconds },
    ).entries.flatMap(({ entry, leftOut: out }) => (out?.reason === 'not-bought' ? [entry.id] : []));

  it('buys half a minute of it with the usual 30 attempts, and the longest traffic with a reset hook alone', () => {
    expect(leftOut(secondsFor(30))).to.deep.equal(['WAIT-01', 'WAIT-03']);
    expect(leftOut(secondsFor(95))).to.deep.equal(['WAIT-03']);
  });

  it('buys all of it in virtual time, and with a reset hook', () => {
    expect(leftOut(Infinity)).to.deep.equal([]);
    expect(leftOut(0, true)).to.deep.equal([]);
  });
});
