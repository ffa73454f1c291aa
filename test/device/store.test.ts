import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { replaceFile } from '../../harness/device/files.js';
import type { StoredIdentity } from '../../harness/device/key-log.js';
import { type AccessoryState, openState } from '../../harness/device/store.js';
import {
  type Identity,
  InputError,
  accessoryIdentity,
  controllerIdentity,
  hex,
  seededRandom,
} from '../../harness/protocol/index.js';

const slow = process.env['HAPSPEC_SLOW'] === '1';
/** Each of these costs the start of a process, or of five. */
const [KILLS, ROUNDS] = slow ? [30, 4] : [9, 2];
const child = fileURLToPath(new URL('./store-child.js', import.meta.url));
const key = 'AA:BB:CC:DD:EE:FF';
const mode = (path: string): number => statSync(path).mode & 0o777;
const idOf = ({ identity }: StoredIdentity): string => `${hex(identity.id)} ${hex(identity.ltsk)}`;

describe('target: store', () => {
  const random = seededRandom('store');
  let dir: string;
  let opened: AccessoryState[];
  let children: ChildProcess[];

  beforeEach(() => {
    dir = join(mkdtempSync(join(tmpdir(), 'hapspec-store-')), 'state');
    opened = [];
    children = [];
  });
  afterEach(() => {
    for (const state of opened) state.release();
    for (const one of children) one.kill('SIGKILL');
    rmSync(join(dir, '..'), { recursive: true, force: true });
  });

  function open(name = key): AccessoryState {
    const state = openState(dir, name);
    opened.push(state);
    return state;
  }

  function start(...args: readonly string[]): ChildProcess {
    const started = spawn(process.execPath, [child, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
    children.push(started);
    return started;
  }

  function identity(): Identity {
    return controllerIdentity(random);
  }

  /** As a kill leaves it: the lock stays, and a second state may be opened. */
  function crashed(state: AccessoryState): void {
    rmSync(state.lockFile, { force: true });
  }

  describe('keys', () => {
    it('writes nothing before there is something to write', () => {
      expect(open().identities()).to.be.empty;
      expect(existsSync(dir)).to.be.false;
    });

    it('finds after a crash what was remembered, with its origin, its accessory and its time', () => {
      const state = open();
      const [first, second] = [identity(), identity()];
      const accessory = accessoryIdentity(random);
      state.remember(first, 'pair-setup');
      state.confirmed(first, { id: accessory.id, ltpk: accessory.ltpk });
      state.remember(second, 'add-pairing');
      crashed(state);
      const [a, b] = open().identities();
      expect(a).to.deep.include({ identity: first, how: 'pair-setup', confirmed: true });
      expect(a!.accessory).to.deep.equal({ id: accessory.id, ltpk: accessory.ltpk });
      expect(b).to.deep.include({
        identity: second,
        how: 'add-pairing',
        confirmed: false,
        accessory: undefined,
      });
      expect(new Date(b!.at).toISOString()).to.equal(b!.at);
    });

    it('lists confirmed ones first, then newest first', () => {
      const state = open();
      const all = Array.from({ length: 6 }, identity);
      for (const one of all) state.remember(one, 'pair-setup');
      state.confirmed(all[1]!, undefined);
      state.confirmed(all[3]!, undefined);
      state.remember(all[0]!, 'pair-setup');
      const order = [3, 1, 0, 5, 4, 2].map((i) => all[i]);
      expect(state.identities().map((stored) => stored.identity)).to.deep.equal(order);
      crashed(state);
      expect(
        open()
          .identities()
          .map((stored) => stored.identity),
      ).to.deep.equal(order);
    });

    it('keeps two keys under one id apart, an empty id, and a confirmation when the identity is sent again', () => {
      const state = open();
      const first = identity();
      const second = { ...identity(), id: first.id };
      const nameless = { ...identity(), id: new Uint8Array(0) };
      for (const one of [first, second, nameless]) state.remember(one, 'pair-setup');
      state.confirmed(first, undefined);
      state.remember(first, 'add-pairing');
      state.forget(second);
      crashed(state);
      expect(open().identities()).to.have.length(2);
      expect(open().identities()[0]).to.deep.include({
        identity: first,
        how: 'add-pairing',
        confirmed: true,
      });
      expect(open().identities()[1]!.identity).to.deep.equal(nameless);
    });

    it('remembers an identity whose confirmation comes unannounced, and forgets unknown ones in silence', () => {
      const state = open();
      const one = identity();
      state.confirmed(one, undefined);
      state.forget(identity());
      expect(state.identities().map(idOf)).to.deep.equal([`${hex(one.id)} ${hex(one.ltsk)}`]);
    });

    it('leaves no forgotten key on the disk after the run', () => {
      const state = open();
      const [gone, kept] = [identity(), identity()];
      state.remember(gone, 'pair-setup');
      state.remember(kept, 'pair-setup');
      state.forget(gone);
      state.release();
      expect(readFileSync(state.keysFile, 'utf8')).to.contain(hex(kept.ltsk)).and.not.contain(hex(gone.ltsk));
      const next = open();
      next.forget(kept);
      next.release();
      expect(existsSync(next.keysFile)).to.be.false;
      expect(readdirSync(dir)).to.deep.equal(['.gitignore']);
    });

    it('refuses an LTSK that could not be read back', () => {
      const state = open();
      expect(() => state.remember({ ...identity(), ltsk: new Uint8Array(31) }, 'pair-setup')).to.throw(
        InputError,
        'LTSK: expected 32 bytes',
      );
      expect(state.identities()).to.be.empty;
    });

    it('is for the owner only, and hidden from git', () => {
      const state = open();
      state.remember(identity(), 'pair-setup');
      state.spend(1);
      expect(mode(dir)).to.equal(0o700);
      expect(mode(state.keysFile)).to.equal(0o600);
      expect(mode(state.lockFile)).to.equal(0o600);
      expect(readFileSync(join(dir, '.gitignore'), 'utf8')).to.equal('*\n');
      chmodSync(state.keysFile, 0o644);
      state.remember(identity(), 'pair-setup');
      expect(mode(state.keysFile)).to.equal(0o600);
    });

    it('hides nothing in a folder that holds other things', () => {
      mkdirSync(dir, { recursive: true });
      writeFileSync(join(dir, 'README.md'), 'mine');
      open().remember(identity(), 'pair-setup');
      expect(existsSync(join(dir, '.gitignore'))).to.be.false;
    });

    it('skips a torn last record, whatever is left of it, and goes on after it', () => {
      const state = open();
      const [first, second, third] = [identity(), identity(), identity()];
      state.remember(first, 'pair-setup');
      const whole = readFileSync(state.keysFile);
      state.remember(second, 'pair-setup');
      const record = readFileSync(state.keysFile).subarray(whole.length);
      for (let left = 0; left < record.length - 1; left += 7) {
        crashed(state);
        writeFileSync(state.keysFile, Buffer.concat([whole, record.subarray(0, left)]));
        const next = open();
        expect(next.identities().map((stored) => stored.identity)).to.deep.equal([first]);
        next.remember(third, 'pair-setup');
        crashed(next);
        expect(
          open()
            .identities()
            .map((stored) => stored.identity),
        ).to.deep.equal([third, first]);
      }
    });

    it('takes a whole last record whose line end an editor removed', () => {
      const state = open();
      const [first, second] = [identity(), identity()];
      state.remember(first, 'pair-setup');
      crashed(state);
      writeFileSync(state.keysFile, readFileSync(state.keysFile, 'utf8').trimEnd());
      const next = open();
      next.remember(second, 'pair-setup');
      crashed(next);
      expect(open().identities()).to.have.length(2);
    });

    it('names file, line and fix when it is damaged, and shows no key', () => {
      const state = open();
      const secret = identity();
      state.remember(secret, 'pair-setup');
      state.remember(identity(), 'pair-setup');
      crashed(state);
      const good = readFileSync(state.keysFile, 'utf8');
      const digits = hex(secret.ltsk);
      for (const bad of [
        `x${good}`,
        good.slice(5),
        good.replace('}\n', '\n'),
        good.replace(digits, digits.slice(2)),
        good.replace(digits, `${digits.slice(1)}g`),
        good.replace('"pair-setup"', '"guess"'),
        good.replace('"confirmed":false', '"confirmed":0'),
        good.replace('"at":"', '"when":"'),
        `[]\n${good}`,
        good.replace('}\n', ',"accessory":{"id":"00"}}\n'),
      ]) {
        writeFileSync(state.keysFile, bad);
        expect(() => open(), bad)
          .to.throw(InputError, state.keysFile)
          .with.property('message')
          .that.matches(/line 1: .*factory reset/)
          .and.does.not.contain(digits.slice(4, 12));
      }
    });

    it(`survives ${KILLS} kills at any moment${slow ? '' : ' (HAPSPEC_SLOW=1: 30)'}: what was reported remembered is found`, async () => {
      const delays = Array.from({ length: KILLS }, () => random.below(60));
      let reported = 0;
      const lanes = [0, 1, 2].map(async (lane) => {
        const name = `${key}/${lane}`;
        const expected = new Set<string>();
        for (const [round, delay] of delays.entries()) {
          if (round % 3 !== lane) continue;
          const one = start('remember', dir, name, String(round));
          const lines: string[] = [];
          const reader = createInterface({ input: one.stdout! });
          const first = once(reader, 'line');
          reader.on('line', (line) => lines.push(line));
          await first;
          await sleep(delay);
          const closed = once(reader, 'close');
          one.kill('SIGKILL');
          await Promise.all([closed, once(one, 'exit')]);
          const unknown = new Set<string>();
          for (const line of lines) {
            const [what, ...identity] = line.split(' ');
            if (what === 'remembered') expected.add(identity.join(' '));
            else if (what === 'forgetting') {
              expected.delete(identity.join(' '));
              unknown.add(identity.join(' '));
            }
          }
          reported += expected.size;
          const found = new Set(openState(dir, name).identities().map(idOf));
          for (const one of expected) expect(found.has(one), `${one} after kill ${round}`).to.be.true;
        }
      });
      await Promise.all(lanes);
      expect(reported).to.be.above(KILLS);
    });

    it('remembers a hundred in the time of some hundred files', () => {
      const state = open();
      let start = performance.now();
      for (let i = 0; i < 100; i++) state.remember(identity(), 'pair-setup');
      const took = performance.now() - start;
      start = performance.now();
      for (let i = 0; i < 100; i++) {
        const file = openSync(join(dir, `plain-${i}`), 'w');
        writeSync(file, new Uint8Array(1_000));
        fsyncSync(file);
        closeSync(file);
      }
      expect(took / (performance.now() - start), 'times what plain files take').to.be.below(30);
    });
  });

  describe('ledger', () => {
    it('adds up over runs until a reset', () => {
      const first = open();
      expect(first.attempts).to.equal(0);
      first.spend(3);
      first.spend(0);
      first.release();
      const second = open();
      expect(second.attempts).to.equal(3);
      second.spend(4);
      crashed(second);
      const third = open();
      expect(third.attempts).to.equal(7);
      third.wasReset();
      third.release();
      expect(open().attempts).to.equal(0);
      expect(() => third.spend(-1)).to.throw(InputError);
    });

    it('keeps accessories apart', () => {
      open('a').spend(1);
      open('A').spend(2);
      expect(open('a').attempts).to.equal(1);
      expect(open('A').attempts).to.equal(2);
    });

    it('names file and fix when it is damaged', () => {
      const state = open();
      state.spend(1);
      const file = state.lockFile.replace(/lock$/, 'ledger.json');
      for (const bad of ['', '{', '[]', 'null', '{"attempts":-1}', '{"attempts":"3"}']) {
        writeFileSync(file, bad);
        expect(() => open(), bad)
          .to.throw(InputError, file)
          .with.property('message')
          .that.contains('factory-reset');
      }
    });
  });

  describe('lock', () => {
    const lockOf = (state: AccessoryState): Record<string, unknown> =>
      JSON.parse(readFileSync(state.lockFile, 'utf8')) as Record<string, unknown>;

    it('lets one in at a time, tells the other who it is, and opens after release', () => {
      const [one, other] = [open(), open()];
      one.lock();
      one.lock();
      expect(() => other.lock()).to.throw(
        InputError,
        new RegExp(
          `^another run \\(pid ${process.pid}, since \\d{4}-.*Z\\) is using this accessory: wait for it, or delete .*\\.lock if it is not running$`,
        ),
      );
      expect(() => other.remember(identity(), 'pair-setup')).to.throw(InputError, 'another run');
      expect(() => other.spend(1)).to.throw(InputError, 'another run');
      other.release();
      one.release();
      one.release();
      other.lock();
      expect(lockOf(other)['pid']).to.equal(process.pid);
    });

    it('shows after locking what the run before has written', () => {
      const [one, other] = [open(), open()];
      one.remember(identity(), 'pair-setup');
      one.spend(2);
      one.release();
      expect(other.identities()).to.be.empty;
      other.lock();
      expect(other.identities()).to.have.length(1);
      expect(other.attempts).to.equal(2);
    });

    it('does not remove the lock of another', () => {
      const [one, other] = [open(), open()];
      one.lock();
      rmSync(one.lockFile);
      other.lock();
      one.release();
      expect(existsSync(other.lockFile)).to.be.true;
    });

    it('keeps no handler after release', () => {
      const before = process.listenerCount('exit');
      const state = open();
      state.lock();
      expect(process.listenerCount('exit')).to.equal(before + 1);
      state.release();
      expect(process.listenerCount('exit')).to.equal(before);
    });

    it('takes over from a process that is dead, reborn as another, or torn from its lock', async () => {
      const gone = spawn(process.execPath, ['-e', '']);
      await once(gone, 'exit');
      const state = open();
      state.lock();
      const alive = lockOf(state);
      state.release();
      const stale: Record<string, unknown>[] = [{ ...alive, pid: gone.pid }];
      if (existsSync('/proc/self/stat')) stale.push({ ...alive, start: '1' });
      stale.push({ ...alive, host: `not-${hostname()}`, since: '2020-01-01T00:00:00.000Z' });
      for (const holder of stale) {
        writeFileSync(state.lockFile, JSON.stringify({ ...holder, nonce: 'old' }));
        state.lock();
        expect(lockOf(state)['nonce']).to.not.equal('old');
        state.release();
      }
      for (const torn of ['', '{"pid":', '{}', JSON.stringify({ ...alive, nonce: '../../x' })]) {
        writeFileSync(state.lockFile, torn);
        utimesSync(state.lockFile, 1, 1);
        state.lock();
        state.release();
      }
      expect(readdirSync(dir)).to.deep.equal(['.gitignore']);
    });

    it('believes in a living process, one of another machine, and one it may not signal', () => {
      const state = open();
      state.lock();
      const alive = lockOf(state);
      state.release();
      const elsewhere = { ...alive, host: `not-${hostname()}`, since: new Date().toISOString() };
      const living = [
        [alive, `pid ${process.pid}, since`],
        [{ ...alive, start: undefined }, `pid ${process.pid}, since`],
        [{ ...alive, pid: 1, start: undefined }, 'pid 1, since'],
        [elsewhere, `pid ${process.pid} on not-${hostname()}, since`],
      ] as const;
      for (const [holder, words] of living) {
        writeFileSync(state.lockFile, JSON.stringify(holder));
        expect(() => state.lock()).to.throw(InputError, words);
      }
    });

    it('takes over a takeover that was killed, and sweeps up', () => {
      const state = open();
      state.lock();
      const alive = lockOf(state);
      state.release();
      const dead = (nonce: string): string => JSON.stringify({ ...alive, pid: 2 ** 22 + 1, nonce });
      writeFileSync(state.lockFile, dead('first'));
      writeFileSync(`${state.lockFile}.first`, dead('second'));
      writeFileSync(`${state.lockFile}.second`, dead('third'));
      writeFileSync(`${state.keysFile}.1.tmp`, 'x');
      state.lock();
      expect(lockOf(state)['pid']).to.equal(process.pid);
      state.release();
      expect(readdirSync(dir)).to.deep.equal(['.gitignore']);
    });

    it('waits for a takeover in progress to be told apart from a dead one', () => {
      const state = open();
      state.lock();
      const alive = lockOf(state);
      state.release();
      writeFileSync(state.lockFile, JSON.stringify({ ...alive, pid: 2 ** 22 + 1, nonce: 'dead' }));
      writeFileSync(`${state.lockFile}.dead`, JSON.stringify({ ...alive, nonce: 'claim' }));
      expect(() => state.lock()).to.throw(InputError, `pid ${process.pid}`);
    });

    for (const situation of ['free', 'stale'] as const)
      it(`goes to exactly one of several processes that race for it (${situation}, ${ROUNDS} ${ROUNDS === 1 ? 'time' : 'times'}${slow ? '' : '; HAPSPEC_SLOW=1: 4'})`, async () => {
        for (let round = 0; round < ROUNDS; round++) {
          const state = openState(dir, `${key}${round}`);
          state.lock();
          const holder = lockOf(state);
          state.release();
          if (situation === 'stale')
            writeFileSync(state.lockFile, JSON.stringify({ ...holder, pid: 2 ** 22 + 1, nonce: 'dead' }));
          const racers = Array.from({ length: 5 }, () => start('lock', dir, `${key}${round}`));
          const lines = racers.map((racer) =>
            createInterface({ input: racer.stdout! })[Symbol.asyncIterator](),
          );
          for (const line of lines) expect((await line.next()).value).to.equal('ready');
          for (const racer of racers) racer.stdin!.write('go\n');
          const said: string[] = [];
          for (const line of lines) said.push(String((await line.next()).value));
          expect(said.filter((one) => one === 'locked')).to.have.length(1);
          for (const one of said) expect(one).to.match(/^locked$|another run \(pid \d+, since/);
          const winner = racers[said.indexOf('locked')]!;
          expect(lockOf(state)['pid']).to.equal(winner.pid);
          await Promise.all(
            racers.map((racer) => {
              racer.stdin!.write('end\n');
              return once(racer, 'exit');
            }),
          );
          expect(existsSync(state.lockFile), 'released on exit').to.be.false;
        }
      });
  });

  describe('names', () => {
    it('keeps every accessory in a file of its own in the folder, whatever its characters', () => {
      const names = [
        '../x',
        '../../etc/passwd',
        '[::1]:80',
        '[::1]:8',
        '1:80',
        'a/b',
        'a\\b',
        'a b',
        'a\0b',
        '.',
        '..',
        'con',
        'CON',
        '-rf',
        'é',
        '日本',
        '🏠',
        'x'.repeat(5_000),
        'x'.repeat(5_001),
      ];
      for (const [i, name] of names.entries()) {
        const state = open(name);
        state.spend(i);
        state.release();
      }
      for (const [i, name] of names.entries()) expect(open(name).attempts, name).to.equal(i);
      expect(readdirSync(join(dir, '..'))).to.deep.equal(['state']);
      for (const file of readdirSync(dir))
        expect(file).to.match(/^(\.gitignore|\w[\w.-]{0,79}\.ledger\.json)$/);
      expect(() => open('')).to.throw(InputError, 'id or address');
    });

    it('shows the name it has from the accessory', () => {
      expect(open('192.168.1.40:51826').lockFile).to.match(/\/192\.168\.1\.40-51826-[0-9a-f]{10}\.lock$/);
    });
  });

  it('says which path cannot be written', () => {
    mkdirSync(join(dir, '..'), { recursive: true });
    writeFileSync(dir, 'a file');
    expect(() => open().lock()).to.throw(InputError, dir);
    rmSync(dir);
    const state = open();
    mkdirSync(state.keysFile, { recursive: true });
    expect(() => open()).to.throw(InputError, state.keysFile);
    expect(() => replaceFile(join(dir, 'no', 'folder'), 'x')).to.throw(InputError, join(dir, 'no', 'folder'));
  });

  it('recovers from a write that failed half way', () => {
    const state = open();
    const [first, second] = [identity(), identity()];
    state.remember(first, 'pair-setup');
    const content = readFileSync(state.keysFile);
    rmSync(state.keysFile);
    mkdirSync(state.keysFile);
    expect(() => state.remember(second, 'pair-setup')).to.throw(InputError, state.keysFile);
    expect(state.identities()).to.have.length(1);
    rmSync(state.keysFile, { recursive: true });
    writeFileSync(state.keysFile, content);
    appendFileSync(state.keysFile, '{"id":"41');
    state.remember(second, 'pair-setup');
    crashed(state);
    expect(
      open()
        .identities()
        .map((stored) => stored.identity),
    ).to.deep.equal([second, first]);
  });
});
