import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, parse } from 'node:path';
import { expect } from 'chai';
import { type Config, configKeys, forReplay, loadConfig, mergeConfig } from '../../harness/cli/config.js';
import { InputError } from '../../harness/protocol/index.js';

/** The message of the InputError a promise is rejected with. */
async function complaint(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).to.be.instanceOf(InputError);
  const { message } = error as InputError;
  expect(message, 'no stack').to.not.match(/\n\s+at /);
  return message;
}

describe('cli: configuration', () => {
  let root: string;
  let deep: string;
  beforeEach(() => {
    root = realpathSync(mkdtempSync(join(tmpdir(), 'hapspec-config-')));
    deep = join(root, 'a', 'b');
    mkdirSync(deep, { recursive: true });
    // What is imported from here is a module, whatever lies above.
    writeFileSync(join(root, 'package.json'), '{"type":"module"}');
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  function put(name: string, content: unknown): string {
    const path = join(root, name);
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
    return path;
  }
  const load = (path?: string, deadline?: number): Promise<Config | undefined> =>
    loadConfig({
      cwd: deep,
      ...(path !== undefined && { path }),
      ...(deadline !== undefined && { deadline }),
    });

  describe('finding', () => {
    it('takes the nearest file upward, of either kind', async () => {
      const outer = put('hapspec.config.json', { target: 'outer:1' });
      expect(await load()).to.deep.equal({ path: outer, values: { target: 'outer:1' } });
      const inner = put('a/hapspec.config.js', 'export default { target: "inner:1" }');
      expect(await load()).to.deep.equal({ path: inner, values: { target: 'inner:1' } });
      const here = put('a/b/hapspec.config.json', { target: 'here:1' });
      expect((await load())!.path).to.equal(here);
    });

    it('is content with none, and stops at the root of the file system', async () => {
      expect(await load()).to.be.undefined;
      expect(await loadConfig({ cwd: parse(root).root })).to.be.undefined;
    });

    it('passes over folders of that name', async () => {
      mkdirSync(join(deep, 'hapspec.config.json'));
      const outer = put('hapspec.config.json', {});
      expect((await load())!.path).to.equal(outer);
    });

    it('does not choose between two in one folder', async () => {
      put('hapspec.config.json', {});
      const path = put('hapspec.config.js', 'export default {}');
      expect(await complaint(load())).to.match(
        /has both hapspec\.config\.js and hapspec\.config\.json: remove one/,
      );
      expect(await load('../../hapspec.config.js')).to.deep.equal({ path, values: {} });
    });

    it('takes a path, from the working folder or absolute, of any name', async () => {
      put('hapspec.config.json', { target: 'not:1' });
      const path = put('a/lamp.json', { target: 'lamp:1' });
      for (const way of ['../lamp.json', path])
        expect(await load(way)).to.deep.equal({ path, values: { target: 'lamp:1' } });
      expect(await complaint(load('none.json'))).to.equal(
        `--config ${join(deep, 'none.json')}: there is no such file`,
      );
      expect(await complaint(load('..'))).to.contain('there is no such file');
      put('a/lamp.yaml', '');
      expect(await complaint(load('../lamp.yaml'))).to.contain('expected a file that ends in .js or .json');
    });
  });

  describe('values', () => {
    const all = {
      target: 'lamp.local:51826',
      code: '031-45-154',
      codeCommand: 'cat code',
      junit: 'reports/junit.xml',
      json: '/tmp/report.json',
      html: 'page.html',
      summary: 'summary.md',
      sarif: 'findings.sarif',
      only: ['PS-*', 'PV-M3-01'],
      skip: [],
      level: ['must'],
      timeout: 5000,
      seed: 0,
      strict: false,
      verbose: false,
      state: '../state',
      reset: './reset.sh',
      restart: 'plug off && plug on',
      launch: 'node lamp.js',
      attempts: 30,
      destructive: true,
      expectations: './known.json',
      evidence: 'evidence',
      evidenceKeys: true,
      pcapng: 'run.pcapng',
      pace: 250,
      startLine: 'rtsp',
      declares: ['transient', 'router'],
      mfiRoot: 'root.pem',
      cloneOf: 'snapshot.json',
      old: '192.168.1.39:51826',
      runs: 300,
      jobs: 2,
      shard: '1/2',
      time: '10m',
      wait: '30s',
      idle: '5m',
    };

    it('are all the keys there are; paths are meant from the file, commands are left alone', async () => {
      expect(Object.keys(all)).to.deep.equal(Object.keys(configKeys));
      put('a/hapspec.config.json', all);
      expect((await load())!.values).to.deep.equal({
        ...all,
        junit: join(root, 'a', 'reports', 'junit.xml'),
        html: join(root, 'a', 'page.html'),
        summary: join(root, 'a', 'summary.md'),
        sarif: join(root, 'a', 'findings.sarif'),
        state: join(root, 'state'),
        expectations: join(root, 'a', 'known.json'),
        evidence: join(root, 'a', 'evidence'),
        pcapng: join(root, 'a', 'run.pcapng'),
        mfiRoot: join(root, 'a', 'root.pem'),
        cloneOf: join(root, 'a', 'snapshot.json'),
      });
    });

    const wrong: readonly (readonly [values: unknown, message: string])[] = [
      [[], 'expected an object, got []'],
      ['null', 'expected an object, got null'],
      ['"x"', 'expected an object, got "x"'],
      [{ timout: 1 }, 'unknown key "timout". Did you mean "timeout"?'],
      [{ Strict: true }, 'unknown key "Strict". Did you mean "strict"?'],
      [{ '--junit': 'x' }, 'unknown key "--junit". Did you mean "junit"?'],
      [{ wombat: 1 }, 'unknown key "wombat". Known are target, code, codeCommand, junit,'],
      [{ toString: 1 }, 'unknown key "toString".'],
      ['{"__proto__": 1}', 'unknown key "__proto__".'],
      [{ target: 1 }, 'target: expected text, got 1'],
      [{ only: 'PS-*' }, 'only: expected a list of texts, got "PS-*"'],
      [{ skip: ['a', 1] }, 'skip: expected a list of texts, got ["a",1]'],
      [{ timeout: '5000' }, 'timeout: expected a number, got "5000"'],
      [{ strict: 'yes' }, 'strict: expected true or false, got "yes"'],
      [{ seed: null }, 'seed: expected a number, got null'],
      [{ junit: '' }, 'junit: expected a path, got an empty text'],
      [{ only: 'x'.repeat(1000) }, `only: expected a list of texts, got "${'x'.repeat(59)}…`],
    ];
    for (const [values, message] of wrong)
      it(`refuses ${JSON.stringify(values).slice(0, 40)}`, async () => {
        const path = put('hapspec.config.json', values);
        expect(await complaint(load())).to.contain(`${path}: ${message}`);
      });

    it('does not show a code of the wrong type', async () => {
      for (const code of [3145154, [3145154], { a: 3145154 }]) {
        put('hapspec.config.json', { code });
        expect(await complaint(load()))
          .to.contain('code: expected text, got')
          .and.not.contain('3145154');
      }
    });
  });

  it('tells line and column of a mistake in JSON', async () => {
    const path = put('hapspec.config.json', '{\n  "target": "x",\n}');
    expect(await complaint(load())).to.equal(`${path}:3:1: no JSON: "}" is not expected here`);
  });

  describe('programs', () => {
    for (const [about, content] of [
      ['an object', 'export default { timeout: 7, code: undefined }'],
      ['a promise', 'export default Promise.resolve({ timeout: 7 })'],
      ['a function', 'export default () => ({ timeout: 7 })'],
      ['a function of a promise', 'export default async () => ({ timeout: 7 })'],
      ['a promise of a function', 'export default Promise.resolve(() => ({ timeout: 7 }))'],
      ['something waited for', 'const t = await Promise.resolve(7); export default { timeout: t }'],
    ] as const)
      it(`may export ${about}`, async () => {
        const path = put('hapspec.config.js', content);
        expect(await load()).to.deep.equal({ path, values: { timeout: 7 } });
      });

    it('may be CommonJS', async () => {
      put('package.json', '{"type":"commonjs"}');
      put('hapspec.config.js', 'module.exports = { timeout: 7 }');
      expect((await load())!.values).to.deep.equal({ timeout: 7 });
      put('other.cjs', 'module.exports = () => ({ timeout: 8 })');
      expect((await load('../../other.cjs'))!.values).to.deep.equal({ timeout: 8 });
    });

    it('may import what lies beside them', async () => {
      put('lamp.js', 'export const timeout = 7');
      put('hapspec.config.js', 'import { timeout } from "./lamp.js"; export default { timeout }');
      expect((await load())!.values).to.deep.equal({ timeout: 7 });
    });

    for (const [about, content, message] of [
      ['no default', 'export const timeout = 7', ': it exports no default'],
      ['a default of another kind', 'export default 7', ': expected an object, got 7'],
      ['a function of nothing', 'export default () => {}', ': expected an object, got undefined'],
      ['a function of a function', 'export default () => () => ({})', ': expected an object, got function'],
      ['a number that is none', 'export default { timeout: NaN }', ': timeout: expected a number, got NaN'],
      [
        'a circle',
        'const only = []; only.push(only); export default { only }',
        ': only: expected a list of texts',
      ],
      ['an error', '\nthrow new Error("no lamp")', ':2: Error: no lamp'],
      [
        'an error of its function',
        '\n\nexport default () => { throw new TypeError("bad lamp") }',
        ':3: TypeError: bad lamp',
      ],
      ['a rejection', 'export default Promise.reject(new Error("late lamp"))', 'Error: late lamp'],
      ['something thrown that is no error', 'throw "just so"', ': just so'],
      ['a mistake of syntax', '\nexport default {', 'SyntaxError: '],
      ['an import that is not there', 'import "./none.js"; export default {}', 'Cannot find module'],
    ] as const)
      it(`are refused with ${about}`, async () => {
        const path = put('hapspec.config.js', content);
        expect(await complaint(load()))
          .to.contain(path)
          .and.contain(message);
      });

    it('may not take for ever', async () => {
      const path = put('hapspec.config.js', 'export default () => new Promise(() => {})');
      expect(await complaint(load(undefined, 100))).to.equal(`${path}: it did not finish within 0.1 s`);
      put('other.js', 'await new Promise(() => {}); export default {}');
      expect(await complaint(load('../../other.js', 100))).to.contain('within 0.1 s');
    });
  });

  describe('merging', () => {
    it('lets flags win, replaces lists, and takes nothing for a flag that was not given', () => {
      const values = { target: 'config:1', timeout: 5000, only: ['PS-*', 'PV-*'], strict: true, pace: 10 };
      const flags: { timeout?: string; only?: string[]; strict?: boolean; junit?: string; config?: string } =
        {
          timeout: '100',
          only: ['SESS-*'],
          junit: 'here.xml',
          config: 'x',
        };
      expect(mergeConfig(values, { ...flags, strict: undefined })).to.deep.equal({
        target: 'config:1',
        timeout: '100',
        only: ['SESS-*'],
        strict: true,
        pace: 10,
        junit: 'here.xml',
        config: 'x',
      });
      const merged = mergeConfig(values, flags);
      const timeout: string | number | undefined = merged.timeout;
      const config: string | undefined = merged.config;
      expect([timeout, config]).to.deep.equal(['100', 'x']);
    });

    it('leaves to a replay what its file says', () => {
      const values = { target: 'lamp:1', only: ['PS-*'], seed: 1, runs: 9, shard: '1/2', json: '/r.json' };
      expect(forReplay(values)).to.deep.equal({ target: 'lamp:1', json: '/r.json' });
    });

    it('changes neither side', () => {
      const values = Object.freeze({ timeout: 1 });
      const flags = Object.freeze({ strict: false });
      expect(mergeConfig(values, flags)).to.deep.equal({ timeout: 1, strict: false });
      expect(mergeConfig({}, {})).to.deep.equal({});
    });
  });
});
