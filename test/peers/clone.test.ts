import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { parseSnapshot, snapshotText } from '../../harness/clone/index.js';
import { benchFor, parseAddress } from '../../harness/device/index.js';
import {
  type Identity,
  Permission,
  equal,
  parseSetupCode,
  seededRandom,
} from '../../harness/protocol/index.js';
import type { RunReport } from '../../harness/runner/index.js';
import { defaultPatience } from '../../harness/wire/index.js';
import { type Child, endChildren, hapspec, start } from '../cli/process.js';
import { fixture, log, range } from '../clone/fixture.js';

const CODE = '031-45-154';
const launcher = fileURLToPath(new URL('hap-nodejs.js', import.meta.url));

describe('peers: a clone of @homebridge/hap-nodejs', function () {
  this.timeout(120_000);
  let folder: string;
  before(() => (folder = mkdtempSync(join(tmpdir(), 'hapspec-peer-clone-'))));
  afterEach(endChildren);
  after(() => rmSync(folder, { recursive: true }));

  /** A HAP-NodeJS process with its files in `storage`. */
  const boot = async (storage: string, username = ''): Promise<{ child: Child; at: string }> => {
    const env: Record<string, string> = username === '' ? {} : { HAPSPEC_PEER_USERNAME: username };
    const child = start(launcher, ['0', CODE, storage], env, null);
    await child.said('listening');
    return { child, at: `127.0.0.1:${/listening (\d+)/.exec(child.output())![1]!}` };
  };

  /** Pairs and lets in one more admin and a plain user; the harness is all three. */
  const threeControllers = async (at: string): Promise<readonly Identity[]> => {
    const code = parseSetupCode(CODE);
    const random = seededRandom('peer clone');
    const bench = benchFor(parseAddress(at), { code, random, patience: defaultPatience });
    const controller = bench.controller('owner');
    const { identity } = await controller.pair();
    const session = await controller.session();
    const others = [
      await controller.letIn(session, Permission.Admin),
      await controller.letIn(session, Permission.User),
    ];
    await bench.closeLinks();
    await bench.options.announcements?.close();
    return [identity, ...others];
  };

  const clone = async (words: readonly string[]): Promise<void> => {
    const ended = await hapspec(['clone', ...words]);
    expect(ended.code, ended.stderr).to.equal(0);
  };

  const check = async (target: string, snapshot: string, more: readonly string[]): Promise<RunReport> => {
    const json = join(folder, 'report.json');
    const ended = await hapspec(['run', target, '--clone-of', snapshot, '--json', json, ...more]);
    expect(ended.code, ended.stdout).to.equal(0);
    return JSON.parse(readFileSync(json, 'utf8')) as RunReport;
  };

  it('its own files, exported, converted and imported, are a clone in a second process and in the reference accessory', async () => {
    const stored = join(folder, 'first');
    const old = await boot(stored);
    const controllers = await threeControllers(old.at);
    const bare = join(folder, 'bare.json');
    await clone(['export', '--from', 'hap-nodejs', stored, '--out', bare]);
    // The harness is all of them: their keys go into the snapshot.
    const snapshot = parseSnapshot(readFileSync(bare, 'utf8'));
    expect(snapshot.controllers).to.have.length(3);
    expect(snapshot.identifierCache, 'identifier cache').to.not.equal(undefined);
    const whole = {
      ...snapshot,
      controllers: snapshot.controllers.map((one) => ({
        ...one,
        ltsk: controllers.find(({ id }) => equal(id, one.id))!.ltsk,
      })),
    };
    const full = join(folder, 'full.json');
    writeFileSync(full, snapshotText(whole));

    const second = join(folder, 'second');
    await clone(['import', '--to', 'hap-nodejs', full, '--out', second]);
    const fresh = await boot(second);
    // It sets no limit to its controllers, and nothing announces it here.
    const report = await check(fresh.at, full, ['--old', old.at]);
    const passed = report.results.filter(({ status }) => status === 'pass').map(({ id }) => id);
    expect(passed).to.include.members([
      'CLONE-01',
      'CLONE-03',
      'CLONE-04',
      'CLONE-05',
      'CLONE-06',
      'CLONE-07/unknown',
      'CLONE-07/wrong-key',
      'CLONE-08',
      'CLONE-10',
      'CLONE-11',
      'CLONE-12',
    ]);

    const embedded = await check('embedded', full, []);
    expect(embedded.results.filter(({ status }) => status === 'pass').length).to.be.greaterThan(15);
  });

  it('HomeSpan’s lines make files with which it is paired with that controller', async () => {
    const serial = join(folder, 'serial.log');
    writeFileSync(serial, log);
    const out = join(folder, 'from-homespan');
    await clone(['convert', '--from', 'homespan', '--to', 'hap-nodejs', serial, '--out', out]);
    const storage = join(folder, 'third');
    mkdirSync(storage);
    for (const name of readdirSync(out)) cpSync(join(out, name), join(storage, name));
    const { at } = await boot(storage, 'AA:BB:CC:DD:EE:FF');
    const snapshot = join(folder, 'homespan.json');
    // The secret key of that controller is 20…3f.
    const [one] = fixture.controllers;
    writeFileSync(
      snapshot,
      snapshotText({ ...fixture, controllers: [{ ...one!, ltsk: range(0x20, 0x3f) }] }),
    );
    const report = await check(at, snapshot, []);
    const passed = report.results.filter(({ status }) => status === 'pass').map(({ id }) => id);
    expect(passed).to.include.members(['CLONE-01', 'CLONE-03', 'CLONE-05', 'CLONE-06']);
  });
});
