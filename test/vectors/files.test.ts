import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect } from 'chai';
import {
  fromRecording,
  generateAll,
  generateKind,
  generatedKinds,
  kinds,
  lintFile,
  serialise,
  verifyFile,
} from '../../harness/vectors/index.js';
import { committed, root, vectors } from './folder.js';

const SEED = '1';
/** Kinds without SRP: another seed costs nothing there. */
const cheap = ['tlv8', 'setup-code', 'hkdf', 'aead', 'pair-verify', 'pairings', 'frames', 'errors'];

describe('test vectors: the committed files', () => {
  it('are what the generator writes, to the byte, and nothing else is there', () => {
    const files = generateAll(SEED);
    for (const [name, content] of files)
      expect(
        committed(name) === content,
        `vectors/${name} is not what "hapspec vectors generate" writes`,
      ).to.equal(true);
    const there = ['vectors', 'vectors/schemas'].flatMap((folder) =>
      readdirSync(root + folder)
        .filter((name) => name.endsWith('.json'))
        .map((name) => `${folder}/${name}`.slice('vectors/'.length)),
    );
    expect(there).to.have.members([...files.keys()]);
  });

  it('hold: every claim, recomputed by the second implementation', () => {
    for (const kind of generatedKinds) expect(verifyFile(vectors(kind)), kind).to.deep.equal([]);
  });

  it('are 400 or more, at least five negatives a kind, below 10 MB together', () => {
    let cases = 0;
    let size = 0;
    for (const kind of generatedKinds) {
      const file = vectors(kind);
      const results = file.testGroups.flatMap(({ tests }) => tests.map(({ result }) => result));
      expect(results.filter((result) => result === 'invalid').length, kind).to.be.at.least(5);
      expect(results, kind).to.include('valid');
      cases += results.length;
      size += committed(`${kind}.json`).length;
    }
    expect(cases).to.be.at.least(400);
    expect(size).to.be.below(10_000_000);
  });

  it('give the same value under the same seed and another under another', () => {
    for (const kind of cheap) {
      expect(serialise(generateKind(kind, 'a')), kind).to.equal(serialise(generateKind(kind, 'a')));
      // What is the same under every seed draws nothing.
      const [one, other] = [generateKind(kind, 'a'), generateKind(kind, 'b')].map(({ testGroups }) =>
        serialise(testGroups),
      );
      expect(one === other, kind).to.equal(false);
    }
    const other = generateKind('transient', 'b');
    expect(serialise(other)).to.not.equal(committed('transient.json'));
    expect(verifyFile(other)).to.deep.equal([]);
  });

  it('fit their JSON Schemas, as another reader of schemas judges', () => {
    const ajv = new Ajv2020({ allErrors: true });
    ajv.addFormat('HexBytes', /^([0-9a-f]{2})*$/);
    for (const kind of Object.keys(kinds)) {
      const validate = ajv.compile(JSON.parse(committed(`schemas/${kind}.schema.json`)) as object);
      const file =
        kind === 'recorded' ? fromRecording('{"exchanges":[{"request":"000100060101"}]}') : vectors(kind);
      expect(validate(JSON.parse(serialise(file))), `${kind}: ${ajv.errorsText(validate.errors)}`).to.equal(
        true,
      );
      expect(validate({ ...file, numberOfTests: 'many' })).to.equal(false);
    }
  });

  it('have every family of leading zeros in every convention', () => {
    const sessions = vectors('srp').testGroups.filter(({ type }) => type === 'SrpSession');
    expect(sessions.map((group) => group['convention'])).to.have.length(10);
    const families = { Salt: 'salt', A: 'A', B: 'B', S: 'S', K: 'K', M1: 'M1', M2: 'M2' };
    for (const { tests, ...parameters } of sessions)
      for (const [name, field] of Object.entries(families)) {
        const family = tests.filter(({ flags }) => flags.includes(`LeadingZero${name}`));
        expect(family, `${parameters['convention'] as string} ${name}`).to.have.length.at.least(1);
        for (const vector of family) {
          const value = vector[field] as string;
          // A number sent without its leading zeros, and a K cut by a mistake, are short in the place of that.
          const size = { salt: 32, A: 768, B: 768, S: 768, K: 128, M1: 128, M2: 128 }[field]!;
          expect(value.startsWith('00') || value.length < size, `tcId ${vector.tcId} ${name}`).to.equal(true);
        }
      }
  });

  it('agree with the known answers of others', () => {
    const [first] = vectors('pair-verify').testGroups[0]!.tests;
    expect(first!['shared']).to.equal('d6fb939511b2381bc8599b4b8edc5968829450dfd7a87aebe78a703cd04cd54e');
    expect(first!['toAccessory']).to.equal(
      '2cc5895b116f068112382b06cae7cbe8c7313b085a86023f9658ea883d39f718',
    );
    const payload = vectors('setup-code').testGroups[1]!.tests[0]!;
    expect([payload['payload'], payload['code']]).to.deep.equal(['X-HM://0081YCYEP3QYT', 84131633]);
    const labels = vectors('hkdf').testGroups.map(
      (group) => [group['label'], group.tests[2]!['key']] as const,
    );
    expect(new Map(labels).get('Events-Read')).to.equal(
      '48fa62bcbaa37487d03b6ab23387d8fa6e5e18b0e7680e795647482ba22abc16',
    );
  });
});

describe('test vectors: lint', () => {
  const file = vectors('tlv8');
  const wrong = (change: object): string => {
    const [first, ...rest] = lintFile({ ...file, ...change });
    expect(rest.length).to.be.at.most(100);
    return `${first?.tcId ?? 'file'} ${first?.field}`;
  };
  const group = file.testGroups[0]!;
  const withTests = (tests: readonly object[]): object => ({
    testGroups: [{ ...group, tests }, ...file.testGroups.slice(1)],
  });

  it('names ids that repeat or leave gaps, counts, flags nobody explains and notes nobody uses', () => {
    expect(lintFile(file)).to.deep.equal([]);
    expect(wrong({ numberOfTests: 1 })).to.equal('file numberOfTests');
    expect(wrong(withTests(group.tests.slice(1)))).to.equal('2 tcId');
    expect(wrong(withTests([...group.tests].reverse()))).to.equal(`${group.tests.length} tcId`);
    expect(wrong(withTests(group.tests.map((test) => ({ ...test, flags: ['Unheard'] }))))).to.equal(
      '1 flags',
    );
    expect(wrong({ notes: { ...file.notes, Idle: { description: 'x' } } })).to.equal('file notes');
    expect(wrong({ schema: 'srp.schema.json' })).to.equal('file schema');
    expect(wrong({ algorithm: 'ROT13' })).to.equal('file algorithm');
    expect(wrong({ generatorVersion: '3' })).to.equal('file generatorVersion');
    expect(wrong({ extra: 1 })).to.equal('file extra');
    expect(wrong({ testGroups: [{ ...group, type: 'HkdfLabel' }] })).to.equal('file testGroups');
  });
});

describe('test vectors: the second implementation', () => {
  it('shares nothing with the generator but the form of the files', () => {
    const folder = `${root}harness/vectors/`;
    const recomputing = readdirSync(`${folder}recompute`).map((name) => `recompute/${name}`);
    const own = [
      'second.ts',
      'verify.ts',
      'schema.ts',
      'schemas.ts',
      'shapes.ts',
      'format.ts',
      ...recomputing,
    ];
    for (const name of own) {
      const source = readFileSync(folder + name, 'utf8');
      const imported = [...source.matchAll(/from '([^']+)'/g)]
        .map((match) => match[1]!)
        .map((path) => (path.startsWith('.') ? join(dirname(name), path).replace(/\.js$/, '.ts') : path));
      expect(
        imported.filter((path) => path !== 'node:crypto' && !own.includes(path)),
        name,
      ).to.deep.equal([]);
    }
  });
});
