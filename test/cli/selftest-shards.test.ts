import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect } from 'chai';
import { type TwinName, shareOf, twinsOf, weightOf } from '../../harness/cli/selftest-twins.js';
import { type Ended, hapspecLine } from './process.js';

const ONLY = ['accepts-*'];

interface File {
  readonly rows: readonly { readonly twin: TwinName; readonly failed: readonly string[] }[];
  readonly [key: string]: unknown;
}

describe('shards of a self-test', () => {
  let folder: string;
  const at = (name: string): string => join(folder, `${name}.json`);
  const read = (name: string): File => JSON.parse(readFileSync(at(name), 'utf8')) as File;
  const write = (name: string, content: object): void => writeFileSync(at(name), JSON.stringify(content));
  const merge = (...names: readonly string[]): Promise<Ended> => hapspecLine(['merge', ...names.map(at)]);
  /** What is said, but for how long it took. */
  const words = ({ stdout }: Ended): string => stdout.replace(/[\d.]+ s, seed/, '… s, seed');
  const selftest = (name: string, ...more: readonly string[]): Promise<Ended> =>
    hapspecLine(['selftest', '--only', ONLY[0]!, '--json', at(name), ...more]);
  /** The parts of the whole, as so many shards would have written them. */
  const parts = (count: number, of: File): readonly string[] =>
    Array.from({ length: count }, (_, i) => {
      const share = shareOf(twinsOf(false, ONLY), { index: i + 1, count }, (twin) => weightOf(twin, false));
      const name = `part-${i + 1}-of-${count}`;
      write(name, {
        ...of,
        shard: `${i + 1}/${count}`,
        rows: of.rows.filter(({ twin }) => share.includes(twin)),
      });
      return name;
    });

  let whole: Ended;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hapspec-selftest-'));
    whole = await selftest('whole');
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('share the twins out: each in one part, all about as long, what shows a variant counted', () => {
    for (const full of [false, true]) {
      const twins = twinsOf(full, undefined);
      const weigh = (name: TwinName): number => weightOf(name, full);
      for (const count of [1, 2, 3, 8]) {
        const shares = Array.from({ length: count }, (_, i) =>
          shareOf(twins, { index: i + 1, count }, weigh),
        );
        expect(shares.flat(), `${count}`).to.have.length(twins.names.length);
        expect(new Set(shares.flat())).to.deep.equal(new Set(twins.names));
        const loads = shares.map((share) => {
          const shown = share.flatMap((name) => (twins.shown.has(name) ? [twins.shown.get(name)!] : []));
          return [...new Set([...share, ...shown])].reduce((sum, name) => sum + weigh(name), 0);
        });
        expect(Math.max(...loads) / Math.min(...loads), loads.join(' ')).to.be.below(1.5);
      }
    }
  });

  it('merge into what one self-test says, however many there are', async () => {
    expect(whole.code, whole.stdout + whole.stderr).to.equal(0);
    for (const count of [1, 2, 3, 8]) {
      const merged = await merge(...parts(count, read('whole')));
      expect(words(merged), `${count}`).to.equal(words(whole));
      expect(merged.code).to.equal(0);
    }
    expect(words(await merge('whole'))).to.equal(words(whole));
  });

  it('have the rows that the whole has, and a form that the schema knows', async () => {
    const split = parts(2, read('whole'));
    for (const [i, name] of split.entries()) {
      const { code, stdout } = await selftest('shard', '--shard', `${i + 1}/2`);
      expect(code).to.equal(0);
      expect(stdout).to.include(`passed, as far as shard ${i + 1}/2 goes`);
      expect(read('shard').rows).to.deep.equal(read(name).rows);
    }
    const schema = JSON.parse((await hapspecLine(['schema', 'selftest'])).stdout) as object;
    const validate = new Ajv2020({ allowUnionTypes: true }).compile(schema);
    await hapspecLine(['merge', ...split.map(at), '--json', at('merged')]);
    for (const name of ['whole', 'shard', 'merged', split[0]!])
      expect(validate(read(name)), JSON.stringify(validate.errors)).to.equal(true);
    expect(validate({ ...read('whole'), suite: undefined })).to.equal(false);
    expect(read('merged').rows).to.deep.equal(read('whole').rows);
  });

  it('are incomplete without one of them, and red where a fault survives', async () => {
    const [first, second, third] = parts(3, read('whole'));
    const cut = await merge(first!, third!);
    expect(cut.stdout).to.include('selftest incomplete: shard 2/3: there is no file of it');
    expect(cut.code).to.equal(5);
    const { rows, ...head } = read(second!);
    write(second!, { ...head, rows: rows.map((row) => ({ ...row, failed: [] })) });
    const red = await merge(first!, second!, third!);
    expect(red.stdout).to.include(`nobody catches ${rows[0]!.twin}: `);
    expect(red.stdout).to.match(/selftest failed: 0 reds of the healthy twin, [1-9]/);
    expect(red.code).to.equal(1);
    const both = await merge(first!, second!);
    expect(both.stdout).to.include('and not all was asked: shard 3/3');
    expect(both.code).to.equal(1);
    write(second!, { ...head, rows: rows.slice(1) });
    const short = await merge(first!, second!, third!);
    expect(short.stdout).to.include(`no file has a row of them, such as ${rows[0]!.twin}`);
    expect(short.code).to.equal(5);
  });

  it('are refused where they do not belong together', async () => {
    const [first, second] = parts(2, read('whole'));
    const rows = read(second!);
    const refused = async (file: object, message: string): Promise<void> => {
      write('other', file);
      const { code, stderr } = await merge(first!, 'other');
      expect(stderr).to.include(message);
      expect(code).to.equal(2);
    };
    await refused({ ...rows, seed: '2' }, '--seed 2');
    await refused({ ...rows, full: true }, '--full');
    await refused({ ...rows, only: ['m1-*'] }, "--only 'm1-*'");
    await refused({ ...rows, suite: '0123456789abcdef' }, 'it is of another suite');
    await refused({ ...rows, tool: { name: 'hapspec', version: '9.9.9' } }, 'it is of hapspec 9.9.9');
    await refused({ ...rows, shard: '2/3' }, 'are not the shards of one');
    await refused({ ...rows, shard: '1/2' }, 'shard 1/2 is there twice');
    await refused({ ...rows, rows: read(first!).rows }, 'is in two of the files');
    await refused({ ...rows, schema: 2 }, 'schema 2');
    await refused(
      { ...rows, rows: [{ twin: 'nobody', failed: [], odd: [], foreign: [], weighed: [] }] },
      'rows[0]',
    );
    await refused({ schema: 1, results: [] }, 'is of "hapspec selftest", and');
    const page = await hapspecLine(['merge', at(first!), '--html', at('page')]);
    expect(page.stderr).to.include('--html');
    expect(page.code).to.equal(2);
    const run = await hapspecLine(['report', at(first!)]);
    expect(run.stderr).to.include('"hapspec merge" reads it');
    expect(run.code).to.equal(2);
  });

  it('are of the kill matrix alone', async () => {
    for (const [option, ...beside] of [
      ['--shard', '1/2', '--properties'],
      ['--shard', '1/2', '--cascade'],
      ['--shard', '1/2', '--signatures', at('signatures')],
      ['--json', at('x'), '--properties'],
      ['--json', at('x'), '--cascade'],
    ] as const) {
      const { code, stderr } = await hapspecLine(['selftest', option, ...beside]);
      expect(stderr).to.match(new RegExp(`^hapspec: ${option} is of the kill matrix`));
      expect(code).to.equal(2);
    }
    const update = await hapspecLine(['selftest', '--shard', '1/2', '--update', at('x')]);
    expect(update.stderr).to.include('--update');
    expect(update.code).to.equal(2);
    expect((await hapspecLine(['selftest', '--shard', '3/2'])).stderr).to.include(
      '--shard 3/2: expected I/N',
    );
  });
});
