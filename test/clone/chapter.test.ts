import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  Accessory,
  faults,
  healthy,
  importInto,
  memoryStore,
  startServer,
  variants,
} from '../../harness/accessory/index.js';
import { type Snapshot, snapshotText } from '../../harness/clone/index.js';
import { conformance } from '../../harness/index.js';
import { controllerIdentity, hex, parseSetupCode, seededRandom } from '../../harness/protocol/index.js';
import { type CheckResult, type RunReport, deviceToClone } from '../../harness/runner/index.js';
import { quickArithmetic } from '../arithmetic.js';
import { hapspecLine, startHapspec } from '../cli/process.js';

const CODE = parseSetupCode('031-45-154');

/** The device of the self-test with so many controllers, the first an admin, the last a plain user. */
function device(count = 3): Snapshot & { readonly ltsk: Uint8Array } {
  const random = seededRandom('chapter');
  const { ltsk, ...rest } = deviceToClone(random);
  const controllers = Array.from({ length: count }, (_, i) => {
    const { id, ltsk, ltpk } = controllerIdentity(random);
    return { id, ltsk, ltpk, admin: i === 0 || i < count - 1 };
  });
  return { ...rest, ltsk: ltsk!, controllers, source: 'test' };
}

/** The same as somebody has it who has paired with a phone. */
function withoutKeys(snapshot: Snapshot): Snapshot {
  return {
    ...snapshot,
    controllers: snapshot.controllers.map(({ id, ltpk, admin }) => ({ id, ltpk, admin })),
  };
}

describe('clone: the chapter', () => {
  let folder: string;
  const open: (() => Promise<void>)[] = [];
  quickArithmetic();
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'hapspec-clone-'))));
  afterEach(async () => {
    for (const close of open.splice(0)) await close();
    rmSync(folder, { recursive: true });
  });

  const write = (snapshot: Snapshot): string => {
    const path = join(folder, 'snapshot.json');
    writeFileSync(path, snapshotText(snapshot));
    return path;
  };
  /** A device on loopback with that pairing data. */
  const serve = async (
    snapshot: Snapshot & { readonly ltsk: Uint8Array },
    seed: string,
  ): Promise<{ accessory: Accessory; at: string }> => {
    const store = memoryStore();
    const random = seededRandom(seed);
    importInto(store, healthy, snapshot, random);
    const accessory = new Accessory({ code: CODE, random, store });
    const listener = await startServer({ accessory, host: '127.0.0.1', port: 0 });
    open.push(() => listener.close());
    return { accessory, at: `127.0.0.1:${listener.port}` };
  };
  const statuses = ({ results }: RunReport): Record<string, number> => {
    const counts: Record<string, number> = {};
    for (const { status } of results) counts[status] = (counts[status] ?? 0) + 1;
    return counts;
  };
  const red = ({ results }: RunReport): string[] =>
    results.filter(({ status }: CheckResult) => status === 'fail').map(({ requirement }) => requirement);

  it('is not applicable where no snapshot is given', async () => {
    const report = await conformance('embedded', { only: ['CLONE-*'], seed: 1 });
    expect(statuses(report)).to.deep.equal({ skip: 18 });
    expect(report.results.every(({ reason }) => reason === 'not-applicable')).to.equal(true);
    expect(report.exit.code).to.not.equal(0);
  });

  it('is red for each fault under its own requirements, and for no benign variant', async () => {
    const path = write(device());
    for (const { name, breaks } of [...faults, ...variants].filter(({ clone }) => clone !== undefined)) {
      const report = await conformance(`embedded:${name}`, { cloneOf: path, seed: 1, destructive: true });
      const found = new Set(red(report));
      if (breaks.length === 0) expect([...found], name).to.deep.equal([]);
      else {
        const direct = breaks.filter((id) => found.has(id));
        expect(direct, name).to.not.deep.equal([]);
        // What stands on one of them was not asked, and says so.
        for (const id of breaks.filter((other) => !found.has(other))) {
          const [skipped] = report.results.filter(({ requirement }) => requirement === id);
          const needed = /^needs (CLONE-\d+)/.exec(skipped!.message)?.[1];
          expect(skipped!.reason, `${name}: ${id}`).to.equal('dependency');
          expect(direct, `${name}: ${id} ${skipped!.message}`).to.include(needed);
        }
      }
      expect(report.exit.code, name).to.equal(breaks.length === 0 ? 0 : 1);
    }
  });

  for (const count of [1, 2, 16])
    it(`a clone of ${count} ${count === 1 ? 'controller' : 'controllers'} over TCP is green and keeps its pairings, beside the old device`, async () => {
      const snapshot = device(count);
      const path = write(snapshot);
      const [old, fresh] = [await serve(snapshot, 'old'), await serve(snapshot, 'new')];
      const report = await conformance(fresh.at, {
        cloneOf: path,
        old: old.at,
        seed: 1,
        state: join(folder, 'state'),
        skip: ['CLONE-02', 'CLONE-09', ...(count === 16 ? ['CLONE-12'] : [])],
      });
      expect(red(report)).to.deep.equal([]);
      expect(report.results.filter(({ status }) => status === 'error')).to.deep.equal([]);
      expect(report.results.find(({ id }) => id === 'CLONE-03')!.observations).to.deep.equal({
        'controllers that were tried': `${count} of ${count}`,
      });
      for (const { accessory } of [old, fresh]) expect(accessory.pairings).to.have.length(count);
    });

  it('without the controllers’ keys it says what it can do, and how to get the rest', async () => {
    const snapshot = device();
    const { at, accessory } = await serve(snapshot, 'new');
    const path = write(withoutKeys(snapshot));
    const ended = await hapspecLine(['clone', 'check', at, path, '--state', join(folder, 'state')]);
    expect(ended.code, ended.stdout).to.equal(0);
    expect(ended.stdout)
      .to.match(/pass +CLONE-01/)
      .and.to.match(/pass +CLONE-07\/wrong-key/);
    expect(ended.stdout)
      .to.contain('"hapspec pair OLD" makes the harness an admin')
      .and.contain('--old HOST:PORT');
    expect(accessory.pairings).to.have.length(3);
  });

  it('the harness’s own key, put in by "hapspec pair", makes the rest possible; it stays in the clone', async () => {
    const plain = device(1);
    const old = new Accessory({ code: CODE, random: seededRandom('first life') });
    const listener = await startServer({ accessory: old, host: '127.0.0.1', port: 0 });
    open.push(() => listener.close());
    const [target, state] = [`127.0.0.1:${listener.port}`, join(folder, 'state')];
    expect((await hapspecLine(['pair', target, '--code', CODE.dashed, '--state', state])).code).to.equal(0);
    const store = {
      ...plain,
      deviceId: old.identity.id,
      ltsk: old.identity.ltsk,
      ltpk: old.identity.ltpk,
      controllers: old.pairings.map(({ id, ltpk, permissions }) => ({ id, ltpk, admin: permissions === 1 })),
    };
    const bare = write(store);
    const full = join(folder, 'full.json');
    const line = [
      'clone',
      'export',
      '--from',
      'snapshot',
      bare,
      '--out',
      full,
      '--paired',
      target,
      '--state',
      state,
    ];
    const exported = await hapspecLine(line);
    expect(exported.code, exported.stderr).to.equal(0);
    // The new device comes to the old one's address, where the harness has a pairing of its own.
    await open.pop()!();
    const random = seededRandom('second life');
    const kept = memoryStore();
    importInto(kept, healthy, store, random);
    const clone = new Accessory({ code: CODE, random, store: kept });
    const again = await startServer({ accessory: clone, host: '127.0.0.1', port: listener.port });
    open.push(() => again.close());
    const ended = await hapspecLine(['clone', 'check', target, full, '--state', state]);
    expect(ended.code, ended.stdout).to.equal(0);
    expect(ended.stdout).to.match(/pass +CLONE-05/);
    expect(clone.pairings).to.have.length(1);
  });

  it('hapspec accessory --import is such a clone; no secret key is in what is said or reported', async () => {
    const snapshot = device();
    const path = write(snapshot);
    const child = startHapspec([
      'accessory',
      '--port',
      '0',
      '--import',
      path,
      '--state',
      join(folder, 'store'),
    ]);
    await child.said('setup code');
    expect(child.output()).to.contain('3 pairings');
    const at = /listening on (\S+)/.exec(child.output())![1]!;
    const [json, junit, evidence] = ['r.json', 'j.xml', 'evidence'].map((name) => join(folder, name));
    const ended = await hapspecLine([
      'run',
      at,
      '--clone-of',
      path,
      '--json',
      json!,
      '--junit',
      junit!,
      '--evidence',
      evidence!,
      '--state',
      join(folder, 'state'),
    ]);
    child.process.kill('SIGTERM');
    const { stdout, stderr } = await child.ended;
    expect(ended.code, ended.stdout).to.equal(0);
    const texts = [
      ended.stdout,
      ended.stderr,
      stdout,
      stderr,
      readFileSync(json!, 'utf8'),
      readFileSync(junit!, 'utf8'),
    ];
    for (const name of readdirSync(evidence!)) texts.push(readFileSync(join(evidence!, name), 'utf8'));
    for (const { ltsk } of [snapshot, ...snapshot.controllers])
      for (const said of texts) expect(said).to.not.contain(hex(ltsk!));
    const other = write({ ...device(1), ...deviceToClone(seededRandom('other')), source: 'test' });
    const refused = await hapspecLine([
      'accessory',
      '--port',
      '0',
      '--import',
      other,
      '--state',
      join(folder, 'store'),
    ]);
    expect(refused.code).to.equal(2);
    expect(refused.stderr).to.contain('holds another identity already');
  });

  it('refuses what makes no sense', async () => {
    const path = write(device());
    const status = write({ ...device(), source: 'x' });
    const cases: readonly (readonly [readonly string[], string])[] = [
      [['run', 'embedded', '--old', '127.0.0.1:1'], '--old: it is the device of --clone-of'],
      [['run', 'embedded', '--clone-of', path, '--old', '127.0.0.1:1'], 'leave --old out'],
      [['run', 'embedded', '--clone-of', join(folder, 'none')], 'there is no such file'],
      [['run', 'embedded', '--clone-of', status, '--only', 'PS-*'], 'PS-*'],
    ];
    for (const [line, words] of cases) {
      const ended = await hapspecLine(line);
      expect(ended.code, line.join(' ')).to.equal(2);
      expect(ended.stderr, line.join(' ')).to.contain(words);
    }
  });
});
